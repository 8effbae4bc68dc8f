"""What the pictures share: images at a legible size, points and lines that show on any image, text, writing the file.

Geometry is drawn by OpenCV at four times the size and averaged, so that thin strokes are smooth; text by Pillow in the
font that it brings.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow.images import encode_png, from_gray
from cvbow.images.palette import DARK, SOFT
from cvbow.images.pixels import Color
from cvbow.storage import check_suffix, replacing

Pixels = NDArray[np.uint8]

#: Pixels of a longer side at which a person sees what is in an image.
_SEEN = 240
#: Marks are drawn at so many times the size; fractional bits of a coordinate there.
_FINE, _SHIFT = 4, 4
#: Width in pixels and opacity of the dark rim on each side of a mark.
_RIM, _RIM_STRENGTH = 1.0, 0.75
#: Coordinates beyond this, in pixels, are not drawn: OpenCV counts in 32-bit integers.
_FAR = 1e6


def blank(width: int, height: int) -> Pixels:
    """Return a white picture, (height, width, 3)."""
    return np.full((height, width, 3), 255, np.uint8)


def display(image: Pixels, width: int, height: int, *, enlarge: float = 8.0) -> tuple[Pixels, NDArray[np.float64]]:
    """Bring an image, (H, W) or (H, W, 3), to the largest size that fits into a box, but at most ``enlarge`` times.

    Beyond that it is enlarged only as far as a person needs to see it: to a longer side of ``_SEEN``.

    Returns
    -------
    pixels : ndarray of shape (H', W', 3), uint8
        A new array, RGB, at least one pixel on each side.
    matrix : ndarray of shape (3, 3), float64
        Takes points of the image to points of ``pixels``; pixel centres are at integers in both.
    """
    import cv2

    pixels = from_gray(image, floats=False)
    rows, columns = pixels.shape[:2]
    scale = min(width / columns, height / rows, max(enlarge, _SEEN / max(rows, columns)))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    if size == (columns, rows):
        pixels = pixels.copy()
    else:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = size[0] / columns, size[1] / rows
    return pixels, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


class Picture:
    """Marks on pixels (H, W, 3) in place, each with a dark rim so that it shows on bright and dark images alike.

    Widths and radii are pixels and need not be whole. The marks of one call have one rim around all of them.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    def lines(
        self, segments: ArrayLike, color: Color, *, width: float = 1, strength: float = 1.0, rim: bool = True
    ) -> None:
        """Draw line segments (n, 2, 2), x and y; ``strength`` below 1 lets the image show through."""
        import cv2

        ends = _near(np.asarray(segments, np.float64).reshape(-1, 4)).reshape(-1, 2, 2)

        def draw(mask: Pixels, corner: NDArray[np.float64], extra: float) -> None:
            thickness = max(1, round((width + 2 * extra) * _FINE))
            for first, last in _fine(ends - corner).tolist():
                cv2.line(mask, first, last, 255, thickness, cv2.LINE_8, _SHIFT)

        self._paint(draw, ends.min(axis=1), ends.max(axis=1), width / 2, color, strength, rim)

    def outline(self, corners: ArrayLike, color: Color, *, width: float = 2) -> None:
        """Draw a closed polygon through points (n, 2)."""
        points = np.asarray(corners, np.float64)
        self.lines(np.stack([points, np.roll(points, -1, axis=0)], axis=1), color, width=width)

    def circles(
        self, centers: ArrayLike, radii: ArrayLike, color: Color, *, width: float = 1, strength: float = 1.0
    ) -> None:
        """Draw circles of the given radii (n,) around points (n, 2)."""
        self._discs(centers, radii, width, color, strength)

    def dots(self, centers: ArrayLike, color: Color, *, radius: float = 2.0, rim: bool = True) -> None:
        """Draw filled dots at points (n, 2)."""
        centers = np.asarray(centers, np.float64).reshape(-1, 2)
        self._discs(centers, np.full(len(centers), radius), None, color, 1.0, rim)

    def _discs(
        self,
        centers: ArrayLike,
        radii: ArrayLike,
        width: float | None,
        color: Color,
        strength: float,
        rim: bool = True,
    ) -> None:
        """Draw circles with a stroke of ``width``, or filled ones for None."""
        import cv2

        places = np.asarray(centers, np.float64).reshape(-1, 2)
        discs = _near(np.column_stack([places, np.maximum(np.asarray(radii, np.float64).reshape(-1), 0)]))

        def draw(mask: Pixels, corner: NDArray[np.float64], extra: float) -> None:
            grown = extra if width is None else 0
            sizes = np.rint((discs[:, 2] + grown) * (_FINE << _SHIFT)).astype(int).tolist()
            thickness = -1 if width is None else max(1, round((width + 2 * extra) * _FINE))
            for center, radius in zip(_fine(discs[:, :2] - corner).tolist(), sizes, strict=True):
                cv2.circle(mask, center, radius, 255, thickness, cv2.LINE_8, _SHIFT)

        reach = discs[:, 2:] + np.zeros((1, 2))
        self._paint(draw, discs[:, :2] - reach, discs[:, :2] + reach, (width or 0) / 2, color, strength, rim)

    def _paint(
        self,
        draw: Callable[[Pixels, NDArray[np.float64], float], None],
        first: NDArray[np.float64],
        last: NDArray[np.float64],
        reach: float,
        color: Color,
        strength: float,
        rim: bool,
    ) -> None:
        """Lay rims, then marks, over the part of the picture that they reach: boxes from ``first`` to ``last``."""
        import cv2

        if not len(first):
            return
        size = np.array(self.pixels.shape[1::-1])
        corner = np.clip(np.floor(first.min(axis=0) - reach - _RIM - 1), 0, size)
        end = np.clip(np.ceil(last.max(axis=0) + reach + _RIM + 2), 0, size)
        width, height = (int(side) for side in end - corner)
        if width <= 0 or height <= 0:
            return
        left, top = (int(place) for place in corner)
        part = self.pixels[top : top + height, left : left + width]
        for paint, extra, opacity in ((DARK, _RIM, _RIM_STRENGTH), (color, 0.0, 1.0)):
            if extra and not rim:
                continue
            mask = np.zeros((height * _FINE, width * _FINE), np.uint8)
            draw(mask, corner, extra)
            cover = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
            cover = cover[..., None] * np.float32(strength * opacity / 255)
            part[:] = np.rint(part + cover * (np.array(paint, np.float32) - part)).astype(np.uint8)


