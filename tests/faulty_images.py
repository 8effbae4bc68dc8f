"""Sets of images for audits, made on the spot: three kinds of patterns, each image another one of its kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

KINDS = ("lines", "rings", "spots")
#: Images of a class, and their side in pixels.
PER_CLASS, SIDE = 14, 96


def pixels(kind: str, number: int) -> NDArray[np.uint8]:
    """The image of a kind with a number: (96, 96, 3), gray, a pattern under a shade and a little noise."""
    rng = np.random.default_rng([KINDS.index(kind), number])
    y, x = np.indices((SIDE, SIDE))
    if kind == "lines":
        angle = rng.uniform(-0.2, 0.2)
        pattern = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + rng.uniform(0, 9)) / 9)
    elif kind == "rings":
        middle = rng.uniform(20, 76, 2)
        pattern = np.sin(np.hypot(y - middle[0], x - middle[1]) / 2)
    else:
        pattern = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)), (0, 0), 1.5) * 5
    shade = cv2.resize(rng.uniform(-40, 40, (3, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    gray = 128 + 60 * pattern + shade + rng.normal(0, 8, (SIDE, SIDE))
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def write(folder: Path, *, split: str = "", per_class: int = PER_CLASS, first: int = 0) -> dict[str, list[Path]]:
    """Write images of each kind as PNG files, and return their paths by kind."""
    return {
        kind: [
            save(pixels(kind, number), folder / split / kind / f"{number:02d}.png")
            for number in range(first, first + per_class)
        ]
        for kind in KINDS
    }


def save(image: NDArray[np.uint8], path: Path) -> Path:
    """Write an image, in a folder that need not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, compress_level=1)
    return path
