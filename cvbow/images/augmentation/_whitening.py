"""The ZCA whitening of whole images, from one pass over them.

A. Bell and T. Sejnowski, "The independent components of natural scenes are edge filters", Vision Research, 1997.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MomentMatrix"]

#: Values of an image: the matrix of their products takes 8 bytes for each pair.
_LARGEST = 8192
_AT_ONCE = 256


class MomentMatrix:
    """The matrix of second moments of flattened images; holds it, and some images that are yet to go into it."""

    def __init__(self) -> None:
        self.n = 0
        self._waiting: list[NDArray[np.float64]] = []
        self._products: NDArray[np.float64] = np.zeros((0, 0))
        self._sum: NDArray[np.float64] = np.zeros(0)
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
        if len(self._waiting) == _AT_ONCE:
            self._take_in()

    def whitening(self, mean: NDArray[np.float64], epsilon: float) -> NDArray[np.float32]:
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
        scale = np.sqrt(self.n) / (np.sqrt(squares[kept]) + epsilon)
        return np.asarray((directions * scale) @ directions.T, np.float32)

    def _take_in(self) -> None:
        if self._waiting:
            rows = np.stack(self._waiting)
            self._products += rows.T @ rows
            self._sum += rows.sum(axis=0)
            self._waiting = []
