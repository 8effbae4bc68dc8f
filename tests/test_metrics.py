"""The classification report against hand-computed figures and against scikit-learn's metrics."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from cvbow.classify import ClassificationReport, classification_report

NAMES = ["bird", "cat", "dog", "eel", "fox", "gnu", "hen"]


def random_answers(
    seed: int, n: int = 60, n_classes: int = 7
) -> tuple[list[str], NDArray[np.float64], NDArray[np.str_]]:
    rng = np.random.default_rng(seed)
    classes = np.array(NAMES[:n_classes])
    probabilities = rng.dirichlet(np.full(n_classes, 0.5), n)
    return classes[rng.integers(0, n_classes, n)].tolist(), probabilities, classes


def test_by_hand() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])
    report = classification_report(["cat", "dog", "dog", "cat"], probabilities, ["cat", "dog", "fox"])
    assert report.classes == ["cat", "dog", "fox"]
    np.testing.assert_array_equal(report.confusion, [[1, 0, 1], [1, 1, 0], [0, 0, 0]])
    assert report.n_images == 4
    assert report.accuracy == 0.5
    assert report.log_loss == pytest.approx(-math.log(0.7 * 0.8 * 0.4 * 0.2) / 4)
    assert report.top5_accuracy == 1.0
    np.testing.assert_array_equal(report.recall, [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(report.precision, [0.5, 1, 0])
    assert report.mean_class_accuracy == 0.5
    assert report.class_accuracy_std == 0


def test_classes_count_alike_in_the_mean_class_accuracy() -> None:
    labels = ["a"] * 8 + ["b"] * 2
    # All of a right, none of b.
    report = classification_report(labels, np.tile([0.9, 0.1], (10, 1)), ["a", "b"])
    assert report.accuracy == 0.8
    assert report.mean_class_accuracy == 0.5
    # The population's deviation, as over the classes of a benchmark.
    assert report.class_accuracy_std == 0.5


@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 7))
def test_next_to_scikit_learn(seed: int, n_classes: int) -> None:
    labels, probabilities, classes = random_answers(seed, n_classes=n_classes)
    report = classification_report(labels, probabilities, classes)
    predicted = classes[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(report.confusion, metrics.confusion_matrix(labels, predicted, labels=classes))
    assert report.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    present = np.isin(classes, labels)
    recall = metrics.recall_score(labels, predicted, labels=classes[present], average=None)
    np.testing.assert_allclose(report.recall[present], recall)
    assert np.isnan(report.recall[~present]).all()
    assert report.mean_class_accuracy == pytest.approx(recall.mean())
    assert report.class_accuracy_std == pytest.approx(recall.std())
    answered = np.isin(classes, predicted)
    precision = metrics.precision_score(labels, predicted, labels=classes[answered], average=None)
    np.testing.assert_allclose(report.precision[answered], precision)
    assert np.isnan(report.precision[~answered]).all()
    assert report.log_loss == pytest.approx(metrics.log_loss(labels, probabilities, labels=classes))
    if n_classes > 5:
        top = metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=classes)
        assert report.top5_accuracy == pytest.approx(top)
        assert report.accuracy < report.top5_accuracy
    else:
        assert report.top5_accuracy == 1


def test_a_sixth_class_is_out_of_the_top_five() -> None:
    probabilities = np.array([[0.3, 0.2, 0.2, 0.1, 0.1, 0.1], [0.3, 0.2, 0.2, 0.1, 0.15, 0.05]])
    report = classification_report(["gnu", "gnu"], probabilities, [*NAMES[:4], "fox", "gnu"])
    # Of the last three of the first image, equally probable, the first two are taken.
    assert report.top5_accuracy == 0
    assert classification_report(["fox", "eel"], probabilities, [*NAMES[:4], "fox", "gnu"]).top5_accuracy == 1


def test_a_class_that_the_model_does_not_know() -> None:
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [1.0, 0.0]])
    report = classification_report(["cat", "zebra", "ant"], probabilities, ["cat", "dog"])
    assert report.classes == ["cat", "dog", "ant", "zebra"]
    np.testing.assert_array_equal(report.confusion, [[1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    assert report.accuracy == pytest.approx(1 / 3)
    assert report.mean_class_accuracy == pytest.approx(1 / 3)
    assert report.top5_accuracy == pytest.approx(1 / 3)
    assert report.log_loss == pytest.approx((-math.log(0.6) - 2 * math.log(1e-15)) / 3)


def test_certainty_of_a_wrong_answer_costs_much_but_not_everything() -> None:
    report = classification_report(["a", "b"], np.array([[0.0, 1.0], [0.0, 1.0]]), ["a", "b"])
    assert report.log_loss == pytest.approx(-math.log(1e-15) / 2)


def test_predictions_may_differ_from_the_most_probable_class() -> None:
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4]])
    report = classification_report(["a", "b"], probabilities, ["a", "b"], np.array(["b", "b"]))
    np.testing.assert_array_equal(report.confusion, [[0, 1], [0, 1]])
    assert report.log_loss == pytest.approx(-math.log(0.6 * 0.4) / 2)


def test_labels_that_are_no_text() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    report = classification_report(np.array([3, 12]), probabilities, np.array([3, 12]), np.array([3, 12]))  # type: ignore[arg-type]
    assert report.classes == ["3", "12"]
    assert report.accuracy == 1


def test_as_dict_is_json() -> None:
    labels, probabilities, classes = random_answers(0, n=6)
    report = classification_report([*labels, "yak"], np.vstack([probabilities, probabilities[:1]]), classes)
    found = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert {"n_images", "accuracy", "mean_class_accuracy", "top5_accuracy", "log_loss", "classes", "confusion"} < set(
        found
    )
    assert found["n_images"] == 7
    assert found["confusion"] == report.confusion.tolist()
    assert list(found["per_class"]) == found["classes"] == [*NAMES, "yak"]
    for name, row, column in zip(found["classes"], report.confusion, report.confusion.T, strict=True):
        one = found["per_class"][name]
        assert one["n_images"] == row.sum()
        assert (one["recall"] is None) == (row.sum() == 0)
        assert (one["precision"] is None) == (column.sum() == 0)
    assert found["per_class"]["yak"] == {"n_images": 1, "recall": 0.0, "precision": None}


def test_inputs_that_do_not_fit_are_refused() -> None:
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4]])
    with pytest.raises(ValueError, match="labels must have at least one image, got none"):
        classification_report([], np.zeros((0, 2)), ["a", "b"])
    with pytest.raises(ValueError, match=r"probabilities must have shape \(2, 3\), got \(2, 2\)"):
        classification_report(["a", "b"], probabilities, ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"probabilities must have shape \(3, 2\), got \(2, 2\)"):
        classification_report(["a", "b", "a"], probabilities, ["a", "b"])
    with pytest.raises(ValueError, match="predicted must hold one of the classes for each of 2 images, got"):
        classification_report(["a", "b"], probabilities, ["a", "b"], ["a"])
    with pytest.raises(ValueError, match="predicted must hold one of the classes"):
        classification_report(["a", "c"], probabilities, ["a", "b"], ["a", "c"])


def test_a_report_can_be_made_from_counts() -> None:
    report = ClassificationReport(["a", "b"], np.array([[3, 1], [0, 4]]), 1.0, 0.1)
    assert report.accuracy == 7 / 8
    np.testing.assert_array_equal(report.recall, [0.75, 1])
    np.testing.assert_array_equal(report.precision, [1, 0.8])
