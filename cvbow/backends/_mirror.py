"""An image and its mirror as one vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_mirror", "mean_direction"]


def mean_direction(vector: NDArray[np.float32], mirrored: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of an image's vector and its mirror's, (d,) each, at the mean of their lengths.

    The mean alone would be the shorter the less symmetric the image is, which says nothing about its class. It is the
    same, to the last bit, for the mirrored image.
    """
    mean = (vector.astype(np.float64) + mirrored) / 2
    wanted = (_length(vector) + _length(mirrored)) / 2
    length = _length(mean)
    return np.asarray(mean * (wanted / length) if length > 0 else mean, np.float32)


def check_mirror(mirror: object) -> None:
    """Raise ValueError unless ``mirror`` is True or False."""
    if not isinstance(mirror, bool):
        raise ValueError(f"mirror must be True or False, got {mirror!r}")


def _length(vector: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(vector.astype(np.float64, copy=False)))
