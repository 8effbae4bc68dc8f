"""Thumbnails of answers that are worth looking at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError
from cvbow.images import read_image
from cvbow.report._html import figure, isolate, percent

#: Longest side of a thumbnail, in pixels.
SIDE = 128


@dataclass(frozen=True)
class Answered:
    """One answer: where its image is read and what it is called, its class, the answer and the answer's probability.

    The anchor is where on the page more is said of it; empty for nowhere.
    """

    path: str | os.PathLike[str]
    shown_path: str
    truth: str
    answer: str
    confidence: float
    anchor: str = ""


def gallery(answers: Iterable[Answered], most: int) -> str:
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
        figures.append(_figure(answered, _thumbnail(pixels)))
    return f'<div class="gallery">\n{"".join(figures)}\n</div>' if figures else ""


def said_of(answered: Answered) -> str:
    """Return an answer as HTML: its class, what it was taken for, and how sure the model was."""
    truth = isolate(answered.truth)
    if answered.truth == answered.answer:
        said = f'<span class="right">{truth}</span>'
    else:
        said = f'{truth} → <span class="wrong">{isolate(answered.answer)}</span>'
    return f"{said} {percent(answered.confidence)}"


def _figure(answered: Answered, thumbnail: Any) -> str:
    is_right = answered.truth == answered.answer
    spoken = f"{answered.truth}, {'rightly answered' if is_right else f'taken for {answered.answer}'}"
    return figure(thumbnail, spoken, said_of(answered), answered.shown_path, answered.anchor)


def _thumbnail(pixels: NDArray[np.uint8]) -> Any:
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
