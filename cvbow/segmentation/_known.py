"""What masks say about the super-pixels of their images."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cvbow.backends import ImageLike
from cvbow.backends.loading import path_of, try_image
from cvbow.errors import ImageError
from cvbow.segmentation._description import Described
from cvbow.segmentation.describer import SuperPixelDescriber, read_color
from cvbow.segmentation.masks import MOST_CLASSES, MaskLike, read_mask

#: A super-pixel is learned from where such a share of what is known of it is of one class.
_PURE = 0.8
#: Rows of a mask that are counted at a time hold so many pixels.
_STRIP = 1 << 20


@dataclass(frozen=True, eq=False)
class Known:
    """The super-pixels of an image to learn from.

    Attributes
    ----------
    described : Described
        Without looks and words, which are in the values and would take most of the memory.
    values : ndarray of shape (n, d), float32
    counts : csc_matrix of shape (n, 256), int64
        Pixels of each super-pixel by their value in the mask, those apart that are unknown.
    n_pixels : int
        Of the mask.
    """

    described: Described
    values: NDArray[np.float32]
    counts: Any
    n_pixels: int

    def by_class(self, classes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the pixels of each super-pixel by class, (n, n_classes)."""
        return np.asarray(self.counts[:, classes].toarray(), np.float64)

    def targets(self, classes: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the place in ``classes`` of each super-pixel; -1 for one of several, or of which nothing is known."""
        counts = self.by_class(classes)
        total = counts.sum(axis=1)
        pure = (total > 0) & (counts.max(axis=1) >= _PURE * total)
        return np.where(pure, counts.argmax(axis=1), -1)


@dataclass(frozen=True, eq=False)
class LearnMask:
    """Takes an image and its mask, and returns what is known, or why the two cannot be used."""

    describer: SuperPixelDescriber
    unknown: int | None
    #: Values from here on are no classes; None where all are.
    n_names: int | None

    def __call__(self, pair: tuple[ImageLike, MaskLike]) -> Known | ImageError:
        found: Known | ImageError = try_image(pair[0], lambda: self._known(*pair))
        return found

    def _known(self, image: ImageLike, mask: MaskLike) -> Known:
        pixels, values = read_pair(image, mask)
        present = np.bincount(values.ravel(), minlength=256) > 0
        if self.unknown is not None:
            present[self.unknown] = False
        if self.n_names is not None and present[self.n_names :].any():
            value = int(np.flatnonzero(present)[-1])
            reason = f"the mask has the value {value}, and the {self.n_names} classes are the values from 0 up"
            raise ImageError(name_of(mask, image), reason)
        if present.sum() > MOST_CLASSES:
            reason = f"the mask has {present.sum()} different values: is it a photograph, or was it saved as JPEG?"
            raise ImageError(name_of(mask, image), reason)
        described, described_values = self.describer.describe(pixels)
        counts = count_values(described.pixels.labels, values)
        if self.unknown is not None:
            counts[:, self.unknown] = 0
        slim = replace(described, looks=described.looks[:, :0].copy(), words=described.words[:, :0].copy(), near=())
        return Known(slim, described_values, sparse.csc_matrix(counts), values.size)


def read_pair(image: ImageLike, mask: MaskLike) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image's pixels (H, W, 3) and its mask's values (H, W); ImageError where these do not fit."""
    pixels, values = read_color(image), read_mask(mask)
    if pixels.shape[:2] != values.shape:
        (height, width), (other_height, other_width) = pixels.shape[:2], values.shape
        reason = f"the mask is {other_width} x {other_height} pixels, and its image {width} x {height}"
        raise ImageError(name_of(mask, image), reason)
    return pixels, values


def name_of(mask: MaskLike, image: ImageLike) -> str:
    """Return what to call a mask in an error: its path, or that of its image."""
    return (path_of(image) or "mask") if isinstance(mask, np.ndarray) else os.fspath(mask)


def count_values(labels: NDArray[np.int32], values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how many pixels of a mask (H, W) of each value lie on each super-pixel, (n, 256).

    The super-pixels (h, w) may be those of the shrunk image: a thin stroke is not lost.
    """
    height, width = values.shape
    h, w = labels.shape
    n = int(labels.max()) + 1
    columns = np.arange(width) * w // width
    counts = np.zeros(n * 256, np.int64)
    at_once = max(1, _STRIP // width)
    for top in range(0, height, at_once):
        part = values[top : top + at_once]
        rows = np.arange(top, top + len(part)) * h // height
        cells = labels[rows[:, None], columns] * 256 + part
        counts += np.bincount(cells.ravel(), minlength=n * 256)
    return counts.reshape(n, 256)
