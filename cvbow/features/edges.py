"""Edges: where the image changes in one direction; and points along them.

Strengths are gradients in gray levels per pixel: each kernel is divided by what it gives on a ramp of one gray level
per pixel.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real
from cvbow.features._detections import Detections
from cvbow.features._detector import Detector
from cvbow.images import to_gray

#: For each operator, the smoothing across its derivative (-1, 0, 1).
_SMOOTHING = {"sobel": (1, 2, 1), "scharr": (3, 10, 3), "prewitt": (1, 1, 1)}
#: Gray levels are kept in 16 bits, so many steps to a level: Scharr's kernel still fits.
_STEPS = 8

#: Edges one pixel wide, and the gradient along x and y, each (H, W).
Edges = tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]


def gradient(
    image: NDArray[np.uint8], operator: str = "sobel", *, sigma: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the gradient along x and along y, each (H, W), float32, in gray levels per pixel.

    The image, gray or RGB, uint8, is mirrored at its border, which is not repeated. ``operator`` is sobel, scharr or
    prewitt; ``sigma`` the standard deviation of a Gaussian before it, in pixels, 0 for none.
    """
    dx, dy = _whole_gradient(to_gray(image, floats=False), operator, sigma)
    scale = np.float32(1 / _unit(operator))
    return dx * scale, dy * scale


def _unit(operator: str) -> int:
    """Return what an operator gives in 16 bits on a ramp of one gray level per pixel."""
    return _STEPS * 2 * sum(_SMOOTHING[operator])


def _whole_gradient(
    gray: NDArray[np.uint8], operator: str, sigma: float
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the gradients in 16 bits, as OpenCV's thinning of edges wants them."""
    levels = _smoothed(gray, sigma)
    derivative = np.array([-1, 0, 1], np.float32)
    across = np.array(_SMOOTHING[operator], np.float32)
    dx = cv2.sepFilter2D(levels, cv2.CV_16S, derivative, across)
    dy = cv2.sepFilter2D(levels, cv2.CV_16S, across, derivative)
    return dx, dy


def _smoothed(gray: NDArray[np.uint8], sigma: float) -> NDArray[np.int16]:
    if sigma <= 0:
        return gray.astype(np.int16) * np.int16(_STEPS)
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), float(sigma))
    return np.asarray(np.rint(smooth * np.float32(_STEPS)), np.int16)


