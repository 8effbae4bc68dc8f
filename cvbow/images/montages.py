"""Many images at a glance: rows of small copies, each row with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.images.color import from_gray
from cvbow.images.geometry import resize
from cvbow.images.pixels import check_image

_GAP = 6
_TEXT = 14
_CAPTION = 20
_PAPER = 255
_INK = (27, 31, 36)

Row = tuple[str, Sequence[NDArray[np.uint8]]]


def fit_square(image: NDArray[np.uint8], side: int = 96) -> NDArray[np.uint8]:
    """Return an image that fits a square of ``side`` pixels: shrunk (area), or where it is tiny each pixel a square.

    Its longer side is `side`, or where it was enlarged the largest multiple of its own that fits.
    """
    image = check_image(image, floats=False)
    check_int("side", side, minimum=1)
    longest = max(image.shape[:2])
    if longest > side:
        return resize(image, longest=side)
    times = side // longest
    return np.array(image.repeat(times, axis=0).repeat(times, axis=1))


def montage(rows: Sequence[Row], *, side: int = 96, columns: int | None = None) -> NDArray[np.uint8]:
    """Lay out images in rows, each under its caption, on white.

    Parameters
    ----------
    rows : sequence of (caption, images)
        Images are uint8, gray or RGB, of any size. An empty caption takes no room; one too long is cut with an
        ellipsis. Where a row has more images than there are columns, it is broken.
    side : int, default 96
        Of the square that each image is fitted into, in pixels.
    columns : int, optional
        Images beside each other; by default as many as the longest row has.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import montage
    >>> noise = list(np.random.default_rng(0).integers(0, 256, (3, 20, 30), np.uint8))
    >>> montage([("noise", noise)], side=48).shape
    (80, 168, 3)
    """
    from PIL import Image, ImageDraw, ImageFont

    check_int("side", side, minimum=8)
    check_int("columns", columns, minimum=1, none=True)
    if not rows:
        raise ValueError("rows must have at least one row, got none")
    across = int(columns or max(1, *(len(images) for _, images in rows), 1))
    width = _GAP + across * (side + _GAP)
    heights = [(_CAPTION if caption else 0) + -(-len(images) // across) * (side + _GAP) for caption, images in rows]
    canvas = Image.new("RGB", (width, _GAP + sum(heights)), (_PAPER,) * 3)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_TEXT)
    top = _GAP
    for (caption, images), height in zip(rows, heights, strict=True):
        start = top
        if caption:
            draw.text((_GAP, start), _fitting(caption, width - 2 * _GAP, draw, font), fill=_INK, font=font)
            start += _CAPTION
        for number, image in enumerate(images):
            small = from_gray(fit_square(image, side))
            row, column = divmod(number, across)
            left = _GAP + column * (side + _GAP) + (side - small.shape[1]) // 2
            canvas.paste(Image.fromarray(small), (left, start + row * (side + _GAP) + (side - small.shape[0]) // 2))
        top += height
    return np.array(canvas)


def _fitting(text: str, width: int, draw: Any, font: Any) -> str:
    """Cut a text to a width in pixels, on one line."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[:500])
    if draw.textlength(text, font=font) <= width:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if draw.textlength(text[:middle] + "…", font=font) <= width:
            fits = middle
        else:
            too_long = middle
    return text[:fits] + "…"
