"""The ways to batches: from arrays, from a folder, from a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_choice, check_flag
from cvbow.errors import DatasetError, ImageError
from cvbow.images.augmentation._targets import Targets, class_targets
from cvbow.images.augmentation.flow import BatchIterator
from cvbow.images.augmentation.sources import ArraySource, FileSource
from cvbow.images.listing import list_images

if TYPE_CHECKING:
    from cvbow.images.augmentation.augmenter import ImageAugmenter

__all__ = ["FlowMethods"]


class FlowMethods:
    """What makes batches, for ``ImageAugmenter``."""

    validation_split: float

    def flow(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        batch_size: int = 32,
        *,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
        n_jobs: int | None = 1,
        prefetch: int = 2,
    ) -> BatchIterator:
        """Make batches of images in memory, endlessly.

        Parameters
        ----------
        x : ndarray of shape (n, H, W) or (n, H, W, C)
            uint8, or real numbers in [0, 255]. No copy is made.
        y, sample_weight : array of length n, optional
            Given with each batch, as they are.
        batch_size : int, default 32
        shuffle : bool, default True
            Another random order in each epoch.
        seed : int or None, default None
            The same seed gives the same batches, for any `n_jobs` and `prefetch`.
        save_to_dir : path, optional
            An existing folder for the transformed images, as they are before normalisation:
            ``save_prefix_index_epoch.save_format``, so that no two have one name and ``source_of`` tells the source.
        save_prefix, save_format : str
            png, jpg, bmp, tif or webp.
        ignore_class_split : bool, default False
            Do not require both subsets to have all classes.
        subset : {"training", "validation"}, optional
            The first ``validation_split`` of the images are those for validation.
        n_jobs : int or None, default 1
            Threads that make batches.
        prefetch : int, default 2
            Batches that are made ahead, beyond one for each thread. 0, with one thread, makes a batch when it is asked
            for.

        Raises
        ------
        ValueError
            If an option breaks its rule, or lengths differ.
        """
        images = np.asarray(x)
        if images.ndim not in (3, 4) or images.dtype.kind not in "uif":
            raise ValueError(f"x must have shape (n, H, W) or (n, H, W, C), got {images.shape} of {images.dtype}")
        check_flag("ignore_class_split", ignore_class_split)
        labels, weights = (None if values is None else np.asarray(values) for values in (y, sample_weight))
        for name, values in (("y", labels), ("sample_weight", weights)):
            if values is not None and len(values) != len(images):
                raise ValueError(f"{name} must have a value for each of {len(images)} images, got {len(values)}")
        kept = _subset(np.arange(len(images)), subset, self.validation_split)
        if subset is not None and labels is not None and labels.ndim == 1 and not ignore_class_split:
            rest = np.setdiff1d(np.arange(len(images)), kept)
            if not np.array_equal(np.unique(labels[kept]), np.unique(labels[rest])):
                raise ValueError(
                    "y must have all its classes in both subsets, and they differ; shuffle the images, which are taken "
                    "in order, or set ignore_class_split=True"
                )
        return BatchIterator(
            cast("ImageAugmenter", self),
            ArraySource(images, kept),
            Targets(None) if labels is None else Targets("raw", labels[kept]),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            sample_weight=None if weights is None else weights[kept],
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            n_jobs=n_jobs,
            prefetch=prefetch,
            positions=kept,
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: Sequence[int] | None = (256, 256),
        *,
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "area",
        keep_aspect_ratio: bool = False,
        strict: bool = False,
        n_jobs: int | None = 1,
        prefetch: int = 2,
    ) -> BatchIterator:
        """Make batches of the images in directory/<class>/, endlessly; each is read when its turn comes.

        Parameters
        ----------
        directory : path
            Links are followed. Files are in the natural order of their names; Keras's order is alphabetic.
        target_size : (int, int) or None, default (256, 256)
            (height, width). None leaves the images their sizes, which then must be one size.
        color_mode : {"rgb", "grayscale"}
            (H, W, 3) or (H, W, 1).
        classes : sequence of str, optional
            Class folders to take, in the order of their numbers; by default all, in alphabetic order.
        class_mode : {"categorical", "binary", "sparse", "input"} or None, default "categorical"
            y: one-hot rows; 0.0 or 1.0 for two classes; class numbers; the images themselves; no y.
        subset : {"training", "validation"}, optional
            The first ``validation_split`` of each class are those for validation.
        interpolation : {"area", "nearest", "bilinear", "bicubic", "lanczos"}, default "area"
            Of resizing; Keras's default is "nearest".
        keep_aspect_ratio : bool, default False
            Cut out the middle instead of stretching.
        strict : bool, default False
            Raise the ImageError of a file that cannot be read, instead of leaving the file out.
        batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, n_jobs, prefetch
            As for ``flow``.

        Raises
        ------
        FileNotFoundError, DatasetError
            If there is no such folder, or no class with images in it.
        ValueError
            If an option breaks its rule.
        """
        found = list_images(directory)
        if found.has_splits:
            splits = ", ".join(sorted({name for name in found.splits if name}))
            raise DatasetError(directory, f"directory must hold class folders; it holds the splits {splits}: name one")
        names = sorted(found.counts) if classes is None else list(classes)
        missing = [name for name in names if name not in found.counts and name not in found.empty]
        if missing:
            raise ValueError(f"classes must be folders with images, got {missing[0]!r}")
        by_class = {name: [i for i, label in enumerate(found.labels) if label == name] for name in names}
        kept = [
            i
            for members in by_class.values()
            for i in _subset(np.array(members, np.intp), subset, self.validation_split)
        ]
        if class_mode == "raw":
            raise ValueError("class_mode must be one of categorical, binary, sparse, input, got 'raw'")
        paths = [os.fspath(found.paths[i]) for i in kept]
        return BatchIterator(
            cast("ImageAugmenter", self),
            FileSource(
                paths,
                target_size=target_size,
                color_mode=color_mode,
                interpolation=interpolation,
                keep_aspect_ratio=keep_aspect_ratio,
            ),
            class_targets(class_mode, [found.labels[i] for i in kept], names),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            strict=strict,
            n_jobs=n_jobs,
            prefetch=prefetch,
            filenames=[os.path.relpath(path, directory) for path in paths],
            filepaths=paths,
            positions=np.array(kept, np.intp),
            class_indices={name: number for number, name in enumerate(names)},
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: str = "class",
        *,
        weight_col: str | None = None,
        target_size: Sequence[int] | None = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "area",
        keep_aspect_ratio: bool = False,
        validate_filenames: bool = True,
        strict: bool = False,
        n_jobs: int | None = 1,
        prefetch: int = 2,
    ) -> BatchIterator:
        """Make batches of the image files that a table names, endlessly.

        Parameters
        ----------
        dataframe : mapping or object with named columns
            ``dataframe[x_col]`` gives a column: a dict of lists, a pandas DataFrame, a structured array.
        directory : path, optional
            What relative file names are relative to.
        x_col, y_col, weight_col : str
            Columns of the files' names, of the labels, and of weights, if there are some. "categorical" takes lists of
            labels too.
        classes : sequence of str, optional
            Labels in the order of their numbers; rows with others are left out. By default all, sorted.
        class_mode : {"categorical", "binary", "sparse", "input", "raw"} or None, default "categorical"
            As for ``flow_from_directory``; "raw" gives the column's values.
        subset : {"training", "validation"}, optional
            The first ``validation_split`` of the rows are those for validation.
        validate_filenames : bool, default True
            Leave out rows whose file does not exist, and list them in ``skipped``.
        target_size, color_mode, batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, interpolation, \
