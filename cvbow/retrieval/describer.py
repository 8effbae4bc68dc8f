"""What an index stores of an image, and how a query is scored against it: the two kinds' common face.

An image becomes a dict of small arrays (``Describer.describe``); an index keeps those of many images one after another
in immutable segments, with what can be worked out from them (``derive``); a ``Scorer`` over opened segments gives every
image a score for a query.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cvbow.backends import ImageLike
from cvbow.errors import ImageError

#: x, y, width, height in pixels: the part of an image whose left upper pixel is (x, y).
Box = tuple[float, float, float, float]

#: The arrays that geometric verification needs.
GEOMETRY = ("words", "places", "shapes", "image_size")


@dataclass(frozen=True)
class ArraySpec:
    """One named array that every image of an index has.

    Attributes
    ----------
    dtype : str
        As NumPy writes it, little-endian: ``"<i4"``, ``"<f4"``, ``"|u1"``.
    shape : tuple of int
        Of one row.
    per : {"image", "feature"}
        One row for an image, or one for each of its features; all "feature" arrays of an image are equally long.

    Examples
    --------
    >>> from cvbow.retrieval import ArraySpec
    >>> ArraySpec("<f4", (128,), per="feature")
    ArraySpec(dtype='<f4', shape=(128,), per='feature')
    """

    dtype: str
    shape: tuple[int, ...]
    per: str


class Segment(Protocol):
    """Some images of an index, opened for reading.

    Examples
    --------
    >>> import numpy as np
    >>> class TwoImages:
    ...     n_images = 2
    ...     arrays = {"vectors": np.eye(2, dtype=np.float32)}
    """

    @property
    def n_images(self) -> int:
        """Number of images, removed ones among them."""

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The describer's layout, what it derives, and ``feature_start`` (n_images + 1,) int64 where it has features.

        Arrays per image have one row for each; those per feature hold the features of image i in the rows from
        ``feature_start[i]`` to ``feature_start[i + 1]``. They may be memory-mapped and are read-only.
        """


class Scorer(ABC):
    """Scores of all images of an opened index for one query after another; safe to share between threads.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.retrieval import ImageVectors
    >>> class Segment:
    ...     n_images = 2
    ...     arrays = {"vectors": np.eye(2, 128, dtype=np.float32)}
    >>> describer = ImageVectors(ColorHistogram(), whiten=False).fit([np.zeros((8, 8, 3), np.uint8)])
    >>> scorer = describer.scorer([Segment()], alive=[np.ones(2, bool)])
    >>> scorer.scores({"vectors": np.eye(128, dtype=np.float32)[0]}).tolist()
    [1.0, 0.0]
    """

    @abstractmethod
    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return a score for each image, shape (n_images,), segments one after another; higher is better.

        The query is what ``Describer.describe`` returned, or ``expanded``. Scores of removed images have no meaning.
        """

    @property
    def statistics(self) -> Mapping[str, NDArray[Any]]:
        """Return what scores need of an index as a whole, by name: those of an index in parts are the parts' sums."""
        return {}

    def weighed_by(self, statistics: Mapping[str, NDArray[Any]]) -> Scorer:
        """Return a scorer of the same images that are a part of an index of these ``statistics``."""
        return self

    @property
    def together(self) -> int:
        """Number of queries that `scores_many` is best given at a time."""
        return 1

    def scores_many(self, queries: Sequence[Mapping[str, NDArray[Any]]]) -> NDArray[np.float32]:
        """Return `scores` for several queries, up to rounding, shape (n_queries, n_images)."""
        return np.stack([self.scores(query) for query in queries])

    def stable_scores(self, query: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]) -> NDArray[np.float32] | None:
        """Return the scores of a few images, (m,) float32, the same to the last bit wherever in the index each lies.

        ``rows`` are their positions among `scores`. They are within 1e-4 of `scores`; None where `scores` themselves do
        not depend on the place of an image.
        """
        return None

    @abstractmethod
    def expanded(
        self, query: Mapping[str, NDArray[Any]], results: Sequence[Mapping[str, NDArray[Any]]]
    ) -> Mapping[str, NDArray[Any]]:
        """Return a query that stands for the mean of ``query`` and the given images (average query expansion).

        ``results`` are what is stored of the images; none leaves the query as it is.
        """


