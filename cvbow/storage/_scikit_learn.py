"""The classes of scikit-learn that a model file may hold, and what must hold of their state before they are used.

scikit-learn trusts its learned arrays: a tree whose child index is out of range makes ``predict`` read foreign memory,
and weights that are not numbers answer with a class all the same. So states are checked here, as it never does itself.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.storage.learned import Array, ClassNames, Learned, Number, check_learned

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
        Where a threshold or a value is not finite, an index is out of range, a child does not come after its parent or
        has two, or the fields are not those of the scikit-learn that is running.
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
    # Trees are stored that learned from finite values: no split is one of what is missing.
    inner = nodes["left_child"] != -1
    if not np.isfinite(nodes["threshold"][inner]).all():
        raise ValueError("a decision tree's thresholds must be finite")
    if not np.isfinite(values).all() or values.min() < 0 or values.sum(axis=2).min() <= 0:
        raise ValueError("a decision tree's values must be shares of its classes")
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


_FEATURES: dict[str, Learned] = {"n_features_in_": Number(integer=True, minimum=1)}
_SCORES = _FEATURES | {"classes_": ClassNames(), "coef_": Array("floating", "n_scores n_features_in_")}
_BY_CLASS = _FEATURES | {"classes_": ClassNames()}
_COUNTS = _BY_CLASS | {
    "class_count_": Array("floating", "n_classes", minimum=0),
    "feature_count_": Array("floating", "n_classes n_features_in_"),
    "feature_log_prob_": Array("floating", "n_classes n_features_in_"),
    "class_log_prior_": Array("floating", "n_classes"),
}
_TREE = _BY_CLASS | {"n_outputs_": Number(integer=True), "n_classes_": Number(integer=True)}


def _check_decision_tree(state: Mapping[str, Any]) -> None:
    if "classes_" not in state:
        return  # never fitted
    tree: Any = state.get("tree_")
    if type(tree).__name__ != "Tree":
        raise ValueError("tree_ must be a decision tree")
    _require(state, "n_outputs_", 1)
    _require(state, "n_features_in_", int(tree.n_features))
    _require(state, "n_classes_", int(tree.max_n_classes))
    _require_classes(state, int(tree.max_n_classes))


def _check_forest(state: Mapping[str, Any]) -> None:
    if "classes_" not in state:
        return
    trees = state.get("estimators_")
    kinds = {"DecisionTreeClassifier", "ExtraTreeClassifier"}
    if not isinstance(trees, list) or not trees or any(type(tree).__name__ not in kinds for tree in trees):
        raise ValueError("estimators_ must be a list of decision trees")
    _require(state, "n_outputs_", 1)
    for tree in trees:
        _require(state, "n_features_in_", vars(tree).get("n_features_in_"))
        _require(state, "n_classes_", int(vars(tree).get("n_classes_", -1)))
    _require_classes(state, int(state["n_classes_"]))


def _check_neighbors(state: Mapping[str, Any]) -> None:
    if "classes_" not in state:
        return
    # Only what brute force needs: KD and ball trees carry indices of their own, other metrics carry matrices.
    if state.get("_fit_method") != "brute" or state.get("_tree") is not None:
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
    points, labels = state["_fit_X"], state["_y"]
    k = state.get("n_neighbors")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(points):
        raise ValueError("n_neighbors must lie between 1 and the number of samples")
    if labels.min() < 0 or labels.max() >= len(state["classes_"]):
        raise ValueError("_y holds a class index that is out of range")


def _check_pca(state: Mapping[str, Any]) -> None:
    if "components_" in state and state.get("whiten"):
        variances = Array("floating", str(len(state["components_"])), minimum=0)
        variances.check("explained_variance_", state.get("explained_variance_"), {})


def _check_linear_svc(state: Mapping[str, Any]) -> None:
    intercept = state.get("intercept_")
    if "coef_" in state and isinstance(intercept, np.ndarray):
        Array("floating", str(len(state["coef_"]))).check("intercept_", intercept, {})
    elif "coef_" in state:  # a number where none was learned
        Number().check("intercept_", intercept, {})


def _check_binarizer(state: Mapping[str, Any]) -> None:
    if "classes_" in state:
        kind = "multiclass" if len(state["classes_"]) > 2 else "binary"
        if state.get("y_type_") != kind or state.get("sparse_input_") is not False:
            raise ValueError(f"y_type_ must be {kind}, and sparse_input_ False, for these classes_")


def _check_perceptron(state: Mapping[str, Any]) -> None:
    if "classes_" not in state:
        return
    classes, hidden = state["classes_"], state.get("hidden_layer_sizes")
    n_outputs = 1 if len(classes) == 2 else len(classes)
    binarizer = state.get("_label_binarizer")
    known = vars(binarizer).get("classes_") if type(binarizer).__name__ == "LabelBinarizer" else None
    if not isinstance(known, np.ndarray) or not np.array_equal(known, classes):
        raise ValueError("_label_binarizer must know the classes_")
    sizes = [hidden] if isinstance(hidden, int | np.integer) else list(hidden or ())
    widths = [state["n_features_in_"], *sizes, n_outputs]
    coefs: Any = state.get("coefs_")
    intercepts: Any = state.get("intercepts_")
    if not all(isinstance(part, list) and len(part) == len(widths) - 1 for part in (coefs, intercepts)):
        raise ValueError("coefs_ and intercepts_ must be lists with an array for each layer")
    for layer, (rows, columns) in enumerate(itertools.pairwise(widths)):
        Array("floating", f"{rows} {columns}").check(f"coefs_[{layer}]", coefs[layer], {})
        Array("floating", f"{columns}").check(f"intercepts_[{layer}]", intercepts[layer], {})
    _require(state, "n_layers_", len(widths))
    _require(state, "n_outputs_", n_outputs)
    if state.get("out_activation_") != ("logistic" if n_outputs == 1 else "softmax"):
        raise ValueError("out_activation_ must be logistic for two classes and softmax for more")


def _check_steps(key: str) -> Callable[[Mapping[str, Any]], None]:
    def check(state: Mapping[str, Any]) -> None:
        steps: Any = state.get(key)
        pairs = isinstance(steps, list | tuple) and len(steps) > 0
        if not pairs or not all(isinstance(step, tuple | list) and len(step) == 2 for step in steps):
            raise ValueError(f"{key} must be a list of pairs of a name and an estimator")
        names = [name for name, _ in steps]
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ValueError(f"{key} must have a different name for each estimator")
        for _, part in steps:
            if part is not None and part not in ("passthrough", "drop"):
                _require_estimator(key, part)
        weights = state.get("transformer_weights")
        if weights is not None:
            if not isinstance(weights, dict) or not set(weights) <= set(names):
                raise ValueError("transformer_weights must be numbers by the names of transformers")
            for name, weight in weights.items():
                Number().check(f"the weight of {name}", weight, {})

    return check


def _check_frozen(state: Mapping[str, Any]) -> None:
    _require_estimator("estimator", state.get("estimator"))


def _require_estimator(key: str, part: object) -> None:
    if not hasattr(part, "fit"):
        raise ValueError(f"{key} must have estimators in it")


def _require(state: Mapping[str, Any], key: str, value: object) -> None:
    found = state.get(key)
    if isinstance(found, bool) or not isinstance(found, int | np.integer) or found != value:
        raise ValueError(f"{key} must be {value}")


def _require_classes(state: Mapping[str, Any], n_classes: int) -> None:
    if len(state["classes_"]) != n_classes:
        raise ValueError("classes_ must hold one name per class")


_Check = Callable[[Mapping[str, Any]], None]

#: Public names of the classes that a model file may hold. Each has rules for what it has learned, and what raises
#: ValueError where something else does not hold of its state.
CHECKS: dict[str, tuple[Mapping[str, Learned], _Check | None]] = {
    "sklearn.decomposition.PCA": (
        _FEATURES
        | {
            "n_components_": Number(integer=True, minimum=1),
            "components_": Array("floating", "n_components_ n_features_in_"),
            "mean_": Array("floating", "n_features_in_"),
        },
        _check_pca,
    ),
    "sklearn.ensemble.ExtraTreesClassifier": (_TREE, _check_forest),
    "sklearn.ensemble.RandomForestClassifier": (_TREE, _check_forest),
    "sklearn.feature_extraction.text.TfidfTransformer": (
        _FEATURES | {"idf_": Array("floating", "n_features_in_", only_if="use_idf")},
        None,
    ),
    "sklearn.frozen.FrozenEstimator": ({}, _check_frozen),
    "sklearn.kernel_approximation.AdditiveChi2Sampler": (_FEATURES, None),
    "sklearn.kernel_approximation.Nystroem": (
        _FEATURES
        | {
            "components_": Array("floating", "n_parts n_features_in_"),
            "normalization_": Array("floating", "n_parts n_parts"),
        },
        None,
    ),
    "sklearn.linear_model.LogisticRegression": (_SCORES | {"intercept_": Array("floating", "n_scores")}, None),
    "sklearn.naive_bayes.ComplementNB": (_COUNTS | {"feature_all_": Array("floating", "n_features_in_")}, None),
    "sklearn.naive_bayes.GaussianNB": (
        _BY_CLASS
        | {
            "theta_": Array("floating", "n_classes n_features_in_"),
            "var_": Array("floating", "n_classes n_features_in_", minimum=0),
            "class_prior_": Array("floating", "n_classes", minimum=0),
        },
        None,
    ),
    "sklearn.naive_bayes.MultinomialNB": (_COUNTS, None),
    "sklearn.neighbors.KNeighborsClassifier": (
        _BY_CLASS
        | {
            "n_samples_fit_": Number(integer=True, minimum=1),
            "_fit_X": Array("number", "n_samples_fit_ n_features_in_"),
            "_y": Array("integer", "n_samples_fit_"),
        },
        _check_neighbors,
    ),
    "sklearn.neural_network.MLPClassifier": (_BY_CLASS, _check_perceptron),
    "sklearn.pipeline.FeatureUnion": ({}, _check_steps("transformer_list")),
    "sklearn.pipeline.Pipeline": ({}, _check_steps("steps")),
    "sklearn.preprocessing.LabelBinarizer": ({"classes_": ClassNames()}, _check_binarizer),
    "sklearn.preprocessing.MinMaxScaler": (
        _FEATURES | {"scale_": Array("floating", "n_features_in_"), "min_": Array("floating", "n_features_in_")},
        None,
    ),
    "sklearn.preprocessing.Normalizer": ({}, None),
    "sklearn.preprocessing.StandardScaler": (
        _FEATURES
        | {
            "mean_": Array("floating", "n_features_in_", only_if="with_mean"),
            "scale_": Array("floating", "n_features_in_", above=0, only_if="with_std"),
        },
        None,
    ),
    "sklearn.svm.LinearSVC": (_SCORES, _check_linear_svc),
    "sklearn.tree.DecisionTreeClassifier": (_TREE, _check_decision_tree),
    "sklearn.tree.ExtraTreeClassifier": (_TREE, _check_decision_tree),
}


def check_state(name: str, state: Mapping[str, Any]) -> None:
    """Raise ValueError where the state of one of scikit-learn's classes is not one that it can have learned."""
    rules, check = CHECKS.get(name, ({}, None))  # others are stored where somebody has registered them
    check_learned(rules, state)
    if check is not None:
        check(state)


def check_params(estimator: Any) -> None:
    """Raise ValueError where a parameter of one of scikit-learn's estimators breaks the rule that it has there."""
    constraints = getattr(type(estimator), "_parameter_constraints", None)
    if constraints is not None:
        module = importlib.import_module("sklearn.utils._param_validation")
        params = estimator.get_params(deep=False)
        module.validate_parameter_constraints(constraints, params, caller_name=type(estimator).__name__)
