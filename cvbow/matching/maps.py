"""Maps of the plane fitted by least squares to matches that are taken to be right.

R. Hartley and A. Zisserman, "Multiple View Geometry in Computer Vision", 2nd ed., section 4.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: Points whose spread across their main direction is below this, over the size of the image, are on a line.
_LINE = 1e-4

Points = NDArray[np.float64]


def derivative(matrix: Points) -> Points:
    """Return the derivative of a map at (0, 0), shape (2, 2)."""
    corner = matrix[2, 2]
    return np.asarray((matrix[:2, :2] - np.outer(matrix[:2, 2], matrix[2, :2]) / corner) / corner)


def stretches(linear: Points) -> tuple[float, float]:
    """Return the singular values of a 2x2 matrix, the larger one first; the smaller is negative where it mirrors."""
    (a, b), (c, d) = linear.tolist()
    mean, turned = math.hypot(a + d, b - c) / 2, math.hypot(a - d, b + c) / 2
    return mean + turned, mean - turned


def across(points: Points) -> Points:
    """Return how far points are from the line through their middle along which they spread most, shape (n,); signed."""
    x, y = (points - points.mean(axis=0)).T
    angle = math.atan2(2 * float(x @ y), float(x @ x) - float(y @ y)) / 2
    return np.asarray(math.cos(angle) * y - math.sin(angle) * x, np.float64)


def spread(points: Points) -> float:
    """Return the standard deviation of points across the direction in which they spread most."""
    distances = across(points)
    return math.sqrt(float(distances @ distances) / len(points))


def fit_similarity(a: Points, b: Points, weights: Points) -> Points | None:
    """Return the similarity (turn, zoom, shift) from points a to b; None where they are all in one place."""
    total = weights.sum()
    if not total > 0:
        return None
    middle_a, middle_b = weights @ a / total, weights @ b / total
    a, b = a - middle_a, b - middle_b
    size = float(weights @ (a * a).sum(axis=1))
    if size <= _LINE**2 * total:
        return None
    c = float(weights @ (a * b).sum(axis=1)) / size
    s = float(weights @ (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / size
    return _joined(np.array([[c, -s], [s, c]]), middle_a, middle_b)


def fit_affine(a: Points, b: Points, weights: Points) -> Points | None:
    """Return the affine map from points a to b; None where they are all on a line."""
    total = weights.sum()
    if not total > 0:
        return None
    middle_a, middle_b = weights @ a / total, weights @ b / total
    a, b = a - middle_a, b - middle_b
    weighted = (a * weights[:, None]).T
    (xx, xy), (_, yy) = (weighted @ a).tolist()
    if (xx + yy - math.hypot(xx - yy, 2 * xy)) / 2 <= _LINE**2 * total:
        return None
    inverse = np.array([[yy, -xy], [-xy, xx]]) / (xx * yy - xy * xy)
    return _joined((inverse @ (weighted @ b)).T, middle_a, middle_b)


def _joined(linear: Points, middle_a: Points, middle_b: Points) -> Points:
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, middle_b - linear @ middle_a
    return matrix


def fit_homography(a: Points, b: Points) -> Points | None:
    """Return the homography from points a to b, scaled to ``H[2, 2] = 1``; None where they do not determine it.

    The normalised direct linear transform (algorithm 4.2).
    """
    values, vectors, to_a, to_b = _direct_linear(a, b)
    # Two null directions: all but one of the points are on a line.
    if values[1] <= 1e-10 * values[-1]:
        return None
    matrix = np.linalg.inv(to_b) @ vectors[:, 0].reshape(3, 3) @ to_a
    return np.asarray(matrix / matrix[2, 2]) if abs(matrix[2, 2]) > 1e-9 * np.abs(matrix).max() else None


def other_homography(a: Points, b: Points) -> float:
    """Return by how much the best homography that is quite another than `fit_homography` finds misses the points.

    The root mean square, roughly in the unit of `b`; near 0 where all points but one are on a line.
    """
    values, _, _, to_b = _direct_linear(a, b)
    return math.sqrt(max(float(values[1]), 0.0) / len(a)) / float(to_b[0, 0])


def _direct_linear(a: Points, b: Points) -> tuple[Points, Points, Points, Points]:
    """Return the squared misfits (9,) of homographies, the least first; these, as columns (9, 9), between normalised
    points; and the maps that normalise a and b.
    """
    (a, to_a), (b, to_b) = _isotropic(a), _isotropic(b)
    design = np.zeros((2 * len(a), 9))
    design[::2, 0:2], design[::2, 2] = a, 1
    design[1::2, 3:5], design[1::2, 5] = a, 1
    design[::2, 6:8], design[::2, 8] = -b[:, :1] * a, -b[:, 0]
    design[1::2, 6:8], design[1::2, 8] = -b[:, 1:] * a, -b[:, 1]
    values, vectors = np.linalg.eigh(design.T @ design)
    return values, vectors, to_a, to_b


def _isotropic(points: Points) -> tuple[Points, Points]:
    """Return points moved to the centre and scaled to a mean square distance of 2 from it, and the map that does it."""
    middle = points.mean(axis=0)
    scale = math.sqrt(2) / max(math.sqrt(float(((points - middle) ** 2).sum(axis=1).mean())), 1e-12)
    to = np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])
    return (points - middle) * scale, to
