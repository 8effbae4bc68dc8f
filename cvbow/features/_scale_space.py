"""Extrema over place and scale.

T. Lindeberg, "Feature detection with automatic scale selection", IJCV 1998: a blob is where a derivative, multiplied by
the right power of the scale, is greatest among its neighbours in place and scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

#: Smoothing that the camera has done, as Lowe supposes.
CAMERA_SIGMA = 0.5
#: A smaller side has no inside in which to look for extrema.
_SMALLEST = 8
#: Moves to a better pixel before an extremum counts as none.
_MOVES = 4

Float32 = NDArray[np.float32]


def gaussian_octaves(
    image: NDArray[np.uint8], sigma: float, n_scales: int, n_more: int, max_sigma: float | None
) -> Iterator[tuple[int, list[Float32]]]:
    """Yield octaves (0, 1, ...), of which one pixel is 2^octave pixels of the image, and their smoothed images.

    Image s of an octave has the standard deviation sigma 2^(s / n_scales), in its own pixels; there are ``n_more``
    beyond the ``n_scales``. No octave begins beyond ``max_sigma``; None: as long as the image is large enough.
    """
    base: Float32 = image.astype(np.float32)
    more = np.sqrt(max(sigma**2 - CAMERA_SIGMA**2, 0.01))
    base = np.asarray(cv2.GaussianBlur(base, (0, 0), more), np.float32)
    octave = 0
    while min(base.shape) >= _SMALLEST and (max_sigma is None or sigma * 2**octave <= max_sigma):
        images = [base]
        for scale in range(1, n_scales + n_more):
            before, after = (sigma * 2 ** (each / n_scales) for each in (scale - 1, scale))
            images.append(np.asarray(cv2.GaussianBlur(images[-1], (0, 0), np.sqrt(after**2 - before**2)), np.float32))
        yield octave, images
        base = np.ascontiguousarray(images[n_scales][::2, ::2])
        octave += 1


def find_extrema(
    layers: list[Float32], threshold: float, edge_ratio: float | None, *, signed: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the extrema of layers (H, W), whose scales grow by the same factor, to parts of a pixel and of a layer.

    Returns their places (n, 3), as layer, y, x, and their values (n,). Values nearer to zero than ``threshold`` are
    left out, and those whose ratio of principal curvatures in the image is above ``edge_ratio``, unless it is None.
    Where ``signed``, minima below zero count as well as maxima above.
    """
    stack = np.stack(layers)
    layer, y, x = _candidates(stack, threshold, signed=signed)
    sign = np.sign(stack[layer, y, x])
    depth, height, width = stack.shape
    shift = np.zeros((len(layer), 3))
    value = np.zeros(len(layer))
    curvature = np.zeros((len(layer), 2, 2))
    open_ = np.arange(len(layer))
    good = np.zeros(len(layer), np.bool_)
    for _ in range(_MOVES + 1):
        if not len(open_):
            break
        center, slope, bend = _taylor(stack, layer[open_], y[open_], x[open_])
        solvable = np.abs(np.linalg.det(bend)) > 1e-12
        step = np.zeros((len(open_), 3))
        step[solvable] = -np.linalg.solve(bend[solvable], slope[solvable, :, None])[..., 0]
        shift[open_], curvature[open_] = step, bend[:, 1:, 1:]
        value[open_] = center + 0.5 * np.einsum("ni,ni->n", slope, step)
        settled = (np.abs(step) <= 0.6).all(axis=1)
        good[open_[settled & solvable]] = True
        open_, step = open_[~settled & solvable], step[~settled & solvable]
        move = np.clip(np.rint(step), -1, 1).astype(np.intp)
        layer[open_] += move[:, 0]
        y[open_] += move[:, 1]
        x[open_] += move[:, 2]
        inside = (layer[open_] >= 1) & (layer[open_] < depth - 1)
        inside &= (y[open_] >= 1) & (y[open_] < height - 1) & (x[open_] >= 1) & (x[open_] < width - 1)
        open_ = open_[inside]
    good &= sign * value >= threshold
    if edge_ratio is not None:
        trace = curvature[:, 0, 0] + curvature[:, 1, 1]
        determinant = curvature[:, 0, 0] * curvature[:, 1, 1] - curvature[:, 0, 1] ** 2
        good &= (determinant > 0) & (trace**2 * edge_ratio < (edge_ratio + 1) ** 2 * determinant)
    places = np.column_stack([layer, y, x])[good] + shift[good]
    # Two candidates may have moved to one place.
    first = np.unique(np.column_stack([layer, y, x])[good], axis=0, return_index=True)[1]
    return places[first], value[good][first]


def _candidates(
    stack: Float32, threshold: float, *, signed: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels that are not smaller than any of their 26 neighbours; the outer ones of the stack have none."""
    around = np.ones((3, 3), np.uint8)
    height = np.abs(stack) if signed else stack
    greatest = [cv2.dilate(layer, around) for layer in height]
    found = []
    # A parabola may reach a little higher than its pixels.
    enough = np.float32(0.8 * threshold)
    for layer in range(1, len(stack) - 1):
        inner = height[layer, 1:-1, 1:-1]
        most = np.maximum(np.maximum(greatest[layer - 1], greatest[layer + 1]), greatest[layer])[1:-1, 1:-1]
        y, x = np.nonzero((inner >= most) & (inner > enough))
        found.append((np.full(len(y), layer, np.intp), y + 1, x + 1))
    if not found:
        return (np.zeros(0, np.intp),) * 3
    layers, ys, xs = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return layers, ys, xs


def _taylor(
    stack: Float32, layer: NDArray[np.intp], y: NDArray[np.intp], x: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return values (n,), first (n, 3) and second derivatives (n, 3, 3) by differences of neighbours."""

    def at(d_layer: int, d_y: int, d_x: int) -> NDArray[np.float64]:
        return stack[layer + d_layer, y + d_y, x + d_x].astype(np.float64)

    center = at(0, 0, 0)
    units = np.eye(3, dtype=int)
    slope = np.stack([(at(*unit) - at(*-unit)) / 2 for unit in units], axis=1)
    bend = np.empty((len(layer), 3, 3))
    for i in range(3):
        bend[:, i, i] = at(*units[i]) - 2 * center + at(*-units[i])
        for j in range(i):
            mixed = at(*(units[i] + units[j])) - at(*(units[i] - units[j]))
            mixed += at(*-(units[i] + units[j])) - at(*(units[j] - units[i]))
            bend[:, i, j] = bend[:, j, i] = mixed / 4
    return center, slope, bend
