"""Which images are for training and which for the test: the protocols that published tables follow.

What is drawn at random depends on the seed and on the images' names alone; see ``_drawing``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from cvbow._toml import COUNT, TEXT, TEXTS, Rule, TomlTable, one_of
from cvbow.datasets import LabelledImages
from cvbow.experiments._drawing import Split, at_most, by_class, first, make_split, shuffled
from cvbow.images import natural_key

_PARTS = ("train", "validation", "test")


@runtime_checkable
class SplitProtocol(Protocol):
    """How a data set is divided.

    Examples
    --------
    >>> from cvbow.experiments import KFold, RandomSplits
    >>> for protocol in (KFold(5), RandomSplits(train_per_class=3, repeats=2)):
    ...     print(protocol.describe())
    5-fold cross-validation, stratified
    2 random splits: 3 per class to train, all others in the test
    """

    def splits(self, images: LabelledImages, *, seed: int = 0) -> list[Split]:
        """Return the splits, the same for the same images and seed; ValueError where the images do not allow them."""

    def describe(self) -> str:
        """Describe it in one line."""


@dataclass(frozen=True)
class FixedSplit(SplitProtocol):
    """The splits that a data set comes with, all of them: its authors', or those of a user's folders or CSV.

    Parameters
    ----------
    train : tuple of str
        Parts to train on: ``("train", "validation")`` where a method needs no validation images.
    test : tuple of str
    train_per_class, max_test_per_class : int or None
        Images to draw at random of each class, and to draw at most; None for all of them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow.datasets import LabelledImages
    >>> from cvbow.experiments import FixedSplit
    >>> files, parts = tuple(map(Path, "0123")), ("train", "train", "test", "test")
    >>> images = LabelledImages(files, labels=("a", "b") * 2, names=tuple("0123"), partitions=(parts,))
    >>> (split,) = FixedSplit().splits(images)
    >>> split.train.tolist(), split.test.tolist()
    ([0, 1], [2, 3])
    """

    train: tuple[str, ...] = ("train",)
    test: tuple[str, ...] = ("test",)
    train_per_class: int | None = None
    max_test_per_class: int | None = None

    def splits(self, images: LabelledImages, *, seed: int = 0) -> list[Split]:
        """Return a split for each partition of the data set."""
        if not images.partitions:
            raise ValueError(
                "the protocol fixed needs a split that comes with the data set: folders train/ and test/, or a column "
                "split in its CSV; this copy does not tell which images are for training"
            )
        found = []
        for number, partition in enumerate(images.partitions, 1):
            train = [position for position, part in enumerate(partition) if part in self.train]
            test = [position for position, part in enumerate(partition) if part in self.test]
            key = f"fixed {seed} {number}"
            if self.train_per_class is not None:
                train = first(images, train, self.train_per_class, key, "train_per_class")
            test = at_most(images, test, self.max_test_per_class, key)
            name = "the fixed split" if len(images.partitions) == 1 else f"fixed split {number}"
            found.append(make_split(name, train, test))
        return found

    def describe(self) -> str:
        drawn = f", {self.train_per_class} per class drawn" if self.train_per_class else ""
        limit = "" if self.max_test_per_class is None else f", at most {self.max_test_per_class} per class"
        return (
            f"the data set's own split: trained on {' + '.join(self.train)}{drawn}, "
            f"tested on {' + '.join(self.test)}{limit}"
        )


@dataclass(frozen=True)
class RandomSplits(SplitProtocol):
    """A number of images of each class, drawn at random, for training and the others for the test; several times.

    Parameters
    ----------
    train_per_class, repeats : int
    max_test_per_class : int or None
        Test images of a class at most, drawn at random too; None for all of them.

    Examples
    --------
    >>> from cvbow.datasets import load_dataset, locate
    >>> from cvbow.experiments import RandomSplits
    >>> splits = RandomSplits(train_per_class=30, repeats=2).splits(load_dataset(locate("digits")), seed=1)
    >>> [(len(split.train), len(split.test)) for split in splits]
    [(300, 1497), (300, 1497)]
    """

    train_per_class: int
    repeats: int = 10
    max_test_per_class: int | None = None

    def splits(self, images: LabelledImages, *, seed: int = 0) -> list[Split]:
        """Return ``repeats`` splits."""
        found = []
        everything = range(len(images))
        for number in range(1, self.repeats + 1):
            key = f"random {seed} {number}"
            train = first(images, everything, self.train_per_class, key, "train_per_class", leave=1)
            taken = set(train)
            rest = [position for position in everything if position not in taken]
            test = at_most(images, rest, self.max_test_per_class, key)
            found.append(make_split(f"random split {number}", train, test))
        return found

    def describe(self) -> str:
        times = f"{self.repeats} random splits" if self.repeats > 1 else "one random split"
        tested = (
            "all others" if self.max_test_per_class is None else f"at most {self.max_test_per_class} others per class"
        )
        return f"{times}: {self.train_per_class} per class to train, {tested} in the test"


@dataclass(frozen=True)
class KFold(SplitProtocol):
    """Stratified cross-validation: each image is tested once, and classes are spread evenly over the folds.

    Parameters
    ----------
    folds : int

    Examples
    --------
    >>> from cvbow.datasets import load_dataset, locate
    >>> from cvbow.experiments import KFold
    >>> [len(split.test) for split in KFold(5).splits(load_dataset(locate("digits")))]
    [360, 360, 359, 359, 359]
    """

    folds: int = 5

    def splits(self, images: LabelledImages, *, seed: int = 0) -> list[Split]:
        """Return a split for each fold."""
        if self.folds < 2:
            raise ValueError(f"folds must be an integer >= 2, got {self.folds}")
        fold = np.zeros(len(images), np.intp)
        dealt = 0
        for label, members in by_class(images, range(len(images))).items():
            if len(members) < self.folds:
                raise ValueError(
                    f"folds must be at most the {len(members)} images of the smallest class, {label!r}, got "
                    f"{self.folds}"
                )
            for position in shuffled(images, members, f"folds {seed}"):
                # Dealing goes on where the last class ended, or the first folds would get all the remainders.
                fold[position] = dealt % self.folds
                dealt += 1
        return [
            make_split(f"fold {number + 1}", np.flatnonzero(fold != number), np.flatnonzero(fold == number))
            for number in range(self.folds)
        ]

    def describe(self) -> str:
        return f"{self.folds}-fold cross-validation, stratified"


@dataclass(frozen=True)
class HeldOut(SplitProtocol):
    """Groups of images are held out: scales, days, or whatever the names tell.

    Parameters
    ----------
    pattern : str
        Regular expression searched for in an image's name; its first group is what the image's group is called.
    groups : tuple of tuple of str
        What to hold out together, a split each; empty for each group by itself.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow.datasets import LabelledImages
    >>> from cvbow.experiments import HeldOut
    >>> names = ("cup-day1", "pen-day1", "cup-day2", "pen-day2")
    >>> images = LabelledImages(tuple(map(Path, names)), ("cup", "pen") * 2, names)
    >>> [split.name for split in HeldOut("day([12])").splits(images)]
    ['held out 1', 'held out 2']
    """

    pattern: str
    groups: tuple[tuple[str, ...], ...] = ()

    def splits(self, images: LabelledImages, *, seed: int = 0) -> list[Split]:
        """Return a split for each group held out."""
        expression = re.compile(self.pattern)
        if expression.groups < 1:
            raise ValueError(f"pattern must have a group in parentheses, got {self.pattern!r}")
        of = []
        for name in images.names:
            match = expression.search(name)
            if match is None or match[1] is None:
                raise ValueError(f"pattern must be found in every name, got {self.pattern!r}, not in {name!r}")
            of.append(match[1])
        names = sorted(set(of), key=natural_key)
        found = []
        for group in self.groups or tuple((name,) for name in names):
            unknown = [name for name in group if name not in names]
            if unknown:
                raise ValueError(f"groups must be among {', '.join(names)}, got {unknown[0]!r}")
            test = [position for position, name in enumerate(of) if name in group]
            train = [position for position, name in enumerate(of) if name not in group]
            found.append(make_split(f"held out {', '.join(group)}", train, test))
        return found

    def describe(self) -> str:
        groups = ", ".join("+".join(group) for group in self.groups) if self.groups else "each in turn"
        return f"held out by {self.pattern}: {groups}"


_PART_LIST = Rule(
    f"a list of {', '.join(_PARTS)}",
    lambda value: TEXTS.holds(value) and bool(value) and all(part in _PARTS for part in value),
)
_GROUPS = Rule(
    "a list of lists of texts",
    lambda value: isinstance(value, list) and all(TEXTS.holds(group) and group for group in value),
)

#: Every protocol by its name in a definition, with the rules of its keys.
PROTOCOLS: dict[str, tuple[type[SplitProtocol], dict[str, Rule]]] = {
    "fixed": (
        FixedSplit,
        {"train": _PART_LIST, "test": _PART_LIST, "train_per_class": COUNT, "max_test_per_class": COUNT},
    ),
    "random": (RandomSplits, {"train_per_class": COUNT, "repeats": COUNT, "max_test_per_class": COUNT}),
    "k-fold": (KFold, {"folds": COUNT}),
    "held-out": (HeldOut, {"pattern": TEXT, "groups": _GROUPS}),
}


def read_protocol(table: TomlTable) -> SplitProtocol:
    """Build a protocol from a table with its ``kind`` and keys.

    Raises
    ------
    ValueError
        That names the file and the key which is missing, unknown or wrong.
    """
    kind, rules = PROTOCOLS[table.take("kind", one_of(PROTOCOLS))]
    return table.build(kind, rules)
