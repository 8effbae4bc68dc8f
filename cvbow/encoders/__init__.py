"""Encoders: a bag of descriptors in, one vector of fixed length out."""

from cvbow.encoders._encoder import Encoder
from cvbow.encoders.bag_of_words import BagOfWords
from cvbow.encoders.fisher_vector import FisherVector
from cvbow.encoders.spatial_pyramid import SpatialPyramid
from cvbow.encoders.vlad import VLAD

__all__ = ["VLAD", "BagOfWords", "Encoder", "FisherVector", "SpatialPyramid"]
