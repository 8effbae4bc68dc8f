"""The contracts that every extractor, every encoder and every classifier keeps, whichever it is."""

from __future__ import annotations

import functools
import importlib
import inspect
import pickle
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from bags import frozen, random_bag
from feature_maps import feature_map
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from synthetic import textured
from tiny_images import TEXTURES, texture

import cvbow.encoders
import cvbow.features
from cvbow import storage
from cvbow.backends import BagEncoder
from cvbow.classify import CLASSIFIERS, ImageClassifier, make_classifier
from cvbow.dictionary import (
    BinaryDictionary,
    GaussianMixtureDictionary,
    KMeansDictionary,
    SphericalDictionary,
    VocabularyTree,
)
from cvbow.encoders import (
    LLC,
    VLAD,
    BagOfWords,
    Cells,
    Encoder,
    FisherVector,
    KernelCodebook,
    NearWords,
    SoftThreshold,
    SpatialPyramid,
    Triangle,
)
from cvbow.features import (
    SIFT,
    CnnFeatureMap,
    ColorStatistics,
    DenseSIFT,
    Extractor,
    Features,
    LocalFeatures,
    WhitenedPatches,
)
from cvbow.features.corners import HarrisDetector
from cvbow.features.keypoints import AKAZEDetector
from cvbow.parallel import default_jobs, single_threaded
from cvbow.registry import Registry, parameters_of

Pixels = NDArray[np.uint8]
Float32 = NDArray[np.float32]


def with_defaults(configured: dict[str, Any], registry: Registry[Any], **given: Any) -> dict[str, Any]:
    """Add the registered parts that have no configuration of their own, with defaults but for what is given."""
    found = dict(configured)
    for name, kind in registry.items():
        if kind not in map(type, configured.values()):
            found[f"{name}, registered"] = kind(**{key: given[key] for key in given if key in parameters_of(kind)})
    return found


CONFIGURED_EXTRACTORS: dict[str, Extractor] = {
    "color-statistics": ColorStatistics(bin_sizes=(4, 6), min_side=30, max_side=60),
    "color-statistics-opponent": ColorStatistics(step=7, bin_sizes=(3,), space="opponent"),
    "dense-sift": DenseSIFT(step=8, bin_sizes=(4, 6)),
    "dense-sift-gaussian": DenseSIFT(step=8, bin_sizes=(3,), window="gaussian", root=False, min_side=30, max_side=60),
    "dense-sift-rgb": DenseSIFT(step=8, bin_sizes=(4,), color="rgb", max_side=60),
    "dense-sift-opponent": DenseSIFT(step=8, bin_sizes=(3, 4), color="opponent"),
    "sift": SIFT(contrast_threshold=0.02),
    "sift-plain": SIFT(max_points=None, root=False, min_side=30, max_side=60),
    "canny-patch": LocalFeatures("canny", "patch", max_points=60),
    "harris-rootsift": LocalFeatures(HarrisDetector(k=0.05), "rootsift", max_points=30, selection="anms"),
    "fast-sift": LocalFeatures("fast", "sift", orientation="gradient", min_side=30, max_side=60),
    "dog-daisy": LocalFeatures("dog", "daisy", max_points=None),
    "mser-rootsift": LocalFeatures("mser", "rootsift", orientation="upright"),
    "kaze-kaze": LocalFeatures("kaze", "kaze"),
    "orb-orb": LocalFeatures("orb", "orb", max_points=50),
    "akaze-akaze": LocalFeatures(AKAZEDetector(threshold=1e-5), "akaze"),
    "sift-beblid": LocalFeatures("sift", "beblid", magnify=0.5, max_side=60),
    "cnn-feature-map": feature_map(),
    "cnn-feature-map-cropped": feature_map("conv", resize="crop", normalization="root"),
    "whitened-patches": WhitenedPatches(step=4),
    "whitened-gray-patches": WhitenedPatches(step=4, color=False, min_side=30, max_side=60),
}
EXTRACTORS: dict[str, Extractor] = with_defaults(CONFIGURED_EXTRACTORS, cvbow.features.EXTRACTORS)

