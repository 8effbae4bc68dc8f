"""Points on a regular grid, for any descriptor; ``DenseSIFT`` is the fast way to SIFT on a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real
from cvbow.features._detections import Detections
from cvbow.features._detector import Detector
from cvbow.features._features import grid_points
from cvbow.features.selection import all_over


class GridDetector(Detector):
    """Points ``step`` pixels apart, in the middle of the image; all of the same strength.

    A limit keeps points that lie all over the image.

    Parameters
    ----------
    step : int, default 8
        Pixels between neighbours.
    point_size : float, default 32.0
        Side of the patch that is described in pixels, which is given to the points as their size. Patches lie inside
        the image; one smaller than a patch has no points.
    """

    def __init__(self, *, step: int = 8, point_size: float = 32.0) -> None:
        self.step = step
        self.point_size = point_size

    def check_params(self) -> None:
        check_int("step", self.step, minimum=1)
        check_real("point_size", self.point_size, minimum=0, open_minimum=True)

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        y, x = (self._axis(length) for length in image.shape)
        points = grid_points(x, y, self.point_size, -1)
        if limit is not None and limit < len(points):
            # All are as strong.
            points = points[all_over(points[:, :2], limit)[:limit]]
        return self._sorted(points, np.ones(len(points), np.float32), limit)

    def _axis(self, length: int) -> NDArray[np.float32]:
        room = length - float(self.point_size)
        n = int(room // self.step) + 1 if room >= 0 else 0
        return np.asarray((length - 1 - (n - 1) * self.step) / 2 + self.step * np.arange(n), np.float32)
