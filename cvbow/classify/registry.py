"""The classifiers by name, with defaults that suit normalised image vectors.

The defaults were chosen by five-fold cross-validation on the training part of 15-Scene, on vectors of the preset "bow";
that of "standardized-svm" on 1000 training images per class of CIFAR-10, on vectors of the preset "patches".
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator

from cvbow.classify.boosted_trees import BoostedTrees
from cvbow.classify.fusion import FusionClassifier
from cvbow.classify.kernel_svm import KernelSVM
from cvbow.classify.linear_svm import LinearSVM, TunedLinearSVM
from cvbow.classify.logistic_regression import LogisticRegression
from cvbow.registry import Registry
from cvbow.storage import storable


@dataclass(frozen=True)
class ClassifierEntry:
    """A classifier that can be asked for by name.

    Attributes
    ----------
    summary : str
        What it is, in a line.
    make : callable
        Returns it, unfitted; takes its parameters as keywords over the defaults here.
    defaults : mapping
        Where they differ from the class's own.

    Examples
    --------
    >>> from cvbow.classify import CLASSIFIERS
    >>> entry = CLASSIFIERS["random-forest"]
    >>> entry.summary, type(entry.make()).__name__
    ('500 random trees', 'RandomForestClassifier')
    """

    summary: str
    make: Callable[..., Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.make, type):
            storable(self.make)

    @property
    def parameters(self) -> dict[str, str]:
        """Its parameters by their plain names, and what ``set_params`` calls them."""
        classifier = self.make(**self.defaults)
        steps = getattr(classifier, "steps", None)
        if steps is None:
            return {name: name for name in classifier.get_params(deep=False)}
        return {name: f"{step}__{name}" for step, estimator in steps for name in estimator.get_params(deep=False)}


class ClassifierRegistry(Registry[ClassifierEntry]):
    """Classifiers by name: ``CLASSIFIERS["mine"] = MyClassifier``, or an entry with defaults of its own."""

    def checked(self, name: str, part: Any) -> ClassifierEntry:
        """Return an entry, of a class one without defaults; ValueError for anything else."""
        if isinstance(part, ClassifierEntry):
            return part
        super().checked(name, part)
        return ClassifierEntry((inspect.getdoc(part) or part.__name__).splitlines()[0], part)


def _sklearn(name: str) -> Callable[..., Any]:
    """Return what makes a classifier of scikit-learn, whose module loads then."""

    def make(**parameters: Any) -> Any:
        module, _, kind = name.rpartition(".")
        return vars(importlib.import_module(f"sklearn.{module}"))[kind](**parameters)

    return make


def _chi2_map(*, sample_steps: int = 2, **parameters: Any) -> Any:
    from sklearn.kernel_approximation import AdditiveChi2Sampler
    from sklearn.pipeline import make_pipeline

    return make_pipeline(AdditiveChi2Sampler(sample_steps=sample_steps), LinearSVM(**parameters))


CLASSIFIERS: ClassifierRegistry = ClassifierRegistry(
    "classifier",
    BaseEstimator,
    {
        "linear-svm": ClassifierEntry("linear support vector machine", LinearSVM, {"C": 3.0}),
        "tuned-svm": ClassifierEntry("linear SVM that finds its C by cross-validation", TunedLinearSVM, {}),
        "chi2-svm": ClassifierEntry(
            "SVM with the exponential chi-square kernel; vectors must be non-negative",
            functools.partial(KernelSVM, "chi2"),
            {"C": 10.0},
        ),
        "intersection-svm": ClassifierEntry(
            "SVM with the histogram intersection kernel; vectors must be non-negative",
            functools.partial(KernelSVM, "intersection"),
            {"C": 1.0},
        ),
        "rbf-svm": ClassifierEntry("SVM with a Gaussian kernel", functools.partial(KernelSVM, "rbf"), {"C": 10.0}),
        "chi2-map-svm": ClassifierEntry(
            "linear SVM on an additive chi-square feature map; vectors must be non-negative", _chi2_map, {"C": 10.0}
        ),
        "standardized-svm": ClassifierEntry(
            "linear SVM on values brought to mean 0 and the same deviation", LinearSVM, {"C": 3.0, "standardize": True}
        ),
        "kernel-ridge": ClassifierEntry(
            "kernel ridge regression with a Gaussian kernel for each channel of the vectors",
            FusionClassifier,
            {"head": "ridge", "alpha": 0.01},
        ),
        "rbf-fusion": ClassifierEntry(
            "SVM with a Gaussian kernel for each channel of the vectors", FusionClassifier, {"head": "svm", "C": 10.0}
        ),
        "logistic-regression": ClassifierEntry(
            "multinomial logistic regression",
            LogisticRegression,
            {"C": 100.0},
        ),
        "naive-bayes": ClassifierEntry(
            "Gaussian naive Bayes", _sklearn("naive_bayes.GaussianNB"), {"var_smoothing": 1e-2}
        ),
        "decision-tree": ClassifierEntry(
            "one decision tree",
            _sklearn("tree.DecisionTreeClassifier"),
            {"min_samples_leaf": 5, "max_features": "sqrt", "random_state": 0},
        ),
        "random-forest": ClassifierEntry(
            "500 random trees",
            _sklearn("ensemble.RandomForestClassifier"),
            {"n_estimators": 500, "n_jobs": None, "random_state": 0},
        ),
        # Chosen by folds of the training part of Weizmann's horses, on super-pixels: small steps, of few of the values.
        "boosted-trees": ClassifierEntry(
            "150 small trees, each of which corrects those before it",
            BoostedTrees,
            {"n_trees": 150, "learning_rate": 0.05, "n_leaves": 15, "feature_share": 0.3},
        ),
        "nearest-neighbors": ClassifierEntry(
            "vote of the 10 nearest training vectors by cosine, weighted by distance",
            _sklearn("neighbors.KNeighborsClassifier"),
            # One worker: several would get parts of the vectors, whose products differ in the last digits.
            {"n_neighbors": 10, "weights": "distance", "algorithm": "brute", "metric": "cosine", "n_jobs": 1},
        ),
        "mlp": ClassifierEntry(
            "multi-layer perceptron with one hidden layer of 256",
            _sklearn("neural_network.MLPClassifier"),
            {"hidden_layer_sizes": (256,), "alpha": 1e-3, "max_iter": 500, "tol": 1e-3, "random_state": 0},
        ),
    },
    defines=("fit", "predict"),
)


def make_classifier(name: str, **parameters: Any) -> Any:
    """Return the unfitted classifier of a name in ``CLASSIFIERS``, with parameters over the registry's defaults.

    ValueError if the name is unknown, or the classifier has no such parameter; the message lists the choices.

    Examples
    --------
    >>> from cvbow import make_classifier
    >>> make_classifier("linear-svm", C=3.0).C
    3.0
    """
    entry = CLASSIFIERS[name]
    valid = entry.parameters
    unknown = set(parameters) - set(valid)
    if unknown:
        raise ValueError(
            f"the classifier {name} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(sorted(valid))}"
        )
    return entry.make(**entry.defaults).set_params(**{valid[key]: value for key, value in parameters.items()})
