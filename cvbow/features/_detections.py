"""What a detector returns: points in an image, without descriptors yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeGuard

import numpy as np
from cv2 import KeyPoint
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cvbow.features.selection import by_strength


@dataclass(frozen=True, eq=False)
class Detections:
    """Points of one image, the strongest first; ``n`` may be 0.

    Attributes
    ----------
    points : ndarray of shape (n, 4), float32
        x, y (pixels, the centre of the first pixel at 0, 0), size (diameter in pixels, by the detector's own measure),
        angle (degrees from the x axis towards the y axis, which points down; -1 for none).
    responses : ndarray of shape (n,), float32
        Strength; its unit is the detector's.
    octaves, class_ids : ndarray of shape (n,), int32
        What OpenCV's descriptors of the same name want to know about a point; zeros elsewhere.
    patch_factor : float
        Side of the patch that is described, over ``size``: what makes the sizes of different detectors comparable.
    detector : estimator or None
        The detector that found them.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import make_detector
    >>> square = np.zeros((64, 64), np.uint8)
    >>> square[16:48, 16:48] = 255
    >>> sorted(make_detector("harris").detect(square, limit=4).points[:, :2].round().tolist())
    [[16.0, 16.0], [16.0, 47.0], [47.0, 16.0], [47.0, 47.0]]
    """

    points: NDArray[np.float32]
    responses: NDArray[np.float32]
    octaves: NDArray[np.int32]
    class_ids: NDArray[np.int32]
    patch_factor: float = 1.0
    detector: BaseEstimator | None = None

    def __post_init__(self) -> None:
        n = len(self.points)
        if self.points.shape != (n, 4) or self.points.dtype != np.float32:
            raise ValueError(f"points must be float32 of shape (n, 4), got {self.points.dtype} {self.points.shape}")
        for name, dtype in (("responses", np.float32), ("octaves", np.int32), ("class_ids", np.int32)):
            values = getattr(self, name)
            if values.shape != (n,) or values.dtype != dtype:
                raise ValueError(
                    f"{name} must be {dtype.__name__} of shape ({n},), one for each point, "
                    f"got {values.dtype} of shape {values.shape}"
                )

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, found: object, *, limit: int | None = None, name: str = "a detector") -> Detections:
        """Make detections of points.

        Parameters
        ----------
        found : array of shape (n, 2), (n, 3) or (n, 4), sequence of cv2.KeyPoint, or Detections
            x, y and, where there are more columns, size (32 otherwise: the side of the patch that is described) and
            angle, as in ``points``. An array's points stand in the order of their strength; keypoints have their own.
        limit : int or None, default None
            Keep the strongest so many.
        name : str, default "a detector"
            Who found them, for the error.

        Raises
        ------
        ValueError
            If it is nothing of the kind.
        """
        if isinstance(found, Detections):
            return found if limit is None or len(found) <= limit else found.take(np.arange(limit))
        if _are_keypoints(found):
            points, responses, octaves, class_ids = from_keypoints(found, limit)[0]
            return cls(points, responses, octaves, class_ids)
        points = plain_points(found, name)[:limit]
        zeros = np.zeros(len(points), np.int32)
        return cls(points, np.ones(len(points), np.float32), zeros, zeros)

    def take(self, rows: NDArray[np.intp]) -> Detections:
        """Return the points at ``rows`` (integer positions), in that order."""
        return dataclasses.replace(
            self,
            points=self.points[rows],
            responses=self.responses[rows],
            octaves=self.octaves[rows],
            class_ids=self.class_ids[rows],
        )

    def with_angles(self, angles: NDArray[np.float32] | float) -> Detections:
        """Return the same points at other angles, (n,) or one for all, in degrees."""
        points = self.points.copy()
        points[:, 3] = angles
        return dataclasses.replace(self, points=points)

    def with_octaves(self, octaves: NDArray[np.int32]) -> Detections:
        """Return the same points in other octaves, (n,)."""
        return dataclasses.replace(self, octaves=octaves)


_FIELDS = tuple(map(attrgetter, ("size", "angle", "octave", "class_id")))
_RESPONSE = attrgetter("response")


def from_keypoints(keypoints: Sequence[Any], limit: int | None) -> tuple[tuple[NDArray[Any], ...], NDArray[np.intp]]:
    """Return points, responses, octaves and class_ids of OpenCV's keypoints, and their positions; the strongest first.

    Python reads a keypoint's fields one by one, so of those beyond the limit nothing but the strength is looked at.
    """
    n = len(keypoints)
    responses = np.fromiter(map(_RESPONSE, keypoints), np.float32, n)
    rows = np.arange(n)
    if limit is not None and limit < n:
        # Everything as strong as the last one that has a place: which of equals stay is decided below.
        rows = np.flatnonzero(responses >= np.partition(responses, n - limit)[n - limit])
        keypoints = [keypoints[row] for row in rows.tolist()]
        responses = responses[rows]
    points = np.empty((len(rows), 4), np.float32)
    octaves, class_ids = np.zeros((2, len(rows)), np.int32)
    if len(rows):
        points[:, :2] = KeyPoint.convert(keypoints)
        fields = (points[:, 2], points[:, 3], octaves, class_ids)
        for read, field in zip(_FIELDS, fields, strict=True):
            field[:] = np.fromiter(map(read, keypoints), field.dtype, len(rows))
    order = by_strength(points, responses, limit)
    return (points[order], responses[order], octaves[order], class_ids[order]), rows[order]


def whole_pixels(keypoints: Sequence[Any], limit: int | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return places (n, 2) and strengths (n,) of keypoints on whole pixels, sorted as by ``by_strength``.

    They have no other field of interest, and one number says which comes first: this is for detectors that take no
    longer than reading what they found.
    """
    n = len(keypoints)
    if n == 0:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    responses = np.fromiter(map(_RESPONSE, keypoints), np.float32, n)
    places = KeyPoint.convert(keypoints)
    if limit is not None and limit < n:
        rows = np.flatnonzero(responses >= np.partition(responses, n - limit)[n - limit])
        places, responses = places[rows], responses[rows]
    # Whole gray levels before rows before columns; sides are below 2^20.
    key = (places[:, 1].astype(np.int64) << 20) + places[:, 0].astype(np.int64) - (responses.astype(np.int64) << 40)
    order = np.argsort(key)[:limit]
    return places[order], responses[order]


def to_keypoints(detections: Detections, *, factor: float = 1.0) -> list[Any]:
    """Turn points into OpenCV's keypoints, with their row as the class; sizes are multiplied by ``factor``."""
    x, y, size, angle = (column.tolist() for column in detections.points.T)
    if factor != 1.0:
        size = (detections.points[:, 2] * np.float32(factor)).tolist()
    fields = (x, y, size, angle, detections.responses.tolist(), detections.octaves.tolist(), range(len(x)))
    return list(map(KeyPoint, *fields))


def plain_points(found: object, name: str) -> NDArray[np.float32]:
    """Return what ``Detections.of`` takes as ``points``, in the order in which it was given."""
    if isinstance(found, Detections):
        return found.points
    if _are_keypoints(found):
        found = [(*keypoint.pt, keypoint.size, keypoint.angle) for keypoint in found]
    rule = f"{name} must return points of shape (n, 2), (n, 3) or (n, 4), cv2.KeyPoints or Detections"
    try:
        given = np.asarray(np.zeros((0, 2)) if isinstance(found, Sequence) and not len(found) else found, np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{rule}, got {type(found).__name__}") from None
    if given.ndim != 2 or given.shape[1] not in (2, 3, 4):
        raise ValueError(f"{rule}, got {type(found).__name__} of shape {given.shape}")
    points = np.tile(np.array([0, 0, 32, -1], np.float32), (len(given), 1))
    points[:, : given.shape[1]] = given
    if not np.isfinite(points).all() or not (points[:, 2] > 0).all():
        raise ValueError(f"{name} must return finite points with sizes above 0")
    points[:, 3] = np.where(points[:, 3] < 0, -1, points[:, 3] % 360)
    return points


def _are_keypoints(found: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(found, Sequence) and len(found) > 0 and all(isinstance(one, KeyPoint) for one in found)
