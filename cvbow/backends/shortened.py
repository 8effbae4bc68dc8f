"""Long vectors in few values: those along the directions in which a sample of vectors varies most.

H. Jegou and O. Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening", ECCV
2012, have a few hundred values stand for long vectors so. Here each part of a vector has directions of its own, as in
the products of H. Jegou, M. Douze and C. Schmid, "Product quantization for nearest neighbor search", PAMI 2011: there
are as many values, from a fraction of the work.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int
from cvbow.backends._image_encoder import ImageEncoder
from cvbow.backends.fitting import LEARNING, choose_positions, fit_inside
from cvbow.backends.loading import ImageLike, check_images
from cvbow.backends.shares import ImageShares
from cvbow.dictionary.prepared import prepared_from
from cvbow.encoders import WordTable
from cvbow.errors import none_read
from cvbow.parallel import cut, default_jobs, single_threaded
from cvbow.progress import detail, stages
from cvbow.storage import Array, Learned, Part, storable

#: Columns that are looked at together.
_COLUMNS = 4096
#: A direction along which the squares are below this share of the first one's is rounding.
_NOTHING = 1e-7


@storable
class Shortened(ImageEncoder):
    """Vectors of a backend in fewer values, which keep nearly all of their dot products and distances.

    Memory then holds a few hundred values of an image in place of a hundred thousand, and what learns from them is the
    faster. The vectors are those of ``backend`` times a matrix, which takes part after part of a vector onto the
    directions in which the same part of some training images' vectors is longest: their singular vectors, not centred,
    so that a dot product stays nearly what it was.

    Parameters
    ----------
    backend : ImageEncoder
        With one view of an image. Of a ``ChannelUnion`` the channels would be mixed: shorten each of them.
    n_components : int, default 512
        Values of a vector; as few more as the parts need to have equally many.
    n_parts : int, default 8
        Parts of a vector, of equal size, each with ``n_components / n_parts`` directions.
    sample_images : int, default 1000
        Images, drawn at random, whose vectors the directions are learned from. No part gets more directions than there
        are such images.
    n_jobs, memory : see ``ImageEncoder``
    random_state : int, default 0
        Seed of the draw.

    Attributes
    ----------
    backend_ : the fitted backend
    directions_ : ndarray of shape (k, d), int8
        In the columns of each part, its k directions, in units of ``steps_``.
    steps_ : ndarray of shape (d,), float32
    skipped_, seconds_ : see ``ImageEncoder``
        Those of the backend.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import CensusPyramid, Shortened
    >>> images = list(np.random.default_rng(0).integers(0, 256, (20, 64, 64), np.uint8))
    >>> census = CensusPyramid(radii=(1,), grids=("1x1",)).fit(images)
    >>> short = Shortened(census, n_components=40, n_parts=2).fit(images)
    >>> census.transform(images).shape, short.transform(images).shape
    ((20, 256), (20, 40))
    >>> bool(np.allclose(short.encode(images[0]) @ short.encode(images[1]),
    ...                  census.encode(images[0]) @ census.encode(images[1]), atol=0.01))
    True
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "backend_": Part(ImageEncoder),
        "directions_": Array("int8", "k d"),
        "steps_": Array("float32", "d", minimum=0),
    }

    def __init__(
        self,
        backend: ImageEncoder,
        *,
        n_components: int = 512,
        n_parts: int = 8,
        sample_images: int = 1000,
        n_jobs: int | None = None,
        memory: Any = None,
        random_state: int = 0,
    ) -> None:
        self.backend = backend
        self.n_components = n_components
        self.n_parts = n_parts
        self.sample_images = sample_images
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state

    @property
    def vector_length(self) -> int:
        """Length of a vector: the directions of all parts."""
        check_is_fitted(self, "directions_")
        return len(self._parts) * len(self.directions_)

    @property
    def gray_only(self) -> bool:
        """Whether the backend uses gray values only."""
        return self.parts()[0].gray_only

    @property
    def shrinks_to(self) -> int | None:
        """What the backend shrinks images to."""
        return self.parts()[0].shrinks_to

    def parts(self) -> Sequence[ImageEncoder]:
        """Return the backend inside."""
        return [vars(self).get("backend_", self.backend)]

    def words_of(self, image: NDArray[np.uint8]) -> dict[str, WordTable]:
        return self.backend_.words_of(image)

    @property
    def value_words(self) -> dict[str, NDArray[np.intp]]:
        """The names of the backend's, with -1 for every value: it is of all words of a part."""
        return {name: np.full(self.vector_length, -1, np.intp) for name in self.backend_.value_words}

    @property
    def _parts(self) -> list[slice]:
        """The columns of the backend's vectors that make up each part."""
        return parts_of(self.directions_.shape[1], self.n_parts)

    @prepared_from("directions_", "steps_")
    def _matrix(self) -> NDArray[np.float32]:
        """The directions in float32, (k, d): to unpack them for each image would take longer than to use them."""
        matrix: NDArray[np.float32] = self.directions_ * self.steps_
        return matrix

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        self.check_params()
        images = check_images(images, minimum=1)
        places = choose_positions(len(images), self.sample_images, self.random_state)
        with stages({"backend": LEARNING, "directions": len(places)}) as begin:
            begin("backend")
            self.backend_ = fit_inside(self.backend, images, y, n_jobs=self.n_jobs, memory=self.memory)
            self.skipped_ = list(self.backend_.skipped_ or ())
            self.seconds_ = dict(self.backend_.seconds_ or {})
            begin("directions")
            detail(
                f"directions: from the vectors of {len(places)} images, "
                f"{4 * self.backend_.vector_length / 1e6:.1f} MB each"
            )
            with default_jobs(self.n_jobs):
                encoded = self.backend_.encode_images([images[place] for place in places])
        if not len(encoded.vectors):
            raise none_read(encoded.skipped)
        with single_threaded():
            self.directions_, self.steps_ = _directions(encoded.vectors, self.n_components, self.n_parts)
        return self

    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._shorten(self.backend_.encode_image(image)[None])[0]
        return vector

    def _shorten(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors (n, d) of the backend in fewer values, (n, vector_length)."""
        matrix = self._matrix
        with single_threaded():
            found = [vectors[:, columns] @ matrix[:, columns].T for columns in self._parts]
        return np.concatenate(found, axis=1)

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        return self.backend_.shares_of(image, self._long_weights(weights))

    def _long_weights(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what weights of the values (n, vector_length) are of the backend's own values, (n, d)."""
        matrix, k = self._matrix, len(self.directions_)
        places = zip(self._parts, cut(self.vector_length, k), strict=True)
        return np.concatenate(
            [weights[:, place].astype(np.float64) @ matrix[:, columns] for columns, place in places], axis=1
        )

    def without(self, image: NDArray[np.uint8], boxes: NDArray[np.intp]) -> NDArray[np.float32]:
        return self._shorten(self.backend_.without(image, boxes))

    def fingerprint(self) -> str:
        check_is_fitted(self, "directions_")
        state = (type(self.backend_).__name__, self.backend_.fingerprint(), self.directions_, self.steps_, self.n_parts)
        return str(joblib.hash(state, hash_name="sha1"))

    def check_params(self) -> None:
        if not isinstance(self.backend, ImageEncoder) or self.backend.n_views > 1:
            raise ValueError(f"backend must be an ImageEncoder with one view of an image, got {self.backend!r}")
        check_int("n_components", self.n_components, minimum=1)
        check_int("n_parts", self.n_parts, minimum=1)
        check_int("sample_images", self.sample_images, minimum=1)
        check_int("random_state", self.random_state, minimum=0)
        self.backend.check_params()

    def check_state(self) -> None:
        super().check_state()
        if "directions_" in vars(self) and self.directions_.shape[1] != self.backend_.vector_length:
            raise ValueError("directions_ must have a column for each value of the vectors of backend_")


def parts_of(length: int, n_parts: int) -> list[slice]:
    """Return the columns of parts of a vector whose lengths differ by one at most; none of them is empty."""
    ends = np.arange(min(n_parts, length) + 1) * length // min(n_parts, length)
    return [slice(start, end) for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]


def _directions(
    vectors: NDArray[np.float32], n_components: int, n_parts: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return directions (k, d) in whole steps, and the steps (d,), of vectors (m, d)."""
    m, d = vectors.shape
    parts = parts_of(d, n_parts)
    k = min(-(-n_components // len(parts)), m, min(part.stop - part.start for part in parts))
    found, steps = np.zeros((k, d), np.int8), np.zeros(d, np.float32)
    for part in parts:
        ends = [*range(part.start, part.stop, _COLUMNS), part.stop]
        blocks = [slice(*pair) for pair in itertools.pairwise(ends)]
        products = np.zeros((m, m))
        for columns in blocks:
            # In float32 within a block, and added up in float64.
            products += vectors[:, columns] @ vectors[:, columns].T
        squares, turn = eigh(products, subset_by_index=(m - k, m - 1), overwrite_a=True, check_finite=False)
        squares, turn = squares[::-1], turn[:, ::-1]
        length = np.where(squares > _NOTHING * max(float(squares[0]), 0.0), np.sqrt(np.maximum(squares, 0)), np.inf)
        of_vectors = np.asarray((turn / length).T, np.float32)
        for columns in blocks:
            directions = of_vectors @ vectors[:, columns]
            step = np.abs(directions).max(axis=0) / np.float32(127)
            scaled = np.divide(directions, step, out=np.zeros_like(directions), where=step > 0)
            found[:, columns], steps[columns] = np.rint(scaled), step
    return found, steps
