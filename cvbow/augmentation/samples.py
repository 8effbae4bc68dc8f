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
from cvbow.images.pixels import is_lone_image

#: Keras's names of interpolations, and those of ``resize``.
_INTERPOLATIONS = {"area": "area", "nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "lanczos": "lanczos"}
CLASS_MODES = ("categorical", "binary", "sparse", "input", "raw")


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of images by index.

    Attributes
    ----------
    mode : {"categorical", "binary", "sparse", "input", "raw"} or None
        One-hot rows, 0.0 or 1.0, class numbers, the images themselves, values as they are. None: no targets.
    values : ndarray or sequence
        A class number of each image, or several; for "raw" an array.
    n_classes : int
    """

    mode: str | None
    values: Any = None
    n_classes: int = 0

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
    """Images by index, and what belongs to each."""

    #: The image at an index, uint8 or float32, which the caller does not change; ImageError if it cannot be read.
    load: Callable[[int], NDArray[Any]]
    #: Of the images among those that were given, of which these may be a subset.
    positions: NDArray[np.intp]
    targets: Targets
    weights: NDArray[Any] | None = None
    #: Empty for images in memory.
    filenames: list[str] = field(default_factory=list)
    filepaths: list[str] = field(default_factory=list)
    class_indices: dict[str, int] = field(default_factory=dict)
    #: Files that were left out from the beginning.
    skipped: list[ImageError] = field(default_factory=list)
    #: All images that were given, where they are in memory.
    pixels: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def factor_to_bytes(self) -> float:
        """Return the factor that brings the images' values to [0, 255]: 255 where all of them are in [0, 1], or 1.

        ValueError if the values have another range, which no picture can show.
        """
        if self.pixels is None or self.pixels.dtype == np.uint8:
            return 1.0
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0 and high <= 255):
            got = f"{low:g} to {high:g}"
            raise ValueError(f"x must have values in [0, 255] or [0, 1] to be saved to save_to_dir, got {got}")
        return 255.0 if high <= 1 else 1.0


class FileReader:
    """Reads image files to one size, (H, W, 3) or (H, W, 1) gray, as ``ImageAugmenter.flow_from_directory`` is told."""

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
        image, size = read_image(path, gray=self.gray), self.target_size
        if size is not None and self.keep_aspect_ratio:
            image = center_crop(image, size[1] / size[0])
        if size is not None and image.shape[:2] != size:
            image = self._resized(image, size)
        return image[..., None] if self.gray else from_gray(image)

    def _resized(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        import cv2

        if self.interpolation == "nearest":
            return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
        return np.asarray(resize(image, size[::-1], interpolation=_INTERPOLATIONS[self.interpolation]), np.uint8)


def array_samples(
    x: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    subset: str | None,
    validation_split: float,
    ignore_class_split: bool,
) -> Samples:
    """Return images in memory as samples; the parameters are those of ``ImageAugmenter.flow``."""
    images = np.asarray(x)
    if images.ndim not in (3, 4) or images.dtype.kind not in "uif":
        raise ValueError(f"x must have shape (n, H, W) or (n, H, W, C), got {images.shape} of {images.dtype}")
    if is_lone_image(images):
        raise ValueError(f"x must hold several images, got one of shape {images.shape}; x[None] makes a set of it")
    check_flag("ignore_class_split", ignore_class_split)
    labels = None if y is None else _of_each("y", y, len(images))
    weights = None if sample_weight is None else check_weights("sample_weight", sample_weight, len(images))
    kept, others = divided(np.arange(len(images)), subset, validation_split)
    if subset is not None and labels is not None and not ignore_class_split:
        check_subsets("y", _classes_in(labels[kept]), _classes_in(labels[others]))

    def load(index: int) -> NDArray[Any]:
        image: NDArray[Any] = images[kept[index]]
        return image if image.dtype == np.uint8 else np.asarray(image, np.float32)

    targets = Targets(None) if labels is None else Targets("raw", labels[kept])
    return Samples(load, kept, targets, None if weights is None else weights[kept], pixels=images)


def folder_samples(
    directory: str | os.PathLike[str],
    read: FileReader,
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
    names = sorted(found.counts) if classes is None else check_classes(classes)
    missing = [name for name in names if name not in found.counts and name not in found.empty]
    if missing:
        raise ValueError(f"classes must be folders with images, got {missing[0]!r}")
    if class_mode == "raw":
        raise ValueError("class_mode must be one of categorical, binary, sparse, input, got 'raw'")
    by_class = [[i for i, label in enumerate(found.labels) if label == name] for name in names]
    kept = [i for members in by_class for i in divided(np.array(members, np.intp), subset, validation_split)[0]]
    paths = [os.fspath(found.paths[i]) for i in kept]
    return Samples(
        lambda index: read(paths[index]),
        np.array(kept, np.intp),
        class_targets(class_mode, [[found.labels[i]] for i in kept], names),
        filenames=[os.path.relpath(path, directory) for path in paths],
        filepaths=paths,
        class_indices={name: number for number, name in enumerate(names)},
    )


def class_targets(mode: str | None, labels: Sequence[Sequence[Any]], classes: Sequence[Any]) -> Targets:
    """Return the targets for labels, all of them among the classes: one of each image, or several for "categorical"."""
    if mode is not None:
        check_choice("class_mode", mode, CLASS_MODES)
    if mode is None or mode == "input":
        return Targets(mode)
    if mode == "binary" and len(classes) != 2:
        raise ValueError(f"class_mode binary needs exactly two classes, got {len(classes)}")
    index = {name: number for number, name in enumerate(classes)}
    numbers = [[index[one] for one in given] for given in labels]
    if mode == "categorical":
        return Targets(mode, numbers, len(classes))
    return Targets(mode, np.array([only for (only,) in numbers], np.int64), len(classes))


def check_classes(classes: Sequence[Any]) -> list[Any]:
    """Return names of classes as a list; ValueError for a lone text, or one that comes twice."""
    if isinstance(classes, str) or len(set(classes)) < len(classes):
        raise ValueError(f"classes must be a list of names, each once, got {classes!r}")
    return list(classes)


def divided(members: NDArray[np.intp], subset: str | None, share: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the members of a subset, the first share of all for validation or the rest, and those of the other one."""
    if subset is None:
        return members, members[:0]
    check_choice("subset", subset, ("training", "validation"))
    if not share > 0:
        raise ValueError(f"subset needs a validation_split above 0, got {share!r}")
    bound = int(share * len(members))
    parts = members[:bound], members[bound:]
    return parts if subset == "validation" else parts[::-1]


def _classes_in(labels: NDArray[Any]) -> set[Any]:
    """Return the classes that occur among labels (n,) or (n, 1), or the columns that are in use of rows of 0 and 1.

    Rows of other numbers are no classes.
    """
    if labels.ndim == 1 or labels.shape[1:] == (1,):
        return set(labels.ravel().tolist())
    is_used = labels.ndim == 2 and np.isin(labels, (0, 1)).all()
    return set(np.flatnonzero(labels.any(axis=0)).tolist()) if is_used else set()


def check_subsets(name: str, kept: set[Any], others: set[Any]) -> None:
    """Raise ValueError if one of two subsets lacks a class of the other."""
    lacking = sorted(kept ^ others, key=str)
    if lacking:
        raise ValueError(
            f"{name} must have all its classes in both subsets, and {lacking[0]!r} is in one alone; shuffle the "
            "images, which are taken in order, or set ignore_class_split=True"
        )


def _of_each(name: str, values: Any, n_images: int) -> NDArray[Any]:
    found = np.asarray(values)
    if found.ndim == 0 or len(found) != n_images:
        got = len(found) if found.ndim else repr(values)
        raise ValueError(f"{name} must have a value for each of {n_images} images, got {got}")
    return found


def check_weights(name: str, values: Any, n_images: int) -> NDArray[Any]:
    """Return weights of images as they are; ValueError unless they are finite numbers."""
    found = _of_each(name, values, n_images)
    if found.dtype.kind == "O":
        found = np.asarray(found.tolist())
    if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite numbers, got {found.tolist()[:10]}")
    return found
