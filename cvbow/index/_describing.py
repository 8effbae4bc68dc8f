"""Images to hashes and descriptions, by workers, in the images' order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.backends.caching import CachedFunction
from cvbow.backends.loading import load_source, try_image
from cvbow.errors import ImageError
from cvbow.images import content_hash, read_image
from cvbow.parallel import run
from cvbow.retrieval.describer import Box, Describer

__all__ = ["Described", "describe_image", "describe_images", "hash_image", "hash_images", "is_path", "name_of"]


class Described(NamedTuple):
    """What a worker made of one image: the hash of what it read, and its description."""

    sha256: str
    arrays: dict[str, NDArray[Any]]


def is_path(image: ImageLike) -> bool:
    """Whether an image is given as a path."""
    return isinstance(image, str | os.PathLike)


def name_of(image: ImageLike) -> str:
    """Return what to call an image in a message."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else "image"


def hash_image(image: ImageLike) -> str | ImageError:
    """Return the hash of an image's content, or why it cannot be read."""
    result: str | ImageError = try_image(image, lambda: content_hash(image))
    return result


def hash_images(images: Sequence[ImageLike], *, n_jobs: int | None) -> Iterator[str | ImageError]:
    """Yield `hash_image` of each."""
    return run(hash_image, images, n_jobs=n_jobs)


def describe_image(
    describer: Describer, image: ImageLike, box: Box | None = None, *, as_query: bool = False
) -> Described | ImageError:
    """Describe an image, to be stored or as a query, or tell why it cannot be read.

    Raises
    ------
    ValueError
        If the box lies outside the image.
    """
    result: Described | ImageError = _Call(describer, as_query)((image, box))
    return result


def describe_images(
    describer: Describer,
    images: Sequence[tuple[ImageLike, Box | None]],
    *,
    n_jobs: int | None,
    as_query: bool = False,
) -> Iterator[Described | ImageError]:
    """Yield `describe_image` of each image with its box."""
    return run(_Call(describer, as_query), images, n_jobs=n_jobs)


class _Call:
    """What a worker does with one image; picklable, for processes and Dask."""

    def __init__(self, describer: Describer, as_query: bool) -> None:
        self.describer = describer
        self.as_query = as_query and describer.queries_differ
        self.compute: Callable[..., Any] = _describe
        if describer.memory is not None:
            state = describer.query_fingerprint() if self.as_query else describer.fingerprint()
            self.compute = CachedFunction(describer.memory, _describe, state)

    def __call__(self, item: tuple[ImageLike, Box | None]) -> Described | ImageError:
        image, box = item
        result: Described | ImageError = try_image(image, lambda: self._described(image, box))
        return result

    def _described(self, image: ImageLike, box: Box | None) -> Described:
        source, name = load_source(image)
        return Described(content_hash(source), self.compute(self.describer, source, name, box, self.as_query))


def _describe(
    describer: Describer, source: Any, name: str | None, box: Box | None, as_query: bool
) -> dict[str, NDArray[Any]]:
    image = read_image(source, gray=describer.gray_only, name=name)
    described = describer.describe_query(image, box=box) if as_query else describer.describe(image, box=box)
    return {key: np.asarray(array) for key, array in described.items()}
