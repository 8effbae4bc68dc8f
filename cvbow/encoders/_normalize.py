"""Normalisations of encoded vectors; zero stays zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["normalize_rows", "signed_power", "to_float32"]


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
