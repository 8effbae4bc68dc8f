"""Words from and for other programs: NumPy's .npz, and OpenCV's FileStorage as .yml, .yaml or .xml.

OpenCV's bag-of-words examples keep a vocabulary as a matrix of that name, a row per word; so does this module.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow.dictionary._filestorage import read_matrices, write_matrix
from cvbow.dictionary.base import learned
from cvbow.dictionary.binary import BinaryDictionary
from cvbow.dictionary.kmeans import KMeansDictionary
from cvbow.errors import ModelFileError
from cvbow.files import read_file
from cvbow.storage import check_writable, replacing

_OPENCV = (".yml", ".yaml", ".xml")
#: Of a .npz file: how many descriptors each word stands for, which ``partial_fit`` goes by.
_COUNTS = "counts"


def export_words(path: str | os.PathLike[str], dictionary: Any, *, name: str = "vocabulary") -> None:
    """Write the words of a dictionary to a file; what is there is replaced.

    Parameters
    ----------
    path : path
        The ending chooses the format: .npz, .yml, .yaml or .xml.
    dictionary : estimator
        Any with ``words_``, (n_words, k) float32 or uint8; of a ``VocabularyTree`` the leaves.
    name : str, default "vocabulary"
        Of the matrix.

    Raises
    ------
    NotFittedError
        If the dictionary has not learned anything yet.
    ValueError
        If the path has another ending, or the dictionary has no words, or the name is none.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow import KMeansDictionary
    >>> from cvbow.dictionary import export_words, import_words
    >>> dictionary = KMeansDictionary(n_words=2).fit(np.array([[0, 0], [9, 9]], np.float32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_words(pathlib.Path(folder, "words.yml"), dictionary)
    ...     back = import_words(pathlib.Path(folder, "words.yml"))
    >>> np.array_equal(back.words_, dictionary.words_)
    True
    """
    ending = _ending(path)
    _check_name(name)
    words = learned(dictionary, "words_")
    if not isinstance(words, np.ndarray):
        check_is_fitted(dictionary)
        raise ValueError(f"dictionary must be one with words_, got {type(dictionary).__name__}")
    check_writable(path)
    if ending == ".npz":
        arrays: dict[str, Any] = {name: words}
        counts = learned(dictionary, "counts_")
        if counts is not None and name != _COUNTS:
            arrays[_COUNTS] = counts
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
    else:
        content = write_matrix(words, name, xml=ending == ".xml").encode()
    with replacing(path) as file:
        file.write(content)


def import_words(path: str | os.PathLike[str], *, name: str = "vocabulary") -> KMeansDictionary | BinaryDictionary:
    """Read words from a file into a dictionary that is ready to use.

    Parameters
    ----------
    path : path
        A file .npz, .yml, .yaml or .xml.
    name : str, default "vocabulary"
        Of the matrix. Where there is no such matrix, the only one of the file is taken.

    Returns
    -------
    KMeansDictionary or BinaryDictionary
        The latter for a matrix of bytes. An encoder's ``fit`` would learn new words: scikit-learn's
        ``FrozenEstimator(dictionary)`` keeps these.

    Raises
    ------
    ModelFileError
        If the file is damaged, or holds no such matrix.
    ValueError
        If the path has another ending.
    OSError
        If the file cannot be read.

    See Also
    --------
    export_words : writes such files; with an example of both.
    """
    ending = _ending(path)
    _check_name(name)
    content = read_file(path)
    read = _from_npz if ending == ".npz" else _from_opencv
    matrices = read(path, content)
    words = _choose(path, matrices, name)
    if words.ndim != 2 or words.size == 0:
        raise ModelFileError(path, f"the words must be a matrix with a row per word, got the shape {words.shape}")
    if words.dtype == np.uint8:
        binary = BinaryDictionary(n_words=len(words))
        binary.words_ = np.ascontiguousarray(words)
        return binary
    if words.dtype.kind not in "iuf":
        raise ModelFileError(path, f"the words must be numbers, got {words.dtype}")
    with np.errstate(over="ignore"):
        words = np.ascontiguousarray(words, np.float32)
    if not np.isfinite(words).all():
        raise ModelFileError(path, "the words have values that are not finite numbers of 32 bits")
    dictionary = KMeansDictionary(n_words=len(words))
    dictionary.words_ = words
    counts = matrices.get(_COUNTS)
    if counts is not None and counts.shape == (len(words),) and counts.dtype == np.float64:
        dictionary.counts_ = counts
    return dictionary


def _ending(path: str | os.PathLike[str]) -> str:
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in (".npz", *_OPENCV):
        raise ValueError(f"path must end in .npz, {', '.join(_OPENCV)}, got {os.fspath(path)!r}")
    return ending


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"name must be letters, digits and underscores, no digit first, got {name!r}")


def _choose(path: str | os.PathLike[str], matrices: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name in matrices:
        return matrices[name]
    others = [key for key in matrices if key != _COUNTS]
    if len(others) == 1:
        return matrices[others[0]]
    found = f"but several others: {', '.join(map(ascii, others[:5]))}" if others else "nor any other"
    raise ModelFileError(path, f"there is no matrix {name!r} in it, {found}")


def _from_npz(path: str | os.PathLike[str], content: bytes) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("this is a single array")
            return {key: archive[key] for key in archive.files}
    except (ValueError, EOFError, KeyError, OSError, MemoryError, NotImplementedError) as error:
        raise ModelFileError(path, f"this is not an .npz file of arrays, or a damaged one: {error}") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ModelFileError(path, f"the .npz file is damaged: {error}") from error


def _from_opencv(path: str | os.PathLike[str], content: bytes) -> dict[str, NDArray[Any]]:
    try:
        return read_matrices(content.decode())
    except ValueError as error:
        reason = "it is no text" if isinstance(error, UnicodeDecodeError) else error
        raise ModelFileError(path, f"this is not a YAML or XML file of OpenCV, or a damaged one: {reason}") from error
