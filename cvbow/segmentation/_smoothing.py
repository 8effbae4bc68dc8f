"""Smoothing of probabilities that follows the image's edges: over super-pixels, and from these to pixels.

Neighbours are drawn to each other the more, the longer their common border and the more alike their colours: a Potts
model with the contrast of Y. Boykov and M.-P. Jolly, "Interactive graph cuts for optimal boundary and region
segmentation", ICCV 2001, solved by mean field. K. He, J. Sun and X. Tang, "Guided image filtering", PAMI 2013, brings
the super-pixels' probabilities to the edges of pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.segmentation._description import Described

#: Steps of mean field.
_STEPS = 5
#: Of the guided filter: its radius in pixels, and the variance of an edge in squared shares of the range.
_RADIUS, _VARIANCE = 8, 1e-4
_LEAST = 1e-4


def smooth(described: Described, probabilities: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """Return probabilities (n, n_classes) that neighbours have a say in; ``strength`` 0 leaves them as they are."""
    if strength == 0 or described.pixels.n < 2:
        return probabilities
    edges = described.pixels.borders.tocoo()
    apart = ((described.colors[edges.row] - described.colors[edges.col]) ** 2).sum(axis=1)
    alike = edges.data * np.exp(-apart / (2 * apart.mean() + 1e-12))
    weights = edges.copy()
    weights.data = alike.astype(np.float32)
    weights = weights.tocsr()
    # Borders count as shares of the whole border, so that large super-pixels are drawn no more than small ones.
    around = np.asarray(described.pixels.borders.sum(axis=1)).reshape(-1, 1)
    own = np.log(np.maximum(probabilities, _LEAST))
    found = probabilities
    for _ in range(_STEPS):
        scores = own + np.float32(strength) * (weights @ found) / np.maximum(around, 1)
        found = np.exp(scores - scores.max(axis=1, keepdims=True))
        found /= found.sum(axis=1, keepdims=True)
    return np.asarray(found, np.float32)


def to_pixels(
    image: NDArray[np.uint8], described: Described, probabilities: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the probabilities of pixels, (n_classes, H, W), from those of super-pixels (n, n_classes)."""
    guide = cv2.ximgproc.createGuidedFilter(image, _RADIUS, _VARIANCE * 255**2)
    found = np.empty((probabilities.shape[1], *described.pixels.labels.shape), np.float32)
    for plane, values in zip(found, probabilities.T, strict=True):
        plane[:] = guide.filter(np.ascontiguousarray(values)[described.pixels.labels])
    np.maximum(found, 0, out=found)
    found /= np.maximum(found.sum(axis=0), np.float32(_LEAST))
    return found
