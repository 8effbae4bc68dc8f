"""An index of images on the disk: add, remove and update, and search, also while another process adds.

An index is a folder: the fitted describer, segments of immutable arrays, and a manifest that names them. A change
writes new segments and then replaces the manifest, so that whenever it is cut off, by a kill or a power cut, the index
is what it was before, or with whole steps of the change done. Arrays are mapped into memory, not loaded; every file is
checked against its SHA-256; nothing in them can execute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int
from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images
from cvbow.errors import ImageError
from cvbow.index._adding import AddReport, add_items, items_of
from cvbow.index._manifest import Manifest
from cvbow.index._records import Record, stored_root
from cvbow.index._snapshot import Snapshot
from cvbow.index._writer import Writer, build
from cvbow.index.search import Results, Search, answer, answers, ranked
from cvbow.parallel import effective_jobs, single_threaded
from cvbow.retrieval.describer import Box, Describer


@dataclass(frozen=True)
class RemoveReport:
    """Which paths were removed, and which were not found.

    Attributes
    ----------
    removed : list of str
        By the path that the index knew each by.
    missing : list of str
        Those that the index does not know, as they were given.

    Examples
    --------
    >>> from cvbow.index import RemoveReport
    >>> report = RemoveReport(removed=["a.jpg"], missing=["typo.jpg"])
    >>> len(report.removed), len(report.missing)
    (1, 1)
    """

    removed: list[str]
    missing: list[str]


class ImageIndex:
    """An index of images: made by `build` or opened by `open`, closed by `close` or at the end of a ``with`` block.

    An image is known by the path of its file, relative to the index's root where it lies below that (the root is the
    folder that the index lies in, unless `build` is told another), and by the SHA-256 of the file. Where a method takes
    the path of an image that is in the index, it is the path of a file, or else one of `paths` as it stands.

    Any number of readers may have an index open while one writer changes it: a reader sees the index as it was when it
    was opened, until it calls `reload`. A *row* is the position of an image in that view, removed ones counted; it
    means nothing to another view.

    The files are mapped into memory, and no other program may write into them. One that was cut off since is an
    IndexFileError at the next search; one that is cut off in the middle of a search ends the process (SIGBUS).

    Parameters
    ----------
    snapshot, writer, n_jobs
        What `build` and `open` hand over.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow import ImageIndex
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.retrieval import ImageVectors
    >>> red, blue = (np.full((8, 8, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))
    >>> describer = ImageVectors(ColorHistogram(), whiten=False).fit([red])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ImageIndex.build(pathlib.Path(folder, "index"), describer) as index:
    ...         _ = index.add([red, blue], names=["red", "blue"])
    ...     with ImageIndex.open(pathlib.Path(folder, "index")) as index:
    ...         [result.path for result in index.search(red)], len(index)
    (['red'], 2)
    """

    def __init__(self, snapshot: Snapshot, writer: Writer | None, n_jobs: int | None) -> None:
        self._now: Snapshot | None = snapshot
        self._folder = snapshot.folder
        self._writer = writer
        self.n_jobs = n_jobs

    @classmethod
    def build(
        cls,
        path: str | os.PathLike[str],
        describer: Describer,
        *,
        root: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        n_jobs: int | None = None,
    ) -> Self:
        """Make an empty index and open it for writing.

        Parameters
        ----------
        path : path
            Of the index's folder, which is made.
        describer : Describer
            Fitted.
        root : path, optional
            The folder below which images are known by their relative paths; by default the one that the index lies in.
            A root that lies there too, or that the index lies in, moves with the index.
        overwrite : bool, default False
            Take the place of an index that is there, which stays whole until the new one is.
        n_jobs : int or None
            Workers for reading, describing and searching, by joblib's convention. Changes no result.

        Raises
        ------
        NotFittedError
            When the describer is not fitted.
        IndexFileError
            When `path` is an index already, or holds something else, or another process is writing it.
        """
        check_flag("overwrite", overwrite)
        effective_jobs(n_jobs)
        if not isinstance(describer, Describer):
            raise ValueError(f"describer must be a Describer, got {type(describer).__name__}")
        folder = os.path.abspath(os.fspath(path))
        writer = build(folder, describer, root=stored_root(folder, root), overwrite=overwrite)
        try:
            return cls(Snapshot.open(folder, check=True, n_jobs=n_jobs), writer, n_jobs)
        except BaseException:
            writer.release()
            raise

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, write: bool = False, check: bool = True, n_jobs: int | None = None
    ) -> Self:
        """Open an index.

        Parameters
        ----------
        path : path
        write : bool, default False
            Open it for changes too; one process can at a time.
        check : bool, default True
            Read every file and compare its checksum. Without it, a second or more is saved for each gigabyte, and
            damage to the arrays, other than to their sizes and headers, may show as a wrong answer: for an index that
            this user has written, on a disk that is trusted.
        n_jobs : int or None
            Workers for reading, describing and searching, by joblib's convention. Changes no result.

        Raises
        ------
        FileNotFoundError
            When there is nothing at `path`.
        IndexFileError
            When it is not an index, damaged, written by a newer cvbow, or, for writing, another process is writing it.
        """
        check_flag("write", write)
        check_flag("check", check)
        effective_jobs(n_jobs)
        folder = os.path.abspath(os.fspath(path))
        if not write:
            return cls(Snapshot.open(folder, check=check, n_jobs=n_jobs), None, n_jobs)
        Manifest.read(folder)  # what is not an index gets no lock file
        writer = Writer(folder)
        try:
            snapshot = Snapshot.open(folder, check=check, n_jobs=n_jobs)
            writer.sweep(snapshot.manifest)
        except BaseException:
            writer.release()
            raise
        return cls(snapshot, writer, n_jobs)

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
        """The folder that paths are relative to, absolute."""
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
        """The paths or names of its images, in the order of `rows`."""
        snapshot = self._snapshot
        return [snapshot.record(row).path for row in np.flatnonzero(snapshot.living).tolist()]

    @property
    def n_segments(self) -> int:
        """Number of segments."""
        return len(self._snapshot.segments)

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays, including removed images until `compact`."""
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
        self, image: ImageLike, search: Search | None = None, *, box: Box | None = None, **options: Any
    ) -> Results:
        """Find the images of the index that are most like an image.

        Parameters
        ----------
        image : path or ndarray
            A file, in the index or not, or pixels. A path of the index whose file is no longer there is answered from
            what the index has stored.
        search : Search, optional
            How to search; by default ``Search()``.
        box : (x, y, width, height), optional
            Only this part of the image, in pixels, is looked for.
        **options :
            Parameters of ``Search`` by their names, as in ``k=3, verify=100``.

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
        return answer(self._snapshot, self._suited(search, options), image, box)

    def search_many(
        self,
        images: Sequence[ImageLike],
        search: Search | None = None,
        *,
        boxes: Sequence[Box | None] | None = None,
        **options: Any,
    ) -> Iterator[Results | ImageError]:
        """Yield the results of `search` for each image, or the ImageError of one that cannot be read, in order.

        Queries are described and answered by ``n_jobs`` workers, and a few hundred are held at a time.

        Parameters
        ----------
        images : sequence of paths or arrays
        search, **options :
            As for `search`.
        boxes : sequence of (x, y, width, height) or None, optional
            One for each image.

        Raises
        ------
        ValueError
            As `search` does, before the first result but for a box outside its image.
        """
        images = check_images(images)
        suited = self._suited(search, options)
        if boxes is not None and len(boxes) != len(images):
            raise ValueError(f"boxes must be as many as images ({len(images)}), got {len(boxes)}")
        queries = list(zip(images, boxes or [None] * len(images), strict=True))
        return answers(self._snapshot, suited, queries, n_jobs=self.n_jobs)

    def search_described(
        self,
        query: Mapping[str, NDArray[Any]],
        search: Search | None = None,
        *,
        leave_out: Sequence[int] = (),
        **options: Any,
    ) -> Results:
        """Search with what `describe` returns of an image, or ``Describer.describe`` of pixels.

        Parameters
        ----------
        query : mapping
        search, **options :
            As for `search`; there is no image whose own results `exclude_self` could leave out.
        leave_out : sequence of int
            Rows that are no results.
        """
        return ranked(self._snapshot, self._suited(search, options), query, leave_out=leave_out)

    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return every row's score for a described query, (n_rows,), float32; those of removed images mean nothing."""
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
        """Take over what a writer has changed since; return whether there was anything."""
        before = self._snapshot
        self._now = Snapshot.open(before.folder, check=True, before=before)
        return self._now is not before

    @property
    def writable(self) -> bool:
        """Whether it was opened for writing."""
        return self._writer is not None

    def add(
        self,
        images: Sequence[ImageLike],
        names: Sequence[str] | None = None,
        *,
        strict: bool = False,
        batch: int = 256,
    ) -> AddReport:
        """Add images, except those that are in the index already.

        Parameters
        ----------
        images : sequence of paths, or, with names, of paths or arrays
        names : sequence of str, optional
            What the images shall be known by instead of their paths.
        strict : bool, default False
            Raise the ImageError of the first image that cannot be read, instead of skipping it.
        batch : int, default 256
            Images of a step. A step is done wholly or not at all; its descriptions are held in memory. A call that was
            cut off can be repeated: what it has done is then unchanged.
        """
        return self._add(images, names, replace=False, strict=strict, batch=batch)

    def update(
        self,
        images: Sequence[ImageLike] | None = None,
        names: Sequence[str] | None = None,
        *,
        strict: bool = False,
        batch: int = 256,
    ) -> AddReport:
        """Bring the index up to date: describe changed files again, add new ones, and list those that vanished.

        By default the images are the files that are in the index; `names`, `strict` and `batch` are as for `add`. In
        the report, `vanished` are those of all images of the index whose file is no longer there.
        """
        self._writable()
        snapshot = self._snapshot
        if images is None:
            if names is not None:
                raise ValueError("names must be None without images")
            rows = np.flatnonzero(snapshot.living).tolist()
            images = [file for row in rows if (file := snapshot.file(row)) is not None]
        report = self._add(images, names, replace=True, strict=strict, batch=batch)
        snapshot = self._snapshot
        for row in np.flatnonzero(snapshot.living).tolist():
            file = snapshot.file(row)
            if file is not None and not os.path.lexists(file):
                report.vanished.append(snapshot.record(row).path)
        return report

    def remove(self, paths: Sequence[str | os.PathLike[str]]) -> RemoveReport:
        """Remove images from the index, in one step; their files are left alone.

        The `paths` are those of files, there or not, or what the property of this name lists.
        """
        writer = self._writable()
        if isinstance(paths, str | os.PathLike):
            raise ValueError(f"paths must be a sequence of paths, got the single path {os.fspath(paths)!r}")
        snapshot = self._snapshot
        rows: dict[int, None] = {}
        missing = []
        for path in paths:
            row = snapshot.resolve(path)
            if row is None:
                missing.append(os.fspath(path))
            else:
                rows[row] = None
        if rows:
            self._now = writer.commit(snapshot, removed=list(rows))
            self._now = writer.maintain(self._now)
        return RemoveReport([snapshot.record(row).path for row in rows], missing)

    def compact(self) -> None:
        """Rewrite the index in as few segments as possible, without what was removed; results stay the same.

        Postings that an earlier version of cvbow has written are then written as this one does.
        """
        writer = self._writable()
        self._now = writer.compact(self._snapshot)

    def close(self) -> None:
        """Close the files and let others write; a second call does nothing."""
        self._now = None
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    @property
    def _snapshot(self) -> Snapshot:
        if self._now is None:
            raise ValueError("the index is closed")
        return self._now

    def _suited(self, search: Search | None, options: Mapping[str, Any]) -> Search:
        return Search.of(search, options, self._snapshot.describer)

    def _writable(self) -> Writer:
        self._snapshot  # noqa: B018 - a closed index says so first
        if self._writer is None:
            raise ValueError("the index is open for reading only: open it with write=True")
        return self._writer

    def _publish(self, snapshot: Snapshot) -> None:
        self._now = snapshot

    def _add(
        self,
        images: Sequence[ImageLike],
        names: Sequence[str] | None,
        *,
        replace: bool,
        strict: bool,
        batch: int,
    ) -> AddReport:
        writer, snapshot = self._writable(), self._snapshot
        check_flag("strict", strict)
        check_int("batch", batch, minimum=1)
        return add_items(
            writer,
            snapshot,
            items_of(check_images(images), names, snapshot.root),
            replace=replace,
            strict=strict,
            batch=batch,
            n_jobs=self.n_jobs,
            publish=self._publish,
        )
