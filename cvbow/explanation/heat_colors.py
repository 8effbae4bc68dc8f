"""Heat in colours that a colour-blind person tells apart: vermillion for, blue against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.images.palette import BLUE, VERMILLION

#: Of the pixels, those above this quantile have the full colour.
_FULL = 0.995


def densities(heat: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return what a hundredth of the image's area would give, pixel by pixel (H, W), in units of the score.

    The values of single pixels are too small to be read.
    """
    return heat.astype(np.float64) * (heat.size / 100)


def full_color(*maps: NDArray[np.float64]) -> float:
    """Return the value that has the full colour in all of some maps; 0 where they are 0 everywhere."""
    return max(float(np.quantile(np.abs(each), _FULL)) or float(np.abs(each).max()) for each in maps)


def pale(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels in half their contrast, the brightest as they are, for colours to stand out on."""
    return 128 + pixels // 2


def colored(pixels: NDArray[np.uint8], values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return pixels (H, W, 3) with vermillion where values (H, W) are positive and blue where they are negative.

    At 1 and -1 the colour is full.
    """
    strength = np.minimum(np.abs(values), 1)[..., None] * 0.9
    colors = np.where(values[..., None] > 0, np.array(VERMILLION), np.array(BLUE))
    return np.asarray(np.rint(pixels * (1 - strength) + colors * strength), np.uint8)
