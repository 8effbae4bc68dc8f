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


def working_size(graph: Graph, pixels: str, min_side: int | None, max_side: int | None) -> str:
    """Return planes (N, C, H, W) of whole numbers at the size at which an extractor describes an image.

    As ``cvbow.features.Extractor`` has it: where the longer side is above ``max_side``, the image is shrunk; where the
    shorter side is below ``min_side``, it is enlarged.
    """
    if min_side is None and max_side is None:
        return pixels
    key = "working size", pixels, min_side, max_side
    return graph.once(key, lambda: _within(graph, pixels, min_side, max_side))


def _within(graph: Graph, pixels: str, min_side: int | None, max_side: int | None) -> str:
    lengths = graph.lengths(pixels, 2, 4)
    sides = graph.to(lengths, np.float64)
    scale = graph.constant([1], np.float64)
    if min_side is not None:
        shorter = graph.op("ReduceMin", sides, axes=[0])
        scale = graph.op("Max", scale, graph.op("Div", graph.constant([min_side], np.float64), shorter))
    if max_side is not None:
        longer = graph.op("ReduceMax", sides, axes=[0])
        scale = graph.op("Min", scale, graph.op("Div", graph.constant([max_side], np.float64), longer))
    wanted = graph.op("Max", graph.whole(graph.op("Mul", sides, scale)), graph.integers(1))
    if min_side is not None:
        # What is to be shrunk stays as it is here: no side gets smaller.
        pixels = _interpolated(graph, pixels, graph.op("Max", wanted, lengths))
    if max_side is None:
        return pixels
    is_larger = graph.op("Squeeze", graph.op("Less", scale, graph.constant([1], np.float64)))

    def shrunk() -> str:
        places = [_numbers(graph, graph.row(wanted, at)) for at in (0, 1)]
        return _shrunk(graph, pixels, wanted, places)

    return graph.either(is_larger, shrunk, lambda: pixels)


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
    """Return planes at a size as by OpenCV's ``INTER_CUBIC``."""
    lengths = graph.concat(0, graph.lengths(pixels, 0, 2), size)
    found = graph.op("Resize", pixels, "", "", lengths, mode="cubic", cubic_coeff_a=-0.75)
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

    def number(value: float) -> str:
        return graph.constant(value, np.float64)

    half = number(0.5)
    centers = graph.unsqueeze(graph.op("Mul", graph.op("Add", places, half), ratio), 1)
    away = graph.op("Sub", graph.op("Add", _numbers(graph, length), half), centers)
    x = graph.op("Abs", graph.op("Div", away, graph.op("Max", ratio, number(1))))
    if interpolation == "bilinear":
        values = graph.op("Max", graph.op("Sub", number(1), x), number(0))
    else:
        # Keys's cubic convolution at a = -1/2: 1.5 x^3 - 2.5 x^2 + 1 up to 1, and -0.5 x^3 + 2.5 x^2 - 4 x + 2 up to 2.
        inner, outer = (_polynomial(graph, x, each) for each in ((1.5, -2.5, 0, 1), (-0.5, 2.5, -4, 2)))
        outer = graph.op("Where", graph.op("Less", x, number(2)), outer, number(0))
        values = graph.op("Where", graph.op("Less", x, number(1)), inner, outer)
    return graph.to(graph.op("Div", values, graph.sum(values, 1)), np.float32)


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


def _numbers(graph: Graph, length: str) -> str:
    """Return the numbers from 0 up to a length, float64 (length,)."""
    zero, one = (graph.constant(number, np.int64) for number in (0, 1))
    return graph.to(graph.op("Range", zero, length, one), np.float64)
