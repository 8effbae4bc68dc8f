"""The file itself: a ZIP archive of a fixed layout, written whole or not at all.

``manifest.json`` comes first, then ``arrays/00000.npy`` and so on, all stored without compression, with one fixed date.
Any unzip program and ``numpy.load`` open it. cvbow's own reader parses only the manifest: sizes, offsets, headers and
directory all follow from it, so they are computed and compared, and a file that differs in one byte is refused. That
leaves nothing for duplicate or overlapping members, odd names and decompression bombs to work on.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ModelFileError
from cvbow.files import open_file
from cvbow.storage._atomic import replacing
from cvbow.storage._layout import MANIFEST, directory, directory_size, local_header, local_size, member_name, members_of
from cvbow.storage.arrays import ArrayRecord, check_values, raw_bytes

FORMAT_VERSION = 2

_KEYS = ("format", "format_version", "kind", "content_hash", "versions", "metadata", "tree", "arrays", "manifest_hash")
_MAX_MANIFEST = 32 << 20  # parsed JSON takes some 20 times its size in memory
_FOREIGN = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file",
    b"\x80": "a pickle, which cvbow never opens",
    b"PK": "another kind of ZIP archive, or one that has been packed anew",
}


def canonical_json(value: object) -> bytes:
    """Return the only form of JSON that is written: ASCII, no spaces, keys in their order, no NaN."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def readable_json(value: object, *, indent: int = 2) -> bytes:
    r"""JSON for people and other programs, as UTF-8 whatever the texts hold; no NaN.

    A file name that is not UTF-8 reaches Python with half a surrogate pair, U+DC80 to U+DCFF, for each byte that is no
    text. UTF-8 cannot hold those, so each is escaped, as \udcXX: what reads the JSON has the same text again, and
    ``os.fsencode`` makes the file's name of it.

    Parameters
    ----------
    value : object
        Of the types that JSON has.
    indent : int, default 2
        Spaces for each level.

    Returns
    -------
    bytes

    Examples
    --------
    >>> import json, os
    >>> from cvbow.storage import readable_json
    >>> written = readable_json({"path": os.fsdecode(b"caf\xe9.jpg")})
    >>> os.fsencode(json.loads(written)["path"])
    b'caf\xe9.jpg'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    # Python and JSON write the escape alike, and surrogates alone are what UTF-8 cannot hold.
    return text.encode("utf-8", "backslashreplace")


def content_hash(kind: str, tree: object, metadata: object, arrays: Sequence[NDArray[Any]]) -> str:
    """SHA-256, as 64 hexadecimal digits, of what a model is: not of the versions that wrote it, nor of memory order."""
    digest = hashlib.sha256()
    _update(digest, _content(kind, tree, metadata))
    for array in arrays:
        _update(digest, array)
    return digest.hexdigest()


def is_kind(kind: object) -> bool:
    """Tell whether this is the name of a kind of file: a word of lower-case letters."""
    return isinstance(kind, str) and kind.isascii() and kind.isalpha() and kind.islower() and len(kind) <= 40


def write(path: str | os.PathLike[str], manifest: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Write a model file: under a hidden name beside it first, then renamed.

    ``manifest`` is all of it but ``arrays`` and ``manifest_hash``, in order; the arrays are as `storable` returns them.
    """
    records = [ArrayRecord.of(array) for array in arrays]
    text = _sealed({**manifest, "arrays": [record.to_json() for record in records]})
    if len(text) > _MAX_MANIFEST:
        raise ValueError(f"a model's state without its arrays must be at most {_MAX_MANIFEST} bytes, got {len(text)}")
    crcs = [zlib.crc32(text)]
    with replacing(path) as file:
        file.write(local_header(MANIFEST, len(text), crcs[0]) + text)
        for number, (record, array) in enumerate(zip(records, arrays, strict=True)):
            data = raw_bytes(array)
            crcs.append(zlib.crc32(data, zlib.crc32(record.header)))
            file.write(local_header(member_name(number), len(record.header) + record.nbytes, crcs[-1]) + record.header)
            file.write(data)
        file.write(directory(members_of(len(text), records), crcs))


