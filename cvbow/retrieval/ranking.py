"""How good a ranking is: average precision in two definitions, recall, precision; tied scores by exact expectation.

Where several images have one score, their order means nothing, and a measure that took it as it stands would depend on
the order in which the images happened to be added. So each measure here is the mean over all orders of the tied images,
in closed form. An image at place i of n tied ones, r of them relevant, is relevant with probability r / n; and where it
is, (i - 1)(r - 1) / (n - 1) of the tied ones before it are expected to be. Precision is linear in their number.

F. McSherry and M. Najork, "Computing information retrieval performance measures efficiently in the presence of tied
scores", ECIR 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_int

#: The measures of an evaluation, and what they are.
DEFINITIONS = {
    "map": "mean average precision: the sum of the precisions at the relevant images, over their number",
    "map_trapezoids": "mean average precision by trapezoids, as the Oxford and Holidays protocols have it: the mean of "
    "the precisions just before and at each relevant image, 1 before the first place",
    "recall": "share of the relevant images among the first k",
    "precision": "share of relevant images among the first k; places beyond the ranking's end count as wrong",
    "success": "share of queries with a relevant image among the first k",
    "ukbench_score": "relevant images among the first four, the query itself being one of the four to be found",
}


class Ranking:
    """Measures of the ranking of one query.

    Parameters
    ----------
    relevant : array-like of shape (n,), bool
        Of the ranked images, the best first; ignored images are not among them.
    scores : array-like of shape (n,) or (n, m), optional
        Neighbours with equal scores are tied; that scores fall is not asked. Without scores nothing is tied.
    n_relevant : int, optional
        How many relevant images there are, found or not; those in the ranking if None.

    Raises
    ------
    ValueError
        If shapes do not fit, scores are not finite, or there are fewer relevant images than were found, or none.

    Examples
    --------
    >>> from cvbow.retrieval import Ranking
    >>> ranking = Ranking([True, False, True], n_relevant=2)
    >>> round(ranking.average_precision, 3), ranking.recall(1), ranking.precision(1)
    (0.833, 0.5, 1.0)
    >>> Ranking([True, False], scores=[0.5, 0.5]).average_precision  # a tie: the mean of both orders
    0.75
    """

    def __init__(self, relevant: ArrayLike, scores: ArrayLike | None = None, *, n_relevant: int | None = None) -> None:
        hits = np.asarray(relevant)
        if hits.ndim != 1 or (hits.size and hits.dtype != np.bool_):
            raise ValueError(f"relevant must be a vector of bool, got {hits.dtype} of shape {hits.shape}")
        found = int(np.count_nonzero(hits))
        if n_relevant is None:
            n_relevant = found
        check_int("n_relevant", n_relevant, minimum=max(found, 1))
        self.n_relevant = int(n_relevant)
        n = len(hits)
        starts, sizes = _tied(n, scores)
        hits_in = np.add.reduceat(hits, starts, dtype=np.int64) if n else np.zeros(0, np.int64)
        # For each place of the ranking: that of its tie, the size of that, its hits, and the hits before it.
        self._rank = np.arange(1, n + 1)
        self._place = self._rank - np.repeat(starts, sizes)
        self._size = np.repeat(sizes, sizes)
        self._hits = np.repeat(hits_in, sizes)
        self._before = np.repeat(np.cumsum(hits_in) - hits_in, sizes)

    def __len__(self) -> int:
        return len(self._rank)

    def __repr__(self) -> str:
        return f"Ranking({len(self)} images, {self.n_relevant} relevant)"

    @property
    def average_precision(self) -> float:
        """The sum of the precisions at the relevant images, over their number; those not found add nothing."""
        return float(np.sum(self._chance() * (1 + self._hits_above()) / self._rank) / self.n_relevant)

    @property
    def average_precision_trapezoids(self) -> float:
        """The area below precision over recall by trapezoids.

        At each relevant image the mean of the precision there and at the place before it, which is 1 before the first
        place: ``compute_ap.cpp`` of the Oxford buildings (J. Philbin et al., CVPR 2007), ``holidays_map.py``.
        """
        above = self._hits_above()
        earlier = np.where(self._rank == 1, 1.0, above / np.maximum(self._rank - 1, 1))
        return float(np.sum(self._chance() * (earlier + (1 + above) / self._rank)) / (2 * self.n_relevant))

    def hits(self, k: int) -> float:
        """Return the expected number of relevant images among the first k; a whole number where no tie lies across."""
        check_int("k", k, minimum=1)
        return float(np.sum(self._chance()[:k]))

    def recall(self, k: int) -> float:
        """Return the share of the relevant images that is among the first k."""
        return self.hits(k) / self.n_relevant

    def precision(self, k: int) -> float:
        """Return the share of relevant images among the first k, of k also where the ranking is shorter."""
        return self.hits(k) / k

    def success(self, k: int) -> float:
        """Return the probability that a relevant image is among the first k: 0 or 1 where no tie lies across."""
        check_int("k", k, minimum=1)
        last = min(k, len(self)) - 1
        if last < 0:
            return 0.0
        if self._before[last]:
            return 1.0
        # Whatever lies before the last place's tie is irrelevant: `draws` of its n images, and none of its r hits?
        draws, n, r = int(self._place[last]), int(self._size[last]), int(self._hits[last])
        left = n - r - np.arange(draws)
        return float(1 - np.prod(np.maximum(left, 0) / (n - np.arange(draws))))

    def _chance(self) -> NDArray[np.float64]:
        """For each place, the probability that its image is relevant."""
        return np.asarray(self._hits / self._size, np.float64)

    def _hits_above(self) -> NDArray[np.float64]:
        """For each place, the relevant images expected before it where its own is relevant."""
        tied = (self._place - 1) * np.maximum(self._hits - 1, 0) / np.maximum(self._size - 1, 1)
        return np.asarray(self._before + tied, np.float64)


def _tied(n: int, scores: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs of equal neighbours start, and how long they are."""
    if scores is None:
        return np.arange(n), np.ones(n, np.int64)
    values = np.asarray(scores)
    if values.ndim not in (1, 2) or len(values) != n:
        raise ValueError(f"scores must be one for each of {n} images, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    values = values.reshape(n, -1) if n else values.reshape(0, 1)
    changes = np.flatnonzero((values[1:] != values[:-1]).any(axis=1)) + 1
    starts = np.concatenate([[0], changes]).astype(np.int64) if n else np.zeros(0, np.int64)
    return starts, np.diff(np.append(starts, n))
