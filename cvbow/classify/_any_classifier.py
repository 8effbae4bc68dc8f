"""What can be asked of any classifier: one of cvbow's, one of scikit-learn's or somebody else's, or a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import has_fit_parameter

from cvbow.classify.linear_svm import LinearSVM
from cvbow.classify.maps import AdditiveMap, HellingerMap
from cvbow.parallel import single_threaded


def has_method(classifier: object, name: str) -> bool:
    """Tell whether a classifier has a method."""
    return callable(getattr(classifier, name, None))


def classifier_name(classifier: Any) -> str:
    """Return the name of a classifier's class, of a pipeline that of its last step."""
    return type(last_step(classifier)[1]).__name__


def fit_parameters(classifier: Any, told: dict[str, Any]) -> dict[str, Any]:
    """Return what ``fit`` takes of what it could be told besides vectors and labels, by the names that it takes.

    Channels are columns of the vectors: behind a step that makes other columns of them, there are none.
    """
    step, last = last_step(classifier)
    if step and not all(isinstance(part, OneToOneFeatureMixin) for _, part in classifier.steps[:-1]):
        told = {name: value for name, value in told.items() if name != "channels"}
    return {f"{step}__{name}" if step else name: told[name] for name in told if has_fit_parameter(last, name)}


def learns_from_files(classifier: Any) -> bool:
    """Tell whether a classifier learns from vectors in float16 that lie in a file, in passes over a few rows at a time.

    Its class says so by an attribute ``learns_from_files``.
    """
    return bool(getattr(classifier, "learns_from_files", False))


@contextmanager
def plain_arrays() -> Iterator[None]:
    """Let scikit-learn's part run on one core, and put out arrays where a script asked for data frames everywhere."""
    with single_threaded(), config_context(transform_output="default"):
        yield


def linear_weights(classifier: Any) -> NDArray[np.floating] | None:
    """Return the coefficients of each class (n_classes, d) in a classifier's decisions; None where it is not linear.

    Of two classes, the first has those of the second with the other sign.
    """
    from sklearn.linear_model._base import LinearClassifierMixin

    if has_method(classifier, "linear_weights"):
        found: NDArray[np.floating] | None = classifier.linear_weights()
        return found
    if not isinstance(classifier, LinearSVM | LinearClassifierMixin):
        return None
    return _by_class(np.atleast_2d(classifier.coef_))


def weights_at(classifier: Any, vector: NDArray[np.float32]) -> tuple[NDArray[np.floating], bool] | None:
    """Return the weights by which one vector's values (d,) make the decisions, (n_classes, d), of any classifier.

    Also, whether that is exact; see ``ImageClassifier.weights_at``. None where there are no such weights. A pipeline
    has them if its maps take each value by itself, zero to zero, and its last step has them.
    """
    from sklearn.kernel_approximation import AdditiveChi2Sampler
    from sklearn.pipeline import Pipeline

    weights = linear_weights(classifier)
    if weights is not None:
        return weights, True
    if has_method(classifier, "weights_at"):
        found = classifier.weights_at(vector)
        return None if found is None else (_by_class(found[0]), found[1])
    maps = (AdditiveMap, HellingerMap, AdditiveChi2Sampler)
    if not isinstance(classifier, Pipeline) or not all(isinstance(step, maps) for _, step in classifier.steps[:-1]):
        return None
    mapped = classifier[:-1].transform(vector[None])[0]
    inside = weights_at(classifier[-1], mapped)
    if inside is None:
        return None
    # The maps of one value stand as far apart as there are values.
    sums = (inside[0] * mapped).reshape(len(inside[0]), -1, len(vector)).sum(axis=1, dtype=np.float64)
    return np.divide(sums, vector, out=np.zeros_like(sums), where=vector != 0), inside[1]


def _by_class(weights: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return weights with a row for each class, where there is one for the second of two."""
    return np.concatenate([-weights, weights]) if len(weights) == 1 else weights


def limit_neighbors(classifier: Any, n_vectors: int) -> int | None:
    """Let a classifier by nearest neighbours ask for no more than there are; return how many it wanted if it did."""
    wanted: int | None = classifier.get_params(deep=False).get("n_neighbors")
    if wanted is None or wanted <= n_vectors:
        return None
    classifier.set_params(n_neighbors=n_vectors)
    return wanted


def last_step(classifier: Any) -> tuple[str, Any]:
    """Return the name and the last step of a pipeline; any other classifier as it is, with an empty name."""
    from sklearn.pipeline import Pipeline

    name, step = classifier.steps[-1] if isinstance(classifier, Pipeline) else ("", classifier)
    return name, step
