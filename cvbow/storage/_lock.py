"""One writer: a lock that the operating system gives back when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import IO, Self

from cvbow.files import open_file

#: The file that is locked, and the one that stands in for a lock on a file system that has none.
LOCK_FILES = ("writer.lock", "writer.pid")

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
# A byte that no holder's note reaches: Windows refuses to read what another process has locked.
_FAR = 1 << 20
# Seconds after which a note that is not whole was not left by a process that is just writing it.
_WRITING = 10.0


class WriterLock:
    """Holds the right to write into a folder, from construction to `release`; with ``with``, to the end of the block.

    ``flock`` (on Windows, a locked byte) where the file system knows it: it ends with the process. Where it does not,
    a file with the process's number, which counts only as long as a process of that number lives on the same machine.

    Parameters
    ----------
    folder : str
    refusal : callable
        Makes, of the folder and the reason, the error to raise: ``IndexFileError``, for instance.

    Raises
    ------
    Exception
        What ``refusal`` makes, when another process, or another object of this one, writes there.
    OSError
        When the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from cvbow.errors import DatasetError
    >>> from cvbow.storage import WriterLock
    >>> with tempfile.TemporaryDirectory() as folder, WriterLock(folder, DatasetError):
    ...     try:
    ...         WriterLock(folder, DatasetError)
    ...     except DatasetError as error:
    ...         print(error.reason.partition(" (")[0])
    another process is writing it
    """

    def __init__(self, folder: str, refusal: Callable[[str, str], Exception]) -> None:
        self._folder = folder
        self._refusal = refusal
        self._pid_file: str | None = None
        # Never removed: a second writer could hold a lock on the removed file while a third locks its successor.
        handle = os.open(os.path.join(folder, LOCK_FILES[0]), os.O_RDWR | os.O_CREAT, 0o666)
        self._file: IO[bytes] | None = os.fdopen(handle, "r+b", buffering=0)
        try:
            if not _lock(self._file.fileno()):
                raise refusal(folder, _taken_by(self._file.read(200)))
        except NotImplementedError:
            self._pid_file = os.path.join(folder, LOCK_FILES[1])
            try:
                self._claim(self._pid_file)
            except BaseException:
                self._close()
                raise
        except BaseException:
            self._close()
            raise
        self._file.seek(0)
        self._file.truncate()
        self._file.write(_note())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others write; a second call does nothing."""
        if self._pid_file is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._pid_file)
            self._pid_file = None
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _claim(self, path: str) -> None:
        for _ in range(10):
            try:
                with open(path, "xb") as file:
                    file.write(_note())
                return
            except FileExistsError:
                with contextlib.suppress(FileNotFoundError):
                    with open_file(path) as file:
                        found = file.read(200)
                        age = time.time() - os.fstat(file.fileno()).st_mtime
                    if _lives(found, age):
                        raise self._refusal(self._folder, _taken_by(found)) from None
                    os.unlink(path)
        raise self._refusal(self._folder, "another process is about to write it")


def _lock(handle: int) -> bool:
    """Lock an open file until it is closed; False where another holds it, NotImplementedError without locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError as error:
        raise NotImplementedError from error
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise NotImplementedError from error
    return True


def _note() -> bytes:
    return f"{os.getpid()} {socket.gethostname()}\n".encode("utf-8", "replace")


def _read(note: bytes) -> tuple[int, str] | None:
    pid, _, host = note.decode("utf-8", "replace").strip().partition(" ")
    return (int(pid), host) if pid.isascii() and pid.isdigit() and host else None


def _lives(note: bytes, age: float) -> bool:
    """Whether the process that left a note, so many seconds ago, may be alive."""
    holder = _read(note)
    if holder is None:
        return age < _WRITING
    if holder[1] != socket.gethostname():
        return True
    try:
        os.kill(holder[0], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _taken_by(note: bytes) -> str:
    holder = _read(note)
    if holder is None:
        return "another process is writing it"
    where = "" if holder[1] == socket.gethostname() else f" on {holder[1]}"
    return f"another process is writing it (pid {holder[0]}{where})"
