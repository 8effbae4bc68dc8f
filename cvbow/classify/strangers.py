"""How strange vectors are to those that a model has learned from.

What a class is like is the mean of its training vectors, and how far its own vectors are from that is known: a vector
that is farther from every mean than nearly all of them belongs to none of the classes. This is what T. Mensink et al.,
"Distance-based image classification: generalizing to new classes at near-zero cost", PAMI 2013, classify by, and, with
one covariance in place of a spread for each class, what K. Lee et al., "A simple unified framework for detecting
out-of-distribution samples", NeurIPS 2018, tell strangers by.

Of a mean is kept, besides the mean of all, one bit a value: whether it is above or below that, and by how much on
average, as in M. Rastegari et al., "XNOR-Net", ECCV 2016; and of the mean of all one byte a value. That is a twentieth
of a linear classifier of 15 classes, and tells strangers better than the means themselves, in which few large values
outweigh all others.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_matrix, check_real
from cvbow.classify._channels import channel_bounds, channel_weights
from cvbow.classify._labels import Groups, Labels, check_groups, take_labels
from cvbow.classify._narrow import wide
from cvbow.classify._quantiles import bound, check_kept, shorten
from cvbow.classify.label_sets import LabelSets, are_sets
from cvbow.parallel import cut
from cvbow.storage import Array, Learned, Number, storable

#: The share of images like the training images that may be taken for strangers, by default.
FALSE_ALARMS = 0.05
#: Training vectors are judged by means without them, left out in so many parts.
_N_FOLDS = 5
#: A class is taken to be like the others as much as so many images would tell it.
_PRIOR = 5
#: The least spread of a class, of similarities of which 1 is the largest.
_LEAST = 1e-4
_ROWS = 256
#: A score of what has nothing to be compared with.
_FAR = 1e6


@dataclass(frozen=True, eq=False)
class _Means:
    """The mean of all and of each class, in short: ``(center * step)[None] + sizes[:, None] * signs``."""

    center: NDArray[np.int8]
    step: float
    #: The signs, 1 for plus, eight values a byte, (n_classes, d / 8).
    bits: NDArray[np.uint8]
    sizes: NDArray[np.float32]

    @classmethod
    def of(cls, means: NDArray[np.float32]) -> Self:
        """Shorten means (n_classes, d)."""
        center = means.mean(axis=0, dtype=np.float64)
        step = float(np.abs(center).max()) / 127
        rounded = np.rint(center / step if step > 0 else center).astype(np.int8)
        off = means - (rounded * step).astype(np.float32)
        return cls(rounded, step, np.packbits(off > 0, axis=1), np.abs(off).mean(axis=1))

    @functools.cached_property
    def _above(self) -> NDArray[np.float32]:
        """The signs, 1 for plus and 0 for minus, (n_classes, d)."""
        return np.unpackbits(self.bits, axis=1, count=len(self.center)).astype(np.float32)

    def products(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the dot products (n, n_classes) of vectors (n, d) with the means of the classes."""
        signed = 2 * (vectors @ self._above.T) - vectors.sum(axis=1, keepdims=True)
        common = vectors @ (self.center * np.float32(self.step))
        return np.asarray(signed * self.sizes + common[:, None], np.float64)


