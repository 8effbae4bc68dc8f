"""A closer look at two images that their thumbnails take for one: in colour, larger, and place by place.

Thumbnails are gray and compared as a whole. A product in another colour has the same thumbnail, and of two forms that
were filled in differently all but a few pixels agree. What resizing and compression change is small everywhere; what
makes two pictures out of one is large somewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.duplicates.thumbnails import SIDE, masked_blur, refined_map, thumbnail
from cvbow.images import from_gray

#: Sides of the squares that are compared: those of the smaller image, but no larger than this, and no smaller than
#: those of thumbnails.
_LARGEST = 256
#: Standard deviation of the Gaussian before they are compared, in their pixels.
_SIGMA = 1.0
#: A place is a Gaussian window with this share of the side as its standard deviation.
_PLACE = 1 / 64
#: What compression leaves of brightness and of colour, in levels.
_NOISE = 12.0


def largest_difference(
    a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: NDArray[np.float64], *, colors: str = "strict"
) -> float:
    """Return by how much two images differ where they differ most.

    Parameters
    ----------
    a, b : ndarray of shape (H, W) or (H, W, 3), uint8
    matrix : ndarray of shape (3, 3), float64
        The affine map from pixels of the thumbnail of `a` to those of the thumbnail of `b`.
    colors : {"strict", "any"}
        Whether colour counts, or brightness alone.

    Returns
    -------
    float
        0 where they agree, about 1 where they have nothing to do with each other, up to 2 where they are opposites: the
        mean square difference at a place over the sum of the mean squares and of what compression leaves. Of
        brightness, around its mean at the place, whatever the contrast of the whole; or of colour, around gray.
    """
    import cv2

    if abs(float(np.linalg.det(matrix[:2, :2]))) > 1:
        # `a` is to be the part, which is finer: it is drawn as coarse as the whole.
        a, b, matrix = b, a, np.asarray(np.linalg.inv(matrix), np.float64)
    side = min(max(SIDE, min(*a.shape[:2], *b.shape[:2])), _LARGEST)
    zoom = side / SIDE
    larger = np.array([[zoom, 0, (zoom - 1) / 2], [0, zoom, (zoom - 1) / 2], [0, 0, 1]])
    part, whole = (_luma_and_chroma(thumbnail(image, side)) for image in (a, b))
    affine = refined_map(part[0], whole[0], (larger @ matrix @ np.linalg.inv(larger))[:2].astype(np.float32))
    part, inside = _warped(part, affine), _warped(np.ones((1, side, side), np.float32), affine)[0] > 0.999
    place = side * _PLACE
    rim = np.ones((2 * round(place) + 1,) * 2, np.uint8)
    core = np.asarray(cv2.erode(inside.astype(np.uint8), rim, borderValue=0), bool)
    part, whole = _blurred(part, inside, _SIGMA), _blurred(whole, inside, _SIGMA)
    light, other_light = (image[:1] - _blurred(image[:1], inside, 2 * place) for image in (part, whole))
    power, other_power = (float((image[:, core] ** 2).sum()) for image in (light, other_light))
    color, other_color = (_blurred(image[1:], inside, place) for image in (part, whole))
    differences = [_difference(color, other_color, inside, place)] if colors == "strict" else []
    if power > 0 and other_power > 0:
        differences.append(_difference(light * np.float32(np.sqrt(other_power / power)), other_light, inside, place))
    return max((float(difference[core].max(initial=0)) for difference in differences), default=0.0)


def _luma_and_chroma(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return brightness and two differences of colour, around 0, as planes (3, H, W)."""
    import cv2

    planes = cv2.cvtColor(from_gray(image), cv2.COLOR_RGB2YCrCb).astype(np.float32).transpose(2, 0, 1)
    planes[1:] -= 128
    return np.ascontiguousarray(planes)


def _warped(planes: NDArray[np.float32], affine: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    size = planes.shape[2], planes.shape[1]
    return np.stack([cv2.warpAffine(plane, affine, size, flags=cv2.INTER_LINEAR) for plane in planes])


def _blurred(planes: NDArray[np.float32], inside: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    return np.stack([masked_blur(plane, inside, sigma) for plane in planes])


def _difference(
    a: NDArray[np.float32], b: NDArray[np.float32], inside: NDArray[np.bool_], place: float
) -> NDArray[np.float32]:
    """Return the mean square difference around each pixel over the mean squares and the noise, shape (H, W)."""
    different = masked_blur(((a - b) ** 2).sum(axis=0), inside, place)
    both = masked_blur((a**2 + b**2).sum(axis=0), inside, place)
    return np.asarray(different / (both + 2 * _NOISE**2), np.float32)
