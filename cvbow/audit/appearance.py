"""What images look like in a few numbers: how bright, how sharp, of which size; and what is in which place.

How blurred an image is, is measured by what another blur takes from it: F. Crete, T. Dolmiere, P. Ladret and M.
Nicolas, "The blur effect: perception and estimation with a new no-reference perceptual blur metric", SPIE 6492, 2007.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.images import FileFacts, has_color, to_gray

#: Brightness and sharpness are measured on an image shrunk to this longer side; a noise of the camera is no sharpness.
_SIDE = 512
#: Pixels of the box whose blur takes from what is sharp.
_BOX = 11
#: Of the border, as a share of the shorter side.
_BORDER = 0.03
#: The whole image, stretched to a square, and each of its corners: their sides in pixels.
_WHOLE, _CORNER = 64, 48
#: Side of a corner, as a share of the root of the area, and in pixels. What was stamped on images lies at the same
#: place of all, or equally far from an edge: by the image's size or in pixels.
_SHARE, _PIXELS = 0.35, 64
#: Side of a place in such a view, in pixels; the way to the next one is half of it. A square of a hundredth of an image
#: holds a whole place of either.
_SIDES = {_WHOLE: 4, _CORNER: 8}


@dataclass(frozen=True, eq=False)
class Appearance:
    """What one image looks like.

    Attributes
    ----------
    file : FileFacts
    width, height : int
        In pixels, upright.
    color : bool
        Whether there is any.
    brightness, contrast : float
        Mean and standard deviation of its gray values, 0 to 255.
    dark_end, bright_end : float
        Gray values that 5 % of the pixels are below of, and above of.
    blur : float
        From 0 for what is sharp to 1; 1 also where there is nothing to see.
    border : tuple of float
        The mean colour of its border, red, green and blue, 0 to 255.
    views : ndarray of shape (n,), uint8
        Small gray copies of the whole and of the corners, whose parts are ``all_places``.
    """

    file: FileFacts
    width: int
    height: int
    color: bool
    brightness: float
    contrast: float
    dark_end: float
    bright_end: float
    blur: float
    border: tuple[float, float, float]
    views: NDArray[np.uint8]

    @classmethod
    def of(cls, image: NDArray[np.uint8], file: FileFacts) -> Appearance:
        """Look at an image (H, W) or (H, W, 3), of a file."""
        height, width = image.shape[:2]
        gray = to_gray(image, floats=False)
        small = _shrunk(gray)
        dark, bright = np.percentile(small, (5, 95))
        return cls(
            file,
            width,
            height,
            bool(has_color(image)),
            float(small.mean()),
            float(small.std()),
            float(dark),
            float(bright),
            blur_of(small),
            _border(image),
            _views(gray),
        )


def blur_of(gray: NDArray[np.uint8]) -> float:
    """Return how blurred a gray image (H, W) is: from 0, where another blur changes all, to 1, where it changes none.

    Of the two directions, the more blurred one counts.
    """
    values = gray.astype(np.float32)
    found = []
    for axis in (0, 1):
        size = (1, _BOX) if axis == 0 else (_BOX, 1)
        again = cv2.blur(values, size, borderType=cv2.BORDER_REFLECT)
        before, after = np.abs(np.diff(values, axis=axis)), np.abs(np.diff(again, axis=axis))
        total = float(before.sum(dtype=np.float64))
        lost = float(np.maximum(before - after, 0).sum(dtype=np.float64))
        found.append(1 - lost / total if total > 0 else 1.0)
    return max(found)


@dataclass(frozen=True)
class Place:
    """A small square of ``Appearance.views``.

    Attributes
    ----------
    where : str
        In words, to be said after what is there.
    start, side : int
        Of the view that it lies in, among the pixels of all.
    row, column, size : int
        Of its first pixel in the view, and its own side.
    """

    where: str
    start: int
    side: int
    row: int
    column: int
    size: int

    def pixels(self, views: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return its pixels in images' views (n, ...), shape (n, size ** 2), float32."""
        view = views[:, self.start : self.start + self.side**2].reshape(-1, self.side, self.side)
        part = view[:, self.row : self.row + self.size, self.column : self.column + self.size]
        return part.reshape(len(views), -1).astype(np.float32)


def all_places() -> list[Place]:
    """Return the places of the whole image, then those of its corners."""
    found, start = [], 0
    for number, side in enumerate((_WHOLE, *(_CORNER,) * 8)):
        size = _SIDES[side]
        last = side - size
        for row in range(0, last + 1, size // 2):
            for column in range(0, last + 1, size // 2):
                where = _CORNERS[(number - 1) % 4] if number else _where(row / last, column / last)
                found.append(Place(where, start, side, row, column, size))
        start += side**2
    return found


#: The corners in the order of ``_views``.
_CORNERS = ("at the upper left", "at the upper right", "at the lower left", "at the lower right")


def _where(row: float, column: float) -> str:
    """Return where a point lies, given in shares of an image's sides."""
    down = 0 if row < 1 / 3 else 1 if row < 2 / 3 else 2
    across = 0 if column < 1 / 3 else 1 if column < 2 / 3 else 2
    names = (
        ("at the upper left", "at the top", "at the upper right"),
        ("at the left", "in the middle", "at the right"),
        ("at the lower left", "at the bottom", "at the lower right"),
    )
    return names[down][across]


def _views(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = gray.shape
    parts = [_resized(gray, _WHOLE)]
    for side in (math.sqrt(height * width) * _SHARE, _PIXELS):
        down, across = min(max(round(side), 1), height), min(max(round(side), 1), width)
        for rows in (slice(0, down), slice(height - down, height)):
            for columns in (slice(0, across), slice(width - across, width)):
                parts.append(_resized(gray[rows, columns], _CORNER))
    return np.concatenate([part.ravel() for part in parts])


def _resized(gray: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(gray, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _shrunk(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = gray.shape
    scale = _SIDE / max(height, width)
    if scale >= 1:
        return gray
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)


def _border(image: NDArray[np.uint8]) -> tuple[float, float, float]:
    pixels = image.reshape(*image.shape[:2], -1)
    wide = max(1, round(_BORDER * min(image.shape[:2])))
    edges = (pixels[:wide], pixels[-wide:], pixels[:, :wide], pixels[:, -wide:])
    total = sum(edge.sum(axis=(0, 1), dtype=np.float64) for edge in edges)
    mean = np.broadcast_to(total / sum(edge.shape[0] * edge.shape[1] for edge in edges), 3)
    return float(mean[0]), float(mean[1]), float(mean[2])
