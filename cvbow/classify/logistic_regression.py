"""Multinomial logistic regression by L-BFGS (``_quasi_newton``), in passes over vectors that may lie in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from cvbow._checks import check_labels, check_matrix
from cvbow.classify._labels import check_class_names, check_solver, class_weights
from cvbow.classify._narrow import product
from cvbow.classify._quasi_newton import Remembered, SampledCurvature, sample_rows
from cvbow.classify._squared_hinge import Inputs
from cvbow.classify._temperature import softmax
from cvbow.storage import Array, ClassNames, Learned, Number, storable

#: It ends where the next step promises less than this share of the objective, or brings less than the second one.
_LEFT, _NOTHING = 1e-7, 1e-12
#: A step is halved until it brings this share of what its start promised, so many times at most.
_ENOUGH, _MAX_HALVINGS = 1e-4, 30


@storable
class LogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Multinomial logistic regression: the model of scikit-learn's class of that name, for image vectors.

    Parameters
    ----------
    C : float, default 1.0
        Weight of the losses against the squared norm of the coefficients; intercepts are not penalised.
    class_weight : dict, "balanced" or None, default None
        Factors of C by class; "balanced" makes the classes count alike however many vectors they have.
    max_iter : int, default 1000
        Steps at most, each of two passes over the vectors.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, d), float32; (1, d) for two classes
    intercept_ : ndarray of shape (n_classes,), float64; (1,) for two classes
    n_features_in_ : int
        d.
    feature_names_in_ : ndarray of shape (d,), str
        Names of the columns, where ``fit`` got a data frame; a model file does not hold them.
    n_iter_ : int
        Steps of the solution; a model file does not hold it.

    Notes
    -----
    Vectors are taken as float32, or as float16 if that is what they are; see ``LinearSVM``. Nothing is drawn at random,
    and there is no tolerance to set.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import LogisticRegression
    >>> X = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.2, 0.8]], np.float32)
    >>> model = LogisticRegression(C=10).fit(X, ["a", "a", "b", "b"])
    >>> model.predict([[0.8, 0.1]]).tolist(), model.predict_proba([[0.8, 0.1]]).round(2).tolist()
    (['a'], [[0.8, 0.2]])
    """

    unstored = ("n_iter_",)
    learns_from_files: ClassVar[bool] = True
    learned: ClassVar[Mapping[str, Learned]] = {
        "n_features_in_": Number(integer=True, minimum=1),
        "classes_": ClassNames(),
        "coef_": Array("float32", "n_scores n_features_in_"),
        "intercept_": Array("float64", "n_scores"),
    }
    n_features_in_: int

    def __init__(self, *, C: float = 1.0, class_weight: Any = None, max_iter: int = 1000) -> None:
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from vectors X (n, d) and labels y (n,).

        Parameters
        ----------
        X : array of shape (n, d)
            float16 is read in blocks of rows, also from a memory map; all else becomes float32.
        y : array of shape (n,)
        sample_weight : array of shape (n,) or None, default None
            Factors of C by vector.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, the vectors are not finite, or there are fewer than two classes.
        """
        self.check_params()
        y = y if y is None else check_labels("y", y)
        vectors, names = check_matrix(self, X, y, fitting=True, narrow=True)
        check_class_names(names)
        counts = None
        if sample_weight is not None:
            counts = _check_sample_weight(sample_weight, vectors, dtype=np.float64, ensure_non_negative=True)
        there = names if counts is None else names[counts > 0]
        self.classes_ = np.unique(there)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got {len(self.classes_)} class")
        # A class all of whose vectors have weight 0 is not there; whatever stands for it counts for nothing.
        index = np.minimum(np.searchsorted(self.classes_, names), len(self.classes_) - 1)
        weights = class_weights(self.class_weight, self.classes_, index, counts)[index]
        w, b = self._solve(vectors, index, weights if counts is None else weights * counts)
        self.coef_, self.intercept_ = np.ascontiguousarray(w.T, np.float32), b
        return self

    def _solve(
        self, vectors: NDArray[Any], index: NDArray[np.intp], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return coefficients (d, k) and intercepts (k,): a column for each class, or one for the second of two."""
        cost = float(self.C) * weights
        n_columns = 1 if len(self.classes_) == 2 else len(self.classes_)
        wanted = (index[:, None] == (1 if n_columns == 1 else np.arange(n_columns))).astype(np.float64)
        inputs = Inputs(vectors, None, 1 / cost.sum())
        rows = sample_rows(weights)
        guess = SampledCurvature(inputs.rows(rows), weights[rows], float(weights.sum()))
        remembered = Remembered(joint=True)
        w = np.zeros((vectors.shape[1] + 1, n_columns))
        scores = np.zeros_like(wanted)
        probabilities, loss = _losses(scores, wanted, cost)
        objective, last = loss, np.inf
        before = step = np.zeros_like(w)
        self.n_iter_ = 0
        while True:
            gradient = inputs.back(cost[:, None] * (probabilities - wanted))
            gradient[:-1] += w[:-1]
            if self.n_iter_:
                remembered.add(step, gradient - before)
            # One factor for all classes: no step moves all scores together, which no loss would see.
            curvature = float((cost @ (probabilities * (1 - probabilities))).mean() / weights.sum())
            step, before = remembered.direction(gradient, np.array([curvature]), guess), gradient
            promised = -float((step * gradient).sum())
            done = 0.5 * promised <= _LEFT * objective or last - objective <= _NOTHING * objective
            if done or self.n_iter_ == int(self.max_iter):
                return w[:-1], inputs.constant * w[-1]
            last, ahead = objective, inputs.forward(step)
            for _ in range(_MAX_HALVINGS):
                probabilities, loss = _losses(scores + ahead, wanted, cost)
                objective = loss + 0.5 * float(((w[:-1] + step[:-1]) ** 2).sum())
                if objective <= last - _ENOUGH * promised:
                    break
                step, ahead, promised = step / 2, ahead / 2, promised / 2
            else:
                return w[:-1], inputs.constant * w[-1]
            w += step
            scores += ahead
            self.n_iter_ += 1

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores whose softmax are the probabilities, (n, n_classes); of two classes the log-odds, (n,)."""
        check_is_fitted(self, "coef_")
        vectors = check_matrix(self, X, fitting=False, narrow=True)
        scores = np.asarray(product(vectors, self.coef_.T, self.intercept_), np.float64)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of each row of X (n, d)."""
        best = self.predict_proba(X).argmax(axis=1)
        classes: NDArray[Any] = self.classes_[best]
        return classes

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return class probabilities (n, n_classes)."""
        scores = self.decision_function(X)
        return softmax(scores if scores.ndim == 2 else np.stack([np.zeros_like(scores), scores], axis=1))

    def linear_weights(self) -> NDArray[np.floating]:
        """Return the coefficients of each class (n_classes, d); of two, the first has the other sign."""
        return np.concatenate([-self.coef_, self.coef_]) if len(self.coef_) == 1 else self.coef_

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_solver(self.C, self.class_weight, self.max_iter)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()


def _losses(
    scores: NDArray[np.float64], wanted: NDArray[np.float64], cost: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the probabilities that scores (n, k) stand for, and the sum of the losses."""
    if scores.shape[1] == 1:
        # log(1 + exp(s)) - wanted s, and its slope.
        losses = np.logaddexp(0, scores) - wanted * scores
        return np.exp(-np.logaddexp(0, -scores)), float(cost @ losses[:, 0])
    top = scores.max(axis=1, keepdims=True)
    powers = np.exp(scores - top)
    total = powers.sum(axis=1, keepdims=True)
    losses = np.log(total) + top - (wanted * scores).sum(axis=1, keepdims=True)
    return powers / total, float(cost @ losses[:, 0])
