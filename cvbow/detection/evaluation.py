"""How well objects were found: average precision as COCO defines it.

T. Lin and others, "Microsoft COCO: common objects in context", ECCV 2014, and its ``pycocotools``: precision is
averaged over 101 recalls, and over ten overlaps from 0.5 to 0.95 that a box must have with a marked one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.annotations import ObjectList, Objects, iou

#: Overlaps, recalls, and how many objects of a class count in an image, as in ``pycocotools``.
OVERLAPS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
_MOST = 100
#: False alarms an image at which the recall is told.
ALARMS = (0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """How well the objects of images were found.

    Attributes
    ----------
    classes : tuple of str
        Those that are marked in an image, in natural order.
    n_images : int
    n_objects : ndarray of shape (n_classes,), int
        Marked objects, without those to ignore.
    precisions : ndarray of shape (n_classes, 10), float64
        The average precision of each class at each of the overlaps 0.5, 0.55 to 0.95.
    scores, hits : ndarray of shape (n_found,)
        The scores of all that was found of these classes, falling, and whether each is a marked object, at overlap 0.5.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow import Objects, evaluate_detections
    >>> from cvbow.annotations import ObjectList
    >>> truth = ObjectList((Path("a.jpg"),), (Objects.of([[0, 0, 10, 10], [20, 0, 30, 10]], "cell"),))
    >>> report = evaluate_detections(truth, [Objects.of([[0, 0, 10, 10], [50, 0, 60, 10]], "cell", [0.9, 0.8])])
    >>> round(report.ap50, 3), report.recall_at(1.0)
    (0.505, 0.5)
    """

    classes: tuple[str, ...]
    n_images: int
    n_objects: NDArray[np.int64]
    precisions: NDArray[np.float64]
    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]

    @property
    def ap50(self) -> float:
        """Mean over the classes of the average precision at overlap 0.5; NaN where nothing is marked."""
        return float(self.precisions[:, 0].mean()) if len(self.classes) else float("nan")

    @property
    def ap(self) -> float:
        """Mean over the classes and the ten overlaps; NaN where nothing is marked."""
        return float(self.precisions.mean()) if len(self.classes) else float("nan")

    def recall_at(self, alarms: float) -> float:
        """Return the share of marked objects that are found when there are ``alarms`` false ones an image at most."""
        total = int(self.n_objects.sum())
        if not total:
            return float("nan")
        allowed = np.cumsum(~self.hits) <= alarms * self.n_images
        return float(self.hits[allowed].sum() / total)

    def as_json(self) -> dict[str, Any]:
        """Return the measures as JSON values: ap50, ap, per_class, recall and so on; None for what cannot be told."""

        def plain(value: float) -> float | None:
            return None if np.isnan(value) else float(value)

        return {
            "ap50": plain(self.ap50),
            "ap": plain(self.ap),
            "per_class": {
                name: {"ap50": float(row[0]), "ap": float(row.mean()), "objects": int(count)}
                for name, row, count in zip(self.classes, self.precisions, self.n_objects, strict=True)
            },
            "recall_by_false_alarms": {f"{alarms:g}": plain(self.recall_at(alarms)) for alarms in ALARMS},
            "n_images": self.n_images,
        }


def evaluate_detections(truth: ObjectList, found: Sequence[Objects]) -> DetectionReport:
    """Judge what was found in images by what is marked on them.

    Parameters
    ----------
    truth : ObjectList
        Objects to ignore are neither missed nor false alarms when they are found.
    found : sequence of Objects
        Of each image of ``truth``, in its order; of a class in an image, the 100 with the highest scores count.

    Returns
    -------
    DetectionReport
        Of the classes that are marked. What was found of others has no share in it, as in ``pycocotools``, whose
        numbers these are.

    Raises
    ------
    ValueError
        If there is not one of ``found`` for each image.

    Notes
    -----
    From the highest score on, each box takes that marked box of its class that it overlaps most and no other has taken,
    if they overlap enough. Precision at a recall is the highest at that recall or beyond.
    """
    if len(found) != len(truth):
        raise ValueError(f"found must have objects for each of the {len(truth)} images, got {len(found)}")
    marked = [each.take(~each.ignored) for each in truth.objects]
    classes = ObjectList(truth.paths, tuple(marked)).classes
    n_objects = np.array([sum(int((each.classes == name).sum()) for each in marked) for name in classes], np.int64)
    precisions = np.zeros((len(classes), len(OVERLAPS)))
    scores: list[NDArray[np.float64]] = []
    hits: list[NDArray[np.bool_]] = []
    for row, name in enumerate(classes):
        parts = [_match(*(_of_class(part, name) for part in pair)) for pair in zip(truth.objects, found, strict=True)]
        values = np.concatenate([part[0] for part in parts])
        right, counts = (np.concatenate([part[place] for part in parts], axis=1) for place in (1, 2))
        order = np.argsort(-values, kind="stable")
        for place in range(len(OVERLAPS)):
            kept = order[counts[place, order]]
            precisions[row, place] = _average_precision(right[place, kept], int(n_objects[row]))
        scores.append(values[counts[0]])
        hits.append(right[0, counts[0]])
    values = np.concatenate(scores) if scores else np.zeros(0)
    order = np.argsort(-values, kind="stable")
    all_hits = np.concatenate(hits)[order] if hits else np.zeros(0, bool)
    return DetectionReport(classes, len(truth), n_objects, precisions, values[order], all_hits)


def match_objects(truth: Objects, found: Objects, overlap: float = 0.5) -> NDArray[np.intp]:
    """Return the row of the marked object that each found one is, shape (n_found,); -1 for a false alarm.

    A found object that is one to ignore has its row as well, which several may have.

    Parameters
    ----------
    truth, found : Objects
        Of one image.
    overlap : float, default 0.5

    Examples
    --------
    >>> from cvbow import Objects
    >>> from cvbow.detection import match_objects
    >>> found = Objects.of([[1, 0, 10, 10], [0, 0, 10, 10]], "cell", [0.4, 0.9])
    >>> match_objects(Objects.of([[0, 0, 10, 10]], "cell"), found).tolist()
    [-1, 0]
    """
    rows = np.full(len(found), -1, np.intp)
    for name in found.labels:
        mine, theirs = np.flatnonzero(found.classes == name), np.flatnonzero(truth.classes == name)
        order = mine[np.argsort(-found.scores[mine], kind="stable")]
        taken = _take(truth.take(theirs), found.take(order), overlap)
        hit = taken >= 0
        rows[order[hit]] = theirs[taken[hit]]
    return rows


def _of_class(objects: Objects, name: str) -> Objects:
    return objects.take(objects.classes == name)


def _match(truth: Objects, found: Objects) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the scores of found objects of one class, and at each overlap whether they are hits, and count at all."""
    best = found.take(np.argsort(-found.scores, kind="stable")[:_MOST])
    hits, counts = np.zeros((2, len(OVERLAPS), len(best)), bool)
    for place, overlap in enumerate(OVERLAPS):
        taken = _take(truth, best, float(overlap))
        hits[place] = taken >= 0
        counts[place] = True
        ignored = hits[place].copy()
        ignored[hits[place]] = truth.ignored[taken[hits[place]]]
        counts[place, ignored] = False
    return best.scores, hits, counts


