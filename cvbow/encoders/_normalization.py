"""Normalisation of pooled vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["NORMALIZATIONS", "normalize_rows"]

NORMALIZATIONS = ("hellinger", "l1", "l2", "power", "none")


def normalize_rows(rows: NDArray[np.float64], normalization: str, power: float = 0.5) -> NDArray[np.float32]:
    """Normalise each row; roots and powers keep the sign, and zero stays zero.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float64
        Finite.
    normalization : {"hellinger", "l1", "l2", "power", "none"}
        "hellinger": L1 norm 1, then the square root, which makes the L2 norm 1; "power": the values to the power of
        ``power``, then L2 norm 1.
    power : float, default 0.5

    Returns
    -------
    ndarray of shape (n, d), float32
        Finite: with "none", what is beyond float32 becomes its largest value.
    """
    if normalization != "none":
        # By the largest value first: squares of small or large values would leave float64.
        rows = _divide(rows, np.abs(rows).max(axis=1, initial=0))
    if normalization in ("hellinger", "l1"):
        rows = _divide(rows, np.abs(rows).sum(axis=1))
    if normalization in ("hellinger", "power"):
        exponent = 0.5 if normalization == "hellinger" else power
        rows = np.copysign(np.abs(rows) ** exponent, rows)
    if normalization in ("l2", "power"):
        rows = _divide(rows, np.sqrt(np.einsum("ij,ij->i", rows, rows)))
    limit = float(np.finfo(np.float32).max)
    return np.clip(rows, -limit, limit).astype(np.float32)


def _divide(rows: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide each row; a row to be divided by zero is zero."""
    return np.divide(rows, by[:, None], out=np.zeros_like(rows), where=by[:, None] > 0)
