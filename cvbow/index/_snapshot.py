"""An index as it was at one moment: what a search looks at from its first line to its last."""

from __future__ import annotations

import bisect
import functools
import itertools
import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow import storage
from cvbow.errors import IndexFileError, ModelFileError
from cvbow.index._manifest import Manifest, SegmentEntry
from cvbow.index._records import Record, file_of, key_of
from cvbow.index._segment import OpenSegment, open_segment
from cvbow.retrieval.describer import ArraySpec, Describer, Scorer

_TRIES = 100


class Snapshot:
    """The opened files of one generation of an index; never changed, and readable after they were replaced.

    A *row* numbers the images of all segments, one segment after another, removed ones among them. The folder is an
    absolute path, and the segments are those that the manifest lists, in its order.
    """

    def __init__(self, folder: str, manifest: Manifest, describer: Describer, segments: list[OpenSegment]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.describer = describer
        self.segments = segments
        self.root = os.path.normpath(os.path.join(folder, manifest.root))
        self.alive = [_alive(entry) for entry in manifest.segments]
        sizes = [segment.n_images for segment in segments]
        self.starts: list[int] = [0, *itertools.accumulate(sizes)]
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None

    @classmethod
    def open(cls, folder: str, *, check: bool, before: Snapshot | None = None, n_jobs: int | None = None) -> Snapshot:
        """Open what an index is now; what `before` has opened already is used again. Errors as of `Manifest.read`.

        Segments are searched by `n_jobs` threads, after a snapshot before this one by as many as that had.
        """
        n_jobs = n_jobs if before is None else before.describer.n_jobs
        opened = {} if before is None else {segment.entry.name: segment for segment in before.segments}
        describer = before
        for _ in range(_TRIES):
            manifest = Manifest.read(folder)
            if before is not None and manifest == before.manifest:
                return before
            try:
                if describer is not None and describer.manifest.describer_hash == manifest.describer_hash:
                    loaded = describer.describer
                else:
                    loaded, opened = load_describer(folder, manifest), {}
                    loaded.n_jobs = n_jobs
                segments = []
                for entry in manifest.segments:
                    segment = opened.get(entry.name)
                    if segment is None or not _same(segment.entry, entry):
                        segment = opened[entry.name] = open_segment(folder, entry, loaded, check=check)
                    segments.append(segment)
                return cls(folder, manifest, loaded, segments)
            except FileNotFoundError as error:
                # A writer may have replaced the file after this has read which files there are.
                if Manifest.read(folder) == manifest:
                    missing = os.path.relpath(error.filename, folder).replace(os.sep, "/")
                    raise IndexFileError(folder, f"is damaged: {missing} is missing") from error
        raise IndexFileError(folder, "changes faster than it can be opened")

    @functools.cached_property
    def layout(self) -> dict[str, ArraySpec]:
        """The describer's layout."""
        return self.describer.layout()

    @functools.cached_property
    def living(self) -> NDArray[np.bool_]:
        """Which rows were not removed, shape (n_rows,)."""
        return np.concatenate([np.zeros(0, np.bool_), *self.alive])

    @property
    def n_living(self) -> int:
        """Number of images."""
        return sum(entry.n_living for entry in self.manifest.segments)

    @property
    def scorer(self) -> Scorer:
        """The describer's scorer of these segments, made when it is first wanted; IndexFileError as `check_lengths`."""
        for segment in self.segments:
            segment.check_lengths()
        with self._lock:
            if self._scorer is None:
                self._scorer = self.describer.scorer(self.segments, self.alive)
            return self._scorer

    def weighed_by(self, statistics: Mapping[str, NDArray[Any]]) -> Snapshot:
        """Return the same images, scored as a part of an index of these statistics: see `Scorer.statistics`."""
        other = Snapshot(self.folder, self.manifest, self.describer, self.segments)
        other._scorer = self.scorer.weighed_by(statistics)
        return other

    def place(self, row: int) -> tuple[int, int]:
        """Return a row's segment and its row there; IndexError where there is no such row."""
        if not 0 <= row < self.starts[-1]:
            raise IndexError(f"row must be from 0 to {self.starts[-1] - 1}, got {row}")
        number = bisect.bisect_right(self.starts, row) - 1
        return number, row - self.starts[number]

    def record(self, row: int) -> Record:
        """Return what is known of an image, removed or not."""
        number, local = self.place(row)
        return self.segments[number].records[local]

    def described(self, row: int) -> dict[str, NDArray[Any]]:
        """Return what is stored of an image, removed or not."""
        number, local = self.place(row)
        return self.segments[number].described(local, self.layout)

    def row_of(self, key: str) -> int | None:
        """Return the row of the image that is known by `key`; None where there is none."""
        for number, segment in enumerate(self.segments):
            local = segment.by_path.get(key)
            if local is not None and self.alive[number][local]:
                return self.starts[number] + local
        return None

    def rows_with(self, sha256: str) -> list[int]:
        """Return the rows of the images of this content, ascending."""
        return [
            self.starts[number] + local
            for number, segment in enumerate(self.segments)
            for local in segment.by_hash.get(sha256, ())
            if self.alive[number][local]
        ]

    def resolve(self, path: str | os.PathLike[str]) -> int | None:
        """Return the row that a user means by a path: that of the file, else that of the name as it stands."""
        row = self.row_of(key_of(path, self.root))
        return self.row_of(os.fspath(path)) if row is None else row

    def file(self, row: int) -> str | None:
        """Return the absolute path of an image's file; None for one that was given a name."""
        record = self.record(row)
        return file_of(record.path, self.root) if record.is_file else None


def load_describer(folder: str, manifest: Manifest) -> Describer:
    """Load an index's describer.

    FileNotFoundError where its file is missing, IndexFileError where it cannot be read or is not the one that the index
    was built with.
    """
    try:
        stored = storage.load(os.path.join(folder, manifest.describer), kind="index")
    except ModelFileError as error:
        raise IndexFileError(folder, f"its {manifest.describer} {error.reason}") from error
    if stored.content_hash != manifest.describer_hash:
        raise IndexFileError(folder, f"is damaged: its {manifest.describer} belongs to another index")
    if not isinstance(stored.state, Describer):
        raise IndexFileError(folder, f"is damaged: its {manifest.describer} holds no describer")
    return stored.state


def _alive(entry: SegmentEntry) -> NDArray[np.bool_]:
    alive = np.ones(entry.n_images, np.bool_)
    alive[list(entry.removed)] = False
    alive.flags.writeable = False
    return alive


def _same(a: SegmentEntry, b: SegmentEntry) -> bool:
    """Whether two entries are of the same files, whatever was removed from them."""
    return a.images_sha256 == b.images_sha256 and a.arrays == b.arrays
