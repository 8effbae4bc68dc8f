"""What a picture shows of an index's image: pixels, or why there are none, and marks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.errors import ImageError
from cvbow.images import read_image
from cvbow.images.palette import SKY, SOFT, VERMILLION, YELLOW
from cvbow.index import ImageIndex, Result
from cvbow.matching import transform_points
from cvbow.report._canvas import Picture, display, draw_frame, put_text, text_height, text_width, wrap_text
from cvbow.report._html import escape, figure
from cvbow.retrieval import Box, check_box
from cvbow.tables import counted

_TEXT = 15
#: Side of the square that an image of a page is fitted into.
_ON_PAGE = 320
_PLACEHOLDER = (236, 238, 241)
#: Of several dots in a square of this side, in pixels, one is drawn.
_CELL = 9
_NO_POINTS = np.empty((0, 2))
#: The part of a query that is not searched for keeps this share of its colours.
_FADED = 0.45


@dataclass(frozen=True)
class Panel:
    """An image and what is drawn on it.

    Attributes
    ----------
    name : str
    image : ndarray of shape (H, W) or (H, W, 3), uint8, or None
    problem : str
        Why there is no image, or why nothing is drawn on it; may be empty.
    points : ndarray of shape (m, 2)
        Places of features that agree with a map.
    frame : ndarray of shape (4, 2) or None
        Where the other image comes to lie: in a result the query, or its box, and in the query the best result.
        None where it comes to lie around all of this image.
    box : tuple of float or None
        The part of the query that was searched for.
    """

    name: str
    image: NDArray[np.uint8] | None
    problem: str = ""
    points: NDArray[np.float64] = field(default_factory=lambda: _NO_POINTS)
    frame: NDArray[np.float64] | None = None
    box: Box | None = None


def panels(
    index: ImageIndex,
    query: ImageLike,
    results: Sequence[Result],
    *,
    box: Box | None = None,
    name: str | None = None,
) -> tuple[Panel, list[Panel]]:
    """Return the panel of a query and those of its results."""
    shown, source, row = "query", query, None
    if isinstance(query, str | os.PathLike):
        shown = os.fspath(query)
        if query in index:
            row = index.row(query)
            if not os.path.lexists(query):
                source = index.file(row) or query
    image, problem = _read(source)
    size = _size(image) if row is None or image is not None else _described_size(index, row)
    if size is not None and box is not None:
        box = check_box(box, size)
    corners = None if size is None else _corners(box or (0, 0, *size))
    found = [_result_panel(index, result, corners) for result in results]
    frame = None
    #: Where the query's features are that agree with any result's map.
    used: list[NDArray[np.float32]] = []
    for result in results:
        verified = result.verification
        if verified is None or verified.matrix is None:
            continue
        used.append(verified.points[:, :2])
        other = _described_size(index, result.row)
        if frame is None and size is not None and other is not None:
            frame = _frame(np.asarray(np.linalg.inv(verified.matrix), np.float64), _corners((0, 0, *other)), size)
    points = np.unique(np.concatenate([np.empty((0, 2), np.float32), *used]).astype(np.float64), axis=0)
    return Panel(shown if name is None else name, image, problem, points, frame, box), found


def _result_panel(index: ImageIndex, result: Result, corners: NDArray[np.float64] | None) -> Panel:
    """Return a result's panel, with where the corners of the query, or of its box, come to lie."""
    shown = unmarked(result.path, result.file)
    size, then = _size(shown.image), _described_size(index, result.row)
    if size is not None and then is not None and size != then:
        return replace(shown, problem="changed since")
    if result.verification is None or result.verification.matrix is None:
        return shown
    frame = None if corners is None else _frame(result.verification.matrix, corners, size or (0, 0))
    return replace(shown, points=result.verification.points[:, 2:].astype(np.float64), frame=frame)


def _size(image: NDArray[np.uint8] | None) -> tuple[int, int] | None:
    return None if image is None else (image.shape[1], image.shape[0])


def _described_size(index: ImageIndex, row: int) -> tuple[int, int] | None:
    """Return the width and height that an image had when it was described, where the index keeps them."""
    size = index.describe(row).get("image_size")
    return None if size is None else (int(size[0]), int(size[1]))


