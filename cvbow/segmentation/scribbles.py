"""Scribbles made from masks: a few strokes in each class, as somebody would draw who has little time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.segmentation.masks import UNKNOWN

#: Strokes that are tried for each that is drawn: the longest is taken that stays inside of its class.
_TRIALS = 20


def make_scribbles(
    mask: NDArray[np.uint8], *, strokes: int = 3, width: int = 3, random_state: int = 0
) -> NDArray[np.uint8]:
    """Draw straight strokes in each class of a mask, and leave all else unknown.

    A stroke runs between two pixels of the class, drawn at random from those that are well inside of it, and stays
    inside of the class all the way; of several tries the longest counts.

    Parameters
    ----------
    mask : ndarray of shape (H, W), uint8
        Classes, and 255 for unknown.
    strokes : int, default 3
        Of each class that the mask has.
    width : int, default 3
        Of a stroke, in pixels.
    random_state : int, default 0

    Returns
    -------
    ndarray of shape (H, W), uint8
        The mask where a stroke is, and 255 elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.segmentation import make_scribbles
    >>> mask = np.zeros((60, 80), np.uint8)
    >>> mask[20:40, 20:60] = 1
    >>> scribbled = make_scribbles(mask)
    >>> known = scribbled != 255
    >>> bool((scribbled[known] == mask[known]).all()), bool(known.mean() < 0.2), np.unique(scribbled).tolist()
    (True, True, [0, 1, 255])
    """
    check_int("strokes", strokes, minimum=1)
    check_int("width", width, minimum=1)
    random = np.random.default_rng(random_state)
    found = np.full_like(mask, UNKNOWN)
    for value in np.unique(mask[mask != UNKNOWN]):
        inside = (mask == value).astype(np.uint8)
        # Beyond the image is outside, so that strokes keep away from its edge as well.
        depth = cv2.distanceTransform(cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
        depth = depth[1:-1, 1:-1]
        ys, xs = np.nonzero(depth >= min(width, depth.max() / 2))
        for _ in range(strokes):
            best, drawn = 0, None
            for _ in range(_TRIALS):
                first, last = random.integers(0, len(ys), 2)
                stroke = np.zeros_like(inside)
                ends = (int(xs[first]), int(ys[first])), (int(xs[last]), int(ys[last]))
                cv2.line(stroke, *ends, 1, width)
                length = int(stroke.sum())
                if length > best and not (stroke & (1 - inside)).any():
                    best, drawn = length, stroke
            if drawn is None:  # a class too thin for the width
                drawn = np.zeros_like(inside)
                drawn[ys[0], xs[0]] = 1
            found[drawn > 0] = value
    return found
