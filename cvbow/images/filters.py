"""Filters: convolution with a kernel, the filters that every course teaches, and pooling.

Images are uint8 or float32, (H, W) or (H, W, 3), each channel on its own. The sums are formed in float32. The result
has the dtype of the image: of uint8 it is rounded and cut to [0, 255], so that the negative side of an edge is lost;
pass ``image.astype(np.float32)`` to keep it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int, check_real
from cvbow.images.geometry import pad
from cvbow.images.pixels import check_image

#: "none" uses the places where the kernel lies inside the image; the others go on beyond its border: with zeros, with
#: the border's pixels, or with the mirrored image without its border (``cb|abc|ba``).
PADDINGS = ("none", "zeros", "replicate", "reflect")

Float32 = NDArray[np.float32]


def convolve(image: NDArray[Any], kernel: NDArray[Any], *, stride: int = 1, padding: str = "none") -> NDArray[Any]:
    """Convolve an image with a kernel.

    This is convolution in the word's sense: the kernel is turned by 180 degrees before it is laid on the image. (What
    neural networks and OpenCV's ``filter2D`` call so is correlation; turn the kernel, ``kernel[::-1, ::-1]``, for it.)

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    kernel : array of shape (h, w)
        Finite real numbers; used as float32.
    stride : int, default 1
        Distance in pixels between places where the kernel is laid, along both axes.
    padding : {"none", "zeros", "replicate", "reflect"}, default "none"
        With "none" the result is smaller by the kernel's size less one; with the others it has the image's size, and
        the kernel's centre is value ``(h // 2, w // 2)``.

    Returns
    -------
    ndarray of the image's dtype
        Each side is ``(side of the padded image - side of the kernel) // stride + 1``.

    Raises
    ------
    ValueError
        If a parameter breaks its rule, or the kernel is larger than the padded image.

    Examples
    --------
    A point becomes the kernel itself; this is what tells convolution from correlation:

    >>> import numpy as np
    >>> from cvbow.images import convolve
    >>> point = np.zeros((3, 3), np.uint8)
    >>> point[1, 1] = 1
    >>> convolve(point, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], padding="zeros").tolist()
    [[1, 2, 3], [4, 5, 6], [7, 8, 9]]

    One place inside the image, 1*4 + 2*3 + 3*2 + 4*1:

    >>> convolve(np.array([[1, 2], [3, 4]], np.float32), [[1, 2], [3, 4]]).tolist()
    [[20.0]]
    """
    import cv2

    image = check_image(image)
    weights = _check_kernel(kernel)
    check_int("stride", stride, minimum=1)
    height, width = weights.shape
    # A turned kernel has its centre where the image's pixel is, so it needs one row less above where h is even.
    padded = _padded(image, padding, (height - 1 - height // 2, height // 2), (width - 1 - width // 2, width // 2))
    _check_fits(padded, height, width)
    # Anchored at its first value, the place of a kernel in the result is that of its first pixel.
    whole = cv2.filter2D(padded, cv2.CV_32F, weights[::-1, ::-1].copy(), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    return _result(image, whole, height, width, stride)


def box_blur(image: NDArray[Any], size: int = 3, *, stride: int = 1, padding: str = "reflect") -> NDArray[Any]:
    """Replace each pixel by the mean of the size x size pixels around it.

    Parameters
    ----------
    image, stride, padding
        As for `convolve`.
    size : int, default 3
        Side of the window in pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import box_blur
    >>> box_blur(np.array([[0, 0, 0], [0, 90, 0], [0, 0, 0]], np.uint8), padding="none").tolist()
    [[10]]
    """
    return convolve(image, _box(size), stride=stride, padding=padding)


def gaussian_blur(
    image: NDArray[Any], sigma: float = 1.0, *, stride: int = 1, padding: str = "reflect"
) -> NDArray[Any]:
    """Blur with a Gaussian whose values sum to 1, one axis after the other.

    Parameters
    ----------
    image, stride, padding
        As for `convolve`.
    sigma : float, default 1.0
        Standard deviation in pixels; the Gaussian reaches over three of them on each side, but at least over a pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import gaussian_blur
    >>> point = np.zeros((7, 7), np.float32)
    >>> point[3, 3] = 1
    >>> gaussian_blur(point, 1.0)[3].round(3).tolist()[3:6]
    [0.1589999943971634, 0.09700000286102295, 0.02199999988079071]
    """
    check_real("sigma", sigma, minimum=0, open_minimum=True, maximum=1000)
    reach = max(1, math.ceil(3 * sigma))
    values = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = np.outer(values, values)
    along = np.asarray(kernel / kernel.sum(), np.float32).sum(axis=0, keepdims=True)
    whole = convolve(check_image(image).astype(np.float32), along, padding=padding)
    return _as_dtype(convolve(whole, along.T, stride=stride, padding=padding), image.dtype)


def sharpen(image: NDArray[Any], amount: float = 1.0, *, stride: int = 1, padding: str = "reflect") -> NDArray[Any]:
    """Raise the contrast of each pixel to its four neighbours: add `amount` times their `edges`.

    Parameters
    ----------
    image, stride, padding
        As for `convolve`.
    amount : float, default 1.0
        At least 0; at 1 the kernel is ``[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import sharpen
    >>> sharpen(np.array([[10, 10, 20, 20]] * 3, np.uint8)).tolist()[1]
    [10, 0, 30, 20]
    """
    check_real("amount", amount, minimum=0)
    kernel = np.float32(amount) * _laplacian(4)
    kernel[1, 1] += 1
    return convolve(image, kernel, stride=stride, padding=padding)


def edges(image: NDArray[Any], neighbors: int = 4, *, stride: int = 1, padding: str = "reflect") -> NDArray[Any]:
    """Compare each pixel with its 4 or 8 neighbours: a Laplacian, positive on a bright point, zero in a plain area.

    Parameters
    ----------
    image, stride, padding
        As for `convolve`. Of uint8, only the brighter side of an edge is left.
    neighbors : {4, 8}, default 4
        Their number is the kernel's centre, and each has -1.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import edges
    >>> edges(np.array([[10, 10, 20, 20]] * 3, np.float32)).tolist()[1]
    [0.0, -10.0, 10.0, 0.0]
    """
    return convolve(image, _laplacian(neighbors), stride=stride, padding=padding)


def max_pool(image: NDArray[Any], size: int = 2, *, stride: int | None = None, padding: str = "none") -> NDArray[Any]:
    """Keep the largest value of each window of size x size pixels, each channel on its own.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8 or float32
    size : int, default 2
    stride : int, optional
        Distance between windows in pixels; by default `size`, so that windows do not overlap.
    padding : {"none", "zeros", "replicate", "reflect"}, default "none"
        With "none", pixels at the right and the bottom that fill no window are left out. With the others,
        ``(size - 1) // 2`` pixels are added at the top and the left, and ``size // 2`` at the bottom and the right.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import max_pool
    >>> max_pool(np.array([[1, 2, 0, 0], [3, 4, 0, 9]], np.uint8)).tolist()
    [[4, 9]]
    """
    import cv2

    image, padded, stride = _windows(image, size, stride, padding)
    # The window of a pixel starts at it. Beyond the border lies OpenCV's lowest value, but those places are cut off.
    whole = cv2.dilate(padded, np.ones((size, size), np.uint8), anchor=(0, 0))
    return _result(image, whole, size, size, stride)


def average_pool(
    image: NDArray[Any], size: int = 2, *, stride: int | None = None, padding: str = "none"
) -> NDArray[Any]:
    """Average each window of size x size pixels, each channel on its own.

    Parameters
    ----------
    image, size, stride, padding
        As for `max_pool`; padded zeros count as pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import average_pool
    >>> average_pool(np.array([[1, 2, 0, 0], [3, 4, 0, 9]], np.float32)).tolist()
    [[2.5, 2.25]]
    """
    image, padded, stride = _windows(image, size, stride, padding)
    return convolve(padded, _box(size), stride=stride)


def _box(size: int) -> Float32:
    check_int("size", size, minimum=1)
    return np.full((size, size), 1 / size**2, np.float32)


def _laplacian(neighbors: int) -> Float32:
    if neighbors not in (4, 8):
        raise ValueError(f"neighbors must be 4 or 8, got {neighbors!r}")
    corner = -1 if neighbors == 8 else 0
    return np.array([[corner, -1, corner], [-1, neighbors, -1], [corner, -1, corner]], np.float32)


def _windows(image: NDArray[Any], size: int, stride: int | None, padding: str) -> tuple[Any, Any, int]:
    image = check_image(image)
    check_int("size", size, minimum=1)
    check_int("stride", stride, minimum=1, none=True)
    around = ((size - 1) // 2, size // 2)
    padded = _padded(image, padding, around, around)
    _check_fits(padded, size, size)
    return image, padded, size if stride is None else int(stride)


def _padded(image: NDArray[Any], padding: str, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
    check_choice("padding", padding, PADDINGS)
    if padding == "none" or not any((*rows, *columns)):
        return image
    return pad(image, margins=(*rows, *columns), mode="constant" if padding == "zeros" else padding)


def _check_fits(padded: NDArray[Any], height: int, width: int) -> None:
    if padded.shape[0] < height or padded.shape[1] < width:
        raise ValueError(
            f"the kernel must fit into the image with its padding, {padded.shape[:2]}, got a kernel of {height, width}"
        )


def _result(image: NDArray[Any], whole: NDArray[Any], height: int, width: int, stride: int) -> NDArray[Any]:
    inside = whole[: whole.shape[0] - height + 1 : stride, : whole.shape[1] - width + 1 : stride]
    return _as_dtype(inside, image.dtype)


def _as_dtype(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    if dtype == np.uint8 and values.dtype != np.uint8:
        values = np.clip(np.rint(values), 0, 255)
    return np.array(values, dtype, order="C")


def _check_kernel(kernel: object) -> Float32:
    weights = np.asarray(kernel)
    if weights.ndim != 2 or weights.size == 0 or weights.dtype.kind not in "buif" or not np.isfinite(weights).all():
        raise ValueError(f"kernel must be finite real numbers of shape (h, w), got {weights.dtype} {weights.shape}")
    return weights.astype(np.float32)
