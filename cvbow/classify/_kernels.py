"""Kernel matrices between sets of vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cvbow.parallel import local_threads, map_threads

__all__ = ["KERNELS", "kernel_matrix"]

_ROWS = 64
KERNELS = ("chi2", "intersection", "rbf")


def kernel_matrix(
    kernel: str, a: NDArray[np.float32], b: NDArray[np.float32], gamma: float | None
) -> tuple[NDArray[np.float64], float]:
    """Return the kernel between the rows of ``a`` (n, d) and ``b`` (m, d), shape (n, m), and gamma.

    A gamma of None becomes 1 over the mean distance. "intersection" has no gamma and returns 1.

    Raises
    ------
    ValueError
        If the kernel is for non-negative vectors and these are not.
    """
    if kernel == "rbf":
        return _exponential(_squared_distances(a, b), gamma)
    if a.min() < 0 or b.min() < 0:
        raise ValueError(f"X must be non-negative for the kernel {kernel}, got {min(a.min(), b.min()):g}")
    if kernel == "intersection":
        # min(x, y) = (x + y - |x - y|) / 2
        sums = a.sum(axis=1, dtype=np.float64)[:, None] + b.sum(axis=1, dtype=np.float64)
        return 0.5 * (sums - _l1_distances(a, b)), 1.0
    return _exponential(_chi2_distances(a, b), gamma)


def _exponential(distances: NDArray[np.float64], gamma: float | None) -> tuple[NDArray[np.float64], float]:
    if gamma is None:
        mean = float(distances.mean())
        gamma = 1 / mean if mean > 0 else 1.0
    return np.exp(-gamma * distances), float(gamma)


def _squared_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    from sklearn.metrics.pairwise import euclidean_distances

    distances: NDArray[np.float64] = euclidean_distances(a, b, squared=True).astype(np.float64)
    return distances


def _l1_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    left, right = a.astype(np.float64), b.astype(np.float64)
    return _by_rows(lambda rows: cdist(left[rows], right, "cityblock"), len(a), len(b))


def _chi2_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    from sklearn.metrics.pairwise import additive_chi2_kernel

    # It does not take an array that is read-only, as those are that joblib shares among processes.
    left, right = np.require(a, requirements="W"), np.require(b, requirements="W")
    return _by_rows(lambda rows: -additive_chi2_kernel(left[rows], right), len(a), len(b))


def _by_rows(distances: Callable[[slice], NDArray[np.floating]], n: int, m: int) -> NDArray[np.float64]:
    """Compute a matrix (n, m) in blocks of rows, on threads."""
    result = np.empty((n, m))

    def fill(rows: slice) -> None:
        result[rows] = distances(rows)

    map_threads(fill, [slice(top, min(top + _ROWS, n)) for top in range(0, n, _ROWS)], local_threads(None))
    return result
