"""The base of every descriptor."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cvbow.features._detections import Detections, to_keypoints
from cvbow.features._detector import Detector, KeypointDetector
from cvbow.features._opencv import create
from cvbow.images import to_gray

#: Rows of the points that have a descriptor, and a descriptor for each: see ``Descriptor.describe``.
Described = tuple[NDArray[np.intp], NDArray[np.float32] | NDArray[np.uint8]]


class Descriptor(BaseEstimator):  # type: ignore[misc]
    """Base class: a scikit-learn estimator of plain parameters with ``describe(image, detections)``.

    A subclass defines ``descriptor_size`` and overrides ``describe``; or it defines ``compute``, which sees a gray
    image with a point at least.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import make_descriptor, make_detector
    >>> image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    >>> detections = make_detector("harris").detect(image, limit=30)
    >>> rows, descriptors = make_descriptor("rootsift").describe(image, detections)
    >>> len(rows) <= 30, descriptors.shape[1], str(descriptors.dtype)
    (True, 128, 'float32')
    """

    #: Descriptors are bits, eight to a byte; otherwise float32, of length 1 or zero.
    is_binary: ClassVar[bool] = False
    #: It pools the image's gradients, by their strength, and not its values.
    pools_gradients: ClassVar[bool] = False
    #: The direction of a point makes no difference.
    upright: ClassVar[bool] = False

    @property
    @abstractmethod
    def descriptor_size(self) -> int:
        """Number of values, or of bytes."""

    @abstractmethod
    def compute(self, image: NDArray[np.uint8], detections: Detections) -> Described:
        """Describe points, at least one, in a gray image (H, W): what ``describe`` leaves to a subclass.

        Descriptors may have any length: ``describe`` brings them to 1, unless they are binary.
        """

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    def check_state(self) -> None:
        """Raise ValueError if a parameter that was loaded breaks its rule."""
        self.check_params()

    def refusal(self, detector: Detector | None) -> str | None:
        """Return why the points of a detector cannot be described; None if they can."""
        return None

    def describe(self, image: NDArray[np.uint8], detections: Detections) -> Described:
        """Describe the surroundings of points.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB; the gray image is described.
        detections : Detections
            A point without an angle is described upright.

        Returns
        -------
        rows : ndarray of shape (n_kept,), intp
            The points that have a descriptor, rising: those too near to the border may have none.
        descriptors : ndarray of shape (n_kept, descriptor_size), float32 or uint8
            Binary ones are uint8; others have length 1, or are zero where there is nothing to describe.

        Raises
        ------
        ValueError
            If the image or a parameter breaks its rule, or the descriptor cannot be had at another detector's points.
        """
        self.check_params()
        pixels = to_gray(image, floats=False)
        reason = self.refusal(detections.detector)
        if reason is not None:
            raise ValueError(reason)
        if not len(detections):
            return self._nothing()
        rows, descriptors = self.compute(pixels, detections)
        return rows, descriptors if self.is_binary else unit_length(np.asarray(descriptors, np.float32))

    def _nothing(self) -> tuple[NDArray[np.intp], NDArray[Any]]:
        dtype = np.uint8 if self.is_binary else np.float32
        return np.zeros(0, np.intp), np.zeros((0, self.descriptor_size), dtype)


class KeypointDescriptor(Descriptor):
    """Base class of the descriptors that OpenCV computes at keypoints."""

    #: OpenCV's algorithm, as ``_opencv.create`` knows it.
    algorithm: ClassVar[str]
    #: Side of the patch that is described, over the keypoint's size.
    patch_factor: ClassVar[float] = 6.75
    #: Smaller images have no descriptors.
    smallest: ClassVar[int] = 8

    def options(self) -> dict[str, Any]:
        """Return the options of the algorithm's ``create``."""
        return {}

    def _keypoints(self, image: NDArray[np.uint8], detections: Detections) -> list[Any]:
        """Return the points in the algorithm's own measure of size; the class of each is its row."""
        detections = detections.with_angles(np.maximum(detections.points[:, 3], 0))
        return to_keypoints(detections, factor=detections.patch_factor / self.patch_factor)

    def _algorithm(self, detections: Detections) -> Any:
        return create(self.algorithm, **self.options())

    def compute(self, image: NDArray[np.uint8], detections: Detections) -> Described:
        if min(image.shape) < self.smallest:
            return self._nothing()
        kept, descriptors = self._algorithm(detections).compute(image, self._keypoints(image, detections))
        if descriptors is None or not len(kept):
            return self._nothing()
        rows = np.fromiter((keypoint.class_id for keypoint in kept), np.intp, len(kept))
        if (np.diff(rows) > 0).all():
            return rows, descriptors
        order = np.argsort(rows, kind="stable")
        return rows[order], descriptors[order]


class PyramidDescriptor(KeypointDescriptor):
    """Base class of those that OpenCV reads in a level of their own detector's pyramid, which a point's octave names.

    A point of another detector gets the level that fits its size.
    """

    #: The detector whose points know their level; with its defaults for other points.
    own: ClassVar[type[KeypointDetector]]

    @abstractmethod
    def _octaves(self, sizes: NDArray[np.float32], detector: Any, side: int) -> NDArray[np.int32]:
        """Return the level for each size, in an image whose shorter side is ``side``."""

    def _detector(self, detections: Detections) -> KeypointDetector:
        return detections.detector if isinstance(detections.detector, self.own) else self.own()

    def _algorithm(self, detections: Detections) -> Any:
        return self._detector(detections)._create(None)

    def _keypoints(self, image: NDArray[np.uint8], detections: Detections) -> list[Any]:
        if not isinstance(detections.detector, self.own) or detections.patch_factor != self.patch_factor:
            sizes = detections.points[:, 2] * np.float32(detections.patch_factor / self.patch_factor)
            octaves = self._octaves(sizes, self._detector(detections), min(image.shape))
            detections = detections.with_octaves(octaves)
        return super()._keypoints(image, detections)


def unit_length(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return descriptors (n, k) at length 1; zero rows stay zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", descriptors, descriptors))[:, None]
    return np.asarray(np.divide(descriptors, lengths, out=np.zeros_like(descriptors), where=lengths > 0))
