"""An image at several sizes, as cells; and the score of windows at each of their places."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.detection._cells import CELL, N_VALUES, describe_cells

#: Cells that a level is enlarged by on each side, so that windows may reach out of the image a little.
MARGIN = 2
#: An image is enlarged at most so many times, and never beyond so many pixels of its longer side.
_ENLARGED, _LARGEST = 4.0, 2048


@dataclass(frozen=True)
class Level:
    """An image at one of its sizes.

    Attributes
    ----------
    scale : float
        What the image's sides were meant to be multiplied by.
    cells : ndarray of shape (rows, columns, 34), float32
        With ``MARGIN`` more on each side.
    steps : ndarray of shape (2,), float64
        Width and height of a cell in pixels of the image.
    """

    scale: float
    cells: NDArray[np.float32]
    steps: NDArray[np.float64]

    def boxes(self, rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the boxes (n, 4) of windows of ``shape`` rows and columns of cells, by their first cell."""
        corners = (np.stack([columns, rows], axis=1) - MARGIN) * self.steps
        return np.concatenate([corners, corners + self.steps * shape[::-1]], axis=1)


def scales(image: NDArray[np.uint8], smallest: float, largest: float, n_levels: int) -> NDArray[np.float64]:
    """Return the scales at which objects have the size of windows, falling, ``n_levels`` of them for a halving.

    ``smallest`` and ``largest`` are the wanted scales; of enlarging there is an end.
    """
    most = max(1.0, min(_ENLARGED, _LARGEST / max(image.shape[:2])))
    high = min(largest, most)
    count = max(0, math.ceil(math.log2(high / smallest) * n_levels - 1e-9)) if high > smallest else 0
    return np.asarray(high * 2.0 ** (-np.arange(count + 1) / n_levels))


def levels(image: NDArray[np.uint8], at: NDArray[np.float64]) -> Iterator[Level]:
    """Yield an image at falling scales, as long as something is left of it."""
    height, width = image.shape[:2]
    base = image
    for scale in at.tolist():
        rows, columns = round(height * scale / CELL), round(width * scale / CELL)
        if min(rows, columns) < 1:
            return
        size = (columns * CELL, rows * CELL)
        while base.shape[0] >= 2 * size[1] and base.shape[1] >= 2 * size[0]:
            halved = ((base.shape[1] + 1) // 2, (base.shape[0] + 1) // 2)
            base = cv2.resize(base, halved, interpolation=cv2.INTER_AREA)
        shrinks = size[0] * size[1] < base.shape[0] * base.shape[1]
        resized = cv2.resize(base, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        cells = np.pad(describe_cells(resized), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
        yield Level(scale, cells, np.array([width / columns, height / rows]))


def score_windows(cells: NDArray[np.float32], windows: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Return the product of windows (rows, columns, 34) with the cells under them, at each of their places.

    One product of matrices gives that of each cell of a window with each cell of the image; a window's score is a sum
    of such.
    """
    height, width = cells.shape[:2]
    weights = np.concatenate([window.reshape(-1, N_VALUES) for window in windows])
    products = (weights @ cells.reshape(-1, N_VALUES).T).reshape(-1, height, width)
    maps, at = [], 0
    for window in windows:
        rows, columns = height - window.shape[0] + 1, width - window.shape[1] + 1
        scores = np.zeros((max(rows, 0), max(columns, 0)), np.float32)
        for row in range(window.shape[0]):
            for column in range(window.shape[1]):
                if scores.size:
                    scores += products[at, row : row + rows, column : column + columns]
                at += 1
        maps.append(scores)
    return maps


def cut_out(image: NDArray[np.uint8], box: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the cells of a box, brought to ``shape`` rows and columns of cells, with one more on each side.

    What lies outside of the image looks like its edge.
    """
    rows, columns = shape
    # Cells need neighbours to be normalised by.
    around = 2
    step = (box[2:] - box[:2]) / (columns, rows)
    low = np.floor(box[:2] - around * step).astype(int)
    high = np.maximum(np.ceil(box[2:] + around * step).astype(int), low + 1)
    height, width = image.shape[:2]
    x = np.clip(np.arange(low[0], high[0]), 0, width - 1)
    y = np.clip(np.arange(low[1], high[1]), 0, height - 1)
    size = ((columns + 2 * around) * CELL, (rows + 2 * around) * CELL)
    piece = image[y[:, None], x]
    shrinks = size[0] * size[1] < piece.shape[0] * piece.shape[1]
    resized = cv2.resize(piece, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return describe_cells(resized)[1:-1, 1:-1]
