"""Measures of answers where an image may have several labels.

M. Everingham, L. Van Gool, C. Williams, J. Winn and A. Zisserman, "The PASCAL visual object classes (VOC) challenge",
IJCV 2010, define average precision; the challenge counted eleven recalls in 2007, and the whole curve since 2010.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow.classify._measure_tables import knowledge, share_cells, short
from cvbow.classify.label_sets import LabelSets
from cvbow.classify.metrics import place_labels
from cvbow.classify.reliability import reliability
from cvbow.tables import Table, Tabular

#: Recalls of 2007's definition: as many tenths, from 0 to 1.
_TENTHS = 10


@dataclass(frozen=True, eq=False)
class LabelsReport(Tabular):
    """Measures of a model's answers for a set of images that may each have several labels.

    Ratios without a denominator are NaN and left out of means: those of a label that no image has, or was given.

    Attributes
    ----------
    classes : list of str
        The model's labels, then those that only occur among the true ones.
    n_images : int
    hits, false_alarms, misses : ndarrays of shape (n_classes,), int
        By label, how many images have it and were given it, were given it and have it not, and have it and were not
        given it.
    average_precision : ndarray of shape (n_classes,), float64
        Area under precision over recall, with precision the best at that recall or a larger one (VOC 2010).
    average_precision_2007 : ndarray of shape (n_classes,), float64
        Mean of these best precisions at recalls of 0, 0.1, ... 1 (VOC 2007).
    subset_accuracy : float
        Share of images that were given all of their labels and no other.
    unknown_classes : list of str
        Those of the labels that the model does not know: it never gives them, and their average precision is 0.
    calibration_error : float
        As in ``ClassificationReport``, of the labels' probabilities.
    coverage, mean_set_size : float or None
        Share of images whose labels are all in their set, and how many labels a set has, of sets that should hold all
        with probability 0.95 (``ImageClassifier.predict_set``); None of a model that makes none.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import labels_report
    >>> probabilities = np.array([[0.9, 0.2], [0.8, 0.7], [0.3, 0.6]])
    >>> report = labels_report([["cat"], ["dog"], ["cat", "dog"]], probabilities, ["cat", "dog"])
    >>> report.average_precision.round(2).tolist(), round(report.micro_f1, 2), round(report.hamming_loss, 2)
    ([0.83, 1.0], 0.75, 0.33)
    """

    classes: list[str]
    n_images: int
    hits: NDArray[np.int64]
    false_alarms: NDArray[np.int64]
    misses: NDArray[np.int64]
    average_precision: NDArray[np.float64]
    average_precision_2007: NDArray[np.float64]
    subset_accuracy: float
    unknown_classes: list[str] = field(default_factory=list)
    calibration_error: float = float("nan")
    coverage: float | None = None
    mean_set_size: float | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many images have each label, (n_classes,)."""
        return self.hits + self.misses

    @property
    def precision(self) -> NDArray[np.float64]:
        """For each label, the share of images that have it among those that were given it."""
        return _ratio(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> NDArray[np.float64]:
        """For each label, the share of images that were given it among those that have it."""
        return _ratio(self.hits, self.counts)

    @property
    def f1(self) -> NDArray[np.float64]:
        """For each label, the harmonic mean of precision and recall."""
        return _ratio(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)

    @property
    def mean_average_precision(self) -> float:
        """Mean of ``average_precision`` over the labels that some image has."""
        return _mean(self.average_precision)

    @property
    def mean_average_precision_2007(self) -> float:
        """Mean of ``average_precision_2007`` over the labels that some image has."""
        return _mean(self.average_precision_2007)

    @property
    def macro_f1(self) -> float:
        """Mean of ``f1``: a label counts alike however many images have it."""
        return _mean(self.f1)

    @property
    def micro_f1(self) -> float:
        """F1 of all pairs of an image and a label taken together."""
        hits = self.hits.sum()
        return float(_ratio(2 * hits, 2 * hits + self.false_alarms.sum() + self.misses.sum()))

    @property
    def hamming_loss(self) -> float:
        """Share of wrong ones among all pairs of an image and a label."""
        return float((self.false_alarms.sum() + self.misses.sum()) / (self.n_images * len(self.classes)))

    def tables(self) -> list[Table]:
        """Return the measures, and a row per label."""
        precision = f"{self.mean_average_precision:.4f} (VOC 2007 {self.mean_average_precision_2007:.4f})"
        measures = [
            ("images", str(self.n_images)),
            ("mean average precision", precision),
            ("F1", f"{self.macro_f1:.4f} mean over labels, {self.micro_f1:.4f} over all answers"),
            ("Hamming loss", f"{self.hamming_loss:.4f}"),
            ("all labels right", f"{self.subset_accuracy:.4f}"),
            *knowledge(self.calibration_error, self.coverage, self.mean_set_size),
        ]
        if self.unknown_classes:
            measures.append(("unknown labels", ", ".join(map(short, self.unknown_classes))))
        shares = map(share_cells, (self.average_precision, self.precision, self.recall, self.f1))
        rows = list(zip(map(short, self.classes), map(str, self.counts), *shares, strict=True))
        heads = ("label", "images", "average precision", "precision", "recall", "F1")
        return [Table((), measures), Table(heads, rows)]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; a ratio without a denominator is None."""
        columns = {
            "average_precision": self.average_precision,
            "average_precision_2007": self.average_precision_2007,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }
        return {
            "n_images": self.n_images,
            "mean_average_precision": _plain(self.mean_average_precision),
            "mean_average_precision_2007": _plain(self.mean_average_precision_2007),
            "micro_f1": _plain(self.micro_f1),
            "macro_f1": _plain(self.macro_f1),
            "hamming_loss": self.hamming_loss,
            "subset_accuracy": self.subset_accuracy,
            "calibration_error": self.calibration_error,
            "coverage": self.coverage,
            "mean_set_size": self.mean_set_size,
            "classes": self.classes,
            "unknown_classes": self.unknown_classes,
            "per_class": {
                name: {"n_images": int(self.counts[place])}
                | {measure: _plain(values[place]) for measure, values in columns.items()}
                for place, name in enumerate(self.classes)
            },
        }


def labels_report(
    labels: Any,
    probabilities: NDArray[np.floating],
    classes: ArrayLike,
    predicted: NDArray[Any] | None = None,
    *,
    sets: NDArray[np.bool_] | None = None,
) -> LabelsReport:
    """Compare a model's answers with the labels that images have, as in the example of ``LabelsReport``.

    Parameters
    ----------
    labels : sequence of (list, tuple or set of labels), or indicator matrix of shape (n_images, k)
        The labels that each image has, compared by value with the model's as ``classification_report`` does.
    probabilities : ndarray of shape (n_images, n_model_classes)
        Or scores: images count in their order, those with equal ones together.
    classes : array of shape (n_model_classes,)
        What the columns stand for.
    predicted : indicator matrix of shape (n_images, n_model_classes), optional
        Which labels each image was given; otherwise those with a probability of 0.5 or more.
    sets : ndarray of shape (n_images, n_model_classes), bool, optional
        The labels that each image's set of 95 % holds.

    Raises
    ------
    ValueError
        If there are no images, the shapes do not fit, or labels are missing or not all of one kind.
    """
    scores, known = np.asarray(probabilities, np.float64), np.asarray(classes)
    names, has = place_sets(LabelSets.of(labels), known)
    if not len(has):
        raise ValueError("labels must have at least one image, got none")
    for what, values in (("probabilities", scores), ("predicted", scores if predicted is None else predicted)):
        if np.shape(values) != (len(has), len(known)):
            raise ValueError(f"{what} must have shape {(len(has), len(known))}, got {np.shape(values)}")
    given = np.zeros(has.shape, bool)
    given[:, : len(known)] = scores >= 0.5 if predicted is None else np.asarray(predicted, bool)
    padded = np.zeros(has.shape)
    padded[:, : len(known)] = scores
    areas, means = (average_precision(has, padded, tenths=tenths) for tenths in (False, True))
    unknown = np.arange(len(names)) >= len(known)
    held = None if sets is None else np.hstack([sets, np.zeros((len(has), len(names) - len(known)), bool)])
    judged = reliability(np.clip(scores, 0, 1).ravel(), has[:, : len(known)].ravel())
    return LabelsReport(
        classes=names,
        n_images=len(has),
        hits=(has & given).sum(axis=0),
        false_alarms=(given & ~has).sum(axis=0),
        misses=(has & ~given).sum(axis=0),
        average_precision=np.where(unknown, 0.0, areas),
        average_precision_2007=np.where(unknown, 0.0, means),
        subset_accuracy=float((has == given).all(axis=1).mean()),
        unknown_classes=names[len(known) :],
        calibration_error=judged.calibration_error,
        coverage=None if held is None else float((held | ~has).all(axis=1).mean()),
        mean_set_size=None if sets is None else float(sets.sum(axis=1).mean()),
    )


def place_sets(sets: LabelSets, classes: NDArray[Any]) -> tuple[list[str], NDArray[np.bool_]]:
    """Return which of the classes (n_classes,) each image has, by ``sets``: names, and a column for each, (n, n_names).

    The names are those of the classes, then of the labels that are none of them; see ``place_labels``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import LabelSets, place_sets
    >>> names, has = place_sets(LabelSets.of([["dog"], ["owl", "dog"]]), np.array(["cat", "dog"]))
    >>> names, has.astype(int).tolist()
    (['cat', 'dog', 'owl'], [[0, 1, 0], [0, 1, 1]])
    """
    # A label that no image has says nothing.
    there = sets.counts > 0
    names, places = place_labels(sets.classes[there], classes)
    has = np.zeros((len(sets), len(names)), bool)
    has[:, places] = sets.has[:, there]
    return names, has


def average_precision(
    has: NDArray[np.bool_], scores: NDArray[np.floating], *, tenths: bool = False
) -> NDArray[np.float64]:
    """Return the average precision of each label, (k,); NaN for one that no image has.

    Parameters
    ----------
    has : ndarray of shape (n, k), bool
        Whether each image has each label.
    scores : ndarray of shape (n, k)
        Images with equal scores are taken together, so that their order does not matter.
    tenths : bool, default False
        By VOC 2007's definition, at eleven recalls, rather than 2010's.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import average_precision
    >>> has, scores = np.array([[1], [0], [1], [0]], bool), np.array([[0.9], [0.8], [0.7], [0.1]])
    >>> average_precision(has, scores).round(3).tolist(), average_precision(has, scores, tenths=True).round(3).tolist()
    ([0.833], [0.848])
    """
    return np.array([_average_precision(has[:, label], scores[:, label], tenths) for label in range(has.shape[1])])


def _average_precision(has: NDArray[np.bool_], scores: NDArray[np.floating], tenths: bool) -> float:
    if not has.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = np.cumsum(has[order])[last]
    precision = np.maximum.accumulate((hits / (last + 1))[::-1])[::-1]
    if tenths:
        # Whole numbers are compared: 3 of 10 images are a recall of 0.3.
        places = [np.searchsorted(_TENTHS * hits, tenth * hits[-1]) for tenth in range(_TENTHS + 1)]
        return float(precision[places].mean())
    return float(np.diff(hits, prepend=0) @ precision / hits[-1])


def _ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    part, whole = np.asarray(part, np.float64), np.asarray(whole)
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio


def _mean(values: NDArray[np.float64]) -> float:
    there: Sequence[float] = values[~np.isnan(values)].tolist()
    return float(np.mean(there)) if there else float("nan")


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
