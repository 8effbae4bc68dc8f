"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO


def check_writable(path: str | os.PathLike[str]) -> str:
    """Raise OSError before long work, rather than after it, if a file cannot be written here.

    Returns
    -------
    str
        The file that would be written: `path`, or what it links to.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder is missing or read-only, or `path` is a folder.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "the folder to write into does not exist", folder)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "a folder is in the place of the file to write", target)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no permission to write into the folder", folder)
    return target


@contextlib.contextmanager
def replacing(target: str) -> Iterator[BinaryIO]:
    """Open a file that replaces `target` once it is wholly on the disk; after an error nothing of it is left."""
    folder, name = os.path.split(target)
    # The process, and a random part for two threads that save under one name.
    temporary = os.path.join(folder, f".{name[:40]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
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
    # The new name is on the disk only when the folder is; not every system lets a folder be opened.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
