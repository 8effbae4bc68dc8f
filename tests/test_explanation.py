"""Reasons for scores: they sum up, they lie where they belong, and they are the same every time."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags import PixelWords, all_words, dictionary
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from test_contracts import QUICK
from tiny_images import TEXTURES, texture

import cvbow
from cvbow import ImageClassifier, explain
from cvbow.backends import (
    BagEncoder,
    CensusPyramid,
    ChannelUnion,
    ColorHistogram,
    Gist,
    ImageEncoder,
    MultiCrop,
    RawPixels,
)
from cvbow.classify import CLASSIFIERS, FusionClassifier, KernelSVM, LinearSVM, make_classifier
from cvbow.classify.maps import AdditiveMap, HellingerMap
from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary, MirrorPCA
from cvbow.encoders import LLC, VLAD, BagOfWords, Encoder, FisherVector, SpatialPyramid
from cvbow.errors import ImageError
from cvbow.explanation import explanations
from cvbow.explanation._heat import densities, gradients, spread, supports
from cvbow.features import (
    DESCRIPTORS,
    SIFT,
    ColorStatistics,
    DenseSIFT,
    Features,
    LocalFeatures,
    WhitenedPatches,
    make_descriptor,
)

Pixels = NDArray[np.uint8]
PATCHES = DenseSIFT(step=8, bin_sizes=(4, 6))
FISHER = SpatialPyramid(FisherVector(GaussianMixtureDictionary(n_words=4, max_iter=5)), grids=("1x1", "2x2"))


class Means(Encoder):
    """An encoder of somebody's, without shares."""

    def fit(self, features_sample: Any, y: object = None) -> Means:
        self.size_ = features_sample[0].descriptors.shape[1]
        return self

    @property
    def vector_length(self) -> int:
        return self.size_

    def encode(self, features: Features) -> NDArray[np.float32]:
        return np.asarray(features.descriptors.sum(axis=0) / max(len(features), 1), np.float32)


BACKENDS: dict[str, ImageEncoder] = {
    "words": BagEncoder(PATCHES, BagOfWords(KMeansDictionary(n_words=12))),
    "fisher": BagEncoder(PATCHES, FISHER, reduce=PCA(8, random_state=0), position_weight=2.0),
    "fisher in pairs": BagEncoder(PATCHES, FISHER, reduce=MirrorPCA(8), position_weight=2.0, mirror="pairs"),
    "vlad, mirrored": BagEncoder(
        PATCHES, VLAD(KMeansDictionary(n_words=4)), reduce=PCA(8, random_state=0), mirror=True
    ),
    "llc, mirrored": BagEncoder(
        PATCHES, SpatialPyramid(LLC(KMeansDictionary(n_words=8)), grids=("1x1", "2x2")), mirror=True
    ),
    "census": CensusPyramid(radii=(1, 2), grids=("1x1", "2x3"), max_side=40),
    "census, mirrored": CensusPyramid(radii=(1,), grids=("1x1", "3x1"), mirror=True),
    "census as shares, mirrored": CensusPyramid(radii=(1,), grids=("2x1",), mirror=True, root=False),
    "colors": ColorHistogram(),
    "gist": Gist(size=32, grid=3, orientations=(4, 4)),
    "gist, mirrored": Gist(size=32, grid=3, orientations=(4, 3), mirror=True),
    "pixels": RawPixels(size=8, n_components=None),
    "pixels in color": RawPixels(size=8, n_components=5, color=True),
    "union": ChannelUnion(
        [("words", BagEncoder(PATCHES, BagOfWords(KMeansDictionary(n_words=12)))), ("colors", ColorHistogram())]
    ),
    "crops": MultiCrop(
        ChannelUnion(
            [
                ("fisher", BagEncoder(PATCHES, FISHER, reduce=PCA(8, random_state=0))),
                ("census", CensusPyramid(radii=(1,))),
            ]
        )
    ),
}


def image(seed: int, height: int = 50, width: int = 70) -> Pixels:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
    noise = rng.integers(0, 60, (height, width, 3), np.uint8)
    return coarse.repeat(5, 0).repeat(5, 1)[:height, :width] // 2 + noise


@functools.cache
def fitted(name: str) -> ImageEncoder:
    return BACKENDS[name].fit([image(seed) for seed in range(8)])


