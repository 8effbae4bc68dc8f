"""Training images that a model keeps, so that it can show which of them an image is like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cvbow._checks import check_int
from cvbow.backends import ImageLike
from cvbow.backends.loading import load_source, path_of
from cvbow.classify._directions import Directions, principal_directions
from cvbow.images import from_gray, read_image
from cvbow.parallel import run
from cvbow.storage import Array, Learned, storable

#: Side of a thumbnail in pixels, and values that a vector is shortened to.
_SIDE, _N_VALUES = 64, 64


@dataclass(frozen=True, eq=False)
class NearImage:
    """A training image that another image is like.

    Attributes
    ----------
    path : str or None
        Where it was in training; None of pixels.
    class_name : str
    distance : float
        Of its vector.
    thumbnail : ndarray of shape (64, 64, 3), uint8
        The image, stretched to a square.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier, explain
    >>> from cvbow.backends import ColorHistogram
    >>> white, black = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> model = ImageClassifier(ColorHistogram(), n_kept=4).fit([white, black] * 3, ["white", "black"] * 3)
    >>> [near.class_name for near in explain(model, white).nearest]
    ['white', 'white', 'black', 'black']
    """

    path: str | None
    class_name: str
    distance: float
    thumbnail: NDArray[np.uint8]


@storable
class KeptImages(BaseEstimator):  # type: ignore[misc]
    """Thumbnails and short vectors of some training images.

    Vectors are shortened to 64 values along the directions in which they vary most, so that thousands of images take
    a few megabytes; distances are those of the short vectors.

    Parameters
    ----------
    n_images : int, default 500
        At most: of each class as many as of the others, as far as they go, and its first ones.

    Attributes
    ----------
    paths_ : list of str
        Empty for pixels.
    names_ : list of str
        Of the classes.
    thumbnails_ : ndarray of shape (n, 64, 64, 3), uint8
    vectors_ : ndarray of shape (n, k), float32
    mean_, steps_, bytes_ : ndarrays of shape (d,), (d,) and (k, d), float32 and int8
        What shortens vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import KeptImages
    >>> images = list(np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8))
    >>> vectors = np.eye(6, 10, dtype=np.float32)
    >>> kept = KeptImages(4).fit(images, vectors, np.array(["a", "b"] * 3))
    >>> kept.names_, round(kept.nearest(vectors[1], 1)[0].distance, 2)
    (['a', 'b', 'a', 'b'], 0.0)
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "thumbnails_": Array("uint8", f"n {_SIDE} {_SIDE} 3"),
        "vectors_": Array("float32", "n k"),
        "mean_": Array("float32", "d"),
        "steps_": Array("float32", "d", minimum=0),
        "bytes_": Array("int8", "k d"),
    }

    def __init__(self, n_images: int = 500) -> None:
        self.n_images = n_images

    def fit(
        self,
        images: Sequence[ImageLike],
        vectors: NDArray[Any],
        labels: NDArray[Any],
        *,
        n_jobs: int | None = None,
    ) -> Self:
        """Keep some of the images, which can be read, with their vectors (n, d) and labels (n,).

        ``n_jobs`` workers read them again. ValueError if a parameter breaks its rule.
        """
        self.check_params()
        turns = np.empty(len(labels), np.intp)
        for name in np.unique(labels):
            members = np.flatnonzero(labels == name)
            turns[members] = np.arange(len(members))
        rows = np.sort(np.argsort(turns, kind="stable")[: self.n_images])
        self.paths_ = [path_of(images[row]) or "" for row in rows]
        self.names_ = [str(labels[row]) for row in rows]
        chosen = [images[row] for row in rows]
        self.thumbnails_ = np.stack(list(run(_thumbnail, chosen, n_jobs=n_jobs, task="thumbnails", total=len(rows))))
        vectors = vectors[rows].astype(np.float32, copy=False)
        directions = principal_directions(vectors, _N_VALUES)
        # Of vectors that are all the same there is no direction; a distance of 0 along any.
        found = directions.bytes if len(directions.bytes) else np.zeros((1, vectors.shape[1]), np.int8)
        self.mean_, self.steps_, self.bytes_ = directions.mean, directions.steps, found
        self.vectors_ = self._shorten(vectors)
        return self

    def nearest(self, vector: NDArray[np.float32], n: int = 5) -> list[NearImage]:
        """Return the n kept images whose vectors are nearest to a vector (d,), the nearest first."""
        distances = np.linalg.norm(self.vectors_ - self._shorten(vector[None]), axis=1)
        return [
            NearImage(self.paths_[row] or None, self.names_[row], float(distances[row]), self.thumbnails_[row])
            for row in np.argsort(distances, kind="stable")[:n]
        ]

    def _shorten(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return Directions(self.mean_, self.steps_, self.bytes_).apply(vectors)

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_int("n_images", self.n_images, minimum=1)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        for name in ("paths_", "names_"):
            texts = vars(self).get(name)
            n = len(self.vectors_)
            if not isinstance(texts, list) or len(texts) != n or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} must be a list of {n} texts")


def _thumbnail(image: ImageLike) -> NDArray[np.uint8]:
    source, name = load_source(image)
    pixels = from_gray(read_image(source, name=name), floats=False)
    return np.asarray(cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
