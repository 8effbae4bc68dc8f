"""From a model of image labels to the boxes that its scores come from.

C. Lampert, M. Blaschko and T. Hofmann, "Efficient subwindow search: a branch and bound framework for object
localization", PAMI 2009: where a score is a sum over points, the score of a box is the sum over those in it. That holds
of any encoder and classifier by the shares of ``cvbow.explanation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.annotations import Objects
from cvbow.backends import ImageLike
from cvbow.backends.loading import as_sequence, check_images
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation import ScoreShares, score_shares, wanted_classes
from cvbow.localization.search import best_box

#: Cells along an image's longer side at most: the time of the search is bounded by their third power.
_N_CELLS = 512


@dataclass(frozen=True, eq=False)
class Location:
    """Where in an image a class is.

    Attributes
    ----------
    path : str or None
        Of the image; None of pixels.
    class_name : str
    objects : Objects
        Its boxes by falling score, none of which overlap. A score is the sum of what the points and pixels in the box
        gave to the class's score; there are none without a sum above zero.
    visited : int
        Sets of boxes whose bound was computed to find them.
    n_possible : int
        Boxes that the image has.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.localization import locations
    >>> red, blue = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> red[:, :, 0], blue[:, :, 2] = 255, 255
    >>> model = ImageClassifier(ColorHistogram()).fit([red, blue] * 3, ["red", "blue"] * 3)
    >>> ((found,),) = locations(model, [np.hstack([red[:, :6], blue[:, 6:]])], "blue")
    >>> found.class_name, found.objects.boxes.tolist(), found.n_possible
    ('blue', [[6.0, 0.0, 8.0, 8.0]], 1296)
    """

    path: str | None
    class_name: str
    objects: Objects
    visited: int
    n_possible: int

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values: path, class, and boxes with xmin, ymin, xmax, ymax and score."""
        rows = self.objects.as_json()
        boxes = [{key: row[key] for key in ("xmin", "ymin", "xmax", "ymax", "score")} for row in rows]
        return {"path": self.path, "class": self.class_name, "boxes": boxes}


def locate(
    model: ImageClassifier, images: ImageLike | Sequence[ImageLike], classes: Any = None, n_boxes: int = 1
) -> Objects | list[Objects]:
    """Find the boxes in images that their scores come from: where a class is, by a model that learned labels of images.

    A box's score is the sum of what its points gave to the class's score, each at its centre, and of what whole-image
    channels gave at its pixels. No other box has a larger one; further boxes are the best of those that overlap none
    before. Of an image above 512 pixels, the sides of boxes lie on a grid of so many cells.

    Parameters
    ----------
    model : ImageClassifier
        Trained, with images of the class and images that show what else there is, but not the class.
    images : path, array, or sequence of them
    classes : label, sequence of labels, or None, default None
        What to look for; None: the class with the highest score, image by image, or each label that the image is given,
        where it may have several.
    n_boxes : int, default 1
        Boxes of a class at most. There are fewer where the rest has no sum above zero.

    Returns
    -------
    Objects or list of Objects
        For each image; of one image it is no list. Boxes are in pixels of the image, scores are the sums.

    Raises
    ------
    NotFittedError
        If the model is not trained.
    ValueError
        If the model is no ImageClassifier or has no such class, or n_boxes is below 1.
    ImageError
        For the first image that cannot be read; ``cvbow.localization.locations`` goes on.

    Examples
    --------
    >>> import numpy as np
    >>> import cvbow
    >>> from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary
    >>> random = np.random.default_rng(0)
    >>> fine = [random.integers(0, 256, (64, 64), np.uint8) for _ in range(6)]
    >>> coarse = [image[:16, :16].repeat(4, 0).repeat(4, 1) for image in fine]
    >>> backend = BagEncoder(DenseSIFT(step=4, bin_sizes=(2,)), BagOfWords(KMeansDictionary(n_words=10)))
    >>> model = ImageClassifier(backend, "linear-svm").fit(fine + coarse, ["fine"] * 6 + ["coarse"] * 6)
    >>> both = np.hstack([coarse[0], fine[0]])
    >>> where = cvbow.locate(model, both, "fine")
    >>> where
    Objects(1 of fine)
    >>> bool(where.boxes[0, 0] > 48)
    True
    """
    sequence, is_lone = as_sequence(images)
    found: list[Objects] = []
    for result in locations(model, sequence, classes, n_boxes):
        if isinstance(result, ImageError):
            raise result
        found.append(Objects.joined([location.objects for location in result]))
    return found[0] if is_lone else found


def locations(
    model: ImageClassifier, images: Sequence[ImageLike], classes: Any = None, n_boxes: int = 1
) -> Iterator[list[Location] | ImageError]:
    """Yield for each image where each class is, or the error that it could not be read with.

    The model, images (a sequence), classes, n_boxes and errors are as for ``locate``; an image is held by the worker
    that read it alone.
    """
    check_int("n_boxes", n_boxes, minimum=1)
    images = check_images(images)
    wanted = wanted_classes(classes, len(images))
    return score_shares(model, images, wanted, make=_Locator(n_boxes), task="locate")


def share_cells(shared: ScoreShares, place: int) -> tuple[NDArray[np.float64], int]:
    """Return what each cell of an image gave to the score of a class, and the side of a cell in pixels.

    A point's share lies where the point is, not spread over its support: what a support holds beside the thing would
    draw the box out.

    Parameters
    ----------
    shared : ScoreShares
    place : int
        Of the class among those of ``shared``.

    Returns
    -------
    values : ndarray of shape (h, w), float64
        Both at most 512.
    side : int
    """
    height, width = shared.image.shape[:2]
    side = -(-max(height, width) // _N_CELLS)
    rows, columns = -(-height // side), -(-width // side)
    # A pixel spans half a pixel around its centre, which is at an integer.
    at = np.clip(np.floor(shared.shares.points[:, :2] + 0.5).astype(np.intp), 0, [width - 1, height - 1]) // side
    cells = np.bincount(at[:, 1] * columns + at[:, 0], shared.shares.shares[place], rows * columns)
    values = cells.reshape(rows, columns).astype(np.float64)
    if shared.shares.pixels is not None:
        starts = [np.arange(0, length, side) for length in (height, width)]
        values += np.add.reduceat(np.add.reduceat(shared.shares.pixels[place], starts[0], axis=0), starts[1], axis=1)
    return values, side


@dataclass
class _Locator:
    """Finds the boxes of one image; picklable."""

    n_boxes: int

    def __call__(self, shared: ScoreShares) -> list[Location]:
        return [self._locate(shared, place, name) for place, name in enumerate(shared.class_names)]

    def _locate(self, shared: ScoreShares, place: int, name: str) -> Location:
        values, side = share_cells(shared, place)
        shape = shared.image.shape[:2]
        # More than all others together can make up for: no box that is found later holds a cell of one before.
        taken = -1 - float(np.maximum(values, 0).sum())
        boxes: list[list[int]] = []
        scores: list[float] = []
        visited = 0
        while len(boxes) < self.n_boxes:
            best = best_box(values)
            visited += best.visited
            if not best.score > 0:
                break
            left, top, right, bottom = best.box
            values[top:bottom, left:right] = taken
            boxes.append([left * side, top * side, min(right * side, shape[1]), min(bottom * side, shape[0])])
            scores.append(best.score)
        height, width = values.shape
        n_possible = height * (height + 1) // 2 * (width * (width + 1) // 2)
        return Location(shared.path, name, Objects.of(boxes, name, scores), visited, n_possible)
