"""The main direction of the gradients around a point, for detectors that give none."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.features._pyramid import level_of, pyramid, sample_patches

N_BINS = 36
#: Samples along the side of the window in which gradients are looked at.
_SIDE = 17
#: Points at a time: a few MB of samples.
_PART = 2048


def main_directions(
    image: NDArray[np.uint8], points: NDArray[np.float32], sides: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the direction of most gradients around each point, (n,) float32, in degrees from 0 to 360.

    A histogram of 36 directions, weighted by the gradients' strength and a Gaussian, smoothed; its highest peak, by a
    parabola through its neighbours. As SIFT's (Lowe, IJCV 2004, section 5), but for a second peak, which it leaves out.
    Where there is no gradient at all the direction is 0. ``sides`` (n,) are those of the windows, in pixels.
    """
    spacing = sides / np.float32(_SIDE - 1)
    levels = level_of(spacing)
    images = pyramid(image, int(levels.max(initial=0)))
    offsets = np.linspace(-1, 1, _SIDE, dtype=np.float32)
    window = np.exp(-0.5 * (np.hypot(*np.meshgrid(offsets, offsets)) / 0.5) ** 2).ravel()
    angles = np.zeros(len(points), np.float32)
    for level, pixels in enumerate(images):
        rows = np.flatnonzero(levels == level)
        if not len(rows):
            continue
        gradients = [cv2.Sobel(pixels, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1))]
        for top in range(0, len(rows), _PART):
            part = rows[top : top + _PART]
            upright = points[part].copy()
            upright[:, 3] = 0
            dx, dy = (sample_patches(each, level, upright, spacing[part], _SIDE) for each in gradients)
            angles[part] = _peaks(_histograms(dx, dy, window))
    return angles


def _histograms(dx: NDArray[np.float32], dy: NDArray[np.float32], window: NDArray[np.float64]) -> NDArray[np.float64]:
    n = len(dx)
    place = np.arctan2(dy, dx) * (N_BINS / (2 * np.pi)) % N_BINS
    low = place.astype(np.intp) % N_BINS
    share = place - np.floor(place)
    weight = np.hypot(dx, dy) * window
    base = N_BINS * np.arange(n)[:, None]
    counts: NDArray[np.float64] = np.zeros(N_BINS * n)
    counts += np.bincount((base + low).ravel(), (weight * (1 - share)).ravel(), N_BINS * n)
    counts += np.bincount((base + (low + 1) % N_BINS).ravel(), (weight * share).ravel(), N_BINS * n)
    histograms = counts.reshape(n, N_BINS)
    smooth = np.zeros_like(histograms)
    for shift, factor in ((-2, 1 / 16), (-1, 4 / 16), (0, 6 / 16), (1, 4 / 16), (2, 1 / 16)):
        smooth += factor * np.roll(histograms, shift, axis=1)
    return smooth


def _peaks(histograms: NDArray[np.float64]) -> NDArray[np.float32]:
    best = histograms.argmax(axis=1)
    rows = np.arange(len(histograms))
    left, middle, right = (histograms[rows, (best + shift) % N_BINS] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    angles = np.where(middle > 0, (best + shift) * (360 / N_BINS) % 360, 0).astype(np.float32)
    return np.where(angles >= 360, np.float32(0), angles)
