"""Shares of points, spread over the pixels that the points were described by.

F. Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984: a square is the sum of its four corners.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def supports(points: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return the squares of whole pixels that points (n, 4) cover in an image of height and width ``shape``.

    Shape (n, 4): left, top, right and bottom, right and bottom excluded; their side is the point's size, cut at the
    image's edge, and at least a pixel.
    """
    height, width = shape
    # A pixel spans half a pixel around its centre, which is at an integer.
    middle, half = points[:, :2].astype(np.float64) + 0.5, np.maximum(points[:, 2:3].astype(np.float64), 1) / 2
    limit = np.array([width, height])
    # To the nearest pixels; of two that are as near to the lower, so that a point moved by a pixel moves its square.
    first = np.clip(np.ceil(middle - half - 0.5), 0, limit - 1)
    last = np.clip(np.ceil(middle + half - 0.5), first + 1, limit)
    return np.hstack([first, last]).astype(np.intp)


def spread(boxes: NDArray[np.intp], shares: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a map (H, W) with each share (n,) spread evenly over its box (n, 4)."""
    height, width = shape
    left, top, right, bottom = boxes.T
    density = shares / ((right - left) * (bottom - top))
    corners = np.zeros((height + 1) * (width + 1))
    for x, y, sign in ((left, top, 1), (right, top, -1), (left, bottom, -1), (right, bottom, 1)):
        corners += np.bincount(y * (width + 1) + x, sign * density, len(corners))
    grid = corners.reshape(height + 1, width + 1)
    return np.asarray(grid.cumsum(axis=0).cumsum(axis=1)[:height, :width])
