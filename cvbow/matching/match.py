"""Two images in, their matches out: features, putative pairs, and the geometry that the right ones agree on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice
from cvbow.features import SIFT, Extractor, Features, make_extractor
from cvbow.images import read_image
from cvbow.matching.geometry import estimate_geometry
from cvbow.matching.models import MODELS
from cvbow.matching.putative import putative_matches
from cvbow.tables import Table, Tabular, counted

Source = str | os.PathLike[str] | bytes | NDArray[Any]


@dataclass(frozen=True, eq=False)
class MatchResult(Tabular):
    """How two images, a and b, match.

    Attributes
    ----------
    features_a, features_b : Features
    pairs : ndarray of shape (m, 2), intp
        The putative matches: rows of the features of a and of b.
    distances : ndarray of shape (m,), float32
        Between their descriptors: Euclidean, or bits for binary ones.
    model : str or None
        What was looked for among them: a name of ``MODELS``; None for nothing.
    matrix : ndarray of shape (3, 3), float64, or None
        As in ``Geometry``; takes points of a to b. None where no model was found or none was looked for.
    inliers : ndarray of shape (m,), bool
        Pairs that agree with the model; all False without a matrix.
    errors : ndarray of shape (m,), float64
        Pixels, as ``geometry_errors`` defines them; infinite without a matrix.
    reason : str or None
        Why a model that was looked for was not found.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import match_images
    >>> image = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8).repeat(8, 0).repeat(8, 1)
    >>> found = match_images(image, image[:, 16:])  # the same, without the first 16 columns
    >>> found.n_inliers > 20
    True
    >>> np.median(found.points_b - found.points_a, axis=0).round().tolist()
    [-16.0, 0.0]
    """

    features_a: Features
    features_b: Features
    pairs: NDArray[np.intp]
    distances: NDArray[np.float32]
    model: str | None
    matrix: NDArray[np.float64] | None
    inliers: NDArray[np.bool_]
    errors: NDArray[np.float64]
    reason: str | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        model = "" if self.model is None else f", {self.n_inliers} agree with {_a(self.model)}"
        return f"MatchResult({counted(len(self), 'pair')}{model})"

    def tables(self) -> list[Table]:
        """Return how many points were found and matched, and what they agree on."""
        rows = [
            ("points", f"{len(self.features_a)} and {len(self.features_b)}"),
            ("matches", str(len(self))),
            *([] if self.model is None else [(f"agreeing with {_a(self.model)}", str(self.n_inliers))]),
        ]
        lines = [] if self.matrix is None else [[f"{value:.4g}" for value in row] for row in self.matrix]
        matrix = [Table([""] * 3, lines, title="from a to b")] if lines else []
        return [Table((), rows, notes=self.reason or ""), *matrix]

    @property
    def n_inliers(self) -> int:
        """Number of pairs that agree with the model."""
        return int(self.inliers.sum())

    @property
    def points_a(self) -> NDArray[np.float32]:
        """x, y in a of each pair, shape (m, 2)."""
        return self.features_a.points[self.pairs[:, 0], :2]

    @property
    def points_b(self) -> NDArray[np.float32]:
        """x, y in b of each pair, shape (m, 2)."""
        return self.features_b.points[self.pairs[:, 1], :2]


def _a(model: str) -> str:
    return f"{'an' if model[0] in 'aeiou' else 'a'} {model} map"


def match_images(
    a: Source,
    b: Source,
    *,
    extractor: Extractor | Callable[[NDArray[np.uint8]], object] | None = None,
    ratio: float | None = 0.8,
    mutual: bool = True,
    model: str | None = "homography",
    threshold: float = 3.0,
    confidence: float = 0.999,
    max_iter: int = 10_000,
    min_inliers: int | None = None,
    random_state: int = 0,
) -> MatchResult:
    """Match two images.

    Parameters
    ----------
    a, b : path, bytes or ndarray
        As ``cvbow.images.read_image`` takes them.
    extractor : Extractor, callable or None, default None
        What finds and describes points, as in ``BagEncoder``; None: ``SIFT(max_points=2000, max_side=1600)``.
    ratio, mutual
        See ``putative_matches``.
    model : {"homography", "affine", "fundamental"} or None, default "homography"
        What the right matches have in common; None looks for nothing.
    threshold, confidence, max_iter, min_inliers, random_state
        See ``estimate_geometry``.

    Returns
    -------
    MatchResult
        Two images that have nothing in common give no matrix and no inliers; that is no error.

    Raises
    ------
    FileNotFoundError, ImageError
        If an image cannot be read.
    ValueError
        If a parameter breaks its rule.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import match_images
    >>> scene = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8).repeat(12, 0).repeat(12, 1)
    >>> found = match_images(scene[:240, :240], scene[24:264, 36:276])
    >>> (found.matrix.round(1) + 0).tolist()
    [[1.0, 0.0, -36.0], [0.0, 1.0, -24.0], [0.0, 0.0, 1.0]]
    """
    _check_model(model)
    chosen = SIFT(max_points=2000, max_side=1600) if extractor is None else make_extractor(extractor)
    features = [chosen.extract(read_image(image, gray=chosen.gray_only)) for image in (a, b)]
    return match_features(
        *features,
        ratio=ratio,
        mutual=mutual,
        model=model,
        threshold=threshold,
        confidence=confidence,
        max_iter=max_iter,
        min_inliers=min_inliers,
        random_state=random_state,
    )


def match_features(
    a: Features,
    b: Features,
    *,
    ratio: float | None = 0.8,
    mutual: bool = True,
    model: str | None = "homography",
    threshold: float = 3.0,
    confidence: float = 0.999,
    max_iter: int = 10_000,
    min_inliers: int | None = None,
    random_state: int = 0,
) -> MatchResult:
    """Match the features of two images.

    Parameters
    ----------
    a, b : Features
    ratio, mutual, model, threshold, confidence, max_iter, min_inliers, random_state
        As in ``match_images``.
    """
    _check_model(model)
    pairs, distances = putative_matches(a.descriptors, b.descriptors, ratio=ratio, mutual=mutual)
    if model is None:
        m = len(pairs)
        return MatchResult(a, b, pairs, distances, None, None, np.zeros(m, bool), np.full(m, np.inf))
    found = estimate_geometry(
        a.points[pairs[:, 0], :2],
        b.points[pairs[:, 1], :2],
        model=model,
        threshold=threshold,
        confidence=confidence,
        max_iter=max_iter,
        min_inliers=min_inliers,
        random_state=random_state,
    )
    return MatchResult(a, b, pairs, distances, model, found.matrix, found.inliers, found.errors, found.reason)


def _check_model(model: str | None) -> None:
    if model is not None:
        check_choice("model", model, MODELS)
