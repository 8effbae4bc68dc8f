"""Points in an image and their descriptors."""

from cvbow.features._extractor import Extractor, as_gray
from cvbow.features._features import Features
from cvbow.features.dense_sift import DenseSIFT
from cvbow.features.sift import SIFT

__all__ = ["SIFT", "DenseSIFT", "Extractor", "Features", "as_gray"]
