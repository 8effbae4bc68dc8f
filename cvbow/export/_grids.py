"""Descriptors of several scales on a dense grid, in a graph: where they lie, and bins that are strided convolutions.

Nothing here depends on the image's size before the graph runs. Of an image that is smaller than a descriptor, a scale
has one descriptor all the same, so that no value is empty, and this one lies in no cell.
"""

from __future__ import annotations

import functools
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
    """Descriptors of 4 x 4 bins, every ``step`` pixels, of one or more sizes of a bin.

    ``planes`` (N, C, H, W) are as large as the image in which they lie.
    """

    def __init__(self, graph: Graph, planes: str, step: int, bin_sizes: Sequence[int]) -> None:
        self.graph, self.step, self.bin_sizes = graph, step, bin_sizes
        self.size = graph.lengths(planes, 2, 4)
        spans = (N_BINS - 1) * np.asarray(bin_sizes)[:, None]
        room = graph.op("Sub", self.size, graph.constant(1 + spans, np.int64))
        stepped = graph.integers(step)
        counts = graph.op("Div", graph.op("Add", room, stepped), stepped)
        least = graph.op("Max", counts, graph.integers(1))
        last = graph.op("Mul", graph.op("Sub", least, graph.integers(1)), stepped)
        spare = graph.op("Max", graph.op("Sub", room, last), graph.integers(0))
        #: By scale, the row and column of the first descriptor's first bin, and of the last one's, int64 (n_scales, 2).
        self.first = graph.op("Div", spare, graph.integers(2))
        self.last = graph.op("Add", self.first, last)
        fewest = graph.op("ReduceMin", counts, axes=[1], keepdims=0)
        is_there = graph.op("Greater", fewest, graph.constant(0, np.int64))
        spans_there = graph.constant(spans.ravel(), np.int64)
        #: What is added to twice a first bin's distance for that of the middle, (n_scales,).
        self.to_middle = graph.op("Where", is_there, spans_there, graph.constant(NOWHERE, np.int64))

    def pool(self, planes: str, n_planes: int, scale: int, profiles: NDArray[np.floating]) -> str:
        """Pool planes (N, n_planes, H, W) into the bins of a scale's descriptors, (N, 16 n_planes, descriptors).

        ``profiles`` (4, 2 r + 1) are what each bin takes of the pixels up to r from its middle, along either axis;
        beyond the image's edge there is nothing. The values are those of plane, bin's row, bin's column, in this order.
        """
        graph, bin_size, reach = self.graph, int(self.bin_sizes[scale]), profiles.shape[1] // 2
        span = (N_BINS - 1) * bin_size
        kernel = np.zeros((N_BINS, span + 2 * reach + 1))
        for place, profile in enumerate(profiles):
            kernel[place, place * bin_size : place * bin_size + 2 * reach + 1] = profile
        size = kernel.shape[1]
        # Behind the image enough for a descriptor that does not fit into it.
        pads = graph.integers(0, 0, reach, reach, 0, 0, reach + span, reach + span)

        def build(planes: str, first: str, last: str) -> str:
            stop = graph.op("Add", graph.row(last, scale), graph.integers(size))
            window = graph.op(
                "Slice", graph.op("Pad", planes, pads), graph.row(first, scale), stop, graph.integers(2, 3)
            )
            for n, shape, strides in (
                (n_planes, (size, 1), [self.step, 1]),
                (n_planes * N_BINS, (1, size), [1, self.step]),
            ):
                weights = np.tile(kernel, (n, 1)).reshape(n * N_BINS, 1, *shape)
                window = graph.op("Conv", window, graph.constant(weights), group=n, strides=strides)
            return graph.reshape(window, 0, 0, -1)

        return graph.function("PoolBins", build, planes, self.first, self.last)

    def points(self) -> Points:
        """Return where the descriptors lie, scale after scale and row after row."""
        graph = self.graph
        one = graph.constant(1, np.int64)
        ends = graph.op("Mul", self.size, graph.integers(2))
        # Twice the distance of the middle of each pixel from the edge.
        middles = [graph.op("Range", one, graph.row(ends, at), graph.constant(2, np.int64)) for at in (0, 1)]
        stops = graph.op("Add", self.last, graph.integers(1))
        xs, ys = [], []
        for scale in range(len(self.bin_sizes)):
            first, stop = graph.row(self.first, scale), graph.row(stops, scale)
            rows, columns = (
                graph.op(
                    "Slice",
                    middles[at],
                    *(graph.op("Slice", each, graph.integers(at), graph.integers(at + 1)) for each in (first, stop)),
                    graph.integers(0),
                    graph.integers(self.step),
                )
                for at in (0, 1)
            )
            to_middle = graph.row(self.to_middle, scale)
            x, y = spread_out(graph, *(graph.op("Add", each, to_middle) for each in (rows, columns)))
            xs.append(x)
            ys.append(y)
        return Points(graph.concat(0, *xs), graph.concat(0, *ys), self.size)

    def heat(self, shares: str, density: str) -> str:
        """Return the map (N, 1, H, W) of shares of the descriptors (N, P), each spread by a density over its support.

        A support is 4 bins wide, cut at the image's edge; the density (N, 1, H, W) is above zero.
        """
        graph, step = self.graph, self.step
        spans = graph.op("Sub", self.last, self.first)
        counts = graph.op("Add", graph.op("Div", spans, graph.integers(step)), graph.integers(1))
        stops = graph.op("CumSum", graph.op("ReduceProd", counts, axes=[1], keepdims=0), graph.constant(0, np.int64))
        stops = graph.concat(0, graph.integers(0), stops)
        batch = graph.lengths(shares, 0, 1)
        maps = []
        for scale, bin_size in enumerate(map(int, self.bin_sizes)):
            spread = functools.partial(self._spread, step, bin_size)
            ends = [graph.row(each, scale) for each in (self.first, self.last)]
            own = graph.op(
                "Slice", shares, *(graph.cut(stops, 0, at, at + 1) for at in (scale, scale + 1)), graph.integers(1)
            )
            own = graph.op("Reshape", own, graph.concat(0, batch, graph.integers(1), graph.row(counts, scale)))
            maps.append(graph.function("Spread", spread, own, density, *ends, self.size))
        return graph.op("Mul", graph.op("Sum", *maps), density)

    def _spread(self, step: int, bin_size: int, shares: str, density: str, first: str, last: str, size: str) -> str:
        """Return shares (N, 1, rows, columns) over the sums of the density in their supports, as (N, 1, H, W)."""
        graph = self.graph
        side, before, span = N_BINS * bin_size, bin_size // 2, (N_BINS - 1) * bin_size
        pads = graph.integers(0, 0, before, before, 0, 0, span + bin_size, span + bin_size)
        stop = graph.op("Add", last, graph.integers(side))
        sums = graph.op("Slice", graph.op("Pad", density, pads), first, stop, graph.integers(2, 3))
        column, row = (graph.constant(np.ones((1, 1, *shape))) for shape in ((side, 1), (1, side)))
        sums = graph.op("Conv", graph.op("Conv", sums, column, strides=[step, 1]), row, strides=[1, step])
        each = graph.over(shares, sums)
        each = graph.op("ConvTranspose", each, column, strides=[step, 1])
        each = graph.op("ConvTranspose", each, row, strides=[1, step])
        # From the first support's edge to the image's, which may be a part of the way back.
        begin = graph.op("Sub", first, graph.integers(before))
        end = graph.op("Sub", size, graph.op("Sub", stop, graph.integers(before)))
        nothing = graph.integers(0, 0)
        return graph.op("Pad", each, graph.concat(0, nothing, begin, nothing, end))
