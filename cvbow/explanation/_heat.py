"""Shares of points, spread over the pixels that the points were described by.

F. Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984: a square is the sum of its four corners.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.images import to_gray

#: Gray values from a pixel to the next that each pixel is taken to have besides its own, as 8 bits are no finer: so in
#: a flat part, where there is nothing else, all pixels count alike.
_LEAST = 1.0


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


def densities(
    pools_gradients: NDArray[np.bool_], image: NDArray[np.uint8]
) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Return the rows of points that pool alike, and how much each pixel of the image counts for them, (H, W)."""
    found = []
    for which, is_even in ((~pools_gradients, True), (pools_gradients, False)):
        if which.any():
            found.append((np.flatnonzero(which), np.ones(image.shape[:2]) if is_even else gradients(image)))
    return found


def gradients(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the gradient's strength at each pixel of an image (H, W) or (H, W, 3), in gray values a pixel, plus 1."""
    gray = to_gray(image, floats=False).astype(np.float64)
    padded = np.pad(gray, 1, "edge")
    along = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    return np.asarray(np.hypot(*along) + _LEAST)


def spread(boxes: NDArray[np.intp], shares: NDArray[np.float64], density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a map (H, W) with each share (n,) spread over its box (n, 4) in proportion to a density (H, W) above 0."""
    height, width = density.shape
    left, top, right, bottom = boxes.T
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = density.cumsum(axis=0).cumsum(axis=1)
    each = shares / (sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])
    corners = np.zeros((height + 1) * (width + 1))
    for x, y, sign in ((left, top, 1), (right, top, -1), (left, bottom, -1), (right, bottom, 1)):
        corners += np.bincount(y * (width + 1) + x, sign * each, len(corners))
    grid = corners.reshape(height + 1, width + 1).cumsum(axis=0).cumsum(axis=1)
    return np.asarray(density * grid[:height, :width])
