"""The eight ways to lay a square: upright or mirrored, and turned by quarters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.duplicates.thumbnails import SIDE

#: What is done to a picture, by number: mirrored left to right from 4 on, then turned clockwise by quarters.
TURNS = (
    "",
    "turned by 90 degrees",
    "turned by 180 degrees",
    "turned by 270 degrees",
    "mirrored",
    "mirrored and turned by 90 degrees",
    "mirrored and turned by 180 degrees",
    "mirrored and turned by 270 degrees",
)
#: The first of those that are mirrored.
MIRRORED = 4


def turned(image: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Return an image (H, W) or (H, W, 3) laid in another way, a number of `TURNS`."""
    laid = image[:, ::-1] if turn >= MIRRORED else image
    return np.ascontiguousarray(np.rot90(laid, -(turn % 4)))


def undone(turn: int) -> int:
    """Return the turn that lays what was turned as it was before: a mirrored picture is mirrored back by itself."""
    return turn if turn >= MIRRORED else -turn % 4


def turn_map(turn: int) -> NDArray[np.float64]:
    """Return the map (3, 3) from the pixels of a thumbnail to those of the turned thumbnail."""
    last = SIDE - 1.0
    matrix = np.diag([-1.0, 1.0, 1.0]) if turn >= MIRRORED else np.eye(3)
    matrix[0, 2] = last if turn >= MIRRORED else 0
    quarter = np.array([[0, -1, last], [1, 0, 0], [0, 0, 1]])
    return np.asarray(np.linalg.matrix_power(quarter, turn % 4) @ matrix)
