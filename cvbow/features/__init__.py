"""Points in an image and their descriptors."""

from cvbow.features._descriptor import Descriptor
from cvbow.features._detections import Detections
from cvbow.features._detector import Detector
from cvbow.features._extractor import Extractor, check_sides, to_working_size
from cvbow.features._features import Features
from cvbow.features.cnn_feature_map import CnnFeatureMap
from cvbow.features.color_statistics import ColorStatistics
from cvbow.features.dense_sift import DenseSIFT
from cvbow.features.extractors import EXTRACTORS, make_extractor
from cvbow.features.local_features import LocalFeatures
from cvbow.features.mirror import Mirror
from cvbow.features.registry import DESCRIPTORS, DETECTORS, make_descriptor, make_detector
from cvbow.features.sift import SIFT
from cvbow.features.whitened_patches import WhitenedPatches

__all__ = [
    "DESCRIPTORS",
    "DETECTORS",
    "EXTRACTORS",
    "SIFT",
    "CnnFeatureMap",
    "ColorStatistics",
    "DenseSIFT",
    "Descriptor",
    "Detections",
    "Detector",
    "Extractor",
    "Features",
    "LocalFeatures",
    "Mirror",
    "WhitenedPatches",
    "check_sides",
    "make_descriptor",
    "make_detector",
    "make_extractor",
    "to_working_size",
]
