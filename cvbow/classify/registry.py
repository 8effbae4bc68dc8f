"""The classifiers by name, with defaults that suit normalised image vectors.

The defaults were chosen by five-fold cross-validation on the training part of 15-Scene, on vectors of the preset "bow";
that of "standardized-svm" on 1000 training images per class of CIFAR-10, on vectors of the preset "patches".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CLASSIFIERS", "ClassifierEntry", "make_classifier"]


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
    defaults: Mapping[str, Any]


def _linear_svm(**parameters: Any) -> Any:
    from cvbow.classify.linear_svm import LinearSVM

    return LinearSVM(**parameters)


def _tuned_svm(**parameters: Any) -> Any:
    from cvbow.classify.linear_svm import TunedLinearSVM

    return TunedLinearSVM(**parameters)


def _kernel_svm(kernel: str, **parameters: Any) -> Any:
    from cvbow.classify.kernel_svm import KernelSVM

    return KernelSVM(kernel, **parameters)


def _fusion(**parameters: Any) -> Any:
    from cvbow.classify.fusion import FusionClassifier

    return FusionClassifier(**parameters)


def _chi2_map(*, sample_steps: int = 2, **parameters: Any) -> Any:
    from sklearn.kernel_approximation import AdditiveChi2Sampler
    from sklearn.pipeline import make_pipeline

    return make_pipeline(AdditiveChi2Sampler(sample_steps=sample_steps), _linear_svm(**parameters))


def _logistic_regression(**parameters: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**parameters)


def _naive_bayes(**parameters: Any) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(**parameters)


def _decision_tree(**parameters: Any) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(**parameters)


def _random_forest(**parameters: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**parameters)


def _nearest_neighbors(**parameters: Any) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(**parameters)


def _mlp(**parameters: Any) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(**parameters)


CLASSIFIERS: dict[str, ClassifierEntry] = {
    "linear-svm": ClassifierEntry("linear support vector machine", _linear_svm, {"C": 3.0}),
    "tuned-svm": ClassifierEntry("linear SVM that finds its C by cross-validation", _tuned_svm, {}),
    "chi2-svm": ClassifierEntry(
        "SVM with the exponential chi-square kernel; vectors must be non-negative",
        functools.partial(_kernel_svm, "chi2"),
        {"C": 10.0},
    ),
    "intersection-svm": ClassifierEntry(
        "SVM with the histogram intersection kernel; vectors must be non-negative",
        functools.partial(_kernel_svm, "intersection"),
        {"C": 1.0},
    ),
    "rbf-svm": ClassifierEntry("SVM with a Gaussian kernel", functools.partial(_kernel_svm, "rbf"), {"C": 10.0}),
    "chi2-map-svm": ClassifierEntry(
        "linear SVM on an additive chi-square feature map; vectors must be non-negative", _chi2_map, {"C": 10.0}
    ),
    "standardized-svm": ClassifierEntry(
        "linear SVM on values brought to mean 0 and the same deviation", _linear_svm, {"C": 3.0, "standardize": True}
    ),
    "kernel-ridge": ClassifierEntry(
        "kernel ridge regression with a Gaussian kernel for each channel of the vectors",
        _fusion,
        {"head": "ridge", "alpha": 0.01},
    ),
    "rbf-fusion": ClassifierEntry(
        "SVM with a Gaussian kernel for each channel of the vectors", _fusion, {"head": "svm", "C": 10.0}
    ),
    "logistic-regression": ClassifierEntry(
        "multinomial logistic regression", _logistic_regression, {"C": 100.0, "max_iter": 1000}
    ),
    "naive-bayes": ClassifierEntry("Gaussian naive Bayes", _naive_bayes, {"var_smoothing": 1e-2}),
    "decision-tree": ClassifierEntry(
        "one decision tree", _decision_tree, {"min_samples_leaf": 5, "max_features": "sqrt", "random_state": 0}
    ),
    "random-forest": ClassifierEntry(
        "500 random trees", _random_forest, {"n_estimators": 500, "n_jobs": None, "random_state": 0}
    ),
    "nearest-neighbors": ClassifierEntry(
        "vote of the 10 nearest training vectors by cosine, weighted by distance",
        _nearest_neighbors,
        # One worker: several would get parts of the vectors, whose products differ in the last digits.
        {"n_neighbors": 10, "weights": "distance", "algorithm": "brute", "metric": "cosine", "n_jobs": 1},
    ),
    "mlp": ClassifierEntry(
        "multi-layer perceptron with one hidden layer of 256",
        _mlp,
        {"hidden_layer_sizes": (256,), "alpha": 1e-3, "max_iter": 500, "tol": 1e-3, "random_state": 0},
    ),
}


def make_classifier(name: str, **parameters: Any) -> Any:
    """Return the unfitted classifier of that name.

    Parameters
    ----------
    name : str
        A key of ``CLASSIFIERS``.
    **parameters
        Parameters of the estimator, over the defaults of the registry.

    Raises
    ------
    ValueError
        If the name is unknown, or the classifier has no such parameter; the message lists the choices.

    Examples
    --------
    >>> from cvbow import make_classifier
    >>> make_classifier("linear-svm", C=3.0).C
    3.0
    """
    entry = CLASSIFIERS.get(name)
    if entry is None:
        raise ValueError(f"classifier must be one of {', '.join(CLASSIFIERS)}, got {name!r}")
    classifier = entry.make(**entry.defaults)
    valid = _settable(classifier)
    unknown = set(parameters) - set(valid)
    if unknown:
        raise ValueError(
            f"the classifier {name} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(sorted(valid))}"
        )
    return classifier.set_params(**{valid[key]: value for key, value in parameters.items()})


def _settable(classifier: Any) -> dict[str, str]:
    """Return the parameters of a classifier by their plain names, mapped to what ``set_params`` calls them."""
    steps = getattr(classifier, "steps", None)
    if steps is None:
        return {name: name for name in classifier.get_params(deep=False)}
    return {name: f"{step}__{name}" for step, estimator in steps for name in estimator.get_params(deep=False)}
