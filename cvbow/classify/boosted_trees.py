"""Boosted trees: many small decision trees, each of which corrects the sum of those before it.

J. Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001; on values sorted
into 255 bins, as in G. Ke and others, "LightGBM: a highly efficient gradient boosting decision tree", NIPS 2017.
scikit-learn's ``HistGradientBoostingClassifier`` learns them. What is kept of it is a table of nodes in plain arrays,
that a model file may hold and that is walked through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from threadpoolctl import threadpool_limits

from cvbow._checks import check_int, check_labels, check_matrix, check_real
from cvbow.classify._labels import check_class_names
from cvbow.classify._temperature import softmax
from cvbow.parallel import cut
from cvbow.storage import Array, ClassNames, Learned, Number

#: Vectors that walk through all trees together: a few megabytes.
_BLOCK = 512


class BoostedTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gradient boosted decision trees, by logistic loss, or by the loss of a softmax where there are more classes.

    They need no scaling of the values and find what matters among many; they learn in time linear in the vectors.

    Parameters
    ----------
    n_trees : int, default 100
        Trees, for each class where there are more than two.
    learning_rate : float, default 0.1
        Share of its correction that a tree makes.
    n_leaves : int, default 31
        Leaves of a tree at most, at least 2.
    min_leaf : int, default 20
        Vectors in a leaf at least.
    l2 : float, default 0.0
        Penalty of the leaves' values.
    feature_share : float, default 1.0
        Share of the values that each split may choose from, drawn at random.
    random_state : int, default 0

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    roots_ : ndarray of shape (n_rounds, n_scores), int32
        The first node of each tree; one score where there are two classes.
    features_, left_, right_ : ndarray of shape (n_nodes,), int32
        The value that a node compares, and the node to go to where it is at most the threshold, or above. Children come
        after their parent; a leaf is its own child.
    thresholds_ : ndarray of shape (n_nodes,), float32
    values_ : ndarray of shape (n_nodes,), float64
        What a leaf adds to the score.
    baseline_ : ndarray of shape (n_scores,), float64
        Scores without any tree.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import BoostedTrees
    >>> X = np.random.default_rng(0).random((200, 2))
    >>> y = np.where((X[:, 0] > 0.5) != (X[:, 1] > 0.5), "different", "same")
    >>> BoostedTrees(n_trees=20).fit(X, y).predict([[0.9, 0.1], [0.1, 0.2]]).tolist()
    ['different', 'same']
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "n_features_in_": Number(integer=True, minimum=1),
        "classes_": ClassNames(),
        "baseline_": Array("float64", "n_scores"),
        "roots_": Array("int32", "n_rounds n_scores", minimum=0),
        "features_": Array("int32", "n_nodes", minimum=0),
        "left_": Array("int32", "n_nodes", minimum=0),
        "right_": Array("int32", "n_nodes", minimum=0),
        "thresholds_": Array("float32", "n_nodes"),
        "values_": Array("float64", "n_nodes"),
    }

    def __init__(
        self,
        *,
        n_trees: int = 100,
        learning_rate: float = 0.1,
        n_leaves: int = 31,
        min_leaf: int = 20,
        l2: float = 0.0,
        feature_share: float = 1.0,
        random_state: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.n_leaves = n_leaves
        self.min_leaf = min_leaf
        self.l2 = l2
        self.feature_share = feature_share
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from vectors X (n, d), their labels y (n,), and how much each counts, (n,).

        ValueError where a parameter breaks its rule, values are not finite, or there are fewer than two classes.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        self.check_params()
        y = y if y is None else check_labels("y", y)
        vectors, names = check_matrix(self, X, y, fitting=True)
        check_class_names(names)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, vectors, dtype=np.float64, ensure_non_negative=True)
            vectors, names, weights = vectors[weights > 0], names[weights > 0], weights[weights > 0]
        self.classes_, index = np.unique(names, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got {len(self.classes_)} class")
        learner = HistGradientBoostingClassifier(
            max_iter=self.n_trees,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.n_leaves,
            min_samples_leaf=self.min_leaf,
            l2_regularization=self.l2,
            max_features=self.feature_share,
            early_stopping=False,
            random_state=self.random_state,
        )
        # Threads of OpenMP wait for each other on busy cores, where they are many times slower than one.
        with threadpool_limits(1, user_api="openmp"):
            learner.fit(vectors, index, weights)
        self._keep(learner)
        return self

    def _keep(self, learner: Any) -> None:
        """Take the trees out of scikit-learn's, which tells them to nobody."""
        learned = vars(learner)
        tables = [tree.nodes for one_round in learned["_predictors"] for tree in one_round]
        sizes = np.array([len(table) for table in tables])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        nodes = np.concatenate(tables)
        first = np.repeat(starts, sizes)
        leaf = nodes["is_leaf"].astype(bool)
        own = np.arange(len(nodes))
        self.left_ = np.where(leaf, own, nodes["left"].astype(np.int64) + first).astype(np.int32)
        self.right_ = np.where(leaf, own, nodes["right"].astype(np.int64) + first).astype(np.int32)
        self.features_ = np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32)
        self.thresholds_ = _rounded_down(np.where(leaf, 0.0, nodes["num_threshold"]))
        self.values_ = np.where(leaf, nodes["value"], 0.0).astype(np.float64)
        self.baseline_ = np.asarray(learned["_baseline_prediction"], np.float64).ravel()
        self.roots_ = starts.reshape(-1, len(self.baseline_)).astype(np.int32)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the scores (n, n_classes), logarithms of odds; (n,), those of the second, where there are two."""
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return class probabilities (n, n_classes)."""
        scores = self._scores(X)
        return softmax(np.hstack([-scores, scores]) / 2 if scores.shape[1] == 1 else scores)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of each row of X (n, d)."""
        best = self.predict_proba(X).argmax(axis=1)
        classes: NDArray[Any] = self.classes_[best]
        return classes

    def _scores(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self, "roots_")
        vectors: NDArray[np.float32] = check_matrix(self, X, fitting=False)
        scores = np.empty((len(vectors), len(self.baseline_)))
        depth = _depth(self.roots_, self.left_, self.right_)
        children = np.stack([self.left_, self.right_], axis=1).ravel()
        for rows in cut(len(vectors), _BLOCK):
            block = vectors[rows]
            flat, start = block.ravel(), np.arange(len(block), dtype=np.int32)[:, None] * np.int32(block.shape[1])
            node = np.broadcast_to(self.roots_.ravel(), (len(block), self.roots_.size))
            for _ in range(depth):
                # mode="clip" spares a check of each index, which check_state has done once.
                value = flat.take(self.features_.take(node, mode="clip") + start, mode="clip")
                above = value > self.thresholds_.take(node, mode="clip")
                node = children.take(2 * node + above, mode="clip")
            added = self.values_[node].reshape(len(block), *self.roots_.shape)
            scores[rows] = self.baseline_ + added.sum(axis=1)
        return scores

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_int("n_trees", self.n_trees, minimum=1)
        check_real("learning_rate", self.learning_rate, minimum=0, maximum=1, open_minimum=True)
        check_int("n_leaves", self.n_leaves, minimum=2)
        check_int("min_leaf", self.min_leaf, minimum=1)
        check_real("l2", self.l2, minimum=0)
        check_real("feature_share", self.feature_share, minimum=0, maximum=1, open_minimum=True)
        check_int("random_state", self.random_state, minimum=0)

    def check_state(self) -> None:
        """Raise ValueError where the trees are none: a walk through them must end, and stay inside of the arrays."""
        self.check_params()
        if "roots_" not in vars(self):
            return
        n_nodes, own = len(self.features_), np.arange(len(self.features_))
        leaf = (self.left_ == own) & (self.right_ == own)
        if np.any(~leaf & ((self.left_ <= own) | (self.right_ <= own))):
            raise ValueError("left_ and right_ must be nodes after their parent, or both the node itself")
        if max(self.left_.max(), self.right_.max(), self.roots_.max()) >= n_nodes:
            raise ValueError(f"roots_, left_ and right_ must be below the number of nodes, {n_nodes}")
        if self.features_.max() >= self.n_features_in_:
            raise ValueError(f"features_ must be below the number of values, {self.n_features_in_}")


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 values that are no larger: float32 values are above these where they were above."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def _depth(roots: NDArray[np.int32], left: NDArray[np.int32], right: NDArray[np.int32]) -> int:
    """Return the number of steps after which every walk is at a leaf."""
    nodes, depth = np.unique(roots), 0
    while True:
        nodes = nodes[left[nodes] != nodes]
        if not len(nodes):
            return depth
        nodes = np.unique(np.concatenate([left[nodes], right[nodes]]))
        depth += 1
