"""Augmented images as files, under names that tell what they were made from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice
from cvbow.errors import ImageError
from cvbow.storage import replacing

FORMATS = ("png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp")
#: Bytes that the usual file systems take.
_LONGEST_NAME = 255
_NAME = re.compile(r"(?s)(.*)_(\d+)_(\d+)\.[A-Za-z]+")


def saved_name(prefix: str, index: int, number: int, extension: str) -> str:
    """Return ``prefix_index_number.ext``; of a prefix that is too long for a file's name, its beginning."""
    rest = f"_{index}_{number}.{extension}"
    while len(os.fsencode(prefix)) + len(rest) > _LONGEST_NAME:
        prefix = prefix[:-1]
    return prefix + rest


def parse_saved_name(name: str | os.PathLike[str]) -> tuple[str, int, int]:
    """Return the prefix, the index of the source and the number, from a name ``prefix_index_number.ext``.

    Folders before the name are left out, and the prefix may hold ``_``. ValueError if the name is of another form.

    Examples
    --------
    >>> from cvbow.augmentation import parse_saved_name
    >>> parse_saved_name("augmented/Coast/my_photo_12_3.png")
    ('my_photo', 12, 3)
    """
    found = _NAME.fullmatch(os.path.basename(os.fspath(name)))
    if found is None:
        raise ValueError(f"name must look like prefix_index_number.ext, got {os.fspath(name)!r}")
    return found[1], int(found[2]), int(found[3])


def check_saving(folder: str | os.PathLike[str] | None, prefix: object, extension: object) -> Path | None:
    """Return the folder to save to; ValueError or FileNotFoundError if nothing can be saved there."""
    if folder is None:
        return None
    if not isinstance(prefix, str) or "/" in prefix or os.sep in prefix or "\0" in prefix:
        raise ValueError(f"save_prefix must be text without a path separator, got {prefix!r}")
    check_choice("save_format", extension, FORMATS)
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(2, "save_to_dir is not a folder", str(path))
    return path


def write_image(path: str | os.PathLike[str], image: NDArray[Any]) -> None:
    """Write an image (H, W), (H, W, 1) or (H, W, 3) RGB, uint8 or rounded to it; whole or not at all."""
    content = encode_image(path, image, os.path.splitext(path)[1][1:])
    with replacing(path) as file:
        file.write(content)


def encode_image(path: str | os.PathLike[str], image: NDArray[Any], extension: str) -> bytes:
    """Return an image as the bytes of a file; ImageError, of `path`, where the format cannot hold it."""
    import cv2

    pixels = image if image.dtype == np.uint8 else np.rint(np.clip(image, 0, 255)).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    elif pixels.ndim == 3 and pixels.shape[2] != 1:
        raise ValueError(f"an image to save must be gray or RGB, got {pixels.shape[2]} channels")
    done, data = cv2.imencode(f".{extension.lower()}", np.ascontiguousarray(pixels))
    if not done:
        raise ImageError(path, f"{pixels.shape[1]}x{pixels.shape[0]} pixels cannot be written as {extension}")
    return bytes(data)
