"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from cvbow.files import check_regular

_records: list[list[str]] = []


def check_writable(path: str | os.PathLike[str]) -> str:
    """Raise OSError before long work, rather than after it, if a file cannot be written here.

    Returns
    -------
    str
        The file that would be written: `path`, or what it links to.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder is missing or read-only, or `path` is a folder, or a file that may not be written.
    OSError
        Where `path` is a pipe, a socket or a device: a file would take its place.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "the folder to write into does not exist", folder)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "a folder is in the place of the file to write", target)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no permission to write into the folder", folder)
    if os.path.lexists(target):
        check_regular(target, os.stat(target).st_mode)
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission to write the file", target)
    return target


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` once it is wholly on the disk; after an error nothing of it is left.

    Raises
    ------
    OSError
        What `check_writable` raises, or what happens on the way; it names `path`.
    """
    target = check_writable(path)
    folder, name = os.path.split(target)
    # The process, and a random part for two threads that save under one name.
    temporary = os.path.join(folder, f".{name[:40]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    with naming(target, temporary):
        try:
            with open(os.open(temporary, flags, 0o666), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    for record in _records:
        record.append(target)
    # The new name is on the disk only when the folder is; not every system lets a folder be opened.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def naming(path: str | os.PathLike[str], temporary: str | None = None) -> Iterator[None]:
    """Let an error of the system name the file at `path`, where it names none, or the `temporary` one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, temporary):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def recording(record: list[str]) -> Iterator[None]:
    """Append to `record` each file that this process writes with `replacing` inside the block."""
    _records.append(record)
    try:
        yield
    finally:
        _records.remove(record)
