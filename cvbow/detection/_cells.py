"""What a window of an image looks like: histograms of oriented gradients and the colour, cell by cell.

N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005, in the form of
P. Felzenszwalb, R. Girshick, D. McAllester and D. Ramanan, "Object detection with discriminatively trained part-based
models", PAMI 2010, section 6; colour beside it as in P. Dollar, R. Appel, S. Belongie and P. Perona, "Fast feature
pyramids for object detection", PAMI 2014.

Where it differs: a gradient is split between its two nearest directions, so that a mirrored image has the mirrored
cells. And directions are counted over blocks of half a cell's side, of which a cell sums four in each direction, with
weights of the tent that would weigh each pixel: one count a pixel in place of four.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

#: Pixels of the side of a cell.
CELL = 8
_BLOCK = CELL // 2
#: Directions over the whole circle.
_DIRECTIONS = 18
_HALF = _DIRECTIONS // 2
#: Values of a cell: directions, directions without their sign, the size by each normalisation, and the colour.
N_VALUES = _DIRECTIONS + _HALF + 4 + 3
#: A direction's share of the local size of gradients is cut to this, and gradients smaller than that are noise.
_CUT, _NOISE = 0.2, 2.0
_SIZE_WEIGHT = 0.2357
#: Lightness counts in hundreds; differences of hue are smaller, and get about as much weight.
_COLOR_UNITS = np.array([100, 60, 60], np.float32)
#: Rows of cells whose pixels are counted together, to stay in a core's cache.
_ROWS = 8
#: Where each value of a cell stands in the mirrored cell: direction o, at 20 o degrees, becomes 180 - 20 o.
MIRROR = np.concatenate(
    [
        (_HALF - np.arange(_DIRECTIONS)) % _DIRECTIONS,
        _DIRECTIONS + (_HALF - np.arange(_HALF)) % _HALF,
        _DIRECTIONS + _HALF + np.array([1, 0, 3, 2]),
        _DIRECTIONS + _HALF + 4 + np.arange(3),
    ]
)
#: A tent over two cells, at the middles of the four blocks under it.
_TENT = (0.25, 0.75, 0.75, 0.25)


def describe_cells(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the values of each cell of 8 x 8 pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        What reaches beyond the last whole cell does not count.

    Returns
    -------
    ndarray of shape (H // 8, W // 8, 34), float32
        18 directions of gradients and 9 without their sign, each in [0, 0.4]; the size of the gradients against that of
        four neighbourhoods; and lightness, red against green and yellow against blue.
    """
    rows, columns = image.shape[0] // CELL, image.shape[1] // CELL
    cells = np.zeros((rows, columns, N_VALUES), np.float32)
    if rows == 0 or columns == 0:
        return cells
    image = image[: rows * CELL, : columns * CELL]
    _normalize(_directions(image), cells)
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    color = small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    lab = cv2.cvtColor(color.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    np.divide(lab, _COLOR_UNITS, out=cells[..., -3:])
    return cells


def mirrored(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cells (..., rows, columns, 34) as those of the mirrored image."""
    return np.ascontiguousarray(cells[..., ::-1, :][..., MIRROR])


def _directions(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the gradients of cells by their 18 directions, (rows, columns, 18), in gray levels a pixel."""
    height, width = image.shape[:2]
    padded = cv2.split(cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REFLECT_101))
    blocks = np.zeros((height // _BLOCK + 2, width // _BLOCK + 2, _DIRECTIONS), np.float32)
    columns = (np.arange(width, dtype=np.int32) // _BLOCK) * _DIRECTIONS
    for top in range(0, height, _ROWS * CELL):
        bottom = min(top + _ROWS * CELL, height)
        size, angle = _gradients([channel[top : bottom + 2] for channel in padded])
        angle *= np.float32(_DIRECTIONS / (2 * np.pi))
        low = angle.astype(np.int32)
        angle -= low  # the share of the next direction
        low[low == _DIRECTIONS] = 0
        n_rows = (bottom - top) // _BLOCK
        first = (np.arange(bottom - top, dtype=np.int32) // _BLOCK) * (width // _BLOCK * _DIRECTIONS)
        place = first[:, None] + columns
        further = size * angle
        size -= further
        n = n_rows * (width // _BLOCK) * _DIRECTIONS
        counts = np.bincount((place + low).ravel(), size.ravel(), n)
        low += 1
        low[low == _DIRECTIONS] = 0
        counts += np.bincount((place + low).ravel(), further.ravel(), n)
        here = slice(top // _BLOCK + 1, bottom // _BLOCK + 1)
        blocks[here, 1:-1] = counts.reshape(n_rows, -1, _DIRECTIONS)
    blocks /= np.float32(CELL * CELL)
    n_rows, n_columns = height // _BLOCK, width // _BLOCK
    tall = np.zeros((n_rows // 2, n_columns + 2, _DIRECTIONS), np.float32)
    cells = np.zeros((n_rows // 2, n_columns // 2, _DIRECTIONS), np.float32)
    for at, weight in enumerate(_TENT):
        tall += np.float32(weight) * blocks[at : at + n_rows : 2]
    for at, weight in enumerate(_TENT):
        cells += np.float32(weight) * tall[:, at : at + n_columns : 2]
    return cells


def _gradients(padded: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return size and angle of the gradients inside of a frame of one pixel, of the channel where they are steepest."""
    steepest = best_x = best_y = np.zeros((0, 0), np.int16)
    for channel in padded:
        values = channel.astype(np.int16)
        x, y = values[1:-1, 2:] - values[1:-1, :-2], values[2:, 1:-1] - values[:-2, 1:-1]
        steep = np.abs(x)
        steep += np.abs(y)
        if not steepest.size:
            steepest, best_x, best_y = steep, x, y
            continue
        # All bits where this channel is steeper, none elsewhere: a third of the time of np.where.
        steeper = -(steep > steepest).astype(np.int16)
        np.maximum(steepest, steep, out=steepest)
        for best, other in ((best_x, x), (best_y, y)):
            other ^= best
            other &= steeper
            best ^= other
    size, angle = cv2.cartToPolar(best_x.astype(np.float32), best_y.astype(np.float32))
    return np.asarray(size, np.float32), np.asarray(angle, np.float32)


def _normalize(directions: NDArray[np.float32], cells: NDArray[np.float32]) -> None:
    """Put in the directions of cells by their size in each of the four squares of 2 x 2 cells that a cell lies in."""
    rows, columns = directions.shape[:2]
    unsigned = directions[..., :_HALF] + directions[..., _HALF:]
    energy = np.pad(np.square(unsigned).sum(axis=2), 1, mode="edge")
    squares = energy[:-1, :-1] + energy[1:, :-1] + energy[:-1, 1:] + energy[1:, 1:]
    both = np.concatenate([directions, unsigned], axis=2)
    n = both.shape[2]
    for number, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        factor = 1 / np.sqrt(squares[row : row + rows, column : column + columns] + np.float32(_NOISE**2))
        values = np.minimum(both * factor[..., None], np.float32(_CUT))
        cells[..., n + number] = np.float32(_SIZE_WEIGHT) * values[..., :_DIRECTIONS].sum(axis=2)
        values *= np.float32(0.5)
        cells[..., :n] += values
