"""The order of the gallery: from the first question that one has to the last."""

from __future__ import annotations

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
