"""From windows to candidates: what may be objects in an image, described for a second look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.annotations import iou, suppress
from cvbow.backends import ImageLike
from cvbow.detection._learning import Marked, read_working
from cvbow.detection._second_look import Candidates, describe, n_values
from cvbow.detection._windows import Window, look
from cvbow.detection._words import BoxWords

#: What windows have scored above this is looked at again: so many of each class.
_THRESHOLD, MOST = -1.0, 100
#: In learning, so many.
LEARNED_FROM = 30
#: Candidates that overlap one of a higher score by more are left out, and the highest so many are compared.
_ALIKE, _COMPARED = 0.7, 600
#: A candidate is of an object to ignore where it overlaps that by more.
_IGNORED = 0.3


@dataclass(frozen=True)
class Finder:
    """Proposes candidates of every class in an image; picklable.

    Attributes
    ----------
    windows : sequence of Window
    words : BoxWords
    n_classes, n_levels, max_side : int
    """

    windows: Sequence[Window]
    words: BoxWords
    n_classes: int
    n_levels: int
    max_side: int

    def propose(self, pixels: NDArray[np.uint8], most: int) -> list[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Return boxes (n, 4) and vectors (n, d) of at most ``most`` candidates of each class, by their first score."""
        seen = look(pixels, self.windows, self.n_levels, _THRESHOLD)
        classes = np.array([window.class_index for window in self.windows], np.intp)[seen.windows]
        height, width = pixels.shape[:2]
        counts = self.words.counts(pixels) if len(seen.boxes) else []
        found = []
        for number in range(self.n_classes):
            rows = np.flatnonzero(classes == number)
            rows = rows[np.argsort(-seen.scores[rows], kind="stable")[:_COMPARED]]
            boxes = np.clip(seen.boxes[rows], 0, [width, height, width, height])
            # The windows of the levels' margins may lie outside of the image.
            inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            rows, boxes = rows[inside], boxes[inside]
            kept = suppress(boxes, seen.scores[rows], _ALIKE)[:most]
            boxes, scores = boxes[kept], seen.scores[rows[kept]]
            if len(boxes):
                vectors = describe(counts, boxes, scores, (width, height))
            else:
                vectors = np.zeros((0, n_values(self.words.n_values)), np.float32)
            found.append((boxes, vectors))
        return found


@dataclass(frozen=True)
class Gather:
    """Proposes candidates to learn from, in images and with the windows that did not learn from them; picklable.

    Attributes
    ----------
    finders : sequence of Finder
        One for each fold of the images.
    """

    finders: Sequence[Finder]

    def __call__(self, item: tuple[int, ImageLike, Marked]) -> list[Candidates]:
        """Return the candidates of each class, for the number of an image, the image and what is marked on it."""
        number, image, marked = item
        finder = self.finders[number % len(self.finders)]
        pixels = read_working(image, finder.max_side).pixels
        found = []
        for class_index, (boxes, vectors) in enumerate(finder.propose(pixels, LEARNED_FROM)):
            mine = marked.classes == class_index
            ignored = marked.windows[mine] < 0
            overlaps, objects = np.zeros(len(boxes)), boxes
            if mine.any():
                shared = iou(boxes, marked.boxes[mine])
                best = shared.argmax(axis=1)
                overlaps, objects = shared.max(axis=1), marked.boxes[mine][best]
                overlaps[ignored[best] & (overlaps > _IGNORED)] = np.nan
            found.append(Candidates(boxes, vectors, overlaps, objects, int((~ignored).sum())))
        return found
