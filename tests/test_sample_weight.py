"""Weights of vectors and of images: counting like copies, leaving out, and where they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from cvbow.augmentation import ImageAugmenter
from cvbow.backends import ColorHistogram, MultiCrop
from cvbow.classify import (
    AdditiveMap,
    FusionClassifier,
    ImageClassifier,
    KernelSVM,
    LinearSVM,
    TunedLinearSVM,
)
from cvbow.classify._directions import principal_directions
from cvbow.classify._fusion_kernel import spreads
from cvbow.classify._standardize import standardization
from cvbow.classify._temperature import fit_temperature
from cvbow.classify.kernel_svm import kernel_matrix
from cvbow.parallel import single_threaded

Float32 = NDArray[np.float32]

CLASSIFIERS = {
    "linear": LinearSVM(C=3),
    "standardized": LinearSVM(C=3, standardize=True),
    "balanced": LinearSVM(C=3, class_weight="balanced"),
    "tuned": TunedLinearSVM(Cs=(1.0, 10.0)),
    "chi2": KernelSVM("chi2", C=10),
    "rbf": KernelSVM("rbf", C=10),
    "ridge": FusionClassifier([4, 8]),
    "fusion": FusionClassifier([4, 8], head="svm", class_weight={"a": 2.0}),
    "directions": FusionClassifier([4, 8], n_components=5),
}
every = pytest.mark.parametrize("name", CLASSIFIERS)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_threaded():
        yield


def data(n: int = 90, d: int = 12) -> tuple[Float32, NDArray[np.str_], NDArray[np.int64]]:
    """Histograms of three classes that overlap, their labels, and a weight from 0 to 3 for each."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    X = rng.dirichlet(np.full(d, 0.5), 3)[labels] + rng.dirichlet(np.full(d, 0.3), n)
    X = np.sqrt(X / X.sum(axis=1, keepdims=True)).astype(np.float32)
    return X, np.array(["a", "b", "c"])[labels], rng.integers(0, 4, n)


@every
def test_a_weight_counts_like_so_many_copies(name: str) -> None:
    X, y, weights = data()
    weighted = clone(CLASSIFIERS[name]).fit(X, y, sample_weight=weights)
    repeated = clone(CLASSIFIERS[name]).fit(X.repeat(weights, axis=0), y.repeat(weights))
    found, expected = weighted.decision_function(X), repeated.decision_function(X)
    # Both solutions are within a thousandth of the least objective; the ridge's are exact.
    exact = isinstance(weighted, FusionClassifier) and weighted.head == "ridge"
    np.testing.assert_allclose(found, expected, atol=(2e-3 if exact else 0.02) * np.ptp(expected))
    plain = clone(CLASSIFIERS[name]).fit(X, y).decision_function(X)
    assert np.abs(plain - expected).max() > 0.1 * np.ptp(expected)
    assert weighted.temperature_ == pytest.approx(repeated.temperature_, rel=0.5)


@every
def test_a_vector_of_weight_0_is_left_out(name: str) -> None:
    X, y, weights = data()
    spoilt = X.copy()
    # So far away that a scale, a mean or a gamma would show that it was looked at.
    spoilt[weights == 0] += 50
    zeros = clone(CLASSIFIERS[name]).fit(spoilt, y, sample_weight=weights > 0)
    without = clone(CLASSIFIERS[name]).fit(X[weights > 0], y[weights > 0])
    expected = without.decision_function(X)
    np.testing.assert_allclose(zeros.decision_function(X), expected, atol=0.02 * np.ptp(expected))
    np.testing.assert_allclose(zeros.predict_proba(X), without.predict_proba(X), atol=0.02)


@every
def test_weights_of_1_are_no_weights(name: str) -> None:
    X, y, _ = data()
    ones = clone(CLASSIFIERS[name]).fit(X, y, sample_weight=np.ones(len(X)))
    none = clone(CLASSIFIERS[name]).fit(X, y)
    expected = none.decision_function(X)
    np.testing.assert_allclose(ones.decision_function(X), expected, atol=0.02 * np.ptp(expected))


