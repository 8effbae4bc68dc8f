"""Heat in colours that a colour-blind person tells apart: vermillion for, blue against, over a pale image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.explanation import Explanation
from cvbow.explanation.heat_colors import colored, densities, full_color, pale
from cvbow.images import from_gray, to_gray
from cvbow.report._canvas import display
from cvbow.report._html import data, isolate, picture


def draw_heat(
    image: NDArray[np.uint8], values: NDArray[np.float64], full: float, box: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return values (H, W) as colours over an image of their size, RGB, at the size that fits into a box."""
    gray = from_gray(to_gray(image, floats=False), floats=False)
    shown, _ = display(gray, *box)
    rows, columns = (
        np.clip((np.arange(n) + 0.5) * of / n, 0, of - 1).astype(np.intp)
        for n, of in zip(shown.shape[:2], values.shape, strict=True)
    )
    return colored(pale(shown), values[np.ix_(rows, columns)] / (full or 1))


def heat_maps(image: NDArray[np.uint8], explained: Sequence[Explanation], side: int) -> str:
    """Return HTML of an image, (H, W) or (H, W, 3), and beside it its heat for each class, with one scale for all."""
    pictures, full = heat_pictures(image, explained, side)
    parts = [f"<div>{picture(pictures[0], 'the image')}<p>the image</p></div>"]
    for why, drawn in zip(explained, pictures[1:], strict=True):
        against = "" if why.against is None else f", not {isolate(why.against)}"
        shown = picture(drawn, f"heat for {why.class_name}")
        parts.append(f"<div>{shown}<p>{isolate(why.class_name)}{against}: {signed(why.score)}</p></div>")
    return f'<div class="maps" style="--columns:{len(parts)}">\n{"".join(parts)}\n</div>\n{scale(full)}'


def heat_pictures(image: NDArray[np.uint8], explained: Sequence[Explanation], side: int) -> tuple[list[Any], float]:
    """Return Pillow images of an image and of its heat for each class, and the value of the full colour in all."""
    from PIL import Image

    box = (side, side)
    maps = [densities(why.heat) for why in explained]
    full = full_color(*maps)
    drawn = [display(image, *box)[0], *(draw_heat(image, values, full, box) for values in maps)]
    return [Image.fromarray(pixels) for pixels in drawn], full


def scale(full: float) -> str:
    """Return HTML that says which values the colours are, up to the full one."""
    if not full:
        return '<p class="hint">Nothing was found in it.</p>'
    return (
        f'<p class="scale"><span>{signed(-full, ".2g")}</span><span class="bar"></span><span>{signed(full, ".2g")}'
        "</span> <span>score of 1\u202f% of the area</span></p>"
    )


def signed(value: float, form: str = ".3g") -> str:
    """Return a number with its sign, as HTML."""
    return data(value, f"{value:+{form}}".replace("-", "\u2212"))
