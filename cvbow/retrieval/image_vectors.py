"""The exact kind of index: one vector for an image, from any backend, whitened.

H. Jegou and O. Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and whitening",
ECCV 2012.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_flag, check_int
from cvbow.backends import ImageEncoder, ImageLike
from cvbow.backends.fitting import LEARNING, choose_positions, fit_inside
from cvbow.backends.loading import check_images
from cvbow.encoders.normalize import normalize_rows
from cvbow.errors import CvbowError
from cvbow.images import check_background, read_image, reading_as
from cvbow.parallel import default_jobs, single_threaded
from cvbow.progress import stages
from cvbow.retrieval._faiss import check_faiss
from cvbow.retrieval.describer import ArraySpec, Box, Describer, Scorer, Segment, check_box
from cvbow.retrieval.exact import SEARCHES, ExactScorer
from cvbow.storage import Array, Learned, Part

#: A principal direction with less of the first one's variance is rounding: divided by its root it would be noise.
_LEAST_VARIANCE = 1e-6


class ImageVectors(Describer):
    """An image as one vector of unit length, compared by the cosine.

    The backend's vector goes through: unit length; with `whiten` or `n_components`, less the mean of the learning
    images, projected onto their principal directions, each divided by its standard deviation; unit length again. An
    image in which the backend finds nothing is the zero vector, and has the cosine 0 with all.

    Parameters
    ----------
    backend : ImageEncoder
        ``BagEncoder`` with ``VLAD`` or ``FisherVector``, ``CnnEncoder``, or any other.
    n_components : int or None, default None
        Principal directions to keep. None: all in which the learning images differ.
    whiten : bool, default True
        Divide by the standard deviations. False, with ``n_components=None``, keeps the backend's vector as it is, at
        unit length.
    local : Describer or None, default None
        Local features to store beside the vector, such as ``VisualWords``: they make geometric verification possible.
    search : {"exact", "faiss"}, default "exact"
        "faiss" looks through a part of a large set only; it needs the extra: ``pip install 'cvbow[faiss]'``.
    n_probes : int, default 32
        With FAISS: cells that a query visits, of about ``4 sqrt(n_images)``.
    n_candidates : int, default 1000
        With FAISS: images that are then compared exactly; all others are left out of a ranking.
    sample_images : int, default 2000
        Images to learn mean and directions from, at most.
    n_jobs, memory : see ``Describer``
    random_state : int, default 0
        Seed of the choice among more than `sample_images` images, and of the solver for few directions of many.
    background : str, default "white"
        What transparent images are laid onto, those of the index and queries alike, also for the local features: a
        colour as ``Reading`` takes it.

    Attributes
    ----------
    backend_, local_ : the fitted backend and local features
    mean_ : ndarray of shape (d,), float32
    projection_ : ndarray of shape (d, k), float32
        Directions as columns, scaled where they are whitened. Both only with `whiten` or `n_components`.

    Notes
    -----
    Whitening makes a short vector better than the same number of principal directions alone. Fewer directions than the
    backend's vector has values lose something all the same, and much of it where the learning images are few or of
    another kind than those that are searched: learn from thousands, like those of the index, or take ``whiten=False``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.retrieval import ImageVectors
    >>> images = list(np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8))
    >>> describer = ImageVectors(ColorHistogram(), n_components=4).fit(images)
    >>> describer.describe(images[0])["vectors"].shape
    (4,)
    """

    kind: ClassVar[str] = "exact"

    learned: ClassVar[Mapping[str, Learned]] = {
        "backend_": Part(ImageEncoder),
        "local_": Part(Describer, only_if="local"),
        "mean_": Array("float32", "d", optional=True),
        "projection_": Array("float32", "d n_kept", optional=True),
    }

    def __init__(
        self,
        backend: ImageEncoder,
        *,
        n_components: int | None = None,
        whiten: bool = True,
        local: Describer | None = None,
        search: str = "exact",
        n_probes: int = 32,
        n_candidates: int = 1000,
        sample_images: int = 2000,
        n_jobs: int | None = None,
        memory: Any = None,
        random_state: int = 0,
        background: str = "white",
    ) -> None:
        self.backend = backend
        self.n_components = n_components
        self.whiten = whiten
        self.local = local
        self.search = search
        self.n_probes = n_probes
        self.n_candidates = n_candidates
        self.sample_images = sample_images
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.background = background

    @property
    def gray_only(self) -> bool:
        """Whether the backend and the local features use gray values only."""
        parts = [vars(self).get("backend_", self.backend), vars(self).get("local_", self.local)]
        return all(part.gray_only for part in parts if part is not None)

    @property
    def vector_length(self) -> int:
        """Length of a stored vector; NotFittedError before ``fit``."""
        check_is_fitted(self, "backend_")
        return self.projection_.shape[1] if "projection_" in vars(self) else int(self.backend_.vector_length)

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        """Fit the backend, then learn mean and directions from its vectors; see ``Describer.fit``.

        CvbowError also where images do not differ enough to be whitened.
        """
        self.check_params()
        if self.search == "faiss":
            check_faiss()
        images = check_images(images, minimum=1)
        for name in ("mean_", "projection_", "local_"):
            if name in vars(self):
                delattr(self, name)
        self.skipped_ = []
        weights = {"backend": LEARNING, "directions": min(len(images), self.sample_images), "local": LEARNING}
        with reading_as(background=self.background), stages(weights) as begin:
            self._fit(images, y, begin)
        return self

    def _fit(self, images: Sequence[ImageLike], y: object, begin: Callable[[str], None]) -> None:
        begin("backend")
        self.backend_ = fit_inside(self.backend, images, y, n_jobs=self.n_jobs, memory=self.memory)
        begin("directions")
        if self.whiten or self.n_components is not None:
            with default_jobs(self.n_jobs):
                positions = choose_positions(len(images), self.sample_images, self.random_state)
                encoded = self.backend_.encode_images([images[position] for position in positions])
            self.skipped_ = encoded.skipped
            self._learn(encoded.vectors)
        begin("local")
        if self.local is not None:
            local = self.local
            if local.background != self.background:
                local = clone(local).set_params(background=self.background)
            self.local_ = fit_inside(local, images, y, n_jobs=self.n_jobs, memory=self.memory)
            if not self.local_.has_geometry:
                raise ValueError(f"local must store words and places, such as VisualWords(), got {self.local!r}")

    def _learn(self, vectors: NDArray[np.float32]) -> None:
        """Learn mean and directions from vectors (n, d); images without features say nothing of either."""
        unit = normalize_rows(vectors[vectors.any(axis=1)].astype(np.float64)).astype(np.float32)
        most = min(len(unit) - 1, vectors.shape[1])
        if most < 1:
            raise CvbowError(
                f"whitening learns from at least 2 images with features, got {len(unit)}: give more, or whiten=False "
                "and n_components=None"
            )
        wanted = most if self.n_components is None else min(self.n_components, most)
        pca = PCA(wanted, random_state=self.random_state)
        with single_threaded():
            pca.fit(unit)
        variances = np.asarray(pca.explained_variance_, np.float64)
        kept = int((variances > _LEAST_VARIANCE * variances[0]).sum()) if variances[0] > _LEAST_VARIANCE**2 else 0
        if kept == 0:
            raise CvbowError(f"the {len(unit)} images with features have equal vectors: nothing to whiten")
        if self.n_components is not None and kept < self.n_components:
            warnings.warn(
                f"n_components is {self.n_components}, but the {len(unit)} images with features differ in {kept} "
                f"directions: {kept} are kept",
                UserWarning,
                stacklevel=3,
            )
        scale = 1 / np.sqrt(variances[:kept]) if self.whiten else np.ones(kept)
        self.mean_ = np.asarray(pca.mean_, np.float32)
        self.projection_ = np.ascontiguousarray((pca.components_[:kept].T * scale).astype(np.float32))

    def layout(self) -> dict[str, ArraySpec]:
        """Return the arrays of an image: ``vectors``, and those of the local features."""
        vectors = ArraySpec("<f4", (self.vector_length,), "image")
        return {"vectors": vectors} | (self.local_.layout() if "local_" in vars(self) else {})

    def describe(self, image: NDArray[np.uint8], *, box: Box | None = None) -> dict[str, NDArray[Any]]:
        """Describe one image: ``vectors`` (k,) float32 of unit length, and what the local features are stored as.

        With a box, the vector is that of the pixels whose centres lie inside, as if they were an image.
        """
        return self._described(image, box, as_query=False)

    def describe_query(self, image: NDArray[np.uint8], *, box: Box | None = None) -> dict[str, NDArray[Any]]:
        """Describe one image as `describe` does, its local features as those of a query."""
        return self._described(image, box, as_query=True)

    @property
    def queries_differ(self) -> bool:
        """Whether local features are stored that are described otherwise in a query."""
        return "local_" in vars(self) and self.local_.queries_differ

    def _described(self, image: NDArray[np.uint8], box: Box | None, *, as_query: bool) -> dict[str, NDArray[Any]]:
        check_is_fitted(self, "backend_")
        with single_threaded():
            pixels = read_image(image, gray=self.backend_.gray_only)
            if box is not None:
                pixels = _inside(pixels, box)
            arrays: dict[str, NDArray[Any]] = {"vectors": self._whitened(self.backend_.encode_image(pixels))}
            if "local_" in vars(self):
                local = read_image(image, gray=self.local_.gray_only)
                describe = self.local_.describe_query if as_query else self.local_.describe
                arrays |= describe(local, box=box)
        return arrays

    def _whitened(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        if not vector.any():
            return np.zeros(self.vector_length, np.float32)
        unit = normalize_rows(vector.astype(np.float64)[None])
        if "projection_" in vars(self):
            unit = normalize_rows(((unit.astype(np.float32) - self.mean_) @ self.projection_).astype(np.float64))
        return np.asarray(unit[0], np.float32)

    def scorer(self, segments: Sequence[Segment], alive: Sequence[NDArray[np.bool_]]) -> Scorer:
        """Prepare to score the images of opened segments by the cosine."""
        return ExactScorer(
            segments,
            alive,
            search=self.search,
            n_probes=self.n_probes,
            n_candidates=self.n_candidates,
            n_jobs=self.n_jobs,
        )

    def fingerprint(self) -> str:
        check_is_fitted(self, "backend_")
        learned = vars(self)
        local = self.local_.fingerprint() if "local_" in learned else None
        state = (self.backend_.fingerprint(), learned.get("mean_"), learned.get("projection_"), local)
        return str(joblib.hash(state, hash_name="sha1"))

    def query_fingerprint(self) -> str:
        return (
            f"{self.fingerprint()} {self.local_.query_fingerprint()}" if "local_" in vars(self) else self.fingerprint()
        )

    def check_params(self) -> None:
        if not isinstance(self.backend, ImageEncoder):
            raise ValueError(f"backend must be an ImageEncoder such as BagEncoder(...), got {self.backend!r}")
        self.backend.check_params()
        check_int("n_components", self.n_components, minimum=1, none=True)
        check_flag("whiten", self.whiten)
        if self.local is not None:
            if not isinstance(self.local, Describer):
                raise ValueError(f"local must be a Describer such as VisualWords() or None, got {self.local!r}")
            self.local.check_params()
        check_choice("search", self.search, SEARCHES)
        check_int("n_probes", self.n_probes, minimum=1)
        check_int("n_candidates", self.n_candidates, minimum=1)
        check_int("sample_images", self.sample_images, minimum=2)
        check_int("random_state", self.random_state, minimum=0)
        check_background(self.background)

    def check_state(self) -> None:
        self.check_params()
        if ("mean_" in vars(self)) != ("projection_" in vars(self)):
            raise ValueError("mean_ and projection_ must come together")


def _inside(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return the pixels whose centres a box holds; of a box between centres, the pixel that it lies in."""
    x, y, width, height = check_box(box, (image.shape[1], image.shape[0]))
    rows, columns = _pixels(y, height, image.shape[0]), _pixels(x, width, image.shape[1])
    return np.ascontiguousarray(image[rows, columns])


def _pixels(start: float, length: float, n: int) -> slice:
    # In a box's coordinates the centre of pixel i is at i + 1/2.
    first, stop = math.ceil(start - 0.5), math.ceil(start + length - 0.5)
    if first >= stop:
        first = min(math.floor(start), n - 1)
        stop = first + 1
    return slice(first, stop)
