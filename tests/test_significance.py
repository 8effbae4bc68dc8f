"""Intervals and tests of comparisons, against direct computations."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from cvbow.experiments.significance import (
    accuracy_interval,
    holm,
    mcnemar_test,
    paired_splits_test,
    wilson_interval,
)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_mcnemar_by_adding_up_the_binomial_distribution(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    found = mcnemar_test(first, second)
    b, c = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
    n = b + c
    expected = min(1.0, 2 * sum(comb(n, k) for k in range(min(b, c) + 1)) / 2**n)
    assert found.p_value == pytest.approx(expected)
    assert found.difference == pytest.approx((b - c) / len(pairs))
    assert found.details == {"only_first": b, "only_second": c}
    back = mcnemar_test(second, first)
    assert back.p_value == pytest.approx(found.p_value)
    assert back.difference == pytest.approx(-found.difference)


def test_mcnemar_by_hand() -> None:
    # Nine images that the first alone gets right, one that the second alone does: 2 (1 + 10) / 1024.
    first = np.array([True] * 9 + [False] + [True] * 50)
    second = np.array([False] * 9 + [True] + [True] * 50)
    assert mcnemar_test(first, second).p_value == pytest.approx(22 / 1024)


def test_the_interval_is_nearly_that_of_resampled_images_where_these_tell_something() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(["a", "b", "c"], [40, 15, 80])
    right = rng.random(135) < np.repeat([0.9, 0.4, 0.7], [40, 15, 80])
    found = accuracy_interval(right, labels)
    classes = [right[labels == name] for name in "abc"]
    assert found.figure == pytest.approx(np.mean([part.mean() for part in classes]))
    figures = [np.mean([rng.choice(part, len(part)).mean() for part in classes]) for _ in range(5000)]
    np.testing.assert_allclose([found.low, found.high], np.percentile(figures, [2.5, 97.5]), atol=0.02)
    narrow = accuracy_interval(right, labels, confidence=0.5)
    assert found.low < narrow.low < found.figure < narrow.high < found.high


@pytest.mark.parametrize(
    ("shares", "sizes"),
    [
        ([0.6, 0.7, 0.8, 0.9], [50] * 4),
        ([0.95] * 3, [30] * 3),
        ([0.99] * 5, [20] * 5),
        ([0.95] * 60, [1] * 60),  # no class varies
        ([1.0, 0.5], [300, 10]),
        ([0.5, 0.99], [300, 20]),
    ],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(shares: list[float], sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    labels, truth = np.repeat(np.arange(len(sizes)), sizes), np.array(shares)
    covered = 0
    for _ in range(400):
        found = accuracy_interval(rng.random(len(labels)) < truth[labels], labels)
        covered += found.low <= truth.mean() <= found.high
    # The expected number is 380, its deviation 4.4; a bootstrap has 90 for the third and the fourth.
    assert covered >= 362


def test_all_right_and_all_wrong_are_not_certain() -> None:
    labels = np.repeat(["a", "b", "c"], [30, 30, 29])
    found = accuracy_interval(np.ones(89, bool), labels)
    # Wilson's bound of n right answers of n is n / (n + z^2).
    assert (found.low, found.figure, found.high) == (pytest.approx(89 / (89 + 1.959964**2), abs=1e-4), 1, 1)
    none = accuracy_interval(np.zeros(89, bool), labels)
    assert (none.low, none.figure, none.high) == (0, 0, pytest.approx(1 - found.low))
    # Of one class it is Wilson's; the widest is that of a single image.
    single = accuracy_interval(np.array([True]), ["a"])
    assert (single.low, single.high) == (pytest.approx(1 / (1 + 1.959964**2)), 1)
    # Nothing but right answers in one class, one wrong in another: neither end is the figure.
    mixed = accuracy_interval(np.arange(60) > 0, np.repeat(["a", "b"], 30))
    assert 0.9 < mixed.low < mixed.figure < mixed.high < 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=60), st.floats(0.01, 0.999))
def test_the_interval_holds_the_figure_and_is_the_mirror_of_that_of_mistakes(
    answers: list[tuple[bool, int]], confidence: float
) -> None:
    right, labels = (np.array(side) for side in zip(*answers, strict=True))
    found = accuracy_interval(right, labels, confidence=confidence)
    assert 0 <= found.low <= found.figure <= found.high <= 1
    assert found.high - found.low > 0
    wrong = accuracy_interval(~right, labels, confidence=confidence)
    assert (1 - wrong.high, 1 - wrong.low) == (pytest.approx(found.low), pytest.approx(found.high))


@given(share=st.floats(0, 1), number=st.integers(1, 10**6))
def test_wilson_interval_solves_its_equation(share: float, number: int) -> None:
    low, high = wilson_interval(share, number)
    assert 0 <= low <= share <= high <= 1
    for bound in (low, high):
        assert (bound - share) ** 2 == pytest.approx(1.959963984540054**2 * bound * (1 - bound) / number, abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_splits_against_the_plain_t_test(pairs: list[tuple[float, float]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    if np.ptp(first - second) < 1e-6:
        return
    # A correction of nearly zero leaves Student's test.
    found = paired_splits_test(first, second, test_over_train=1e-12)
    assert found.p_value == pytest.approx(ttest_rel(first, second).pvalue, rel=1e-4, abs=1e-12)
    assert found.difference == pytest.approx(np.mean(first - second), abs=1e-12)
    assert paired_splits_test(first, second, test_over_train=0.5).p_value >= found.p_value - 1e-12


def test_splits_by_hand() -> None:
    # Differences 1, 2, 3 (hundredths): mean 0.02, variance 0.0001, error sqrt((1/3 + 2/3) * 0.0001) = 0.01, t = 2.
    found = paired_splits_test([0.91, 0.92, 0.93], [0.90, 0.90, 0.90], test_over_train=2 / 3)
    assert found.details["standard_error"] == pytest.approx(0.01)
    # Student's t with two degrees of freedom: P(|t| > 2) = 1 - 2 / sqrt(6).
    assert found.p_value == pytest.approx(1 - 2 / np.sqrt(6))
    assert paired_splits_test([0.5, 0.5], [0.5, 0.5], test_over_train=1).p_value == 1


def test_the_same_difference_in_every_split_is_not_certain() -> None:
    # Chance gives all of n signs alike with probability 2 / 2^n; rounding leaves a trace of variance.
    assert paired_splits_test([0.6, 0.6], [0.5, 0.5], test_over_train=1).p_value == 0.5
    first = [0.95, 0.85, 0.75, 0.3, 0.15]
    found = paired_splits_test(first, [one - 0.05 for one in first], test_over_train=0.25)
    assert found.p_value == 2**-4
    assert paired_splits_test(first, list(first), test_over_train=0.25).p_value == 1


def test_holm_by_hand() -> None:
    # 4 x 0.01, then 3 x 0.02 and 2 x 0.03, which may not be less than what is before them, and 0.8 as it is.
    assert holm([0.02, 0.01, 0.8, 0.03]) == pytest.approx([0.06, 0.04, 0.8, 0.06])
    assert holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert holm([]) == []


def test_what_is_refused() -> None:
    flags = np.array([True, False])
    with pytest.raises(ValueError, match="second must have one for each of 2 answers, got 1"):
        mcnemar_test(flags, flags[:1])
    with pytest.raises(ValueError, match="first must be booleans"):
        mcnemar_test([0.5, 1.0], flags)
    with pytest.raises(ValueError, match="right must be booleans"):
        accuracy_interval(np.array([], bool), [])
    with pytest.raises(ValueError, match="labels must have one for each of 2 answers"):
        accuracy_interval(flags, ["a"])
    with pytest.raises(ValueError, match="confidence must be below 1"):
        accuracy_interval(flags, ["a", "b"], confidence=1.0)
    with pytest.raises(ValueError, match="two splits or more"):
        paired_splits_test([0.5], [0.6], test_over_train=1)
