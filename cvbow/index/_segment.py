"""Segments: the folders of arrays that hold an index's images, written once and never changed.

Arrays are ``.npy`` files whose header follows from the manifest and is compared, never parsed; opening a segment maps
them into memory and reads none but ``feature_start``. To touch what another program has cut off from a mapped file ends
the process, with SIGBUS: so the lengths are looked at again whenever arrays are about to be read.
"""

from __future__ import annotations

import functools
import hashlib
import math
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import IndexFileError
from cvbow.files import open_file, read_file
from cvbow.index._manifest import SEGMENTS, ArrayEntry, SegmentEntry
from cvbow.index._records import Record, records_from_json, records_to_json
from cvbow.retrieval.describer import ArraySpec, Describer
from cvbow.storage.arrays import ArrayRecord, check_values, raw_bytes

IMAGES = "images.json"
# Bytes that are copied at a time.
_CHUNK = 8 << 20


@dataclass(frozen=True, eq=False)
class OpenSegment:
    """A segment that is opened for reading; it stays readable when its files are removed."""

    #: As the manifest had it when this was opened: what was removed since is not in it.
    entry: SegmentEntry
    #: The layout's, the derived ones and ``feature_start``; mapped and read-only.
    arrays: Mapping[str, NDArray[Any]]
    records: list[Record]
    #: Of the index.
    folder: str
    #: What `arrays` lie in, but for empty ones.
    mappings: Mapping[str, mmap.mmap]

    def check_lengths(self) -> None:
        """Raise IndexFileError where another program has cut off a file since it was mapped."""
        for name, mapping in self.mappings.items():
            size, whole = mapping.size(), len(mapping)
            if size < whole:
                what = f"was cut off to {size} of {whole} bytes while the index was open"
                raise _damaged(self.folder, self.entry.name, f"{name}.npy", what)

    @property
    def n_images(self) -> int:
        """Number of images, removed ones among them."""
        return self.entry.n_images

    @functools.cached_property
    def by_path(self) -> dict[str, int]:
        """The row of each path."""
        return {record.path: row for row, record in enumerate(self.records)}

    @functools.cached_property
    def by_hash(self) -> dict[str, list[int]]:
        """The rows of each content."""
        rows: dict[str, list[int]] = {}
        for row, record in enumerate(self.records):
            rows.setdefault(record.sha256, []).append(row)
        return rows

    def described(self, row: int, layout: Mapping[str, ArraySpec]) -> dict[str, NDArray[Any]]:
        """Return what is stored of one image, in memory of its own."""
        self.check_lengths()
        first, last = map(int, self.arrays["feature_start"][row : row + 2])
        found = {}
        for name, spec in layout.items():
            array = self.arrays[name]
            found[name] = np.array(array[row] if spec.per == "image" else array[first:last])
        return found


