"""One classifier against the rest for each label, where an image may have several: probabilities and thresholds.

Probabilities are those of J. Platt, "Probabilistic outputs for support vector machines", 1999: a logistic curve over
decisions for images that were left out, towards targets that are not quite 0 and 1. The threshold of a label is the one
with the best F1 on the same decisions; Y. Yang, "A study of thresholding strategies for text categorization", SIGIR
2001, calls it SCut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from cvbow._checks import check_matrix, check_part
from cvbow.classify._any_classifier import (
    classifier_name,
    fit_parameters,
    has_method,
    last_step,
    learns_from_files,
    limit_neighbors,
    linear_weights,
    weights_at,
)
from cvbow.classify._labels import Groups, HeldOut, Labels, check_groups
from cvbow.classify._sigmoid import best_threshold, fit_sigmoid, sigmoid
from cvbow.classify.label_sets import LabelSets
from cvbow.classify.one_against_rest import OneAgainstRestClassifier
from cvbow.parallel import cut, map_threads
from cvbow.storage import Array, ClassNames, Learned, Number, storable

#: A classifier that is learned anew for each label leaves images out in so many parts.
_N_FOLDS = 3
#: What is added to shares of votes, for and against.
_LEAST = 1e-3


@storable
class MultiLabelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Tells for each label which vectors have it, by a classifier of those that have it against the rest.

    cvbow's own classifiers learn all labels in one pass over the vectors, and with them the channels' shares. Nearest
    neighbours are held once, too, and vote for all labels that they have; of any other, a copy learns each label.

    Parameters
    ----------
    classifier : estimator
        Of two classes, with decisions or probabilities; or a pipeline that ends in one.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        The labels.
    parts_ : list of estimators
        One that decides on all labels, or one for each label: then 1 or -1 stands for a label that all training images
        have, or none.
    sets_ : ndarray of shape (n_sets, k), bool, or None
        The sets of labels that neighbours vote for.
    slopes_, offsets_ : ndarrays of shape (k,), float64
        Of each label's logistic curve over its decisions.
    thresholds_ : ndarray of shape (k,), float64
        The probabilities from which a label is given.
    n_features_in_ : int

    Notes
    -----
    A label that all training images have, or none, cannot be told from the rest: every vector gets the probability
    ``(m + 1) / (n + 2)``, of m images of n.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import LinearSVM
    >>> from cvbow.classify import MultiLabelClassifier
    >>> X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    >>> y = [["left"] * bool(a < 0) + ["low"] * bool(b < 0) for a, b in X[:, :2]]
    >>> model = MultiLabelClassifier(LinearSVM()).fit(X, y)
    >>> model.classes_.tolist(), model.predict([[-1, -1, 0, 0], [1, 1, 0, 0]]).tolist()
    (['left', 'low'], [[1, 1], [0, 0]])
    """

    unstored = ("held_out_",)
    learned: ClassVar[Mapping[str, Learned]] = {
        "n_features_in_": Number(integer=True, minimum=1),
        "classes_": ClassNames(),
        "slopes_": Array("float64", "n_classes", minimum=0),
        "offsets_": Array("float64", "n_classes"),
        "thresholds_": Array("float64", "n_classes", minimum=0),
        "sets_": Array("bool", "n_sets n_classes", optional=True),
    }
    n_features_in_: int
    sets_: NDArray[np.bool_] | None = None
    held_out_: HeldOut

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def fit(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        channels: Any = None,
        views: int = 1,
        copies: int = 1,
        folds: ArrayLike | None = None,
    ) -> Self:
        """Learn from vectors X (n, d) and their labels.

        Parameters
        ----------
        X : array of shape (n, d)
        y : sequence of (list, tuple or set of labels), indicator matrix of shape (n, k), or LabelSets
        sample_weight, channels, views, copies, folds
            As for ``LinearSVM``; told to the classifier as far as it takes them.

        Raises
        ------
        ValueError
            If labels are missing or not of one kind, there are fewer than two, no label tells images apart, or the
            classifier has neither decisions nor probabilities; and what the classifier raises.
        """
        self.check_params()
        sets = LabelSets.of(y)
        vectors = check_matrix(self, X, fitting=True, narrow=self.learns_from_files)
        if len(sets) != len(vectors):
            raise ValueError(f"y must hold labels for each of {len(vectors)} vectors, got {len(sets)}")
        counts = None
        if sample_weight is not None:
            counts = _check_sample_weight(sample_weight, vectors, dtype=np.float64, ensure_non_negative=True)
        groups = Groups.of(views, copies, folds)
        check_groups(groups, sets.has, counts)
        if counts is not None and not counts.all():
            kept = counts > 0
            vectors, sets, counts, groups = vectors[kept], sets.part(kept), counts[kept], groups.part(kept)
        trouble = sets.trouble()
        if trouble is not None:
            raise ValueError(f"y must tell vectors apart; they have {trouble}")
        self.classes_, self.sets_ = sets.classes, None
        labels = Labels(sets.rarest, np.ones(len(sets)), counts, groups, sets.has)
        told: dict[str, Any] = {} if counts is None else {"sample_weight": counts}
        if self.is_own:
            told |= groups.told() | ({} if channels is None else {"channels": channels})
            self.held_out_ = self._fit_at_once(vectors, sets, told)
        else:
            fit = self._fit_votes if _votes(last_step(self.classifier)[1]) else self._fit_each
            self.held_out_ = HeldOut(labels.of_images(fit(vectors, labels, told)), labels.images)
        self._calibrate(self.held_out_, labels.images)
        return self

    @property
    def is_own(self) -> bool:
        """Whether the classifier is one of cvbow's, which decides on all labels."""
        return isinstance(last_step(self.classifier)[1], OneAgainstRestClassifier)

    @property
    def learns_from_files(self) -> bool:
        """Whether the classifier does, and learns all labels at once."""
        return self.is_own and learns_from_files(self.classifier)

    def _fit_at_once(self, vectors: NDArray[np.float32], sets: LabelSets, told: dict[str, Any]) -> HeldOut:
        """Learn all labels, and return decisions for images that were left out."""
        part = clone(self.classifier).fit(vectors, sets, **fit_parameters(self.classifier, told))
        self.parts_ = [part]
        held_out: HeldOut = last_step(part)[1].held_out_
        return held_out

    def _fit_each(self, vectors: NDArray[np.float32], labels: Labels, told: dict[str, Any]) -> NDArray[np.float64]:
        """Learn each label by itself, and return decisions (n, k) of such as have not seen the vectors."""
        folds = labels.folds(_N_FOLDS, 0)
        has = np.asarray(labels.has)
        held_out, parts = np.empty(has.shape), [None] * has.shape[1]

        def learn(columns: slice) -> None:
            # A thread does not know what a script has asked of scikit-learn, or not the same.
            with config_context(transform_output="default"):
                for column in range(columns.start, columns.stop):
                    for fold in np.unique(folds):
                        out = folds == fold
                        part = self._learn(vectors[~out], has[~out, column], _rows(told, ~out))
                        held_out[out, column] = _decide(part, vectors[out])
                    parts[column] = self._learn(vectors, has[:, column], told)

        map_threads(learn, cut(has.shape[1], 1))
        self.parts_ = parts
        return held_out

    def _fit_votes(self, vectors: NDArray[np.float32], labels: Labels, told: dict[str, Any]) -> NDArray[np.float64]:
        """Learn to vote for sets of labels, and return what ``_fit_each`` does.

        The votes for a label are those for the sets that have it, as if it alone had been voted on; but the training
        vectors, which are the model, are held once.
        """
        folds, held_out = labels.folds(_N_FOLDS, 0), np.empty(np.asarray(labels.has).shape)
        self.sets_, index = np.unique(np.asarray(labels.has), axis=0, return_inverse=True)

        def learn(rows: NDArray[np.bool_]) -> Any:
            part = clone(self.classifier)
            limit_neighbors(part, int(rows.sum()))
            return part.fit(vectors[rows], index[rows], **fit_parameters(part, _rows(told, rows)))

        for fold in np.unique(folds):
            held_out[folds == fold] = self._votes(learn(folds != fold), vectors[folds == fold])
        self.parts_ = [learn(np.ones(len(folds), bool))]
        return held_out

    def _votes(self, part: Any, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log-odds of the votes for each label, (n, k)."""
        return _log_odds(part.predict_proba(vectors) @ np.asarray(self.sets_)[part.classes_])

    def _learn(self, vectors: NDArray[np.float32], has: NDArray[np.bool_], told: dict[str, Any]) -> Any:
        """Return a classifier of the vectors that have a label against the rest; 1 or -1 where all have it, or none."""
        if has.all() or not has.any():
            return 1 if has.all() else -1
        part = clone(self.classifier)
        limit_neighbors(part, len(vectors))
        return part.fit(vectors, has.astype(np.intp), **fit_parameters(part, told))

    def _calibrate(self, held_out: HeldOut, learned: Labels) -> None:
        """Set the logistic curves and thresholds by decisions for images that were left out."""
        decisions, judged = held_out.decisions, held_out.labels
        has, weights = np.asarray(judged.has), judged.counts
        # For a label that hardly any of these images has, or hardly any has not, the curve of all labels must do.
        all_weights = None if weights is None else weights.repeat(has.shape[1])
        common = fit_sigmoid(decisions.ravel(), has.ravel(), all_weights)
        n_images, counts = len(learned.index), np.asarray(learned.has).sum(axis=0)
        found = []
        for label, count in enumerate(counts.tolist()):
            if count in (0, n_images):
                found.append((0.0, float(np.log((count + 1) / (n_images - count + 1))), 0.5))
                continue
            column, there = decisions[:, label], has[:, label]
            if not 1 < there.sum() < len(there) - 1:
                found.append((*common, 0.5))
                continue
            slope, offset = fit_sigmoid(column, there, weights)
            threshold = best_threshold(sigmoid(slope * column + offset), there, weights)
            found.append((slope, offset, threshold))
        self.slopes_, self.offsets_, self.thresholds_ = np.array(found).T.copy()

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the decision on each label, (n, k): what its classifier decides, or the log-odds of its votes."""
        check_is_fitted(self, "parts_")
        vectors = check_matrix(self, X, fitting=False, narrow=self.learns_from_files)
        if self.sets_ is not None:
            return self._votes(self.parts_[0], vectors)
        if len(self.parts_) < len(self.classes_):
            return np.asarray(self.parts_[0].decision_function(vectors), np.float64)
        return np.stack([_decide(part, vectors) for part in self.parts_], axis=1)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each label, (n, k); those of a row need not add up to 1."""
        return self.to_probabilities(self.decision_function(X))

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Return which labels each row of X (n, d) has, as an indicator matrix (n, k)."""
        return self.choose(self.predict_proba(X))

    def to_probabilities(self, decisions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities (n, k) that decisions (n, k) stand for."""
        return sigmoid(decisions * self.slopes_ + self.offsets_)

    def choose(self, probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the indicator matrix (n, k) of the labels whose probability reaches their threshold."""
        return np.asarray(probabilities >= self.thresholds_, np.intp)

    @property
    def one_for_all(self) -> OneAgainstRestClassifier | None:
        """The one of cvbow's classifiers that decides on all labels; None where there is no such one."""
        part = self.parts_[0]
        return part if isinstance(part, OneAgainstRestClassifier) else None

    @property
    def shares_(self) -> dict[str, float] | None:
        """The part of each channel in the vectors' squared length, by name; see ``LinearSVM``."""
        return None if self.one_for_all is None else self.one_for_all.shares_

    @property
    def views_(self) -> NDArray[np.int64] | None:
        """The views that were learned from and that answer; see ``FusionClassifier``."""
        return None if self.one_for_all is None else self.one_for_all.views_

    def drop_unused_channels(self) -> list[str] | None:
        """Do as ``LinearSVM`` does."""
        if self.one_for_all is None:
            return None
        used = self.one_for_all.drop_unused_channels()
        self.n_features_in_ = self.one_for_all.n_features_in_
        return used

    def linear_weights(self) -> NDArray[np.floating] | None:
        """Return the coefficients (k, d) of the decisions; None where these are not linear."""
        return self._of_parts([linear_weights(part) for part in self._deciding()], self.n_features_in_)

    def weights_at(self, vector: NDArray[np.float32]) -> tuple[NDArray[np.floating], bool] | None:
        """Return the weights by which one vector's values (d,) make its decisions, (k, d), and whether that is exact.

        None where there are none; see ``ImageClassifier.weights_at``.
        """
        found = [weights_at(part, vector) for part in self._deciding()]
        weights = self._of_parts([None if each is None else each[0] for each in found], len(vector))
        return None if weights is None else (weights, all(each[1] for each in found if each is not None))

    def _deciding(self) -> list[Any]:
        return [part for part in self.parts_ if not isinstance(part, int)]

    def _of_parts(self, found: list[NDArray[np.floating] | None], d: int) -> NDArray[np.floating] | None:
        """Return what was found of the parts that decide as one array (k, d): of a part for two classes, the second."""
        there = [each for each in found if each is not None]
        if len(there) < len(found):
            return None
        if len(self.parts_) < len(self.classes_):
            return there[0]
        rows = iter(there)
        return np.stack([np.zeros(d) if isinstance(part, int) else next(rows)[1] for part in self.parts_])

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        if not has_method(self.classifier, "fit"):
            raise ValueError(f"classifier must be a classifier, got {self.classifier!r}")
        if not any(has_method(self.classifier, name) for name in ("decision_function", "predict_proba")):
            raise ValueError(
                f"classifier must give decisions or probabilities where images have several labels, and "
                f"{classifier_name(self.classifier)} gives neither"
            )
        check_part(self.classifier)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "classes_" not in vars(self):
            return
        parts, n_labels = vars(self).get("parts_"), len(self.classes_)
        if not isinstance(parts, list) or len(parts) not in (1, n_labels) or n_labels < 2:
            raise ValueError(
                f"parts_ must be a list of one part, or of one for each of {n_labels} labels, two at least"
            )
        for part in parts:
            if isinstance(part, int) and (len(parts) == 1 or part not in (1, -1)):
                raise ValueError(f"parts_ must be classifiers, or 1 or -1 for a label, got {part!r}")
        own = last_step(parts[0])[1]
        if len(parts) == 1 and not (
            _votes(own)
            if self.sets_ is not None
            else isinstance(own, OneAgainstRestClassifier) and np.array_equal(own.classes_, self.classes_)
        ):
            raise ValueError("classes_ must be those of the part that decides on all labels")
        decisions = self.decision_function(np.zeros((1, self.n_features_in_), np.float32))
        if decisions.shape != (1, n_labels) or not np.isfinite(decisions).all():
            raise ValueError("parts_ must decide with a finite number on each label")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        return tags


def _votes(classifier: Any) -> bool:
    """Tell whether a classifier lets neighbours vote: it can be held once for all labels."""
    from sklearn.neighbors import KNeighborsClassifier

    return isinstance(classifier, KNeighborsClassifier)


def _decide(part: Any, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the decisions (n,) of a classifier of two classes, or of a number that stands for one."""
    if isinstance(part, int):
        return np.full(len(vectors), float(part))
    if has_method(part, "decision_function"):
        return np.asarray(part.decision_function(vectors), np.float64)
    if has_method(part, "predict_joint_log_proba"):
        # Probabilities of many values are 0 and 1 up to rounding, where these still tell vectors apart.
        joint = np.asarray(part.predict_joint_log_proba(vectors), np.float64)
        return np.asarray(joint[:, 1] - joint[:, 0])
    return _log_odds(part.predict_proba(vectors)[:, 1])


def _log_odds(votes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the log-odds of shares of votes; they are not quite all or none, whose logarithms would be infinite."""
    shares = np.clip(votes.astype(np.float64), 0, 1)
    return np.asarray(np.log(shares + _LEAST) - np.log(1 - shares + _LEAST))


def _rows(told: dict[str, Any], rows: NDArray[np.bool_]) -> dict[str, Any]:
    return {name: values[rows] for name, values in told.items()}
