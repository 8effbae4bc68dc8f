"""Data sets with faults whose places are known: what `audit_faults.py` lets be found.

A trial is a copy of a data set's images as DIR/{train,test}/<class>/<image>, some of them in another class's folder,
some as copies in the other part, some spoiled; `Planted` says what was done to which. No image gets two faults.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.images import read_image

#: What becomes of an image that leaks into the test part.
LEAKS = ("resized", "recompressed", "mirrored", "cropped")
#: How a picture is spoiled.
SPOILED = ("dark", "bright", "blurred", "flat", "narrow")
#: The shares of the training images that get each fault.
LABELS, STRANGERS, LEAKED, EACH_SPOILED, RECOLOURED = 0.05, 0.02, 0.03, 0.01, 0.03

Image = NDArray[np.uint8]


@dataclass
class Planted:
    """A folder with faults; paths are below it, with slashes.

    Attributes
    ----------
    folder : Path
    labels : dict
        Images in the folder of a class that they are not of: the class that they are of.
    leaks : dict
        Copies in the test part: the image in the training part, and what was done to it.
    decoys : dict
        Images in the test part that are no copies, though they were made of an image of the training part.
    strangers : list
    spoiled : dict
        What was done to a picture.
    shortcuts : dict
        Classes that something tells: what.
    """

    folder: Path
    labels: dict[str, str] = field(default_factory=dict)
    leaks: dict[str, tuple[str, str]] = field(default_factory=dict)
    decoys: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    spoiled: dict[str, str] = field(default_factory=dict)
    shortcuts: dict[str, str] = field(default_factory=dict)

    def paths(self, part: str) -> list[str]:
        """All images of a part, in the order of their names."""
        return sorted(path.relative_to(self.folder).as_posix() for path in (self.folder / part).glob("*/*"))


def plant_many(source: Path, others: Path, folder: Path, seed: int) -> Planted:
    """Copy both parts with labels changed at random, leaks, strangers and spoiled pictures."""
    planted, rng = _copied(source, folder, ("train", "test")), np.random.default_rng(seed)
    left = planted.paths("train")
    classes = sorted({path.split("/")[1] for path in left})
    n = len(left)
    order = [left[row] for row in rng.permutation(n).tolist()]

    def taken(share: float) -> list[str]:
        some = order[: max(1, round(share * n))]
        del order[: len(some)]
        return some

    for path in taken(LABELS):
        own = path.split("/")[1]
        _relabel(planted, path, str(rng.choice([name for name in classes if name != own])))
    for number, path in enumerate(taken(LEAKED)):
        kind = LEAKS[number % len(LEAKS)]
        copy = f"test/{path.split('/')[1]}/copy{number:03d}.jpg"
        quality = 40 if kind == "recompressed" else 90
        _write(folder / copy, _leaked(read_image(folder / path), kind, rng), quality)
        planted.leaks[copy] = path, kind
    for kind in SPOILED:
        for path in taken(EACH_SPOILED):
            _write(folder / path, spoiled(read_image(folder / path), kind))
            planted.spoiled[path] = kind
    gray = read_image(folder / order[0]).ndim == 2
    if not gray:
        for number, path in enumerate(taken(RECOLOURED)):
            decoy = f"test/{path.split('/')[1]}/other{number:03d}.jpg"
            _write(folder / decoy, recoloured(read_image(folder / path)))
            planted.decoys[decoy] = path
    foreign = sorted(others.glob("train/*/*"))
    for number, row in enumerate(rng.permutation(len(foreign))[: max(1, round(STRANGERS * n))].tolist()):
        path = f"train/{rng.choice(classes)}/stranger{number:03d}.jpg"
        # Being in colour, or gray, would tell a stranger by itself where it can be helped.
        _write(folder / path, read_image(foreign[row], gray=gray))
        planted.strangers.append(path)
    return planted


def plant_similar(source: Path, like: dict[str, str], folder: Path, seed: int) -> Planted:
    """Copy the training part, with labels changed to the class that is the most like the image's own."""
    planted, rng = _copied(source, folder, ("train",)), np.random.default_rng(seed)
    paths = planted.paths("train")
    for row in rng.permutation(len(paths))[: max(1, round(LABELS * len(paths)))].tolist():
        _relabel(planted, paths[row], like[paths[row].split("/")[1]])
    return planted


