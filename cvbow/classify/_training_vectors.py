"""Where the vectors of training images lie: in memory, or, of very many or very long ones, in a file.

A file has two bytes a value, float16, and is mapped into memory, so that a classifier that learns in passes over a few
rows at a time needs no more memory than these take. The file has no name: the system takes it away when the vectors are
not used any more, however the program ends.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import CvbowError
from cvbow.parallel import cut
from cvbow.progress import note

#: More values than these are in a file: 4 GiB of them in float32. It depends on nothing but the vectors, so that a
#: model comes out the same on every machine.
VALUES_IN_MEMORY = 1 << 30

_NARROW = np.dtype(np.float16)
#: Rows that are moved at a time.
_ROWS = 256


def room(n_vectors: int, length: int, folder: Any, *, by_passes: bool) -> NDArray[np.float16] | None:
    """Return an array for vectors in a file; None where they are to be in memory.

    They are in a file where a folder is named, and, in that of the system's temporary files, where they have more
    than ``VALUES_IN_MEMORY`` values and the classifier learns from them ``by_passes``.

    Raises
    ------
    CvbowError
        If the disk has not enough room.
    OSError
        If no file can be made in the folder.
    """
    is_large = n_vectors * length > VALUES_IN_MEMORY
    if folder is None and not (is_large and by_passes):
        if is_large:
            note(f"vectors: {_gigabytes(4 * n_vectors * length)} in memory: this classifier learns from no file")
        return None
    folder = tempfile.gettempdir() if folder is None else os.fspath(folder)
    n_bytes = n_vectors * length * _NARROW.itemsize
    with _file_in(folder) as file:
        _reserve(file.fileno(), n_bytes, folder)
        array: NDArray[np.float16] = np.asarray(np.memmap(file, _NARROW, "r+", shape=(n_vectors, length)))
    note(f"vectors: {_gigabytes(n_bytes)} in a temporary file in {folder}, of two bytes a value")
    return array


def check_folder(folder: Any) -> None:
    """Raise OSError where no file can be made in a folder; None is that of the system's temporary files."""
    if folder is not None:
        _file_in(os.fspath(folder)).close()


def _file_in(folder: str) -> IO[bytes]:
    """Make a file without a name in a folder, and the folder where there is none."""
    os.makedirs(folder, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


def _reserve(file: int, n_bytes: int, folder: str) -> None:
    """Take room on the disk now: what is missing later would end the program where it writes to the map."""
    free = shutil.disk_usage(folder).free
    enough = n_bytes <= free
    if enough and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, n_bytes)
        except OSError as error:
            # Of other errors, a file system that cannot reserve is the usual one; then the look at it has to do.
            enough = error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if not enough:
        raise CvbowError(
            f"the vectors take {_gigabytes(n_bytes)} of disk, and {folder} has {_gigabytes(free)} left; "
            "another folder can be named (vectors, --vectors)"
        )


def part_of(
    vectors: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp], *, in_place: bool
) -> NDArray[Any]:
    """Return some rows and columns of vectors (n, d), both in ascending order, as an array in one piece.

    ``in_place`` moves them together at the beginning of the memory, or file, that the vectors have taken until then, so
    that no more is needed.
    """
    shape = len(rows), len(columns)
    if shape == vectors.shape:
        return vectors
    # A block is read whole before it is written, and what it is written over has been read before.
    found = vectors.reshape(-1)[: shape[0] * shape[1]].reshape(shape) if in_place else np.empty(shape, vectors.dtype)
    for part in cut(len(rows), _ROWS):
        found[part] = vectors[np.ix_(rows[part], columns)]
    return found


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"
