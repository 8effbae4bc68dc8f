"""The base of every detector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cvbow._checks import check_int
from cvbow.features._detections import Detections, from_keypoints
from cvbow.features._opencv import create
from cvbow.features.selection import by_strength
from cvbow.images import to_gray


class Detector(BaseEstimator):  # type: ignore[misc]
    """Base class: a scikit-learn estimator of plain parameters with ``detect(image, limit=None) -> Detections``.

    A subclass overrides ``detect``; or it defines ``compute``, which sees a gray image once the parameters are checked.
    ``Detections.of`` makes detections of plain points.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import DETECTORS
    >>> image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    >>> {name: len(DETECTORS[name]().detect(image, limit=30)) for name in ("sobel", "harris", "fast")}
    {'sobel': 30, 'harris': 30, 'fast': 30}
    """

    #: Side of the patch that is to be described, over the size of a point.
    patch_factor: ClassVar[float] = 1.0
    #: Points have an angle.
    has_angle: ClassVar[bool] = False

    @abstractmethod
    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        """Find points in a gray image (H, W), once parameters have been checked: what ``detect`` leaves to a subclass.

        The strongest ``limit`` come first and alone.
        """

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    def check_state(self) -> None:
        """Raise ValueError if a parameter that was loaded breaks its rule."""
        self.check_params()

    def detect(self, image: NDArray[np.uint8], *, limit: int | None = None) -> Detections:
        """Find points in an image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB; points are found in the gray image.
        limit : int or None, default None
            Keep the strongest so many.

        Returns
        -------
        Detections
            The strongest first; equally strong ones by their place. Empty where there is nothing, or the image is too
            small.

        Raises
        ------
        ValueError
            If the image or a parameter breaks its rule.
        ImportError
            If the OpenCV that is installed lacks the algorithm.
        """
        self.check_params()
        check_int("limit", limit, minimum=1, none=True)
        return self.compute(to_gray(image, floats=False), limit)

    def _sorted(self, points: NDArray[np.float32], responses: NDArray[np.float32], limit: int | None) -> Detections:
        order = by_strength(points, responses, limit)
        zeros = np.zeros(len(order), np.int32)
        return Detections(points[order], responses[order], zeros, zeros, self.patch_factor, self)

    def _nothing(self) -> Detections:
        return self._sorted(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), None)


class KeypointDetector(Detector):
    """Base class of the detectors that are OpenCV's own, keypoints and all."""

    #: OpenCV's algorithm, as ``_opencv.create`` knows it.
    algorithm: ClassVar[str]
    #: Smaller images have no points: OpenCV fails, or worse, in some of them.
    smallest: ClassVar[int] = 8

    @abstractmethod
    def options(self, limit: int | None) -> dict[str, Any]:
        """Options of the algorithm's ``create``."""

    def _create(self, limit: int | None, options: Mapping[str, Any] | None = None) -> Any:
        """Create OpenCV's algorithm; ``options`` are those of a descriptor that comes with it."""
        return create(self.algorithm, **(self.options(limit) | dict(options or {})))

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        if min(image.shape) < self.smallest:
            return self._nothing()
        found = self._create(limit).detect(image, None)
        return self._from_keypoints(found, limit)[0]

    def _detect_and_describe(
        self, image: NDArray[np.uint8], limit: int | None, options: Mapping[str, Any]
    ) -> tuple[Detections, NDArray[Any]] | None:
        """Find points and describe them by the same algorithm, which then does the common work once.

        None where nothing was found.
        """
        if min(image.shape) < self.smallest:
            return None
        keypoints, descriptors = self._create(limit, options).detectAndCompute(image, None)
        if descriptors is None or not len(keypoints):
            return None
        detections, rows = self._from_keypoints(keypoints, limit)
        return detections, descriptors[rows]

    def _from_keypoints(self, keypoints: Any, limit: int | None) -> tuple[Detections, NDArray[np.intp]]:
        fields, rows = from_keypoints(keypoints, limit)
        if not self.has_angle:
            # Some have 0 there, which would say that they point to the right.
            fields[0][:, 3] = -1
        points, responses, octaves, class_ids = fields
        return Detections(points, responses, octaves, class_ids, self.patch_factor, self), rows
