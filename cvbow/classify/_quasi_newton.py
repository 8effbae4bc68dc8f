"""What a minimum of many vectors is approached with, in few passes over them: L-BFGS on a sampled curvature.

J. Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of Computation 1980: earlier steps, and
how the gradient changed along them, tell of the curvature. What they correct is a first guess, which comes from a
sample of the vectors here: of its curvature, the largest eigenvalues are taken for those of all vectors, and for the
others the next one (M. A. Erdogdu and A. Montanari, "Convergence rates of sub-sampled Newton methods", NIPS 2015).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: Vectors of the sample, and how many of their directions are told apart from the rest.
SAMPLE, _DIRECTIONS = 600, 300
#: Steps that are remembered.
_REMEMBERED = 10
#: Eigenvalues below this share of the largest are rounding: of products of some hundred rows in float32.
_ROUNDING = 1e-5


def sample_rows(weights: Float) -> NDArray[np.intp]:
    """Return ``SAMPLE`` rows that count (n_rows,), or all, evenly spread."""
    counting = np.flatnonzero(weights > 0)
    n = min(SAMPLE, len(counting))
    return counting[np.arange(n) * len(counting) // max(n, 1)]


class SampledCurvature:
    """The matrix ``I + c sum_i w_i x_i x_i^T`` over inputs x, roughly: from a sample of them, for any factor c.

    Parameters
    ----------
    sample : ndarray of shape (m, d), float32
        Rows of the inputs; they are changed, as a copy would take much memory.
    weights : ndarray of shape (m,)
        Of the sample.
    total : float
        The weight of all the inputs.
    """

    def __init__(self, sample: NDArray[np.float32], weights: Float, total: float) -> None:
        rows = sample
        rows *= np.sqrt(weights).astype(np.float32)[:, None]
        values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
        least = _ROUNDING * max(float(values[-1]), float(np.finfo(np.float32).tiny))
        some = values > least
        some[:-_DIRECTIONS] = False
        self._directions = rows.T @ (vectors[:, some] / np.sqrt(values[some])).astype(np.float32)
        factor = total / weights.sum()
        self._values = factor * values[some]
        # What is left of a gradient beside these directions is no more exact than float32 is.
        self._rest = factor * max(float(values[~some].max(initial=0)), least)

    def solve(self, gradient: Float, curvature: Float) -> Float:
        """Return each column of the gradient (d, k) times the matrix's inverse, whose factor c is (k,) or (1,)."""
        rest = 1 / (1 + curvature * self._rest)
        along = (1 / (1 + curvature * self._values[:, None]) - rest) * (
            self._directions.T @ gradient.astype(np.float32)
        )
        return np.asarray(rest * gradient + self._directions @ along.astype(np.float32), np.float64)


class Remembered:
    """Steps (d, k) and the changes of the gradient along them: of k problems, or with ``joint`` of one."""

    def __init__(self, *, joint: bool = False) -> None:
        self.joint = joint
        self._pairs: deque[tuple[NDArray[np.float32], NDArray[np.float32], Float]] = deque(maxlen=_REMEMBERED)

    def dot(self, one: NDArray[np.floating], other: NDArray[np.floating]) -> Float:
        """Return the dot product of each column, or of all of them, (1,)."""
        products: Float = np.einsum("ij,ij->j", one, other, dtype=np.float64)
        return products.sum(keepdims=True) if self.joint else products

    def add(self, step: Float, change: Float) -> None:
        """Remember a step; where it does not tell of a curvature, it counts for nothing."""
        bend = self.dot(step, change)
        inverse = np.divide(1, bend, out=np.zeros_like(bend), where=bend > np.finfo(np.float32).tiny)
        self._pairs.append((step.astype(np.float32), change.astype(np.float32), inverse))

    def of(self, problems: NDArray[np.bool_]) -> Remembered:
        """Return what is remembered of some of the problems."""
        rest = Remembered()
        for step, change, inverse in self._pairs:
            rest._pairs.append((step[:, problems], change[:, problems], inverse[problems]))
        return rest

    def direction(self, gradient: Float, curvature: Float, guess: SampledCurvature) -> Float:
        """Return the step (d, k) towards the minimum that the gradient and what is remembered speak for.

        Where that leads uphill, by rounding, as with vectors of very different lengths, what is remembered is given up,
        and, where that is not enough, the guess.
        """
        result = self._corrected(gradient, curvature, guess)
        for by_guess in (True, False):
            uphill = self.dot(result, gradient) > 0
            if not uphill.any():
                break
            for _, _, inverse in self._pairs:
                inverse[uphill] = 0
            result = np.where(uphill, -(guess.solve(gradient, curvature) if by_guess else gradient), result)
        return result

    def _corrected(self, gradient: Float, curvature: Float, guess: SampledCurvature) -> Float:
        result = gradient.copy()
        shares = []
        for step, change, inverse in reversed(self._pairs):
            shares.append(inverse * self.dot(step, result))
            result -= shares[-1] * change
        result = guess.solve(result, curvature)
        for (step, change, inverse), share in zip(self._pairs, reversed(shares), strict=True):
            result += (share - inverse * self.dot(change, result)) * step
        return np.negative(result, out=result)
