"""Dense extractors in a graph: descriptors as columns (N, k, P), of values in an order of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import CvbowError
from cvbow.export import _images
from cvbow.export._graph import END, Graph
from cvbow.export._grids import N_BINS, NOWHERE, Grid, Points, spread_out
from cvbow.export._sizes import working_size
from cvbow.features import ColorStatistics, DenseSIFT, Extractor, WhitenedPatches

#: Directions of a gradient: first the four straight ones, then the diagonal ones.
_DIRECTIONS = np.array([0, 2, 4, 6, 1, 3, 5, 7])


@dataclass(frozen=True)
class Described:
    """Descriptors (N, k, P), float32, and where they lie; value j is what the extractor has at ``order[j]``, (k,).

    ``heat`` spreads shares of the descriptors (N, P) over the pixels at the working size, (N, 1, H, W).
    """

    values: str
    order: NDArray[np.intp]
    points: Points
    heat: Callable[[str], str]


def describe(graph: Graph, extractor: Extractor, pixels: str) -> Described:
    """Describe planes (N, 3, H, W) of whole numbers; CvbowError if the extractor cannot be exported."""
    found = _EXTRACTORS.get(type(extractor))
    if found is None:
        raise CvbowError(
            f"{type(extractor).__name__} cannot be exported: how many points it finds is not known before it looks; "
            f"what can be is {', '.join(kind.__name__ for kind in _EXTRACTORS)}"
        )
    # In the order of ``Extractor.extract``: the gray of a mean of pixels is not the mean of their grays.
    planes = _images.gray(graph, pixels) if extractor.gray_only else pixels
    working = working_size(graph, pixels, extractor.min_side, extractor.max_side)
    return found(graph, extractor, working.bring(graph, planes), working.size)


def _dense_sift(graph: Graph, extractor: DenseSIFT, planes: str, lengths: str) -> Described:
    grid = Grid(graph, lengths, extractor.step, extractor.bin_sizes)
    raw = []
    for channel in _images.channels(graph, planes, extractor.color):
        parts = []
        for scale, size in enumerate(extractor.bin_sizes):
            smooth = smoothed(graph, channel, extractor.smoothing(size))
            gradients = graph.function("Directions", lambda plane: _directions(graph, plane), smooth)
            # Over the bin's size, so that scales have one threshold.
            parts.append(grid.pool(gradients, len(_DIRECTIONS), scale, extractor.bin_profiles(size) / size))
        raw.append(graph.concat(2, *parts))
    values = graph.function("NormalizeSIFT", lambda *raw: _normalized(graph, raw, extractor), *raw)
    order = np.arange(N_BINS**2) * len(_DIRECTIONS) + _DIRECTIONS[:, None]
    order = (len(_DIRECTIONS) * N_BINS**2 * np.arange(len(raw))[:, None] + order.ravel()).ravel()

    def heat(shares: str) -> str:
        gray = planes if extractor.gray_only else _images.gray(graph, planes)
        return grid.heat(shares, graph.function("Strength", lambda plane: _strength(graph, plane), gray))

    return Described(values, order, grid.points(), heat)


def _strength(graph: Graph, gray: str) -> str:
    """Return the gradient's strength, in gray levels a pixel, plus 1, (N, 1, H, W)."""
    squares = [graph.op("Mul", each, each) for each in _differences(graph, gray)]
    length = graph.op("Mul", graph.op("Sqrt", graph.op("Add", *squares)), graph.constant(0.5))
    return graph.op("Add", length, graph.constant(1))


