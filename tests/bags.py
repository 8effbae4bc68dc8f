"""Bags of made-up descriptors whose words are known beforehand, and an extractor that reads them off an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.dictionary import KMeansDictionary
from cvbow.features import Extractor, Features

#: Distance between the words; a descriptor of word w is (10 w, 10 w).
SPACING = 10.0


def bag(
    words: Sequence[int] | NDArray[np.intp], places: object = None, image_size: tuple[int, int] = (40, 40)
) -> Features:
    """Features whose descriptors are those of ``words``, at ``places`` (n, 2) or at the image's first pixel."""
    points = np.zeros((len(words), 4), np.float32)
    if places is not None:
        points[:, :2] = np.asarray(places, np.float32).reshape(-1, 2)
    descriptors = np.repeat(SPACING * np.asarray(words, np.float32)[:, None], 2, axis=1)
    return Features(points, descriptors, image_size)


def all_words(n_words: int) -> list[Features]:
    """A sample from which a dictionary of ``n_words`` learns exactly the words 0, 1, ..."""
    return [bag(range(n_words))]


def dictionary(n_words: int) -> KMeansDictionary:
    """A dictionary that learns the words 0, 1, ... from ``all_words(n_words)``."""
    return KMeansDictionary(n_words=n_words)


def described(descriptors: Any) -> Features:
    """Features of these descriptors, all at the image's first pixel."""
    descriptors = np.array(descriptors, np.float32)
    return Features(np.zeros((len(descriptors), 4), np.float32), descriptors, (9, 9))


def knowing(encoder: Any, words: Any) -> Any:
    """The encoder, as if it had learned these words."""
    encoder.dictionary_ = KMeansDictionary(n_words=len(words))
    encoder.dictionary_.words_ = np.array(words, np.float32)
    return encoder


def random_bag(n: int, size: int = 8, *, seed: int = 0, image_size: tuple[int, int] = (64, 48)) -> Features:
    """Random descriptors of ``size`` values, at random places of the image."""
    rng = np.random.default_rng(seed)
    points = np.zeros((n, 4), np.float32)
    points[:, :2] = rng.uniform(0, 1, (n, 2)) * image_size - 0.5
    points[:, 2:] = 8, -1
    return Features(points, rng.standard_normal((n, size)).astype(np.float32), image_size)


def frozen(features: Features) -> Features:
    """The same features in arrays that cannot be written to."""
    points, descriptors = features.points.copy(), features.descriptors.copy()
    points.flags.writeable = descriptors.flags.writeable = False
    return Features(points, descriptors, features.image_size)


class PixelWords(Extractor):
    """A point at each pixel that is not black, with the descriptor of word ``value - 1``; plain, as tests need it."""

    def __init__(self, *, min_side: int | None = None, max_side: int | None = None) -> None:
        self.min_side = min_side
        self.max_side = max_side

    @property
    def descriptor_size(self) -> int:
        return 2

    def compute(self, image: NDArray[np.uint8]) -> Features:
        rows, columns = np.nonzero(image)
        places = np.stack([columns, rows], axis=1)
        return bag(image[rows, columns].astype(np.intp) - 1, places, (image.shape[1], image.shape[0]))
