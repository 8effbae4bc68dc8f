"""Spatial re-ranking: whether the words that two images share lie in the same arrangement.

J. Philbin, O. Chum, M. Isard, J. Sivic and A. Zisserman, "Object retrieval with large vocabularies and fast spatial
matching", CVPR 2007: one match of two local features, which have a place, a size and an angle, gives a whole
similarity, so that all hypotheses can be tried. The best of them are fitted anew to what agrees with them, as an affine
map and as a homography (O. Chum, J. Matas and J. Kittler, "Locally optimized RANSAC", DAGM 2003).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int, check_real
from cvbow.matching.evidence import distinct_matches, undetermined
from cvbow.matching.maps import derivative, fit_affine, fit_homography, fit_similarity, stretches
from cvbow.matching.models import transform_points
from cvbow.retrieval.hamming_embedding import hamming_distances
from cvbow.retrieval.quantized import stored_points

VERIFICATION_MODELS = ("similarity", "affine", "homography")

#: Hypotheses that are tried, at most: those of the matches whose change of size and turn most others have too.
_HYPOTHESES = 128
#: Hypotheses that are refined, and the tolerances of the rounds in which one is, over the given one: a similarity from
#: one match is a coarse guess.
_REFINED, _ROUNDS = 3, (3.0, 2.0, 1.2, 1.0)
_HOMOGRAPHY_ROUNDS = (2.0, 1.5, 1.0)
#: A match agrees with a map only if its change of size and its turn do: octaves, radians.
_OCTAVES, _RADIANS = 1.0, np.pi / 4
#: Maps that a camera would hardly make: changes of size beyond this, in either direction; a square turned into a
#: parallelogram as long as this many times its width; lengths that differ by this much over the inliers (perspective).
_MAX_ZOOM, _MAX_STRETCH, _MAX_PERSPECTIVE = 10.0, 4.0, 4.0
#: Inliers before a homography is tried: with fewer its two more parameters fit noise.
_FOR_HOMOGRAPHY = 8
#: A word with more matches than this between the two images (a texture's) says nothing of where things are; so many
#: times as many where the query's features have several words each.
_MOST_PER_WORD = 64
#: Matches of one feature that are kept, those with the nearest signatures.
_PER_FEATURE = 4
#: Matches that are kept in all: those of the words with the fewest.
_MOST = 4000


@dataclass(frozen=True, eq=False)
class Verification:
    """What two images have in common, by the arrangement of their words.

    Attributes
    ----------
    n_inliers : int
        Pairs of features that agree with the map; no place of either image counts twice. 0 without a map.
    score : float
        Inliers, each weighted by how well it agrees (1 for an error of 0, down to 0 at the tolerance): what images are
        ranked by, finer than the number. 0 without a map.
    matrix : ndarray of shape (3, 3), float64, or None
        The map from pixels of the query to pixels of the candidate, with a last row of 0, 0, 1 unless it is a
        homography; None where there is none.
    pairs : ndarray of shape (n_inliers, 2), int64
        Rows of the inliers among the features of the query and of the candidate, ascending.
    points : ndarray of shape (n_inliers, 4), float32
        Where the features of each pair are, in pixels: x, y in the query and x, y in the candidate.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import Features
    >>> from cvbow.retrieval import quantize, verify
    >>> random = np.random.default_rng(0)
    >>> places = random.uniform(0, 150, (30, 2))
    >>> def stored(places):
    ...     points = np.column_stack([places, np.full(30, 10), np.zeros(30)]).astype(np.float32)
    ...     return quantize(Features(points, np.zeros((30, 1), np.float32), (200, 200)), np.arange(30, dtype=np.int32))
    >>> found = verify(stored(places), stored(places + (20, 10)))
    >>> found.n_inliers, found.matrix.round().astype(int).tolist()
    (30, [[1, 0, 20], [0, 1, 10], [0, 0, 1]])
    """

    n_inliers: int
    score: float
    matrix: NDArray[np.float64] | None
    pairs: NDArray[np.int64]
    points: NDArray[np.float32]


def verify(
    query: Mapping[str, NDArray[Any]],
    candidate: Mapping[str, NDArray[Any]],
    *,
    model: str = "affine",
    tolerance: float = 0.012,
    max_hamming: int = 28,
    min_inliers: int = 6,
) -> Verification:
    """Verify two images: look for a map that brings their common words to the same places.

    Parameters
    ----------
    query, candidate : mapping
        Local words: ``words``, ``places``, ``shapes``, ``image_size`` and maybe ``signatures``, as ``quantize`` makes
        them.
    model : {"similarity", "affine", "homography"}, default "affine"
        The map. A homography is kept only where it has more to show for itself than the affine map it grew from.
    tolerance : float, default 0.012
        Largest error of an inlier: the root mean square of the errors in both images, each as a share of that image's
        longer side. 0.012 is 6 pixels of 500.
    max_hamming : int, default 28
        Features of one word match if at most so many bits of their signatures differ; without signatures, all do. More
        than what scores allow (20): where geometry decides, a wrong match costs little and a right one is evidence.
    min_inliers : int, default 6
        With inliers at fewer places there is no map: those within the tolerance of each other, in either image, are at
        one.

    Returns
    -------
    Verification
        Without a map where there are too few matches, all but one lie on a line or in one place, or nearly so in
        proportion to the tolerance, or the map is none that a camera would make: mirrored, zoomed by more than a factor
        of 10, stretched by more than 4.

    Raises
    ------
    ValueError
        If a parameter breaks its rule.
    """
    check_verification(model, tolerance, max_hamming, min_inliers)
    nothing = Verification(0, 0.0, None, np.empty((0, 2), np.int64), np.empty((0, 4), np.float32))
    pairs = shared_words(query, candidate, max_hamming=max_hamming)
    if len(pairs) < min_inliers:
        return nothing
    matches = _Matches(query, candidate, pairs)
    best = nothing
    for support, hypothesis in matches.hypotheses(tolerance):
        # The support, taken with a wide tolerance, is hardly less than the inliers that will come of it.
        if support <= best.score:
            break
        for matrix in matches.refined(hypothesis, model, tolerance):
            inliers, score = matches.unique_inliers(matrix, tolerance)
            if score > best.score and matches.convincing(matrix, inliers, tolerance, min_inliers):
                found = matches.in_pixels(matrix), pairs[inliers], matches.points[inliers]
                best = Verification(len(inliers), score, *found)
    return best


def check_verification(model: str, tolerance: float, max_hamming: int, min_inliers: int) -> None:
    """Raise ValueError if a parameter of ``verify`` breaks its rule."""
    check_choice("model", model, VERIFICATION_MODELS)
    check_real("tolerance", tolerance, minimum=0, open_minimum=True)
    check_int("max_hamming", max_hamming, minimum=0)
    check_int("min_inliers", min_inliers, minimum=3)


def shared_words(
    query: Mapping[str, NDArray[Any]], candidate: Mapping[str, NDArray[Any]], *, max_hamming: int
) -> NDArray[np.int64]:
    """Return rows of features that may be the same thing, shape (m, 2), ascending.

    ``words`` are ascending. A query may have several for each of its features, and then ``nearest``. Where both have
    signatures, up to ``max_hamming`` bits may differ.
    """
    a, b = np.asarray(query["words"]), np.asarray(candidate["words"])
    first = np.searchsorted(b, a, "left")
    counts = np.searchsorted(b, a, "right") - first
    rows = np.flatnonzero(counts)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    own = np.searchsorted(a, a[rows], "right") - np.searchsorted(a, a[rows], "left")
    per_word = own * counts[rows]
    assigned = len(a) // max(int(np.count_nonzero(query["nearest"])), 1) if "nearest" in query else 1
    few = per_word <= _MOST_PER_WORD * assigned
    rows, per_word = rows[few], per_word[few]
    if counts[rows].sum() > _MOST:
        order = np.argsort(per_word, kind="stable")
        order = order[np.cumsum(counts[rows[order]]) <= _MOST]
        rows = rows[np.sort(order)]
    counts, first = counts[rows], first[rows]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    left, right = np.repeat(rows, counts), np.repeat(first, counts) + within
    if "signatures" in query and "signatures" in candidate:
        distances = hamming_distances(query["signatures"][left], candidate["signatures"][right])
        near = np.flatnonzero(distances <= max_hamming)
        order = near[np.lexsort((right[near], distances[near], left[near]))]
        if len(order):
            # The place of each in its feature's queue.
            start = np.flatnonzero(np.diff(left[order], prepend=-1))
            queue = np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order)))
            order = np.sort(order[queue < _PER_FEATURE])
        left, right = left[order], right[order]
    return np.column_stack([left, right]).astype(np.int64)


class _Matches:
    """Matched features, in coordinates over the longer sides of their images, around the centres."""

    def __init__(
        self, query: Mapping[str, NDArray[Any]], candidate: Mapping[str, NDArray[Any]], pairs: NDArray[np.int64]
    ) -> None:
        points_a, self.a, log_a, angle_a, self.place_a, self.to_a = _normalized(query, pairs[:, 0])
        points_b, self.b, log_b, angle_b, self.place_b, self.to_b = _normalized(candidate, pairs[:, 1])
        #: In pixels: x, y of both.
        self.points = np.hstack([points_a, points_b])
        #: Change of size in octaves, and the turn as a unit vector.
        self.octaves = log_b - log_a
        self.turns = np.exp(1j * (angle_b - angle_a))
        # A place with several matches counts once in all.
        self.weights = 1 / np.maximum(np.bincount(self.place_a)[self.place_a], np.bincount(self.place_b)[self.place_b])

    def hypotheses(self, tolerance: float) -> list[tuple[float, NDArray[np.float64]]]:
        """Return the similarities of single matches that most others agree with, as 3x3 matrices, the best first."""
        a, b = self.a.view(np.complex128)[:, 0], self.b.view(np.complex128)[:, 0]
        chosen = self._promising()
        slope = np.exp2(self.octaves[chosen]) * self.turns[chosen]
        shift = b[chosen] - slope * a[chosen]
        # |slope a + shift - b|^2, of all hypotheses and all matches, is one product of matrices.
        zoom = np.abs(slope) ** 2
        left = np.column_stack(
            [zoom, np.abs(shift) ** 2 + 0j, np.ones(len(chosen)), slope * shift.conj(), slope, shift]
        )
        right = np.stack([np.abs(a) ** 2, np.ones(len(a)), np.abs(b) ** 2, 2 * a, -2 * a * b.conj(), -2 * b.conj()])
        squares = left.real @ right.real - left.imag @ right.imag
        # The mean with the error in the other direction, which is the same over the zoom.
        agree = squares * ((1 + 1 / zoom) / 2)[:, None] <= (_ROUNDS[0] * tolerance) ** 2
        support = agree @ self.weights
        found = []
        for _ in range(min(_REFINED, len(chosen))):
            best = int(support.argmax())
            if support[best] <= 0:
                break
            s, t = slope[best], shift[best]
            matrix = np.array([[s.real, -s.imag, t.real], [s.imag, s.real, t.imag], [0, 0, 1]])
            found.append((float(support[best]), matrix))
            # The next one must come from a match that does not agree with this one.
            support[agree[best, chosen]] = 0
        return found

    def _promising(self) -> NDArray[np.int64]:
        """Return the matches whose change of size and turn are the most common, at most so many as will be tried."""
        usable = np.flatnonzero(np.abs(self.octaves) <= math.log2(_MAX_ZOOM))
        if len(usable) <= _HYPOTHESES:
            return usable
        # Half octaves and twelfths of a turn, with their neighbours (weak geometric consistency: Jegou et al., 2008).
        octave = np.floor(2 * self.octaves[usable]).astype(np.int64) + 8
        sector = np.floor(np.angle(self.turns[usable]) * (6 / np.pi)).astype(np.int64) % 12
        votes = np.bincount(octave * 12 + sector, self.weights[usable], minlength=17 * 12).reshape(17, 12)
        padded = np.pad(votes, ((1, 1), (0, 0)))
        votes = padded[:-2] + padded[1:-1] + padded[2:]
        votes = votes + np.roll(votes, 1, axis=1) + np.roll(votes, -1, axis=1)
        order = np.argsort(-votes[octave, sector], kind="stable")
        return usable[order[:_HYPOTHESES]]

    def refined(self, matrix: NDArray[np.float64], model: str, tolerance: float) -> list[NDArray[np.float64]]:
        """Return the map, fitted again and again to what agrees with it; for a homography the affine map as well."""
        fit = fit_similarity if model == "similarity" else fit_affine
        for share in _ROUNDS:
            rows = self._agreeing(matrix, share * tolerance)[0]
            fitted = fit(self.a[rows], self.b[rows], self.weights[rows])
            if fitted is None:
                return []
            matrix = fitted
        if model != "homography":
            return [matrix]
        homography = matrix
        for share in _HOMOGRAPHY_ROUNDS:
            rows = self._agreeing(homography, share * tolerance)[0]
            fitted = fit_homography(self.a[rows], self.b[rows]) if len(rows) >= _FOR_HOMOGRAPHY else None
            if fitted is None:
                return [matrix]
            homography = fitted
        return [matrix, homography]

    def _agreeing(self, matrix: NDArray[np.float64], tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return which matches agree with a map in place, size and angle, and their squared symmetric errors."""
        linear = derivative(matrix)
        (a, b), (c, d) = linear.tolist()
        area = a * d - b * c
        if not area > 1e-9:
            return np.empty(0, np.int64), np.empty(0)
        forth = transform_points(matrix, self.a) - self.b
        if matrix[2, 0] == 0 and matrix[2, 1] == 0:
            back = forth @ (np.array([[d, -b], [-c, a]]) / area).T
        else:
            back = transform_points(np.asarray(np.linalg.inv(matrix), np.float64), self.b) - self.a
        squares = (np.einsum("ij,ij->i", forth, forth) + np.einsum("ij,ij->i", back, back)) / 2
        zoom, turn = math.log2(area) / 2, complex(a + d, c - b) / math.hypot(a + d, c - b)
        rows = np.flatnonzero(
            (squares <= tolerance**2)
            & (np.abs(self.octaves - zoom) <= _OCTAVES)
            & ((self.turns * turn.conjugate()).real >= math.cos(_RADIANS))
        )
        return rows, squares[rows]

    def unique_inliers(self, matrix: NDArray[np.float64], tolerance: float) -> tuple[NDArray[np.int64], float]:
        """Return matches that agree with a map, no place twice, the better of two first; and the sum of their worth."""
        rows, squares = self._agreeing(matrix, tolerance)
        order = np.argsort(squares, kind="stable")
        order = order[np.sort(np.unique(self.place_a[rows[order]], return_index=True)[1])]
        order = order[np.unique(self.place_b[rows[order]], return_index=True)[1]]
        order = np.sort(order)
        return rows[order], float((1 - squares[order] / tolerance**2).sum())

    def convincing(
        self, matrix: NDArray[np.float64], inliers: NDArray[np.int64], tolerance: float, min_inliers: int
    ) -> bool:
        """Whether a camera may have made the map, and the inliers are at enough places, far enough apart, to tell."""
        a, b = self.a[inliers], self.b[inliers]
        if len(inliers) < min_inliers or len(distinct_matches(a, b, tolerance, most=min_inliers)) < min_inliers:
            return False
        high, low = stretches(derivative(matrix))
        if high > _MAX_ZOOM or low < 1 / _MAX_ZOOM or high > _MAX_STRETCH * low:
            return False
        depth = a @ matrix[2, :2] + matrix[2, 2]
        if depth.min() <= 0 or depth.max() > _MAX_PERSPECTIVE * depth.min():
            return False
        return undetermined("homography" if matrix[2, :2].any() else "affine", a, b, tolerance) is None

    def in_pixels(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the map between pixels of the images."""
        whole = np.linalg.inv(self.to_b) @ matrix @ self.to_a
        return np.asarray(whole / whole[2, 2])


def _normalized(
    arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]
) -> tuple[
    NDArray[np.float32],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.float64],
]:
    """Return places in pixels and normalized, log2 sizes, angles in radians, numbers of distinct places, and the map
    from pixels to normalized places.
    """
    places = arrays["places"][rows]
    size = np.asarray(arrays["image_size"])
    points = stored_points({"places": places, "shapes": arrays["shapes"][rows], "image_size": size})
    longest = float(size.max())
    centre = (size - 1) / 2
    keys = places[:, 0].astype(np.int64) << 16 | places[:, 1]
    numbers = np.unique(keys, return_inverse=True)[1]
    to = np.array([[1 / longest, 0, -centre[0] / longest], [0, 1 / longest, -centre[1] / longest], [0, 0, 1]])
    return (
        points[:, :2],
        np.ascontiguousarray((points[:, :2] - centre) / longest),
        np.log2(points[:, 2].astype(np.float64) / longest),
        np.deg2rad(points[:, 3].astype(np.float64)),
        numbers.astype(np.int64),
        to,
    )
