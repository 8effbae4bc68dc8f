"""How far numbers lie outside, by a measure that what lies outside does not change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The standard deviation of a normal distribution over its median absolute deviation.
_NORMAL = 1.4826
#: Of numbers that are nearly all the same, the deviation as a share of their median.
_LEAST = 1e-6


def outside(values: NDArray[Any], among: NDArray[Any] | None = None, *, floor: float = 0.0) -> NDArray[np.float64]:
    """Return by how many robust standard deviations values (n,) lie above the median of others, or of their own.

    F. Hampel, "The influence curve and its role in robust estimation", JASA 1974: the median absolute deviation from
    the median, which up to half of the numbers may lie outside of. ``floor`` is the least that it is taken for.
    """
    own = np.asarray(values if among is None else among, np.float64)
    middle = float(np.median(own))
    spread = _NORMAL * float(np.median(np.abs(own - middle)))
    return np.asarray((values - middle) / max(spread, floor, _LEAST * abs(middle), 1e-12), np.float64)
