"""The shape of an image: cropping, resizing, padding, rotating.

Images are uint8 or float32, (H, W) or (H, W, 3), and keep their dtype; sizes are (width, height) in pixels. No function
changes its argument, and no result shares its memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_flag, check_int, check_real
from cvbow.images.pixels import check_image

#: Ways to find values between pixels. "area" averages what falls into a new pixel, and suits shrinking only.
INTERPOLATIONS = ("area", "linear", "cubic", "lanczos")
PAD_MODES = ("constant", "replicate", "reflect")
#: OpenCV counts rows and columns in 16 bits where it warps.
_MAX_SIDE = 32766

Fill = float | tuple[float, float, float]


def center_crop(image: NDArray[Any], aspect: float = 1.0) -> NDArray[Any]:
    """Cut the largest rectangle of an aspect ratio out of an image's middle.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    aspect : float, default 1.0
        Width over height, above 0. The side that is cut is rounded to whole pixels, and is at least one. Where an odd
        number of pixels goes, one more goes on the right or at the bottom.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import center_crop
    >>> center_crop(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)).tolist()
    [[2, 3], [6, 7]]
    """
    image = check_image(image)
    check_real("aspect", aspect, minimum=0, open_minimum=True)
    height, width = image.shape[:2]
    across, down = width, height
    if width > height * aspect:
        across = max(1, round(height * aspect))
    else:
        down = max(1, round(width / aspect))
    left, top = (width - across) // 2, (height - down) // 2
    return np.array(image[top : top + down, left : left + across], order="C")


def resize(
    image: NDArray[Any],
    size: tuple[int, int] | None = None,
    *,
    longest: int | None = None,
    interpolation: str | None = None,
) -> NDArray[Any]:
    """Resize an image, to a size or to a length of its longer side.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    size : (width, height), optional
        In pixels; the aspect ratio may change.
    longest : int, optional
        Instead of `size`: the longer side becomes this long, the other follows, rounded, and is at least one pixel.
    interpolation : {"area", "linear", "cubic", "lanczos"}, optional
        By default "area" where neither side grows, which is the one that leaves no moiré, and otherwise "cubic".
        Lanczos spans 8 x 8 pixels. When shrinking, linear, cubic and Lanczos look at their few pixels only, so fine
        patterns alias; when enlarging, OpenCV's "area" is a form of linear.

    Returns
    -------
    ndarray of the same dtype
        Pixel centres sit at integers, and the image's edge, half a pixel outside, is kept.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import resize
    >>> resize(np.array([[10, 20, 30, 40], [10, 20, 30, 60]], np.uint8), (2, 1)).tolist()
    [[15, 40]]
    """
    import cv2

    image = check_image(image)
    height, width = image.shape[:2]
    if (size is None) == (longest is None):
        raise ValueError(f"one of size and longest must be given, got size={size!r} and longest={longest!r}")
    if size is not None:
        across, down = _check_size("size", size)
    else:
        check_int("longest", longest, minimum=1)
        scale = int(longest or 1) / max(width, height)
        across, down = max(1, round(width * scale)), max(1, round(height * scale))
    if interpolation is None:
        interpolation = "area" if across <= width and down <= height else "cubic"
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    if (across, down) == (width, height):
        return np.array(image)
    numbers = {
        "area": cv2.INTER_AREA,
        "linear": cv2.INTER_LINEAR,
        "cubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
    }
    return np.asarray(cv2.resize(image, (across, down), interpolation=numbers[interpolation]))


def pad(
    image: NDArray[Any],
    *,
    size: tuple[int, int] | None = None,
    margins: int | tuple[int, int, int, int] | None = None,
    mode: str = "constant",
    fill: Fill = 0,
) -> NDArray[Any]:
    """Put a margin around an image.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    size : (width, height), optional
        Of the result, no smaller than the image, which comes to lie in the middle; where the margins cannot be equal,
        the right and the bottom one are a pixel wider.
    margins : int or (top, bottom, left, right), optional
        Instead of `size`: pixels on each side.
    mode : {"constant", "replicate", "reflect"}, default "constant"
        What the margin is filled with: a value; the border's pixels again and again, ``aaa|abcd|ddd``; or the mirrored
        image, without its border, ``dcb|abcd|cba``.
    fill : number or (red, green, blue), default 0
        The value for "constant".

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import pad
    >>> pad(np.array([[1, 2, 3]], np.uint8), margins=(0, 0, 2, 2), mode="reflect").tolist()
    [[3, 2, 1, 2, 3, 2, 1]]
    """
    import cv2

    image = check_image(image)
    check_choice("mode", mode, PAD_MODES)
    height, width = image.shape[:2]
    if (size is None) == (margins is None):
        raise ValueError(f"one of size and margins must be given, got size={size!r} and margins={margins!r}")
    if size is not None:
        across, down = _check_size("size", size)
        if across < width or down < height:
            raise ValueError(f"size must be at least that of the image, {(width, height)}, got {size!r}")
        top, left = (down - height) // 2, (across - width) // 2
        sides = (top, down - height - top, left, across - width - left)
    else:
        sides = _check_margins(margins)
    numbers = {
        "constant": cv2.BORDER_CONSTANT,
        "replicate": cv2.BORDER_REPLICATE,
        "reflect": cv2.BORDER_REFLECT_101,
    }
    # A single row or column has nothing beside itself to reflect.
    if mode == "reflect" and min(height, width) == 1:
        return np.pad(image, ((sides[0], sides[1]), (sides[2], sides[3]), (0, 0))[: image.ndim], mode="reflect")
    return np.asarray(cv2.copyMakeBorder(image, *sides, numbers[mode], value=_fill(image, fill)))


def rotate(
    image: NDArray[Any],
    degrees: float,
    *,
    expand: bool = False,
    fill: Fill = 0,
    interpolation: str = "linear",
) -> NDArray[Any]:
    """Rotate an image about its centre.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    degrees : float
        Counter-clockwise, as seen on a screen.
    expand : bool, default False
        Make the result large enough to hold the whole image; otherwise it keeps its size, and corners are lost.
    fill : number or (red, green, blue), default 0
        The value where the image does not reach.
    interpolation : {"linear", "cubic", "lanczos"}, default "linear"

    Returns
    -------
    ndarray of the same dtype
        A multiple of 90 degrees moves pixels without interpolation wherever the result's shape allows it.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import rotate
    >>> rotate(np.array([[1, 2], [3, 4]], np.uint8), 90).tolist()
    [[2, 4], [1, 3]]
    """
    import cv2

    image = check_image(image)
    check_real("degrees", degrees, minimum=-np.finfo(np.float64).max)
    check_flag("expand", expand)
    check_choice("interpolation", interpolation, INTERPOLATIONS[1:])
    value = _fill(image, fill)
    height, width = image.shape[:2]
    quarters, rest = divmod(float(degrees) % 360, 90)
    if rest == 0 and (expand or quarters % 2 == 0 or height == width):
        return np.array(np.rot90(image, int(quarters)), order="C")
    angle = math.radians(float(degrees) % 360)
    sine, cosine = math.sin(angle), math.cos(angle)
    across, down = width, height
    if expand:
        # A hair less before rounding up, so that rounding errors add no empty column.
        across = math.ceil(abs(width * cosine) + abs(height * sine) - 1e-6)
        down = math.ceil(abs(width * sine) + abs(height * cosine) - 1e-6)
    if max(across, down, width, height) > _MAX_SIDE:
        raise ValueError(f"image must have no side above {_MAX_SIDE} pixels to be rotated, got {image.shape}")
    # Where a pixel of the result comes from: y points down, so counter-clockwise on the screen turns x towards -y.
    x, y = (width - 1) / 2, (height - 1) / 2
    new_x, new_y = (across - 1) / 2, (down - 1) / 2
    inverse = np.array(
        [
            [cosine, -sine, x - cosine * new_x + sine * new_y],
            [sine, cosine, y - sine * new_x - cosine * new_y],
        ]
    )
    number = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}[interpolation]
    flags = number | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, inverse, (across, down), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=value)
    )


def _check_size(name: str, size: object) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"{name} must be (width, height), got {size!r}")
    for side in size:
        check_int(name, side, minimum=1)
    return int(size[0]), int(size[1])


def _check_margins(margins: object) -> tuple[int, int, int, int]:
    sides = margins if isinstance(margins, (tuple, list)) else (margins,) * 4
    if len(sides) != 4:
        raise ValueError(f"margins must be an integer or (top, bottom, left, right), got {margins!r}")
    for side in sides:
        check_int("margins", side, minimum=0)
    top, bottom, left, right = map(int, sides)
    return top, bottom, left, right


def _fill(image: NDArray[Any], fill: object) -> tuple[float, ...]:
    values = fill if isinstance(fill, (tuple, list)) else (fill,) * 3
    if len(values) != 3 or (image.ndim == 2 and isinstance(fill, (tuple, list))):
        kind = "a number for a gray image" if image.ndim == 2 else "a number or (red, green, blue)"
        raise ValueError(f"fill must be {kind}, got {fill!r}")
    low, high = (0.0, 255.0) if image.dtype == np.uint8 else (-3e38, 3e38)
    for value in values:
        check_real("fill", value, minimum=low, maximum=high)
    return tuple(float(value) for value in values)
