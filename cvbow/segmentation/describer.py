"""The description of super-pixels, with the visual words and their main directions that it learns from images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cvbow._checks import check_int
from cvbow.backends import ImageLike
from cvbow.backends.loading import load_source, try_image
from cvbow.dictionary import KMeansDictionary
from cvbow.errors import ImageError
from cvbow.images import from_gray, read_image, resize
from cvbow.parallel import run, single_threaded
from cvbow.progress import stages
from cvbow.segmentation._description import BIN_SIZES, Described, describe, extract
from cvbow.segmentation.superpixels import find_superpixels
from cvbow.storage import Array, Learned, Part, storable

#: Images that are learned from, and of each of them descriptors of each scale and super-pixels.
_IMAGES, _DESCRIPTORS, _SUPERPIXELS = 100, 200, 200
_NO_DESCRIPTORS = np.zeros((0, 128), np.float32)


@storable
class SuperPixelDescriber(BaseEstimator):  # type: ignore[misc]
    """Cuts an image into super-pixels, and describes each by colour, texture, place and visual words around it.

    The shares of words are many and most of them are zero; what stands for them are their main directions.

    Parameters
    ----------
    superpixel_size : int, default 10
        Side of a super-pixel in pixels.
    max_side : int, default 480
        Images whose longer side is above this are shrunk to it first.
    n_words : int, default 128
    n_directions : int, default 48
    n_jobs : int or None, default None
        Workers; they change no bit of the result.
    random_state : int, default 0

    Attributes
    ----------
    dictionary_ : KMeansDictionary
    mean_, directions_ : ndarray of shape (n_values,) and (n_kept, n_values), float32
        Of the words' shares.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.segmentation import SuperPixelDescriber
    >>> image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    >>> describer = SuperPixelDescriber(n_words=10, n_directions=5).fit([image])
    >>> described, values = describer.describe(image)
    >>> len(values) == described.pixels.n
    True
    """

    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None}
    learned: ClassVar[Mapping[str, Learned]] = {
        "dictionary_": Part(KMeansDictionary),
        "mean_": Array("float32", "n_values"),
        "directions_": Array("float32", "n_kept n_values"),
    }

    def __init__(
        self,
        *,
        superpixel_size: int = 10,
        max_side: int = 480,
        n_words: int = 128,
        n_directions: int = 48,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.superpixel_size = superpixel_size
        self.max_side = max_side
        self.n_words = n_words
        self.n_directions = n_directions
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, images: Sequence[ImageLike], y: Any = None) -> Self:
        """Learn words and their main directions from some of the images; those that cannot be read say nothing."""
        self.check_params()
        order = np.random.default_rng(self.random_state).permutation(len(images))[:_IMAGES]
        some = [(int(place), images[place]) for place in np.sort(order)]
        with stages({"sample": 1, "words": 2, "main directions": 2}) as begin:
            begin("sample")
            descriptors = self._sampled(_SampleDescriptors(self), some, "words")
            if not len(descriptors):
                descriptors = np.zeros((1, 128), np.float32)  # all images are plain, or too small
            begin("words")
            n_words = min(self.n_words, len(np.unique(descriptors, axis=0)))
            words = KMeansDictionary(n_words=n_words, random_state=self.random_state, n_jobs=self.n_jobs)
            self.dictionary_ = words.fit(descriptors)
            begin("main directions")
            shares = self._sampled(_SampleShares(self), some, "main directions")
            if not len(shares):
                shares = np.zeros((1, 4 * n_words), np.float32)  # no image can be read
        with single_threaded():
            self.mean_ = shares.mean(axis=0, dtype=np.float64).astype(np.float32)
            centred = (shares - self.mean_).astype(np.float64)
            _, directions = np.linalg.eigh(centred.T @ centred)
            self.directions_ = np.ascontiguousarray(directions.T[::-1][: self.n_directions], np.float32)
        return self

    def _sampled(self, sample: Any, images: Sequence[tuple[int, ImageLike]], task: str) -> NDArray[np.float32]:
        parts = [
            part
            for part in run(sample, images, n_jobs=self.n_jobs, task=task, total=len(images))
            if not isinstance(part, ImageError)
        ]
        return np.concatenate(parts) if parts else _NO_DESCRIPTORS

    def describe(self, image: NDArray[np.uint8]) -> tuple[Described, NDArray[np.float32]]:
        """Return the super-pixels of an image (H, W, 3), and the values of each, (n, d).

        The image is shrunk first; ``shrunk`` gives what is described.
        """
        described = self.looked_at(image)
        return described, self.values(described)

    def looked_at(self, image: NDArray[np.uint8]) -> Described:
        """Return the super-pixels of an image (H, W, 3) and what is found in them."""
        small = self.shrunk(image)
        pixels = find_superpixels(small, self.superpixel_size)
        return describe(small, pixels, pixels.neighbourhoods(), self.dictionary_)

    def values(self, described: Described) -> NDArray[np.float32]:
        """Return the values of each super-pixel, (n, d)."""
        words = (described.words - self.mean_) @ self.directions_.T
        return np.hstack([described.looks, words])

    def shrunk(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an image as it is described: no side is above ``max_side``."""
        if max(image.shape[:2]) <= self.max_side:
            return image
        small: NDArray[np.uint8] = resize(image, longest=self.max_side)
        return small

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_int("superpixel_size", self.superpixel_size, minimum=4)
        check_int("max_side", self.max_side, minimum=32)
        check_int("n_words", self.n_words, minimum=2)
        check_int("n_directions", self.n_directions, minimum=1)
        check_int("random_state", self.random_state, minimum=0)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "dictionary_" in vars(self):
            n_words, k = self.dictionary_.words_.shape
            if k != 128 or len(self.mean_) != 4 * n_words:
                raise ValueError("dictionary_ must have words of 128 values, and mean_ four values for each word")


def read_color(image: ImageLike) -> NDArray[np.uint8]:
    """Return the pixels of an image, (H, W, 3); ImageError if it cannot be read."""
    source, name = load_source(image)
    pixels: NDArray[np.uint8] = from_gray(read_image(source, name=name), floats=False)
    return pixels


@dataclass(frozen=True, eq=False)
class _SampleDescriptors:
    """Draws descriptors of an image, as many of each scale."""

    describer: SuperPixelDescriber

    def __call__(self, numbered: tuple[int, ImageLike]) -> NDArray[np.float32] | ImageError:
        number, image = numbered
        found = try_image(image, lambda: extract(self.describer.shrunk(read_color(image))))
        if isinstance(found, ImageError):
            return found
        random = np.random.default_rng([self.describer.random_state, number])
        parts = []
        for size in BIN_SIZES:
            rows = np.flatnonzero(found.points[:, 2] == 4 * size)
            parts.append(found.descriptors[np.sort(random.permutation(rows)[:_DESCRIPTORS])])
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class _SampleShares:
    """Draws super-pixels of an image, and returns their words' shares."""

    describer: SuperPixelDescriber

    def __call__(self, numbered: tuple[int, ImageLike]) -> NDArray[np.float32] | ImageError:
        number, image = numbered
        found = try_image(image, lambda: self.describer.looked_at(read_color(image)).words)
        if isinstance(found, ImageError):
            return found
        random = np.random.default_rng([self.describer.random_state, number])
        return np.asarray(found[np.sort(random.permutation(len(found))[:_SUPERPIXELS])], np.float32)
