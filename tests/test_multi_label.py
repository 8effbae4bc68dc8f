"""Images that have several labels: learned by every classifier, calibrated, saved, judged and explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notes import Notes
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cvbow
from cvbow import storage
from cvbow.augmentation import ImageAugmenter
from cvbow.backends import ChannelUnion, ColorHistogram, MultiCrop, RawPixels
from cvbow.classify import (
    CLASSIFIERS,
    FusionClassifier,
    ImageClassifier,
    KernelSVM,
    LabelSets,
    LabelsReport,
    LinearSVM,
    MultiLabelClassifier,
    TunedLinearSVM,
    make_classifier,
)
from cvbow.classify._sigmoid import best_threshold, fit_sigmoid, sigmoid
from cvbow.errors import CvbowError, ImageError
from cvbow.progress import reporting
from cvbow.storage._classes import check_state

Pixels = NDArray[np.uint8]
NAMES = ["blue", "green", "red"]


def stripes(labels: list[str], rng: np.random.Generator) -> Pixels:
    """A dark picture with a stripe in the colour of each label."""
    image = rng.integers(60, 110, (18, 18, 3)).astype(np.uint8)
    for place, name in enumerate(NAMES):
        if name in labels:
            image[6 * place : 6 * place + 6, :, 2 - place] = 250
    return image


def pictures(n: int = 48, seed: int = 0) -> tuple[list[Pixels], list[list[str]]]:
    rng = np.random.default_rng(seed)
    labels = [[name for name in NAMES if rng.random() < 0.4] for _ in range(n)]
    return [stripes(one, rng) for one in labels], labels


@pytest.fixture(scope="module")
def model() -> ImageClassifier:
    return ImageClassifier(ColorHistogram()).fit(*pictures())


def quick(name: str) -> Any:
    if name == "random-forest":
        return RandomForestClassifier(5, random_state=0)
    if name == "boosted-trees":
        return make_classifier(name, n_trees=20, min_leaf=2)
    if name == "mlp":
        return MLPClassifier((8,), max_iter=60, learning_rate_init=0.02, random_state=0, tol=1e-3)
    return make_classifier(name)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_learns_labels(name: str, tmp_path: Path) -> None:
    images, labels = pictures()
    model = ImageClassifier(ColorHistogram(), quick(name)).fit(images[:36], labels[:36])
    assert model.multilabel
    assert model.classes_.tolist() == NAMES
    probabilities, chosen = model.predict_proba(images[36:]), model.predict(images[36:])
    assert probabilities.shape == chosen.shape == (12, 3)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    np.testing.assert_array_equal(chosen, probabilities >= model.classifier_.thresholds_)
    report, answers = model.evaluate(images[36:], labels[36:])
    assert isinstance(report, LabelsReport)
    assert report.mean_average_precision > (0.5 if "tree" in name or "forest" in name else 0.9)
    assert answers.labels == LabelSets(model.classes_, chosen.astype(bool)).names
    model.save(tmp_path / "model.cvbow")
    loaded = ImageClassifier.load(tmp_path / "model.cvbow")
    np.testing.assert_array_equal(loaded.predict_proba(images), model.predict_proba(images))
    assert loaded.save(tmp_path / "again.cvbow") == model.save(tmp_path / "model.cvbow")


def test_labels_may_come_as_a_matrix(model: ImageClassifier) -> None:
    images, labels = pictures()
    matrix = LabelSets.of(labels).has
    numbered = ImageClassifier(ColorHistogram()).fit(images, matrix)
    assert numbered.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(numbered.predict_proba(images), model.predict_proba(images))
    assert numbered.score(images, matrix) == numbered.score(images, numbered.predict(images)) == 1


def test_one_class_each_stays_as_it_is(tmp_path: Path) -> None:
    images, labels = pictures()
    model = ImageClassifier(ColorHistogram()).fit(images, ["red" if "red" in one else "other" for one in labels])
    assert not model.multilabel
    assert isinstance(model.classifier_, LinearSVM)
    assert model.predict(images).shape == (48,)
    model.save(tmp_path / "model.cvbow")
    stored = storage.inspect(tmp_path / "model.cvbow")
    assert "multilabel" not in stored.metadata
    assert "n_labels_" not in vars(model.classifier_)
    with pytest.raises(ValueError, match="y must hold one label for each image"):
        model.evaluate(images, labels)


def test_cross_validation_by_scikit_learn() -> None:
    images, labels = pictures(30)
    scores = cross_val_score(ImageClassifier(ColorHistogram()), images, LabelSets.of(labels).has.astype(int), cv=3)
    assert scores.mean() > 0.6


def test_a_model_of_labels_is_judged_by_images_of_one_class(model: ImageClassifier) -> None:
    images = [stripes([name], np.random.default_rng(1)) for name in NAMES]
    report, _ = model.evaluate(images, NAMES)
    assert report.counts.tolist() == [1, 1, 1]
    assert model.score(images, NAMES) == report.subset_accuracy == 1


# Each label by itself is what all labels are learned as together.


def vectors(n: int = 60, k: int = 3, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    X = rng.random((n, 8)).astype(np.float32)
    return X, X[:, :k] + 0.2 * rng.normal(size=(n, k)) > 0.6


OWN: list[Any] = [
    LinearSVM(C=2.0),
    LinearSVM(C=2.0, standardize=True),
    KernelSVM("rbf"),
    KernelSVM("chi2"),
    FusionClassifier(),
    FusionClassifier(head="svm"),
]


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("classifier", OWN, ids=str)
def test_all_labels_at_once_are_each_by_itself(classifier: Any, k: int) -> None:
    X, has = vectors(k=k)
    model = MultiLabelClassifier(classifier).fit(X, has)
    alone = np.stack([clone(classifier).fit(X, column).decision_function(X) for column in has.T], axis=1)
    # A solution is within a thousandth of the least objective.
    np.testing.assert_allclose(model.decision_function(X), alone, atol=0.05)
    assert model.decision_function(X).shape == (60, k)
    assert len(model.parts_) == 1


def test_long_vectors_and_many_of_them_are_learned_alike() -> None:
    X, has = vectors()
    wide = np.concatenate([X, np.zeros((60, 200), np.float32)], axis=1)
    short, long = (MultiLabelClassifier(LinearSVM()).fit(one, has) for one in (X, wide))
    np.testing.assert_allclose(short.decision_function(X), long.decision_function(wide), atol=0.05)


def test_a_part_for_each_label_is_a_copy() -> None:
    X, has = vectors()
    given = LogisticRegression(C=10)
    model = MultiLabelClassifier(given).fit(X, has)
    for label, part in enumerate(model.parts_):
        np.testing.assert_array_equal(part.coef_, clone(given).fit(X, has[:, label]).coef_)
    np.testing.assert_array_equal(model.linear_weights(), np.concatenate([part.coef_ for part in model.parts_]))
    assert "coef_" not in vars(given)


def test_neighbours_vote_for_each_label_as_if_for_it_alone() -> None:
    X, has = vectors()
    given = make_classifier("nearest-neighbors")
    model = MultiLabelClassifier(given).fit(X, has)
    assert len(model.parts_) == 1
    other = X + 0.1
    votes = np.stack([clone(given).fit(X, column).predict_proba(other)[:, 1] for column in has.T], axis=1)
    np.testing.assert_allclose(model.decision_function(other), np.log((votes + 1e-3) / (1 - votes + 1e-3)), atol=1e-5)


def test_a_pipeline_that_ends_in_an_own_classifier_learns_at_once() -> None:
    X, has = vectors()
    model = MultiLabelClassifier(make_pipeline(StandardScaler(), LinearSVM())).fit(X, has)
    assert len(model.parts_) == 1
    assert model.predict(X).shape == (60, 3)


def test_what_a_best_C_is_judged_by() -> None:  # noqa: N802
    X, has = vectors(120)
    model = MultiLabelClassifier(TunedLinearSVM(Cs=(1e-6, 1.0))).fit(X, has)
    (part,) = model.parts_
    assert part.C_ == 1.0 or part.scores_[0] >= part.scores_[1]
    assert ((part.scores_ > 0.3) & (part.scores_ <= 1)).all()


def test_channels_that_do_not_help_are_dropped() -> None:
    images, labels = pictures(120)
    noise = ChannelUnion([("color", ColorHistogram()), ("pixels", RawPixels(size=2))])
    model = ImageClassifier(noise, LinearSVM(shares={"color": 1, "pixels": 0})).fit(images, labels)
    assert list(model.backend_.channel_slices or ["color"]) == ["color"]
    assert model.score(images, labels) > 0.9
    learned = ImageClassifier(noise, LinearSVM()).fit(images, labels)
    assert learned.classifier_.shares_ is not None
    assert sum(learned.classifier_.shares_.values()) == pytest.approx(1)


@pytest.mark.parametrize("classifier", ["linear-svm", "kernel-ridge", LogisticRegression()], ids=str)
def test_weights_add_up_to_decisions(classifier: Any) -> None:
    images, labels = pictures()
    model = ImageClassifier(ColorHistogram(), classifier).fit(images, labels)
    for why in cvbow.explain(model, images[0], NAMES):  # type: ignore[union-attr]
        assert why.bias + why.heat_sum + why.remainder == pytest.approx(why.score, abs=1e-4)
        assert why.score == pytest.approx(model.decision_function(images[:1])[0, NAMES.index(why.class_name)], abs=1e-5)


def test_explained_are_the_labels_that_an_image_is_given(model: ImageClassifier) -> None:
    rng = np.random.default_rng(5)
    both, none = stripes(["red", "blue"], rng), stripes([], rng)
    found: Any = cvbow.explain(model, both)
    assert [why.class_name for why in found] == ["blue", "red"]
    assert found[0].heat[:6].sum() > found[0].heat[12:].sum()
    assert isinstance(cvbow.explain(model, none), cvbow.Explanation)
    against: Any = cvbow.explain(model, both, against="red")
    assert against.class_name == "blue"


# Probabilities and thresholds.


def test_a_curve_by_hand() -> None:
    # Where decisions say nothing, the curve is flat at the mean target: 2 of 4, and (2 + 1) / (2 + 2), 1 / (2 + 2).
    slope, offset = fit_sigmoid(np.ones(4), np.array([True, True, False, False]))
    assert sigmoid(np.array([slope + offset]))[0] == pytest.approx(0.5)
    rng = np.random.default_rng(0)
    decisions = rng.normal(size=20000)
    has = rng.random(20000) < 1 / (1 + np.exp(-(2 * decisions - 1)))
    assert fit_sigmoid(decisions, has) == pytest.approx((2, -1), abs=0.1)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.integers(0, 9)), min_size=1, max_size=20))
@settings(max_examples=30)
def test_a_weight_counts_like_copies(rows: list[tuple[bool, int, int]]) -> None:
    has, counts, decisions = (np.array(column) for column in zip(*rows, strict=True))
    copies = [values.repeat(counts) for values in (decisions / 9, has)]
    np.testing.assert_allclose(fit_sigmoid(decisions / 9, has, counts / 1), fit_sigmoid(*copies), rtol=1e-2, atol=1e-2)
    assert best_threshold(decisions / 9, has, counts / 1) == pytest.approx(best_threshold(*copies))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=20))
@settings(max_examples=30)
def test_no_other_threshold_is_better(rows: list[tuple[bool, int]]) -> None:
    has, probabilities = np.array([row[0] for row in rows]), np.array([row[1] for row in rows]) / 9
    found = best_threshold(probabilities, has)
    assert 0 <= found <= 1
    if has.any():
        scores = [f1_score(has, probabilities >= each) for each in (found, *np.unique(probabilities))]
        assert scores[0] == pytest.approx(max(scores))


def test_probabilities_are_about_shares() -> None:
    X, has = vectors(2000)
    model = MultiLabelClassifier(LinearSVM()).fit(X[:1000], has[:1000])
    probabilities = model.predict_proba(X[1000:])
    for label in range(3):
        for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 1)):
            there = (probabilities[:, label] >= low) & (probabilities[:, label] < high)
            assert abs(has[1000:][there, label].mean() - probabilities[there, label].mean()) < 0.12


# What hardly any image has, or all.


@pytest.mark.parametrize("classifier", ["linear-svm", "naive-bayes"])
def test_a_label_that_all_images_have_is_always_given(classifier: str) -> None:
    images, labels = pictures(30)
    seen = Notes()
    with reporting(seen):
        model = ImageClassifier(ColorHistogram(), classifier).fit(images, [[*one, "all"] for one in labels])
    assert "label all: all images have it, so it is always given" in seen.lines
    probabilities = model.predict_proba(images)
    np.testing.assert_allclose(probabilities[:, 0], 31 / 32)
    assert model.predict(images)[:, 0].all()
    assert np.isfinite(model.decision_function(images)).all()
    assert model.weights_at(model.encode(images[0])) is None or classifier == "linear-svm"


@pytest.mark.parametrize("classifier", ["linear-svm", "logistic-regression"])
def test_a_label_that_no_image_has_is_never_given(classifier: str) -> None:
    images, labels = pictures(30)
    matrix = np.hstack([LabelSets.of(labels).has, np.zeros((30, 1), bool)])
    model = ImageClassifier(ColorHistogram(), classifier).fit(images, matrix)
    np.testing.assert_allclose(model.predict_proba(images)[:, 3], 1 / 32)
    assert not model.predict(images)[:, 3].any()
    weights = model.class_weights
    assert weights is not None
    assert weights.shape[0] == 4


@pytest.mark.parametrize("classifier", ["linear-svm", "nearest-neighbors", "decision-tree"])
def test_a_label_of_one_image_is_told(classifier: str) -> None:
    images, labels = pictures(30)
    seen = Notes()
    with reporting(seen):
        model = ImageClassifier(ColorHistogram(), classifier).fit(images, [[*labels[0], "rare"], *labels[1:]])
    assert "class rare: a single image to learn from" in seen.lines
    assert np.isfinite(model.predict_proba(images)).all()


def test_images_without_a_label_are_learned_from(model: ImageClassifier) -> None:
    assert model.answer([stripes([], np.random.default_rng(9))]).labels == [[]]


BAD: list[tuple[Any, type[Exception], str]] = [
    ([[]] * 12, CvbowError, "a classifier needs at least two classes; the images have no label"),
    ([["a"]] * 6 + [[]] * 6, CvbowError, "the images have only the label 'a': give classes in its place"),
    ([["a", "b"]] * 12, CvbowError, "the images have only labels that all of them have, or none"),
    ([["a"], ["b"]] * 5, ValueError, "y must hold labels for each of 12 images, got 10"),
    ([["a"], "b"] * 6, ValueError, "y must hold a list of labels for each image, got 'b' at position 1"),
    ([[1.5], [2.5]] * 6, ValueError, "y must hold classes, by name or number"),
    (np.full((12, 2), 2), ValueError, "y must hold only 0 and 1 where it is a matrix"),
]


@pytest.mark.parametrize(("y", "kind", "message"), BAD)
def test_labels_that_cannot_be_learned_are_refused(y: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        ImageClassifier(ColorHistogram()).fit(pictures(12)[0], y)


def test_what_cannot_learn_labels_says_so() -> None:
    images, labels = pictures(12)
    for classifier, message in (
        (LinearSVM(class_weight="balanced"), "class_weight must be None where images have several labels"),
        (KernelPredictor(), "must give decisions or probabilities where images have several labels"),
    ):
        with pytest.raises(ValueError, match=message):
            ImageClassifier(ColorHistogram(), classifier).fit(images, labels)
    for fine in (RidgeClassifier(), Perceptron(), DummyClassifier()):
        assert ImageClassifier(ColorHistogram(), fine).fit(images, labels).predict(images).shape == (12, 3)


class KernelPredictor(DummyClassifier):  # type: ignore[misc]
    """Answers with classes alone."""

    predict_proba = None


def test_an_evaluation_of_labels_that_the_model_does_not_know(model: ImageClassifier) -> None:
    images, labels = pictures(10, seed=3)
    report, _ = model.evaluate(images, [[*one, "sky"] for one in labels])
    assert report.unknown_classes == ["sky"]
    assert report.subset_accuracy == 0
    with pytest.raises(CvbowError, match="no image is of a class that the model knows: they are of sky; it knows blue"):
        model.evaluate(images, [["sky"]] * 10)


# The rest of what a model does is the same.


def test_unreadable_images_are_skipped(model: ImageClassifier) -> None:
    images, labels = pictures(20)
    some: list[Any] = ["missing.png", *images]
    fitted = ImageClassifier(ColorHistogram()).fit(some, [["none"], *labels])
    assert len(fitted.skipped_) == 1
    assert "none" in fitted.classes_  # it is a label that no image has
    answers = fitted.answer(some)
    assert answers.rows.tolist() == list(range(1, 21))
    assert len(answers.labels) == 20
    nothing = fitted.answer(["missing.png"])
    assert nothing.labels == []
    assert nothing.probabilities.shape == (0, 4)
    with pytest.raises(ImageError):
        fitted.predict(some)


def test_weights_copies_and_views() -> None:
    images, labels = pictures(24)
    weights = np.arange(24) % 3
    for backend in (ColorHistogram(), MultiCrop(ColorHistogram())):
        augmenter = ImageAugmenter(horizontal_flip=True)
        model = ImageClassifier(backend, augmenter=augmenter, n_augmented=1).fit(images, labels, sample_weight=weights)
        assert model.predict_proba(images).shape == (24, 3)
        assert model.score(images, labels) > 0.8
    kept = weights > 0
    X, has = vectors(24)
    some = MultiLabelClassifier(LinearSVM()).fit(X[kept], has[kept], weights[kept])
    every = MultiLabelClassifier(LinearSVM()).fit(X, has, weights)
    np.testing.assert_array_equal(some.predict_proba(X), every.predict_proba(X))


def test_the_same_for_every_number_of_workers() -> None:
    images, labels = pictures(30)
    for classifier in ("linear-svm", "random-forest"):
        made = quick(classifier)
        one, two = (ImageClassifier(ColorHistogram(n_jobs=n), made).fit(images, labels) for n in (1, 2))
        np.testing.assert_array_equal(one.predict_proba(images), two.predict_proba(images))


def test_kept_images_are_called_by_all_of_their_labels() -> None:
    images, labels = pictures(20)
    model = ImageClassifier(ColorHistogram(), n_kept=20).fit(images, labels)
    near = model.nearest(model.encode(images[0]))[0]
    assert near.class_name == " | ".join(labels[0])


def test_a_file_says_that_there_are_several_labels(model: ImageClassifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model.cvbow")
    found = storage.inspect(tmp_path / "model.cvbow")
    assert found.metadata["multilabel"] is True
    assert found.metadata["classes"] == NAMES


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("parts_", [], "parts_ must be a list"),
        ("parts_", [1], "parts_ must be classifiers, or 1 or -1"),
        ("parts_", [1, 1, 2], "parts_ must be classifiers, or 1 or -1"),
        ("parts_", [LogisticRegression()], "classes_ must be those of the part"),
        ("slopes_", np.ones(2), "slopes_ must be a float64 array"),
        ("thresholds_", None, "thresholds_ must be there"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(model: ImageClassifier, name: str, value: Any, message: str) -> None:
    classifier = clone(model.classifier_)
    vars(classifier).update(vars(model.classifier_) | {name: value})
    with pytest.raises(ValueError, match=message):
        check_state(classifier)
