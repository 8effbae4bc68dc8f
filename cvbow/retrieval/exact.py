"""Exact search: the cosine between a query's vector and every image's, read where they lie on the disk.

The vectors are memory-mapped and go through BLAS a block of rows at a time: nothing is copied, and one query costs one
pass over memory, which is all that there is to gain. Many queries at once share that pass (``scores_many``).

For sets so large that the pass is too long, ``search="faiss"`` looks through a part of them only:

H. Jegou, M. Douze and C. Schmid, "Product quantization for nearest neighbor search", TPAMI 2011 (inverted lists of
coarse cells, of which the nearest few are visited, and a second look at the best candidates).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.encoders.normalize import normalize_rows
from cvbow.parallel import local_threads, map_threads, single_threaded
from cvbow.retrieval._faiss import FaissCells
from cvbow.retrieval.describer import Scorer, Segment

SEARCHES = ("exact", "faiss")
#: The score of an image that FAISS did not bring up, which a ranking leaves out.
NOT_LOOKED_AT = np.float32(-np.inf)
#: Queries that are multiplied together: more gain little, and their scores take memory.
_TOGETHER = 32
#: Values of a block: some megabytes, which one thread is busy with for a millisecond. Fixed, so that no score depends
#: on the number of threads.
_BLOCK = 1 << 21


class ExactScorer(Scorer):
    """Cosine of a query with the images of opened segments; ImportError if FAISS is asked for and not installed.

    Each segment has ``vectors`` (n_images, d), float32, rows of unit length or zero, memory-mapped or not. With FAISS
    the living images' vectors are given to it here, which takes time and memory (see ``FaissCells``), and images that
    are not among the ``n_candidates`` have the score -inf. Scores do not depend on ``n_jobs``.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        alive: Sequence[NDArray[np.bool_]],
        *,
        search: str = "exact",
        n_probes: int = 32,
        n_candidates: int = 1000,
        n_jobs: int | None = None,
    ) -> None:
        # A view of another class: np.memmap's own bookkeeping costs more than a small block's product.
        self._parts = [np.asarray(segment.arrays["vectors"]) for segment in segments]
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in self._parts])]).astype(np.intp)
        self._n_jobs = n_jobs
        self._n_candidates = n_candidates
        self._cells: FaissCells | None = None
        if search == "faiss":
            self._cells = FaissCells(self._parts, alive, n_probes=n_probes, n_jobs=n_jobs)

    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the cosine of each image with a query, (n_images,) float32; 0 for all where either has no features.

        Raises
        ------
        ValueError
            If the query's vector is not as long as the images'.
        """
        vector = self._vector(query)
        if self._cells is not None:
            return self._scores_of(vector, self._cells.candidates(vector, self._n_candidates))
        out = np.empty(self._starts[-1], np.float32)

        def multiply(rows: slice) -> None:
            number = int(np.searchsorted(self._starts, rows.start, side="right")) - 1
            start = self._starts[number]
            np.dot(self._parts[number][rows.start - start : rows.stop - start], vector, out=out[rows])

        with single_threaded():
            map_threads(multiply, self._blocks(len(vector)), local_threads(self._n_jobs))
        return out

    @property
    def together(self) -> int:
        """How many queries share a pass over the vectors; with FAISS there is none to share."""
        return 1 if self._cells is not None else _TOGETHER

    def stable_scores(self, query: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the cosine of some images, shape (m,), summed in one order for each: BLAS goes by the row's place."""
        vector = self._vector(query).astype(np.float64)
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        out = np.empty(len(rows), np.float32)
        step = max(1, _BLOCK // max(len(vector), 1))
        for number in np.unique(numbers):
            places = np.flatnonzero(numbers == number)
            for first in range(0, len(places), step):
                some = places[first : first + step]
                block = self._parts[number][rows[some] - self._starts[number]].astype(np.float64)
                out[some] = np.einsum("ij,j->i", block, vector)
        return out

    def scores_many(self, queries: Sequence[Mapping[str, NDArray[Any]]]) -> NDArray[np.float32]:
        """Return ``scores`` for several queries, up to rounding, shape (n_queries, n_images), float32.

        One pass over the vectors serves all queries: dozens cost about as much as a few.
        """
        vectors = [self._vector(query) for query in queries]
        out = np.empty((len(vectors), self._starts[-1]), np.float32)
        if self._cells is not None:
            for row, vector in zip(out, vectors, strict=True):
                row[:] = self._scores_of(vector, self._cells.candidates(vector, self._n_candidates))
            return out
        if not vectors:
            return out
        stacked = np.stack(vectors)

        def multiply(rows: slice) -> None:
            number = int(np.searchsorted(self._starts, rows.start, side="right")) - 1
            start = self._starts[number]
            out[:, rows] = stacked @ self._parts[number][rows.start - start : rows.stop - start].T

        with single_threaded():
            map_threads(multiply, self._blocks(stacked.shape[1]), local_threads(self._n_jobs))
        return out

    def expanded(
        self, query: Mapping[str, NDArray[Any]], results: Sequence[Mapping[str, NDArray[Any]]]
    ) -> Mapping[str, NDArray[Any]]:
        """Return the query with the mean of its vector and the results', at unit length (average query expansion).

        O. Chum, J. Philbin, J. Sivic, M. Isard and A. Zisserman, "Total recall", ICCV 2007. Its other arrays stay.
        """
        if not results:
            return query
        vectors = [self._vector(item).astype(np.float64) for item in (query, *results)]
        mean = normalize_rows(np.mean(vectors, axis=0)[None])[0]
        return {**query, "vectors": mean.astype(np.float32)}

    def _vector(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        vector = np.ascontiguousarray(query["vectors"], np.float32)
        length = self._parts[0].shape[1] if self._parts else vector.shape[-1]
        if vector.shape != (length,):
            raise ValueError(f"the query's vector must have shape ({length},), got {vector.shape}")
        return vector

    def _blocks(self, length: int) -> list[slice]:
        """Rows of all images, cut so that no block goes beyond its segment."""
        step = max(1, _BLOCK // max(length, 1))
        return [
            slice(first, min(first + step, int(stop)))
            for start, stop in pairwise(self._starts)
            for first in range(int(start), int(stop), step)
        ]

    def _scores_of(self, vector: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Cosines of a few images, and the lowest score for the others."""
        out = np.full(self._starts[-1], NOT_LOOKED_AT, np.float32)
        rows = np.sort(rows)
        cuts = np.searchsorted(rows, self._starts)
        with single_threaded():
            for part, start, first, last in zip(self._parts, self._starts, cuts, cuts[1:], strict=False):
                if first < last:
                    out[rows[first:last]] = part[rows[first:last] - start] @ vector
        return out