WORDS = KMeansDictionary(n_words=9, max_iter=3)
CONFIGURED_ENCODERS: dict[str, Encoder] = {
    "bag-of-words": BagOfWords(WORDS),
    "bag-of-words-tf-idf": BagOfWords(WORDS, weighting="tf-idf", normalization="power"),
    "bag-of-words-binary": BagOfWords(WORDS, weighting="binary", normalization="l1"),
    "vlad": VLAD(WORDS),
    "vlad-turned": VLAD(WORDS, residual_pca=2, unit_residuals=True),
    "fisher-vector": FisherVector(GaussianMixtureDictionary(n_words=4, max_iter=3)),
    "kernel-codebook": KernelCodebook(WORDS),
    "kernel-codebook-plain": KernelCodebook(WORDS, ambiguity="kernel", sigma=0.5, n_nearest=3),
    "kernel-codebook-of-all-words": KernelCodebook(WORDS, n_nearest=100, pooling="max", normalization="l2"),
    "llc": LLC(WORDS),
    "llc-of-one-word": LLC(WORDS, n_nearest=1),
    "llc-of-all-words": LLC(WORDS, n_nearest=100, pooling="sum", normalization="power"),
    "llc-tree": LLC(VocabularyTree(branching=3, depth=2), pooling="average", normalization="l1"),
    "soft-threshold": SoftThreshold(WORDS, normalization="l2"),
    "soft-threshold-maxima": SoftThreshold(WORDS, split_sign=False, alpha=0, pooling="max", normalization="l2"),
    "soft-threshold-spherical": SoftThreshold(SphericalDictionary(n_words=9), normalization="l2"),
    "near-words": NearWords(SphericalDictionary(n_words=9), normalization="hellinger"),
    "near-words-maxima": NearWords(WORDS, nearness=0.9, pooling="max", normalization="l2"),
    "triangle": Triangle(WORDS, normalization="l2"),
    "triangle-average": Triangle(WORDS, pooling="average", normalization="hellinger"),
    "triangle-maxima": Triangle(WORDS, pooling="max", normalization="power", power=0.3),
    "pyramid": SpatialPyramid(BagOfWords(WORDS), level_weights="lazebnik"),
    "pyramid-of-vlad": SpatialPyramid(VLAD(WORDS), grids=("1x1", "2x3"), level_weights="cells"),
    "pyramid-of-llc": SpatialPyramid(LLC(WORDS)),
    "pyramid-of-kernel-codebook": SpatialPyramid(KernelCodebook(WORDS), grids=("2x2",)),
    "pyramid-of-soft-threshold": SpatialPyramid(SoftThreshold(WORDS), grids=("2x2",)),
    "pyramid-of-overlapping-cells": SpatialPyramid(VLAD(WORDS), grids=("1x1", "3x2"), overlap=True),
    "pyramid-of-triangle": SpatialPyramid(Triangle(WORDS), grids=("2x2",)),
    "pyramid-of-fisher": SpatialPyramid(FisherVector(GaussianMixtureDictionary(n_words=3, max_iter=3))),
    "pyramid-of-pyramids": SpatialPyramid(SpatialPyramid(BagOfWords(WORDS), grids=("2x1",)), grids=("1x1", "1x2")),
}
ENCODERS: dict[str, Encoder] = with_defaults(CONFIGURED_ENCODERS, cvbow.encoders.ENCODERS, dictionary=WORDS)

