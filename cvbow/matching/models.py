"""Maps between two images, and how far a match is from agreeing with one.

R. Hartley and A. Zisserman, "Multiple View Geometry in Computer Vision", 2nd ed., sections 4.2 and 11.4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_choice

#: Models, and the number of matches that determine one.
MODELS = {"affine": 3, "homography": 4, "fundamental": 7}


def geometry_errors(matrix: ArrayLike, a: ArrayLike, b: ArrayLike, *, model: str) -> NDArray[np.float64]:
    """Return how far each match is from agreeing with a model.

    Parameters
    ----------
    matrix : array of shape (3, 3)
    a, b : array of shape (m, 2)
        Matched points, x, y in pixels.
    model : {"homography", "affine", "fundamental"}

    Returns
    -------
    ndarray of shape (m,), float64
        Pixels. For a homography and an affine map the symmetric transfer error, the root mean square of the distances
        ``|b - H a|`` and ``|a - H^-1 b|``; infinite beyond the horizon. For a fundamental matrix the Sampson distance,
        to first order how far the points have to move to agree.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.matching import geometry_errors
    >>> geometry_errors(np.eye(3), [[0, 0], [5, 5]], [[0, 0], [8, 9]], model="homography").tolist()
    [0.0, 5.0]
    """
    check_choice("model", model, MODELS)
    matrix = np.asarray(matrix, np.float64)
    points_a, points_b = check_points("a", a), check_points("b", b)
    if model == "fundamental":
        return _sampson(matrix, points_a, points_b)
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full(len(points_a), np.inf)
    forth = transform_points(matrix, points_a) - points_b
    back = transform_points(inverse, points_b) - points_a
    with np.errstate(over="ignore"):
        errors: NDArray[np.float64] = np.sqrt(((forth**2).sum(axis=1) + (back**2).sum(axis=1)) / 2)
    return errors


def transform_points(matrix: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Map points by a homography or an affine map.

    Parameters
    ----------
    matrix : array of shape (3, 3)
    points : array of shape (m, 2)
        x, y in pixels.

    Returns
    -------
    ndarray of shape (m, 2), float64
        Infinite where a point goes beyond the horizon: where its third coordinate is 0 or has another sign than
        ``det(H)``. A map that keeps orientation puts such a point behind the camera.

    Examples
    --------
    >>> from cvbow.matching import transform_points
    >>> transform_points([[2, 0, 10], [0, 2, 0], [0, 0, 1]], [[0, 0], [3, 4]]).tolist()
    [[10.0, 0.0], [16.0, 8.0]]
    """
    matrix, points = np.asarray(matrix, np.float64), check_points("points", points)
    (a, b, _), (c, d, _), last = matrix.tolist()
    if last == [0, 0, 1] and a * d > b * c:
        # An affine map that keeps orientation has no horizon.
        return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2], np.float64)
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    # Of the two signs that a homography may be written with, the one that keeps orientation in front of the camera.
    w = mapped[:, 2] * np.copysign(1.0, np.linalg.det(matrix))
    ahead = w > 1e-12 * np.abs(matrix).max(initial=0.0)
    result = np.full(points.shape, np.inf)
    np.divide(mapped[:, :2], mapped[:, 2:], out=result, where=ahead[:, None])
    return result


def check_points(name: str, points: ArrayLike) -> NDArray[np.float64]:
    """Return points as float64 of shape (m, 2); ValueError where they are something else."""
    array = np.asarray(points, np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name} must have shape (m, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers, got {array[~np.isfinite(array).all(axis=1)][0]}")
    return array


def _sampson(matrix: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    homogeneous_a = np.column_stack([a, np.ones(len(a))])
    homogeneous_b = np.column_stack([b, np.ones(len(b))])
    lines_b, lines_a = homogeneous_a @ matrix.T, homogeneous_b @ matrix
    residual = np.abs(np.einsum("ij,ij->i", homogeneous_b, lines_b))
    slope = np.sqrt((lines_b[:, :2] ** 2).sum(axis=1) + (lines_a[:, :2] ** 2).sum(axis=1))
    # Where both points are the epipoles, any match agrees.
    far = np.where(residual > 0, np.inf, 0.0)
    distances: NDArray[np.float64] = np.divide(residual, slope, out=far, where=slope > 0)
    return distances
