"""Drawing images at random, the same ones anywhere and for ever.

The images of a class are put in the order of SHA-256 over the seed, the number of the split and the image's name. So a
draw depends on no library's random numbers, on no order of files, and on no other class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.datasets import LabelledImages
from cvbow.images import natural_key

#: What a smoke run keeps of a split.
SMOKE_CLASSES, SMOKE_TRAIN, SMOKE_TEST = 5, 20, 10


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of images.

    Attributes
    ----------
    name : str
    train, test : ndarray of intp
        In ascending order, without one in common.
    """

    name: str
    train: NDArray[np.intp]
    test: NDArray[np.intp]


def shuffled(images: LabelledImages, positions: Iterable[int], key: str) -> list[int]:
    """Return positions in an order that the key and the names decide."""

    def draw(position: int) -> bytes:
        return hashlib.sha256(f"{key}\0{images.names[position]}".encode("utf-8", "surrogateescape")).digest()

    return sorted(positions, key=draw)


def by_class(images: LabelledImages, positions: Iterable[int]) -> dict[str, list[int]]:
    """Return the positions of each class, classes in natural order."""
    members: dict[str, list[int]] = {}
    for position in positions:
        members.setdefault(images.labels[position], []).append(position)
    return {label: members[label] for label in sorted(members, key=natural_key)}


def first(
    images: LabelledImages, positions: Iterable[int], count: int, key: str, parameter: str, *, leave: int = 0
) -> list[int]:
    """Draw ``count`` of each class; ValueError where that does not leave enough."""
    drawn: list[int] = []
    for label, members in by_class(images, positions).items():
        if len(members) < count + leave:
            others = " with one left for the test" if leave else ""
            raise ValueError(
                f"{parameter} must be at most what each class has{others}; {label!r} has {len(members)} images, "
                f"got {count}"
            )
        drawn += shuffled(images, members, key)[:count]
    return drawn


def at_most(images: LabelledImages, positions: Iterable[int], limit: int | None, key: str) -> list[int]:
    """Draw at most ``limit`` of each class."""
    if limit is None:
        return list(positions)
    classes = by_class(images, positions).values()
    return [position for members in classes for position in shuffled(images, members, f"{key} test")[:limit]]


def make_split(name: str, train: Any, test: Any) -> Split:
    """Return a split with its positions in order; ValueError where it has none to train on, or none to test with."""
    if not len(train) or not len(test):
        raise ValueError(f"{name} must have images to train on and to test with, got {len(train)} and {len(test)}")
    return Split(name, np.sort(np.asarray(train, np.intp)), np.sort(np.asarray(test, np.intp)))


def smoke_split(images: LabelledImages, split: Split, *, seed: int = 0) -> Split:
    """Return a small part of a split, drawn at random: 5 classes, of each at most 20 images to train on and 10 to test.

    Its figures say that a recipe runs, and nothing about how good it is.
    """
    key = f"smoke {seed}"
    train, test = by_class(images, split.train.tolist()), by_class(images, split.test.tolist())
    both = [label for label in train if label in test]
    chosen = sorted(both, key=lambda label: hashlib.sha256(f"{key}\0{label}".encode()).digest())[:SMOKE_CLASSES]
    return make_split(
        f"{split.name}, a small part",
        [position for label in chosen for position in shuffled(images, train[label], key)[:SMOKE_TRAIN]],
        [position for label in chosen for position in shuffled(images, test[label], key)[:SMOKE_TEST]],
    )
