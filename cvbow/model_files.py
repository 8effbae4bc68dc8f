"""What has model files of its own: a classifier, a detector, a segmenter."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any, ClassVar, Self

from sklearn.utils.validation import check_is_fitted

from cvbow import storage
from cvbow.errors import ModelFileError
from cvbow.progress import note

__all__ = ["ModelFile"]


class ModelFile:
    """Base class of storable estimators that are saved by themselves; see ``cvbow.storage``.

    A subclass names the kind of its files, what messages call it, and what it has learned once ``fit`` is through; and
    says in ``summary`` what a file tells of it.

    Examples
    --------
    >>> from cvbow import ImageClassifier, ObjectDetector, Segmenter
    >>> [part.file_kind for part in (ImageClassifier, ObjectDetector, Segmenter)]
    ['classifier', 'detector', 'segmenter']
    """

    file_kind: ClassVar[str]
    called: ClassVar[str]
    learned_last: ClassVar[str]

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Return what a file says of the model to whoever does not build it: plain values."""

    @abstractmethod
    def work_with(self, n_jobs: int | None) -> None:
        """Answer with so many workers from now on."""

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> str:
        """Write the model to one file, whole or not at all, and return its content hash.

        A file of such a model that is there is replaced, any other file only with ``force``: else a ModelFileError.
        NotFittedError before ``fit``; TypeError if a part of the model is of a class that model files do not hold.
        """
        check_is_fitted(self, self.learned_last)
        is_there = os.path.isfile(path) and os.path.getsize(path) > 0
        if is_there and not force and storage.kind_of(path) != self.file_kind:
            raise ModelFileError(path, f"is there, and is no {self.called}: it is replaced with force=True only")
        return storage.save(path, kind=self.file_kind, state=self, metadata=self.summary())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, n_jobs: int | None = None) -> Self:
        """Read a model file, for a model with ``n_jobs`` workers; nothing in the file is executed.

        FileNotFoundError if there is no such file; ModelFileError if it is damaged, foreign, or written by a newer
        cvbow.
        """
        stored = storage.load(path, kind=cls.file_kind)
        for line in stored.warnings:
            note(f"{os.fspath(path)}: {line}")
        model = stored.state
        if not isinstance(model, cls) or cls.learned_last not in vars(model):
            raise ModelFileError(path, f"holds no trained {cls.called}")
        summary = model.summary()
        # Files from before a line of the summary have no such line.
        for name in summary.keys() & stored.metadata.keys():
            if stored.metadata[name] != summary[name]:
                raise ModelFileError(path, f"says other {name} of its model than the model has")
        model.work_with(n_jobs)
        return model
