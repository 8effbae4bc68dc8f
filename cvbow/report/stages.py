"""The picture of what stages of feature detection, or the channels of a model, see in an image, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int
from cvbow.backends import ImageLike
from cvbow.classify import ImageClassifier
from cvbow.features import DETECTORS, LocalFeatures, make_detector, to_working_size
from cvbow.features.edges import CannyDetector, EdgeDetector, LaplacianDetector
from cvbow.features.regions import MSERDetector
from cvbow.images import to_gray
from cvbow.images.palette import DARK, ORANGE, SKY, SOFT, YELLOW
from cvbow.matching import transform_points
from cvbow.report._canvas import Picture, blank, display, fit_text, put_text, text_height, wrap_text, write_picture
from cvbow.report._html import count
from cvbow.tables import counted

#: Kinds of stages, and the detector that stands for each; a detector's own name is a stage as well.
STAGES = {"edges": "canny", "corners": "harris", "blobs": "log", "keypoints": "sift", "dense": "grid"}

#: How the points of a stage are drawn.
MARKS = {
    "circle": "a circle of the point's size",
    "keypoint": "a circle of the point's size, and a line from its centre in the direction of its angle",
    "dot": "a dot",
    "edge": "a tick in the direction of the point's angle, that of the gradient, on the edges or their strength",
    "region": "the outline of the region",
    "grid": "a small dot for each point, and squares of the sizes in the image's middle",
}

#: Box of a panel's image in pixels, by the number of columns.
BOXES = {1: (1000, 800), 2: (660, 560), 3: (480, 480)}
_LEAST_WIDTH = 320
#: Pixels of the picture: a smaller circle becomes a dot, and no line is shorter.
_LEAST_RADIUS, _LEAST_LINE = 3.0, 7.0
#: Marks are further apart than this share of the image's longer side: in x, y and radius.
_APART = 1 / 80
#: All circles, or outlines of regions, together are no longer than so many times that side.
_LENGTH = 20
#: A region is left out where more than this share of its outline lies on those of others.
_SHARED = 0.2
#: The strength of an edge that is drawn in full, as a quantile of all edges', and the share of it that all get.
_FULL, _LEAST_EDGE = 0.9, 0.5
#: The share of an image's brightness that is left behind edges.
_FADED = 0.25
#: Quantile of the gradient's lengths, of those from one gray level on, that is drawn in full.
_WHITE = 0.97
_MARGIN, _GAP = 16, 24
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
    edges : ndarray of shape (H', W'), bool or float32, or None
        How much each pixel is tinted, from 0 to 1, for the mark "edge"; of the image, or of it at another size.
    rows : ndarray of shape (m,), intp, or None
        The points that are drawn; None: all of them.
    outlines : ndarray of shape (k, 2, 2), float64
        For the mark "region", x and y of both ends of each piece of the outlines of regions that are drawn.
    note : str, default ""
        What else there is to say, in a sentence.
    """

    name: str
    points: NDArray[np.float32]
    mark: str = "keypoint"
    edges: NDArray[np.bool_] | NDArray[np.float32] | None = None
    rows: NDArray[np.intp] | None = None
    outlines: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2, 2)))
    note: str = ""

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
    title = name if name == key else f"{name} ({key})"
    if key == "grid":
        # Some twenty-five points along a side: more would hide the image.
        step = 8 * max(1, round(max(image.shape[:2]) / 200))
        found = LocalFeatures(DETECTORS["grid"](step=step), max_points=None, max_side=max_side).detect(image)
        return Stage(title, found.points, "grid", note=f"a point every {step} pixels")
    detector = make_detector(key)
    points = LocalFeatures(detector, max_points=None, max_side=max_side).detect(image).points
    working = to_working_size(to_gray(image, floats=False), None, max_side)
    side = max(image.shape[:2])
    if isinstance(detector, MSERDetector):
        rows, outlines = _regions_apart(detector.regions(working), max_points, working.shape)
        scale = np.array(image.shape[1::-1]) / working.shape[1::-1]
        return Stage(title, points, "region", None, rows, (outlines + 0.5) * scale - 0.5)
    if isinstance(detector, EdgeDetector):
        edges, note = _edges(detector, working)
        return Stage(title, points, "edge", edges, _apart(points, max_points, side), note=note)
    mark = _mark(points)
    return Stage(title, points, mark, None, _apart(points, max_points, side, circles=mark != "dot"))


