"""From files to pixels: reading images, and listing labelled sets of them."""

from __future__ import annotations

from cvbow.images.imagelist import ImageList, natural_key
from cvbow.images.listing import IMAGE_SUFFIXES, list_images
from cvbow.images.reading import content_hash, read_bytes, read_image

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageList",
    "content_hash",
    "list_images",
    "natural_key",
    "read_bytes",
    "read_image",
]
