"""The kernel of a diagonal Gaussian mixture: log-densities and posteriors of many descriptors, by matrix products.

``log w_j N(x; m_j, v_j)`` is linear in ``[x, x^2, 1]``, so a block of descriptors is one product with a prepared
matrix, and the sums that EM and the Fisher vector need are one product of the posteriors with the same rows. Both work
on blocks that stay in a core's cache; the blocks are cut from shapes alone, so results do not depend on threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.features import Mirror

#: Values of a block's largest matrix, 1 MB of float32: with the other one, a core's second-level cache.
_BLOCK = 1 << 18
#: Posteriors up to this are zero: no sum shows them.
_LEAST_POSTERIOR = 1e-12
#: Lowest logarithm of a posterior that is looked at: float32's denormal numbers, which begin below, are slow.
_LEAST_LOG = np.float32(-80)


@dataclass(frozen=True)
class Block:
    """Some rows of the descriptors, from start to stop; the arrays are overwritten by the next block.

    ``columns`` (2 k + 1, m) are z, z^2 and 1, for the standardised descriptors z, and ``posteriors`` (n_components, m):
    a column for each descriptor, so that whatever is done with single values, means or sums runs along rows that are
    long and contiguous. ``log_density`` (m,) is that of z, without the k log(2 pi) / 2 of the normal density.
    """

    start: int
    stop: int
    columns: NDArray[np.float32]
    posteriors: NDArray[np.float32]
    log_density: NDArray[np.float32]


class Mixture:
    """A diagonal Gaussian mixture, prepared once for many queries.

    Standardised descriptors are ``z = (x - center) / scale``, from the mixture's own mean and its variance averaged
    over the dimensions: float32's digits serve the differences that decide, and nothing overflows. ``weights``,
    ``means`` and ``variances`` are those of z, in float64. Where Gaussians come in pairs, ``mirror`` is that of z
    too, and ``mirror_of_sums`` that of sums over z, z^2 and 1. ``operator`` (n_components, 2 k + 1) makes the
    logarithms of the joint densities out of z, z^2 and 1.
    """

    #: z is taken as at most this, either way: squares stay finite.
    farthest = np.float32(1e4)

    def __init__(
        self,
        weights: NDArray[np.floating],
        means: NDArray[np.floating],
        variances: NDArray[np.floating],
        mirror: Mirror | None = None,
    ) -> None:
        self.weights = np.asarray(weights, np.float64)
        means, variances = np.asarray(means, np.float64), np.asarray(variances, np.float64)
        center = self.weights @ means
        if mirror is not None:
            # Their own mirror, of which rounding would leave something over.
            center = (center + mirror.apply(center)) / 2
        self.mirror = mirror
        self.mirror_of_sums = None if mirror is None else mirror_of_sums(mirror)
        self.center = center.astype(np.float32)
        self._center_column = np.ascontiguousarray(self.center[:, None])
        offsets = means - self.center
        spread = float(np.sqrt((self.weights @ (variances + offsets**2)).mean()))
        # As float32 holds both it and its inverse.
        self.inverse = np.float32(1 / min(max(spread, 1e-37), 1e37))
        self.scale = 1 / float(self.inverse)
        self.means = offsets / self.scale
        self.variances = variances / self.scale**2
        bias = np.log(self.weights) - 0.5 * (np.log(self.variances) + self.means**2 / self.variances).sum(axis=1)
        operator = np.hstack([self.means / self.variances, -0.5 / self.variances, bias[:, None]])
        self.operator = np.ascontiguousarray(operator, np.float32)

    def blocks(self, descriptors: NDArray[np.float32], *, threshold: float = 0.0) -> Iterator[Block]:
        """Yield the posteriors of descriptors (n, k), a block of them at a time; those up to ``threshold`` are zero."""
        n, k = descriptors.shape
        n_components = len(self.weights)
        # Whole vectors of 16 floats in each row of a full block.
        size = min(n, max(32, _BLOCK // max(n_components, 2 * k + 1) // 16 * 16))
        columns_buffer, scores_buffer = (np.empty(count * size, np.float32) for count in (2 * k + 1, n_components))
        for start in range(0, n, size):
            m = min(size, n - start)
            # A block that is not full takes the front of the buffers: its rows are contiguous too.
            columns = columns_buffer[: (2 * k + 1) * m].reshape(2 * k + 1, m)
            scores = scores_buffer[: n_components * m].reshape(n_components, m)
            self._standardize(descriptors[start : start + m], columns[:k])
            np.square(columns[:k], out=columns[k : 2 * k])
            columns[2 * k] = 1
            np.matmul(self.operator, columns, out=scores)
            log_density = _posteriors(scores, max(threshold, _LEAST_POSTERIOR))
            yield Block(start, start + m, columns, scores, log_density)

    def _standardize(self, descriptors: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        cv2.transpose(descriptors, dst=out)  # by tiles, which a transposed copy of NumPy's is not
        with np.errstate(over="ignore"):
            np.subtract(out, self._center_column, out=out)
            np.multiply(out, self.inverse, out=out)
        np.clip(out, -self.farthest, self.farthest, out=out)


def mirror_of_sums(mirror: Mirror) -> Mirror:
    """Return what a mirror of descriptors does to sums over z, z^2 and 1, in this order."""
    return mirror.joined(Mirror.of_order(np.append(mirror.order, len(mirror.order))))


def _posteriors(scores: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Turn columns of log joint densities into posteriors, in place; return the log of each column's sum."""
    largest = scores.max(axis=0)
    scores -= largest
    np.maximum(scores, _LEAST_LOG, out=scores)
    np.exp(scores, out=scores)
    total = scores.sum(axis=0)
    scores *= np.reciprocal(total)
    # OpenCV's keeps what is above the threshold in one vectorised pass, which NumPy's masked assignment is not.
    cv2.threshold(scores, threshold, 0, cv2.THRESH_TOZERO, dst=scores)
    return np.asarray(largest + np.log(total))
