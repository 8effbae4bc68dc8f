"""Measures of a classification, from labels and probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_labels
from cvbow.classify._measure_tables import confusions, knowledge, share_cells, short
from cvbow.classify.reliability import reliability
from cvbow.tables import Table, Tabular

#: The least probability that counts in the log loss, so that one sure mistake does not make it infinite.
_LEAST = 1e-15


@dataclass(frozen=True, eq=False)
class ClassificationReport(Tabular):
    """Measures of a model's answers for a set of images.

    Attributes
    ----------
    classes : list of str
        The model's classes, then those that only occur among the true labels.
    confusion : ndarray of shape (n_classes, n_classes), int
        Rows are true classes, columns predicted ones.
    top5_accuracy : float
        Share of images whose class is among the five most probable (all of them, when there are fewer); of classes
        with equal probabilities the first counts first.
    log_loss : float
        Mean of -log of the probability of the true class, probabilities cut at 1e-15; a class the model does not know
        has probability 0.
    unknown_classes : list of str
        Those of the classes that the model does not know: each of their images counts as a mistake.
    calibration_error : float
        Expected calibration error: by how much answers of like confidence are right more or less often than that, see
        ``Reliability``.
    coverage, mean_set_size : float or None
        Share of images whose class is in their set, and how many classes a set has, of sets that should hold the right
        class with probability 0.95 (``ImageClassifier.predict_set``); None of a model that makes none.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import classification_report
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> report = classification_report(["cat", "dog", "dog"], probabilities, ["cat", "dog"])
    >>> report.confusion.tolist(), round(report.accuracy, 2), report.recall.tolist()
    ([[1, 0], [1, 1]], 0.67, [1.0, 0.5])
    """

    classes: list[str]
    confusion: NDArray[np.int64]
    top5_accuracy: float
    log_loss: float
    unknown_classes: list[str] = field(default_factory=list)
    calibration_error: float = float("nan")
    coverage: float | None = None
    mean_set_size: float | None = None

    @property
    def n_images(self) -> int:
        """Number of images judged."""
        return int(self.confusion.sum())

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many images each class has, (n_classes,)."""
        totals: NDArray[np.int64] = self.confusion.sum(axis=1)
        return totals

    @property
    def accuracy(self) -> float:
        """Share of images that were given their true class."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def recall(self) -> NDArray[np.float64]:
        """For each class, the share of its images that got it; NaN for a class without images."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """For each class, the share of right ones among the images that got it; NaN if none did."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def mean_class_accuracy(self) -> float:
        """Mean recall over the classes that have images: a class counts alike however many it has."""
        return float(np.nanmean(self.recall))

    @property
    def class_accuracy_std(self) -> float:
        """Standard deviation of the recall over the classes that have images."""
        return float(np.nanstd(self.recall))

    def tables(self) -> list[Table]:
        """Return the measures, a row per class, and the confusions."""
        spread = f"{self.mean_class_accuracy:.4f} (std over classes {self.class_accuracy_std:.4f})"
        n_known = len(self.classes) - len(self.unknown_classes)
        measures = [
            ("images", str(self.n_images)),
            ("accuracy", f"{self.accuracy:.4f}"),
            ("mean class accuracy", spread),
            # Of five classes the right one is always among the first five.
            *([("top-5 accuracy", f"{self.top5_accuracy:.4f}")] if n_known > 5 else []),
            ("log loss", f"{self.log_loss:.4f}"),
            *knowledge(self.calibration_error, self.coverage, self.mean_set_size),
        ]
        if self.unknown_classes:
            measures.append(("unknown classes", ", ".join(map(short, self.unknown_classes))))
        shares = map(share_cells, (self.recall, self.precision))
        rows = list(zip(map(short, self.classes), map(str, self.counts), *shares, strict=True))
        classes = Table(("class", "images", "recall", "precision"), rows)
        return [Table((), measures), classes, confusions(self.confusion, self.classes)]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; a ratio without a denominator is None."""
        return {
            "n_images": self.n_images,
            "accuracy": self.accuracy,
            "mean_class_accuracy": self.mean_class_accuracy,
            "top5_accuracy": self.top5_accuracy,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "coverage": self.coverage,
            "mean_set_size": self.mean_set_size,
            "classes": self.classes,
            "unknown_classes": self.unknown_classes,
            "confusion": self.confusion.tolist(),
            "per_class": {
                name: {
                    "n_images": int(count),
                    "recall": None if np.isnan(recall) else float(recall),
                    "precision": None if np.isnan(precision) else float(precision),
                }
                for name, count, recall, precision in zip(
                    self.classes, self.confusion.sum(axis=1), self.recall, self.precision, strict=True
                )
            },
        }


def classification_report(
    labels: ArrayLike,
    probabilities: NDArray[np.floating],
    classes: ArrayLike,
    predicted: ArrayLike | None = None,
    *,
    sets: NDArray[np.bool_] | None = None,
) -> ClassificationReport:
    """Compare a classifier's answers with the true labels, as in the example of ``ClassificationReport``.

    Parameters
    ----------
    labels : array of shape (n_images,)
        True class of each image, compared by value: 1, 1.0 and True are one class, and a text stands for the class that
        is called so. A class that the model does not know counts as a mistake.
    probabilities : ndarray of shape (n_images, n_model_classes)
    classes : array of shape (n_model_classes,)
        What the columns stand for.
    predicted : array of shape (n_images,), optional
        The class that each image got; the most probable one otherwise.
    sets : ndarray of shape (n_images, n_model_classes), bool, optional
        The classes that each image's set of 95 % holds.

    Raises
    ------
    ValueError
        If there are no images, the shapes do not fit, labels are missing or not all of one kind, or a predicted class
        is none of ``classes``.
    """
    probabilities = np.asarray(probabilities, np.float64)
    truths, known = check_labels("labels", labels), np.asarray(classes)
    if not truths.size:
        raise ValueError("labels must have at least one image, got none")
    if probabilities.shape != (len(truths), len(known)):
        raise ValueError(f"probabilities must have shape {(len(truths), len(known))}, got {probabilities.shape}")
    names, truth = place_labels(truths, known)
    answer = probabilities.argmax(axis=1)
    if predicted is not None:
        _, answer = place_labels(check_labels("predicted", predicted), known)
        if len(answer) != len(truth) or answer.max() >= len(known):
            got = np.asarray(predicted).tolist()[:10]
            raise ValueError(f"predicted must hold one of the classes for each of {len(truth)} images, got {got}")
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (truth, answer), 1)

    padded = np.zeros((len(truth), len(names)))
    padded[:, : len(known)] = probabilities
    given = padded[np.arange(len(truth)), truth]
    confidence = probabilities[np.arange(len(truth)), answer]
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    return ClassificationReport(
        classes=names,
        confusion=confusion,
        top5_accuracy=float((top == truth[:, None]).any(axis=1).mean()),
        log_loss=float(-np.log(np.maximum(given, _LEAST)).mean()),
        unknown_classes=names[len(known) :],
        calibration_error=reliability(confidence, truth == answer).calibration_error,
        coverage=None if sets is None else float(_held(sets, truth).mean()),
        mean_set_size=None if sets is None else float(sets.sum(axis=1).mean()),
    )


def place_labels(labels: NDArray[Any], classes: NDArray[Any]) -> tuple[list[str], NDArray[np.intp]]:
    """Return where among the classes (n_classes,) each of the labels (n,) is: names, and places (n,) among these, intp.

    The names are those of the classes, then of the labels that are none of them, in order. Labels count by value
    whatever their type: 1, 1.0 and True are one. A text also stands for the class that is called so, as a folder's name
    does. ValueError if the classes are texts and the labels are not.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import place_labels
    >>> place_labels(np.array([1.0, 3.0, 0.0]), np.array([0, 1]))
    (['0', '1', '3.0'], array([1, 2, 0]))
    """
    known, given = classes.tolist(), labels.tolist()
    if known and given and isinstance(known[0], str) and not isinstance(given[0], str):
        raise ValueError(f"labels must be texts where the classes are, such as {known[0]!r}, got {given[0]!r}")
    places = {str(name): place for place, name in enumerate(known)}
    places |= {name: place for place, name in enumerate(known)}
    others = sorted({label for label in given if label not in places})
    places |= {name: place for place, name in enumerate(others, len(known))}
    return [str(name) for name in known + others], np.array([places[label] for label in given], np.intp)


def _held(sets: NDArray[np.bool_], truth: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell of each image (n,) whether its set holds its class; none holds a class that the model does not know."""
    known = truth < sets.shape[1]
    return np.asarray(known & sets[np.arange(len(truth)), np.where(known, truth, 0)])


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio
