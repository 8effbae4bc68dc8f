"""Unpacking an archive that someone else made: nothing lands outside the folder, and nothing but plain files."""

from __future__ import annotations

import contextlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from cvbow.errors import DatasetError
from cvbow.files import open_file

#: Of all that an archive unpacks to.
MAX_BYTES = 20_000_000_000
MAX_MEMBERS = 1_000_000

_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Member:
    name: str
    kind: str  # file, folder, or what it is instead
    open: Callable[[], IO[bytes]]


class _Budget:
    """What may still be written."""

    def __init__(self, n_bytes: int, members: int) -> None:
        self.n_bytes = n_bytes
        self.members = members
        self.limits = f"the limits of {n_bytes} bytes and {members} files"

    def spend(self, archive: Path, *, n_bytes: int = 0, members: int = 0) -> None:
        self.n_bytes -= n_bytes
        self.members -= members
        if self.n_bytes < 0 or self.members < 0:
            raise DatasetError(archive, f"the archive unpacks to more than {self.limits}")


def unpack(
    archive: Path,
    folder: Path,
    *,
    nested: tuple[str, ...] = (),
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
) -> None:
    """Unpack a zip or tar archive, compressed or not, into a folder.

    Modes, owners and times are not restored.

    Parameters
    ----------
    archive : Path
    folder : Path
        Must exist; what was unpacked before an error stays in it.
    nested : tuple of str
        Members that are archives themselves: each is unpacked where it lies, and removed.
    max_bytes, max_members : int
        Limits over the archive and those within it, counted as bytes are written, whatever the headers claim.

    Raises
    ------
    DatasetError
        If the archive is damaged, holds a member with an absolute path, with ``..``, a link, a device, a name twice,
        or goes over a limit.
    """
    budget = _Budget(max_bytes, max_members)
    _unpack(archive, folder, budget)
    for name in nested:
        inner = folder / name
        if not inner.is_file():
            raise DatasetError(archive, f"the archive has no member {name}")
        _unpack(inner, inner.parent, budget)
        inner.unlink()


def _unpack(archive: Path, folder: Path, budget: _Budget) -> None:
    try:
        with contextlib.ExitStack() as stack:
            for member in _members(archive, stack):
                budget.spend(archive, members=1)
                _write(archive, member, folder.joinpath(*_checked(archive, member)), budget)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DatasetError(archive, f"the archive is damaged: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # an encrypted zip, or a compression that Python lacks
        raise DatasetError(archive, f"the archive cannot be unpacked: {error}") from error


def _write(archive: Path, member: _Member, target: Path, budget: _Budget) -> None:
    try:
        if member.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive: a second member of the name, also in another case on a file system that ignores it, is an error.
        with open(target, "xb") as file, member.open() as content:
            while chunk := content.read(_CHUNK):
                budget.spend(archive, n_bytes=len(chunk))
                file.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise DatasetError(archive, f"the archive holds {member.name!r} twice") from None


def _members(archive: Path, stack: contextlib.ExitStack) -> Iterator[_Member]:
    # By the first bytes: zipfile.is_zipfile also accepts a tar archive that ends with a zip file.
    file = stack.enter_context(open_file(archive))
    start = file.read(4)
    if start in (b"PK\x03\x04", b"PK\x05\x06"):
        zipped = stack.enter_context(zipfile.ZipFile(file))
        for info in zipped.infolist():
            yield _Member(info.filename, _zip_kind(info), lambda info=info: zipped.open(info))  # type: ignore[misc]
        return
    file.seek(0)
    tarred = stack.enter_context(tarfile.open(fileobj=file))  # noqa: SIM115
    for entry in tarred:
        yield _Member(entry.name, _tar_kind(entry), lambda entry=entry: _content(tarred, entry))  # type: ignore[misc]


def _content(tarred: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    content = tarred.extractfile(entry)
    if content is None:
        raise tarfile.ReadError(f"no content for {entry.name}")
    return content


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device"
    return "folder" if info.is_dir() else "file"


def _tar_kind(entry: tarfile.TarInfo) -> str:
    if entry.issym() or entry.islnk():
        return "a link"
    if entry.isdir():
        return "folder"
    return "file" if entry.isfile() else "a device"


def _checked(archive: Path, member: _Member) -> list[str]:
    """The parts of a member's path, once it is certain that it is a file or folder inside."""
    if member.kind not in ("file", "folder"):
        raise DatasetError(archive, f"the archive holds {member.kind}, {member.name!r}; only files are unpacked")
    # As Windows reads it, which knows drives and both kinds of slash; what it allows is safe elsewhere too.
    path = PureWindowsPath(member.name)
    parts = [part for part in path.parts if part != "."]
    if path.drive or path.root or ".." in parts or "\0" in member.name or any(":" in part for part in parts):
        raise DatasetError(archive, f"the archive holds {member.name!r}, which would leave its folder")
    if not parts and member.kind == "file":
        raise DatasetError(archive, "the archive holds a file without a name")
    return parts
