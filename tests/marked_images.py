"""Small images with red squares and blue bars on gray noise, and what is marked on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow import Objects
from cvbow.annotations import ObjectList, write_objects

SQUARE, BAR = "square", "bar"


def marked_images(n: int, *, seed: int = 0) -> tuple[list[NDArray[np.uint8]], list[Objects]]:
    """Return ``n`` images of 128 x 96 pixels, and a square and a bar on each, but on each fifth one nothing."""
    random = np.random.default_rng(seed)
    images, marked = [], []
    for number in range(n):
        image = random.integers(110, 140, (96, 128, 3), np.uint8)
        boxes: list[list[int]] = []
        if number % 5 != 4:
            x, y = random.integers(2, 26), random.integers(2, 50)
            side = int(random.integers(26, 36))
            boxes.append([x, y, x + side, y + side])
            cv2.rectangle(image, (int(x), int(y)), (int(x) + side - 1, int(y) + side - 1), (200, 40, 40), -1)
            left, top = random.integers(66, 72), random.integers(8, 70)
            boxes.append([left, top, left + 48, top + 16])
            cv2.rectangle(image, (int(left), int(top)), (int(left) + 47, int(top) + 15), (40, 40, 190), -1)
        images.append(image)
        marked.append(Objects.of(boxes, [SQUARE, BAR] if boxes else []))
    return images, marked


def write_marked(folder: Path, n: int, *, seed: int = 0) -> Path:
    """Write such images and the CSV that marks them, whose path is returned."""
    images, marked = marked_images(n, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{number:02}.png" for number in range(n))
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image[..., ::-1])
    write_objects(folder / "boxes.csv", ObjectList(paths, tuple(marked)))
    return folder / "boxes.csv"
