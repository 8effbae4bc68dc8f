"""Channels, groups of neighbouring columns of vectors, and numbers for them that a user gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real


def channel_bounds(channels: Any, n_features: int) -> dict[str, slice]:
    """Return the columns of each channel, from widths or columns by name, widths alone, or None for one channel.

    ValueError if the channels do not take up all columns, each once, from the first to the last.
    """
    if channels is None:
        return {"all": slice(0, n_features)}
    if not isinstance(channels, Mapping):
        if isinstance(channels, (str, bytes)) or not isinstance(channels, (Sequence, np.ndarray)):
            raise ValueError(f"channels must be widths by name, a sequence of widths, or None, got {channels!r}")
        channels = {f"channel {index}": width for index, width in enumerate(channels)}
    bounds: dict[str, slice] = {}
    start = 0
    for name, width in channels.items():
        if isinstance(width, slice):
            first, stop, step = width.indices(n_features)
            if first != start or step != 1:
                raise ValueError(f"channels must follow one another without gaps, got {channels!r}")
            width = stop - start
        check_int("channels", width, minimum=1)
        bounds[str(name)] = slice(start, start + int(width))
        start += int(width)
    if start != n_features:
        raise ValueError(f"channels must add up to the {n_features} values of a vector, got {start}")
    return bounds


def channel_weights(
    weights: Any, names: Sequence[str], total: float, *, parameter: str = "weights"
) -> NDArray[np.float64]:
    """Return a weight for each channel, shape (n_channels,); None shares ``total`` equally.

    ValueError if they are negative, all zero, or do not fit the channels.
    """
    if weights is None:
        return np.full(len(names), total / len(names))
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise ValueError(f"{parameter} must have the names {', '.join(names)}, got {', '.join(map(str, weights))}")
        weights = [weights[name] for name in names]
    if isinstance(weights, (str, bytes)) or not isinstance(weights, (Sequence, np.ndarray)):
        raise ValueError(f"{parameter} must be numbers by channel or in the channels' order, got {weights!r}")
    for weight in weights:
        check_real(parameter, weight, minimum=0)
    if len(weights) != len(names) or not any(weights):
        raise ValueError(f"{parameter} must be {len(names)} numbers, one for each channel, not all 0, got {weights!r}")
    return np.asarray(weights, np.float64)


def check_shares(shares: object, channels: object) -> None:
    """Raise ValueError unless learned shares fit the channels whose widths are known: all that have one, by name."""
    if not isinstance(shares, dict) or not isinstance(channels, dict):
        raise ValueError("shares_ and channels_ must have values by name")
    found = channel_weights(shares, list(shares), 1.0, parameter="shares_")
    if not np.isclose(found.sum(), 1):
        raise ValueError(f"shares_ must add up to 1, got {found.sum():g}")
    if not {name for name, share in shares.items() if share > 0} <= set(channels) <= set(shares):
        raise ValueError("channels_ must be those of shares_, but for such as have no share")
