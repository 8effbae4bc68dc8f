"""Bringing the values of images to a common range or spread: plain functions, and what learns from a training part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_real

__all__ = ["from_unit", "rescale_to_bytes", "samplewise_center", "samplewise_standardize", "to_unit"]

#: Added to a standard deviation before something is divided by it; the value is Keras's.
EPS = 1e-6

Float32 = NDArray[np.float32]


def to_unit(image: NDArray[Any]) -> Float32:
    """Scale [0, 255] to [0, 1].

    Parameters
    ----------
    image : ndarray of any shape
        uint8, or real numbers in the same range.

    Returns
    -------
    ndarray of the same shape, float32

    Examples
    --------
    >>> to_unit(np.array([[0, 51, 255]], np.uint8)).tolist()
    [[0.0, 0.20000000298023224, 1.0]]
    """
    return np.asarray(image, np.float32) / np.float32(255)


def from_unit(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale [0, 1] back to [0, 255]: rounded, and what lies outside is cut off.

    Parameters
    ----------
    image : ndarray of any shape
        Real numbers, none of them NaN.

    Returns
    -------
    ndarray of the same shape, uint8

    Examples
    --------
    >>> from_unit(np.array([[-0.5, 0.2, 1.0, 3.0]])).tolist()
    [[0, 51, 255, 255]]
    """
    values = _finite(np.asarray(image, np.float32))
    return np.asarray(np.rint(np.clip(values, 0, 1) * np.float32(255)), np.uint8)


def rescale_to_bytes(image: NDArray[Any], *, low: float | None = None, high: float | None = None) -> NDArray[np.uint8]:
    """Scale [low, high] linearly to [0, 255], to see what a normalisation or a filter left.

    Parameters
    ----------
    image : ndarray of any shape
        Finite real numbers; what lies outside of [low, high] is cut off.
    low, high : float, optional
        By default the least and the greatest value in the image.

    Returns
    -------
    ndarray of the same shape, uint8
        Rounded; zero everywhere when `high` does not exceed `low`.

    Examples
    --------
    >>> rescale_to_bytes(np.array([[-2.0, 0.0, 2.0]])).tolist()
    [[0, 128, 255]]
    """
    values = _finite(np.asarray(image, np.float64))
    for name, value in (("low", low), ("high", high)):
        if value is not None:
            check_real(name, value, minimum=-np.finfo(np.float64).max)
    bottom = float(values.min(initial=np.inf) if low is None else low)
    top = float(values.max(initial=-np.inf) if high is None else high)
    if not top > bottom:
        return np.zeros(values.shape, np.uint8)
    return np.rint(np.clip((values - bottom) / (top - bottom), 0, 1) * 255).astype(np.uint8)


def samplewise_center(image: NDArray[Any]) -> Float32:
    """Subtract an image's own mean, over all pixels and channels.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), any real dtype

    Returns
    -------
    ndarray of the same shape, float32

    Examples
    --------
    >>> samplewise_center(np.array([[1, 2], [3, 6]], np.uint8)).tolist()
    [[-2.0, -1.0], [0.0, 3.0]]
    """
    values = np.asarray(image)
    return np.asarray(values - values.mean(dtype=np.float64), np.float32)


def samplewise_standardize(image: NDArray[Any], *, eps: float = EPS) -> Float32:
    """Divide an image by its own standard deviation over all pixels and channels; the mean is not subtracted.

    Centred first, ``samplewise_standardize(samplewise_center(x))``, it has mean 0 and standard deviation 1.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), any real dtype
    eps : float, default 1e-6
        Added to the standard deviation (by n).

    Returns
    -------
    ndarray of the same shape, float32

    Examples
    --------
    >>> samplewise_standardize(np.array([[-2.0, -2.0], [2.0, 2.0]]), eps=0).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    check_real("eps", eps, minimum=0)
    values = np.asarray(image)
    spread = values.std(dtype=np.float64) + eps
    return np.asarray(values / spread, np.float32) if spread > 0 else np.zeros(values.shape, np.float32)


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(values).all():
        raise ValueError("image must hold finite numbers, got NaN or infinity")
    return values
