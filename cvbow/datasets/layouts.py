"""From a data set's folder, as its authors laid it out, to labelled images; nothing is copied or converted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cvbow._toml import COUNT, TEXT, TEXTS, Rule, one_of
from cvbow.datasets.images import LabelledImages, Layout, step_inside
from cvbow.datasets.retrieval_sets import NumberedGroups, OxfordBuildings, References, TruthTable
from cvbow.datasets.sequences import Sequences
from cvbow.errors import DatasetError
from cvbow.files import read_text
from cvbow.images import ImageList, list_images

_NUMBER = re.compile(r"(\d+)\.[^.]*$")

_NAMES = Rule(
    "a table of texts",
    lambda value: isinstance(value, dict) and all(isinstance(name, str) for name in value.values()),
)
_NUMBERS = Rule(
    "a table of lists of integers",
    lambda value: (
        isinstance(value, dict)
        and all(isinstance(row, list) and all(isinstance(number, int) for number in row) for row in value.values())
    ),
)


@dataclass(frozen=True)
class Folders(Layout):
    """A folder per class, perhaps below folders of splits: what ``list_images`` reads.

    Attributes
    ----------
    inside : tuple of str
        Folders below the root, one of which may hold the data set instead of the root; the first that exists counts.
    leave_out : tuple of str
        Folders that are no class of the data set.
    labels : mapping of str to str
        What the classes of some folders are called, where that is not the folder's name.
    train_numbers : mapping of str to tuple of int
        For each class, the numbers in the file names of the training images, the others being the test: the standard
        split, for a copy without folders of splits. Empty for none.
    """

    inside: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    train_numbers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def load(self, root: Path) -> LabelledImages:
        listed = list_images(step_inside(root, self.inside))
        kept = [position for position, label in enumerate(listed.labels) if label not in self.leave_out]
        chosen = ImageList(
            tuple(listed.paths[position] for position in kept),
            tuple(listed.labels[position] for position in kept),
            tuple(listed.splits[position] for position in kept),
        )
        found = LabelledImages.from_list(chosen, labels=self.labels)
        if found.partitions or not self.train_numbers:
            return found
        split = self._standard_split(root, found)
        return LabelledImages(found.images, found.labels, found.names, (split,))

    def _standard_split(self, root: Path, found: LabelledImages) -> tuple[str, ...]:
        train = {label: set(numbers) for label, numbers in self.train_numbers.items()}
        split = []
        for name, label in zip(found.names, found.labels, strict=True):
            number = _NUMBER.search(name)
            if label not in train or number is None:
                raise DatasetError(root, f"the standard split has no image {name}")
            split.append("train" if int(number[1]) in train[label] else "test")
        return tuple(split)


@dataclass(frozen=True)
class CifarBinary(Layout):
    """CIFAR-10's binary version: records of a label and 32x32 red, green and blue pixels.

    The Python version is a pickle, which can execute anything when it is read; this one is plain bytes.
    """

    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    files = (*((f"data_batch_{number}", "train") for number in range(1, 6)), ("test_batch", "test"))

    def load(self, root: Path) -> LabelledImages:
        """Map the files into memory; an image is read from the disk when it is looked at."""
        folder = step_inside(root, ("cifar-10-batches-bin",))
        images: list[Any] = []
        labels: list[str] = []
        names: list[str] = []
        split: list[str] = []
        for file, part in self.files:
            path = folder / f"{file}.bin"
            if not path.is_file():
                raise DatasetError(path, "there is no such file; the binary version of CIFAR-10 is needed")
            n_bytes = path.stat().st_size
            if n_bytes == 0 or n_bytes % 3073:
                raise DatasetError(path, f"expected records of 3073 bytes, found {n_bytes} bytes")
            # As a plain array: a memmap object for every image would cost more than the images.
            records = np.asarray(np.memmap(path, np.uint8, "r")).reshape(-1, 3073)
            if records[:, 0].max() >= len(self.classes):
                raise DatasetError(path, f"expected labels 0 to 9, found {records[:, 0].max()}")
            images.extend(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.extend(self.classes[label] for label in records[:, 0])
            names.extend(f"{file}/{number:05d}" for number in range(len(records)))
            split.extend([part] * len(records))
        return LabelledImages(tuple(images), tuple(labels), tuple(names), (tuple(split),))


@dataclass(frozen=True)
class Digits(Layout):
    """The handwritten digits that ship with scikit-learn."""

    needs_folder = False

    def load(self, root: Path) -> LabelledImages:
        """Give the 8x8 images as dark ink on white; their gray levels are 0 to 16, ink high."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = tuple(np.round(255 - image * (255 / 16)).astype(np.uint8) for image in digits.images)
        names = tuple(f"{number:04d}" for number in range(len(images)))
        return LabelledImages(images, tuple(digits.target.astype(str).tolist()), names)


