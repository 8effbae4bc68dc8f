"""Points in the cells of grids, and pooling of their codes into the vectors of the cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

POOLINGS = ("average", "sum", "max")
#: For each grid, the cell of every point.
Cells = Sequence[NDArray[np.intp]]

Blocks = Iterable[tuple[slice, NDArray[np.float32]]]


def pool_sparse(
    words: NDArray[np.int32], weights: NDArray[np.float64], n_words: int, cells: Cells, n_cells: int, pooling: str
) -> NDArray[np.float64]:
    """Pool codes that are zero but for a few words of each point, different ones in each row (n, k).

    The result is (n_cells, n_words), zero for a cell without points. Weights may have any sign; under "max" the zeros
    of a code count as any value does.
    """
    length = n_cells * n_words
    flat = weights.ravel()
    places = [(cell[:, None] * n_words + words).ravel() for cell in cells]
    sizes = cell_sizes(cells, n_cells)[:, None]
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
    """Pool non-negative codes that have ``width`` values each, and are made block by block, to (n_cells, width).

    ``encode`` yields the codes (m, width) of one block of descriptors after another, and which rows they are. A cell
    without points is zero.
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
    return pooled / np.maximum(cell_sizes(cells, n_cells), 1)[:, None] if pooling == "average" else pooled


def cell_sizes(cells: Cells, n_cells: int) -> NDArray[np.intp]:
    """Return the number of points in each cell, shape (n_cells,)."""
    return np.asarray(sum(np.bincount(cell, minlength=n_cells) for cell in cells), np.intp)


def common_cells(cells: Cells, n_cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Group the points that lie in the same cell of every grid: a cell is the sum of its groups.

    Returns the points, group after group, (n,); where each group begins, (n_groups + 1,); and each group's cell in
    every grid, (n_groups, n_grids).
    """
    group = cells[0]
    for cell in cells[1:]:
        # Numbered anew for each grid, so that the numbers stay below n * n_cells however many grids there are.
        group = np.unique(group * n_cells + cell, return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
    members = np.stack([cell[order[starts]] for cell in cells], axis=1)
    return order, np.append(starts, len(order)), members
