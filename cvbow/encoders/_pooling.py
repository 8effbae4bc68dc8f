"""Points in the cells of grids, and pooling of their codes into the vectors of the cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

POOLINGS = ("average", "sum", "max")
#: Codes of one block of descriptors after another, and which rows they are of. Those of one byte are 0 or 1, in blocks
#: of at most 255 rows, whose sums fit a byte.
Blocks = Iterable[tuple[slice, NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class Cells:
    """Where the points of an image lie in the cells of one grid or several.

    Parameters
    ----------
    of_points : sequence of ndarray of shape (n,), intp
        For each grid, the cell of every point. Grids number their cells on from one another.
    n_cells : int
        In all grids together.
    mirror : ndarray of shape (n_cells,), intp, or None, default None
        Each cell's place in the mirrored image; None where every cell is its own.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.encoders import Cells
    >>> left_and_right = Cells([np.array([0, 0, 1])], 2, mirror=np.array([1, 0]))
    >>> left_and_right.sizes.tolist()
    [2, 1]
    """

    of_points: Sequence[NDArray[np.intp]]
    n_cells: int
    mirror: NDArray[np.intp] | None = None

    @classmethod
    def whole(cls, n_points: int) -> Self:
        """Return the one cell that holds all points of an image."""
        return cls([np.zeros(n_points, np.intp)], 1)

    @property
    def sizes(self) -> NDArray[np.intp]:
        """The number of points in each cell, shape (n_cells,)."""
        return np.asarray(sum(np.bincount(cell, minlength=self.n_cells) for cell in self.of_points), np.intp)

    def mirrored(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return rows that belong to the cells, (n_cells, ...), as they belong to those of the mirrored image."""
        return rows if self.mirror is None else rows[self.mirror]

    def groups(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Group the points that lie in the same cell of every grid: a cell is the sum of its groups.

        Returns the points, group after group, (n,); where each group begins, (n_groups + 1,); and each group's cell in
        every grid, (n_groups, n_grids).
        """
        group = self.of_points[0]
        for cell in self.of_points[1:]:
            # Numbered anew for each grid, so that the numbers stay below n * n_cells however many grids there are.
            group = np.unique(_narrow(group * self.n_cells + cell), return_inverse=True)[1]
        order = np.argsort(_narrow(group), kind="stable")
        ordered = group[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
        members = np.stack([cell[order[starts]] for cell in self.of_points], axis=1)
        return order, np.append(starts, len(order)), members


def cut_by_group(bounds: NDArray[np.intp], start: int, stop: int) -> Iterator[tuple[int, slice]]:
    """Yield the groups that the points from start to stop are of, and where in between they lie; see ``groups``."""
    first = int(np.searchsorted(bounds, start, side="right")) - 1
    last = int(np.searchsorted(bounds, stop, side="left"))
    for group in range(first, last):
        yield group, slice(max(int(bounds[group]) - start, 0), min(int(bounds[group + 1]), stop) - start)


def _narrow(numbers: NDArray[np.intp]) -> NDArray[np.integer]:
    """Return non-negative numbers in 16 bits where they fit, which NumPy sorts without comparing them."""
    return numbers.astype(np.uint16) if numbers.max(initial=0) < 1 << 16 else numbers


def pool_sparse(
    words: NDArray[np.int32], weights: NDArray[np.float64], n_words: int, cells: Cells, pooling: str
) -> NDArray[np.float64]:
    """Pool codes that are zero but for a few words of each point, different ones in each row (n, k).

    The result is (n_cells, n_words), zero for a cell without points. Weights may have any sign; under "max" the zeros
    of a code count as any value does.
    """
    n_cells = cells.n_cells
    length = n_cells * n_words
    flat = weights.ravel()
    places = [(cell[:, None] * n_words + words).ravel() for cell in cells.of_points]
    sizes = cells.sizes[:, None]
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
    pooling: str,
) -> NDArray[np.float64]:
    """Pool non-negative codes that have ``width`` values each, and are made block by block, to (n_cells, width).

    ``encode`` yields the codes (m, width) of one block of descriptors after another, and which rows they are. A cell
    without points is zero.
    """
    pooled = np.zeros((cells.n_cells, width))
    # Each code is pooled once, with those that share its cells in all grids, and the result goes to these cells.
    order, bounds, members = cells.groups()
    if len(members) > 1:
        descriptors = descriptors[order]
    for rows, codes in encode(descriptors):
        for group, within in cut_by_group(bounds, rows.start, rows.stop):
            part = codes[within]
            value = part.max(axis=0) if pooling == "max" else part.sum(axis=0, dtype=part.dtype)
            for cell in members[group]:
                if pooling == "max":
                    np.maximum(pooled[cell], value, out=pooled[cell])
                else:
                    pooled[cell] += value
    return pooled / np.maximum(cells.sizes, 1)[:, None] if pooling == "average" else pooled
