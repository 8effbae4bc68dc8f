"""Encoders by name."""

from __future__ import annotations

from cvbow.encoders._encoder import Encoder
from cvbow.encoders.bag_of_words import BagOfWords
from cvbow.encoders.fisher_vector import FisherVector
from cvbow.encoders.kernel_codebook import KernelCodebook
from cvbow.encoders.llc import LLC
from cvbow.encoders.near_words import NearWords
from cvbow.encoders.soft_threshold import SoftThreshold
from cvbow.encoders.triangle import Triangle
from cvbow.encoders.vlad import VLAD
from cvbow.registry import Registry

#: Every encoder of one bag; ``SpatialPyramid`` applies any of them to the cells of grids.
ENCODERS: Registry[type[Encoder]] = Registry(
    "encoder",
    Encoder,
    {
        "bow": BagOfWords,
        "kernel-codebook": KernelCodebook,
        "llc": LLC,
        "triangle": Triangle,
        "soft-threshold": SoftThreshold,
        "near-words": NearWords,
        "vlad": VLAD,
        "fisher": FisherVector,
    },
    defines=("fit", "vector_length", "encode or encode_cells"),
)