def smoothed(graph: Graph, channel: str, variance: float) -> str:
    """Return a channel in whole steps (N, 1, H, W) smoothed by a Gaussian of this variance, in whole steps.

    Float32 alone would round one pixel in a hundred to another step. So the kernel is what it is in whole 128ths, by
    which products and sums of whole numbers are exact, and a remainder; and so is what the first pass gives.
    """
    if variance == 0:
        return channel
    import cv2

    sigma = float(np.sqrt(variance))
    # As many pixels as OpenCV takes for floats.
    size = round(8 * sigma + 1) | 1
    kernel = cv2.getGaussianKernel(size, sigma, cv2.CV_32F).ravel().astype(np.float64)
    whole = np.rint(128 * kernel)
    rest = 128 * kernel - whole

    def build(channel: str) -> str:
        pads = graph.integers(0, 0, size // 2, size // 2, 0, 0, size // 2, size // 2)
        padded = graph.op("Pad", channel, pads, mode="edge")
        rows = graph.op("Conv", padded, graph.constant(np.reshape([whole, rest], (2, 1, size, 1))))
        exact, small = graph.cut(rows, 1, 0, 1), graph.cut(rows, 1, 1, 2)
        # In 128ths of a step; upper counts 256 of them.
        upper = graph.op("Floor", graph.op("Mul", exact, graph.constant(1 / 256)))
        lower = graph.op("Add", graph.op("Sub", exact, graph.op("Mul", upper, graph.constant(256))), small)
        kernels = [[whole, np.zeros(size)], [rest / 64, kernel / 128]]
        # Half a step more, so that cutting to whole steps rounds.
        columns = graph.op(
            "Conv",
            graph.concat(1, upper, lower),
            graph.constant(np.reshape(kernels, (2, 2, 1, size))),
            graph.constant([0, 0.5]),
        )
        exact, small = graph.cut(columns, 1, 0, 1), graph.cut(columns, 1, 1, 2)
        # In 64ths of a step.
        steps = graph.op("Floor", graph.op("Mul", exact, graph.constant(1 / 64)))
        left = graph.op("Sub", graph.op("Mul", exact, graph.constant(1 / 64)), steps)
        return graph.op("Add", steps, graph.op("Floor", graph.op("Add", left, small)))

    return graph.function("Smooth", build, channel)


def _directions(graph: Graph, smooth: str) -> str:
    """Split the gradient of (N, 1, H, W) among the directions, (N, 8, H, W), in gray levels of [0, 1] per pixel."""
    x, y = _differences(graph, smooth)
    less_x, less_y, size_x, size_y = (graph.op(kind, each) for kind in ("Neg", "Abs") for each in (x, y))
    straight = graph.op("Sub", graph.concat(1, x, y, less_x, less_y), graph.concat(1, *[size_y, size_x] * 2))
    diagonal = graph.op("Min", graph.concat(1, x, less_x, less_x, x), graph.concat(1, y, y, less_y, less_y))
    unit = 0.5 / (_images.STEPS * 255)  # a central difference spans two pixels
    scales = np.repeat([unit, unit * np.sqrt(2)], len(_DIRECTIONS) // 2).reshape(1, -1, 1, 1)
    return graph.op("Mul", graph.op("Relu", graph.concat(1, straight, diagonal)), graph.constant(scales))


def _differences(graph: Graph, plane: str) -> tuple[str, str]:
    """Return what the next pixel of (N, 1, H, W) has more than the one before, along x and along y."""
    padded = graph.op("Pad", plane, graph.integers(0, 0, 1, 1, 0, 0, 1, 1), mode="edge")

    def moved(top: int, left: int) -> str:
        starts, stops = graph.integers(top, left), graph.integers(top - 2 or END, left - 2 or END)
        return graph.op("Slice", padded, starts, stops, graph.integers(2, 3))

    return graph.op("Sub", moved(1, 2), moved(1, 0)), graph.op("Sub", moved(2, 1), moved(0, 1))


def _normalized(graph: Graph, raw: Sequence[str], extractor: DenseSIFT) -> str:
    """Normalise descriptors (N, 128, P) of each channel; the contrast of all decides which become zero."""
    lengths = [graph.op("ReduceL2", each, axes=[1], keepdims=1) for each in raw]
    shares = map(graph.constant, extractor.contrast_shares)
    contrast = graph.op("Sum", *(graph.op("Mul", *pair) for pair in zip(lengths, shares, strict=True)))
    least = graph.constant(max(extractor.contrast_threshold, float(np.finfo(np.float32).tiny)))
    is_seen = graph.op("GreaterOrEqual", contrast, least)
    parts = []
    for each, length in zip(raw, lengths, strict=True):
        clipped = graph.op("Min", each, graph.op("Mul", length, graph.constant(0.2)))
        after = graph.sum(clipped, 1) if extractor.root else graph.op("ReduceL2", clipped, axes=[1], keepdims=1)
        values = graph.over(clipped, graph.op("Where", is_seen, after, graph.constant(0)))
        values = graph.op("Sqrt", values) if extractor.root else values
        parts.append(graph.op("Mul", values, graph.constant(1 / np.sqrt(len(raw)))) if raw[1:] else values)
    return graph.concat(1, *parts)


def _color_statistics(graph: Graph, extractor: ColorStatistics, planes: str, lengths: str) -> Described:
    if extractor.space != "lab":
        raise CvbowError(f"ColorStatistics(space={extractor.space!r}) cannot be exported, only space='lab' can")
    # Around 128, so that float32 holds the sums of squares of cells of up to 32 pixels a side.
    middle = 128
    channels = graph.op("Sub", _images.lab(graph, planes), graph.constant(middle))
    # The third sum is the area: of cells at the edge, what is inside counts.
    ones = graph.ones(graph.cut(channels, 1, 0, 1))
    powers = graph.concat(1, channels, graph.op("Mul", channels, channels), ones)
    grid = Grid(graph, lengths, extractor.step, extractor.bin_sizes)
    boxes = [np.ones((N_BINS, 2 * (size // 2) + 1)) for size in extractor.bin_sizes]
    parts = [grid.pool(powers, 7, scale, box) for scale, box in enumerate(boxes)]
    sums = graph.to(graph.concat(2, *parts), np.float64)
    n = 3 * N_BINS**2
    total, squares, area = (graph.cut(sums, 1, *ends) for ends in ((0, n), (n, 2 * n), (2 * n, END)))
    area = graph.op("Max", graph.concat(1, *[area] * 3), graph.constant(1, np.float64))
    mean = graph.op("Add", graph.op("Div", total, area), graph.constant(middle, np.float64))
    spread = graph.op("Sub", graph.op("Mul", squares, area), graph.op("Mul", total, total))
    deviation = graph.op("Div", graph.op("Sqrt", graph.op("Max", spread, graph.constant(0, np.float64))), area)
    values = graph.op("Div", graph.concat(1, mean, deviation), graph.constant(255, np.float64))
    order = np.arange(N_BINS**2) * 6 + np.arange(6)[:, None]
    return Described(graph.to(values, np.float32), order.ravel(), grid.points(), lambda shares: grid.heat(shares, ones))


def _whitened_patches(graph: Graph, extractor: WhitenedPatches, planes: str, lengths: str) -> Described:
    size, step, n_planes = extractor.patch_size, extractor.step, 1 if extractor.gray_only else 3
    n_patches = graph.op("Sub", lengths, graph.integers(size - 1))
    # Behind the image enough for a patch where it does not hold one.
    planes = graph.op("Pad", planes, graph.concat(0, graph.integers(0, 0, 0, 0, 0, 0), _lacking(graph, lengths, size)))
    k = n_planes * size**2
    picks = np.eye(k).reshape(k, size, size, n_planes).transpose(0, 3, 1, 2)
    patches = graph.op("Conv", planes, graph.constant(picks), strides=[step, step])
    raw = graph.reshape(patches, 0, 0, -1)
    centered = graph.op("Sub", raw, graph.op("ReduceMean", raw, axes=[1], keepdims=1))
    squares = graph.op("ReduceSumSquare", centered, axes=[1], keepdims=1)
    variance = graph.op("Mul", squares, graph.constant(1 / (k - 1)))
    deviation = graph.op("Sqrt", graph.op("Add", variance, graph.constant(extractor.variance_offset)))
    values = graph.over(centered, deviation)
    is_there = graph.op("Greater", graph.op("ReduceMin", n_patches, axes=[0]), graph.integers(0))
    first = graph.op("Where", is_there, graph.integers(size), graph.integers(NOWHERE))
    counts = graph.lengths(patches, 2, 4)
    zero, one = (graph.constant(number, np.int64) for number in (0, 1))
    rows, columns = (
        graph.op(
            "Add", graph.op("Mul", graph.op("Range", zero, graph.row(counts, at), one), graph.integers(2 * step)), first
        )
        for at in (0, 1)
    )
    points = Points(*spread_out(graph, rows, columns), lengths)

    def heat(shares: str) -> str:
        each = graph.op("Mul", shares, graph.constant(size**-2))
        each = graph.op("Reshape", each, graph.concat(0, graph.integers(0, 1), counts))
        spread = graph.op("ConvTranspose", each, graph.constant(np.ones((1, 1, size, size))), strides=[step, step])
        beyond = graph.op("Sub", lengths, graph.lengths(spread, 2, 4))
        return graph.op("Pad", spread, graph.concat(0, graph.integers(0, 0, 0, 0, 0, 0), beyond))

    return Described(values, np.arange(k), points, heat)


def _lacking(graph: Graph, lengths: str, size: int) -> str:
    """Return how many pixels each side lacks for a patch."""
    return graph.op("Max", graph.op("Sub", graph.integers(size), lengths), graph.integers(0))


_EXTRACTORS: dict[type[Extractor], Callable[[Graph, Any, str, str], Described]] = {
    DenseSIFT: _dense_sift,
    ColorStatistics: _color_statistics,
    WhitenedPatches: _whitened_patches,
}
