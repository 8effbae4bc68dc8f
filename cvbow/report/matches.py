"""The picture of a match: both images side by side, joined by the pairs that agree with the model."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.images.palette import DARK, ORANGE, SKY, YELLOW
from cvbow.matching import MatchResult, transform_points
from cvbow.report._canvas import (
    Picture,
    blank,
    display,
    draw_frame,
    fit_text,
    put_legend,
    put_text,
    text_height,
    text_width,
    write_picture,
)

#: Box that each image is fitted into, in pixels.
BOX = (760, 760)
#: An image's panel is at least so wide, so that its caption has room.
_LEAST_WIDTH = 300
_MARGIN, _GAP = 16, 12
_TITLE, _TEXT = 20, 15


def draw_matches(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    result: MatchResult,
    *,
    names: tuple[str, str] = ("a", "b"),
    max_lines: int = 80,
) -> NDArray[np.uint8]:
    """Draw two images with their matches.

    Parameters
    ----------
    a, b : ndarray of shape (H, W) or (H, W, 3), uint8
        The images that ``result`` is of.
    result : MatchResult
    names : pair of str, default ("a", "b")
        What to call the images.
    max_lines : int, default 80
        Most inliers, and most outliers, to draw a line for, as more hide the images: evenly spaced ones of them, and
        the picture says so. All inliers have dots.

    Returns
    -------
    ndarray of shape (H', W', 3), uint8
        RGB. Inliers in blue, putative matches that disagree with the model (all of them, where there is none) faint in
        orange, and in yellow the outline of ``a`` where a homography or an affine map sends it in ``b``.

    Raises
    ------
    ValueError
        If an image has another size than the one that was matched.
    """
    check_int("max_lines", max_lines, minimum=0)
    for name, image, features in (("a", a, result.features_a), ("b", b, result.features_b)):
        if image.shape[1::-1] != tuple(features.image_size):
            raise ValueError(f"{name} must be the image that was matched, of size {features.image_size}")
    (left, to_left), (right, to_right) = (display(image, *BOX) for image in (a, b))
    widths = [max(pixels.shape[1], _LEAST_WIDTH) for pixels in (left, right)]
    line = text_height(_TEXT) + 4
    top = _MARGIN + text_height(_TITLE) + 8 + 2 * line + 8
    height = max(left.shape[0], right.shape[0])
    canvas = blank(2 * _MARGIN + sum(widths) + _GAP, top + height + _MARGIN)
    starts = (_MARGIN, _MARGIN + widths[0] + _GAP)
    for start, pixels in zip(starts, (left, right), strict=True):
        canvas[top : top + pixels.shape[0], start : start + pixels.shape[1]] = pixels

    points_a = transform_points(to_left, result.points_a) + np.array([starts[0], top])
    points_b = transform_points(to_right, result.points_b) + np.array([starts[1], top])
    picture = Picture(canvas)
    segments = np.stack([points_a, points_b], axis=1)
    outliers, inliers = (_spaced(np.flatnonzero(rows), max_lines) for rows in (~result.inliers, result.inliers))
    picture.lines(segments[outliers], ORANGE, strength=0.4, rim=False)
    picture.lines(segments[inliers], SKY, strength=0.8)
    # An outline that leaves b must not run over a, the captions or the margin.
    inside = canvas[top : top + right.shape[0], starts[1] : starts[1] + right.shape[1]]
    outlined = _outline(result, inside, to_right)
    for points in (points_a, points_b):
        picture.dots(points[outliers], ORANGE, radius=1.5)
        picture.dots(points[result.inliers], SKY)

    _caption(canvas, result, names, starts, widths, top, len(inliers), len(outliers), outlined)
    return canvas


def write_matches_picture(
    path: str | os.PathLike[str], a: NDArray[np.uint8], b: NDArray[np.uint8], result: MatchResult, **options: Any
) -> None:
    """Write what ``draw_matches`` draws as a PNG file, whole or not at all; ``options`` are its."""
    write_picture(path, draw_matches(a, b, result, **options))


def _outline(result: MatchResult, pixels: NDArray[np.uint8], to_pixels: NDArray[np.float64]) -> bool:
    """Draw the frame of a into b; whether there is one to draw."""
    if result.matrix is None or result.model == "fundamental":
        return False
    width, height = result.features_a.image_size
    frame = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    corners = transform_points(to_pixels, np.nan_to_num(transform_points(result.matrix, frame), posinf=1e9))
    return draw_frame(pixels, corners, YELLOW)


def _spaced(rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(np.intp)]


def _caption(
    canvas: NDArray[np.uint8],
    result: MatchResult,
    names: tuple[str, str],
    starts: tuple[int, int],
    widths: list[int],
    top: int,
    n_inliers: int,
    n_outliers: int,
    outlined: bool,
) -> None:
    whole = canvas.shape[1] - 2 * _MARGIN
    line = text_height(_TEXT) + 4
    put_text(canvas, [(_MARGIN, _MARGIN - 4, fit_text(_verdict(result), whole, _TITLE))], _TITLE)
    if result.matrix is None:
        legend = [(ORANGE, _share("putative matches", n_outliers, len(result)))]
    else:
        legend = [
            (SKY, _share("inliers", n_inliers, result.n_inliers)),
            (ORANGE, _share("outliers", n_outliers, len(result) - result.n_inliers)),
        ]
    if outlined:
        legend.append((YELLOW, "outline of the left image"))
    put_legend(canvas, legend, _MARGIN, top - 2 * line - 6, _TEXT)
    both = zip(starts, widths, names, (result.features_a, result.features_b), strict=True)
    for start, width, name, features in both:
        size = f" - {features.image_size[0]} x {features.image_size[1]}, {len(features)} points"
        room = width - text_width(size, _TEXT)
        put_text(canvas, [(start, top - line - 6, fit_text(name, room, _TEXT) + size)], _TEXT, DARK)


def _verdict(result: MatchResult) -> str:
    if result.model is None:
        return f"{len(result)} putative matches"
    article = "an" if result.model == "affine" else "a"
    what = {"affine": "affine map", "fundamental": "fundamental matrix"}.get(result.model, result.model)
    if result.matrix is None:
        return f"No {what} found among {len(result)} putative matches"
    return f"{result.n_inliers} of {len(result)} putative matches agree with {article} {what}"


def _share(what: str, drawn: int, count: int) -> str:
    return f"{count} {what}" if drawn == count else f"{count} {what}, {drawn} drawn"
