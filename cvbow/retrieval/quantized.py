"""Local features as an index stores them: a word, a place, a size and an angle in ten bytes, and a signature in eight.

Places are good to 1/65536 of the image's side, sizes to 2.2 % and angles to 0.7 degrees, which is finer than detectors
repeat them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.features import Features
from cvbow.retrieval.describer import ArraySpec

#: Steps of a place over the image's side.
_PLACES = 1 << 16
#: Steps of an octave, and the size in pixels, 2 ** -2, of step 0.
_PER_OCTAVE = 16
_SMALLEST = -2
#: Steps of a turn.
_TURN = 256


def local_words_layout(*, signatures: bool) -> dict[str, ArraySpec]:
    """Return the arrays of an image's local words, with or without signatures of 64 bits."""
    layout = {
        "words": ArraySpec("<i4", (), "feature"),
        "places": ArraySpec("<u2", (2,), "feature"),
        "shapes": ArraySpec("|u1", (2,), "feature"),
        "image_size": ArraySpec("<i4", (2,), "image"),
    }
    if signatures:
        layout["signatures"] = ArraySpec("<u8", (), "feature")
    return layout


def quantize(
    features: Features, words: NDArray[np.int32], signatures: NDArray[np.uint64] | None = None
) -> dict[str, NDArray[Any]]:
    """Quantise an image's features for storage.

    Parameters
    ----------
    features : Features
        The points of n features; their descriptors are not looked at.
    words : ndarray of shape (n,), int32
    signatures : ndarray of shape (n,), uint64, optional

    Returns
    -------
    dict of ndarray
        ``words`` (n,) int32, ascending; features of one word stay in the order they came in.
        ``places`` (n, 2) uint16: x and y, 0 to 65535 over the image from its left (upper) edge to its right (lower).
        ``shapes`` (n, 2) uint8: 16 log2(4 size), the size in pixels; and the angle in 1/256 turn, 0 for none.
        ``image_size`` (2,) int32: width and height in pixels.
        ``signatures`` (n,) uint64, where given.

    Raises
    ------
    ValueError
        If words or signatures are not one for each feature.
    """
    words = np.asarray(words)
    if words.shape != (len(features),):
        raise ValueError(f"words must be one for each of {len(features)} features, got shape {words.shape}")
    if signatures is not None and signatures.shape != words.shape:
        raise ValueError(f"signatures must be one for each of {len(features)} features, got shape {signatures.shape}")
    order = np.argsort(words, kind="stable")
    points = features.points[order].astype(np.float64)
    size = np.array(features.image_size, np.int32)
    places = np.clip(np.floor((points[:, :2] + 0.5) * (_PLACES / size)), 0, _PLACES - 1)
    octaves = np.log2(np.maximum(points[:, 2], 2.0**_SMALLEST)) - _SMALLEST
    shapes = np.empty((len(points), 2), np.uint8)
    shapes[:, 0] = np.minimum(np.round(_PER_OCTAVE * octaves), 255)
    # -1 stands for no angle; a last step that rounds up to a whole turn is step 0.
    shapes[:, 1] = np.round(np.where(points[:, 3] < 0, 0, points[:, 3]) * (_TURN / 360)) % _TURN
    arrays: dict[str, NDArray[Any]] = {
        "words": words[order].astype(np.int32),
        "places": places.astype(np.uint16),
        "shapes": shapes,
        "image_size": size,
    }
    if signatures is not None:
        arrays["signatures"] = signatures[order].astype(np.uint64)
    return arrays


def stored_points(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return the points of stored local words as ``Features`` has them.

    Parameters
    ----------
    arrays : mapping
        ``places``, ``shapes`` and ``image_size`` as ``quantize`` makes them.

    Returns
    -------
    ndarray of shape (n, 4), float32
        x, y (pixels, the centre of the first pixel at 0, 0), size (diameter in pixels), angle (degrees, 0 to 360).
    """
    shapes = arrays["shapes"]
    points = np.empty((len(shapes), 4), np.float32)
    points[:, :2] = (arrays["places"] + 0.5) * (np.asarray(arrays["image_size"]) / _PLACES) - 0.5
    points[:, 2] = np.exp2(shapes[:, 0] / _PER_OCTAVE + _SMALLEST)
    points[:, 3] = shapes[:, 1] * (360 / _TURN)
    return points
