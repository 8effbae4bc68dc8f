"""Small images with masks: a striped shape on noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UInt8 = NDArray[np.uint8]


def scene(seed: int, size: tuple[int, int] = (72, 96), shape: str = "disc") -> tuple[UInt8, UInt8]:
    """A striped shape on noise, both gray on the average, and its mask."""
    random = np.random.default_rng(seed)
    height, width = size
    image = random.integers(60, 200, (height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    cy, cx = random.uniform(0.35, 0.65, 2) * size
    radius = 0.28 * min(size)
    inside = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
    if shape == "square":
        inside = np.maximum(abs(y - cy), abs(x - cx)) < radius
    image[inside] = np.where((x // 3) % 2, 90, 170)[inside, None]
    return image, inside.astype(np.uint8)


def write_masked(
    folder: Path, n: int, *, first: int = 0, suffix: str = "bmp", size: tuple[int, int] = (48, 64)
) -> Path:
    """Write scenes into the folders ``images`` and ``masks`` below a folder, and return that."""
    for number in range(first, first + n):
        image, mask = scene(number, size)
        for name, pixels, ending in (("images", image, suffix), ("masks", mask, "png")):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{number}.{ending}")
    return folder
