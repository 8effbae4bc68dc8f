"""Any detector with any descriptor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int, check_real
from cvbow.features._descriptor import Descriptor, KeypointDescriptor, unit_length
from cvbow.features._detections import Detections
from cvbow.features._detector import Detector, KeypointDetector
from cvbow.features._extractor import Extractor
from cvbow.features._features import Features
from cvbow.features._normalize import root_normalize
from cvbow.features._orientation import main_directions
from cvbow.features.descriptors import RootSIFTDescriptor
from cvbow.features.functions import is_function, refuse_cache
from cvbow.features.registry import DESCRIPTORS, DETECTORS, as_object, make_descriptor, make_detector
from cvbow.features.selection import SELECTIONS, well_spread
from cvbow.images import to_gray

ORIENTATIONS = ("detector", "gradient", "upright")


class LocalFeatures(Extractor):
    """Points by one method, described by another.

    Points come in the order of their strength, equally strong ones by their place, so that a limit keeps the same
    points on every run.

    Parameters
    ----------
    detector : str, Detector or callable, default "sift"
        A key of ``DETECTORS``, or one with parameters of its own: ``HarrisDetector(k=0.06)``. Or a function that takes
        a gray image (H, W) and returns points: an array of shape (n, 2), (n, 3) or (n, 4), the strongest first, or
        OpenCV's keypoints; see ``Detections.of``.
    descriptor : str, Descriptor or callable, default "rootsift"
        A key of ``DESCRIPTORS``, or one with parameters of its own. Or a function that takes a gray image (H, W) and
        points (n, 4) and returns a row for each, (n, k): uint8 for binary descriptors, otherwise numbers.
    max_points : int or None, default 1000
        Points that are kept, at most; None keeps all.
    selection : {"strongest", "anms"}, default "strongest"
        Which are kept: the strongest, or those that are far from any clearly stronger one (adaptive non-maximal
        suppression: Brown, Szeliski and Winder, CVPR 2005), which lie all over the image.
    orientation : {"detector", "gradient", "upright"}, default "detector"
        The angle at which a point is described: its detector's, where one without angles (corners, most blobs, the
        grid) leaves points upright; or for those the main direction of the gradients around the point, so that their
        descriptors turn with the image; or no angle for any point, which suits images that stand upright.
    magnify : float, default 1.0
        The patch that is described, over the one that the detector has in mind.
    min_side, max_side : int or None, default None and 1024
        Limits to the image's sides in pixels; see ``DenseSIFT``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import LocalFeatures
    >>> image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    >>> LocalFeatures("harris", "rootsift", max_points=20).extract(image).descriptors.shape
    (20, 128)
    """

    def __init__(
        self,
        detector: str | Detector | Callable[[NDArray[np.uint8]], object] = "sift",
        descriptor: str | Descriptor | Callable[[NDArray[np.uint8], NDArray[np.float32]], object] = "rootsift",
        *,
        max_points: int | None = 1000,
        selection: str = "strongest",
        orientation: str = "detector",
        magnify: float = 1.0,
        min_side: int | None = None,
        max_side: int | None = 1024,
    ) -> None:
        self.detector = detector
        self.descriptor = descriptor
        self.max_points = max_points
        self.selection = selection
        self.orientation = orientation
        self.magnify = magnify
        self.min_side = min_side
        self.max_side = max_side

    @property
    def descriptor_size(self) -> int:
        """Number of values in a descriptor, or of bytes in a binary one."""
        return make_descriptor(self.descriptor).descriptor_size

    @property
    def is_binary(self) -> bool:
        """Whether descriptors are bits, eight to a byte."""
        return make_descriptor(self.descriptor).is_binary

    @property
    def pools_gradients(self) -> bool:  # type: ignore[override]
        """Whether descriptors pool the image's gradients, by their strength, and not its values."""
        return make_descriptor(self.descriptor).pools_gradients

    def check_params(self) -> None:
        super().check_params()
        detector, descriptor = make_detector(self.detector), make_descriptor(self.descriptor)
        detector.check_params()
        descriptor.check_params()
        check_int("max_points", self.max_points, minimum=1, none=True)
        check_choice("selection", self.selection, SELECTIONS)
        check_choice("orientation", self.orientation, ORIENTATIONS)
        check_real("magnify", self.magnify, minimum=0, open_minimum=True)
        # What a function finds is known once it has: `describe` asks again.
        reason = None if is_function(self.detector) else descriptor.refusal(detector)
        if reason is not None:
            raise ValueError(reason)

    def settled(self) -> Self:
        settled: Self = super().settled()
        detector, descriptor = as_object(self.detector, DETECTORS), as_object(self.descriptor, DESCRIPTORS)
        settled.set_params(detector=detector, descriptor=descriptor)
        return settled

    def fingerprint(self) -> object:
        refuse_cache(self.detector)
        refuse_cache(self.descriptor)
        return super().fingerprint()

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find points in an image (H, W) or (H, W, 3), uint8, without describing them; ValueError as ``extract``.

        They are in the coordinates of the image, and those that the descriptor cannot describe are among them.
        """
        self.check_params()
        pixels = to_gray(image, floats=False)
        working = self._to_working_size(pixels)
        found = self._detect(working)
        if working.shape == pixels.shape or not len(found):
            return found
        return dataclasses.replace(found, points=self._to_image(found.points, working.shape, pixels.shape))

    def _limit(self) -> int | None:
        return self.max_points if self.selection == "strongest" else None

    def _detect(self, image: NDArray[np.uint8]) -> Detections:
        detector = make_detector(self.detector)
        found = detector.detect(image, limit=self._limit())
        found = Detections.of(found, limit=self._limit(), name=f"{type(detector).__name__}.detect")
        return self._orient(image, self._select(found)[0])

    def _select(self, found: Detections) -> tuple[Detections, NDArray[np.intp]]:
        if self.max_points is None or len(found) <= self.max_points:
            return found, np.arange(len(found))
        # The strongest have been chosen by the detector already.
        rows = well_spread(found.points, found.responses, self.max_points)
        return found.take(rows), rows

    def _orient(self, image: NDArray[np.uint8], found: Detections) -> Detections:
        if self.magnify != 1:
            found = dataclasses.replace(found, patch_factor=found.patch_factor * float(self.magnify))
        if self.orientation == "detector" or not len(found):
            return found
        if self.orientation == "upright":
            return _drop_twins(found.with_angles(-1.0))
        without = found.points[:, 3] < 0
        if without.any():
            points = found.points[without]
            angles = found.points[:, 3].copy()
            angles[without] = main_directions(image, points, points[:, 2] * np.float32(found.patch_factor))
            found = found.with_angles(angles)
        return found

    def compute(self, image: NDArray[np.uint8]) -> Features:
        detector, descriptor = make_detector(self.detector), make_descriptor(self.descriptor)
        size = (image.shape[1], image.shape[0])
        together = self._together(image, detector, descriptor)
        if together is not None:
            return Features(*together, size)
        found = self._detect(image)
        rows, descriptors = descriptor.describe(image, found)
        points = found.points if len(rows) == len(found) else found.points[rows]
        return Features(points, descriptors, size)

    def _together(
        self, image: NDArray[np.uint8], detector: Detector, descriptor: Descriptor
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """Detect and describe in one go, where both are one algorithm of OpenCV's; None where that is not so."""
        if (
            not isinstance(detector, KeypointDetector)
            or not isinstance(descriptor, KeypointDescriptor)
            or detector.algorithm != descriptor.algorithm
            or self.orientation == "upright"
            or self.magnify != 1
        ):
            return None
        result = detector._detect_and_describe(image, self._limit(), descriptor.options())
        if result is None:
            return None
        found, descriptors = result
        found, rows = self._select(found)
        if len(rows) < len(descriptors):
            descriptors = descriptors[rows]
        if isinstance(descriptor, RootSIFTDescriptor):
            descriptors = root_normalize(descriptors)
        elif not descriptor.is_binary:
            descriptors = unit_length(descriptors)
        return found.points, descriptors


def _drop_twins(found: Detections) -> Detections:
    """Drop points that differ from a stronger one in nothing but their angle, now that it does not count."""
    first = np.unique(found.points[:, :3], axis=0, return_index=True)[1]
    return found if len(first) == len(found) else found.take(np.sort(first))
