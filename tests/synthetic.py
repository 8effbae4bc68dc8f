"""Gray images made on the spot that have gradients of every direction and strength, as photographs do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


def textured(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Noise at three scales, a few rectangles and a grating."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((height, width))
    image = np.full((height, width), 128.0)
    for sigma, gain in ((0.7, 14), (2, 80), (5, 300)):
        image += gain * gaussian_filter(rng.standard_normal((height, width)), sigma)
    for _ in range(4):
        center_y, center_x = rng.uniform(0, height), rng.uniform(0, width)
        half_y, half_x = rng.uniform(4, 14, size=2)
        image += rng.uniform(-60, 60) * ((np.abs(y - center_y) < half_y) & (np.abs(x - center_x) < half_x))
    image += 25 * np.sin(x / rng.uniform(1, 5) + y / rng.uniform(1, 5))
    pixels: NDArray[np.uint8] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return pixels
