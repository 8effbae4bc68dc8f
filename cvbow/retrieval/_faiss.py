"""Candidates for a query from FAISS: the vectors that share one of the coarse cells nearest to it.

M. Douze et al., "The Faiss library", 2024. An optional extra: ``pip install 'cvbow[faiss]'``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.parallel import local_threads

#: FAISS asks for at least so many vectors to learn a cell from; more than so many teach it little.
_FEWEST, _MOST = 39, 64
#: Rows that are read and handed over at a time.
_BATCH = 16_384


def check_faiss() -> None:
    """Raise ImportError, in one line, unless FAISS is installed."""
    try:
        found = importlib.util.find_spec("faiss") is not None
    except ValueError:
        found = False
    if not found:
        raise ImportError("search='faiss' needs the extra: pip install 'cvbow[faiss]'")


def _faiss() -> Any:
    check_faiss()
    with warnings.catch_warnings():
        # Classes that SWIG makes have no module, of which Python 3.12 warns at the import.
        warnings.simplefilter("ignore", DeprecationWarning)
        import faiss
    return faiss


class FaissCells:
    """An inverted file over living images: about ``4 sqrt(n)`` cells, 8 bits for each value of a vector.

    It is made in memory when an index is opened (a quarter of the vectors' size; the cells are learned on some of the
    vectors, the same ones each time), so it pays in a process that answers many queries, not in one that answers one.

    ``parts`` (n_i, d), float32, are vectors of unit length, segment by segment, read a batch at a time; ``alive``
    (n_i,) tells which of them can be candidates. The more of the cells a query visits, ``n_probes``, the more it finds.
    """

    def __init__(
        self,
        parts: Sequence[NDArray[np.float32]],
        alive: Sequence[NDArray[np.bool_]],
        *,
        n_probes: int,
        n_jobs: int | None,
    ) -> None:
        self._faiss = faiss = _faiss()
        self._index: Any = None
        living = [np.flatnonzero(mask) for mask in alive]
        total = sum(map(len, living))
        if total == 0:
            return
        n_cells = max(1, min(round(4 * total**0.5), total // _FEWEST))
        length = parts[0].shape[1]
        with _threads(faiss, local_threads(n_jobs)):
            index = faiss.index_factory(length, f"IVF{n_cells},SQ8", faiss.METRIC_INNER_PRODUCT)
            index.cp.min_points_per_centroid = 1  # it would say so on stderr when there are few images in all
            step = max(1, total // (_MOST * n_cells))
            index.train(np.concatenate([part[rows[::step]] for part, rows in zip(parts, living, strict=True)]))
            start = 0
            for part, rows in zip(parts, living, strict=True):
                for first in range(0, len(rows), _BATCH):
                    some = rows[first : first + _BATCH]
                    index.add_with_ids(np.ascontiguousarray(part[some]), (start + some).astype(np.int64))
                start += len(part)
        index.nprobe = n_probes
        self._index = index

    def candidates(self, vector: NDArray[np.float32], n: int) -> NDArray[np.intp]:
        """Return the rows of up to ``n`` images, counted over all parts, in no order that matters."""
        if self._index is None:
            return np.empty(0, np.intp)
        # A worker is one of many already.
        with _threads(self._faiss, 1):
            _, rows = self._index.search(vector[None], min(n, self._index.ntotal))
        found: NDArray[np.intp] = rows[0][rows[0] >= 0].astype(np.intp)
        return found


@contextlib.contextmanager
def _threads(faiss: Any, number: int) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(number)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
