"""The nearest of very many words, approximately: look only among the words of the cells that are nearest.

Words are grouped by the nearest of some hundred centres (a coarse quantizer). A descriptor is compared with the
centres, and then, exactly, with the words of the few nearest ones. The descriptors that look into the same cell share
one matrix product. Blocks are cut from the shapes alone, so the answer does not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.dictionary.search import NearestWords, WordSearch, block_size, largest
from cvbow.parallel import cut, map_threads

#: Rows of descriptors that one task of a thread takes.
_TASK = 8192


def group_words(
    words: NDArray[np.float32], centers: NDArray[np.float32], threads: int = 1
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float32]]:
    """Return the order of words by their nearest centre, where those of each start, and the centres that have words.

    ``words[order]`` has the words of the first centre first, and so on; those of one centre as they came.
    """
    labels = WordSearch(centers).nearest(words, n_threads=threads)
    used, counts = np.unique(labels, return_counts=True)
    order = np.argsort(labels, kind="stable")
    return order, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), centers[used]


class ProbingSearch:
    """Nearest words by Euclidean distance among those of the nearest cells, prepared once for many queries.

    Words are grouped by cell, as ``group_words`` does it; a second copy of them is kept here.
    """

    def __init__(self, words: NDArray[np.float32], cell_start: NDArray[np.int64], centers: NDArray[np.float32]) -> None:
        # The bias, -|w|^2 / 2, rides along as one more coordinate: see WordSearch.
        self.center = words.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.operator = np.empty((len(words), words.shape[1] + 1), np.float32)
        centered = np.subtract(words, self.center, out=self.operator[:, :-1])
        np.einsum("ij,ij->i", centered, centered, out=self.operator[:, -1])
        self.operator[:, -1] *= -0.5
        self.starts = cell_start.tolist()
        self.cells = WordSearch(centers)

    def nearest(self, descriptors: NDArray[np.float32], n_probes: int, *, n_threads: int = 1) -> NearestWords:
        """Return the nearest words found in ``n_probes`` cells and their squared distances, (n,) int32 and float32."""
        labels, distances = self.nearest_words(descriptors, 1, n_probes, n_threads=n_threads)
        return labels[:, 0], distances[:, 0]

    def nearest_words(
        self, descriptors: NDArray[np.float32], k: int, n_probes: int, *, n_threads: int = 1
    ) -> NearestWords:
        """Return the ``k`` nearest words found, the nearest first, and their squared distances, both (n, k).

        ``k`` is at most the number of words; more cells are looked into where so few have fewer words than that.
        """
        n = len(descriptors)
        labels, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        enough = int(np.searchsorted(np.cumsum(np.sort(np.diff(self.starts))), k)) + 1
        n_probes = min(max(n_probes, enough), len(self.starts) - 1)

        def search(rows: slice) -> None:
            labels[rows], distances[rows] = self._search(descriptors[rows], k, n_probes)

        map_threads(search, cut(n, _TASK), n_threads)
        return labels, distances

    def _search(self, descriptors: NDArray[np.float32], k: int, n_probes: int) -> NearestWords:
        n, size = descriptors.shape
        rows = np.empty((n, size + 1), np.float32)
        np.subtract(descriptors, self.center, out=rows[:, :size])
        rows[:, size] = 1
        cells, _ = self.cells.nearest_words(descriptors, n_probes)
        pairs = np.argsort(cells, axis=None, kind="stable")
        row_of = pairs // n_probes
        ends = np.cumsum(np.bincount(cells.ravel(), minlength=len(self.starts) - 1)).tolist()
        found, scores = np.zeros((len(pairs), k), np.int32), np.full((len(pairs), k), -np.inf, np.float32)
        start = 0
        for cell, stop in enumerate(ends):
            if stop == start:
                continue
            first, last = self.starts[cell], self.starts[cell + 1]
            block = block_size(last - first)
            for top in range(start, stop, block):
                end = min(top + block, stop)
                products = rows[row_of[top:end]] @ self.operator[first:last].T
                some = min(k, last - first)
                scores[top:end, :some] = largest(products, some, found[top:end, :some])
                found[top:end] += first
            start = stop
        # Back in the order of the pairs: of each descriptor, the cell nearest first.
        by_pair = np.empty_like(scores)
        by_pair[pairs] = scores
        words = np.empty_like(found)
        words[pairs] = found
        best = np.empty((n, k), np.int32)
        score = largest(by_pair.reshape(n, n_probes * k), k, best)
        norms = np.einsum("ij,ij->i", rows[:, :size], rows[:, :size])
        labels = np.take_along_axis(words.reshape(n, n_probes * k), best, axis=1)
        return labels, np.maximum(norms[:, None] - 2 * score, 0)