def total(backend: ImageEncoder, pixels: Pixels, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    found = backend.shares_of(pixels, weights)
    assert not found.left_out
    assert found.shares.shape == (len(weights), len(found.points)) == (len(weights), len(found.word))
    sums = found.shares.sum(axis=1)
    if found.pixels is not None:
        assert found.pixels.shape == (len(weights), *pixels.shape[:2])
        sums = sums + found.pixels.sum(axis=(1, 2))
    return np.asarray(sums)


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=5)
@given(st.integers(0, 1000), st.sampled_from([(50, 70), (61, 33), (96, 200), (7, 9)]))
def test_points_and_pixels_give_the_product(name: str, seed: int, size: tuple[int, int]) -> None:
    backend, pixels = fitted(name), image(100 + seed, *size)
    weights = np.random.default_rng(seed).normal(size=(2, backend.vector_length))
    values = backend.encode_image(pixels) * weights
    sums = np.abs(values).sum(axis=1)
    exact = "fisher" not in name and "vlad" not in name and "llc" not in name and name != "crops"
    assert (np.abs(total(backend, pixels, weights) - values.sum(axis=1)) <= (2e-6 if exact else 0.02) * sums).all()


@pytest.mark.parametrize("name", [name for name in BACKENDS if name.endswith(("mirrored", "pairs"))])
def test_what_a_mirrored_image_gave_is_mirrored(name: str) -> None:
    backend, pixels = fitted(name), image(7, 50, 59)  # of a width at which the grid of points is its own mirror
    weights = np.random.default_rng(1).normal(size=(1, backend.vector_length))
    heats = []
    for each in (pixels, np.ascontiguousarray(pixels[:, ::-1])):
        found = backend.shares_of(each, weights)
        heat = np.zeros((50, 59)) if found.pixels is None else found.pixels[0]
        boxes = supports(found.points, (50, 59))
        for rows, density in densities(found.pools_gradients, each):
            heat = heat + spread(boxes[rows], found.shares[0][rows], density)
        heats.append(heat)
    # But for a pixel, where a square's edge is as near to one as to the next.
    ours, theirs = (uniform_filter(heat, 5) for heat in (heats[0], heats[1][:, ::-1]))
    near = [np.corrcoef(np.roll(theirs, off, axis=1).ravel(), ours.ravel())[0, 1] for off in (-1, 0)]
    assert max(near) > 0.97


def test_each_pixel_of_a_color_has_an_equal_share() -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :2, 0] = 255
    backend = ColorHistogram(bins=(2, 2, 2), space="rgb").fit([pixels])
    weights = np.zeros((1, 8))
    weights[0, 4] = 1  # red, which a quarter of the pixels are
    found = backend.shares_of(pixels, weights)
    assert found.pixels is not None
    np.testing.assert_allclose(found.pixels[0, :, :2], np.sqrt(1 / 4) / 8, rtol=1e-6)
    assert not found.pixels[0, :, 2:].any()


def test_a_census_pattern_belongs_to_its_pixels() -> None:
    pixels = np.full((32, 32), 100, np.uint8)
    pixels[8:12, 20:24] = 200
    backend = CensusPyramid(radii=(1,), grids=("2x2",), smoothing=0)
    weights = np.ones((1, backend.vector_length))
    weights.reshape(4, 256)[:, 0] = 0  # the pattern of plain areas, and of what is brighter than all around
    found = backend.shares_of(pixels, weights)
    assert found.pixels is not None
    heat = found.pixels[0]
    around = np.zeros((32, 32), bool)
    around[7:13, 19:25] = True
    around[8:12, 20:24] = False
    np.testing.assert_array_equal(heat > 0, around)


@given(
    st.lists(
        st.tuples(st.floats(-20, 40), st.floats(-20, 40), st.floats(0, 60), st.floats(-5, 5)), min_size=0, max_size=6
    ),
    st.integers(1, 12),
    st.integers(1, 15),
    st.integers(0, 99),
)
def test_shares_spread_over_their_squares_by_density(rows: Any, height: int, width: int, seed: int) -> None:
    table = np.array(rows, np.float64).reshape(-1, 4)
    points = np.column_stack([table[:, :3], np.full(len(table), -1)]).astype(np.float32)
    boxes = supports(points, (height, width))
    density = np.random.default_rng(seed).uniform(1, 100, (height, width))
    heat = spread(boxes, table[:, 3], density)
    expected = np.zeros((height, width))
    for (left, top, right, bottom), share in zip(boxes, table[:, 3], strict=True):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        part = density[top:bottom, left:right]
        expected[top:bottom, left:right] += share * part / part.sum()
    np.testing.assert_allclose(heat, expected, atol=1e-10)
    assert abs(heat.sum() - table[:, 3].sum()) < 1e-9


