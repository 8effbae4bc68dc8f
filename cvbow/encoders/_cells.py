"""Points of several grids at once: an image's points sorted by the cells that they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: For each grid, the cell of every point.
Cells = Sequence[NDArray[np.intp]]


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
