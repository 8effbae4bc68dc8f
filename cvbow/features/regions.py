"""Blobs as regions: sets of pixels that belong together by their gray value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int, check_real
from cvbow.features._detections import Detections
from cvbow.features._detector import Detector, KeypointDetector
from cvbow.features._opencv import create
from cvbow.features.selection import by_strength
from cvbow.images import to_gray

#: Pixels of regions that are summed up at a time.
_PART = 50_000


class MSERDetector(Detector):
    """Regions whose border hardly moves with the threshold that cuts them out, brighter or darker than around.

    J. Matas, O. Chum, M. Urban and T. Pajdla, "Robust wide baseline stereo from maximally stable extremal regions",
    BMVC 2002. A point is a region's centre of mass; its size is the diameter of the disk with the same second moments
    (by the geometric mean of their axes). Its strength is the difference of the mean gray values of the region and of
    the rest of its bounding box.

    Parameters
    ----------
    delta : int, default 5
        Gray levels by which the threshold is moved.
    min_area : int, default 60
        In pixels.
    max_area : float, default 0.25
        As a share of the image.
    max_variation : float, default 0.25
        Of a region's area over ``delta``, as a share of it.
    """

    patch_factor: ClassVar[float] = 2.0

    def __init__(
        self, *, delta: int = 5, min_area: int = 60, max_area: float = 0.25, max_variation: float = 0.25
    ) -> None:
        self.delta = delta
        self.min_area = min_area
        self.max_area = max_area
        self.max_variation = max_variation

    def check_params(self) -> None:
        check_int("delta", self.delta, minimum=1)
        check_int("min_area", self.min_area, minimum=1)
        check_real("max_area", self.max_area, minimum=0, maximum=1, open_minimum=True)
        check_real("max_variation", self.max_variation, minimum=0)

    def regions(self, image: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
        """Return the pixels of each region of an image, x and y, (area, 2), in the order of the points of ``detect``.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
        """
        self.check_params()
        return self._detected(to_gray(image, floats=False), None)[1]

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        return self._detected(image, limit)[0]

    def _detected(self, image: NDArray[np.uint8], limit: int | None) -> tuple[Detections, list[NDArray[np.int32]]]:
        most = int(self.max_area * image.size)
        if min(image.shape) < 3 or most <= self.min_area:
            return self._nothing(), []
        finder = create(
            "MSER",
            delta=int(self.delta),
            min_area=int(self.min_area),
            max_area=most,
            max_variation=float(self.max_variation),
            # Of no account in gray images; but OpenCV 5.0.0 drops the most stable regions by it (its issue 29652).
            min_diversity=0.0,
        )
        regions, boxes = finder.detectRegions(image)
        if not len(regions):
            return self._nothing(), []
        points, areas, sums = _statistics(image, regions)
        x, y, width, height = np.asarray(boxes).reshape(-1, 4).T.astype(np.int64)
        integral = cv2.integral(image, sdepth=cv2.CV_64F)
        box = integral[y + height, x + width] - integral[y, x + width] - integral[y + height, x] + integral[y, x]
        rest = width * height - areas
        around = np.divide(box - sums, rest, out=np.zeros(len(areas)), where=rest > 0)
        contrast = np.where(rest > 0, np.abs(sums / areas - around), 0).astype(np.float32)
        found = self._sorted(points, contrast, limit)
        return found, [regions[row] for row in by_strength(points, contrast, limit).tolist()]


def _statistics(
    image: NDArray[np.uint8], regions: Sequence[NDArray[np.int32]]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Return the points (n, 4), the areas (n,) and the sums of the gray values (n,) of regions, each (area, 2)."""
    areas = np.fromiter(map(len, regions), np.int64, len(regions))
    ends = np.cumsum(areas)
    # Regions lie in one another, so that there may be many more pixels than in the image: a part of them at a time
    # stays in the cache. In float64 the sums are exact.
    cuts = np.unique(np.searchsorted(ends, np.arange(0, ends[-1], _PART)))
    sums = np.empty((6, len(areas)))
    pixels = image.ravel()
    for low, high in zip(cuts, np.append(cuts[1:], len(areas)), strict=True):
        x, y = np.concatenate(regions[low:high]).T.astype(np.float64, order="C")
        gray = pixels.take((y * image.shape[1] + x).astype(np.intp), mode="clip").astype(np.float64)
        starts = ends[low:high] - areas[low:high] - (ends[low] - areas[low])
        for row, column in zip(sums, (x, y, x * x, y * y, x * y, gray), strict=True):
            np.add.reduceat(column, starts, out=row[low:high])
    mean_x, mean_y, xx, yy, xy = (each / areas for each in sums[:5])
    # A pixel is a square with a spread of its own; a disk of radius r has the variance r^2 / 4.
    variance_x, variance_y = xx - mean_x**2 + 1 / 12, yy - mean_y**2 + 1 / 12
    determinant = np.maximum(variance_x * variance_y - (xy - mean_x * mean_y) ** 2, 1e-6)
    points = np.column_stack([mean_x, mean_y, 4 * determinant**0.25, np.full(len(areas), -1.0)])
    return points.astype(np.float32), areas, sums[5]


