"""The base of every backend: images in, vectors out, as a scikit-learn transformer.

An image is read, encoded and dropped by the worker that took it up, so memory holds the vectors and one image per
worker, however many images there are.
"""

from __future__ import annotations

import hashlib
import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone

from cvbow.errors import ImageError
from cvbow.images import content_hash, read_bytes, read_image
from cvbow.images.derived import DerivedImage
from cvbow.parallel import default_jobs, run

__all__ = ["EncodedImages", "ImageEncoder", "ImageLike"]

#: A path, pixels: uint8 (H, W) or (H, W, 3) RGB, or what makes them when they are wanted.
ImageLike = str | os.PathLike[str] | NDArray[np.uint8] | DerivedImage


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Vectors of the images that could be read.

    Attributes
    ----------
    vectors : ndarray of shape (n_read, d), float32
    rows : ndarray of shape (n_read,), intp
        Position of each in the sequence of images that was given.
    skipped : list of ImageError
        The others, in order, each with its path and reason.
    doubtful : list of ImageError
        Images that were read and have a vector, but nothing in them to describe: too small, or of one colour.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.intp]
    skipped: list[ImageError]
    doubtful: list[ImageError]


# Wrapped for set_output, transform would lose its parameter's name; vectors have no names of features to put out.
class ImageEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg,misc]
    """Base class of the backends.

    A subclass has the parameters ``n_jobs`` and ``memory``, and defines ``fit``, ``vector_length``, ``encode_image``
    and ``fingerprint``; ``check_params`` where a parameter has a rule.
    """

    n_jobs: int | None
    memory: Any

    @property
    @abstractmethod
    def vector_length(self) -> int:
        """Length of a vector; NotFittedError before ``fit``."""

    @property
    def gray_only(self) -> bool:
        """Whether the colours of an image are never looked at."""
        return False

    @abstractmethod
    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        """Learn from images."""

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    @abstractmethod
    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vector of one image (H, W) or (H, W, 3), shape (vector_length,), float32."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that changes whenever the vectors would: the key of what is cached of them."""

    def transform(self, images: Sequence[ImageLike]) -> NDArray[np.float32]:
        """Return a vector for each image, shape (n_images, vector_length), float32.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ImageError
            For the first image that cannot be read; ``encode_images`` skips such images.
        """
        return self.encode_images(images, strict=True).vectors

    def encode_images(self, images: Sequence[ImageLike], *, strict: bool = False) -> EncodedImages:
        """Encode the images that can be read, and tell which could not.

        Parameters
        ----------
        images : sequence of paths or arrays
        strict : bool, default False
            Raise the ImageError of the first image that cannot be read.
        """
        images = check_images(images)
        vectors = np.empty((len(images), self.vector_length), np.float32)
        rows: list[int] = []
        skipped: list[ImageError] = []
        doubtful: list[ImageError] = []
        compute = self._cached(_vector_of, self.fingerprint()) if self.memory is not None else _vector_of
        for row, result in enumerate(self._map(Call(self, compute), images, "encode")):
            if isinstance(result, ImageError):
                if strict:
                    raise result
                skipped.append(result)
                continue
            vectors[len(rows)], doubt = result
            rows.append(row)
            if doubt is not None:
                doubtful.append(ImageError(_path(images[row]) or f"image {row}", doubt))
        # The rows that were not used are the tail: giving it back in place avoids a second copy of the rest.
        vectors.resize((len(rows), self.vector_length), refcheck=False)
        return EncodedImages(vectors, np.array(rows, np.intp), skipped, doubtful)

    def _map(self, function: Callable[[Any], Any], items: Sequence[Any], task: str) -> Iterator[Any]:
        return run(function, items, n_jobs=self.n_jobs, task=task, total=len(items))

    def _cached(self, function: Callable[..., Any], *key: object) -> _Cached:
        return _Cached(self.memory, function, key)


