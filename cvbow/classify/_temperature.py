"""Probabilities from decision values: a softmax with one learned factor.

C. Guo et al., "On calibration of modern neural networks", ICML 2017. One positive factor for all classes leaves their
order as it is, so the most probable class is always the predicted one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax of each row of (n, n_classes)."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def log_sums(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the sum of the exponentials of each row of (n, n_classes), (n,)."""
    top = scores.max(axis=1)
    return np.asarray(top + np.log(np.exp(scores - top[:, None]).sum(axis=1)))


def fit_temperature(
    decisions: NDArray[np.float64], labels: NDArray[np.intp], weights: NDArray[np.float64] | None = None
) -> float:
    """Return the factor of the decision values (n, n_classes) that makes the softmax fit the labels best.

    The decisions must come from models that have not seen these vectors; the factor lies in [0.01, 100]. As in Platt's
    scaling (1999), a class with m vectors is fitted to the probability (m + 1) / (m + 2), the rest shared by the other
    classes, so that a handful of right answers does not count as certainty. With ``weights`` (n,) a vector counts so
    many times.
    """
    from scipy.optimize import minimize_scalar

    counts = np.bincount(labels, weights, minlength=decisions.shape[1])[labels]
    wanted = np.repeat(1 / ((counts + 2.0) * (decisions.shape[1] - 1)), decisions.shape[1]).reshape(decisions.shape)
    wanted[np.arange(len(labels)), labels] = (counts + 1) / (counts + 2)

    def loss(log_factor: float) -> float:
        scores = decisions * np.exp(log_factor)
        return float(np.average(log_sums(scores) - (wanted * scores).sum(axis=1), weights=weights))

    found = minimize_scalar(loss, bounds=(np.log(0.01), np.log(100.0)), method="bounded")
    return float(np.exp(found.x))
