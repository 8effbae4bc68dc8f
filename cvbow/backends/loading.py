"""Images as they are given, a path or pixels, to what a worker reads; a bad file is told apart and stops nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvbow.images import DerivedImage, ImageList, read_bytes, try_path
from cvbow.images.pixels import is_lone_image, is_pillow_image

if TYPE_CHECKING:
    from PIL.Image import Image

#: A path, pixels: uint8 (H, W) or (H, W, 3) RGB, an image of Pillow, or what makes pixels when they are wanted.
ImageLike: TypeAlias = "str | os.PathLike[str] | NDArray[np.uint8] | Image | DerivedImage"


def check_images(images: ImageLike | Sequence[ImageLike] | ImageList, *, minimum: int = 0) -> Sequence[ImageLike]:
    """Return the images as a list or tuple; one image stands for a list of it, an ``ImageList`` for its paths.

    Raises
    ------
    ValueError
        For what is no sequence, and where there are fewer than ``minimum`` (0 or 1).
    """
    several, _ = as_sequence(images.paths if isinstance(images, ImageList) else images)
    if isinstance(several, bytes) or not isinstance(several, Iterable):
        raise ValueError(f"images must be an image, or a sequence of paths or arrays, got {type(images).__name__}")
    found = several if isinstance(several, (list, tuple)) else list(several)
    if len(found) < minimum:
        raise ValueError("images must have at least one image, got none")
    return found


def as_sequence(images: Any) -> tuple[Any, bool]:
    """Return one image in a list, and True; anything else as it is, and False."""
    is_lone = isinstance(images, str | os.PathLike | DerivedImage) or is_pillow_image(images) or is_lone_image(images)
    return [images] if is_lone else images, is_lone


def load_source(image: ImageLike) -> tuple[Any, str | None]:
    """Return what ``read_image`` takes, and the name for its errors; bytes are read once, for pixels and cache key."""
    if isinstance(image, np.ndarray) or is_pillow_image(image):
        return image, None
    if isinstance(image, DerivedImage):
        return image.loaded(), image.name
    return read_bytes(image), os.fspath(image)


def path_of(image: ImageLike) -> str | None:
    """Return the path of an image, or of the one that it is made from; None for pixels."""
    if isinstance(image, DerivedImage):
        return image.name
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None


def tag_images(input_tags: Any) -> None:
    """Say in scikit-learn's tags that images go in: a list of images or paths, or an array of either.

    Such an array has paths, (n,), or images of one size, (n, H, W) or (n, H, W, 3).
    """
    input_tags.two_d_array = False
    input_tags.one_d_array = input_tags.three_d_array = input_tags.string = True


def try_image(image: ImageLike, function: Callable[[], Any]) -> Any:
    """Return the function's result, or the ImageError that says why the image has none; see ``try_path``."""
    return try_path(path_of(image) or "image", function)
