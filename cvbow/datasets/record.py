"""The record that ``fetch`` leaves beside a data set: the hash of every file, to tell later whether one has changed."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cvbow.errors import DatasetError
from cvbow.files import file_hash, read_text
from cvbow.images import natural_key
from cvbow.parallel import run
from cvbow.storage import readable_json, replacing

FORMAT = 1
#: Its name, as in caches of earlier versions: the hashes in it are what a package manager's lock file holds.
RECORD_FILE = "lock.json"


@dataclass(frozen=True)
class Archive:
    """A file as it was downloaded; ``checked`` is the published hash that it agreed with, None where there was none."""

    sha256: str
    n_bytes: int
    checked: str | None
    date: str = ""


@dataclass(frozen=True)
class FetchRecord:
    """The archives that were fetched, and the SHA-256 of each file by its path below ``data``, with slashes."""

    archives: Mapping[str, Archive]
    files: Mapping[str, str]

    def paths(self, root: Path) -> dict[Path, str]:
        """Return the files below ``root`` with their hashes."""
        return {root / name: digest for name, digest in self.files.items()}


def hash_files(root: Path, *, n_jobs: int | None = -1) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path with slashes, in natural order."""
    found = [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
    names = {path.relative_to(root).as_posix(): path for path in found}
    order = sorted(names, key=natural_key)
    hashes = run(file_hash, [names[name] for name in order], n_jobs=n_jobs, task="hash", total=len(order))
    return dict(zip(order, hashes, strict=True))


def read_record(folder: Path) -> FetchRecord | None:
    """Read the record in a data set's folder of the cache; None without one, DatasetError where it is damaged."""
    path = folder / RECORD_FILE
    try:
        content: dict[str, Any] = json.loads(read_text(path))
        if content["format"] != FORMAT:
            raise DatasetError(path, f"the record has format {content['format']}; this cvbow reads format {FORMAT}")
        archives = {str(name): Archive(**archive) for name, archive in content["archives"].items()}
        return FetchRecord(archives, {str(name): str(digest) for name, digest in content["files"].items()})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(path, f"the record is damaged; delete it and fetch the data set again ({error})") from error


def write_record(folder: Path, record: FetchRecord) -> None:
    """Write the record, whole or not at all."""
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    archives = {name: asdict(archive) | {"date": archive.date or today} for name, archive in record.archives.items()}
    content = {"format": FORMAT, "archives": archives, "files": dict(record.files)}
    with replacing(folder / RECORD_FILE) as file:
        file.write(readable_json(content, indent=1) + b"\n")
