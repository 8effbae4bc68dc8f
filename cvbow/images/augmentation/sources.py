"""Where the images of batches come from: an array, or files that are read when their turn comes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_flag, check_int
from cvbow.images.geometry import center_crop, resize
from cvbow.images.reading import read_image

__all__ = ["INTERPOLATIONS", "ArraySource", "FileSource", "ImageSource", "resized"]

#: Keras's names of interpolations, and those of ``resize``.
INTERPOLATIONS = {"area": "area", "nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "lanczos": "lanczos"}


class ImageSource(ABC):
    """Images by position; ``len`` tells how many."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def load(self, position: int) -> NDArray[Any]:
        """Return an image, uint8 or float32, that the caller does not change; ImageError if it cannot be read."""


class ArraySource(ImageSource):
    """Images in memory (or in a memory map): no copy is made of them."""

    def __init__(self, images: NDArray[Any], positions: NDArray[np.intp]) -> None:
        self.images = images
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def load(self, position: int) -> NDArray[Any]:
        """Return an image as it is, or as float32."""
        image: NDArray[Any] = self.images[self.positions[position]]
        return image if image.dtype == np.uint8 else np.asarray(image, np.float32)


class FileSource(ImageSource):
    """Image files, brought to one size.

    Parameters
    ----------
    paths : sequence of str
    target_size : (int, int) or None
        (height, width); None leaves each image its own.
    color_mode : {"rgb", "grayscale"}
    interpolation : str
        A key of ``INTERPOLATIONS``.
    keep_aspect_ratio : bool
        Cut the middle of the target's aspect ratio out of an image first, instead of stretching it.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        target_size: Sequence[int] | None,
        color_mode: str,
        interpolation: str,
        keep_aspect_ratio: bool,
    ) -> None:
        if target_size is not None:
            if np.ndim(target_size) != 1 or len(target_size) != 2:
                raise ValueError(f"target_size must be (height, width) or None, got {target_size!r}")
            for side in target_size:
                check_int("target_size", side, minimum=1)
        check_choice("color_mode", color_mode, ("rgb", "grayscale"))
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        check_flag("keep_aspect_ratio", keep_aspect_ratio)
        self.paths = list(paths)
        self.target_size = None if target_size is None else (int(target_size[0]), int(target_size[1]))
        self.gray = color_mode == "grayscale"
        self.interpolation = interpolation
        self.keep_aspect_ratio = keep_aspect_ratio

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, position: int) -> NDArray[Any]:
        """Read an image as (H, W, 3), or (H, W, 1) gray."""
        image = read_image(self.paths[position], gray=self.gray)
        if self.target_size is not None:
            image = resized(image, self.target_size, self.interpolation, self.keep_aspect_ratio)
        if image.ndim == 2:
            image = image[..., None] if self.gray else np.repeat(image[..., None], 3, axis=2)
        return image


def resized(
    image: NDArray[np.uint8], size: tuple[int, int], interpolation: str, keep_aspect_ratio: bool
) -> NDArray[np.uint8]:
    """Return an image (H, W) or (H, W, 3) at a size (height, width), its middle alone where the ratio is kept."""
    import cv2

    if keep_aspect_ratio:
        image = center_crop(image, size[1] / size[0])
    if image.shape[:2] == size:
        return image
    if interpolation == "nearest":
        return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.asarray(resize(image, size[::-1], interpolation=INTERPOLATIONS[interpolation]), np.uint8)