class SimpleBlobDetector(KeypointDetector):
    """Round areas that are cut out by many thresholds, joined by their centres: OpenCV's simple blobs.

    Parameters
    ----------
    min_threshold, max_threshold, threshold_step : float, default 50.0, 220.0 and 10.0
        Gray levels at which the image is cut.
    min_distance : float, default 10.0
        Pixels between two blobs.
    min_repeatability : int, default 2
        Thresholds at which a blob must be found.
    color : {"dark", "bright"}, default "dark"
    min_area, max_area : float, default 25.0 and 5000.0
        In pixels.
    min_circularity, min_inertia_ratio, min_convexity : float, default 0.0, 0.1 and 0.95
        Of the shape, from 0 to 1; 0 does not look at it.
    """

    algorithm = "simple blob"
    patch_factor: ClassVar[float] = 2.0

    def __init__(
        self,
        *,
        min_threshold: float = 50.0,
        max_threshold: float = 220.0,
        threshold_step: float = 10.0,
        min_distance: float = 10.0,
        min_repeatability: int = 2,
        color: str = "dark",
        min_area: float = 25.0,
        max_area: float = 5000.0,
        min_circularity: float = 0.0,
        min_inertia_ratio: float = 0.1,
        min_convexity: float = 0.95,
    ) -> None:
        self.min_threshold = min_threshold
        self.max_threshold = max_threshold
        self.threshold_step = threshold_step
        self.min_distance = min_distance
        self.min_repeatability = min_repeatability
        self.color = color
        self.min_area = min_area
        self.max_area = max_area
        self.min_circularity = min_circularity
        self.min_inertia_ratio = min_inertia_ratio
        self.min_convexity = min_convexity

    def check_params(self) -> None:
        check_real("min_threshold", self.min_threshold, minimum=0)
        check_real("max_threshold", self.max_threshold, minimum=0)
        check_real("threshold_step", self.threshold_step, minimum=0, open_minimum=True)
        check_real("min_distance", self.min_distance, minimum=0)
        check_int("min_repeatability", self.min_repeatability, minimum=1)
        check_choice("color", self.color, ("dark", "bright"))
        check_real("min_area", self.min_area, minimum=0, open_minimum=True)
        check_real("max_area", self.max_area, minimum=0, open_minimum=True)
        for low, high in (("min_threshold", "max_threshold"), ("min_area", "max_area")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} must be below {high}, got {getattr(self, low)!r} and {getattr(self, high)!r}")
        for name in ("min_circularity", "min_inertia_ratio", "min_convexity"):
            check_real(name, getattr(self, name), minimum=0, maximum=1)

    def options(self, limit: int | None) -> dict[str, Any]:
        return {
            "minThreshold": float(self.min_threshold),
            "maxThreshold": float(self.max_threshold),
            "thresholdStep": float(self.threshold_step),
            "minDistBetweenBlobs": float(self.min_distance),
            "minRepeatability": int(self.min_repeatability),
            "filterByColor": True,
            "blobColor": 0 if self.color == "dark" else 255,
            "filterByArea": True,
            "minArea": float(self.min_area),
            "maxArea": float(self.max_area),
            **self._shape("Circularity", self.min_circularity),
            **self._shape("InertiaRatio", self.min_inertia_ratio, "Inertia"),
            **self._shape("Convexity", self.min_convexity),
        }

    @staticmethod
    def _shape(field: str, least: float, switch: str | None = None) -> dict[str, Any]:
        # OpenCV refuses a limit of 0, which would let everything through.
        return {f"filterBy{switch or field}": least > 0} | ({f"min{field}": float(least)} if least > 0 else {})

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        found = super().compute(image, None)
        # OpenCV gives them no strength: the larger come first.
        return self._sorted(found.points, found.points[:, 2].copy(), limit)