class Describer(BaseEstimator, ABC):  # type: ignore[misc]
    """Base class of what an index learns, and how it sees images.

    A subclass has the parameters ``n_jobs`` and ``memory``, plain parameters otherwise, and learned state that ends
    in ``_``.

    Parameters
    ----------
    n_jobs : int or None, default None
        Workers, by joblib's convention; neither what is learned nor scores depend on it.
    memory : str, path, joblib.Memory or None, default None
        Where to cache what is learned from.

    Attributes
    ----------
    skipped_ : list of ImageError or None
        Images that ``fit`` was to learn from and that could not be read; None where that is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.retrieval import ImageVectors
    >>> image = np.full((8, 8, 3), 200, np.uint8)
    >>> describer = ImageVectors(ColorHistogram(), whiten=False).fit([image])
    >>> describer.layout()
    {'vectors': ArraySpec(dtype='<f4', shape=(128,), per='image')}
    >>> describer.describe(image)["vectors"].shape
    (128,)
    """

    #: "inverted" or "exact".
    kind: ClassVar[str]

    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None, "memory": None, "seconds_": None, "skipped_": None}

    #: Of describers that are stored only where it is another, see ``cvbow.storage``.
    added: ClassVar[Mapping[str, Any]] = {"background": "white"}

    n_jobs: int | None
    memory: Any

    #: What transparent images are laid onto, those that are learned from, in the index, and queries.
    background: str = "white"

    skipped_: list[ImageError] | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Images or paths, as for the backends.
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = tags.input_tags.three_d_array = tags.input_tags.string = True
        return tags

    @property
    @abstractmethod
    def gray_only(self) -> bool:
        """Whether only gray values are used."""

    @abstractmethod
    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        """Learn from images, which need not be those that will be in the index.

        Parameters
        ----------
        images : sequence of paths or arrays
            Those that cannot be read are listed in ``skipped_``.
        y : ignored

        Raises
        ------
        ValueError
            If a parameter breaks its rule.
        CvbowError
            If no image could be read, or nothing was found in those read.
        """

    @abstractmethod
    def layout(self) -> dict[str, ArraySpec]:
        """Return the arrays that every image has, by name; NotFittedError before ``fit``."""

    @abstractmethod
    def describe(self, image: NDArray[np.uint8], *, box: Box | None = None) -> dict[str, NDArray[Any]]:
        """Describe one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
        box : tuple of float, optional
            Describe only what lies inside.

        Returns
        -------
        dict of ndarray
            As ``layout`` says: arrays per feature have a first axis, those per image do not.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the box has no area or lies outside the image.
        """

    def describe_query(self, image: NDArray[np.uint8], *, box: Box | None = None) -> dict[str, NDArray[Any]]:
        """Describe a query image: like `describe`, unless a describer treats queries in another way."""
        return self.describe(image, box=box)

    @property
    def queries_differ(self) -> bool:
        """Whether `describe_query` differs from `describe`: what is stored of an image is then not its best query."""
        return False

    def derive(
        self, arrays: Mapping[str, NDArray[Any]], feature_start: NDArray[np.int64], n_images: int
    ) -> dict[str, NDArray[Any]]:
        """Return further arrays of a segment that follow from its images' own, to be stored with them.

        ``arrays`` are the layout's, of all images; ``feature_start`` is (n_images + 1,), int64.
        """
        return {}

    def is_outdated(self, names: Collection[str]) -> bool:
        """Tell from the names of a segment's arrays whether an earlier version of cvbow has derived them otherwise.

        Such a segment is read all the same; compacting the index writes it anew.
        """
        return False

    def check_segment(self, segment: Segment) -> None:
        """Raise ValueError if a segment's values would make compiled code read outside its arrays.

        Called when an index is opened, unless checks are off; dtypes and shapes of the layout's arrays, and
        ``feature_start``, have been checked then, those of derived arrays have not.
        """

    @abstractmethod
    def scorer(self, segments: Sequence[Segment], alive: Sequence[NDArray[np.bool_]]) -> Scorer:
        """Prepare to score the images of opened segments; ``alive`` (n_images,) is False where an image was removed."""

    @property
    def has_geometry(self) -> bool:
        """Whether what is stored of an image is enough to verify it by geometry; NotFittedError before ``fit``."""
        return set(GEOMETRY) <= set(self.layout())

    @abstractmethod
    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that changes whenever descriptions would."""

    def query_fingerprint(self) -> str:
        """Return a text that changes whenever descriptions of queries would."""
        return self.fingerprint()


def check_box(box: Box, image_size: tuple[int, int]) -> Box:
    """Return a box cut to the image.

    Parameters
    ----------
    box : tuple of float
        x, y, width and height in pixels. ``(0, 0, W, H)`` is the whole image, whose first pixel's centre is at (0, 0)
        and whose left edge, as a place, is at -0.5: a point (px, py) is inside where ``x <= px + 0.5 < x + width`` and
        the same for y.
    image_size : tuple of int
        Width and height of the image in pixels.

    Raises
    ------
    ValueError
        If the box is not four finite numbers, has no area, or lies outside the image.

    Examples
    --------
    >>> from cvbow.retrieval import check_box
    >>> check_box((50, 50, 100, 20), image_size=(100, 100))
    (50.0, 50.0, 50.0, 20.0)
    """
    values = tuple(box) if isinstance(box, Sequence | np.ndarray) else ()
    if len(values) != 4 or not all(isinstance(value, numbers.Real) and math.isfinite(value) for value in values):
        raise ValueError(f"box must be four numbers x, y, width, height in pixels, got {box!r}")
    x, y, width, height = map(float, values)
    if width <= 0 or height <= 0:
        raise ValueError(f"box must have a positive width and height, got {box!r}")
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(image_size[0])), min(y + height, float(image_size[1]))
    if right <= left or bottom <= top:
        raise ValueError(f"box must overlap the image of {image_size[0]} x {image_size[1]} pixels, got {box!r}")
    return left, top, right - left, bottom - top
