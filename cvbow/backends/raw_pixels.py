"""The pixels themselves, as a floor: what any description of an image has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_flag, check_int
from cvbow.backends._image_encoder import Call, ImageEncoder
from cvbow.backends.loading import ImageLike, check_images
from cvbow.backends.shares import ImageShares, stretched
from cvbow.errors import ImageError, none_read
from cvbow.images import from_gray, resize, to_gray
from cvbow.parallel import single_threaded
from cvbow.storage import Learned, Part


class RawPixels(ImageEncoder):
    """An image shrunk to a small square, its pixels standardised, and reduced to their principal components.

    Parameters
    ----------
    size : int, default 32
        Side of the square in pixels, whatever the image's shape.
    n_components : int or None, default 100
        Principal components that are kept; None keeps the pixels. With fewer images or pixels there are fewer.
    color : bool, default False
        RGB in place of gray.
    n_jobs, memory : see ``ImageEncoder``

    Attributes
    ----------
    pca_ : PCA or None

    Notes
    -----
    M. Turk and A. Pentland, "Eigenfaces for recognition", Journal of Cognitive Neuroscience 1991; A. Torralba,
    R. Fergus and W. Freeman, "80 million tiny images", PAMI 2008, whose squares of 32 pixels people still recognise.
    The pixels of an image get mean 0 and deviation 1; an image of one colour is the zero vector.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import RawPixels
    >>> images = list(np.random.default_rng(0).integers(0, 256, (10, 48, 64), np.uint8))
    >>> RawPixels(size=16, n_components=5).fit(images).transform(images).shape
    (10, 5)
    """

    learned: ClassVar[Mapping[str, Learned]] = {"pca_": Part(BaseEstimator, method="transform", only_if="n_components")}

    def __init__(
        self,
        *,
        size: int = 32,
        n_components: int | None = 100,
        color: bool = False,
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.size = size
        self.n_components = n_components
        self.color = color
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def vector_length(self) -> int:
        """Length of a vector: the components, or the pixels' values."""
        check_is_fitted(self, "pca_")
        return self._n_values if self.pca_ is None else int(self.pca_.n_components_)

    @property
    def gray_only(self) -> bool:
        return not self.color

    @property
    def _n_values(self) -> int:
        return int(self.size) ** 2 * (3 if self.color else 1)

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        from sklearn.decomposition import PCA

        self.check_params()
        images = check_images(images, minimum=1)
        self.pca_ = None
        skipped: list[ImageError] = []
        self.skipped_ = skipped
        if self.n_components is None:
            return self
        squares = np.empty((len(images), self._n_values), np.float32)
        n_read = 0
        for result in self._map(Call(self, _square_of), images, "pixels"):
            if isinstance(result, ImageError):
                skipped.append(result)
            else:
                squares[n_read] = result
                n_read += 1
        if n_read == 0:
            raise none_read(skipped)
        # Both are exact and the same on every run, where the default solver may draw at random; of two matrices, each
        # takes the smaller one apart.
        solver = "full" if n_read < self._n_values else "covariance_eigh"
        pca = PCA(min(int(self.n_components), n_read, self._n_values), svd_solver=solver)
        with single_threaded(), np.errstate(invalid="ignore"):  # one image has no variance to take shares of
            self.pca_ = pca.fit(squares[:n_read])
        return self

    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        square = self._square(image)
        if self.pca_ is None:
            return square
        with single_threaded():
            # A data frame, where scikit-learn is configured so.
            components = np.asarray(self.pca_.transform(square[None]), np.float32)
        return components.ravel()

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        values = self._square(image).astype(np.float64)
        if self.pca_ is not None:
            values, weights = values - self.pca_.mean_, weights @ self.pca_.components_
        maps = (values * weights).reshape(len(weights), int(self.size), int(self.size), -1).sum(axis=3)
        return ImageShares.of_pixels(stretched(maps, image.shape[:2]))

    def _square(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = (from_gray if self.color else to_gray)(image, floats=False)
        values = resize(pixels, (int(self.size), int(self.size))).astype(np.float32).ravel()
        values -= values.mean()
        deviation = values.std()
        return values / deviation if deviation > 0 else np.zeros_like(values)

    def fingerprint(self) -> str:
        check_is_fitted(self, "pca_")
        return str(joblib.hash((type(self).__name__, self.size, self.color, self.pca_), hash_name="sha1"))

    def check_params(self) -> None:
        check_int("size", self.size, minimum=2)
        check_int("n_components", self.n_components, minimum=1, none=True)
        check_flag("color", self.color)


def _square_of(encoder: RawPixels, source: Any, name: str | None) -> NDArray[np.float32]:
    return encoder._square(encoder.read(source, name))
