"""Images for a small index, and what an index says of them in plain values."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvbow.index import ImageIndex


def noise(seed: int, *, low: int = 0, high: int = 256, size: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    """Noise that is brighter in some blocks than in others, so that their words differ."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.uniform(0, 1, (size[0] // 8, size[1] // 8)), np.ones((8, 8)))
    pixels: NDArray[np.uint8] = (low + (high - 1 - low) * (0.8 * blocks + 0.2 * rng.uniform(0, 1, size))).astype(
        np.uint8
    )
    return pixels


def write(path: Path, seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Each with a brightness of its own, so that words differ.
    Image.fromarray(noise(seed, low=seed * 7 % 120, high=seed * 7 % 120 + 100)).save(path)
    return str(path)


def ten_images(folder: Path) -> list[str]:
    """Write ten images, the eighth a copy of the fourth, the last without anything in it; return their paths."""
    paths = [write(folder / f"{i}.png", i) for i in range(9)]
    shutil.copyfile(paths[3], paths[7])
    Image.fromarray(np.full((24, 32), 90, np.uint8)).save(folder / "9.png")
    return [*paths, str(folder / "9.png")]


def keys(*numbers: int) -> list[str]:
    return [f"images/{number}.png" for number in numbers]


def content(index: ImageIndex) -> dict[str, Any]:
    return {
        index.record(row).path: (index.record(row).sha256, {k: a.tolist() for k, a in index.describe(row).items()})
        for row in index.rows.tolist()
    }


def found(results: Any) -> list[tuple[str, float]]:
    return [(result.path, result.score) for result in results]


def reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest and seal it as if it had been written so."""
    from cvbow.index._manifest import _sealed

    content = json.loads((folder / "manifest.json").read_text())
    del content["manifest_hash"]
    change(content)
    (folder / "manifest.json").write_bytes(_sealed(content))
