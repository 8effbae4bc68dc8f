"""Which of the points that a detector found are kept: the strongest, or strong ones all over the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SELECTIONS = ("strongest", "anms")
#: A point that is not stronger than another by this much does not suppress it (Brown et al., section 3).
ROBUSTNESS = 0.9
#: Points compared pair by pair; from this many on, a tree finds the nearest one.
_BLOCK = 64
#: Of a coordinate, by which places are put in order.
_BITS = 12


def by_strength(
    points: NDArray[np.float32], responses: NDArray[np.float32], limit: int | None = None
) -> NDArray[np.intp]:
    """Return the rows of the strongest ``limit`` points, the strongest first.

    Equally strong ones stand from top to bottom, left to right, by size, and by angle, so that a limit keeps the same
    points whatever the order they were found in.
    """
    order = np.argsort(-responses, kind="stable")
    falling = responses[order]
    same = falling[1:] == falling[:-1]
    if same.any():
        # Only those that are as strong as a neighbour change their places, among themselves.
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        rows = order[tied]
        x, y, size, angle = points[rows].T
        order[tied] = rows[np.lexsort((angle, size, x, y, -responses[rows]))]
    return order[:limit]


def well_spread(points: NDArray[np.float32], responses: NDArray[np.float32], n: int) -> NDArray[np.intp]:
    """Return the rows, rising, of the ``n`` points with the largest suppression radius; the strongest come first.

    Of equally strong points with one radius, as all points of a grid are, those stay that lie all over.

    M. Brown, R. Szeliski and S. Winder, "Multi-image matching using multi-scale oriented patches", CVPR 2005.
    """
    if n >= len(points):
        return np.arange(len(points))
    radii = suppression_radii(points[:, :2], responses)
    order = np.argsort(-radii, kind="stable")
    last = order[n - 1]
    tied = np.flatnonzero((radii[order] == radii[last]) & (responses[order] == responses[last]))
    order[tied] = order[tied][all_over(points[order[tied], :2], n - tied[0])]
    return np.sort(order[:n])


def all_over(places: NDArray[np.float32], n: int) -> NDArray[np.intp]:
    """Return the positions of places (m, 2), ``n`` that leave out no part of them first.

    They are every so many-th along a curve that fills the plane, on which neighbours are near to each other (G. Morton,
    "A computer oriented geodetic data base and a new technique in file sequencing", 1966).
    """
    shifted = places.astype(np.float64) - places.min(axis=0)
    cells = (shifted * ((1 << _BITS) - 1) / max(float(shifted.max()), 1e-9)).astype(np.int64)
    shifts = np.arange(_BITS)
    bits = (cells[..., None] >> shifts) & 1
    along = np.argsort((bits << (2 * shifts + np.array([[0], [1]]))).sum(axis=(1, 2)), kind="stable")
    chosen = (2 * np.arange(n) + 1) * len(places) // (2 * n)
    return np.concatenate([along[chosen], np.delete(along, chosen)])


def suppression_radii(places: NDArray[np.float32], responses: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance (n,) of each place (n, 2) to the nearest one that is clearly stronger; responses are falling.

    r_i = min |x_i - x_j| over those j with responses[i] < 0.9 * responses[j]; infinite where there is none.

    Those that can suppress a point are the first so many, since the points are sorted. Such a beginning is put together
    from blocks whose sizes are powers of two, each with a k-d tree: n log^2 n instead of n^2.
    """
    from scipy.spatial import cKDTree

    n = len(places)
    places = np.asarray(places, np.float64)
    strength = np.asarray(responses, np.float64)
    radii = np.full(n, np.inf)
    # How many of the first suppress a point; it never falls.
    counts = np.searchsorted(-ROBUSTNESS * strength, -strength, side="left")
    size = _BLOCK
    while size <= n:
        used = np.flatnonzero(counts & size)
        starts = counts[used] // (2 * size) * (2 * size)
        for part in np.split(used, np.flatnonzero(np.diff(starts)) + 1):
            if len(part):
                start = counts[part[0]] // (2 * size) * (2 * size)
                nearest = cKDTree(places[start : start + size]).query(places[part])[0]
                radii[part] = np.minimum(radii[part], nearest)
        size *= 2
    rest = np.flatnonzero(counts % _BLOCK)
    for part in np.split(rest, np.flatnonzero(np.diff(counts[rest] // _BLOCK)) + 1):
        if len(part):
            start = counts[part[0]] // _BLOCK * _BLOCK
            block = places[start : counts[part].max()]
            apart = np.linalg.norm(places[part, None] - block[None], axis=2)
            apart[np.arange(start, start + len(block)) >= counts[part, None]] = np.inf
            radii[part] = np.minimum(radii[part], apart.min(axis=1))
    return radii
