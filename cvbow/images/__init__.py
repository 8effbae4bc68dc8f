"""From files to pixels: reading images, listing sets of them, and what is done with pixels before features."""

from __future__ import annotations

from cvbow.images.color import (
    blend,
    from_gray,
    from_hsv,
    from_lab,
    has_color,
    merge_channels,
    split_channels,
    to_gray,
    to_hsv,
    to_lab,
)
from cvbow.images.doubts import layout_doubts
from cvbow.images.file_facts import FileFacts
from cvbow.images.filters import average_pool, box_blur, convolve, edges, gaussian_blur, max_pool, sharpen
from cvbow.images.geometry import center_crop, pad, resize, rotate
from cvbow.images.imagelist import ImageList, natural_key
from cvbow.images.listing import IMAGE_SUFFIXES, gather_images, list_images
from cvbow.images.montages import montage
from cvbow.images.normalization import (
    FeaturewiseScaler,
    from_unit,
    rescale_to_bytes,
    samplewise_center,
    samplewise_standardize,
    to_unit,
)
from cvbow.images.options import Reading, check_background, reading_as, reading_now
from cvbow.images.pixels import encode_png
from cvbow.images.reading import DerivedImage, content_hash, read_bytes, read_image
from cvbow.images.statistics import ImageStatistics
from cvbow.images.summary import SetSummary, summarize_images
from cvbow.images.trying import try_path

__all__ = [
    "IMAGE_SUFFIXES",
    "DerivedImage",
    "FeaturewiseScaler",
    "FileFacts",
    "ImageList",
    "ImageStatistics",
    "Reading",
    "SetSummary",
    "average_pool",
    "blend",
    "box_blur",
    "center_crop",
    "check_background",
    "content_hash",
    "convolve",
    "edges",
    "encode_png",
    "from_gray",
    "from_hsv",
    "from_lab",
    "from_unit",
    "gather_images",
    "gaussian_blur",
    "has_color",
    "layout_doubts",
    "list_images",
    "max_pool",
    "merge_channels",
    "montage",
    "natural_key",
    "pad",
    "read_bytes",
    "read_image",
    "reading_as",
    "reading_now",
    "rescale_to_bytes",
    "resize",
    "rotate",
    "samplewise_center",
    "samplewise_standardize",
    "sharpen",
    "split_channels",
    "summarize_images",
    "to_gray",
    "to_hsv",
    "to_lab",
    "to_unit",
    "try_path",
]
