"""The colours of an image: gray, HSV, Lab, its channels, and blending two images.

RGB comes first everywhere; OpenCV's own order is never seen. uint8 in gives uint8, with the ranges that OpenCV gives
8-bit images; float32 in, in [0, 1], gives float32 with the ranges in their own units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_real
from cvbow.images.pixels import check_image

#: Levels between an image's channels that compression or a scanner leaves in what was gray, and the share of pixels
#: that may have more.
_APART, _FEW = 16, 0.01
#: Rows or columns of the shorter side that are looked at for colour.
_LOOKED_AT = 256


def to_gray(image: NDArray[Any], *, floats: bool = True) -> NDArray[Any]:
    """Return the luma of an RGB image, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as (H, W).

    An image that is gray comes back as it is, not copied. Without `floats`, only uint8 is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import to_gray
    >>> to_gray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)).tolist()
    [[76, 150, 29]]
    """
    image = check_image(image, floats=floats)
    return np.asarray(image) if image.ndim == 2 else _convert(image, "RGB2GRAY")


def from_gray(image: NDArray[Any], *, floats: bool = True) -> NDArray[Any]:
    """Return a gray image (H, W) as RGB with three equal channels, (H, W, 3).

    An image with colour comes back as it is, not copied. Without `floats`, only uint8 is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import from_gray
    >>> from_gray(np.array([[7, 9]], np.uint8)).tolist()
    [[[7, 7, 7], [9, 9, 9]]]
    """
    image = check_image(image, floats=floats)
    return np.asarray(image) if image.ndim == 3 else _convert(image, "GRAY2RGB")


def has_color(image: NDArray[np.uint8]) -> bool:
    """Tell whether an image (H, W) or (H, W, 3), uint8, shows colour.

    It does where the channels of more than one in a hundred of its pixels lie further apart than 16 levels, so that a
    gray picture stored in three channels has none, whatever compression did to them. Of a large image, a grid of
    pixels is looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import has_color
    >>> has_color(np.full((4, 4, 3), (90, 98, 94), np.uint8)), has_color(np.full((4, 4, 3), (200, 0, 0), np.uint8))
    (False, True)
    """
    image = check_image(image, floats=False)
    if image.ndim == 2:
        return False
    step = max(1, min(image.shape[:2]) // _LOOKED_AT)
    pixels = image[::step, ::step]
    return bool(np.mean(np.ptp(pixels, axis=2) > _APART) > _FEW)


def to_hsv(image: NDArray[Any]) -> NDArray[Any]:
    """Return hue, saturation and value of an RGB image, (H, W, 3).

    Of uint8, the hue is in steps of two degrees, 0 to 179, so that it fits a byte, and the others are 0 to 255. Of
    float32 in [0, 1], the hue is in degrees, 0 to 360, and the others in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import to_hsv
    >>> to_hsv(np.array([[[255, 0, 0], [0, 255, 0], [40, 40, 40]]], np.uint8)).tolist()
    [[[0, 255, 255], [60, 255, 255], [0, 0, 40]]]
    """
    return _convert(check_image(image, color=True), "RGB2HSV")


def from_hsv(image: NDArray[Any]) -> NDArray[Any]:
    """Return the RGB image of hue, saturation and value in the ranges of `to_hsv`.

    There and back, 8 bits lose up to a few levels: 180 hues do not hold all colours.
    """
    return _convert(check_image(image, color=True), "HSV2RGB")


def to_lab(image: NDArray[Any]) -> NDArray[Any]:
    """Return CIE L*a*b* of an RGB image, (H, W, 3), taken as sRGB with the white point D65.

    Of uint8, L* is scaled from [0, 100] to [0, 255], and 128 is added to a* and b*. Of float32 in [0, 1], L* is in
    [0, 100], and a* and b* are about -127 to 127.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import to_lab
    >>> to_lab(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).tolist()
    [[[0, 128, 128], [255, 128, 128]]]
    """
    return _convert(check_image(image, color=True), "RGB2Lab")


def from_lab(image: NDArray[Any]) -> NDArray[Any]:
    """Return the RGB image of L*a*b* in the ranges of `to_lab`; what sRGB cannot show is cut off."""
    return _convert(check_image(image, color=True), "Lab2RGB")


def split_channels(image: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the channels of an image, each (H, W) in memory of its own: three, or of a gray image one.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import split_channels
    >>> red, green, blue = split_channels(np.array([[[1, 2, 3]]], np.uint8))
    >>> green.tolist()
    [[2]]
    """
    image = check_image(image)
    planes = image[..., None] if image.ndim == 2 else image
    return tuple(np.array(planes[..., i], order="C") for i in range(planes.shape[2]))


def merge_channels(channels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Join one channel (H, W) or three into an image: what `split_channels` undoes.

    Raises
    ------
    ValueError
        If there are neither one nor three, or they differ in shape or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import merge_channels, split_channels
    >>> image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    >>> bool((merge_channels(split_channels(image)[::-1]) == image[..., ::-1]).all())
    True
    """
    if len(channels) not in (1, 3):
        raise ValueError(f"channels must be one or three, got {len(channels)}")
    planes = [check_image(channel, name="each channel", color=False) for channel in channels]
    for plane in planes[1:]:
        _check_pair(planes[0], plane)
    return np.array(planes[0]) if len(planes) == 1 else np.stack(planes, axis=2)


def blend(first: NDArray[Any], second: NDArray[Any], alpha: float = 0.5) -> NDArray[Any]:
    """Mix two images of one shape and dtype: ``(1 - alpha) * first + alpha * second``.

    Parameters
    ----------
    first, second : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    alpha : float, default 0.5
        The share of the second, in [0, 1].

    Returns
    -------
    ndarray of the same shape and dtype
        Of uint8, rounded.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import blend
    >>> blend(np.array([[0, 100]], np.uint8), np.array([[200, 100]], np.uint8), 0.25).tolist()
    [[50, 100]]
    """
    import cv2

    a, b = _check_pair(first, second)
    check_real("alpha", alpha, minimum=0, maximum=1)
    return np.asarray(cv2.addWeighted(a, 1 - float(alpha), b, float(alpha), 0))


def _check_pair(first: object, second: object) -> tuple[Any, Any]:
    """Return two images of one shape and dtype."""
    a, b = check_image(first, name="first"), check_image(second, name="second")
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(f"both images must have one shape and dtype, got {a.shape} {a.dtype} and {b.shape} {b.dtype}")
    return a, b


def _convert(image: NDArray[Any], code: str) -> NDArray[Any]:
    import cv2

    return np.asarray(cv2.cvtColor(image, getattr(cv2, f"COLOR_{code}")))