def test_a_square_is_that_of_the_point() -> None:
    points = np.array([[10, 5, 4, -1], [0, 0, 6, -1], [3, 4, 1, -1]], np.float32)
    assert supports(points, (20, 20)).tolist() == [[8, 3, 12, 7], [0, 0, 3, 3], [3, 4, 4, 5]]


def test_a_gradient_is_as_strong_as_gray_values_change_in_a_pixel() -> None:
    pixels = np.zeros((4, 6), np.uint8)
    pixels[:, 3:] = 60
    along = gradients(np.dstack([pixels] * 3))
    np.testing.assert_array_equal(along, gradients(pixels))
    assert along[2].tolist() == [1, 1, 31, 31, 1, 1]
    np.testing.assert_array_equal(gradients(np.ascontiguousarray(pixels.T)), along.T)


def test_what_pools_gradients_is_known() -> None:
    known = {name for name in DESCRIPTORS if make_descriptor(name).pools_gradients}
    assert known == {"sift", "rootsift", "kaze", "daisy"}
    assert LocalFeatures("fast", "daisy").pools_gradients
    assert not LocalFeatures("fast", "orb").pools_gradients
    assert [part.pools_gradients for part in (SIFT(), DenseSIFT(), ColorStatistics(), WhitenedPatches())] == [
        True,
        True,
        False,
        False,
    ]


def test_a_flat_part_of_a_patch_has_little_of_its_share() -> None:
    rng = np.random.default_rng(0)
    pixels = np.full((64, 64), 128, np.uint8)
    pixels[:, :32] = rng.integers(0, 256, (64, 32))
    backend = fitted("words")
    found = backend.shares_of(pixels, np.ones((1, backend.vector_length)))
    assert found.pools_gradients.all()
    boxes = supports(found.points, (64, 64))
    across = np.flatnonzero((boxes[:, 0] < 26) & (boxes[:, 2] > 38))
    assert len(across)
    ((rows, density),) = densities(found.pools_gradients, pixels)
    heat = spread(boxes[rows][across], found.shares[0][across], density)
    assert heat[:, 33:].sum() < 0.1 * heat.sum()
    assert heat.sum() == pytest.approx(found.shares[0][across].sum())


# Classifiers.


@functools.cache
def vectors() -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b", "c"]).repeat(20)
    X = rng.random((60, 12)).astype(np.float32) + np.eye(3, dtype=np.float32).repeat(4, 1).repeat(20, 0)
    X[:, 5] *= X[:, 5] > 0.7
    return X, labels


class Given(ImageEncoder):
    """A backend whose vectors are the images."""

    def __init__(self, n_jobs: int | None = None, memory: Any = None) -> None:
        self.n_jobs, self.memory = n_jobs, memory

    def fit(self, images: Any, y: object = None) -> Given:
        return self

    @property
    def vector_length(self) -> int:
        return 12

    def encode_image(self, image: Pixels) -> NDArray[np.float32]:
        return image.astype(np.float32).ravel()

    def fingerprint(self) -> str:
        return "given"


def classified(classifier: Any, n_classes: int = 3) -> ImageClassifier:
    X, labels = vectors()
    rows = np.isin(labels, ["a", "b", "c"][:n_classes])
    model = ImageClassifier(Given(), classifier)
    model.backend_, model.classifier_ = Given(), classifier.fit(X[rows], labels[rows])
    model.classes_ = model.classifier_.classes_
    return model


