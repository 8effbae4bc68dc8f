"""What batches are made of: images by index, and the labels, weights and names that belong to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_choice, check_flag, check_int
from cvbow.errors import DatasetError, ImageError
from cvbow.images import center_crop, from_gray, list_images, read_image, resize

__all__ = ["FileReader", "Samples", "Targets", "array_samples", "folder_samples", "table_samples"]

#: Keras's names of interpolations, and those of ``resize``.
_INTERPOLATIONS = {"area": "area", "nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "lanczos": "lanczos"}
_CLASS_MODES = ("categorical", "binary", "sparse", "input", "raw")


class Targets:
    """The targets of images by index.

    Parameters
    ----------
    mode : {"categorical", "binary", "sparse", "input", "raw"} or None
        One-hot rows, 0.0 or 1.0, class numbers, the images themselves, values as they are. None: no targets.
    values : ndarray or sequence
        A class number of each image, or several; for "raw" an array.
    n_classes : int
    """

    def __init__(self, mode: str | None, values: Any = None, n_classes: int = 0) -> None:
        self.mode = mode
        self.values = values
        self.n_classes = n_classes

    def __call__(self, indices: Sequence[int], images: NDArray[np.float32]) -> Any:
        """Return the targets of a batch."""
        if self.mode == "input":
            return images.copy()
        if self.mode == "categorical":
            rows = np.zeros((len(indices), self.n_classes), np.float32)
            for row, index in enumerate(indices):
                rows[row, self.values[index]] = 1
            return rows
        kinds = {"binary": np.float32, "sparse": np.int64}
        chosen = self.values[np.asarray(indices, np.intp)]
        return chosen.astype(kinds[self.mode]) if self.mode in kinds else chosen


@dataclass
class Samples:
    """Images by index, and what belongs to each.

    Attributes
    ----------
    load : callable
        The image at an index, uint8 or float32, which the caller does not change; ImageError if it cannot be read.
    positions : ndarray of shape (n,), intp
        Of the images among those that were given, of which these may be a subset.
    targets : Targets
    weights : ndarray of shape (n,) or None
    filenames, filepaths : list of str
        Empty for images in memory.
    class_indices : dict of str to int
    skipped : list of ImageError
        Files that were left out from the beginning.
    """

    load: Callable[[int], NDArray[Any]]
    positions: NDArray[np.intp]
    targets: Targets
    weights: NDArray[Any] | None = None
    filenames: list[str] = field(default_factory=list)
    filepaths: list[str] = field(default_factory=list)
    class_indices: dict[str, int] = field(default_factory=dict)
    skipped: list[ImageError] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.positions)


class FileReader:
    """Reads image files to one size: (H, W, 3), or (H, W, 1) gray.

    Parameters
    ----------
    target_size : (int, int) or None
        (height, width); None leaves each image its own.
    color_mode : {"rgb", "grayscale"}
    interpolation : {"area", "nearest", "bilinear", "bicubic", "lanczos"}
    keep_aspect_ratio : bool
        Cut the middle of the target's aspect ratio out of an image first, instead of stretching it.
    """

    def __init__(
        self, target_size: Sequence[int] | None, color_mode: str, interpolation: str, keep_aspect_ratio: bool
    ) -> None:
        if target_size is not None:
            if np.ndim(target_size) != 1 or len(target_size) != 2:
                raise ValueError(f"target_size must be (height, width) or None, got {target_size!r}")
            for side in target_size:
                check_int("target_size", side, minimum=1)
        check_choice("color_mode", color_mode, ("rgb", "grayscale"))
        check_choice("interpolation", interpolation, _INTERPOLATIONS)
        check_flag("keep_aspect_ratio", keep_aspect_ratio)
        self.target_size = None if target_size is None else (int(target_size[0]), int(target_size[1]))
        self.gray = color_mode == "grayscale"
        self.interpolation = interpolation
        self.keep_aspect_ratio = keep_aspect_ratio

    def __call__(self, path: str) -> NDArray[np.uint8]:
        image = read_image(path, gray=self.gray)
        if self.target_size is not None:
            image = self._resized(image, self.target_size)
        return image[..., None] if self.gray else from_gray(image)

    def _resized(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        import cv2

        if self.keep_aspect_ratio:
            image = center_crop(image, size[1] / size[0])
        if image.shape[:2] == size:
            return image
        if self.interpolation == "nearest":
            return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
        return np.asarray(resize(image, size[::-1], interpolation=_INTERPOLATIONS[self.interpolation]), np.uint8)


def array_samples(
    x: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    *,
    subset: str | None,
    validation_split: float,
    ignore_class_split: bool,
) -> Samples:
    """Return images in memory as samples; the parameters are those of ``ImageAugmenter.flow``."""
    images = np.asarray(x)
    if images.ndim not in (3, 4) or images.dtype.kind not in "uif":
        raise ValueError(f"x must have shape (n, H, W) or (n, H, W, C), got {images.shape} of {images.dtype}")
    check_flag("ignore_class_split", ignore_class_split)
    labels, weights = (None if values is None else np.asarray(values) for values in (y, sample_weight))
    for name, values in (("y", labels), ("sample_weight", weights)):
        if values is not None and len(values) != len(images):
            raise ValueError(f"{name} must have a value for each of {len(images)} images, got {len(values)}")
    kept = _subset(np.arange(len(images)), subset, validation_split)
    if subset is not None and labels is not None and labels.ndim == 1 and not ignore_class_split:
        rest = np.setdiff1d(np.arange(len(images)), kept)
        if not np.array_equal(np.unique(labels[kept]), np.unique(labels[rest])):
            raise ValueError(
                "y must have all its classes in both subsets, and they differ; shuffle the images, which are taken "
                "in order, or set ignore_class_split=True"
            )

    def load(index: int) -> NDArray[Any]:
        image: NDArray[Any] = images[kept[index]]
        return image if image.dtype == np.uint8 else np.asarray(image, np.float32)

    targets = Targets(None) if labels is None else Targets("raw", labels[kept])
    return Samples(load, kept, targets, None if weights is None else weights[kept])


def folder_samples(
    directory: str | os.PathLike[str],
    read: FileReader,
    *,
    classes: Sequence[str] | None,
    class_mode: str | None,
    subset: str | None,
    validation_split: float,
) -> Samples:
    """Return the images of class folders; the parameters are those of ``ImageAugmenter.flow_from_directory``."""
    found = list_images(directory)
    if found.has_splits:
        splits = ", ".join(sorted({name for name in found.splits if name}))
        raise DatasetError(directory, f"directory must hold class folders; it holds the splits {splits}: name one")
    names = sorted(found.counts) if classes is None else list(classes)
    missing = [name for name in names if name not in found.counts and name not in found.empty]
    if missing:
        raise ValueError(f"classes must be folders with images, got {missing[0]!r}")
    if class_mode == "raw":
        raise ValueError("class_mode must be one of categorical, binary, sparse, input, got 'raw'")
    by_class = [[i for i, label in enumerate(found.labels) if label == name] for name in names]
    kept = [i for members in by_class for i in _subset(np.array(members, np.intp), subset, validation_split)]
    paths = [os.fspath(found.paths[i]) for i in kept]
    return Samples(
        lambda index: read(paths[index]),
        np.array(kept, np.intp),
        _class_targets(class_mode, [found.labels[i] for i in kept], names),
        filenames=[os.path.relpath(path, directory) for path in paths],
        filepaths=paths,
        class_indices={name: number for number, name in enumerate(names)},
    )


def table_samples(
    table: Any,
    directory: str | os.PathLike[str] | None,
    read: FileReader,
    *,
    x_col: str,
    y_col: str,
    weight_col: str | None,
    classes: Sequence[str] | None,
    class_mode: str | None,
    subset: str | None,
    validation_split: float,
    validate_filenames: bool,
    strict: bool,
) -> Samples:
    """Return the files that a table names; the parameters are those of ``ImageAugmenter.flow_from_dataframe``."""
    names = [os.fspath(name) for name in _column(table, "x_col", x_col)]
    paths = [os.path.join(directory or "", name) for name in names]
    labelled = class_mode not in (None, "input")
    labels = _column(table, "y_col", y_col, len(names)) if labelled else [None] * len(names)
    weights = None if weight_col is None else np.asarray(_column(table, "weight_col", weight_col, len(names)))
    check_flag("validate_filenames", validate_filenames)
    rows = list(range(len(names)))
    skipped: list[ImageError] = []
    if validate_filenames:
        skipped = [ImageError(paths[i], "there is no such file") for i in rows if not os.path.isfile(paths[i])]
        if skipped and strict:
            raise skipped[0]
        rows = [i for i in rows if os.path.isfile(paths[i])]
    wanted: list[Any] = []
    if labelled and class_mode != "raw":
        several = class_mode == "categorical"
        present = {one for i in rows for one in _parts(labels[i], several)}
        wanted = sorted(present) if classes is None else list(classes)
        labels = [[one for one in _parts(label, several) if one in wanted] for label in labels]
        rows = [i for i in rows if labels[i]]
        if not several:
            labels = [label[0] if label else None for label in labels]
    kept = _subset(np.array(rows, np.intp), subset, validation_split)
    chosen = [labels[i] for i in kept]
    filepaths = [paths[i] for i in kept]
    return Samples(
        lambda index: read(filepaths[index]),
        kept,
        Targets("raw", np.asarray(chosen)) if class_mode == "raw" else _class_targets(class_mode, chosen, wanted),
        None if weights is None else weights[kept],
        filenames=[names[i] for i in kept],
        filepaths=filepaths,
        class_indices={name: number for number, name in enumerate(wanted)},
        skipped=skipped,
    )


def _class_targets(mode: str | None, labels: Sequence[Any], classes: Sequence[str]) -> Targets:
    """Return the targets for labels, each of them among the classes; "categorical" also takes lists of labels."""
    if mode is not None:
        check_choice("class_mode", mode, _CLASS_MODES)
    if mode is None or mode == "input":
        return Targets(mode)
    if mode == "binary" and len(classes) != 2:
        raise ValueError(f"class_mode binary needs exactly two classes, got {len(classes)}")
    index = {name: number for number, name in enumerate(classes)}
    if mode == "categorical":
        several = [[index[one] for one in _parts(label, True)] for label in labels]
        return Targets(mode, several, len(classes))
    return Targets(mode, np.array([index[name] for name in labels], np.int64), len(classes))


def _subset(members: NDArray[np.intp], subset: str | None, share: float) -> NDArray[np.intp]:
    """Return the first share of the members for validation, or the others."""
    if subset is None:
        return members
    check_choice("subset", subset, ("training", "validation"))
    if not share > 0:
        raise ValueError(f"subset needs a validation_split above 0, got {share!r}")
    bound = int(share * len(members))
    return members[:bound] if subset == "validation" else members[bound:]


def _column(table: Any, parameter: str, name: str, length: int | None = None) -> list[Any]:
    try:
        values = list(table[name])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{parameter} must name a column of dataframe, got {name!r}") from error
    if length is not None and len(values) != length:
        raise ValueError(f"{parameter} must have as many values as there are files, {length}, got {len(values)}")
    return values


def _parts(label: Any, several: bool) -> list[Any]:
    return list(label) if several and isinstance(label, (list, tuple)) else [label]