def test_landmarks_are_drawn_from_vectors_that_count() -> None:
    X, y, weights = data()
    model = FusionClassifier(n_landmarks=30).fit(X, y, sample_weight=weights)
    chosen = (model.landmarks_[:, None] == X).all(axis=2).argmax(axis=1)
    assert len(chosen) == 30
    assert (weights[chosen] > 0).all()
    twice = FusionClassifier(n_landmarks=30).fit(X, y, sample_weight=2 * weights)
    assert (model.decision_function(X) != twice.decision_function(X)).any()


def test_the_class_of_a_weightless_vector_is_not_known() -> None:
    X, y, _ = data()
    model = LinearSVM().fit(X, y, sample_weight=y != "b")
    assert model.classes_.tolist() == ["a", "c"]
    with pytest.raises(ValueError, match="y must have at least two classes, got 1 class"):
        LinearSVM().fit(X, y, sample_weight=y == "b")


# What the weights go into.


def test_means_scales_and_directions_count_a_vector_so_many_times() -> None:
    X, _, weights = data()
    kept = weights > 0
    some, counts = X[kept], weights[kept].astype(float)
    copies = X.repeat(weights, axis=0)
    for one, other in zip(
        vars(standardization(some, counts)).values(), vars(standardization(copies)).values(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    bounds = [slice(0, 4), slice(4, 12)]
    np.testing.assert_allclose(spreads(some, bounds, counts), spreads(copies, bounds), rtol=1e-6)
    assert kernel_matrix("rbf", some, some, None, counts)[1] == pytest.approx(
        kernel_matrix("rbf", copies, copies, None)[1]
    )
    one, other = principal_directions(some, 5, counts), principal_directions(copies, 5)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-5)
    np.testing.assert_allclose(np.abs(one.apply(X)), np.abs(other.apply(X)), atol=0.02)
    # Weights that are shares of one in all keep a scale as well.
    assert (spreads(some, bounds, counts / counts.sum()) > 0).all()


def test_the_temperature_counts_a_decision_so_many_times() -> None:
    rng = np.random.default_rng(0)
    labels, weights = rng.integers(0, 3, 60), rng.integers(1, 4, 60)
    decisions = rng.standard_normal((60, 3)) + np.eye(3)[labels]
    repeated = fit_temperature(decisions.repeat(weights, axis=0), labels.repeat(weights))
    assert fit_temperature(decisions, labels, weights.astype(float)) == pytest.approx(repeated, rel=1e-4)
    assert fit_temperature(decisions, labels) != pytest.approx(repeated, rel=1e-2)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(89), r"sample_weight.shape == \(89,\), expected \(90,\)"),
        (np.ones((90, 1)), "Sample weights must be 1D"),
        (-np.ones(90), "Negative values in data passed to `sample_weight`"),
        (np.full(90, np.nan), "Input sample_weight contains NaN"),
        (np.zeros(90), "at least"),
    ],
)
@pytest.mark.parametrize("model", [LinearSVM(), KernelSVM(), FusionClassifier()])
def test_bad_weights_are_refused(model: Any, weights: Any, message: str) -> None:
    X, y, _ = data()
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, sample_weight=weights)


def test_the_views_of_an_image_have_one_weight() -> None:
    X, y, _ = data()
    y, weights = y[::2].repeat(2), np.arange(45).repeat(2)
    model = LinearSVM().fit(X, y, sample_weight=weights, views=2)
    assert np.isfinite(model.temperature_)
    with pytest.raises(ValueError, match="sample_weight must be the same for the 2 views and copies of an image"):
        LinearSVM().fit(X, y, sample_weight=np.arange(90), views=2)


# Images.


def pictures(n: int = 12) -> tuple[list[NDArray[np.uint8]], NDArray[np.str_]]:
    """Noise in two colours that a few of both classes have."""
    rng = np.random.default_rng(0)
    labels = np.array(["red", "blue"])[np.arange(n) % 2]
    images = [rng.integers(0, 120, (16, 16, 3)).astype(np.uint8) for _ in range(n)]
    for image, label in zip(images, labels, strict=True):
        image[..., 0 if label == "red" else 2] += 90
    return images, labels


