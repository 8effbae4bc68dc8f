"""Pairs of images that may be the same picture, and where one may lie in the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cvbow.duplicates.found import Pair
from cvbow.duplicates.thumbnails import details
from cvbow.duplicates.turning import turned, undone
from cvbow.duplicates.windows import Windows, whole_vectors
from cvbow.parallel import cut, prefetched, single_threaded
from cvbow.progress import progress

if TYPE_CHECKING:
    from cvbow.index.image_index import ImageIndex

#: Thumbnails are compared as a whole by their details at this side; those of a copy correlate by far more than that.
_DETAIL_SIDE, _ALIKE = 16, 0.8
#: A window and a part of it are at least so much alike, at the lattice's step.
_PART_ALIKE = 0.8
#: Images that each image is compared with, at most: those most like it as a whole, and in part. More are copies of one
#: picture, which these join.
_MOST_ALIKE, _PARTNERS = 32, 10
#: Rows of a block of correlations, images whose windows are ranked at a time, and rows that a task ranks.
_BLOCK, _WHOLES, _TASK = 1024, 64, 32


def alike(
    thumbnails: NDArray[np.uint8], turns: Sequence[int] = (0,), n_jobs: int | None = None
) -> list[tuple[int, int, int]]:
    """Return which thumbnails (n, 64, 64) are alike as a whole: positions a < b, and the turn that makes `a` like `b`.

    Of each image the 32 most like it, at most.
    """
    vectors = details(thumbnails, _DETAIL_SIDE)
    maps = vectors.reshape(-1, _DETAIL_SIDE, _DETAIL_SIDE)

    def near(rows: slice) -> set[tuple[int, int, int]]:
        hits = np.empty((0, 4))
        for turn in turns:
            block = np.stack([turned(one, turn) for one in maps[rows]]).reshape(-1, vectors.shape[1])
            for columns in cut(len(vectors), _BLOCK):
                scores = block @ vectors[columns].T
                a, b = np.nonzero(scores >= _ALIKE)
                new = np.column_stack([a + rows.start, b + columns.start, np.full(len(a), turn), scores[a, b]])
                hits = _nearest(np.concatenate([hits, new[new[:, 0] != new[:, 1]]]))
        return {(a, b, turn) if a < b else (b, a, undone(turn)) for a, b, turn in hits[:, :3].astype(np.intp).tolist()}

    found: set[tuple[int, int, int]] = set()
    with single_threaded():
        for some in prefetched(near, cut(len(vectors), _BLOCK), n_jobs=n_jobs):
            found |= some
    return sorted(found)


def _nearest(hits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the best rows of (image, other, turn, score) for each image; of equal scores the first others."""
    hits = hits[np.lexsort((hits[:, 2], hits[:, 1], -hits[:, 3], hits[:, 0]))]
    first = np.searchsorted(hits[:, 0], hits[:, 0])
    return np.asarray(hits[np.arange(len(hits)) - first < _MOST_ALIKE])


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


def alike_in_part(
    thumbnails: NDArray[np.uint8], windows: Windows, turn: int = 0, n_jobs: int | None = None
) -> set[Pair]:
    """Return which thumbnails (n, 64, 64), once turned, look like a window of others: (whole, part).

    Of each the 10 of which it is most likely a part, at most.
    """
    n = len(thumbnails)
    if n < 2:
        return set()
    parts = whole_vectors(np.stack([turned(one, turn) for one in thumbnails]), coarse=True).T.copy()
    most = min(_PARTNERS, n - 1)
    tasks = cut(n, _WHOLES)

    def compare(wholes: slice) -> NDArray[np.float32]:
        scores = np.stack([(windows.vectors(whole, coarse=True) @ parts).max(axis=0) for whole in thumbnails[wholes]])
        scores[np.arange(len(scores)), np.arange(wholes.start, wholes.stop)] = -1
        return scores

    best = np.full((most, n), -1, np.float32)
    where = np.zeros((most, n), np.intp)
    with single_threaded(), progress("comparing parts", n) as tell:
        for wholes, scores in zip(tasks, prefetched(compare, tasks, n_jobs=n_jobs), strict=True):
            every = np.concatenate([best, scores])
            names = np.concatenate(
                [where, np.broadcast_to(np.arange(wholes.start, wholes.stop)[:, None], scores.shape)]
            )
            order = np.argsort(-every, axis=0, kind="stable")[:most]
            best, where = np.take_along_axis(every, order, 0), np.take_along_axis(names, order, 0)
            tell(wholes.stop)
    return {(int(where[rank, part]), part) for rank, part in np.argwhere(best >= _PART_ALIKE).tolist()}
