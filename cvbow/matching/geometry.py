"""The geometry of two views: a homography, an affine map or a fundamental matrix from matches with outliers.

D. Barath, J. Noskova, M. Ivashechkin and J. Matas, "MAGSAC++, a fast, reliable and accurate robust estimator", CVPR
2020 (how models are found); L. Moisan and B. Stival, "A probabilistic criterion to detect rigid point matches between
two images and estimate the fundamental matrix", IJCV 2004 (which model is more than chance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_choice, check_int, check_real
from cvbow.matching.evidence import distinct_matches, undetermined
from cvbow.matching.models import MODELS, check_points, geometry_errors

#: Refitting to the inliers ends when they no longer change, or after so many rounds.
_REFITS = 10
#: A map that changes areas by more than this, in either direction, is none that a camera makes of a readable scene.
_MAX_AREA_CHANGE = 1e4

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """A model of two views, and how well each match agrees with it.

    Attributes
    ----------
    model : str
        One of ``MODELS``.
    matrix : ndarray of shape (3, 3), float64, or None
        None where no model was found. A homography ``b ~ H a``, scaled to ``H[2, 2] = 1`` unless that is near 0 (then
        to norm 1); an affine map, with the last row 0, 0, 1; or a fundamental matrix, ``b' F a = 0``, of norm 1.
    inliers : ndarray of shape (m,), bool
        Errors of at most the threshold; all False without a model.
    errors : ndarray of shape (m,), float64
        See ``geometry_errors``; infinite without a model.
    reason : str or None
        Why there is no model; None where there is one.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.matching import estimate_geometry
    >>> a = np.random.default_rng(0).uniform(0, 100, (20, 2))
    >>> found = estimate_geometry(a, a + (5, -3), model="affine")
    >>> (found.matrix.round(3) + 0).tolist()
    [[1.0, 0.0, 5.0], [0.0, 1.0, -3.0], [0.0, 0.0, 1.0]]
    >>> int(found.inliers.sum()), bool(found.errors.max() < 0.01)
    (20, True)
    """

    model: str
    matrix: NDArray[np.float64] | None
    inliers: NDArray[np.bool_]
    errors: NDArray[np.float64]
    reason: str | None = None


def estimate_geometry(
    a: ArrayLike,
    b: ArrayLike,
    *,
    model: str = "homography",
    threshold: float = 3.0,
    confidence: float = 0.999,
    max_iter: int = 10_000,
    min_inliers: int | None = None,
    random_state: int = 0,
) -> Geometry:
    """Estimate a model from matched points of which many may be wrong.

    OpenCV's MAGSAC++ finds it; it is then fitted to its inliers by least squares for as long as that gains any.

    Parameters
    ----------
    a, b : array of shape (m, 2)
        x, y of matched points in the two images, in pixels.
    model : {"homography", "affine", "fundamental"}, default "homography"
        A homography joins the images of a plane, or those of a camera that only turns; an affine map is that of a
        plane far away; a fundamental matrix joins two views of anything that does not move.
    threshold : float, default 3.0
        Largest error of an inlier, in pixels.
    confidence : float, default 0.999
        Wanted probability that a sample without outliers was among those drawn.
    max_iter : int, default 10_000
        Most samples drawn.
    min_inliers : int or None, default None
        With inliers at fewer places there is no model: those within `threshold` of each other, in either image, are at
        one. None: twice the number of matches that determine a model (6, 8 and 14), and not so few that as many are
        expected to agree by chance with some model among random matches.
    random_state : int, default 0
        Seed of the samples: the same matches give the same model.

    Returns
    -------
    Geometry
        Without a matrix, and with the reason, where there are too few matches, no plausible model has enough inliers,
        or these agree with quite other models too: all but one (for a homography two) lie on a line, or nearly so in
        proportion to the threshold; or, for a fundamental matrix, a homography agrees with them all. Maps that mirror
        the image, and those that send an inlier beyond the horizon or change areas there by more than a factor of
        10,000, are not plausible.

    Raises
    ------
    ValueError
        If a parameter breaks its rule.
    """
    check_choice("model", model, MODELS)
    check_real("threshold", threshold, minimum=0, open_minimum=True)
    check_real("confidence", confidence, minimum=0, maximum=1, open_minimum=True)
    check_int("max_iter", max_iter, minimum=1)
    check_int("min_inliers", min_inliers, minimum=1, none=True)
    check_int("random_state", random_state, minimum=0)
    points_a, points_b = check_points("a", a), check_points("b", b)
    if len(points_a) != len(points_b):
        raise ValueError(f"a and b must have as many points, got {len(points_a)} and {len(points_b)}")
    needed = max(MODELS[model], 2 * MODELS[model] if min_inliers is None else int(min_inliers))
    m = len(points_a)
    if m < needed:
        return _none(model, m, f"there are too few matches: {m}, and {needed} are needed")
    matrix = _search(points_a, points_b, model, threshold, confidence, max_iter, random_state)
    if matrix is None:
        return _none(model, m, "no model agrees with enough of the matches")
    matrix = _refit(points_a, points_b, matrix, model, threshold)
    errors = geometry_errors(matrix, points_a, points_b, model=model)
    inliers = errors <= threshold
    kept_a, kept_b = points_a[inliers], points_b[inliers]
    n_places = len(distinct_matches(kept_a, kept_b, threshold))
    if n_places < needed:
        counted = f"{len(kept_a)} matches at {n_places} places agree with the best one"
        return _none(model, m, f"{counted}, and {needed} places are needed")
    if min_inliers is None and _by_chance(points_a, points_b, n_places, model, threshold):
        return _none(model, m, f"as many matches as agree with the best one, at {n_places} places, agree by chance")
    if not _plausible(matrix, kept_a, model):
        return _none(model, m, "the best one mirrors the image, or shrinks or enlarges it beyond measure")
    reason = undetermined(model, kept_a, kept_b, threshold)
    return _none(model, m, reason) if reason else Geometry(model, matrix, inliers, errors)


def _none(model: str, m: int, reason: str) -> Geometry:
    return Geometry(model, None, np.zeros(m, bool), np.full(m, np.inf), reason)


def _search(
    a: Points,
    b: Points,
    model: str,
    threshold: float,
    confidence: float,
    max_iter: int,
    random_state: int,
) -> Points | None:
    if len(np.unique(a, axis=0)) < MODELS[model] or len(np.unique(b, axis=0)) < MODELS[model]:
        return None
    parameters = cv2.UsacParams()
    parameters.confidence = min(float(confidence), 1 - 1e-9)
    parameters.isParallel = False
    parameters.loIterations = 10
    parameters.loMethod = cv2.LOCAL_OPTIM_SIGMA
    parameters.loSampleSize = 50
    parameters.maxIterations = int(max_iter)
    parameters.randomGeneratorState = int(random_state) & 0x7FFFFFFF
    parameters.sampler = cv2.SAMPLING_UNIFORM
    parameters.score = cv2.SCORE_METHOD_MAGSAC
    parameters.threshold = float(threshold)
    estimate: Any = {
        "affine": lambda: cv2.estimateAffine2D(a, b, parameters),
        "homography": lambda: cv2.findHomography(a, b, parameters),
        "fundamental": lambda: cv2.findFundamentalMat(a, b, parameters),
    }[model]
    try:
        found = estimate()[0]
    except cv2.error:
        # Degenerate samples end in an assertion in some releases.
        return None
    return _normalized(found, model)


def _refit(a: Points, b: Points, matrix: Points, model: str, threshold: float) -> Points:
    """Fit to the inliers by least squares while they grow more, or stay as many with a smaller error."""
    best, errors = matrix, geometry_errors(matrix, a, b, model=model)
    for _ in range(_REFITS):
        inliers = errors <= threshold
        candidate = _least_squares(a[inliers], b[inliers], model)
        if candidate is None:
            break
        fitted = geometry_errors(candidate, a, b, model=model)
        if _cost(fitted, threshold) >= _cost(errors, threshold):
            break
        best, errors = candidate, fitted
    return best


def _cost(errors: Points, threshold: float) -> float:
    """Sum of squared errors in which an outlier counts as one at the threshold (MSAC)."""
    return float(np.minimum(errors, threshold) @ np.minimum(errors, threshold))


def _least_squares(a: Points, b: Points, model: str) -> Points | None:
    if len(a) < {"affine": 3, "homography": 4, "fundamental": 8}[model]:
        return None
    if model == "affine":
        design = np.column_stack([a, np.ones(len(a))])
        solution, _, rank, _ = np.linalg.lstsq(design, b, rcond=None)
        return np.vstack([solution.T, [0, 0, 1]]) if rank == 3 else None
    try:
        found = (
            cv2.findHomography(a, b, 0)[0] if model == "homography" else cv2.findFundamentalMat(a, b, cv2.FM_8POINT)[0]
        )
    except cv2.error:
        return None
    return _normalized(found, model)


def _normalized(found: Any, model: str) -> Points | None:
    """Return what OpenCV found as one finite 3x3 matrix in its documented scale, or None."""
    if found is None:
        return None
    matrix = np.asarray(found, np.float64)
    if model == "affine" and matrix.shape == (2, 3):
        matrix = np.vstack([matrix, [0, 0, 1]])
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return None
    norm = float(np.linalg.norm(matrix))
    if norm == 0:
        return None
    if model == "homography" and abs(matrix[2, 2]) > 1e-9 * norm:
        norm = float(matrix[2, 2])
    return matrix if model == "affine" else matrix / norm


def _by_chance(a: Points, b: Points, n_places: int, model: str, threshold: float) -> bool:
    """Whether at least one model with so many inliers is expected among random matches (Moisan and Stival, eq. 14).

    The expected number is (n - s) C(n, k) C(k, s) p^(k - s) for k inliers of n matches, s of which determine the model;
    p is the share of the second image, here the box around its points, that agrees with a point of the first. Matches
    count by their places.
    """
    n, k, s = len(distinct_matches(a, b, threshold)), n_places, MODELS[model]
    # Which matches stand for a place depends on the order, so that there may be one more of the inliers than of all.
    n = max(n, k)
    width, height = np.maximum(np.ptp(b, axis=0), 1.0)
    # A disc around a point, or a strip along a line, which is no longer than the diagonal.
    area = 2 * threshold * np.hypot(width, height) if model == "fundamental" else np.pi * threshold**2
    share = min(1.0, float(area / (width * height)))
    expected = math.log(max(n - s, 1)) + _log_choose(n, k) + _log_choose(k, s) + (k - s) * math.log(share)
    return expected > 0


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _plausible(matrix: Points, a: Points, model: str) -> bool:
    if model == "fundamental":
        return True
    determinant = float(np.linalg.det(matrix))
    w = a @ matrix[2, :2] + matrix[2, 2]
    # The map's change of area at a point is det(H) / w^3; finite errors have made sure that w is not 0.
    areas = determinant / w**3
    return bool((areas > 1 / _MAX_AREA_CHANGE).all() and (areas < _MAX_AREA_CHANGE).all())
