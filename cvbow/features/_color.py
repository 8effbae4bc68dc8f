"""The channels of a colour image in which dense SIFT looks for gradients.

K. van de Sande, T. Gevers and C. Snoek, "Evaluating color descriptors for object and scene recognition", PAMI 2010,
compare such descriptors; the channels and their contrast are those of VLFeat's ``vl_phow``.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.images import to_gray

COLOR_SPACES = ("gray", "rgb", "hsv", "opponent")
#: By colour space, how the lengths of the three descriptors at a point make up its contrast: the mean of red, green
#: and blue, or the brightness alone.
CONTRAST_SHARES = {"rgb": (1 / 3, 1 / 3, 1 / 3), "hsv": (0.0, 0.0, 1.0), "opponent": (1.0, 0.0, 0.0)}
#: Channels are kept in 16 bits, so many steps to a gray level.
STEPS = 256.0
#: The share of the intensity in the opponent colours, so that there are gradients also where there is no colour.
_INTENSITY = np.float32(0.01)


def color_channels(image: NDArray[np.uint8], space: str) -> list[NDArray[np.generic]]:
    """Return the three channels of an RGB image (H, W, 3), each (H, W), uint8 or float32 in [0, 255] in whole steps.

    "hsv" scales hue and saturation to that range. "opponent" is the intensity, (R - G) / sqrt(2) and
    (R + G - 2 B) / sqrt(6), the latter two halved and moved to the middle of the range, and plus their share of the
    intensity.
    """
    if space == "rgb":
        return list(cv2.split(image))
    if space == "hsv":
        hue, saturation, value = cv2.split(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2HSV))
        # For floats, OpenCV gives degrees, a share, and the value as it was.
        return [_whole_steps(hue * np.float32(255 / 360)), _whole_steps(saturation * np.float32(255)), value]
    gray = to_gray(image)
    red, green, blue = (channel.astype(np.float32) for channel in cv2.split(image))
    intensity = _INTENSITY * gray
    red_green = (red - green) * np.float32(1 / np.sqrt(2)) + intensity
    yellow_blue = (red + green - 2 * blue) * np.float32(1 / np.sqrt(6)) + intensity
    return [gray, *(_whole_steps(channel * np.float32(0.5) + np.float32(127)) for channel in (red_green, yellow_blue))]


def _whole_steps(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    # Smoothed, a plain area has one value up to the last digits: it must not lie where a step begins.
    return np.asarray(np.rint(channel * np.float32(STEPS)) / np.float32(STEPS))
