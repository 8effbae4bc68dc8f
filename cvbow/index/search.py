"""Searching an index: how to search, and a query's way from its image to ranked results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int
from cvbow.backends import ImageLike
from cvbow.errors import ImageError
from cvbow.images import read_image
from cvbow.images.pixels import png_element
from cvbow.index._describing import Described, DescribeImage, is_path, name_of
from cvbow.index._snapshot import Snapshot
from cvbow.parallel import prefetched, run, single_threaded
from cvbow.progress import progress
from cvbow.retrieval.describer import Box, Describer
from cvbow.retrieval.expansion import carried, joined
from cvbow.retrieval.verification import Verification, check_verification, verify
from cvbow.tables import Table, Tabular

#: Results that are verified where the index can and the search does not say how many.
VERIFIED = 100
#: How much `Scorer.stable_scores` may differ from `Scorer.scores`, twice: the scores of two images are compared.
_SLACK = np.float32(2e-4)
#: Queries whose descriptions are held at a time.
_CHUNK = 256

#: Results that a notebook shows: rows, and images.
_TOLD, _PICTURED = 20, 6

Description = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Search:
    """How to search an index.

    Parameters
    ----------
    k : int or None, default 10
        Length of the ranking; None for all images that have anything in common with the query.
    verify : int or None, default 0
        Verify so many of the best by geometry: those with a map come first, by their inliers, then by how well these
        agree; the others keep their order behind them. None is 100 where the index keeps local features, and else 0.
    expand : int, default 0
        Search again, with the mean of the query and so many of the best. With `verify`, of those with a map, and of
        each what it shows of the query, brought to where that is in the query; the results are then verified with
        these features and the query's own, each of the best without those that came from itself.
    exclude_self : bool, default False
        Leave out the query itself: the image of its path, or, where the index has none, those of its content.
    model : {"affine", "similarity", "homography"}, default "affine"
        The map between two images that is verified.
    tolerance : float, default 0.012
        Largest error of an inlier, as a share of the images' longer sides.
    max_hamming : int, default 28
        Features of one word match if at most so many bits of their signatures differ.
    min_inliers : int, default 6
        With fewer there is no map.

    Raises
    ------
    ValueError
        If a parameter breaks its rule.

    See Also
    --------
    cvbow.retrieval.verify : The last four parameters in full.

    Examples
    --------
    >>> from cvbow.index import Search
    >>> Search(k=5, verify=100).expand
    0
    """

    k: int | None = 10
    verify: int | None = 0
    expand: int = 0
    exclude_self: bool = False
    model: str = "affine"
    tolerance: float = 0.012
    max_hamming: int = 28
    min_inliers: int = 6

    def __post_init__(self) -> None:
        check_int("k", self.k, minimum=1, none=True)
        if self.verify is not None:
            check_int("verify", self.verify, minimum=0)
        check_int("expand", self.expand, minimum=0)
        check_flag("exclude_self", self.exclude_self)
        check_verification(self.model, self.tolerance, self.max_hamming, self.min_inliers)

    @classmethod
    def of(cls, search: Search | None, options: Mapping[str, Any], describer: Describer) -> Search:
        """Return how to search an index of a describer.

        Parameters
        ----------
        search : Search or None
            None is one of the defaults.
        options : mapping
            Parameters by their names, which go before what the search says.
        describer : Describer
            It decides how many are verified where `verify` is None.

        Raises
        ------
        ValueError
            If `search` is none, or a parameter breaks its rule or wants to verify where there is nothing to verify.
        """
        if not isinstance(search, Search | None):
            raise ValueError(f"search must be a Search or None, got {search!r}; options go by name, as in k=3")
        found = replace(search or cls(), **options)
        if found.verify is None:
            return replace(found, verify=VERIFIED if describer.has_geometry else 0)
        if found.verify and not describer.has_geometry:
            raise ValueError(f"verify must be 0 for an index without local features, got {found.verify}")
        return found


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
    row : int
        Its row in the index as it was when it was searched.
    verification : Verification or None
        The map from the query to this image and the features that agree with it; None where no map was looked for.
        After an expansion some of its inliers are features that other results have brought.
    part : int
        The number of its index where several were searched: see `search_parts`.
    file : str or None
        The absolute path of its file, there or not; None of an image that was given a name.

    Examples
    --------
    >>> from cvbow.index import Result
    >>> result = Result("photos/a.jpg", score=0.31, row=4)
    >>> result.path, result.n_inliers is None
    ('photos/a.jpg', True)
    """

    path: str
    score: float
    row: int
    verification: Verification | None = None
    part: int = 0
    file: str | None = None

    def __repr__(self) -> str:
        inliers = "" if self.n_inliers is None else f", n_inliers={self.n_inliers}"
        return f"Result({self.path!r}, score={self.score:.3g}{inliers})"

    @property
    def n_inliers(self) -> int | None:
        """Features that agree with the map; 0 where no map was found, None where none was looked for."""
        return None if self.verification is None else self.verification.n_inliers

    @property
    def matrix(self) -> NDArray[np.float64] | None:
        """The map from pixels of the query to pixels of this image, shape (3, 3), or None."""
        return None if self.verification is None else self.verification.matrix


