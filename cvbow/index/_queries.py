"""From an image that someone asks about to its description: stored already, or made now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.errors import ImageError
from cvbow.index._describing import describe_image, describe_images, hash_image, hash_images, is_path, name_of
from cvbow.index._searching import Result, Search
from cvbow.index._snapshot import Snapshot
from cvbow.parallel import prefetched, progress, single_threaded
from cvbow.retrieval.describer import Box

__all__ = ["answer", "answers"]

# Queries whose descriptions are held at a time.
_CHUNK = 256

Description = Mapping[str, NDArray[Any]]


def answer(snapshot: Snapshot, search: Search, image: ImageLike, box: Box | None) -> list[Result]:
    """Search for one image; ImageError where it cannot be read."""
    with single_threaded():
        query = _Query(snapshot, image, box)
        query.sha256 = hash_image(query.source)
        found = query.stored()
        if found is None:
            described = describe_image(snapshot.describer, query.source, box, as_query=True)
            found = described if isinstance(described, ImageError) else described.arrays
        if isinstance(found, ImageError):
            raise found
        return query.results(search, found)


def answers(
    snapshot: Snapshot, search: Search, images: Sequence[tuple[ImageLike, Box | None]], *, n_jobs: int | None
) -> Iterator[list[Result] | ImageError]:
    """Yield the results of each image with its box, or its ImageError."""
    with progress("search", len(images)) as tell:
        done = 0
        for first in range(0, len(images), _CHUNK):
            queries = [_Query(snapshot, *pair) for pair in images[first : first + _CHUNK]]
            hashes = hash_images([query.source for query in queries], n_jobs=n_jobs)
            for query, sha256 in zip(queries, hashes, strict=True):
                query.sha256 = sha256
            found = [query.stored() for query in queries]
            wanted = [(query.source, query.box) for query, one in zip(queries, found, strict=True) if one is None]
            new = iter(list(describe_images(snapshot.describer, wanted, n_jobs=n_jobs, as_query=True)))
            ready: list[tuple[_Query, Description | ImageError]] = []
            for query, one in zip(queries, found, strict=True):
                if one is None:
                    made = next(new)
                    one = made if isinstance(made, ImageError) else made.arrays
                ready.append((query, one))
            together = snapshot.scorer.together if snapshot.n_living else len(ready)
            parts = [ready[start : start + together] for start in range(0, len(ready), together)]
            with single_threaded():
                for results in prefetched(lambda part: _answered(snapshot, search, part), parts, n_jobs=n_jobs):
                    yield from results
                    done += len(results)
                    tell(done)


class _Query:
    """An image that is asked about, beside what an index knows of it."""

    def __init__(self, snapshot: Snapshot, image: ImageLike, box: Box | None) -> None:
        self.snapshot = snapshot
        self.box = box
        self.source = image
        self.row: int | None = None
        self.sha256: str | ImageError = ""
        if is_path(image):
            path = name_of(image)
            self.row = snapshot.resolve(path)
            if self.row is not None and not os.path.lexists(path):
                # It is known by this path, which is relative to the index's root and not to the working directory.
                self.source = snapshot.file(self.row) or path

    def stored(self) -> Description | ImageError | None:
        """Return what the index has stored of this content; None where the image is to be described.

        So that an image has the same results whether or not the index has it, what is stored answers only where it is
        what a query would be described as, or nothing else is left of the image.
        """
        if isinstance(self.sha256, ImageError):
            if self.row is None or os.path.lexists(name_of(self.source)):
                return self.sha256
            if self.box is not None:
                return ImageError(self.sha256.path, "there is no such file, and a box needs its pixels")
            return self.snapshot.described(self.row)
        if self.box is not None or self.snapshot.describer.queries_differ:
            return None
        rows = self.snapshot.rows_with(self.sha256)
        return self.snapshot.described(rows[0]) if rows else None

    def results(
        self, search: Search, described: Description, scores: NDArray[np.float32] | None = None
    ) -> list[Result]:
        """Search with the image's description, and its scores where they are known."""
        leave_out: list[int] = []
        if search.exclude_self and self.row is not None:
            leave_out = [self.row]
        elif search.exclude_self and isinstance(self.sha256, str):
            leave_out = self.snapshot.rows_with(self.sha256)
        return search.run(self.snapshot, described, leave_out=leave_out, scores=scores)


def _answered(
    snapshot: Snapshot, search: Search, queries: Sequence[tuple[_Query, Description | ImageError]]
) -> list[list[Result] | ImageError]:
    """Search with the descriptions of some queries, all at once; those that could not be read stay errors."""
    readable = [(query, found) for query, found in queries if not isinstance(found, ImageError)]
    if not readable:
        return [found for _, found in queries if isinstance(found, ImageError)]
    scores: Sequence[NDArray[np.float32] | None] = [None] * len(readable)
    if snapshot.n_living:
        scores = list(snapshot.scorer.scores_many([found for _, found in readable]))
    results = (query.results(search, found, row) for (query, found), row in zip(readable, scores, strict=True))
    return [found if isinstance(found, ImageError) else next(results) for _, found in queries]
