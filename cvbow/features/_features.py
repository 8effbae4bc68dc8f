"""What an extractor returns: points in an image, and a descriptor for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.images.palette import BLUE
from cvbow.images.pixels import png_element

#: Points that a picture shows at most: more would hide each other.
_DRAWN = 500


@dataclass(frozen=True, eq=False)
class Features:
    """Points and descriptors of one image; ``n`` may be 0, and then the shapes still hold.

    Attributes
    ----------
    points : ndarray of shape (n, 4), float32
        x, y (pixels, the centre of the first pixel at 0, 0), size (diameter in pixels), angle (degrees; -1 for none).
    descriptors : ndarray of shape (n, k), float32 or uint8
        uint8 rows are binary descriptors, eight bits a byte.
    image_size : tuple of int
        Width and height of the image in pixels.

    Raises
    ------
    ValueError
        If the shapes or dtypes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import Features
    >>> points = np.array([[10, 20, 8, -1], [30, 5, 8, -1]], np.float32)
    >>> features = Features(points, np.eye(2, 128, dtype=np.float32), image_size=(64, 48))
    >>> len(features), features.take(np.array([1])).points.tolist()
    (2, [[30.0, 5.0, 8.0, -1.0]])
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32] | NDArray[np.uint8]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 4 or self.points.dtype != np.float32:
            raise ValueError(f"points must be float32 of shape (n, 4), got {_describe(self.points)}")
        if self.descriptors.ndim != 2 or self.descriptors.dtype not in (np.float32, np.uint8):
            raise ValueError(f"descriptors must be float32 or uint8 of shape (n, k), got {_describe(self.descriptors)}")
        if len(self.points) != len(self.descriptors):
            raise ValueError(
                f"points and descriptors must have one row per point, got {len(self.points)} and "
                f"{len(self.descriptors)}"
            )

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: NDArray[np.intp]) -> Features:
        """Return the features at ``rows`` (integer positions), in that order."""
        return Features(self.points[rows], self.descriptors[rows], self.image_size)

    def picture(self) -> NDArray[np.uint8]:
        """Return the points as circles of their size on white, (H, W, 3), uint8; of very many, some all over."""
        import cv2

        width, height = self.image_size
        pixels = np.full((height, width, 3), 255, np.uint8)
        rows = np.arange(len(self)) if len(self) <= _DRAWN else np.linspace(0, len(self) - 1, _DRAWN).astype(np.intp)
        for x, y, size, angle in self.points[rows].astype(np.float64):
            center, radius = (round(16 * x), round(16 * y)), max(1.0, size / 2)
            cv2.circle(pixels, center, round(16 * radius), BLUE, 1, cv2.LINE_AA, 4)
            if angle >= 0:
                turn = np.deg2rad(angle)
                tip = (round(16 * (x + radius * np.cos(turn))), round(16 * (y + radius * np.sin(turn))))
                cv2.line(pixels, center, tip, BLUE, 1, cv2.LINE_AA, 4)
        return pixels

    def _repr_html_(self) -> str:
        width, height = self.image_size
        told = f"{len(self)} points in {width} x {height} pixels, each with {self.descriptors.shape[1]} values"
        return f"{png_element(self.picture(), told)}<p>{told}</p>"

    def with_descriptors(self, descriptors: NDArray[np.float32]) -> Features:
        """Return the same points with other descriptors, shape (n, any)."""
        return Features(self.points, descriptors, self.image_size)


def grid_points(x: NDArray[np.floating], y: NDArray[np.floating], size: float, angle: float) -> NDArray[np.float32]:
    """Return the points of a grid (len(y) * len(x), 4), row by row."""
    points = np.empty((len(y), len(x), 4), np.float32)
    points[..., 0] = x
    points[..., 1] = y[:, None]
    points[..., 2:] = size, angle
    return points.reshape(-1, 4)


def _describe(array: NDArray[np.generic]) -> str:
    return f"{array.dtype} of shape {array.shape}"
