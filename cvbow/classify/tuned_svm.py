"""A linear SVM that finds its C by cross-validation: the same head for vectors of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real
from cvbow.classify._groups import Groups
from cvbow.classify._squared_hinge import fold_of_each, solve, targets
from cvbow.classify._standardize import Standardization
from cvbow.classify._svm import GRAM_LIMIT, LinearSVM
from cvbow.storage import storable

__all__ = ["TunedLinearSVM"]

#: The folds are others than those of the temperature.
_SEED = 1


@storable
class TunedLinearSVM(LinearSVM):
    """Linear one-against-rest SVM whose C is the best of several, by cross-validation on the training vectors.

    What vectors mean, how long they are and how much they are alike decides which C suits them. A comparison of vectors
    under one C compares that as well; this head does not.

    Parameters
    ----------
    Cs : sequence of float, default (0.01, 0.1, 1, 10, 100, 1000)
        Candidates. Of those with the same mean class accuracy, the smallest is taken.
    n_folds : int, default 5
        At least 2. Of a class with fewer images, some folds have none. With more than 5,000 vectors, or more vectors
        than values, one fold is held out instead.
    class_weight, max_iter, standardize
        As for ``LinearSVM``.

    Attributes
    ----------
    C_ : float
        The candidate that was taken.
    scores_ : ndarray of shape (n_candidates,)
        Mean class accuracies on held-out vectors, in the order of ascending C.
    classes_, coef_, intercept_, temperature_
        As for ``LinearSVM``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import TunedLinearSVM
    >>> X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    >>> svm = TunedLinearSVM(Cs=(0.01, 1, 100)).fit(X, X[:, 0] > 0)
    >>> svm.C_ in svm.Cs, svm.scores_.shape
    (True, (3,))
    """

    def __init__(
        self,
        *,
        Cs: Sequence[float] = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
        n_folds: int = 5,
        class_weight: Any = None,
        max_iter: int = 100,
        standardize: bool = False,
    ) -> None:
        self.Cs = Cs
        self.n_folds = n_folds
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.standardize = standardize

    @property
    def C(self) -> float:  # type: ignore[override]  # noqa: N802
        """The candidate that was taken; before ``fit``, the first."""
        return float(vars(self).get("C_", self.Cs[0]))

    def _fit_factor(
        self, factor: NDArray[np.float64], labels: NDArray[np.intp], weights: NDArray[np.float64], groups: Groups
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        folds = self._folds(labels, groups)
        if len(factor) > GRAM_LIMIT:
            # To choose among powers of ten, single precision and one fold will do: minutes instead of half an hour.
            self._choose(factor.astype(np.float32), labels, weights, groups, None, [folds == 0])
        else:
            self._choose(factor, labels, weights, groups, None, [folds == fold for fold in np.unique(folds)])
        return super()._fit_factor(factor, labels, weights, groups)

    def _fit_direct(
        self,
        vectors: NDArray[np.float32],
        labels: NDArray[np.intp],
        weights: NDArray[np.float64],
        standard: Standardization | None,
        groups: Groups,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        self._choose(vectors, labels, weights, groups, standard, [self._folds(labels, groups) == 0])
        return super()._fit_direct(vectors, labels, weights, standard, groups)

    def _folds(self, labels: NDArray[np.intp], groups: Groups) -> NDArray[np.intp]:
        return fold_of_each(labels, min(int(self.n_folds), len(labels) // groups.size), _SEED, groups.size)

    def _choose(
        self,
        data: NDArray[np.floating],
        labels: NDArray[np.intp],
        weights: NDArray[np.float64],
        groups: Groups,
        standard: Standardization | None,
        parts: list[NDArray[np.bool_]],
    ) -> None:
        """Set ``C_`` and ``scores_`` by the decisions for each part, which is left out by weights of zero."""
        y = targets(labels, len(self.classes_))
        candidates = sorted(float(C) for C in self.Cs)
        right = np.zeros((len(candidates), len(self.classes_)))
        for out in parts:
            start = None
            truth = labels[out][:: groups.size]
            for row, C in enumerate(candidates):
                start = solve(
                    data, y, np.where(out, 0.0, weights), C=C, max_iter=self.max_iter, start=start, standard=standard
                )
                w, b = start if standard is None else standard.raw(*start)
                decisions = groups.of_images(np.asarray(data[out] @ w.astype(data.dtype) + b, np.float64))
                answers = decisions.argmax(axis=1) if decisions.shape[1] > 1 else (decisions[:, 0] > 0).astype(np.intp)
                right[row] += np.bincount(truth[answers == truth], minlength=len(self.classes_))
        everyone = np.concatenate([labels[out][:: groups.size] for out in parts])
        judged = np.bincount(everyone, minlength=len(self.classes_))
        self.scores_ = (right[:, judged > 0] / judged[judged > 0]).mean(axis=1)
        self.C_ = candidates[int(self.scores_.argmax())]

    def check_params(self) -> None:
        if isinstance(self.Cs, str) or not isinstance(self.Cs, Sequence) or len(self.Cs) == 0:
            raise ValueError(f"Cs must be at least one number, got {self.Cs!r}")
        for C in self.Cs:
            check_real("Cs", C, minimum=0, open_minimum=True)
        check_int("n_folds", self.n_folds, minimum=2)
        super().check_params()
