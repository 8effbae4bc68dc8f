"""What many numbers tell of the next one, in a thousand numbers.

Of n + 1 numbers that come in random order, the last is at most the k-th largest of the others with a probability of
k / (n + 1), however they are distributed: V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random
world", 2005.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: So many numbers are kept at most: a coverage is off by no more than a thousandth.
_MOST = 1001


def shorten(values: NDArray[np.float64], counts: NDArray[np.float64] | None = None) -> NDArray[np.float32]:
    """Return values (n,) in rising order, or evenly spread ones of them where they are many.

    With ``counts`` (n,) each is there so many times.
    """
    if counts is not None and not counts.all():
        values, counts = values[counts > 0], counts[counts > 0]
    order = np.argsort(values, kind="stable")
    if counts is None and len(values) <= _MOST:
        return values[order].astype(np.float32)
    mass = np.cumsum(np.ones(len(values)) if counts is None else counts[order])
    wanted = np.linspace(0, mass[-1], _MOST)
    # The least value with so much mass up to it; what rounding adds to the last must not lead beyond it.
    at = np.searchsorted(mass, wanted * (1 - 1e-12), side="left")
    return values[order][np.minimum(at, len(values) - 1)].astype(np.float32)


def bound(kept: NDArray[np.float32], n: int, share: float) -> float:
    """Return what a further number is at most with a probability of ``share``; infinity where n numbers do not tell.

    ``kept`` is what ``shorten`` made of the n.
    """
    place = int(np.ceil(share * (n + 1) * (1 - 1e-12)))
    if place > n:
        return float("inf")
    if len(kept) == n:
        return float(kept[place - 1])
    return float(kept[int(np.ceil((place / n) * (len(kept) - 1) * (1 - 1e-12)))])


def check_kept(kept: NDArray[np.float32], n: int) -> None:
    """Raise ValueError unless ``kept`` can be what ``shorten`` made of n values."""
    if (np.diff(kept) < 0).any() or (len(kept) > n and len(kept) != _MOST):
        raise ValueError(f"kept_ must be in rising order, and as many as {n} values or {_MOST}, got {len(kept)}")
