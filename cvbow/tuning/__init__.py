"""The search for a better recipe: more accurate, faster and smaller ones than the presets, for the images at hand."""

from cvbow.tuning.evaluation import Outcome
from cvbow.tuning.search import SAMPLERS, Tuning, is_storage, tune

__all__ = ["SAMPLERS", "Outcome", "Tuning", "is_storage", "tune"]
