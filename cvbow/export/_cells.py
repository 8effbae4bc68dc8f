"""The cells of a pyramid's grids in a graph: sums over the points of each, each point added once.

The cuts of all grids together divide the image into groups, and a cell is the sum of its groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
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

    def __init__(self, graph: Graph, points: Points, grids: Sequence[tuple[int, int]], overlap: bool) -> None:
        self.graph, self.mirror = graph, mirrored_cells(grids)
        x_cuts, y_cuts = (
            sorted({Fraction(part, n) for grid in grids for n in [grid[axis] + overlap] for part in range(1, n)})
            for axis in (0, 1)
        )
        n_columns = len(x_cuts) + 1
        self.n_groups = n_columns * (len(y_cuts) + 1)
        self.belongs = _parts(grids, overlap, x_cuts, y_cuts)
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

    def arranged(self, rows: str) -> str:
        """Return what belongs to points, (N, P, k), group by group: (N, n_groups, Q, k).

        Q is the size of the largest group; a smaller one is filled up with any point, and ``there`` is 0 for it.
        """
        index = self.graph.op("Gather", self.graph.order(self.groups), self._where(), axis=0)
        return self.graph.op("Gather", rows, index, axis=1)

    @property
    def there(self) -> str:
        """1 where a group has a point, else 0, float32 (n_groups, Q, 1)."""
        return self.graph.unsqueeze(self.graph.to(self._is_there(), np.float32), 2)

    def returned(self, values: str) -> str:
        """Return a value for each point from those that are group by group: (N, n_groups, Q) to (N, P).

        It is 0 for points that there are not.
        """
        graph = self.graph
        place = graph.op("Sub", graph.order(graph.order(self.groups)), self._of_group(self._starts()))
        numbers = graph.op("Mul", self.groups, graph.lengths(self._where(), 1, 2))
        is_there = graph.op("Less", self.groups, graph.integers(self.n_groups))
        place = graph.op("Where", is_there, graph.op("Add", numbers, place), graph.integers(0))
        found = graph.op("Gather", graph.reshape(values, 0, -1), place, axis=1)
        return graph.op("Mul", found, graph.to(is_there, np.float32))

    def products(self, left: str, right: str) -> str:
        """Return, for each cell, the product of (N, n_groups, Q, m) and (N, n_groups, Q, k) over its points.

        It is (N, n_cells, m k); where there is no point, one of the factors must be 0.
        """
        made = self.graph.op("MatMul", self.graph.transpose(left, 0, 1, 3, 2), right)
        return self.of_groups(self.graph.reshape(made, 0, 0, -1))

    def spread(self, factors: str, left: str, right: str) -> str:
        """Return what each point has of the cells' factors, the transpose of ``products``: (N, P).

        Of (N, n_cells, m, k) factors, and both factors of ``products``, it is the sum over m and k of their products.
        """
        graph = self.graph
        of_groups = self.to_groups(graph.reshape(factors, 0, 0, -1))
        of_groups = graph.op("Reshape", of_groups, graph.concat(0, graph.integers(0, 0), graph.lengths(factors, 2, 4)))
        given = graph.op("MatMul", right, graph.transpose(of_groups, 0, 1, 3, 2))
        return self.returned(graph.op("ReduceSum", graph.op("Mul", left, given), graph.integers(3), keepdims=0))

    def to_groups(self, values: str) -> str:
        """Return the sums for the groups of what all cells that a group is a part of have, (N, n_groups, d)."""
        return self.graph.op("MatMul", self.graph.constant(self.belongs.T), values)

    def highest(self, codes: str) -> tuple[str, Callable[[str], str]]:
        """Return the maxima of codes (N, P, m) over the points of each cell, (N, n_cells, m), 0 where it has none.

        Also, what writes the points' shares (N, P) in values of the maxima's shape: those have them whose they are.
        """
        graph = self.graph
        arranged, lowest = self.arranged(codes), graph.constant(np.finfo(np.float32).min)
        is_there = graph.unsqueeze(self._is_there(), 2)
        of_groups = graph.op("ReduceMax", graph.op("Where", is_there, arranged, lowest), axes=[2], keepdims=0)
        belongs = graph.constant(self.belongs[:, :, None], bool)
        of_cells = graph.op("Where", belongs, graph.unsqueeze(of_groups, 1), lowest)
        found = graph.op("ReduceMax", of_cells, axes=[2], keepdims=0)
        maxima = graph.op("Where", graph.op("Greater", found, lowest), found, graph.constant(0))

        def shares(values: str) -> str:
            given = [self._of_highest(arranged, maxima, values, layer) for layer in self._layers()]
            return self.returned(graph.op("Sum", *given))

        return maxima, shares

    def _of_highest(self, arranged: str, maxima: str, values: str, layer: NDArray[np.bool_]) -> str:
        """Return what points have of the values of some cells that no point is in two of, (N, n_groups, Q)."""
        graph = self.graph
        cell = graph.constant(layer.argmax(axis=0), np.int64)
        own = graph.unsqueeze(graph.op("Gather", maxima, cell, axis=1), 2)
        in_cell = graph.constant(np.any(layer, axis=0)[:, None, None], np.float32)
        highest = graph.op("Mul", graph.to(graph.op("Equal", arranged, own), np.float32), self.there)
        highest = graph.op("Mul", highest, in_cell)
        counts = graph.op(
            "MatMul", graph.constant(layer), graph.op("ReduceSum", highest, graph.integers(2), keepdims=0)
        )
        each = graph.op("Gather", graph.over(values, counts), cell, axis=1)
        # A maximum of 0 is nobody's.
        each = graph.op("Where", graph.op("Equal", own, graph.constant(0)), graph.constant(0), graph.unsqueeze(each, 2))
        return graph.op("ReduceSum", graph.op("Mul", highest, each), graph.integers(3), keepdims=0)

    def _layers(self) -> list[NDArray[np.bool_]]:
        """Return which groups are parts of which cells, (n_cells, n_groups), in layers in which no cells overlap."""
        belongs: NDArray[np.bool_] = self.belongs > 0
        layers: list[NDArray[np.bool_]] = []
        for cell, groups in enumerate(belongs):
            free = next((layer for layer in layers if not layer[:, groups].any()), None)
            if free is None:
                free = np.zeros(self.belongs.shape, bool)
                layers.append(free)
            free[cell] = groups
        return layers

    def _starts(self) -> str:
        """Return where each group begins among the points in the order of their groups, (n_groups,)."""
        stops = self.graph.op("CumSum", self._group_sizes, self.graph.constant(0, np.int64))
        return self.graph.op("Sub", stops, self._group_sizes)

    def _of_group(self, values: str) -> str:
        """Return the value (n_groups,) of each point's group; of points that there are not, 0."""
        return self.graph.op("Gather", self.graph.concat(0, values, self.graph.integers(0)), self.groups, axis=0)

    def _numbers(self) -> str:
        """Return the numbers below the largest group's size, and 0, (Q,)."""
        graph = self.graph
        largest = graph.op("Max", graph.op("ReduceMax", self._group_sizes, keepdims=0), graph.constant(1, np.int64))
        return graph.op("Range", graph.constant(0, np.int64), largest, graph.constant(1, np.int64))

    def _is_there(self) -> str:
        return self.graph.op("Less", self._numbers(), self.graph.unsqueeze(self._group_sizes, 1))

    def _where(self) -> str:
        """Return the place of each group's points among those in the order of their groups, (n_groups, Q)."""
        own = self.graph.op("Add", self._numbers(), self.graph.unsqueeze(self._starts(), 1))
        return self.graph.op("Where", self._is_there(), own, self.graph.integers(0))

    def mirrored(self, value: str, axis: int) -> str:
        """Return values of the cells along an axis as the cells of the mirrored image have them."""
        return self.graph.take(value, self.mirror, axis)


