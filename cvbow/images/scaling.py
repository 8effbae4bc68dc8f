"""Normalisations of images as scikit-learn transformers: what they learn, they learn from the training part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_flag, check_real
from cvbow.images._zca import principal_directions, principal_directions_of_few
from cvbow.images.normalization import EPS, from_unit, samplewise_center, samplewise_standardize, to_unit
from cvbow.images.statistics import ImageStatistics

__all__ = ["ByteScaler", "FeaturewiseScaler", "ImageZCA", "SamplewiseScaler", "UnitScaler"]

#: Images of one size: an array (n, H, W) or (n, H, W, C), or a sequence of (H, W) or (H, W, C); any real dtype.
Images = NDArray[Any] | Sequence[NDArray[Any]]
Float32 = NDArray[np.float32]

#: Above so many values per image the directions are found from the images' products with each other.
_MOST_VALUES = 4096


# Wrapped for set_output, transform would lose its parameter's name; images are no table.
class _ImageScaler(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg,misc]
    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    def fit(self, images: Images, y: object = None) -> Self:
        """Learn from images of one size, (n, H, W) or (n, H, W, C); returns the object.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the images are none, of several sizes, or not finite.
        """
        self.check_params()
        stack = _stack(images)
        self.image_shape_ = stack.shape[1:]
        self._learn(stack)
        return self

    def transform(self, images: Images) -> NDArray[Any]:
        """Return the normalised images, of the same shape."""
        return self._apply(self._checked(images))

    def _learn(self, stack: NDArray[Any]) -> None:
        pass

    def _apply(self, stack: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError

    def _checked(self, images: Images) -> NDArray[Any]:
        check_is_fitted(self, "image_shape_")
        self.check_params()
        stack = _stack(images)
        if stack.shape[1:] != self.image_shape_:
            raise ValueError(f"images must have the shape they had in fit, {self.image_shape_}, got {stack.shape[1:]}")
        return stack


class UnitScaler(_ImageScaler):
    """Scale [0, 255] to [0, 1]; nothing is learned but the images' shape.

    Examples
    --------
    >>> scaler = UnitScaler().fit(np.zeros((2, 4, 4), np.uint8))
    >>> bool((scaler.transform(np.full((1, 4, 4), 255, np.uint8)) == 1).all())
    True
    """

    def _apply(self, stack: NDArray[Any]) -> Float32:
        return to_unit(stack)

    def inverse_transform(self, images: Images) -> NDArray[np.uint8]:
        """Scale [0, 1] to [0, 255]: uint8, rounded, and cut off outside."""
        return from_unit(self._checked(images))


class SamplewiseScaler(_ImageScaler):
    """Give each image mean 0 and standard deviation 1, over its own pixels and channels; there is no way back.

    Parameters
    ----------
    center : bool, default True
        Subtract the mean.
    standardize : bool, default True
        Divide by the standard deviation (by n) plus `eps`.
    eps : float, default 1e-6
    """

    def __init__(self, *, center: bool = True, standardize: bool = True, eps: float = EPS) -> None:
        self.center = center
        self.standardize = standardize
        self.eps = eps

    def check_params(self) -> None:
        check_flag("center", self.center)
        check_flag("standardize", self.standardize)
        check_real("eps", self.eps, minimum=0)

    def _apply(self, stack: NDArray[Any]) -> Float32:
        result = np.empty(stack.shape, np.float32)
        for image, target in zip(stack, result, strict=True):
            centered = samplewise_center(image) if self.center else image
            target[...] = samplewise_standardize(centered, eps=self.eps) if self.standardize else centered
        return result


class FeaturewiseScaler(_ImageScaler):
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
    """

    def __init__(
        self, *, center: bool = True, standardize: bool = True, over: str = "channel", eps: float = EPS
    ) -> None:
        self.center = center
        self.standardize = standardize
        self.over = over
        self.eps = eps

    def check_params(self) -> None:
        check_flag("center", self.center)
        check_flag("standardize", self.standardize)
        check_choice("over", self.over, ("channel", "pixel"))
        check_real("eps", self.eps, minimum=0)

    def _learn(self, stack: NDArray[Any]) -> None:
        statistics = ImageStatistics().update(stack)
        by_channel = self.over == "channel"
        self.mean_ = statistics.channel_mean if by_channel else statistics.mean
        self.std_ = statistics.channel_std if by_channel else statistics.std

    def _apply(self, stack: NDArray[Any]) -> Float32:
        result = np.asarray(stack, np.float32)
        if self.center:
            result = result - self.mean_.astype(np.float32)
        if self.standardize:
            spread = (self.std_ + self.eps).astype(np.float32)
            result = np.divide(result, spread, out=np.zeros_like(result), where=spread > 0)
        return np.array(result) if result is stack else result

    def inverse_transform(self, images: Images) -> Float32:
        """Undo `transform`, up to rounding: float32 (values that do not vary and were divided by 0 become the mean)."""
        result = np.array(self._checked(images), np.float32)
        if self.standardize:
            result *= (self.std_ + self.eps).astype(np.float32)
        if self.center:
            result += self.mean_.astype(np.float32)
        return result


