"""The size of an image as it is seen, from the head of its file where that tells it."""

from __future__ import annotations

import os

from cvbow.errors import ImageError
from cvbow.images import read_bytes, read_image, try_path
from cvbow.images.formats import read_header
from cvbow.images.header import UnreadableError


def size_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the width and the height of an image, turned as its file asks for; None where it cannot be read."""
    found: tuple[int, int] | ImageError = try_path(path, lambda: _size(path))
    return None if isinstance(found, ImageError) else found


def _size(path: str | os.PathLike[str]) -> tuple[int, int]:
    data = read_bytes(path)
    try:
        header = read_header(data)
    except UnreadableError as error:
        raise ImageError(path, str(error)) from None
    if header.size is None:
        height, width = read_image(data, name=path).shape[:2]
        return width, height
    width, height = header.size
    return (height, width) if header.orientation >= 5 else (width, height)