class Results(list[Result], Tabular):
    """A ranking, the best first: a list of ``Result`` that a notebook shows with the first images, as it does a slice.

    Parameters
    ----------
    iterable : iterable of Result

    Examples
    --------
    >>> from cvbow.index import Result, Results
    >>> print(Results([Result("a.jpg", 0.31, row=4), Result("b.jpg", 0.2, row=0)]))
    rank  image  score
       1  a.jpg   0.31
       2  b.jpg    0.2
    """

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Result: ...

    @overload
    def __getitem__(self, place: slice, /) -> Results: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> Result | Results:
        if isinstance(place, slice):
            return Results(super().__getitem__(place))
        return super().__getitem__(place)

    def tables(self) -> list[Table]:
        """Return a row for each of the first results, with inliers where some were verified."""
        verified = any(result.verification is not None for result in self)
        heads = ["rank", "image", "score", *(["inliers"] if verified else [])]
        rows = [
            [str(rank), one.path, f"{one.score:.3g}", *([str(one.n_inliers or 0)] if verified else [])]
            for rank, one in enumerate(self[:_TOLD], 1)
        ]
        more = f"{len(self) - _TOLD} more." if len(self) > _TOLD else ""
        return [Table(heads, rows, notes=more or ("" if rows else "Nothing was found."))]

    def html(self) -> str:
        """Return the first images, and the table, as HTML."""
        pictures = []
        for one in self[:_PICTURED]:
            with contextlib.suppress(ImageError, OSError):
                if one.file is not None:
                    pictures.append(png_element(read_image(one.file, shrunk_to=240), one.path))
        return f'<div style="max-height: 500px; overflow: auto">{"".join(pictures)}</div>{super().html()}'


def answer(snapshot: Snapshot, search: Search, image: ImageLike, box: Box | None) -> Results:
    """Search for one image; ImageError where it cannot be read."""
    query = _Query(snapshot, image, box)
    with single_threaded():
        found = query.description(DescribeImage(snapshot.describer, as_query=True)(query.task))
        if isinstance(found, ImageError):
            raise found
        return query.results(search, found)


def answers(
    snapshot: Snapshot, search: Search, images: Sequence[tuple[ImageLike, Box | None]], *, n_jobs: int | None
) -> Iterator[Results | ImageError]:
    """Yield the results of each image with its box, or its ImageError."""
    describe = DescribeImage(snapshot.describer, as_query=True)
    with progress("search", len(images)) as tell:
        done = 0
        for first in range(0, len(images), _CHUNK):
            queries = [_Query(snapshot, *pair) for pair in images[first : first + _CHUNK]]
            described = run(describe, [query.task for query in queries], n_jobs=n_jobs)
            ready = [(query, query.description(found)) for query, found in zip(queries, described, strict=True)]
            together = snapshot.scorer.together if snapshot.n_living else len(ready)
            parts = [ready[start : start + together] for start in range(0, len(ready), together)]
            with single_threaded():
                for results in prefetched(lambda part: _answered(snapshot, search, part), parts, n_jobs=n_jobs):
                    yield from results
                    done += len(results)
                    tell(done)


class _Query:
    """An image that is asked about, beside what an index knows of it.

    So that an image has the same results whether or not the index has it, what is stored answers only where it is what
    a query would be described as, or nothing else is left of the image.
    """

    def __init__(self, snapshot: Snapshot, image: ImageLike, box: Box | None) -> None:
        self.snapshot = snapshot
        self.row: int | None = None
        self.sha256 = ""
        known = None
        if is_path(image):
            path = os.fspath(image)
            self.row = snapshot.resolve(path)
            if self.row is not None:
                if not os.path.lexists(path):
                    # It is known by this path, which is relative to the index's root and not to the working directory.
                    image = snapshot.file(self.row) or path
                if box is None and not snapshot.describer.queries_differ:
                    known = snapshot.record(self.row).sha256
        #: What a worker is told.
        self.task = (image, box, known)

    def description(self, found: Described | ImageError) -> Description | ImageError:
        """Return the image's description, from what a worker found or from what the index has stored."""
        image, box, _ = self.task
        if isinstance(found, Described):
            self.sha256 = found.sha256
            if found.arrays or self.row is None:
                return found.arrays
        elif self.row is None or os.path.lexists(name_of(image)):
            return found
        elif box is not None:
            return ImageError(found.path, "there is no such file, and a box needs its pixels")
        return self.snapshot.described(self.row)

    def results(self, search: Search, described: Description, scores: NDArray[np.float32] | None = None) -> Results:
        """Search with the image's description, and its scores where they are known."""
        leave_out: list[int] = []
        if search.exclude_self:
            leave_out = self.snapshot.rows_with(self.sha256) if self.row is None else [self.row]
        return ranked(self.snapshot, search, described, leave_out=leave_out, scores=scores)


