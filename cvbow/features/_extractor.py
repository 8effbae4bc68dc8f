"""The base of every extractor: checks the image, brings it to a working size, and hands out its points."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from cvbow._checks import check_int
from cvbow.features._features import Features
from cvbow.features.mirror import Mirror
from cvbow.images import from_gray, to_gray


class Extractor(BaseEstimator):  # type: ignore[misc]
    """Base class: a scikit-learn estimator of plain parameters with ``extract(image) -> Features``.

    A subclass defines ``descriptor_size`` and overrides ``extract``; or it defines ``compute``, which sees an image of
    the working size, gray, or RGB where ``gray_only`` is False, while the base checks, scales by the subclass's
    parameters ``min_side`` and ``max_side``, and brings points back to the coordinates of the image that was given.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import SIFT, DenseSIFT
    >>> image = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8).repeat(8, 0).repeat(8, 1)
    >>> [extractor.extract(image).descriptors.shape for extractor in (SIFT(max_points=50), DenseSIFT(step=8))]
    [(50, 128), (1895, 128)]
    """

    min_side: int | None = None
    max_side: int | None = None

    #: A reader may skip the colours when this is True.
    gray_only = True
    #: Descriptors pool the image's gradients, by their strength, and not its values: a flat part gives nothing to them.
    pools_gradients = False
    #: SHA-256 of the network that a settled extractor runs, without which it finds nothing; None where there is none.
    network_hash: str | None = None

    @property
    @abstractmethod
    def descriptor_size(self) -> int:
        """Number of values (or bytes, for binary descriptors) in a descriptor."""

    @abstractmethod
    def compute(self, image: NDArray[np.uint8]) -> Features:
        """Describe an image of the working size, gray or RGB by ``gray_only``; ``extract`` does the rest."""

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_sides(self.min_side, self.max_side)

    def check_state(self) -> None:
        """Raise ValueError if a parameter that was loaded breaks its rule."""
        self.check_params()

    def extract(self, image: NDArray[np.uint8]) -> Features:
        """Find points in an image and describe them.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB. It is not changed.

        Returns
        -------
        Features
            Empty, with the right shapes, when nothing is found or the image is too small.

        Raises
        ------
        ValueError
            If the image or a parameter breaks its rule.
        """
        self.check_params()
        pixels = (to_gray if self.gray_only else from_gray)(image, floats=False)
        working = self._to_working_size(pixels)
        found = self.compute(working)
        points = found.points
        if working.shape != pixels.shape and len(points):
            points = self._to_image(points, working.shape, pixels.shape)
        return Features(points, found.descriptors, (pixels.shape[1], pixels.shape[0]))

    def settled(self) -> Self:
        """Return a copy that does not depend on files that its parameters name.

        A model keeps it, so that it answers as it learned or not at all.
        """
        copy: Self = clone(self)
        return copy

    def fingerprint(self) -> object:
        """Return what changes whenever the features of a settled extractor would."""
        return self

    def mirrored(self, features: Features) -> Features:
        """Return the features of the image's mirror, left and right exchanged, without another extraction.

        Parameters
        ----------
        features : Features
            As ``extract`` returned them.

        Raises
        ------
        ValueError
            If they do not follow from those of the image itself.
        """
        mirror = self.mirror
        if mirror is None:
            raise ValueError(
                f"{type(self).__name__} cannot tell the features of a mirrored image from those of the image"
            )
        points = features.points.copy()
        points[:, 0] = features.image_size[0] - 1 - points[:, 0]
        return Features(points, mirror.apply(features.descriptors), features.image_size)

    @property
    def mirror(self) -> Mirror | None:
        """What mirroring the image does to its descriptors; None where they do not follow from those of the image."""
        return None

    @staticmethod
    def _to_image(
        points: NDArray[np.float32], working: tuple[int, ...], original: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return points of an image of the working shape as points of the original."""
        scale_x, scale_y = original[1] / working[1], original[0] / working[0]
        points = points.copy()
        # Pixel centres sit at integers, so the image's edge, at -1/2, is what scales onto itself.
        points[:, 0] = (points[:, 0] + 0.5) * scale_x - 0.5
        points[:, 1] = (points[:, 1] + 0.5) * scale_y - 0.5
        points[:, 2] *= np.sqrt(scale_x * scale_y)
        return points

    def _to_working_size(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return to_working_size(image, self.min_side, self.max_side)

    def _empty(self, image: NDArray[np.uint8], dtype: Any = np.float32) -> Features:
        height, width = image.shape[:2]
        return Features(np.zeros((0, 4), np.float32), np.zeros((0, self.descriptor_size), dtype), (width, height))


def check_sides(min_side: int | None, max_side: int | None) -> None:
    """Raise ValueError unless ``min_side`` and ``max_side`` are None or integers >= 1, and in that order."""
    check_int("min_side", min_side, minimum=1, none=True)
    check_int("max_side", max_side, minimum=1, none=True)
    if min_side is not None and max_side is not None and min_side > max_side:
        raise ValueError(f"min_side must not exceed max_side, got {min_side} and {max_side}")


def to_working_size(image: NDArray[np.uint8], min_side: int | None, max_side: int | None) -> NDArray[np.uint8]:
    """Bring an image, uint8, to the size at which it is described; its shape stays similar, up to whole pixels.

    An image whose longer side is above ``max_side`` is shrunk to it (area); one whose shorter side is below
    ``min_side`` is enlarged to it (cubic), as far as ``max_side`` allows. Where nothing is to do it is ``image``
    itself.
    """
    height, width = image.shape[:2]
    scale = 1.0
    if max_side is not None and max(height, width) > max_side:
        scale = max_side / max(height, width)
    elif min_side is not None and min(height, width) < min_side:
        scale = min_side / min(height, width)
        if max_side is not None:
            scale = min(scale, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return image
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized: NDArray[np.uint8] = cv2.resize(image, size, interpolation=interpolation)
    return resized
