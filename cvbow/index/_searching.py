"""From a query's description to a ranked list: scores, geometric verification, query expansion."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int
from cvbow.index._snapshot import Snapshot
from cvbow.parallel import single_threaded
from cvbow.retrieval.describer import Describer
from cvbow.retrieval.verification import Verification, verify

__all__ = ["Result", "Search", "best_rows", "in_order"]

# How much `Scorer.stable_scores` may differ from `Scorer.scores`, twice: the scores of two images are compared.
_SLACK = np.float32(2e-4)


@dataclass(frozen=True, eq=False)
class Result:
    """One image of a ranking.

    Attributes
    ----------
    path : str
        What the index knows it by.
    score : float
        By the index's scorer, higher is better; after an expansion, that of the expanded query. Never 0: an image
        that has nothing in common with a query is no result.
    n_inliers : int or None
        Features that agree with the map; 0 where no map was found, None where none was looked for.
    matrix : ndarray of shape (3, 3), float64, or None
        The map from pixels of the query to pixels of this image.
    row : int
        Its row in the index as it was when it was searched.
    """

    path: str
    score: float
    n_inliers: int | None
    matrix: NDArray[np.float64] | None
    row: int


@dataclass(frozen=True)
class Search:
    """How to search.

    Parameters
    ----------
    k : int or None
        Length of the ranking; None for all that have anything in common with the query.
    verify : int
        So many of the best are verified by geometry; those with a map come first, by their inliers, then by how well
        these agree; the others keep their order behind them.
    expand : int
        So many of the best (with `verify`, of those with a map) become, with the query, a new query.
    exclude_self : bool
        Leave out the query itself.
    options : mapping
        Further parameters of ``cvbow.retrieval.verify``.
    """

    k: int | None = 10
    verify: int = 0
    expand: int = 0
    exclude_self: bool = False
    options: Mapping[str, Any] | None = None

    def check(self, describer: Describer) -> None:
        """Raise ValueError if a parameter breaks its rule, or the index keeps nothing that could be verified."""
        check_int("k", self.k, minimum=1, none=True)
        check_int("verify", self.verify, minimum=0)
        check_int("expand", self.expand, minimum=0)
        check_flag("exclude_self", self.exclude_self)
        if self.verify and not describer.has_geometry:
            raise ValueError(f"verify must be 0 for an index without local features, got {self.verify}")

    def run(
        self,
        snapshot: Snapshot,
        query: Mapping[str, NDArray[Any]],
        *,
        leave_out: Collection[int] = (),
        scores: NDArray[np.float32] | None = None,
    ) -> list[Result]:
        """Rank the images of an index.

        Parameters
        ----------
        snapshot : Snapshot
        query : mapping
            Its description.
        leave_out : collection of int
            Rows that are no results.
        scores : ndarray of shape (n_rows,), float32, optional
            Those of the query, where they are known already.
        """
        if not snapshot.n_living:
            return []
        wanted = snapshot.living
        if leave_out:
            wanted = wanted.copy()
            wanted[list(leave_out)] = False
        found: dict[int, Verification] = {}
        # One thread for BLAS: the last bits of a score, and so the order of near ties, would depend on their number.
        with single_threaded():
            if scores is None:
                scores = snapshot.scorer.scores(query)
            rows, values = self._best(snapshot, query, scores, wanted)
            rows = self._verified(snapshot, query, rows, found)
            if self.expand:
                like = [row for row in rows if not self.verify or (row in found and found[row].matrix is not None)]
                if like:
                    images = [snapshot.described(row) for row in like[: self.expand]]
                    expanded = snapshot.scorer.expanded(query, images)
                    rows, values = self._best(snapshot, expanded, snapshot.scorer.scores(expanded), wanted)
                    rows = self._verified(snapshot, query, rows, found)
        return [_result(snapshot, row, values[row], found.get(row)) for row in rows[: self.k]]

    def _best(
        self,
        snapshot: Snapshot,
        query: Mapping[str, NDArray[Any]],
        scores: NDArray[np.float32],
        wanted: NDArray[np.bool_],
    ) -> tuple[list[int], dict[int, float]]:
        """Return the best rows in order, as many as any step looks at, and the score of each."""
        most = None if self.k is None else max(self.k, self.verify, self.expand)
        rows = best_rows(scores, wanted, most)
        stable = snapshot.scorer.stable_scores(query, rows)
        return in_order(rows, scores[rows] if stable is None else stable, snapshot, most)

    def _verified(
        self,
        snapshot: Snapshot,
        query: Mapping[str, NDArray[Any]],
        rows: list[int],
        found: dict[int, Verification],
    ) -> list[int]:
        if not self.verify:
            return rows
        for row in rows[: self.verify]:
            if row not in found:
                found[row] = verify(query, snapshot.described(row), **(self.options or {}))
        # A map that was found before an expansion counts after it.
        maps = [row for row in rows if row in found and found[row].matrix is not None]
        place = {row: number for number, row in enumerate(rows)}
        maps.sort(key=lambda row: (-found[row].n_inliers, -found[row].score, place[row]))
        first = set(maps)
        return [*maps, *(row for row in rows if row not in first)]


def best_rows(scores: NDArray[np.float32], wanted: NDArray[np.bool_], most: int | None) -> NDArray[np.intp]:
    """Return the rows with the highest scores, in no order: at least `most`, and all that may yet be among these.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float32
        A row with a score of 0, or with none that is a finite number, is left out.
    wanted : ndarray of shape (n_rows,), bool
    most : int or None
    """
    rows = np.flatnonzero(wanted & (scores != 0) & np.isfinite(scores))
    if most is None or len(rows) <= most:
        return rows
    cut = np.partition(scores[rows], len(rows) - most)[len(rows) - most]
    best: NDArray[np.intp] = rows[scores[rows] >= cut - _SLACK]
    return best


def in_order(
    rows: NDArray[np.intp], scores: NDArray[np.float32], snapshot: Snapshot, most: int | None
) -> tuple[list[int], dict[int, float]]:
    """Return rows by descending scores, equal ones in the order of their paths, and the score of each.

    Parameters
    ----------
    rows : ndarray of shape (m,), intp
    scores : ndarray of shape (m,), float32
    snapshot : Snapshot
    most : int or None
        Return no more than so many.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, values = rows[order].tolist(), scores[order]
    # Where runs of equal scores begin, and where the last one ends.
    bounds = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1], [True]])) if len(values) else order
    for first, last in pairwise(bounds.tolist()):
        if last - first > 1:
            ranked[first:last] = sorted(ranked[first:last], key=lambda row: snapshot.record(row).path)
    return ranked[:most], dict(zip(ranked[:most], values[:most].tolist(), strict=True))


def _result(snapshot: Snapshot, row: int, score: float, verification: Verification | None) -> Result:
    path = snapshot.record(row).path
    if verification is None:
        return Result(path, score, None, None, row)
    return Result(path, score, verification.n_inliers, verification.matrix, row)
