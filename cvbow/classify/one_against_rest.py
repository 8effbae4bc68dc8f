"""The base of the classifiers that tell each class from all others: labels, weights, probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import _check_sample_weight

from cvbow._checks import check_choice, check_int, check_labels, check_matrix, check_real
from cvbow.classify._labels import Labels, check_class_names, check_groups, class_weights, targets
from cvbow.classify._squared_hinge import Solution, solve
from cvbow.classify._temperature import fit_temperature, softmax
from cvbow.storage import Array, ClassNames, Learned, Number

#: The temperature is learned on vectors that were left out in so many parts.
N_FOLDS = 5


class OneAgainstRestClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base class of classifiers with a decision per class and a temperature, which makes probabilities of decisions.

    A subclass has the parameters ``C``, ``class_weight`` and ``max_iter``. Its ``fit`` begins with ``_prepare``, solves
    by ``_fit_factor`` or in a way of its own with ``_fit_temperature``, and ``_decide`` gives its decisions.
    """

    unstored = ("n_iter_",)
    C: float
    class_weight: Any
    max_iter: int
    n_iter_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    #: The part of each channel in the vectors' squared length, by name; None where that is as it is.
    shares_: dict[str, float] | None = None

    learned: ClassVar[Mapping[str, Learned]] = {
        "n_features_in_": Number(integer=True, minimum=1),
        "classes_": ClassNames(),
        "intercept_": Array("floating", "n_scores"),
        "temperature_": Number(above=0),
    }

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_real("C", self.C, minimum=0, open_minimum=True)
        check_int("max_iter", self.max_iter, minimum=1)
        if self.class_weight is not None and not isinstance(self.class_weight, Mapping):
            check_choice("class_weight", self.class_weight, ("balanced",))

    def _prepare(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, views: int, copies: int
    ) -> tuple[NDArray[np.float32], Labels]:
        """Check what ``fit`` was given, set ``classes_``, and return the vectors of weight above 0 and their labels."""
        y = y if y is None else check_labels("y", y)
        vectors, names = check_matrix(self, X, y, fitting=True, non_negative=self._non_negative)
        check_class_names(names)
        counts = None
        if sample_weight is not None:
            counts = _check_sample_weight(sample_weight, vectors, dtype=np.float64, ensure_non_negative=True)
        check_groups(names, counts, views, copies)
        if counts is not None and not counts.all():
            kept = counts > 0
            vectors, names, counts = vectors[kept], names[kept], counts[kept]
        self.classes_, index = np.unique(names, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got {len(self.classes_)} class")
        # The losses of an image's copies count together as much as the image alone would.
        weights = class_weights(self.class_weight, self.classes_, index, counts)[index] / copies
        return vectors, Labels(index, weights if counts is None else weights * counts, counts, views, copies)

    @property
    def _non_negative(self) -> bool:
        """Whether vectors must have no negative values."""
        return False

    def _fit_factor(self, factor: NDArray[np.float64], labels: Labels) -> Solution:
        """Solve on a Gram matrix's factor, and set the temperature by cross-validation on it."""
        y, weights = targets(labels.index, len(self.classes_)), labels.weights
        folds = labels.folds(N_FOLDS, 0)
        held_out = np.empty_like(y)
        w, b, self.n_iter_ = solve(factor, y, weights, C=self.C, max_iter=self.max_iter)
        for fold in np.unique(folds):
            rest, out = folds != fold, folds == fold
            data, targeted = factor[rest], y[rest]
            fold_w, fold_b, _ = solve(data, targeted, weights[rest], C=self.C, max_iter=self.max_iter, start=(w, b))
            held_out[out] = factor[out] @ fold_w + fold_b
        self._fit_temperature(held_out, labels)
        return w, b

    def _fit_temperature(self, held_out: NDArray[np.float64], labels: Labels) -> None:
        """Set the temperature by decisions for vectors that were left out."""
        images = labels.images
        self.temperature_ = fit_temperature(_two_columns(labels.of_images(held_out)), images.index, images.counts)

    def drop_unused_channels(self) -> list[str] | None:
        """Take in vectors without the channels that have no share from now on, and return the names of the others.

        Return None, and change nothing, where no channel is unused. ``shares_`` keeps saying which were left out.
        """
        return None

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return signed distances in units of the margin, (n, n_classes); (n,) when there are two classes."""
        decisions = self._decide(X)
        return decisions[:, 0] if decisions.shape[1] == 1 else decisions

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the decisions with a column per class, or with one column for two classes; NotFittedError."""
        raise NotImplementedError

    def _vectors(self, X: ArrayLike) -> NDArray[np.float32]:
        """Check vectors (n, n_features_in_) that are to be classified."""
        vectors: NDArray[np.float32] = check_matrix(self, X, fitting=False, non_negative=self._non_negative)
        return vectors

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of each row of X (n, d)."""
        decisions = _two_columns(self._decide(X))
        classes: NDArray[Any] = self.classes_[decisions.argmax(axis=1)]
        return classes

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return class probabilities (n, n_classes): a softmax of the decisions times ``temperature_``."""
        return softmax(_two_columns(self._decide(X)) * self.temperature_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self._non_negative
        return tags


def _two_columns(decisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return decisions with a column per class: of one column, half for the second class and half against the first."""
    if decisions.shape[1] > 1:
        return decisions
    return np.hstack([-decisions, decisions]) / 2
