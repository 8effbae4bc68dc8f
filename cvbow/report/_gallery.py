"""Thumbnails of answers that are worth looking at."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError
from cvbow.images import read_image
from cvbow.report._html import breakable, escape, isolate, percent

__all__ = ["Answered", "gallery"]

#: Longest side of a thumbnail, in pixels.
SIDE = 128


@dataclass(frozen=True)
class Answered:
    """One answer: which image, what it is, what it was taken for, and how surely.

    Attributes
    ----------
    path : path
        Where the image is read.
    shown_path : str
        What it is called on the page.
    truth, answer : str
    confidence : float
        Probability that the classifier gave its answer.
    """

    path: str | os.PathLike[str]
    shown_path: str
    truth: str
    answer: str
    confidence: float


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


def _figure(answered: Answered, thumbnail: tuple[str, int, int]) -> str:
    data, width, height = thumbnail
    truth, answer = isolate(answered.truth), isolate(answered.answer)
    if answered.truth == answered.answer:
        said = f'<span class="right">{truth}</span>'
        spoken = f"{escape(answered.truth)}, rightly answered"
    else:
        said = f'{truth} → <span class="wrong">{answer}</span>'
        spoken = f"{escape(answered.truth)}, taken for {escape(answered.answer)}"
    return f"""<figure>
<div class="frame"><img src="data:image/jpeg;base64,{data}" width="{width}" height="{height}" alt="{spoken}"></div>
<figcaption>{said} {percent(answered.confidence)}
<span class="path">{breakable(answered.shown_path)}</span></figcaption>
</figure>
"""


def _thumbnail(pixels: NDArray[np.uint8]) -> tuple[str, int, int]:
    """Return a JPEG of at most SIDE pixels a side as base64, and its width and height."""
    from PIL import Image

    image = Image.fromarray(pixels)
    longest = max(image.size)
    if longest > SIDE:
        width, height = (max(1, round(side * SIDE / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    elif longest <= SIDE // 2:
        # The pixels of a digit of 8 x 8 are what there is to see.
        times = SIDE // longest
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode("ascii"), image.width, image.height
