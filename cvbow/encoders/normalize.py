"""Normalisations of encoded vectors; zero stays zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NORMALIZATIONS = ("hellinger", "l1", "l2", "power", "none")


def signed_power(values: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return ``sign(v) |v| ** power``."""
    if power == 1:
        return values
    size = np.abs(values)
    return np.copysign(np.sqrt(size) if power == 0.5 else size**power, values)


def normalize_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows (..., d) at unit length; float64, which holds the square of any float32."""
    length = np.sqrt(np.einsum("...i,...i->...", rows, rows))[..., None]
    unit: NDArray[np.float64] = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return unit


def to_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the nearest finite float32 values."""
    limit = np.finfo(np.float32).max
    return np.clip(values, -limit, limit).astype(np.float32)


def normalize_as(rows: NDArray[np.float64], normalization: str, power: float = 0.5) -> NDArray[np.float32]:
    """Return rows (n, d) normalised each by one of ``NORMALIZATIONS``; roots and powers keep the sign.

    "hellinger": L1 norm 1, then the square root, which makes the L2 norm 1; "power": values to the power of ``power``,
    then L2 norm 1; "none": as they are, but for what is beyond float32.
    """
    if normalization in ("hellinger", "l1"):
        total = np.abs(rows).sum(axis=1, keepdims=True)
        rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    if normalization == "hellinger":
        rows = signed_power(rows, 0.5)
    if normalization == "power":
        rows = signed_power(rows, power)
    if normalization in ("l2", "power"):
        rows = normalize_rows(rows)
    return to_float32(rows)
