"""How sure a figure is, and whether two methods differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_real


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


def accuracy_interval(right: ArrayLike, labels: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return the mean class accuracy with an interval over the test images.

    The classes' sizes belong to the benchmark, so chance is within the classes alone. What another training set would
    have given is not in it.

    Parameters
    ----------
    right : array of bool, shape (n,)
        Whether each test image was answered rightly.
    labels : array of shape (n,)
        True classes.
    confidence : float, default 0.95
        Above 0 and below 1.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If the arrays differ in length or are empty, or `confidence` is not between 0 and 1.

    Notes
    -----
    Wilson's interval for as many images as would give a plain share the variance that the mean over the classes has; as
    E. Korn and B. Graubard do for surveys ("Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data", Survey Methodology 1998). A class all of whose answers are right has a variance
    all the same: its share is drawn towards that of all classes, by z^2 images. So 89 right answers of 89 in classes of
    one size give Wilson's 0.959 to 1, where a bootstrap resamples nothing but right answers and finds 1 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.experiments.significance import accuracy_interval
    >>> found = accuracy_interval(np.ones(90, bool), np.repeat(["a", "b", "c"], 30))
    >>> round(found.low, 3), found.figure, found.high
    (0.959, 1.0, 1.0)
    """
    check_real("confidence", confidence, minimum=0, maximum=1, open_minimum=True)
    if confidence == 1:
        raise ValueError(f"confidence must be below 1, got {confidence!r}")
    hits = _flags("right", right)
    names = np.asarray(labels)
    if names.shape != hits.shape:
        raise ValueError(f"labels must have one for each of {len(hits)} answers, got shape {names.shape}")
    classes, index = np.unique(names, return_inverse=True)
    sizes, n_right = np.bincount(index), np.bincount(index, hits)
    figure, pull = float((n_right / sizes).mean()), NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    # Were the shares of all classes alike, their mean would be worth so many images.
    alike = len(classes) ** 2 / (1 / sizes).sum()
    shares = (n_right + pull * (figure * alike + pull / 2) / (alike + pull)) / (sizes + pull)
    variance = (shares * (1 - shares) / sizes).sum() / len(classes) ** 2
    low, high = wilson_interval(figure, float(shares.mean() * (1 - shares.mean()) / variance), confidence=confidence)
    return Interval(figure, low, high, float(confidence))


def wilson_interval(share: float, number: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the bounds of a share that was seen in so many trials.

    Notes
    -----
    E. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 1927.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z / (1 + z * z / number) * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    # Rounding must not put the share itself outside, nor a bound beyond 0 or 1.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


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
    variance is enlarged, as random splits share their images. The same difference in every split leaves no variance to
    judge it by; the p-value is then that of the sign test: chance gives all ``n`` of them one sign with probability
    ``2 ** (1 - n)``.
    """
    from scipy.stats import t

    check_real("test_over_train", test_over_train, minimum=0, open_minimum=True)
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f"first and second must have an accuracy for each of two splits or more, got {a} and {b}")
    differences = a - b
    mean, n = float(differences.mean()), len(differences)
    error = float(np.sqrt((1 / n + test_over_train) * differences.var(ddof=1)))
    # Equal differences of rounded numbers still differ by their rounding.
    if error > 1e-12:
        p_value = float(2 * t.sf(abs(mean) / error, n - 1))
    else:
        p_value = 1.0 if abs(mean) <= 1e-12 else 2.0 ** (1 - n)
    details = {"n_splits": float(n), "standard_error": error}
    return PairedTest("t test over splits, corrected for their overlap", mean, p_value, details)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979: those
    below a level bound the chance of any false finding among them by it.
    """
    found = np.asarray(p_values, np.float64)
    order = np.argsort(found, kind="stable")
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(np.maximum.accumulate(np.arange(len(found), 0, -1) * found[order]), 1)
    return list(map(float, corrected))


def _flags(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    flags = np.asarray(values)
    if flags.ndim != 1 or flags.dtype != bool or len(flags) == 0:
        raise ValueError(f"{name} must be booleans of shape (n,), n >= 1, got {flags.dtype} of shape {flags.shape}")
    return flags
