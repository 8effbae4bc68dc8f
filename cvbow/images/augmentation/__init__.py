"""Random transforms of images, batches made with them, and copies for training."""

from __future__ import annotations

from cvbow.images.augmentation._saving import parse_saved_name
from cvbow.images.augmentation.augmenter import ImageAugmenter
from cvbow.images.augmentation.deferred import AugmentedImage
from cvbow.images.augmentation.directory import AugmentedFolder, augment_images
from cvbow.images.augmentation.flow import BatchIterator

__all__ = [
    "AugmentedFolder",
    "AugmentedImage",
    "BatchIterator",
    "ImageAugmenter",
    "augment_images",
    "parse_saved_name",
]
