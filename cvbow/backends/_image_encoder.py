"""The base of every backend: images in, vectors out, as a scikit-learn transformer.

An image is read, encoded and dropped by the worker that took it up, so memory holds the vectors and one image per
worker, however many images there are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._set_output import _wrap_data_with_container

from cvbow.backends.caching import CachedFunction
from cvbow.backends.loading import ImageLike, check_images, load_source, path_of, tag_images, try_image
from cvbow.backends.shares import ImageShares, leave_out
from cvbow.encoders import WordTable
from cvbow.errors import CvbowError, ImageError
from cvbow.images import read_image
from cvbow.parallel import run


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Vectors of the images that could be read.

    Attributes
    ----------
    vectors : ndarray of shape (n_read, d), float32
        The first rows of the array that they were to go to, in its type, where there was one.
    rows : ndarray of shape (n_read,), intp
        Position of each in the sequence of images that was given.
    skipped : list of ImageError
        The others, in order, each with its path and reason.
    doubtful : list of ImageError
        Images that were read and have a vector, but nothing in them to describe: too small, or of one colour.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram
    >>> image = np.zeros((8, 8, 3), np.uint8)
    >>> encoded = ColorHistogram().encode_images([image, "missing.png", image])
    >>> encoded.rows.tolist(), encoded.skipped[0].reason
    ([0, 2], 'there is no such file')
    """

    vectors: NDArray[Any]
    rows: NDArray[np.intp]
    skipped: list[ImageError]
    doubtful: list[ImageError]