def read(path: str | os.PathLike[str], *, keep: bool) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Read and verify a model file, and return its manifest, of which `metadata` and `tree` are as yet any JSON.

    With ``keep`` the arrays are returned too; without it they are read and checked one at a time. ModelFileError for
    anything but a whole and undamaged file of this format; FileNotFoundError where there is none.
    """
    try:
        with open_file(path) as file:
            return _Reader(path, file).read(keep=keep)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise ModelFileError(path, "does not fit into memory") from error


class _Reader:
    def __init__(self, path: str | os.PathLike[str], file: BufferedReader) -> None:
        self.path = path
        self.file = file
        self.size = os.fstat(file.fileno()).st_size

    def read(self, *, keep: bool) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        text, crc = self._text()
        manifest = self._manifest(text)
        try:
            records = [ArrayRecord.from_json(record) for record in manifest["arrays"]]
        except (TypeError, ValueError) as error:
            raise self._damaged(str(error)) from error
        members = members_of(len(text), records)
        crcs = [crc]
        # Sizes before data: nothing is allocated for an array that the file is too short to hold.
        whole = members[-1][2] + local_size(members[-1][0]) + members[-1][1] + directory_size(members)
        if self.size != whole:
            raise self._truncated(whole) if self.size < whole else self._damaged("bytes follow its end")
        digest = hashlib.sha256()
        _update(digest, _content(manifest["kind"], manifest["tree"], manifest["metadata"]))
        arrays = []
        for number, record in enumerate(records):
            header = record.header
            found = self._bytes(local_size(member_name(number)) + len(header))
            array = record.empty()
            self._into(raw_bytes(array))
            crcs.append(zlib.crc32(raw_bytes(array), zlib.crc32(header)))
            if found != local_header(member_name(number), len(header) + record.nbytes, crcs[-1]) + header:
                raise self._damaged(f"array {number} is not what was written")
            _update(digest, array)
            if keep:
                self._check(array)
                arrays.append(array)
        expected = directory(members, crcs)
        if self._bytes(len(expected)) != expected:
            raise self._damaged("its directory is not what was written")
        if digest.hexdigest() != manifest["content_hash"]:
            raise self._damaged("its content does not match its content_hash")
        return manifest, arrays

    def _text(self) -> tuple[bytes, int]:
        """Read the first member, whatever its format version: every version begins with a stored manifest."""
        if self.size == 0:
            raise ModelFileError(self.path, "is empty")
        head = self.file.read(local_size(MANIFEST))
        template = local_header(MANIFEST, 0, 0)
        if len(head) < len(template):
            if head[:14] == template[: min(14, len(head))]:
                raise self._truncated(None)
            raise self._foreign(head)
        crc, size = struct.unpack_from("<I", head, 14)[0], struct.unpack_from("<Q", head, 30 + len(MANIFEST) + 4)[0]
        if head != local_header(MANIFEST, size, crc):
            raise self._foreign(head)
        if size > self.size - len(head):
            raise self._truncated(None)
        if size > _MAX_MANIFEST:
            raise self._damaged("its manifest is too large")
        text = self._bytes(size)
        if zlib.crc32(text) != crc:
            raise self._damaged("its manifest is not what was written")
        return text, crc

    def _manifest(self, text: bytes) -> dict[str, Any]:
        try:
            manifest = json.loads(text.decode("ascii"))
            if not isinstance(manifest, dict) or manifest.get("format") != "cvbow":
                raise ModelFileError(self.path, "is not a cvbow file: its manifest.json belongs to another program")
            version = manifest.get("format_version")
            if type(version) is int and version > FORMAT_VERSION:
                newer = f"(format {version}, this one reads up to {FORMAT_VERSION})"
                raise ModelFileError(self.path, f"was written by a newer cvbow {newer}: upgrade cvbow")
            if tuple(manifest) != _KEYS or type(version) is not int or version < 1:
                raise self._damaged("its manifest is incomplete")
            # Also refuses repeated keys, spaces and numbers in an odd form.
            sealed = {key: value for key, value in manifest.items() if key != "manifest_hash"}
            if _sealed(sealed) != text:
                raise self._damaged("its manifest does not match its manifest_hash")
        except RecursionError as error:
            raise self._damaged("its manifest is nested too deeply") from error
        except ValueError as error:
            raise self._damaged("its manifest is not JSON as cvbow writes it") from error
        kinds = {"kind": str, "content_hash": str, "versions": dict, "metadata": dict, "arrays": list}
        right = all(type(manifest[key]) is kind for key, kind in kinds.items()) and is_kind(manifest["kind"])
        if not right or not all(isinstance(version, str | None) for version in manifest["versions"].values()):
            raise self._damaged("its manifest is incomplete")
        return manifest

    def _check(self, array: NDArray[Any]) -> None:
        try:
            check_values(array)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _bytes(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise self._truncated(None)
        return data

    def _into(self, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            got = self.file.readinto(buffer[done:])
            if not got:
                raise self._truncated(None)
            done += got

    def _damaged(self, detail: str) -> ModelFileError:
        return ModelFileError(self.path, f"is damaged: {detail}")

    def _truncated(self, whole: int | None) -> ModelFileError:
        of = "" if whole is None else f" of {whole}"
        return ModelFileError(self.path, f"is truncated: only {self.size} bytes{of} are there")

    def _foreign(self, head: bytes) -> ModelFileError:
        what = next((f": it is {name}" for magic, name in _FOREIGN.items() if head.startswith(magic)), "")
        return ModelFileError(self.path, f"is not a cvbow file{what}")


def _content(kind: str, tree: object, metadata: object) -> bytes:
    return canonical_json({"kind": kind, "tree": tree, "metadata": metadata})


def _update(digest: Any, part: bytes | NDArray[Any]) -> None:
    """Hash text, or an array with its dtype and shape, in a form that no other sequence of parts shares."""
    head = b"text"
    if isinstance(part, np.ndarray):
        record = ArrayRecord.of(part).to_json()
        head = canonical_json([record["dtype"], record["shape"]])
    size = part.nbytes if isinstance(part, np.ndarray) else len(part)
    digest.update(struct.pack("<QQ", len(head), size) + head)
    digest.update(raw_bytes(part, c_order=True) if isinstance(part, np.ndarray) else part)


def _sealed(manifest: Mapping[str, Any]) -> bytes:
    seal = hashlib.sha256(canonical_json(manifest)).hexdigest()
    return canonical_json({**manifest, "manifest_hash": seal})
