"""A second look at what windows took for an object: the words and colours in the box and around it, and a better box.

R. Girshick, J. Donahue, T. Darrell and J. Malik, "Rich feature hierarchies for accurate object detection and semantic
segmentation", CVPR 2014, for candidates that are described and judged again, and for boxes that are moved by a ridge
regression; words in place of their network. Probabilities: J. Platt, 1999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from cvbow.annotations import suppress
from cvbow.classify import LinearSVM
from cvbow.detection._regions import WordCounts
from cvbow.storage import Array, Learned, Number, storable

#: Candidates that overlap a marked object by more are objects, by less than the second are none.
IS_OBJECT, IS_NONE = 0.5, 0.4
#: What is around a box counts up to so many times its sides.
_AROUND = 1.5
#: The regions of a box that words are counted in, and the values that tell of the first score, the size and the place.
_REGIONS, _FACTS = 6, 10
#: Of the support vector machine, to choose from.
_CS = (0.01, 0.1, 1.0)
#: Penalty of the ridge regression of boxes, as a share of the mean squared length of vectors times their number.
_PENALTY = 0.003
#: Overlaps of boxes that may both be kept, to choose from.
_OVERLAPS = (0.3, 0.4, 0.5, 0.6)
#: Steps of Newton's method for three numbers, and the penalty of two of them.
_STEPS, _CALM = 50, 1e-3


@dataclass(frozen=True)
class Candidates:
    """What may be objects of one class in one image.

    Attributes
    ----------
    boxes : ndarray of shape (n, 4), float64
    vectors : ndarray of shape (n, d), float32
    overlaps : ndarray of shape (n,), float64
        With the marked object that each overlaps most; NaN where that is one to ignore.
    objects : ndarray of shape (n, 4), float64
        That object.
    n_objects : int
        How many are marked.
    """

    boxes: NDArray[np.float64]
    vectors: NDArray[np.float32]
    overlaps: NDArray[np.float64]
    objects: NDArray[np.float64]
    n_objects: int


def n_values(n_words: int) -> int:
    """Return the length of a vector."""
    return _REGIONS * n_words + _FACTS


def describe(
    counts: Sequence[WordCounts],
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """Return vectors of boxes (n, 4) with scores (n,) in an image of a width and height.

    The roots of the shares of words in the box, in each quarter of it, and around it; and ten values of the
    score, of the size, and of the distances from the image's sides.
    """
    regions = _regions(boxes)
    parts = []
    for each in counts:
        inside = [each.inside(region) for region in regions]
        inside[-1] = np.maximum(inside[-1] - inside[0], 0)
        for found in inside:
            total = found.sum(axis=1, keepdims=True)
            parts.append(np.sqrt(np.divide(found, total, out=np.zeros_like(found), where=total > 0)))
    width, height = size
    sides = boxes[:, 2:] - boxes[:, :2]
    gaps = np.concatenate([boxes[:, :2], (width, height) - boxes[:, 2:]], axis=1) / np.tile(sides, 2)
    logs = np.log(sides / max(size))
    side, aspect = logs.sum(axis=1) / 2, logs[:, 0] - logs[:, 1]
    near = np.exp(-4 * np.maximum(gaps, 0))
    facts = np.column_stack([scores, np.minimum(scores, 0), side, aspect, near, side**2 / 2, aspect**2])
    return np.concatenate([*parts, facts], axis=1).astype(np.float32)


def _regions(boxes: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the boxes, their quarters row by row, and larger ones around them."""
    middles, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    found = [boxes]
    for y in (-1, 0):
        for x in (-1, 0):
            low = middles + halves * (x, y)
            found.append(np.concatenate([low, low + halves], axis=1))
    return [*found, np.concatenate([middles - _AROUND * halves, middles + _AROUND * halves], axis=1)]


