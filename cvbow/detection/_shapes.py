"""Which shapes of windows a class's boxes ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MAX_ITER = 50
#: Shapes whose proportions differ by less than this factor are one.
_APART = 1.15


def group_by_aspect(boxes: NDArray[np.float64], n_shapes: int) -> list[NDArray[np.intp]]:
    """Return the rows of boxes (n, 4) that a window of one shape is for, by k-means over the logarithm of the aspect.

    There are ``n_shapes`` groups or fewer: only such as differ.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    aspects = np.log(sides[:, 0] / sides[:, 1])
    for count in range(min(n_shapes, len(boxes)), 1, -1):
        centers, nearest = _cluster(aspects, count)
        if len(np.unique(nearest)) == count and np.diff(centers).min() >= np.log(_APART):
            return [np.flatnonzero(nearest == group) for group in range(count)]
    return [np.arange(len(boxes))]


def window_shape(boxes: NDArray[np.float64], n_cells: int) -> tuple[int, int]:
    """Return rows and columns of about ``n_cells`` cells in the mean proportions of boxes (n, 4)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    aspect = float(np.exp(np.log(sides[:, 0] / sides[:, 1]).mean()))
    aspect = float(np.clip(aspect, 1 / n_cells, n_cells))
    return max(1, round((n_cells / aspect) ** 0.5)), max(1, round((n_cells * aspect) ** 0.5))


def _cluster(values: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return k-means over numbers, begun at their quantiles: ascending centres, and the nearest of each number."""
    centers = np.quantile(values, (np.arange(count) + 0.5) / count)
    nearest = np.zeros(len(values), np.intp)
    for _ in range(_MAX_ITER):
        nearest = np.abs(values[:, None] - centers).argmin(axis=1)
        means = [
            values[nearest == group].mean() if (nearest == group).any() else centers[group] for group in range(count)
        ]
        if np.allclose(means, centers):
            break
        centers = np.array(means)
    return centers, nearest