def _take(truth: Objects, found: Objects, overlap: float) -> NDArray[np.intp]:
    """Return the marked object that each found one, by falling score, takes; -1 for none."""
    overlaps = iou(found.boxes, truth.boxes)
    if truth.ignored.any():
        # A crowd is found by whatever lies inside of it.
        common = np.minimum(found.boxes[:, None, 2:], truth.boxes[:, 2:]) - np.maximum(
            found.boxes[:, None, :2], truth.boxes[:, :2]
        )
        areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1)
        inside = np.maximum(common, 0).prod(axis=2) / areas[:, None]
        overlaps = np.where(truth.ignored, inside, overlaps)
    taken = np.full(len(found), -1, np.intp)
    free = ~truth.ignored
    for row in range(len(found)):
        for candidates in (free, truth.ignored):
            # Of equal overlaps pycocotools takes the last.
            within = np.where(candidates, overlaps[row], -1.0)
            place = len(within) - 1 - int(np.argmax(within[::-1])) if len(within) else 0
            if len(within) and within[place] >= min(overlap, 1 - 1e-10):
                taken[row] = place
                free = free & (np.arange(len(free)) != place)
                break
    return taken


def _average_precision(hits: NDArray[np.bool_], n_objects: int) -> float:
    """Return the mean precision at 101 recalls, of hits by falling score."""
    right = np.cumsum(hits)
    recall = right / n_objects
    precision = right / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.where(places < len(hits), np.append(precision, 0.0)[places], 0.0).mean())
