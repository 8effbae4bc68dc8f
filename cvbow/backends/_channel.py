"""The base of the backends that describe an image as a whole: nothing is learned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray

from cvbow.backends._image_encoder import ImageEncoder, ImageLike
from cvbow.features import as_gray
from cvbow.parallel import single_threaded

__all__ = ["WholeImageEncoder"]


class WholeImageEncoder(ImageEncoder):
    """Base class: a vector of the gray image, and of its mirror by exchanging values.

    A subclass has the parameter ``mirror`` beside ``n_jobs`` and ``memory``, and defines ``vector_length``,
    ``_validate``, ``_raw``, ``_mirrored`` and ``_normalize``.
    """

    mirror: bool

    _transient = {"n_jobs": None, "memory": None}  # noqa: RUF012

    @property
    def gray_only(self) -> bool:
        """True: colours are never looked at."""
        return True

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        """Check the parameters; there is nothing to learn.

        Raises
        ------
        ValueError
            If a parameter breaks its rule.
        """
        self._validate()
        return self

    @abstractmethod
    def _raw(self, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what is measured of an image, any shape."""

    @abstractmethod
    def _mirrored(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what would be measured of the mirrored image."""

    @abstractmethod
    def _normalize(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vector that a classifier gets."""

    def _vector(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with single_threaded():
            raw = self._raw(as_gray(image))
            vector = self._normalize(raw)
            return mean_direction(vector, self._normalize(self._mirrored(raw))) if self.mirror else vector
