"""Images that are made when they are wanted: a source, and what is to be done with its pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["DerivedImage"]


class DerivedImage(ABC):
    """Stands for an image wherever a path, bytes or an array may stand: ``read_image`` makes its pixels.

    Small and picklable, so that many of one image cost no memory and go to another process without their pixels.
    """

    @abstractmethod
    def loaded(self) -> Self:
        """Return the same image with its file read, for pixels and key from one reading."""

    @abstractmethod
    def pixels(self, *, gray: bool, max_pixels: int) -> NDArray[np.uint8]:
        """Return its pixels, (H, W) or (H, W, 3); errors are those of ``read_image``."""

    @abstractmethod
    def key(self) -> str:
        """Return what identifies its content: SHA-256 in hexadecimal, of the source's content and of what is done."""

    @property
    @abstractmethod
    def name(self) -> Any:
        """The path of its file, for messages; None for one that has no file."""
