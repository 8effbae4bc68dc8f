"""Images to hashes and descriptions, by workers, in the images' order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.backends.caching import CachedFunction
from cvbow.backends.loading import load_source, path_of, try_image
from cvbow.errors import ImageError
from cvbow.images import content_hash, read_image, reading_as
from cvbow.parallel import run
from cvbow.retrieval.describer import Box, Describer


class Described(NamedTuple):
    """What a worker made of one image: the hash of what it read, and its description; empty where it was known."""

    sha256: str
    arrays: dict[str, NDArray[Any]]


def is_path(image: ImageLike) -> TypeGuard[str | os.PathLike[str]]:
    """Whether an image is given as a path."""
    return isinstance(image, str | os.PathLike)


def name_of(image: ImageLike) -> str:
    """Return what to call an image in a message: its path, if it has one."""
    return path_of(image) or "image"


def hash_images(images: Sequence[ImageLike], *, n_jobs: int | None) -> Iterator[str | ImageError]:
    """Yield the hash of each image's content, or why it cannot be read."""
    return run(_hash, images, n_jobs=n_jobs)


def _hash(image: ImageLike) -> str | ImageError:
    result: str | ImageError = try_image(image, lambda: content_hash(image))
    return result


class DescribeImage:
    """Reads an image once, hashes and describes it, or tells why it cannot be read; picklable.

    Called with an image, the box that is looked for or None, and the hash that is known of it or None: an image of that
    content is not described. ValueError if the box lies outside the image. With `as_query` images are described as one
    asks about them, rather than to be stored.
    """

    def __init__(self, describer: Describer, *, as_query: bool = False) -> None:
        self.describer = describer
        self.as_query = as_query and describer.queries_differ
        self.compute: Callable[..., dict[str, NDArray[Any]]] = _describe
        if describer.memory is not None:
            state = describer.query_fingerprint() if self.as_query else describer.fingerprint()
            self.compute = CachedFunction(describer.memory, _describe, state)

    def __call__(self, task: tuple[ImageLike, Box | None, str | None]) -> Described | ImageError:
        with reading_as(background=self.describer.background):
            result: Described | ImageError = try_image(task[0], lambda: self._described(*task))
        return result

    def _described(self, image: ImageLike, box: Box | None, known: str | None) -> Described:
        source, name = load_source(image)
        sha256 = content_hash(source)
        if sha256 == known:
            return Described(sha256, {})
        return Described(sha256, self.compute(self.describer, source, name, box, self.as_query))


def _describe(
    describer: Describer, source: Any, name: str | None, box: Box | None, as_query: bool
) -> dict[str, NDArray[Any]]:
    image = read_image(source, gray=describer.gray_only, name=name)
    described = describer.describe_query(image, box=box) if as_query else describer.describe(image, box=box)
    return {key: np.asarray(array) for key, array in described.items()}