def unmarked(name: str, file: str | None) -> Panel:
    """Return the panel of an image of an index with nothing drawn on it."""
    image, problem = (None, "known by name only") if file is None else _read(file)
    return Panel(name, image, problem)


def rendered(panel: Panel, width: int, height: int) -> NDArray[np.uint8]:
    """Return a panel's image with its marks, (H', W', 3), fitted into a box; where it has none, a card that says so."""
    if panel.image is None:
        return _card(panel.problem, width, min(height, round(0.75 * width)))
    pixels, to_pixels = display(panel.image, width, height)
    if panel.box is not None:
        _fade(pixels, transform_points(to_pixels, _corners(panel.box)))
    Picture(pixels).dots(_apart(transform_points(to_pixels, panel.points)), SKY, radius=1.5)
    if panel.frame is not None:
        draw_frame(pixels, transform_points(to_pixels, panel.frame), YELLOW, width=2)
    if panel.box is not None:
        draw_frame(pixels, transform_points(to_pixels, _corners(panel.box)), VERMILLION, width=2)
    return pixels


def panel_figure(panel: Panel, role: str, caption: str) -> str:
    """Return a panel as a figure of a page; the caption is HTML."""
    from PIL import Image

    pixels = rendered(panel, _ON_PAGE, _ON_PAGE)
    note = f' <span class="hint">{escape(panel.problem)}</span>' if panel.image is not None and panel.problem else ""
    return figure(Image.fromarray(pixels), f"{role}: {panel.name}", f"{caption}{note}", panel.name)


def said(result: Result) -> str:
    """Return a result's figures in words."""
    inliers = "" if result.n_inliers is None else f", {counted(result.n_inliers, 'inlier')}"
    return f"score {result.score:.3f}{inliers}"


def _read(source: ImageLike) -> tuple[NDArray[np.uint8] | None, str]:
    try:
        return read_image(source), ""
    except FileNotFoundError:
        return None, "the file is not there"
    except ImageError as error:
        return None, error.reason
    except OSError as error:
        return None, (error.strerror or "the file cannot be read").lower()


def _corners(box: Box) -> NDArray[np.float64]:
    """Return a box's corners as points, whose integers are pixel centres."""
    x, y, width, height = box
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]) - 0.5


def _frame(
    matrix: NDArray[np.float64], corners: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float64] | None:
    """Return mapped corners, or None where no edge between them runs through an image of this size."""
    frame = transform_points(matrix, corners)
    if not np.isfinite(frame).all():
        return None
    along = np.linspace(0, 1, 200)[:, None, None]
    edges = (1 - along) * frame + along * np.roll(frame, -1, axis=0)
    inside = np.all((edges >= -1) & (edges <= np.array(size)), axis=2)
    return frame if inside.any() else None


def _apart(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one point of each cell of a grid: dots that overlap hide what they are on."""
    _, first = np.unique((points // _CELL).astype(np.int64), axis=0, return_index=True)
    return points[np.sort(first)]


def _fade(pixels: NDArray[np.uint8], corners: NDArray[np.float64]) -> None:
    """Let what lies outside a box step back."""
    (left, top), (right, bottom) = np.rint(corners[0]).astype(int), np.rint(corners[2]).astype(int)
    inside = pixels[max(top, 0) : bottom + 1, max(left, 0) : right + 1].copy()
    pixels[:] = np.rint(255 + _FADED * (pixels.astype(np.float32) - 255)).astype(np.uint8)
    pixels[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = inside


def _card(text: str, width: int, height: int) -> NDArray[np.uint8]:
    card = np.full((height, width, 3), _PLACEHOLDER, np.uint8)
    lines = wrap_text(text, width - 16, _TEXT)[:6]
    line = text_height(_TEXT)
    top = max(0, (height - line * len(lines)) // 2)
    placed = [((width - text_width(text, _TEXT)) // 2, top + line * at, text) for at, text in enumerate(lines)]
    put_text(card, placed, _TEXT, SOFT)
    return card
