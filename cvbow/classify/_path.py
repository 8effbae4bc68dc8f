"""The straight way from a vector of zeros to a vector, along which a score that is no sum is taken apart.

The mean of the score's gradients on the way, times the vector's values, sums to what the score gained on it: M.
Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray


@functools.cache
def stations() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where on the way from 0 to 1 gradients are taken, and what part of their mean each has, (n,) both.

    They are the nodes and weights of Gauss and Legendre.
    """
    nodes, weights = np.polynomial.legendre.leggauss(12)
    return (nodes + 1) / 2, weights / 2
