"""From files to pixels: reading images, and listing labelled sets of them."""

from __future__ import annotations

from cvbow.images.augmentation import (
    AugmentedFolder,
    AugmentedImage,
    BatchIterator,
    ImageAugmenter,
    augment_images,
    parse_saved_name,
)
from cvbow.images.color import (
    blend,
    from_gray,
    from_hsv,
    from_lab,
    merge_channels,
    split_channels,
    to_gray,
    to_hsv,
    to_lab,
)
from cvbow.images.filters import (
    average_pool,
    box_blur,
    box_kernel,
    convolve,
    edge_kernel,
    edges,
    gaussian_blur,
    gaussian_kernel,
    identity_kernel,
    max_pool,
    sharpen,
    sharpen_kernel,
)
from cvbow.images.gathering import gather_images
from cvbow.images.geometry import center_crop, is_square, pad, resize, rotate
from cvbow.images.imagelist import ImageList, natural_key
from cvbow.images.listing import IMAGE_SUFFIXES, list_images
from cvbow.images.normalization import (
    from_unit,
    rescale_to_bytes,
    samplewise_center,
    samplewise_standardize,
    to_unit,
)
from cvbow.images.reading import content_hash, read_bytes, read_image
from cvbow.images.scaling import ByteScaler, FeaturewiseScaler, ImageZCA, SamplewiseScaler, UnitScaler
from cvbow.images.statistics import ImageStatistics
from cvbow.images.summary import SetSummary, summarize_images
from cvbow.images.thumbnails import montage, thumbnail

__all__ = [
    "IMAGE_SUFFIXES",
    "AugmentedFolder",
    "AugmentedImage",
    "BatchIterator",
    "ByteScaler",
    "FeaturewiseScaler",
    "ImageAugmenter",
    "ImageList",
    "ImageStatistics",
    "ImageZCA",
    "SamplewiseScaler",
    "SetSummary",
    "UnitScaler",
    "augment_images",
    "average_pool",
    "blend",
    "box_blur",
    "box_kernel",
    "center_crop",
    "content_hash",
    "convolve",
    "edge_kernel",
    "edges",
    "from_gray",
    "from_hsv",
    "from_lab",
    "from_unit",
    "gather_images",
    "gaussian_blur",
    "gaussian_kernel",
    "identity_kernel",
    "is_square",
    "list_images",
    "max_pool",
    "merge_channels",
    "montage",
    "natural_key",
    "pad",
    "parse_saved_name",
    "read_bytes",
    "read_image",
    "rescale_to_bytes",
    "resize",
    "rotate",
    "samplewise_center",
    "samplewise_standardize",
    "sharpen",
    "sharpen_kernel",
    "split_channels",
    "summarize_images",
    "thumbnail",
    "to_gray",
    "to_hsv",
    "to_lab",
    "to_unit",
]
