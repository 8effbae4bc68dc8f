"""A transformed copy of an image that is made when it is wanted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from cvbow.images.augmentation._drawing import Seed
from cvbow.images.derived import DerivedImage
from cvbow.images.reading import content_hash, read_bytes, read_image

if TYPE_CHECKING:
    from cvbow.images.augmentation.augmenter import ImageAugmenter

__all__ = ["AugmentedImage"]


@dataclass(frozen=True, eq=False)
class AugmentedImage(DerivedImage):
    """Stands for ``augmenter.random_transform(read_image(source), seed)`` wherever an image may stand.

    Only the transform: what ``standardize`` does is for float images.

    Parameters
    ----------
    source : path, bytes or ndarray
    augmenter : ImageAugmenter
    seed : tuple of int
        The same seed makes the same copy.
    path : str, optional
        What to call bytes in an error.
    """

    source: Any
    augmenter: ImageAugmenter
    seed: Sequence[int]
    path: str | None = None

    def loaded(self) -> Self:
        """Return the same image with its file read."""
        if isinstance(self.source, (bytes, np.ndarray)):
            return self
        return replace(self, source=read_bytes(self.source), path=os.fspath(self.source))

    def pixels(self, *, gray: bool, max_pixels: int) -> NDArray[np.uint8]:
        """Return the copy's pixels; a gray copy is one of the gray image."""
        image = read_image(self.source, gray=gray, max_pixels=max_pixels, name=self.path)
        seed: Seed = np.random.SeedSequence(list(self.seed))
        copy: NDArray[np.uint8] = self.augmenter.random_transform(image, seed)
        return copy

    def key(self) -> str:
        """Return a hash of the source's content, of the augmenter's parameters and of the seed."""
        parameters = sorted(self.augmenter.get_params(deep=False).items())
        text = f"augmented {content_hash(self.source)} {parameters!r} {list(self.seed)!r}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def name(self) -> Any:
        """The path of the source; None for one in memory."""
        if self.path is not None or isinstance(self.source, (bytes, np.ndarray)):
            return self.path
        return os.fspath(self.source)
