"""Intervals and tests of comparisons, against direct computations."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from cvbow.experiments.significance import bootstrap_interval, holm, mcnemar_test, paired_splits_test


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


def test_the_interval_is_that_of_resampled_images() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(["a", "b", "c"], [40, 15, 80])
    right = rng.random(135) < np.repeat([0.9, 0.4, 0.7], [40, 15, 80])
    found = bootstrap_interval(right, labels, n_resamples=20_000)
    classes = [right[labels == name] for name in "abc"]
    assert found.figure == pytest.approx(np.mean([part.mean() for part in classes]))
    figures = [np.mean([rng.choice(part, len(part)).mean() for part in classes]) for _ in range(5000)]
    np.testing.assert_allclose([found.low, found.high], np.percentile(figures, [2.5, 97.5]), atol=0.008)
    narrow = bootstrap_interval(right, labels, confidence=0.5)
    assert found.low < narrow.low < found.figure < narrow.high < found.high
    assert bootstrap_interval(right, labels) == bootstrap_interval(right, labels)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    truth = np.array([0.6, 0.7, 0.8, 0.9])
    covered = 0
    for seed in range(300):
        found = bootstrap_interval(rng.random(200) < truth[labels], labels, n_resamples=500, seed=seed)
        covered += found.low <= truth.mean() <= found.high
    # The expected number is 285; a binomial count is below 270 once in many thousand times.
    assert 270 <= covered <= 299


def test_all_right_and_all_wrong() -> None:
    for value in (False, True):
        found = bootstrap_interval(np.full(9, value), np.arange(9) % 3)
        assert (found.low, found.figure, found.high) == (value, value, value)


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
    assert paired_splits_test([0.6, 0.6], [0.5, 0.5], test_over_train=1).p_value < 1e-9


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
        bootstrap_interval(np.array([], bool), [])
    with pytest.raises(ValueError, match="labels must have one for each of 2 answers"):
        bootstrap_interval(flags, ["a"])
    with pytest.raises(ValueError, match="confidence must be below 1"):
        bootstrap_interval(flags, ["a", "b"], confidence=1.0)
    with pytest.raises(ValueError, match="two splits or more"):
        paired_splits_test([0.5], [0.6], test_over_train=1)