# Wrapped by scikit-learn for set_output, transform would lose its parameter's name; it asks for the container itself.
class ImageEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg,misc]
    """Base class of the backends.

    A subclass has the parameters ``n_jobs`` and ``memory``, and defines ``fit``, ``vector_length``, ``encode_image``
    and ``fingerprint``; ``check_params`` where a parameter has a rule; ``parts`` where other backends are inside.

    Parameters
    ----------
    n_jobs : int or None, default None
        Workers, by joblib's convention, also for parts inside that leave their own at None; the vectors do not depend
        on it.
    memory : str, path, joblib.Memory or None, default None
        Where to cache the vectors, keyed on the images' content and all that they depend on, and what such parts cache
        while they are fitted.

    Attributes
    ----------
    n_views : int
        Views of an image that a vector consists of, each an example of its own to a classifier.
    n_sampled_ : int or None
        Descriptors that a dictionary was learned from.
    skipped_ : list of ImageError or None
        Images that ``fit`` was to learn from and that could not be read.
    seconds_ : dict or None
        Time taken to learn, by step. This and the two before are None where nothing of the kind is known, as in a
        backend that was loaded.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram, Gist
    >>> image = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    >>> [backend.fit_transform([image]).shape for backend in (ColorHistogram(), Gist())]
    [(1, 128), (1, 1152)]
    """

    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None, "memory": None, "seconds_": None, "skipped_": None}

    n_jobs: int | None
    memory: Any

    n_views: int = 1
    n_sampled_: int | None = None
    skipped_: list[ImageError] | None = None
    seconds_: dict[str, float] | None = None

    @property
    @abstractmethod
    def vector_length(self) -> int:
        """Length of a vector; NotFittedError before ``fit``."""

    @property
    def gray_only(self) -> bool:
        """Whether only gray values are used."""
        return False

    @property
    def shrinks_to(self) -> int | None:
        """The longer side to which larger images are shrunk before anything else, by one factor; None where not."""
        return None

    def read(self, source: Any, name: str | None = None) -> NDArray[np.uint8]:
        """Read an image as the backend needs it; ``name`` stands for bytes in errors, which are ``read_image``'s."""
        return read_image(source, gray=self.gray_only, shrunk_to=self.shrinks_to, name=name)

    @property
    def channel_slices(self) -> dict[str, slice] | None:
        """The columns of each channel in the vector of one view, by name; None without channels."""
        return None

    def keep(self, channels: Collection[str]) -> Self:
        """Return a fitted backend that makes vectors of these channels alone, in the order that they have here.

        ValueError if a name is not that of a channel, or there is none.
        """
        raise ValueError(f"channels must be of a union of backends, got {', '.join(channels)} for {self!r}")

    def first_view(self) -> ImageEncoder:
        """Return the fitted backend that makes vectors of the first view of an image alone."""
        return self

    def parts(self) -> Sequence[ImageEncoder]:
        """Return the backends inside this one, the fitted ones once there are any."""
        return ()

    @property
    def n_words(self) -> int | None:
        """Number of words of the first part that has a dictionary; None without one."""
        return next((part.n_words for part in self.parts() if part.n_words is not None), None)

    def words_of(self, image: NDArray[np.uint8]) -> dict[str, WordTable]:
        """Tell the words of one image's points, for each channel that has words, by its name.

        The words of a backend that is no union have the name "all"; of several views, they are those of the whole
        image. Empty where there are no words.
        """
        return {}

    @property
    def value_words(self) -> dict[str, NDArray[np.intp]]:
        """The word that each value of one view's vector belongs to, for each channel as in ``words_of``.

        Shape (vector_length / n_views,); -1 for the values of other channels, and of several words.
        """
        return {}

    @property
    def network_files(self) -> frozenset[Path]:
        """The files of the networks that the backend runs, which a model file does not hold."""
        return frozenset(path for part in self.parts() for path in part.network_files)

    @property
    def network_hashes(self) -> frozenset[str]:
        """SHA-256 of each network that the backend needs."""
        return frozenset(digest for part in self.parts() for digest in part.network_hashes)

    @abstractmethod
    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        """Learn from images.

        Parameters
        ----------
        images : sequence of paths or arrays
            Those that cannot be read are listed in ``skipped_``.
        y : ignored

        Raises
        ------
        ValueError
            If a parameter breaks its rule, also one of a part inside, or there is no image to learn from.
        CvbowError
            If no image could be read, or nothing was found to learn from.
        """

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    def check_state(self) -> None:
        """Raise ValueError if a parameter breaks its rule, or what was learned and stored does not fit together."""
        self.check_params()

    @abstractmethod
    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vector of one image (H, W) or (H, W, 3), shape (vector_length,), float32."""

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        """Tell what the points and pixels of one image gave to the products of its vector and weights.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            As ``read`` returns it.
        weights : ndarray of shape (n_answers, vector_length)

        Returns
        -------
        ImageShares
            Here, for a backend that knows no other way, how much the products fall where a part of the image is left
            out; see ``without``.
        """
        return leave_out(
            lambda boxes: self.without(image, boxes),
            lambda vectors: vectors.astype(np.float64) @ weights.T,
            self.encode_image(image),
            image.shape[:2],
        )

    def without(self, image: NDArray[np.uint8], boxes: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the vectors of one image without what is in each of some boxes, (n, vector_length).

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
        boxes : ndarray of shape (n, 4), intp
            Left, top, right and bottom. Here the pixels get the image's mean colour.
        """
        vectors = np.empty((len(boxes), self.vector_length), np.float32)
        mean = image.mean(axis=(0, 1)).round().astype(np.uint8)
        for vector, (left, top, right, bottom) in zip(vectors, boxes, strict=True):
            filled = image.copy()
            filled[top:bottom, left:right] = mean
            vector[:] = self.encode_image(filled)
        return vectors

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that changes whenever the vectors would: the key of what is cached of them."""

    def transform(self, images: Sequence[ImageLike]) -> NDArray[np.float32]:
        """Return a vector for each image, shape (n_images, vector_length), float32.

        It is an array, or a data frame where ``set_output`` or scikit-learn's configuration says so.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ImageError
            For the first image that cannot be read; ``encode_images`` skips such images.
        """
        vectors = self.encode_images(images, strict=True).vectors
        table: NDArray[np.float32] = _wrap_data_with_container("transform", vectors, images, self)
        return table

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return a name for each value of a vector: ``bagencoder0`` and so on; images have no names to go in."""
        name = type(self).__name__.lower()
        return np.array([f"{name}{value}" for value in range(self.vector_length)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tag_images(tags.input_tags)
        tags.transformer_tags.preserves_dtype = []
        return tags

    def encode(self, image: ImageLike) -> NDArray[np.float32]:
        """Return the vector of one image, shape (vector_length,), float32; errors as of ``transform``."""
        vector: NDArray[np.float32] = self.encode_images([image], strict=True).vectors[0]
        return vector

    def encode_images(
        self, images: Sequence[ImageLike], *, strict: bool = False, out: NDArray[np.floating] | None = None
    ) -> EncodedImages:
        """Encode the images that can be read, and tell which could not.

        Parameters
        ----------
        images : sequence of paths or arrays
        strict : bool, default False
            Raise the ImageError of the first image that cannot be read.
        out : ndarray of shape (n_images, vector_length) or None, default None
            Where the vectors go as they are made, one after the other: an array of any type of floats, which may be
            the map of a file. The workers round them to its type, so that no more than that travels. None is a new
            array in memory.

        Raises
        ------
        ImageError
            If ``strict`` says so.
        CvbowError
            If a value is beyond the range of float16, where ``out`` is of that type.
        ValueError
            If ``out`` has another shape.
        """
        images = check_images(images)
        shape = (len(images), self.vector_length)
        if out is not None and out.shape != shape:
            raise ValueError(f"out must have the shape {shape}, got {out.shape}")
        vectors = np.empty(shape, np.float32) if out is None else out
        rows: list[int] = []
        skipped: list[ImageError] = []
        doubtful: list[ImageError] = []
        call = Call(self, self._through_cache(_vector_of), vectors.dtype)
        for row, result in enumerate(self._map(call, images, "encode")):
            if isinstance(result, ImageError):
                if strict:
                    raise result
                skipped.append(result)
                continue
            vector, doubt = result
            if vector.dtype == np.float16 and not np.isfinite(vector).all():
                what = path_of(images[row]) or f"image {row}"
                raise CvbowError(
                    f"a value of the vector of {what} is beyond {np.finfo(np.float16).max:g}, the most that a vector "
                    "in a file holds: normalise the vectors, or hold them in memory"
                )
            vectors[len(rows)] = vector
            rows.append(row)
            if doubt is not None:
                doubtful.append(ImageError(path_of(images[row]) or f"image {row}", doubt))
        if out is None:
            # The rows that were not used are the tail: giving it back in place avoids a second copy of the rest.
            vectors.resize((len(rows), self.vector_length), refcheck=False)
        else:
            vectors = out[: len(rows)]
        return EncodedImages(vectors, np.array(rows, np.intp), skipped, doubtful)

    def _map(self, function: Callable[[Any], Any], items: Sequence[Any], task: str) -> Iterator[Any]:
        return run(function, items, n_jobs=self.n_jobs, task=task, total=len(items))

    def _through_cache(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function if self.memory is None else CachedFunction(self.memory, function, self.fingerprint())


def _vector_of(encoder: ImageEncoder, source: Any, name: str | None) -> tuple[NDArray[np.float32], str | None]:
    """Return an image's vector, and why there is little to it, if so."""
    image = encoder.read(source, name)
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
    """What a worker does with one image; picklable, for processes and Dask.

    With a ``dtype`` it gives vectors and doubts, and the vectors in that type.
    """

    def __init__(self, encoder: ImageEncoder, compute: Callable[..., Any], dtype: Any = None) -> None:
        self.encoder = encoder
        self.compute = compute
        self.dtype = dtype

    def __call__(self, image: ImageLike) -> Any:
        return self.rounded(try_image(image, lambda: self.compute(self.encoder, *load_source(image))))

    def rounded(self, result: Any) -> Any:
        """Return what was computed with the vector in the type that is wanted; an ImageError as it is."""
        if self.dtype is None or isinstance(result, ImageError):
            return result
        vector, doubt = result
        with np.errstate(over="ignore"):  # what becomes infinite is refused where the vectors are gathered
            return vector.astype(self.dtype, copy=False), doubt
