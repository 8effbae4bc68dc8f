"""Masks: images whose values are classes, read from PNG files and written as such, and paired with their images."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import DatasetError, ImageError
from cvbow.files import no_such
from cvbow.images import gather_images, read_bytes, reading_now
from cvbow.storage import GENERATOR

#: The value of a pixel that nobody has said anything about.
UNKNOWN = 255
#: Above so many classes it is a photograph, or a mask that JPEG has blurred.
MOST_CLASSES = 100
#: Colours of the first values, by M. Okabe and K. Ito, 2008, as is ``cvbow.report``'s choice; the background is black.
_COLORS = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_UNKNOWN_COLOR = (224, 224, 224)

MaskLike = str | os.PathLike[str] | NDArray[np.uint8]


def read_mask(source: MaskLike) -> NDArray[np.uint8]:
    """Read a mask: the values of a gray or palette image, as they are.

    Parameters
    ----------
    source : path or ndarray of shape (H, W)
        A PNG, or any other file that keeps values; of an array, integers or truth values.

    Returns
    -------
    ndarray of shape (H, W), uint8

    Raises
    ------
    FileNotFoundError
    ImageError
        If it is no image, in colour, or has values above 255.
    ValueError
        For an array of another shape or type.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.segmentation import read_mask
    >>> read_mask(np.array([[True, False]])).tolist()
    [[1, 0]]
    """
    if isinstance(source, np.ndarray):
        if source.ndim != 2 or not source.size or source.dtype.kind not in "bui":
            found = f"{source.dtype} of shape {source.shape}"
            raise ValueError(f"a mask must be an array (H, W) of integers, with at least one pixel, got {found}")
        if source.dtype.kind != "b" and (source.min() < 0 or source.max() > 255):
            raise ValueError(f"a mask must have values in 0 to 255, got {source.min()} to {source.max()}")
        return source.astype(np.uint8)
    return _read_file(source)


def _read_file(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    from PIL import Image

    data = read_bytes(path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            limit = reading_now().max_pixels
            if image.width * image.height > limit:
                raise ImageError(path, f"{image.width} x {image.height} pixels are more than the limit of {limit:,}")
            if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
                raise ImageError(path, f"a mask is a gray or palette image, and this is one of mode {image.mode}")
            values = np.array(image)
    except ImageError:
        raise
    except Exception as error:  # of a damaged file, Pillow raises what it meets
        raise ImageError(path, f"not a mask that can be read ({' '.join(str(error).split())[:100]})") from None
    if values.dtype.kind != "b" and (values.min() < 0 or values.max() > 255):
        raise ImageError(path, f"values of a mask are 0 to 255, and here up to {values.max()}")
    return values.astype(np.uint8)


def encode_mask(values: NDArray[np.uint8]) -> bytes:
    """Return values (H, W) as a palette PNG file that says that cvbow has made it; viewers show colours of classes."""
    from PIL import Image, PngImagePlugin

    texts = PngImagePlugin.PngInfo()
    texts.add_text("Software", GENERATOR)
    image = Image.fromarray(values, "L")
    image.putpalette(b"".join(bytes(mask_color(value)) for value in range(256)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=texts)
    return buffer.getvalue()


def mask_color(value: int) -> tuple[int, int, int]:
    """Return the colour that a value of a mask is shown in, RGB; 0 is black, and 255 light gray.

    Examples
    --------
    >>> from cvbow.segmentation import mask_color
    >>> mask_color(0), mask_color(1)
    ((0, 0, 0), (230, 159, 0))
    """
    if value == UNKNOWN:
        return _UNKNOWN_COLOR
    if value < len(_COLORS):
        return _COLORS[value]
    # As PASCAL VOC's palette: the bits of the value, spread over the three channels from the highest bit down.
    red, green, blue = (
        sum(((value >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)
    )
    return red, green, blue


@dataclass(frozen=True)
class MaskedImages:
    """Images and their masks, which belong together by their names without suffix.

    Attributes
    ----------
    images, masks : tuple of Path
        In the natural order of the images' paths.
    without_mask, without_image : tuple of Path
        Images and masks that have no partner.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from cvbow.segmentation import pair_masks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("images/1.jpg", "images/2.jpg", "masks/1.png", "masks/3.png"):
    ...         Path(folder, name).parent.mkdir(exist_ok=True)
    ...         Path(folder, name).touch()
    ...     found = pair_masks(Path(folder, "images"), Path(folder, "masks"))
    >>> len(found), [path.name for path in (*found.masks, *found.without_mask, *found.without_image)]
    (1, ['1.png', '2.jpg', '3.png'])
    """

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    without_mask: tuple[Path, ...]
    without_image: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.images)


def pair_masks(images: str | os.PathLike[str], masks: str | os.PathLike[str]) -> MaskedImages:
    """Find the images of a folder, and their masks in another, by paths below the folders without suffix.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If a folder has no image, two of its files have one name, or no image has a mask.
    """
    pictures, found = _by_name(images), _by_name(masks)
    both = [name for name in pictures if name in found]
    if not both:
        first, other = next(iter(pictures)), next(iter(found))
        raise DatasetError(masks, f"no mask has the name of an image: images are as {first!r}, masks as {other!r}")
    return MaskedImages(
        tuple(pictures[name] for name in both),
        tuple(found[name] for name in both),
        tuple(path for name, path in pictures.items() if name not in found),
        tuple(path for name, path in found.items() if name not in pictures),
    )


def _by_name(folder: str | os.PathLike[str]) -> dict[str, Path]:
    root = Path(folder)
    if not root.is_dir():
        raise DatasetError(root, "is not a folder") if root.exists() else no_such(root, "folder")
    found: dict[str, Path] = {}
    for path in gather_images([root])[0]:
        name = path.relative_to(root).with_suffix("").as_posix()
        if name in found:
            raise DatasetError(root, f"{found[name].name} and {path.name} have one name, {name!r}")
        found[name] = path
    return found


def check_class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of classes; ValueError unless they are different texts that may also name a folder."""
    found = tuple(names)
    for name in found:
        plain = isinstance(name, str) and name.strip() == name and name.isprintable()
        if not plain or name in ("", ".", "..") or any(mark in name for mark in "/\\"):
            raise ValueError(f"classes must be texts without / and \\, such as 'horse', got {name!r}")
    if len(set(found)) < len(found):
        raise ValueError(f"classes must be different names, got {', '.join(found)}")
    return found


def some_names(paths: Iterable[Any], limit: int = 5) -> str:
    """Return the names of the first few paths, and how many more there are."""
    names = [Path(path).name for path in paths]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
