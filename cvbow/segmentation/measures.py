"""How well masks fit: intersection over union, pixels that are right, and borders that are where they should be.

Intersection over union as in PASCAL VOC (M. Everingham and others, IJCV 2010): pixels of all images together. The
borders' F measure as in G. Csurka, D. Larlus and F. Perronnin, "What is a good evaluation measure for semantic
segmentation?", BMVC 2013: image by image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError
from cvbow.parallel import cut

#: How far a border may be from where it should be, as a share of the image's diagonal.
TOLERANCE = 0.0075
#: Pixels that are counted at a time.
_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class SegmentationReport:
    """How well a model's masks fit.

    Attributes
    ----------
    classes : tuple of str
    confusion : ndarray of shape (n_classes, n_classes), int64
        Pixels by their true class (rows) and the one that was found (columns); unknown pixels do not count.
    boundary_f : float
        Mean over the images, in [0, 1].
    images : tuple of dict
        For each image that was judged: its ``path``, its ``iou`` by class (None where neither has the class),
        ``mean_iou``, ``pixel_accuracy`` and ``boundary_f``.
    skipped : tuple of ImageError
        What could not be read of images and masks.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.segmentation import SegmentationReport
    >>> report = SegmentationReport(("sky", "sea"), np.array([[6, 2], [1, 3]]), 1.0, ())
    >>> report.iou, report.pixel_accuracy
    ({'sky': 0.6666666666666666, 'sea': 0.5}, 0.75)
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    boundary_f: float
    images: tuple[dict[str, Any], ...]
    skipped: tuple[ImageError, ...] = ()

    @property
    def iou(self) -> dict[str, float | None]:
        """By class: pixels that are of it and were found, of those that are of it or were found; None without any."""
        return dict(zip(self.classes, ious(self.confusion), strict=True))

    @property
    def mean_iou(self) -> float:
        """The mean over the classes that occur."""
        return mean_of(ious(self.confusion))

    @property
    def pixel_accuracy(self) -> float:
        """The share of pixels that are right."""
        return float(self.confusion.trace() / max(self.confusion.sum(), 1))

    def as_json(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "iou": self.iou,
            "mean_iou": self.mean_iou,
            "pixel_accuracy": self.pixel_accuracy,
            "boundary_f": self.boundary_f,
            "n_images": len(self.images),
            "images": list(self.images),
            "skipped": [{"path": error.path, "reason": error.reason} for error in self.skipped],
        }


def ious(confusion: NDArray[np.int64]) -> list[float | None]:
    """Return the intersection over union of each class."""
    hits = confusion.diagonal()
    unions = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return [float(hit / union) if union else None for hit, union in zip(hits, unions, strict=True)]


def mean_of(values: list[float | None]) -> float:
    """Return the mean of those that are not None; 0 without any."""
    some = [value for value in values if value is not None]
    return float(np.mean(some)) if some else 0.0


def count_pixels(truth: NDArray[np.integer], found: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """Return pixels by true and found class, (n_classes, n_classes), of indices (H, W); below 0 is unknown."""
    counts = np.zeros(n_classes**2, np.int64)
    for rows in cut(len(truth), max(1, _AT_ONCE // truth.shape[1])):
        known = truth[rows] >= 0
        pairs = truth[rows][known].astype(np.intp) * n_classes + found[rows][known]
        counts += np.bincount(pairs, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def boundary_f(truth: NDArray[np.integer], found: NDArray[np.integer]) -> float:
    """Return the F measure of borders between classes: of the ``truth`` (H, W), and of what was ``found``.

    Both are indices of classes; true ones below 0 are unknown.

    Precision is the share of the found borders' pixels within ``TOLERANCE`` of a true border, recall the share of the
    true ones near a found border. Borders of what is unknown are none, and what was found there does not count. Two
    masks without borders agree.
    """
    true, other = _borders(truth), _borders(found) & (truth >= 0)
    if not true.any() or not other.any():
        return float(true.any() == other.any())
    reach = max(1.0, TOLERANCE * float(np.hypot(*truth.shape)))
    precision = _share_near(other, true, reach)
    recall = _share_near(true, other, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share_near(points: NDArray[np.bool_], others: NDArray[np.bool_], reach: float) -> float:
    away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away[points] <= reach).mean())


def _borders(classes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the pixels whose neighbour to the right or below is of another class, where both are known."""
    found = np.zeros(classes.shape, bool)
    for here, there in (((slice(None), slice(-1)), (slice(None), slice(1, None))), ((slice(-1),), (slice(1, None),))):
        one, other = classes[here], classes[there]
        found[here] |= (one != other) & (one >= 0) & (other >= 0)
    return found
