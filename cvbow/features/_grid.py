"""The geometry of a dense grid of SIFT descriptors, and the operators that pool an image onto it.

Along one axis, a descriptor has four bins of ``bin_size`` pixels, ``bin_size`` apart. A bin weights the pixels around
its centre by a triangle (the bilinear binning of SIFT's definition), and by a window that is centred on the
descriptor: a Gaussian, or its mean over the bin ("flat", which lets neighbouring descriptors share their bins).
Pooling is separable, so along each axis it is a banded matrix of shape (n_bins, n_pixels).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_BINS = 4
#: Rows pooled by one matrix product, a multiple of what BLAS computes together: more rows waste work outside the band.
_ROWS = 4


@dataclass(frozen=True, eq=False)
class AxisGrid:
    """Descriptors along one axis.

    ``centers`` (n,) are those of the descriptors in pixels; ``bins`` (n, 4) the rows of the pooled image that are the
    four bins of each; ``bands`` the banded operator in blocks: rows of the result, pixels they draw on, and their
    weights.
    """

    centers: NDArray[np.float32]
    bins: NDArray[np.intp]
    bands: tuple[tuple[slice, slice, NDArray[np.float32]], ...]
    n_rows: int


def bin_centers(length: int, step: int, bin_size: int) -> NDArray[np.intp]:
    """Return the middle pixels of the four bins of each descriptor along an axis of ``length`` pixels, shape (n, 4).

    There are as many descriptors as have all four inside the image, and they lie in the middle of the axis.
    """
    span = (N_BINS - 1) * bin_size
    n = (length - 1 - span) // step + 1 if length > span else 0
    first = (length - 1 - span - (n - 1) * step) // 2
    return first + step * np.arange(n)[:, None] + bin_size * np.arange(N_BINS)


@functools.lru_cache(maxsize=512)
def axis_grid(length: int, step: int, bin_size: int, window: str, window_size: float) -> AxisGrid:
    """Return the grid along an axis of ``length`` pixels.

    The triangles of the outer bins may reach over the image's edge, where they have nothing to weight.
    """
    centers = bin_centers(length, step, bin_size)
    if window == "flat":
        positions, bins = np.unique(centers, return_inverse=True)
        bins = bins.reshape(centers.shape)
        profiles = np.broadcast_to(_triangle(bin_size), (len(positions), 2 * bin_size - 1))
    else:
        positions = centers.ravel()
        bins = np.arange(positions.size).reshape(centers.shape)
        profiles = np.tile(bin_profiles(bin_size, window, window_size), (len(centers), 1))
    bands = tuple(_bands(positions, profiles, length, bin_size))
    return AxisGrid(centers.mean(axis=1, dtype=np.float32), bins, bands, len(positions))


def bin_profiles(bin_size: int, window: str, window_size: float) -> NDArray[np.float64]:
    """Return what each of the four bins takes of the pixels around its middle, shape (4, 2 * bin_size - 1)."""
    weights = _gaussian(bin_size, window_size)
    if window == "flat":
        weights = weights.mean(axis=1, keepdims=True)
    return np.asarray(_triangle(bin_size) * weights)


def flat_window(bin_size: int, window_size: float) -> NDArray[np.float32]:
    """Return the mean of the Gaussian window over each of the four bins, shape (4,)."""
    return np.asarray(_gaussian(bin_size, window_size).mean(axis=1), np.float32)


def _triangle(bin_size: int) -> NDArray[np.float64]:
    offsets = np.arange(1 - bin_size, bin_size)
    return np.asarray(1 - np.abs(offsets) / bin_size)


def _gaussian(bin_size: int, window_size: float) -> NDArray[np.float64]:
    """Return the window over the pixels of each bin, shape (4, 2 * bin_size - 1); window_size is sigma in bins."""
    offsets = np.arange(1 - bin_size, bin_size)
    centers = bin_size * (np.arange(N_BINS) - (N_BINS - 1) / 2)
    return np.asarray(np.exp(-0.5 * ((centers[:, None] + offsets) / (window_size * bin_size)) ** 2))


def _bands(
    positions: NDArray[np.intp], profiles: NDArray[np.float64], length: int, bin_size: int
) -> list[tuple[slice, slice, NDArray[np.float32]]]:
    bands = []
    for top in range(0, len(positions), _ROWS):
        block = positions[top : top + _ROWS]
        low = max(0, int(block.min()) - bin_size + 1)
        high = min(length, int(block.max()) + bin_size)
        columns = block[:, None] + np.arange(1 - bin_size, bin_size)
        inside = (columns >= 0) & (columns < length)
        weights = np.zeros((len(block), high - low), np.float32)
        rows = np.broadcast_to(np.arange(len(block))[:, None], columns.shape)
        weights[rows[inside], columns[inside] - low] = profiles[top : top + _ROWS][inside]
        bands.append((slice(top, top + len(block)), slice(low, high), weights))
    return bands
