"""Dense SIFT by its definition, pixel by pixel: slow, plain NumPy in float64, sharing nothing with the library.

D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 6: central differences on the
smoothed image, magnitude and angle, each pixel's magnitude shared among the two nearest bins in x, in y and in
orientation, a window over the patch, unit length, cut at 0.2, unit length again (or RootSIFT).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Float = NDArray[np.float64]


def smoothed(image: NDArray[np.uint8], bin_size: int, magnification: float) -> Float:
    """The image in [0, 1], brought from a standard deviation of 0.5 pixels to bin_size / magnification."""
    gray = image.astype(np.float64) / 255
    variance = (bin_size / magnification) ** 2 - 0.25 if magnification else 0.0
    return gaussian_filter(gray, np.sqrt(variance), mode="nearest") if variance > 0 else gray


def gradients(gray: Float) -> tuple[Float, Float]:
    """Central differences in x and y (downwards), the border replicated."""
    padded = np.pad(gray, 1, mode="edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


def starts_along(length: int, step: int, bin_size: int) -> list[int]:
    """First bin centres of the descriptors that fit: four bin centres on pixels of the image, left-overs shared."""
    starts = list(range(0, length - 3 * bin_size, step))
    left_over = length - 1 - (starts[-1] + 3 * bin_size) if starts else 0
    return [start + left_over // 2 for start in starts]


def orientation_shares(gx: Float, gy: Float, split: str) -> list[tuple[NDArray[np.intp], Float]]:
    """(orientation, magnitude) of each pixel's two votes.

    "angle" divides the magnitude in proportion to the angles, as SIFT does; "basis" takes the gradient's coordinates
    in the basis of the two directions, as cvbow documents.
    """
    magnitude = np.hypot(gx, gy)
    position = np.mod(np.arctan2(gy, gx), 2 * np.pi) / (np.pi / 4)
    lower = np.floor(position).astype(np.intp)
    part = position - lower
    if split == "angle":
        low, high = magnitude * (1 - part), magnitude * part
    else:
        low = magnitude * np.sin((1 - part) * np.pi / 4) / np.sin(np.pi / 4)
        high = magnitude * np.sin(part * np.pi / 4) / np.sin(np.pi / 4)
    return [(lower % 8, low), ((lower + 1) % 8, high)]


def window_means(bin_size: int, window_size: float) -> Float:
    """The Gaussian window's mean over the 2 * bin_size - 1 pixels of each of the four bins along an axis."""
    means = []
    for bin_ in range(4):
        center = (bin_ - 1.5) * bin_size
        values = [
            np.exp(-0.5 * ((center + offset) / (window_size * bin_size)) ** 2)
            for offset in range(1 - bin_size, bin_size)
        ]
        means.append(sum(values) / len(values))
    return np.array(means)


def histogram(
    votes: list[tuple[NDArray[np.intp], Float]], x0: int, y0: int, bin_size: int, window: str, window_size: float
) -> Float:
    """Raw (4, 4, 8) histogram: rows, columns, orientations; x0, y0 is the centre of the first bin."""
    height, width = votes[0][0].shape
    raw = np.zeros((4, 4, 8))
    for row in range(4):
        for column in range(4):
            center_y, center_x = y0 + row * bin_size, x0 + column * bin_size
            y = np.arange(max(0, center_y - bin_size + 1), min(height, center_y + bin_size))[:, None]
            x = np.arange(max(0, center_x - bin_size + 1), min(width, center_x + bin_size))[None, :]
            share = (1 - np.abs(y - center_y) / bin_size) * (1 - np.abs(x - center_x) / bin_size)
            if window == "gaussian":
                v, u = (y - y0) / bin_size - 1.5, (x - x0) / bin_size - 1.5
                share = share * np.exp(-0.5 * (u**2 + v**2) / window_size**2)
            for orientation, magnitude in votes:
                np.add.at(raw[row, column], orientation[y, x], share * magnitude[y, x])
    if window == "flat":
        means = window_means(bin_size, window_size)
        raw *= means[:, None, None] * means[None, :, None]
    return raw


def normalized(raw: Float, *, root: bool, shortest: float) -> Float:
    """Unit length, cut at 0.2, then unit length or RootSIFT; zero when shorter than ``shortest``."""
    length = np.sqrt((raw**2).sum())
    if length == 0 or length < shortest:
        return np.zeros_like(raw)
    cut = np.minimum(raw / length, 0.2)
    return np.sqrt(cut / cut.sum()) if root else cut / np.sqrt((cut**2).sum())


def dense_sift(
    image: NDArray[np.uint8],
    *,
    step: int,
    bin_size: int,
    window: str = "flat",
    window_size: float = 1.5,
    magnification: float = 6.0,
    contrast_threshold: float = 0.0,
    root: bool = True,
    split: str = "angle",
) -> tuple[Float, Float]:
    """Points (n, 4) and descriptors (n, 128) of one scale, row by row of the grid."""
    height, width = image.shape
    votes = orientation_shares(*gradients(smoothed(image, bin_size, magnification)), split)
    points, descriptors = [], []
    for y0 in starts_along(height, step, bin_size):
        for x0 in starts_along(width, step, bin_size):
            raw = histogram(votes, x0, y0, bin_size, window, window_size)
            # The mean gradient of a bin: the weights of its pixels sum to bin_size squared.
            points.append((x0 + 1.5 * bin_size, y0 + 1.5 * bin_size, 4 * bin_size, 0))
            descriptors.append(normalized(raw / bin_size**2, root=root, shortest=contrast_threshold).ravel())
    return np.array(points).reshape(-1, 4), np.array(descriptors).reshape(-1, 128)
