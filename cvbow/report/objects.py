"""Pictures of objects: boxes in the colours of their classes, with labels and a legend."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.annotations import Objects, iou
from cvbow.images import natural_key
from cvbow.images.palette import BLUE, DARK, GREEN, ORANGE, PINK, SKY, SOFT, VERMILLION, YELLOW
from cvbow.images.pixels import Color
from cvbow.report._canvas import Picture, blank, display, fit_text, put_text, text_height, text_width, write_picture

#: Box that an image is fitted into, in pixels, and how many times it is enlarged at most.
BOX, ENLARGED = (960, 720), 4.0
#: By class, in turn; those that differ most come first.
_COLORS = (ORANGE, SKY, VERMILLION, GREEN, YELLOW, PINK, BLUE)
_MARKED: Color = (255, 255, 255)
_DASH = 8
_MARGIN, _GAP = 16, 12
_TITLE, _TEXT, _LABEL = 20, 15, 14
#: A legend, or a title, has at least so much room.
_LEAST_WIDTH = 320
#: Width that several pictures have room in.
_WHOLE = 2000


def draw_objects(
    image: NDArray[np.uint8],
    objects: Objects,
    *,
    name: str = "",
    truth: Objects | None = None,
    classes: Sequence[str] | None = None,
) -> NDArray[np.uint8]:
    """Draw an image with its objects and what their colours mean.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
    objects : Objects
    name : str, default ""
        What to call the image.
    truth : Objects, optional
        What was marked on it, drawn in white dashes.
    classes : sequence of str, optional
        All that have a colour, so that it is the same in several pictures; those of the objects if None.

    Returns
    -------
    ndarray of shape (H', W', 3), uint8
        RGB: the image, at most 960 x 720 pixels, with a box for each object that is on it, the best on top, and a label
        with its class, and with its score where one is not 1; above it, how many there are of each class.
    """
    shown = overlay_objects(image, objects, truth=truth, classes=classes)
    height, width = shown.shape[:2]
    whole = max(width, _LEAST_WIDTH)
    colors = _colors(objects, classes)
    counted = [(colors[label], f"{np.sum(objects.classes == label)} {label}") for label in objects.labels]
    entries = [(color, fit_text(text, whole - 30, _TEXT)) for color, text in counted]
    if truth is not None:
        entries.append((_MARKED, f"{len(truth)} marked"))
    rows = _rows([30 + text_width(text, _TEXT) for _, text in entries], whole)
    line = text_height(_TEXT) + 6
    top = _MARGIN + text_height(_TITLE) + 4 + line * (1 + max(rows, default=(0, 0))[0]) + 4
    canvas = blank(2 * _MARGIN + whole, top + height + _MARGIN)
    many = "1 object" if len(objects) == 1 else f"{len(objects)} objects"
    put_text(canvas, [(_MARGIN, _MARGIN - 4, fit_text(f"{name}: {many}" if name else many, whole, _TITLE))], _TITLE)
    start = _MARGIN + text_height(_TITLE) + 4
    for (color, text), (row, x) in zip(entries, rows, strict=True):
        _swatch(canvas, color, _MARGIN + x, start + row * line + text_height(_TEXT) / 2)
        put_text(canvas, [(_MARGIN + x + 30, start + row * line, text)], _TEXT, SOFT)
    canvas[top : top + height, _MARGIN : _MARGIN + width] = shown
    return canvas


def overlay_objects(
    image: NDArray[np.uint8],
    objects: Objects,
    *,
    truth: Objects | None = None,
    classes: Sequence[str] | None = None,
    box: tuple[int, int] = BOX,
) -> NDArray[np.uint8]:
    """Return the image alone with the boxes and labels of ``draw_objects``, fitted into a width and height.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
    objects, truth, classes
        As for ``draw_objects``.
    box : (width, height), default (960, 720)
    """
    pixels, matrix = display(image, *box, enlarge=ENLARGED)
    picture = Picture(pixels)
    colors = _colors(objects, classes)
    order = np.argsort(objects.scores, kind="stable")
    frames = _frames(objects.boxes, matrix, pixels.shape)
    for row in order:
        if frames[row] is not None:
            ends = _sides(frames[row], dashed=bool(objects.ignored[row]))
            picture.lines(ends, colors[str(objects.classes[row])], width=2)
    if truth is not None:
        for frame in _frames(truth.boxes, matrix, pixels.shape):
            if frame is not None:
                picture.lines(_sides(frame, dashed=True), _MARKED)
    told = (objects.scores != 1).any()
    taken: list[list[float]] = []
    for row in order[::-1]:
        frame = frames[row]
        if frame is not None:
            label = str(objects.classes[row])
            text = f"{label} {objects.scores[row]:.2f}" if told else label
            _put_label(pixels, text, frame, colors[label], taken)
    return pixels


def write_objects_picture(path: str | os.PathLike[str], drawn: Sequence[NDArray[np.uint8]]) -> None:
    """Write what ``draw_objects`` drew, one or more pictures (H, W, 3), as a PNG file, whole or not at all.

    They stand beside each other in rows of up to 2000 pixels.
    """
    places = _rows([part.shape[1] for part in drawn], _WHOLE, gap=0)
    heights = [0] * (1 + places[-1][0])
    for part, (row, _) in zip(drawn, places, strict=True):
        heights[row] = max(heights[row], len(part))
    canvas = blank(max(x + part.shape[1] for part, (_, x) in zip(drawn, places, strict=True)), sum(heights))
    for part, (row, x) in zip(drawn, places, strict=True):
        y = sum(heights[:row])
        canvas[y : y + len(part), x : x + part.shape[1]] = part
    write_picture(path, canvas)


def _colors(objects: Objects, classes: Sequence[str] | None) -> dict[str, Color]:
    known = dict.fromkeys(() if classes is None else classes)
    known |= dict.fromkeys(sorted(set(objects.labels) - known.keys(), key=natural_key))
    return {label: _COLORS[place % len(_COLORS)] for place, label in enumerate(known)}


def _frames(
    boxes: NDArray[np.float64], matrix: NDArray[np.float64], shape: tuple[int, ...]
) -> list[NDArray[np.float64] | None]:
    """Return the boxes as they are drawn, inside of the picture: None for one that lies outside."""
    height, width = shape[:2]
    # A box's edge at i lies before pixel i, whose centre is drawn at i.
    scale = np.array([matrix[0, 0], matrix[1, 1]] * 2)
    placed = np.rint(boxes * scale - 0.5)  # whole pixels make sharp lines
    inside = np.clip(placed, 1, np.maximum([width - 2, height - 2] * 2, 1))
    seen = (boxes[:, 2:] > 0).all(axis=1) & (placed[:, :2] < [width, height]).all(axis=1)
    return [frame if shown else None for frame, shown in zip(inside, seen, strict=True)]


def _sides(frame: NDArray[np.float64] | None, *, dashed: bool) -> NDArray[np.float64]:
    """Return the segments (n, 2, 2) of a box's four sides."""
    left, top, right, bottom = np.zeros(4) if frame is None else frame
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    ends = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
    if not dashed:
        return ends
    parts = []
    for first, last in ends:
        n = max(1, round(float(np.abs(last - first).max()) / (2 * _DASH)))
        at = np.stack([np.arange(n), np.arange(n) + 0.5], axis=1)[..., None] / n
        parts.append(first + at * (last - first))
    return np.concatenate(parts)


