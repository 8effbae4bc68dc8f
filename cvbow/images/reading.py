"""Reading one image, from a file, from bytes, from an array or from what is made of one, into 8-bit pixels."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.errors import ImageError
from cvbow.files import read_file
from cvbow.images.color import to_gray
from cvbow.images.options import Reading, reading_now
from cvbow.images.pixels import flatten, is_pillow_image, pillow_pixels, to_uint8, upright

if TYPE_CHECKING:
    from PIL.Image import Image

# OpenCV and Pillow count bytes in 32-bit integers in places.
_MAX_BYTES = 2**31 - 1


@dataclass(frozen=True, eq=False)
class DerivedImage(ABC):
    """An image that is made from another one when it is read; it may be given wherever a path or an array may.

    Small and picklable, so that many of one image cost no memory and go to another process without their pixels. A
    subclass is a dataclass too, with the two methods that are missing here.

    Parameters
    ----------
    source : path, bytes, ndarray or Pillow image
    path : str, optional
        What to call bytes in an error.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from cvbow.images import DerivedImage
    >>> @dataclass(frozen=True, eq=False)
    ... class Mirrored(DerivedImage):
    ...     def derive(self, image):
    ...         return image[:, ::-1]
    ...     def recipe(self):
    ...         return "mirrored"
    >>> Mirrored(np.array([[1, 2]], np.uint8)).pixels(gray=True, max_pixels=100).tolist()
    [[2, 1]]
    """

    source: Any
    path: str | None = field(default=None, kw_only=True)

    @abstractmethod
    def derive(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the image made from the source's pixels, (H, W) or (H, W, 3)."""

    @abstractmethod
    def recipe(self) -> str:
        """Return what is done to the source, as text."""

    def loaded(self) -> Self:
        """Return the same image with its file read, for pixels and key from one reading."""
        if not _is_file(self.source):
            return self
        return replace(self, source=read_bytes(self.source), path=os.fspath(self.source))

    def pixels(self, *, gray: bool, max_pixels: int) -> NDArray[np.uint8]:
        """Return its pixels; a gray one is made of the gray source. Errors are those of ``read_image``."""
        return self.derive(read_image(self.source, gray=gray, max_pixels=max_pixels, name=self.path))

    def key(self) -> str:
        """Return what identifies its content: SHA-256 in hexadecimal, of the source's content and of what is done."""
        text = f"{type(self).__name__} {content_hash(self.source)} {self.recipe()}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def name(self) -> str | None:
        """The path of its file, for messages; None for one that has no file."""
        if self.path is not None or not _is_file(self.source):
            return self.path
        return str(os.fspath(self.source))


Source: TypeAlias = "str | os.PathLike[str] | bytes | NDArray[Any] | Image | DerivedImage"


