"""Images brought to another size, in a graph: as OpenCV and as Pillow do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvbow.export._graph import Graph


@dataclass(frozen=True)
class Frame:
    """A part of an image at another size, of which no more is computed than the part.

    ``size``, int64 (2,), is the height and width of the whole, ``wanted`` of the part, which begins at ``corner``,
    int64 (2,), or is the whole, where that is None.
    """

    size: str
    wanted: tuple[int, int]
    corner: str | None = None

    def places(self, graph: Graph) -> list[str]:
        """Return the numbers of the rows, and of the columns, float64 (n,)."""
        places = [graph.constant(np.arange(length), np.float64) for length in self.wanted]
        if self.corner is None:
            return places
        begins = graph.to(self.corner, np.float64)
        return [graph.op("Add", numbers, graph.row(begins, at)) for at, numbers in enumerate(places)]

    def cut(self, graph: Graph, pixels: str) -> str:
        """Return the part of planes (N, C, H, W)."""
        if self.corner is None:
            return pixels
        end = graph.op("Add", self.corner, graph.integers(*self.wanted))
        return graph.op("Slice", pixels, self.corner, end, graph.integers(2, 3))


@dataclass(frozen=True)
class WorkingSize:
    """The size at which an extractor describes an image.

    ``size``, int64 (2,), is its height and width; ``grows`` and ``shrinks``, bool (), say whether the image is brought
    to it, and are None where no image is.
    """

    size: str
    grows: str | None
    shrinks: str | None

    def bring(self, graph: Graph, planes: str) -> str:
        """Return planes (N, C, H, W) of whole numbers at that size."""
        return graph.once(
            ("at working size", planes, self.size), lambda: self._shrunk(graph, self._grown(graph, planes))
        )

    def _grown(self, graph: Graph, planes: str) -> str:
        if self.grows is None:
            return planes
        return graph.either(self.grows, lambda: _interpolated(graph, planes, self.size), lambda: planes)

    def _shrunk(self, graph: Graph, planes: str) -> str:
        if self.shrinks is None:
            return planes

        def shrunk() -> str:
            places = [_numbers(graph, graph.row(self.size, at)) for at in (0, 1)]
            return _shrunk(graph, planes, self.size, places)

        return graph.either(self.shrinks, shrunk, lambda: planes)


def working_size(graph: Graph, pixels: str, min_side: int | None, max_side: int | None) -> WorkingSize:
    """Return the size at which an extractor describes an image (N, C, H, W).

    As ``cvbow.features.Extractor`` has it: where the longer side is above ``max_side``, the image is shrunk; where the
    shorter side is below ``min_side``, it is enlarged.
    """
    lengths = graph.lengths(pixels, 2, 4)
    if min_side is None and max_side is None:
        return WorkingSize(lengths, None, None)
    sides, one = graph.to(lengths, np.float64), graph.constant([1], np.float64)
    scale, grows, shrinks = one, None, None
    if min_side is not None:
        shorter = graph.op("ReduceMin", sides, axes=[0])
        scale = graph.op("Max", scale, graph.op("Div", graph.constant([min_side], np.float64), shorter))
    if max_side is not None:
        longer = graph.op("ReduceMax", sides, axes=[0])
        scale = graph.op("Min", scale, graph.op("Div", graph.constant([max_side], np.float64), longer))
        shrinks = graph.op("Squeeze", graph.op("Less", scale, one))
    if min_side is not None:
        grows = graph.op("Squeeze", graph.op("Greater", scale, one))
    size = graph.op("Max", graph.whole(graph.op("Mul", sides, scale)), graph.integers(1))
    return WorkingSize(size, grows, shrinks)


def resized(graph: Graph, pixels: str, frame: Frame) -> str:
    """Return a frame of planes (N, C, H, W) as ``cvbow.images.resize`` makes it."""
    grown = graph.op("ReduceMax", graph.op("Sub", frame.size, graph.lengths(pixels, 2, 4)), keepdims=0)
    grows = graph.op("Greater", grown, graph.constant(0, np.int64))
    return graph.either(
        grows,
        lambda: frame.cut(graph, _interpolated(graph, pixels, frame.size)),
        lambda: _shrunk(graph, pixels, frame.size, frame.places(graph)),
    )


def resampled(graph: Graph, pixels: str, frame: Frame, interpolation: str) -> str:
    """Return a frame of planes (N, C, H, W) as Pillow makes it; "bilinear" or "bicubic".

    The width comes first, as in ``cvbow.networks.Preprocessing``, and is rounded.
    """
    ratios, places = _ratios(graph, pixels, frame.size), frame.places(graph)
    lengths = [graph.row(graph.lengths(pixels, 2, 4), at) for at in (0, 1)]
    rows, columns = (_weights(graph, *axis, interpolation) for axis in zip(lengths, ratios, places, strict=True))

    def levels(values: str) -> str:
        # A half is rounded up.
        return _levels(graph, graph.op("Floor", graph.op("Add", values, graph.constant(0.5))))

    narrowed = levels(graph.op("MatMul", pixels, graph.transpose(columns, 1, 0)))
    return levels(graph.op("MatMul", rows, narrowed))


def _levels(graph: Graph, values: str) -> str:
    return graph.op("Clip", values, graph.constant(0), graph.constant(255))


def _interpolated(graph: Graph, pixels: str, size: str) -> str:
    """Return planes at a size as by OpenCV's ``INTER_CUBIC``.

    The operator Resize counts places in float32: five times as many pixels would be a level off.
    """
    ratios, width = _ratios(graph, pixels, size), 2
    # Beyond its edge an image goes on as it is there.
    margins = graph.integers(0, 0, width, width, 0, 0, width, width)
    padded = graph.op("Pad", pixels, margins, mode="edge")

    def weights(at: int) -> str:
        numbers = _numbers(graph, graph.row(graph.lengths(padded, 2, 4), at), -width)
        away = _away(graph, numbers, ratios[at], _numbers(graph, graph.row(size, at)))
        return graph.to(_cubic(graph, graph.op("Abs", away), -0.75), np.float32)

    rows, columns = weights(0), weights(1)
    found = graph.op("MatMul", graph.op("MatMul", rows, padded), graph.transpose(columns, 1, 0))
    return _levels(graph, graph.op("Round", found))


def _shrunk(graph: Graph, pixels: str, size: str, places: Sequence[str]) -> str:
    """Return rows and columns at a smaller size as by OpenCV's ``INTER_AREA``: a pixel is the mean of its area."""
    ratios = _ratios(graph, pixels, size)
    lengths = [graph.row(graph.lengths(pixels, 2, 4), at) for at in (0, 1)]
    rows, columns = (_areas(graph, *axis) for axis in zip(lengths, ratios, places, strict=True))
    return graph.op("Round", graph.op("MatMul", graph.op("MatMul", rows, pixels), graph.transpose(columns, 1, 0)))


