"""Which word each point of an image is: every encoder, pyramids, mirrored pairs, unions; and the model's own table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bags import PixelWords, all_words, bag, dictionary, random_bag
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from synthetic import textured

from cvbow.backends import BagEncoder, ChannelUnion, ColorHistogram, MultiCrop
from cvbow.classify import ImageClassifier
from cvbow.dictionary import (
    BinaryDictionary,
    GaussianMixtureDictionary,
    KMeansDictionary,
    MirrorPCA,
    SphericalDictionary,
)
from cvbow.encoders import ENCODERS, VLAD, BagOfWords, Encoder, FisherVector, SoftThreshold, SpatialPyramid
from cvbow.errors import ImageError
from cvbow.features import DenseSIFT, Features

Pixels = NDArray[np.uint8]


def fitted(encoder: Encoder, seed: int = 0) -> Encoder:
    return encoder.fit([random_bag(200, seed=seed)])


def small(name: str) -> Encoder:
    mixture = GaussianMixtureDictionary(n_words=4)
    spherical = SphericalDictionary(n_words=4)
    own = {"fisher": mixture, "soft-threshold": spherical, "near-words": spherical}
    words = own.get(name, KMeansDictionary(n_words=6))
    return ENCODERS[name](words)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_every_encoder_tells_the_words_of_points(name: str) -> None:
    features = random_bag(60, seed=1)
    encoder = fitted(SpatialPyramid(small(name), grids=("1x1", "2x3")))
    table = encoder.words(features)
    assert table.points is features.points
    assert len(table) == 60
    assert table.word.dtype == np.int32
    assert table.word.min() >= 0
    assert table.word.max() < table.n_words
    assert table.cell.shape == (60, 2)
    assert table.n_cells == 7
    assert (table.distance >= 0).all()
    assert encoder.value_words.shape == (encoder.vector_length,)
    # Each word has its values in every cell: a point of a word is seen in those of its own.
    for row in range(5):
        alone = encoder.encode(features.take(np.array([row]))).reshape(7, -1)
        values = encoder.value_words.reshape(7, -1)[0] == table.word[row]
        assert values.any()
        for cell in range(7):
            assert alone[cell, values].any() == (cell in table.cell[row])


@pytest.mark.parametrize("name", list(ENCODERS))
def test_an_image_without_points_has_an_empty_table(name: str) -> None:
    table = fitted(SpatialPyramid(small(name), grids=("1x1", "2x2"))).words(random_bag(0))
    assert (table.points.shape, table.word.shape, table.cell.shape, table.distance.shape) == (
        (0, 4),
        (0,),
        (0, 2),
        (0,),
    )


def test_cells_are_numbered_as_they_stand_in_the_vector() -> None:
    features = bag([0, 1, 1], [(1, 1), (30, 1), (30, 30)])
    words = BagOfWords(dictionary(2), normalization="none")
    encoder = SpatialPyramid(words, grids=("2x1", "1x2"), normalization="none").fit(all_words(2))
    table = encoder.words(features)
    assert table.cell.tolist() == [[0, 2], [1, 2], [1, 3]]
    counts = np.zeros((4, 2))
    for cells, word in zip(table.cell, table.word, strict=True):
        counts[cells, word] += 1
    assert encoder.encode(features).tolist() == counts.ravel().tolist()


def test_a_pyramid_in_a_pyramid_numbers_the_cells_of_both() -> None:
    words = BagOfWords(dictionary(2), normalization="none")
    inner = SpatialPyramid(words, grids=("1x1", "1x2"), normalization="none")
    encoder = SpatialPyramid(inner, grids=("1x1", "2x1"), normalization="none").fit(all_words(2))
    features = bag([0, 1, 1], [(1, 1), (30, 1), (30, 30)])
    table = encoder.words(features)
    assert (table.cell.shape, table.n_cells) == ((3, 4), 9)
    counts = np.zeros((9, 2))
    for cells, word in zip(table.cell, table.word, strict=True):
        counts[cells, word] += 1
    assert encoder.encode(features).tolist() == counts.ravel().tolist()


def test_distances_are_those_from_the_words() -> None:
    features = random_bag(50, seed=2)
    encoder = fitted(VLAD(KMeansDictionary(n_words=5)))
    table, words = encoder.words(features), encoder.dictionary_.words_
    every = np.linalg.norm(features.descriptors[:, None] - words, axis=2)
    np.testing.assert_array_equal(table.word, every.argmin(axis=1))
    np.testing.assert_allclose(table.distance, every.min(axis=1), rtol=1e-6)


def test_of_gaussians_the_most_probable_one_counts_and_distances_are_in_deviations() -> None:
    features = random_bag(50, seed=2)
    encoder = fitted(FisherVector(GaussianMixtureDictionary(n_words=5)))
    table, mixture = encoder.words(features), encoder.dictionary_
    np.testing.assert_array_equal(table.word, mixture.posteriors(features.descriptors).argmax(axis=1))
    z = (features.descriptors - mixture.means_[table.word]) / np.sqrt(mixture.variances_[table.word])
    np.testing.assert_allclose(table.distance, np.linalg.norm(z, axis=1), rtol=1e-5)


def test_distances_of_binary_words_are_in_bits() -> None:
    rng = np.random.default_rng(0)
    features = Features(np.zeros((40, 4), np.float32), rng.integers(0, 256, (40, 8), np.uint8), (9, 9))
    encoder = BagOfWords(BinaryDictionary(n_words=5)).fit([features])
    table = encoder.words(features)
    bits = np.unpackbits(features.descriptors[:, None] ^ encoder.dictionary_.words_, axis=2).sum(axis=2)
    np.testing.assert_array_equal(table.distance, bits.min(axis=1))


def test_a_dictionary_of_another_make_has_a_table() -> None:
    features = random_bag(50, seed=2)

    class Words(KMeans):  # type: ignore[misc]
        @property
        def words_(self) -> NDArray[np.float32]:
            return np.asarray(self.cluster_centers_, np.float32)

    ready = FrozenEstimator(Words(n_clusters=4, random_state=0).fit(features.descriptors))
    table = BagOfWords(ready).fit([features]).words(features)
    every = np.linalg.norm(features.descriptors[:, None] - ready.words_, axis=2)
    np.testing.assert_allclose(table.distance, every.min(axis=1), rtol=1e-5)


def test_directions_and_their_opposites_are_words_of_their_own() -> None:
    features = random_bag(50, seed=2)
    encoder = fitted(SoftThreshold(SphericalDictionary(n_words=4)))
    table = encoder.words(features)
    directions = encoder.dictionary_.words_ / np.linalg.norm(encoder.dictionary_.words_, axis=1, keepdims=True)
    cosines = features.descriptors @ directions.T / np.linalg.norm(features.descriptors, axis=1, keepdims=True)
    both = np.hstack([cosines, -cosines])
    assert table.n_words == 8
    np.testing.assert_array_equal(table.word, both.argmax(axis=1))
    np.testing.assert_allclose(table.distance, 1 - both.max(axis=1), atol=1e-6)


def test_an_encoder_without_words_says_so() -> None:
    class Means(Encoder):
        def fit(self, features_sample: Any, y: object = None) -> Means:
            return self

        @property
        def vector_length(self) -> int:
            return 1

    with pytest.raises(ValueError, match="Means has no visual words"):
        Means().words(random_bag(3))
    with pytest.raises(ValueError, match="Means has no visual words"):
        Means().value_words  # noqa: B018


IMAGES = [textured(48, 56, seed) for seed in range(8)]
LABELS = ["a", "b"] * 4


def model_of(backend: Any) -> ImageClassifier:
    return ImageClassifier(backend, "linear-svm").fit(IMAGES, LABELS)


def bags(encoder: Any = None, **options: Any) -> BagEncoder:
    words = BagOfWords(KMeansDictionary(n_words=6)) if encoder is None else encoder
    return BagEncoder(DenseSIFT(step=8, bin_sizes=(4,)), SpatialPyramid(words, grids=("1x1", "2x2")), **options)


def test_a_model_tells_the_words_of_one_image() -> None:
    image = np.array([[1, 0, 2], [0, 0, 0], [0, 3, 3]], np.uint8)
    words = SpatialPyramid(BagOfWords(dictionary(3)), grids=("1x1", "3x1"))
    model = ImageClassifier(BagEncoder(PixelWords(), words)).fit([image, image[::-1].copy()] * 2, ["a", "b"] * 2)
    table = model.words(image)
    assert table.points[:, :2].tolist() == [[0, 0], [2, 0], [1, 2], [2, 2]]
    learned = model.backend_.encoder_.encoder_.dictionary_.words_[:, 0]
    assert learned[table.word].tolist() == [0, 10, 20, 20]
    assert table.cell.tolist() == [[0, 1], [0, 3], [0, 2], [0, 3]]


def test_the_words_make_the_vector_of_the_image() -> None:
    model = model_of(bags(BagOfWords(KMeansDictionary(n_words=6), normalization="none"), reduce=MirrorPCA(8)))
    table = model.words(IMAGES[0])
    counts = np.zeros((5, 6))
    for cells, word in zip(table.cell, table.word, strict=True):
        counts[cells, word] += 1
    vector = model.encode(IMAGES[0])
    np.testing.assert_allclose(vector / vector[0], counts.ravel() / counts[0, 0], rtol=1e-5)
    np.testing.assert_array_equal(vector, model.backend_.transform(IMAGES[:1])[0])


def test_words_in_mirrored_pairs_count_in_the_first_of_a_pair() -> None:
    model = model_of(bags(VLAD(KMeansDictionary(n_words=6)), mirror="pairs"))
    table, values = model.words(IMAGES[0]), model.backend_.value_words["all"]
    assert table.n_words == 6
    assert values.max() == 2
    # Of this width, the grid of points is its own mirror.
    image = textured(48, 53, 9)
    counts = np.bincount(model.words(image).word, minlength=6)
    mirrored = model.words(image[:, ::-1].copy())
    assert np.bincount(mirrored.word, minlength=6).tolist() == np.roll(counts, 3).tolist()


def test_a_union_has_the_words_of_each_channel_by_its_name() -> None:
    union = ChannelUnion([("fine", bags()), ("color", ColorHistogram()), ("gaussians", bags(FisherVector(
        GaussianMixtureDictionary(n_words=3))))])  # fmt: skip
    model = ImageClassifier(union, "rbf-fusion").fit(IMAGES, LABELS)
    assert model.words(IMAGES[0], "fine").n_words == 6
    assert model.words(IMAGES[0], "gaussians").n_words == 3
    with pytest.raises(ValueError, match="channel must be one of fine, gaussians, got None"):
        model.words(IMAGES[0])
    with pytest.raises(ValueError, match="channel must be one of fine, gaussians, got 'color'"):
        model.words(IMAGES[0], "color")
    values, slices = model.backend_.value_words, model.backend_.channel_slices
    for name in values:
        inside = np.zeros(model.backend_.vector_length, bool)
        inside[slices[name]] = True
        np.testing.assert_array_equal(values[name] >= 0, inside)


def test_a_union_in_a_union_and_views_inside_are_named_and_placed() -> None:
    inner = ChannelUnion([("one", bags()), ("two", MultiCrop(bags()))])
    union = ChannelUnion([("outer", inner), ("plain", bags())]).fit(IMAGES)
    assert list(union.words_of(IMAGES[0])) == list(union.value_words) == ["outer/one", "outer/two", "plain"]
    assert [int((values >= 0).sum()) for values in union.value_words.values()] == [30, 150, 30]


def test_of_several_views_the_whole_image_is_told() -> None:
    model = model_of(MultiCrop(bags()))
    alone = ImageClassifier(bags(), "linear-svm").fit(IMAGES, LABELS)
    np.testing.assert_array_equal(model.words(IMAGES[0]).points, alone.words(IMAGES[0]).points)
    assert len(model.backend_.value_words["all"]) * 5 == len(model.encode(IMAGES[0]))


def test_what_has_no_words_and_what_is_no_image_are_told() -> None:
    without = model_of(ColorHistogram())
    assert without.backend_.words_of(IMAGES[0]) == {}
    with pytest.raises(ValueError, match="the model has no visual words"):
        without.words(IMAGES[0])
    model = model_of(bags())
    with pytest.raises(ImageError, match="there is no such file"):
        model.words("missing.png")
    with pytest.raises(ImageError, match="there is no such file"):
        model.encode("missing.png")
    assert len(model.words(np.zeros((1, 1), np.uint8))) == 0
