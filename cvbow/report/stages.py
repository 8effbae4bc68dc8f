"""The picture of what stages of feature detection see in an image, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int
from cvbow.features import DETECTORS, LocalFeatures, make_detector, to_working_size
from cvbow.features.edges import EdgeDetector
from cvbow.features.selection import well_spread
from cvbow.images import to_gray
from cvbow.images.palette import DARK, ORANGE, SKY, SOFT, YELLOW
from cvbow.matching import transform_points
from cvbow.report._canvas import Picture, blank, display, fit_text, put_text, text_height, write_picture

#: Kinds of stages, and the detector that stands for each; a detector's own name is a stage as well.
STAGES = {"edges": "canny", "corners": "harris", "blobs": "log", "keypoints": "sift", "dense": "grid"}

#: How the points of a stage are drawn.
MARKS = {
    "circle": "a circle of the point's size",
    "keypoint": "a circle of the point's size, and a line from its centre in the direction of its angle",
    "dot": "a dot",
    "edge": "a tick in the direction of the point's angle, that of the gradient, on the pixels that are edges",
    "grid": "a small dot for each point, and squares of the sizes in the image's middle",
}

#: Box of a panel's image in pixels, by the number of columns.
BOXES = {1: (1000, 800), 2: (660, 560), 3: (440, 400)}
_LEAST_WIDTH = 260
#: Pixels of the picture: a smaller circle becomes a dot, and no line is shorter.
_LEAST_RADIUS, _LEAST_LINE = 5.0, 8.0
_MARGIN, _GAP = 16, 20
_TITLE, _TEXT = 18, 14


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage found in an image.

    Attributes
    ----------
    name : str
    points : ndarray of shape (n, 4), float32
        x, y, size (diameter in pixels) and angle (degrees; -1 for none) in the image, as ``Features.points``.
    mark : str
        One of ``MARKS``.
    edges : ndarray of shape (H', W'), bool, or None
        Pixels to tint, for the mark "edge"; of the image, or of it at another size.
    rows : ndarray of shape (m,), intp, or None
        The points that are drawn; None: all of them.
    """

    name: str
    points: NDArray[np.float32]
    mark: str = "keypoint"
    edges: NDArray[np.bool_] | None = None
    rows: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        check_choice("mark", self.mark, MARKS)
        if self.points.ndim != 2 or self.points.shape[1] != 4:
            raise ValueError(f"points must have shape (n, 4), got {self.points.shape}")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def sizes(self) -> tuple[float, float] | None:
        """The smallest and the largest size in pixels; None without points."""
        values = self.points[:, 2]
        return (float(values.min()), float(values.max())) if len(values) else None

    @property
    def drawn(self) -> NDArray[np.float32]:
        """The points that are drawn."""
        return self.points if self.rows is None else self.points[self.rows]


def find_stage(
    image: NDArray[np.uint8], name: str, *, max_points: int | None = 150, max_side: int | None = 1600
) -> Stage:
    """Find what a stage sees in an image.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
    name : str
        A key of ``STAGES`` or of ``cvbow.features.DETECTORS``.
    max_points : int or None, default 150
        So many are drawn, as more hide the image: strong ones all over it (adaptive non-maximal suppression); of edges,
        strong and weak ones; of a grid, all. None: all.
    max_side : int or None, default 1600
        A larger image is shrunk to this first.
    """
    check_choice("stage", name, [*STAGES, *DETECTORS])
    check_int("max_points", max_points, minimum=1, none=True)
    key = STAGES.get(name, name)
    detector = make_detector(key)
    if key == "grid":
        # Some twenty-five points along a side: more would hide the image.
        detector = DETECTORS["grid"](step=8 * max(1, round(max(image.shape[:2]) / 200)))
    found = LocalFeatures(detector=detector, max_points=None, max_side=max_side).detect(image)
    title = name if name == key else f"{name} ({key})"
    edges = None
    if isinstance(detector, EdgeDetector):
        edges = detector.edges(to_working_size(to_gray(image, floats=False), None, max_side))[0]
    rows = None
    if key != "grid" and max_points is not None and len(found) > max_points:
        if edges is None:
            rows = well_spread(found.points, found.responses, max_points)
        else:  # neighbours along an edge are about as strong, and none would give way to another
            rows = np.linspace(0, len(found) - 1, max_points).astype(np.intp)
    return Stage(title, found.points, _mark(key, detector, found.points), edges, rows)


def _mark(key: str, detector: Any, points: NDArray[np.float32]) -> str:
    if key == "grid":
        return "grid"
    if isinstance(detector, EdgeDetector):
        return "edge"
    if detector.has_angle:
        return "keypoint"
    # A detector that gives all points one size has no measure of scale.
    return "circle" if len(np.unique(points[:, 2])) > 1 else "dot"