def model_stages(model: ImageClassifier, image: ImageLike, *, max_points: int | None = 150) -> list[Stage]:
    """Find the points of an image that a model describes: those of each channel that has visual words.

    They are what its own detectors, or its grid, find once the image is at the model's own size.

    Parameters
    ----------
    model : ImageClassifier
        A fitted one.
    image : path or ndarray
        Points are in its coordinates, upright.
    max_points : int or None, default 150
        As of ``find_stage``; the strongest are not known, so those that the model has first count as such.

    Raises
    ------
    ValueError
        If the model has no words.
    """
    check_int("max_points", max_points, minimum=1, none=True)
    channels = list(model.backend_.value_words)
    if not channels:
        raise ValueError("the model has no points to show: its vectors are not made of visual words")
    return [_of_model(channel, model.words(image, channel).points, max_points) for channel in channels]


def _of_model(channel: str, points: NDArray[np.float32], max_points: int | None) -> Stage:
    """Return the stage of a model's points, by what they look like."""
    name = "the model's points" if channel == "all" else channel
    per_size = [points[points[:, 2] == size] for size in np.unique(points[:, 2])]
    if len(points) and all(
        len(each) == np.prod([len(np.unique(each[:, axis])) for axis in (0, 1)]) for each in per_size
    ):
        note = "" if len(per_size) == 1 else f"dot: a point of the smallest of {len(per_size)} sizes, each with a grid"
        return Stage(name, points, "grid", note=note)
    mark, side = _mark(points), float(points[:, :2].max(initial=1))
    return Stage(name, points, mark, None, _apart(points, max_points, side, circles=mark != "dot"))


def _mark(points: NDArray[np.float32]) -> str:
    if (points[:, 3] >= 0).any():
        return "keypoint"
    # A detector that gives all points one size has no measure of scale.
    return "circle" if len(np.unique(points[:, 2])) > 1 else "dot"


def _apart(
    points: NDArray[np.float32], most: int | None, side: float, *, circles: bool = False
) -> NDArray[np.intp] | None:
    """Return the rows of at most so many points whose marks are apart, the first ones where marks are close.

    Of circles there are no more than leave the image to be seen. None, all of them, where ``most`` is None.
    """
    from scipy.spatial import cKDTree

    if most is None or not len(points):
        return None
    places = points[:, :3] * np.array([1, 1, 0.5])
    lengths = np.pi * points[:, 2] if circles else np.zeros(len(points))
    tree = cKDTree(places)
    distance = _APART * side
    while True:
        free = np.ones(len(points), bool)
        kept: list[int] = []
        for row in range(len(points)):
            if free[row]:
                kept.append(row)
                free[tree.query_ball_point(places[row], distance)] = False
                if len(kept) > most:
                    break
        if len(kept) <= most and (len(kept) == 1 or lengths[kept].sum() <= _LENGTH * side):
            return np.array(kept, np.intp)
        distance *= 1.15