def draw_frame(pixels: Pixels, corners: ArrayLike, color: Color, *, width: int = 3) -> bool:
    """Draw the frame with corners (n, 2) of something that was found in pixels (H, W, 3), in place and inside of them.

    Return False where nothing was drawn, as the corners are at or beyond the horizon.
    """
    points = np.nan_to_num(np.asarray(corners, np.float64), nan=np.inf, posinf=1e9, neginf=-1e9)
    if np.abs(points).max() > 1e5:
        return False
    # Where two frames coincide, the line is to be inside of the image.
    size = np.array(pixels.shape[1::-1])
    points = np.where(np.abs(points) < 2, 1, points)
    points = np.where(np.abs(points - (size - 1)) < 2, size - 2, points)
    copy = np.ascontiguousarray(pixels)
    Picture(copy).outline(points, color, width=width)
    pixels[:] = copy
    return True


def _near(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows that are finite and near enough to be drawn."""
    finite = values[np.isfinite(values).all(axis=1)]
    return finite[(np.abs(finite) < _FAR).all(axis=1)]


def _fine(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return places (..., 2) as OpenCV takes them, at the size at which marks are drawn."""
    return np.rint(((places + 0.5) * _FINE - 0.5) * (1 << _SHIFT)).astype(np.int64)


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


@functools.cache
def _has_glyph(character: str) -> bool:
    font = _font(16)
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


def _legible(text: str) -> str:
    """Return text with a question mark for each run of characters that the font has no pictures of."""
    return re.sub("\0+", "?", "".join(c if c.isprintable() and _has_glyph(c) else "\0" for c in text))


def text_width(text: str, size: int) -> int:
    """Return the width of a line of text in pixels."""
    return int(np.ceil(_font(size).getlength(_legible(text))))


def text_height(size: int) -> int:
    """Return the height of a line of text of a font size, in pixels."""
    ascent, descent = _font(size).getmetrics()
    return int(ascent + descent)


def fit_text(text: str, width: int, size: int) -> str:
    """Return text that is no wider than ``width``, shortened in its middle where it has to be; maybe empty."""
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head = (kept + 1) // 2
        shorter = f"{text[:head]}...{text[len(text) - (kept - head) :]}"
        if text_width(shorter, size) <= width:
            return shorter
    return ""


def wrap_text(text: str, width: int, size: int) -> list[str]:
    """Return lines of whole words that are no wider than ``width``; a word that is wider is shortened."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(fit_text(word, width, size))
    return lines


def put_text(pixels: Pixels, lines: Iterable[tuple[int, int, str]], size: int, color: Color = DARK) -> None:
    """Write lines of text, each at the x and y of its upper left corner, in place."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for x, y, text in lines:
        draw.text((x, y), _legible(text), fill=color, font=_font(size))
    pixels[:] = np.asarray(picture)


def put_legend(
    pixels: Pixels, legend: Iterable[tuple[Color, str]], x: int, y: int, size: int, *, dots: Collection[Color] = ()
) -> None:
    """Write what colours mean into a line, each behind a stroke, or a dot, of the colour."""
    picture = Picture(pixels)
    margin, middle = x, y + text_height(size) / 2
    for color, text in legend:
        if color in dots:
            picture.dots([[x + 12, middle]], color, radius=3)
        else:
            picture.lines([[[x + 2, middle], [x + 22, middle]]], color, width=3)
        text = fit_text(text, pixels.shape[1] - x - 30 - margin, size)
        put_text(pixels, [(x + 30, y, text)], size, SOFT)
        x += 30 + text_width(text, size) + 24


def write_picture(path: str | os.PathLike[str], pixels: Pixels) -> None:
    """Write pixels (H, W, 3) as a PNG file, whole or not at all.

    Raises
    ------
    ValueError
        If the path does not end in .png.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder of ``path`` is missing or read-only, or ``path`` is a folder.
    """
    check_suffix(path, ".png")
    with replacing(path) as file:
        file.write(encode_png(pixels))
