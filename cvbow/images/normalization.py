"""Bringing the values of images to a common range or spread: by functions, and by what a training part has taught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_flag, check_real
from cvbow.images.statistics import ImageStatistics

#: Added to a standard deviation before something is divided by it; the value is Keras's.
EPS = 1e-6

Float32 = NDArray[np.float32]
#: Images of one size: an array (n, H, W) or (n, H, W, C), or a sequence of (H, W) or (H, W, C); any real dtype.
Images = NDArray[Any] | Sequence[NDArray[Any]]


def to_unit(image: NDArray[Any]) -> Float32:
    """Scale [0, 255] to [0, 1]: uint8, or real numbers in that range, of any shape, to float32.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import to_unit
    >>> to_unit(np.array([[0, 51, 255]], np.uint8)).tolist()
    [[0.0, 0.20000000298023224, 1.0]]
    """
    return np.asarray(image, np.float32) / np.float32(255)


def from_unit(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale [0, 1] back to [0, 255]: real numbers of any shape, none of them NaN, to uint8.

    They are rounded, and what lies outside is cut off.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import from_unit
    >>> from_unit(np.array([[-0.5, 0.2, 1.0, 3.0]])).tolist()
    [[0, 51, 255, 255]]
    """
    values = _finite(np.asarray(image, np.float32))
    return np.asarray(np.rint(np.clip(values, 0, 1) * np.float32(255)), np.uint8)


def rescale_to_bytes(image: NDArray[Any], *, low: float | None = None, high: float | None = None) -> NDArray[np.uint8]:
    """Scale [low, high] linearly to [0, 255], rounded to uint8, to see what a normalisation or a filter left.

    The image is of any shape, of finite real numbers; what lies outside of [low, high], by default its least and
    greatest value, is cut off. It is zero everywhere when `high` does not exceed `low`.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import rescale_to_bytes
    >>> rescale_to_bytes(np.array([[-2.0, 0.0, 2.0]])).tolist()
    [[0, 128, 255]]
    """
    values = _finite(np.asarray(image, np.float64))
    for name, value in (("low", low), ("high", high)):
        if value is not None:
            check_real(name, value, minimum=-np.finfo(np.float64).max)
    bottom = float(values.min(initial=np.inf) if low is None else low)
    top = float(values.max(initial=-np.inf) if high is None else high)
    if not top > bottom:
        return np.zeros(values.shape, np.uint8)
    return np.rint(np.clip((values - bottom) / (top - bottom), 0, 1) * 255).astype(np.uint8)


def samplewise_center(image: NDArray[Any]) -> Float32:
    """Subtract an image's own mean, over all pixels and channels: any real dtype, to float32.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import samplewise_center
    >>> samplewise_center(np.array([[1, 2], [3, 6]], np.uint8)).tolist()
    [[-2.0, -1.0], [0.0, 3.0]]
    """
    values = np.asarray(image)
    return np.asarray(values - values.mean(dtype=np.float64), np.float32)


def samplewise_standardize(image: NDArray[Any], *, eps: float = EPS) -> Float32:
    """Divide an image by its own standard deviation (by n) over all pixels and channels, plus ``eps``, to float32.

    The mean is not subtracted: centred first, ``samplewise_standardize(samplewise_center(x))``, it has mean 0 and
    standard deviation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import samplewise_standardize
    >>> samplewise_standardize(np.array([[-2.0, -2.0], [2.0, 2.0]]), eps=0).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    check_real("eps", eps, minimum=0)
    values = np.asarray(image)
    spread = values.std(dtype=np.float64) + eps
    return np.asarray(values / spread, np.float32) if spread > 0 else np.zeros(values.shape, np.float32)


# Wrapped for set_output, transform would lose its parameter's name; images are no table.
class FeaturewiseScaler(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg,misc]
    """Give each channel, or each pixel, mean 0 and standard deviation 1 over the training images.

    Parameters
    ----------
    center : bool, default True
        Subtract the mean.
    standardize : bool, default True
        Divide by the standard deviation (by n) plus `eps`.
    over : {"channel", "pixel"}, default "channel"
        Statistics over images and pixels, one value per channel (Keras's), or over images alone: the mean image.
    eps : float, default 1e-6

    Attributes
    ----------
    mean_, std_ : ndarray of float64
        Per channel (C,), for gray (1,); or per pixel, (H, W) or (H, W, C).
    image_shape_ : tuple of int

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.images import FeaturewiseScaler
    >>> train = np.array([[[0, 10]], [[4, 10]]], np.uint8)
    >>> FeaturewiseScaler(over="pixel").fit(train).transform(train).round(3).tolist()
    [[[-1.0, 0.0]], [[1.0, 0.0]]]
    """

    def __init__(
        self, *, center: bool = True, standardize: bool = True, over: str = "channel", eps: float = EPS
    ) -> None:
        self.center = center
        self.standardize = standardize
        self.over = over
        self.eps = eps

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_flag("center", self.center)
        check_flag("standardize", self.standardize)
        check_choice("over", self.over, ("channel", "pixel"))
        check_real("eps", self.eps, minimum=0)

    def fit(self, images: Images, y: object = None) -> Self:
        """Learn from images of one size, (n, H, W) or (n, H, W, C); returns the object.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the images are none, of several sizes, or not finite.
        """
        self.check_params()
        stack = _stack(images)
        statistics = ImageStatistics().update(stack)
        by_channel = self.over == "channel"
        self.mean_ = statistics.channel_mean if by_channel else statistics.mean
        self.std_ = statistics.channel_std if by_channel else statistics.std
        self.image_shape_ = stack.shape[1:]
        return self

    def transform(self, images: Images) -> Float32:
        """Return the normalised images, of the same shape."""
        stack = self._checked(images)
        result = np.array(stack, np.float32)
        if self.center:
            result -= self.mean_.astype(np.float32)
        if self.standardize:
            spread = (self.std_ + self.eps).astype(np.float32)
            result = np.divide(result, spread, out=np.zeros_like(result), where=spread > 0)
        return result

    def inverse_transform(self, images: Images) -> Float32:
        """Undo `transform`, up to rounding: float32 (values that do not vary and were divided by 0 become the mean)."""
        result = np.array(self._checked(images), np.float32)
        if self.standardize:
            result *= (self.std_ + self.eps).astype(np.float32)
        if self.center:
            result += self.mean_.astype(np.float32)
        return result

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _checked(self, images: Images) -> NDArray[Any]:
        check_is_fitted(self, "mean_")
        self.check_params()
        stack = _stack(images)
        if stack.shape[1:] != self.image_shape_:
            raise ValueError(f"images must have the shape they had in fit, {self.image_shape_}, got {stack.shape[1:]}")
        return stack


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(values).all():
        raise ValueError("image must hold finite numbers, got NaN or infinity")
    return values


def _stack(images: Images) -> NDArray[Any]:
    if not isinstance(images, np.ndarray):
        images = list(images)
        shapes = {np.shape(image) for image in images}
        if len(shapes) > 1:
            raise ValueError(f"images must have one size, got {' and '.join(map(str, sorted(shapes)[:2]))}")
    stack = np.asarray(images)
    if stack.ndim not in (3, 4) or stack.size == 0:
        raise ValueError(f"images must have shape (n, H, W) or (n, H, W, C), none of them 0, got {stack.shape}")
    if stack.dtype.kind not in "uif" or not np.isfinite(stack).all():
        raise ValueError(f"images must be finite real numbers, got {stack.dtype}")
    return stack
