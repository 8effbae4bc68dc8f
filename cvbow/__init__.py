"""cvbow: classical image recognition. Images to vectors to answers, on a CPU, the same on every run.

The names below load when they are first used; ``__init__.pyi`` tells editors and type checkers what they are.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Audit": "cvbow.audit",
    "BagEncoder": "cvbow.backends",
    "BagOfWords": "cvbow.encoders",
    "CLASSIFIERS": "cvbow.classify",
    "ClassificationReport": "cvbow.classify",
    "CvbowError": "cvbow.errors",
    "DatasetError": "cvbow.errors",
    "DenseSIFT": "cvbow.features",
    "DetectionReport": "cvbow.detection",
    "Explanation": "cvbow.explanation",
    "Features": "cvbow.features",
    "FisherVector": "cvbow.encoders",
    "GaussianMixtureDictionary": "cvbow.dictionary",
    "ImageAugmenter": "cvbow.augmentation",
    "ImageClassifier": "cvbow.classify",
    "ImageError": "cvbow.errors",
    "ImageIndex": "cvbow.index",
    "ImageList": "cvbow.images",
    "IndexFileError": "cvbow.errors",
    "KMeansDictionary": "cvbow.dictionary",
    "KernelSVM": "cvbow.classify",
    "LLC": "cvbow.encoders",
    "LabelsReport": "cvbow.classify",
    "LinearSVM": "cvbow.classify",
    "LocalFeatures": "cvbow.features",
    "ModelFileError": "cvbow.errors",
    "ObjectDetector": "cvbow.detection",
    "Objects": "cvbow.annotations",
    "PRESETS": "cvbow.presets",
    "SIFT": "cvbow.features",
    "Segmenter": "cvbow.segmentation",
    "SpatialPyramid": "cvbow.encoders",
    "VLAD": "cvbow.encoders",
    "audit_images": "cvbow.audit",
    "classification_report": "cvbow.classify",
    "evaluate_detections": "cvbow.detection",
    "explain": "cvbow.explanation",
    "images_to_label": "cvbow.classify",
    "labels_report": "cvbow.classify",
    "list_images": "cvbow.images",
    "locate": "cvbow.localization",
    "make_classifier": "cvbow.classify",
    "make_model": "cvbow.presets",
    "match_images": "cvbow.matching",
    "read_image": "cvbow.images",
    "read_objects": "cvbow.annotations",
    "reporting": "cvbow.progress",
    "tune": "cvbow.tuning",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'cvbow' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