def check_images(images: Sequence[ImageLike]) -> Sequence[ImageLike]:
    """Return the images as a sequence of paths and arrays; a lone path or image is refused."""
    if isinstance(images, (str, bytes, os.PathLike)):
        raise ValueError(f"images must be a sequence of paths or arrays, got the single path {os.fspath(images)!r}")
    if isinstance(images, np.ndarray):
        # A lone colour image would pass for a stack of gray ones that are three pixels wide.
        if images.dtype == np.uint8 and (images.ndim < 3 or (images.ndim == 3 and images.shape[2] in (3, 4))):
            raise ValueError(f"images must be a sequence of images, got one array of shape {images.shape}")
        return list(images)
    return images if isinstance(images, (list, tuple)) else list(images)


def fit_inside(
    encoder: ImageEncoder, images: Sequence[ImageLike], y: object, *, n_jobs: int | None, memory: Any
) -> ImageEncoder:
    """Fit a clone of a backend that is part of another, which lends it its cache and workers where it has none."""
    inside: ImageEncoder = clone(encoder)
    if inside.memory is None:
        inside.set_params(memory=memory)
    with default_jobs(n_jobs):
        return inside.fit(images, y)


def load_source(image: ImageLike) -> tuple[Any, str | None]:
    """Return what ``read_image`` takes, and the name for its errors; bytes are read once, for pixels and cache key."""
    if isinstance(image, np.ndarray):
        return image, None
    if isinstance(image, DerivedImage):
        return image.loaded(), image.name
    return read_bytes(image), os.fspath(image)


def _path(image: ImageLike) -> str | None:
    """Return the path of an image, or of the one that it is made from; None for pixels."""
    if isinstance(image, np.ndarray):
        return None
    return image.name if isinstance(image, DerivedImage) else os.fspath(image)


def try_image(image: ImageLike, function: Callable[[], Any]) -> Any:
    """Return the function's result, or the ImageError that it raised; a missing file is one of those."""
    try:
        return function()
    except ImageError as error:
        # Made anew: the error's traceback and cause hold the file's bytes, and those of every bad file would add up.
        return ImageError(error.path, error.reason)
    except FileNotFoundError:
        return ImageError(_path(image) or "image", "there is no such file")


def _vector_of(encoder: ImageEncoder, source: Any, name: str | None) -> tuple[NDArray[np.float32], str | None]:
    """Return an image's vector, and why there is little to it, if so."""
    image = read_image(source, gray=encoder.gray_only, name=name)
    vector = encoder.encode_image(image)
    return vector, one_color(image) or (None if vector.any() else nothing_found(image))


def one_color(image: NDArray[np.uint8]) -> str | None:
    """Return the doubt about an image of one colour; None about others."""
    height, width = image.shape[:2]
    return f"all {width}x{height} pixels have one colour" if (image == image[0, 0]).all() else None


def nothing_found(image: NDArray[np.uint8]) -> str:
    """Return the doubt about an image whose vector is 0."""
    height, width = image.shape[:2]
    return f"nothing was found to describe in {width}x{height} pixels"


class Call:
    """What a worker does with one image; picklable, for processes and Dask."""

    def __init__(self, encoder: ImageEncoder, compute: Callable[..., Any]) -> None:
        self.encoder = encoder
        self.compute = compute

    def __call__(self, image: ImageLike) -> Any:
        return try_image(image, lambda: self.compute(self.encoder, *load_source(image)))


class _Cached:
    """A function of (encoder, source, name, ...) behind joblib.Memory, keyed on the source's content and on ``key``."""

    def __init__(self, memory: Any, function: Callable[..., Any], key: Sequence[object]) -> None:
        from joblib import Memory

        from cvbow import __version__

        self.memory = memory if isinstance(memory, Memory) else Memory(os.fspath(memory), verbose=0)
        self.function = function
        self.key = hashlib.sha256(repr((__version__, *key)).encode()).hexdigest()

    def __call__(self, encoder: ImageEncoder, source: Any, name: str | None, *args: object) -> Any:
        with _memory_lock:
            call = self.memory.cache(_keyed, ignore=["function", "arguments"])
        return call(
            self.function.__qualname__,
            content_hash(source),
            self.key,
            args,
            function=self.function,
            arguments=(encoder, source, name, *args),
        )


# joblib writes the source of a cached function when it first wraps it, which two threads should not do at once.
_memory_lock = threading.Lock()


def _keyed(
    what: str, content: str, key: str, args: object, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    return function(*arguments)
