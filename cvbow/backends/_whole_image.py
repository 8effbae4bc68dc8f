"""The base of the backends that describe an image as a whole: nothing is learned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray

from cvbow.backends._image_encoder import ImageEncoder
from cvbow.backends.loading import ImageLike
from cvbow.backends.shares import ImageShares, stretched
from cvbow.images import from_gray, to_gray
from cvbow.parallel import single_threaded


class WholeImageEncoder(ImageEncoder):
    """Base class of vectors that follow from the image and the parameters alone, so that ``fit`` learns nothing.

    A subclass has the parameters ``n_jobs`` and ``memory``, and defines ``vector_length``, ``check_params``,
    ``_describe`` and its way back, ``_share``.
    """

    @property
    def gray_only(self) -> bool:
        """True, unless a subclass looks at colours."""
        return True

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        """Check the parameters; there is nothing to learn, and ``transform`` works without it."""
        self.check_params()
        return self

    @abstractmethod
    def _describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vector of an image of any size: gray, or RGB where ``gray_only`` is False."""

    @abstractmethod
    def _share(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what each pixel of such an image gave to the products of its vector and weights (n, d).

        Shape (n, h, w), where the image may be brought to another size first.
        """

    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with single_threaded():
            return self._describe(self._pixels(image))

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        with single_threaded():
            return ImageShares.of_pixels(stretched(self._share(self._pixels(image), weights), image.shape[:2]))

    def _pixels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return (to_gray if self.gray_only else from_gray)(image, floats=False)

    def fingerprint(self) -> str:
        # The number of workers and the cache are not among what a vector depends on.
        parameters = {key: value for key, value in self.get_params(deep=False).items() if key not in self.transient}
        return str(joblib.hash((type(self).__name__, parameters), hash_name="sha1"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
