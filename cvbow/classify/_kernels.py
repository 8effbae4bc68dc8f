"""Kernel matrices between sets of vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["KERNELS", "kernel_matrix"]

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
    import cv2

    # OpenCV's is the one L1 distance at hand that is vectorised, in float32, and in parallel.
    distances, _ = cv2.batchDistance(a, b, cv2.CV_32F, normType=cv2.NORM_L1, K=0)
    return np.asarray(distances, np.float64)


def _chi2_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    from sklearn.metrics.pairwise import pairwise_kernels

    from cvbow.parallel import local_threads

    kernel = pairwise_kernels(a, b, metric="additive_chi2", n_jobs=local_threads(None))
    return np.asarray(-kernel, np.float64)
