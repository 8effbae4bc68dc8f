"""Patches around points, from the level of an image pyramid that is fine enough for them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def level_of(spacing: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the level of the pyramid, (n,), in which samples ``spacing`` pixels apart are about one pixel apart."""
    return np.maximum(0, np.floor(np.log2(np.maximum(spacing, 1)))).astype(np.intp)


def pyramid(image: NDArray[np.uint8], n_levels: int) -> list[NDArray[np.float32]]:
    """Return the image and ``n_levels`` smaller ones, each half as large and smoothed before; float32.

    Pixel (x, y) of a level lies at 2^level (x, y) of the image.
    """
    levels = [image.astype(np.float32)]
    for _ in range(n_levels):
        levels.append(cv2.pyrDown(levels[-1]))
    return levels


def sample_patches(
    pixels: NDArray[np.float32], level: int, points: NDArray[np.float32], spacing: NDArray[np.float32], side: int
) -> NDArray[np.float32]:
    """Sample a square of ``side`` x ``side`` values around each point, bilinear; outside, the border goes on.

    ``pixels`` are a level of the pyramid; ``points`` (n, 4) and the ``spacing`` (n,) of the samples are in pixels of
    the image itself, and the angle turns the square (-1: none). The values are (n, side * side), row by row.
    """
    offsets = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
    down, right = (each.ravel() for each in np.meshgrid(offsets, offsets, indexing="ij"))
    angle = np.deg2rad(np.where(points[:, 3] < 0, 0, points[:, 3]).astype(np.float32))
    step = spacing / np.float32(2**level)
    along_x, along_y = (step * np.cos(angle))[:, None], (step * np.sin(angle))[:, None]
    center = points[:, :2] / np.float32(2**level)
    x = center[:, :1] + along_x * right - along_y * down
    y = center[:, 1:2] + along_y * right + along_x * down
    patches = np.empty((len(points), side * side), np.float32)
    for top in range(0, len(points), 32_000):
        # OpenCV's remap counts rows in 16 bits.
        part = slice(top, top + 32_000)
        patches[part] = cv2.remap(pixels, x[part], y[part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return patches
