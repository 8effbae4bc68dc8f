"""Classes that cannot be told apart, and classes with too few images."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cvbow.audit._images import LookedAt
from cvbow.audit.findings import Finding

#: Of two classes, so many images are told apart at most, with 95 % confidence, for the pair to be one that cannot be.
_MOST_RIGHT = 0.75
_CONFIDENCE = 0.95
#: A class has too few images below so many, or below this share of the median class.
_FEW, _SHARE = 20, 0.1
_EXAMPLES = 6


def find_classes(images: LookedAt, probabilities: NDArray[np.float64] | None) -> list[Finding]:
    """Return a finding for each pair of classes that are told apart hardly better than by chance, and each small class.

    ``probabilities`` (n, n_classes) are of classifiers that have not learned from the image; None without any.
    """
    found = _small(images)
    if probabilities is not None and not images.multilabel:
        found += _alike(images, probabilities)
    return found


def _small(images: LookedAt) -> list[Finding]:
    counts = images.has.sum(axis=0)
    least = max(_FEW, _SHARE * float(np.median(counts))) if len(counts) else 0
    found = []
    for column, count in enumerate(counts.tolist()):
        if count >= least:
            continue
        rows = np.flatnonzero(images.has[:, column])
        images_of = "1 image" if count == 1 else f"{count} images"
        why = f"{images.classes[column]} has {images_of}, and the class of median size has {np.median(counts):g}."
        why += " Add images, or merge it with another class."
        score = 1 - count / least
        found.append(Finding("class", images.some_paths(rows, _EXAMPLES), score, images.classes[column], None, why))
    return found


def _alike(images: LookedAt, probabilities: NDArray[np.float64]) -> list[Finding]:
    """Return the pairs of classes of which too many images are taken for the other one, where there is no third."""
    pairs = list(combinations(range(images.n_classes), 2))
    members = [np.flatnonzero(images.index == column) for column in range(images.n_classes)]
    found = []
    for a, b in pairs:
        right = [
            int((probabilities[members[own], own] > probabilities[members[own], other]).sum())
            for own, other in ((a, b), (b, a))
        ]
        n = [len(members[a]), len(members[b])]
        # The mean of both classes' shares, so that a large class that takes in a small one is found.
        share = (right[0] / n[0] + right[1] / n[1]) / 2
        n_judged = 2 * min(n)
        if _upper(share * n_judged, n_judged, len(pairs)) >= _MOST_RIGHT:
            continue
        names = images.classes[a], images.classes[b]
        chance = _by_chance(share * n_judged, n_judged)
        why = (
            f"{names[0]} and {names[1]} are told apart for {share:.0%} of their images, where a coin would do so for "
            f"50 % (p = {chance:.2g}). Merge them, or say more clearly what belongs to which."
        )
        rows = [row for pair in zip(members[a][:3], members[b][:3], strict=False) for row in pair]
        score = min(1.0, 1 - (share - 0.5))
        found.append(
            Finding("class", images.some_paths(np.array(rows), _EXAMPLES), score, " | ".join(names), None, why)
        )
    return found


def _upper(right: float, n: int, n_tests: int) -> float:
    """Return the upper limit of a share by the binomial distribution: C. Clopper and E. Pearson, Biometrika 1934."""
    from scipy.stats import beta

    return 1.0 if right >= n else float(beta.ppf(1 - (1 - _CONFIDENCE) / n_tests, right + 1, n - right))


def _by_chance(right: float, n: int) -> float:
    """Return the probability that a coin is right at least so often."""
    from scipy.stats import binom

    return float(binom.sf(round(right) - 1, n, 0.5))
