"""The box with the largest sum of values, by branch and bound over all boxes.

C. Lampert, M. Blaschko and T. Hofmann, "Efficient subwindow search: a branch and bound framework for object
localization", PAMI 2009: sets of boxes, of which the one with the highest bound is divided until it is a single box.
Here a set has an interval of tops and one of bottoms, and all left and right sides, whose best ones are found at once:
S. An, P. Peursum, W. Liu and S. Venkatesh, "Efficient algorithms for subwindow search in object detection and
localization", CVPR 2009. Their bound is tighter, and no values make the search longer than H^2 W.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Sets that are divided at once: enough for NumPy's loops to be worth their start, few enough to leave out the rest.
_BATCH = 64


@dataclass(frozen=True)
class BestBox:
    """The box with the largest sum.

    Attributes
    ----------
    box : tuple of int
        Left, top, right and bottom in cells, right and bottom excluded. It has no rows or columns of zeros at its
        sides, unless it holds nothing else.
    score : float
        The sum.
    visited : int
        Sets of boxes whose bound was computed.

    Examples
    --------
    >>> from cvbow.localization import best_box
    >>> best_box([[-1, 2, 0], [3, 1, -9]])
    BestBox(box=(0, 0, 2, 2), score=5.0, visited=4)
    """

    box: tuple[int, int, int, int]
    score: float
    visited: int


def best_box(values: ArrayLike) -> BestBox:
    """Return the box with the largest sum; it holds at least one cell. Of equal ones, it is always the same.

    Parameters
    ----------
    values : array-like of shape (h, w)
        Finite.

    Raises
    ------
    ValueError
        If the values have another shape, are none, or are not finite.
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 2 or given.size == 0:
        raise ValueError(f"values must have the shape (h, w), both at least 1, got {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("values must be finite, got NaN or infinity")
    # The intervals are of the shorter side.
    turned = given.shape[0] > given.shape[1]
    first, top, last, bottom, visited = _search(given.T if turned else given)
    box = (top, first, bottom, last) if turned else (first, top, last, bottom)
    left, top, right, bottom = _trimmed(given, box)
    return BestBox((left, top, right, bottom), float(given[top:bottom, left:right].sum()), visited)


def _search(values: NDArray[np.float64]) -> tuple[int, int, int, int, int]:
    """Return the best box, and how many sets were visited."""
    height = len(values)
    above, below = (_summed(part) for part in (np.maximum(values, 0), np.minimum(values, 0)))
    whole = above + below
    # Of each set, the first and last top, the first and last bottom, and the bound of its sums.
    sets, bounds = np.array([[0, height - 1, 1, height]]), np.array([np.inf])
    best, box, visited = -np.inf, (0, 0, 1, 1), 0
    while len(sets):
        chosen = np.arange(len(sets))
        if len(sets) > _BATCH:
            chosen = np.argpartition(-bounds, _BATCH)[:_BATCH]
        parts = _divided(sets[chosen])
        sets, bounds = np.delete(sets, chosen, axis=0), np.delete(bounds, chosen)
        visited += len(parts)
        limits, _, _ = _best_columns(_bound(above, below, parts))
        rows = limits > best
        parts, limits = parts[rows], limits[rows]
        if not len(parts):
            continue
        # One box of each set may be better than all before.
        tops = (parts[:, 0] + parts[:, 1]) // 2
        bottoms = np.maximum((parts[:, 2] + parts[:, 3]) // 2, tops + 1)
        sums, lefts, rights = _best_columns(whole[bottoms] - whole[tops])
        row = int(np.argmax(sums))
        if sums[row] > best:
            best = float(sums[row])
            box = (int(lefts[row]), int(tops[row]), int(rights[row]), int(bottoms[row]))
        kept = (parts[:, 0] < parts[:, 1]) | (parts[:, 2] < parts[:, 3])
        sets, bounds = np.concatenate([sets, parts[kept]]), np.concatenate([bounds, limits[kept]])
        rows = bounds > best
        sets, bounds = sets[rows], bounds[rows]
    return *box, visited


def _summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of the rows above each row, (h + 1, w)."""
    return np.vstack([np.zeros(values.shape[1]), values.cumsum(axis=0)])


def _divided(sets: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return sets divided in the middle of their longer interval, or one box's as it is; without empty boxes."""
    tops, bottoms = sets[:, 1] - sets[:, 0], sets[:, 3] - sets[:, 2]
    by_top = tops >= bottoms
    start = np.where(by_top, 0, 2)
    rows = np.arange(len(sets))
    middle = (sets[rows, start] + sets[rows, start + 1]) // 2
    lower, upper = sets.copy(), sets.copy()
    lower[rows, start + 1] = middle
    upper[rows, start] = middle + 1
    parts = np.concatenate([lower, upper[middle < sets[rows, start + 1]]])
    parts[:, 1] = np.minimum(parts[:, 1], parts[:, 3] - 1)
    parts[:, 2] = np.maximum(parts[:, 2], parts[:, 0] + 1)
    found: NDArray[np.intp] = parts[(parts[:, 0] <= parts[:, 1]) & (parts[:, 2] <= parts[:, 3])]
    return found


def _bound(above: NDArray[np.float64], below: NDArray[np.float64], sets: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return what each column can give at most: what is positive in the most rows, and negative in the fewest."""
    first, last_top, first_bottom, last = sets.T
    inner = np.maximum(first_bottom, last_top)  # none where a box need not have any row of these
    bound: NDArray[np.float64] = above[last] - above[first] + below[inner] - below[last_top]
    return bound


def _best_columns(columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Return the largest sum of neighbouring columns in each row (n, w), the first of them and the one after the last.

    J. Kadane's algorithm, for all rows at once: J. Bentley, "Programming pearls", CACM 1984.
    """
    sums = np.zeros((len(columns), columns.shape[1] + 1))
    np.cumsum(columns, axis=1, out=sums[:, 1:])
    gains = sums[:, 1:] - np.minimum.accumulate(sums[:, :-1], axis=1)
    last = gains.argmax(axis=1)
    rows = np.arange(len(columns))
    before = np.where(np.arange(columns.shape[1]) <= last[:, None], sums[:, :-1], np.inf)
    return gains[rows, last], before.argmin(axis=1), last + 1


def _trimmed(values: NDArray[np.float64], box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    filled: NDArray[Any] = values[top:bottom, left:right] != 0
    if not filled.any():
        return left, top, left + 1, top + 1
    columns, rows = (np.flatnonzero(filled.any(axis=axis)) for axis in (0, 1))
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1
