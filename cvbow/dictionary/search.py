"""The nearest words, and the scores of all words: the kernel of training and encoding alike.

``argmin_j |x - w_j|^2 = argmax_j (x . w_j - |w_j|^2 / 2)``: the bias rides along as one more coordinate, so a block of
descriptors is one matrix product, and what is asked of its scores is asked while they are in the processor's cache.
Blocks are cut from the descriptors' and words' shapes alone, so the answer does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cvbow.parallel import cut, map_threads

#: Scores held at a time, 1 MB of float32: they stay in a core's second-level cache.
_SCORES = 1 << 18
#: Rows of descriptors that one task of a thread takes.
_TASK = 8192
#: Up to so many words are picked one after the other, which is then faster than a partial sort.
_PICK = 16

#: Words and their squared distances: a column for each rank, or one word for each descriptor.
NearestWords = tuple[NDArray[np.int32], NDArray[np.float32]]


class WordSearch:
    """Nearest words by Euclidean distance, prepared once for many queries.

    Parameters
    ----------
    words : ndarray of shape (n_words, k), float32

    Notes
    -----
    Distances are taken from the words' mean: for descriptors far from the origin that keeps float32's digits for the
    differences that decide. Of equally near words the first wins.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import WordSearch
    >>> search = WordSearch(np.array([[0, 0], [10, 10]], np.float32))
    >>> words, squared = search.nearest_distance(np.array([[1, 0], [9, 9], [12, 10]], np.float32))
    >>> words.tolist(), squared.tolist()
    ([0, 1, 1], [1.0, 2.0, 4.0])
    """

    def __init__(self, words: NDArray[np.float32]) -> None:
        self.center = words.mean(axis=0, dtype=np.float64).astype(np.float32)
        centered = words - self.center
        bias = -0.5 * np.einsum("ij,ij->i", centered, centered, dtype=np.float64)
        # (k + 1, n_words), the bias as the last row.
        self.operator = np.ascontiguousarray(np.vstack([centered.T, bias.astype(np.float32)]))

    def nearest(self, descriptors: NDArray[np.float32], *, n_threads: int = 1) -> NDArray[np.int32]:
        """Return the index of the nearest word for each row of ``descriptors`` (n, k), shape (n,) int32."""
        labels = np.empty(len(descriptors), np.int32)

        def find(rows: slice) -> None:
            for block, _, scores in self.score_blocks(descriptors[rows]):
                labels[rows][block] = scores.argmax(axis=1)

        map_threads(find, cut(len(descriptors), _TASK), n_threads)
        return labels

    def nearest_distance(self, descriptors: NDArray[np.float32], *, n_threads: int = 1) -> NearestWords:
        """Return the nearest words and their squared distances, shapes (n,) int32 and (n,) float32."""
        labels, distances = self.nearest_words(descriptors, 1, n_threads=n_threads)
        return labels[:, 0], distances[:, 0]

    def nearest_words(self, descriptors: NDArray[np.float32], k: int, *, n_threads: int = 1) -> NearestWords:
        """Return the ``k`` nearest words of descriptors (n, size), the nearest first, and their squared distances.

        Shapes are (n, k), int32 and float32; ``k`` is at most the number of words.
        """
        words = np.empty((len(descriptors), k), np.int32)
        distances = np.empty((len(descriptors), k), np.float32)

        def find(rows: slice) -> None:
            for block, centered, scores in self.score_blocks(descriptors[rows]):
                best = largest(scores, k, words[rows][block])
                norms = np.einsum("ij,ij->i", centered, centered)
                np.maximum(norms[:, None] - 2 * best, 0, out=distances[rows][block])

        map_threads(find, cut(len(descriptors), _TASK), n_threads)
        return words, distances

    def score_blocks(
        self, descriptors: NDArray[np.float32]
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
        """Yield the scores of all words, ``x . w - |w|^2 / 2``, for one block of descriptors after another.

        Yields
        ------
        rows : slice
            Of ``descriptors``.
        centered : ndarray of shape (m, size), float32
            Those descriptors less ``center``, from which the scores are counted.
        scores : ndarray of shape (m, n_words), float32
            The squared distances are ``|centered|^2 - 2 scores``. The caller may write into it, as the next block will.
        """
        n, size = descriptors.shape
        n_words = self.operator.shape[1]
        block = min(n, block_size(n_words))
        rows = np.empty((block, size + 1), np.float32)
        rows[:, size] = 1
        scores = np.empty((block, n_words), np.float32)
        for top in range(0, n, block or 1):
            m = min(block, n - top)
            np.subtract(descriptors[top : top + m], self.center, out=rows[:m, :size])
            np.matmul(rows[:m], self.operator, out=scores[:m])
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