def sobel(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the length of Sobel's gradient, (H, W), in gray levels per pixel."""
    return np.asarray(cv2.magnitude(*gradient(image, "sobel")), np.float32)


def scharr(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the length of Scharr's gradient, (H, W), in gray levels per pixel; it depends least on the direction."""
    return np.asarray(cv2.magnitude(*gradient(image, "scharr")), np.float32)


def prewitt(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the length of Prewitt's gradient, (H, W), in gray levels per pixel."""
    return np.asarray(cv2.magnitude(*gradient(image, "prewitt")), np.float32)


def laplacian(image: NDArray[np.uint8], *, sigma: float = 0.0) -> NDArray[np.float32]:
    """Return the sum of the second derivatives, (H, W), in gray levels per pixel squared; edges are where it is 0."""
    gray = to_gray(image, floats=False).astype(np.float32)
    if sigma > 0:
        gray = cv2.GaussianBlur(gray, (0, 0), float(sigma))
    result: NDArray[np.float32] = cv2.Laplacian(gray, cv2.CV_32F, ksize=1)
    return result


def canny(
    image: NDArray[np.uint8], *, sigma: float = 1.4, low: float = 3.0, high: float = 8.0, operator: str = "sobel"
) -> NDArray[np.bool_]:
    """Return the edges one pixel wide, (H, W), True on an edge.

    An edge pixel is at a maximum of the gradient along the gradient's direction, stronger than ``low``, and connected
    through such pixels with one stronger than ``high``, in gray levels per pixel (J. Canny, "A computational approach
    to edge detection", PAMI 1986). ``sigma`` and ``operator`` are those of ``gradient``.
    """
    return _thinned(to_gray(image, floats=False), operator, sigma, low, high)[0]


def _thinned(gray: NDArray[np.uint8], operator: str, sigma: float, low: float, high: float) -> Edges:
    dx, dy = _whole_gradient(gray, operator, sigma)
    unit = _unit(operator)
    scale = np.float32(1 / unit)
    if min(gray.shape) < 3:
        edges = np.zeros(gray.shape, np.bool_)
    else:
        edges = np.asarray(cv2.Canny(dx, dy, float(low) * unit, float(high) * unit, L2gradient=True) > 0)
    return edges, dx * scale, dy * scale


class EdgeDetector(Detector):
    """Base class: points every few pixels along edges, at the angle of the gradient there."""

    has_angle: ClassVar[bool] = True
    step: int
    point_size: float

    @abstractmethod
    def edges(self, image: NDArray[np.uint8]) -> Edges:
        """Return the edges of a gray image, one pixel wide, and its gradient along x and y, each (H, W)."""

    def check_params(self) -> None:
        check_int("step", self.step, minimum=1)
        check_real("point_size", self.point_size, minimum=0, open_minimum=True)

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        edges, dx, dy = self.edges(image)
        y, x = along_contours(edges, int(self.step))
        points = np.empty((len(x), 4), np.float32)
        points[:, 0], points[:, 1], points[:, 2] = x, y, self.point_size
        strength, angle = cv2.cartToPolar(dx[y, x], dy[y, x], angleInDegrees=True) if len(x) else (dx[y, x], dy[y, x])
        points[:, 3] = np.asarray(angle).ravel() % 360
        return self._sorted(points, np.asarray(strength, np.float32).ravel(), limit)


class _GradientDetector(EdgeDetector):
    operator: ClassVar[str]

    def __init__(self, *, threshold: float = 10.0, step: int = 4, point_size: float = 32.0) -> None:
        self.threshold = threshold
        self.step = step
        self.point_size = point_size

    def check_params(self) -> None:
        super().check_params()
        check_real("threshold", self.threshold, minimum=0)

    def edges(self, image: NDArray[np.uint8]) -> Edges:
        return _thinned(image, self.operator, 0, self.threshold, self.threshold)


class SobelDetector(_GradientDetector):
    """Points along edges by Sobel's gradient, without smoothing; the strength of a point is its gradient's length.

    Parameters
    ----------
    threshold : float, default 10.0
        Weaker edges are dropped; gray levels per pixel.
    step : int, default 4
        Pixels from one point to the next along an edge.
    point_size : float, default 32.0
        Side of the patch that is described in pixels, which is given to the points as their size.
    """

    operator = "sobel"


class ScharrDetector(_GradientDetector):
    """Points along edges by Scharr's gradient; see ``SobelDetector``."""

    operator = "scharr"


class PrewittDetector(_GradientDetector):
    """Points along edges by Prewitt's gradient; see ``SobelDetector``."""

    operator = "prewitt"


class CannyDetector(EdgeDetector):
    """Points along Canny's edges; see ``canny`` and ``SobelDetector``.

    Parameters
    ----------
    sigma, low, high : float, default 1.4, 3.0 and 8.0
        See ``canny``.
    step, point_size
        See ``SobelDetector``.
    """

    def __init__(
        self, *, sigma: float = 1.4, low: float = 3.0, high: float = 8.0, step: int = 4, point_size: float = 32.0
    ) -> None:
        self.sigma = sigma
        self.low = low
        self.high = high
        self.step = step
        self.point_size = point_size

    def check_params(self) -> None:
        super().check_params()
        check_real("sigma", self.sigma, minimum=0)
        check_real("low", self.low, minimum=0)
        check_real("high", self.high, minimum=0)
        if self.low > self.high:
            raise ValueError(f"low must not exceed high, got {self.low!r} and {self.high!r}")

    def edges(self, image: NDArray[np.uint8]) -> Edges:
        return _thinned(image, "sobel", self.sigma, self.low, self.high)


class LaplacianDetector(EdgeDetector):
    """Points along edges where the Laplacian of the smoothed image changes its sign.

    D. Marr and E. Hildreth, "Theory of edge detection", Proceedings of the Royal Society B 1980.

    Parameters
    ----------
    sigma : float, default 2.0
        Standard deviation of the smoothing in pixels.
    threshold : float, default 4.0
        Edges with a weaker gradient are dropped; gray levels per pixel.
    step, point_size
        See ``SobelDetector``.
    """

    def __init__(self, *, sigma: float = 2.0, threshold: float = 4.0, step: int = 4, point_size: float = 32.0) -> None:
        self.sigma = sigma
        self.threshold = threshold
        self.step = step
        self.point_size = point_size

    def check_params(self) -> None:
        super().check_params()
        check_real("sigma", self.sigma, minimum=0)
        check_real("threshold", self.threshold, minimum=0)

    def edges(self, image: NDArray[np.uint8]) -> Edges:
        second = laplacian(image, sigma=self.sigma)
        dx, dy = gradient(image, "sobel", sigma=self.sigma)
        # The pixel on the bright side of a change of sign, where the Laplacian is below zero.
        below = second < 0
        cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
        neighbour_above = cv2.dilate((second > 0).astype(np.uint8), cross)
        strong = cv2.magnitude(dx, dy) >= np.float32(self.threshold)
        return np.asarray(below & (neighbour_above > 0) & strong), dx, dy


def along_contours(edges: NDArray[np.bool_], step: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of every ``step``-th pixel along the contours of edges one pixel wide.

    OpenCV walks around an edge, so it meets most pixels twice: only the first time counts.
    """
    contours = cv2.findContours(edges.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    if not contours:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    lengths = np.array([len(contour) for contour in contours])
    x, y = np.concatenate(contours).reshape(-1, 2).T.astype(np.intp)
    first = np.sort(np.unique(y * edges.shape[1] + x, return_index=True)[1])
    contour = np.repeat(np.arange(len(lengths)), lengths)[first]
    rank = np.arange(len(first)) - np.searchsorted(contour, contour)
    # The middle of the first stretch, so that a short contour has a point too, but not its end.
    found = np.bincount(contour, minlength=len(lengths))[contour]
    kept = first[rank % step == np.minimum(step // 2, (found - 1) // 2)]
    return y[kept], x[kept]
