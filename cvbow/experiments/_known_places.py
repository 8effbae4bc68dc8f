"""Maps of images in which it is known where something is: in a quarter of a mosaic, under a stamp, within a mask.

The pointing game: J. Zhang and others, "Top-down neural attention by excitation backprop", ECCV 2016. Mosaics: A.
Arias-Duart, F. Pares, D. Garcia-Gasulla and V. Gimenez-Abalos, "Focus! Rating XAI methods and finding biases",
FUZZ-IEEE 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.classify import ImageClassifier
from cvbow.explanation import Explanation, Recognition, explain
from cvbow.images import from_gray, read_image

#: Pixels of the side of a quarter of a mosaic.
QUARTER = 240
#: Side of the square that a map points at, the one that holds the most heat, as a share of the image's shorter side.
POINT = 1 / 8
#: Of the stamp, as a share of the image's area, and pixels of the squares of its chequers.
STAMP, CHEQUER = 0.01, 4
#: The classes of a model that tells what is masked from other images.
SHOWN, OTHER = "shown", "other"


def why_of(model: ImageClassifier, image: ImageLike, name: str | None = None) -> Explanation:
    """Explain one image's score for one class, or for that with the highest score."""
    return cast(Explanation, explain(model, image, name))


def share_within(heat: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    """Return the share of positive heat (H, W) where a mask is true, which is laid over the image; 0 without any."""
    positive = np.maximum(heat, 0, dtype=np.float64)
    return round(float(positive[laid_over(heat, where)].sum() / (positive.sum() or 1)), 4)


def laid_over(heat: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask of any size in that of a map."""
    size = heat.shape[::-1]
    return np.asarray(cv2.resize(where.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)


def pointed_at(heat: NDArray[np.float32]) -> tuple[int, int]:
    """Return row and column of the middle of the square that holds the most heat."""
    side = max(round(POINT * min(heat.shape)), 1)
    sums = cv2.boxFilter(heat.astype(np.float64), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(np.argmax(sums), sums.shape)
    return int(row), int(column)


def mosaic(images: Sequence[ImageLike]) -> NDArray[np.uint8]:
    """Return up to four images as quarters of one, in colour if one of them is."""
    pixels = [_pixels(image) for image in images]
    if any(part.ndim == 3 for part in pixels):
        pixels = [from_gray(part, floats=False) for part in pixels]
    whole = np.zeros((2, QUARTER, 2, QUARTER, *pixels[0].shape[2:]), np.uint8)
    for place, part in enumerate(pixels):
        whole[place // 2, :, place % 2] = cv2.resize(part, (QUARTER, QUARTER), interpolation=cv2.INTER_AREA)
    return whole.reshape(2 * QUARTER, 2 * QUARTER, *whole.shape[4:])


def stamped(image: ImageLike) -> NDArray[np.uint8]:
    """Return the image with a chequered square."""
    pixels = _pixels(image).copy()
    box = pixels[_stamp_box(pixels.shape)]
    y, x = np.indices(box.shape[:2]) // CHEQUER
    box[:] = (255 * ((y + x) % 2)).reshape(*y.shape, *[1] * (box.ndim - 2))
    return pixels


@dataclass(frozen=True)
class Quarters:
    """Explains each class of a mosaic of up to four images; picklable."""

    model: ImageClassifier

    def __call__(self, parts: Sequence[tuple[ImageLike, str]]) -> list[dict[str, Any]]:
        whole = mosaic([image for image, _ in parts])
        found: list[dict[str, Any]] = []
        for place, (_, label) in enumerate(parts):
            heat = why_of(self.model, whole, label).heat
            where = np.arange(4).reshape(2, 2) == place
            point = bool(laid_over(heat, where)[pointed_at(heat)])
            found.append({"heat": share_within(heat, where), "point": point})
        return found


@dataclass(frozen=True)
class Stamped:
    """Explains the class that was stamped, in a stamped image of another one; picklable."""

    model: ImageClassifier
    name: str

    def __call__(self, image: ImageLike) -> dict[str, Any]:
        pixels = stamped(image)
        why = why_of(self.model, pixels, self.name)
        where = np.zeros(pixels.shape[:2], bool)
        where[_stamp_box(pixels.shape)] = True
        # Points that see the stamp have their support as far from it as this reaches.
        size = int(np.median(why.points[:, 2])) if len(why.points) else 1
        near = cv2.dilate(where.astype(np.uint8), np.ones((2 * size + 1, 2 * size + 1), np.uint8)).astype(bool)
        return {
            "taken": why_of(self.model, pixels).class_name == self.name,
            "heat": share_within(why.heat, where),
            "near": share_within(why.heat, near),
            "near_area": round(float(near.mean()), 4),
        }


def shown_first(model: ImageClassifier, images: Sequence[ImageLike], name: str) -> dict[str, Any]:
    """Return whether what a class is recognised by, over its stamped images, shows the stamp first.

    ``heat``: whether the mean heat is highest on it; ``word``: the share of the places of the first word, those that
    are shown, that meet it, None without words.
    """
    found, boxes = Recognition(), {}
    for number, image in enumerate(images):
        pixels = stamped(image)
        # The places of words come with the images' names.
        why = replace(why_of(model, pixels, name), path=str(number))
        found.add(pixels, why)
        boxes[why.path] = _stamp_box(pixels.shape)
    (reasons,) = found.classes()
    side = len(reasons.heat)
    rows, columns = _stamp_box((side, side))
    y, x = np.unravel_index(np.argmax(reasons.heat), reasons.heat.shape)
    on_it = rows.start <= y < rows.stop and columns.start <= x < columns.stop
    met = []
    for word in reasons.words[:1]:
        for (left, top, right, bottom), path in zip(word.boxes, word.paths, strict=True):
            below, along = boxes[path]
            met.append(left < along.stop and right > along.start and top < below.stop and bottom > below.start)
    return {"heat": bool(on_it), "word": round(float(np.mean(met)), 4) if met else None}


def mask_of(path: Path) -> NDArray[np.bool_]:
    """Return where an image, in a folder beside that of the masks, shows what is masked, (H, W)."""
    return np.asarray(read_image(path.parent.parent / "masks" / f"{path.stem}.png", gray=True) > 0)


@dataclass(frozen=True)
class Scene:
    """An image that has a mask, alone or with three others and its place, 0 to 3, in the mosaic of the four."""

    path: Path
    others: tuple[ImageLike, ...] = ()
    place: int = 0

    def image(self) -> ImageLike:
        """Return what is to be looked at."""
        if not self.others:
            return self.path
        return mosaic([*self.others[: self.place], self.path, *self.others[self.place :]])

    def mask(self) -> NDArray[np.bool_]:
        """Return where it shows what is masked."""
        mask = mask_of(self.path)
        if not self.others:
            return mask
        quarter = cv2.resize(mask.astype(np.uint8), (QUARTER, QUARTER), interpolation=cv2.INTER_NEAREST) > 0
        whole = np.zeros((2, QUARTER, 2, QUARTER), bool)
        whole[self.place // 2, :, self.place % 2] = quarter
        return whole.reshape(2 * QUARTER, 2 * QUARTER)


@dataclass(frozen=True)
class Masked:
    """Explains what a scene shows, where its mask says where that is; picklable."""

    model: ImageClassifier

    def __call__(self, scene: Scene) -> dict[str, Any]:
        mask = scene.mask()
        heat = why_of(self.model, scene.image(), SHOWN).heat
        where = laid_over(heat, mask)
        height, width = heat.shape
        n = 2 if scene.others else 1
        centres = where[np.ix_(*((2 * np.arange(n) + 1) * side // (2 * n) for side in (height, width)))]
        return {
            "point": bool(where[pointed_at(heat)]),
            "centre": round(float(centres.mean()), 4),
            "heat": share_within(heat, mask),
            "area": round(float(where.mean()), 4),
        }


def _pixels(image: ImageLike) -> NDArray[np.uint8]:
    return np.asarray(image, np.uint8) if isinstance(image, np.ndarray) else read_image(image)


def _stamp_box(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return where the stamp is: a square in the lower right corner, its own side away from the edges."""
    side = max(round((STAMP * shape[0] * shape[1]) ** 0.5), 1)
    return slice(shape[0] - 2 * side, shape[0] - side), slice(shape[1] - 2 * side, shape[1] - side)
