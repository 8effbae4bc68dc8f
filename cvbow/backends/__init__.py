"""Backends: images in, vectors out, as scikit-learn transformers."""

from cvbow.backends._image_encoder import EncodedImages, ImageEncoder, ImageLike
from cvbow.backends.bag_encoder import BagEncoder

__all__ = ["BagEncoder", "EncodedImages", "ImageEncoder", "ImageLike"]
