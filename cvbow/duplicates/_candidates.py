"""Pairs of images that may be the same picture, and where one may lie in the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cvbow.duplicates.thumbnails import SIDE, details
from cvbow.parallel import prefetched, progress, single_threaded

if TYPE_CHECKING:
    from cvbow.index.image_index import ImageIndex

#: Two positions, the smaller one first.
Pair = tuple[int, int]

#: Thumbnails are compared as a whole by their details at this side; those of a copy correlate by far more than that.
_DETAIL_SIDE, _ALIKE = 16, 0.8
#: Windows are compared by their gray values at this side.
_WINDOW_SIDE, _WINDOW_ALIKE = 8, 0.85
#: Sides of windows over those of the image, and the steps between them.
_WINDOW_SIDES, _WINDOW_STEP = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5), 0.1
#: Windows of a pair that are looked at closely, and images in which each image with few features is looked for.
_BEST_WINDOWS, _PARTNERS = 3, 10
#: Rows of a block of correlations, and rows that a task ranks.
_BLOCK, _TASK = 1024, 32


def alike(thumbnails: NDArray[np.uint8]) -> list[Pair]:
    """Return the pairs of thumbnails (n, 64, 64) that are alike as a whole."""
    vectors = details(thumbnails, _DETAIL_SIDE)
    pairs: list[Pair] = []
    with single_threaded():
        for first in range(0, len(vectors), _BLOCK):
            block = vectors[first : first + _BLOCK]
            for other in range(first, len(vectors), _BLOCK):
                a, b = np.nonzero(block @ vectors[other : other + _BLOCK].T >= _ALIKE)
                pairs += [
                    pair for pair in zip((a + first).tolist(), (b + other).tolist(), strict=True) if pair[0] < pair[1]
                ]
    return sorted(pairs)


def ranked(index: ImageIndex, rows: Sequence[int], candidates: int, n_jobs: int | None) -> set[Pair]:
    """Return each image with the best of its ranking among the images of `rows`, as positions in `rows`."""
    at = np.asarray(rows, np.intp)

    def best(chunk: range) -> set[Pair]:
        found = set()
        for own, every in zip(chunk, index.scores_many([index.describe(rows[own]) for own in chunk]), strict=True):
            scores = every[at]
            scores[own] = -np.inf
            most = min(candidates, len(scores) - 1)
            # Equal scores by position: which of them come first must not depend on the partition.
            near = np.flatnonzero(scores >= np.partition(scores, -most)[-most]) if most > 0 else np.empty(0, np.intp)
            near = near[np.argsort(-scores[near], kind="stable")][:most]
            found |= {(min(own, other), max(own, other)) for other in near.tolist() if scores[other] > 0}
        return found

    chunks = [range(start, min(start + _TASK, len(rows))) for start in range(0, len(rows), _TASK)]
    pairs: set[Pair] = set()
    # In threads of this process: an index is sent to no other.
    with single_threaded(), progress("ranking", len(rows)) as tell:
        for number, found in enumerate(prefetched(best, chunks, n_jobs=n_jobs), 1):
            pairs |= found
            tell(min(number * _TASK, len(rows)))
    return pairs


def alike_in_part(thumbnails: NDArray[np.uint8], positions: Sequence[int]) -> set[Pair]:
    """Return pairs among the images at `positions` of which one looks like a window of the other."""
    if len(positions) < 2:
        return set()
    chosen = thumbnails[list(positions)]
    parts = _unit(_shrunk(chosen))
    partners = min(_PARTNERS, len(positions) - 1)
    pairs: set[Pair] = set()
    best = np.empty((len(chosen), len(chosen)), np.float32)
    with single_threaded():
        for number, whole in enumerate(chosen):
            best[number] = (_windows(whole) @ parts.T).max(axis=0)
    np.fill_diagonal(best, -1)
    for number, scores in enumerate(best.T):
        order = np.argsort(-scores, kind="stable")[:partners]
        for other in order[scores[order] >= _WINDOW_ALIKE].tolist():
            a, b = sorted((positions[number], positions[other]))
            pairs.add((a, b))
    return pairs


def best_windows(whole: NDArray[np.uint8], part: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the windows of a thumbnail that look most like another: x, y, width, height in shares, shape (k, 4)."""
    scores = _windows(whole) @ _unit(_shrunk(part[None]))[0]
    order = np.argsort(-scores, kind="stable")[:_BEST_WINDOWS]
    return np.asarray(_WINDOWS[order[scores[order] >= _WINDOW_ALIKE]])


def _grid() -> NDArray[np.float64]:
    starts = {side: np.linspace(0, 1 - side, round((1 - side) / _WINDOW_STEP) + 1).tolist() for side in _WINDOW_SIDES}
    sides = [(width, height) for height in _WINDOW_SIDES for width in _WINDOW_SIDES]
    return np.array([(x, y, w, h) for w, h in sides for y in starts[h] for x in starts[w]])


_WINDOWS = _grid()


def _windows(whole: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return all windows of a thumbnail as vectors of mean 0 and unit length, shape (n_windows, 64)."""
    # Sums over rectangles with edges between pixels: the integral image, read by linear interpolation.
    integral = np.zeros((SIDE + 1, SIDE + 1))
    integral[1:, 1:] = whole.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    steps = np.arange(_WINDOW_SIDE + 1) / _WINDOW_SIDE
    x = (_WINDOWS[:, :1] + _WINDOWS[:, 2:3] * steps) * SIDE
    y = (_WINDOWS[:, 1:2] + _WINDOWS[:, 3:4] * steps) * SIDE
    left, top = np.minimum(x.astype(np.intp), SIDE - 1), np.minimum(y.astype(np.intp), SIDE - 1)
    u, v = (x - left)[:, None, :], (y - top)[:, :, None]
    rows, columns = top[:, :, None], left[:, None, :]
    upper = integral[rows, columns] * (1 - u) + integral[rows, columns + 1] * u
    lower = integral[rows + 1, columns] * (1 - u) + integral[rows + 1, columns + 1] * u
    sums = upper * (1 - v) + lower * v
    return _unit(np.diff(np.diff(sums, axis=1), axis=2))


def _shrunk(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    step = SIDE // _WINDOW_SIDE
    return np.asarray(thumbnails.reshape(-1, _WINDOW_SIDE, step, _WINDOW_SIDE, step).mean((2, 4)))


def _unit(images: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return images (n, s, s) as vectors of mean 0 and unit length; zero where they are flat."""
    vectors = images.reshape(len(images), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # Windows are sums, thumbnails means: flat is what varies by rounding only.
    flat = lengths <= 1e-9 * np.abs(images).max(initial=1)
    return np.where(flat, 0, vectors / np.where(flat, 1, lengths)).astype(np.float32)
