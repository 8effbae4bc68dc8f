"""The cells of a pyramid's grids in a graph: which points each of them holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvbow.encoders.spatial_pyramid import mirrored_cells
from cvbow.export._graph import Graph
from cvbow.export._grids import Points


class GraphCells:
    """The cells of grids of columns x rows, numbered on from grid to grid.

    Attributes
    ----------
    n_cells : int
    mirror : ndarray of shape (n_cells,)
        Each cell's place in the mirrored image.
    of_points : list of str
        For each grid the cell of every point, int64 (P,); anything for a point that there is not.
    members : str
        1 where a point lies in a cell, float32 (n_cells, P).
    """

    def __init__(self, graph: Graph, points: Points, grids: Sequence[tuple[int, int]]) -> None:
        self.graph, self.mirror = graph, mirrored_cells(grids)
        self.n_cells = len(self.mirror)
        ends = graph.op("Mul", points.size, graph.integers(2))
        self.of_points: list[str] = []
        found, start = [], 0
        for columns, rows in grids:
            row, column = (
                graph.op("Div", graph.op("Mul", place, graph.integers(n)), graph.row(ends, at))
                for place, n, at in ((points.y, rows, 0), (points.x, columns, 1))
            )
            cell = graph.op("Add", graph.op("Mul", row, graph.integers(columns)), column)
            cell = graph.op("Add", cell, graph.integers(start))
            numbers = np.arange(start, start + columns * rows)[:, None]
            found.append(graph.op("Equal", graph.unsqueeze(cell, 0), graph.constant(numbers, np.int64)))
            self.of_points.append(cell)
            start += columns * rows
        self.members = graph.to(graph.concat(0, *found), np.float32)

    def mirrored(self, value: str, axis: int) -> str:
        """Return values of the cells along an axis as the cells of the mirrored image have them."""
        return self.graph.take(value, self.mirror, axis)
