"""Sequences of images of a plane, or from one place, with the true homography from the first to each other image.

K. Mikolajczyk et al., "A comparison of affine region detectors", IJCV 2005 (img1 to img6, H1to2p to H1to6p);
V. Balntas et al., "HPatches", CVPR 2017 (1 to 6, H_1_2 to H_1_6).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvbow.datasets.images import LabelledImages, Layout
from cvbow.errors import DatasetError
from cvbow.files import read_text
from cvbow.images import IMAGE_SUFFIXES, natural_key

_IMAGE = re.compile(r"(?:img)?(\d+)")
_HOMOGRAPHIES = ("H1to{}p", "H_1_{}")


@dataclass(frozen=True, eq=False)
class ImageSequence:
    """Images of one scene.

    Attributes
    ----------
    name : str
        Of the folder.
    images : tuple of Path
        In the order of their numbers, the first being 1.
    homographies : tuple of ndarray of shape (3, 3), float64
        For each but the first: takes points x, y of the first image to it, in pixels.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from cvbow.datasets import ImageSequence
    >>> graffiti = ImageSequence("graf", (Path("img1.ppm"), Path("img2.ppm")), (np.eye(3),))
    >>> len(graffiti.images), len(graffiti.homographies)
    (2, 1)
    """

    name: str
    images: tuple[Path, ...]
    homographies: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class Sequences(Layout):
    """A folder per sequence, with numbered images and a text file for each homography.

    An image's label is its sequence.

    Attributes
    ----------
    only : tuple of str
        The folders to read; empty for all that hold such a sequence.

    Examples
    --------
    >>> from cvbow.datasets import find_dataset
    >>> find_dataset("oxford-affine").layout
    Sequences(only=('bikes', 'boat', 'graf', 'leuven'))
    """

    only: tuple[str, ...] = ()

    def load(self, root: Path) -> LabelledImages:
        sequences = self.sequences(root)
        images = tuple(path for sequence in sequences for path in sequence.images)
        labels = tuple(sequence.name for sequence in sequences for _ in sequence.images)
        names = tuple(f"{label}/{path.name}" for label, path in zip(labels, images, strict=True))
        return LabelledImages(images, labels, names)

    def sequences(self, root: Path) -> tuple[ImageSequence, ...]:
        """Read the sequences below ``root``, in natural order; DatasetError where they do not lie as they should."""
        if self.only:
            folders = [root / name for name in self.only]
            missing = next((folder for folder in folders if not folder.is_dir()), None)
            if missing is not None:
                raise DatasetError(missing, "there is no such folder")
        else:
            folders = [folder for folder in root.iterdir() if folder.is_dir() and _homography(folder, 2) is not None]
        if not folders:
            raise DatasetError(root, f"expected folders of sequences with files such as {_HOMOGRAPHIES[0].format(2)}")
        return tuple(_read(folder) for folder in sorted(folders, key=lambda folder: natural_key(folder.name)))


def homographies_hash(sequences: Sequence[ImageSequence]) -> str:
    """Return SHA-256 over the names and the homographies of sequences: what figures depend on besides the images."""
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(sequence.name.encode("utf-8", "surrogateescape") + b"\0")
        for homography in sequence.homographies:
            digest.update(homography.astype("<f8").tobytes())
    return digest.hexdigest()


def _read(folder: Path) -> ImageSequence:
    numbered: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _IMAGE.fullmatch(path.stem)
        if match is None or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        number = int(match[1])
        if number in numbered:
            raise DatasetError(folder, f"two images have the number {number}: {numbered[number].name}, {path.name}")
        numbered[number] = path
    if len(numbered) < 2 or sorted(numbered) != list(range(1, len(numbered) + 1)):
        raise DatasetError(folder, f"expected images numbered from 1 on, found {sorted(numbered)}")
    homographies = []
    for number in range(2, len(numbered) + 1):
        file = _homography(folder, number)
        if file is None:
            raise DatasetError(folder, f"expected a file {_HOMOGRAPHIES[0].format(number)}")
        homographies.append(_read_homography(file))
    return ImageSequence(folder.name, tuple(numbered[number] for number in sorted(numbered)), tuple(homographies))


def _homography(folder: Path, number: int) -> Path | None:
    files = (folder / name.format(number) for name in _HOMOGRAPHIES)
    return next((file for file in files if file.is_file()), None)


def _read_homography(path: Path) -> NDArray[np.float64]:
    try:
        values = [float(word) for word in read_text(path, encoding="ascii").split()]
    except ValueError:
        values = []
    matrix = np.array(values)
    if len(values) != 9 or not np.isfinite(matrix).all() or np.linalg.det(matrix.reshape(3, 3)) == 0:
        raise DatasetError(path, "expected the nine numbers of a 3x3 homography")
    return matrix.reshape(3, 3)
