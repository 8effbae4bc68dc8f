"""A small data set made on the spot: three textures that any image classifier tells apart.

    python tests/tiny_images.py DIR [SEED]

writes DIR/<class>/<nn>.png for the classes checker, horizontal and vertical.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TEXTURES = ("checker", "horizontal", "vertical")


def texture(name: str, *, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One (size, size) gray image: stripes or squares of a random period, phase and contrast, with noise."""
    half_period = rng.integers(3, 6)
    phase_y, phase_x = rng.integers(0, 2 * half_period, size=2)
    y, x = np.indices((size, size))
    across, down = ((x + phase_x) // half_period) % 2, ((y + phase_y) // half_period) % 2
    pattern = {"checker": across ^ down, "horizontal": down, "vertical": across}[name]
    contrast = rng.uniform(80, 140)
    gray = 128 + contrast * (pattern - 0.5) + rng.normal(0, 8, size=(size, size))
    pixels: NDArray[np.uint8] = np.clip(np.rint(gray), 0, 255).astype(np.uint8)
    return pixels


def write_dataset(folder: Path, *, per_class: int = 6, size: int = 48, seed: int = 0) -> Path:
    """Write `per_class` PNG files of each texture under folder/<class>/ and return the folder."""
    rng = np.random.default_rng(seed)
    for name in TEXTURES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            Image.fromarray(texture(name, size=size, rng=rng)).save(folder / name / f"{number:02d}.png")
    return folder


if __name__ == "__main__":
    write_dataset(Path(sys.argv[1]), seed=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
