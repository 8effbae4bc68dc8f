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
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from cvbow.images.color import to_gray
from cvbow.images.formats import jpeg_fault, png_ends_early, read_header
from cvbow.images.header import Header, UnreadableError, truncated
from cvbow.images.options import MAX_PIXELS, Reading
from cvbow.images.pixels import Color, flatten, to_uint8, upright
from cvbow.images.rangeless import range_of, stretched, typed
from cvbow.images.tiff import exif_orientation

#: Bytes that decoding may take beside the file's own: for each pixel that is allowed, and in any case. With the default
#: limit of pixels that keeps a process below 1 GB.
_MEMORY_PER_PIXEL = 8
_MEMORY = 800_000_000
#: Bytes per pixel that Pillow takes for WebP.
_ANIMATION = 18
_NEEDS_PILLOW = {
    "AVIF": "AVIF files need Pillow 11.3 or later: pip install --upgrade pillow",
    "JPEG 2000": "JPEG 2000 files need a Pillow that is built with OpenJPEG, as those of pip are",
}
#: Pixels that are converted at a time.
_BAND = 1 << 20

# The plain JPEG reader takes the first picture of a multi-picture file (MPO), which is the one wanted.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}


def decode(data: bytes, options: Reading, *, gray: bool, shrunk_to: int | None = None) -> NDArray[np.uint8]:
    """Decode an image file.

    Parameters
    ----------
    data : bytes
        The whole file.
    options : Reading
        Larger images are refused from their header; transparent ones are laid onto the background.
    gray : bool
        Whether colour is turned into luma.
    shrunk_to : int, optional
        The longer side that the caller shrinks a larger image to; see ``read_image``.

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
            _check_size(header, header.size, gray, options.max_pixels)
        if header.short:
            raise truncated()
        if header.format == "HEIC":
            return _decode_heif(header, gray, options)
        if _takes_opencv(header):
            return upright(_decode_opencv(header, gray, options.color), header.orientation)
        image = _opened(header, gray, options, shrunk_to)
        # Pillow does not turn an AVIF file, but says how to, as EXIF would, what the file's own boxes say.
        asked = exif_orientation(image.info.get("exif", b"")) if header.format == "AVIF" else header.orientation
        return upright(_decode_pillow(image, header, gray, options.color), asked)
    except UnreadableError:
        raise
    except Exception as error:  # on damaged data decoders raise almost anything: OSError, SyntaxError, struct.error
        raise UnreadableError(_reason(error, header)) from error


def _check_size(header: Header, size: tuple[int, int], gray: bool, max_pixels: int, *, scale: int = 1) -> None:
    """Refuse an image that is too large: of `size`, decoded to 1 / `scale` of it."""
    width, height = size
    if width <= 0 or height <= 0:
        raise UnreadableError(f"the image has no pixels ({width}x{height})")
    if width * height > max_pixels:
        raise UnreadableError(f"a {width}x{height} image is over the limit of {max_pixels} pixels (max_pixels)")
    # Pillow holds colour in four bytes, and gray in one. What waits for the last scan does so at full size.
    pixel = 1 if gray and header.format == "JPEG" else 4
    needed = width * height * (header.extra + pixel if scale == 1 else header.extra - 3 + (pixel + 3) / scale**2)
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
        raise UnreadableError(f"a TIFF of this kind is over the decoder's limit of {limit} pixels")
    return True


def _decode_opencv(header: Header, gray: bool, background: Color) -> NDArray[np.uint8]:
    import cv2

    found: NDArray[Any] | None = cv2.imdecode(np.frombuffer(header.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise UnreadableError("the image data is damaged")
    samples = found if header.rangeless is None else typed(found, header.rangeless)
    ends = None if header.rangeless is None else range_of(samples, header.stated)

    def convert(top: int, end: int) -> NDArray[np.uint8]:
        band = samples[top:end]
        band = band[..., [2, 1, 0, 3][: band.shape[2]]] if band.ndim == 3 else band
        if ends is not None:
            pixels = stretched(band, ends)
            return _laid(255 - pixels if header.inverted else pixels, header, background)
        white = np.iinfo(band.dtype).max
        if header.transparent is not None:
            band = _hide(band[..., :3], header.transparent, background, white)
        return _laid(to_uint8(band, white), header, background)

    return _in_bands(samples.shape[:2], gray, convert)


def _laid(pixels: NDArray[np.uint8], header: Header, background: Color) -> NDArray[np.uint8]:
    """Lay RGBA that OpenCV has decoded onto the background; of a gray file, return one channel if that is enough."""
    if pixels.ndim == 2:
        return pixels
    color = pixels[..., 0] if header.gray else pixels[..., :3]
    if pixels.shape[2] < 4 or header.alpha == "none":
        return color
    return flatten(color, pixels[..., 3], background, premultiplied=header.alpha != "straight")


def _opened(header: Header, gray: bool, options: Reading, shrunk_to: int | None) -> ImageFile.ImageFile:
    """Open an image with Pillow, and decode it if it is not too large."""
    image = _reader(header.format)(io.BytesIO(header.data), "")
    scale = 1
    if header.format == "JPEG" and shrunk_to is not None and image.size[0] * image.size[1] > MAX_PIXELS:
        scale = next((part for part in (8, 4, 2) if max(image.size) >= 2 * part * shrunk_to), 1)
    _check_size(header, image.size, gray, options.max_pixels, scale=scale)
    if header.format == "JPEG" and (gray or scale > 1):
        # With "L" libjpeg leaves the colour channels undecoded.
        wanted = (image.size[0] // scale, image.size[1] // scale) if scale > 1 else None
        image.draft("L" if gray else image.mode, wanted)
    image.load()
    if header.format == "PNG" and _has_blank_end(image) and png_ends_early(header.data):
        raise truncated()
    return image


def _reader(kind: str) -> type[ImageFile.ImageFile]:
    """Return Pillow's reader of a format; UnreadableError where this Pillow has none."""
    if kind == "AVIF":
        try:
            from PIL import AvifImagePlugin
        except ImportError as error:
            raise UnreadableError(_NEEDS_PILLOW[kind]) from error
        if not AvifImagePlugin.SUPPORTED:
            raise UnreadableError(_NEEDS_PILLOW[kind])
        return AvifImagePlugin.AvifImageFile
    if kind == "JPEG 2000" and not features.check_codec("jpg_2000"):
        raise UnreadableError(_NEEDS_PILLOW[kind])
    return _READERS[kind]


