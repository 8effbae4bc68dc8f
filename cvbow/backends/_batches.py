"""Several images at once, for encoders that are faster so: a batch is one worker's work, as an image is elsewhere."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.backends._image_encoder import Call, ImageEncoder, nothing_found, one_color
from cvbow.backends.caching import CachedFunction
from cvbow.backends.loading import ImageLike, load_source, try_image


class BatchEncoder(ImageEncoder):
    """Base class of the backends that encode ``batch_size`` images at once.

    A subclass defines ``_input`` (an image to what stands for it in a batch) and ``_vectors`` (n inputs to n vectors).
    """

    batch_size: int

    @abstractmethod
    def _input(self, image: NDArray[np.uint8]) -> NDArray[np.float32]: ...

    @abstractmethod
    def _vectors(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]: ...

    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._vectors(self._input(image)[None])[0]
        return vector

    def _map(self, function: Callable[[Any], Any], items: Sequence[Any], task: str) -> Iterator[Any]:
        if self.batch_size == 1 or not isinstance(function, Call):
            return super()._map(function, items, task)
        batches = [items[top : top + self.batch_size] for top in range(0, len(items), self.batch_size)]
        found = super()._map(_BatchCall(self, function), batches, task)
        return (result for results in found for result in results)


class _BatchCall:
    """What a worker does with a batch of images; picklable, for processes and Dask.

    Images that cannot be read are left out of the batch, and so are those whose vectors are in the cache.
    """

    def __init__(self, encoder: BatchEncoder, call: Call) -> None:
        self.encoder = encoder
        self.call = call
        self.cached = call.compute if isinstance(call.compute, CachedFunction) else None

    def __call__(self, images: Sequence[ImageLike]) -> list[Any]:
        """Return for each image its vector and the doubt about it, or its ImageError."""
        results = [try_image(image, functools.partial(self._cached_or_ready, image)) for image in images]
        waiting = [row for row, result in enumerate(results) if isinstance(result, _Ready)]
        if waiting:
            vectors = self.encoder._vectors(np.stack([results[row].input for row in waiting]))
            for row, vector in zip(waiting, vectors, strict=True):
                results[row] = self._kept(results[row], vector)
        return [self.call.rounded(result) for result in results]

    def _cached_or_ready(self, image: ImageLike) -> Any:
        source, name = load_source(image)
        key = None
        if self.cached is not None:
            key = self.cached.key_of(source)
            if self.cached.has(key):
                return self.cached(self.encoder, source, name)
        return _Ready(self.encoder, source, name, key)

    def _kept(self, ready: _Ready, vector: NDArray[np.float32]) -> Any:
        # A row of the batch would hold the memory of all.
        result = vector.copy(), ready.one_color or (None if vector.any() else ready.nothing_found)
        if self.cached is not None and ready.key is not None:
            self.cached.keep(ready.key, result)
        return result


class _Ready:
    """An image that was read, as the input of the encoder, and its key in the cache; the pixels are let go."""

    def __init__(self, encoder: BatchEncoder, source: Any, name: str | None, key: tuple[object, ...] | None) -> None:
        self.key = key
        image = encoder.read(source, name)
        self.input = encoder._input(image)
        self.one_color = one_color(image)
        self.nothing_found = nothing_found(image)
