"""The small set of drawn images that the commands and the pages are tried on: made in a second, the same each time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

from cvbow import Objects
from cvbow.annotations import ObjectList, write_objects

UInt8 = NDArray[np.uint8]
SHAPES = ("circle", "square", "triangle")


def draw(names: tuple[str, ...], size: tuple[int, int], seed: int) -> tuple[UInt8, UInt8, list[list[int]]]:
    """Coloured shapes side by side on a textured ground: the image, its mask (0 is the ground), and their boxes."""
    random = np.random.default_rng(seed)
    width, height = size
    ground = random.normal(0, 40, (height, width, 3)).astype(np.float32)
    image = np.clip(cv2.GaussianBlur(ground, (0, 0), 1.5) * 3 + random.uniform(70, 180, 3), 0, 255).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    boxes = []
    room = width // len(names)
    for place, name in enumerate(names):
        radius = int(random.uniform(0.22, 0.36) * min(room, height))
        x = int(random.integers(place * room + radius, (place + 1) * room - radius + 1))
        y = int(random.integers(radius, height - radius))
        shape = np.zeros_like(mask)
        if name == "circle":
            cv2.circle(shape, (x, y), radius, 1, -1)
        else:
            turned = random.uniform(-0.3, 0.3) + (np.pi / 4 if name == "square" else -np.pi / 2)
            n_corners = 4 if name == "square" else 3
            angles = turned + np.arange(n_corners) * 2 * np.pi / n_corners
            corners = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
            cv2.fillPoly(shape, [np.int32(np.round(corners))], 1)
        image[shape == 1] = np.clip(random.uniform(0, 255, 3) + random.normal(0, 8, (int(shape.sum()), 3)), 0, 255)
        mask[shape == 1] = SHAPES.index(name) + 1
        ys, xs = np.nonzero(shape)
        boxes.append([int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1])
    return cv2.GaussianBlur(image, (0, 0), 0.7), mask, boxes


def write_photos(folder: Path, n_train: int = 20, n_test: int = 8) -> None:
    """``train`` and ``test`` with a folder for each shape, of images of one shape each."""
    for split, first, n in (("train", 0, n_train), ("test", 1000, n_test)):
        for number, name in enumerate(SHAPES):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for index in range(n):
                image, _, _ = draw((name,), (96, 96), first + 100 * number + index)
                Image.fromarray(image).save(folder / split / name / f"{index:02}.png")


def write_scenes(folder: Path, n: int, *, first: int = 0) -> None:
    """``images`` of two shapes each, their ``masks``, and ``boxes.csv``."""
    paths, marked = [], []
    random = np.random.default_rng(first)
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    for index in range(first, first + n):
        names = tuple(SHAPES[place] for place in random.choice(3, 2, replace=False))
        image, mask, boxes = draw(names, (192, 120), 5000 + index)
        paths.append(folder / "images" / f"{index:02}.png")
        Image.fromarray(image).save(paths[-1])
        Image.fromarray(mask).save(folder / "masks" / f"{index:02}.png")
        marked.append(Objects.of(boxes, list(names)))
    (folder / "masks" / "classes.txt").write_text("\n".join(("ground", *SHAPES)) + "\n", encoding="utf-8")
    write_objects(folder / "boxes.csv", ObjectList(tuple(paths), tuple(marked)))


def write_photographs(folder: Path) -> None:
    """``left.jpg`` and ``right.jpg``, two views of a photograph of scikit-learn's; ``pictures`` has both of these."""
    photo = load_sample_image("china.jpg")
    height, width = photo.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = np.float32([[-60, 20], [width - 90, -40], [width - 30, height + 10], [-20, height - 30]])
    turned = cv2.warpPerspective(photo, cv2.getPerspectiveTransform(corners, moved), (width, height))
    (folder / "pictures").mkdir()
    for name, image in (
        ("left", photo[:, : width * 2 // 3]),
        ("right", turned[:, width // 4 :]),
        ("flower", load_sample_image("flower.jpg")),
        ("pictures/china", photo),
        ("pictures/china-small", cv2.resize(photo, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)),
        ("pictures/flower", load_sample_image("flower.jpg")),
    ):
        Image.fromarray(image).save(folder / f"{name}.jpg", quality=85)
    for number in range(9):
        image, _, _ = draw(SHAPES, (320, 240), 7000 + number)
        Image.fromarray(image).save(folder / "pictures" / f"shapes-{number}.jpg", quality=85)


def write_all(folder: Path) -> None:
    """All of it: ``photos``, ``new``, ``scenes``, ``more``, ``pictures``, and the photographs."""
    write_photos(folder / "photos")
    write_scenes(folder / "scenes", 10)
    write_scenes(folder / "more", 8, first=50)
    write_photographs(folder)
    (folder / "new").mkdir()
    for number in range(6):
        image, _, _ = draw((SHAPES[number % 3],), (96, 96), 9000 + number)
        Image.fromarray(image).save(folder / "new" / f"{number}.png")
