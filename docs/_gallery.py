"""The order of the gallery, from the first question that one has to the last, and what is in force for its scripts."""

from __future__ import annotations

import warnings
from typing import Any

SCRIPTS = (
    "words_of_digits",
    "what_stages_see",
    "train_judge_explain",
    "learned_stamp",
    "match_and_stitch",
    "find_the_cover",
    "duplicates",
    "augment",
    "compare_with_network",
    "own_detector",
    "tune_recipe",
    "locate_and_segment",
)


class Order:
    """What sphinx-gallery sorts the files of a folder by."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> int:
        """Return the place of a file."""
        return SCRIPTS.index(name.removesuffix(".py"))


def no_warnings(configuration: dict[str, Any], script: str) -> None:
    """Make every warning an error, in the process that is about to run a script."""
    warnings.simplefilter("error")
