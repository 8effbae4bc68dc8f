"""Two images: putative matches, the geometry that they agree on, and how good both are."""

from cvbow.matching.geometry import Geometry, estimate_geometry
from cvbow.matching.match import MatchResult, match_features, match_images
from cvbow.matching.measures import (
    common_points,
    corner_error,
    matching_accuracy,
    matching_score,
    repeatability,
    transfer_errors,
)
from cvbow.matching.models import MODELS, geometry_errors, transform_points
from cvbow.matching.putative import putative_matches

__all__ = [
    "MODELS",
    "Geometry",
    "MatchResult",
    "common_points",
    "corner_error",
    "estimate_geometry",
    "geometry_errors",
    "match_features",
    "match_images",
    "matching_accuracy",
    "matching_score",
    "putative_matches",
    "repeatability",
    "transfer_errors",
    "transform_points",
]