#: Parameters that suit a few dozen vectors: less work, and for the perceptron more passes over so few.
QUICK: dict[str, dict[str, Any]] = {
    "random-forest": {"n_estimators": 10},
    "boosted-trees": {"n_trees": 20},
    "mlp": {"hidden_layer_sizes": (32,), "max_iter": 200},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_threaded():
        yield


def classifier(name: str) -> Any:
    return make_classifier(name, **QUICK.get(name, {}))


def fit(estimator: Any, *data: Any) -> Any:
    with warnings.catch_warnings():
        # The perceptron is stopped after a number of passes, on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*data)


@functools.cache
def textures() -> tuple[list[Pixels], list[str]]:
    rng = np.random.default_rng(5)
    labels = [name for _ in range(4) for name in TEXTURES]
    images = [texture(name, size=48, rng=rng) for name in labels]
    for image in images:
        image.flags.writeable = False
    return images, labels


@functools.cache
def odd_images() -> dict[str, Pixels]:
    """Images in which there is little or nothing, or of a shape that is easily forgotten."""
    images = {
        "black": np.zeros((40, 40), np.uint8),
        "white in colour": np.full((40, 30, 3), 255, np.uint8),
        "one pixel": np.full((1, 1), 7, np.uint8),
        "one pixel in colour": np.full((1, 1, 3), 7, np.uint8),
        "tiny": textured(5, 4),
        "a row": textured(1, 300),
        "a column": textured(300, 1),
        "two colours": np.repeat(np.array([[0, 255]], np.uint8), 40, axis=0).repeat(20, axis=1),
        "one bright pixel": np.pad(np.full((1, 1), 255, np.uint8), 20),
        "large": textured(200, 150),
        "colour": np.stack([textured(50, 60, seed) for seed in range(3)], axis=2),
    }
    for image in images.values():
        image.flags.writeable = False
    return images


def concrete_kinds(package: ModuleType, base: type) -> set[type]:
    """Every class ready for use that the files of a package define on ``base``, exported or not."""
    names = [info.name for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    found = [kind for name in names for kind in vars(importlib.import_module(name)).values() if isinstance(kind, type)]
    return {
        kind
        for kind in found
        if issubclass(kind, base)
        and kind.__module__ in names
        and not any(getattr(inspect.getattr_static(kind, name), "__isabstractmethod__", False) for name in dir(kind))
    }


def test_every_extractor_and_every_encoder_is_registered_and_tested() -> None:
    for package, base, registry, tried, inner in (
        (cvbow.features, Extractor, cvbow.features.EXTRACTORS, EXTRACTORS, set()),
        (cvbow.encoders, Encoder, cvbow.encoders.ENCODERS, ENCODERS, {SpatialPyramid}),
    ):
        kinds = concrete_kinds(package, base)
        assert {kind.__name__ for kind in kinds} <= set(package.__all__)
        assert set(registry.values()) == kinds - inner
        assert {type(one) for one in tried.values()} == kinds


def test_what_is_registered_is_tested_without_a_configuration() -> None:
    class Mine(BagOfWords):
        pass

    registry: Registry[type[Encoder]] = Registry("encoder", Encoder, {"mine": Mine, "vlad": VLAD})
    found = with_defaults(CONFIGURED_ENCODERS, registry, dictionary=WORDS, no_such_parameter=3)
    assert set(found) == {*CONFIGURED_ENCODERS, "mine, registered"}
    assert type(found["mine, registered"]) is Mine
    assert found["mine, registered"].dictionary is WORDS


# Every estimator.

ESTIMATORS: dict[str, Callable[[], Any]] = {
    **{name: functools.partial(clone, one) for name, one in {**EXTRACTORS, **ENCODERS}.items()},
    **{name: functools.partial(classifier, name) for name in CLASSIFIERS},
    "bag-encoder": lambda: BagEncoder(DenseSIFT(), BagOfWords(), sample=500),
    "image-classifier": lambda: ImageClassifier(BagEncoder(DenseSIFT(), BagOfWords()), recipe={"preset": "mine"}),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parameters_survive_clone_set_params_and_pickle(name: str) -> None:
    estimator = ESTIMATORS[name]()
    assert isinstance(estimator, BaseEstimator)
    parameters = estimator.get_params(deep=False)
    copy = clone(estimator)
    assert copy is not estimator
    assert type(copy) is type(estimator)
    for other in (copy, estimator.set_params(**parameters), pickle.loads(pickle.dumps(estimator))):
        assert repr(other) == repr(estimator)
        assert other.get_params().keys() == estimator.get_params().keys()
    if type(estimator).__module__.startswith("cvbow."):
        # The constructor stores its parameters and nothing else.
        assert set(vars(copy)) == set(parameters)
    with pytest.raises(ValueError, match="Invalid parameter 'no_such_parameter'"):
        estimator.set_params(no_such_parameter=1)


# Every extractor.


def is_binary(extractor: Extractor) -> bool:
    return isinstance(extractor, LocalFeatures) and extractor.is_binary


def check_features(features: Features, image: Pixels, extractor: Extractor) -> None:
    n = len(features)
    assert features.points.shape == (n, 4)
    assert features.points.dtype == np.float32
    assert features.descriptors.shape == (n, extractor.descriptor_size)
    assert features.descriptors.dtype == (np.uint8 if is_binary(extractor) else np.float32)
    assert features.image_size == (image.shape[1], image.shape[0])
    assert np.isfinite(features.points).all()
    assert np.isfinite(features.descriptors).all()
    x, y, diameter, angle = features.points.T
    assert ((x >= -0.5) & (x <= image.shape[1] - 0.5)).all()
    assert ((y >= -0.5) & (y <= image.shape[0] - 0.5)).all()
    assert (diameter > 0).all()
    assert ((angle == -1) | ((angle >= 0) & (angle < 360.001))).all()


@pytest.mark.parametrize("name", EXTRACTORS)
def test_extractors_take_every_image(name: str) -> None:
    extractor = EXTRACTORS[name]
    for image in odd_images().values():
        check_features(extractor.extract(image), image, extractor)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_extractors_repeat_themselves_and_store_nothing(name: str) -> None:
    extractor = clone(EXTRACTORS[name])
    image = textured(90, 80)
    strided = np.repeat(image, 2, axis=1)[:, ::2]
    results = [extractor.extract(image), extractor.extract(image), extractor.extract(strided)]
    results.append(pickle.loads(pickle.dumps(extractor)).extract(image))
    assert len(results[0]) > 5
    for other in results[1:]:
        np.testing.assert_array_equal(other.points, results[0].points)
        np.testing.assert_array_equal(other.descriptors, results[0].descriptors)
    assert set(vars(extractor)) == set(extractor.get_params(deep=False))
    if not isinstance(extractor, (ColorStatistics, WhitenedPatches)) and not is_binary(extractor):
        # A descriptor is of length 1, or nothing was there to describe.
        lengths = np.linalg.norm(results[0].descriptors, axis=1)
        np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-4)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_extractors_refuse_what_is_no_image(name: str) -> None:
    wrong = (
        np.zeros((4, 4)),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
        "a",
        None,
    )
    for image in wrong:
        with pytest.raises(ValueError, match="image must"):
            EXTRACTORS[name].extract(image)  # type: ignore[arg-type]


# Every encoder.


@functools.cache
def fitted_encoder(name: str) -> Encoder:
    sample = [frozen(random_bag(12, seed=seed)) for seed in range(15)]
    encoder: Encoder = clone(ENCODERS[name]).fit(sample)
    return encoder


def bag_of(descriptors: Any) -> Features:
    points = np.zeros((len(descriptors), 4), np.float32)
    points[:, 0] = np.arange(len(descriptors)) % 64
    return frozen(Features(points, np.asarray(descriptors, np.float32).reshape(-1, 8), (64, 48)))


ODD_BAGS = {
    "one": bag_of(np.ones((1, 8))),
    "zeros": bag_of(np.zeros((5, 8))),
    "equal": bag_of(np.full((40, 8), 0.3)),
    "far away": bag_of(np.full((3, 8), 1e6)),
    "tiny": bag_of(np.full((3, 8), 1e-30)),
    "many": frozen(random_bag(3000, seed=3)),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_give_finite_vectors(name: str) -> None:
    encoder = fitted_encoder(name)
    for features in ODD_BAGS.values():
        vector = encoder.encode(features)
        assert vector.shape == (encoder.vector_length,)
        assert vector.dtype == np.float32
        assert np.isfinite(vector).all()
        np.testing.assert_array_equal(encoder.encode(features), vector)
    assert encoder.encode(ODD_BAGS["one"]).any()
    # Lengths do not grow with the number of points.
    assert np.linalg.norm(encoder.encode(ODD_BAGS["many"])) <= 1.001


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_give_the_zero_vector_for_an_empty_bag(name: str) -> None:
    encoder = fitted_encoder(name)
    for empty in (random_bag(0), random_bag(0, image_size=(1, 1))):
        vector = encoder.encode(empty)
        np.testing.assert_array_equal(vector, np.zeros(encoder.vector_length))
        assert vector.dtype == np.float32


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_do_not_care_about_the_order_of_points(name: str) -> None:
    encoder = fitted_encoder(name)
    features = random_bag(80, seed=21)
    vector = encoder.encode(features)
    assert vector.any()
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(80)
        # Sums of floating point depend on their order in the last digits.
        np.testing.assert_allclose(encoder.encode(features.take(order)), vector, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_treat_cells_as_bags_of_their_own(name: str) -> None:
    encoder = fitted_encoder(name)
    features = random_bag(60, seed=22)
    rng = np.random.default_rng(0)
    # Two grids; the last cell of each has no points.
    cells = [rng.integers(0, 2, 60), rng.integers(3, 6, 60)]
    vectors = encoder.encode_cells(features, Cells(cells, 7))
    assert vectors.shape == (7, encoder.vector_length)
    assert vectors.dtype == np.float32
    for cell, vector in enumerate(vectors):
        inside = features.take(np.flatnonzero((cells[0] == cell) | (cells[1] == cell)))
        np.testing.assert_allclose(vector, encoder.encode(inside), rtol=1e-4, atol=1e-6)
        assert vector.any() == (len(inside) > 0)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_learn_the_same_again(name: str) -> None:
    sample = [frozen(random_bag(12, seed=seed)) for seed in range(15)]
    features = random_bag(50, seed=23)
    expected = fitted_encoder(name).encode(features)
    for n_jobs in (1, 2):
        with default_jobs(n_jobs):
            np.testing.assert_array_equal(clone(ENCODERS[name]).fit(sample).encode(features), expected)
    restored = pickle.loads(pickle.dumps(fitted_encoder(name)))
    np.testing.assert_array_equal(restored.encode(features), expected)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_change_neither_their_input_nor_what_they_are_made_of(name: str) -> None:
    encoder = clone(ENCODERS[name])
    before = repr(encoder), pickle.dumps(encoder.get_params(deep=False))
    sample = [random_bag(12, seed=seed) for seed in range(15)]
    copies = [(bag.points.copy(), bag.descriptors.copy()) for bag in sample]
    encoder.fit(sample)
    vectors = [encoder.encode(bag) for bag in sample]
    for bag, (points, descriptors) in zip(sample, copies, strict=True):
        np.testing.assert_array_equal(bag.points, points)
        np.testing.assert_array_equal(bag.descriptors, descriptors)
    # The dictionary that was given is cloned, not fitted.
    assert (repr(encoder), pickle.dumps(encoder.get_params(deep=False))) == before
    # Nor does a vector change when another is made.
    again = [encoder.encode(bag) for bag in sample]
    np.testing.assert_array_equal(vectors, again)
    vectors[0][:] = 7
    np.testing.assert_array_equal(encoder.encode(sample[0]), again[0])


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_are_saved_and_loaded(name: str, tmp_path: Path) -> None:
    bags = [random_bag(0), *ODD_BAGS.values(), random_bag(30, seed=5)]
    for encoder in (clone(ENCODERS[name]), fitted_encoder(name)):
        digest = storage.save(tmp_path / "encoder.cvbow", kind="encoder", state=encoder, metadata={})
        loaded = storage.load(tmp_path / "encoder.cvbow", kind="encoder").state
        assert type(loaded) is type(encoder)
        assert repr(loaded) == repr(encoder)
        assert storage.save(tmp_path / "again.cvbow", kind="encoder", state=loaded, metadata={}) == digest
    for bag in bags:
        np.testing.assert_array_equal(loaded.encode(bag), fitted_encoder(name).encode(bag))
    # Having encoded leaves nothing behind that would get into a file.
    assert storage.save(tmp_path / "again.cvbow", kind="encoder", state=loaded, metadata={}) == digest
    unfitted = clone(loaded)
    with pytest.raises(NotFittedError):
        unfitted.encode(random_bag(3))


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_before_fit(name: str) -> None:
    encoder = clone(ENCODERS[name])
    for use in (
        lambda: encoder.encode(random_bag(0)),
        lambda: encoder.encode(random_bag(3)),
        lambda: encoder.vector_length,
    ):
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_refuse_what_they_cannot_learn_from(name: str) -> None:
    encoder = clone(ENCODERS[name])
    for sample, message in (
        ([], "must have at least one image, got none"),
        ([random_bag(0)], "has no descriptors"),
        (random_bag(9), "must be a sequence of Features"),
    ):
        with pytest.raises(ValueError, match=message):
            encoder.fit(sample)
    with pytest.raises(
        ValueError, match=r"descriptors must have 8 values|X has 5 features, but .* is expecting 8 features"
    ):
        fitted_encoder(name).encode(random_bag(4, size=5))


# Every pair of an extractor and an encoder, inside a model.

#: Of an encoder, the first configuration goes through a model.
FIRST = {type(encoder): name for name, encoder in reversed(ENCODERS.items())}
PAIRS = [(extractor, "pyramid") for extractor in EXTRACTORS] + [("dense-sift", name) for name in FIRST.values()]


def model_of(extractor: str, encoder: str, *, n_jobs: int | None = None, name: str = "linear-svm") -> ImageClassifier:
    features, words = EXTRACTORS[extractor], ENCODERS[encoder]
    if isinstance(features, LocalFeatures):
        # Some patches are wider than the textures.
        features = clone(features).set_params(min_side=130, max_side=160)
        if features.is_binary:
            words = SpatialPyramid(BagOfWords(BinaryDictionary(n_words=9, max_iter=3)))
    return ImageClassifier(BagEncoder(features, words, sample=400, n_jobs=n_jobs), classifier(name))


@pytest.mark.parametrize(("extractor", "encoder"), PAIRS)
def test_models_of_every_part(extractor: str, encoder: str, tmp_path: Path) -> None:
    images, labels = textures()
    odd = [odd_images()[name] for name in ("black", "one pixel in colour", "tiny", "a row", "colour")]
    digests, answers = set(), []
    for n_jobs in (2, 1):
        model = model_of(extractor, encoder, n_jobs=n_jobs).fit([*images, *odd[:3]], [*labels, *labels[:3]])
        digests.add(model.save(tmp_path / "model.cvbow"))
        answers.append(model.predict_proba(odd))
    assert len(digests) == 1
    answers.append(ImageClassifier.load(tmp_path / "model.cvbow").predict_proba(odd))
    answers.append(pickle.loads(pickle.dumps(model)).predict_proba(odd))
    assert np.isfinite(answers[0]).all()
    for again in answers[1:]:
        np.testing.assert_array_equal(again, answers[0])
    vectors = model.backend_.transform(odd)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    nothing = [number for number, image in enumerate(odd) if not len(model.backend_.features(image))]
    # A network has an input of its own size, and an answer for every place of it.
    assert nothing or isinstance(model.backend_.extractor, CnnFeatureMap)
    np.testing.assert_array_equal(vectors[nothing], 0)
    assert model.score(images, labels) >= 0.8


# Every classifier.


@functools.cache
def histograms(n: int = 45, *, seed: int = 0) -> tuple[Float32, NDArray[np.str_]]:
    """Square roots of histograms, as an encoder gives them, with a zero vector among them; read-only."""
    rng = np.random.default_rng(seed)
    profiles = np.random.default_rng(9).dirichlet(np.full(20, 0.4), 3)
    labels = np.arange(n) % 3
    mixed = profiles[labels] + 0.5 * rng.dirichlet(np.full(20, 0.3), n)
    X = np.sqrt(mixed / mixed.sum(axis=1, keepdims=True)).astype(np.float32)
    X[4] = 0
    names = np.array(["coast", "forest", "tall building"])[labels]
    X.flags.writeable = names.flags.writeable = False
    return X, names


@functools.cache
def fitted_classifier(name: str) -> Any:
    return fit(classifier(name), *histograms())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_answer(name: str) -> None:
    model = fitted_classifier(name)
    X, labels = histograms(60, seed=1)
    assert model.classes_.tolist() == ["coast", "forest", "tall building"]
    predicted = model.predict(X)
    assert predicted.shape == (60,)
    assert (predicted == labels).mean() >= 0.8
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, 3)
    assert np.isfinite(probabilities).all()
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], predicted)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_of_two_classes(name: str) -> None:
    X, labels = histograms()
    model = fit(classifier(name), X, labels == "coast")
    predicted = model.predict(X)
    assert predicted.dtype == bool
    assert (predicted == (labels == "coast")).mean() >= 0.8
    assert model.predict_proba(X).shape == (45, 2)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_learn_the_same_again(name: str) -> None:
    X, labels = histograms()
    held_out, _ = histograms(60, seed=1)
    expected = fitted_classifier(name).predict_proba(held_out)
    for n_jobs in (1, 2):
        with default_jobs(n_jobs):
            np.testing.assert_array_equal(fit(classifier(name), X, labels).predict_proba(held_out), expected)
    restored = pickle.loads(pickle.dumps(fitted_classifier(name)))
    np.testing.assert_array_equal(restored.predict_proba(held_out), expected)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_before_fit(name: str) -> None:
    model = classifier(name)
    X, _ = histograms()
    for method in (model.predict, model.predict_proba):
        with pytest.raises(NotFittedError):
            method(X)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_refuse_what_they_cannot_learn_from(name: str) -> None:
    X, labels = histograms()
    spoilt = X.copy()
    spoilt[3, 3] = np.inf
    for data, target in ((spoilt, labels), (X, labels[1:]), (X[:0], labels[:0]), (X[0], labels)):
        with pytest.raises(ValueError):  # noqa: PT011 - scikit-learn has words of its own
            fit(classifier(name), data, target)
    with pytest.raises(ValueError, match="20"):
        fitted_classifier(name).predict(X[:, :7])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_models_of_every_classifier(name: str, tmp_path: Path) -> None:
    images, labels = textures()
    digests = set()
    for n_jobs in (2, 1):
        model = fit(model_of("dense-sift", "bag-of-words", n_jobs=n_jobs, name=name), images, labels)
        digests.add(model.save(tmp_path / "model.cvbow"))
    loaded = ImageClassifier.load(tmp_path / "model.cvbow")
    assert loaded.save(tmp_path / "again.cvbow") in digests
    assert len(digests) == 1
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(loaded, method)(images), getattr(model, method)(images))
    # Nothing at all to go by: an answer all the same.
    blank = np.zeros((20, 20), np.uint8)
    assert np.isfinite(loaded.predict_proba([blank])).all()
    assert np.isfinite(loaded.decision_function([blank])).all()
