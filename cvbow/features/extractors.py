"""Extractors by name."""

from __future__ import annotations

from cvbow.features._extractor import Extractor
from cvbow.features.cnn_feature_map import CnnFeatureMap
from cvbow.features.dense_sift import DenseSIFT
from cvbow.features.local_features import LocalFeatures
from cvbow.features.sift import SIFT
from cvbow.features.whitened_patches import WhitenedPatches
from cvbow.registry import Registry

__all__ = ["EXTRACTORS"]

#: Every extractor; a recipe asks for one by ``features``.
EXTRACTORS: Registry[type[Extractor]] = Registry(
    "features",
    Extractor,
    {
        "dense-sift": DenseSIFT,
        "sift": SIFT,
        "patches": WhitenedPatches,
        "local-features": LocalFeatures,
        "cnn-feature-map": CnnFeatureMap,
    },
    defines=("extract or compute", "descriptor_size"),
)
