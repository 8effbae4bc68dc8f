"""Decoding: the bytes of an image file to 8-bit pixels.

Pillow decodes; OpenCV takes over where Pillow would drop the lower eight of sixteen bits. Pillow's readers are
called directly instead of through ``Image.open``, because that warns about large images by a limit that the whole
process shares, and a warning cannot be silenced for one thread alone. The limit here is an argument.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
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

from cvbow.images.color import to_gray
from cvbow.images.formats import jpeg_fault, png_ends_early, read_header
from cvbow.images.header import Header, UnreadableError, truncated
from cvbow.images.pixels import flatten, to_uint8, upright

__all__ = ["decode"]

#: Bytes that decoding may take beside the file's own: for each pixel that is allowed, and in any case. With the default
#: limit of pixels that keeps a process below 1 GB.
_MEMORY_PER_PIXEL = 8
_MEMORY = 800_000_000
#: Bytes per pixel that Pillow takes for WebP.
_ANIMATION = 18
#: Pixels that are converted at a time.
_BAND = 1 << 20

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
            _check_size(header, header.size, gray, max_pixels)
        if header.short:
            raise truncated()
        decode_format = _decode_opencv if _takes_opencv(header) else _decode_pillow
        return upright(decode_format(header, gray, max_pixels), header.orientation)
    except UnreadableError:
        raise
    except Exception as error:  # on damaged data decoders raise almost anything: OSError, SyntaxError, struct.error
        raise UnreadableError(_reason(error, header)) from error


def _check_size(header: Header, size: tuple[int, int], gray: bool, max_pixels: int) -> None:
    width, height = size
    if width <= 0 or height <= 0:
        raise UnreadableError(f"the image has no pixels ({width}x{height})")
    if width * height > max_pixels:
        raise UnreadableError(f"a {width}x{height} image is over the limit of {max_pixels} pixels")
    # Pillow holds colour in four bytes, and gray in one.
    needed = width * height * (header.extra + (1 if gray and header.format == "JPEG" else 4))
    limit = max(max_pixels * _MEMORY_PER_PIXEL, _MEMORY)
    if needed > limit:
        raise UnreadableError(
            f"a {width}x{height} image of this kind takes {needed / 1e6:.0f} MB to decode, over the limit of "
            f"{limit / 1e6:.0f} MB"
        )


def _takes_opencv(header: Header) -> bool:
    if header.needs_opencv:
        return True
    if header.format == "WEBP" and header.allows_opencv and header.size is not None:
        # The same pixels; Pillow goes through a decoder of animations, which holds several copies of them.
        return header.size[0] * header.size[1] * _ANIMATION > _MEMORY
    # Pillow's TIFF reader has its own limit, and warns or refuses when it allocates more.
    limit = Image.MAX_IMAGE_PIXELS
    if header.format != "TIFF" or header.size is None or limit is None or header.size[0] * header.size[1] <= limit:
        return False
    if not header.allows_opencv:
        _check_size(header, header.size, False, limit)
    return True


def _decode_opencv(header: Header, gray: bool, max_pixels: int) -> NDArray[np.uint8]:
    import cv2

    samples: NDArray[Any] | None = cv2.imdecode(np.frombuffer(header.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise UnreadableError("the image data is damaged")
    whole = samples
    return _in_bands(whole.shape[:2], gray, lambda top, end: _pixels_of_samples(whole[top:end], header))


def _pixels_of_samples(samples: NDArray[Any], header: Header) -> NDArray[np.uint8]:
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
    _check_size(header, image.size, gray, max_pixels)
    if gray and header.format == "JPEG":
        image.draft("L", None)  # libjpeg then leaves the colour channels undecoded
    image.load()
    if header.format == "PNG" and _has_blank_end(image) and png_ends_early(header.data):
        raise truncated()
    width, height = image.size
    convert = _converter(image, header)
    return _in_bands((height, width), gray, lambda top, end: convert(image.crop((0, top, width, end))))


def _in_bands(
    shape: tuple[int, int], gray: bool, convert: Callable[[int, int], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Convert an image's rows (first, last + 1) a few at a time: what a conversion needs in between stays small."""
    height, width = shape
    rows = max(1, _BAND // width)
    pixels: NDArray[np.uint8] | None = None
    for top in range(0, height, rows):
        band = convert(top, min(top + rows, height))
        if gray:
            band = to_gray(band)
        if pixels is None:
            pixels = np.empty((height, *band.shape[1:]), np.uint8)
        pixels[top : top + len(band)] = band
    if pixels is None:
        raise UnreadableError("the image has no pixels")
    return pixels


def _has_blank_end(image: Image.Image) -> bool:
    """Whether the last row, or the last but one, is zero: where missing pixels would show, interlaced or not."""
    width, height = image.size
    rows = np.asarray(image.crop((0, max(0, height - 2), width, height)))
    return not all(row.any() for row in rows)


def _converter(image: Image.Image, header: Header) -> Callable[[Image.Image], NDArray[np.uint8]]:
    """Return what turns a part of the image into pixels."""
    mode = image.mode
    if mode in ("L", "1", "RGB") or mode.startswith("I"):
        return lambda band: _pixels_of_plain_mode(band, header)
    gray = mode in ("LA", "La")
    target = ""
    if mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        gray = bool((palette == palette[:, :1]).all())
        target = "RGBA" if mode == "PA" or "transparency" in image.info else "RGB"
    elif mode in ("La", "RGBa"):
        target = "LA" if gray else "RGBA"
    elif mode in ("CMYK", "YCbCr", "RGBX", "HSV", "LAB"):
        target = "RGB"
    elif mode not in ("LA", "RGBA"):
        raise UnreadableError(f"pixels of the kind {mode} are not supported")

    def convert(band: Image.Image) -> NDArray[np.uint8]:
        pixels = np.array(band.convert(target) if target else band)
        if pixels.shape[2] in (2, 4):
            pixels = flatten(pixels[..., :-1], pixels[..., -1])
        return pixels[..., 0] if gray else pixels

    return convert


def _pixels_of_plain_mode(image: Image.Image, header: Header) -> NDArray[np.uint8]:
    wide = image.mode.startswith("I")
    samples = np.array(image.convert("L") if image.mode == "1" else image)
    top = 2**header.bits - 1 if wide else 255
    if header.transparent is not None:
        unit = 1 if wide else 255 // (2**header.bits - 1)
        samples = _hide(samples, tuple(value * unit for value in header.transparent), top)
    pixels = to_uint8(samples, top)
    return 255 - pixels if header.inverted else pixels


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