class ByteScaler(_ImageScaler):
    """Scale the range of the training images linearly to [0, 255]: uint8, to be stored or seen.

    Attributes
    ----------
    low_, high_ : float
        The least and the greatest value in training. What lies outside is cut off.
    image_shape_ : tuple of int
    """

    def _learn(self, stack: NDArray[Any]) -> None:
        self.low_, self.high_ = float(stack.min()), float(stack.max())

    def _apply(self, stack: NDArray[Any]) -> NDArray[np.uint8]:
        span = self.high_ - self.low_
        if span <= 0:
            return np.zeros(stack.shape, np.uint8)
        return np.rint(np.clip((stack - self.low_) / span, 0, 1) * 255).astype(np.uint8)

    def inverse_transform(self, images: Images) -> Float32:
        """Scale [0, 255] back to the range of the training images: float32, with the rounding to 256 steps in it."""
        stack = self._checked(images)
        return np.asarray(self.low_ + stack.astype(np.float64) * ((self.high_ - self.low_) / 255), np.float32)


class ImageZCA(_ImageScaler):
    """Whiten images: afterwards pixels do not correlate, and images look as much as before as whitening allows.

    Parameters
    ----------
    eps : float, default 0.1
        Added to the variance of each principal direction. It has the unit of the values squared: 0.1 suits images of
        standard deviation 1; for values in [0, 1] take about 0.001.

    Attributes
    ----------
    mean_ : ndarray of shape (k,), float32
        k values per image.
    directions_ : ndarray of shape (k, r), float32
        Principal directions of the training images, at most n - 1.
    variances_ : ndarray of shape (r,), float64
        By n - 1.
    image_shape_ : tuple of int

    Notes
    -----
    ``x`` becomes ``W (x - mean)`` with ``W = V diag(1 / sqrt(variances + eps)) V^T``, where ``V`` also has the
    directions without variance. It is applied as ``(x - mean) / sqrt(eps)`` plus a correction in the directions that
    are kept, so that memory is n k, not k k, and photographs can be whitened as well as patches.
    """

    def __init__(self, *, eps: float = 0.1) -> None:
        self.eps = eps

    def check_params(self) -> None:
        check_real("eps", self.eps, minimum=0, open_minimum=True)

    def _learn(self, stack: NDArray[Any]) -> None:
        data = stack.reshape(len(stack), -1).astype(np.float32)
        few = len(data) <= data.shape[1] or data.shape[1] > _MOST_VALUES
        mean, variances, directions = (principal_directions_of_few if few else principal_directions)(data)
        self.mean_ = mean.astype(np.float32)
        self.directions_ = directions.astype(np.float32)
        self.variances_ = np.maximum(variances, 0)

    def _apply(self, stack: NDArray[Any]) -> Float32:
        centered = stack.reshape(len(stack), -1).astype(np.float32) - self.mean_
        return self._scaled(centered, 1 / np.sqrt(self.variances_ + self.eps), 1 / np.sqrt(self.eps), stack.shape)

    def inverse_transform(self, images: Images) -> Float32:
        """Undo `transform`, up to rounding: float32."""
        stack = self._checked(images)
        flat = stack.reshape(len(stack), -1).astype(np.float32)
        result = self._scaled(flat, np.sqrt(self.variances_ + self.eps), np.sqrt(self.eps), flat.shape)
        result += self.mean_
        return result.reshape(stack.shape)

    def _scaled(self, flat: Float32, inside: NDArray[np.float64], outside: float, shape: tuple[int, ...]) -> Float32:
        """Scale by `inside` along the principal directions, and by `outside` along all others."""
        along = flat @ self.directions_
        along *= (inside - outside).astype(np.float32)
        result = flat * np.float32(outside)
        result += along @ self.directions_.T
        return result.reshape(shape)


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