def test_the_weights_of_images_reach_the_classifier() -> None:
    images, y = pictures()
    weights = np.random.default_rng(1).integers(0, 3, len(y))
    model = ImageClassifier(ColorHistogram()).fit(images, y, sample_weight=weights)
    vectors = ColorHistogram().transform(images)
    expected = LinearSVM(C=3.0).fit(vectors, y, sample_weight=weights)
    np.testing.assert_array_equal(model.predict_proba(images), expected.predict_proba(vectors))
    plain = ImageClassifier(ColorHistogram()).fit(images, y)
    assert (plain.predict_proba(images) != model.predict_proba(images)).any()


def test_the_weight_of_an_image_that_cannot_be_read_goes_with_it(tmp_path: Path) -> None:
    images, y = pictures()
    (tmp_path / "bad.png").write_bytes(b"")
    weights = np.arange(12.0) + 1
    with_bad = [*images[:5], str(tmp_path / "bad.png"), *images[5:]]
    model = ImageClassifier(ColorHistogram()).fit(with_bad, np.insert(y, 5, "red"), np.insert(weights, 5, 99.0))
    assert len(model.skipped_) == 1
    expected = ImageClassifier(ColorHistogram()).fit(images, y, weights)
    np.testing.assert_array_equal(model.predict_proba(images), expected.predict_proba(images))


@pytest.mark.parametrize("classifier", [LinearSVM(), make_pipeline(AdditiveMap(), LinearSVM())])
def test_copies_and_views_have_the_weight_of_their_image(classifier: Any) -> None:
    images, y = pictures()
    weights = np.arange(12) % 3
    model = ImageClassifier(
        MultiCrop(ColorHistogram()), classifier, augmenter=ImageAugmenter(horizontal_flip=True), n_augmented=1
    )
    told: dict[str, Any] = {}

    class Recording(LinearSVM):
        def fit(self, X: Any, y: Any, sample_weight: Any = None, **others: Any) -> Recording:
            told.update(others, sample_weight=sample_weight)
            super().fit(X, y, sample_weight, **others)
            return self

        fit.__signature__ = __import__("inspect").signature(LinearSVM.fit)  # type: ignore[attr-defined]

    recording = Recording()
    if isinstance(classifier, LinearSVM):
        model.set_params(classifier=recording)
    else:
        model.set_params(classifier=make_pipeline(AdditiveMap(), recording))
    model.fit(images, y, sample_weight=weights)
    per_image = told["views"] * told["copies"]
    assert told["copies"] == 2
    assert told["views"] > 1
    np.testing.assert_array_equal(told["sample_weight"], weights.repeat(per_image))


def test_weights_that_a_classifier_does_not_take_are_refused_before_anything_is_learned() -> None:
    images, y = pictures()
    model = ImageClassifier(ColorHistogram(), "nearest-neighbors")
    with pytest.raises(ValueError, match="sample_weight must be None: KNeighborsClassifier takes no weights"):
        model.fit(images, y, np.ones(12))
    with pytest.raises(NotFittedError):
        model.predict(images)
    assert ImageClassifier(ColorHistogram(), "random-forest").fit(images, y, np.ones(12)).classes_.tolist() == [
        "blue",
        "red",
    ]


def test_weights_of_images_are_checked() -> None:
    images, y = pictures()
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(11,\), expected \(12,\)"):
        ImageClassifier(ColorHistogram()).fit(images, y, np.ones(11))
    with pytest.raises(ValueError, match="Negative values"):
        ImageClassifier(ColorHistogram()).fit(images, y, -np.ones(12))
    with pytest.raises(Exception, match="a classifier needs at least two classes; the images have only 'red'"):
        ImageClassifier(ColorHistogram()).fit(images, y, y == "red")
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        ImageClassifier(ColorHistogram()).fit(images, np.arange(12) + 0.5)
