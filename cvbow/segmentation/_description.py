"""What a super-pixel and its surroundings look like: colour, texture, place, and the visual words in it.

B. Fulkerson, A. Vedaldi and S. Soatto, "Class segmentation and object localization with superpixel neighborhoods", ICCV
2009: the words of a super-pixel are too few, those of its neighbours up to some steps away say what it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cvbow.dictionary import Dictionary
from cvbow.features import DenseSIFT, Features
from cvbow.segmentation.superpixels import SuperPixels

#: Sides of dense SIFT's bins: patches of 12 and of 24 pixels. A smooth patch is a word of its own.
BIN_SIZES = (3, 6)
_STEP, _CONTRAST = 3, 0.002
#: Standard deviations of the texture filters, in pixels.
_SCALES = (1, 2, 4)
#: Steps over neighbours: of colour and texture, and of words.
_LOOKS, _WORDS = (1, 3, 6), (1, 4)


@dataclass(frozen=True, eq=False)
class Described:
    """The super-pixels of an image, and what they look like.

    Attributes
    ----------
    pixels : SuperPixels
    colors : ndarray of shape (n, 3), float32
        Mean L*a*b*, in [0, 1].
    looks : ndarray of shape (n, d), float32
        Colour, texture and place.
    words : ndarray of shape (n, k), float32
        Roots of the shares that words have, in neighbourhoods and by scale.
    near : sequence of csr_matrix
        The neighbourhoods of the super-pixels, for whoever looks further; empty where they have been dropped.
    """

    pixels: SuperPixels
    colors: NDArray[np.float32]
    looks: NDArray[np.float32]
    words: NDArray[np.float32]
    near: Sequence[Any]


def extract(image: NDArray[np.uint8]) -> Features:
    """Return the dense SIFT descriptors of an image (H, W, 3), scale by scale."""
    return DenseSIFT(step=_STEP, bin_sizes=BIN_SIZES, contrast_threshold=_CONTRAST, max_side=None).extract(image)


def describe(image: NDArray[np.uint8], pixels: SuperPixels, near: Sequence[Any], dictionary: Dictionary) -> Described:
    """Describe the super-pixels of an image (H, W, 3), whose neighbourhoods are given."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab).astype(np.float32) / 255
    channels = _channels(lab).reshape(pixels.labels.size, -1)
    area = pixels.area[:, None]
    sums = pixels.sums(channels)
    means = sums / area
    squares = pixels.sums(channels[:, :3] ** 2) / area
    whole = sums[:, :3].sum(axis=0) / area.sum()
    place = (pixels.centers + 0.5) / np.array(pixels.labels.shape[::-1], np.float32)
    parts = [
        means,
        np.sqrt(np.maximum(squares - means[:, :3] ** 2, 0)),
        means[:, :3] - whole,
        np.broadcast_to(whole, (pixels.n, 3)),
        place,
        np.minimum(place, 1 - place).min(axis=1, keepdims=True),
    ]
    for hops in _LOOKS:
        around = (near[hops - 1] @ sums) / (near[hops - 1] @ area)
        parts += [around, means[:, :3] - around[:, :3]]
    counts = _count_words(extract(image), pixels, dictionary)
    words = [_root_shares(near[hops - 1] @ scale) for hops in _WORDS for scale in counts]
    return Described(
        pixels,
        np.ascontiguousarray(means[:, :3]),
        np.concatenate(parts, axis=1).astype(np.float32),
        np.concatenate(words, axis=1),
        near,
    )


def _channels(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return colour and the energies of texture filters, (H, W, k): lengths of gradients, directions, spots."""
    found = [lab]
    for scale in _SCALES:
        smooth = cv2.GaussianBlur(lab, (0, 0), scale)
        x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3) * scale
        y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) * scale
        spots = cv2.Laplacian(np.ascontiguousarray(smooth[..., 0]), cv2.CV_32F) * (scale * scale)
        found += [
            np.sqrt(x * x + y * y),
            np.abs(x[..., :1]),
            np.abs(y[..., :1]),
            np.maximum(spots, 0)[..., None],
            np.maximum(-spots, 0)[..., None],
        ]
    return np.concatenate(found, axis=2)


def _count_words(features: Features, pixels: SuperPixels, dictionary: Dictionary) -> list[sparse.csr_matrix]:
    """Return how often each word lies in each super-pixel, (n, n_words), for each scale."""
    height, width = pixels.labels.shape
    x, y = (np.rint(features.points[:, axis]).astype(np.intp) for axis in (0, 1))
    at = pixels.labels[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    words = dictionary.predict(features.descriptors) if len(features) else np.zeros(0, np.int32)
    shape = (pixels.n, len(dictionary.words_))
    found = []
    for size in BIN_SIZES:
        here = features.points[:, 2] == 4 * size
        ones = np.ones(int(here.sum()), np.float32)
        found.append(sparse.coo_matrix((ones, (at[here], words[here])), shape=shape).tocsr())
    return found


def _root_shares(counts: sparse.csr_matrix) -> NDArray[np.float32]:
    values = counts.toarray()
    return np.asarray(np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1)), np.float32)
