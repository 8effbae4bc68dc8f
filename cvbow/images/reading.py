"""Reading one image, from a file, from bytes or from an array, into 8-bit pixels."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.errors import ImageError
from cvbow.images.derived import DerivedImage

__all__ = ["content_hash", "read_bytes", "read_image"]

# OpenCV and Pillow count bytes in 32-bit integers in places.
_MAX_BYTES = 2**31 - 1

Source = str | os.PathLike[str] | bytes | NDArray[Any] | DerivedImage


def read_image(
    source: Source, *, gray: bool = False, max_pixels: int = 100_000_000, name: str | os.PathLike[str] | None = None
) -> NDArray[np.uint8]:
    """Read an image.

    EXIF orientation is applied, 16 bits are scaled to 8, transparency is laid onto white, CMYK and palettes become
    RGB, and of an animation or a document the first frame or page is taken. JPEG, PNG, GIF, TIFF, BMP, PNM and WebP
    are read, whatever the file is called.

    Parameters
    ----------
    source : path, bytes, ndarray or DerivedImage
        The file, its content, or pixels: (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floating
        point in [0, 1]. An array is never changed, and never shared with the result. Or what makes its pixels when
        they are wanted, such as an ``AugmentedImage``.
    gray : bool, default=False
        Return the ITU-R BT.601 luma of a colour image. For a JPEG this is about twice as fast as colour.
    max_pixels : int, default=100_000_000
        Refuse a larger file, as soon as its header is read. With it goes a limit to memory, of 8 bytes for each of
        these pixels but no less than 800 MB, which refuses kinds that take more to decode: with the default, 16-bit
        colour above 50 to 67 megapixels, progressive JPEG with full colour resolution above 80, animated WebP above 44.
        So reading stays below 1 GB beside the file itself, whatever a header claims.
    name : path, optional
        What to call `source` in an error when it is bytes.

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, 3)
        Gray or RGB. A gray file stays (H, W). C-contiguous, writeable, in its own memory.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ImageError
        When the file cannot be read or is not a whole image within the limit; its `reason` says what is wrong.
    ValueError
        When an array has the wrong shape, type or range, or `max_pixels` is not a positive integer.
    """
    check_int("max_pixels", max_pixels, minimum=1)
    if isinstance(source, DerivedImage):
        return source.pixels(gray=gray, max_pixels=int(max_pixels))
    if isinstance(source, np.ndarray):
        from cvbow.images.pixels import image_from_array

        return image_from_array(source, gray=gray)

    # Not at the top of the file: a listing or a hash should not pay for the import of the decoders.
    from cvbow.images.decoding import decode
    from cvbow.images.header import UnreadableError

    path: str | os.PathLike[str]
    if isinstance(source, bytes):
        path = "<bytes>" if name is None else name
        if not source:
            raise ImageError(path, "the file is empty")
        data = source
    else:
        path = source if name is None else name
        data = read_bytes(source)
    try:
        return decode(data, gray=gray, max_pixels=int(max_pixels))
    except UnreadableError as error:
        raise ImageError(path, str(error)) from error


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a whole image file, for a caller that needs both its hash and its pixels.

    Parameters
    ----------
    path : path

    Returns
    -------
    bytes
        Never empty.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ImageError
        When the file is empty, a folder, too large to be an image, or may not be read.
    ValueError
        When `path` is not a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"source must be a path, bytes or an array, got {type(path).__name__}")
    try:
        with open(path, "rb", buffering=0) as file:
            facts = os.fstat(file.fileno())
            if not (stat.S_ISREG(facts.st_mode) or stat.S_ISFIFO(facts.st_mode)):
                raise ImageError(path, "it is not a regular file")
            if facts.st_size > _MAX_BYTES:
                raise ImageError(path, f"the file is over the limit of {_MAX_BYTES} bytes")
            data = file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        if os.path.isdir(path):
            raise ImageError(path, "it is a folder, not an image") from error
        if isinstance(error, PermissionError):
            raise ImageError(path, "permission denied") from error
        reason = (error.strerror or type(error).__name__).lower()
        raise ImageError(path, f"the file cannot be read ({reason})") from error
    except ValueError as error:  # a null byte, or a character that the file system cannot store
        raise ImageError(path, "it is not a valid file name") from error
    if not data:
        raise ImageError(path, "the file is empty")
    return data


def content_hash(source: Source) -> str:
    """Return what identifies an image's content: the key under which results for it may be stored.

    Parameters
    ----------
    source : path, bytes or ndarray
        As for `read_image`.

    Returns
    -------
    str
        SHA-256 in hexadecimal: of the file's bytes, or of an array's dtype, shape and values.

    Raises
    ------
    FileNotFoundError, ImageError
        When a file cannot be read; whether it holds an image is not looked at.
    """
    if isinstance(source, DerivedImage):
        return source.key()
    if isinstance(source, np.ndarray):
        digest = hashlib.sha256(f"ndarray {source.dtype.str} {source.shape} ".encode())
        digest.update(np.ascontiguousarray(source).data)
        return digest.hexdigest()
    return hashlib.sha256(source if isinstance(source, bytes) else read_bytes(source)).hexdigest()
