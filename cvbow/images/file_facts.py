"""What an image file is beside its pixels: facts that should not tell what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cvbow.images.formats import read_header
from cvbow.images.header import UnreadableError
from cvbow.images.tiff import exif_camera


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the front of an image file says, and how large the file is.

    Attributes
    ----------
    n_bytes : int
        Of the file.
    format : str
        As in ``Header``: ``"JPEG"``, ``"PNG"`` and so on; empty of what is no image.
    camera : str
        Make and model, as EXIF has them; empty where it names none, and of HEIC and AVIF.
    orientation : int
        EXIF's, 1 to 8; 1 is upright.
    several : bool
        Whether there are more pictures in the file: an animation, or a document of pages.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> from cvbow.images import FileFacts
    >>> file = io.BytesIO()
    >>> Image.new("L", (4, 3)).save(file, "png")
    >>> FileFacts.of(file.getvalue()).format
    'PNG'
    """

    n_bytes: int
    format: str = ""
    camera: str = ""
    orientation: int = 1
    several: bool = False

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the facts of a file's content; nothing is decoded, and no file is too damaged."""
        try:
            header = read_header(data)
        except UnreadableError:
            return cls(len(data))
        return cls(len(data), header.format, exif_camera(header.exif), header.orientation, header.several)