def _areas(graph: Graph, length: str, ratio: str, places: str) -> str:
    """Return what each of ``length`` pixels in a row is of those at places (n,) of the smaller one, (n, length)."""
    starts = _numbers(graph, length)
    begins = graph.unsqueeze(graph.op("Mul", places, ratio), 1)
    first = graph.op("Max", begins, starts)
    last = graph.op("Min", graph.op("Add", begins, ratio), graph.op("Add", starts, graph.constant(1, np.float64)))
    common = graph.op("Max", graph.op("Sub", last, first), graph.constant(0, np.float64))
    return graph.to(graph.op("Div", common, ratio), np.float32)


def _weights(graph: Graph, length: str, ratio: str, places: str, interpolation: str) -> str:
    """Return how much each of ``length`` pixels in a row counts for those at places (n,) of the result, (n, length).

    Pillow's filters, as wide as a pixel of the row or of the result, whichever is wider.
    """
    away = _away(graph, _numbers(graph, length), ratio, places)
    x = graph.op("Abs", graph.op("Div", away, graph.op("Max", ratio, graph.constant(1, np.float64))))
    if interpolation == "bilinear":
        values = graph.op("Max", graph.op("Sub", graph.constant(1, np.float64), x), graph.constant(0, np.float64))
    else:
        values = _cubic(graph, x, -0.5)
    return graph.to(graph.op("Div", values, graph.sum(values, 1)), np.float32)


def _away(graph: Graph, numbers: str, ratio: str, places: str) -> str:
    """Return how far the middles of pixels are from those at places (n,) of the result, in pixels, (n, length)."""
    half = graph.constant(0.5, np.float64)
    centers = graph.unsqueeze(graph.op("Mul", graph.op("Add", places, half), ratio), 1)
    return graph.op("Sub", graph.op("Add", numbers, half), centers)


def _cubic(graph: Graph, x: str, a: float) -> str:
    """Return Keys's cubic convolution at distances: one polynomial up to 1, another up to 2, and zero beyond."""
    inner = _polynomial(graph, x, (a + 2, -(a + 3), 0, 1))
    outer = _polynomial(graph, x, (a, -5 * a, 8 * a, -4 * a))
    below = [graph.op("Less", x, graph.constant(end, np.float64)) for end in (1, 2)]
    return graph.op("Where", below[0], inner, graph.op("Where", below[1], outer, graph.constant(0, np.float64)))


def _polynomial(graph: Graph, x: str, coefficients: tuple[float, ...]) -> str:
    """Return a polynomial of float64 values, the highest power's coefficient first."""
    value = graph.constant(coefficients[0], np.float64)
    for coefficient in coefficients[1:]:
        value = graph.op("Add", graph.op("Mul", value, x), graph.constant(coefficient, np.float64))
    return value


def _ratios(graph: Graph, pixels: str, size: str) -> list[str]:
    """Return the height and the width of planes over those of another size, float64 ()."""
    lengths = graph.lengths(pixels, 2, 4)
    sides = [[graph.to(graph.row(each, at), np.float64) for each in (lengths, size)] for at in (0, 1)]
    return [graph.op("Div", *pair) for pair in sides]


def _numbers(graph: Graph, length: str, first: int = 0) -> str:
    """Return so many numbers, from the first one on, float64 (length,)."""
    zero, one = (graph.constant(number, np.int64) for number in (0, 1))
    numbers = graph.to(graph.op("Range", zero, length, one), np.float64)
    return graph.op("Add", numbers, graph.constant(first, np.float64)) if first else numbers
