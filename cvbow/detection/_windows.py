"""Windows: a linear classifier of the cells in a window, and all places of an image where it says yes.

N. Dalal and B. Triggs, CVPR 2005: negatives are those windows beside the objects that a classifier learned so far takes
for objects. P. Felzenszwalb and others, PAMI 2010: several windows for a class, each with its mirror.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow.annotations import iou
from cvbow.classify import LinearSVM
from cvbow.detection._cells import CELL, mirrored
from cvbow.detection._pyramid import levels, scales, score_windows
from cvbow.storage import Array, Learned, Number, storable

#: Objects may be so much smaller or larger than those that were learned from.
_STRETCH = 1.15
#: Of the support vector machine, and how much all objects of a window weigh against all its negatives.
_C, _OBJECTS_SHARE = 0.02, 0.2
#: Windows that overlap a marked box of their class by less than this are negatives.
_BESIDE = 0.3
#: Of the windows above the threshold of one level, those with the highest scores are looked at.
_PER_LEVEL = 200


@storable
class Window:
    """A window that objects of one class are seen in.

    Parameters
    ----------
    class_index : int

    Attributes
    ----------
    weights_ : ndarray of shape (rows, columns, 34), float32
        Of the cells, one more on each side than the object has.
    bias_ : float
    smallest_, largest_ : float
        The roots of the areas of the smallest and the largest objects that are looked for, in pixels.
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "weights_": Array("float32", "rows columns 34"),
        "bias_": Number(),
        "smallest_": Number(above=0),
        "largest_": Number(above=0),
    }

    weights_: NDArray[np.float32]
    bias_: float
    smallest_: float
    largest_: float

    def __init__(self, class_index: int) -> None:
        self.class_index = class_index

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        if "weights_" in vars(self) and min(self.shape) < 1:
            raise ValueError(f"weights_ must be of at least 3 x 3 cells, got {self.weights_.shape[:2]}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the object's cells, without those around."""
        return self.weights_.shape[0] - 2, self.weights_.shape[1] - 2

    @property
    def side(self) -> float:
        """The root of the object's area in pixels, where its cells are as they are."""
        rows, columns = self.shape
        return float(CELL * (rows * columns) ** 0.5)

    def sees(self, scale: float) -> bool:
        """Whether objects of a size that is looked for are as large as the window at a scale."""
        size = self.side / scale
        return self.smallest_ / _STRETCH <= size <= self.largest_ * _STRETCH

    def fit(self, objects: NDArray[np.float32], negatives: NDArray[np.float32]) -> Window:
        """Learn from cells of objects and of other windows, each (n, rows, columns, 34)."""
        vectors = np.concatenate([objects, negatives]).reshape(len(objects) + len(negatives), -1)
        is_object = np.arange(len(vectors)) < len(objects)
        weights = np.where(is_object, _OBJECTS_SHARE * len(negatives) / len(objects), 1.0)
        svm = LinearSVM(C=_C, shares=None).fit(vectors, is_object, weights)
        self.weights_ = np.ascontiguousarray(svm.coef_[0].reshape(objects.shape[1:]))
        self.bias_ = float(svm.intercept_[0])
        return self

    def scores(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of cells (n, rows, columns, 34), shape (n,)."""
        return np.asarray(cells.reshape(len(cells), -1) @ self.weights_.ravel() + np.float32(self.bias_))


@dataclass(frozen=True)
class Seen:
    """Windows of an image that have a high score.

    Attributes
    ----------
    boxes : ndarray of shape (n, 4), float64
    scores : ndarray of shape (n,), float64
    windows : ndarray of shape (n,), intp
        Which window each is of.
    cells : list of ndarray
        What was seen, as if it were not mirrored; empty where it was not asked for.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    windows: NDArray[np.intp]
    cells: list[NDArray[np.float32]]

    def take(self, rows: NDArray[np.intp]) -> Seen:
        """Return some of them, in the order of ``rows``."""
        cells = [self.cells[row] for row in rows] if self.cells else []
        return Seen(self.boxes[rows], self.scores[rows], self.windows[rows], cells)


def look(
    image: NDArray[np.uint8], windows: Sequence[Window], n_levels: int, threshold: float, *, keep_cells: bool = False
) -> Seen:
    """Return where in an image windows have a score above a threshold, at each of ``n_levels`` sizes for a halving.

    Of a window and its mirror, the one with the higher score counts.
    """
    smallest = min(window.side / (window.largest_ * _STRETCH) for window in windows)
    largest = max(window.side / (window.smallest_ / _STRETCH) for window in windows)
    at = scales(image, smallest, largest, n_levels)
    both = [(window.weights_, mirrored(window.weights_)) for window in windows]
    parts: list[Seen] = []
    for level in levels(image, at):
        # The finest level stands for all that an image could not be enlarged to.
        seeing = [
            index
            for index, window in enumerate(windows)
            if window.sees(level.scale) or (level.scale == at[0] and window.side / level.scale > window.largest_)
        ]
        for index in seeing:
            # One window at a time: the products of all with a large level would be larger than the level.
            plain, turned = score_windows(level.cells, both[index])
            scores = np.maximum(plain, turned) + np.float32(windows[index].bias_)
            found = np.flatnonzero(scores > threshold)
            if not len(found):
                continue
            values = scores.ravel()[found]
            if len(found) > _PER_LEVEL:
                first = np.argsort(-values, kind="stable")[:_PER_LEVEL]
                found, values = found[first], values[first]
            rows, columns = np.unravel_index(found, scores.shape)
            boxes = level.boxes(rows + 1, columns + 1, windows[index].shape)
            cells = []
            if keep_cells:
                height, width = windows[index].weights_.shape[:2]
                for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                    piece = level.cells[row : row + height, column : column + width]
                    cells.append(mirrored(piece) if turned[row, column] > plain[row, column] else piece.copy())
            parts.append(Seen(boxes, values.astype(np.float64), np.full(len(found), index), cells))
    if not parts:
        return Seen(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.intp), [])
    return Seen(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.windows for part in parts]),
        [cells for part in parts for cells in part.cells],
    )


def beside(boxes: NDArray[np.float64], marked: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which boxes (n, 4) hardly overlap any that is marked, (m, 4)."""
    return np.asarray(iou(boxes, marked).max(axis=1, initial=0) < _BESIDE)


def one_way(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cells of objects (n, rows, columns, 34), mirrored where they are then more like the others.

    Begun by the sign of the part that tells most of objects from their mirrors; then by the mean.
    """
    flat, other = cells.reshape(len(cells), -1), mirrored(cells).reshape(len(cells), -1)
    odd = (flat - other).astype(np.float64)
    _, vectors = np.linalg.eigh(odd @ odd.T)
    # The sign of an eigenvector is nobody's choice: the first object stays as it is.
    turned = vectors[:, -1] * np.sign(vectors[0, -1] or 1.0) < 0
    for _ in range(20):
        mean = np.where(turned[:, None], other, flat).mean(axis=0)
        now = other @ mean > flat @ mean
        if (now == turned).all():
            break
        turned = now
    return np.where(turned[:, None], other, flat).reshape(cells.shape)
