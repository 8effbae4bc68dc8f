"""Why a model answers as it does: the points, the words and the pixels that its scores are the sums of."""

from cvbow.explanation._explain import explain, explanations, explanations_of, shown_image
from cvbow.explanation._explanation import Explanation, WordShare
from cvbow.explanation.heat_file import heat_file
from cvbow.explanation.recognition import ClassReasons, MeanWord, Recognition
from cvbow.explanation.shares import ScoreShares, score_shares, wanted_classes
from cvbow.explanation.words import WordGallery, WordPatch, WordUse, word_gallery

__all__ = [
    "ClassReasons",
    "Explanation",
    "MeanWord",
    "Recognition",
    "ScoreShares",
    "WordGallery",
    "WordPatch",
    "WordShare",
    "WordUse",
    "explain",
    "explanations",
    "explanations_of",
    "heat_file",
    "score_shares",
    "shown_image",
    "wanted_classes",
    "word_gallery",
]
