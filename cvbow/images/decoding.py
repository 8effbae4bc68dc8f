"""Decoding: the bytes of an image file to 8-bit pixels.

Pillow decodes; OpenCV takes over where Pillow would drop the lower eight of sixteen bits. Pillow's readers are
called directly instead of through ``Image.open``, because that warns about large images by a limit that the whole
process shares, and a warning cannot be silenced for one thread alone. The limit here is an argument.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cvbow.images.formats import jpeg_fault, png_ends_early, read_header
from cvbow.images.header import Header, UnreadableError, truncated
from cvbow.images.pixels import flatten, to_gray, to_uint8, upright

__all__ = ["decode"]

# The plain JPEG reader takes the first picture of a multi-picture file (MPO), which is the one wanted.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}


def decode(data: bytes, *, gray: bool, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image file.

    Parameters
    ----------
    data : bytes
        The whole file.
    gray : bool
        Whether colour is turned into luma.
    max_pixels : int
        Larger images are refused from their header.

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, 3)

    Raises
    ------
    UnreadableError
        For whatever keeps the bytes from being an image, with the reason in plain words.
    """
    header = read_header(data)
    try:
        if header.size is not None:
            _check_size(header.size, max_pixels)
        pixels = _decode_opencv(header) if _takes_opencv(header) else _decode_pillow(header, gray, max_pixels)
        return upright(to_gray(pixels) if gray else pixels, header.orientation)
    except UnreadableError:
        raise
    except Exception as error:  # on damaged data decoders raise almost anything: OSError, SyntaxError, struct.error
        raise UnreadableError(_reason(error, header)) from error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width <= 0 or height <= 0:
        raise UnreadableError(f"the image has no pixels ({width}x{height})")
    if width * height > max_pixels:
        raise UnreadableError(f"a {width}x{height} image is over the limit of {max_pixels} pixels")


def _takes_opencv(header: Header) -> bool:
    if header.needs_opencv:
        return True
    # Pillow's TIFF reader has its own limit, and warns or refuses when it allocates more.
    limit = Image.MAX_IMAGE_PIXELS
    if header.format != "TIFF" or header.size is None or limit is None or header.size[0] * header.size[1] <= limit:
        return False
    if not header.allows_opencv:
        _check_size(header.size, limit)
    return True


def _decode_opencv(header: Header) -> NDArray[np.uint8]:
    import cv2

    samples: NDArray[Any] | None = cv2.imdecode(np.frombuffer(header.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise UnreadableError("the image data is damaged")
    if samples.ndim == 3:
        samples = samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    top = np.iinfo(samples.dtype).max
    if header.transparent is not None:
        samples = _hide(samples[..., :3], header.transparent, top)
    pixels = to_uint8(samples, top)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        color, alpha = pixels[..., :3], pixels[..., 3]
        pixels = color if header.alpha == "none" else flatten(color, alpha, premultiplied=header.alpha != "straight")
    return pixels[..., 0] if header.gray and pixels.ndim == 3 else pixels


def _decode_pillow(header: Header, gray: bool, max_pixels: int) -> NDArray[np.uint8]:
    image = _READERS[header.format](io.BytesIO(header.data), "")
    _check_size(image.size, max_pixels)
    if gray and header.format == "JPEG":
        image.draft("L", None)  # libjpeg then leaves the colour channels undecoded
    image.load()
    if header.format == "PNG" and _has_blank_end(image) and png_ends_early(header.data):
        raise truncated()
    mode = image.mode
    if mode in ("L", "1", "RGB") or mode.startswith("I"):
        wide = mode.startswith("I")
        samples = np.array(image.convert("L") if mode == "1" else image)
        top = 2**header.bits - 1 if wide else 255
        if header.transparent is not None:
            unit = 1 if wide else 255 // (2**header.bits - 1)
            samples = _hide(samples, tuple(value * unit for value in header.transparent), top)
        pixels = to_uint8(samples, top)
        return 255 - pixels if header.inverted else pixels
    return _pixels_of_other_mode(image)


def _has_blank_end(image: Image.Image) -> bool:
    """Whether the last row, or the last but one, is zero: where missing pixels would show, interlaced or not."""
    rows = np.asarray(image)[-2:]
    return not all(row.any() for row in rows)


def _pixels_of_other_mode(image: Image.Image) -> NDArray[np.uint8]:
    gray = image.mode in ("LA", "La")
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        gray = bool((palette == palette[:, :1]).all())
        transparent = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode in ("La", "RGBa"):
        image = image.convert("LA" if gray else "RGBA")
    elif image.mode in ("CMYK", "YCbCr", "RGBX", "HSV", "LAB"):
        image = image.convert("RGB")
    elif image.mode not in ("LA", "RGBA"):
        raise UnreadableError(f"pixels of the kind {image.mode} are not supported")
    pixels = np.array(image)
    if pixels.shape[2] in (2, 4):
        pixels = flatten(pixels[..., :-1], pixels[..., -1])
    return pixels[..., 0] if gray else pixels


def _hide(samples: NDArray[Any], color: tuple[int, ...], white: int) -> NDArray[Any]:
    """Make the pixels of the one transparent colour white."""
    hidden = samples == np.array(color)
    if samples.ndim == 3:
        hidden = hidden.all(axis=2, keepdims=True)
    return np.where(hidden, samples.dtype.type(white), samples)


def _reason(error: Exception, header: Header) -> str:
    """Return what an exception of a decoder means to the owner of the file."""
    message = str(error).lower()
    if isinstance(error, MemoryError):
        return "there is not enough memory to decode it"
    if isinstance(error, Image.DecompressionBombError):
        return f"it is over the decoder's limit of {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels"
    if "cannot handle" in message or "unknown pixel mode" in message or "unknown data organization" in message:
        return f"this kind of {header.format} file is not supported"
    if "not identified by this driver" in message:
        return jpeg_fault(header.data) if header.format == "JPEG" else "the image has no pixels"
    ended_early = (EOFError, IndexError, struct.error)
    short = any(words in message for words in ("truncated", "reached eof", "not enough image data"))
    if short or isinstance(error, ended_early) or isinstance(error.__cause__, ended_early):
        return "the image data is truncated"
    return "the image data is damaged"