EXACT: dict[str, Any] = {
    "linear": LinearSVM(C=3),
    "standardized": LinearSVM(standardize=True),
    "intersection": KernelSVM("intersection"),
    "chi2 map": make_classifier("chi2-map-svm"),
    "additive map": make_pipeline(AdditiveMap("intersection", n_samples=2), LinearSVM()),
    "hellinger map": make_pipeline(HellingerMap(), LinearSVM()),
    "ridge": RidgeClassifier(),
    "logistic regression": make_classifier("logistic-regression"),
}
GRADIENT: dict[str, Any] = {
    "rbf": KernelSVM("rbf"),
    "chi2": KernelSVM("chi2"),
    "fusion": FusionClassifier({"one": 8, "two": 4}),
    "fusion in few directions": FusionClassifier({"one": 8, "two": 4}, n_components=5, weights=(1, 2)),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", EXACT)
def test_scores_are_sums_where_they_are_said_to_be(name: str, n_classes: int) -> None:
    model = classified(EXACT[name], n_classes)
    bias = model.scores(np.zeros((1, 12), np.float32))[0]
    for vector in vectors()[0][::7]:
        found = model.weights_at(vector)
        assert found is not None
        weights, exact = found
        assert exact
        assert weights.shape == (n_classes, 12)
        np.testing.assert_allclose(weights @ vector + bias, model.scores(vector[None])[0], atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", GRADIENT)
def test_otherwise_weights_are_the_mean_gradient(name: str, n_classes: int) -> None:
    model = classified(GRADIENT[name], n_classes)
    vector = vectors()[0][3] + np.float32(0.1)
    found = model.weights_at(vector)
    assert found is not None
    weights, exact = found
    assert not exact
    step = np.float32(0.01) * np.eye(12, dtype=np.float32)
    way = [(place + 0.5) / 60 * vector for place in range(60)]
    slopes = np.mean([model.scores(here + step) - model.scores(here[None]) for here in way], axis=0) / 0.01
    np.testing.assert_allclose(weights, slopes.T, atol=0.04 * np.abs(slopes).max())
    gained = model.scores(vector[None])[0] - model.scores(np.zeros((1, 12), np.float32))[0]
    np.testing.assert_allclose(weights @ vector, gained, atol=1e-3 * np.abs(gained).max())


@pytest.mark.parametrize(
    "classifier",
    [SVC(kernel="linear"), SVC(), make_pipeline(StandardScaler(), LinearSVM()), make_classifier("decision-tree")],
)
def test_classifiers_without_weights(classifier: Any) -> None:
    assert classified(classifier).weights_at(vectors()[0][0]) is None


# Models.


@functools.cache
def textures() -> tuple[list[Pixels], list[str]]:
    rng = np.random.default_rng(0)
    kinds = list(TEXTURES)
    return [texture(kind, size=48, rng=rng) for kind in kinds * 6], kinds * 6


@functools.cache
def trained(classifier: str, backend: str = "words") -> ImageClassifier:
    images, labels = textures()
    parameters = QUICK.get(classifier, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ImageClassifier(BACKENDS[backend], make_classifier(classifier, **parameters))
        return model.fit(images, labels)


def check(model: ImageClassifier, pixels: Pixels) -> None:
    why = explain(model, pixels)
    assert isinstance(why, cvbow.Explanation)
    assert why.class_name == str(model.predict([pixels])[0])
    scores = model.scores(model.encode(pixels)[None])[0]
    assert why.score == scores.max()
    assert why.heat.shape == pixels.shape[:2]
    assert why.heat.dtype == np.float32
    # In units of what was shared out, as a score may be near 0.
    size = max(abs(why.score), float(np.abs(why.heat).sum()))
    assert abs(why.heat_sum + why.bias + why.remainder - why.score) <= 1e-5 * size
    if why.method == "exact":
        assert abs(why.remainder) <= 0.02 * size + 1e-6
    assert sum(word.share for word in why.words) == pytest.approx(why.shares[: len(why.points)].sum(), abs=1e-9)
    assert sum(word.n_points for word in why.words) == len(why.points)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_classifier_explains_itself(classifier: str) -> None:
    model = trained(classifier)
    assert (
        model.weights_at(model.encode(textures()[0][0])) is not None
        or explain(model, textures()[0][0]).method == "leaving out"
    )  # type: ignore[union-attr]
    for pixels in textures()[0][:3]:
        check(model, pixels)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_explains_itself(backend: str) -> None:
    model = trained("linear-svm", backend)
    for pixels in textures()[0][:3]:
        why = explain(model, pixels)
        assert isinstance(why, cvbow.Explanation)
        assert why.method == "exact"
        size = max(abs(why.score), float(np.abs(why.heat).sum()))
        assert abs(why.heat_sum + why.bias + why.remainder - why.score) <= 1e-5 * size
        assert abs(why.remainder) <= 0.02 * size


def test_an_encoder_without_shares_is_explained_by_leaving_out() -> None:
    images, labels = textures()
    model = ImageClassifier(BagEncoder(PATCHES, Means()), make_classifier("linear-svm")).fit(images, labels)
    why = explain(model, images[0])
    assert isinstance(why, cvbow.Explanation)
    assert why.method == "leaving out"
    assert why.words == []
    assert abs(why.heat_sum + why.bias + why.remainder - why.score) <= 1e-5 * np.abs(why.heat).sum()


def test_words_by_hand() -> None:
    backend = BagEncoder(PixelWords(), BagOfWords(dictionary(3), normalization="none"))
    backend.extractor_, backend.reduce_ = PixelWords(), None
    backend.encoder_ = BagOfWords(dictionary(3), normalization="none").fit(all_words(3))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 4, (6, 6), np.uint8) for _ in range(6)]
    model = ImageClassifier(backend, LinearSVM()).fit(images, ["a", "b"] * 3)
    pixels = np.zeros((5, 6), np.uint8)
    pixels[1, 2], pixels[1, 3], pixels[4, 5] = 1, 1, 3
    why = explain(model, pixels, "b")
    assert isinstance(why, cvbow.Explanation)
    encoder = model.backend_.encoder_  # type: ignore[attr-defined]
    words = encoder.words(backend.fit(images)._fitted_extractor.extract(pixels)).word
    coefficients = model.classifier_.coef_[0]
    shares = {found.word: (found.share, found.n_points) for found in why.words}
    assert shares[words[0]] == (pytest.approx(2 * coefficients[words[0]]), 2)
    assert shares[words[2]] == (pytest.approx(coefficients[words[2]]), 1)
    assert np.flatnonzero(why.heat).tolist() == [8, 9, 29]


def test_against_another_class() -> None:
    model, pixels = trained("linear-svm"), textures()[0][1]
    one, other, both = (
        explain(model, pixels, *names) for names in (["checker"], ["vertical"], ["checker", "vertical"])
    )
    assert both.against == "vertical"  # type: ignore[union-attr]
    for name in ("score", "bias", "heat"):
        np.testing.assert_allclose(getattr(both, name), getattr(one, name) - getattr(other, name), atol=1e-6)
    predicted = str(model.predict([pixels])[0])
    assert explain(model, pixels, against=predicted).class_name != predicted  # type: ignore[union-attr]
    several = explain(model, pixels, ["checker", "vertical"])
    assert [why.class_name for why in several] == ["checker", "vertical"]  # type: ignore[union-attr]
    np.testing.assert_array_equal(several[0].heat, one.heat)  # type: ignore[index,union-attr]


def test_the_same_for_any_number_of_workers() -> None:
    images = textures()[0][:4]
    models = [ImageClassifier(BACKENDS["crops"], "linear-svm").fit(*textures()) for _ in range(2)]
    models[1].backend_.n_jobs = 2
    for one, other in zip(*(explain(model, images) for model in models), strict=True):  # type: ignore[arg-type]
        assert one.score == other.score
        np.testing.assert_array_equal(one.heat, other.heat)
        np.testing.assert_array_equal(one.shares, other.shares)


@pytest.mark.parametrize("backend", ["words", "fisher in pairs", "vlad, mirrored", "union", "crops", "gist, mirrored"])
@pytest.mark.parametrize("classifier", ["linear-svm", "decision-tree"])
def test_images_with_nothing_in_them(classifier: str, backend: str) -> None:
    model = trained(classifier, backend)
    for size in ((1, 1), (3, 2), (1, 40)):
        why = explain(model, np.full((*size, 3), 90, np.uint8))
        assert isinstance(why, cvbow.Explanation)
        assert why.heat.shape == size
        assert np.isfinite(why.heat).all()
        assert abs(why.heat_sum + why.bias + why.remainder - why.score) <= 1e-5 * max(1, abs(why.score))


def test_mistakes_are_told(tmp_path: Path) -> None:
    model, pixels = trained("linear-svm"), textures()[0][0]
    with pytest.raises(ValueError, match=r"the model has no class 'chekker'; did you mean checker\?$"):
        explain(model, pixels, "chekker")
    with pytest.raises(ValueError, match="against must be another class than the one that is explained, got 'checker'"):
        explain(model, pixels, "checker", against="checker")
    missing = tmp_path / "missing.png"
    with pytest.raises(ImageError, match=r"missing\.png"):
        explain(model, missing)
    results = list(explanations(model, [pixels, missing]))
    assert isinstance(results[0], list)
    assert isinstance(results[1], ImageError)
    assert explain(model, []) == []
    with pytest.raises(ValueError, match="model must be an ImageClassifier, got LinearSVM"):
        explain(model.classifier_, pixels)
    with pytest.raises(NotFittedError):
        explain(ImageClassifier(BACKENDS["words"]), pixels)