def _parts(
    grids: Sequence[tuple[int, int]], overlap: bool, x_cuts: Sequence[Fraction], y_cuts: Sequence[Fraction]
) -> NDArray[np.float64]:
    """Return which groups, row by row, are parts of each cell, (n_cells, n_groups)."""
    ends = (Fraction(0), *x_cuts, Fraction(1)), (Fraction(0), *y_cuts, Fraction(1))
    columns, rows = ([(end + other) / 2 for end, other in itertools.pairwise(each)] for each in ends)
    cells = []
    for n_columns, n_rows in grids:
        for row in range(n_rows):
            for column in range(n_columns):
                down, along = _within(rows, row, n_rows, overlap), _within(columns, column, n_columns, overlap)
                cells.append([y and x for y in down for x in along])
    return np.asarray(cells, np.float64)


def _within(places: Sequence[Fraction], part: int, n: int, overlap: bool) -> list[bool]:
    """Return whether each place of an axis is in its part of n; one that overlaps is two of n + 1 strips wide."""
    return [0 <= place * (n + overlap) // 1 - part <= overlap for place in places]


def _passed(graph: Graph, places: str, end: str, cuts: Sequence[Fraction]) -> str:
    """Return how many cuts of an axis that ends at ``end`` each place has passed, int64 (P,)."""
    below, above = (
        graph.constant([[number] for number in numbers] or [[1]], np.int64)
        for numbers in ([cut.denominator for cut in cuts], [cut.numerator for cut in cuts])
    )
    passed = graph.op("GreaterOrEqual", graph.op("Mul", graph.unsqueeze(places, 0), below), graph.op("Mul", end, above))
    return graph.op("ReduceSum", graph.to(passed, np.int64), graph.integers(0), keepdims=0)
