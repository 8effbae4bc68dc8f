"""How good detectors, descriptors and matches are, where the homography between two images of a plane is known.

C. Schmid, R. Mohr and C. Bauckhage, "Evaluation of interest point detectors", IJCV 2000 (repeatability by distance);
K. Mikolajczyk and C. Schmid, "A performance evaluation of local descriptors", PAMI 2005 (matching score); M. Dusmanu
et al., "D2-Net", CVPR 2019 (mean matching accuracy); V. Balntas et al., "HPatches", CVPR 2017, and D. DeTone et al.,
"SuperPoint", CVPR workshops 2018 (corner error).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow.features import Features
from cvbow.matching.models import transform_points


def transfer_errors(homography: ArrayLike, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the distances ``|b - H a|`` of matched points a and b, (m, 2) each, under the homography H, (3, 3).

    They are in pixels of the second image, (m,), float64.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.matching import transfer_errors
    >>> transfer_errors(np.eye(3), [[0, 0], [5, 5]], [[0, 1], [8, 9]]).tolist()
    [1.0, 5.0]
    """
    difference = transform_points(homography, a) - np.asarray(b, np.float64)
    return np.hypot(difference[:, 0], difference[:, 1])


def common_points(a: Features, b: Features, homography: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of ``a`` that fall into the image of ``b`` under ``homography``, and of ``b`` the other way."""
    forth = transform_points(homography, a.points[:, :2])
    back = transform_points(np.linalg.inv(np.asarray(homography, np.float64)), b.points[:, :2])
    return _inside(forth, b.image_size), _inside(back, a.image_size)


def repeatability(a: Features, b: Features, homography: ArrayLike, *, distance: float = 3.0) -> float:
    """Return the share of points that were found again: pairs that are each other's nearest within ``distance``.

    The number of pairs in the part that both images show is divided by the smaller number of points there (Schmid et
    al. 2000 with one-to-one pairs). Points of several orientations at one place count as one. Their sizes play no role,
    so that detectors without scale can be compared with others.

    Parameters
    ----------
    a, b : Features
    homography : array of shape (3, 3)
        The true map from ``a`` to ``b``.
    distance : float, default 3.0
        Pixels of the second image.

    Returns
    -------
    float
        From 0 to 1; 0 where one image has no point in the common part.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import SIFT
    >>> from cvbow.matching import repeatability
    >>> image = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8).repeat(8, 0).repeat(8, 1)
    >>> a, b = (SIFT().extract(part) for part in (image, image[:, 16:]))
    >>> repeatability(a, b, [[1, 0, -16], [0, 1, 0], [0, 0, 1]]) > 0.9
    True
    """
    rows_a, rows_b = common_points(a, b, homography)
    here, there = (np.unique(points[:, :2], axis=0) for points in (a.points[rows_a], b.points[rows_b]))
    fewer = min(len(here), len(there))
    if fewer == 0:
        return 0.0
    from scipy.spatial import KDTree

    mapped = transform_points(homography, here)
    distances, nearest = KDTree(there).query(mapped)
    back = KDTree(mapped).query(there)[1]
    return float(((distances <= distance) & (back[nearest] == np.arange(len(mapped)))).sum() / fewer)


def matching_score(
    a: Features, b: Features, pairs: NDArray[np.intp], homography: ArrayLike, *, distance: float = 3.0
) -> float:
    """Return the correct matches over the smaller number of points in the part that both images show.

    Parameters
    ----------
    a, b : Features
    pairs : ndarray of shape (m, 2), intp
        The matches: rows of ``a`` and of ``b``.
    homography : array of shape (3, 3)
        The true map from ``a`` to ``b``.
    distance : float, default 3.0
        A match is correct when it is at most so many pixels from where the homography sends it.

    Returns
    -------
    float
        From 0 to 1; 0 where one image has no point in the common part.
    """
    fewer = min(map(len, common_points(a, b, homography)))
    errors = transfer_errors(homography, a.points[pairs[:, 0], :2], b.points[pairs[:, 1], :2])
    # A match with a point that lies outside by a rounding may be one more than there are points inside.
    return min(1.0, float((errors <= distance).sum()) / fewer) if fewer else 0.0


def matching_accuracy(errors: ArrayLike, thresholds: ArrayLike = tuple(range(1, 11))) -> NDArray[np.float64]:
    """Return the share of matches with an error of at most each threshold, (t,) float64; 0 where there is no match.

    The errors (m,) are those of ``transfer_errors``; errors and thresholds (t,), by default 1 to 10, are in pixels.

    Examples
    --------
    >>> from cvbow.matching import matching_accuracy
    >>> matching_accuracy([0.5, 1.5, 20], thresholds=[1, 3]).round(2).tolist()
    [0.33, 0.67]
    """
    errors, limits = np.asarray(errors, np.float64), np.asarray(thresholds, np.float64)
    if len(errors) == 0:
        return np.zeros(len(limits))
    return np.asarray((errors[:, None] <= limits).mean(axis=0))


def corner_error(found: ArrayLike | None, homography: ArrayLike, image_size: tuple[int, int]) -> float:
    """Return the mean distance of an image's corners under the found and under the true homography, in pixels.

    The corners are the centres of the corner pixels; ``image_size`` is the width and height of the first image. None,
    no homography found, is infinitely wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.matching import corner_error
    >>> corner_error([[1, 0, 3], [0, 1, 4], [0, 0, 1]], np.eye(3), (640, 480))
    5.0
    """
    if found is None:
        return float("inf")
    width, height = image_size
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
    true, other = transform_points(homography, corners), transform_points(found, corners)
    if not np.isfinite(true).all():
        raise ValueError("homography must keep the image's corners in front of the camera")
    return float(np.hypot(*(other - true).T).mean())


def _inside(points: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.intp]:
    width, height = image_size
    # Pixel centres sit at integers: an image reaches from -1/2 to its size less 1/2.
    x, y = points.T
    return np.flatnonzero((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5))
