"""Thumbnails of answers that are worth looking at."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError
from cvbow.images import read_image
from cvbow.report._html import figure, isolate, percent

#: Wrong labels of a kind that are named with an image, and wrong labels that are explained.
_SAID, _ASKED = 4, 3
#: Longest side of a thumbnail, in pixels.
SIDE = 128


class Shown(ABC):
    """An image with an answer: where it is read, and what it is called.

    The anchor is where on the page more is said of it; empty for nowhere.
    """

    path: str | os.PathLike[str]
    shown_path: str
    anchor: str

    @property
    @abstractmethod
    def said(self) -> str:
        """The answer as HTML."""

    @property
    @abstractmethod
    def spoken(self) -> str:
        """The answer for those who do not see the image, as text."""

    @property
    @abstractmethod
    def in_question(self) -> tuple[str, ...]:
        """The classes whose scores tell why it was answered so."""


@dataclass(frozen=True)
class Answered(Shown):
    """One answer: the class of its image, the answer and the answer's probability."""

    path: str | os.PathLike[str]
    shown_path: str
    truth: str
    answer: str
    confidence: float
    anchor: str = ""

    @property
    def said(self) -> str:
        truth = isolate(self.truth)
        if self.truth == self.answer:
            said = f'<span class="right">{truth}</span>'
        else:
            said = f'{truth} → <span class="wrong">{isolate(self.answer)}</span>'
        return f"{said} {percent(self.confidence)}"

    @property
    def spoken(self) -> str:
        is_right = self.truth == self.answer
        return f"{self.truth}, {'rightly answered' if is_right else f'taken for {self.answer}'}"

    @property
    def in_question(self) -> tuple[str, ...]:
        return self.answer, self.truth


@dataclass(frozen=True)
class AnsweredLabels(Shown):
    """The labels that an image was given: those that it has, those that it has not, and those that were missed.

    Of the wrong ones the probabilities are known, the surest mistakes first.
    """

    path: str | os.PathLike[str]
    shown_path: str
    right: tuple[str, ...]
    false: dict[str, float]
    missed: dict[str, float]
    anchor: str = ""

    @property
    def said(self) -> str:
        right = ", ".join(f'<span class="right">{isolate(name)}</span>' for name in self.right)
        parts = [right] * bool(self.right)
        for what, names in (("missed", self.missed), ("false", self.false)):
            wrong = [f'<span class="wrong">{isolate(name)}</span> {percent(p)}' for name, p in names.items()]
            more = f" and {len(wrong) - _SAID} more" * (len(wrong) > _SAID)
            parts += [f"{what} {', '.join(wrong[:_SAID])}{more}"] * bool(names)
        return "; ".join(parts) or "no label, rightly"

    @property
    def spoken(self) -> str:
        parts = (("right", self.right), ("missed", self.missed), ("false", self.false))
        return "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names) or "no label"

    @property
    def in_question(self) -> tuple[str, ...]:
        sure = {name: 1 - p for name, p in self.missed.items()} | self.false
        return tuple(sorted(sure, key=lambda name: -sure[name])[:_ASKED])


def gallery(answers: Iterable[Shown], most: int) -> str:
    """Return figures of the first `most` images that can still be read; empty when there is none."""
    figures: list[str] = []
    for answered in answers:
        if len(figures) == most:
            break
        try:
            pixels = read_image(answered.path)
        except (ImageError, FileNotFoundError):
            # It could be read when the model answered, and has gone since.
            continue
        figures.append(_figure(answered, thumbnail(pixels)))
    return f'<div class="gallery">\n{"".join(figures)}\n</div>' if figures else ""


def _figure(answered: Shown, image: Any) -> str:
    return figure(image, answered.spoken, answered.said, answered.shown_path, answered.anchor)


def thumbnail(pixels: NDArray[np.uint8]) -> Any:
    """Return a Pillow image of at most SIDE pixels a side."""
    from PIL import Image

    image = Image.fromarray(pixels)
    longest = max(image.size)
    if longest > SIDE:
        width, height = (max(1, round(side * SIDE / longest)) for side in image.size)
        return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    # The pixels of a digit of 8 x 8 are what there is to see.
    times = SIDE // longest
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
