"""What the points and pixels of an image gave to products of its vector and weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

#: Cells along each side of the image that are left out, one after the other, of what cannot be shared out.
_N_LEFT_OUT = 8


@dataclass(frozen=True, eq=False)
class ImageShares:
    """Shares of products of an image's vector and the weights of some answers.

    Attributes
    ----------
    points : ndarray of shape (n, 4), float32
        x, y, size and angle in the image; with several views of it or channels, those of all.
    shares : ndarray of shape (n_answers, n), float64
        What each point gave.
    word : ndarray of shape (n,), int64
        The word of each point; of mirrored pairs, the first of the pair; -1 where there are no words.
    channel : ndarray of shape (n,), str
        The channel of each point, "all" without channels.
    pools_gradients : ndarray of shape (n,), bool
        Whether what describes a point pools the image's gradients in its support, by their strength, as SIFT does, and
        not the values there.
    pixels : ndarray of shape (n_answers, H, W), float64, or None
        What each pixel gave, other than through points.
    left_out : bool
        Whether something was found by leaving parts of the image out, so that it need not sum to the product.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram
    >>> image = np.zeros((8, 8, 3), np.uint8)
    >>> backend = ColorHistogram()
    >>> shares = backend.shares_of(image, np.ones((1, 128)))
    >>> float(shares.pixels.sum()), float(backend.encode(image).sum())
    (1.0, 1.0)
    """

    points: NDArray[np.float32]
    shares: NDArray[np.float64]
    word: NDArray[np.int64]
    channel: NDArray[np.str_]
    pools_gradients: NDArray[np.bool_]
    pixels: NDArray[np.float64] | None = None
    left_out: bool = False

    @classmethod
    def of_points(cls, points: NDArray[np.float32], shares: NDArray[np.float64], word: NDArray[Any] | None) -> Self:
        """Return shares of points alone, which pool values; ``word`` is None where they have no words."""
        n = len(points)
        words = np.full(n, -1) if word is None else word
        return cls(points, shares, words.astype(np.int64), np.full(n, "all"), np.zeros(n, bool))

    @classmethod
    def of_pixels(cls, pixels: NDArray[np.float64], *, left_out: bool = False) -> Self:
        """Return shares of pixels alone."""
        n_answers = len(pixels)
        points = cls.of_points(np.zeros((0, 4), np.float32), np.zeros((n_answers, 0)), None)
        return replace(points, pixels=pixels, left_out=left_out)

    @classmethod
    def joined(cls, parts: Sequence[ImageShares]) -> Self:
        """Return the shares of all parts together."""
        maps = [part.pixels for part in parts if part.pixels is not None]
        return cls(
            np.concatenate([part.points for part in parts]),
            np.concatenate([part.shares for part in parts], axis=1),
            np.concatenate([part.word for part in parts]),
            np.concatenate([part.channel for part in parts]),
            np.concatenate([part.pools_gradients for part in parts]),
            np.asarray(sum(maps[1:], maps[0])) if maps else None,
            any(part.left_out for part in parts),
        )


def leave_out(
    without: Callable[[NDArray[np.intp]], NDArray[np.float32]],
    answer: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    vector: NDArray[np.float32],
    shape: tuple[int, int],
) -> ImageShares:
    """Return how much answers fall when cells of an image are left out, one after the other.

    Parameters
    ----------
    without : callable
        Returns the vectors (n, d) of the image without what is in each of some boxes (n, 4): left, top, right, bottom.
    answer : callable
        Returns the answers (n, n_answers) for vectors (n, d).
    vector : ndarray of shape (d,)
        Of the whole image.
    shape : tuple of int
        Height and width of the image.

    Notes
    -----
    M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
    """
    height, width = shape
    rows, columns = (np.unique(np.linspace(0, side, _N_LEFT_OUT + 1).round().astype(np.intp)) for side in shape)
    boxes = np.array(
        [
            (left, top, right, bottom)
            for top, bottom in itertools.pairwise(rows)
            for left, right in itertools.pairwise(columns)
        ]
    )
    falls = answer(vector[None]) - answer(without(boxes))
    pixels = np.empty((falls.shape[1], height, width))
    for (left, top, right, bottom), fall in zip(boxes, falls, strict=True):
        pixels[:, top:bottom, left:right] = fall[:, None, None] / ((right - left) * (bottom - top))
    return ImageShares.of_pixels(pixels, left_out=True)


def stretched(maps: NDArray[np.floating], shape: Sequence[int]) -> NDArray[np.float64]:
    """Return maps (n, h, w) over an image of another size, (n, H, W): each value spread over the area it stands for."""
    (height, width), (h, w) = shape, maps.shape[1:]
    if (h, w) == (height, width):
        return np.asarray(maps, np.float64)
    return np.asarray(h * overlaps(height, h) @ maps @ (w * overlaps(width, w)).T)


def overlaps(n: int, m: int) -> NDArray[np.float64]:
    """Return how much of a line each of its n equal parts has in common with each of its m, (n, m); the sum is 1."""
    first, second = np.arange(n)[:, None] / n, np.arange(m) / m
    common = np.minimum(first + 1 / n, second + 1 / m) - np.maximum(first, second)
    return np.asarray(np.maximum(common, 0))
