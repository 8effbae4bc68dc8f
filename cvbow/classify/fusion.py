"""Fusion of channels: a product of Gaussian kernels, one for each kind of vector, under one classifier.

P. Gehler and S. Nowozin, "On feature combination for multiclass object classification", ICCV 2009, compare such
products with learned combinations; C. Williams and M. Seeger, "Using the Nystroem method to speed up kernel machines",
NIPS 2001, is the way to keep only some of the training vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_int, check_real
from cvbow.classify._channels import channel_bounds, channel_weights, check_shares
from cvbow.classify._directions import Directions, principal_directions
from cvbow.classify._fusion_kernel import fusion_kernel, spreads
from cvbow.classify._fusion_shares import answered_by_first, first_views, learn_views, learn_weights
from cvbow.classify._labels import Groups, Labels
from cvbow.classify._path import stations
from cvbow.classify._ridge import left_out, ridge
from cvbow.classify._squared_hinge import Solution, factorize, solve
from cvbow.classify.one_against_rest import N_FOLDS, OneAgainstRestClassifier
from cvbow.parallel import cut
from cvbow.storage import Array, Learned, check_learned, storable

#: What the weights of the channels add up to where none are given.
_TOTAL = 0.75
#: Rows that are looked at together.
_ROWS = 1024


_DIRECTIONS = {"the mean": Array("float32", "d"), "the steps": Array("float32", "d", minimum=0)}


@storable
class FusionClassifier(OneAgainstRestClassifier):
    """One-against-rest classifier with the kernel ``exp(-sum_c w_c |x_c - y_c|^2 / s_c)`` over channels c.

    A channel is a group of neighbouring columns, such as one backend's part in a ``ChannelUnion``; its scale s_c is the
    mean squared distance between training vectors, so that a weight of 1 is the usual width of a Gaussian kernel.

    Parameters
    ----------
    channels : mapping of str to int, sequence of int, or None, default None
        Widths of the channels, in the order of the columns. None is what ``fit`` is told (``ImageClassifier`` tells a
        ``ChannelUnion``'s), otherwise one channel of all columns.
    weights : "learned", mapping of str to float, sequence of float, or None, default None
        Of the channels; None shares 0.75 equally. 0 leaves a channel out. Learned are those with which a ridge
        regression of the penalty ``alpha`` gives training images that are left out the best probabilities, as
        ``LinearSVM`` learns its shares, and what they add up to. Then it is learned as well, where images have several
        views, whether these help: to learn from, and to answer by.
    head : {"ridge", "svm"}, default "ridge"
        Kernel ridge regression on targets of -1 and 1, or an SVM with squared hinge loss.
    alpha : float, default 0.01
        Of the ridge: what is added to the kernel's diagonal, which is 1. Where ``weights`` are learned, 4 and 16 times
        as much is tried as well.
    C : float, default 10.0
        Of the SVM; see ``LinearSVM``.
    n_components : int or None, default None
        Describe channels of more values than this by so many: those along the directions in which the kept training
        vectors vary most. The model then holds these directions, in a byte per value, in place of the vectors: for
        1500 vectors of 150,000 values and 256 directions 45 MB instead of 915, at the same accuracy on 15-Scene. None
        takes the channels as they are.
    n_landmarks : int or None, default None
        Keep so many training vectors, drawn at random, evenly from the classes, and learn on the map that the kernel
        with these makes (Nystroem). None keeps all: the model then grows with the number of training vectors.
    class_weight, max_iter
        See ``LinearSVM``; the ridge weighs its losses too, and takes one step.
    random_state : int, default 0
        Seed of the draw.

    Attributes
    ----------
    channels_ : dict of str to int
        Widths by name.
    directions_ : dict of str to tuple of ndarray
        Of each channel that is described by fewer values, the mean and the steps, (width,) float32, and the directions
        in these steps, (n_components, width) int8.
    shares_ : dict of str to float, or None
        The weights by name, in proportion to their sum; None of one channel.
    views_ : ndarray of shape (2,), int64, or None
        How many views of each image were learned from, and of how many an answer is the mean: of all, or of the first
        alone. None unless ``weights`` are learned and images have several views.
    alpha_ : float
        What was added to the diagonal. A model file does not hold it.
    factors_ : ndarray of shape (n_channels,), float64
        w_c / s_c.
    landmarks_ : ndarray of shape (n_kept, d'), float32
        The kept training vectors, their channels described by fewer values where that is so.
    dual_ : ndarray of shape (n_kept, n_classes), float64; (n_kept, 1) for two classes
    temperature_ : float
        Factor of the decisions in the softmax that gives probabilities, learned on decisions for vectors that were left
        out: one at a time for the ridge, in five parts for the SVM, a fifth of them where only some are kept.
    classes_, intercept_, n_features_in_, feature_names_in_, n_iter_
        See ``LinearSVM``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import FusionClassifier
    >>> X = np.random.default_rng(0).normal(size=(40, 12))
    >>> model = FusionClassifier({"shape": 8, "color": 4}, weights={"shape": 0, "color": 1}).fit(X, X[:, 8] > 0)
    >>> model.channels_, model.score(X, X[:, 8] > 0) > 0.9
    ({'shape': 8, 'color': 4}, True)
    """

    unstored = (*OneAgainstRestClassifier.unstored, "alpha_")
    alpha_: float
    channels_: dict[str, int]

    learned: ClassVar[Mapping[str, Learned]] = {
        **OneAgainstRestClassifier.learned,
        "landmarks_": Array("float32", "n n_kept"),
        "dual_": Array("floating", "n n_scores"),
        "factors_": Array("floating", "n_channels", minimum=0),
        "views_": Array("int64", "2", minimum=1, optional=True),
    }

    def __init__(
        self,
        channels: Any = None,
        *,
        weights: Any = None,
        head: str = "ridge",
        alpha: float = 0.01,
        C: float = 10.0,
        n_components: int | None = None,
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
        self.n_components = n_components
        self.n_landmarks = n_landmarks
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        channels: Any = None,
        views: int = 1,
        copies: int = 1,
        folds: ArrayLike | None = None,
    ) -> Self:
        """Learn from vectors X (n, d) and labels y (n,).

        Parameters
        ----------
        X, y : arrays
        sample_weight : array of shape (n,) or None, default None
            Factors of the losses by vector. A vector of weight 2 counts like two of it, in the channels' scales and
            directions as well, and one of weight 0 is left out; landmarks are drawn from all others alike.
        channels : mapping of str to int or slice, optional
            Widths or columns of the channels, where the parameter ``channels`` is None.
        views, copies : int, default 1
            As for ``LinearSVM``; landmarks are drawn from all vectors.
        folds : array of shape (n,), int, or None, default None
            As for ``LinearSVM``.

        Raises
        ------
        ValueError
            As for ``LinearSVM``, and if the channels do not fit the vectors.
        """
        self.check_params()
        vectors, labels = self._prepare(X, y, sample_weight, Groups.of(views, copies, folds))
        bounds = channel_bounds(self.channels if self.channels is not None else channels, self.n_features_in_)
        self.channels_ = {name: columns.stop - columns.start for name, columns in bounds.items()}
        weights, vectors, labels = self._weigh(vectors, labels, bounds)
        self.shares_ = None
        if len(bounds) > 1:
            self.shares_ = dict(zip(bounds, (weights / weights.sum()).tolist(), strict=True))
        n = len(vectors)
        kept = self._draw(labels.index)
        some = slice(None) if len(kept) == n else kept
        counts = None if labels.counts is None else labels.counts[some]
        directions = self._find_directions(vectors[some], counts, bounds)
        self.directions_ = {name: (found.mean, found.steps, found.bytes) for name, found in directions.items()}
        vectors = self._shorten(vectors)
        landmarks = vectors[some]
        short = self._short_bounds()
        means = spreads(vectors, short, labels.counts)
        self.factors_ = np.divide(weights, means, out=weights.copy(), where=means > 0)
        if len(kept) == n:
            factor = factorize(fusion_kernel(landmarks, None, short, self.factors_))
            w, self.intercept_ = self._fit_all(factor, labels)
        else:
            factor, w, self.intercept_ = self._fit_map(self._kernel(landmarks, vectors), kept, labels)
        self.dual_ = solve_triangular(factor, w, lower=True, trans="T", check_finite=False)
        self.landmarks_ = landmarks
        return self

    def _weigh(
        self, vectors: NDArray[np.float32], labels: Labels, bounds: Mapping[str, slice]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], Labels]:
        """Return the channels' weights, and the vectors that are to be learned from with their labels."""
        self.views_, self.alpha_ = None, float(self.alpha)
        if not isinstance(self.weights, str):
            return channel_weights(self.weights, list(bounds), _TOTAL), vectors, labels
        size, views = labels.size, labels.groups.views
        weights = learn_weights(vectors[::size], labels.images, bounds, _TOTAL, float(self.alpha))
        found, self.alpha_ = learn_views(vectors, labels, bounds, weights, float(self.alpha))
        self.views_ = None if views == 1 else np.array(found, np.int64)
        if found.learned == 1:
            return weights, vectors[::views], first_views(labels)
        return weights, vectors, labels if found.answering == views else answered_by_first(labels)

    def _keep_channels(self, places: list[int], columns: NDArray[np.intp]) -> None:
        short, names = self._short_bounds(), list(self.channels_)
        self.landmarks_ = np.concatenate([self.landmarks_[:, short[place]] for place in places], axis=1)
        self.factors_ = self.factors_[places]
        used = {names[place] for place in places}
        self.directions_ = {name: found for name, found in self.directions_.items() if name in used}

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
        return np.sort(order[np.argsort(turn[order], kind="stable")][: self.n_landmarks])

    def _fit_all(self, factor: NDArray[np.float64], labels: Labels) -> Solution:
        """Solve on the factor of all vectors' kernel, and set the temperature."""
        if self.head == "svm":
            return self._fit_factor(factor, labels)
        self.n_iter_ = 1
        y = labels.targets(len(self.classes_))
        solution = ridge(factor, y, labels.weights, self.alpha_)
        if labels.groups.folds is None:
            self._fit_temperature(left_out(factor, y, labels.weights, solution, labels.size), labels)
            return solution[:2]

        def decide(out: NDArray[np.bool_]) -> NDArray[np.float64]:
            w, b, _ = ridge(factor[~out], y[~out], labels.weights[~out], self.alpha_)
            return np.asarray(factor[out] @ w + b)

        self._hold_out(labels, labels.parts(N_FOLDS, 0), decide)
        return solution[:2]

    def _fit_map(
        self, kernel: NDArray[np.float64], kept: NDArray[np.intp], labels: Labels
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Solve on the map that the kernel of kept vectors with all, (n_kept, n), makes, and set the temperature.

        The map gives a kept vector a direction of its own. To be left out it has to go from the map as well, so that
        the temperature is that of one fold in five, left out of everything, or of those that are given.
        """

        def decide(out: NDArray[np.bool_]) -> NDArray[np.float64]:
            stays = ~out[kept]
            _, data = _map(kernel[stays], kept[stays])
            w, b = self._solve(data[~out], labels.part(~out))
            return np.asarray(data[out] @ w + b)

        # There has to be something to make the map of.
        parts = [out for out in labels.parts(N_FOLDS, 0) if not out[kept].all()]
        self._hold_out(labels, parts if labels.groups.folds is not None else parts[:1], decide)
        factor, data = _map(kernel, kept)
        return factor, *self._solve(data, labels)

    def _solve(self, data: NDArray[np.float64], labels: Labels) -> Solution:
        y = labels.targets(len(self.classes_))
        if self.head == "svm":
            w, b, self.n_iter_ = solve(data, y, labels.weights, C=self.C, max_iter=self.max_iter)
            return w, b
        self.n_iter_ = 1
        return ridge(data, y, labels.weights, self.alpha_)[:2]

    def _find_directions(
        self, vectors: NDArray[np.float32], counts: NDArray[np.float64] | None, bounds: Mapping[str, slice]
    ) -> dict[str, Directions]:
        if self.n_components is None:
            return {}
        return {
            name: principal_directions(vectors[:, columns], self.n_components, counts)
            for name, columns in bounds.items()
            if columns.stop - columns.start > self.n_components
        }

    def _shorten(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors (n, n_features_in_) as ``landmarks_`` has them, (n, d'); not a copy where d' is no less."""
        if not self.directions_:
            return vectors
        parts = {name: vectors[:, at] for name, at in channel_bounds(self.channels_, self.n_features_in_).items()}
        parts |= {name: Directions(*found).apply(parts[name]) for name, found in self.directions_.items()}
        return np.concatenate(list(parts.values()), axis=1)

    def _short_bounds(self) -> list[slice]:
        """Return the columns of the channels in ``landmarks_``."""
        found = self.directions_
        widths = [len(found[name][2]) if name in found else width for name, width in self.channels_.items()]
        return [slice(end - width, end) for end, width in zip(np.cumsum(widths).tolist(), widths, strict=True)]

    def _kernel(self, landmarks: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the kernel between two sets of short vectors, (n_kept, n)."""
        bounds = self._short_bounds()
        kernel = np.empty((len(landmarks), len(vectors)))
        for rows in cut(len(vectors), _ROWS):
            kernel[:, rows] = fusion_kernel(landmarks, vectors[rows], bounds, self.factors_)
        return kernel

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "dual_")
        vectors = self._shorten(self._vectors(X))
        return np.asarray(self._kernel(self.landmarks_, vectors).T @ self.dual_ + self.intercept_)

    def weights_at(self, vector: NDArray[np.float32]) -> tuple[NDArray[np.float64], bool]:
        """Return the weights by which one vector's values (d,) make its decisions, (n_classes, d) or (1, d) for two.

        They are the mean gradient on the way from zeros, see ``_path``, which is not exact.
        """
        check_is_fitted(self, "dual_")
        start, end = self._shorten(np.stack([np.zeros_like(vector), vector])).astype(np.float64)
        places, shares = stations()
        way = np.asarray(start + places[:, None] * (end - start), np.float32)
        pulls = self._kernel(self.landmarks_, way) * shares
        near, far = (self.dual_ * pull[:, None] for pull in (pulls.sum(axis=1), pulls @ places))
        slope = near.T @ self.landmarks_
        slope -= near.sum(axis=0)[:, None] * start + far.sum(axis=0)[:, None] * (end - start)
        parts = zip(self.channels_, self._short_bounds(), self.factors_, strict=True)
        found = {name: 2 * factor * slope[:, columns] for name, columns, factor in parts}
        for name, directions in self.directions_.items():
            found[name] = Directions(*directions).back(found[name])
        return np.concatenate(list(found.values()), axis=1), False

    def check_params(self) -> None:
        super().check_params()
        if isinstance(self.weights, str) and self.weights != "learned":
            raise ValueError(f"weights must be 'learned', numbers by channel or None, got {self.weights!r}")
        check_choice("head", self.head, ("ridge", "svm"))
        check_real("alpha", self.alpha, minimum=0, open_minimum=True)
        check_int("n_components", self.n_components, minimum=1, none=True)
        check_int("n_landmarks", self.n_landmarks, minimum=1, none=True)
        check_int("random_state", self.random_state, minimum=0)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "dual_" not in vars(self):
            return
        if not isinstance(self.channels_, dict) or self.factors_.shape != (len(self.channels_),):
            raise ValueError("factors_ must have a value for each of channels_")
        channel_bounds(self.channels_, self.n_features_in_)
        if self.shares_ is not None:
            check_shares(self.shares_, self.channels_)
        for name, directions in self.directions_.items():
            if name not in self.channels_ or not isinstance(directions, tuple) or len(directions) != 3:
                raise ValueError(f"directions_ must have a mean, steps and directions for a channel, got {name!r}")
            check_learned(_DIRECTIONS, dict(zip(_DIRECTIONS, directions[:2], strict=True)))
            mean, _, found = directions  # of which there are none where all vectors are equal
            if not isinstance(found, np.ndarray) or found.dtype != np.int8 or found.shape[1:] != mean.shape:
                raise ValueError(
                    f"directions_ of the channel {name} must be an int8 array with a column for each value"
                )
            if len(mean) != self.channels_[name]:
                raise ValueError(f"directions_ of the channel {name} do not fit its width")
        if self.landmarks_.shape[1] != self._short_bounds()[-1].stop:
            raise ValueError("landmarks_ must be as wide as the channels' values")


def _map(kernel: NDArray[np.float64], kept: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the factor L of the kept vectors' kernel and the rows ``K(x, kept) L^-T`` of all vectors x."""
    factor = factorize(kernel[:, kept])
    return factor, solve_triangular(factor, kernel, lower=True, check_finite=False).T
