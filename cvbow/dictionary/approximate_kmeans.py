"""Flat dictionaries of ten thousand to a million words: k-means with an approximate search for the nearest word.

J. Philbin, O. Chum, M. Isard, J. Sivic and A. Zisserman, "Object retrieval with large vocabularies and fast spatial
matching", CVPR 2007 (approximate k-means). Where they search a forest of k-d trees, words here are searched through a
coarse quantizer of which several cells are probed, which matrix products do well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cvbow._checks import check_int
from cvbow.dictionary._probing import ProbingSearch, group_words
from cvbow.dictionary.base import RankingDictionary, warn_if_fewer
from cvbow.dictionary.kmeans import KMeansDictionary
from cvbow.dictionary.prepared import prepared_from
from cvbow.dictionary.search import NearestWords
from cvbow.parallel import cut, map_threads
from cvbow.progress import detail, progress, stages
from cvbow.storage import Array, Learned

#: Words per centre that the coarse quantizer is learned from, and its iterations.
_PER_CENTER = 64
_CENTER_ITER = 10
#: Rows summed per partial sum of the new words; fixed, so that the order of the additions is too.
_PART = 1 << 15


class ApproximateKMeans(RankingDictionary):
    """K-means with an approximate search, for dictionaries of tens of thousands of words.

    Parameters
    ----------
    n_words, max_iter, tol, n_jobs, random_state : default 20000, 10, 1e-3, None and 0
        See ``Dictionary``; the start is at random descriptors.
    n_probes : int, default 16
        Cells that are searched for a descriptor's word, in training and later; may be changed after ``fit``. With
        ``n_cells`` probes the search is exact. Of RootSIFT descriptors, 16 probes find the nearest of 20,000 or
        100,000 words for 97 % and a word hardly farther for the rest, 8 probes for 90 %.
    n_cells : int or None, default None
        Cells of the coarse quantizer. None takes ``sqrt(n_words)``; more and smaller cells are searched no faster, as
        the products become small, and the nearest word is missed more often.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, k), float32
        Grouped by cell.
    centers_ : ndarray of shape (n_cells, k), float32
        The coarse quantizer. Each has at least one word.
    cell_start_ : ndarray of shape (n_cells + 1,), int64
        The words of cell c are those from ``cell_start_[c]`` to ``cell_start_[c + 1]``.
    inertia_, n_iter_ : see ``Dictionary``
        The mean squared distance to the words that were found.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import ApproximateKMeans
    >>> descriptors = np.random.default_rng(0).random((2000, 8), np.float32)
    >>> dictionary = ApproximateKMeans(n_words=100).fit(descriptors)
    >>> dictionary.words_.shape, dictionary.predict(descriptors).shape
    ((100, 8), (2000,))
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        **RankingDictionary.learned,
        "centers_": Array("float32", "n_cells k"),
        "cell_start_": Array("int64", "n_bounds"),
    }

    def __init__(
        self,
        *,
        n_words: int = 20_000,
        n_probes: int = 16,
        n_cells: int | None = None,
        max_iter: int = 10,
        tol: float = 1e-3,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_words = n_words
        self.n_probes = n_probes
        self.n_cells = n_cells
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _learn(self, data: NDArray[np.float32], threads: int) -> None:
        words = self._start(data)
        warn_if_fewer(self.n_words, len(words))
        with stages({"cells": 1, "words": 8}) as begin:
            begin("cells")
            coarse = self._coarse(words)
            detail(
                f"approximate k-means: {len(words)} words of {data.shape[1]} values in {len(coarse)} cells from "
                f"{len(data)} descriptors, up to {self.max_iter} iterations"
            )
            begin("words")
            order, cell_start, centers = group_words(words, coarse, threads)
            words = words[order]
            before = np.inf
            started = time.perf_counter()
            with progress("approximate k-means", self.max_iter) as update:
                for iteration in range(1, self.max_iter + 1):
                    search = ProbingSearch(words, cell_start, centers)
                    labels, distances = search.nearest(data, self.n_probes, n_threads=threads)
                    error = float(distances.mean(dtype=np.float64))
                    words = _moved(data, labels, distances, words, threads)
                    # Words change cells as they move; the cells stay.
                    order, cell_start, centers = group_words(words, coarse, threads)
                    words = words[order]
                    update(iteration)
                    if iteration == 1:
                        each = time.perf_counter() - started
                        left = (self.max_iter - 1) * each
                        detail(f"approximate k-means: {each:.1f} s an iteration, at most {left:.0f} s more")
                    if before - error <= self.tol * error:
                        break
                    before = error
        self.words_ = words
        self.centers_ = centers
        self.cell_start_ = cell_start
        self.inertia_ = error
        self.n_iter_ = iteration

    def _nearest_words(self, data: NDArray[np.float32], k: int, threads: int) -> NearestWords:
        self.check_params()  # n_probes may have been changed
        return self._search.nearest_words(data, k, self.n_probes, n_threads=threads)

    def _start(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        order = np.random.default_rng(self.random_state).permutation(len(data))
        # Two equal words would leave one of them empty for good: of equal descriptors the first drawn counts.
        first = np.sort(np.unique(_row_hashes(data)[order], return_index=True)[1])
        return data[order[first[: self.n_words]]]

    def _coarse(self, words: NDArray[np.float32]) -> NDArray[np.float32]:
        """Learn the coarse quantizer from the first words, which are distinct and drawn at random."""
        wanted = round(math.sqrt(len(words))) if self.n_cells is None else self.n_cells
        n_cells = max(1, min(wanted, len(words)))
        sample = words[: max(_PER_CENTER * n_cells, 1)]
        kmeans = KMeansDictionary(
            n_words=n_cells, max_iter=_CENTER_ITER, n_jobs=self.n_jobs, random_state=self.random_state
        )
        return kmeans.fit(sample).words_

    @prepared_from("words_", "cell_start_", "centers_")
    def _search(self) -> ProbingSearch:
        return ProbingSearch(self.words_, self.cell_start_, self.centers_)

    def check_params(self) -> None:
        self._check_iterations("n_words", "n_probes")
        check_int("n_cells", self.n_cells, minimum=1, none=True)

    def check_state(self) -> None:
        super().check_state()
        if "words_" not in vars(self):
            return
        starts = self.cell_start_
        rises = starts[0] == 0 and starts[-1] == len(self.words_) and np.all(starts[:-1] < starts[1:])
        if len(starts) != len(self.centers_) + 1 or not rises:
            raise ValueError("cell_start_ must rise from 0 to the number of words, with a step for each of centers_")


def _moved(
    data: NDArray[np.float32],
    labels: NDArray[np.int32],
    distances: NDArray[np.float32],
    words: NDArray[np.float32],
    threads: int,
) -> NDArray[np.float32]:
    """Return the means of the clusters; an empty one restarts at a descriptor that is far from its word.

    As ``_clusters.move_words``, whose partial sums over all words take too much memory where words are many.
    """
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=len(words))
    parts = cut(len(data), _PART)
    partial: dict[int, tuple[NDArray[np.int32], NDArray[np.float32]]] = {}

    def add(part: slice) -> None:
        rows = order[part]
        first = np.concatenate([[0], np.flatnonzero(np.diff(labels[rows])) + 1])
        ends = np.append(first, len(rows))
        member = csr_array((np.ones(len(rows), np.float32), np.arange(len(rows)), ends), shape=(len(first), len(rows)))
        partial[part.start] = labels[rows[first]], member @ data[rows]

    map_threads(add, parts, threads)
    sums = np.zeros_like(words)
    for part in parts:
        present, sum_ = partial.pop(part.start)
        sums[present] += sum_
    moved = np.divide(sums, sizes[:, None].astype(np.float32), out=words.copy(), where=sizes[:, None] > 0)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        farthest = np.argsort(-distances, kind="stable")[: len(empty)]
        moved[empty[: len(farthest)]] = data[farthest]
    return moved


def _row_hashes(data: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return 64 bits for each row; equal rows have equal ones, others in practice not."""
    factors = np.random.default_rng(0).integers(1 << 63, size=data.shape[1], dtype=np.uint64) | np.uint64(1)
    hashes = np.empty(len(data), np.uint64)
    for rows in cut(len(data), _PART):
        # -0 + 0 = 0: equal rows have equal bytes.
        bits = (data[rows] + np.float32(0)).view(np.uint32)
        # Round values differ in their high bits alone, and a product carries nothing downwards.
        bits ^= bits >> np.uint32(16)
        hashes[rows] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return hashes