@storable
class Strangers(BaseEstimator):  # type: ignore[misc]
    """Tells by training vectors how strange a vector is: how far from every class, in units of the class's spread.

    The similarity of two vectors is the mean of their cosines by channel. A vector's score is by how many standard
    deviations it is less like the mean of a class than vectors of this class are, of the class for which that is least:
    about 0 for what is like the training vectors, and 3 for what hardly any of them is like.

    Attributes
    ----------
    channels_ : dict of str to int
        Widths of the channels by name.
    shares_ : dict of str to float
        The weights of the channels' cosines; they add up to 1.
    center_, step_ : ndarray of shape (d,), int8, and float
        The mean of the classes' means in units of its step.
    bits_, sizes_ : ndarrays of shape (n_means, d / 8), uint8, and (n_means,), float32
        Which values of the mean of a class are above that, eight a byte, and by how much they are off on average.
        Images without any label are a class of their own.
    usual_, spreads_ : ndarrays of shape (n_means,), float64
        How like the mean of a class its vectors are that are left out of it, and the standard deviation.
    kept_ : ndarray of shape (n_kept,), float32
        Scores of training vectors that were left out, in rising order, a thousand at most.
    n_images_ : int
        Training vectors.
    scores_ : ndarray of shape (n,), float64
        Score of each training vector, left out. A model file does not hold it.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import Strangers
    >>> rng = np.random.default_rng(0)
    >>> X = np.eye(8)[rng.integers(0, 2, 200)] + 0.2 * rng.normal(size=(200, 8))
    >>> strangers = Strangers().fit(X, X[:, 0] > 0.5)
    >>> (strangers.strangeness(np.eye(8)[[1, 5]]) > strangers.threshold(0.01)).tolist()
    [False, True]
    """

    unstored = ("scores_",)
    learned: ClassVar[Mapping[str, Learned]] = {
        "n_features_in_": Number(integer=True, minimum=1),
        "n_images_": Number(integer=True, minimum=1),
        "center_": Array("int8", "n_features_in_"),
        "step_": Number(minimum=0),
        "bits_": Array("uint8", "n_means n_bytes"),
        "sizes_": Array("float32", "n_means", minimum=0),
        "usual_": Array("float64", "n_means"),
        "spreads_": Array("float64", "n_means", above=0),
        "kept_": Array("float32", "n_kept"),
    }
    channels_: dict[str, int]
    shares_: dict[str, float]
    n_features_in_: int

    def fit(
        self, X: ArrayLike, y: Any, *, channels: Any = None, shares: Any = None, folds: ArrayLike | None = None
    ) -> Self:
        """Learn from vectors X (n, d) and their classes or labels.

        Parameters
        ----------
        X : array of shape (n, d)
            In float32, or in float16, also as the map of a file: it is read a few rows at a time.
        y : array of shape (n,), or labels as ``MultiLabelClassifier`` takes them
        channels : mapping of str to int or slice, sequence of int, or None, default None
            As for ``LinearSVM``.
        shares : mapping of str to float, sequence of float, or None, default None
            How much each channel counts; None: all alike.
        folds : array of shape (n,), int, or None, default None
            The part in which each vector is left out, as for ``LinearSVM``.

        Raises
        ------
        ValueError
            If the vectors are not finite, or labels, channels or folds do not fit them.
        """
        vectors = check_matrix(self, X, fitting=True, narrow=True)
        n, d = vectors.shape
        bounds = channel_bounds(channels, d)
        weights = channel_weights(shares, list(bounds), 1.0, parameter="shares")
        self.channels_ = {name: columns.stop - columns.start for name, columns in bounds.items()}
        self.shares_ = dict(zip(bounds, (weights / weights.sum()).tolist(), strict=True))
        has, index = _members(y, n)
        groups = Groups.of(1, 1, folds)
        check_groups(groups, index, None)
        counts, sums = has.sum(axis=0), self._sums(vectors, has, np.arange(n))
        alike = np.full(has.shape, -np.inf)
        for part in Labels(index, np.ones(n), groups=groups).parts(_N_FOLDS, 0) if n > 1 else []:
            out = np.flatnonzero(part)
            rest = counts - has[out].sum(axis=0)
            known = np.flatnonzero(rest)
            if not len(known):
                continue
            means = (sums - self._sums(vectors, has, out))[known] / rest[known, None]
            alike[np.ix_(out, known)] = self._products(_Means.of(means.astype(np.float32)), vectors, out)
        self._learn_spreads(alike, has & np.isfinite(alike))
        found = _Means.of((sums / counts[:, None]).astype(np.float32))
        self.center_, self.step_, self.bits_, self.sizes_ = found.center, found.step, found.bits, found.sizes
        self.scores_ = np.minimum(self._scores(alike), _FAR)
        self.n_images_, self.kept_ = n, shorten(self.scores_)
        return self

    def _learn_spreads(self, alike: NDArray[np.float64], judged: NDArray[np.bool_]) -> None:
        """Set what is usual in each class: what its images say, and a little of what all say."""
        judged = judged if judged.any() else np.isfinite(alike)
        n, values = judged.sum(axis=0), np.where(judged, alike, 0)
        center = values.sum() / max(n.sum(), 1)
        self.usual_ = (values.sum(axis=0) + _PRIOR * center) / (n + _PRIOR)
        squares = np.where(judged, (values - self.usual_) ** 2, 0).sum(axis=0)
        variance = squares.sum() / max(n.sum(), 1)
        self.spreads_ = np.maximum(np.sqrt((squares + _PRIOR * variance) / (n + _PRIOR)), _LEAST)

    def strangeness(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return how strange each vector of X (n, d) is, (n,): the larger, the stranger."""
        check_is_fitted(self, "bits_")
        means = _Means(self.center_, self.step_, self.bits_, self.sizes_)
        vectors = check_matrix(self, X, fitting=False)
        return self._scores(self._products(means, vectors, np.arange(len(vectors))))

    def threshold(self, false_alarms: float = FALSE_ALARMS) -> float:
        """Return the score above which one image in so many is that is like the training images.

        Infinity where these are too few to tell; ValueError unless the share is in (0, 1].
        """
        check_is_fitted(self, "bits_")
        check_real("false_alarms", false_alarms, minimum=0, maximum=1, open_minimum=True)
        return bound(self.kept_, self.n_images_, 1 - false_alarms)

    def _scores(self, alike: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(((self.usual_ - alike) / self.spreads_).min(axis=1))

    def _products(self, means: _Means, vectors: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return how like the mean of each class some of the vectors are, (n_rows, n_classes)."""
        found = [means.products(block) for _, block in self._blocks(vectors, rows)]
        return np.concatenate(found) if found else np.zeros((0, len(means.sizes)))

    def _sums(self, vectors: NDArray[Any], has: NDArray[np.bool_], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the sum of those of some vectors that are of each class, (n_classes, d)."""
        sums = np.zeros((has.shape[1], vectors.shape[1]))
        for some, block in self._blocks(vectors, rows):
            sums += has[some].T.astype(np.float32) @ block
        return sums

    def _blocks(
        self, vectors: NDArray[Any], rows: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Yield a few of the rows after the other, and copies of these vectors.

        Every channel is as long as its share says; one of zeros stays so.
        """
        bounds = channel_bounds(self.channels_, vectors.shape[1])
        for part in cut(len(rows), _ROWS):
            block = wide(vectors[rows[part]])
            for columns, share in zip(bounds.values(), self.shares_.values(), strict=True):
                length = np.linalg.norm(block[:, columns].astype(np.float64), axis=1)
                factor = np.divide(np.sqrt(share), length, out=np.zeros_like(length), where=length > 0)
                block[:, columns] *= factor[:, None].astype(np.float32)
            yield rows[part], block

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        if "bits_" not in vars(self):
            return
        if not isinstance(self.channels_, dict) or not isinstance(self.shares_, dict):
            raise ValueError("channels_ and shares_ must have values by name")
        channel_bounds(self.channels_, self.n_features_in_)
        channel_weights(self.shares_, list(self.channels_), 1.0, parameter="shares_")
        n_bytes = -(-self.n_features_in_ // 8)
        if self.bits_.shape[1] != n_bytes:
            raise ValueError(f"bits_ must have {n_bytes} columns, got {self.bits_.shape[1]}")
        check_kept(self.kept_, self.n_images_)


def _members(y: Any, n: int) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return which class, or labels, each of n vectors has, (n, n_classes), and its class, or rarest label, (n,).

    Without such as no vector has.
    """
    if are_sets(y):
        sets = LabelSets.of(y)
        if len(sets) != n:
            raise ValueError(f"y must hold labels for each of {n} vectors, got {len(sets)}")
        has = np.hstack([sets.has, ~sets.has.any(axis=1, keepdims=True)])
        return np.asarray(has[:, has.any(axis=0)]), sets.rarest
    classes, index = np.unique(take_labels(y, n), return_inverse=True)
    return np.asarray(index[:, None] == np.arange(len(classes))), index
