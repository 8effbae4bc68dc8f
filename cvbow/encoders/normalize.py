"""Normalisations of encoded vectors; zero stays zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NORMALIZATIONS = ("hellinger", "l1", "l2", "power", "none")


def signed_power(values: NDArray[Any], power: float) -> NDArray[Any]:
    """Return ``sign(v) |v| ** power``."""
    if power == 1:
        return values
    size = np.abs(values)
    raised: NDArray[Any] = np.copysign(np.sqrt(size) if power == 0.5 else size**power, values)
    return raised


def normalize_rows(rows: NDArray[Any], twins: NDArray[np.intp] | None = None) -> NDArray[Any]:
    """Return rows (..., d) at unit length; in float64, which holds the square of any float32, where they may be large.

    With ``twins``, the row (of a matrix) that is each one's twin, the two get the same factor: the length that two rows
    have otherwise.
    """
    length = np.sqrt(shared(np.einsum("...i,...i->...", rows, rows), twins))[..., None]
    unit: NDArray[Any] = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return unit


def shared(values: NDArray[Any], twins: NDArray[np.intp] | None) -> NDArray[Any]:
    """Return the mean of each value and its twin's, (n, ...); the values where there are no twins."""
    return values if twins is None else (values + values[twins]) / 2


def to_float32(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the nearest finite float32 values."""
    if values.dtype == np.float32:
        return values
    limit = np.finfo(np.float32).max
    return np.asarray(np.clip(values, -limit, limit), np.float32)


def normalize_as(
    rows: NDArray[Any], normalization: str, power: float = 0.5, twins: NDArray[np.intp] | None = None
) -> NDArray[np.float32]:
    """Return rows (n, d) normalised each by one of ``NORMALIZATIONS``; roots and powers keep the sign.

    "hellinger": L1 norm 1, then the square root, which makes the L2 norm 1; "power": values to the power of ``power``,
    then L2 norm 1; "none": as they are, but for what is beyond float32. Twins are normalised together, as
    ``normalize_rows`` does.
    """
    if normalization in ("hellinger", "l1"):
        total = shared(np.abs(rows).sum(axis=1, keepdims=True), twins)
        rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    if normalization == "hellinger":
        rows = signed_power(rows, 0.5)
    if normalization == "power":
        rows = signed_power(rows, power)
    if normalization in ("l2", "power"):
        rows = normalize_rows(rows, twins)
    return to_float32(rows)
