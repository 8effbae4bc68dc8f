"""What every source of pixels shares: range, transparency, orientation, and the check of an image."""

from __future__ import annotations

import base64
import html
import io
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError
from cvbow.storage import GENERATOR

if TYPE_CHECKING:
    from PIL.Image import Image
    from typing_extensions import TypeIs

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]


def check_image(image: object, *, name: str = "image", color: bool | None = None, floats: bool = True) -> Any:
    """Return an image (H, W) or (H, W, 3), uint8 or float32, as it is, C-contiguous; ValueError for anything else.

    ``name`` is what it is called in the error. ``color`` takes only (H, W, 3), or only (H, W); without ``floats`` only
    uint8 is taken.
    """
    kinds = "uint8 or float32" if floats else "uint8"
    if not isinstance(image, np.ndarray) or not (image.dtype == np.uint8 or (floats and image.dtype == np.float32)):
        found = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"{name} must be a {kinds} array, got {found}")
    if image.size == 0:
        raise ValueError(f"{name} must have at least one pixel, got shape {image.shape}")
    shapes = {None: "(H, W) or (H, W, 3)", True: "(H, W, 3)", False: "(H, W)"}
    is_color = image.ndim == 3 and image.shape[2] == 3
    if not (image.ndim == 2 or is_color) or (color is not None and color != is_color):
        raise ValueError(f"{name} must have shape {shapes[color]}, got {image.shape}")
    return np.ascontiguousarray(image)


def is_pillow_image(image: object) -> TypeIs[Image]:
    """Tell whether something is an image of Pillow, which need not be imported for that."""
    # Another thread may just be importing it: as long as there is no class, there is no image of it.
    pillow = sys.modules.get("PIL.Image")
    kind = None if pillow is None else vars(pillow).get("Image")
    return kind is not None and isinstance(image, kind)


def pillow_pixels(image: Image) -> NDArray[Any]:
    """Return the samples of a Pillow image, upright, as ``read_image`` takes arrays; (H, W, 2) are gray and alpha."""
    from PIL import ImageOps

    try:
        image = ImageOps.exif_transpose(image)
        image.load()
    except (OSError, SyntaxError) as error:
        raise ImageError(vars(image).get("filename") or "image", str(error)) from error
    if image.mode.startswith("I"):
        return _integers(np.asarray(image), image.info.get("transparency"))
    if image.mode == "La":
        image = image.convert("LA")
    elif image.has_transparency_data and image.mode != "LA":
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "F"):
        image = image.convert("RGB")
    return np.asarray(image)


def _integers(samples: NDArray[Any], clear: object) -> NDArray[Any]:
    """Return gray samples of more than 8 bits, or, where one value is clear, in 8 bits with alpha."""
    # Pillow reads some 16-bit files into 32 bits, and clips what it converts to 8.
    if samples.dtype.itemsize > 2 and samples.size and samples.min() >= 0 and samples.max() < 1 << 16:
        samples = samples.astype(np.uint16)
    if not isinstance(clear, int):
        return samples
    return np.dstack([to_uint8(samples.astype(np.uint16), 65535), np.where(samples == clear, np.uint8(0), 255)])


def is_lone_image(images: object) -> TypeGuard[NDArray[Any]]:
    """Tell whether an array is one image, (H, W), (H, W, 3) or (H, W, 4), where several are wanted.

    A colour image would pass for a stack of gray ones that are three or four pixels wide.
    """
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "buif":
        return False
    return images.ndim < 3 or images.shape[2:] in ((3,), (4,))


def encode_png(pixels: Pixels) -> bytes:
    """Return pixels (H, W) or (H, W, 3) as a PNG file that says that cvbow has made it."""
    from PIL import Image, PngImagePlugin

    texts = PngImagePlugin.PngInfo()
    texts.add_text("Software", GENERATOR)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=texts)
    return buffer.getvalue()


def png_element(pixels: Pixels, text: str) -> str:
    """Return HTML of pixels (H, W) or (H, W, 3), small ones enlarged, with the text for who does not see them."""
    width = max(240, pixels.shape[1])
    source = base64.b64encode(encode_png(pixels)).decode()
    style = f"width: {width}px; max-width: 100%; image-rendering: pixelated"
    return f'<img src="data:image/png;base64,{source}" alt="{html.escape(text)}" style="{style}">'


def to_uint8(samples: NDArray[Any], top: int) -> Pixels:
    """Scale unsigned integers in 0..`top` to 0..255, rounding to the nearest."""
    if samples.dtype == np.uint8 and top == 255:
        return samples
    # The widest product, 65535 * 255 + 32767, needs 24 bits.
    return ((samples.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def flatten(color: Pixels, alpha: Pixels, background: Color, *, premultiplied: bool = False) -> Pixels:
    """Lay uint8 pixels (H, W) or (H, W, 3) with an alpha channel (H, W), 255 for opaque, onto an RGB background.

    ``premultiplied``: the colour has been multiplied by alpha. A gray image that is laid onto a colour has (H, W, 3).
    """
    if color.ndim == 2 and len(set(background)) > 1:
        color = np.repeat(color[..., None], 3, axis=2)
    # The largest sum, 255 * 255 + 127, still fits 16 bits.
    wide = alpha.astype(np.uint16)
    behind: NDArray[np.uint16] | int = background[0]
    if color.ndim == 3:
        wide, behind = wide[..., None], np.array(background, np.uint16)
    rest = (255 - wide) * behind
    laid: NDArray[Any] = (
        np.minimum(color + (rest + 127) // 255, 255) if premultiplied else (color * wide + rest + 127) // 255
    )
    return laid.astype(np.uint8)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (1 to 8); the result is C-contiguous, writeable and owns its memory."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    flags = pixels.flags
    return pixels if flags.c_contiguous and flags.writeable and flags.owndata else pixels.copy("C")
