"""Fusion of channels: a product of Gaussian kernels, one for each kind of vector, under one classifier.

P. Gehler and S. Nowozin, "On feature combination for multiclass object classification", ICCV 2009, compare such
products with learned combinations; C. Williams and M. Seeger, "Using the Nystroem method to speed up kernel machines",
NIPS 2001, is the way to keep only some of the training vectors.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_int, check_real
from cvbow.classify._fusion_kernel import channel_bounds, channel_weights, fusion_kernel
from cvbow.classify._squared_hinge import factorize, targets
from cvbow.classify._svm import _SquaredHingeSVM, _two_columns, check_vectors
from cvbow.classify._temperature import fit_temperature

__all__ = ["FusionClassifier"]

#: What the weights of the channels add up to where none are given.
_TOTAL = 0.75
#: Rows whose kernel with the kept vectors is computed at a time.
_ROWS = 1024


class FusionClassifier(_SquaredHingeSVM):
    """One-against-rest classifier with the kernel ``exp(-sum_c w_c |x_c - y_c|^2 / s_c)`` over channels c.

    A channel is a group of neighbouring columns, such as one backend's part in a ``ChannelUnion``; its scale s_c is the
    mean squared distance between training vectors, so that a weight of 1 is the usual width of a Gaussian kernel.

    Parameters
    ----------
    channels : mapping of str to int, sequence of int, or None, default None
        Widths of the channels, in the order of the columns. None is what ``fit`` is told (``ImageClassifier`` tells a
        ``ChannelUnion``'s), otherwise one channel of all columns.
    weights : mapping of str to float, sequence of float, or None, default None
        Of the channels; None shares 0.75 equally. 0 leaves a channel out.
    head : {"ridge", "svm"}, default "ridge"
        Kernel ridge regression on targets of -1 and 1, or an SVM with squared hinge loss.
    alpha : float, default 0.01
        Of the ridge: what is added to the kernel's diagonal, which is 1.
    C : float, default 10.0
        Of the SVM: weight of the losses against the margin.
    n_landmarks : int or None, default None
        Keep so many training vectors, drawn at random, evenly from the classes, and learn on the map that the kernel
        with these makes (Nystroem). None keeps all: the model then grows with the number of training vectors.
    class_weight : dict, "balanced" or None, default None
        Weights of the losses by class; "balanced" makes the classes count alike however many vectors they have.
    max_iter : int, default 100
        Newton steps of the SVM at most.
    random_state : int, default 0
        Seed of the draw.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    channels_ : dict of str to int
        Widths by name.
    factors_ : ndarray of shape (n_channels,), float64
        w_c / s_c.
    landmarks_ : ndarray of shape (n_kept, d), float32
    dual_ : ndarray of shape (n_kept, n_classes), float64; (n_kept, 1) for two classes
    intercept_ : ndarray of shape (n_classes,), float64; (1,) for two classes
    temperature_ : float
        Factor of the decisions in the softmax that gives probabilities, learned on decisions for vectors that were left
        out: one at a time for the ridge, in five parts for the SVM.
    """

    def __init__(
        self,
        channels: Any = None,
        *,
        weights: Any = None,
        head: str = "ridge",
        alpha: float = 0.01,
        C: float = 10.0,
        n_landmarks: int | None = None,
        class_weight: Any = None,
        max_iter: int = 100,
        random_state: int = 0,
    ) -> None:
        self.channels = channels
        self.weights = weights
        self.head = head
        self.alpha = alpha
        self.C = C
        self.n_landmarks = n_landmarks
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, *, channels: Any = None) -> Self:
        """Learn from vectors X (n, d) and labels y (n,).

        Parameters
        ----------
        X, y : arrays
        channels : mapping of str to int or slice, optional
            Widths or columns of the channels, where the parameter ``channels`` is None.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, the channels do not fit the vectors, the vectors are not finite, or there
            are fewer than two classes.
        """
        self._validate()
        vectors = check_vectors(X)
        labels, weights = self._encode(y, len(vectors))
        self.n_features_in_ = vectors.shape[1]
        bounds = channel_bounds(self.channels if self.channels is not None else channels, self.n_features_in_)
        self.channels_ = {name: columns.stop - columns.start for name, columns in bounds.items()}
        shares = channel_weights(self.weights, list(bounds), _TOTAL)
        kept = self._draw(labels)
        landmarks = vectors if len(kept) == len(vectors) else vectors[kept]
        kernel, self.factors_ = fusion_kernel(landmarks, None, list(bounds.values()), shares=shares)
        factor = factorize(kernel)
        data = factor
        if landmarks is not vectors:
            # Rows of the map: K(x, kept) L^-T, with L L^T the kernel of the kept ones.
            data = solve_triangular(factor, self._kernel(vectors, landmarks).T, lower=True, check_finite=False).T
        w, self.intercept_ = self._solve(data, labels, weights)
        self.dual_ = solve_triangular(factor, w, lower=True, trans="T", check_finite=False)
        self.landmarks_ = landmarks
        return self

    def _draw(self, labels: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the rows to keep, in order, as evenly from the classes as they go."""
        if self.n_landmarks is None or self.n_landmarks >= len(labels):
            return np.arange(len(labels))
        order = np.random.default_rng(self.random_state).permutation(len(labels))
        # How many of its class come before it in the random order: first every class's first, then every second ...
        turn = np.empty(len(labels), np.intp)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            turn[members] = np.arange(len(members))
        chosen = order[np.argsort(turn[order], kind="stable")][: self.n_landmarks]
        return np.sort(chosen)

    def _solve(
        self, data: NDArray[np.float64], labels: NDArray[np.intp], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self.head == "svm":
            return self._fit_factor(data, labels, weights)
        y = targets(labels, len(self.classes_))
        w, intercept, held_out = _ridge(data, y, weights, float(self.alpha))
        self.temperature_ = fit_temperature(_two_columns(held_out), labels)
        return w, intercept

    def _kernel(self, vectors: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
        bounds = list(channel_bounds(self.channels_, self.n_features_in_).values())
        parts = [
            fusion_kernel(vectors[top : top + _ROWS], landmarks, bounds, factors=self.factors_)[0]
            for top in range(0, len(vectors), _ROWS)
        ]
        return np.concatenate(parts)

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "dual_")
        vectors = check_vectors(X, self.n_features_in_)
        return np.asarray(self._kernel(vectors, self.landmarks_) @ self.dual_ + self.intercept_)

    def _validate(self) -> None:
        super()._validate()
        check_choice("head", self.head, ("ridge", "svm"))
        check_real("alpha", self.alpha, minimum=0, open_minimum=True)
        check_int("n_landmarks", self.n_landmarks, minimum=1, none=True)
        check_int("random_state", self.random_state, minimum=0)

    def _validate_state(self) -> None:
        self._validate()
        if "dual_" not in vars(self):
            return
        k = 1 if len(self.classes_) == 2 else len(self.classes_)
        n = len(self.landmarks_)
        if self.dual_.shape != (n, k) or self.intercept_.shape != (k,):
            raise ValueError("dual_ and intercept_ do not fit classes_ and landmarks_")
        if self.landmarks_.shape != (n, self.n_features_in_) or self.landmarks_.dtype != np.float32:
            raise ValueError("landmarks_ must be a float32 array of shape (n, n_features_in_)")
        if not isinstance(self.channels_, dict) or self.factors_.shape != (len(self.channels_),):
            raise ValueError("factors_ must have a value for each of channels_")
        channel_bounds(self.channels_, self.n_features_in_)


def _ridge(
    data: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Solve ``min_w sum_i c_i (x_i . w + b - y_i)^2 + alpha |w|^2`` with b the targets' weighted mean.

    Returns
    -------
    w : ndarray of shape (d, n_targets)
    b : ndarray of shape (n_targets,)
    held_out : ndarray of shape (n, n_targets)
        For each vector, the decisions of the solution without it, at the same b.
    """
    b = np.average(y, axis=0, weights=weights)
    weighted = data * weights[:, None]
    normal = weighted.T @ data
    normal.flat[:: len(normal) + 1] += alpha
    factor = cho_factor(normal, lower=True, overwrite_a=True, check_finite=False)
    w = cho_solve(factor, weighted.T @ (y - b), check_finite=False)
    # With h_i the share that a target has in its own answer, the answer without it is off by 1 / (1 - h_i) as much.
    half = solve_triangular(factor[0], data.T, lower=True, check_finite=False)
    own = np.minimum(weights * np.einsum("ij,ij->j", half, half), 1 - 1e-12)
    answers = data @ w + b
    return w, b, y - (y - answers) / (1 - own)[:, None]
