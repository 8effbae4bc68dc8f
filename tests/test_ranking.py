"""Measures of a ranking: by hand, against an enumeration of all orders of ties, and against scikit-learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cvbow.retrieval.ranking import DEFINITIONS, Ranking

MEASURES = ("average_precision", "average_precision_trapezoids")


def oxford(relevant: list[bool], n_relevant: int) -> float:
    """The loop of the Oxford buildings' own program, step by step."""
    old_recall, old_precision, area, hits, place = 0.0, 1.0, 0.0, 0, 0
    for found in relevant:
        hits += found
        recall, precision = hits / n_relevant, hits / (place + 1)
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision, place = recall, precision, place + 1
    return area


def at_hits(relevant: list[bool], n_relevant: int) -> float:
    return sum(sum(relevant[: i + 1]) / (i + 1) for i, hit in enumerate(relevant) if hit) / n_relevant


def every_order(relevant: list[bool], scores: list[int]) -> list[list[bool]]:
    """All orders of a ranking that its ties allow."""
    runs = [[hit for _, hit in run] for _, run in itertools.groupby(zip(scores, relevant, strict=True), lambda p: p[0])]
    orders = itertools.product(*(itertools.permutations(run) for run in runs))
    return [list(itertools.chain(*order)) for order in orders]


rankings = st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=7).map(
    lambda pairs: sorted(pairs, key=lambda pair: -pair[1])
)


def test_by_hand() -> None:
    """Relevant at places 1, 3 and 6, of four relevant ones."""
    ranking = Ranking([True, False, True, False, False, True], n_relevant=4)
    assert ranking.average_precision == pytest.approx((1 + 2 / 3 + 3 / 6) / 4)
    assert ranking.average_precision_trapezoids == pytest.approx(((1 + 1) + (1 / 2 + 2 / 3) + (2 / 5 + 3 / 6)) / 2 / 4)
    assert [ranking.recall(k) for k in (1, 2, 3, 6, 100)] == [0.25, 0.25, 0.5, 0.75, 0.75]
    assert [ranking.precision(k) for k in (1, 2, 3, 6)] == [1, 0.5, pytest.approx(2 / 3), 0.5]
    assert ranking.precision(12) == 0.25, "places beyond the end count as wrong"
    assert [Ranking([False, True]).success(k) for k in (1, 2, 3)] == [0, 1, 1]


def test_the_definitions_differ_where_the_first_is_wrong() -> None:
    """One relevant image at the second place: precision 1/2 there, and 0 just before it."""
    ranking = Ranking([False, True])
    assert ranking.average_precision == 0.5
    assert ranking.average_precision_trapezoids == 0.25
    assert set(DEFINITIONS) >= {"map", "map_trapezoids", "recall", "precision", "success", "ukbench_score"}


