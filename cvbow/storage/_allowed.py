"""The classes that a model file may name, and what must hold of their state before they are used.

scikit-learn's compiled code trusts its learned arrays: a tree whose child index is out of range makes ``predict`` read
foreign memory. So the states that reach compiled code are checked here, as scikit-learn itself never does.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ALLOWED",
    "RENAMED",
    "Rule",
    "build_tree",
    "check_attribute",
    "dropped",
    "is_cache",
    "public_name",
    "resolve",
    "transient",
]

_ATTRIBUTE = re.compile(r"[^\W\d]\w{0,99}")
_METRICS = ("euclidean", "sqeuclidean", "l2", "manhattan", "cityblock", "l1", "cosine", "minkowski", "chebyshev")


@dataclass(frozen=True)
class Rule:
    """How the state of an allowed class is stored.

    Attributes
    ----------
    drop : tuple of str
        Attributes that are left out: not needed to answer, or not storable.
    check : callable or None
        Takes the state as a dict before the object gets it and raises ValueError where it is unsafe. Classes of cvbow
        have a method ``check_state()`` instead, called once the object has its state.
    """

    drop: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], None] | None = None


def resolve(name: str) -> type[Any]:
    """Import the class that an allowed public name stands for; KeyError for a name that is not allowed."""
    if name not in ALLOWED:
        raise KeyError(name)
    module, _, attribute = name.rpartition(".")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


def public_name(cls: type) -> str | None:
    """Find the allowed name of a class, None where it has none; imports nothing of another package."""
    package = cls.__module__.partition(".")[0]
    for name in ALLOWED:
        if name.partition(".")[0] == package and name.rpartition(".")[2] == cls.__name__:
            try:
                if resolve(name) is cls:
                    return name
            except (ImportError, AttributeError):
                continue
    return None


def transient(name: str, cls: type) -> Mapping[str, Any]:
    """Attributes of a class that belong to a run and not to the model, with the value that is stored instead."""
    if name.startswith("sklearn."):
        return {"n_jobs": None, "memory": None, "verbose": False}
    declared: Mapping[str, Any] = getattr(cls, "transient", {})
    return declared


def dropped(name: str) -> tuple[str, ...]:
    """Attributes of an allowed class that are never stored, whatever they hold."""
    # `set_output` is how one script wants to see its results; restored, "pandas" would import pandas.
    return (*ALLOWED[name].drop, "_sklearn_output_config")


def check_attribute(name: str, cls: type) -> None:
    """ValueError for a name that must not stand in an object's ``__dict__``: no name at all, or one of its methods."""
    found = inspect.getattr_static(cls, name, None)
    if not _ATTRIBUTE.fullmatch(name) or name.startswith("__") or callable(found) or hasattr(type(found), "__get__"):
        raise ValueError(f"{cls.__name__} cannot have the attribute {ascii(name)[:80]}")


def is_cache(name: str, cls: type) -> bool:
    """Tell whether an attribute is what a ``cached_property`` has left behind: found anew when it is needed."""
    return isinstance(inspect.getattr_static(cls, name, None), functools.cached_property)


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


# The optimizer and the generator serve only to go on training; `_best_*` repeat what `coefs_` and `intercepts_` hold.
_MLP = Rule(drop=("_optimizer", "_random_state", "_best_coefs", "_best_intercepts"))

