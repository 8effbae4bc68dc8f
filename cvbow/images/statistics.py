"""The mean and the standard deviation of many images, in one pass and in parts that can be merged.

B. P. Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4(3), 1962;
merging: T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances", COMPSTAT 1982.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class ImageStatistics:
    """Mean and standard deviation of a set of images of one size, pixel by pixel, without keeping the images.

    Sums are float64 and never subtract two large numbers, so nothing is lost where the spread is small. Gray and colour
    images may be mixed: as soon as one has colour, gray ones count as three equal channels.

    Attributes
    ----------
    n_images : int
        Images seen so far.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import ImageStatistics
    >>> statistics = ImageStatistics().update([np.array([[0, 10]], np.uint8), np.array([[4, 10]], np.uint8)])
    >>> statistics.mean.tolist(), statistics.std.tolist()
    ([[2.0, 10.0]], [[2.0, 0.0]])
    """

    def __init__(self) -> None:
        self.n_images = 0
        self._mean: Float64 = np.zeros(())
        self._squares: Float64 = np.zeros(())  # the sum of squared distances from the mean

    def add(self, image: NDArray[Any]) -> None:
        """Add one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, C), any real dtype

        Raises
        ------
        ValueError
            If its size differs from that of the images before it.
        """
        values = np.asarray(image, np.float64)
        if values.ndim not in (2, 3) or values.size == 0:
            raise ValueError(f"image must have shape (H, W) or (H, W, C), got {np.shape(image)}")
        if self.n_images == 0:
            self._mean, self._squares = np.zeros(values.shape), np.zeros(values.shape)
        values = self._like(values)
        self.n_images += 1
        distance = values - self._mean
        self._mean += distance / self.n_images
        self._squares += distance * (values - self._mean)

    def update(self, images: Iterable[NDArray[Any]]) -> Self:
        """Add several images (or those of an array of shape (n, H, W) or (n, H, W, C)); returns the object."""
        for image in images:
            self.add(image)
        return self

    def merge(self, other: ImageStatistics) -> None:
        """Add the images of another object, which stays as it is.

        The same parts merged in the same order give the same result to the last bit, whoever made them.

        Raises
        ------
        ValueError
            If the sizes differ.
        """
        if other.n_images == 0:
            return
        if self.n_images == 0:
            self.n_images, self._mean, self._squares = other.n_images, other._mean.copy(), other._squares.copy()
            return
        mean, squares = self._like(other._mean), self._like(other._squares)
        total = self.n_images + other.n_images
        distance = mean - self._mean
        self._mean += distance * (other.n_images / total)
        self._squares += squares + distance**2 * (self.n_images * other.n_images / total)
        self.n_images = total

    @property
    def mean(self) -> Float64:
        """The mean image, (H, W) or (H, W, C)."""
        return self._seen(self._mean).copy()

    @property
    def std(self) -> Float64:
        """The standard deviation (by n) at each pixel, (H, W) or (H, W, C)."""
        return np.asarray(np.sqrt(self._seen(self._squares) / self.n_images))

    @property
    def channel_mean(self) -> Float64:
        """The mean over images and pixels, one value per channel: (C,), for gray (1,)."""
        return np.asarray(np.atleast_1d(self._seen(self._mean).mean(axis=(0, 1))))

    @property
    def channel_std(self) -> Float64:
        """The standard deviation (by n) over images and pixels, one value per channel: (C,), for gray (1,)."""
        between = self._seen(self._mean).var(axis=(0, 1))
        within = (self._squares / self.n_images).mean(axis=(0, 1))
        return np.asarray(np.atleast_1d(np.sqrt(between + within)))

    def _seen(self, values: Float64) -> Float64:
        if self.n_images == 0:
            raise ValueError("there are no statistics yet: add an image first")
        return values

    def _like(self, values: Float64) -> Float64:
        """Return the values in the shape of these statistics, or widen these to the colours of the values."""
        if values.shape == self._mean.shape:
            return values
        if values.shape[:2] == self._mean.shape[:2]:
            if values.ndim == 2 and self._mean.ndim == 3:
                return np.broadcast_to(values[..., None], self._mean.shape)
            if values.ndim == 3 and self._mean.ndim == 2:
                for name in ("_mean", "_squares"):
                    setattr(self, name, np.repeat(getattr(self, name)[..., None], values.shape[2], axis=2))
                return values
        raise ValueError(f"image must have the size of those before, {self._mean.shape}, got {values.shape}")
