"""Conversions of pixels that every source shares: range, transparency, luma, orientation, and the check of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["flatten", "image_from_array", "to_gray", "to_uint8", "upright"]

Pixels = NDArray[np.uint8]


def to_uint8(samples: NDArray[Any], top: int) -> Pixels:
    """Scale unsigned integers in 0..`top` to 0..255, rounding to the nearest."""
    if samples.dtype == np.uint8 and top == 255:
        return samples
    # The widest product, 65535 * 255 + 32767, needs 24 bits.
    return ((samples.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def flatten(color: Pixels, alpha: Pixels, *, premultiplied: bool = False) -> Pixels:
    """Lay pixels with an alpha channel onto white.

    Parameters
    ----------
    color : ndarray of uint8, shape (H, W) or (H, W, 3)
    alpha : ndarray of uint8, shape (H, W)
        255 is opaque.
    premultiplied : bool, default=False
        Whether `color` has been multiplied by alpha.

    Returns
    -------
    ndarray of uint8, same shape as `color`
    """
    # The largest sum, 255 * 255 + 127, still fits 16 bits.
    wide = alpha.astype(np.uint16)
    if color.ndim == 3:
        wide = wide[..., None]
    rest = 255 - wide
    laid: NDArray[Any] = np.minimum(color + rest, 255) if premultiplied else (color * wide + rest * 255 + 127) // 255
    return laid.astype(np.uint8)


def to_gray(pixels: Pixels) -> Pixels:
    """Return the ITU-R BT.601 luma of colour pixels, (H, W); gray ones pass through."""
    if pixels.ndim == 2:
        return pixels
    import cv2

    luma: Pixels = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), np.uint8)
    return luma


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (1 to 8); the result is C-contiguous, writeable and owns its memory."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    flags = pixels.flags
    return pixels if flags.c_contiguous and flags.writeable and flags.owndata else pixels.copy("C")


def image_from_array(source: NDArray[Any], *, gray: bool) -> Pixels:
    """Check an array of pixels and bring it to the form that `read_image` returns; `source` stays as it is."""
    array = np.asarray(source)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise ValueError(
            "source must be an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with at least one pixel, "
            f"got shape {array.shape}"
        )
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(f"source must be within [0, 1] when it is floating point, got [{low:g}, {high:g}]")
        array = np.rint(array * 255.0).astype(np.uint8)
    elif array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        array = to_uint8(array, 255 if array.dtype.itemsize == 1 else 65535)
    else:
        raise ValueError(f"source must be uint8, uint16, or floating point within [0, 1], got dtype {array.dtype}")

    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    elif array.ndim == 3 and array.shape[2] == 4:
        array = flatten(array[..., :3], array[..., 3])
    pixels = to_gray(array) if gray else array
    return pixels.copy("C") if np.may_share_memory(pixels, source) else upright(pixels, 1)
