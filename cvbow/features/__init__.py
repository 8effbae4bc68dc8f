"""Points in an image and their descriptors."""

from cvbow.features._extractor import Extractor, as_gray, as_rgb, check_sides, to_working_size
from cvbow.features._features import Features
from cvbow.features.dense_sift import DenseSIFT
from cvbow.features.sift import SIFT
from cvbow.features.whitened_patches import WhitenedPatches

__all__ = [
    "SIFT",
    "DenseSIFT",
    "Extractor",
    "Features",
    "WhitenedPatches",
    "as_gray",
    "as_rgb",
    "check_sides",
    "to_working_size",
]
