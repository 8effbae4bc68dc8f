"""What boxes have in common, and which of several that cover the same place to keep.

The overlap of two boxes is the area of their intersection as a share of that of their union: P. Jaccard, "The
distribution of the flora in the alpine zone", New Phytologist 1912; of boxes in M. Everingham and others, "The PASCAL
visual object classes challenge", IJCV 2010.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_real


def iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return the area that boxes have in common as a share of the area of both.

    Parameters
    ----------
    first : array-like of shape (n, 4)
        xmin, ymin, xmax and ymax; the width is xmax - xmin.
    second : array-like of shape (m, 4)

    Returns
    -------
    ndarray of shape (n, m), float64
        From 0 to 1; 0 where both boxes have no area.

    Raises
    ------
    ValueError
        If the boxes have another shape.

    Examples
    --------
    >>> from cvbow.annotations import iou
    >>> iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]]).round(3).tolist()
    [[1.0, 0.333, 0.0]]
    """
    a, b = check_boxes("first", first), check_boxes("second", second)
    sides = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    common = np.maximum(sides, 0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def suppress(boxes: ArrayLike, scores: ArrayLike, overlap: float) -> NDArray[np.intp]:
    """Choose boxes by falling score, each of which overlaps none that was chosen before by more than ``overlap``.

    Parameters
    ----------
    boxes : array-like of shape (n, 4)
        xmin, ymin, xmax and ymax.
    scores : array-like of shape (n,)
        Of equal ones, the first comes first.
    overlap : float from 0 to 1
        As ``iou`` measures it; with 0, boxes that are chosen have no area in common.

    Returns
    -------
    ndarray of shape (n_chosen,), intp
        The rows of the chosen boxes, by falling score.

    Raises
    ------
    ValueError
        If the boxes have another shape, scores are not as many, or ``overlap`` is out of its range.

    Examples
    --------
    >>> from cvbow.annotations import suppress
    >>> suppress([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], [0.5, 0.9, 0.7], 0.5).tolist()
    [1, 2]
    """
    given, values = check_boxes("boxes", boxes), np.asarray(scores, np.float64)
    if values.shape != (len(given),):
        raise ValueError(f"scores must be one for each of the {len(given)} boxes, got shape {values.shape}")
    check_real("overlap", overlap, minimum=0, maximum=1)
    waiting = np.argsort(-values, kind="stable")
    chosen: list[int] = []
    while len(waiting):
        best, waiting = int(waiting[0]), waiting[1:]
        chosen.append(best)
        waiting = waiting[iou(given[best][None], given[waiting])[0] <= overlap]
    return np.array(chosen, np.intp)


def check_boxes(name: str, boxes: ArrayLike) -> NDArray[np.float64]:
    """Return boxes (n, 4) as float64, of which there may be none; ValueError that names them for another shape."""
    given = np.asarray(boxes, np.float64)
    if given.size == 0:
        return given.reshape(-1, 4)
    if given.ndim != 2 or given.shape[1] != 4:
        raise ValueError(f"{name} must have the shape (n, 4), got {given.shape}")
    return given
