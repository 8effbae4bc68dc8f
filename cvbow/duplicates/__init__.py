"""The same picture again: near-duplicates in an index of images."""

from cvbow.duplicates.finding import (
    MAX_DIFFERENCE,
    MIN_OVERLAP,
    MIN_PART_SCORE,
    MIN_SCORE,
    DuplicateGroup,
    DuplicatePair,
    Duplicates,
    find_duplicates,
)

__all__ = [
    "MAX_DIFFERENCE",
    "MIN_OVERLAP",
    "MIN_PART_SCORE",
    "MIN_SCORE",
    "DuplicateGroup",
    "DuplicatePair",
    "Duplicates",
    "find_duplicates",
]
