"""Pooling of the codes of points into the vectors of cells.

A point is in one cell of every grid. Points that share their cells in all grids form a *group*: codes are pooled by
group first, each code once, and the few groups are then pooled into the cells of all grids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["POOLINGS", "Groups", "group_points", "pool_cells", "pool_dense", "pool_sparse"]

POOLINGS = ("average", "sum", "max")


@dataclass(frozen=True, eq=False)
class Groups:
    """Points by the cells that they are in.

    Attributes
    ----------
    of_point : ndarray of shape (n,), intp
        Group of each point; every group has a point.
    cells : ndarray of shape (n_groups, n_grids), intp
        The cell of each group in each grid.
    sizes : ndarray of shape (n_groups,), intp
        Number of points.
    """

    of_point: NDArray[np.intp]
    cells: NDArray[np.intp]
    sizes: NDArray[np.intp]


def group_points(cells: Sequence[NDArray[np.intp]]) -> Groups:
    """Group points by ``cells``, which gives for each grid the cell of every point."""
    groups = np.zeros(len(cells[0]), np.intp)
    for grid in cells:
        # Numbered anew after each grid, so that the product stays small whatever the number of grids.
        _, groups = np.unique(groups * (int(grid.max(initial=0)) + 1) + grid, return_inverse=True)
    sizes = np.bincount(groups)
    first = np.empty(len(sizes), np.intp)
    first[groups] = np.arange(len(groups))
    return Groups(groups, np.stack([grid[first] for grid in cells], axis=1), sizes)


def pool_sparse(
    words: NDArray[np.int32], weights: NDArray[np.floating], groups: Groups, n_words: int, pooling: str
) -> NDArray[np.float64]:
    """Pool codes that are zero but for a few words of each point.

    Parameters
    ----------
    words : ndarray of shape (n, k), int32
        Different ones in each row.
    weights : ndarray of shape (n, k)
        Values of the code at those words; any sign.
    groups : Groups
    n_words : int
    pooling : {"average", "sum", "max"}

    Returns
    -------
    ndarray of shape (n_groups, n_words), float64
        Sums, or with "max" maxima in which the zeros of a code count.
    """
    shape = (len(groups.sizes), n_words)
    places = (groups.of_point[:, None] * n_words + words).ravel()
    if pooling != "max":
        return np.bincount(places, weights.ravel(), shape[0] * n_words).reshape(shape)
    highest = np.full(shape[0] * n_words, -np.inf)
    np.maximum.at(highest, places, weights.ravel().astype(np.float64))
    everywhere = np.bincount(places, minlength=shape[0] * n_words).reshape(shape) == groups.sizes[:, None]
    highest = highest.reshape(shape)
    return np.where(everywhere, highest, np.maximum(highest, 0))


def pool_dense(
    codes: Iterable[tuple[slice, NDArray[np.float32]]], sorted_groups: NDArray[np.intp], width: int, pooling: str
) -> NDArray[np.float64]:
    """Pool non-negative codes that come in blocks.

    Parameters
    ----------
    codes : iterable of (slice, ndarray of shape (m, width), float32)
        Which points, and their codes.
    sorted_groups : ndarray of shape (n,), intp
        Group of each point, rising.
    width : int
        Length of a code.
    pooling : {"average", "sum", "max"}

    Returns
    -------
    ndarray of shape (n_groups, width), float64
        Sums or maxima.
    """
    pooled = np.zeros((int(sorted_groups[-1]) + 1, width))
    for rows, block in codes:
        here = sorted_groups[rows]
        starts = np.flatnonzero(np.diff(here, prepend=-1)).tolist()
        for start, stop in pairwise([*starts, len(here)]):
            row = pooled[here[start]]
            if pooling == "max":
                np.maximum(row, block[start:stop].max(axis=0), out=row)
            else:
                row += block[start:stop].sum(axis=0)
    return pooled


def pool_cells(pooled: NDArray[np.float64], groups: Groups, n_cells: int, pooling: str) -> NDArray[np.float64]:
    """Pool groups into cells; (n_groups, width) to (n_cells, width), zero for a cell without points."""
    from scipy.sparse import csr_array

    n_groups, n_grids = groups.cells.shape
    result = np.zeros((n_cells, pooled.shape[1]))
    if pooling == "max":
        for cells in groups.cells.T:
            order = np.argsort(cells, kind="stable")
            starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
            result[cells[order[starts]]] = np.maximum.reduceat(pooled[order], starts, axis=0)
        return result
    where = groups.cells.ravel(), np.repeat(np.arange(n_groups), n_grids)
    member = csr_array((np.ones(groups.cells.size), where), shape=(n_cells, n_groups))
    result += member @ pooled
    if pooling == "average":
        result /= np.maximum(member @ groups.sizes, 1)[:, None]
    return result
