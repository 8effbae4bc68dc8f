"""Random variants of images: one at a time, in batches, as copies to learn from, and in a folder."""

from __future__ import annotations

from cvbow.augmentation._saving import parse_saved_name
from cvbow.augmentation.augmenter import ImageAugmenter
from cvbow.augmentation.batches import BatchIterator
from cvbow.augmentation.copies import AugmentedFolder, AugmentedImage, augment_images

__all__ = [
    "AugmentedFolder",
    "AugmentedImage",
    "BatchIterator",
    "ImageAugmenter",
    "augment_images",
    "parse_saved_name",
]