keep_aspect_ratio, strict, n_jobs, prefetch
            As for ``flow_from_directory``.

        Raises
        ------
        ValueError
            If a column does not exist or is of another length, or an option breaks its rule.
        ImageError
            For the first missing file, when strict.
        """
        names = [os.fspath(name) for name in _column(dataframe, "x_col", x_col)]
        paths = [os.path.join(directory or "", name) for name in names]
        labelled = class_mode not in (None, "input")
        labels = _column(dataframe, "y_col", y_col, len(names)) if labelled else [None] * len(names)
        weights = None if weight_col is None else np.asarray(_column(dataframe, "weight_col", weight_col, len(names)))
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
        kept = _subset(np.array(rows, np.intp), subset, self.validation_split)
        chosen = [labels[i] for i in kept]
        return BatchIterator(
            cast("ImageAugmenter", self),
            FileSource(
                [paths[i] for i in kept],
                target_size=target_size,
                color_mode=color_mode,
                interpolation=interpolation,
                keep_aspect_ratio=keep_aspect_ratio,
            ),
            Targets("raw", np.asarray(chosen)) if class_mode == "raw" else class_targets(class_mode, chosen, wanted),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            sample_weight=None if weights is None else weights[kept],
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            strict=strict,
            n_jobs=n_jobs,
            prefetch=prefetch,
            filenames=[names[i] for i in kept],
            filepaths=[paths[i] for i in kept],
            positions=kept,
            class_indices={name: number for number, name in enumerate(wanted)},
            skipped=skipped,
        )


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
