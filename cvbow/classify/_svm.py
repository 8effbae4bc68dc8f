"""Support vector machines, linear and with kernels, over the solver of ``_squared_hinge``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_flag, check_int, check_real
from cvbow.classify._groups import Groups
from cvbow.classify._kernels import KERNELS, kernel_matrix
from cvbow.classify._squared_hinge import factorize, fold_of_each, gram, solve, targets
from cvbow.classify._standardize import Standardization, standardization
from cvbow.classify._temperature import fit_temperature, softmax
from cvbow.storage import storable

__all__ = ["GRAM_LIMIT", "KernelSVM", "LinearSVM"]

#: Up to so many vectors, a Gram matrix in float64 takes at most 200 MB; and where the vectors are so many times as long
#: as they are many, it takes a quarter of their memory and spares nearly all of the products with them.
GRAM_LIMIT, _MUCH_LONGER = 5000, 8
_N_FOLDS = 5


class _SquaredHingeSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What the two have in common: labels, class weights, probabilities."""

    C: float
    class_weight: Any
    max_iter: int

    def check_params(self) -> None:
        check_real("C", self.C, minimum=0, open_minimum=True)
        check_int("max_iter", self.max_iter, minimum=1)
        if self.class_weight is not None and not isinstance(self.class_weight, Mapping):
            check_choice("class_weight", self.class_weight, ("balanced",))

    def _encode(self, y: ArrayLike, n: int, groups: Groups) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Set ``classes_``; return each vector's class index and its loss's weight."""
        y = np.asarray(y)
        if y.ndim != 1 or len(y) != n:
            raise ValueError(f"y must have shape ({n},), a label per vector, got {y.shape}")
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got {len(self.classes_)}")
        groups.check(labels)
        per_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        # The losses of an image's copies count together as much as the image alone would.
        return labels, np.asarray(per_class, np.float64)[labels] / groups.copies

    def _fit_factor(
        self, factor: NDArray[np.float64], labels: NDArray[np.intp], weights: NDArray[np.float64], groups: Groups
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Solve on a Gram matrix's factor, and set the temperature by cross-validation on it."""
        y = targets(labels, len(self.classes_))
        folds = fold_of_each(labels, min(_N_FOLDS, len(labels) // groups.size), 0, groups.size)
        held_out = np.empty_like(y)
        w, b = solve(factor, y, weights, C=self.C, max_iter=self.max_iter)
        for fold in np.unique(folds):
            rest, out = folds != fold, folds == fold
            fold_w, fold_b = solve(factor[rest], y[rest], weights[rest], C=self.C, max_iter=self.max_iter, start=(w, b))
            held_out[out] = factor[out] @ fold_w + fold_b
        self._fit_temperature(held_out, labels, groups)
        return w, b

    def _fit_temperature(self, held_out: NDArray[np.float64], labels: NDArray[np.intp], groups: Groups) -> None:
        """Set the temperature by decisions for vectors that were left out."""
        self.temperature_ = fit_temperature(_two_columns(groups.of_images(held_out)), labels[:: groups.size])

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return signed distances in units of the margin, (n, n_classes); (n,) when there are two classes."""
        decisions = self._decide(X)
        return decisions[:, 0] if decisions.shape[1] == 1 else decisions

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        raise NotImplementedError

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of each row of X (n, d)."""
        decisions = _two_columns(self._decide(X))
        classes: NDArray[Any] = self.classes_[decisions.argmax(axis=1)]
        return classes

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return class probabilities (n, n_classes): a softmax of the decisions times ``temperature_``."""
        return softmax(_two_columns(self._decide(X)) * self.temperature_)


@storable
class LinearSVM(_SquaredHingeSVM):
    """Linear one-against-rest SVM with squared hinge loss.

    The same model as ``sklearn.svm.LinearSVC``, in float32 and without copies of the vectors, so that tens of thousands
    of vectors of tens of thousands of values fit in memory; and with probabilities.

    Parameters
    ----------
    C : float, default 1.0
        Weight of the losses against the margin.
    class_weight : dict, "balanced" or None, default None
        Factors of C by class; "balanced" makes the classes count alike however many vectors they have.
    max_iter : int, default 100
        Newton steps at most.
    standardize : bool, default False
        Learn from vectors whose values have been brought to mean 0 and the same deviation over the training vectors, so
        that all count alike, whatever their unit; to that deviation for which the vectors' mean squared length is 1, so
        that C means the same however many values there are. No copy of the vectors is made: the scaling goes into the
        coefficients, which are those for vectors as they are. A value that does not vary in training gets 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, d), float32; (1, d) for two classes
    intercept_ : ndarray of shape (n_classes,), float64; (1,) for two classes
    temperature_ : float
        Factor of the decisions in the softmax that gives probabilities, learned on held-out vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import LinearSVM
    >>> X = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.2, 0.8]], np.float32)
    >>> svm = LinearSVM(C=10).fit(X, ["a", "a", "b", "b"])
    >>> svm.predict([[0.8, 0.1], [0.1, 0.7]]).tolist()
    ['a', 'b']
    >>> svm.predict_proba([[0.8, 0.1]]).round(1).tolist()
    [[0.6, 0.4]]
    """

    def __init__(
        self, *, C: float = 1.0, class_weight: Any = None, max_iter: int = 100, standardize: bool = False
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.standardize = standardize

    def fit(self, X: ArrayLike, y: ArrayLike, *, views: int = 1, copies: int = 1) -> Self:
        """Learn from vectors X (n, d) and labels y (n,).

        Parameters
        ----------
        X, y : arrays
        views : int, default 1
            So many vectors that follow one another are views of one image: for the temperature they are left out
            together, and judged by their mean decisions.
        copies : int, default 1
            So many times ``views`` vectors that follow one another are of an image and of what augmentation made of it:
            their losses together weigh as much as those of an image without copies, and for the temperature they are
            left out together, and the image is judged without its copies.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, the vectors are not finite, there are fewer than two classes, or the views
            of an image differ in their label.
        """
        self.check_params()
        vectors = check_vectors(X)
        groups = Groups(views, copies)
        labels, weights = self._encode(y, len(vectors), groups)
        n, d = vectors.shape
        self.n_features_in_ = d
        standard = standardization(vectors) if self.standardize else None
        if n <= min(d, GRAM_LIMIT) or _MUCH_LONGER * n <= d:
            factor = factorize(gram(vectors, standard))
            w, b = self._fit_factor(factor, labels, weights, groups)
            # w = X^T a with K = a L u and K = L L^T.
            dual = solve_triangular(factor, w, lower=True, trans="T", check_finite=False)
            w = np.asarray(vectors.T @ dual.astype(np.float32), np.float64)
            if standard is not None:
                w -= standard.mean[:, None] * dual.sum(axis=0)
                w *= standard.scale[:, None]
        else:
            w, b = self._fit_direct(vectors, labels, weights, standard, groups)
        if standard is not None:
            w, b = standard.raw(w, b)
        self.coef_ = np.ascontiguousarray(w.T, np.float32)
        self.intercept_ = b
        return self

    def _fit_direct(
        self,
        vectors: NDArray[np.float32],
        labels: NDArray[np.intp],
        weights: NDArray[np.float64],
        standard: Standardization | None,
        groups: Groups,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Solve on the vectors themselves; one held-out fold sets the temperature.

        The held-out vectors are left out by a weight of zero: an index would copy all the others.
        """
        y = targets(labels, len(self.classes_))
        out = fold_of_each(labels, min(_N_FOLDS, len(labels) // groups.size), 0, groups.size) == 0
        kept = np.where(out, 0.0, weights)
        w, b = solve(vectors, y, kept, C=self.C, max_iter=self.max_iter, standard=standard)
        raw_w, raw_b = (w, b) if standard is None else standard.raw(w, b)
        decisions = vectors @ raw_w.astype(np.float32) + raw_b
        self._fit_temperature(decisions[out], labels[out], groups)
        return solve(vectors, y, weights, C=self.C, max_iter=self.max_iter, start=(w, b), standard=standard)

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "coef_")
        vectors = check_vectors(X, self.n_features_in_)
        return np.asarray(vectors @ self.coef_.T + self.intercept_, np.float64)

    def check_params(self) -> None:
        super().check_params()
        check_flag("standardize", self.standardize)

    def check_state(self) -> None:
        self.check_params()
        if "coef_" in vars(self):
            k = 1 if len(self.classes_) == 2 else len(self.classes_)
            if self.coef_.shape != (k, self.n_features_in_) or self.intercept_.shape != (k,):
                raise ValueError("coef_ and intercept_ do not fit classes_ and n_features_in_")


@storable
class KernelSVM(_SquaredHingeSVM):
    """One-against-rest SVM with squared hinge loss and a kernel.

    The training vectors stay in the model. Memory grows with the square of their number.

    Parameters
    ----------
    kernel : {"chi2", "intersection", "rbf"}, default "rbf"
        ``exp(-gamma sum (x-y)^2/(x+y))`` and ``sum min(x, y)``, both for non-negative vectors;
        ``exp(-gamma |x-y|^2)``.
    gamma : float or None, default None
        None: 1 over the mean distance between training vectors (Zhang et al., IJCV 2007).
    C, class_weight, max_iter
        As for ``LinearSVM``.

    Attributes
    ----------
    classes_, temperature_ : as for ``LinearSVM``
    vectors_ : ndarray of shape (n, d), float32
    dual_ : ndarray of shape (n, n_classes), float32; (n, 1) for two classes
    intercept_ : ndarray of shape (n_classes,), float64
    gamma_ : float

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import KernelSVM
    >>> X = np.array([[0, 0], [1, 1], [0, 1], [1, 0]], np.float32)
    >>> KernelSVM("rbf").fit(X, ["same", "same", "other", "other"]).predict([[0.1, 0], [0.9, 0.1]]).tolist()
    ['same', 'other']
    """

    def __init__(
        self,
        kernel: str = "rbf",
        *,
        gamma: float | None = None,
        C: float = 1.0,
        class_weight: Any = None,
        max_iter: int = 100,
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike, *, views: int = 1, copies: int = 1) -> Self:
        """Learn from vectors X (n, d) and labels y (n,); views, copies and errors as for ``LinearSVM``."""
        self.check_params()
        check_choice("kernel", self.kernel, KERNELS)
        if self.gamma is not None:
            check_real("gamma", self.gamma, minimum=0, open_minimum=True)
        vectors = check_vectors(X)
        groups = Groups(views, copies)
        labels, weights = self._encode(y, len(vectors), groups)
        self.n_features_in_ = vectors.shape[1]
        kernel, self.gamma_ = kernel_matrix(self.kernel, vectors, vectors, self.gamma)
        factor = factorize(kernel)
        w, self.intercept_ = self._fit_factor(factor, labels, weights, groups)
        dual = solve_triangular(factor, w, lower=True, trans="T", check_finite=False)
        self.dual_ = dual.astype(np.float32)
        self.vectors_ = vectors
        return self

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "dual_")
        vectors = check_vectors(X, self.n_features_in_)
        kernel, _ = kernel_matrix(self.kernel, vectors, self.vectors_, self.gamma_)
        return np.asarray(kernel @ self.dual_ + self.intercept_, np.float64)

    def check_state(self) -> None:
        self.check_params()
        check_choice("kernel", self.kernel, KERNELS)
        if "dual_" in vars(self):
            k = 1 if len(self.classes_) == 2 else len(self.classes_)
            n = len(self.vectors_)
            if self.dual_.shape != (n, k) or self.vectors_.shape != (n, self.n_features_in_):
                raise ValueError("dual_ and vectors_ do not fit classes_ and n_features_in_")


def check_vectors(X: ArrayLike, n_features: int | None = None) -> NDArray[np.float32]:
    """Return X as a finite float32 (n, d) array; no copy where it is one."""
    vectors = np.ascontiguousarray(X, np.float32)
    if vectors.ndim != 2 or vectors.shape[0] == 0 or vectors.shape[1] == 0:
        raise ValueError(f"X must have shape (n, d) with n and d at least 1, got {vectors.shape}")
    if n_features is not None and vectors.shape[1] != n_features:
        raise ValueError(f"X must have {n_features} values in a row, as in training, got {vectors.shape[1]}")
    with np.errstate(invalid="ignore"):
        total = vectors.sum(dtype=np.float64)
    # One sum finds any NaN or infinity; only then is it worth looking at each value.
    if not np.isfinite(total) and not np.isfinite(vectors).all():
        raise ValueError("X must be finite, got NaN or infinity")
    return vectors


def _two_columns(decisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return decisions with a column per class: of one column, half for the second class and half against the first."""
    if decisions.shape[1] > 1:
        return decisions
    return np.hstack([-decisions, decisions]) / 2