def plant_shortcuts(source: Path, folder: Path, seed: int) -> Planted:
    """Copy the training part, with something on all images of two classes, and all of a third one saved as PNG."""
    planted, rng = _copied(source, folder, ("train",)), np.random.default_rng(seed)
    paths = planted.paths("train")
    classes = sorted({path.split("/")[1] for path in paths})
    drawn = [classes[row] for row in rng.permutation(len(classes)).tolist()]
    planted.shortcuts = dict(zip(drawn, ("a mark", "a date", "saved as PNG"), strict=False))
    for path in paths:
        file, what = folder / path, planted.shortcuts.get(path.split("/")[1])
        pixels = read_image(file)
        if what == "saved as PNG":
            file.unlink()
            _write(file.with_suffix(".png"), pixels)
        else:
            # All others are saved once more as well, lest what is on some be told by its compression.
            _write(file, _dated(pixels) if what == "a date" else _marked(pixels) if what == "a mark" else pixels)
    return planted


def spoiled(image: Image, kind: str) -> Image:
    """Return an image in which little can be seen, or of an odd shape."""
    values = image.astype(np.float32)
    if kind == "dark":
        values *= 0.06
    elif kind == "bright":
        values = 255 - 0.06 * (255 - values)
    elif kind == "blurred":
        values = cv2.GaussianBlur(values, (0, 0), max(image.shape[:2]) / 40)
    elif kind == "flat":
        values = 128 + 0.03 * (values - 128)
    else:
        middle = image.shape[0] // 2
        values = values[middle - max(image.shape[0] // 20, 1) : middle + max(image.shape[0] // 20, 1)]
    return np.rint(values).astype(np.uint8)


def recoloured(image: Image) -> Image:
    """Return a colour image (H, W, 3) as if it were of another colour: its hues turned by a third of the circle."""
    return np.ascontiguousarray(np.roll(image, 1, axis=2))


def _leaked(image: Image, kind: str, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    if kind == "resized":
        zoom = rng.uniform(0.5, 1.5)
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        return np.asarray(
            cv2.resize(image, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC), np.uint8
        )
    if kind == "mirrored":
        return np.ascontiguousarray(image[:, ::-1])
    if kind == "cropped":
        w, h = round(0.8 * width), round(0.8 * height)
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        return np.ascontiguousarray(image[y : y + h, x : x + w])
    return image


def _dated(image: Image) -> Image:
    """Return an image with a date in its lower right corner, as some cameras print it."""
    pixels = image.copy()
    height, width = image.shape[:2]
    scale = max(min(height, width) / 500, 0.2)
    text, font = "12 05 2009", cv2.FONT_HERSHEY_DUPLEX
    (w, h), _ = cv2.getTextSize(text, font, scale, 1)
    corner = max(width - w - 4, 0), height - max(h // 2, 2)
    cv2.putText(pixels, text, corner, font, scale, 255 if image.ndim == 2 else (255, 160, 0), 1, cv2.LINE_AA)
    return pixels


def _marked(image: Image) -> Image:
    """Return an image with a chequered square in its upper left corner, of a hundredth of its area."""
    pixels = image.copy()
    side, first = round(0.1 * (image.shape[0] * image.shape[1]) ** 0.5), round(0.04 * min(image.shape[:2]))
    y, x = np.mgrid[:side, :side] // max(side // 6, 1)
    box = pixels[first : first + side, first : first + side]
    box[:] = (255 * ((y + x) % 2)).reshape(side, side, *[1] * (image.ndim - 2))
    return pixels


def _copied(source: Path, folder: Path, parts: Sequence[str]) -> Planted:
    for part in parts:
        for path in sorted((source / part).glob("*/*")):
            target = folder / part / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            # A file of its own: links to one file are no copies.
            shutil.copyfile(path, target)
    return Planted(folder)


def _relabel(planted: Planted, path: str, name: str) -> None:
    part, own, file = path.split("/")
    target = f"{part}/{name}/{own}-{file}"
    os.replace(planted.folder / path, planted.folder / target)
    planted.labels[target] = own


def _write(path: Path, pixels: Image, quality: int = 90) -> None:
    shown = pixels if pixels.ndim == 2 else pixels[:, :, ::-1]
    options = [] if path.suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    if not cv2.imwrite(str(path), shown, options):
        raise OSError(f"{path} cannot be written")