@dataclass(frozen=True)
class NumberedClasses(Layout):
    """Files ``jpg/image_0001.jpg`` on, the same number of consecutive ones for each class, and MATLAB's splits.

    Attributes
    ----------
    classes : tuple of str
        In the order of the numbers.
    splits : str
        A ``.mat`` file with the numbers of the images in ``trn1``, ``val1``, ``tst1`` and so on; without the file
        there are no partitions.
    """

    classes: tuple[str, ...]
    splits: str

    def load(self, root: Path) -> LabelledImages:
        folder = step_inside(root, ("jpg",))
        numbered = {int(path.stem.removeprefix("image_")): path for path in folder.glob("image_[0-9]*.jpg")}
        each, rest = divmod(len(numbered), len(self.classes))
        if not numbered or rest or max(numbered) != len(numbered):
            raise DatasetError(folder, f"expected image_0001.jpg on, as many for each class; found {len(numbered)}")
        order = sorted(numbered)
        labels = tuple(self.classes[(number - 1) // each] for number in order)
        names = tuple(numbered[number].name for number in order)
        return LabelledImages(tuple(numbered[number] for number in order), labels, names, self._partitions(root, order))

    def _partitions(self, root: Path, order: list[int]) -> tuple[tuple[str | None, ...], ...]:
        path = root / self.splits
        if not path.is_file():
            return ()
        from scipy.io import loadmat

        try:
            content = loadmat(path)
        except Exception as error:  # whatever SciPy's parser stumbles over
            raise DatasetError(path, f"not a readable MATLAB file: {error}") from error
        partitions = []
        for number in range(1, 100):
            parts = {"train": f"trn{number}", "validation": f"val{number}", "test": f"tst{number}"}
            if not all(key in content for key in parts.values()):
                break
            of = {int(i): part for part, key in parts.items() for i in np.ravel(content[key])}
            partitions.append(tuple(of.get(i) for i in order))
        return tuple(partitions)


@dataclass(frozen=True)
class LabelFiles(Layout):
    """Images in ``images/<class>/``, and splits in ``labels/train1.txt``, ``val1.txt``, ``test1.txt`` and so on."""

    inside: tuple[str, ...] = ()

    def load(self, root: Path) -> LabelledImages:
        base = step_inside(root, self.inside)
        if not (base / "images").is_dir():
            raise DatasetError(base, "expected a folder images with a folder per class")
        found = LabelledImages.from_list(list_images(base / "images"))
        partitions = []
        number = 1
        while (base / "labels" / f"train{number}.txt").is_file():
            of: dict[str, str] = {}
            for part, stem in (("train", "train"), ("validation", "val"), ("test", "test")):
                path = base / "labels" / f"{stem}{number}.txt"
                try:
                    lines = read_text(path).splitlines()
                except FileNotFoundError:
                    raise DatasetError(path, "there is no such file") from None
                of.update({line.strip(): part for line in lines if line.strip()})
            unknown = set(of) - set(found.names)
            if unknown:
                raise DatasetError(base, f"split {number} names an image that is not there: {min(unknown)}")
            partitions.append(tuple(of.get(name) for name in found.names))
            number += 1
        return LabelledImages(found.images, found.labels, found.names, tuple(partitions))


#: Every layout, by the name it has in a manifest, with the rules of its options.
LAYOUTS: dict[str, tuple[type[Layout], dict[str, Rule]]] = {
    "folders": (Folders, {"inside": TEXTS, "leave_out": TEXTS, "labels": _NAMES, "train_numbers": _NUMBERS}),
    "cifar-binary": (CifarBinary, {}),
    "digits": (Digits, {}),
    "numbered-classes": (NumberedClasses, {"classes": TEXTS, "splits": TEXT}),
    "label-files": (LabelFiles, {"inside": TEXTS}),
    "sequences": (Sequences, {"only": TEXTS}),
    "references": (References, {"references": TEXT, "queries": TEXTS, "inside": TEXTS}),
    "numbered-groups": (NumberedGroups, {"size": COUNT, "queries": one_of(("all", "first")), "inside": TEXTS}),
    "oxford-buildings": (OxfordBuildings, {"leave_out": TEXTS}),
    "truth-table": (TruthTable, {"truth": TEXT}),
}