def _put_label(
    pixels: NDArray[np.uint8], text: str, frame: NDArray[np.float64], color: Color, taken: list[list[float]]
) -> None:
    """Write a label where it hides no other, if there is such a place: above the box, inside of it, or below."""
    rows, columns = pixels.shape[:2]
    text = fit_text(text, columns - 6, _LABEL)
    width, height = text_width(text, _LABEL) + 6, text_height(_LABEL) + 2
    if not text or height > rows:
        return
    x = float(np.clip(frame[0] - 1, 0, columns - width))
    tops = (frame[1] - height - 1, frame[1] + 1, frame[3] - height - 1, frame[3] + 1)
    places = [[x, y, x + width, y + height] for y in np.clip(tops, 0, rows - height).tolist()]
    free = [place for place in places if not taken or not iou([place], taken).any()]
    place = (free or places)[0]
    taken.append(place)
    left, top = round(place[0]), round(place[1])
    pixels[top : top + height, left : left + width] = color
    bright = np.dot(color, (0.299, 0.587, 0.114)) > 128
    put_text(pixels, [(left + 3, top, text)], _LABEL, DARK if bright else _MARKED)


def _rows(widths: Sequence[int], room: int, *, gap: int = 2 * _GAP) -> list[tuple[int, int]]:
    """Return the row and the x of things that follow each other in rows of some width."""
    places: list[tuple[int, int]] = []
    row = x = 0
    for width in widths:
        if x and x + width > room:
            row, x = row + 1, 0
        places.append((row, x))
        x += width + gap
    return places


def _swatch(canvas: NDArray[np.uint8], color: Color, x: int, middle: float) -> None:
    frame = np.array([x + 4, middle - 6, x + 22, middle + 6])
    Picture(canvas).lines(_sides(frame, dashed=color == _MARKED), color, width=1 if color == _MARKED else 2)
