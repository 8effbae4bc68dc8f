"""Pictures of a search: the query beside its ranked results, with what agrees between them drawn in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.errors import ImageError
from cvbow.images.palette import DARK, SKY, SOFT, VERMILLION, YELLOW
from cvbow.images.pixels import Color
from cvbow.index import ImageIndex, Result
from cvbow.report._canvas import (
    blank,
    fit_text,
    put_legend,
    put_text,
    text_height,
    text_width,
    wrap_text,
    write_picture,
)
from cvbow.report._found import Panel, panel_figure, panels, rendered, said
from cvbow.report._html import breakable, count, escape, page, section, write_page
from cvbow.retrieval import Box
from cvbow.tables import counted

_MARGIN, _GAP = 16, 14
_TITLE, _TEXT = 20, 15
#: The query is fitted into a square of this side, in pixels; so are results, by how many of them there are.
_QUERY = 360
_TILES = ((1, 480), (3, 320), (8, 260))
_SMALLEST_TILE = 220
_COLUMNS = {480: 1, 320: 3, 260: 4, _SMALLEST_TILE: 5}
_UNVERIFIED = (
    "From here on nothing is verified: no map between the query and these images was found, only that they look alike."
)


@dataclass(frozen=True, eq=False)
class Searched:
    """One search and what came of it.

    Attributes
    ----------
    query : path or ndarray
    results : sequence of Result, or ImageError
        What ``ImageIndex.search`` returned, or the error of a query that cannot be read.
    box : (x, y, width, height), optional
        The part of the query that was searched for.
    """

    query: ImageLike
    results: Sequence[Result] | ImageError
    box: Box | None = None


def draw_search(
    index: ImageIndex,
    query: ImageLike,
    results: Sequence[Result],
    *,
    box: Box | None = None,
    name: str | None = None,
) -> NDArray[np.uint8]:
    """Draw a query and its results.

    Parameters
    ----------
    index : ImageIndex
        That was searched.
    query : path or ndarray
    results : sequence of Result
    box : (x, y, width, height), optional
        That was searched for.
    name : str, optional
        What to call the query; by default its path.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        RGB. The query on the left, the results on the right, by rank. On verified results, dots where features agree
        with the map from the query, and the outline of the query, or of its box, in yellow. On the query, dots where
        features agree with any result, and the outline of the first verified one. Where maps were looked for, a line
        stands before the first result without one: nothing after it is verified. A file that cannot be read is a card
        that says why.
    """
    shown, found = panels(index, query, results, box=box, name=name)
    side = next((side for most, side in _TILES if len(results) <= most), _SMALLEST_TILE)
    columns = min(_COLUMNS[side], max(len(results), 1))
    picture = rendered(shown, _QUERY, _QUERY)
    line = text_height(_TEXT) + 2
    legend = _legend(shown, found)
    top = _MARGIN + text_height(_TITLE) + 6 + (line + 10 if legend else 6)
    start = _MARGIN + _QUERY + 2 * _GAP
    width = start + columns * side + (columns - 1) * _GAP + _MARGIN
    tiles = [rendered(panel, side, side) for panel in found]
    n_verified = _n_verified(results)
    rows: list[tuple[int, range]] = []  # where a row of results starts, and which they are
    y, divided, parts = top, None, [range(len(results))]
    said_below = []
    if n_verified is not None:
        parts = [range(n_verified), range(n_verified, len(results))]
        said_below = wrap_text(_UNVERIFIED, width - start - _MARGIN, _TEXT)
    for part in parts:
        if part.start == n_verified:
            divided = y
            y += 8 + len(said_below) * line + 10
        for first in part[::columns]:
            row = range(first, min(first + columns, part.stop))
            rows.append((y, row))
            y += 2 * line + 4 + max(tiles[place].shape[0] for place in row) + _GAP
    canvas = blank(width, max(top + 2 * line + 4 + picture.shape[0] + _GAP, y) - _GAP + _MARGIN)
    whole = width - 2 * _MARGIN
    put_text(canvas, [(_MARGIN, _MARGIN - 4, fit_text(_headline(len(results), len(index)), whole, _TITLE))], _TITLE)
    put_legend(canvas, legend, _MARGIN, top - line - 10, _TEXT, dots=(SKY,))
    _put_panel(canvas, (_MARGIN, top), _QUERY, picture, ("query", _query_text(shown)))
    if divided is not None:
        canvas[divided : divided + 2, start : width - _MARGIN] = DARK
        texts = [(start, divided + 8 + number * line, text) for number, text in enumerate(said_below)]
        put_text(canvas, texts, _TEXT, SOFT)
    for y, row in rows:
        for column, place in enumerate(row):
            lines = (f"{place + 1}.  {said(results[place])}", _result_text(found[place], side))
            _put_panel(canvas, (start + column * (side + _GAP), y), side, tiles[place], lines)
    return canvas


def write_search_picture(
    path: str | os.PathLike[str], index: ImageIndex, query: ImageLike, results: Sequence[Result], **options: Any
) -> None:
    """Write what ``draw_search`` draws as a PNG file, whole or not at all; ``options`` are its."""
    write_picture(path, draw_search(index, query, results, **options))


def write_search_page(
    path: str | os.PathLike[str],
    index: ImageIndex,
    searches: Sequence[Searched],
    *,
    title: str | None = None,
) -> None:
    """Write searches as one self-contained HTML page, a section for each, whole or not at all.

    Parameters
    ----------
    path : path
    index : ImageIndex
        That was searched.
    searches : sequence of Searched
    title : str, optional
        By default the index's name.
    """
    sections = []
    for number, searched in enumerate(searches, start=1):
        name = os.fspath(searched.query) if isinstance(searched.query, str | os.PathLike) else f"query {number}"
        content = _section(index, searched, name)
        sections.append(section(f"query{number}", os.path.basename(name) or name, content))
    queries = "query" if len(searches) == 1 else "queries"
    what = f"{count(len(searches))} {queries} in an index of {counted(len(index), 'image')}"
    hint = (
        "Dots: features that agree with the map between query and result, thinned out. Yellow: the outline of the "
        "query, or of its box, in a result, and in the query that of the best result. Vermillion: the part of the "
        "query that was searched for."
    )
    introduction = f'<p>{what}.</p>\n<p class="hint">{hint}</p>'
    write_page(path, page(title or os.path.basename(index.path) or index.path, introduction, sections))


def _section(index: ImageIndex, searched: Searched, name: str) -> str:
    if isinstance(searched.results, ImageError):
        return f'<p class="wrong">{breakable(name)}: {escape(searched.results.reason)}</p>'
    shown, found = panels(index, searched.query, searched.results, box=searched.box, name=name)
    figures = [panel_figure(shown, "query", f"<b>query</b> {escape(_size(shown))}")]
    n_verified = _n_verified(searched.results)
    for place, (result, panel) in enumerate(zip(searched.results, found, strict=True), start=1):
        if n_verified == place - 1:
            figures.append(f'<p class="unverified">{_UNVERIFIED}</p>\n')
        figures.append(panel_figure(panel, f"result {place}", f"<b>{place}.</b> {escape(said(result))}"))
    nothing = "" if searched.results else "<p>Nothing in the index has anything in common with it.</p>\n"
    return f'{nothing}<div class="found">\n{"".join(figures)}</div>'


def _n_verified(results: Sequence[Result]) -> int | None:
    """Return after how many results nothing is verified; None where all are, or maps were not looked for."""
    if all(result.verification is None for result in results) or results[-1].matrix is not None:
        return None
    return max((place for place, result in enumerate(results, start=1) if result.matrix is not None), default=0)


def _headline(n_results: int, n_images: int) -> str:
    images = counted(n_images, "image")
    if n_results == 0:
        return f"Nothing found among {images}"
    return f"The best {n_results} of {images}" if n_results > 1 else f"The best of {images}"


def _size(panel: Panel) -> str:
    return "" if panel.image is None else f"{panel.image.shape[1]} x {panel.image.shape[0]}"


def _query_text(panel: Panel) -> str:
    size = _size(panel)
    tail = f" - {size}" if size else ""
    return fit_text(panel.name, _QUERY - text_width(tail, _TEXT), _TEXT) + tail


def _result_text(panel: Panel, width: int) -> str:
    note = f" ({panel.problem})" if panel.image is not None and panel.problem else ""
    return fit_text(panel.name, width - text_width(note, _TEXT), _TEXT) + note


def _legend(query: Panel, found: Sequence[Panel]) -> list[tuple[Color, str]]:
    legend = []
    if any(panel.image is not None and len(panel.points) for panel in found):
        legend.append((SKY, "inliers, thinned out"))
    in_results = any(panel.image is not None and panel.frame is not None for panel in found)
    in_query = query.image is not None and query.frame is not None
    texts = [f"outline of the {'query' if query.box is None else 'box'} in a result"] if in_results else []
    if in_query:
        texts.append("of the best result in the query" if texts else "outline of the best result in the query")
    if texts:
        legend.append((YELLOW, ", ".join(texts)))
    if query.box is not None:
        legend.append((VERMILLION, "the part searched for"))
    return legend


def _put_panel(
    canvas: NDArray[np.uint8], corner: tuple[int, int], width: int, pixels: NDArray[np.uint8], lines: tuple[str, str]
) -> None:
    """Put two lines of text and an image below them."""
    x, y = corner
    line = text_height(_TEXT) + 2
    for text, color in zip(lines, (DARK, SOFT), strict=True):
        put_text(canvas, [(x, y, fit_text(text, width, _TEXT))], _TEXT, color)
        y += line
    canvas[y + 4 : y + 4 + pixels.shape[0], x : x + pixels.shape[1]] = pixels
