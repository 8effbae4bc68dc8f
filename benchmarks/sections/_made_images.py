"""A hundred thousand described images from a thousand real ones, for the section retrieval.

Where a description comes from does not matter to an index; that words are as frequent as in photographs does. So each
made image takes the features of one real image and puts others, of any real image, in place of half of them: words keep
their frequencies, images their numbers of features. A made vector is that of a real image with noise added.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cvbow.retrieval import Describer

Arrays = dict[str, NDArray[Any]]
#: Share of an image's features that come from other images; length of the noise, that of a vector being 1.
REPLACED, NOISE = 0.5, 0.5


class MadeImages:
    """Descriptions by number, each the same every time.

    Parameters
    ----------
    described : sequence of dict
        What real images are described as.
    seed : int
    """

    def __init__(self, described: Sequence[Arrays], seed: int) -> None:
        self._seed = seed
        self.seconds = 0.0
        self._vectors = "vectors" in described[0]
        if self._vectors:
            self._real: Arrays = {"vectors": np.stack([one["vectors"] for one in described])}
            return
        self._sizes = np.stack([one["image_size"] for one in described])
        self._start = np.cumsum([0, *(len(one["words"]) for one in described)])
        names = [name for name in described[0] if name != "image_size"]
        self._real = {name: np.concatenate([one[name] for one in described]) for name in names}

    def __call__(self, number: int) -> Arrays:
        """Make the description of an image."""
        rng = np.random.default_rng((self._seed, number))
        if self._vectors:
            vector = self._real["vectors"][rng.integers(len(self._real["vectors"]))]
            noise = rng.standard_normal(len(vector), np.float32)
            vector = vector + NOISE * noise / np.linalg.norm(noise)
            return {"vectors": (vector / np.linalg.norm(vector)).astype(np.float32)}
        image = int(rng.integers(len(self._sizes)))
        rows = np.arange(self._start[image], self._start[image + 1])
        other = rng.random(len(rows)) < REPLACED
        rows[other] = rng.integers(self._start[-1], size=int(other.sum()))
        rows = rows[np.argsort(self._real["words"][rows], kind="stable")]
        return {name: array[rows] for name, array in self._real.items()} | {"image_size": self._sizes[image]}

    def many(self, first: int, stop: int) -> tuple[Arrays, NDArray[np.int64]]:
        """Make the descriptions of some images at once, one after another, and tell where each one's features start.

        They are other ones than those of single numbers, drawn in the same way.
        """
        rng, n = np.random.default_rng((self._seed, first, stop)), stop - first
        if self._vectors:
            vectors = self._real["vectors"][rng.integers(len(self._real["vectors"]), size=n)]
            noise = rng.standard_normal(vectors.shape, np.float32)
            vectors = vectors + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
            return {"vectors": vectors / np.linalg.norm(vectors, axis=1, keepdims=True)}, np.zeros(n + 1, np.int64)
        image = rng.integers(len(self._sizes), size=n)
        lengths = np.diff(self._start)[image]
        start = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(start[-1]) + np.repeat(self._start[image] - start[:-1], lengths)
        other = rng.random(len(rows)) < REPLACED
        rows[other] = rng.integers(self._start[-1], size=int(other.sum()))
        # To columns and back: two counting sorts, by words and by images.
        words = self._real["words"][rows]
        by_image = csr_array((rows, words, start), shape=(n, int(words.max()) + 1)).tocsc().tocsr()
        arrays = {name: array[by_image.data] for name, array in self._real.items()}
        return arrays | {"image_size": self._sizes[image]}, start

    def pixels(self, first: int, stop: int) -> tuple[list[NDArray[np.uint8]], list[str]]:
        """Stand-ins for images, whose pixels are their number, and names for them."""
        numbers = range(first, stop)
        images = [np.array([number], "<u8").view(np.uint8)[None] for number in numbers]
        return images, [f"made/{number:07d}" for number in numbers]

    @contextmanager
    def described_by(self, kind: type[Describer]) -> Iterator[None]:
        """Let describers of a class describe stand-ins; `seconds` counts the time that this takes."""

        def describe(_: Describer, image: NDArray[np.uint8], *, box: object = None) -> Arrays:
            started = time.perf_counter()
            made = self(int(np.ascontiguousarray(image[0]).view("<u8")[0]))
            self.seconds += time.perf_counter() - started
            return made

        with mock.patch.object(kind, "describe", describe):
            yield
