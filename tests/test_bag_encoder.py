"""BagEncoder: the sample, the vectors, images that cannot be read or hold nothing, and what is put between."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags import PixelWords, dictionary
from hypothesis import given
from hypothesis import strategies as st
from notes import Notes
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from synthetic import textured

from cvbow.backends import BagEncoder
from cvbow.backends.fitting import Sampler, plan_sample
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords, SpatialPyramid
from cvbow.errors import CvbowError, ImageError
from cvbow.features import DenseSIFT, Features
from cvbow.parallel import executor
from cvbow.progress import reporting

Pixels = NDArray[np.uint8]


def encoder_of_words(n_words: int = 4, **parameters: Any) -> BagEncoder:
    """Counts how often each gray value from 1 to ``n_words`` occurs."""
    of_words = {"normalization": "none"} | parameters.pop("of_words", {})
    return BagEncoder(PixelWords(), BagOfWords(dictionary(n_words), **of_words), **parameters)


def small_encoder(**parameters: Any) -> BagEncoder:
    encoder = SpatialPyramid(BagOfWords(KMeansDictionary(n_words=12, max_iter=4)), grids=("1x1", "2x1"))
    return BagEncoder(DenseSIFT(step=6, bin_sizes=(4,)), encoder, **{"sample": 900} | parameters)


def gray(*rows: list[int]) -> Pixels:
    return np.array(rows, np.uint8)


@pytest.fixture
def images() -> list[Pixels]:
    return [textured(40, 44, seed) for seed in range(7)]


@pytest.fixture
def folder(tmp_path: Path, images: list[Pixels]) -> Path:
    """Files in the order 0 to 6, of which 1, 3 and 4 cannot be read."""
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").write_text("a text that is called an image")
    return tmp_path


def paths_of(folder: Path) -> list[Path]:
    return [folder / f"{number}.png" for number in range(7)]


# The way of an image.


def test_counts_by_hand() -> None:
    encoder = encoder_of_words().fit([gray([1, 2], [3, 4])])
    vectors = encoder.transform([gray([1, 1, 2]), gray([4, 0], [0, 4], [3, 1])])
    np.testing.assert_array_equal(vectors, [[2, 1, 0, 0], [1, 0, 1, 2]])
    assert vectors.dtype == np.float32
    assert encoder.vector_length == 4
    assert encoder.n_sampled_ == 4


def test_a_vector_is_the_encoding_of_the_image(images: list[Pixels]) -> None:
    encoder = small_encoder().fit(images)
    vectors = encoder.transform(images)
    assert vectors.shape == (7, 36) == (7, encoder.vector_length)
    for image, vector in zip(images, vectors, strict=True):
        features = encoder.extractor.extract(image)
        np.testing.assert_array_equal(vector, encoder.encoder_.encode(features))
        assert np.linalg.norm(vector) == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(small_encoder().fit_transform(images), vectors)
    np.testing.assert_array_equal(encoder.transform(images=images[2:]), vectors[2:])


def test_images_by_path_by_name_and_as_pixels(images: list[Pixels], tmp_path: Path) -> None:
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    paths = paths_of(tmp_path)
    encoder = small_encoder().fit(images)
    expected = encoder.transform(images)
    mixed = [paths[0], str(paths[1]), *images[2:4], *paths[4:]]
    for same in (paths, tuple(paths), mixed, np.array([str(path) for path in paths]), np.stack(images), iter(paths)):
        np.testing.assert_array_equal(encoder.transform(same), expected)
        assert len(encoder.transform(np.stack(images)[:0])) == 0
    np.testing.assert_array_equal(small_encoder().fit(mixed).transform(mixed), expected)


def test_a_colour_image_is_read_as_gray(images: list[Pixels]) -> None:
    encoder = small_encoder().fit(images)
    colour = np.repeat(images[0][:, :, None], 3, axis=2)
    np.testing.assert_array_equal(encoder.transform([colour]), encoder.transform(images[:1]))


def test_no_images_give_no_vectors(images: list[Pixels]) -> None:
    encoded = small_encoder().fit(images).encode_images([])
    assert encoded.vectors.shape == (0, 36)
    assert len(encoded.rows) == len(encoded.skipped) == 0


def test_fit_leaves_the_parameters_and_the_images_alone(images: list[Pixels]) -> None:
    for image in images:
        image.flags.writeable = False
    encoder = small_encoder(reduce=PCA(8, svd_solver="covariance_eigh"))
    inside, reduce = encoder.encoder, encoder.reduce
    assert encoder.fit(images) is encoder
    encoder.transform(images)
    assert encoder.encoder is inside
    assert encoder.reduce is reduce
    assert not hasattr(inside, "encoder_")
    assert not hasattr(reduce, "components_")


def test_before_fit(images: list[Pixels]) -> None:
    encoder = small_encoder()
    uses: list[Callable[[], object]] = [
        lambda: encoder.transform(images),
        lambda: encoder.encode_images([]),
        lambda: encoder.features(images[0]),
        lambda: encoder.vector_length,
    ]
    for use in uses:
        with pytest.raises(NotFittedError):
            use()


# The sample.


@given(
    n_images=st.integers(1, 400),
    sample=st.integers(1, 5000),
    sample_images=st.integers(1, 300),
    seed=st.integers(0, 99),
)
def test_the_plan_of_the_sample(n_images: int, sample: int, sample_images: int, seed: int) -> None:
    plan = plan_sample(n_images, sample, sample_images, seed)
    assert plan == plan_sample(n_images, sample, sample_images, seed)
    assert plan.positions == sorted(set(plan.positions))
    assert plan.positions[0] >= 0
    assert plan.positions[-1] < n_images
    assert len(plan.positions) == min(n_images, sample_images, sample)
    # Bounded, and no more than a rounded-off share of each image short of the bound.
    assert plan.quota >= 1
    assert sample - len(plan.positions) < plan.quota * len(plan.positions) <= sample


def test_the_plan_is_drawn_from_all_images_and_depends_on_the_seed() -> None:
    plans = [plan_sample(1000, 300, 50, seed).positions for seed in range(60)]
    assert len({tuple(positions) for positions in plans}) == 60
    drawn = np.bincount(np.concatenate(plans), minlength=1000)
    # 3000 draws among 1000 images; 10 in one is beyond chance.
    assert (drawn > 0).mean() > 0.9
    assert drawn.max() < 14
    assert plan_sample(50, 300, 50, 7).positions == list(range(50))


def test_what_is_drawn_depends_on_the_seed_and_the_position_alone(images: list[Pixels]) -> None:
    extractor = DenseSIFT(step=6, bin_sizes=(4,))
    all_features = extractor.extract(images[0])
    n = len(all_features)
    drawn = {(seed, place): Sampler(extractor, 10, seed)((place, images[0])) for seed in (0, 1) for place in (0, 5)}
    for key, features in drawn.items():
        assert isinstance(features, Features)
        assert len(features) == 10
        again = Sampler(extractor, 10, key[0])((key[1], images[0]))
        np.testing.assert_array_equal(features.points, again.points)
        # In the order in which they were found, none twice.
        rows = [int(np.flatnonzero((all_features.points == point).all(axis=1))[0]) for point in features.points]
        assert rows == sorted(set(rows))
        np.testing.assert_array_equal(features.descriptors, all_features.descriptors[rows])
    places = {key: features.points.tobytes() for key, features in drawn.items()}
    assert len(set(places.values())) == 4
    assert len(Sampler(extractor, n, 0)((0, images[0]))) == len(Sampler(extractor, n + 1, 0)((0, images[0]))) == n


def test_the_sample_is_bounded(images: list[Pixels]) -> None:
    for sample, sample_images in ((30, 1000), (25, 2), (3, 1000), (10**9, 1000)):
        with pytest.warns(UserWarning, match="n_words") if sample < 12 else contextlib.nullcontext():
            encoder = small_encoder(sample=sample, sample_images=sample_images).fit(images)
        n_points = sum(len(encoder.extractor.extract(image)) for image in images)
        used = min(7, sample_images, sample)
        assert encoder.n_sampled_ == min(sample // used * used, n_points)


def test_the_dictionary_learns_from_the_sample_alone(images: list[Pixels]) -> None:
    encoder = small_encoder(sample=30, sample_images=3, random_state=4).fit(images)
    plan = plan_sample(7, 30, 3, 4)
    drawn = [Sampler(encoder.extractor, plan.quota, 4)((place, images[place])) for place in plan.positions]
    expected = clone(encoder.encoder).fit(drawn)
    np.testing.assert_array_equal(encoder.encoder_.encoder_.dictionary_.words_, expected.encoder_.dictionary_.words_)
    other = small_encoder(sample=30, sample_images=3, random_state=5).fit(images)
    assert (other.encoder_.encoder_.dictionary_.words_ != expected.encoder_.dictionary_.words_).any()


@pytest.mark.parametrize("weighting", ["count", "tf-idf"])
def test_neither_workers_nor_processes_change_a_bit(images: list[Pixels], weighting: str) -> None:
    def vectors(n_jobs: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        encoder = small_encoder(n_jobs=n_jobs, sample=200, reduce=PCA(16, svd_solver="covariance_eigh"))
        encoder.set_params(encoder__encoder__weighting=weighting).fit(images)
        return encoder.encoder_.encoder_.dictionary_.words_, encoder.transform(images)

    words, expected = vectors(1)
    assert expected.any()
    for other_words, other in (vectors(2), vectors(None), vectors(-1)):
        np.testing.assert_array_equal(other_words, words)
        np.testing.assert_array_equal(other, expected)
    with executor("processes"):
        other_words, other = vectors(2)
    np.testing.assert_array_equal(other_words, words)
    np.testing.assert_array_equal(other, expected)


def test_tf_idf_counts_whole_images() -> None:
    # Eight images of 64 points: words 0 and 1 in all, word 2 in four of them, word 3 in one.
    images = [np.full((8, 8), 1, np.uint8) for _ in range(8)]
    for number, image in enumerate(images):
        image[0, :6] = 2
        image[1, 0] = 3 if number < 4 else 1
        image[1, 1] = 4 if number == 0 else 1
    # A ninth shows the dictionary every word, in the four points that are drawn from each.
    images.append(gray([1, 2, 3, 4]))
    encoder = encoder_of_words(sample=4 * 9, of_words={"weighting": "tf-idf"}).fit(images)
    order = encoder.encoder_.dictionary_.words_[:, 0].argsort()
    np.testing.assert_allclose(encoder.encoder_.idf_[order], np.log([9 / 9, 9 / 9, 9 / 5, 9 / 2]), rtol=1e-6)
    # What was drawn does not show that.
    drawn = [Sampler(PixelWords(), 4, 0)(item) for item in enumerate(images)]
    assert (clone(encoder.encoder).fit(drawn).idf_[order] > encoder.encoder_.idf_[order] + 0.1).any()
    vector = encoder.transform([images[0]])[0][order]
    np.testing.assert_allclose(vector, [0, 0, math.log(9 / 5), math.log(9 / 2)], rtol=1e-6)


def test_tf_idf_counts_the_images_that_can_be_read(tmp_path: Path) -> None:
    images = [gray([1, 2]), tmp_path / "missing.png", gray([1]), gray([1, 2, 2])]
    encoder = encoder_of_words(2, of_words={"weighting": "tf-idf"}).fit(images)
    order = encoder.encoder_.dictionary_.words_[:, 0].argsort()
    np.testing.assert_allclose(encoder.encoder_.idf_[order], [0, math.log(3 / 2)], rtol=1e-6)


# Images that cannot be read.


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_unreadable_images_are_left_out_and_listed_in_order(folder: Path, images: list[Pixels], n_jobs: int) -> None:
    paths = paths_of(folder)
    encoder = small_encoder(n_jobs=n_jobs).fit(paths)
    assert [error.path for error in encoder.skipped_] == [str(paths[number]) for number in (1, 3, 4)]
    encoded = encoder.encode_images(paths)
    np.testing.assert_array_equal(encoded.rows, [0, 2, 5, 6])
    assert encoded.vectors.shape == (4, 36)
    assert encoded.vectors.flags.owndata
    np.testing.assert_array_equal(encoded.vectors, encoder.transform([images[number] for number in (0, 2, 5, 6)]))
    assert [error.path for error in encoded.skipped] == [str(paths[number]) for number in (1, 3, 4)]
    empty, missing, text = (error.reason for error in encoded.skipped)
    assert empty == "the file is empty"
    assert missing == "there is no such file"
    assert "image" in text


def test_an_error_keeps_no_file_in_memory(folder: Path) -> None:
    encoder = small_encoder().fit(paths_of(folder))
    for error in [*encoder.skipped_, *encoder.encode_images(paths_of(folder)).skipped]:
        assert error.__traceback__ is error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_transform_and_strict_raise_the_first_error(folder: Path, n_jobs: int) -> None:
    paths = paths_of(folder)
    encoder = small_encoder(n_jobs=n_jobs).fit(paths)
    with pytest.raises(ImageError, match="the file is empty") as caught:
        encoder.transform(paths)
    assert caught.value.path == str(paths[1])
    with pytest.raises(ImageError, match="there is no such file"):
        encoder.encode_images(paths[2:], strict=True)
    assert encoder.transform([paths[0], paths[2]]).shape == (2, 36)


def test_only_images_of_the_sample_are_looked_at(folder: Path) -> None:
    paths = paths_of(folder)
    encoder = small_encoder(sample_images=3).fit(paths)
    wanted = [str(paths[place]) for place in plan_sample(7, 900, 3, 0).positions if place in (1, 3, 4)]
    assert [error.path for error in encoder.skipped_] == wanted


def test_images_that_can_none_be_read_are_an_error(folder: Path) -> None:
    with pytest.raises(CvbowError, match=r"none of the 2 images could be read; the first: .*1\.png: the file is empty"):
        small_encoder().fit([folder / "1.png", folder / "3.png"])


@pytest.mark.parametrize("colour", [np.zeros((20, 20), np.uint8), np.zeros((1, 1), np.uint8)])
def test_images_without_any_points_are_an_error(colour: Pixels) -> None:
    with pytest.raises(CvbowError, match="no points were found in any of the 3 images"):
        encoder_of_words().fit([colour] * 3)


@pytest.mark.parametrize("reduce", [None, PCA(1)])
@pytest.mark.parametrize("position_weight", [0.0, 1.0])
@pytest.mark.parametrize("weighting", ["count", "tf-idf"])
def test_an_image_without_points_is_the_zero_vector(reduce: Any, position_weight: float, weighting: str) -> None:
    images = [gray([1, 2, 3, 4]), gray([0, 0]), gray([4, 1])]
    parameters = {"reduce": reduce, "position_weight": position_weight, "of_words": {"weighting": weighting}}
    encoder = encoder_of_words(**parameters).fit(images)
    encoded = encoder.encode_images(images)
    np.testing.assert_array_equal(encoded.rows, [0, 1, 2])
    np.testing.assert_array_equal(encoded.vectors[1], np.zeros(4))
    assert encoded.vectors[[0, 2]].any(axis=1).all()
    assert encoder.features(images[1]).descriptors.shape == (0, (1 if reduce else 2) + 2 * bool(position_weight))


def test_doubtful_images_are_kept_and_named(tmp_path: Path) -> None:
    path = tmp_path / "white.png"
    Image.fromarray(np.full((9, 7), 255, np.uint8)).save(path)
    small = gray([9, 1])
    encoder = small_encoder().fit([textured(40, 40)])
    encoded = encoder.encode_images([textured(40, 40), path, small])
    np.testing.assert_array_equal(encoded.rows, [0, 1, 2])
    assert not encoded.vectors[1:].any()
    assert [(error.path, error.reason) for error in encoded.doubtful] == [
        (str(path), "all 7x9 pixels have one colour"),
        ("image 2", "nothing was found to describe in 2x1 pixels"),
    ]


# What is put between the extractor and the encoder.


@pytest.mark.parametrize(
    "reduce",
    [
        PCA(10, svd_solver="covariance_eigh"),
        PCA(5, whiten=True, svd_solver="covariance_eigh"),
        StandardScaler(),
        make_pipeline(StandardScaler(), PCA(7, svd_solver="covariance_eigh")),
        FunctionTransformer(np.square),
    ],
)
def test_any_transformer_reduces_the_descriptors(images: list[Pixels], reduce: Any) -> None:
    encoder = small_encoder(reduce=reduce).fit(images)
    plan = plan_sample(7, 900, 1000, 0)
    drawn = [Sampler(encoder.extractor, plan.quota, 0)((place, images[place])) for place in plan.positions]
    transformer = clone(reduce).fit(np.concatenate([features.descriptors for features in drawn]))
    found = encoder.extractor.extract(images[3])
    reduced = np.asarray(transformer.transform(found.descriptors), np.float32)
    features = encoder.features(images[3])
    np.testing.assert_allclose(features.descriptors, reduced, rtol=1e-5, atol=2e-5)
    np.testing.assert_array_equal(features.points, found.points)
    assert encoder.encoder_.encoder_.dictionary_.words_.shape == (12, reduced.shape[1])
    np.testing.assert_array_equal(encoder.transform([images[3]])[0], encoder.encoder_.encode(features))


def test_the_place_is_appended(images: list[Pixels]) -> None:
    encoder = small_encoder(position_weight=3.0, reduce=PCA(6, svd_solver="covariance_eigh")).fit(images)
    features = encoder.features(images[0])
    assert features.descriptors.shape[1] == 8
    assert features.descriptors.dtype == np.float32
    # Images are 44 x 40 with pixel centres at integers: the middle is at 21.5, 19.5.
    for (x, y, *_), descriptor in zip(features.points, features.descriptors, strict=True):
        np.testing.assert_allclose(descriptor[6:], [3 * (x - 21.5) / 44, 3 * (y - 19.5) / 40], atol=1e-6)


def test_words_that_know_their_place() -> None:
    left, right = gray([1, 0, 0, 0, 0, 0, 0, 0]), gray([0, 0, 0, 0, 0, 0, 0, 1])
    for weight, n_words in ((0.0, 1), (50.0, 2)):
        encoder = encoder_of_words(n_words, position_weight=weight).fit([left, right])
        same = (encoder.transform([left]) == encoder.transform([right])).all()
        assert same == (n_words == 1)


def test_features_of_a_file(images: list[Pixels], folder: Path) -> None:
    encoder = small_encoder().fit(images)
    np.testing.assert_array_equal(
        encoder.features(folder / "0.png").descriptors, encoder.extractor.extract(images[0]).descriptors
    )
    with pytest.raises(ImageError, match="the file is empty"):
        encoder.features(folder / "1.png")
    with pytest.raises(FileNotFoundError):
        encoder.features(folder / "3.png")


# What is told on the way.


def test_the_steps_and_their_cost_are_told(images: list[Pixels]) -> None:
    collector = Notes()
    with reporting(collector, details=True):
        encoder = small_encoder(sample_images=5)
        encoder.set_params(encoder__encoder__weighting="tf-idf").fit(images).transform(images)
    assert collector.stages == ["sample", "dictionary", "k-means", "count", "document frequencies", "encode"]
    assert collector.shown[-1] == (1, "encode 7/7")
    assert "sample: up to 180 descriptors from each of 5 images; at most about 0 MB" in collector.lines
    assert set(encoder.seconds_) == {"extract", "dictionary"}
    assert min(encoder.seconds_.values()) > 0


# Mistakes.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"extractor": "dense-sift"}, "extractor must be an Extractor such as DenseSIFT"),
        ({"encoder": KMeansDictionary()}, "encoder must be an Encoder such as BagOfWords"),
        ({"position_weight": -1}, "position_weight must be a number >= 0, got -1"),
        ({"sample": 0}, "sample must be an integer >= 1, got 0"),
        ({"sample": 1.5}, "sample must be an integer >= 1, got 1.5"),
        ({"sample_images": 0}, "sample_images must be an integer >= 1, got 0"),
        ({"random_state": None}, "random_state must be an integer >= 0, got None"),
        ({"n_jobs": 0}, "n_jobs must be None or an integer other than 0, got 0"),
        ({"extractor": DenseSIFT(step=0)}, "step must be an integer >= 1, got 0"),
        ({"encoder": BagOfWords(KMeansDictionary(n_words=-3))}, "n_words must be an integer >= 1, got -3"),
        ({"encoder": SpatialPyramid(BagOfWords(power=2))}, "power must be a number > 0 and <= 1, got 2"),
    ],
)
def test_a_bad_parameter_is_named_before_an_image_is_read(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_encoder().set_params(**parameters).fit(["there is no such file.png"])


def test_a_lone_image_stands_for_a_list_of_one(images: list[Pixels], folder: Path) -> None:
    encoder = small_encoder().fit(images)
    for lone in (folder / "0.png", str(folder / "0.png"), images[0]):
        np.testing.assert_array_equal(encoder.transform(lone), encoder.transform([lone]))
        assert small_encoder().fit(lone).fingerprint() == small_encoder().fit([lone]).fingerprint()
    with pytest.raises(ValueError, match="source must be an array of shape"):
        encoder.transform(np.zeros(40, np.uint8))


def test_what_is_no_image_is_refused(images: list[Pixels]) -> None:
    encoder = small_encoder().fit(images)
    with pytest.raises(ValueError, match="images must have at least one image, got none"):
        small_encoder().fit([])
    for wrong in (3, None, b"bytes"):
        with pytest.raises(ValueError, match="source must be a path"):
            encoder.transform([images[0], wrong])
    with pytest.raises(ValueError, match="source must be"):
        encoder.transform([images[0].astype(np.int32)])


def test_a_folder_that_vanishes_meanwhile_is_no_crash(images: list[Pixels], folder: Path) -> None:
    encoder = small_encoder().fit(images)
    shutil.rmtree(folder)
    encoded = encoder.encode_images(paths_of(folder))
    assert encoded.vectors.shape == (0, 36)
    assert len(encoded.skipped) == 7
