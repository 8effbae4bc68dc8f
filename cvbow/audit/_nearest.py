"""Images whose vectors are nearest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cvbow.parallel import cut, map_threads, single_threaded

#: Vectors that are compared with all others at a time, and of these, those that are one task.
_BLOCK, _TASK = 512, 512


def squared_distances(
    vectors: NDArray[np.float32], rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Yield some of the rows of vectors (n, d) at a time, (b,), with their squared distances to all, (b, n)."""
    squares = np.array([vector @ vector for vector in vectors], np.float32)
    for block in cut(len(rows), _BLOCK):
        chosen = rows[block]
        some = vectors[chosen]
        squared = np.empty((len(chosen), len(vectors)), np.float32)

        def fill(part: slice, some: NDArray[np.float32] = some, squared: NDArray[np.float32] = squared) -> None:
            squared[:, part] = squares[part] - 2 * (some @ vectors[part].T)

        with single_threaded():
            map_threads(fill, cut(len(vectors), _TASK))
        squared += squares[chosen, None]
        yield chosen, np.maximum(squared, 0, out=squared)


def nearest(squared: NDArray[np.float32], rows: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """Return the k nearest of some rows by their squared distances to all (b, n), but not themselves, as (b, k).

    The nearest first; equal distances go by row.
    """
    squared = squared.copy()
    squared[np.arange(len(rows)), rows] = np.inf
    return np.asarray(np.argsort(squared, axis=1, kind="stable")[:, :k], np.intp)


def nearest_within(squared: NDArray[np.float32], which: NDArray[np.bool_]) -> int | None:
    """Return the nearest of the images that are wanted, by squared distances (n,) and a mask; None without any."""
    rows = np.flatnonzero(which)
    return int(rows[squared[rows].argmin()]) if len(rows) else None
