"""What a classifier is told of its vectors: classes, weights, and which of them are of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import type_of_target

from cvbow._checks import check_choice, check_int, check_labels, check_real


@dataclass(frozen=True, eq=False)
class Groups:
    """Which of n vectors belong together: they go image by image, each of its copies, and of each its views."""

    #: Vectors of one picture, whose decisions are averaged.
    views: int = 1
    #: Pictures of one image: the image itself, then what augmentation made of it.
    copies: int = 1
    #: The part (n,) in which each vector is left out; None where the parts are to be drawn.
    folds: NDArray[np.intp] | None = None

    @classmethod
    def of(cls, views: Any, copies: Any, folds: ArrayLike | None) -> Self:
        """Take what ``fit`` was told; ValueError unless these are integers."""
        check_int("views", views, minimum=1)
        check_int("copies", copies, minimum=1)
        if folds is None:
            return cls(views, copies)
        parts = np.asarray(folds)
        if parts.dtype.kind not in "iu":
            raise ValueError(f"folds must be integers, got {parts.dtype}")
        return cls(views, copies, parts.astype(np.intp))

    @property
    def size(self) -> int:
        """Vectors of an image. All or none of them are left out: copies tell of the image that they were made from."""
        return self.views * self.copies

    def told(self) -> dict[str, Any]:
        """Return what to tell ``fit``: what differs from its defaults."""
        told = {"views": self.views, "copies": self.copies}
        told = {name: value for name, value in told.items() if value != 1}
        return told if self.folds is None else {**told, "folds": self.folds}

    def part(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """Return the groups of some of the vectors, all or none of an image's."""
        return replace(self, folds=None if self.folds is None else self.folds[rows])

    def check(self, name: str, values: NDArray[Any] | None) -> None:
        """Raise ValueError unless the values (n,) or (n, k), where there are some, are the same within each image."""
        if values is None:
            return
        size = self.size
        if len(values) % size or (values.reshape(-1, size, *values.shape[1:]) != values[::size, None]).any():
            raise ValueError(f"{name} the {size} views and copies of an image, which follow one another")


