"""Super-pixels: pieces of an image that are alike, a few hundred in place of its pixels.

R. Achanta and others, "SLIC superpixels compared to state-of-the-art superpixel methods", PAMI 2012, as OpenCV has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: How much nearness counts against colour, as in SLIC's m; of those between 5 and 20, the truest to masks.
_RULER = 20.0
_ITERATIONS = 8
#: Smaller pieces than this share of a super-pixel, in percent, go to a neighbour.
_SMALLEST = 25
#: Steps over neighbours, as far as anything is looked at.
REACH = 8
#: OpenCV's code fails on images that are narrower than a few super-pixels.
_LEAST = 3


@dataclass(frozen=True, eq=False)
class SuperPixels:
    """The super-pixels of an image.

    Attributes
    ----------
    labels : ndarray of shape (H, W), int32
        The super-pixel of each pixel; all of 0 to n - 1 occur.
    area : ndarray of shape (n,), float32
        Pixels.
    centers : ndarray of shape (n, 2), float32
        Means of the pixels' x and y, whose centres are at integers.
    borders : csr_matrix of shape (n, n), float32
        Symmetric: how many pairs of pixels, side by side or one above the other, two super-pixels have in common.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.segmentation import find_superpixels
    >>> halves = np.zeros((40, 60, 3), np.uint8)
    >>> halves[:, 30:] = 255
    >>> found = find_superpixels(halves, 10)
    >>> found.n, bool(set(found.labels[:, :30].ravel()) & set(found.labels[:, 30:].ravel()))
    (24, False)
    """

    labels: NDArray[np.int32]
    area: NDArray[np.float32]
    centers: NDArray[np.float32]
    borders: Any

    @classmethod
    def of(cls, labels: NDArray[np.int32]) -> SuperPixels:
        """Measure the super-pixels that ``labels`` (H, W) tell."""
        flat = labels.ravel()
        area = np.bincount(flat)
        y, x = np.divmod(np.arange(flat.size), labels.shape[1])
        centers = np.stack([np.bincount(flat, values) for values in (x, y)], axis=1) / area[:, None]
        first = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()])
        second = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()])
        apart = first != second
        first, second = first[apart], second[apart]
        ends = np.concatenate([first, second]), np.concatenate([second, first])
        ones = np.ones(2 * len(first), np.float32)
        borders = sparse.coo_matrix((ones, ends), shape=(len(area), len(area))).tocsr()
        return cls(labels, area.astype(np.float32), centers.astype(np.float32), borders)

    @property
    def n(self) -> int:
        """The number of super-pixels."""
        return len(self.area)

    def sums(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sums over each super-pixel of values (H * W, k), as (n, k)."""
        n_pixels = self.labels.size
        columns = np.arange(n_pixels, dtype=np.int32)
        pixels = sparse.csr_matrix(
            (np.ones(n_pixels, np.float32), (self.labels.ravel(), columns)), shape=(self.n, n_pixels)
        )
        return np.asarray(pixels @ values)

    def neighbourhoods(self, hops: int = REACH) -> list[Any]:
        """Return who is reached from each super-pixel in 1, 2, ... up to ``hops`` steps, itself among them.

        Each is a csr_matrix of shape (n, n), float32, of ones.
        """
        step = (self.borders + sparse.identity(self.n, np.float32, "csr")).astype(bool).astype(np.float32)
        reached = [step]
        for _ in range(hops - 1):
            reached.append((reached[-1] @ step).astype(bool).astype(np.float32))
        return reached


def find_superpixels(image: NDArray[np.uint8], size: int) -> SuperPixels:
    """Cut an image into super-pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        RGB.
    size : int
        Side in pixels of a super-pixel in a plain area.
    """
    height, width = image.shape[:2]
    below, right = (max(0, _LEAST * size - side) for side in (height, width))
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    lab = cv2.GaussianBlur(cv2.cvtColor(padded, cv2.COLOR_RGB2Lab), (3, 3), 0)
    slic = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, size, _RULER)
    slic.iterate(_ITERATIONS)
    slic.enforceLabelConnectivity(_SMALLEST)
    labels = slic.getLabels()[:height, :width]
    # Where something was cut off again, not all numbers are left.
    _, labels = np.unique(labels, return_inverse=True)
    return SuperPixels.of(labels.reshape(height, width).astype(np.int32))
