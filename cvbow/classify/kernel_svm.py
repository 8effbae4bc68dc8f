"""Support vector machines with a kernel, and the kernels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_real
from cvbow.classify._labels import Groups
from cvbow.classify._path import stations
from cvbow.classify._squared_hinge import factorize
from cvbow.classify.one_against_rest import OneAgainstRestClassifier
from cvbow.parallel import cut, map_threads
from cvbow.storage import Array, Learned, Number, storable

KERNELS = ("chi2", "intersection", "rbf")
_ROWS = 128


@storable
class KernelSVM(OneAgainstRestClassifier):
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
        See ``LinearSVM``.

    Attributes
    ----------
    classes_, intercept_, temperature_, n_features_in_, feature_names_in_, n_iter_
        See ``LinearSVM``.
    vectors_ : ndarray of shape (n, d), float32
    dual_ : ndarray of shape (n, n_classes), float32; (n, 1) for two classes
    gamma_ : float

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import KernelSVM
    >>> X = np.array([[0, 0], [1, 1], [0, 1], [1, 0]], np.float32)
    >>> KernelSVM("rbf").fit(X, ["same", "same", "other", "other"]).predict([[0.1, 0], [0.9, 0.1]]).tolist()
    ['same', 'other']
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        **OneAgainstRestClassifier.learned,
        "vectors_": Array("float32", "n n_features_in_"),
        "dual_": Array("float32", "n n_scores"),
        "gamma_": Number(minimum=0),
    }

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

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        views: int = 1,
        copies: int = 1,
        folds: ArrayLike | None = None,
    ) -> Self:
        """Learn from vectors X (n, d) and labels y (n,); all else, and errors, as for ``LinearSVM``."""
        self.check_params()
        vectors, labels = self._prepare(X, y, sample_weight, Groups.of(views, copies, folds))
        kernel, self.gamma_ = kernel_matrix(self.kernel, vectors, vectors, self.gamma, labels.counts)
        factor = factorize(kernel)
        w, self.intercept_ = self._fit_factor(factor, labels)
        self.dual_ = solve_triangular(factor, w, lower=True, trans="T", check_finite=False).astype(np.float32)
        self.vectors_ = vectors
        return self

    @property
    def _non_negative(self) -> bool:
        return self.kernel in ("chi2", "intersection")

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "dual_")
        kernel, _ = kernel_matrix(self.kernel, self._vectors(X), self.vectors_, self.gamma_)
        return np.asarray(kernel @ self.dual_ + self.intercept_, np.float64)

    def weights_at(self, vector: NDArray[np.float32]) -> tuple[NDArray[np.float64], bool]:
        """Return the weights by which one vector's values (d,) make its decisions, (n_classes, d) or (1, d) for two.

        Also, whether that is exact, as it is with the intersection kernel, where weights times values are what the
        values give; otherwise the weights are the mean gradient on the way from zeros, see ``_path``.
        """
        check_is_fitted(self, "dual_")
        dual, trained, at = self.dual_.astype(np.float64), self.vectors_, vector.astype(np.float64)
        if self.kernel == "intersection":
            # What the minima of each value add up to, by the value; where it is 0, so are they.
            sums = dual.T @ np.minimum(trained, at)
            return np.divide(sums, at, out=np.zeros_like(sums), where=at > 0), True
        places, parts = stations()
        way = np.asarray(places[:, None] * at, np.float32)
        pulls = kernel_matrix(self.kernel, way, trained, self.gamma_)[0] * parts[:, None]
        if self.kernel == "rbf":
            near, far = (dual * pull[:, None] for pull in (pulls.sum(axis=0), places @ pulls))
            return 2 * self.gamma_ * (near.T @ trained - far.sum(axis=0)[:, None] * at), False
        weights = np.zeros((dual.shape[1], len(at)))
        for place, pull in zip(places, pulls, strict=True):
            # The derivative of (x - y)^2 / (x + y) by x is (x - y) (x + 3 y) / (x + y)^2.
            here = place * at
            both = here + trained
            slope = np.divide(
                (here - trained) * (here + 3.0 * trained), both**2, out=np.zeros_like(both), where=both > 0
            )
            weights -= self.gamma_ * ((dual * pull[:, None]).T @ slope)
        return weights, False

    def check_params(self) -> None:
        super().check_params()
        check_choice("kernel", self.kernel, KERNELS)
        if self.gamma is not None:
            check_real("gamma", self.gamma, minimum=0, open_minimum=True)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()


def kernel_matrix(
    kernel: str,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    gamma: float | None,
    counts: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], float]:
    """Return the kernel between the rows of ``a`` (n, d) and ``b`` (m, d), shape (n, m), and gamma.

    A gamma of None becomes 1 over the mean distance; with ``counts`` (n,), where ``a`` and ``b`` are the same, each
    vector is there so many times. "intersection" has no gamma and returns 1. Other kernels than "rbf" are for
    non-negative vectors.
    """
    from scipy.spatial.distance import cdist
    from sklearn.metrics.pairwise import additive_chi2_kernel, euclidean_distances

    if kernel == "intersection":
        # min(x, y) = (x + y - |x - y|) / 2
        sums = a.sum(axis=1, dtype=np.float64)[:, None] + b.sum(axis=1, dtype=np.float64)
        # Distances are found in float64: one copy of the shorter array serves all parts of the other.
        left, right = (a, b.astype(np.float64)) if len(a) > len(b) else (a.astype(np.float64), b)
        return 0.5 * (sums - _by_parts(functools.partial(cdist, metric="cityblock"), left, right)), 1.0
    if kernel == "rbf":
        distances = euclidean_distances(a, b, squared=True).astype(np.float64)
    else:
        # An array that is read-only, as those are that joblib shares among processes, is not taken.
        a, b = np.require(a, requirements="W"), np.require(b, requirements="W")
        distances = -_by_parts(additive_chi2_kernel, a, b)
    if gamma is None:
        mean = float(distances.mean() if counts is None else counts @ distances @ counts / counts.sum() ** 2)
        gamma = 1 / mean if mean > 0 else 1.0
    return np.exp(-gamma * distances), float(gamma)


def _by_parts(
    compare: Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.floating]],
    a: NDArray[np.floating],
    b: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Compare the rows of two arrays on threads, (n, m): some of the longer one at a time, so that copies are small."""
    result = np.empty((len(a), len(b)))

    def fill(rows: slice) -> None:
        if len(a) > len(b):
            result[rows] = compare(a[rows], b)
        else:
            result[:, rows] = compare(a, b[rows])

    map_threads(fill, cut(max(result.shape), _ROWS))
    return result
