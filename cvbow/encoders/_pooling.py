"""Pooling of the codes of points into the vectors of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.encoders._cells import common_cells

POOLINGS = ("average", "sum", "max")

Cells = Sequence[NDArray[np.intp]]
Blocks = Iterable[tuple[slice, NDArray[np.float32]]]


def pool_sparse(
    words: NDArray[np.int32], weights: NDArray[np.float64], n_words: int, cells: Cells, n_cells: int, pooling: str
) -> NDArray[np.float64]:
    """Pool codes that are zero but for a few words of each point.

    Parameters
    ----------
    words : ndarray of shape (n, k), int32
        Different ones in each row.
    weights : ndarray of shape (n, k), float64
        Values of the code at those words; any sign.
    n_words : int
        Length of a code.
    cells : sequence of ndarray of shape (n,), intp
        For each grid, the cell of every point.
    n_cells : int
    pooling : {"average", "sum", "max"}

    Returns
    -------
    ndarray of shape (n_cells, n_words), float64
        Zero for a cell without points. Under "max" the zeros of a code count as any value does.
    """
    length = n_cells * n_words
    flat = weights.ravel()
    places = [(cell[:, None] * n_words + words).ravel() for cell in cells]
    sizes = _sizes(cells, n_cells)
    if pooling == "max":
        highest, users = np.full(length, -np.inf), np.zeros(length, np.intp)
        for place in places:
            np.maximum.at(highest, place, flat)
            users += np.bincount(place, minlength=length)
        maxima = highest.reshape(n_cells, n_words)
        with_zeros = (users.reshape(n_cells, n_words) < sizes) | (sizes == 0)
        np.maximum(maxima, 0, out=maxima, where=with_zeros)
        return maxima
    total = np.zeros(length)
    for place in places:
        total += np.bincount(place, flat, length)
    sums = total.reshape(n_cells, n_words)
    return sums / np.maximum(sizes, 1) if pooling == "average" else sums


def pool_dense(
    encode: Callable[[NDArray[np.float32]], Blocks],
    descriptors: NDArray[np.float32],
    width: int,
    cells: Cells,
    n_cells: int,
    pooling: str,
) -> NDArray[np.float64]:
    """Pool non-negative codes that have a value for every word, and are made block by block.

    Parameters
    ----------
    encode : callable
        Yields the codes of one block of descriptors after another: the rows (a slice), and float32 codes (m, width).
    descriptors : ndarray of shape (n, size), float32
    width : int
        Length of a code.
    cells, n_cells, pooling
        As in ``pool_sparse``.

    Returns
    -------
    ndarray of shape (n_cells, width), float64
        Zero for a cell without points.
    """
    pooled = np.zeros((n_cells, width))
    # Each code is pooled once, with those that share its cells in all grids, and the result goes to these cells.
    order, bounds, members = common_cells(cells, n_cells)
    if len(members) > 1:
        descriptors = descriptors[order]
    for rows, codes in encode(descriptors):
        first = np.searchsorted(bounds, rows.start, side="right") - 1
        last = np.searchsorted(bounds, rows.stop, side="left")
        for group in range(first, last):
            part = codes[max(bounds[group] - rows.start, 0) : bounds[group + 1] - rows.start]
            value = part.max(axis=0) if pooling == "max" else part.sum(axis=0)
            for cell in members[group]:
                if pooling == "max":
                    np.maximum(pooled[cell], value, out=pooled[cell])
                else:
                    pooled[cell] += value
    return pooled / np.maximum(_sizes(cells, n_cells), 1) if pooling == "average" else pooled


def _sizes(cells: Cells, n_cells: int) -> NDArray[np.intp]:
    """Return the number of points in each cell, shape (n_cells, 1)."""
    sizes = np.zeros(n_cells, np.intp)
    for cell in cells:
        sizes += np.bincount(cell, minlength=n_cells)
    return sizes[:, None]
