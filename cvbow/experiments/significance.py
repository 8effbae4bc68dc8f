"""How sure a figure is, and whether two methods differ by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_int, check_real

__all__ = ["Interval", "PairedTest", "bootstrap_interval", "holm", "mcnemar_test", "paired_splits_test"]


@dataclass(frozen=True)
class Interval:
    """A figure between its bounds.

    Attributes
    ----------
    figure, low, high : float
        Shares of 1.
    confidence : float
    """

    figure: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class PairedTest:
    """Whether one method is better than another on the same images or splits.

    Attributes
    ----------
    test : str
    difference : float
        Of accuracies, the first's less the second's, as a share of 1.
    p_value : float
        Two-sided: how often chance alone gives a difference as large.
    details : dict
        What the test counted.
    """

    test: str
    difference: float
    p_value: float
    details: dict[str, float]


def bootstrap_interval(
    right: ArrayLike,
    labels: ArrayLike,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean class accuracy with a bootstrap interval over the test images.

    Images are drawn with replacement within each class, as the classes' sizes belong to the benchmark; the bounds are
    percentiles of the resampled figures. What another training set would have given is not in it.

    Parameters
    ----------
    right : array of bool, shape (n,)
        Whether each test image was answered rightly.
    labels : array of shape (n,)
        True classes.
    n_resamples : int, default 2000
    confidence : float, default 0.95
        Above 0 and below 1.
    seed : int, default 0

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If the arrays differ in length or are empty, or a parameter breaks its rule.

    Notes
    -----
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. The number of right answers
    among n draws is binomial, so it is drawn instead of the images.
    """
    check_int("n_resamples", n_resamples, minimum=1)
    check_int("seed", seed, minimum=0)
    check_real("confidence", confidence, minimum=0, maximum=1, open_minimum=True)
    if confidence == 1:
        raise ValueError(f"confidence must be below 1, got {confidence!r}")
    hits = _flags("right", right)
    names = np.asarray(labels)
    if names.shape != hits.shape:
        raise ValueError(f"labels must have one for each of {len(hits)} answers, got shape {names.shape}")
    rng = np.random.default_rng(seed)
    shares, resampled = [], np.zeros(n_resamples)
    classes = np.unique(names)
    for name in classes:
        of_class = hits[names == name]
        share, n = float(of_class.mean()), len(of_class)
        shares.append(share)
        resampled += rng.binomial(n, share, n_resamples) / n
    tail = 50 * (1 - confidence)
    low, high = np.percentile(resampled / len(classes), [tail, 100 - tail])
    return Interval(float(np.mean(shares)), float(low), float(high), float(confidence))


def mcnemar_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Test whether two methods that judged the same images differ, by those on which one alone is right.

    Parameters
    ----------
    first, second : array of bool, shape (n,)
        Whether each image was answered rightly by either method.

    Raises
    ------
    ValueError
        If the arrays differ in length or are empty.

    Notes
    -----
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 1947; the
    exact test, by the binomial distribution. T. Dietterich, "Approximate statistical tests for comparing supervised
    classification learning algorithms", Neural Computation 1998, recommends it for methods trained once.
    """
    from scipy.stats import binomtest

    a, b = _flags("first", first), _flags("second", second)
    if a.shape != b.shape:
        raise ValueError(f"second must have one for each of {len(a)} answers, got {len(b)}")
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_first + only_second
    p_value = float(binomtest(only_first, n).pvalue) if n else 1.0
    counts = {"only_first": float(only_first), "only_second": float(only_second)}
    return PairedTest("McNemar, exact", float(a.mean() - b.mean()), p_value, counts)


def paired_splits_test(first: Sequence[float], second: Sequence[float], *, test_over_train: float) -> PairedTest:
    """Test whether two methods that were trained and judged on the same splits differ.

    Parameters
    ----------
    first, second : sequence of float
        An accuracy for each split.
    test_over_train : float
        Test images of a split over its training images.

    Raises
    ------
    ValueError
        If there are fewer than two splits, or the sequences differ in length.

    Notes
    -----
    C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 2003: Student's t test whose
    variance is enlarged, as random splits share their images.
    """
    from scipy.stats import t

    check_real("test_over_train", test_over_train, minimum=0, open_minimum=True)
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f"first and second must have an accuracy for each of two splits or more, got {a} and {b}")
    differences = a - b
    mean, n = float(differences.mean()), len(differences)
    error = float(np.sqrt((1 / n + test_over_train) * differences.var(ddof=1)))
    # Without any spread, a difference is certain; and without a difference, there is none.
    certain = 1.0 if mean == 0 else 0.0
    p_value = float(2 * t.sf(abs(mean) / error, n - 1)) if error > 0 else certain
    details = {"n_splits": float(n), "standard_error": error}
    return PairedTest("t test over splits, corrected for their overlap", mean, p_value, details)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979: those
    below a level bound the chance of any false finding among them by it.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * float(p_values[place])))
        corrected[place] = highest
    return corrected


def _flags(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    flags = np.asarray(values)
    if flags.ndim != 1 or flags.dtype != bool or len(flags) == 0:
        raise ValueError(f"{name} must be booleans of shape (n,), n >= 1, got {flags.dtype} of shape {flags.shape}")
    return flags
