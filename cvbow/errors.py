"""The exceptions that cvbow defines, and what a message about a wrong name ends with.

A parameter outside its rule stays a ``ValueError``, a path that is not there a ``FileNotFoundError``, and an
estimator used before ``fit`` scikit-learn's ``NotFittedError``; what is left are the kinds below.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Sequence

__all__ = [
    "CvbowError",
    "DatasetError",
    "ExecutorError",
    "ImageError",
    "IndexFileError",
    "ModelFileError",
    "NetworkError",
    "did_you_mean",
    "none_read",
]


def did_you_mean(value: object, choices: Collection[str]) -> str:
    """Return the end of a message about a wrong name: the first choice of which it is a word, or the one most like it.

    Nothing where there is none.

    Parameters
    ----------
    value : object
        The wrong name; what is no text is like nothing.
    choices : collection of str

    Examples
    --------
    >>> from cvbow.errors import did_you_mean
    >>> "no preset 'fsat'" + did_you_mean("fsat", ["auto", "fast"])
    "no preset 'fsat'; did you mean fast?"
    >>> did_you_mean("svm", ["linear-svm", "rbf-svm"])
    '; did you mean linear-svm?'
    >>> did_you_mean("other", ["auto", "fast"])
    ''
    """
    if not isinstance(value, str):
        return ""
    close = [name for name in choices if value.casefold() in re.split("[-_ ]", name)]
    close = close or difflib.get_close_matches(value, choices, n=1)
    return f"; did you mean {close[0]}?" if close else ""


class CvbowError(Exception):
    """Base class of cvbow's errors: catch this one to catch them all.

    Examples
    --------
    >>> from cvbow import CvbowError, read_image
    >>> try:
    ...     read_image(b"not an image")
    ... except CvbowError as error:
    ...     print(type(error).__name__)
    ImageError
    """


class _FileError(CvbowError):
    """An error about one file.

    Parameters
    ----------
    path : path
    reason : str
        In words that a user can act on.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)
        self.path = os.fspath(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ImageError(_FileError):
    """An image that cannot be read: empty, truncated, not an image, too large.

    Examples
    --------
    >>> from cvbow import ImageError, read_image
    >>> try:
    ...     read_image(b"")
    ... except ImageError as error:
    ...     print(error.path, error.reason)
    <bytes> the file is empty
    """


def none_read(skipped: Sequence[ImageError]) -> CvbowError:
    """Return the error of images of which none can be read, from theirs, of which there is one at least.

    Examples
    --------
    >>> from cvbow.errors import ImageError, none_read
    >>> print(none_read([ImageError("a.jpg", "the file is empty")]))
    the image cannot be read: a.jpg: the file is empty
    >>> print(none_read([ImageError("a.jpg", "the file is empty")] * 3))
    none of the 3 images could be read; the first: a.jpg: the file is empty
    """
    many = (
        f"none of the {len(skipped)} images could be read; the first"
        if len(skipped) > 1
        else "the image cannot be read"
    )
    return CvbowError(f"{many}: {skipped[0]}")


class ModelFileError(_FileError):
    """A model file that is damaged, foreign, truncated, or written by a newer cvbow.

    Examples
    --------
    >>> import tempfile
    >>> from cvbow import ImageClassifier, ModelFileError
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     try:
    ...         ImageClassifier.load(file.name)
    ...     except ModelFileError as error:
    ...         print(error.reason)
    is empty
    """


class IndexFileError(_FileError):
    """An image index that is damaged, foreign, written by a newer cvbow, or being written by another process.

    Examples
    --------
    >>> import tempfile
    >>> from cvbow import ImageIndex, IndexFileError
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         ImageIndex.open(folder)
    ...     except IndexFileError as error:
    ...         print(error.reason)
    is not an index: it has no manifest.json
    """


class ExecutorError(CvbowError):
    """Workers that were killed, or a Dask cluster that does not answer: the work was not done, and may be repeated.

    Examples
    --------
    >>> from cvbow.errors import ExecutorError
    >>> raise ExecutorError("a worker process was killed")
    Traceback (most recent call last):
    ...
    cvbow.errors.ExecutorError: a worker process was killed
    """


class DatasetError(_FileError):
    """A folder or a CSV that does not describe a labelled set of images.

    Examples
    --------
    >>> import tempfile
    >>> from cvbow import DatasetError, list_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         list_images(folder)
    ...     except DatasetError as error:
    ...         print(error.reason)
    no class folder with images; expected DIR/<class>/<image> or DIR/<split>/<class>/<image>, found nothing
    """


class NetworkError(_FileError):
    """A neural network's file that is damaged, does not fit its use, or is not the one that the model was trained with.

    Examples
    --------
    >>> import tempfile
    >>> from cvbow.errors import NetworkError
    >>> from cvbow.networks import open_network
    >>> with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
    ...     try:
    ...         open_network(file.name, engine="opencv")
    ...     except NetworkError as error:
    ...         print(error.reason)
    not an ONNX network: it holds no network
    """
