"""What the sections work on: real images where there are some, generated ones otherwise and in a smoke run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _measure import folder_hash, shared_data
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from cvbow.features import DenseSIFT, Features
from cvbow.images import read_image

#: The image of the dense SIFT section, under the folder of data sets; its middle is cut out.
IMAGE = "oxford_affine/boat/img1.png"
SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png"}
#: Descriptors that one image gives to the sample.
PER_IMAGE = 200
#: What the encoders get: about ten thousand descriptors from an image of 15-Scene, reduced to so many values and x, y.
ENCODED = DenseSIFT(step=5, bin_sizes=(4, 6, 8, 10))
REDUCED = 64


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
    images, words : int or None
        Of the section retrieval: its largest index, its words; None for its own.
    """

    data: Path | None
    rounds: int | None = None
    smoke: bool = False
    seed: int = 0
    images: int | None = None
    words: int | None = None

    def rounds_or(self, default: int) -> int:
        """Return the number of rounds asked for, or the section's own."""
        return self.rounds or (2 if self.smoke else default)


def default_data() -> Path | None:
    """15-Scene in CVBOW_SHARED_DATA, else in shared/data beside the checkout, else None."""
    shared = shared_data()
    return shared / "scene15" if shared is not None and (shared / "scene15").is_dir() else None


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
    """(n, 128) float32 RootSIFT descriptors of dense grids on many images, and what they are."""
    source, sample = _sample(options, n, DenseSIFT(step=8, bin_sizes=(4, 8)))
    return source, np.ascontiguousarray(sample[:, :128])


class Reduction:
    """Descriptors for a Gaussian mixture: the first components of RootSIFT, and where in the image it was taken.

    Attributes
    ----------
    source : dict
        What the sample is.
    descriptors : ndarray of shape (n, 128), float32
        The sample: RootSIFT.
    reduced : ndarray of shape (n, REDUCED + 2), float32
        The sample, reduced.
    """

    def __init__(self, options: Options, n: int) -> None:
        self.source, sample = _sample(options, n, ENCODED)
        self.descriptors = np.ascontiguousarray(sample[:, :128])
        self._pca = PCA(REDUCED, svd_solver="covariance_eigh").fit(self.descriptors)
        self.reduced = self._join(self.descriptors, sample[:, 128:])
        self.source["reduced"] = f"PCA to {REDUCED} values, learned on the sample; x, y from -1/2 to 1/2 appended"

    def __call__(self, features: Features) -> Features:
        """Reduce an image's descriptors."""
        return features.with_descriptors(self._join(features.descriptors, _places(features)))

    def _join(self, descriptors: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.hstack([self._pca.transform(descriptors), places]).astype(np.float32)


def images_to_encode(options: Options, n: int) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
    """N gray images that `Reduction` has not seen, and what they are."""
    folder = _real(options, Path("test"))
    if folder is None or not (paths := image_files(folder)):
        rng = np.random.default_rng(options.seed + 1)
        return {"images": "generated textures"}, [texture(96 if options.smoke else 256, rng) for _ in range(n)]
    chosen = [paths[(2 * number + 1) * len(paths) // (2 * n)] for number in range(n)]
    source = {"images": "15-Scene, test", "sha256": folder_hash(folder)}
    source["names"] = [path.relative_to(folder).as_posix() for path in chosen]
    return source, [read_image(path, gray=True) for path in chosen]


def _sample(options: Options, n: int, extractor: DenseSIFT) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """(n, 130) float32: RootSIFT of many images and its x, y, in random order; and what they are.

    The zero descriptors of plain areas are left out: a contender that starts k-means from drawn descriptors would
    start from equal words, and in a mixture one Gaussian shrinks onto them to whatever variance its program allows.
    """
    rng = np.random.default_rng(options.seed)
    folder = _real(options, Path("train"))
    images = _images(options, [] if folder is None else image_files(folder), -(-n // PER_IMAGE), rng)
    out = np.empty((n, 130), np.float32)
    filled = n_images = 0
    while filled < n:
        features = extractor.extract(next(images))
        found = np.flatnonzero(features.descriptors.any(axis=1))
        drawn = found[rng.choice(len(found), min(len(found), PER_IMAGE, n - filled), replace=False)]
        out[filled : filled + len(drawn), :128] = features.descriptors[drawn]
        out[filled : filled + len(drawn), 128:] = _places(features)[drawn]
        filled += len(drawn)
        n_images += 1
    rng.shuffle(out)
    source: dict[str, Any] = {"images": "generated textures", "n_images": n_images}
    if folder is not None:
        source = {"images": "15-Scene, train", "n_images": n_images, "sha256": folder_hash(folder)}
    described = f"DenseSIFT(step={extractor.step}, bin_sizes={extractor.bin_sizes})"
    return source | {"descriptors": [n, 128], "extractor": described}, out


def _images(options: Options, paths: list[Path], n: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Endlessly: n images spread over a whole folder, and around again; or textures where there is no folder."""
    number = 0
    while True:
        if paths:
            yield read_image(paths[(number * max(1, len(paths) // n)) % len(paths)], gray=True)
        else:
            yield texture(96 if options.smoke else 256, rng)
        number += 1


def _places(features: Features) -> NDArray[np.float32]:
    """Where the points lie, (n, 2) float32: x, y from -1/2 to 1/2 over the image."""
    return ((features.points[:, :2] + 0.5) / features.image_size - 0.5).astype(np.float32)


def image_files(folder: Path) -> list[Path]:
    """The images of a folder and its folders, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


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
