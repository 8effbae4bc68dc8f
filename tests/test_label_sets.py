"""Labels of images that have several, however they are given; their measures against scikit-learn and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn import metrics
from sklearn.preprocessing import MultiLabelBinarizer

from cvbow.classify import LabelSets, average_precision, labels_report, place_sets
from cvbow.classify.label_sets import are_sets

LISTS = [["b", "a"], [], ["b"], ["c", "b"]]


class Frame:
    """Like a data frame: columns with names, in an order of their own."""

    columns = ("c", "a", "b")

    def __len__(self) -> int:
        return 4

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array([[0, 1, 1], [0, 0, 0], [0, 0, 1], [1, 0, 1]], dtype)


GIVEN: dict[str, Any] = {
    "lists": LISTS,
    "tuples": tuple(map(tuple, LISTS)),
    "sets": list(map(set, LISTS)),
    "frozen sets": list(map(frozenset, LISTS)),
    "with labels twice": [[*labels, *labels] for labels in LISTS],
    "an array of lists": np.array([*map(list, LISTS), None], object)[:-1],
    "a data frame": Frame(),
    "the same again": LabelSets.of(LISTS),
}


@pytest.mark.parametrize("name", GIVEN)
def test_labels_are_taken_as_they_come(name: str) -> None:
    assert are_sets(GIVEN[name])
    sets = LabelSets.of(GIVEN[name])
    assert sets.classes.tolist() == ["a", "b", "c"]
    assert sets.names == [["a", "b"], [], ["b"], ["b", "c"]]
    assert sets.has.tolist() == MultiLabelBinarizer().fit_transform(LISTS).astype(bool).tolist()
    assert sets.counts.tolist() == [1, 3, 1]


@pytest.mark.parametrize(
    "make", [np.array, csr_matrix, lambda rows: np.array(rows, bool), lambda rows: np.array(rows) / 1]
)
def test_the_columns_of_a_matrix_are_labels(make: Callable[[Any], Any]) -> None:
    rows = [[0, 1, 0], [1, 1, 0]]
    assert are_sets(make(rows))
    sets = LabelSets.of(make(rows))
    assert sets.classes.tolist() == [0, 1, 2]
    assert sets.names == [[1], [0, 1]]


@pytest.mark.parametrize(
    "y", [["a", "b"], np.array(["a", "b"]), [0, 1], np.array([[0], [1]]), None, 3, "ab", iter([["a"]])]
)
def test_what_is_a_class_each_is_no_set(y: Any) -> None:
    assert not are_sets(y)


WRONG: list[tuple[Any, str]] = [
    ([["a"], "b"], "y must hold a list of labels for each image, got 'b' at position 1"),
    ([["a", None]], "y must have no missing labels, got None at position 1"),
    ([["a"], [1]], "y must hold labels of one kind, got 'a' at first and 1 at position 1"),
    (np.array([[0, 2], [1, 0]]), r"y must hold only 0 and 1 where it is a matrix, got int64 of shape \(2, 2\)"),
    (np.array([["a", "b"]]), "y must hold only 0 and 1 where it is a matrix"),
]


@pytest.mark.parametrize(("y", "message"), WRONG)
def test_what_are_no_labels_is_told(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelSets.of(y)


TROUBLE: list[tuple[Any, str]] = [
    ([[], []], "no label"),
    ([["a"], []], "only the label 'a': give classes in its place"),
    ([["a", "b"], ["b", "a"]], "only labels that all of them have, or none"),
    (np.array([[1, 0], [1, 0]]), "only labels that all of them have, or none"),
]


@pytest.mark.parametrize(("y", "message"), TROUBLE)
def test_what_cannot_be_learned_is_told(y: Any, message: str) -> None:
    assert message in str(LabelSets.of(y).trouble())
    assert LabelSets.of(LISTS).trouble() is None


def test_the_rarest_label_of_each() -> None:
    assert LabelSets.of([["a", "b"], ["a"], ["b", "c"], [], ["a"]]).rarest.tolist() == [1, 0, 2, 3, 0]


def test_labels_are_placed_among_those_of_a_model() -> None:
    names, has = place_sets(LabelSets.of([[1.0, 7.0], [], [0.0]]), np.array([0, 1]))
    assert names == ["0", "1", "7.0"]
    assert has.astype(int).tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    names, _ = place_sets(LabelSets(np.array(["a", "z"]), np.array([[True, False]])), np.array(["a", "b"]))
    assert names == ["a", "b"]  # nothing has z


def by_hand(has: NDArray[np.bool_], scores: NDArray[np.float64], tenths: bool) -> float:
    """Average precision by its definition: over all thresholds, the best precision at a recall or a larger one."""
    curve = []
    for threshold in np.unique(scores):
        given = scores >= threshold
        curve.append((int((has & given).sum()), (has & given).sum() / given.sum()))
    total = int(has.sum())
    if tenths:
        return float(np.mean([max(p for hits, p in curve if 10 * hits >= tenth * total) for tenth in range(11)]))
    return float(sum(max(p for hits, p in curve if hits >= hit) for hit in range(1, total + 1)) / total)


def test_average_precision_by_hand() -> None:
    # Ranks 1, 3 and 4 of five: precisions 1, 2/3 and 3/4, of which the second counts as 3/4.
    has = np.array([[1], [0], [1], [1], [0]], bool)
    scores = np.array([[0.9], [0.8], [0.7], [0.6], [0.1]])
    assert average_precision(has, scores)[0] == pytest.approx((1 + 0.75 + 0.75) / 3)
    # Recalls 0, 0.1, 0.2, 0.3 are reached at precision 1; the other seven at 3/4.
    assert average_precision(has, scores, tenths=True)[0] == pytest.approx((4 * 1 + 7 * 0.75) / 11)
    # Three hits of ten are a recall of 0.3, not a little less.
    has = np.array([[1]] * 3 + [[0]] * 7 + [[1]] * 7, bool)
    scores = np.arange(17.0)[::-1, None]
    assert average_precision(has, scores, tenths=True)[0] == pytest.approx((4 * 1 + 7 * 10 / 17) / 11)
    assert np.isnan(average_precision(np.zeros((3, 1), bool), np.zeros((3, 1)))).all()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30), st.booleans(), st.randoms())
def test_average_precision_is_its_definition_in_any_order(
    pairs: list[tuple[bool, int]], tenths: bool, random: Any
) -> None:
    found = []
    for _ in range(2):
        has = np.array([pair[0] for pair in pairs])
        scores = np.array([pair[1] for pair in pairs], float)
        found.append(average_precision(has[:, None], scores[:, None], tenths=tenths)[0])
        random.shuffle(pairs)
    if not has.any():
        assert np.isnan(found).all()
        return
    assert found == pytest.approx([by_hand(has, scores, tenths)] * 2)
    if not tenths:
        # scikit-learn's does not take the best precision of larger recalls.
        assert found[0] >= metrics.average_precision_score(has, scores) - 1e-12


@given(st.integers(1, 25), st.integers(2, 5), st.integers(0, 1000))
@settings(max_examples=30)
def test_measures_are_those_of_scikit_learn(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    has, given_ = rng.random((n, k)) < 0.4, rng.random((n, k)) < 0.4
    report = labels_report(has, rng.random((n, k)), np.arange(k), given_)
    assert report.hamming_loss == pytest.approx(metrics.hamming_loss(has, given_))
    assert report.subset_accuracy == pytest.approx(metrics.accuracy_score(has, given_))
    for mean, found in (("micro", report.micro_f1), ("macro", report.macro_f1)):
        wanted = metrics.f1_score(has, given_, average=mean, zero_division=np.nan)
        assert found == pytest.approx(wanted, nan_ok=True)
    wanted = metrics.precision_recall_fscore_support(has, given_, zero_division=np.nan)
    for found, values in zip((report.precision, report.recall, report.f1, report.counts), wanted, strict=True):
        np.testing.assert_allclose(found, values)


def test_a_report_of_labels_that_the_model_does_not_know() -> None:
    scores = np.array([[0.9, 0.1], [0.4, 0.3], [0.2, 0.6]])
    report = labels_report([["a"], ["z"], ["a"]], scores, ["a", "b"])
    assert report.classes == ["a", "b", "z"]
    assert report.unknown_classes == ["z"]
    assert report.average_precision.tolist()[::2] == [pytest.approx((1 + 2 / 3) / 2), 0]
    assert np.isnan(report.average_precision[1])
    assert report.mean_average_precision == pytest.approx((1 + 2 / 3) / 4)
    assert (report.hits.tolist(), report.false_alarms.tolist(), report.misses.tolist()) == (
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 1],
    )
    document = report.as_dict()
    assert document["per_class"]["b"]["average_precision"] is None
    assert document["per_class"]["b"]["f1"] == 0
    assert document["per_class"]["z"]["n_images"] == 1


def test_a_report_of_images_without_a_label() -> None:
    report = labels_report([[], []], np.array([[0.1, 0.2], [0.3, 0.4]]), ["a", "b"])
    assert report.subset_accuracy == 1
    assert report.hamming_loss == 0
    assert report.as_dict()["micro_f1"] is report.as_dict()["mean_average_precision"] is None


def test_a_report_of_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="labels must have at least one image"):
        labels_report(np.zeros((0, 2)), np.zeros((0, 2)), ["a", "b"])
    with pytest.raises(ValueError, match=r"probabilities must have shape \(1, 2\), got \(2, 2\)"):
        labels_report([["a"]], np.zeros((2, 2)), ["a", "b"])
    with pytest.raises(ValueError, match=r"predicted must have shape \(1, 2\), got \(1, 3\)"):
        labels_report([["a"]], np.zeros((1, 2)), ["a", "b"], np.zeros((1, 3)))