def draw_stages(image: NDArray[np.uint8], stages: Sequence[Stage], *, title: str = "") -> NDArray[np.uint8]:
    """Draw an image once for each stage, with what the stage found, in a grid of at most three columns.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
    stages : sequence of Stage
        At least one. Each panel is titled with the stage's name and its number of points.
    title : str, default ""
        A line above all, such as the file's name; shortened where it is too long.

    Returns
    -------
    ndarray of shape (H', W', 3), uint8
        RGB. Small images are enlarged, large ones shrunk.
    """
    if not stages:
        raise ValueError("stages must be at least one, got none")
    n_columns = min(len(stages), 2 if len(stages) in (2, 4) else 3)
    box = BOXES[n_columns]
    small, to_small = display(image, *box)
    height, width = small.shape[:2]
    panel = max(width, _LEAST_WIDTH)
    line = text_height(_TEXT) + 4
    above = 2 * line + 4
    top = _MARGIN + (text_height(_TITLE) + 8 if title else 0)
    n_rows = -(-len(stages) // n_columns)
    canvas = blank(
        2 * _MARGIN + n_columns * panel + (n_columns - 1) * _GAP,
        top + n_rows * (above + height) + (n_rows - 1) * _GAP + _MARGIN,
    )
    if title:
        whole = canvas.shape[1] - 2 * _MARGIN
        put_text(canvas, [(_MARGIN, _MARGIN - 4, fit_text(title, whole, _TITLE))], _TITLE)
    for number, stage in enumerate(stages):
        row, column = divmod(number, n_columns)
        x, y = _MARGIN + column * (panel + _GAP), top + row * (above + height + _GAP)
        heading = f"{stage.name}: {len(stage)} point{'' if len(stage) == 1 else 's'}"
        if len(stage.drawn) < len(stage):
            heading += f", {len(stage.drawn)} drawn"
        put_text(canvas, [(x, y, fit_text(heading, panel, _TEXT + 1))], _TEXT + 1, DARK)
        put_text(canvas, [(x, y + line, fit_text(_explain(stage, to_small), panel, _TEXT - 1))], _TEXT - 1, SOFT)
        pixels = small.copy()
        _draw(pixels, stage, to_small)
        canvas[y + above : y + above + height, x : x + width] = pixels
    return canvas


def write_stages_picture(
    path: str | os.PathLike[str], image: NDArray[np.uint8], stages: Sequence[Stage], **options: Any
) -> None:
    """Write what ``draw_stages`` draws as a PNG file, whole or not at all; ``options`` are its."""
    write_picture(path, draw_stages(image, stages, **options))


def _explain(stage: Stage, matrix: NDArray[np.float64]) -> str:
    if stage.sizes is None or stage.mark == "dot":
        return ""
    least, most = stage.sizes
    span = f"{least:.3g}" if least == most else f"{least:.3g} to {most:.3g}"
    if stage.mark == "edge":
        return "tick: towards the brighter side, at points along the edges"
    if stage.mark == "grid":
        return f"square: patch of {span} pixels"
    parts = [f"circle: size, {span} pixels"]
    if len(stage.drawn) and stage.drawn[:, 2].min() / 2 * _scale(matrix) < _LEAST_RADIUS:
        parts.append("dot: too small for one")
    if stage.mark == "keypoint":
        parts.append("line: angle")
    return "; ".join(parts)


def _scale(matrix: NDArray[np.float64]) -> float:
    return float(np.sqrt(matrix[0, 0] * matrix[1, 1]))


def _draw(pixels: NDArray[np.uint8], stage: Stage, matrix: NDArray[np.float64]) -> None:
    picture = Picture(pixels)
    points = stage.drawn
    centers = transform_points(matrix, points[:, :2])
    scale = _scale(matrix)
    radii = points[:, 2].astype(np.float64) / 2 * scale
    angles = np.deg2rad(points[:, 3].astype(np.float64))
    # Angles run from the x axis towards the y axis, which points down.
    along = np.column_stack([np.cos(angles), np.sin(angles)])
    if stage.mark == "edge":
        _tint(pixels, stage.edges)
        picture.lines(np.stack([centers, centers + _LEAST_LINE * along], axis=1), YELLOW)
    elif stage.mark == "grid":
        _grid(picture, stage, centers, scale)
    elif stage.mark == "dot":
        picture.dots(centers, ORANGE)
    else:
        color = SKY if stage.mark == "keypoint" else ORANGE
        large = np.flatnonzero(radii >= _LEAST_RADIUS)
        large = large[np.argsort(-radii[large], kind="stable")]
        picture.circles(centers[large], radii[large], color, width=2)
        if stage.mark == "keypoint":
            known = np.flatnonzero(points[:, 3] >= 0)
            tips = centers + np.maximum(radii, _LEAST_LINE)[:, None] * along
            picture.lines(np.stack([centers, tips], axis=1)[known], color, width=2)
        picture.dots(centers[radii < _LEAST_RADIUS], color)


def _tint(pixels: NDArray[np.uint8], edges: NDArray[np.bool_] | None) -> None:
    """Fade the image to gray, and paint the edges on it."""
    import cv2

    gray = to_gray(pixels).astype(np.float32) * 0.35
    strength = np.zeros(gray.shape, np.float32)
    if edges is not None:
        size = pixels.shape[1::-1]
        shrunk = edges.shape[1] > size[0]
        found = cv2.resize(edges.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
        # A line of one pixel that was shrunk to a part of one is to stay as bright.
        strength = np.minimum(found * max(1.0, edges.shape[1] / size[0]), 1)
    for channel, value in enumerate(SKY):
        pixels[..., channel] = np.rint(gray + strength * (value - gray))


def _grid(picture: Picture, stage: Stage, centers: NDArray[np.float64], scale: float) -> None:
    picture.dots(np.unique(centers, axis=0), ORANGE, radius=1.0)
    middle = (np.array(picture.pixels.shape[1::-1]) - 1) / 2
    for size in np.unique(stage.points[:, 2]):
        rows = np.flatnonzero(stage.points[:, 2] == size)
        nearest = rows[np.argmin(((centers[rows] - middle) ** 2).sum(axis=1))]
        half = float(size) * scale / 2
        corners = centers[nearest] + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        picture.outline(corners, SKY)
