"""Pixels as extractors see them, in a graph: gray, opponent colours, L*a*b*."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import CvbowError
from cvbow.export._graph import Graph

#: Steps of a gray level in which gradients are counted.
STEPS = 256
#: OpenCV's luma: whole numbers over 2^15.
_LUMA, _LUMA_BITS = (9798, 19235, 3735), 15
#: OpenCV's L*a*b* of 8 bits: the gamma has so many bits behind the point, the matrix so many, and the roots.
_GAMMA_BITS, _MATRIX_BITS, _ROOT_BITS = 3, 12, 15


def gray(graph: Graph, pixels: str) -> str:
    """Return the luma of planes (N, 3, H, W), in whole numbers, (N, 1, H, W)."""
    # Whole numbers below 2^23: float32 holds them.
    weights = graph.constant(np.reshape(_LUMA, (1, 3, 1, 1)))
    sums = graph.op("Conv", pixels, weights, graph.constant([1 << (_LUMA_BITS - 1)]))
    return graph.op("Floor", graph.op("Mul", sums, graph.constant(2.0**-_LUMA_BITS)))


def channels(graph: Graph, planes: str, color: str) -> list[str]:
    """Return the channels in which ``DenseSIFT`` looks for gradients, each (N, 1, H, W), in whole ``STEPS``.

    ``planes`` are gray, (N, 1, H, W), for "gray", and RGB otherwise, (N, 3, H, W).
    """
    steps = graph.constant(STEPS)
    if color == "gray":
        return [graph.op("Mul", planes, steps)]
    red, green, blue = (graph.cut(planes, 1, at, at + 1) for at in range(3))
    if color == "rgb":
        return [graph.op("Mul", each, steps) for each in (red, green, blue)]
    if color != "opponent":
        raise CvbowError(f"DenseSIFT(color={color!r}) cannot be exported; what can be is gray, rgb and opponent")
    intensity = gray(graph, planes)
    red_green = graph.op("Mul", graph.op("Sub", red, green), graph.constant(1 / np.sqrt(2)))
    yellow_blue = graph.op("Sub", graph.op("Add", red, green), graph.op("Mul", blue, graph.constant(2)))
    yellow_blue = graph.op("Mul", yellow_blue, graph.constant(1 / np.sqrt(6)))
    opponents = []
    for each in (red_green, yellow_blue):
        # In the order in which ``cvbow.features`` rounds to float32.
        whole = graph.op("Add", each, graph.op("Mul", intensity, graph.constant(0.01)))
        whole = graph.op("Add", graph.op("Mul", whole, graph.constant(0.5)), graph.constant(127))
        opponents.append(graph.op("Round", graph.op("Mul", whole, steps)))
    return [graph.op("Mul", intensity, steps), *opponents]


def lab(graph: Graph, pixels: str) -> str:
    """Return L*a*b* of planes (N, 3, H, W) of sRGB as OpenCV has it in 8 bits, by the same tables of whole numbers."""
    linear = graph.op("Gather", graph.constant(_gamma()), graph.to(pixels, np.int32), axis=0)
    half = graph.constant([1 << (_MATRIX_BITS - 1)] * 3)
    mixed = graph.op("Conv", linear, graph.constant(_to_xyz().reshape(3, 3, 1, 1)), half)
    places = graph.to(graph.op("Floor", graph.op("Mul", mixed, graph.constant(2.0**-_MATRIX_BITS))), np.int32)
    roots = graph.op("Gather", graph.constant(_roots()), places, axis=0)
    # Whole numbers below 2^24, or multiples of 4 below 2^26, whatever is added first: float32 holds them.
    factors = np.array([[0, (116 * 255 + 50) // 100, 0], [500, -500, 0], [0, 200, -200]])
    offsets = np.array([-((16 * 255 * (1 << _ROOT_BITS) + 50) // 100), *[128 << _ROOT_BITS] * 2]) + (
        1 << (_ROOT_BITS - 1)
    )
    sums = graph.op("Conv", roots, graph.constant(factors.reshape(3, 3, 1, 1)), graph.constant(offsets))
    levels = graph.op("Floor", graph.op("Mul", sums, graph.constant(2.0**-_ROOT_BITS)))
    return graph.op("Clip", levels, graph.constant(0), graph.constant(255))


def _gamma() -> NDArray[np.float64]:
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.rint(255 * (1 << _GAMMA_BITS) * linear))


def _roots() -> NDArray[np.float64]:
    value = np.arange(256 * 3 // 2 << _GAMMA_BITS) / (255 << _GAMMA_BITS)
    curve = np.where(value < 0.008856, 7.787 * value + 16 / 116, np.cbrt(value))
    # Two values are so near the middle of whole numbers that it counts that OpenCV's are of float32.
    return np.asarray(np.rint((1 << _ROOT_BITS) * curve.astype(np.float32)), np.float64)


def _to_xyz() -> NDArray[np.float64]:
    """Return what makes X, Y and Z over those of white out of linear sRGB."""
    matrix = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    return np.asarray(np.rint((1 << _MATRIX_BITS) * matrix / [[0.950456], [1], [1.088754]]))