def _regions_apart(
    regions: Sequence[NDArray[np.int32]], most: int | None, shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows of at most so many regions whose outlines are apart, and the pieces of these, (n, 2, 2).

    Regions lie in one another, and many share most of their outline: the first one is drawn. All where ``most`` is
    None.
    """
    taken = np.zeros(shape[:2], np.uint8)
    thickness = max(1, round(2 * _APART * max(shape)))
    room = _LENGTH * max(shape)
    rows: list[int] = []
    pieces = [np.empty((0, 2, 2))]
    for row, region in enumerate(regions):
        outlines = _outlines(region)
        x, y = np.concatenate(outlines).T
        if most is not None:
            if len(rows) == most:
                break
            if taken[y, x].mean() > _SHARED or len(x) > room:
                continue
            room -= len(x)
            cv2.drawContours(taken, outlines, -1, 1, thickness)
        rows.append(row)
        for outline in outlines:
            sides = np.stack([outline, np.roll(outline, -1, axis=0)], axis=1)
            # The image's own border is not one of a region.
            border = (sides == 0) | (sides == np.array(shape[1::-1]) - 1)
            pieces.append(sides[~border.all(axis=1).any(axis=1)].astype(np.float64))
    return np.array(rows, np.intp), np.concatenate(pieces)


def _outlines(region: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Return the outer outlines (k, 2) of a region's pixels (area, 2)."""
    corner = region.min(axis=0)
    mask = np.zeros((region.max(axis=0) - corner + 1)[::-1], np.uint8)
    mask[tuple((region - corner).T[::-1])] = 1
    found = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    return [outline[:, 0] + corner for outline in found]


def _edges(detector: EdgeDetector, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], str]:
    """Return how much each pixel is tinted, and what that means: edges, or all of a gradient that is not thinned."""
    edges, dx, dy = detector.edges(image)
    strength = np.asarray(cv2.magnitude(dx, dy), np.float32)
    if isinstance(detector, CannyDetector | LaplacianDetector):
        full = float(np.quantile(strength[edges], _FULL)) if edges.any() else 1.0
        return edges * np.clip(strength / max(full, 1e-6), _LEAST_EDGE, 1), "brighter where the edge is stronger"
    some = strength[strength >= 1]
    white = float(np.quantile(some, _WHITE)) if len(some) else 1.0
    note = f"brightness: length of the gradient, full at {white:.0f} gray levels per pixel"
    return np.minimum(strength / np.float32(white), 1), note


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
    small, to_small = display(image, *BOXES[n_columns])
    height, width = small.shape[:2]
    panel = max(width, _LEAST_WIDTH)
    texts = [wrap_text(_explain(stage, to_small), panel, _TEXT - 1) for stage in stages]
    line = text_height(_TEXT) + 4
    top = _MARGIN + (text_height(_TITLE) + 10 if title else 0)
    starts = range(0, len(stages), n_columns)
    above = [(1 + max(map(len, texts[start : start + n_columns]))) * line + 4 for start in starts]
    tops = [top + sum(above[:row]) + row * (height + _GAP) for row in range(len(above))]
    canvas = blank(2 * _MARGIN + n_columns * panel + (n_columns - 1) * _GAP, tops[-1] + above[-1] + height + _MARGIN)
    if title:
        whole = canvas.shape[1] - 2 * _MARGIN
        put_text(canvas, [(_MARGIN, _MARGIN - 4, fit_text(title, whole, _TITLE))], _TITLE)
    for number, (stage, text) in enumerate(zip(stages, texts, strict=True)):
        row, column = divmod(number, n_columns)
        x, y = _MARGIN + column * (panel + _GAP), tops[row]
        put_text(canvas, [(x, y, fit_text(_heading(stage), panel, _TEXT + 1))], _TEXT + 1, DARK)
        put_text(canvas, [(x, y + (1 + at) * line, words) for at, words in enumerate(text)], _TEXT - 1, SOFT)
        pixels = small.copy()
        _draw(pixels, stage, to_small)
        canvas[y + above[row] : y + above[row] + height, x : x + width] = pixels
    return canvas


def write_stages_picture(
    path: str | os.PathLike[str], image: NDArray[np.uint8], stages: Sequence[Stage], **options: Any
) -> None:
    """Write what ``draw_stages`` draws as a PNG file, whole or not at all; ``options`` are its."""
    write_picture(path, draw_stages(image, stages, **options))


def _heading(stage: Stage) -> str:
    if len(stage.drawn) < len(stage):
        return f"{stage.name}: {count(len(stage.drawn))} of {counted(len(stage), 'point')} drawn"
    return f"{stage.name}: {counted(len(stage), 'point')}"


