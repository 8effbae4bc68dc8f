"""What the front of an image file says, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class UnreadableError(Exception):
    """The reason why bytes are not an image; `read_image` adds the name of the file."""


def truncated() -> UnreadableError:
    """Return the error for an image that ends too early: the one reason that several places find."""
    return UnreadableError("the image data is truncated")


@dataclass(frozen=True, slots=True)
class Header:
    """The facts that decide how a file is decoded.

    Attributes
    ----------
    format : str
        ``"JPEG"``, ``"PNG"``, ``"GIF"``, ``"TIFF"``, ``"BMP"``, ``"PPM"``, ``"WEBP"``, ``"HEIC"``, ``"AVIF"`` or
        ``"JPEG 2000"``.
    data : bytes
        The file as the decoder should see it, which may be without its metadata.
    size : (width, height) or None
        In pixels, before the orientation is applied; None where the decoder tells it without decoding.
    orientation : int
        EXIF orientation, 1 to 8.
    bits : int
        Bits per channel; for PPM, of those pixels that have more than eight.
    gray : bool
        Whether the file holds no colour although its decoder may give three channels.
    needs_opencv, allows_opencv : bool
        Whether Pillow would drop the lower bits, and whether OpenCV can stand in for it.
    inverted : bool
        Whether zero is white.
    alpha : str
        What a fourth channel from OpenCV is: ``"straight"``, ``"premultiplied"`` or ``"none"``.
    transparent : tuple of int or None
        The one colour that is transparent, in units of `bits`.
    extra : float
        Bytes per pixel that decoding takes beside the four that a decoded pixel does, at its peak, where that is more
        than the three bytes of the result.
    rangeless : str or None
        NumPy's name of the samples' type (``"f4"``) where they have no fixed range.
    stated : (float, float) or None
        The range that the file says they have.
    short : bool
        Whether the file is too short for its size, so that it need not be decoded.
    exif : bytes
        The block of EXIF, or the directory of a TIFF; empty without one, and of HEIC and AVIF.
    several : bool
        Whether there are more pictures than the one that is read: an animation, or a document of pages.
    """

    format: str
    data: bytes
    size: tuple[int, int] | None = None
    orientation: int = 1
    bits: int = 8
    gray: bool = False
    needs_opencv: bool = False
    allows_opencv: bool = False
    inverted: bool = False
    alpha: Literal["straight", "premultiplied", "none"] = "straight"
    transparent: tuple[int, ...] | None = None
    extra: float = 3.0
    rangeless: str | None = None
    stated: tuple[float, float] | None = None
    short: bool = False
    exif: bytes = b""
    several: bool = False
