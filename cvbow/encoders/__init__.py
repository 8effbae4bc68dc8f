"""Encoders: a bag of descriptors in, one vector of fixed length out."""

from cvbow.encoders._encoder import Encoder
from cvbow.encoders._pooling import Cells
from cvbow.encoders._words import WordTable
from cvbow.encoders.bag_of_words import BagOfWords
from cvbow.encoders.fisher_vector import FisherVector
from cvbow.encoders.kernel_codebook import KernelCodebook
from cvbow.encoders.llc import LLC
from cvbow.encoders.near_words import NearWords
from cvbow.encoders.registry import ENCODERS
from cvbow.encoders.soft_threshold import SoftThreshold
from cvbow.encoders.spatial_pyramid import SpatialPyramid
from cvbow.encoders.triangle import Triangle
from cvbow.encoders.vlad import VLAD

__all__ = [
    "ENCODERS",
    "LLC",
    "VLAD",
    "BagOfWords",
    "Cells",
    "Encoder",
    "FisherVector",
    "KernelCodebook",
    "NearWords",
    "SoftThreshold",
    "SpatialPyramid",
    "Triangle",
    "WordTable",
]
