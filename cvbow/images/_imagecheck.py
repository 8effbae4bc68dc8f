"""The check of an image that a function of this layer takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbow._checks import check_choice

__all__ = ["BORDERS", "border_type", "check_image", "check_pair"]

#: Ways to go on beyond the border of an image.
BORDERS = ("zeros", "replicate", "reflect")


def check_image(image: object, *, name: str = "image", color: bool | None = None, floats: bool = True) -> Any:
    """Return the image, C-contiguous; ValueError unless it is uint8 (or float32) of shape (H, W) or (H, W, 3).

    With `color`, only one of the two shapes is taken.
    """
    kinds = "uint8 or float32" if floats else "uint8"
    if not isinstance(image, np.ndarray) or not (image.dtype == np.uint8 or (floats and image.dtype == np.float32)):
        raise ValueError(f"{name} must be a {kinds} array, got {getattr(image, 'dtype', type(image).__name__)}")
    shapes = {None: "(H, W) or (H, W, 3)", True: "(H, W, 3)", False: "(H, W)"}
    is_color = image.ndim == 3 and image.shape[2] == 3
    if image.size == 0 or not (image.ndim == 2 or is_color) or (color is not None and color != is_color):
        raise ValueError(f"{name} must have shape {shapes[color]} with at least one pixel, got {image.shape}")
    return np.ascontiguousarray(image)


def check_pair(first: object, second: object) -> tuple[Any, Any]:
    """Return two images of one shape and dtype."""
    a, b = check_image(first, name="first"), check_image(second, name="second")
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(f"both images must have one shape and dtype, got {a.shape} {a.dtype} and {b.shape} {b.dtype}")
    return a, b


def border_type(name: str, value: str) -> int:
    """Return OpenCV's number for a way to go on beyond the border; "reflect" does not repeat the border's pixels."""
    import cv2

    check_choice(name, value, BORDERS)
    numbers = {
        "zeros": cv2.BORDER_CONSTANT,
        "replicate": cv2.BORDER_REPLICATE,
        "reflect": cv2.BORDER_REFLECT_101,
    }
    return int(numbers[value])
