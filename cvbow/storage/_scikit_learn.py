"""The classes of scikit-learn that a model file may hold, and what must hold of their state before they are used.

scikit-learn's compiled code trusts its learned arrays: a tree whose child index is out of range makes ``predict`` read
foreign memory. So the states that reach compiled code are checked here, as scikit-learn itself never does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_METRICS = ("euclidean", "sqeuclidean", "l2", "manhattan", "cityblock", "l1", "cosine", "minkowski", "chebyshev")

#: What belongs to a run and not to the model, with the value that is stored instead.
TRANSIENT: Mapping[str, Any] = {"n_jobs": None, "memory": None, "verbose": False}

#: Attributes that are never stored. The optimizer and the generator of a perceptron serve only to go on training;
#: ``_best_*`` repeat what ``coefs_`` and ``intercepts_`` hold.
LEFT_OUT = {
    "sklearn.neural_network.MLPClassifier": ("_optimizer", "_random_state", "_best_coefs", "_best_intercepts"),
}


def build_tree(n_features: int, n_classes: int, max_depth: int, nodes: NDArray[Any], values: NDArray[Any]) -> Any:
    """Rebuild ``sklearn.tree._tree.Tree`` of one output after proving that no walk through it leaves its arrays.

    Parameters
    ----------
    n_features, n_classes : int
    max_depth : int
        At least the depth of the tree: ``decision_path`` sizes its buffer by it.
    nodes : ndarray of shape (n_nodes,)
        Structured as scikit-learn's nodes.
    values : ndarray of shape (n_nodes, 1, n_classes), float64

    Raises
    ------
    ValueError
        Where an index is out of range, a child does not come after its parent or has two, or the fields are not those
        of the scikit-learn that is running.
    """
    module = importlib.import_module("sklearn.tree._tree")
    expected = module.NODE_DTYPE
    if nodes.ndim != 1 or len(nodes) == 0 or nodes.dtype.names is None:
        raise ValueError("a decision tree's nodes must be a table with at least one row")
    if nodes.dtype.names != expected.names:
        raise ValueError(f"a decision tree's nodes have other fields than this scikit-learn's: {nodes.dtype.names}")
    if any(nodes.dtype[name] != expected[name] for name in expected.names):
        raise ValueError("a decision tree's nodes have other types than this scikit-learn's")
    if not (0 < n_features < 1 << 31 and 0 < n_classes < 1 << 31):
        raise ValueError("a decision tree must have at least one feature and one class")
    if values.dtype != np.float64 or values.shape != (len(nodes), 1, n_classes):
        raise ValueError("a decision tree's values do not fit its nodes and classes")
    if not _depth(nodes, n_features) <= max_depth <= len(nodes):
        raise ValueError("a decision tree's max_depth is not its depth")
    table = np.zeros(len(nodes), expected)
    for name in expected.names:
        table[name] = nodes[name]
    tree = module.Tree(n_features, np.array([n_classes], dtype=np.intp), 1)
    state = {"max_depth": max_depth, "node_count": len(nodes), "nodes": table, "values": np.ascontiguousarray(values)}
    tree.__setstate__(state)
    return tree


def _depth(nodes: NDArray[Any], n_features: int) -> int:
    """Depth of a tree in which every child comes after its one parent; ValueError where it is no such tree."""
    n = len(nodes)
    left, right = nodes["left_child"], nodes["right_child"]
    inner = np.flatnonzero(left != -1)
    if np.any(right[left == -1] != -1):
        raise ValueError("a decision tree has a node with one child")
    children = np.concatenate([left[inner], right[inner]])
    parents = np.concatenate([inner, inner])
    if np.any(children <= parents) or np.any(children >= n):
        raise ValueError("a decision tree has a child index that is out of range or not after its parent")
    if not np.array_equal(np.sort(children), np.arange(1, n)):
        raise ValueError("a decision tree has a node with two parents or with none")
    features = nodes["feature"][inner]
    if np.any(features < 0) or np.any(features >= n_features):
        raise ValueError("a decision tree splits on a feature that does not exist")
    parent = np.empty(n, dtype=np.intp)
    parent[children] = parents
    depth = [0] * n
    for node, above in enumerate(parent[1:].tolist(), start=1):
        depth[node] = depth[above] + 1
    return max(depth)


def _check_decision_tree(state: Mapping[str, Any]) -> None:
    if "tree_" not in state:
        return  # never fitted
    tree = state["tree_"]
    if type(tree).__name__ != "Tree":
        raise ValueError("tree_ must be a decision tree")
    _require(state, "n_outputs_", 1)
    _require(state, "n_features_in_", int(tree.n_features))
    _require(state, "n_classes_", int(tree.max_n_classes))
    _check_classes(state, int(tree.max_n_classes))


def _check_forest(state: Mapping[str, Any]) -> None:
    if "estimators_" not in state:
        return
    trees = state["estimators_"]
    kinds = {"DecisionTreeClassifier", "ExtraTreeClassifier"}
    if not isinstance(trees, list) or not trees or any(type(tree).__name__ not in kinds for tree in trees):
        raise ValueError("estimators_ must be a list of decision trees")
    _require(state, "n_outputs_", 1)
    for tree in trees:
        _require(state, "n_features_in_", vars(tree).get("n_features_in_"))
        _require(state, "n_classes_", int(vars(tree).get("n_classes_", -1)))
    _check_classes(state, int(state["n_classes_"]))


def _check_neighbors(state: Mapping[str, Any]) -> None:
    if "_fit_method" not in state:
        return
    # Only what brute force needs: KD and ball trees carry indices of their own, other metrics carry matrices.
    if state["_fit_method"] != "brute" or state.get("_tree") is not None:
        raise ValueError("only nearest neighbours with algorithm='brute' can be stored")
    if state.get("outputs_2d_") is not False or state.get("metric_params") is not None:
        raise ValueError("nearest neighbours with metric_params or several outputs cannot be stored")
    for key in ("metric", "effective_metric_"):
        if state.get(key) not in _METRICS:
            raise ValueError(f"{key} must be one of {', '.join(_METRICS)}")
    extra = state.get("effective_metric_params_")
    if not isinstance(extra, dict) or not set(extra) <= {"p", "w"} or extra.get("w") is not None:
        raise ValueError("effective_metric_params_ may hold only p")
    for p in (state.get("p"), extra.get("p", 2)):
        if isinstance(p, bool) or not isinstance(p, int | float) or not p >= 1:
            raise ValueError("p must be a number of at least 1")
    points, labels = state.get("_fit_X"), state.get("_y")
    if not isinstance(points, np.ndarray) or points.ndim != 2 or points.dtype.kind not in "biuf":
        raise ValueError("_fit_X must be a matrix of numbers")
    _require(state, "n_samples_fit_", len(points))
    _require(state, "n_features_in_", points.shape[1])
    k = state.get("n_neighbors")
    if not isinstance(k, int | np.integer) or not 1 <= k <= len(points):
        raise ValueError("n_neighbors must lie between 1 and the number of samples")
    classes = state.get("classes_")
    _check_classes(state, len(classes) if isinstance(classes, np.ndarray) and classes.ndim else -1)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind != "i" or labels.shape != (len(points),):
        raise ValueError("_y must hold one class index per sample")
    if labels.min() < 0 or labels.max() >= len(state["classes_"]):
        raise ValueError("_y holds a class index that is out of range")


def _require(state: Mapping[str, Any], key: str, value: object) -> None:
    found = state.get(key)
    if isinstance(found, bool) or not isinstance(found, int | np.integer) or found != value:
        raise ValueError(f"{key} must be {value}")


def _check_classes(state: Mapping[str, Any], n_classes: int) -> None:
    classes = state.get("classes_")
    if not isinstance(classes, np.ndarray) or classes.shape != (n_classes,):
        raise ValueError("classes_ must hold one name per class")


CHECKS: dict[str, Callable[[Mapping[str, Any]], None] | None] = {
    "sklearn.decomposition.PCA": None,
    "sklearn.ensemble.ExtraTreesClassifier": _check_forest,
    "sklearn.ensemble.RandomForestClassifier": _check_forest,
    "sklearn.feature_extraction.text.TfidfTransformer": None,
    "sklearn.frozen.FrozenEstimator": None,
    "sklearn.kernel_approximation.AdditiveChi2Sampler": None,
    "sklearn.kernel_approximation.Nystroem": None,
    "sklearn.linear_model.LogisticRegression": None,
    "sklearn.naive_bayes.ComplementNB": None,
    "sklearn.naive_bayes.GaussianNB": None,
    "sklearn.naive_bayes.MultinomialNB": None,
    "sklearn.neighbors.KNeighborsClassifier": _check_neighbors,
    "sklearn.neural_network.MLPClassifier": None,
    "sklearn.pipeline.FeatureUnion": None,
    "sklearn.pipeline.Pipeline": None,
    "sklearn.preprocessing.LabelBinarizer": None,
    "sklearn.preprocessing.MinMaxScaler": None,
    "sklearn.preprocessing.Normalizer": None,
    "sklearn.preprocessing.StandardScaler": None,
    "sklearn.svm.LinearSVC": None,
    "sklearn.tree.DecisionTreeClassifier": _check_decision_tree,
    "sklearn.tree.ExtraTreeClassifier": _check_decision_tree,
}
"""Public names of the classes that a model file may hold.

Each has None, or what takes its state as a dict before the object gets it, and raises ValueError where it is unsafe.
"""
