"""Samples without a fixed range, of floating point, of 32 bits or with a sign, brought to 0..255."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.images.header import UnreadableError

#: Samples that are looked at together.
_BAND = 1 << 20


def typed(samples: NDArray[Any], name: str) -> NDArray[Any]:
    """Return samples as what they are; some versions of OpenCV take integers with a sign for those without one.

    Parameters
    ----------
    samples : ndarray, as decoded
    name : str
        NumPy's name of the type that the file says: "f4", "u4", ...
    """
    wanted = np.dtype(name)
    if samples.dtype.itemsize != wanted.itemsize or (samples.dtype.kind == "f") != (wanted.kind == "f"):
        raise UnreadableError("this kind of TIFF file is not supported")
    return samples.view(wanted)


def range_of(samples: NDArray[Any], stated: tuple[float, float] | None) -> tuple[float, float]:
    """Return what becomes 0 and what becomes 255.

    Parameters
    ----------
    samples : ndarray of shape (H, W), (H, W, 3) or (H, W, 4)
        A fourth channel does not count.
    stated : (float, float) or None
        What the file says.

    Returns
    -------
    (float, float)
        What is stated; without that, [0, 1] for floats that lie in it, and else the smallest and the largest finite
        value.
    """
    if stated is not None:
        return stated
    low, high = math.inf, -math.inf
    rows = max(1, _BAND // samples.shape[1])
    for top in range(0, len(samples), rows):
        band = samples[top : top + rows, :, :3] if samples.ndim == 3 else samples[top : top + rows]
        finite = band[np.isfinite(band)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high or (samples.dtype.kind == "f" and low >= 0 and high <= 1):
        return 0.0, 1.0
    return low, high


def stretched(samples: NDArray[Any], ends: tuple[float, float]) -> NDArray[np.uint8]:
    """Scale samples from `ends` to 0..255; a fourth channel, alpha, from 0 to 1 or the most that an integer holds."""
    if samples.ndim == 2 or samples.shape[2] == 3:
        return stretch(samples, *ends)
    most = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
    return np.dstack([stretch(samples[..., :3], *ends), stretch(samples[..., 3], 0.0, most)])


def stretch(samples: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Scale numbers from `low` to `high` to 0..255, rounding to the nearest; NaN becomes 0, and what is beyond is cut.

    Parameters
    ----------
    samples : ndarray of any shape and real type
    low, high : float
        Where they are equal, what is above becomes 255 and the rest 0.
    """
    # Infinite values, those near the ends of what a float holds, and what is not a number in any of its forms.
    with np.errstate(over="ignore", invalid="ignore"):
        values: NDArray[Any] = samples.astype(np.float64)
        values = (values > low) * 255.0 if high <= low else (values - low) * (255.0 / (high - low))
    return np.rint(np.clip(np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0), 0.0, 255.0)).astype(np.uint8)
