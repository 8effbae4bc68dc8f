"""How often each visual word and each colour occurs in any box of an image, at the cost of four look-ups.

P. Viola and M. Jones, "Robust real-time face detection", IJCV 2004, for sums over boxes by their corners; of words,
C. Lampert, M. Blaschko and T. Hofmann, "Efficient subwindow search", PAMI 2009.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: Squares along the longer side of an image; within one, words count as spread evenly.
_SQUARES = 64


class WordCounts:
    """The words of an image's points, to be counted in boxes.

    Parameters
    ----------
    points : ndarray of shape (n, 2), floating
        x and y of each, the middle of the first pixel at 0.
    words : ndarray of shape (n,), integer
    n_words : int
    size : tuple of int
        Width and height of the image in pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.detection._regions import WordCounts
    >>> counts = WordCounts(np.array([[1.0, 1], [6, 2]]), np.array([0, 1]), 2, (8, 8))
    >>> counts.inside(np.array([[0.0, 0, 4, 8]])).tolist()
    [[1.0, 0.0]]
    """

    def __init__(
        self, points: NDArray[np.floating], words: NDArray[np.integer], n_words: int, size: tuple[int, int]
    ) -> None:
        width, height = size
        side = max(1.0, max(size) / _SQUARES)
        rows, columns = self.shape = (math.ceil(height / side), math.ceil(width / side))
        #: Width and height of a square.
        self.steps = (width / columns, height / rows)
        x = np.clip((points[:, 0] + 0.5) // self.steps[0], 0, columns - 1).astype(np.intp)
        y = np.clip((points[:, 1] + 0.5) // self.steps[1], 0, rows - 1).astype(np.intp)
        counts = np.bincount((y * columns + x) * n_words + words, minlength=rows * columns * n_words)
        # Whole numbers, of which float32 holds those below 16 million.
        self.sums = np.zeros((rows + 1, columns + 1, n_words), np.float32)
        inside = self.sums[1:, 1:]
        inside[:] = counts.reshape(rows, columns, n_words)
        np.cumsum(inside, axis=0, out=inside)
        np.cumsum(inside, axis=1, out=inside)

    def inside(self, boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return how often each word occurs in each of boxes (n, 4), shape (n, n_words)."""
        rows, columns = self.shape
        x = np.clip(boxes[:, 0::2] / self.steps[0], 0, columns)
        y = np.clip(boxes[:, 1::2] / self.steps[1], 0, rows)
        total = self._corner(x[:, 1], y[:, 1])
        total += self._corner(x[:, 0], y[:, 0])
        total -= self._corner(x[:, 0], y[:, 1])
        total -= self._corner(x[:, 1], y[:, 0])
        # Sums of whole numbers are exact, but not those of shares of them.
        np.maximum(total, 0, out=total)
        return total

    def _corner(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the sums above and left of corners, (n, n_words): within a square they are bilinear."""
        column, row = (np.minimum(at.astype(np.intp), end - 1) for at, end in ((x, self.shape[1]), (y, self.shape[0])))
        right, down = ((at - first)[:, None].astype(np.float32) for at, first in ((x, column), (y, row)))
        upper = self.sums[row, column] * (1 - right) + self.sums[row, column + 1] * right
        lower = self.sums[row + 1, column] * (1 - right) + self.sums[row + 1, column + 1] * right
        return np.asarray(upper * (1 - down) + lower * down, np.float32)
