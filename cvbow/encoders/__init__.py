"""Encoders: a bag of descriptors in, one vector of fixed length out."""

from cvbow.encoders._encoder import Encoder
from cvbow.encoders.bag_of_words import BagOfWords
from cvbow.encoders.spatial_pyramid import SpatialPyramid

__all__ = ["BagOfWords", "Encoder", "SpatialPyramid"]
