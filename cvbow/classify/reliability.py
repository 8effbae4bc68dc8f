"""Whether a classifier's probabilities can be believed: how often answers are right that it is so sure of.

M. Naeini, G. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often answers of like confidence are right, in equally wide bins of confidence.

    Attributes
    ----------
    counts : ndarray of shape (n_bins,), int
        Answers in each bin.
    confidence : ndarray of shape (n_bins,), float64
        Their mean confidence; NaN where there are none.
    accuracy : ndarray of shape (n_bins,), float64
        The share of them that are right; NaN where there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import reliability
    >>> found = reliability(np.array([0.95, 0.95, 0.65, 0.65]), np.array([True, True, True, False]))
    >>> found.counts[[6, 9]].tolist(), round(found.calibration_error, 2)
    ([2, 2], 0.1)
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: the mean over answers of their bin's abs(accuracy - confidence)."""
        return float(np.nansum(self.counts * np.abs(self.accuracy - self.confidence)) / self.counts.sum())

    @property
    def mean_confidence(self) -> float:
        """Mean confidence of all answers."""
        return float(np.nansum(self.counts * self.confidence) / self.counts.sum())

    @property
    def mean_accuracy(self) -> float:
        """Share of right answers among all."""
        return float(np.nansum(self.counts * self.accuracy) / self.counts.sum())


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_], *, n_bins: int = 10) -> Reliability:
    """Sort answers into ``n_bins`` bins of confidence, each with its lower bound, the last one also with 1.

    ``confidence`` is the probability in [0, 1] that the classifier gave its answer, and ``right`` whether it is right;
    both are of shape (n_answers,).

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import reliability
    >>> reliability(np.array([0.2, 1.0]), np.array([False, True]), n_bins=2).counts.tolist()
    [1, 1]
    """
    # A ratio just below a bound can round up to it in the product; digitize compares with the bounds themselves.
    bounds = np.arange(1, n_bins) / n_bins
    bins = np.digitize(confidence, bounds)
    counts = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            counts,
            np.bincount(bins, weights=confidence, minlength=n_bins) / counts,
            np.bincount(bins, weights=right, minlength=n_bins) / counts,
        )