@dataclass(frozen=True, eq=False)
class Part:
    """Images that go into a new segment."""

    #: The layout's and ``feature_start``.
    arrays: Mapping[str, NDArray[Any]]
    records: Sequence[Record]
    #: Which of them go, (n_images,).
    keep: NDArray[np.bool_]

    @classmethod
    def of(
        cls, described: Sequence[Mapping[str, NDArray[Any]]], records: Sequence[Record], describer: Describer
    ) -> Part:
        """Lay the descriptions of images one after another; ValueError where one is not as the layout says."""
        layout = describer.layout()
        counts = [_n_features(one, layout) for one in described]
        start = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype("<i8")
        arrays: dict[str, NDArray[Any]] = {"feature_start": start}
        for name, spec in layout.items():
            join = np.stack if spec.per == "image" else np.concatenate
            arrays[name] = join([one[name] for one in described])
        return cls(arrays, records, np.ones(len(described), np.bool_))

    def rows(self, name: str, spec: ArraySpec) -> Iterator[NDArray[Any]]:
        """Yield the rows of an array that go, some megabytes at a time."""
        array, n_images = self.arrays[name], len(self.keep)
        start = np.arange(n_images + 1) if spec.per == "image" else self.arrays["feature_start"]
        most = max(1, _CHUNK // max(1, np.dtype(spec.dtype).itemsize * math.prod(spec.shape)))
        first = 0
        while first < n_images:
            last = max(first + 1, int(np.searchsorted(start, start[first] + most, side="right")) - 1)
            bounds = start[first : last + 1]
            yield array[bounds[0] : bounds[-1]][np.repeat(self.keep[first:last], np.diff(bounds))]
            first = last


def write_segment(folder: str, name: str, parts: Sequence[Part], describer: Describer) -> SegmentEntry:
    """Write a segment and bring it to the disk; nothing refers to it before a manifest does.

    Rows are copied some megabytes at a time, so memory holds what the describer derives and little more. The segment's
    folder, which is called `name` and lies in that of the index, must not exist.
    """
    home = os.path.join(folder, SEGMENTS, name)
    os.makedirs(home)
    layout = describer.layout()
    records = [record for part in parts for record, keep in zip(part.records, part.keep, strict=True) if keep]
    counts = np.concatenate([np.diff(part.arrays["feature_start"])[part.keep] for part in parts])
    start = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype("<i8")
    n_images, n_features = len(records), int(start[-1])
    entries: dict[str, ArrayEntry] = {}
    for array_name, spec in layout.items():
        n_rows = n_images if spec.per == "image" else n_features
        record = ArrayRecord(np.dtype(spec.dtype), (n_rows, *spec.shape), False)
        rows = (chunk for part in parts for chunk in part.rows(array_name, spec))
        entries[array_name] = _write_array(home, array_name, record, rows)
    arrays = {array_name: _open_array(home, array_name, entry, check=False)[0] for array_name, entry in entries.items()}
    derived = {**describer.derive(arrays, start, n_images), "feature_start": start}
    if set(derived) & set(layout):
        raise ValueError(f"derived arrays must have other names than the layout's, got {sorted(derived)}")
    for array_name, array in derived.items():
        array = np.ascontiguousarray(array)
        entries[array_name] = _write_array(home, array_name, ArrayRecord.of(array), [array])
    text = records_to_json(records)
    with open(os.path.join(home, IMAGES), "xb") as file:
        file.write(text)
    # All files first, then all to the disk: a file system's journal takes them together.
    for file_name in os.listdir(home):
        with open(os.path.join(home, file_name), "r+b") as file:
            os.fsync(file.fileno())
    sync_folder(home)
    sync_folder(os.path.join(folder, SEGMENTS))
    return SegmentEntry(name, n_images, hashlib.sha256(text).hexdigest(), entries)


def open_segment(folder: str, entry: SegmentEntry, describer: Describer, *, check: bool) -> OpenSegment:
    """Open a segment of the index in a folder, which must hold what the describer's layout says.

    With `check` all files are read and their checksums compared; else only that of ``images.json``, and the sizes of
    the others. FileNotFoundError where a file is missing, perhaps because another process has replaced this segment by
    another; IndexFileError where one is not what was written.
    """
    home = os.path.join(folder, SEGMENTS, entry.name)
    text = read_file(os.path.join(home, IMAGES))
    if hashlib.sha256(text).hexdigest() != entry.images_sha256:
        raise _damaged(folder, entry.name, IMAGES, "does not match its checksum")
    arrays: dict[str, NDArray[Any]] = {}
    mappings: dict[str, mmap.mmap] = {}
    name = IMAGES
    try:
        records = records_from_json(text, entry.n_images)
        for name in entry.arrays:
            arrays[name], mapping = _open_array(home, name, entry.arrays[name], check=check)
            if mapping is not None:
                mappings[name] = mapping
        name = ""
        _check_layout(arrays, entry.n_images, describer.layout())
        segment = OpenSegment(entry, arrays, records, folder, mappings)
        if check:
            describer.check_segment(segment)
    except (ValueError, KeyError, RecursionError) as error:
        file_name = f"{name}.npy" if name in entry.arrays else name
        raise _damaged(folder, entry.name, file_name, " ".join(str(error).split())[:300]) from error
    return segment


def sync_folder(path: str) -> None:
    """Bring a folder's names to the disk, where the system lets a folder be opened."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _n_features(described: Mapping[str, NDArray[Any]], layout: Mapping[str, ArraySpec]) -> int:
    """Number of an image's features; ValueError where a description is not as the layout says."""
    if set(described) != set(layout):
        raise ValueError(f"a description must hold the arrays {sorted(layout)}, got {sorted(described)}")
    lengths = {len(described[name]) for name, spec in layout.items() if spec.per == "feature"}
    if len(lengths) > 1:
        raise ValueError(f"arrays per feature must be equally long, got {sorted(lengths)} rows")
    n_features = lengths.pop() if lengths else 0
    for name, spec in layout.items():
        shape = spec.shape if spec.per == "image" else (n_features, *spec.shape)
        array = described[name]
        if array.dtype != np.dtype(spec.dtype) or array.shape != shape:
            found = f"{array.dtype} of shape {array.shape}"
            raise ValueError(f"a description's {name} must be {spec.dtype} of shape {shape}, got {found}")
    return n_features


def _write_array(home: str, name: str, record: ArrayRecord, chunks: Any) -> ArrayEntry:
    with open(os.path.join(home, f"{name}.npy"), "xb") as file:
        digest = hashlib.sha256(record.header)
        file.write(record.header)
        for chunk in chunks:
            data = raw_bytes(np.ascontiguousarray(chunk, record.dtype))
            digest.update(data)
            file.write(data)
        if file.tell() != len(record.header) + record.nbytes:
            raise ValueError(f"{name} has other rows than were counted")
    return ArrayEntry(record, digest.hexdigest())


def _open_array(home: str, name: str, entry: ArrayEntry, *, check: bool) -> tuple[NDArray[Any], mmap.mmap | None]:
    """Map an array, unless it is empty; ValueError where the file is not what was written."""
    record = entry.record
    header = record.header
    with open_file(os.path.join(home, f"{name}.npy")) as file:
        size, whole = os.fstat(file.fileno()).st_size, len(header) + record.nbytes
        if size != whole:
            raise ValueError(f"has {size} bytes instead of {whole}")
        if check and hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            raise ValueError("does not match its checksum")
        file.seek(0)
        if file.read(len(header)) != header:
            raise ValueError("has another header than was written")
        if record.nbytes == 0:
            array: NDArray[Any] = record.empty()
            array.flags.writeable = False
            return array, None
        mapping = mmap.mmap(file.fileno(), whole, access=mmap.ACCESS_READ)
        # A plain array over the mapping: slices of NumPy's own class for this cost ten times as much.
        array = np.ndarray(record.shape, record.dtype, mapping, len(header))
    if check:
        check_values(array)
    return array, mapping


def _check_layout(arrays: Mapping[str, NDArray[Any]], n_images: int, layout: Mapping[str, ArraySpec]) -> None:
    """ValueError where arrays do not fit each other or the layout; all indices into features are within them."""
    for name in ("feature_start", *layout):
        if name not in arrays:
            raise ValueError(f"the array {name} is missing")
    start = arrays["feature_start"]
    if start.dtype != np.dtype("<i8") or start.shape != (n_images + 1,):
        found = f"{start.dtype.str} of shape {start.shape}"
        raise ValueError(f"feature_start must be <i8 of shape {(n_images + 1,)}, got {found}")
    if start[0] != 0 or np.any(start[1:] < start[:-1]):
        raise ValueError("feature_start must ascend from 0")
    for name, spec in layout.items():
        n_rows = n_images if spec.per == "image" else int(start[-1])
        array = arrays[name]
        if array.dtype != np.dtype(spec.dtype) or array.shape != (n_rows, *spec.shape):
            found = f"{array.dtype.str} of shape {array.shape}"
            raise ValueError(f"{name} must be {spec.dtype} of shape {(n_rows, *spec.shape)}, got {found}")


def _damaged(folder: str, segment: str, name: str, what: str) -> IndexFileError:
    return IndexFileError(folder, f"is damaged: {'/'.join(filter(None, (SEGMENTS, segment, name)))}: {what}")