def test_ties_by_hand() -> None:
    """One relevant among three tied ones: places 1, 2 and 3 are equally likely."""
    ranking = Ranking([False, True, False], [5, 5, 5])
    assert ranking.average_precision == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert ranking.average_precision_trapezoids == pytest.approx((1 + (0 + 1 / 2) / 2 + (0 + 1 / 3) / 2) / 3)
    assert [ranking.recall(k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert [ranking.success(k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


@given(rankings, st.integers(0, 2), st.integers(1, 9))
def test_ties_are_the_mean_over_all_orders(pairs: list[tuple[bool, int]], missing: int, k: int) -> None:
    relevant, scores = [hit for hit, _ in pairs], [score for _, score in pairs]
    n_relevant = sum(relevant) + missing
    if not n_relevant:
        return
    ranking = Ranking(relevant, scores, n_relevant=n_relevant)
    orders = every_order(relevant, scores)

    def mean(measure: object) -> float:
        assert callable(measure)
        return float(np.mean([measure(order) for order in orders]))

    assert ranking.average_precision == pytest.approx(mean(lambda order: at_hits(order, n_relevant)))
    assert ranking.average_precision_trapezoids == pytest.approx(mean(lambda order: oxford(order, n_relevant)))
    assert ranking.recall(k) == pytest.approx(mean(lambda order: sum(order[:k]) / n_relevant))
    assert ranking.precision(k) == pytest.approx(mean(lambda order: sum(order[:k]) / k))
    assert ranking.success(k) == pytest.approx(mean(lambda order: any(order[:k])))


@given(st.lists(st.booleans(), min_size=1, max_size=60).filter(any))
def test_scikit_learn_agrees_where_nothing_is_tied(relevant: list[bool]) -> None:
    scores = -np.arange(len(relevant))
    assert Ranking(relevant, scores).average_precision == pytest.approx(average_precision_score(relevant, scores))


@given(rankings.filter(lambda pairs: any(hit for hit, _ in pairs)))
def test_invariants(pairs: list[tuple[bool, int]]) -> None:
    """The order within ties does not matter; all measures are shares; more places find more; earlier is better."""
    relevant, scores = np.array([hit for hit, _ in pairs]), np.array([score for _, score in pairs])
    ranking = Ranking(relevant, scores)
    shuffled = np.lexsort((np.random.default_rng(len(pairs)).random(len(pairs)), -scores))
    other = Ranking(relevant[shuffled], scores[shuffled])
    for measure in MEASURES:
        assert 0 < getattr(ranking, measure) <= 1 + 1e-12
        assert getattr(ranking, measure) == pytest.approx(getattr(other, measure))
    curve = [ranking.recall(k) for k in range(1, len(pairs) + 1)]
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(1)
    best = Ranking(np.sort(relevant)[::-1])
    worst = Ranking(np.sort(relevant))
    for measure in MEASURES:
        assert getattr(worst, measure) <= getattr(ranking, measure) + 1e-12
        assert getattr(best, measure) == pytest.approx(1)


def test_scores_of_several_columns_tie_where_all_are_equal() -> None:
    scores = [[3, 9], [3, 9], [3, 8], [2, 8]]
    tied = Ranking([False, True, False, False], scores)
    assert tied.recall(1) == 0.5
    assert Ranking([False, False, True, False], scores).recall(3) == 1
    assert Ranking([False, False, True, False], scores).recall(2) == 0


def test_long_ties_stay_exact() -> None:
    """A hundred thousand images of score zero, as an inverted index gives: the mean of 1/i over the places."""
    n = 100_000
    relevant = np.zeros(n, bool)
    relevant[-1] = True
    ranking = Ranking(relevant, np.zeros(n))
    assert ranking.average_precision == pytest.approx(np.mean(1 / np.arange(1, n + 1)))
    assert ranking.success(10) == pytest.approx(10 / n)
    assert len(ranking) == n


def test_an_empty_ranking_finds_nothing() -> None:
    ranking = Ranking([], [], n_relevant=2)
    assert ranking.average_precision == ranking.average_precision_trapezoids == 0
    assert ranking.recall(3) == ranking.precision(3) == ranking.success(3) == 0
    assert repr(ranking) == "Ranking(0 images, 2 relevant)"


@pytest.mark.parametrize(
    ("relevant", "scores", "n_relevant", "message"),
    [
        ([1, 0], None, None, "relevant must be a vector of bool"),
        ([[True]], None, None, "relevant must be a vector of bool"),
        ([True, True], None, 1, "n_relevant must be an integer >= 2, got 1"),
        ([False], None, None, "n_relevant must be an integer >= 1, got 0"),
        ([True, False], [1.0], None, r"scores must be one for each of 2 images, got shape \(1,\)"),
        ([True], [np.nan], None, "scores must be finite"),
    ],
)
def test_what_is_wrong_is_named(relevant: object, scores: object, n_relevant: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ranking(relevant, scores, n_relevant=n_relevant)
    with pytest.raises(ValueError, match="k must be an integer >= 1, got 0"):
        Ranking([True]).recall(0)
