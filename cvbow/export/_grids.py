"""Descriptors of several scales on a dense grid, in a graph: where they lie, and bins that are strided convolutions.

Nothing here depends on the image's size before the graph runs. Of an image that is smaller than a descriptor, a scale
has one descriptor all the same, so that no value is empty, and this one lies in no cell.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.export._graph import Graph

N_BINS = 4
#: Twice the place of what lies nowhere.
NOWHERE = -(1 << 40)


@dataclass(frozen=True)
class Points:
    """The descriptors of all scales.

    ``x`` and ``y`` (P,), int64, are twice their distance from the image's left and upper edge, in pixels, which is a
    whole number; ``size`` (2,) the image's height and width. ``y`` is negative of a descriptor that there is not.
    """

    x: str
    y: str
    size: str

    def mirrored(self, graph: Graph) -> Points:
        """Return the points as they lie in the mirrored image."""
        width = graph.op("Mul", graph.row(self.size, 1), graph.integers(2))
        return Points(graph.op("Sub", width, self.x), self.y, self.size)


def spread_out(graph: Graph, rows: str, columns: str) -> tuple[str, str]:
    """Return the x and the y of the points of a grid, row after row, from its rows' y and its columns' x, int64."""
    nothing = graph.constant(0, np.int64)
    y = graph.unsqueeze(rows, 1)
    ys = graph.op("Add", y, graph.op("Mul", columns, nothing))
    xs = graph.op("Add", columns, graph.op("Mul", y, nothing))
    return graph.reshape(xs, -1), graph.reshape(ys, -1)


class Grid:
    """Descriptors of 4 x 4 bins, every ``step`` pixels, of one or more sizes of a bin, in an image of a size (2,)."""

    def __init__(self, graph: Graph, size: str, step: int, bin_sizes: Sequence[int]) -> None:
        self.graph, self.size, self.step, self.bin_sizes = graph, size, step, tuple(map(int, bin_sizes))
        spans = (N_BINS - 1) * np.asarray(self.bin_sizes)[:, None]
        room = graph.op("Sub", size, graph.constant(1 + spans, np.int64))
        stepped = graph.integers(step)
        counts = graph.op("Div", graph.op("Add", room, stepped), stepped)
        least = graph.op("Max", counts, graph.integers(1))
        last = graph.op("Mul", graph.op("Sub", least, graph.integers(1)), stepped)
        spare = graph.op("Max", graph.op("Sub", room, last), graph.integers(0))
        #: By scale, the row and column of the first descriptor's first bin, and of the last one's, int64 (n_scales, 2).
        self.first = graph.op("Div", spare, graph.integers(2))
        self.last = graph.op("Add", self.first, last)
        fewest = graph.op("ReduceMin", counts, axes=[1], keepdims=1)
        is_there = graph.op("Greater", fewest, graph.integers(0))
        #: What is added to twice a first bin's distance for that of the middle, (n_scales, 1).
        self.to_middle = graph.op("Where", is_there, graph.constant(spans, np.int64), graph.integers(NOWHERE))

    def pool(self, planes: str, n_planes: int, scale: int, profiles: NDArray[np.floating]) -> str:
        """Pool planes (N, n_planes, H, W) into the bins of a scale's descriptors, (N, 16 n_planes, descriptors).

        ``profiles`` (4, 2 r + 1) are what each bin takes of the pixels up to r from its middle, along either axis;
        beyond the image's edge there is nothing. The values are those of plane, bin's row, bin's column, in this order.
        """
        graph, span, reach = self.graph, (N_BINS - 1) * self.bin_sizes[scale], profiles.shape[1] // 2
        shapes = profiles / profiles.max(axis=1, keepdims=True)
        have_one_shape = np.allclose(shapes, shapes[0])
        # Behind the image enough for a descriptor that does not fit into it.
        pads = graph.integers(0, 0, reach, reach, 0, 0, reach + span, reach + span)

        def build(planes: str, first: str, last: str) -> str:
            ends = [graph.row(each, scale) for each in (first, last)]
            stop = graph.op("Add", ends[1], graph.integers(span + 2 * reach + 1))
            window = graph.op("Slice", graph.op("Pad", planes, pads), ends[0], stop, graph.integers(2, 3))
            if have_one_shape:
                return self._of_one_shape(window, n_planes, scale, profiles, graph.op("Sub", *ends[::-1]))
            return self._of_own_shapes(window, n_planes, scale, profiles)

        return graph.function("PoolBins", build, planes, self.first, self.last)

    def _of_one_shape(
        self, window: str, n_planes: int, scale: int, profiles: NDArray[np.floating], lengths: str
    ) -> str:
        """Pool each bin that descriptors have in common once, of which they take their own.

        ``lengths`` (2,) are from the first descriptor to the last one.
        """
        graph, bin_size = self.graph, self.bin_sizes[scale]
        apart = math.gcd(self.step, bin_size)
        sizes = profiles.max(axis=1, keepdims=True)
        for axis, n, kernel, strides in (
            (0, n_planes, (-1, 1), [apart, 1]),
            (1, n_planes * N_BINS, (1, -1), [1, apart]),
        ):
            weights = np.tile(profiles[0] / sizes[0], (n, 1)).reshape(n, 1, *kernel)
            pooled = graph.op("Conv", window, graph.constant(weights), group=n, strides=strides)
            zero, one = (graph.constant(number, np.int64) for number in (0, 1))
            end = graph.op("Add", graph.row(lengths, axis), one)
            places = graph.op("Range", zero, end, graph.constant(self.step, np.int64))
            places = graph.op("Add", places, graph.constant(bin_size * np.arange(N_BINS)[:, None], np.int64))
            window = graph.op("Gather", pooled, graph.op("Div", places, graph.integers(apart)), axis=2 + axis)
            if axis == 0:
                shape = graph.concat(0, graph.integers(0, n_planes * N_BINS), graph.lengths(window, 3, 5))
                window = graph.op("Reshape", window, shape)
        if (sizes != 1).any():
            weights = np.tile(sizes * sizes.T, (n_planes, 1)).reshape(-1, 1, N_BINS, 1)
            window = graph.op("Mul", window, graph.constant(weights))
        return graph.reshape(graph.transpose(window, 0, 1, 3, 2, 4), 0, N_BINS**2 * n_planes, -1)

    def _of_own_shapes(self, window: str, n_planes: int, scale: int, profiles: NDArray[np.floating]) -> str:
        """Pool the bins of each descriptor for itself."""
        graph, bin_size, width = self.graph, self.bin_sizes[scale], profiles.shape[1]
        kernel = np.zeros((N_BINS, (N_BINS - 1) * bin_size + width))
        for place, profile in enumerate(profiles):
            kernel[place, place * bin_size : place * bin_size + width] = profile
        for n, shape, strides in (
            (n_planes, (-1, 1), [self.step, 1]),
            (n_planes * N_BINS, (1, -1), [1, self.step]),
        ):
            weights = np.tile(kernel, (n, 1)).reshape(n * N_BINS, 1, *shape)
            window = graph.op("Conv", window, graph.constant(weights), group=n, strides=strides)
        return graph.reshape(window, 0, 0, -1)

    def points(self) -> Points:
        """Return where the descriptors lie, scale after scale and row after row."""
        graph, two = self.graph, self.graph.integers(2)
        # Twice the distance of a pixel's middle from the edge is odd.
        begins, ends = (
            graph.op("Add", graph.op("Add", graph.op("Mul", each, two), graph.integers(beyond)), self.to_middle)
            for each, beyond in ((self.first, 1), (self.last, 2))
        )
        places = []
        for scale in range(len(self.bin_sizes)):

            def build(begins: str, ends: str, scale: int = scale) -> str:
                pair = [graph.row(each, scale) for each in (begins, ends)]
                step = graph.constant(2 * self.step, np.int64)
                rows, columns = (graph.op("Range", *(graph.row(each, at) for each in pair), step) for at in (0, 1))
                return graph.concat(0, *(graph.unsqueeze(each, 0) for each in spread_out(graph, rows, columns)))

            places.append(graph.function("GridPoints", build, begins, ends))
        both = graph.concat(1, *places)
        return Points(graph.row(both, 0), graph.row(both, 1), self.size)

    def heat(self, shares: str, density: str) -> str:
        """Return the map (N, 1, H, W) of shares of the descriptors (N, P), each spread by a density over its support.

        A support is 4 bins wide, cut at the image's edge; the density (N, 1, H, W) is above zero.
        """
        graph = self.graph
        spans = graph.op("Sub", self.last, self.first)
        counts = graph.op("Add", graph.op("Div", spans, graph.integers(self.step)), graph.integers(1))
        stops = graph.op("CumSum", graph.op("ReduceProd", counts, axes=[1], keepdims=0), graph.constant(0, np.int64))
        stops = graph.concat(0, graph.integers(0), stops)
        values = shares, density, counts, stops, self.first, self.last, self.size
        spreads = [functools.partial(self._spread, scale) for scale in range(len(self.bin_sizes))]
        maps = [graph.function("Spread", each, *values) for each in spreads]
        return graph.op("Mul", graph.op("Sum", *maps), density)

    def _spread(
        self, scale: int, shares: str, density: str, counts: str, stops: str, first: str, last: str, size: str
    ) -> str:
        """Return a scale's shares over the sums of the density in their supports, as a map (N, 1, H, W)."""
        graph, step, bin_size = self.graph, self.step, self.bin_sizes[scale]
        own = graph.op(
            "Slice", shares, *(graph.cut(stops, 0, at, at + 1) for at in (scale, scale + 1)), graph.integers(1)
        )
        first, last, counts = (graph.row(each, scale) for each in (first, last, counts))
        own = graph.op("Reshape", own, graph.concat(0, graph.integers(0, 1), counts))
        side, before, span = N_BINS * bin_size, bin_size // 2, (N_BINS - 1) * bin_size
        pads = graph.integers(0, 0, before, before, 0, 0, span + bin_size, span + bin_size)
        stop = graph.op("Add", last, graph.integers(side))
        sums = graph.op("Slice", graph.op("Pad", density, pads), first, stop, graph.integers(2, 3))
        column, row = (graph.constant(np.ones((1, 1, *shape))) for shape in ((side, 1), (1, side)))
        sums = graph.op("Conv", graph.op("Conv", sums, column, strides=[step, 1]), row, strides=[1, step])
        each = graph.over(own, sums)
        each = graph.op("ConvTranspose", each, column, strides=[step, 1])
        each = graph.op("ConvTranspose", each, row, strides=[1, step])
        # From the first support's edge to the image's, which may be a part of the way back.
        begin = graph.op("Sub", first, graph.integers(before))
        end = graph.op("Sub", size, graph.op("Sub", stop, graph.integers(before)))
        nothing = graph.integers(0, 0)
        return graph.op("Pad", each, graph.concat(0, nothing, begin, nothing, end))
