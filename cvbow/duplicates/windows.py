"""Windows of a thumbnail: which of them looks like another thumbnail.

A window is compared by the cosine transform of its 8 x 8 cells, each frequency times itself: the amplitudes of
photographs fall as one over the frequency (D. Field, "Relations between the statistics of natural images and the
response properties of cortical cells", JOSA A 1987), so what is left tells one photograph from another at every scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.duplicates.thumbnails import SIDE

#: Cells along each side of a window.
_CELLS = 8
#: Frequencies that are compared: finer ones than these, in half waves, change with a tenth of a window's side.
_FREQUENCIES = np.hypot(*np.mgrid[:_CELLS, :_CELLS])
_FINE, _COARSE = (_FREQUENCIES > 0), (_FREQUENCIES > 0) & (_FREQUENCIES < 6)
#: A window whose transform is shorter than this, in gray levels, is flat.
_FLAT = 1.0
#: Windows of a pair that are looked at closely; how much they must look alike before they are moved, and after.
_BEST, _LIKELY, _ALIKE = 3, 0.6, 0.8


class Windows:
    """All windows between given sides over a lattice.

    Parameters
    ----------
    smallest : float
        Side of the smallest over that of the thumbnail.
    step : float
        Between the sides and between the places.
    """

    def __init__(self, smallest: float, step: float = 0.1) -> None:
        sides = np.linspace(1, smallest, round((1 - smallest) / step) + 1).tolist()
        self.spans = np.array(
            [(start, side) for side in sides for start in np.linspace(0, 1 - side, round((1 - side) / step) + 1)]
        )
        self._readers = _readers(self.spans)

    def __len__(self) -> int:
        return len(self.spans) ** 2

    def window(self, number: int) -> NDArray[np.float64]:
        """Return a window: x, y, width, height in shares."""
        y, x = divmod(number, len(self.spans))
        return _joined(self.spans[y], self.spans[x])

    def vectors(self, thumbnail: NDArray[np.uint8], *, coarse: bool = False) -> NDArray[np.float32]:
        """Return all windows of a thumbnail as unit vectors, shape (n_windows, 63) or, coarse, fewer."""
        return _vectors(self._readers @ thumbnail.astype(np.float32) @ self._readers.T, coarse=coarse)


def whole_vectors(thumbnails: NDArray[np.uint8], *, coarse: bool = False) -> NDArray[np.float32]:
    """Return whole thumbnails (n, 64, 64) as unit vectors to compare with windows."""
    whole = _readers(np.array([[0.0, 1.0]]))
    return np.concatenate(
        [_vectors(whole @ thumbnail.astype(np.float32) @ whole.T, coarse=coarse) for thumbnail in thumbnails]
        or [np.empty((0, int((_COARSE if coarse else _FINE).sum())), np.float32)]
    )


def likely_windows(
    whole: NDArray[np.uint8], vectors: NDArray[np.float32], parts: NDArray[np.float32]
) -> list[tuple[int, NDArray[np.float64]]]:
    """Return the windows that look most like one of some parts: number of the part; x, y, width, height in shares.

    Parameters
    ----------
    whole : ndarray of shape (64, 64), uint8
    vectors : ndarray of shape (n_windows, 63)
        ``PLACES.vectors(whole)``.
    parts : ndarray of shape (n, 63)
        Other thumbnails, as ``whole_vectors`` gives them.
    """
    scores = (vectors @ parts.T).ravel()
    best = np.argsort(-scores, kind="stable")[:_BEST]
    found = []
    for number in best[scores[best] >= _LIKELY].tolist():
        place, part = divmod(number, len(parts))
        window, score = _moved(whole, PLACES.window(place), parts[part])
        if score >= _ALIKE:
            found.append((part, window))
    return found


def _moved(
    whole: NDArray[np.uint8], window: NDArray[np.float64], part: NDArray[np.float32]
) -> tuple[NDArray[np.float64], float]:
    """Return the best of a window and those half a step beside, and how much it looks like the part."""
    x, y, width, height = window.tolist()
    rows, columns = _beside(y, height), _beside(x, width)
    readers = _readers(np.concatenate([rows, columns]))
    count = len(rows) * _CELLS
    scores = _vectors(readers[:count] @ whole.astype(np.float32) @ readers[count:].T) @ part
    best = int(scores.argmax())
    row, column = divmod(best, len(columns))
    return _joined(rows[row], columns[column]), float(scores[best])


def _beside(start: float, side: float) -> NDArray[np.float64]:
    step = 0.05
    ends = [
        (max(first, 0.0), min(last, 1.0))
        for first in (start, start - step, start + step)
        for last in (start + side, start + side - step, start + side + step)
    ]
    return np.array([(first, last - first) for first, last in ends])


def _joined(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([columns[0], rows[0], columns[1], rows[1]])


def _readers(spans: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what reads 8 frequencies of each span of pixels, shape (n_spans * 8, 64)."""
    edges = (spans[:, :1] + spans[:, 1:] * np.arange(_CELLS + 1) / _CELLS) * SIDE
    pixels = np.arange(SIDE)
    shares = np.minimum(edges[:, 1:, None], pixels + 1) - np.maximum(edges[:, :-1, None], pixels)
    means = np.maximum(shares, 0) / np.diff(edges, axis=1)[:, :, None]
    return np.asarray(np.einsum("fc,scp->sfp", _COSINES, means).reshape(-1, SIDE), np.float32)


def _cosines() -> NDArray[np.float64]:
    """Return the orthonormal cosine transform of 8 values, type II, as a matrix."""
    frequency, cell = np.mgrid[:_CELLS, :_CELLS]
    matrix = np.sqrt(2 / _CELLS) * np.cos(np.pi * frequency * (2 * cell + 1) / (2 * _CELLS))
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix)


_COSINES = _cosines()


def _vectors(read: NDArray[np.float32], *, coarse: bool = False) -> NDArray[np.float32]:
    """Return unit vectors, zero where it is flat, of transforms that lie side by side: (ky * 8, kx * 8)."""
    kept = _COARSE if coarse else _FINE
    cells = read.reshape(len(read) // _CELLS, _CELLS, -1, _CELLS).transpose(0, 2, 1, 3)
    vectors = cells[:, :, kept].reshape(-1, int(kept.sum())) * _FREQUENCIES[kept].astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.asarray(np.where(lengths < _FLAT, 0, vectors / np.maximum(lengths, _FLAT)), np.float32)


#: Where a part is looked for in a whole: from half of its side on.
PLACES = Windows(0.5)
