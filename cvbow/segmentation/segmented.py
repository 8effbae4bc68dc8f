"""What a model finds on an image: the mask, the probabilities and the uncertainty of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Rows that are enlarged at a time hold so many pixels.
_STRIP = 1 << 20


@dataclass(frozen=True, eq=False)
class Segmented:
    """What was found on an image.

    Attributes
    ----------
    planes : ndarray of shape (n_classes, h, w), float32
        Probabilities, at the size at which the image was described.
    size : (int, int)
        Height and width of the image.
    classes : ndarray of shape (n_classes,)
    factors : ndarray of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.segmentation import Segmented
    >>> planes = np.array([[[0.9, 0.2]], [[0.1, 0.8]]], np.float32)
    >>> found = Segmented(planes, (1, 4), np.array([0, 7]), np.ones(2))
    >>> found.mask().tolist(), found.uncertainty().shape
    ([[0, 0, 7, 7]], (1, 4))
    """

    planes: NDArray[np.float32]
    size: tuple[int, int]
    classes: NDArray[np.int64]
    factors: NDArray[np.float64]

    def probabilities(self) -> NDArray[np.float32]:
        """Return the probability of each class at each pixel, (n_classes, H, W)."""
        found = np.empty((len(self.planes), *self.size), np.float32)
        for rows, part in self._strips():
            found[:, rows] = part
        return found

    def mask(self) -> NDArray[np.uint8]:
        """Return the value of the class at each pixel, (H, W)."""
        found = np.empty(self.size, np.uint8)
        values, factors = self.classes.astype(np.uint8), self.factors.astype(np.float32)[:, None, None]
        for rows, part in self._strips():
            found[rows] = values[(part * factors).argmax(axis=0)]
        return found

    def uncertainty(self) -> NDArray[np.float32]:
        """Return the entropy of the probabilities as a share of the largest one there can be, (H, W), in [0, 1]."""
        found = np.empty(self.size, np.float32)
        for rows, part in self._strips():
            sure = np.maximum(part, 1e-12)
            found[rows] = -(sure * np.log(sure)).sum(axis=0) / np.log(len(part))
        return np.clip(found, 0, 1)

    def _strips(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield rows of the image and their probabilities, a few at a time."""
        height, width = self.size
        h, w = self.planes.shape[1:]
        at_once = max(1, _STRIP // width)
        # Pixel centres at integers: the edge, half a pixel outside, is in the same place at both sizes.
        x = np.clip((np.arange(width) + 0.5) * (w / width) - 0.5, 0, w - 1).astype(np.float32)
        for top in range(0, height, at_once):
            bottom = min(top + at_once, height)
            y = np.clip((np.arange(top, bottom) + 0.5) * (h / height) - 0.5, 0, h - 1).astype(np.float32)
            first = int(y[0])
            last = min(int(y[-1]) + 2, h)
            below = np.minimum(np.floor(y).astype(np.intp) + 1, h - 1) - first
            above = np.floor(y).astype(np.intp) - first
            down = (y - np.floor(y))[:, None]
            left = np.floor(x).astype(np.intp)
            right, across = np.minimum(left + 1, w - 1), x - np.floor(x)
            part = np.empty((len(self.planes), bottom - top, width), np.float32)
            for plane, target in zip(self.planes, part, strict=True):
                rows = plane[first:last]
                wide = rows[:, left] * (1 - across) + rows[:, right] * across
                target[:] = wide[above] * (1 - down) + wide[below] * down
            yield slice(top, bottom), part
