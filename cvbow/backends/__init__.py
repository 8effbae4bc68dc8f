"""Backends: images in, vectors out, as scikit-learn transformers."""

from cvbow.backends._image_encoder import EncodedImages, ImageEncoder
from cvbow.backends.bag_encoder import BagEncoder
from cvbow.backends.census import CensusPyramid
from cvbow.backends.cnn_encoder import CnnEncoder
from cvbow.backends.color_histogram import ColorHistogram
from cvbow.backends.gist import Gist
from cvbow.backends.loading import ImageLike
from cvbow.backends.multi_crop import MultiCrop
from cvbow.backends.raw_pixels import RawPixels
from cvbow.backends.registry import BACKENDS
from cvbow.backends.shares import ImageShares
from cvbow.backends.shortened import Shortened
from cvbow.backends.union import ChannelUnion

__all__ = [
    "BACKENDS",
    "BagEncoder",
    "CensusPyramid",
    "ChannelUnion",
    "CnnEncoder",
    "ColorHistogram",
    "EncodedImages",
    "Gist",
    "ImageEncoder",
    "ImageLike",
    "ImageShares",
    "MultiCrop",
    "RawPixels",
    "Shortened",
]
