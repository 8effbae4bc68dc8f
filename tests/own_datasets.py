"""Data sets of a test's own, in place of those that come with cvbow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_images import texture, write_dataset

MANIFEST = """
title = "Tiny textures"
content = "gray PNG, 48x48"
n_images = {n_images}
n_classes = 3
layout = "folders"
homepage = "https://example.org"
terms = "none"
citation = "nobody"
{more}
"""

MASKED = """
title = "Tiny shapes"
content = "made by the tests, with masks"
n_images = {n_images}
n_classes = 1
layout = "folders"
homepage = "https://example.org"
terms = "none"
citation = "nobody"

[options]
leave_out = ["masks"]
"""


def register(monkeypatch: pytest.MonkeyPatch, folder: Path, **manifests: str) -> None:
    """Let these manifests, written to `folder`, be all that there are; the cache and the environment are the test's."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, text in manifests.items():
        files[name] = folder / f"{name}.toml"
        files[name].write_text(text, encoding="utf-8")
    monkeypatch.setattr("cvbow.datasets.catalog.bundled", lambda kind: files)
    monkeypatch.setenv("CVBOW_CACHE", str(folder / "cache"))
    monkeypatch.delenv("CVBOW_DATA", raising=False)


def tiny_manifest(*, n_images: int = 18, more: str = "") -> str:
    """The manifest of what `write_dataset` writes; with a split of 6 and 4 per class, of what `write_split` does."""
    return MANIFEST.format(n_images=n_images, more=more)


def masked_manifest(*, n_images: int = 10) -> str:
    """The manifest of what `write_masked` writes."""
    return MASKED.format(n_images=n_images)


def write_split(folder: Path) -> Path:
    """Write folder/{train,test}/<class>/, 6 and 4 images for each of 3 classes."""
    write_dataset(folder / "train", per_class=6)
    write_dataset(folder / "test", per_class=4, seed=1)
    return folder


def write_masked(folder: Path, side: int, *, stray: bool = False) -> Path:
    """Write ten checkered images, six to train on, with noise in a square that masks tell of; perhaps a stray pixel."""
    random = np.random.default_rng(0)
    rows, columns = slice(side // 4, 3 * side // 4), slice(side // 3, 5 * side // 6)
    for number in range(10):
        part = folder / ("train" if number < 6 else "test")
        image, mask = texture("checker", size=side, rng=random), np.zeros((side, side), np.uint8)
        image[rows, columns], mask[rows, columns] = random.integers(0, 256, (side // 2, side // 2)), 1
        mask[0, 0] = stray
        for name, pixels in (("images", image), ("masks", mask)):
            (part / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(part / name / f"{number}.png"), pixels)
    return folder
