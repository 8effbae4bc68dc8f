"""Judging an index by a ground truth: every query is searched for, and its ranking measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cvbow._checks import check_flag, check_int
from cvbow.errors import ImageError
from cvbow.images import content_hash, natural_key
from cvbow.index.image_index import ImageIndex
from cvbow.index.search import Result, Search
from cvbow.retrieval.ground_truth import GroundTruth, Query
from cvbow.retrieval.ranking import DEFINITIONS, Ranking

_UKBENCH = 4
_AT_PLACES = ("recall", "precision", "success")
#: Values of a search that others stand for here.
_REPLACED = ("k", "exclude_self")


def evaluate_index(
    index: ImageIndex,
    ground_truth: GroundTruth,
    search: Search | None = None,
    *,
    k: int | Sequence[int] = (1, 5, 10),
    keep_self: bool = False,
    depth: int | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Search an index for every query of a ground truth, and measure the rankings.

    Ignored images are taken out of a ranking before it is judged, and so is the query where it is in the index. Tied
    images count by their expectation over all orders. Images that the index does not list for a query, because they
    have nothing in common with it or lie deeper than `depth`, are not found.

    Parameters
    ----------
    index : ImageIndex
    ground_truth : GroundTruth
    search : Search, optional
        How to search; by default ``Search()``. Here `depth` and `keep_self` stand for its `k` and `exclude_self`.
    k : int or sequence of int, default (1, 5, 10)
        Places of recall, precision and success.
    keep_self : bool, default False
        A query that is in the index stays in its own ranking, and is relevant to itself: the protocols of ukbench and
        of the Oxford and Paris buildings. A query outside the index whose file is the same as one in it, of which the
        ground truth says nothing, is in the index too.
    depth : int, optional
        Judge the first so many results, no fewer than the largest `k`; otherwise all.
    strict : bool, default False
        Raise the ImageError of a query that cannot be read; otherwise it is listed and left out.

    Returns
    -------
    dict
        Plain values, for JSON:

        ``map``, ``map_trapezoids``
            Mean average precision, by the two definitions that ``definitions`` gives.
        ``recall``, ``precision``, ``success``
            Means over queries, by the place as a text: ``{"1": 0.98, "5": 1.0}``.
        ``ukbench_score``
            Of 4; None unless `keep_self`.
        ``n_queries``, ``n_images``
            Queries that were judged; images in the index.
        ``per_query``
            For each: ``query`` (its name), ``n_relevant``, ``average_precision``, ``average_precision_trapezoids``,
            ``first_relevant`` (the place of the first relevant image as it was ranked, None where none was found),
            and ``recall``, ``precision``, ``success`` by places.
        ``skipped``
            Queries that could not be read, each with ``query`` and ``reason``; those that have no relevant image but
            themselves are among them.
        ``missing``
            Relevant images that are not in the index: they count as not found.
        ``k``, ``keep_self``, ``depth``, ``definitions``, and the values of `search` but its `k` and `exclude_self`
            What the figures depend on.

    Raises
    ------
    ValueError
        If a parameter breaks its rule, none of the relevant images is in the index, or no query is left.
    ImageError
        With `strict`.
    """
    places = tuple(sorted({k} if isinstance(k, int) else set(k)))
    if not places:
        raise ValueError("k must have at least one number, got none")
    for place in places:
        check_int("k", place, minimum=1)
    check_flag("keep_self", keep_self)
    check_flag("strict", strict)
    check_int("depth", depth, minimum=places[-1], none=True)
    rows = _Rows(index, ground_truth)
    # What is ignored, and the query itself, must not take the places of others.
    lost = 1 + max((len(query.ignored) for query in ground_truth.queries), default=0)
    depth_searched = None if depth is None else depth + lost
    search = Search.of(search, {"k": depth_searched, "exclude_self": False}, index.describer)
    images, boxes = [query.image for query in ground_truth.queries], [query.box for query in ground_truth.queries]
    answers = index.search_many(images, search, boxes=boxes)
    judged: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for query, found in zip(ground_truth.queries, answers, strict=True):
        if isinstance(found, ImageError):
            if strict:
                raise found
            skipped.append({"query": query.name, "reason": found.reason})
            continue
        relevant, left_out = rows.of(query, keep_self=keep_self)
        if not relevant:
            skipped.append({"query": query.name, "reason": "nothing is relevant to it but itself"})
            continue
        kept = [result for result in found if result.row not in left_out][:depth]
        judged.append(_measured(query, kept, relevant, places))
    if not judged:
        raise ValueError(f"ground_truth must have a query that can be read, got {len(skipped)} that cannot")
    scores = [row.pop("hits_in_4") for row in judged]
    return {
        "map": _mean(row["average_precision"] for row in judged),
        "map_trapezoids": _mean(row["average_precision_trapezoids"] for row in judged),
        **{
            measure: {str(place): _mean(row[measure][str(place)] for row in judged) for place in places}
            for measure in _AT_PLACES
        },
        "ukbench_score": _mean(scores) if keep_self else None,
        "n_queries": len(judged),
        "n_images": len(index),
        "per_query": judged,
        "skipped": skipped,
        "missing": rows.missing,
        "k": list(places),
        **{name: value for name, value in asdict(search).items() if name not in _REPLACED},
        "keep_self": keep_self,
        "depth": depth,
        "definitions": dict(DEFINITIONS),
    }


