"""A labelled list of images, and the order that people expect of numbered names."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvbow.tables import Table, Tabular, counted

#: The splits of a data set, by the names that they go by.
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
_SPLIT_OF_NAME = {name: split for split, names in SPLITS.items() for name in names}

_DIGITS = re.compile("([0-9]+)")


def natural_key(text: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Return a sort key that puts ``img2`` before ``img10`` and ignores case, except to break ties.

    Parameters
    ----------
    text : str

    Returns
    -------
    tuple
        Comparable with every other natural key; equal only for equal texts.

    Examples
    --------
    >>> from cvbow.images import natural_key
    >>> sorted(["img10.png", "img2.png"], key=natural_key)
    ['img2.png', 'img10.png']
    """
    # Splitting at a group alternates text and digits, so equal positions hold equal types. A number is compared by its
    # length and then its digits: that orders numbers of any size without converting them.
    parts: list[str | tuple[int, str]] = list(_DIGITS.split(text.casefold()))
    for position in range(1, len(parts), 2):
        digits = str(parts[position]).lstrip("0")
        parts[position] = len(digits), digits
    return tuple(parts), text


def split_name(name: str) -> str | None:
    """Return the split (``"train"``, ``"validation"`` or ``"test"``) that a name stands for, in any case."""
    return _SPLIT_OF_NAME.get(name.casefold())


@dataclass(frozen=True, slots=True, repr=False)
class ImageList(Tabular):
    """Images with their labels, and their splits where the data set has some.

    Attributes
    ----------
    paths : tuple of Path
    labels : tuple of str, or tuple of tuples of str
        One per path; or of each the labels that it has, of which there may be several or none, in natural order.
    splits : tuple of str or None
        ``"train"``, ``"validation"``, ``"test"`` or None, one per path.
    ignored : int
        Files and folders that were left out: hidden ones, those that are not images, images outside a class folder,
        links to folders that are listed already.
    empty : tuple of str
        Class folders without an image, relative to the root.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow import ImageList
    >>> images = ImageList((Path("cat/1.jpg"), Path("dog/2.jpg")), labels=("cat", "dog"), splits=("train", "test"))
    >>> images.classes, len(images.select("train"))
    (('cat', 'dog'), 1)
    """

    paths: tuple[Path, ...]
    labels: tuple[Any, ...]
    splits: tuple[str | None, ...]
    ignored: int = 0
    empty: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the three tuples run in parallel."""
        if not len(self.paths) == len(self.labels) == len(self.splits):
            lengths = f"{len(self.paths)}, {len(self.labels)} and {len(self.splits)}"
            raise ValueError(f"paths, labels and splits must have one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        splits = f", splits={sorted({split for split in self.splits if split})}" if self.has_splits else ""
        return f"ImageList({len(self)} images, {len(self.classes)} classes{splits}, ignored={self.ignored})"

    def tables(self) -> list[Table]:
        """Return how many images each class has, in each split."""
        names = sorted({split or "" for split in self.splits}) if self.has_splits else []
        splits = [split or "" for split in self.splits]
        parts = [
            Counter(_each(label for label, split in zip(self.labels, splits, strict=True) if split == name))
            for name in names
        ]
        heads = ["class", "images", *(name or "no split" for name in names)]
        rows = [[name, str(count), *(str(part[name]) for part in parts)] for name, count in self.counts.items()]
        return [Table(heads, rows, notes=f"{counted(len(self), 'image')}.")]

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels in natural order."""
        return tuple(sorted(set(_each(self.labels)), key=natural_key))

    @property
    def counts(self) -> dict[str, int]:
        """The number of images of each class, in the order of `classes`."""
        counted = Counter(_each(self.labels))
        return {name: counted[name] for name in self.classes}

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several labels, or none."""
        return not all(isinstance(label, str) for label in self.labels)

    @property
    def has_splits(self) -> bool:
        """Whether any image belongs to a split."""
        return any(split is not None for split in self.splits)

    def select(self, split: str) -> ImageList:
        """Return the images of one split, in the same order; `ignored` and `empty` stay those of the whole.

        Parameters
        ----------
        split : str
            A split, or another name that it goes by (``"val"``).

        Raises
        ------
        ValueError
            When `split` is not the name of a split.
        """
        wanted = split_name(split) if isinstance(split, str) else None
        if wanted is None:
            raise ValueError(f"split must be one of {', '.join(_SPLIT_OF_NAME)}, got {split!r}")
        kept = [position for position, name in enumerate(self.splits) if name == wanted]
        return ImageList(
            paths=tuple(self.paths[position] for position in kept),
            labels=tuple(self.labels[position] for position in kept),
            splits=(wanted,) * len(kept),
            ignored=self.ignored,
            empty=self.empty,
        )


def _each(labels: Iterable[Any]) -> Iterator[str]:
    """Yield each label of each image."""
    return itertools.chain.from_iterable([label] if isinstance(label, str) else label for label in labels)
