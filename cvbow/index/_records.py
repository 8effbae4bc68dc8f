"""What an index knows of an image beside its description: the path it goes by, and the hash of its file."""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple

from cvbow.storage import canonical_json

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Record(NamedTuple):
    """One image of an index.

    Attributes
    ----------
    path : str
        What the image is known by: the path of its file, with slashes and relative to the index's root where it lies
        below that, or the name that it was given.
    sha256 : str
        Of its file's bytes, in hexadecimal (of an array: of its shape and values).
    is_file : bool
        Whether `path` is a path; False for a name.

    Examples
    --------
    >>> import hashlib
    >>> from cvbow.index import Record
    >>> record = Record("photos/a.jpg", hashlib.sha256(b"the bytes of the file").hexdigest(), is_file=True)
    >>> record.path, record.sha256[:8]
    ('photos/a.jpg', '93cca3a7')
    """

    path: str
    sha256: str
    is_file: bool


def key_of(path: str | os.PathLike[str], root: str) -> str:
    """Return what a file is known by: its path with slashes, relative to `root` (an absolute path) where below it.

    Links are not resolved: two paths to one file are two images.
    """
    full = os.path.abspath(os.fspath(path))
    base = root if root.endswith(os.sep) else root + os.sep
    key = full[len(base) :] if full.startswith(base) else full
    return key.replace(os.sep, "/")


def file_of(key: str, root: str) -> str:
    """Return the absolute path of the file that is known by `key`."""
    return os.path.normpath(os.path.join(root, key.replace("/", os.sep)))


def stored_root(folder: str, root: str | os.PathLike[str] | None) -> str:
    """Return the root as a manifest has it: relative to the index's folder where the two may well move together."""
    above = os.path.dirname(folder)
    if root is None:
        return os.pardir
    full = os.path.abspath(os.fspath(root))
    try:
        together = os.path.commonpath([full, above]) in (full, above)
    except ValueError:  # on two drives
        return full
    return os.path.relpath(full, folder).replace(os.sep, "/") if together else full


def records_to_json(records: list[Record]) -> bytes:
    """Give the text of ``images.json``."""
    return canonical_json([[record.path, record.sha256, record.is_file] for record in records])


def records_from_json(text: bytes, n_images: int) -> list[Record]:
    """Read ``images.json``; ValueError where it is not what `records_to_json` gives for so many images."""
    rows = json.loads(text.decode("ascii"))
    if not isinstance(rows, list) or len(rows) != n_images:
        raise ValueError(f"not a list of {n_images} images")
    records = []
    for row in rows:
        if not isinstance(row, list) or list(map(type, row)) != [str, str, bool] or not _SHA256.fullmatch(row[1]):
            raise ValueError("an image's record must be its path, its SHA-256 and whether it is a file")
        records.append(Record(*row))
    if len({record.path for record in records}) != n_images:
        raise ValueError("a path occurs twice")
    return records
