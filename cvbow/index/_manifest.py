"""The manifest of an index: which files are the index, what they must hold, and which images were removed.

It is the last file that a change writes, in one step, so what it lists is whole and what it does not list is no part
of the index.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvbow.errors import IndexFileError
from cvbow.files import no_such, read_file
from cvbow.storage import canonical_json, replacing
from cvbow.storage.arrays import ArrayRecord

#: Since 2 the postings of visual words are compressed.
FORMAT_VERSION = 2
NAME = "manifest.json"
SEGMENTS = "segments"

_KEYS = ("format", "format_version", "generation", "root", "describer", "next_segment", "segments", "manifest_hash")
_DESCRIBER = re.compile(r"describer(-[1-9][0-9]{0,8})?\.cvbow")
_SEGMENT = re.compile(r"[0-9]{6,12}")
_ARRAY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ArrayEntry:
    """One array's file: its record (dtype and shape, which give its header and its size) and its SHA-256."""

    record: ArrayRecord
    sha256: str


@dataclass(frozen=True)
class SegmentEntry:
    """One segment."""

    #: Of its folder: a number, never used twice.
    name: str
    n_images: int
    #: Of ``images.json``.
    images_sha256: str
    arrays: Mapping[str, ArrayEntry]
    #: Rows of images that were removed, ascending.
    removed: tuple[int, ...] = ()

    @property
    def n_living(self) -> int:
        """Number of images that were not removed."""
        return self.n_images - len(self.removed)

    @property
    def n_bytes(self) -> int:
        """Bytes of its arrays."""
        return sum(entry.record.nbytes for entry in self.arrays.values())


@dataclass(frozen=True)
class Manifest:
    """What an index is at one moment."""

    #: The folder below which images are known by relative paths; itself relative to the index's folder, or absolute.
    root: str
    #: Name and content hash of the describer's file.
    describer: str
    describer_hash: str
    #: Counts the changes.
    generation: int = 0
    #: The number that no segment has had yet.
    next_segment: int = 1
    segments: tuple[SegmentEntry, ...] = ()

    def write(self, folder: str) -> None:
        """Make this the index's manifest: the moment at which a change is done."""
        content = {
            "format": "cvbow-index",
            "format_version": FORMAT_VERSION,
            "generation": self.generation,
            "root": self.root,
            "describer": {"file": self.describer, "content_hash": self.describer_hash},
            "next_segment": self.next_segment,
            "segments": [_segment_to_json(segment) for segment in self.segments],
        }
        with replacing(os.path.join(folder, NAME)) as file:
            file.write(_sealed(content))

    @classmethod
    def read(cls, folder: str) -> Manifest:
        """Read and check an index's manifest.

        FileNotFoundError where there is nothing at `folder`, IndexFileError where it is not an index, or its manifest
        is damaged or newer.
        """
        try:
            text = read_file(os.path.join(folder, NAME))
        except (FileNotFoundError, NotADirectoryError):
            if not os.path.lexists(folder):
                raise no_such(folder, "index") from None
            what = f"it has no {NAME}" if os.path.isdir(folder) else "an index is a folder"
            raise IndexFileError(folder, f"is not an index: {what}") from None
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise IndexFileError(folder, f"its {NAME} cannot be read ({reason})") from error
        try:
            return cls._parse(folder, text)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise IndexFileError(folder, f"is damaged: its {NAME} is not what was written") from error

    @classmethod
    def _parse(cls, folder: str, text: bytes) -> Manifest:
        content = json.loads(text.decode("ascii"))
        if not isinstance(content, dict) or content.get("format") != "cvbow-index":
            raise IndexFileError(folder, f"is not an index: its {NAME} belongs to another program")
        version = content.get("format_version")
        if type(version) is int and version > FORMAT_VERSION:
            newer = f"(format {version}, this one reads up to {FORMAT_VERSION})"
            raise IndexFileError(folder, f"was written by a newer cvbow {newer}: upgrade cvbow")
        # The seal also refuses repeated keys and numbers in an odd form.
        unsealed = {key: value for key, value in content.items() if key != "manifest_hash"}
        _require(tuple(content) == _KEYS and version in (1, FORMAT_VERSION) and _sealed(unsealed) == text)
        segments = tuple(_segment_from_json(segment) for segment in content["segments"])
        names = [int(segment.name) for segment in segments]
        _require(len(set(names)) == len(names) and all(name < content["next_segment"] for name in names))
        describer = content["describer"]
        _require(_DESCRIBER.fullmatch(describer["file"]) and _SHA256.fullmatch(describer["content_hash"]))
        _require(isinstance(content["root"], str) and type(content["generation"]) is int)
        counts = content["generation"], content["next_segment"]
        return cls(content["root"], describer["file"], describer["content_hash"], *counts, segments)


def _segment_to_json(segment: SegmentEntry) -> dict[str, Any]:
    return {
        "name": segment.name,
        "n_images": segment.n_images,
        "images": segment.images_sha256,
        "arrays": {
            name: {**entry.record.to_json(), "sha256": entry.sha256} for name, entry in sorted(segment.arrays.items())
        },
        "removed": list(segment.removed),
    }


def _segment_from_json(segment: dict[str, Any]) -> SegmentEntry:
    n_images, removed = segment["n_images"], segment["removed"]
    _require(_SEGMENT.fullmatch(segment["name"]) and type(n_images) is int and n_images >= 0)
    _require(_SHA256.fullmatch(segment["images"]))
    _require(all(type(row) is int for row in removed) and removed == sorted(set(removed)))
    _require(not removed or (removed[0] >= 0 and removed[-1] < n_images))
    arrays = {}
    for name, entry in segment["arrays"].items():
        record = ArrayRecord.from_json({key: value for key, value in entry.items() if key != "sha256"})
        _require(_ARRAY.fullmatch(name) and _SHA256.fullmatch(entry["sha256"]) and not record.fortran)
        arrays[name] = ArrayEntry(record, entry["sha256"])
    return SegmentEntry(segment["name"], n_images, segment["images"], arrays, tuple(removed))


def _require(condition: object) -> None:
    if not condition:
        raise ValueError("the manifest is incomplete")


def _sealed(content: Mapping[str, Any]) -> bytes:
    seal = hashlib.sha256(canonical_json(content)).hexdigest()
    return canonical_json({**content, "manifest_hash": seal})
