"""The gallery: the order of its scripts, what is in force for them, and what comes first on their pages."""

from __future__ import annotations

import re
import warnings
from typing import Any

#: From the first question that one has to the last.
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


def picture_first(text: str) -> str:
    """Return the text of a script's page with its first picture before its code."""
    picture = re.search(r"^\.\. image-sg::.*\n(?:   .*\n)+", text, re.MULTILINE)
    if picture is None:
        return text
    code = text.index(".. GENERATED FROM PYTHON SOURCE")
    return f"{text[:code]}{picture[0]}\n{text[code : picture.start()]}{text[picture.end() :]}"
