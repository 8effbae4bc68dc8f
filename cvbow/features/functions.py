"""Plain functions as detectors, descriptors and extractors: to try an idea; a model file holds classes only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from cvbow.features._descriptor import Descriptor
from cvbow.features._detections import Detections, plain_points
from cvbow.features._detector import Detector
from cvbow.features._extractor import Extractor
from cvbow.features._features import Features
from cvbow.images import from_gray, to_gray


def is_function(part: object) -> TypeGuard[Callable[..., object]]:
    """Tell whether a part is to be called, and not a class that was given in place of an object."""
    return callable(part) and not isinstance(part, type)


class FunctionDetector(Detector):
    """A detector that asks a function.

    Parameters
    ----------
    function : callable
        Takes a gray image (H, W), uint8, and returns what ``Detections.of`` takes.
    """

    def __init__(self, function: Callable[[NDArray[np.uint8]], object]) -> None:
        self.function = function

    def compute(self, image: NDArray[np.uint8], limit: int | None) -> Detections:
        name = f"the detector {_name(self.function)}"
        found = Detections.of(self.function(image), limit=limit, name=name)
        _check_inside(found.points, image, name)
        return found


class FunctionDescriptor(Descriptor):
    """A descriptor that asks a function.

    Parameters
    ----------
    function : callable
        Takes a gray image (H, W), uint8, and points (n, 4), as in ``Features``, and returns an array (n, k): uint8 for
        binary descriptors, otherwise numbers, which are taken as they are.
    """

    def __init__(self, function: Callable[[NDArray[np.uint8], NDArray[np.float32]], object]) -> None:
        self.function = function

    @property
    def descriptor_size(self) -> int:
        """Number of values, or of bytes: as many as there are for a point of a test image."""
        return int(self._trial().shape[1])

    @property
    def is_binary(self) -> bool:  # type: ignore[override]
        """Whether the function returns bytes."""
        return self._trial().dtype == np.uint8

    def describe(self, image: NDArray[np.uint8], detections: Detections) -> tuple[NDArray[np.intp], NDArray[Any]]:
        if not len(detections):
            return self._nothing()
        return np.arange(len(detections)), self._call(to_gray(image, floats=False), detections.points)

    def _trial(self) -> NDArray[Any]:
        return self._call(to_gray(_test_image()), np.array([[63.5, 63.5, 32, -1]], np.float32))

    def _call(self, image: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[Any]:
        return _descriptors(self.function(image, points), len(points), f"the descriptor {_name(self.function)}")


class FunctionExtractor(Extractor):
    """An extractor that asks a function.

    Parameters
    ----------
    function : callable
        Takes an RGB image (H, W, 3), uint8, and returns ``Features``, or points as ``Detections.of`` takes them and an
        array (n, k) of descriptors: uint8 for binary ones, otherwise numbers.
    """

    gray_only = False

    def __init__(self, function: Callable[[NDArray[np.uint8]], object]) -> None:
        self.function = function

    @property
    def descriptor_size(self) -> int:
        """Number of values, or of bytes: as many as there are for points of a test image."""
        return int(self._trial().shape[1])

    def extract(self, image: NDArray[np.uint8]) -> Features:
        found = self._call(from_gray(image, floats=False))
        return found if len(found) else found.with_descriptors(self._trial()[:0])

    def fingerprint(self) -> object:
        refuse_cache(self.function)
        return self

    def _trial(self) -> NDArray[Any]:
        found = self._call(_test_image())
        if not len(found):
            raise ValueError(
                f"the extractor {_name(self.function)} found nothing in a test image, so that the size of its "
                "descriptors is not known: make it a subclass of Extractor with descriptor_size"
            )
        return found.descriptors

    def _call(self, image: NDArray[np.uint8]) -> Features:
        found = self.function(image)
        if isinstance(found, Features):
            return found
        name = f"the extractor {_name(self.function)}"
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise ValueError(f"{name} must return Features or (points, descriptors), got {type(found).__name__}")
        points = plain_points(found[0], name)
        _check_inside(points, image, name)
        return Features(points, _descriptors(found[1], len(points), name), (image.shape[1], image.shape[0]))


def refuse_cache(part: object) -> None:
    """Raise ValueError for a function: nothing tells a cache that a function has changed."""
    if is_function(part):
        raise ValueError(
            f"memory must be None where a part is a function, got one with {_name(part)}: a cache cannot tell when it "
            "changes; make it a class"
        )


def _descriptors(found: object, n: int, name: str) -> NDArray[Any]:
    if n == 0:
        return np.zeros((0, 0), np.float32)
    values = np.asarray(found)
    if values.ndim != 2 or len(values) != n or not values.shape[1] or values.dtype.kind not in "uif":
        raise ValueError(
            f"{name} must return numbers of shape (n, k) for descriptors, a row for each of {n} points, "
            f"got {values.dtype} of shape {values.shape}"
        )
    values = values if values.dtype == np.uint8 else values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must return finite descriptors, got nan or infinity")
    return values


def _check_inside(points: NDArray[np.float32], image: NDArray[np.uint8], name: str) -> None:
    height, width = image.shape[:2]
    x, y = points[:, 0], points[:, 1]
    outside = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    if outside.any():
        place = tuple(points[outside][0, :2].tolist())
        raise ValueError(f"{name} must return points (x, y) inside the image of {width} x {height} pixels, got {place}")


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def _test_image() -> NDArray[np.uint8]:
    """Return squares of random colours with some noise, (128, 128, 3): there are edges, corners and blobs."""
    rng = np.random.default_rng(0)
    squares = rng.integers(20, 236, (16, 16, 3)).repeat(8, 0).repeat(8, 1)
    return (squares + rng.integers(0, 20, squares.shape)).astype(np.uint8)
