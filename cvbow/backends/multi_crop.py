"""Several views of each image: the whole and its corners."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_real
from cvbow.backends._image_encoder import ImageEncoder
from cvbow.backends.fitting import fit_inside
from cvbow.backends.loading import ImageLike, check_images
from cvbow.backends.shares import ImageShares
from cvbow.encoders import WordTable
from cvbow.storage import Learned, Part, storable


@storable
class MultiCrop(ImageEncoder):
    """Vectors of an image and of its four corner crops, side by side.

    ``ImageClassifier`` takes each view as an example of its own: it learns from five times as many, and an image's
    decisions are the means over its views. Dictionaries and projections are learned from the whole images.

    Parameters
    ----------
    backend : ImageEncoder
        Encodes each view.
    share : float, default 0.85
        Sides of a crop over those of the image, above 0 and below 1.
    n_jobs, memory : see ``ImageEncoder``

    Attributes
    ----------
    backend_ : the fitted backend
    skipped_, seconds_ : see ``ImageEncoder``
        Those of the backend.

    Notes
    -----
    The views are the whole, then the crops at the upper left, upper right, lower left and lower right; A. Krizhevsky,
    I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012, judge
    images by the corners and the centre. Mirrors are the backend's business.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import CensusPyramid, MultiCrop
    >>> image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    >>> views = MultiCrop(CensusPyramid(radii=(1,), grids=("1x1",))).fit([image])
    >>> views.transform([image]).shape, views.n_views
    ((1, 1280), 5)
    """

    n_views = 5

    learned: ClassVar[Mapping[str, Learned]] = {"backend_": Part(ImageEncoder)}

    def __init__(
        self, backend: ImageEncoder, *, share: float = 0.85, n_jobs: int | None = None, memory: Any = None
    ) -> None:
        self.backend = backend
        self.share = share
        self.n_jobs = n_jobs
        self.memory = memory

    @property
    def vector_length(self) -> int:
        """Length of a vector: five times the backend's."""
        check_is_fitted(self, "backend_")
        return self.n_views * int(self.backend_.vector_length)

    @property
    def channel_slices(self) -> dict[str, slice] | None:
        """The columns of each channel in the vector of one view; None unless the backend is a ``ChannelUnion``."""
        check_is_fitted(self, "backend_")
        return self.backend_.channel_slices

    def keep(self, channels: Collection[str]) -> Self:
        check_is_fitted(self, "backend_")
        kept = copy(self)
        kept.backend_ = self.backend_.keep(channels)
        return kept

    def first_view(self) -> ImageEncoder:
        check_is_fitted(self, "backend_")
        # What it lent the backend inside stays that one's.
        found = copy(self.backend_)
        found.n_jobs = self.n_jobs if found.n_jobs is None else found.n_jobs
        found.memory = self.memory if found.memory is None else found.memory
        return found

    def words_of(self, image: NDArray[np.uint8]) -> dict[str, WordTable]:
        return self.backend_.words_of(image)

    @property
    def value_words(self) -> dict[str, NDArray[np.intp]]:
        return self.backend_.value_words

    def parts(self) -> Sequence[ImageEncoder]:
        """Return the backend inside."""
        return [vars(self).get("backend_", self.backend)]

    @property
    def gray_only(self) -> bool:
        """Whether the backend uses gray values only."""
        return self.parts()[0].gray_only

    def fit(self, images: Sequence[ImageLike], y: object = None) -> Self:
        self.check_params()
        self.backend_ = fit_inside(self.backend, check_images(images), y, n_jobs=self.n_jobs, memory=self.memory)
        self.skipped_ = list(self.backend_.skipped_ or ())
        self.seconds_ = dict(self.backend_.seconds_ or {})
        return self

    def encode_image(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([self.backend_.encode_image(view) for _, _, view in self._views(image)])

    def shares_of(self, image: NDArray[np.uint8], weights: NDArray[np.floating]) -> ImageShares:
        parts: list[ImageShares] = []
        of_views = np.split(weights, self.n_views, axis=1)
        for (x, y, view), of_view in zip(self._views(image), of_views, strict=True):
            part = self.backend_.shares_of(view, of_view)
            points, pixels = part.points + np.array([x, y, 0, 0], np.float32), part.pixels
            if pixels is not None:
                pixels = np.zeros((len(weights), *image.shape[:2]))
                pixels[:, y : y + view.shape[0], x : x + view.shape[1]] = part.pixels
            parts.append(replace(part, points=points, pixels=pixels))
        return ImageShares.joined(parts)

    def without(self, image: NDArray[np.uint8], boxes: NDArray[np.intp]) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        for x, y, view in self._views(image):
            size = np.array(view.shape[1::-1])
            inside = np.clip(boxes - np.array([x, y, x, y]), 0, np.tile(size, 2))
            parts.append(self.backend_.without(view, inside))
        return np.concatenate(parts, axis=1)

    def _views(self, image: NDArray[np.uint8]) -> list[tuple[int, int, NDArray[np.uint8]]]:
        """Return the x and y of each view's first pixel, and the view."""
        height, width = image.shape[:2]
        h, w = max(1, round(height * self.share)), max(1, round(width * self.share))
        corners = [(0, 0), (width - w, 0), (0, height - h), (width - w, height - h)]
        return [(0, 0, image), *((x, y, np.ascontiguousarray(image[y : y + h, x : x + w])) for x, y in corners)]

    def fingerprint(self) -> str:
        check_is_fitted(self, "backend_")
        state = (type(self.backend_).__name__, self.backend_.fingerprint(), self.share)
        return str(joblib.hash(state, hash_name="sha1"))

    def check_params(self) -> None:
        if not isinstance(self.backend, ImageEncoder) or self.backend.n_views > 1:
            raise ValueError(f"backend must be an ImageEncoder with one view of an image, got {self.backend!r}")
        check_real("share", self.share, minimum=0, maximum=1, open_minimum=True)
        if self.share == 1:
            raise ValueError(f"share must be below 1, got {self.share!r}")
        self.backend.check_params()
