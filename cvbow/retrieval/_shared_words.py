"""Putative matches: features of two images that have the same word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.retrieval.hamming_embedding import hamming_distances

__all__ = ["shared_words"]

#: A word with more matches than this between the two images (a texture's) says nothing of where things are; so many
#: times as many where the query's features have several words each.
_MOST_PER_WORD = 64
#: Matches of one feature that are kept, those with the nearest signatures.
_PER_FEATURE = 4
#: Matches that are kept in all: those of the words with the fewest.
_MOST = 4000


def shared_words(
    query: Mapping[str, NDArray[Any]], candidate: Mapping[str, NDArray[Any]], *, max_hamming: int
) -> NDArray[np.int64]:
    """Return rows of features that may be the same thing, shape (m, 2), ascending.

    Parameters
    ----------
    query, candidate : mapping
        Local words; ``words`` ascending. A query may have several for each of its features, and then ``nearest``.
    max_hamming : int
        Where both have signatures: how many bits may differ.
    """
    a, b = np.asarray(query["words"]), np.asarray(candidate["words"])
    first = np.searchsorted(b, a, "left")
    counts = np.searchsorted(b, a, "right") - first
    rows = np.flatnonzero(counts)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    own = np.searchsorted(a, a[rows], "right") - np.searchsorted(a, a[rows], "left")
    per_word = own * counts[rows]
    assigned = len(a) // max(int(np.count_nonzero(query["nearest"])), 1) if "nearest" in query else 1
    few = per_word <= _MOST_PER_WORD * assigned
    rows, per_word = rows[few], per_word[few]
    if counts[rows].sum() > _MOST:
        order = np.argsort(per_word, kind="stable")
        order = order[np.cumsum(counts[rows[order]]) <= _MOST]
        rows = rows[np.sort(order)]
    counts, first = counts[rows], first[rows]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    left, right = np.repeat(rows, counts), np.repeat(first, counts) + within
    if "signatures" in query and "signatures" in candidate:
        distances = hamming_distances(query["signatures"][left], candidate["signatures"][right])
        near = np.flatnonzero(distances <= max_hamming)
        order = near[np.lexsort((right[near], distances[near], left[near]))]
        if len(order):
            # The place of each in its feature's queue.
            start = np.flatnonzero(np.diff(left[order], prepend=-1))
            queue = np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order)))
            order = np.sort(order[queue < _PER_FEATURE])
        left, right = left[order], right[order]
    return np.column_stack([left, right]).astype(np.int64)