@storable
class SecondLook:
    """Judges candidates of one class, and moves their boxes.

    Parameters
    ----------
    class_index : int

    Attributes
    ----------
    weights_ : ndarray of shape (d,), float32
        Of a linear classifier of the vectors, the first score among them: the sum with the bias is the logarithm of the
        odds that a candidate is an object.
    bias_ : float
    moves_ : ndarray of shape (d, 4), float32
        By how much a box is moved, in shares of its sides, and by the logarithms of how much it is stretched.
    shift_ : ndarray of shape (4,), float64
        What is added to that.
    overlap_ : float
        Of two boxes that overlap by more, that with the higher score is kept.
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "weights_": Array("float32", "d"),
        "bias_": Number(),
        "moves_": Array("float32", "d 4"),
        "shift_": Array("float64", "4"),
        "overlap_": Number(minimum=0),
    }

    weights_: NDArray[np.float32]
    bias_: float
    moves_: NDArray[np.float32]
    shift_: NDArray[np.float64]
    overlap_: float

    def __init__(self, class_index: int) -> None:
        self.class_index = class_index

    def fit(self, candidates: Sequence[Candidates], folds: NDArray[np.intp]) -> SecondLook:
        """Learn from the candidates of images, which are in folds (n_images,): decisions are judged where left out."""
        vectors = np.concatenate([each.vectors for each in candidates])
        overlaps = np.concatenate([each.overlaps for each in candidates])
        lengths = [len(each.boxes) for each in candidates]
        image = np.repeat(np.arange(len(candidates)), lengths)
        is_object = overlaps >= IS_OBJECT
        counts = is_object | (overlaps < IS_NONE)
        boxes = np.concatenate([each.boxes for each in candidates])
        objects = np.concatenate([each.objects for each in candidates])
        self.moves_, self.shift_ = _learn_moves(vectors[is_object], boxes[is_object], objects[is_object])
        moved = [self.move(each.vectors, each.boxes) for each in candidates]
        first = vectors[:, -_FACTS].astype(np.float64)
        best = -1.0
        for C in _CS:
            held_out = np.zeros(len(vectors))
            for fold in np.unique(folds):
                out = folds[image] == fold
                weights, bias = _classify(vectors, is_object, counts & ~out, C)
                held_out[out] = vectors[out] @ weights + bias
            # What the first look says is not lost where the second has little to learn from.
            both = np.column_stack([held_out, first])
            line = _logistic_regression(both[counts], is_object[counts])
            decisions = both @ line[:2]
            for overlap in _OVERLAPS:
                precision = _precision(candidates, moved, np.split(decisions, np.cumsum(lengths)[:-1]), overlap)
                if precision > best + 1e-9:
                    best, chosen, self.overlap_ = precision, (C, line), overlap
        C, line = chosen
        weights, bias = _classify(vectors, is_object, counts, C)
        self.weights_ = np.asarray(line[0] * weights, np.float32)
        self.weights_[-_FACTS] += np.float32(line[1])
        self.bias_ = float(line[0] * bias + line[2])
        return self

    def decide(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability that each candidate (n, d) is an object."""
        return _logistic((vectors @ self.weights_).astype(np.float64) + self.bias_)

    def move(self, vectors: NDArray[np.float32], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return better boxes (n, 4)."""
        moves = np.clip(vectors @ self.moves_ + self.shift_, -0.5, 0.5)
        sides = boxes[:, 2:] - boxes[:, :2]
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2 + moves[:, :2] * sides
        halves = np.exp(moves[:, 2:]) * sides / 2
        return np.concatenate([middles - halves, middles + halves], axis=1)


def _precision(
    candidates: Sequence[Candidates],
    moved: Sequence[NDArray[np.float64]],
    decisions: Sequence[NDArray[np.float64]],
    overlap: float,
) -> float:
    """Return the precision of the candidates that are kept with an overlap, averaged over their recall.

    Boxes (n, 4) of each image are where they were moved to; they count as objects where they were objects before.
    """
    scores, hits = [], []
    for each, boxes, values in zip(candidates, moved, decisions, strict=True):
        found: set[tuple[float, ...]] = set()
        for row in suppress(boxes, values, overlap).tolist():
            if np.isnan(each.overlaps[row]):
                continue
            name = tuple(each.objects[row].tolist())
            hits.append(each.overlaps[row] >= IS_OBJECT and name not in found)
            found |= {name} if hits[-1] else set()
            scores.append(values[row])
    right = np.array(hits, bool)[np.argsort(-np.array(scores), kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precision[right].sum()) / max(1, sum(each.n_objects for each in candidates))


def _classify(
    vectors: NDArray[np.float32], is_object: NDArray[np.bool_], counts: NDArray[np.bool_], C: float
) -> tuple[NDArray[np.float32], float]:
    """Return weights (d,) and bias; those of the first score alone where one of the two classes is missing."""
    if len(np.unique(is_object[counts])) < 2:
        weights = np.zeros(vectors.shape[1], np.float32)
        weights[-_FACTS] = 1
        return weights, 0.0
    svm = LinearSVM(C=C, class_weight="balanced", shares=None).fit(vectors[counts], is_object[counts])
    return np.ascontiguousarray(svm.coef_[0]), float(svm.intercept_[0])


def _learn_moves(
    vectors: NDArray[np.float32], boxes: NDArray[np.float64], objects: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the ridge regression (d, 4) and (4,) of what moves boxes (n, 4) to objects (n, 4)."""
    if not len(vectors):
        return np.zeros((vectors.shape[1], 4), np.float32), np.zeros(4)
    sides, wanted = boxes[:, 2:] - boxes[:, :2], objects[:, 2:] - objects[:, :2]
    middles = (objects[:, :2] + objects[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / (2 * sides)
    targets = np.concatenate([middles, np.log(wanted / sides)], axis=1)
    mean, shift = vectors.mean(axis=0, dtype=np.float64), targets.mean(axis=0)
    centered = vectors - mean
    # The smaller of two systems with the same solution.
    few = len(centered) <= centered.shape[1]
    products = centered @ centered.T if few else centered.T @ centered
    products.flat[:: len(products) + 1] += max(_PENALTY * np.trace(products), 1e-9)
    if few:
        moves = centered.T @ solve(products, targets - shift, assume_a="pos")
    else:
        moves = solve(products, centered.T @ (targets - shift), assume_a="pos")
    return moves.astype(np.float32), shift - mean @ moves


def _logistic_regression(inputs: NDArray[np.float64], is_object: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return factors of inputs (n, 2), none below zero, and an offset: of the most likely probabilities, (3,).

    With Platt's targets, by Newton's method with halved steps: H. Lin, C. Lin and R. Weng, "A note on Platt's
    probabilistic outputs for support vector machines", Machine Learning 2007.
    """
    n_objects = int(is_object.sum())
    targets = np.where(is_object, (n_objects + 1) / (n_objects + 2), 1 / (len(is_object) - n_objects + 2))
    used = np.array([True, True])
    while True:
        line = _most_likely(inputs * used, targets)
        if (line[:2] >= 0).all() or not used.any():
            return np.where([*used, True], np.maximum(line, [0, 0, -np.inf]), 0.0)
        # An input that would count against what it says does not count.
        used[line[:2].argmin()] = False


def _most_likely(inputs: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    columns = np.column_stack([inputs, np.ones(len(inputs))])
    calm = np.array([_CALM, _CALM, 0.0])

    def loss(line: NDArray[np.float64]) -> float:
        values = columns @ line
        return float((np.logaddexp(0, values) - targets * values).sum() + 0.5 * (calm * line**2).sum())

    line = np.array([1.0, 0.0, 0.0])
    now = loss(line)
    for _ in range(_STEPS):
        likely = _logistic(columns @ line)
        gradient = columns.T @ (likely - targets) + calm * line
        bend = (columns.T * (likely * (1 - likely))) @ columns + np.diag(calm + 1e-9)
        step = -np.linalg.solve(bend, gradient)
        length, then = 1.0, loss(line + step)
        while then > now and length > 1e-6:
            length /= 2
            then = loss(line + length * step)
        if then > now or now - then < 1e-9 * max(1.0, now):
            break
        line, now = line + length * step, then
    return line


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))