def _answered(
    snapshot: Snapshot, search: Search, queries: Sequence[tuple[_Query, Description | ImageError]]
) -> list[Results | ImageError]:
    """Search with the descriptions of some queries, all at once; those that could not be read stay errors."""
    readable = [(query, found) for query, found in queries if not isinstance(found, ImageError)]
    scores: Sequence[NDArray[np.float32] | None] = [None] * len(readable)
    if readable and snapshot.n_living:
        scores = list(snapshot.scorer.scores_many([found for _, found in readable]))
    results = (query.results(search, found, row) for (query, found), row in zip(readable, scores, strict=True))
    return [found if isinstance(found, ImageError) else next(results) for _, found in queries]


def ranked(
    snapshot: Snapshot,
    search: Search,
    query: Description,
    *,
    leave_out: Collection[int] = (),
    scores: NDArray[np.float32] | None = None,
) -> Results:
    """Rank the images of an index, but for the rows to leave out, by a query's description.

    The search is one that `Search.of` returns; `scores` (n_rows,) are the query's, where they are known already.
    """
    if not snapshot.n_living:
        return Results()
    wanted = snapshot.living
    if leave_out:
        wanted = wanted.copy()
        wanted[list(leave_out)] = False
    # One thread for BLAS: the last bits of a score, and so the order of near ties, would depend on their number.
    with single_threaded():
        if scores is None:
            scores = snapshot.scorer.scores(query)
        rows, values = _best(snapshot, search, query, scores, wanted)
        rows, found = _verified(snapshot, search, lambda _: query, rows)
        maps = [row for row in rows if _has_map(found, row)]
        like = (maps if search.verify else rows)[: search.expand]
        if like:
            images = [snapshot.described(row) for row in like]
            if search.verify:
                images = [
                    carried(one, matrix, query)
                    for one, row in zip(images, like, strict=True)
                    if (matrix := found[row].matrix) is not None
                ]
            expanded = snapshot.scorer.expanded(query, images)
            rows, values = _best(snapshot, search, expanded, snapshot.scorer.scores(expanded), wanted)
            if search.verify:
                # By its own features any result would agree: each is verified by the query and the others.
                whole = joined(query, images)
                others = {
                    row: joined(query, [one for other, one in zip(like, images, strict=True) if other != row])
                    for row in like
                }
                # A map that was found before the expansion counts after it.
                rows, found = _verified(snapshot, search, lambda row: others.get(row, whole), rows, also=maps)
    return Results(
        Result(snapshot.record(row).path, values[row], row, found.get(row), file=snapshot.file(row))
        for row in rows[: search.k]
    )


def _best(
    snapshot: Snapshot, search: Search, query: Description, scores: NDArray[np.float32], wanted: NDArray[np.bool_]
) -> tuple[list[int], dict[int, float]]:
    """Return the best rows in order, as many as any step looks at, and the score of each."""
    most = None if search.k is None else max(search.k, search.verify or 0, search.expand)
    rows = best_rows(scores, wanted, most)
    stable = snapshot.scorer.stable_scores(query, rows)
    return in_order(rows, scores[rows] if stable is None else stable, snapshot, most)


def _verified(
    snapshot: Snapshot,
    search: Search,
    query_for: Callable[[int], Description],
    rows: list[int],
    *,
    also: Collection[int] = (),
) -> tuple[list[int], dict[int, Verification]]:
    """Verify the best rows and some others; return all rows, those with a map first, and what was found."""
    found = {
        row: verify(
            query_for(row),
            snapshot.described(row),
            model=search.model,
            tolerance=search.tolerance,
            max_hamming=search.max_hamming,
            min_inliers=search.min_inliers,
        )
        for place, row in enumerate(rows)
        if place < (search.verify or 0) or row in also
    }
    maps = [row for row in rows if _has_map(found, row)]
    # Equal ones keep the order of their scores.
    maps.sort(key=lambda row: (-found[row].n_inliers, -found[row].score))
    return [*maps, *(row for row in rows if not _has_map(found, row))], found


def _has_map(found: Mapping[int, Verification], row: int) -> bool:
    return row in found and found[row].matrix is not None


def best_rows(scores: NDArray[np.float32], wanted: NDArray[np.bool_], most: int | None) -> NDArray[np.intp]:
    """Return rows of the highest scores among the wanted, in no order: at least `most`, and all that may be the best.

    A row with a score of 0, or with none that is a finite number, is left out.
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
    """Return `most` rows by descending scores, equal ones in the order of their paths, and the score of each."""
    order = np.argsort(-scores, kind="stable")
    ranked, values = rows[order].tolist(), scores[order]
    # Where runs of equal scores begin, and where the last one ends.
    bounds = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1], [True]])) if len(values) else order
    for first, last in pairwise(bounds.tolist()):
        if last - first > 1:
            ranked[first:last] = sorted(ranked[first:last], key=lambda row: snapshot.record(row).path)
    return ranked[:most], dict(zip(ranked[:most], values[:most].tolist(), strict=True))
