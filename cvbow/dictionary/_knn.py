"""The k nearest words, and the scores of all words: for the encoders that share a descriptor out among several.

Same arithmetic as ``WordSearch``: a block of descriptors is one matrix product, and what is asked of its scores is
asked while they are in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.dictionary._nearest import WordSearch
from cvbow.parallel import map_threads

__all__ = ["block_size", "check_nearest", "largest", "nearest_words", "score_blocks"]

#: Scores held at a time, 1 MB of float32.
_SCORES = 1 << 18
#: Rows of descriptors that one task of a thread takes.
_TASK = 8192
#: Up to so many words are picked one after the other, which is then faster than a partial sort.
_PICK = 16


def nearest_words(
    search: WordSearch, descriptors: NDArray[np.float32], k: int, *, n_threads: int = 1
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the ``k`` nearest words of each descriptor, the nearest first, and their squared distances.

    Parameters
    ----------
    search : WordSearch
    descriptors : ndarray of shape (n, size), float32
    k : int
        From 1 to the number of words.
    n_threads : int, default 1

    Returns
    -------
    words : ndarray of shape (n, k), int32
    distances : ndarray of shape (n, k), float32
        Squared.
    """
    words = np.empty((len(descriptors), k), np.int32)
    distances = np.empty((len(descriptors), k), np.float32)

    def find(task: slice) -> None:
        for rows, centered, scores in score_blocks(search, descriptors[task]):
            here = slice(task.start + rows.start, task.start + rows.stop)
            best = largest(scores, k, words[here])
            norms = np.einsum("ij,ij->i", centered, centered)
            np.maximum(norms[:, None] - 2 * best, 0, out=distances[here])

    n = len(descriptors)
    map_threads(find, [slice(top, min(top + _TASK, n)) for top in range(0, n, _TASK)], n_threads)
    return words, distances


def check_nearest(k: int, n_words: int) -> None:
    """Raise ValueError unless ``k`` words of ``n_words`` can be the nearest."""
    check_int("k", k, minimum=1)
    if k > n_words:
        raise ValueError(f"k must not exceed the number of words, {n_words}, got {k}")


def score_blocks(
    search: WordSearch, descriptors: NDArray[np.float32]
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield the scores of all words, ``x . w - |w|^2 / 2``, for one block of descriptors after another.

    Yields
    ------
    rows : slice
        Of ``descriptors``.
    centered : ndarray of shape (m, size), float32
        Those descriptors less ``search.center``, from which the scores are counted.
    scores : ndarray of shape (m, n_words), float32
        The squared distances are ``|centered|^2 - 2 scores``. The caller may write into it, as the next block will.
    """
    n, size = descriptors.shape
    n_words = search.operator.shape[1]
    block = min(n, block_size(n_words))
    rows = np.empty((block, size + 1), np.float32)
    rows[:, size] = 1
    scores = np.empty((block, n_words), np.float32)
    for top in range(0, n, block or 1):
        m = min(block, n - top)
        np.subtract(descriptors[top : top + m], search.center, out=rows[:m, :size])
        np.matmul(rows[:m], search.operator, out=scores[:m])
        yield slice(top, top + m), rows[:m, :size], scores[:m]


def block_size(n_words: int) -> int:
    """Return how many descriptors to take at a time, so that their values for ``n_words`` words stay in the cache."""
    return max(32, _SCORES // n_words)


def largest(scores: NDArray[np.float32], k: int, columns: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return each row's ``k`` largest scores, falling; fill in their columns, and overwrite the scores."""
    if k > _PICK:
        rest = scores.shape[1] - k
        found = np.sort(np.argpartition(scores, rest, axis=1)[:, rest:], axis=1)
        values = np.take_along_axis(scores, found, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        columns[:] = np.take_along_axis(found, order, axis=1)
        return np.take_along_axis(values, order, axis=1)
    values = np.empty(columns.shape, np.float32)
    rows = np.arange(len(scores))
    for rank in range(k):
        best = scores.argmax(axis=1)
        columns[:, rank] = best
        values[:, rank] = scores[rows, best]
        scores[rows, best] = -np.inf
    return values
