"""The arithmetic of ZCA whitening, of descriptors and of whole images alike.

A. Bell and T. Sejnowski, "The independent components of natural scenes are edge filters", Vision Research, 1997.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Rows, and images, that are multiplied at a time.
_ROWS, _IMAGES = 8192, 256
#: Values of an image: the matrix of their products takes 8 bytes for each pair.
_LARGEST = 8192

Float64 = NDArray[np.float64]


def zca_matrix(directions: Float64, scales: Float64) -> NDArray[np.float32]:
    """Return ``V diag(scales) V^T``, (k, k) float32: scale along directions, the columns of V, and keep the axes.

    Directions (k, r) are orthonormal; what lies in none of them becomes zero. ``1 / sqrt(variance + eps)`` whitens.
    """
    return np.asarray((directions * scales) @ directions.T, np.float32)


def principal_directions(data: NDArray[np.float32]) -> tuple[Float64, Float64, Float64]:
    """Return the mean (k,), variances (k,) and principal directions (k, k), as columns, of rows (n, k).

    Variances are by n - 1, ascending, and may fall below zero by rounding.
    """
    mean, covariance = covariance_of(data)
    return mean, *np.linalg.eigh(covariance)


def covariance_of(data: NDArray[np.float32]) -> tuple[Float64, Float64]:
    """Return the mean (k,) and the covariance (k, k), by n - 1, of rows (n, k)."""
    mean = data.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((data.shape[1], data.shape[1]))
    for top in range(0, len(data), _ROWS):
        centered = data[top : top + _ROWS] - mean
        covariance += centered.T @ centered
    return mean, covariance / max(len(data) - 1, 1)


class MomentMatrix:
    """The second moments of flattened images from one pass over them, for their whitening as Keras defines it."""

    def __init__(self) -> None:
        self.n = 0
        self._waiting: list[Float64] = []
        self._products: Float64 = np.zeros((0, 0))
        self._sum: Float64 = np.zeros(0)
        self._channels = 1

    def add(self, image: NDArray[Any]) -> None:
        """Take in an image (H, W) or (H, W, C) of the same size as those before."""
        if self.n == 0:
            if image.size > _LARGEST:
                raise ValueError(f"images must have at most {_LARGEST} values for zca_whitening, got {image.size}")
            self._products = np.zeros((image.size, image.size))
            self._sum = np.zeros(image.size)
            self._channels = image.shape[2] if image.ndim == 3 else 1
        self.n += 1
        self._waiting.append(np.asarray(image, np.float64).ravel())
        if len(self._waiting) == _IMAGES:
            self._take_in()

    def whitening(self, mean: Float64, epsilon: float) -> NDArray[np.float32]:
        """Return the symmetric matrix (d, d) that whitens images after their channels' means are subtracted.

        It is ``U diag(sqrt(n) / (s + epsilon)) U^T`` for the singular values s of the n centred images. Directions in
        which the images do not vary stay out: by rounding alone they would be blown up.
        """
        self._take_in()
        centre = np.tile(mean, len(self._sum) // self._channels)
        cross = np.outer(self._sum, centre)
        products = self._products - cross - cross.T + self.n * np.outer(centre, centre)
        squares, directions = np.linalg.eigh(products)
        # What the subtraction above can lose is measured against the products before it.
        kept = squares > len(squares) * np.finfo(np.float64).eps * max(np.abs(self._products).max(initial=0), 0) * 4
        directions = directions[:, kept]
        return zca_matrix(directions, np.sqrt(self.n) / (np.sqrt(squares[kept]) + epsilon))

    def _take_in(self) -> None:
        if self._waiting:
            rows = np.stack(self._waiting)
            self._products += rows.T @ rows
            self._sum += rows.sum(axis=0)
            self._waiting = []
