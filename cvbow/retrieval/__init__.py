"""Finding the same thing in many images: describers, scorers, geometric verification, ranking measures."""

from cvbow.retrieval.describer import ArraySpec, Box, Describer, Scorer, Segment, check_box
from cvbow.retrieval.ground_truth import (
    GroundTruth,
    Query,
    groups_by_number,
    read_ground_truth,
    read_groups,
    read_oxford,
    read_pairs,
)
from cvbow.retrieval.hamming_embedding import HammingEmbedding, hamming_distances
from cvbow.retrieval.image_vectors import ImageVectors
from cvbow.retrieval.quantized import local_words_layout, quantize, stored_points
from cvbow.retrieval.ranking import DEFINITIONS, Ranking
from cvbow.retrieval.registry import DESCRIBERS
from cvbow.retrieval.verification import VERIFICATION_MODELS, Verification, verify
from cvbow.retrieval.visual_words import VisualWords

__all__ = [
    "DEFINITIONS",
    "DESCRIBERS",
    "VERIFICATION_MODELS",
    "ArraySpec",
    "Box",
    "Describer",
    "GroundTruth",
    "HammingEmbedding",
    "ImageVectors",
    "Query",
    "Ranking",
    "Scorer",
    "Segment",
    "Verification",
    "VisualWords",
    "check_box",
    "groups_by_number",
    "hamming_distances",
    "local_words_layout",
    "quantize",
    "read_ground_truth",
    "read_groups",
    "read_oxford",
    "read_pairs",
    "stored_points",
    "verify",
]