@dataclass(frozen=True, eq=False)
class Labels:
    """Classes and weights of n vectors, and which of them are of one image."""

    #: The class of each vector, counted from 0; of vectors that have several labels, the rarest.
    index: NDArray[np.intp]
    #: The weight of each vector's loss.
    weights: NDArray[np.float64]
    #: For how many vectors each stands (``sample_weight``); None where each stands for itself.
    counts: NDArray[np.float64] | None = None
    groups: Groups = field(default_factory=Groups)
    #: Which labels each vector has, (n, k), where it may have several; None where it has the one of ``index``.
    has: NDArray[np.bool_] | None = None

    @property
    def size(self) -> int:
        """Vectors of an image."""
        return self.groups.size

    @property
    def images(self) -> Self:
        """The same of images in place of vectors."""
        found = self.part(slice(None, None, self.size))
        return replace(found, groups=replace(found.groups, views=1, copies=1))

    def part(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """Return the labels of some of the vectors, all or none of an image's."""
        counts = None if self.counts is None else self.counts[rows]
        has = None if self.has is None else self.has[rows]
        index, weights, groups = self.index[rows], self.weights[rows], self.groups.part(rows)
        return replace(self, index=index, weights=weights, counts=counts, groups=groups, has=has)

    def targets(self, n_classes: int) -> NDArray[np.float64]:
        """Return -1/+1 targets: a column per label, or those that ``targets`` makes of classes."""
        return targets(self.index, n_classes) if self.has is None else np.where(self.has, 1.0, -1.0)

    def members(self, n_classes: int) -> NDArray[np.bool_]:
        """Return which class, or labels, each vector has, (n, n_classes)."""
        return self.index[:, None] == np.arange(n_classes) if self.has is None else self.has

    def class_counts(self, n_classes: int) -> NDArray[np.float64]:
        """Return how many vectors each class has, (n_classes,), each as often as it counts."""
        return np.asarray(np.bincount(self.index, self.counts, minlength=n_classes), np.float64)

    def folds(self, n_folds: int, seed: int) -> NDArray[np.intp]:
        """Return a fold for each vector: the given ones, or as many as there are images at most by ``fold_of_each``."""
        given = self.groups.folds
        if given is not None:
            if (given == given[0]).all():
                raise ValueError(f"folds must be two at least, got {given[0]} for every vector")
            return given
        return fold_of_each(self.index, min(n_folds, len(self.index) // self.size), seed, self.size)

    def parts(self, n_folds: int, seed: int, *, one: bool = False) -> list[NDArray[np.bool_]]:
        """Return the parts to be left out one after the other, masks (n,): each fold, or ``one`` if none were given."""
        folds = self.folds(n_folds, seed)
        names = np.unique(folds)
        return [folds == name for name in (names[:1] if one and self.groups.folds is None else names)]

    @property
    def together(self) -> list[NDArray[np.intp]]:
        """The rows that are left out together: of each image (n_images, size), or of each given fold (1, size)."""
        folds = self.groups.folds
        if folds is None:
            return [np.arange(len(self.index)).reshape(-1, self.size)]
        return [np.flatnonzero(folds == name)[None] for name in np.unique(folds)]

    def of_images(self, decisions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decision for each image (n_images, k): the mean of its views, as it is and without its copies.

        What is to be classified later comes without copies too, so these are the decisions to learn a temperature from.
        """
        own = decisions.reshape(-1, self.size, decisions.shape[1])[:, : self.groups.views]
        return np.asarray(own.mean(axis=1))


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a classifier decided on images that it had not learned from.

    Attributes
    ----------
    decisions : ndarray of shape (m, k), float64
        A column for each class or label, also where there are two classes.
    labels : Labels
        Of these m images.
    """

    decisions: NDArray[np.float64]
    labels: Labels


def check_solver(C: Any, class_weight: Any, max_iter: Any) -> None:
    """Raise ValueError if a parameter of a solution by steps breaks its rule."""
    check_real("C", C, minimum=0, open_minimum=True)
    check_int("max_iter", max_iter, minimum=1)
    if class_weight is not None and not isinstance(class_weight, Mapping):
        check_choice("class_weight", class_weight, ("balanced",))


def take_labels(y: ArrayLike | None, n_images: int) -> NDArray[Any]:
    """Return the labels of so many images, by position; ValueError unless each has one, and all are of one kind."""
    labels = np.empty(()) if y is None else check_labels("y", y)
    if labels.ndim != 1 or len(labels) != n_images:
        got = "None" if y is None else f"shape {labels.shape}"
        raise ValueError(f"y must hold a label for each of {n_images} images, got {got}")
    return labels


def check_class_names(y: NDArray[Any]) -> None:
    """Raise ValueError unless labels (n,) are classes: not numbers with fractions, and no NaN."""
    kind = type_of_target(y, input_name="y")
    # Labels that are objects of any one kind, such as Python's integers, are "unknown" to scikit-learn.
    if kind not in ("binary", "multiclass", "unknown"):
        raise ValueError(f"Unknown label type: {kind}. y must hold classes, by name or number")


def check_groups(groups: Groups, y: NDArray[Any], counts: NDArray[np.float64] | None) -> None:
    """Raise ValueError unless the vectors of each image have one label, or row of labels (n, k), weight and fold."""
    n, folds = len(y), groups.folds
    if folds is not None and folds.shape != (n,):
        raise ValueError(f"folds must be an integer for each of {n} vectors, got shape {folds.shape}")
    groups.check("y must give the same label to", y)
    groups.check("sample_weight must be the same for", counts)
    groups.check("folds must be the same for", folds)


def class_weights(
    class_weight: Any, classes: NDArray[Any], index: NDArray[np.intp], counts: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the factor of each class's losses, (n_classes,); ValueError if one is below 0, or none above."""
    if counts is not None and isinstance(class_weight, str):
        mass = np.bincount(index, counts)
        return np.asarray(mass.sum() / (len(mass) * mass))
    weights = np.asarray(compute_class_weight(class_weight, classes=classes, y=classes[index]), np.float64)
    if not (weights >= 0).all() or not weights.any():
        raise ValueError(f"class_weight must be numbers >= 0, one of them above 0, got {class_weight!r}")
    return weights


def targets(labels: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Return -1/+1 targets: a column per class, or one column, + for the second class, when there are two."""
    if n_classes == 2:
        return np.where(labels == 1, 1.0, -1.0)[:, None]
    y = np.full((len(labels), n_classes), -1.0)
    y[np.arange(len(labels)), labels] = 1.0
    return y


def fold_of_each(labels: NDArray[np.intp], n_folds: int, seed: int, views: int = 1) -> NDArray[np.intp]:
    """Return a fold for each vector, the folds of a class as even as can be.

    So many ``views`` that follow one another have the same label and get the same fold.
    """
    if views > 1:
        return np.repeat(fold_of_each(labels[::views], n_folds, seed), views)
    rng = np.random.default_rng(seed)
    folds = np.empty(len(labels), np.intp)
    start = 0
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        folds[members] = (start + np.arange(len(members))) % n_folds
        start += len(members)
    return folds
