"""The page of images that a person is to label next: what the model would answer, and what else it could be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvbow.classify import ImageClassifier, ImagesToLabel
from cvbow.report._gallery import Shown, gallery
from cvbow.report._html import count, isolate, page, percent, section, write_page
from cvbow.report._judged import GONE, below, common_folder, figures, skipped_files

#: Classes that are named with an image.
_SAID = 3
_HOW = (
    "<p>The first ones would teach the most. Of images that are alike one comes early and the others late. The classes "
    "are those that the model takes for the most probable; none of them need be right.</p>"
)


@dataclass(frozen=True)
class _Guessed(Shown):
    """An image, and the most probable classes."""

    path: str | os.PathLike[str]
    shown_path: str
    guesses: tuple[tuple[str, float], ...]
    anchor: str = ""

    @property
    def said(self) -> str:
        return "; ".join(f"{isolate(name)} {percent(share)}" for name, share in self.guesses)

    @property
    def spoken(self) -> str:
        return "perhaps " + " or ".join(name for name, _ in self.guesses)

    @property
    def in_question(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.guesses)


def write_to_label_page(
    path: str | os.PathLike[str],
    *,
    model: ImageClassifier,
    chosen: ImagesToLabel,
    paths: Sequence[Path],
    title: str,
    most: int = 400,
) -> None:
    """Write the images to label as one HTML page that needs no other file and no network.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    model : ImageClassifier
        Whose answers are in question.
    chosen : ImagesToLabel
        Its ``rows`` are positions in `paths`.
    paths : sequence of paths
        The images that were chosen from.
    title : str
        Heading of the page.
    most : int, default 400
        Images that are shown, at most.

    Raises
    ------
    ValueError
        If the path does not end in .html or .htm.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder of `path` is missing or read-only, or `path` is a folder.
    """
    names = [str(name) for name in model.classes_]
    base = common_folder(paths)
    shown = []
    for row, probabilities in zip(chosen.rows, chosen.probabilities, strict=True):
        best = (-probabilities).argsort(kind="stable")[:_SAID]
        guesses = tuple((names[at], float(probabilities[at])) for at in best)
        shown.append(_Guessed(paths[row], below(str(paths[row]), base), guesses))
    numbers = [("To label", count(len(shown)), ""), ("Chosen from", count(len(paths)), "images")]
    content = gallery(shown, most) or GONE
    more = f"\n<p>The first {count(most)}; --csv lists them all.</p>" if len(shown) > most else ""
    sections = [section("images", "Images", _HOW + more + content)]
    sections.append(section("skipped", "Skipped files", skipped_files(chosen.skipped, base)))
    write_page(path, page(title, figures(numbers), sections))
