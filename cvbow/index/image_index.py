"""An index of images on the disk: add, remove and update, and search, also while another process adds.

An index is a folder: the fitted describer, segments of immutable arrays, and a manifest that names them. A change
writes new segments and then replaces the manifest, so that whenever it is cut off, by a kill or a power cut, the index
is what it was before, or with whole steps of the change done. Arrays are mapped into memory, not loaded; every file is
checked against its SHA-256; nothing in them can execute.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from cvbow._checks import check_flag, check_int
from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images
from cvbow.index._adding import AddReport, add_items, items_of
from cvbow.index._manifest import Manifest
from cvbow.index._records import Record, stored_root
from cvbow.index._searching import Result
from cvbow.index._snapshot import Snapshot
from cvbow.index._view import IndexView
from cvbow.index._writer import Writer, build
from cvbow.parallel import effective_jobs
from cvbow.retrieval.describer import Describer

__all__ = ["AddReport", "ImageIndex", "Record", "RemoveReport", "Result"]


@dataclass(frozen=True)
class RemoveReport:
    """What became of the paths that were to be removed.

    Attributes
    ----------
    removed : list of str
        By the path that the index knew each by.
    missing : list of str
        Those that the index does not know, as they were given.
    """

    removed: list[str]
    missing: list[str]


class ImageIndex(IndexView):
    """An index of images: made by `build` or opened by `open`, closed by `close` or at the end of a ``with`` block.

    An image is known by the path of its file, relative to the index's root where it lies below that (the root is the
    folder that the index lies in, unless `build` is told another), and by the SHA-256 of the file. Where a method takes
    the path of an image that is in the index, it is the path of a file, or else one of `paths` as it stands.

    Any number of readers may have an index open while one writer changes it: a reader sees the index as it was when it
    was opened, until it calls `reload`. A *row* is the position of an image in that view, removed ones counted; it
    means nothing to another view.

    Examples
    --------
    >>> from cvbow.index import ImageIndex
    >>> from cvbow.retrieval import VisualWords
    >>> describer = VisualWords(n_words=10_000).fit(some_images)                         # doctest: +SKIP
    >>> with ImageIndex.build("photos.index", describer) as index:                       # doctest: +SKIP
    ...     report = index.add(paths)
    ...     results = index.search("query.jpg", k=10, verify=100)
    """

    def __init__(self, snapshot: Snapshot, writer: Writer | None, n_jobs: int | None) -> None:
        super().__init__(snapshot, n_jobs)
        self._writer = writer

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
            Workers for reading and describing images, by joblib's convention. Changes no result.

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
            return cls(Snapshot.open(folder, check=True), writer, n_jobs)
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
            Workers for reading and describing images, by joblib's convention. Changes no result.

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
            return cls(Snapshot.open(folder, check=check), None, n_jobs)
        Manifest.read(folder)  # what is not an index gets no lock file
        writer = Writer(folder)
        try:
            snapshot = Snapshot.open(folder, check=check)
            writer.sweep(snapshot.manifest)
        except BaseException:
            writer.release()
            raise
        return cls(snapshot, writer, n_jobs)

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
        """Add images, those that are not in the index yet.

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

        Returns
        -------
        AddReport
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
        """Bring the index up to date: describe changed files anew, add new ones, and list those that vanished.

        Parameters
        ----------
        images : sequence of paths, optional
            By default the files that are in the index.
        names, strict, batch :
            As for `add`.

        Returns
        -------
        AddReport
            With `vanished`: of all images of the index, those whose file is no longer there.
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

        Parameters
        ----------
        paths : sequence of paths
            Of files, there or not, or what `paths` lists.

        Returns
        -------
        RemoveReport
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
        """Write the index anew in as few segments as it takes, without what was removed; no answer changes."""
        writer = self._writable()
        self._now = writer.compact(self._snapshot)

    def close(self) -> None:
        """Give back the files, and to others the right to write; a second call does nothing."""
        super().close()
        if self._writer is not None:
            self._writer.release()
            self._writer = None

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
