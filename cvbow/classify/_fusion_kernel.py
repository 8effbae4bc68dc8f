"""The product of one Gaussian kernel per channel, channels being groups of neighbouring columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real
from cvbow.parallel import local_threads, map_threads

__all__ = ["channel_bounds", "channel_weights", "fusion_kernel", "squared_distances"]

_COLUMNS = 4096
_ROWS = 256


def channel_bounds(channels: Any, n_features: int) -> dict[str, slice]:
    """Return the columns of each channel.

    Parameters
    ----------
    channels : mapping of str to int or slice, or sequence of int, or None
        Widths of the channels in their order, or their columns; None is one channel of all columns.
    n_features : int

    Raises
    ------
    ValueError
        If the channels do not take up all columns, each once, from the first to the last.
    """
    if channels is None:
        return {"all": slice(0, n_features)}
    if not isinstance(channels, Mapping):
        if isinstance(channels, (str, bytes)) or not isinstance(channels, Sequence):
            raise ValueError(f"channels must be widths by name, a sequence of widths, or None, got {channels!r}")
        channels = {f"channel {index}": width for index, width in enumerate(channels)}
    bounds: dict[str, slice] = {}
    start = 0
    for name, width in channels.items():
        if isinstance(width, slice):
            if width.start != start or width.step not in (None, 1):
                raise ValueError(f"channels must follow one another without gaps, got {channels!r}")
            width = width.stop - start
        check_int("channels", width, minimum=1)
        bounds[str(name)] = slice(start, start + int(width))
        start += int(width)
    if start != n_features:
        raise ValueError(f"channels must take up the {n_features} values of a vector, got {start}")
    return bounds


def channel_weights(weights: Any, names: Sequence[str], total: float) -> NDArray[np.float64]:
    """Return a weight for each channel, shape (n_channels,); None shares ``total`` equally.

    Raises
    ------
    ValueError
        If they are negative, all zero, or do not fit the channels.
    """
    if weights is None:
        return np.full(len(names), total / len(names))
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise ValueError(f"weights must have the names {', '.join(names)}, got {', '.join(map(str, weights))}")
        weights = [weights[name] for name in names]
    if isinstance(weights, (str, bytes)) or not isinstance(weights, (Sequence, np.ndarray)):
        raise ValueError(f"weights must be numbers by channel or in the channels' order, got {weights!r}")
    for weight in weights:
        check_real("weights", weight, minimum=0)
    if len(weights) != len(names) or not any(weights):
        raise ValueError(f"weights must be {len(names)} numbers, one for each channel, not all 0, got {weights!r}")
    return np.asarray(weights, np.float64)


def fusion_kernel(
    a: NDArray[np.float32],
    b: NDArray[np.float32] | None,
    bounds: Sequence[slice],
    *,
    factors: NDArray[np.float64] | None = None,
    shares: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``exp(-sum_c factors_c |a_c - b_c|^2)``, (n, m), and the factors.

    Parameters
    ----------
    a, b : ndarray of shape (n, d) and (m, d), float32
        With ``b`` None the kernel is that of ``a`` with itself: symmetric, with ones on the diagonal.
    bounds : sequence of slice
        Columns of the channels c.
    factors : ndarray of shape (n_channels,), optional
    shares : ndarray of shape (n_channels,), optional
        In place of the factors: these become the shares over the channels' mean squared distances.
    """
    total = np.zeros((len(a), len(a) if b is None else len(b)))
    found = np.zeros(len(bounds))
    for channel, columns in enumerate(bounds):
        if (factors if factors is not None else shares)[channel] == 0:  # type: ignore[index]
            continue
        distances = squared_distances(a[:, columns], None if b is None else b[:, columns])
        if factors is not None:
            found[channel] = factors[channel]
        elif shares is not None:
            mean = float(distances.mean())
            found[channel] = shares[channel] / mean if mean > 0 else shares[channel]
        distances *= found[channel]
        total += distances
    np.negative(total, out=total)
    return np.exp(total, out=total), found


def squared_distances(a: NDArray[np.float32], b: NDArray[np.float32] | None) -> NDArray[np.float64]:
    """Return the squared distances between the rows of ``a`` (n, d) and ``b`` (m, d), shape (n, m).

    With ``b`` None between the rows of ``a``: symmetric, with zeros on the diagonal.
    """
    other = a if b is None else b
    distances = np.zeros((len(a), len(other)))

    def multiply(rows: slice) -> None:
        # Of a symmetric matrix the part below the diagonal is enough.
        end = rows.stop if b is None else len(other)
        # Products of blocks in float32, whose rounding is far below what decides, added up in float64.
        for left in range(0, a.shape[1], _COLUMNS):
            block = slice(left, left + _COLUMNS)
            distances[rows, :end] += a[rows, block] @ other[:end, block].T

    # The parts depend on nothing but the number of rows, so that results do not depend on the threads.
    parts = [slice(top, min(top + _ROWS, len(a))) for top in range(0, len(a), _ROWS)]
    map_threads(multiply, parts, local_threads(None))
    if b is None:
        lower = np.tril(distances)
        distances = lower + np.tril(lower, -1).T
        # As their products were rounded, so that equal rows are at distance zero.
        squares = other_squares = np.diag(distances).copy()
    else:
        squares, other_squares = _squares(a), _squares(other)
    distances *= -2
    distances += squares[:, None]
    distances += other_squares
    return np.maximum(distances, 0, out=distances)


def _squares(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
