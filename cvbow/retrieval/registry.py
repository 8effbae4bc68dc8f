"""Describers by name."""

from __future__ import annotations

from cvbow.registry import Registry
from cvbow.retrieval.describer import Describer
from cvbow.retrieval.image_vectors import ImageVectors
from cvbow.retrieval.visual_words import VisualWords

#: Every describer.
DESCRIBERS: Registry[type[Describer]] = Registry(
    "describer",
    Describer,
    {"words": VisualWords, "vectors": ImageVectors},
    defines=("fit", "layout", "describe", "scorer", "fingerprint"),
)
