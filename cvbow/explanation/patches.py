"""The part of an image that a point stands for, as a small picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: A point of a smaller size, in pixels, is shown with what is around it.
_LEAST_SIZE = 8.0
#: Of the gray values of a patch at even contrast; what deviates by less than the least is plain, and stays so.
_MIDDLE, _DEVIATION, _LEAST_DEVIATION = 128, 50, 6


def cut_patch(image: NDArray[np.uint8], point: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """Return the square of a point's size around it, turned upright by its angle, at ``side`` pixels a side.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
    point : ndarray of shape (4,)
        x, y, size and angle, as ``Features.points``; at least 8 pixels are shown.
    side : int

    Returns
    -------
    ndarray of shape (side, side) or (side, side, 3), uint8
        What lies outside of the image is as its edge.
    """
    x, y, size = (float(value) for value in point[:3])
    angle = np.deg2rad(max(float(point[3]), 0.0))
    size = max(size, _LEAST_SIZE)
    shrink = int(size // side)
    if shrink > 1:
        image, x, y, size = _shrunk(image, x, y, size, shrink)
    scale = size / side
    along = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # The middle of the patch, between the pixels if there are evenly many, is the point.
    offset = np.array([x, y]) - along @ np.full(2, (side - 1) / 2)
    patch = cv2.warpAffine(
        image,
        np.column_stack([along, offset]),
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(patch, np.uint8)


def even_contrast(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return gray patches (n, side, side), uint8, at one brightness and contrast; others as they are.

    Descriptors of gray patches do not see brightness and contrast; those of colour may.
    """
    if patches.ndim != 3:
        return patches
    values = patches.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    deviation = values.std(axis=(1, 2), keepdims=True)
    values *= _DEVIATION / np.maximum(deviation, _LEAST_DEVIATION)
    return np.asarray(np.clip(np.rint(values + _MIDDLE), 0, 255), np.uint8)


def _shrunk(
    image: NDArray[np.uint8], x: float, y: float, size: float, factor: int
) -> tuple[NDArray[np.uint8], float, float, float]:
    """Return what lies around a point, smaller by a factor, and where the point is in it: so nothing is aliased."""
    half = int(np.ceil(size * 0.75)) + 2 * factor
    left, top = round(x) - half, round(y) - half
    side = -(-(2 * half + 1) // factor) * factor
    rows = np.clip(np.arange(top, top + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    around = cv2.resize(image[rows[:, None], columns], (side // factor, side // factor), interpolation=cv2.INTER_AREA)
    # Pixel centres are integers, so it is the edge at -1/2 that scales onto itself.
    x, y = ((at + 0.5) / factor - 0.5 for at in (x - left, y - top))
    return np.asarray(around, np.uint8), x, y, size / factor
