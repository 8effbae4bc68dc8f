"""Changing an index, one whole step after another.

A step writes new files, brings them and their names to the disk, replaces the manifest, and only then removes files
that the new manifest does not list. Whenever it is cut off, the manifest on the disk lists whole files; what else lies
there is swept away by the next writer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Sequence

from cvbow import storage
from cvbow.errors import IndexFileError
from cvbow.index import _manifest
from cvbow.index._manifest import SEGMENTS, Manifest, SegmentEntry
from cvbow.index._merging import compaction, next_merge
from cvbow.index._segment import Part, sync_folder, write_segment
from cvbow.index._snapshot import Snapshot
from cvbow.retrieval.describer import Describer

_OURS = re.compile(
    rf"{re.escape(_manifest.NAME)}|{'|'.join(storage.LOCK_FILES)}|{SEGMENTS}|describer(-[0-9]+)?\.cvbow|\..*\.tmp"
)


class Writer:
    """The right to change an index, and how that is done; IndexFileError where another writer has it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._lock = storage.WriterLock(folder, IndexFileError)

    def release(self) -> None:
        """Let others write."""
        self._lock.release()

    def sweep(self, manifest: Manifest) -> None:
        """Remove what a writer that was cut off has left."""
        listed = {segment.name for segment in manifest.segments}
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(os.path.join(self.folder, SEGMENTS)):
                if name not in listed:
                    _remove(os.path.join(self.folder, SEGMENTS, name))
        for name in os.listdir(self.folder):
            # Of what lies beside the segments, only what is ours and not in use.
            stray = name.endswith(".tmp") or (name.startswith("describer") and name != manifest.describer)
            if stray and _OURS.fullmatch(name):
                _remove(os.path.join(self.folder, name))

    def commit(self, snapshot: Snapshot, *, removed: Sequence[int] = (), added: Part | None = None) -> Snapshot:
        """Remove rows of a snapshot and add images in one step, and return what the index is then."""
        gone: dict[int, list[int]] = {}
        for row in removed:
            number, local = snapshot.place(row)
            gone.setdefault(number, []).append(local)
        segments = []
        for number, entry in enumerate(snapshot.manifest.segments):
            rows = tuple(sorted({*entry.removed, *gone.get(number, ())}))
            segments.append(dataclasses.replace(entry, removed=rows))
        return self._replace(snapshot, segments, slice(len(segments), len(segments)), [added] if added else [])

    def merge(self, snapshot: Snapshot, group: slice) -> Snapshot:
        """Write neighbouring segments anew as one, without the images that were removed."""
        for segment in snapshot.segments[group]:
            segment.check_lengths()
        parts = [
            Part(segment.arrays, segment.records, alive)
            for segment, alive in zip(snapshot.segments[group], snapshot.alive[group], strict=True)
        ]
        return self._replace(snapshot, list(snapshot.manifest.segments), group, parts)

    def maintain(self, snapshot: Snapshot) -> Snapshot:
        """Merge segments until there are few."""
        while (group := next_merge(snapshot.manifest.segments)) is not None:
            snapshot = self.merge(snapshot, group)
        return snapshot

    def compact(self, snapshot: Snapshot) -> Snapshot:
        """Merge all segments, each step whole, and write anew what an earlier version has written."""
        outdated = snapshot.describer.is_outdated
        for group in compaction(snapshot.manifest.segments, lambda entry: outdated(entry.arrays)):
            snapshot = self.merge(snapshot, group)
        return snapshot

    def _replace(
        self, snapshot: Snapshot, segments: list[SegmentEntry], group: slice, parts: Sequence[Part]
    ) -> Snapshot:
        """Put a new segment, of `parts`, in the place of a group of segments: the one way in which an index changes."""
        before = snapshot.manifest
        number = before.next_segment
        while os.path.lexists(os.path.join(self.folder, SEGMENTS, f"{number:06d}")):
            number += 1  # a stray that could not be removed
        name = f"{number:06d}"
        try:
            new = []
            if any(part.keep.any() for part in parts):
                with storage.naming(self.folder):
                    new.append(write_segment(self.folder, name, parts, snapshot.describer))
            segments = [*segments[: group.start], *new, *segments[group.stop :]]
            manifest = dataclasses.replace(
                before,
                generation=before.generation + 1,
                next_segment=number + len(new),
                segments=tuple(entry for entry in segments if entry.n_living),
            )
            manifest.write(self.folder)
        except BaseException:
            # A full disk, an interrupt: unless the manifest lists it already, the new segment is nobody's.
            if all(entry.name != name for entry in Manifest.read(self.folder).segments):
                _remove(os.path.join(self.folder, SEGMENTS, name))
            raise
        after = Snapshot.open(self.folder, check=False, before=snapshot)
        for entry in {entry.name for entry in before.segments} - {entry.name for entry in manifest.segments}:
            _remove(os.path.join(self.folder, SEGMENTS, entry))
        return after


def build(folder: str, describer: Describer, *, root: str, overwrite: bool) -> Writer:
    """Make an empty index and return its writer; an index that is overwritten is there until the new one is.

    IndexFileError where there is an index that is not to be overwritten, or something that is none; NotFittedError
    where the describer is not fitted.
    """
    describer.check_params()
    describer.layout()
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise IndexFileError(folder, "is not an index, and will not be overwritten")
    if os.path.isdir(folder) and not all(_OURS.fullmatch(name) for name in os.listdir(folder)):
        raise IndexFileError(folder, "holds other files than an index, and will not be overwritten")
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        # Somebody may have given a model of another kind such a name; a damaged describer is of none.
        if name.endswith(".cvbow") and storage.kind_of(os.path.join(folder, name)) not in ("index", None):
            raise IndexFileError(folder, f"holds {name}, which is no part of an index, and will not be overwritten")
    if not overwrite and os.path.exists(os.path.join(folder, _manifest.NAME)):
        raise IndexFileError(folder, "is an index already")
    os.makedirs(os.path.join(folder, SEGMENTS), exist_ok=True)
    writer = Writer(folder)
    try:
        # What another process has built in the meantime is seen only under the lock.
        there = os.path.exists(os.path.join(folder, _manifest.NAME))
        if there and not overwrite:
            raise IndexFileError(folder, "is an index already")
        generation, next_segment, name = 0, 1, "describer.cvbow"
        if there:
            with contextlib.suppress(IndexFileError):  # damaged, or newer: it is overwritten all the same
                before = Manifest.read(folder)
                generation, next_segment = before.generation + 1, before.next_segment
                name = f"describer-{generation}.cvbow" if before.describer == name else name
        digest = storage.save(os.path.join(folder, name), kind="index", state=describer, metadata={})
        manifest = Manifest(root, name, digest, generation, next_segment)
        manifest.write(folder)
        sync_folder(os.path.dirname(folder))
        writer.sweep(manifest)
    except BaseException:
        writer.release()
        raise
    return writer


def _remove(path: str) -> None:
    """Remove a file or a folder; one that a reader has open, which Windows leaves in place, is swept away later."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
