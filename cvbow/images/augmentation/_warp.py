"""One affine warp of an image: rotation, shift, shear, zoom and mirroring in a single resampling.

Matrices act on (row, column) around the image's centre, (H / 2 - 0.5, W / 2 - 0.5), with pixel centres at integers, and
take a place in the output to the place in the input that it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FILL_MODES", "affine_matrix", "warp"]

#: Fill modes, and OpenCV's name for each.
FILL_MODES = {
    "constant": "BORDER_CONSTANT",
    "nearest": "BORDER_REPLICATE",
    "reflect": "BORDER_REFLECT",
    "wrap": "BORDER_WRAP",
}
#: OpenCV counts pixels along a side in 16 bits here.
_LONGEST = 32766


def affine_matrix(parameters: Mapping[str, Any], height: int, width: int) -> NDArray[np.float64]:
    """Return the matrix (3, 3), from output (row, column, 1) to input, of a transform's geometric part.

    The order is Keras's: ``rotation @ shift @ shear @ zoom``, then the flips of what comes out.
    """
    theta, shear = math.radians(parameters.get("theta", 0.0)), math.radians(parameters.get("shear", 0.0))
    cos, sin, shear_cos, shear_sin = math.cos(theta), math.sin(theta), math.cos(shear), math.sin(shear)
    tx, ty = parameters.get("tx", 0.0), parameters.get("ty", 0.0)
    # About the centre, a flip is a zoom by -1.
    rows = -parameters.get("zx", 1.0) if parameters.get("flip_vertical") else parameters.get("zx", 1.0)
    columns = -parameters.get("zy", 1.0) if parameters.get("flip_horizontal") else parameters.get("zy", 1.0)
    # The product is written out: small arrays cost more than their arithmetic.
    a, b = cos * rows, -(cos * shear_sin + sin * shear_cos) * columns
    c, d = sin * rows, (cos * shear_cos - sin * shear_sin) * columns
    row, column = height / 2 - 0.5, width / 2 - 0.5
    down = row + cos * tx - sin * ty - (a * row + b * column)
    right = column + sin * tx + cos * ty - (c * row + d * column)
    return np.array([[a, b, down], [c, d, right], [0.0, 0.0, 1.0]])


def warp(
    image: NDArray[Any], parameters: Mapping[str, Any], *, fill_mode: str, cval: float, order: int
) -> NDArray[Any]:
    """Return an image (H, W) or (H, W, C), uint8 or float32, warped; always in memory of its own."""
    import cv2

    height, width = image.shape[:2]
    names = (("theta", 0.0), ("tx", 0.0), ("ty", 0.0), ("shear", 0.0), ("zx", 1.0), ("zy", 1.0))
    if all(parameters.get(name, rest) == rest for name, rest in names):
        # Whole pixels move: nothing is interpolated.
        rows, columns = (
            slice(None, None, -1 if parameters.get(f"flip_{s}") else 1) for s in ("vertical", "horizontal")
        )
        return np.array(image[rows, columns], order="C")
    if max(height, width) > _LONGEST:
        raise ValueError(f"image must have sides of at most {_LONGEST} pixels to be warped, got {width}x{height}")
    matrix = affine_matrix(parameters, height, width)
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


def _margins(matrix: NDArray[np.float64], height: int, width: int) -> tuple[int, int, int, int] | None:
    """Return the rows above and below, the columns left and right of an image that a warp looks at; None for many."""
    (a, b, right), (c, d, down) = matrix.tolist()
    across = [a * x + b * y + right for x in (0, width - 1) for y in (0, height - 1)]
    along = [c * x + d * y + down for x in (0, width - 1) for y in (0, height - 1)]
    before, after = [-min(along), -min(across)], [max(along) - (height - 1), max(across) - (width - 1)]
    top, left, bottom, past = (max(0, math.ceil(length)) + 2 for length in (*before, *after))
    size = height + top + bottom, width + left + past
    return (top, bottom, left, past) if size[0] * size[1] <= 4 * height * width and max(size) <= _LONGEST else None
