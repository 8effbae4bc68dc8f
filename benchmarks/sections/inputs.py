"""What the sections work on: real images where there are some, generated ones otherwise and in a smoke run."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _measure import ROOT, folder_hash
from numpy.typing import NDArray

from cvbow.features import DenseSIFT
from cvbow.images import read_image

#: The image of the dense SIFT section, under the folder of data sets; its middle is cut out.
IMAGE = "oxford_affine/boat/img1.png"
SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png"}
#: Descriptors that one image gives to the sample.
PER_IMAGE = 200


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes
    ----------
    data : Path or None
        15-Scene, with train/ and test/; None where there is none.
    rounds : int or None
        None for a section's own number.
    smoke : bool
        Tiny generated inputs, two rounds: whether it runs, not how fast.
    seed : int
    """

    data: Path | None
    rounds: int | None = None
    smoke: bool = False
    seed: int = 0

    def rounds_or(self, default: int) -> int:
        """Return the number of rounds asked for, or the section's own."""
        return self.rounds or (2 if self.smoke else default)


def default_data() -> Path | None:
    """15-Scene in CVBOW_SHARED_DATA, else in shared/data beside the checkout, else None."""
    named = os.environ.get("CVBOW_SHARED_DATA")
    folder = (Path(named) if named else ROOT.parent / "shared" / "data") / "scene15"
    return folder if folder.is_dir() else None


def square_image(options: Options) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """A gray image of 512 x 512 pixels (96 x 96 in a smoke run), and what it is."""
    side = 96 if options.smoke else 512
    path = _real(options, Path("..") / IMAGE)
    if path is not None and path.is_file():
        gray = read_image(path, gray=True)
        top, left = ((length - side) // 2 for length in gray.shape)
        pixels = np.ascontiguousarray(gray[top : top + side, left : left + side])
        name = f"the middle of {IMAGE}"
    else:
        pixels = texture(side, np.random.default_rng(options.seed))
        name = "generated texture"
    return {"image": name, "size": [side, side], "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}, pixels


def dense_descriptors(options: Options, n: int) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """(n, 128) float32 RootSIFT descriptors of dense grids on many images, and what they are.

    The zero descriptors of plain areas are left out: a contender that starts k-means from drawn descriptors would
    start from equal words.
    """
    rng = np.random.default_rng(options.seed)
    extractor = DenseSIFT(step=8, bin_sizes=(4, 8))
    folder = _real(options, Path("train"))
    paths = [] if folder is None else sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    n_images = -(-n // PER_IMAGE)
    out = np.empty((n, 128), np.float32)
    filled = image_number = 0
    while filled < n:
        if paths:
            # Spread over the whole folder, and around again if plain images gave too little.
            path = paths[(image_number * max(1, len(paths) // n_images)) % len(paths)]
            image = read_image(path, gray=True)
        else:
            image = texture(96 if options.smoke else 256, rng)
        found = extractor.extract(image).descriptors
        found = found[found.any(axis=1)]
        take = min(len(found), PER_IMAGE, n - filled)
        out[filled : filled + take] = found[rng.choice(len(found), take, replace=False)]
        filled += take
        image_number += 1
    rng.shuffle(out)
    source: dict[str, Any] = {"images": "generated textures", "n_images": image_number}
    if folder is not None:
        source = {"images": "15-Scene, train", "n_images": image_number, "sha256": folder_hash(folder)}
    return source | {"descriptors": [n, 128], "extractor": "DenseSIFT(step=8, bin_sizes=(4, 8))"}, out


def _real(options: Options, place: Path) -> Path | None:
    """A place relative to 15-Scene's folder; None where the run has no real images."""
    return None if options.smoke or options.data is None else options.data.resolve() / place


def texture(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A gray (side, side) image with structure at every scale: noise of several grains, the coarse ones stronger."""
    total = np.zeros((side, side), np.float32)
    for grain in (1, 2, 4, 8, 16):
        noise = rng.standard_normal((side, side)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), grain)
        total += grain * smooth / smooth.std()
    return np.asarray(cv2.normalize(total, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def write_scenes(folder: Path, *, per_class: int, rng: np.random.Generator) -> Path:
    """Write folder/<class>/<nn>.png for three classes of textures that are smeared in different directions."""
    kernels = {"across": np.ones((1, 9)), "down": np.ones((9, 1)), "even": np.ones((3, 3))}
    for name, kernel in kernels.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            noise = rng.standard_normal((64, 64)).astype(np.float32)
            smeared = cv2.normalize(cv2.filter2D(noise, -1, kernel), None, 0, 255, cv2.NORM_MINMAX)
            cv2.imwrite(str(folder / name / f"{number:02d}.png"), np.asarray(smeared, np.uint8))
    return folder
