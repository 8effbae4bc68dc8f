"""What the probabilities around a super-pixel say about it: neighbours, the rest of its class, and colours alike.

Z. Tu and X. Bai, "Auto-context and its application to high-level vision tasks and 3D brain image segmentation", PAMI
2010: a classifier learns from what another one, that has not seen the image, thinks of it. The colours of an image's
own classes are those of C. Rother, V. Kolmogorov and A. Blake, "GrabCut", SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.segmentation._description import Described

#: Steps over neighbours.
_HOPS = (1, 2, 4, 8)
#: Of the image's diagonal: standard deviations of a smoothing, and how far from the super-pixel it is looked at.
_STARS = ((0.02, (0.05,)), (0.04, (0.1, 0.2, 0.35)))
_DIRECTIONS = 8
#: What stands for a probability beyond the image.
_BEYOND = -0.2
#: How alike colours are: the standard deviation in L*a*b* of [0, 1], and how little lightness counts beside it.
_ALIKE, _LIGHTNESS = 0.04, 0.125
#: Colours that are compared with all others at a time.
_BLOCK = 512


def context(described: Described, near: Sequence[Any], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what probabilities (n, n_classes) tell of each super-pixel, (n, d), whose neighbourhoods are given.

    Of two classes, the second says all.
    """
    pixels = described.pixels
    columns = probabilities[:, 1:] if probabilities.shape[1] == 2 else probabilities
    area = pixels.area[:, None]
    weighed = columns * area
    parts = [columns]
    parts += [(near[hops - 1] @ weighed) / (near[hops - 1] @ area) for hops in _HOPS]
    parts.append(_of_like_colors(described.colors, weighed, area))
    height, width = pixels.labels.shape
    for values in weighed.T:
        parts += [_placed(pixels.centers, values, (width, height)), *_stars(described, values / area[:, 0])]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _of_like_colors(
    colors: NDArray[np.float32], weighed: NDArray[np.float32], area: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the mean probabilities of what has a like colour in the image."""
    scaled = colors * np.array([np.sqrt(_LIGHTNESS), 1, 1], np.float32) / np.float32(_ALIKE)
    found = np.empty_like(weighed)
    squares = np.einsum("ij,ij->i", scaled, scaled)
    for top in range(0, len(scaled), _BLOCK):
        rows = slice(top, top + _BLOCK)
        apart = np.maximum(squares[rows, None] + squares - 2 * scaled[rows] @ scaled.T, 0)
        alike = np.exp(-apart / 2)
        found[rows] = (alike @ weighed) / (alike @ area)
    return found


def _placed(centers: NDArray[np.float32], weights: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return where super-pixels are as seen from the middle of a class, in its own spread; and how large that is."""
    total = weights.sum() + 1e-6
    middle = (centers * weights[:, None]).sum(axis=0) / total
    spread = np.sqrt(((centers - middle) ** 2 * weights[:, None]).sum(axis=0) / total) + 1
    seen = (centers - middle) / spread
    whole = np.array([total / (size[0] * size[1]), *(spread / size)], np.float32)
    return np.column_stack([seen, np.abs(seen[:, 0]), np.broadcast_to(whole, (len(centers), 3))])


def _stars(described: Described, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the smoothed probabilities in eight directions and several distances around each super-pixel."""
    pixels = described.pixels
    height, width = pixels.labels.shape
    diagonal = float(np.hypot(height, width))
    image = values.astype(np.float32)[pixels.labels]
    turns = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    ways = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    found = []
    for deviation, distances in _STARS:
        smooth = cv2.GaussianBlur(image, (0, 0), max(deviation * diagonal, 0.5))
        for distance in distances:
            points = np.rint(pixels.centers[:, None] + distance * diagonal * ways).astype(np.intp)
            x, y = points[..., 0], points[..., 1]
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            seen = smooth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
            found.append(np.where(inside, seen, np.float32(_BEYOND)))
    return found
