"""The picture of an explanation: the image, what in it speaks for the class and against, and the words that count."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbow.explanation import Explanation, WordShare
from cvbow.explanation.heat_colors import colored, densities, full_color
from cvbow.images.palette import BLUE, DARK, SOFT, VERMILLION
from cvbow.report._canvas import Picture, blank, display, fit_text, put_text, text_height, text_width, write_picture
from cvbow.report._heat import draw_heat

#: Box that the image, and its heat beside it, is fitted into, in pixels.
BOX = (420, 420)
#: Words that are shown, of those for the class and of those against it, and patches of each.
N_WORDS, N_PATCHES = 6, 6
_MARGIN, _GAP = 16, 16
_TITLE, _TEXT = 20, 15
_PATCH = 44
#: Side of a training image's thumbnail.
_NEAR = 64
_BAR = 18
#: Gray of the line around an image.
_LINE = 205

Word = TypeVar("Word", bound=WordShare)


def draw_explanation(image: NDArray[np.uint8], why: Explanation) -> NDArray[np.uint8]:
    """Draw an image with the reasons for its score.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        The image that was explained, of the size of its heat.
    why : Explanation

    Returns
    -------
    ndarray of shape (H', W', 3), uint8
        RGB: the image; beside it, over a pale image, vermillion where it speaks for the class and blue where against
        it, with a scale in units of the score; and the words that gave most, each with its patches.

    Raises
    ------
    ValueError
        If the image has another size than the heat.
    """
    if image.shape[:2] != why.heat.shape:
        raise ValueError(f"image must have the height and width of the heat, {why.heat.shape}, got {image.shape[:2]}")
    density = densities(why.heat)
    full = full_color(density)
    shown, _ = display(image, *BOX)
    height, width = shown.shape[:2]
    scale = [(f"{sign}{full:.2g}", place) for sign, place in (("+", 0.0), ("-", 1.0))] if full else []
    side = max([text_width(text, _TEXT) for text, _ in scale], default=0) + _BAR + 6
    line = text_height(_TEXT) + 4
    top = _MARGIN + text_height(_TITLE) + 6 + 2 * line + 6
    words = [part for part in (telling_words(why.words, True), telling_words(why.words, False)) if part]
    row = _PATCH + line + 8
    whole = max(2 * width + 2 * _GAP + side, 2 * _column() + _GAP)
    n_columns = (whole + _GAP) // (_column() + _GAP)
    below = sum(line + 6 + row * -(-len(part) // n_columns) for part in words)
    below += (2 * line + 6 + _NEAR + _GAP) if why.nearest else 0
    canvas = blank(2 * _MARGIN + whole, top + height + _GAP + below)
    put_text(canvas, [(_MARGIN, _MARGIN - 4, fit_text(_verdict(why), whole, _TITLE))], _TITLE)
    put_text(canvas, [(_MARGIN, top - 2 * line - 8, fit_text(_sum(why), whole, _TEXT))], _TEXT, SOFT)
    x = _MARGIN + width + _GAP
    put_text(canvas, [(_MARGIN, top - line - 2, fit_text(why.path or "image", width, _TEXT))], _TEXT, DARK)
    told = f"orange for {why.class_name}, blue against: score of 1 % of the area"
    what = told if full else "nothing was found in it"
    put_text(canvas, [(x, top - line - 2, fit_text(what, whole - width - _GAP, _TEXT))], _TEXT, DARK)
    _frame(canvas, _MARGIN, top, shown)
    _frame(canvas, x, top, draw_heat(image, density, full, BOX))
    if scale:
        bar = np.linspace(1, -1, height)[:, None].repeat(_BAR, axis=1)
        canvas[top : top + height, x + width + _GAP : x + width + _GAP + _BAR] = colored(blank(_BAR, height), bar)
        at = [(x + width + _GAP + _BAR + 6, round(top + (height - line) * place), text) for text, place in scale]
        put_text(canvas, at, _TEXT, SOFT)
    y = top + height + _GAP
    for part, title in zip(words, _titles(why), strict=False):
        put_text(canvas, [(_MARGIN, y, fit_text(title, whole, _TEXT))], _TEXT, DARK)
        y += line + 6
        for number, word in enumerate(part):
            x = _MARGIN + (number % n_columns) * (_column() + _GAP)
            _draw_word(canvas, image, word, x, y + row * (number // n_columns))
        y += row * -(-len(part) // n_columns)
    if why.nearest:
        put_text(canvas, [(_MARGIN, y, "Nearest training images")], _TEXT, DARK)
        y += line + 6
        for number, near in enumerate(why.nearest[: (whole + _GAP) // (2 * _NEAR + _GAP)]):
            x = _MARGIN + number * (2 * _NEAR + _GAP)
            canvas[y : y + _NEAR, x : x + _NEAR] = near.thumbnail
            text = fit_text(f"{near.class_name} {near.distance:.2g}", 2 * _NEAR, _TEXT)
            put_text(canvas, [(x, y + _NEAR + 2, text)], _TEXT, SOFT)
    return canvas


def write_explanation_picture(
    path: str | os.PathLike[str], explained: Sequence[tuple[NDArray[np.uint8], Explanation]]
) -> None:
    """Write what ``draw_explanation`` draws for images and explanations, one below the other, as a PNG file."""
    parts = [draw_explanation(image, why) for image, why in explained]
    canvas = blank(max(part.shape[1] for part in parts), sum(len(part) for part in parts))
    y = 0
    for part in parts:
        canvas[y : y + len(part), : part.shape[1]] = part
        y += len(part)
    write_picture(path, canvas)


def _column() -> int:
    """Width of a word with its patches."""
    return N_PATCHES * (_PATCH + 4)


def telling_words(words: Sequence[Word], of_class: bool) -> list[Word]:
    """Return the words, of those by falling share, that gave most to the class, or took most from it."""
    if of_class:
        return [word for word in words[:N_WORDS] if word.share > 0]
    return [word for word in words[: -N_WORDS - 1 : -1] if word.share < 0]


def _titles(why: Explanation) -> list[str]:
    titles = [f"Words that speak for {why.class_name}", f"Words that speak against {why.class_name}"]
    return [title for title, of_class in zip(titles, (True, False), strict=True) if telling_words(why.words, of_class)]


def _verdict(why: Explanation) -> str:
    against = "" if why.against is None else f", and not {why.against}"
    return f"Why {why.class_name}{against}: {why.score:+.3f}"


def _sum(why: Explanation) -> str:
    parts = f"{why.heat_sum:+.3f} from the image, {why.bias:+.3f} from the model alone"
    if abs(why.remainder) >= 0.0005:
        parts += f", {why.remainder:+.3f} not shared out"
    how = {"exact": "", "mean gradient": " (by the mean gradient)", "leaving out": " (by leaving parts out)"}
    return f"Score {why.score:+.3f} = {parts}{how[why.method]}"


def _draw_word(canvas: NDArray[np.uint8], image: NDArray[np.uint8], word: WordShare, x: int, y: int) -> None:
    points = "1 point" if word.n_points == 1 else f"{word.n_points} points"
    text = fit_text(f"{word.name}: {word.share:+.3g}, {points}", _column(), _TEXT)
    put_text(canvas, [(x, y, text)], _TEXT, SOFT)
    y += text_height(_TEXT) + 4
    color = VERMILLION if word.share > 0 else BLUE
    for left, top, right, bottom in word.boxes[:N_PATCHES]:
        patch, _ = display(image[top:bottom, left:right], _PATCH, _PATCH)
        _frame(canvas, x, y, patch)
        x += _PATCH + 4
    if len(word.boxes):
        start = x - (_PATCH + 4) * min(len(word.boxes), N_PATCHES)
        Picture(canvas).lines([[[start, y + _PATCH + 2], [x - 4, y + _PATCH + 2]]], color, width=2, rim=False)


def _frame(canvas: NDArray[np.uint8], x: int, y: int, pixels: NDArray[np.uint8]) -> None:
    """Put pixels onto the canvas, with a line around them, so that a white image ends somewhere."""
    height, width = pixels.shape[:2]
    canvas[y - 1 : y + height + 1, x - 1 : x + width + 1] = _LINE
    canvas[y : y + height, x : x + width] = pixels
