"""Opening files that a user names: regular files only, without waiting for a pipe or a device."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from io import BufferedReader

__all__ = ["check_regular", "file_hash", "no_such", "open_file", "read_file", "read_text"]

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_CHUNK = 1 << 20
# Windows knows no such files, and no such flag.
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file to read its bytes, without waiting for a pipe or a device.

    A pipe that nobody writes to would keep ``open`` waiting for ever, and to open a device may set it going. So what a
    path leads to, through links, is looked at first, and again once it is open: somebody may have put another in its
    place.

    Parameters
    ----------
    path : path

    Returns
    -------
    binary file

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    IsADirectoryError
        When it is a folder.
    OSError
        When it is a pipe, a socket or a device, or may not be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow.files import open_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.txt")
    ...     path.write_text("text")
    ...     with open_file(path) as file:
    ...         file.read()
    4
    b'text'
    """
    check_regular(path, os.stat(path).st_mode)
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the caller closes it
    try:
        check_regular(path, os.fstat(file.fileno()).st_mode)
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: str | os.PathLike[str], *, limit: int | None = None) -> bytes:
    """Read a whole file, as `open_file` opens it.

    No more is read than the size of the file: those that say 0 and go on for ever, of which /proc has some, are empty.

    Parameters
    ----------
    path : path
    limit : int, optional
        Refuse a larger file, with an OSError.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise OSError(errno.EFBIG, f"over the limit of {limit} bytes", os.fspath(path))
        return file.read(size)


def read_text(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> str:
    """Return the text at ``path`` in an ``encoding``, line ends as they are; UnicodeDecodeError if it is not text."""
    return read_file(path).decode(encoding)


def file_hash(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal; it is opened as `open_file` does, and never held as a whole."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def no_such(path: str | os.PathLike[str], what: str = "file or folder") -> FileNotFoundError:
    """Return the error of a path at which there is nothing, where ``what`` should be.

    Examples
    --------
    >>> from cvbow.files import no_such
    >>> print(no_such("photos", "folder"))
    [Errno 2] there is no such folder: 'photos'
    """
    return FileNotFoundError(errno.ENOENT, f"there is no such {what}", os.fspath(path))


def check_regular(path: str | os.PathLike[str], mode: int) -> None:
    """Raise an OSError that names `path` unless its `mode`, as ``os.stat`` gives it, is that of a regular file."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"{kind}, not a regular file", os.fspath(path))


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | _NO_WAITING)
