"""An image and its mirror as one vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_direction(
    vector: NDArray[np.float32], mirrored: NDArray[np.float32], n_blocks: int = 1
) -> NDArray[np.float32]:
    """Return the mean of an image's vector and its mirror's, (d,) each, at the mean of their lengths.

    The mean alone would be the shorter the less symmetric the image is, which says nothing about its class. It is the
    same, to the last bit, for the mirrored image. Of so many blocks of equal size, such as the cells of a pyramid, each
    gets the mean of its own lengths.
    """
    mean, factors = _mean(vector, mirrored, n_blocks)
    return (mean * factors).ravel().astype(np.float32)


def halves(vector: NDArray[np.float32], mirrored: NDArray[np.float32], n_blocks: int = 1) -> NDArray[np.float64]:
    """Return what an image's vector and its mirror's give to ``mean_direction``, (2, d), which is their sum."""
    _, factors = _mean(vector, mirrored, n_blocks)
    both = np.stack([vector, mirrored]).astype(np.float64).reshape(2, n_blocks, -1)
    return (both * factors / 2).reshape(2, -1)


def _mean(
    vector: NDArray[np.float32], mirrored: NDArray[np.float32], n_blocks: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of two vectors, block by block, and what brings each block to its length."""
    ours, theirs = vector.reshape(n_blocks, -1), mirrored.reshape(n_blocks, -1)
    mean = (ours.astype(np.float64) + theirs) / 2
    wanted = (_lengths(ours) + _lengths(theirs)) / 2
    length = _lengths(mean)
    return mean, np.divide(wanted, length, out=np.ones_like(wanted), where=length > 0)


def _lengths(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(rows.astype(np.float64, copy=False), axis=1, keepdims=True))
