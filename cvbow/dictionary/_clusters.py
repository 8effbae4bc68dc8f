"""Means of clusters of real-valued descriptors, for the dictionaries that are made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from cvbow.dictionary._pairs import paired, with_mirrors
from cvbow.features import Mirror
from cvbow.parallel import cut, map_threads

#: Rows summed per partial sum of the new words; fixed, so that the order of the additions is too.
_PART = 1 << 15


def move_words(
    data: NDArray[np.float32],
    labels: NDArray[np.int32],
    distances: NDArray[np.float32],
    words: NDArray[np.float32],
    threads: int,
    mirror: Mirror | None = None,
) -> NDArray[np.float32]:
    """Return the means of the clusters; an empty one restarts at a descriptor that is far from its word.

    With a mirror, clusters are those of descriptors and their mirrors together, and words stay in pairs.
    """
    sums, sizes = cluster_sums(data, labels, len(words), threads, mirror)
    if mirror is not None:
        half = len(words) // 2
        sums, sizes, words = sums[:half], sizes[:half], words[:half]
    empty = np.flatnonzero(sizes == 0)
    moved = np.divide(sums, sizes[:, None], out=words.astype(np.float64), where=sizes[:, None] > 0)
    if len(empty):
        farthest = np.argpartition(distances, -len(empty))[-len(empty) :]
        moved[empty] = data[farthest[np.argsort(-distances[farthest], kind="stable")]]
    return paired(moved.astype(np.float32), mirror)


def cluster_sums(
    data: NDArray[np.float32], labels: NDArray[np.int32], n_words: int, threads: int, mirror: Mirror | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each cluster's sum (n_words, k) and size (n_words,), with a mirror of words in pairs."""
    parts = cut(len(data), _PART)
    partial: dict[int, NDArray[np.float32]] = {}

    def add(rows: slice) -> None:
        n = rows.stop - rows.start
        member = csc_array((np.ones(n, np.float32), labels[rows], np.arange(n + 1)), shape=(n_words, n))
        partial[rows.start] = member @ data[rows]

    map_threads(add, parts, threads)
    sums = np.zeros((n_words, data.shape[1]))
    for rows in parts:
        sums += partial[rows.start]
    return sums if mirror is None else with_mirrors(sums, mirror), cluster_sizes(labels, n_words, mirror)


def cluster_sizes(labels: NDArray[np.int32], n_words: int, mirror: Mirror | None) -> NDArray[np.float64]:
    """Return the size of each cluster, (n_words,), with a mirror of words in pairs."""
    sizes = np.bincount(labels, minlength=n_words).astype(np.float64)
    return sizes if mirror is None else sizes + np.roll(sizes, n_words // 2)


def fill_up(
    words: NDArray[np.float32], data: NDArray[np.float32], order: NDArray[np.intp], n_words: int
) -> NDArray[np.float32]:
    """Fill up to ``n_words`` distinct words with new descriptors in the given order, as far as they go."""
    # Not by np.unique over the sample, which sorts all of it: a few repeated (blank) descriptors are the usual case.
    known = {(word + 0).tobytes() for word in words}  # -0 + 0 = 0: equal rows have equal bytes
    spare = []
    for row in order:
        if len(known) == n_words:
            break
        key = (data[row] + 0).tobytes()
        if key not in known:
            known.add(key)
            spare.append(row)
    return np.vstack([words, data[spare]])
