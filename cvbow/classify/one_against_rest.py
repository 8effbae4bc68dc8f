"""The base of the classifiers that tell each class from all others: labels, weights, probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import _check_sample_weight

from cvbow._checks import check_labels, check_matrix
from cvbow.classify._channels import channel_bounds
from cvbow.classify._labels import (
    Groups,
    HeldOut,
    Labels,
    check_class_names,
    check_groups,
    check_solver,
    class_weights,
)
from cvbow.classify._squared_hinge import Solution, solve
from cvbow.classify._temperature import fit_temperature, softmax
from cvbow.classify.label_sets import LabelSets
from cvbow.storage import Array, ClassNames, Learned, Number

#: The temperature is learned on vectors that were left out in so many parts.
N_FOLDS = 5


class OneAgainstRestClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base class of classifiers with a decision per class and a temperature, which makes probabilities of decisions.

    A subclass has the parameters ``C``, ``class_weight`` and ``max_iter``. Its ``fit`` begins with ``_prepare``, solves
    by ``_fit_factor`` or in a way of its own with ``_fit_temperature``, and ``_decide`` gives its decisions.

    ``held_out_`` are the decisions that the temperature was learned from, on images that were left out: all of them, or
    one part where that would take too long; all of them where ``fit`` is told ``folds``, which are left out one by one.
    A model file does not hold them.

    In ``MultiLabelClassifier`` it learns from ``LabelSets``: there is a decision per label also where there are two
    (``n_labels_``), and no temperature is learned.
    """

    unstored: tuple[str, ...] = ("n_iter_", "held_out_")
    #: Whether vectors in float16 are read in blocks of rows, also from the map of a file, and never all at a time.
    learns_from_files: ClassVar[bool] = False
    C: float
    class_weight: Any
    max_iter: int
    n_iter_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    #: Widths of the channels by name; None where the vectors are taken as they are.
    channels_: dict[str, int] | None = None
    #: The part of each channel in the vectors' squared length, by name; None where that is as it is.
    shares_: dict[str, float] | None = None
    #: How many views of each image were learned from, and of how many an answer is the mean; None of all.
    views_: NDArray[np.int64] | None = None
    #: How many labels an image may have some of; None where it has one class of several.
    n_labels_: int | None = None
    held_out_: HeldOut

    learned: ClassVar[Mapping[str, Learned]] = {
        "n_features_in_": Number(integer=True, minimum=1),
        "n_labels_": Number(integer=True, minimum=2, optional=True),
        "classes_": ClassNames(),
        "intercept_": Array("floating", "n_scores"),
        "temperature_": Number(above=0),
    }

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_solver(self.C, self.class_weight, self.max_iter)

    def _prepare(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, groups: Groups
    ) -> tuple[NDArray[np.float32], Labels]:
        """Check what ``fit`` was given, set ``classes_``, and return the vectors of weight above 0 and their labels."""
        if "n_labels_" in vars(self):
            del self.n_labels_
        if isinstance(y, LabelSets):
            return self._prepare_sets(X, y, sample_weight, groups)
        y = y if y is None else check_labels("y", y)
        vectors, names = check_matrix(
            self, X, y, fitting=True, narrow=self.learns_from_files, non_negative=self._non_negative
        )
        check_class_names(names)
        counts = None
        if sample_weight is not None:
            counts = _check_sample_weight(sample_weight, vectors, dtype=np.float64, ensure_non_negative=True)
        check_groups(groups, names, counts)
        if counts is not None and not counts.all():
            kept = counts > 0
            vectors, names, counts, groups = vectors[kept], names[kept], counts[kept], groups.part(kept)
        self.classes_, index = np.unique(names, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got {len(self.classes_)} class")
        # The losses of an image's copies count together as much as the image alone would.
        weights = class_weights(self.class_weight, self.classes_, index, counts)[index] / groups.copies
        return vectors, Labels(index, weights if counts is None else weights * counts, counts, groups)

    def _prepare_sets(
        self, X: ArrayLike, sets: LabelSets, sample_weight: ArrayLike | None, groups: Groups
    ) -> tuple[NDArray[np.float32], Labels]:
        """Do the same for sets of labels, which ``MultiLabelClassifier`` has checked."""
        if self.class_weight is not None:
            raise ValueError(f"class_weight must be None where images have several labels, got {self.class_weight!r}")
        vectors = check_matrix(self, X, fitting=True, narrow=self.learns_from_files, non_negative=self._non_negative)
        counts = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        self.classes_, self.n_labels_ = sets.classes, len(sets.classes)
        weights = (np.ones(len(sets)) if counts is None else counts) / groups.copies
        return vectors, Labels(sets.rarest, weights, counts, groups, sets.has)

    @property
    def _non_negative(self) -> bool:
        """Whether vectors must have no negative values."""
        return False

    def _fit_factor(self, factor: NDArray[np.float64], labels: Labels) -> Solution:
        """Solve on a Gram matrix's factor, and set the temperature by cross-validation on it."""
        y, weights = labels.targets(len(self.classes_)), labels.weights
        w, b, self.n_iter_ = solve(factor, y, weights, C=self.C, max_iter=self.max_iter)

        def decide(out: NDArray[np.bool_]) -> NDArray[np.float64]:
            data, targeted, rest = factor[~out], y[~out], weights[~out]
            fold_w, fold_b, _ = solve(data, targeted, rest, C=self.C, max_iter=self.max_iter, start=(w, b))
            return np.asarray(factor[out] @ fold_w + fold_b)

        self._hold_out(labels, labels.parts(N_FOLDS, 0), decide)
        return w, b

    def _hold_out(
        self,
        labels: Labels,
        parts: Sequence[NDArray[np.bool_]],
        decide: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    ) -> None:
        """Set the temperature by what ``decide`` gives for each of some parts (n,) without having learned from it."""
        decided = [decide(out) for out in parts]
        judged = np.any(parts, axis=0)
        held_out = np.empty((len(judged), decided[0].shape[1]))
        for out, decisions in zip(parts, decided, strict=True):
            held_out[out] = decisions
        self._fit_temperature(held_out[judged], labels.part(judged))

    def _fit_temperature(self, held_out: NDArray[np.float64], labels: Labels) -> None:
        """Set the temperature by decisions for vectors that were left out, and keep these by image."""
        images, decisions = labels.images, labels.of_images(held_out)
        if images.has is not None:
            self.held_out_, self.temperature_ = HeldOut(decisions, images), 1.0
            return
        self.held_out_ = HeldOut(two_columns(decisions), images)
        self.temperature_ = fit_temperature(self.held_out_.decisions, images.index, images.counts)

    def drop_unused_channels(self) -> list[str] | None:
        """Take in vectors without the channels that have no share from now on, and return the names of the others.

        Return None, and change nothing, where no channel is unused. ``shares_`` keeps saying which were left out.
        """
        if self.channels_ is None or self.shares_ is None:
            return None
        used = [name for name in self.channels_ if self.shares_[name] > 0]
        if len(used) == len(self.channels_):
            return None
        bounds = channel_bounds(self.channels_, self.n_features_in_)
        columns = np.concatenate([np.r_[bounds[name]] for name in used])
        self._keep_channels([list(bounds).index(name) for name in used], columns)
        self.channels_ = {name: self.channels_[name] for name in used}
        self.n_features_in_ = len(columns)
        if "feature_names_in_" in vars(self):
            self.feature_names_in_ = self.feature_names_in_[columns]
        return used

    def _keep_channels(self, places: list[int], columns: NDArray[np.intp]) -> None:
        """Keep of what was learned what is of some channels, by their places in ``channels_`` and their columns."""
        raise NotImplementedError

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return signed distances in units of the margin, (n, n_classes); (n,) when there are two classes."""
        decisions = self._decide(X)
        return decisions[:, 0] if decisions.shape[1] == 1 else decisions

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the decisions with a column per class, or with one column for two classes; NotFittedError."""
        raise NotImplementedError

    def _vectors(self, X: ArrayLike) -> NDArray[np.float32]:
        """Check vectors (n, n_features_in_) that are to be classified."""
        vectors: NDArray[np.float32] = check_matrix(
            self, X, fitting=False, narrow=self.learns_from_files, non_negative=self._non_negative
        )
        return vectors

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of each row of X (n, d)."""
        decisions = two_columns(self._decide(X))
        classes: NDArray[Any] = self.classes_[decisions.argmax(axis=1)]
        return classes

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return class probabilities (n, n_classes): a softmax of the decisions times ``temperature_``."""
        return self.to_probabilities(self._decide(X))

    def to_probabilities(self, decisions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the class probabilities (n, n_classes) that decisions (n, n_classes), (n, 1) or (n,) stand for."""
        return softmax(two_columns(decisions.reshape(len(decisions), -1)) * self.temperature_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self._non_negative
        return tags


def two_columns(decisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return decisions with a column per class: of one column, half for the second class and half against the first."""
    if decisions.shape[1] > 1:
        return decisions
    return np.hstack([-decisions, decisions]) / 2
