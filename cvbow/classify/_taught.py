"""What is said of images: the class of each, or the labels that each has. Both are learned and judged the same way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images
from cvbow.classify._labels import check_class_names, take_labels
from cvbow.classify.label_measures import LabelsReport, labels_report, place_sets
from cvbow.classify.label_sets import LabelSets, are_sets
from cvbow.classify.metrics import ClassificationReport, classification_report, place_labels
from cvbow.classify.multi_label import MultiLabelClassifier
from cvbow.images import ImageList
from cvbow.tables import some

Report = ClassificationReport | LabelsReport


def labelled(images: Any, y: Any, *, minimum: int = 0) -> tuple[Sequence[ImageLike], Any]:
    """Return images as a list, and their labels, which an ImageList brings along.

    ValueError if there are no labels, or the images are of several splits: who learns from all has none to judge by.
    """
    if y is None:
        if not isinstance(images, ImageList):
            raise ValueError("y must be the labels of the images; only an ImageList, of list_images, brings them along")
        splits = sorted({split or "none" for split in images.splits})
        if len(splits) > 1:
            raise ValueError(f"images must be of one split, such as images.select({splits[-1]!r}), got {some(splits)}")
        y = images.labels
    return check_images(images, minimum=minimum), y


class Taught(ABC):
    """What is said of n images."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def part(self, rows: NDArray[Any]) -> Self:
        """Return what is said of some of the images."""

    @abstractmethod
    def check_names(self) -> None:
        """Raise ValueError unless the labels are names of classes."""

    @abstractmethod
    def trouble(self) -> str | None:
        """Say what the images have, where that keeps a classifier from learning it; None otherwise."""

    @property
    @abstractmethod
    def counts(self) -> dict[str, int]:
        """How many images each class, or label, has."""

    def doubts(self) -> list[str]:
        """Say of what there is little to learn from."""
        return [f"class {name}: a single image to learn from" for name, n in self.counts.items() if n == 1]

    @abstractmethod
    def learner(self, classifier: Any) -> Any:
        """Return what learns it, of a classifier of classes."""

    @abstractmethod
    def repeated(self, times: int) -> Any:
        """Return it as the learner takes it, for so many vectors of each image, which follow one another."""

    @property
    @abstractmethod
    def texts(self) -> NDArray[Any]:
        """Return it as a text for each image, (n,)."""

    @abstractmethod
    def report(
        self,
        classes: NDArray[Any],
        probabilities: NDArray[np.float64],
        predicted: NDArray[Any],
        sets: NDArray[np.bool_] | None,
    ) -> Report:
        """Return the measures of a model's answers, of which ``sets`` (n, n_classes) tells the sets of 95 %."""

    @abstractmethod
    def is_right(self, classes: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell of each answer (n,) whether it is right, a label missing or too many being wrong."""


@dataclass(frozen=True, eq=False)
class TaughtClasses(Taught):
    """The class of each image."""

    labels: NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, rows: NDArray[Any]) -> Self:
        return type(self)(self.labels[rows])

    def check_names(self) -> None:
        check_class_names(self.labels)

    def trouble(self) -> str | None:
        classes = np.unique(self.labels)
        if len(classes) > 1:
            return None
        return f"only {str(classes[0])!r}" if len(classes) else "none"

    @property
    def counts(self) -> dict[str, int]:
        names, counts = np.unique(self.labels, return_counts=True)
        return dict(zip(map(str, names), counts.tolist(), strict=True))

    def learner(self, classifier: Any) -> Any:
        return classifier

    def repeated(self, times: int) -> NDArray[Any]:
        return self.labels.repeat(times)

    @property
    def texts(self) -> NDArray[Any]:
        return self.labels

    def report(
        self,
        classes: NDArray[Any],
        probabilities: NDArray[np.float64],
        predicted: NDArray[Any],
        sets: NDArray[np.bool_] | None,
    ) -> ClassificationReport:
        return classification_report(self.labels, probabilities, classes, predicted, sets=sets)

    def is_right(self, classes: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray(place_labels(predicted, classes)[1] == place_labels(self.labels, classes)[1])


@dataclass(frozen=True, eq=False)
class TaughtLabels(Taught):
    """The labels that each image has."""

    sets: LabelSets

    def __len__(self) -> int:
        return len(self.sets)

    def part(self, rows: NDArray[Any]) -> Self:
        return type(self)(self.sets.part(rows))

    def check_names(self) -> None:
        if len(self.sets.classes):
            check_class_names(self.sets.classes)

    def trouble(self) -> str | None:
        return self.sets.trouble()

    @property
    def counts(self) -> dict[str, int]:
        return dict(zip(map(str, self.sets.classes), self.sets.counts.tolist(), strict=True))

    def doubts(self) -> list[str]:
        sure = {0: "no image has it, so it is never given", len(self): "all images have it, so it is always given"}
        return super().doubts() + [f"label {name}: {sure[n]}" for name, n in self.counts.items() if n in sure]

    def learner(self, classifier: Any) -> MultiLabelClassifier:
        return MultiLabelClassifier(classifier)

    def repeated(self, times: int) -> LabelSets:
        return self.sets.repeat(times)

    @property
    def texts(self) -> NDArray[Any]:
        return np.array([" | ".join(map(str, names)) for names in self.sets.names])

    def report(
        self,
        classes: NDArray[Any],
        probabilities: NDArray[np.float64],
        predicted: NDArray[Any],
        sets: NDArray[np.bool_] | None,
    ) -> LabelsReport:
        return labels_report(self.sets, probabilities, classes, predicted, sets=sets)

    def is_right(self, classes: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.bool_]:
        has = place_sets(self.sets, classes)[1]
        given = np.zeros(has.shape, bool)
        given[:, : len(classes)] = predicted
        return np.asarray((has == given).all(axis=1))


def take(y: ArrayLike | None, n_images: int) -> Taught:
    """Take what is said of so many images, by position; ValueError unless something is said of each."""
    if not are_sets(y):
        return TaughtClasses(take_labels(y, n_images))
    sets = LabelSets.of(y)
    if len(sets) != n_images:
        raise ValueError(f"y must hold labels for each of {n_images} images, got {len(sets)}")
    return TaughtLabels(sets)


def take_for(y: ArrayLike | None, n_images: int, *, multilabel: bool) -> Taught:
    """Take what is said of images that a model answers for: one class is a set of one label; ValueError otherwise."""
    taken = take(y, n_images)
    if not multilabel and isinstance(taken, TaughtLabels):
        raise ValueError("y must hold one label for each image, as the model gives it one of its classes")
    if multilabel and isinstance(taken, TaughtClasses):
        return TaughtLabels(LabelSets.of([[label] for label in taken.labels.tolist()]))
    return taken