ALLOWED: dict[str, Rule] = {
    "cvbow.augmentation.ImageAugmenter": Rule(),
    "cvbow.backends.BagEncoder": Rule(),
    "cvbow.backends.CensusPyramid": Rule(),
    "cvbow.backends.ChannelUnion": Rule(),
    "cvbow.backends.CnnEncoder": Rule(),
    "cvbow.backends.ColorHistogram": Rule(),
    "cvbow.backends.Gist": Rule(),
    "cvbow.backends.MultiCrop": Rule(),
    "cvbow.backends.RawPixels": Rule(),
    "cvbow.classify.AdditiveMap": Rule(),
    "cvbow.classify.FusionClassifier": Rule(),
    "cvbow.classify.HellingerMap": Rule(),
    "cvbow.classify.ImageClassifier": Rule(),
    "cvbow.classify.KernelSVM": Rule(),
    "cvbow.classify.LinearSVM": Rule(),
    "cvbow.classify.TunedLinearSVM": Rule(),
    "cvbow.dictionary.ApproximateKMeans": Rule(drop=("_search_cache",)),
    "cvbow.dictionary.BinaryDictionary": Rule(drop=("_search_cache",)),
    "cvbow.dictionary.GaussianMixtureDictionary": Rule(drop=("_mixture_cache",)),
    "cvbow.dictionary.KMeansDictionary": Rule(drop=("_search_cache",)),
    "cvbow.dictionary.SphericalDictionary": Rule(),
    "cvbow.dictionary.VocabularyTree": Rule(drop=("_search_cache",)),
    "cvbow.dictionary.ZCA": Rule(),
    "cvbow.encoders.BagOfWords": Rule(),
    "cvbow.encoders.FisherVector": Rule(),
    "cvbow.encoders.KernelCodebook": Rule(drop=("_search_cache",)),
    "cvbow.encoders.LLC": Rule(drop=("_search_cache",)),
    "cvbow.encoders.SoftThreshold": Rule(drop=("_search_cache",)),
    "cvbow.encoders.SpatialPyramid": Rule(),
    "cvbow.encoders.Triangle": Rule(drop=("_search_cache",)),
    "cvbow.encoders.VLAD": Rule(),
    "cvbow.features.CnnFeatureMap": Rule(),
    "cvbow.features.DenseSIFT": Rule(),
    "cvbow.features.SIFT": Rule(),
    "cvbow.features.LocalFeatures": Rule(),
    "cvbow.features.WhitenedPatches": Rule(),
    "cvbow.features.binary.AKAZEDescriptor": Rule(),
    "cvbow.features.binary.BEBLIDDescriptor": Rule(),
    "cvbow.features.binary.BRIEFDescriptor": Rule(),
    "cvbow.features.binary.BRISKDescriptor": Rule(),
    "cvbow.features.binary.FREAKDescriptor": Rule(),
    "cvbow.features.binary.LATCHDescriptor": Rule(),
    "cvbow.features.binary.ORBDescriptor": Rule(),
    "cvbow.features.binary.TEBLIDDescriptor": Rule(),
    "cvbow.features.blobs.DoGDetector": Rule(),
    "cvbow.features.blobs.DoHDetector": Rule(),
    "cvbow.features.blobs.LoGDetector": Rule(),
    "cvbow.features.corners.AGASTDetector": Rule(),
    "cvbow.features.corners.FASTDetector": Rule(),
    "cvbow.features.corners.HarrisDetector": Rule(),
    "cvbow.features.corners.ShiTomasiDetector": Rule(),
    "cvbow.features.descriptors.DAISYDescriptor": Rule(),
    "cvbow.features.descriptors.KAZEDescriptor": Rule(),
    "cvbow.features.descriptors.PatchDescriptor": Rule(),
    "cvbow.features.descriptors.RootSIFTDescriptor": Rule(),
    "cvbow.features.descriptors.SIFTDescriptor": Rule(),
    "cvbow.features.descriptors.VGGDescriptor": Rule(),
    "cvbow.features.edges.CannyDetector": Rule(),
    "cvbow.features.edges.LaplacianDetector": Rule(),
    "cvbow.features.edges.PrewittDetector": Rule(),
    "cvbow.features.edges.ScharrDetector": Rule(),
    "cvbow.features.edges.SobelDetector": Rule(),
    "cvbow.features.grid.GridDetector": Rule(),
    "cvbow.features.keypoints.AKAZEDetector": Rule(),
    "cvbow.features.keypoints.BRISKDetector": Rule(),
    "cvbow.features.keypoints.HarrisLaplaceDetector": Rule(),
    "cvbow.features.keypoints.KAZEDetector": Rule(),
    "cvbow.features.keypoints.MSDDetector": Rule(),
    "cvbow.features.keypoints.ORBDetector": Rule(),
    "cvbow.features.keypoints.SIFTDetector": Rule(),
    "cvbow.features.keypoints.STARDetector": Rule(),
    "cvbow.features.regions.MSERDetector": Rule(),
    "cvbow.features.regions.SimpleBlobDetector": Rule(),
    "cvbow.retrieval.HammingEmbedding": Rule(),
    "cvbow.retrieval.ImageVectors": Rule(),
    "cvbow.retrieval.VisualWords": Rule(),
    "sklearn.decomposition.PCA": Rule(),
    "sklearn.ensemble.ExtraTreesClassifier": Rule(check=_check_forest),
    "sklearn.ensemble.RandomForestClassifier": Rule(check=_check_forest),
    "sklearn.feature_extraction.text.TfidfTransformer": Rule(),
    "sklearn.frozen.FrozenEstimator": Rule(),
    "sklearn.kernel_approximation.AdditiveChi2Sampler": Rule(),
    "sklearn.kernel_approximation.Nystroem": Rule(),
    "sklearn.linear_model.LogisticRegression": Rule(),
    "sklearn.naive_bayes.ComplementNB": Rule(),
    "sklearn.naive_bayes.GaussianNB": Rule(),
    "sklearn.naive_bayes.MultinomialNB": Rule(),
    "sklearn.neighbors.KNeighborsClassifier": Rule(check=_check_neighbors),
    "sklearn.neural_network.MLPClassifier": _MLP,
    "sklearn.pipeline.FeatureUnion": Rule(),
    "sklearn.pipeline.Pipeline": Rule(),
    "sklearn.preprocessing.LabelBinarizer": Rule(),
    "sklearn.preprocessing.MinMaxScaler": Rule(),
    "sklearn.preprocessing.Normalizer": Rule(),
    "sklearn.preprocessing.StandardScaler": Rule(),
    "sklearn.svm.LinearSVC": Rule(),
    "sklearn.tree.DecisionTreeClassifier": Rule(check=_check_decision_tree),
    "sklearn.tree.ExtraTreeClassifier": Rule(check=_check_decision_tree),
}
"""Public name of every class that a model file may hold; a line here is all that a new class needs."""

RENAMED = {"cvbow.images.ImageAugmenter": "cvbow.augmentation.ImageAugmenter"}
"""Names that older files hold, and those of today."""
