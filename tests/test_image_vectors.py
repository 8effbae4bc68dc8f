"""Vectors of images: unit length, PCA-whitening against a plain oracle, boxes, and what is refused."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from synthetic import textured
from tiny_network import tiny_network

from cvbow import storage
from cvbow.backends import BagEncoder, CnnEncoder, ColorHistogram, ImageEncoder, RawPixels
from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary
from cvbow.encoders import VLAD, FisherVector
from cvbow.errors import CvbowError, ImageError
from cvbow.features import SIFT, DenseSIFT
from cvbow.index import ImageIndex
from cvbow.retrieval import ArraySpec, ImageVectors, VisualWords, exact
from cvbow.retrieval.exact import ExactScorer
from cvbow.retrieval.image_vectors import _inside

Pixels = NDArray[np.uint8]
needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="needs the extra faiss")


class FirstRow(ImageEncoder):
    """The first row of pixels as the vector."""

    def __init__(self, length: int = 2, *, n_jobs: int | None = None, memory: Any = None) -> None:
        self.length = length
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def vector_length(self) -> int:
        return self.length

    @property
    def gray_only(self) -> bool:
        return True

    def fit(self, images: Sequence[Any], y: object = None) -> Self:
        return self

    def encode_image(self, image: Pixels) -> NDArray[np.float32]:
        return image[0, : self.length].astype(np.float32)

    def fingerprint(self) -> str:
        return str(self.length)


def rows(*values: Sequence[int]) -> list[Pixels]:
    return [np.array([row], np.uint8) for row in values]


@pytest.fixture(scope="module")
def images() -> list[Pixels]:
    return [textured(40, 48, seed) for seed in range(12)]


def vectors_of(describer: ImageVectors, images: Sequence[Pixels]) -> NDArray[np.float32]:
    return np.stack([describer.describe(image)["vectors"] for image in images])


def test_whitening_by_hand() -> None:
    # At unit length (1, 0) and (0, 1): the mean is (1/2, 1/2), the direction (1, -1), and the variance 1.
    describer = ImageVectors(FirstRow()).fit(rows([10, 0], [0, 200]))
    np.testing.assert_allclose(describer.mean_, [0.5, 0.5])
    np.testing.assert_allclose(np.abs(describer.projection_), [[0.5**0.5], [0.5**0.5]], rtol=1e-6)
    first, second, like_second = vectors_of(describer, rows([7, 0], [0, 7], [3, 4]))[:, 0]
    assert abs(first) == pytest.approx(1)
    assert second == pytest.approx(-first)
    assert like_second == pytest.approx(second)


@pytest.mark.parametrize(("n_components", "whiten"), [(None, True), (3, True), (3, False)])
def test_whitening_against_the_eigenvectors_of_the_covariance(n_components: int | None, whiten: bool) -> None:
    values = np.random.default_rng(0).integers(0, 256, (40, 6)).astype(np.uint8)
    describer = ImageVectors(FirstRow(6), n_components=n_components, whiten=whiten).fit(rows(*values))
    learned = values / np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
    others = np.random.default_rng(1).integers(0, 256, (9, 6)).astype(np.uint8)
    unit = others / np.linalg.norm(others.astype(np.float64), axis=1, keepdims=True)
    variances, axes = np.linalg.eigh(np.cov(learned.T))
    kept = np.argsort(-variances)[: n_components or 6]
    wanted = (unit - learned.mean(axis=0)) @ axes[:, kept]
    if whiten:
        wanted /= np.sqrt(variances[kept])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = vectors_of(describer, rows(*others))
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    # The sign of a direction is nobody's business: cosines are.
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=2e-5)
    if whiten:
        projected = (learned - describer.mean_) @ describer.projection_
        np.testing.assert_allclose(np.cov(projected.T), np.eye(len(kept)), atol=1e-4)


def test_without_whitening_the_backends_vector_is_brought_to_unit_length() -> None:
    describer = ImageVectors(FirstRow(3), whiten=False).fit(rows([1, 2, 3]))
    np.testing.assert_allclose(describer.describe(rows([0, 30, 40])[0])["vectors"], [0, 0.6, 0.8], rtol=1e-6)
    assert not hasattr(describer, "projection_")
    assert describer.layout() == {"vectors": ArraySpec("<f4", (3,), "image")}


@pytest.mark.parametrize("whiten", [True, False])
def test_an_image_in_which_nothing_is_found_is_the_zero_vector(whiten: bool) -> None:
    describer = ImageVectors(FirstRow(3), whiten=whiten).fit(rows([1, 2, 3], [9, 1, 0], [0, 1, 9], [0, 0, 0]))
    vector = describer.describe(rows([0, 0, 0])[0])["vectors"]
    assert vector.shape == (describer.vector_length,)
    assert not vector.any()
    if whiten:
        # Nor does it say anything of the mean.
        other = ImageVectors(FirstRow(3)).fit(rows([1, 2, 3], [9, 1, 0], [0, 1, 9]))
        np.testing.assert_array_equal(other.projection_, describer.projection_)


@given(st.lists(st.lists(st.integers(0, 255), min_size=4, max_size=4), min_size=1, max_size=5))
def test_vectors_have_unit_length_or_none(values: list[list[int]]) -> None:
    learned = np.random.default_rng(3).integers(0, 256, (20, 4)).astype(np.uint8)
    describer = ImageVectors(FirstRow(4)).fit(rows(*learned))
    found = vectors_of(describer, rows(*values))
    assert np.isfinite(found).all()
    lengths = np.linalg.norm(found.astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, [float(any(row)) for row in values], atol=1e-6)


def test_directions_in_which_the_images_do_not_differ_are_left_out() -> None:
    # The third value is the sum of the others, up to a factor, and the fourth always 0.
    planar = rows(*[[a, b, a + b, 0] for a, b in np.random.default_rng(0).integers(1, 100, (30, 2))])
    describer = ImageVectors(FirstRow(4)).fit(planar)
    assert describer.vector_length == 2
    with pytest.warns(UserWarning, match="n_components is 4, but the 30 images with features differ in 2 directions"):
        describer = ImageVectors(FirstRow(4), n_components=4).fit(planar)
    assert describer.vector_length == 2
    with pytest.warns(UserWarning, match="n_components is 9, but the 3 images with features differ in 2 directions"):
        ImageVectors(FirstRow(4), n_components=9).fit(rows([1, 2, 3, 4], [4, 1, 1, 1], [0, 0, 7, 1]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2]], "whitening learns from at least 2 images with features, got 1"),
        ([[1, 2], [0, 0]], "whitening learns from at least 2 images with features, got 1"),
        ([[1, 2], [10, 20], [50, 100]], "the 3 images with features have equal vectors: nothing to whiten"),
    ],
)
def test_images_that_teach_no_whitening(values: list[list[int]], message: str) -> None:
    with pytest.raises(CvbowError, match=message):
        ImageVectors(FirstRow()).fit(rows(*values))
    assert ImageVectors(FirstRow(), whiten=False).fit(rows(*values)).vector_length == 2


def test_a_bounded_sample_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 256, (50, 3)).astype(np.uint8)
    learned = []
    original = ImageVectors._learn
    monkeypatch.setattr(
        ImageVectors, "_learn", lambda self, vectors: (learned.append(vectors), original(self, vectors))[1]
    )
    for seed in (0, 0, 1):
        ImageVectors(FirstRow(3), sample_images=20, random_state=seed).fit(rows(*values))
    assert [len(vectors) for vectors in learned] == [20, 20, 20]
    np.testing.assert_array_equal(learned[0], learned[1])
    assert (learned[0] != learned[2]).any()
    assert {tuple(row) for row in learned[0].tolist()} <= {tuple(row) for row in values.tolist()}


def test_unreadable_images_are_left_out_and_listed(tmp_path: Path, images: list[Pixels]) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    mixed: list[Any] = [*images[:4], tmp_path / "empty.png", *images[4:], str(tmp_path / "none.png")]
    describer = ImageVectors(RawPixels(size=8, n_components=None)).fit(mixed)
    assert [Path(error.path).name for error in describer.skipped_] == ["empty.png", "none.png"]
    expected = ImageVectors(RawPixels(size=8, n_components=None)).fit(images)
    np.testing.assert_array_equal(describer.projection_, expected.projection_)


# Backends.


def bag(encoder: Any) -> BagEncoder:
    return BagEncoder(DenseSIFT(step=6, bin_sizes=(4,)), encoder, sample=2000)


@pytest.mark.parametrize(
    "backend",
    [
        bag(VLAD(KMeansDictionary(n_words=4))),
        bag(FisherVector(GaussianMixtureDictionary(n_words=3))),
        ColorHistogram(),
        RawPixels(size=8),
    ],
    ids=["vlad", "fisher", "colours", "pixels"],
)
def test_an_image_is_found_by_a_disturbed_copy(backend: ImageEncoder, images: list[Pixels]) -> None:
    color = [
        np.stack([image, image // 2, np.roll(image, number * 7, axis=1)], 2) for number, image in enumerate(images)
    ]
    describer = ImageVectors(backend).fit(color[4:])
    stored = vectors_of(describer, color)
    scorer = describer.scorer([_Segment(stored[:5]), _Segment(stored[5:])], [np.ones(5, bool), np.ones(7, bool)])
    assert isinstance(scorer, ExactScorer)
    rng = np.random.default_rng(0)
    for number, image in enumerate(color):
        noisy = np.clip(image + rng.normal(0, 1, image.shape), 0, 255).astype(np.uint8)
        scores = scorer.scores(describer.describe(noisy))
        np.testing.assert_allclose(scores, stored @ describer.describe(noisy)["vectors"], atol=1e-6)
        assert scores.argmax() == number


class _Segment:
    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.n_images = len(vectors)
        self.arrays = {"vectors": vectors}


def test_vectors_of_a_network(tmp_path: Path, images: list[Pixels]) -> None:
    (tmp_path / "tiny.onnx").write_bytes(tiny_network())
    facts: dict[str, Any] = {"size": 12, "channel_order": "rgb", "mean": 100, "scale": 0.01, "engine": "opencv"}
    network = CnnEncoder(tmp_path / "tiny.onnx", layer="features", **facts)
    color = [np.stack([image] * 2 + [image[::-1]], axis=2) for image in images]
    describer = ImageVectors(network, n_components=3).fit(color)
    assert not describer.gray_only
    unit = network.fit(color).transform(color[:2])
    wanted = (unit - describer.mean_) @ describer.projection_
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors_of(describer, color[:2]), wanted, atol=1e-5)


def test_neither_workers_nor_a_copy_nor_a_file_change_a_bit(tmp_path: Path, images: list[Pixels]) -> None:
    first = ImageVectors(bag(VLAD(KMeansDictionary(n_words=4))), n_components=5, n_jobs=1).fit(images)
    second = clone(first).set_params(n_jobs=2).fit(images)
    storage.save(tmp_path / "vectors.cvbow", kind="index", state=second, metadata={})
    third = storage.load(tmp_path / "vectors.cvbow", kind="index").state
    assert third.n_jobs is None
    for other in (second, third):
        np.testing.assert_array_equal(vectors_of(other, images), vectors_of(first, images))
        assert other.fingerprint() == first.fingerprint()
        assert other.layout() == first.layout()
    changed = clone(first).set_params(n_components=4).fit(images)
    assert changed.fingerprint() != first.fingerprint()


def test_fitting_again_forgets_the_first_time(images: list[Pixels]) -> None:
    describer = ImageVectors(RawPixels(size=4, n_components=None)).fit(images)
    describer.set_params(whiten=False).fit(images)
    assert not hasattr(describer, "mean_")
    assert describer.vector_length == 16


# Local features beside the vector, and the whole way through an index.


def words() -> VisualWords:
    return VisualWords(SIFT(max_points=60), dictionary=KMeansDictionary(n_words=12), embedding_bits=0)


@pytest.fixture(scope="module")
def with_words(images: list[Pixels]) -> ImageVectors:
    return ImageVectors(RawPixels(size=8, n_components=None), local=words()).fit(images)


def test_local_features_are_stored_beside_the_vector(with_words: ImageVectors, images: list[Pixels]) -> None:
    plain = ImageVectors(RawPixels(size=8, n_components=None)).fit(images)
    alone = words().fit(images)
    assert not plain.has_geometry
    assert with_words.has_geometry
    assert with_words.layout() == plain.layout() | alone.layout()
    for box in (None, (4, 2, 30, 30)):
        found = with_words.describe(images[1], box=box)
        assert set(found) == set(with_words.layout())
        expected = plain.describe(images[1], box=box) | alone.describe(images[1], box=box)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
    assert len(with_words.describe(images[1])["words"]) > len(found["words"]) > 0
    assert with_words.fingerprint() != plain.fingerprint()


def test_a_backend_of_colours_with_words_of_gray(images: list[Pixels]) -> None:
    color = [np.stack([image, image // 2, image // 3], axis=2) for image in images]
    describer = ImageVectors(ColorHistogram(), local=words()).fit(color)
    assert not describer.gray_only
    alone = words().fit(color)
    np.testing.assert_array_equal(describer.describe(color[0])["places"], alone.describe(color[0])["places"])


def test_local_features_without_geometry_are_refused(images: list[Pixels]) -> None:
    with pytest.raises(
        ValueError, match=r"local must store words and places, such as VisualWords\(\), got ImageVectors"
    ):
        ImageVectors(FirstRow(), local=ImageVectors(RawPixels(size=4))).fit(images)


@pytest.mark.parametrize("search", ["exact", pytest.param("faiss", marks=needs_faiss)])
def test_an_index_of_vectors(tmp_path: Path, with_words: ImageVectors, images: list[Pixels], search: str) -> None:
    describer = copy.deepcopy(with_words).set_params(search=search)
    names = [f"image {number}" for number in range(len(images))]
    blank = np.full((30, 30), 128, np.uint8)
    with ImageIndex.build(tmp_path / "index", describer) as index:
        report = index.add([*images[:7], blank], [*names[:7], "blank"])
        assert report.empty == ["blank"]
        index.add(images[7:], names[7:])
        index.remove(["image 3"])
    with ImageIndex.open(tmp_path / "index") as index:
        assert index.kind == "exact"
        noise = np.random.default_rng(0).normal(0, 2, images[0].shape)
        for number, image in enumerate(images):
            noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
            results = index.search(noisy, k=None, verify=3)
            found = {result.path for result in results}
            assert found == {name for name in names if name != "image 3"}
            if number != 3:
                assert results[0].path == names[number]
                assert results[0].score > 0.9
                assert results[0].n_inliers is not None
                assert results[0].n_inliers >= 5
            assert index.search(noisy, k=1, expand=1)[0].path == index.search(noisy, k=1)[0].path
        assert index.search(blank) == []


@pytest.mark.parametrize("together", [1, 3, 32])
def test_queries_together_are_answered_as_one_by_one(
    tmp_path: Path, with_words: ImageVectors, images: list[Pixels], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "_TOGETHER", together)
    rng = np.random.default_rng(1)
    queries: list[Any] = [np.clip(im + rng.normal(0, 9, im.shape), 0, 255).astype(np.uint8) for im in images]
    queries[2:2] = [tmp_path / "gone.png", np.full((30, 30), 128, np.uint8)]
    queries.append(tmp_path / "gone.png")
    described = [with_words.describe(image) for image in images]
    with ImageIndex.build(tmp_path / "index", with_words) as index:
        assert index.scores_many(described).shape == (len(images), 0)
        index.add(images[:5], [f"image {number}" for number in range(5)])
        index.add(images[5:], [f"image {number}" for number in range(5, len(images))])
        for options in ({}, {"verify": 3}, {"verify": 2, "expand": 2}):
            answers = list(index.search_many(queries, k=None, **options))
            for query, answer in zip(queries, answers, strict=True):
                if isinstance(query, Path):
                    assert isinstance(answer, ImageError)
                else:
                    assert plain(answer) == plain(index.search(query, k=None, **options))
        singles = [index.scores(one) for one in described]
        np.testing.assert_allclose(index.scores_many(described), singles, atol=1e-6)
        assert index.scores_many([]).shape == (0, len(images))


def plain(results: Any) -> list[tuple[str, float, int | None]]:
    return [(result.path, result.score, result.n_inliers) for result in results]


# Boxes.


def test_a_box_is_the_image_inside(images: list[Pixels]) -> None:
    describer = ImageVectors(RawPixels(size=6, n_components=None)).fit(images)
    boxed = describer.describe(images[0], box=(5, 3, 20, 30))["vectors"]
    np.testing.assert_array_equal(boxed, describer.describe(images[0][3:33, 5:25])["vectors"])
    assert (boxed != describer.describe(images[0])["vectors"]).any()
    height, width = images[0].shape
    for whole in ((0, 0, width, height), (-5, -5, 500, 500)):
        np.testing.assert_array_equal(
            describer.describe(images[0], box=whole)["vectors"], describer.describe(images[0])["vectors"]
        )


@pytest.mark.parametrize(
    ("box", "columns"),
    [
        ((0, 0, 3, 1), [0, 1, 2]),
        ((0.5, 0, 2, 1), [0, 1]),
        ((0.6, 0, 2, 1), [1, 2]),
        ((2, 0, 0.2, 1), [2]),
        ((3.9, 0, 0.3, 1), [3]),
        ((4.9, 0, 9, 1), [4]),
        ((-2, 0, 2.1, 1), [0]),
    ],
)
def test_the_pixels_of_a_box(box: tuple[float, float, float, float], columns: list[int]) -> None:
    image = np.arange(5, dtype=np.uint8)[None]
    np.testing.assert_array_equal(_inside(image, box)[0], columns)
    np.testing.assert_array_equal(_inside(image.T, (box[1], box[0], box[3], box[2]))[:, 0], columns)


@pytest.mark.parametrize("box", [(50, 0, 5, 5), (0, 0, 0, 5), (1, 2, 3)])
def test_a_box_without_pixels_is_refused(images: list[Pixels], box: Any) -> None:
    describer = ImageVectors(FirstRow(), whiten=False).fit(images)
    with pytest.raises(ValueError, match="box must "):
        describer.describe(images[0], box=box)


# Mistakes.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backend": VLAD()}, r"backend must be an ImageEncoder such as BagEncoder\(...\), got VLAD"),
        ({"backend": RawPixels(size=0)}, "size must be an integer >= 2, got 0"),
        ({"n_components": 0}, "n_components must be None or an integer >= 1, got 0"),
        ({"whiten": 1}, "whiten must be True or False, got 1"),
        ({"local": "words"}, "local must be a Describer such as VisualWords"),
        ({"search": "hnsw"}, "search must be one of exact, faiss, got 'hnsw'"),
        ({"n_probes": 0}, "n_probes must be an integer >= 1, got 0"),
        ({"n_candidates": 0}, "n_candidates must be an integer >= 1, got 0"),
        ({"sample_images": 1}, "sample_images must be an integer >= 2, got 1"),
        ({"random_state": None}, "random_state must be an integer >= 0, got None"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageVectors(FirstRow()).set_params(**parameters).fit(rows([1, 2], [2, 1]))


def test_images_that_are_none(images: list[Pixels]) -> None:
    with pytest.raises(ValueError, match="images must have at least one image, got none"):
        ImageVectors(FirstRow()).fit([])
    with pytest.raises(ValueError, match="images must be an image, or a sequence of paths or arrays, got int"):
        ImageVectors(FirstRow()).fit(3)


def test_nothing_works_before_fit(images: list[Pixels]) -> None:
    describer = ImageVectors(FirstRow())
    assert describer.gray_only
    for use in (describer.layout, lambda: describer.describe(images[0]), describer.fingerprint):
        with pytest.raises(NotFittedError):
            use()


def test_faiss_is_asked_for_when_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install 'cvbow\[faiss\]'"):
        ImageVectors(FirstRow(), search="faiss").fit(rows([1, 2], [2, 1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean_": np.zeros(3)}, "mean_ must be a float32 array"),
        ({"projection_": np.zeros((4, 0), np.float32)}, r"of shape \(d, n_kept\), with d = 4, got float32 of shape"),
        ({"projection_": np.zeros((5, 2), np.float32)}, r"of shape \(d, n_kept\), with d = 4, got float32 of shape"),
        ({"projection_": np.zeros(4, np.float32)}, r"of shape \(d, n_kept\), with d = 4, got float32 of shape"),
        ({"projection_": np.full((4, 2), np.nan, np.float32)}, "projection_ must be finite"),
        ({"backend_": 3}, "backend_ must be of the kind ImageEncoder"),
        ({"local_": RawPixels()}, "local_ must be of the kind Describer"),
        ({"n_components": -1}, "n_components must be None or an integer >= 1, got -1"),
    ],
)
def test_an_impossible_state_is_refused(change: dict[str, Any], message: str) -> None:
    describer = ImageVectors(RawPixels(size=2, n_components=None)).fit([textured(8, 8, seed) for seed in range(5)])
    storage.check_state(describer)
    vars(describer).update(change)
    with pytest.raises(ValueError, match=message):
        storage.check_state(describer)


def test_what_was_learned_comes_together() -> None:
    describer = ImageVectors(RawPixels(size=2, n_components=None)).fit([textured(8, 8, seed) for seed in range(5)])
    del describer.mean_
    with pytest.raises(ValueError, match="mean_ and projection_ must come together"):
        storage.check_state(describer)
