"""The arithmetic of ZCA whitening, of descriptors and of whole images alike.

A. Bell and T. Sejnowski, "The independent components of natural scenes are edge filters", Vision Research, 1997.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["principal_directions", "principal_directions_of_few"]

_ROWS = 8192

Float64 = NDArray[np.float64]


def principal_directions(data: NDArray[np.float32]) -> tuple[Float64, Float64, Float64]:
    """Return the mean (k,), variances (k,) and principal directions (k, k), as columns, of rows (n, k).

    Variances are by n - 1, ascending, and may fall below zero by rounding.
    """
    mean = data.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((data.shape[1], data.shape[1]))
    for top in range(0, len(data), _ROWS):
        centered = data[top : top + _ROWS] - mean
        covariance += centered.T @ centered
    variances, directions = np.linalg.eigh(covariance / max(len(data) - 1, 1))
    return mean, variances, directions


def principal_directions_of_few(data: NDArray[np.float32]) -> tuple[Float64, Float64, Float64]:
    """Return the same of n < k rows, in memory of n * k: variances (r,) above zero and their directions (k, r).

    The other directions have no variance.
    """
    mean = data.mean(axis=0, dtype=np.float64)
    centered = data - mean
    _, singular, directions = np.linalg.svd(centered, full_matrices=False)
    kept = singular > singular.max(initial=0) * max(data.shape) * np.finfo(np.float64).eps
    variances = singular[kept] ** 2 / max(len(data) - 1, 1)
    return mean, variances, directions[kept].T
