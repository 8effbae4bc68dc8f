"""Measures of a classification, from labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ClassificationReport", "classification_report"]

#: The least probability that counts in the log loss, so that one sure mistake does not make it infinite.
_LEAST = 1e-15


@dataclass(frozen=True, eq=False)
class ClassificationReport:
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

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import classification_report
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> report = classification_report(["cat", "dog", "dog"], probabilities, ["cat", "dog"])
    >>> report.confusion.tolist(), round(report.accuracy, 2), report.mean_class_accuracy
    ([[1, 0], [1, 1]], 0.67, 0.75)
    """

    classes: list[str]
    confusion: NDArray[np.int64]
    top5_accuracy: float
    log_loss: float

    @property
    def n_images(self) -> int:
        """Number of images judged."""
        return int(self.confusion.sum())

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

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; a ratio without a denominator is None."""
        return {
            "n_images": self.n_images,
            "accuracy": self.accuracy,
            "mean_class_accuracy": self.mean_class_accuracy,
            "top5_accuracy": self.top5_accuracy,
            "log_loss": self.log_loss,
            "classes": self.classes,
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
    labels: Sequence[str], probabilities: NDArray[np.floating], classes: ArrayLike, predicted: ArrayLike | None = None
) -> ClassificationReport:
    """Compare a classifier's answers with the true labels.

    Parameters
    ----------
    labels : sequence of str
        True class of each image; a class that the model does not know counts as a mistake.
    probabilities : ndarray of shape (n_images, n_model_classes)
    classes : array of shape (n_model_classes,)
        What the columns stand for.
    predicted : array of shape (n_images,), optional
        The class that each image got; the most probable one otherwise.

    Raises
    ------
    ValueError
        If there are no images, the shapes do not fit, or a predicted class is none of ``classes``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import classification_report
    >>> report = classification_report(["cat", "dog"], np.array([[0.9, 0.1], [0.6, 0.4]]), ["cat", "dog"])
    >>> report.recall.tolist(), report.precision.tolist()
    ([1.0, 0.0], [0.5, nan])
    """
    probabilities = np.asarray(probabilities, np.float64)
    known = [str(name) for name in np.asarray(classes)]
    if len(labels) == 0:
        raise ValueError("labels must have at least one image, got none")
    if probabilities.shape != (len(labels), len(known)):
        raise ValueError(f"probabilities must have shape {(len(labels), len(known))}, got {probabilities.shape}")
    names = known + sorted(set(map(str, labels)) - set(known))
    index = {name: i for i, name in enumerate(names)}
    truth = np.array([index[str(label)] for label in labels])
    answer = probabilities.argmax(axis=1)
    if predicted is not None:
        got = [str(name) for name in np.asarray(predicted)]
        if len(got) != len(labels) or not set(got) <= set(known):
            raise ValueError(f"predicted must hold one of the classes for each of {len(labels)} images, got {got[:10]}")
        answer = np.array([index[name] for name in got])
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (truth, answer), 1)

    padded = np.zeros((len(labels), len(names)))
    padded[:, : len(known)] = probabilities
    given = padded[np.arange(len(labels)), truth]
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    return ClassificationReport(
        classes=names,
        confusion=confusion,
        top5_accuracy=float((top == truth[:, None]).any(axis=1).mean()),
        log_loss=float(-np.log(np.maximum(given, _LEAST)).mean()),
    )


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio
