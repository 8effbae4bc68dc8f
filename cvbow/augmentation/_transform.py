"""A random transform: its parameters, drawn from ranges, and what they do to an image.

Rotation, shift, shear, zoom and mirroring are a single resampling; channel shift and brightness follow. Matrices act on
(row, column) around the image's centre, (H / 2 - 0.5, W / 2 - 0.5), with pixel centres at integers, and take a place in
the output to the place in the input that it shows.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_real

#: Fill modes, and OpenCV's name for each.
FILL_MODES = {
    "constant": "BORDER_CONSTANT",
    "nearest": "BORDER_REPLICATE",
    "reflect": "BORDER_REFLECT",
    "wrap": "BORDER_WRAP",
}
#: The parameters of a transform, with the values that change nothing.
IDENTITY: dict[str, Any] = {
    "theta": 0.0,
    "tx": 0.0,
    "ty": 0.0,
    "shear": 0.0,
    "zx": 1.0,
    "zy": 1.0,
    "flip_horizontal": False,
    "flip_vertical": False,
    "channel_shift_intensity": None,
    "brightness": None,
}
#: OpenCV counts pixels along a side in 16 bits here.
_LONGEST = 32766


def check_ranges(ranges: Mapping[str, Any]) -> None:
    """Raise ValueError if a range that `draw` draws from breaks its rule."""
    for name in ("rotation_range", "shear_range", "channel_shift_range"):
        check_real(name, ranges[name], minimum=0)
    for name in ("width_shift_range", "height_shift_range"):
        given = ranges[name]
        if np.ndim(given) == 0:
            check_real(name, given, minimum=0)
        elif np.ndim(given) != 1 or len(given) == 0 or not np.isfinite(np.asarray(given, float)).all():
            raise ValueError(f"{name} must be a number >= 0 or a sequence of finite numbers, got {given!r}")
    brightness, zoom = ranges["brightness_range"], ranges["zoom_range"]
    if brightness is not None:
        _check_pair("brightness_range", brightness)
        if brightness[0] < 0:
            raise ValueError(f"brightness_range must be at least 0, got {brightness!r}")
    if np.ndim(zoom):
        _check_pair("zoom_range", zoom)
    else:
        check_real("zoom_range", zoom, minimum=0)
    if not 0 < _zoom_bounds(zoom)[0] <= _zoom_bounds(zoom)[1]:
        raise ValueError(f"zoom_range must be below 1, or two factors > 0 in order, got {zoom!r}")


def draw(ranges: Mapping[str, Any], height: int, width: int, rng: np.random.Generator) -> dict[str, Any]:
    """Draw the parameters of one transform, as Keras does, from the parameters of an ``ImageAugmenter`` by name.

    Every one takes its random numbers, used or not: turning one range off leaves the others' draws as they are.
    """
    u = rng.random(12).tolist()
    low, high = _zoom_bounds(ranges["zoom_range"])
    brightness = None
    if ranges["brightness_range"] is not None:
        dark, bright = ranges["brightness_range"]
        brightness = dark + (bright - dark) * u[11]
    channel_shift = ranges["channel_shift_range"]
    return {
        "theta": (2 * u[0] - 1) * ranges["rotation_range"],
        "tx": _shift(ranges["height_shift_range"], height, u[1], u[2]),
        "ty": _shift(ranges["width_shift_range"], width, u[3], u[4]),
        "shear": (2 * u[5] - 1) * ranges["shear_range"],
        "zx": low + (high - low) * u[6],
        "zy": low + (high - low) * u[7],
        "flip_horizontal": bool(u[8] < 0.5 and ranges["horizontal_flip"]),
        "flip_vertical": bool(u[9] < 0.5 and ranges["vertical_flip"]),
        "channel_shift_intensity": (2 * u[10] - 1) * channel_shift if channel_shift else None,
        "brightness": brightness,
    }


def apply(
    image: NDArray[Any], parameters: Mapping[str, Any], *, fill_mode: str, cval: float, order: int
) -> NDArray[Any]:
    """Return an image (H, W) or (H, W, C), uint8 or float32, transformed; always in memory of its own."""
    parameters = IDENTITY | dict(parameters)
    return _photometric(_warp(image, parameters, fill_mode, cval, order), parameters)


def check_pixels(x: object) -> NDArray[Any]:
    """Return an image as (H, W) or (H, W, C), uint8 or float32; no copy where it is one."""
    image = np.asarray(x)
    if image.ndim not in (2, 3) or 0 in image.shape or image.dtype.kind not in "uif":
        raise ValueError(f"x must be an image (H, W) or (H, W, C) of numbers, got shape {image.shape} of {image.dtype}")
    return image if image.dtype == np.uint8 else np.asarray(image, np.float32)


def _check_pair(name: str, value: Any) -> None:
    fits = np.ndim(value) == 1 and len(value) == 2
    if not fits or not all(isinstance(end, numbers.Real) for end in value) or not value[0] <= value[1] < float("inf"):
        raise ValueError(f"{name} must be two numbers in order, got {value!r}")


def _zoom_bounds(zoom_range: Any) -> tuple[float, float]:
    """Return the factors' range: around 1 for a number."""
    if np.ndim(zoom_range) == 0:
        return 1.0 - zoom_range, 1.0 + zoom_range
    low, high = zoom_range
    return float(low), float(high)


def _shift(given: Any, length: int, where: float, turn: float) -> float:
    """Return a shift in pixels along a side of that length, from two numbers in [0, 1)."""
    sign = 1 if turn < 0.5 else -1
    if isinstance(given, (int, np.integer)):
        # Whole pixels in the open interval (-given, given).
        return float(int(where * given) * sign)
    if np.ndim(given) == 0:
        return float((2 * where - 1) * given * (length if given < 1 else 1))
    chosen = float(given[int(where * len(given))]) * sign
    return chosen * length if max(given) < 1 else chosen


def _warp(image: NDArray[Any], parameters: dict[str, Any], fill_mode: str, cval: float, order: int) -> NDArray[Any]:
    import cv2

    height, width = image.shape[:2]
    if all(parameters[name] == IDENTITY[name] for name in ("theta", "tx", "ty", "shear", "zx", "zy")):
        # Whole pixels move: nothing is interpolated.
        rows, columns = (slice(None, None, -1 if parameters[f"flip_{s}"] else 1) for s in ("vertical", "horizontal"))
        return np.array(image[rows, columns], order="C")
    if max(height, width) > _LONGEST:
        raise ValueError(f"image must have sides of at most {_LONGEST} pixels to be warped, got {width}x{height}")
    matrix = _affine_matrix(parameters, height, width)
    # OpenCV's coordinates are (x, y).
    swapped = matrix[[1, 0]][:, [1, 0, 2]]
    flags = (cv2.INTER_LINEAR if order else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    border = getattr(cv2, FILL_MODES[fill_mode])
    margins = None if fill_mode == "constant" else _margins(swapped, height, width)
    if margins is not None:
        swapped[:, 2] += margins[2], margins[0]

    def part(pixels: NDArray[Any]) -> NDArray[Any]:
        if margins is not None:
            # OpenCV warps inside of an image about twice as fast as across its border.
            pixels = cv2.copyMakeBorder(pixels, *margins, border)
        warped: NDArray[Any] = cv2.warpAffine(
            pixels,
            swapped,
            (width, height),
            flags=flags,
            borderMode=cv2.BORDER_CONSTANT if margins is not None else border,
            borderValue=(cval,) * 4,
        )
        return warped

    if image.ndim == 2 or image.shape[2] in (1, 3, 4):
        # OpenCV drops an axis of length 1.
        return part(np.ascontiguousarray(image)).reshape(image.shape)
    # Of two channels OpenCV 5 rounds the places, and of five and more a border's value has too few.
    return np.stack([part(np.ascontiguousarray(image[..., c])) for c in range(image.shape[2])], axis=2)


def _affine_matrix(parameters: dict[str, Any], height: int, width: int) -> NDArray[np.float64]:
    """Return the matrix (3, 3), from output (row, column, 1) to input, of a transform's geometric part.

    The order is Keras's: ``rotation @ shift @ shear @ zoom``, then the flips of what comes out.
    """
    theta, shear = math.radians(parameters["theta"]), math.radians(parameters["shear"])
    cos, sin, shear_cos, shear_sin = math.cos(theta), math.sin(theta), math.cos(shear), math.sin(shear)
    tx, ty = parameters["tx"], parameters["ty"]
    # About the centre, a flip is a zoom by -1.
    rows = -parameters["zx"] if parameters["flip_vertical"] else parameters["zx"]
    columns = -parameters["zy"] if parameters["flip_horizontal"] else parameters["zy"]
    # The product is written out: small arrays cost more than their arithmetic.
    a, b = cos * rows, -(cos * shear_sin + sin * shear_cos) * columns
    c, d = sin * rows, (cos * shear_cos - sin * shear_sin) * columns
    row, column = height / 2 - 0.5, width / 2 - 0.5
    down = row + cos * tx - sin * ty - (a * row + b * column)
    right = column + sin * tx + cos * ty - (c * row + d * column)
    return np.array([[a, b, down], [c, d, right], [0.0, 0.0, 1.0]])


def _margins(matrix: NDArray[np.float64], height: int, width: int) -> tuple[int, int, int, int] | None:
    """Return the rows above and below, the columns left and right of an image that a warp looks at; None for many."""
    (a, b, right), (c, d, down) = matrix.tolist()
    across = [a * x + b * y + right for x in (0, width - 1) for y in (0, height - 1)]
    along = [c * x + d * y + down for x in (0, width - 1) for y in (0, height - 1)]
    before, after = [-min(along), -min(across)], [max(along) - (height - 1), max(across) - (width - 1)]
    top, left, bottom, past = (max(0, math.ceil(length)) + 2 for length in (*before, *after))
    size = height + top + bottom, width + left + past
    return (top, bottom, left, past) if size[0] * size[1] <= 4 * height * width and max(size) <= _LONGEST else None


def _photometric(image: NDArray[Any], parameters: dict[str, Any]) -> NDArray[Any]:
    """Shift the values, clipped to the image's own range, then brighten them, clipped to [0, 255].

    Of 8-bit pixels both are one look-up; the image itself comes back where there is neither.
    """
    shift, brightness = parameters["channel_shift_intensity"], parameters["brightness"]
    if shift is None and brightness is None:
        return image
    if image.dtype == np.uint8:
        import cv2

        table = np.arange(256, dtype=np.float32)
        if shift is not None:
            table = np.rint(np.minimum(np.maximum(table + np.float32(shift), image.min()), image.max()))
        if brightness is not None:
            # Pillow, which Keras calls, cuts the fraction off, and so do we. It multiplies in float32.
            table = np.minimum(np.trunc(table * np.float32(brightness)), 255)
        looked_up: NDArray[np.uint8] = cv2.LUT(image, table.astype(np.uint8)).reshape(image.shape)
        return looked_up
    if shift is not None:
        image = np.clip(image + np.float32(shift), image.min(), image.max())
    if brightness is not None:
        image = np.clip(image * np.float32(brightness), 0, 255)
    return image