def _decode_pillow(image: Image.Image, header: Header, gray: bool, background: Color) -> NDArray[np.uint8]:
    width, height = image.size
    convert = _converter(image, header, background)
    return _in_bands((height, width), gray, lambda top, end: convert(image.crop((0, top, width, end))))


def _decode_heif(header: Header, gray: bool, options: Reading) -> NDArray[np.uint8]:
    """Decode a HEIC file. The decoder turns it as its boxes say; what its EXIF says does not count."""
    try:
        from pillow_heif import open_heif
    except ImportError as error:
        raise UnreadableError("HEIC files need the extra: pip install 'cvbow[heif]'") from error

    file = open_heif(io.BytesIO(header.data), convert_hdr_to_8bit=True)
    image = file[file.primary_index]
    _check_size(header, image.size, gray, options.max_pixels)
    samples = np.asarray(image)
    premultiplied = image.premultiplied_alpha

    def convert(top: int, end: int) -> NDArray[np.uint8]:
        band = samples[top:end]
        if not image.has_alpha:
            return band
        color = band[..., 0] if band.shape[2] == 2 else band[..., :3]
        return flatten(color, band[..., -1], options.color, premultiplied=premultiplied)

    return _in_bands(samples.shape[:2], gray, convert)


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


def _converter(image: Image.Image, header: Header, background: Color) -> Callable[[Image.Image], NDArray[np.uint8]]:
    """Return what turns a part of the image into pixels."""
    mode = image.mode
    if mode in ("L", "1", "RGB") or mode.startswith("I"):
        return lambda band: _pixels_of_plain_mode(band, header, background)
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
        color = pixels[..., 0] if gray else pixels[..., :3]
        return flatten(color, pixels[..., -1], background) if pixels.shape[2] in (2, 4) else color

    return convert


def _pixels_of_plain_mode(image: Image.Image, header: Header, background: Color) -> NDArray[np.uint8]:
    wide = image.mode.startswith("I")
    samples = np.array(image.convert("L") if image.mode == "1" else image)
    top = 2**header.bits - 1 if wide else 255
    if header.transparent is not None:
        unit = 1 if wide else 255 // (2**header.bits - 1)
        samples = _hide(samples, tuple(value * unit for value in header.transparent), background, top)
    pixels = to_uint8(samples, top)
    return 255 - pixels if header.inverted else pixels


def _hide(samples: NDArray[Any], color: tuple[int, ...], background: Color, white: int) -> NDArray[Any]:
    """Give the pixels of the one transparent colour that of the background."""
    hidden = samples == np.array(color)
    if samples.ndim == 3:
        hidden = hidden.all(axis=2, keepdims=True)
    elif len(set(background)) > 1:
        samples, hidden = np.repeat(samples[..., None], 3, axis=2), hidden[..., None]
    behind = [(value * white + 127) // 255 for value in background]
    return np.where(hidden, np.array(behind if samples.ndim == 3 else behind[0], samples.dtype), samples)


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