def read_image(
    source: Source,
    *,
    gray: bool = False,
    max_pixels: int | None = None,
    shrunk_to: int | None = None,
    name: str | os.PathLike[str] | None = None,
) -> NDArray[np.uint8]:
    """Read an image.

    The orientation that the file asks for is applied, 16 bits are scaled to 8, transparency is laid onto white, CMYK
    and palettes become RGB, and of an animation or a document the first frame or page is taken. JPEG, PNG, GIF, TIFF,
    BMP, PNM and WebP are read, whatever the file is called; AVIF and JPEG 2000 where Pillow can; HEIC with the extra
    ``cvbow[heif]``.

    Pixels of TIFF files that are floating point, signed or of 32 bits have no fixed range. The range that the file
    states (tags SMinSampleValue and SMaxSampleValue) becomes 0 to 255; without one, floating point within [0, 1] is
    taken for that range, and else an image's own smallest finite value becomes 0 and its largest 255. What lies beyond
    the range is cut off; infinity becomes 0 or 255, and what is not a number 0.

    Parameters
    ----------
    source : path, bytes, ndarray, PIL.Image.Image or DerivedImage
        The file, its content, or pixels: (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floating
        point in [0, 1]. An array is never changed, and never shared with the result. Or an image of Pillow, of which
        what holds of a file's orientation, palette and transparency holds too. Or what makes its pixels when they are
        wanted, such as an ``AugmentedImage``.
    gray : bool, default=False
        Return the ITU-R BT.601 luma of a colour image. For a JPEG this is about twice as fast as colour.
    max_pixels : int, optional
        Refuse a larger file, as soon as its header is read; by default what `reading_as` says, 100 million. With it
        goes a limit to memory, of 8 bytes for each of these pixels but no less than 800 MB, which refuses kinds that
        take more to decode: with the default, 16-bit colour above 50 to 67 megapixels, progressive JPEG with full
        colour resolution above 80, animated WebP above 44, HEIC and AVIF above 50, JPEG 2000 in colour and one tile
        above 42, 64-bit floating point in colour above 15. So reading stays below 1 GB beside the file itself, whatever
        a header claims.
    shrunk_to : int, optional
        The longer side that the caller shrinks a larger image to. A JPEG above 100 megapixels is then decoded at a
        half, a quarter or an eighth of its size, the smallest whose longer side is twice this one or more; every other
        file is read as ever.
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
        When an array has the wrong shape, type or range, or `max_pixels` or `shrunk_to` is not a positive integer.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> from cvbow import read_image
    >>> file = io.BytesIO()
    >>> Image.new("RGBA", (4, 3), (255, 0, 0, 128)).save(file, "png")
    >>> read_image(file.getvalue())[0, 0].tolist()  # on white
    [255, 127, 127]
    """
    check_int("max_pixels", max_pixels, minimum=1, none=True)
    check_int("shrunk_to", shrunk_to, minimum=1, none=True)
    options = reading_now() if max_pixels is None else replace(reading_now(), max_pixels=int(max_pixels))
    if isinstance(source, DerivedImage):
        return source.pixels(gray=gray, max_pixels=options.max_pixels)
    if is_pillow_image(source):
        source = pillow_pixels(source)
        if source.shape[2:] == (2,):  # gray with alpha, which no array of a caller may be
            source = flatten(source[..., 0], source[..., 1], options.color)
    if isinstance(source, np.ndarray):
        return _from_array(source, options, gray=gray)

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
        return decode(data, options, gray=gray, shrunk_to=shrunk_to)
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
        data = read_file(path, limit=_MAX_BYTES)
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
    source : path, bytes, ndarray or PIL.Image.Image
        As for `read_image`.

    Returns
    -------
    str
        SHA-256 in hexadecimal: of the file's bytes, or of an array's dtype, shape and values.

    Raises
    ------
    FileNotFoundError, ImageError
        When a file cannot be read; whether it holds an image is not looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import content_hash
    >>> image = np.zeros((2, 2), np.uint8)
    >>> content_hash(image) == content_hash(image.copy()), len(content_hash(image))
    (True, 64)
    """
    if isinstance(source, DerivedImage):
        return source.key()
    if is_pillow_image(source):
        source = pillow_pixels(source)
    if isinstance(source, np.ndarray):
        digest = hashlib.sha256(f"ndarray {source.dtype.str} {source.shape} ".encode())
        digest.update(np.ascontiguousarray(source).data)
        return digest.hexdigest()
    return hashlib.sha256(source if isinstance(source, bytes) else read_bytes(source)).hexdigest()


def _is_file(source: object) -> bool:
    return not isinstance(source, bytes | np.ndarray) and not is_pillow_image(source)


def _from_array(source: NDArray[Any], options: Reading, *, gray: bool) -> NDArray[np.uint8]:
    """Check an array of pixels and bring it to the form that `read_image` returns; `source` stays as it is."""
    array = np.asarray(source)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise ValueError(
            "source must be an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with at least one pixel, "
            f"got shape {array.shape}"
        )
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(f"source must be within [0, 1] when it is floating point, got [{low:g}, {high:g}]")
        array = np.rint(array * 255.0).astype(np.uint8)
    elif array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        array = to_uint8(array, 255 if array.dtype.itemsize == 1 else 65535)
    else:
        raise ValueError(f"source must be uint8, uint16, or floating point within [0, 1], got dtype {array.dtype}")

    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    elif array.ndim == 3 and array.shape[2] == 4:
        array = flatten(array[..., :3], array[..., 3], options.color)
    pixels = to_gray(array) if gray else array
    return pixels.copy("C") if np.may_share_memory(pixels, source) else upright(pixels, 1)
