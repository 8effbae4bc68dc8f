"""An opened index as its reader sees it: what is in it, and searching it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images
from cvbow.errors import ImageError
from cvbow.index._queries import answer, answers
from cvbow.index._records import Record
from cvbow.index._searching import Result, Search
from cvbow.index._snapshot import Snapshot
from cvbow.parallel import single_threaded
from cvbow.retrieval.describer import Box, Describer

__all__ = ["IndexView"]


class IndexView:
    """What may be asked of an opened index, whether it was opened for changes or not: see ``ImageIndex``."""

    def __init__(self, snapshot: Snapshot, n_jobs: int | None) -> None:
        self._now: Snapshot | None = snapshot
        self._folder = snapshot.folder
        self.n_jobs = n_jobs

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of images."""
        return self._snapshot.n_living

    def __contains__(self, path: object) -> bool:
        """Tell whether an image is in the index, by its path."""
        return isinstance(path, str | os.PathLike) and self._snapshot.resolve(path) is not None

    @property
    def path(self) -> str:
        """The index's folder, absolute."""
        return self._folder

    @property
    def root(self) -> str:
        """The folder, absolute, that relative paths are relative to."""
        return self._snapshot.root

    @property
    def describer(self) -> Describer:
        """What describes the images."""
        return self._snapshot.describer

    @property
    def kind(self) -> str:
        """``"inverted"`` or ``"exact"``."""
        return self._snapshot.describer.kind

    @property
    def rows(self) -> NDArray[np.intp]:
        """The rows of its images, ascending."""
        return np.flatnonzero(self._snapshot.living)

    @property
    def paths(self) -> list[str]:
        """What its images are known by, in the order of `rows`."""
        snapshot = self._snapshot
        return [snapshot.record(row).path for row in np.flatnonzero(snapshot.living).tolist()]

    @property
    def n_segments(self) -> int:
        """Number of segments."""
        return len(self._snapshot.segments)

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays, those of removed images that are not yet compacted away among them."""
        return sum(entry.n_bytes for entry in self._snapshot.manifest.segments)

    def row(self, path: str | os.PathLike[str]) -> int:
        """Return the row of an image; KeyError where the index has none of this path."""
        row = self._snapshot.resolve(path)
        if row is None:
            raise KeyError(f"the index has no image {os.fspath(path)!r}")
        return row

    def record(self, row: int) -> Record:
        """Return an image's path and hash; IndexError where there is no such row."""
        return self._snapshot.record(row)

    def describe(self, row: int) -> dict[str, NDArray[Any]]:
        """Return what is stored of an image, as the describer gave it; IndexError where there is no such row."""
        return self._snapshot.described(row)

    def file(self, row: int) -> str | None:
        """Return the absolute path of an image's file, there or not; None for an image that was given a name."""
        return self._snapshot.file(row)

    def search(
        self,
        image: ImageLike,
        k: int | None = 10,
        *,
        box: Box | None = None,
        verify: int = 0,
        expand: int = 0,
        exclude_self: bool = False,
        verify_options: Mapping[str, Any] | None = None,
    ) -> list[Result]:
        """Find the images of the index that are most like an image.

        Parameters
        ----------
        image : path or ndarray
            A file, in the index or not, or pixels. A path of the index whose file is no longer there is answered from
            what the index has stored.
        k : int or None, default 10
            Length of the ranking; None for all images that have anything in common with the query.
        box : (x, y, width, height), optional
            Only this part of the image, in pixels, is looked for.
        verify : int, default 0
            Verify so many of the best by geometry: those with a map come first, by their inliers.
        expand : int, default 0
            Search again, with the mean of the query and so many of the best (with `verify`, of those with a map).
        exclude_self : bool, default False
            Leave out the query itself: the image of its path, or, where the index has none, those of its content.
        verify_options : mapping, optional
            Parameters of ``cvbow.retrieval.verify``.

        Returns
        -------
        list of Result
            Best first, equal scores in the order of their paths; none for an empty index, or a query in which nothing
            was found.

        Raises
        ------
        ImageError
            When the query cannot be read, or is not there.
        ValueError
            When a parameter breaks its rule, or the box lies outside the image.
        """
        search = self._search(k, verify, expand, exclude_self, verify_options)
        return answer(self._snapshot, search, image, box)

    def search_many(
        self,
        images: Sequence[ImageLike],
        k: int | None = 10,
        *,
        boxes: Sequence[Box | None] | None = None,
        verify: int = 0,
        expand: int = 0,
        exclude_self: bool = False,
        verify_options: Mapping[str, Any] | None = None,
    ) -> Iterator[list[Result] | ImageError]:
        """Yield the results of `search` for each image, or the ImageError of one that cannot be read, in order.

        Queries are described and answered by ``n_jobs`` workers, and a few hundred are held at a time.

        Parameters
        ----------
        images : sequence of paths or arrays
        boxes : sequence of (x, y, width, height) or None, optional
            One for each image.
        k, verify, expand, exclude_self, verify_options :
            As for `search`.

        Raises
        ------
        ValueError
            As `search` does, before the first result but for a box outside its image.
        """
        images = check_images(images)
        search = self._search(k, verify, expand, exclude_self, verify_options)
        if boxes is not None and len(boxes) != len(images):
            raise ValueError(f"boxes must be as many as images ({len(images)}), got {len(boxes)}")
        queries = list(zip(images, boxes or [None] * len(images), strict=True))
        return answers(self._snapshot, search, queries, n_jobs=self.n_jobs)

    def search_described(
        self,
        query: Mapping[str, NDArray[Any]],
        k: int | None = 10,
        *,
        verify: int = 0,
        expand: int = 0,
        leave_out: Sequence[int] = (),
        verify_options: Mapping[str, Any] | None = None,
    ) -> list[Result]:
        """Search with what `describe` returns of an image, or ``Describer.describe`` of pixels.

        Parameters
        ----------
        query : mapping
        leave_out : sequence of int
            Rows that are no results.
        k, verify, expand, verify_options :
            As for `search`.
        """
        search = self._search(k, verify, expand, False, verify_options)
        return search.run(self._snapshot, query, leave_out=leave_out)

    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the score of every row for a described query, shape (n_rows,), float32; those of removed images mean
        nothing.
        """
        if not self._snapshot.segments:
            return np.zeros(0, np.float32)
        with single_threaded():
            return self._snapshot.scorer.scores(query)

    def scores_many(self, queries: Sequence[Mapping[str, NDArray[Any]]]) -> NDArray[np.float32]:
        """Return `scores` for several queries, up to rounding, shape (n_queries, n_rows), float32: for an index of
        vectors sooner than one by one.
        """
        if not self._snapshot.segments or not len(queries):
            return np.zeros((len(queries), len(self._snapshot.living)), np.float32)
        with single_threaded():
            return self._snapshot.scorer.scores_many(queries)

    def reload(self) -> bool:
        """See what a writer has changed since; return whether there was anything."""
        before = self._snapshot
        self._now = Snapshot.open(before.folder, check=True, before=before)
        return self._now is not before

    def close(self) -> None:
        """Give back the files; a second call does nothing."""
        self._now = None

    @property
    def _snapshot(self) -> Snapshot:
        if self._now is None:
            raise ValueError("the index is closed")
        return self._now

    def _search(
        self, k: int | None, verify: int, expand: int, exclude_self: bool, options: Mapping[str, Any] | None
    ) -> Search:
        search = Search(k, verify, expand, exclude_self, options)
        search.check(self._snapshot.describer)
        return search
