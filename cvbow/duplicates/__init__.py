"""The same picture again: near-duplicates among files, or in an index of images."""

from cvbow.duplicates._search import COLORS, MAX_DIFFERENCE, MIN_OVERLAP, MIN_PART_SCORE, MIN_SCORE
from cvbow.duplicates.finding import find_copies, find_duplicates
from cvbow.duplicates.found import DuplicateGroup, DuplicatePair, Duplicates

__all__ = [
    "COLORS",
    "MAX_DIFFERENCE",
    "MIN_OVERLAP",
    "MIN_PART_SCORE",
    "MIN_SCORE",
    "DuplicateGroup",
    "DuplicatePair",
    "Duplicates",
    "find_copies",
    "find_duplicates",
]
