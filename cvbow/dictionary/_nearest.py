"""The nearest-word kernel, used by training and encoding alike.

``argmin_j |x - w_j|^2 = argmax_j (x . w_j - |w_j|^2 / 2)``: the bias rides along as one more coordinate, so a block of
descriptors is one matrix product and one argmax over scores that are still in the processor's cache. Blocks are cut
from the descriptors' and words' shapes alone, so the answer does not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.parallel import map_threads

__all__ = ["WordSearch"]

#: Scores held at a time, 1 MB of float32: they stay in a core's second-level cache.
_SCORES = 1 << 18
#: Rows of descriptors that one task of a thread takes.
_TASK = 8192


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
        return self._search(descriptors, None, n_threads)

    def nearest_distance(
        self, descriptors: NDArray[np.float32], *, n_threads: int = 1
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the nearest words and their squared distances, shapes (n,) int32 and (n,) float32."""
        distances = np.empty(len(descriptors), np.float32)
        return self._search(descriptors, distances, n_threads), distances

    def _search(
        self, descriptors: NDArray[np.float32], distances: NDArray[np.float32] | None, n_threads: int
    ) -> NDArray[np.int32]:
        n = len(descriptors)
        labels = np.empty(n, np.int32)
        tasks = [slice(top, min(top + _TASK, n)) for top in range(0, n, _TASK)]

        def search(rows: slice) -> None:
            self._search_rows(descriptors[rows], labels[rows], None if distances is None else distances[rows])

        map_threads(search, tasks, n_threads)
        return labels

    def _search_rows(
        self,
        descriptors: NDArray[np.float32],
        labels: NDArray[np.int32],
        distances: NDArray[np.float32] | None,
    ) -> None:
        n, k = descriptors.shape
        n_words = self.operator.shape[1]
        block = min(n, max(32, _SCORES // n_words))
        rows = np.empty((block, k + 1), np.float32)
        rows[:, k] = 1
        scores = np.empty((block, n_words), np.float32)
        for top in range(0, n, block):
            m = min(block, n - top)
            np.subtract(descriptors[top : top + m], self.center, out=rows[:m, :k])
            np.matmul(rows[:m], self.operator, out=scores[:m])
            best = scores[:m].argmax(axis=1)
            labels[top : top + m] = best
            if distances is not None:
                score = np.take_along_axis(scores[:m], best[:, None], axis=1)[:, 0]
                norm = np.einsum("ij,ij->i", rows[:m, :k], rows[:m, :k])
                np.maximum(norm - 2 * score, 0, out=distances[top : top + m])
