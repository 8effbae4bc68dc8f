"""Batches of augmented images, made on the fly and ahead of time, the same for any number of workers."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int
from cvbow.augmentation._saving import check_saving, parse_saved_name, saved_name, write_image
from cvbow.augmentation.samples import Samples
from cvbow.errors import CvbowError, ImageError
from cvbow.images import try_path
from cvbow.parallel import prefetched


class BatchIterator:
    """Endless batches of transformed and normalised images; made by ``ImageAugmenter.flow`` and its like.

    ``next`` gives x, or (x, y), or (x, y, weights); x is (n, H, W[, C]) float32. It never ends: an epoch is ``len``
    batches, the last of them smaller where the batch size does not divide the images. ``iterator[i]`` makes batch i of
    the epoch that is being gone through.

    What is random about an image follows from the seed, the epoch and the image's index alone, so workers, batch size
    and the images that cannot be read change nothing in the others. An image that cannot be read is left out of its
    batch and listed; a batch of none but such images is passed over. Memory holds at most ``n_jobs + prefetch``
    batches.

    Parameters
    ----------
    transform, standardize, samples
        Of the augmenter: what is done to an image, and where images come from.
    batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, n_jobs, prefetch, strict
        As for ``ImageAugmenter.flow``.

    Attributes
    ----------
    n, samples : int
        Images.
    batch_size : int
    filenames, filepaths : list of str
        By index; empty for images in memory.
    positions : ndarray of shape (n,)
        Of the iterator's images among those that were given, of which it may have a subset.
    classes : ndarray of shape (n,), list, or None
        Class numbers by index.
    class_indices : dict of str to int
    skipped : list of ImageError
        Files that could not be read, so far.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageAugmenter
    >>> images = np.random.default_rng(0).integers(0, 256, (10, 16, 16), np.uint8)
    >>> batches = ImageAugmenter(horizontal_flip=True).flow(images, list(range(10)), batch_size=4, seed=0)
    >>> x, y = next(batches)
    >>> x.shape, y.shape, len(batches)
    ((4, 16, 16), (4,), 3)
    """

    def __init__(
        self,
        transform: Callable[[NDArray[Any], np.random.SeedSequence], NDArray[Any]],
        standardize: Callable[[NDArray[Any]], NDArray[np.float32]],
        samples: Samples,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        save_to_dir: str | os.PathLike[str] | None,
        save_prefix: str,
        save_format: str,
        n_jobs: int | None,
        prefetch: int,
        strict: bool = False,
    ) -> None:
        check_int("batch_size", batch_size, minimum=1)
        check_int("seed", seed, minimum=0, none=True)
        check_int("prefetch", prefetch, minimum=0)
        check_flag("shuffle", shuffle)
        check_flag("strict", strict)
        if len(samples) == 0:
            raise CvbowError("there is no image to make batches of")
        self.n = self.samples = len(samples)
        self.batch_size = int(batch_size)
        self.filenames, self.filepaths = samples.filenames, samples.filepaths
        self.positions, self.classes = samples.positions, samples.targets.values
        self.class_indices = samples.class_indices
        self._transform, self._standardize, self._samples = transform, standardize, samples
        self._shuffle, self._strict = shuffle, strict
        self._n_jobs, self._ahead = n_jobs, int(prefetch)
        self._folder: Path | None = check_saving(save_to_dir, save_prefix, save_format)
        self._prefix, self._format = save_prefix, save_format
        self._to_bytes = 1.0 if self._folder is None else samples.factor_to_bytes()
        self._entropy = np.random.SeedSequence(seed).entropy if seed is None else int(seed)
        self._errors: dict[int, ImageError] = {}
        self._step = 0
        self._stream: Iterator[Any] | None = None

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> BatchIterator:
        return self

    def __next__(self) -> Any:
        if self._stream is None:
            self._stream = prefetched(self._make, itertools.count(self._step), n_jobs=self._n_jobs, ahead=self._ahead)
        for _ in range(len(self)):
            made = next(self._stream)
            self._step += 1
            batch = self._hand_out(*made)
            if batch is not None:
                return batch
        raise CvbowError(f"none of the {self.n} images could be read; the first: {self.skipped[0]}")

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} batches in an epoch, got index {index}")
        batch = self._hand_out(*self._make(self.epoch * len(self) + index % len(self)))
        if batch is None:
            raise CvbowError(f"no image of batch {index} could be read; the first: {self.skipped[0]}")
        return batch

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, counted from 0."""
        return self._step // len(self)

    @property
    def skipped(self) -> list[ImageError]:
        """Files that could not be read, in the order of their indices."""
        return self._samples.skipped + [self._errors[index] for index in sorted(self._errors)]

    def reset(self) -> None:
        """Begin again with the first batch of the first epoch."""
        self.close()
        self._step = 0

    def close(self) -> None:
        """Stop the workers; the next ``next`` starts them again where they were."""
        if self._stream is not None:
            self._stream.close()  # type: ignore[attr-defined]
            self._stream = None

    def indices(self, step: int) -> NDArray[np.intp]:
        """Return the indices of the images of a batch, counted from the first batch of the first epoch."""
        epoch, batch = divmod(step, len(self))
        order = np.arange(self.n)
        if self._shuffle:
            seed = np.random.SeedSequence(self._entropy, spawn_key=(0, epoch))
            order = np.random.default_rng(seed).permutation(self.n)
        return order[batch * self.batch_size : (batch + 1) * self.batch_size]

    def source_of(self, name: str | os.PathLike[str]) -> str | int:
        """Return the file that a saved image was made from, or its position among the images in memory."""
        index = parse_saved_name(name)[1]
        return self.filepaths[index] if self.filepaths else int(self.positions[index])

    def _make(self, step: int) -> tuple[list[int], list[NDArray[np.float32]], dict[int, ImageError]]:
        """Return the indices, the images and the errors of a batch."""
        epoch = step // len(self)
        indices, images, errors = [], [], {}
        for index in self.indices(step).tolist():
            name = self.filepaths[index] if self.filepaths else f"image {index}"
            image = try_path(name, functools.partial(self._samples.load, index))
            if isinstance(image, ImageError):
                errors[index] = image
                continue
            seed = np.random.SeedSequence(self._entropy, spawn_key=(1, epoch, index))
            image = self._transform(image, seed)
            if self._folder is not None:
                shown = image if self._to_bytes == 1 else image * np.float32(self._to_bytes)
                write_image(self._folder / saved_name(self._prefix, index, epoch, self._format), shown)
            indices.append(index)
            images.append(self._standardize(image))
        return indices, images, errors

    def _hand_out(self, indices: list[int], images: list[NDArray[np.float32]], errors: dict[int, ImageError]) -> Any:
        self._errors |= errors
        if errors and self._strict:
            raise errors[min(errors)]
        if not images:
            return None
        sizes = sorted({image.shape for image in images})
        if len(sizes) > 1:
            raise ValueError(f"target_size must be given where images differ in size, got {sizes[0]} and {sizes[-1]}")
        x = np.stack(images)
        targets, weights = self._samples.targets, self._samples.weights
        if targets.mode is None and weights is None:
            return x
        batch = (x,) if targets.mode is None else (x, targets(indices, x))
        return batch if weights is None else (*batch, weights[np.asarray(indices, np.intp)])
