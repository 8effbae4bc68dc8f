"""Corners: places from which the image changes in every direction."""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_int, check_real
from cvbow.features._detections import Detections, whole_pixels
from cvbow.features._detector import Detector
from cvbow.features._opencv import create

#: Half a side of the window in which a corner's place is refined, in pixels.
_HALF_WINDOW = 3


class ShiTomasiDetector(Detector):
    """Corners by the smaller eigenvalue of the gradients' second moments ("good features to track").

    J. Shi and C. Tomasi, "Good features to track", CVPR 1994.

    Parameters
    ----------
    quality : float, default 0.01
        Corners weaker than this share of the strongest are dropped.
    min_distance : float, default 3.0
        Pixels between two corners, at least; the stronger one stays.
    block_size : int, default 3
        Side of the window over which gradients are summed.
    gradient_size : {3, 5, 7}, default 3
        Side of the Sobel kernel.
    subpixel : bool, default True
        Move a corner to where the gradients around it are at right angles to the way to it (W. Foerstner and
        E. Guelch 1987).
    point_size : float, default 32.0
        Side of the patch that is described in pixels, which is given to the points as their size.
    """

    _harris: ClassVar[bool] = False

    def __init__(
        self,
        *,
        quality: float = 0.01,
        min_distance: float = 3.0,
        block_size: int = 3,
        gradient_size: int = 3,
        subpixel: bool = True,
        point_size: float = 32.0,
    ) -> None:
        self.quality = quality
        self.min_distance = min_distance
        self.block_size = block_size
        self.gradient_size = gradient_size
        self.subpixel = subpixel
        self.point_size = point_size

    def check_params(self) -> None:
        check_real("quality", self.quality, minimum=0, maximum=1, open_minimum=True)
        check_real("min_distance", self.min_distance, minimum=0)
        check_int("block_size", self.block_size, minimum=1)
        if self.gradient_size not in (3, 5, 7):
            raise ValueError(f"gradient_size must be 3, 5 or 7, got {self.gradient_size!r}")
        check_flag("subpixel", self.subpixel)
        check_real("point_size", self.point_size, minimum=0, open_minimum=True)

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        if min(image.shape) < 3:
            return self._nothing()
        corners, responses = cv2.goodFeaturesToTrackWithQuality(
            image,
            limit or 0,
            float(self.quality),
            float(self.min_distance),
            None,
            blockSize=int(self.block_size),
            gradientSize=int(self.gradient_size),
            useHarrisDetector=self._harris,
            **self._extra(),
        )[:2]
        if corners is None or len(corners) == 0:
            return self._nothing()
        places = corners.reshape(-1, 2)
        if self.subpixel:
            places = refine_corners(image, places)
        return self._sorted(_points(places, self.point_size), np.asarray(responses, np.float32).ravel(), limit)

    def _extra(self) -> dict[str, Any]:
        return {}


class HarrisDetector(ShiTomasiDetector):
    """Corners by det(M) - k trace(M)^2 of the gradients' second moments M.

    C. Harris and M. Stephens, "A combined corner and edge detector", Alvey Vision Conference 1988.

    Parameters
    ----------
    k : float, default 0.04
        The larger, the fewer edges pass for corners.
    quality : float, default 0.001
        Corners weaker than this share of the strongest are dropped; strengths grow with the fourth power of contrast.
    min_distance, block_size, gradient_size, subpixel, point_size
        As for ``ShiTomasiDetector``.
    """

    _harris: ClassVar[bool] = True

    def __init__(
        self,
        *,
        k: float = 0.04,
        quality: float = 0.001,
        min_distance: float = 3.0,
        block_size: int = 3,
        gradient_size: int = 3,
        subpixel: bool = True,
        point_size: float = 32.0,
    ) -> None:
        super().__init__(
            quality=quality,
            min_distance=min_distance,
            block_size=block_size,
            gradient_size=gradient_size,
            subpixel=subpixel,
            point_size=point_size,
        )
        self.k = k

    def check_params(self) -> None:
        super().check_params()
        check_real("k", self.k, minimum=0, maximum=0.25)

    def _extra(self) -> dict[str, Any]:
        return {"k": float(self.k)}


class FASTDetector(Detector):
    """Pixels with nine neighbours in a row, on a circle of 16, that are all brighter or all darker.

    E. Rosten and T. Drummond, "Machine learning for high-speed corner detection", ECCV 2006. The strength of a point
    is the greatest threshold at which it is still found.

    Parameters
    ----------
    threshold : int, default 20
        Difference in gray levels.
    nonmax_suppression : bool, default True
        Drop a point with a stronger neighbour.
    subpixel : bool, default False
        As for ``HarrisDetector``; it takes longer than finding the points.
    point_size : float, default 32.0
        Side of the patch that is described in pixels, which is given to the points as their size.
    """

    algorithm: ClassVar[str] = "FAST"

    def __init__(
        self, *, threshold: int = 20, nonmax_suppression: bool = True, subpixel: bool = False, point_size: float = 32.0
    ) -> None:
        self.threshold = threshold
        self.nonmax_suppression = nonmax_suppression
        self.subpixel = subpixel
        self.point_size = point_size

    def check_params(self) -> None:
        check_int("threshold", self.threshold, minimum=1)
        check_flag("nonmax_suppression", self.nonmax_suppression)
        check_flag("subpixel", self.subpixel)
        check_real("point_size", self.point_size, minimum=0, open_minimum=True)

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        if min(image.shape) < 8:
            return self._nothing()
        detector = create(
            self.algorithm, threshold=int(self.threshold), nonmaxSuppression=bool(self.nonmax_suppression)
        )
        places, responses = whole_pixels(detector.detect(image, None), limit)
        if self.subpixel and len(places):
            places = refine_corners(image, places)
        zeros = np.zeros(len(places), np.int32)
        return Detections(_points(places, self.point_size), responses, zeros, zeros, self.patch_factor, self)


class AGASTDetector(FASTDetector):
    """FAST's corners, found by a decision tree that adapts to the image; its parameters are those of ``FASTDetector``.

    E. Mair, G. Hager, D. Burschka, M. Suppa and G. Hirzinger, "Adaptive and generic corner detection based on the
    accelerated segment test", ECCV 2010.
    """

    algorithm: ClassVar[str] = "AGAST"


def refine_corners(image: NDArray[np.uint8], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return corners (n, 2) at parts of a pixel; in an image smaller than the window they stay where they are."""
    if min(image.shape) < 2 * _HALF_WINDOW + 5:
        return places
    enough = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.01)
    start = np.array(places, np.float32).reshape(-1, 1, 2)
    moved = cv2.cornerSubPix(image, start, (_HALF_WINDOW, _HALF_WINDOW), (-1, -1), enough).reshape(-1, 2)
    # At the border a window is cut off, and a corner may leave the image.
    height, width = image.shape
    return np.asarray(np.clip(moved, 0, np.array([width - 1, height - 1])), np.float32)


def _points(places: NDArray[np.float32], size: float) -> NDArray[np.float32]:
    points = np.empty((len(places), 4), np.float32)
    points[:, :2] = places
    points[:, 2:] = size, -1
    return points
