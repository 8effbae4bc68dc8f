"""Probabilities for vectors by classifiers that have not learned from them, and models of fitted parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import Perceptron

from cvbow import ImageClassifier, KernelSVM, LinearSVM, make_classifier
from cvbow.backends import ChannelUnion, ColorHistogram, RawPixels
from cvbow.classify import FusionClassifier, LabelSets, MultiLabelClassifier, TunedLinearSVM, cross_probabilities
from cvbow.classify._labels import fold_of_each
from cvbow.classify._temperature import fit_temperature, softmax

OWN = [
    LinearSVM(),
    LinearSVM(standardize=True),
    TunedLinearSVM(Cs=(0.1, 1.0)),
    KernelSVM(),
    FusionClassifier(),
    FusionClassifier(head="svm"),
    FusionClassifier(n_landmarks=40),
]


def clusters(n: int, d: int, n_classes: int = 3, spread: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Vectors around a centre for each class, and the classes."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % n_classes
    X = 3 * np.eye(d)[y] + spread * rng.normal(size=(n, d))
    return X.astype(np.float32), y


@pytest.mark.parametrize("classifier", [LinearSVM(), KernelSVM(gamma=0.1), FusionClassifier(head="svm")], ids=repr)
@pytest.mark.parametrize(("n", "d", "n_classes"), [(60, 80, 3), (90, 10, 3), (40, 50, 2)])
def test_equal_to_learning_each_part_anew(classifier: Any, n: int, d: int, n_classes: int) -> None:
    X, y = clusters(n, d, n_classes)
    folds = fold_of_each(y, 5, 0)
    decisions = np.zeros((n, n_classes))
    if isinstance(classifier, FusionClassifier):
        # The channels' scale is that of all vectors; of four fifths of them it would be a little different.
        classifier = FusionClassifier(head="svm", weights=[1.0])
    for fold in range(5):
        out = folds == fold
        found = clone(classifier).fit(X[~out], y[~out]).decision_function(X[out])
        decisions[out] = found if found.ndim > 1 else np.stack([-found, found], axis=1) / 2
    expected = softmax(decisions * fit_temperature(decisions, y))
    found = cross_probabilities(classifier, X, y)
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert np.abs(found - expected).mean() < 0.02


@pytest.mark.parametrize("classifier", OWN, ids=repr)
@pytest.mark.parametrize("d", [10, 150])
def test_every_image_is_judged_by_who_has_not_seen_it(classifier: Any, d: int) -> None:
    X, _ = clusters(120, d)
    chance = np.random.default_rng(1).integers(0, 3, 120)
    found = cross_probabilities(classifier, X, chance)
    assert found.shape == (120, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    # Labels that mean nothing are learned by heart, and answered by chance.
    assert (found.argmax(axis=1) == chance).mean() < 0.5
    assert found.max(axis=1).mean() < 0.6


@pytest.mark.parametrize("name", ["linear-svm", "kernel-ridge", "naive-bayes", "nearest-neighbors", "decision-tree"])
def test_a_group_is_left_out_together(name: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 100)).astype(np.float32).repeat(2, axis=0)
    chance = rng.integers(0, 2, 60).repeat(2)
    classifier = make_classifier(name)
    alone = cross_probabilities(classifier, X, chance)
    together = cross_probabilities(classifier, X, chance, groups=np.arange(120) // 2)
    own = np.arange(120), chance
    # Each vector is there twice with one label: whoever sees the other one knows the answer.
    assert alone[own].mean() > together[own].mean() + 0.02
    assert (together.argmax(axis=1) == chance).mean() < 0.65


@pytest.mark.parametrize("name", ["linear-svm", "logistic-regression", "naive-bayes", "nearest-neighbors"])
def test_any_classifier_is_right_and_calibrated(name: str) -> None:
    X, y = clusters(240, 12, spread=1.5)
    found = cross_probabilities(make_classifier(name), X, y)
    right = found.argmax(axis=1) == y
    assert right.mean() > 0.6
    assert abs(found.max(axis=1).mean() - right.mean()) < 0.1
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_class_that_a_part_has_not_taught() -> None:
    X, y = clusters(40, 8, 2)
    y[0] = 2
    for classifier in (LinearSVM(), make_classifier("logistic-regression"), make_classifier("naive-bayes")):
        found = cross_probabilities(classifier, X, np.array(["a", "b", "rare"])[y])
        assert found.shape == (40, 3)
        assert found[0, 2] < 0.34


def test_several_labels() -> None:
    X, y = clusters(90, 20)
    sets = [["a"] * bool(one == 0) + ["b"] * bool(one != 2) for one in y]
    found = cross_probabilities(LinearSVM(), X, sets)
    has = LabelSets.of(sets).has
    assert found.shape == (90, 2)
    assert ((found > 0.5) == has).mean() > 0.9
    np.testing.assert_array_equal(found, cross_probabilities(MultiLabelClassifier(LinearSVM()), X, sets))
    trees = cross_probabilities(make_classifier("decision-tree"), X, sets)
    assert ((trees > 0.5) == has).mean() > 0.8


def test_views_of_one_image_are_answered_together() -> None:
    X, y = clusters(60, 15)
    noise = np.random.default_rng(2).normal(size=(60, 2, 15))
    views = (X[:, None] + noise).reshape(120, 15).astype(np.float32)
    for classifier in (LinearSVM(), make_classifier("logistic-regression")):
        found = cross_probabilities(classifier, views, y.repeat(2), views=2)
        assert found.shape == (60, 3)
        assert (found.argmax(axis=1) == y).mean() > 0.7


def test_channels_are_told_to_whoever_takes_them() -> None:
    rng = np.random.default_rng(0)
    X, y = clusters(90, 20)
    noise = 20 * rng.normal(size=(90, 200)).astype(np.float32)
    both = np.hstack([X, noise])
    told = cross_probabilities(LinearSVM(), both, y, channels={"good": 20, "noise": 200})
    untold = cross_probabilities(LinearSVM(), both, y)
    assert (told.argmax(axis=1) == y).mean() > 0.85 > (untold.argmax(axis=1) == y).mean()
    assert cross_probabilities(make_classifier("naive-bayes"), both, y, channels=[20, 200]).shape == (90, 3)


def test_the_given_classifier_stays_as_it_was() -> None:
    X, y = clusters(30, 5)
    classifier = LinearSVM()
    cross_probabilities(classifier, X, y)
    assert not hasattr(classifier, "coef_")


def test_what_cannot_be_done_is_said() -> None:
    X, y = clusters(20, 5)
    with pytest.raises(ValueError, match="y must hold a label for each of 20 images"):
        cross_probabilities(LinearSVM(), X, y[:10])
    with pytest.raises(ValueError, match="y must hold labels for each of 20 vectors, got 10"):
        cross_probabilities(LinearSVM(), X, [["a"], ["b"]] * 5)
    with pytest.raises(ValueError, match="groups must be an integer for each of 20 vectors"):
        cross_probabilities(LinearSVM(), X, y, groups=np.zeros(20))
    with pytest.raises(ValueError, match="groups must be two at least, got 1"):
        cross_probabilities(LinearSVM(), X, y, groups=np.zeros(20, int))
    with pytest.raises(ValueError, match="views must be an integer >= 1"):
        cross_probabilities(LinearSVM(), X, y, views=0)
    with pytest.raises(ValueError, match="y must give the same label to the 2 views"):
        cross_probabilities(LinearSVM(), X, y, views=2)
    with pytest.raises(ValueError, match="y must have at least two classes"):
        cross_probabilities(LinearSVM(), X, np.zeros(20, int))
    with pytest.raises(ValueError, match="gives neither"):
        cross_probabilities(_Neither(), X, y)
    assert cross_probabilities(Perceptron(), X, y).shape == (20, 3)
    assert cross_probabilities(DummyClassifier(), X, y).shape == (20, 3)


class _Neither(DummyClassifier):
    predict_proba = None


@pytest.mark.parametrize("kind", [LinearSVM, KernelSVM, FusionClassifier])
def test_given_folds_are_checked(kind: Any) -> None:
    X, y = clusters(20, 5)
    with pytest.raises(ValueError, match="folds must be integers"):
        kind().fit(X, y, folds=np.zeros(20))
    with pytest.raises(ValueError, match="folds must be an integer for each of 20 vectors, got shape"):
        kind().fit(X, y, folds=np.arange(19))
    with pytest.raises(ValueError, match="folds must be two at least, got 3"):
        kind().fit(X, y, folds=np.full(20, 3))
    with pytest.raises(ValueError, match="folds must be the same for the 2 views"):
        kind().fit(X, y.repeat(2)[:20], folds=np.arange(20), views=2)


def test_a_model_of_fitted_parts_answers_like_one_that_was_fitted() -> None:
    rng = np.random.default_rng(0)
    images = [np.full((12, 12, 3), (40 + 170 * (row % 2), rng.integers(256), 9), np.uint8) for row in range(24)]
    labels = np.array(["dark", "light"] * 12)
    backend = ChannelUnion([("colors", ColorHistogram()), ("pixels", RawPixels(size=4, n_components=3))])
    fitted = ImageClassifier(backend, LinearSVM()).fit(images, labels)
    whole = clone(backend).fit(images)
    svm = LinearSVM().fit(whole.transform(images), labels, channels=whole.channel_slices)
    model = ImageClassifier.of_parts(whole, svm)
    np.testing.assert_array_equal(model.predict_proba(images), fitted.predict_proba(images))
    assert model.backend_.vector_length == fitted.backend_.vector_length
    assert model.classes_.tolist() == ["dark", "light"]
    with pytest.raises(ValueError, match="backend must be an ImageEncoder"):
        ImageClassifier.of_parts(svm, svm)
