"""Extractors by name."""

from __future__ import annotations

from cvbow.features._extractor import Extractor
from cvbow.features.cnn_feature_map import CnnFeatureMap
from cvbow.features.color_statistics import ColorStatistics
from cvbow.features.dense_sift import DenseSIFT
from cvbow.features.functions import FunctionExtractor, is_function
from cvbow.features.local_features import LocalFeatures
from cvbow.features.sift import SIFT
from cvbow.features.whitened_patches import WhitenedPatches
from cvbow.registry import Registry

#: Every extractor; a recipe asks for one by ``features``.
EXTRACTORS: Registry[type[Extractor]] = Registry(
    "features",
    Extractor,
    {
        "dense-sift": DenseSIFT,
        "sift": SIFT,
        "color-statistics": ColorStatistics,
        "patches": WhitenedPatches,
        "local-features": LocalFeatures,
        "cnn-feature-map": CnnFeatureMap,
    },
    defines=("extract or compute", "descriptor_size"),
)


def make_extractor(extractor: object) -> Extractor:
    """Return an extractor: the one that is given, or one that asks the function that is given.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(extractor, Extractor):
        return extractor
    if is_function(extractor):
        return FunctionExtractor(extractor)
    raise ValueError(f"extractor must be an Extractor such as DenseSIFT(), or a function, got {extractor!r}")
