"""Channel shift and brightness; of 8-bit pixels both in one look-up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["photometric"]


def photometric(image: NDArray[Any], parameters: Mapping[str, Any]) -> NDArray[Any]:
    """Return an image, uint8 or float32, shifted in value and brightened; the image itself where there is neither.

    A shift is clipped to the image's own range, a brightened value to [0, 255].
    """
    shift, brightness = parameters.get("channel_shift_intensity"), parameters.get("brightness")
    if shift is None and brightness is None:
        return image
    if image.dtype == np.uint8:
        import cv2

        table = np.arange(256, dtype=np.float32)
        if shift is not None:
            table = np.rint(np.minimum(np.maximum(table + np.float32(shift), image.min()), image.max()))
        if brightness is not None:
            # Pillow, which Keras calls, cuts the fraction off, and so do we. It multiplies in float32.
            table = np.minimum(np.trunc(table * np.float32(brightness)), 255)
        looked_up: NDArray[np.uint8] = cv2.LUT(image, table.astype(np.uint8)).reshape(image.shape)
        return looked_up
    if shift is not None:
        image = np.clip(image + np.float32(shift), image.min(), image.max())
    if brightness is not None:
        image = np.clip(image * np.float32(brightness), 0, 255)
    return image
