"""The images of a data set, with their labels, their names and the splits that its authors published."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import DatasetError
from cvbow.images import ImageList, content_hash, natural_key
from cvbow.parallel import run


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LabelledImages:
    """A data set as benchmarks see it.

    Attributes
    ----------
    images : tuple of Path or ndarray
        Files, or pixels where the data set does not come as image files.
    labels : tuple of str
    names : tuple of str
        What identifies an image within its data set, wherever that lies: no two are equal.
    partitions : tuple of tuple of str or None
        The splits of the authors. Each gives every image ``"train"``, ``"validation"``, ``"test"``, or None for one
        that it leaves out.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.datasets import LabelledImages
    >>> pixels = np.zeros((8, 8), np.uint8)
    >>> images = LabelledImages((pixels, pixels + 1), labels=("zero", "one"), names=("0.png", "1.png"))
    >>> images.classes
    ('one', 'zero')
    """

    images: tuple[Path | NDArray[np.uint8], ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    partitions: tuple[tuple[str | None, ...], ...] = ()

    def __post_init__(self) -> None:
        """Check that all run in parallel, and that names identify."""
        lengths = {len(self.images), len(self.labels), len(self.names), *map(len, self.partitions)}
        if len(lengths) != 1:
            raise ValueError(f"images, labels, names and partitions must have one length, got {sorted(lengths)}")
        twice = next((name for name, count in Counter(self.names).items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"names must differ from each other, got {twice!r} twice")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"LabelledImages({len(self)} images, {len(self.classes)} classes, {len(self.partitions)} partitions)"

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels in natural order."""
        return tuple(sorted(set(self.labels), key=natural_key))

    @classmethod
    def from_list(cls, listed: ImageList, *, labels: Mapping[str, str] | None = None) -> LabelledImages:
        """Name the images of a listing ``<label>/<file>``, or ``<split>/<label>/<file>`` where that is ambiguous.

        Splits among them become the one partition.

        Parameters
        ----------
        listed : ImageList
        labels : mapping, optional
            New labels for some of the old ones. Names follow them, so that what is drawn by name does not depend on
            what somebody called a folder.
        """
        renamed = tuple((labels or {}).get(label, label) for label in listed.labels)
        names = [
            f"{new}/{_below(path, old)}" for new, path, old in zip(renamed, listed.paths, listed.labels, strict=True)
        ]
        if len(set(names)) < len(names):
            names = [f"{split}/{name}" for split, name in zip(listed.splits, names, strict=True)]
        if len(set(names)) < len(names):
            names = [path.as_posix() for path in listed.paths]
        return cls(listed.paths, renamed, tuple(names), (listed.splits,) if listed.has_splits else ())


def _below(path: Path, label: str) -> str:
    """The path below the folder of the class; the file's name where no folder is called like the class."""
    folders = path.parts[:-1]
    for position in range(len(folders) - 1, -1, -1):
        if folders[position] == label:
            return "/".join(path.parts[position + 1 :])
    return path.name


def fingerprint(
    images: LabelledImages,
    *,
    only: Iterable[int] | None = None,
    expected: Mapping[Path, str] | None = None,
    n_jobs: int | None = -1,
) -> str:
    """Return what identifies a data set: SHA-256 over names, labels and the SHA-256 of contents, sorted by name.

    Parameters
    ----------
    images : LabelledImages
    only : iterable of int, optional
        Positions of the images to look at; otherwise all of them.
    expected : mapping of Path to str, optional
        SHA-256 that files must have.
    n_jobs : int or None, default -1
        Workers, by joblib's convention.

    Raises
    ------
    FileNotFoundError, ImageError
        When a file cannot be read.
    DatasetError
        For the first file, by name, whose content is not the expected one.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.datasets import LabelledImages, fingerprint
    >>> images = LabelledImages((np.zeros((8, 8), np.uint8),), labels=("zero",), names=("0.png",))
    >>> fingerprint(images, n_jobs=1)[:8]
    '3970a1d0'
    """
    order = sorted(range(len(images)) if only is None else set(only), key=lambda position: images.names[position])
    chosen = [images.images[position] for position in order]
    digest = hashlib.sha256()
    for position, image, found in zip(order, chosen, run(content_hash, chosen, n_jobs=n_jobs), strict=True):
        if expected is not None and isinstance(image, Path) and expected.get(image, found) != found:
            raise DatasetError(image, f"the file has changed: its SHA-256 is {found}, expected {expected[image]}")
        line = f"{images.names[position]}\0{images.labels[position]}\0{found}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


class Layout(Protocol):
    """A way that a data set may lie in its folder."""

    #: Whether the images are read from a folder; otherwise they come with an installed package.
    needs_folder: bool = True

    def load(self, root: Path) -> LabelledImages:
        """List the images below ``root``; DatasetError where they do not lie as they should."""


def step_inside(root: Path, folders: Iterable[str]) -> Path:
    """Return the first of these folders below ``root`` that exists; ``root`` itself where none does."""
    return next((root / folder for folder in folders if (root / folder).is_dir()), root)