def _explain(stage: Stage, matrix: NDArray[np.float64]) -> str:
    parts = []
    if stage.sizes is not None and stage.mark != "dot":
        least, most = stage.sizes
        span = f"{least:.3g}" if least == most else f"{least:.3g} to {most:.3g}"
        if stage.mark == "edge":
            parts.append("tick: at a point, towards the brighter side")
        elif stage.mark == "grid":
            parts.append(f"square: a patch, {span} pixels wide")
        elif stage.mark == "region":
            parts.append(f"outline: a region, like a disc {span} pixels wide")
        else:
            parts.append(f"circle: size, {span} pixels")
            if len(stage.drawn) and stage.drawn[:, 2].min() / 2 * _scale(matrix) < _LEAST_RADIUS:
                parts.append("dot: too small for one")
            if stage.mark == "keypoint":
                parts.append("line: angle")
    return "; ".join(parts + ([stage.note] if stage.note else []))


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
    # Thin, and a little wider in a large panel.
    width = 1.1 + max(pixels.shape[:2]) / 1500
    if stage.mark == "edge":
        _tint(pixels, stage.edges)
        picture.lines(np.stack([centers, centers + _LEAST_LINE * along], axis=1), YELLOW, width=width)
    elif stage.mark == "grid":
        _grid(picture, stage, centers, scale, width)
    elif stage.mark == "dot":
        picture.dots(centers, ORANGE, radius=1.4 * width)
    elif stage.mark == "region":
        pieces = transform_points(matrix, stage.outlines.reshape(-1, 2)).reshape(-1, 2, 2)
        picture.lines(pieces, ORANGE, width=width)
    else:
        color = SKY if stage.mark == "keypoint" else ORANGE
        large = radii >= _LEAST_RADIUS
        picture.circles(centers[large], radii[large], color, width=width)
        if stage.mark == "keypoint":
            known = np.flatnonzero(points[:, 3] >= 0)
            tips = centers + np.maximum(radii, _LEAST_LINE)[:, None] * along
            picture.lines(np.stack([centers, tips], axis=1)[known], color, width=width)
        picture.dots(centers[~large], color, radius=1.2 * width)


def _tint(pixels: NDArray[np.uint8], edges: NDArray[np.bool_] | NDArray[np.float32] | None) -> None:
    """Fade the image to dark gray, and paint the edges on it."""
    gray = to_gray(pixels).astype(np.float32) * _FADED
    strength = np.zeros(gray.shape, np.float32)
    if edges is not None:
        size = pixels.shape[1::-1]
        shrunk = edges.shape[1] > size[0]
        strength = cv2.resize(
            edges.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
        )
        # The line of a pixel that was shrunk to a part of one is to be seen, and a mass of them not to be one.
        strength = strength ** (0.7 if shrunk else 1)
    for channel, value in enumerate(SKY):
        pixels[..., channel] = np.rint(gray + strength * (value - gray))


def _grid(picture: Picture, stage: Stage, centers: NDArray[np.float64], scale: float, width: float) -> None:
    """Draw the places of the smallest size, as the grids of the others lie between them, and a patch of each size."""
    sizes = np.unique(stage.points[:, 2])
    first = centers[stage.points[:, 2] == sizes[:1]] if len(sizes) else centers
    columns = np.unique(first[:, 0])
    spacing = float(np.diff(columns).min()) if len(columns) > 1 else np.inf
    picture.dots(first, ORANGE, radius=float(np.clip(spacing / 8, 0.6, width)), rim=spacing > 6)
    middle = (np.array(picture.pixels.shape[1::-1]) - 1) / 2
    for size in sizes:
        rows = np.flatnonzero(stage.points[:, 2] == size)
        nearest = rows[np.argmin(((centers[rows] - middle) ** 2).sum(axis=1))]
        half = float(size) * scale / 2
        corners = centers[nearest] + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        picture.outline(corners, SKY, width=width)
