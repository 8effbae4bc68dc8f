"""A label's probability from decision values, by a logistic curve, and the probability from which to give it.

J. Platt, "Probabilistic outputs for support vector machines", 1999.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The slope of a curve over decisions of deviation 1 lies between these.
_SLOPES = 1e-3, 1e3


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``1 / (1 + exp(-x))`` of each value."""
    from scipy.special import expit

    return np.asarray(expit(values), np.float64)


def fit_sigmoid(
    decisions: NDArray[np.float64], has: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Return the slope, above 0, and the offset of the logistic curve that fits best.

    It is over decisions (n,) of classifiers that have not seen the vectors. Where m have the label and l have it not,
    the curve is fitted to ``(m + 1) / (m + 2)`` and ``1 / (l + 2)``. With ``weights`` (n,) a vector counts so many
    times.
    """
    from scipy.optimize import minimize

    counts = np.ones(len(decisions)) if weights is None else weights
    there = counts @ has
    wanted = np.where(has, (there + 1) / (there + 2), 1 / (counts.sum() - there + 2))
    mean = np.average(decisions, weights=counts)
    deviation = float(np.sqrt(np.average((decisions - mean) ** 2, weights=counts)))
    # What varies by no more than its rounding does not vary.
    deviation = deviation if deviation > 1e-9 * float(np.abs(decisions).max()) else 1.0
    x = (decisions - mean) / deviation

    def loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = curve[0] * x + curve[1]
        losses = np.logaddexp(0, scores) - wanted * scores
        off = counts * (sigmoid(scores) - wanted) / counts.sum()
        return float(np.average(losses, weights=counts)), np.array([off @ x, off.sum()])

    share = float(np.average(wanted, weights=counts))
    start = np.array([1.0, np.log(share / (1 - share))])
    slope, offset = minimize(loss, start, jac=True, bounds=[_SLOPES, (None, None)]).x
    return float(slope / deviation), float(offset - slope * mean / deviation)


def best_threshold(
    probabilities: NDArray[np.float64], has: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> float:
    """Return the probability from which to give a label for the best F1: the middle between two of these (n,).

    Of several that are as good, the largest; with ``weights`` (n,) a vector counts so many times.
    """
    counts = np.ones(len(probabilities)) if weights is None else weights
    order = np.argsort(-probabilities, kind="stable")
    values = probabilities[order]
    last = np.flatnonzero(np.append(np.diff(values) != 0, True))
    hits, given = np.cumsum((counts * has)[order])[last], np.cumsum(counts[order])[last]
    best = int(np.argmax(2 * hits / (given + counts @ has)))
    below = values[last[best] + 1] if last[best] + 1 < len(values) else 0.0
    return float((values[last[best]] + below) / 2)
