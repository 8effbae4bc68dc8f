"""Linear support vector machines over the solver of ``_squared_hinge``, one of which finds its C by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_flag, check_int, check_real
from cvbow.classify._channels import channel_bounds, channel_weights, check_shares
from cvbow.classify._labels import Groups, Labels
from cvbow.classify._narrow import product, transposed_product
from cvbow.classify._shares import learn_shares, scaled_channels
from cvbow.classify._squared_hinge import Solution, factorize, gram, solve
from cvbow.classify._standardize import Standardization, standardization
from cvbow.classify.label_measures import average_precision
from cvbow.classify.one_against_rest import N_FOLDS, OneAgainstRestClassifier
from cvbow.storage import Array, Learned, Number, storable

#: Up to so many vectors, a Gram matrix in float64 takes at most 200 MB; and where the vectors are so many times as long
#: as they are many, it takes a quarter of their memory and spares nearly all of the products with them.
_GRAM_LIMIT, _MUCH_LONGER = 5000, 8
#: The folds that choose C are others than those of the temperature.
_SEED = 1


@storable
class LinearSVM(OneAgainstRestClassifier):
    """Linear one-against-rest SVM with squared hinge loss.

    The model of ``sklearn.svm.LinearSVC`` for image vectors: in float32 and without copies of the vectors, so that tens
    of thousands of vectors of tens of thousands of values fit in memory; and with probabilities.

    Parameters
    ----------
    C : float, default 1.0
        Weight of the losses against the margin.
    class_weight : dict, "balanced" or None, default None
        Factors of C by class; "balanced" makes the classes count alike however many vectors they have.
    max_iter : int, default 100
        Newton steps at most. Of more than 5,000 vectors, three times as many of the smaller steps that are taken there,
        and, where these do not reach the end, Newton steps after them, for about as many passes over the vectors.
    standardize : bool, default False
        Learn from vectors whose values have been brought to mean 0 and the same deviation over the training vectors, so
        that all count alike, whatever their unit; to that deviation for which the vectors' mean squared length is 1, so
        that C means the same however many values there are. No copy of the vectors is made: the scaling goes into the
        coefficients, which are those for vectors as they are. A value that does not vary in training gets 0.
    shares : "learned", mapping of str to float, sequence of float, or None, default "learned"
        Of the channels that ``fit`` is told (``ImageClassifier`` tells a ``ChannelUnion``'s), in the vectors' squared
        length, which is 1 on average: it does not matter how long the vectors of a channel are. Numbers count in
        proportion to each other, and 0 leaves a channel out. Learned are those with which a ridge regression of the
        penalty that C stands for, or of a larger one, gives training images that are left out the best probabilities;
        of shares that are no worse by more than a standard error, the most alike; and a channel that surely helps by
        less than a hundredth gets 0. Of more than 1,500 vectors a part decides. None takes vectors as they are. Without
        channels, or with one, the parameter means nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, d), float32; (1, d) for two classes
    intercept_ : ndarray of shape (n_classes,), float64; (1,) for two classes
    temperature_ : float
        Factor of the decisions in the softmax that gives probabilities, learned on held-out vectors.
    channels_ : dict of str to int, or None
        Widths of the channels by name, if there are several and they have shares.
    shares_ : dict of str to float, or None
        What came of ``shares``: numbers that add up to 1.
    n_features_in_ : int
        d.
    feature_names_in_ : ndarray of shape (d,), str
        Names of the columns, where ``fit`` got a data frame; a model file does not hold them.
    n_iter_ : int
        Steps of the solution on all vectors; a model file does not hold it.

    Notes
    -----
    Where it differs from ``LinearSVC``:

    - The intercept is not penalised. ``LinearSVC`` adds its square to the norm, by the less the larger
      ``intercept_scaling``, so that the two agree as that grows.
    - The loss is the squared hinge, the penalty the squared norm, and classes are told from all others; there is no
      choice of another loss, penalty or way with many classes.
    - Vectors are dense and taken as float32, or as float16 if that is what they are: these may lie in a file
      (``np.load(file, mmap_mode="r")``), are read in blocks of rows, and never are in memory together. All classes are
      solved at once by Newton's method with conjugate gradients, whose steps are products with the vectors; from the
      vectors' Gram matrix where there are fewer vectors than values; and of more than 5,000 vectors by L-BFGS that
      starts from the curvature of 600 of them, in a tenth of the products. Nothing is drawn at random.
    - There is no tolerance to set: a class is solved when its objective is within a thousandth of the least, and
      usually within a millionth.
    - ``fit`` also learns what ``predict_proba`` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import LinearSVM
    >>> X = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.2, 0.8]], np.float32)
    >>> svm = LinearSVM(C=10).fit(X, ["a", "a", "b", "b"])
    >>> svm.predict([[0.8, 0.1], [0.1, 0.7]]).tolist(), svm.predict_proba([[0.8, 0.1]]).round(1).tolist()
    (['a', 'b'], [[0.6, 0.4]])
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        **OneAgainstRestClassifier.learned,
        "coef_": Array("float32", "n_scores n_features_in_"),
    }
    # Model files from before there were shares hold none.
    added: ClassVar[Mapping[str, Any]] = {"shares": None}
    learns_from_files: ClassVar[bool] = True

    def __init__(
        self,
        *,
        C: float = 1.0,
        class_weight: Any = None,
        max_iter: int = 100,
        standardize: bool = False,
        shares: Any = "learned",
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.standardize = standardize
        self.shares = shares

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
        X : array of shape (n, d)
            float16 is read in blocks of rows, also from a memory map; all else becomes float32.
        y : array of shape (n,)
        sample_weight : array of shape (n,) or None, default None
            Factors of C by vector. A vector of weight 2 counts like two of it, and one of weight 0 is left out.
        channels : mapping of str to int or slice, sequence of int, or None, default None
            Widths or columns of the channels that the vectors consist of, in the order of the columns.
        views : int, default 1
            So many vectors that follow one another are views of one image: for the temperature they are left out
            together, and judged by their mean decisions.
        copies : int, default 1
            So many times ``views`` vectors that follow one another are of an image and of what augmentation made of it:
            their losses together weigh as much as those of an image without copies, and for the temperature they are
            left out together, and the image is judged without its copies.
        folds : array of shape (n,), int, or None, default None
            The part in which each vector is left out, for the shares, the temperature and ``cross_probabilities``:
            images that are nearly the same belong in one. None leaves out image by image for the shares, and else draws
            parts, the classes as even as can be.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, the vectors are not finite, there are fewer than two classes, the channels
            do not fit the vectors or the shares, or the views of an image differ in their label, weight or fold.
        """
        self.check_params()
        vectors, labels = self._prepare(X, y, sample_weight, Groups.of(views, copies, folds))
        n, d = vectors.shape
        standard = standardization(vectors, labels.counts) if self.standardize else None
        bounds = channel_bounds(channels, d)
        self.channels_ = self.shares_ = None
        if self.shares is not None and len(bounds) > 1:
            standard = self._share(vectors, labels, bounds, standard)
        if n <= min(d, _GRAM_LIMIT) or _MUCH_LONGER * n <= d:
            factor = factorize(gram(vectors, standard))
            w, b = self._fit_factor(factor, labels)
            # w = X^T a with K = a L u and K = L L^T.
            dual = solve_triangular(factor, w, lower=True, trans="T", check_finite=False)
            w = np.asarray(transposed_product(vectors, dual.astype(np.float32)), np.float64)
            if standard is not None:
                w -= standard.mean[:, None] * dual.sum(axis=0)
                w *= standard.scale[:, None]
        else:
            w, b = self._fit_direct(vectors, labels, standard)
        if standard is not None:
            w, b = standard.raw(w, b)
        self.coef_ = np.ascontiguousarray(w.T, np.float32)
        self.intercept_ = b
        return self

    def _share(
        self,
        vectors: NDArray[np.float32],
        labels: Labels,
        bounds: Mapping[str, slice],
        standard: Standardization | None,
    ) -> Standardization:
        """Set ``channels_`` and ``shares_``, and return what gives the channels their shares."""
        if isinstance(self.shares, str):
            shares = learn_shares(vectors, labels, bounds, standard, self._penalties)
        else:
            shares = channel_weights(self.shares, list(bounds), 1.0, parameter="shares")
            shares /= shares.sum()
        self.channels_ = {name: columns.stop - columns.start for name, columns in bounds.items()}
        self.shares_ = dict(zip(bounds, shares.tolist(), strict=True))
        return scaled_channels(vectors, labels.counts, bounds, shares, standard)

    @property
    def _penalties(self) -> list[float]:
        """Penalties of a ridge regression in place of C, and larger ones."""
        return _held_back(float(self.C))

    def _keep_channels(self, places: list[int], columns: NDArray[np.intp]) -> None:
        self.coef_ = np.ascontiguousarray(self.coef_[:, columns])

    def _fit_direct(self, vectors: NDArray[np.float32], labels: Labels, standard: Standardization | None) -> Solution:
        """Solve on the vectors themselves; one held-out fold sets the temperature, or all that are given.

        The held-out vectors are left out by a weight of zero: an index would copy all the others.
        """
        y = labels.targets(len(self.classes_))
        start: Solution | None = None

        def decide(out: NDArray[np.bool_]) -> NDArray[np.float64]:
            nonlocal start
            kept = np.where(out, 0.0, labels.weights)
            w, b, _ = solve(vectors, y, kept, C=self.C, max_iter=self.max_iter, start=start, standard=standard)
            start = w, b
            raw_w, raw_b = (w, b) if standard is None else standard.raw(w, b)
            return np.asarray(product(vectors, raw_w.astype(np.float32), raw_b)[out], np.float64)

        self._hold_out(labels, labels.parts(N_FOLDS, 0, one=True), decide)
        w, b, self.n_iter_ = solve(
            vectors, y, labels.weights, C=self.C, max_iter=self.max_iter, start=start, standard=standard
        )
        return w, b

    def _decide(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "coef_")
        return np.asarray(product(self._vectors(X), self.coef_.T, self.intercept_), np.float64)

    def check_params(self) -> None:
        super().check_params()
        check_flag("standardize", self.standardize)
        if isinstance(self.shares, str) and self.shares != "learned":
            raise ValueError(f"shares must be 'learned', numbers by channel or None, got {self.shares!r}")

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if self.shares_ is None and self.channels_ is None:
            return
        check_shares(self.shares_, self.channels_)
        channel_bounds(self.channels_, self.n_features_in_)


def _held_back(C: float) -> list[float]:
    """Return the penalty of a ridge regression in place of C, and larger ones.

    Where C is too large, a channel of noise holds the others back and seems to help; a larger penalty does as well.
    """
    return [factor / (2 * C) for factor in (1, 4, 16, 64)]


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
    class_weight, max_iter, standardize, shares
        As for ``LinearSVM``; each of the shares that are tried is judged with the best of the penalties that Cs stand
        for, or of larger ones, and C is chosen for the shares that were taken.

    Attributes
    ----------
    C_ : float
        The candidate that was taken.
    scores_ : ndarray of shape (n_candidates,)
        Mean class accuracies on held-out vectors, in the order of ascending C; of several labels an image, mean average
        precisions.
    classes_, coef_, intercept_, temperature_, channels_, shares_, n_features_in_, feature_names_in_, n_iter_
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

    learned: ClassVar[Mapping[str, Learned]] = {
        **LinearSVM.learned,
        "C_": Number(above=0, optional=True),
        "scores_": Array("floating", "n_candidates", optional=True),
    }

    def __init__(
        self,
        *,
        Cs: Sequence[float] = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
        n_folds: int = 5,
        class_weight: Any = None,
        max_iter: int = 100,
        standardize: bool = False,
        shares: Any = "learned",
    ) -> None:
        self.Cs = Cs
        self.n_folds = n_folds
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.standardize = standardize
        self.shares = shares

    @property
    def C(self) -> float:  # type: ignore[override]  # noqa: N802
        """The candidate that was taken; before ``fit``, the first."""
        return float(vars(self).get("C_", self.Cs[0]))

    @property
    def _penalties(self) -> list[float]:
        smallest, *others = sorted(map(float, self.Cs))
        return [*_held_back(smallest), *(1 / (2 * C) for C in others)]

    def _fit_factor(self, factor: NDArray[np.float64], labels: Labels) -> Solution:
        parts = labels.parts(int(self.n_folds), _SEED)
        if len(factor) > _GRAM_LIMIT:
            # To choose among powers of ten, single precision and one fold will do: minutes instead of half an hour.
            self._choose(factor.astype(np.float32), labels, None, parts[:1])
        else:
            self._choose(factor, labels, None, parts)
        return super()._fit_factor(factor, labels)

    def _fit_direct(self, vectors: NDArray[np.float32], labels: Labels, standard: Standardization | None) -> Solution:
        self._choose(vectors, labels, standard, labels.parts(int(self.n_folds), _SEED)[:1])
        return super()._fit_direct(vectors, labels, standard)

    def _choose(
        self,
        data: NDArray[np.floating],
        labels: Labels,
        standard: Standardization | None,
        parts: list[NDArray[np.bool_]],
    ) -> None:
        """Set ``C_`` and ``scores_`` by the decisions for each part, which is left out by weights of zero."""
        y = labels.targets(len(self.classes_))
        candidates = sorted(float(C) for C in self.Cs)
        decided: list[list[NDArray[np.float64]]] = [[] for _ in candidates]
        for out in parts:
            start = None
            kept = np.where(out, 0.0, labels.weights)
            for place, C in enumerate(candidates):
                w, b, _ = solve(data, y, kept, C=C, max_iter=self.max_iter, start=start, standard=standard)
                start = w, b
                if standard is not None:
                    w, b = standard.raw(w, b)
                # Of a factor, the products are in its precision.
                w = w.astype(np.promote_types(data.dtype, np.float32))
                decided[place].append(labels.of_images(np.asarray(product(data, w, b)[out], np.float64)))
        rows = np.concatenate([np.flatnonzero(out) for out in parts])
        images = labels.part(rows).images
        self.scores_ = np.array([self._judge(np.concatenate(each), images) for each in decided])
        self.C_ = candidates[int(self.scores_.argmax())]

    def _judge(self, decisions: NDArray[np.float64], images: Labels) -> float:
        """Return the mean class accuracy of decisions for images, or the mean average precision by label."""
        if images.has is not None:
            return float(np.nanmean(average_precision(images.has, decisions)))
        answers = decisions.argmax(axis=1) if decisions.shape[1] > 1 else (decisions[:, 0] > 0).astype(np.intp)
        n_classes = len(self.classes_)
        judged, right = images.class_counts(n_classes), images.part(answers == images.index).class_counts(n_classes)
        return float((right[judged > 0] / judged[judged > 0]).mean())

    def check_params(self) -> None:
        if isinstance(self.Cs, str) or not isinstance(self.Cs, Sequence) or len(self.Cs) == 0:
            raise ValueError(f"Cs must be at least one number, got {self.Cs!r}")
        for C in self.Cs:
            check_real("Cs", C, minimum=0, open_minimum=True)
        check_int("n_folds", self.n_folds, minimum=2)
        super().check_params()
