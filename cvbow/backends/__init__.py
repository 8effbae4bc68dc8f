"""Backends: images in, vectors out, as scikit-learn transformers."""

from cvbow.backends._image_encoder import EncodedImages, ImageEncoder, ImageLike
from cvbow.backends.bag_encoder import BagEncoder
from cvbow.backends.census import CensusPyramid
from cvbow.backends.gist import Gist
from cvbow.backends.multi_crop import MultiCrop
from cvbow.backends.union import ChannelUnion

__all__ = [
    "BagEncoder",
    "CensusPyramid",
    "ChannelUnion",
    "EncodedImages",
    "Gist",
    "ImageEncoder",
    "ImageLike",
    "MultiCrop",
]