class _Rows:
    """Where the images of a ground truth are in an index."""

    def __init__(self, index: ImageIndex, ground_truth: GroundTruth) -> None:
        self._of: dict[Path, int | None] = {}
        for path in ground_truth.images:
            self._of[path] = index.row(path) if path in index else None
        relevant = {path for query in ground_truth.queries for path in query.relevant - {query.image}}
        #: Relevant images that the index does not have.
        self.missing = sorted((str(path) for path in relevant if self._of[path] is None), key=natural_key)
        if relevant and len(self.missing) == len(relevant):
            known = f"it has {index.paths[0]!r} and others" if len(index) else "it is empty"
            raise ValueError(f"ground_truth must name images of the index, got {self.missing[0]!r} and others; {known}")
        self._with: dict[str, list[int]] = {}
        for row in index.rows.tolist():
            self._with.setdefault(index.record(row).sha256, []).append(row)

    def of(self, query: Query, *, keep_self: bool) -> tuple[set[int | Path], set[int]]:
        """Return what is relevant to a query, by row (by path what the index has not), and the rows to leave out."""
        relevant: set[int | Path] = set()
        for path in query.relevant:
            row = self._of[path]
            relevant.add(path if row is None else row)
        left_out = {row for path in query.ignored if (row := self._of[path]) is not None}
        own = self._itself(query, relevant)
        if keep_self:
            relevant |= own
        else:
            relevant -= {*own, query.image}
            left_out |= own
        return relevant, left_out - relevant

    def _itself(self, query: Query, relevant: set[int | Path]) -> set[int]:
        row = self._of[query.image]
        if row is not None:
            return {row}
        # A copy of an image of the index: what the ground truth says of that one, if anything, holds.
        copies = self._with.get(content_hash(query.image), [])
        return {row for row in copies if row not in relevant}


def _measured(
    query: Query, results: Sequence[Result], relevant: set[int | Path], places: Sequence[int]
) -> dict[str, Any]:
    hits = np.array([result.row in relevant for result in results], np.bool_)
    # Equal scores are ties, but those of verified images with other numbers of inliers are ranked by these.
    scores = np.array([(result.score, result.n_inliers or 0) for result in results]).reshape(-1, 2)
    ranking = Ranking(hits, scores, n_relevant=len(relevant))
    return {
        "query": query.name,
        "n_relevant": len(relevant),
        "average_precision": ranking.average_precision,
        "average_precision_trapezoids": ranking.average_precision_trapezoids,
        "first_relevant": int(hits.argmax()) + 1 if hits.any() else None,
        **{
            measure: {str(place): float(getattr(ranking, measure)(place)) for place in places} for measure in _AT_PLACES
        },
        "hits_in_4": ranking.hits(_UKBENCH),
    }


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
