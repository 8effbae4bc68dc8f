"""The exceptions that cvbow raises on its own account.

A parameter outside its rule stays a ``ValueError``, a path that is not there a ``FileNotFoundError``, and an
estimator used before ``fit`` scikit-learn's ``NotFittedError``; what is left are the kinds below.
"""

from __future__ import annotations

import os

__all__ = ["CvbowError", "DatasetError", "ImageError", "IndexFileError", "ModelFileError", "NetworkError"]


class CvbowError(Exception):
    """Base of cvbow's own errors: catch this one to catch them all."""


class _FileError(CvbowError):
    """An error about one file, with the reason in words that a user can act on."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)
        self.path = os.fspath(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ImageError(_FileError):
    """An image that cannot be read: empty, truncated, not an image, too large."""


class ModelFileError(_FileError):
    """A model file that is damaged, foreign, truncated, or written by a newer cvbow."""


class IndexFileError(_FileError):
    """An image index that is damaged, foreign, written by a newer cvbow, or being written by another process."""


class DatasetError(_FileError):
    """A folder or a CSV that does not describe a labelled set of images."""


class NetworkError(_FileError):
    """A neural network's file that is damaged, does not fit its use, or is not the one that was learned with."""
