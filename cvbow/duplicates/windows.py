"""Windows of a thumbnail: which of them looks like another thumbnail.

A window is compared by the cosine transform of its 8 x 8 cells, each frequency times itself: the amplitudes of
photographs fall as one over the frequency (D. Field, "Relations between the statistics of natural images and the
response properties of cortical cells", JOSA A 1987), so what is left tells one photograph from another at every scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.duplicates.thumbnails import SIDE

#: Where a row or column of windows begins, and its side, in units.
Span = tuple[int, int]

#: Cells along each side of a window.
_CELLS = 8
#: Frequencies that are compared: finer ones than these, in half waves, change with a tenth of a window's side.
_FREQUENCIES = np.hypot(*np.mgrid[:_CELLS, :_CELLS])
_FINE, _COARSE = (_FREQUENCIES > 0), (_FREQUENCIES > 0) & (_FREQUENCIES < 6)
#: A window whose transform is shorter than this, in gray levels, is flat.
_FLAT = 1.0
#: Units of the side of a thumbnail, and how many of them lie between windows where all are tried.
_WHOLE, _STEP = 20, 2
_UNIT = 1 / _WHOLE
#: Windows of a pair that are looked at closely; how much they must look alike before they are moved, and after.
_BEST, _LIKELY, _ALIKE = 3, 0.65, 0.85
#: How often such a window is moved, and the side that it keeps.
_MOVES, _SMALLEST = 3, 8


class Windows:
    """All windows of a thumbnail whose places and sides are tenths of it.

    Parameters
    ----------
    smallest : float
        Side of the smallest over that of the thumbnail.
    """

    def __init__(self, smallest: float) -> None:
        self.spans = _spans(range(_WHOLE, round(smallest / _UNIT) - 1, -_STEP), _STEP)
        self._readers = _readers(self.spans)

    def __len__(self) -> int:
        return len(self.spans) ** 2

    def window(self, number: int) -> NDArray[np.float64]:
        """Return a window: x, y, width, height in shares."""
        return _in_shares(*self.at(number))

    def at(self, number: int) -> tuple[Span, Span]:
        """Return what a window covers from top to bottom, and from left to right."""
        y, x = divmod(number, len(self.spans))
        return self.spans[y], self.spans[x]

    def vectors(self, thumbnail: NDArray[np.uint8], *, coarse: bool = False) -> NDArray[np.float32]:
        """Return all windows of a thumbnail as unit vectors, shape (n_windows, 63) or, coarse, fewer."""
        return _vectors(self._readers @ thumbnail.astype(np.float32) @ self._readers.T, coarse=coarse)


def whole_vectors(thumbnails: NDArray[np.uint8], *, coarse: bool = False) -> NDArray[np.float32]:
    """Return whole thumbnails (n, 64, 64) as unit vectors to compare with windows."""
    whole = _readers([(0, _WHOLE)])
    vectors = np.empty((len(thumbnails), int((_COARSE if coarse else _FINE).sum())), np.float32)
    for row, thumbnail in enumerate(thumbnails):
        vectors[row] = _vectors(whole @ thumbnail.astype(np.float32) @ whole.T, coarse=coarse)[0]
    return vectors


def likely_windows(
    whole: NDArray[np.uint8], vectors: NDArray[np.float32], parts: NDArray[np.float32]
) -> list[tuple[int, NDArray[np.float64]]]:
    """Return the windows that look most like some parts: number of the part; x, y, width, height in shares.

    Parameters
    ----------
    whole : ndarray of shape (64, 64), uint8
    vectors : ndarray of shape (n_windows, 63)
        ``PLACES.vectors(whole)``.
    parts : ndarray of shape (n, 63)
        Other thumbnails, as ``whole_vectors`` gives them.

    Returns
    -------
    list of tuple
        At most one for each part.
    """
    scores = vectors @ parts.T
    likely = np.flatnonzero(scores >= _LIKELY)
    tried: list[tuple[int, Span, Span]] = []
    best: dict[int, tuple[float, NDArray[np.float64]]] = {}
    for number in likely[np.argsort(-scores.ravel()[likely], kind="stable")].tolist():
        place, part = divmod(number, len(parts))
        rows, columns = PLACES.at(place)
        # A window beside one that was tried would be moved to the same place.
        if any(part == other and _adjoin(rows, above) and _adjoin(columns, left) for other, above, left in tried):
            continue
        tried.append((part, rows, columns))
        score, window = _moved(whole, rows, columns, parts[part])
        if score >= _ALIKE and (part not in best or score > best[part][0]):
            best[part] = score, window
        if len(tried) == _BEST:
            break
    return [(part, window) for part, (_, window) in best.items()]


def _adjoin(a: Span, b: Span) -> bool:
    return max(abs(a[0] - b[0]), abs(sum(a) - sum(b))) <= _STEP


def _moved(
    whole: NDArray[np.uint8], rows: Span, columns: Span, part: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64]]:
    """Return how much a window looks like the part once it is moved by half steps while that helps, and the window."""
    best = -1.0
    for _ in range(_MOVES):
        above, left = _beside(rows), _beside(columns)
        down, across = (np.concatenate([_READERS[span] for span in spans]) for spans in (above, left))
        scores = _vectors(down @ whole.astype(np.float32) @ across.T) @ part
        row, column = divmod(int(scores.argmax()), len(left))
        best = float(scores.max())
        if best < _LIKELY or (rows, columns) == (above[row], left[column]):
            break
        rows, columns = above[row], left[column]
    return best, _in_shares(rows, columns)


def _beside(span: Span) -> list[Span]:
    start, end = span[0], span[0] + span[1]
    spans = {
        (first, last - first)
        for first in range(max(start - 1, 0), start + 2)
        for last in range(end - 1, min(end + 1, _WHOLE) + 1)
        if last - first >= _SMALLEST
    }
    return sorted(spans)


def _in_shares(rows: Span, columns: Span) -> NDArray[np.float64]:
    return np.array([columns[0], rows[0], columns[1], rows[1]]) * _UNIT


def _spans(sides: Iterable[int], step: int) -> list[Span]:
    return [(start, side) for side in sides for start in range(0, _WHOLE - side + 1, step)]


def _readers(spans: Sequence[Span]) -> NDArray[np.float32]:
    """Return what reads 8 frequencies of each span of pixels, shape (n_spans * 8, 64)."""
    starts, sides = np.array(spans, np.float64).T[:, :, None] * _UNIT * SIDE
    edges = starts + sides * np.arange(_CELLS + 1) / _CELLS
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
#: What reads each span of at least that side.
_READERS = {span: _readers([span]) for span in _spans(range(_SMALLEST, _WHOLE + 1), 1)}
