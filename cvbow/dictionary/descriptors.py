"""The checks of descriptors: real-valued ones and binary ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_descriptors(descriptors: object, size: int | None = None) -> NDArray[np.float32]:
    """Return descriptors as a finite float32 (n, k) array, without a copy where they are one already."""
    data = np.asarray(descriptors)
    if data.ndim != 2 or data.shape[1] == 0:
        raise ValueError(f"descriptors must have shape (n, k), got {data.shape}")
    refuse_binary(data)
    if data.dtype.kind not in "biuf":
        raise ValueError(f"descriptors must be real-valued, got {data.dtype}")
    check_size(data, size)
    # A value beyond float32 becomes infinite; a finite sum has no NaN or infinity in it. Sums of large values may leave
    # float32, but not float64, whose sum takes several times as long.
    with np.errstate(over="ignore", invalid="ignore"):
        data = np.ascontiguousarray(data, np.float32)
        finite = np.isfinite(data.sum()) or np.isfinite(data.sum(dtype=np.float64))
    if not finite:
        raise ValueError("descriptors must be finite, got NaN or infinity")
    return data


def check_binary(descriptors: object, size: int | None = None) -> NDArray[np.uint8]:
    """Return descriptors as a uint8 (n, n_bytes) array; ValueError where they are none."""
    data = np.asarray(descriptors)
    if data.ndim != 2 or data.shape[1] == 0:
        raise ValueError(f"descriptors must have shape (n, n_bytes), got {data.shape}")
    if data.dtype != np.uint8:
        raise ValueError(f"descriptors must be binary, eight bits to a uint8, for binary words; got {data.dtype}")
    check_size(data, size)
    return np.ascontiguousarray(data)


def check_size(descriptors: NDArray[Any], size: int | None) -> None:
    """Raise ValueError if descriptors (n, k) are not as long as words of ``size`` values, or bytes of uint8."""
    if size is not None and descriptors.shape[1] != size:
        unit = "bytes" if descriptors.dtype == np.uint8 else "values"
        raise ValueError(f"descriptors must have {size} {unit} each, as the words have, got {descriptors.shape[1]}")


def refuse_binary(descriptors: object) -> None:
    """Raise ValueError if descriptors are uint8."""
    if isinstance(descriptors, np.ndarray) and descriptors.dtype == np.uint8:
        raise ValueError("descriptors must be real-valued for k-means, got uint8, which stands for binary descriptors")
