"""The cells of a pyramid's grids in a graph: sums over the points of each, each point added once.

The cuts of all grids together divide the image into groups, and a cell is the sum of its groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cvbow.encoders.spatial_pyramid import mirrored_cells
from cvbow.export._graph import Graph
from cvbow.export._grids import Points


class GraphCells:
    """The cells of grids of columns x rows, numbered on from grid to grid.

    Attributes
    ----------
    n_cells, n_groups : int
    belongs : ndarray of shape (n_cells, n_groups)
        1 where a group is a part of a cell.
    mirror : ndarray of shape (n_cells,)
        Each cell's place in the mirrored image.
    members : str
        1 where a point lies in a group, float32 (n_groups, P).
    groups : str
        The group of each point, int64 (P,); ``n_groups`` of a point that there is not.
    """

    def __init__(self, graph: Graph, points: Points, grids: Sequence[tuple[int, int]]) -> None:
        self.graph, self.mirror = graph, mirrored_cells(grids)
        x_cuts, y_cuts = (
            sorted({Fraction(part, grid[axis]) for grid in grids for part in range(1, grid[axis])}) for axis in (0, 1)
        )
        n_columns = len(x_cuts) + 1
        self.n_groups = n_columns * (len(y_cuts) + 1)
        self.belongs = _parts(grids, x_cuts, y_cuts)
        self.n_cells = len(self.belongs)
        ends = graph.op("Mul", points.size, graph.integers(2))
        column = _passed(graph, points.x, graph.row(ends, 1), x_cuts)
        row = _passed(graph, points.y, graph.row(ends, 0), y_cuts)
        group = graph.op("Add", graph.op("Mul", row, graph.integers(n_columns)), column)
        is_there = graph.op("GreaterOrEqual", points.y, graph.constant(0, np.int64))
        self.groups = graph.op("Where", is_there, group, graph.constant(self.n_groups, np.int64))
        numbers = graph.constant(np.arange(self.n_groups)[:, None], np.int64)
        is_member = graph.op("Equal", graph.unsqueeze(self.groups, 0), numbers)
        self.members = graph.to(is_member, np.float32)
        self._group_sizes = graph.op("ReduceSum", graph.to(is_member, np.int64), graph.integers(1), keepdims=0)

    @property
    def sizes(self) -> str:
        """The number of points in each cell, float64 (n_cells, 1)."""
        return self.of_groups(self.graph.unsqueeze(self.graph.to(self._group_sizes, np.float64), 1), np.float64)

    def of_groups(self, values: str, dtype: type = np.float32) -> str:
        """Return the sums of the cells from those of the groups, (..., n_groups, d) to (..., n_cells, d)."""
        return self.graph.op("MatMul", self.graph.constant(self.belongs, dtype), values)

    def products(self, left: str, right: str) -> str:
        """Return, for each cell, the product of (N, m, P) and (N, k, P) over its points, (N, n_cells, m k)."""
        graph = self.graph
        left, right = (graph.op("Gather", each, graph.order(self.groups), axis=2) for each in (left, right))
        bounds = self._bounds()

        def product(number: str) -> str:
            parts = [self._of_group(each, number, bounds) for each in (left, right)]
            made = graph.op("MatMul", parts[0], graph.transpose(parts[1], 0, 2, 1))
            # Of no points at all, a runtime may make anything.
            is_there = graph.op("Less", *(graph.op("Gather", each, number, axis=0) for each in bounds))
            return graph.op("Where", is_there, graph.reshape(made, 0, -1), graph.constant(0))

        groups = graph.for_each(self.n_groups, product)
        return self.of_groups(graph.transpose(groups, 1, 0, 2))

    def spread(self, factors: str, left: str, right: str) -> str:
        """Return what each point has of the cells' factors, the transpose of ``products``: (N, P).

        Of (N, n_cells, m, k) factors, and (N, m, P) and (N, k, P), it is the sum over m and k of all three's products.
        """
        graph = self.graph
        lengths = graph.lengths(factors, 2, 4)
        of_groups = self.to_groups(graph.reshape(factors, 0, 0, -1))
        order, bounds = graph.order(self.groups), self._bounds()
        left, right = (graph.op("Gather", each, order, axis=2) for each in (left, right))
        shape = graph.concat(0, graph.integers(0), lengths)

        def given(number: str) -> str:
            parts = [self._of_group(each, number, bounds) for each in (left, right)]
            own = graph.op("Reshape", graph.op("Gather", of_groups, number, axis=1), shape)
            products = graph.op("Mul", parts[0], graph.op("MatMul", own, parts[1]))
            return graph.op("ReduceSum", products, graph.integers(1), keepdims=0)

        # Points that there are not come last, and have nothing.
        n_none = graph.op("Sub", graph.lengths(self.groups, 0, 1), graph.op("ReduceMax", bounds[1], axes=[0]))
        none = graph.op("Expand", graph.constant([[0]]), graph.concat(0, graph.lengths(left, 0, 1), n_none))
        empty = graph.cut(graph.op("ReduceSum", right, graph.integers(1), keepdims=0), 1, 0, 0)
        shares = graph.concat(1, graph.join_each(self.n_groups, empty, given), none)
        return graph.op("Gather", shares, graph.order(order), axis=1)

    def to_groups(self, values: str) -> str:
        """Return the sums for the groups of what all cells that a group is a part of have, (N, n_groups, d)."""
        return self.graph.op("MatMul", self.graph.constant(self.belongs.T), values)

    def _bounds(self) -> tuple[str, str]:
        """Return where each group begins and ends among the points in the order of their groups."""
        stops = self.graph.op("CumSum", self._group_sizes, self.graph.constant(0, np.int64))
        return self.graph.op("Sub", stops, self._group_sizes), stops

    def _of_group(self, value: str, number: str, bounds: tuple[str, str]) -> str:
        """Return what points of a group have of a value (N, m, P) that is in the order of groups."""
        ends = [self.graph.unsqueeze(self.graph.op("Gather", each, number, axis=0), 0) for each in bounds]
        return self.graph.op("Slice", value, *ends, self.graph.integers(2))

    def mirrored(self, value: str, axis: int) -> str:
        """Return values of the cells along an axis as the cells of the mirrored image have them."""
        return self.graph.take(value, self.mirror, axis)


def _parts(
    grids: Sequence[tuple[int, int]], x_cuts: Sequence[Fraction], y_cuts: Sequence[Fraction]
) -> NDArray[np.float64]:
    """Return which groups, row by row, are parts of each cell, (n_cells, n_groups)."""
    ends = (Fraction(0), *x_cuts, Fraction(1)), (Fraction(0), *y_cuts, Fraction(1))
    columns, rows = ([(end + other) / 2 for end, other in itertools.pairwise(each)] for each in ends)
    cells = []
    for n_columns, n_rows in grids:
        for row in range(n_rows):
            for column in range(n_columns):
                cells.append([y * n_rows // 1 == row and x * n_columns // 1 == column for y in rows for x in columns])
    return np.asarray(cells, np.float64)


def _passed(graph: Graph, places: str, end: str, cuts: Sequence[Fraction]) -> str:
    """Return how many cuts of an axis that ends at ``end`` each place has passed, int64 (P,)."""
    below, above = (
        graph.constant([[number] for number in numbers] or [[1]], np.int64)
        for numbers in ([cut.denominator for cut in cuts], [cut.numerator for cut in cuts])
    )
    passed = graph.op("GreaterOrEqual", graph.op("Mul", graph.unsqueeze(places, 0), below), graph.op("Mul", end, above))
    return graph.op("ReduceSum", graph.to(passed, np.int64), graph.integers(0), keepdims=0)
