"""Linear classifiers in a graph, on vectors as they are or on maps of each value: decisions and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvbow.classify import AdditiveMap, HellingerMap, LinearSVM, LogisticRegression
from cvbow.errors import CvbowError
from cvbow.export._graph import Graph


@dataclass(frozen=True)
class Decided:
    """Decisions and probabilities, (N, n_classes), and what makes the decisions.

    ``mapped`` (N, n d) are the vectors, or n maps of all their values, one behind the other; ``weights`` (n_classes,
    n d) what they are multiplied by.
    """

    decisions: str
    probabilities: str
    mapped: str
    weights: str


def decide(graph: Graph, classifier: Any, vectors: str, precision: str) -> Decided:
    """Return what a classifier answers, with weights of a precision; CvbowError if it cannot be exported."""
    from sklearn.linear_model import LogisticRegression as OldLogisticRegression
    from sklearn.pipeline import Pipeline

    steps = [step for _, step in classifier.steps] if isinstance(classifier, Pipeline) else [classifier]
    maps, last = [_map_of(step) for step in steps[:-1]], steps[-1]
    # Older model files hold scikit-learn's.
    if not isinstance(last, LinearSVM | LogisticRegression | OldLogisticRegression):
        raise CvbowError(
            f"{type(last).__name__} cannot be exported; what can be is LinearSVM (linear-svm, tuned-svm, "
            "standardized-svm, and chi2-map-svm for additive kernels) and LogisticRegression: others hold training "
            "vectors or trees, not one product"
        )
    mapped = vectors
    for step, apply in zip(steps, maps, strict=False):
        mapped = apply(graph, step, mapped)
    coefficients, offsets = (np.asarray(each, np.float64) for each in (last.coef_, last.intercept_))
    if len(coefficients) == 1:
        # One for the second class, which is against the first: their softmax has half of it for each.
        coefficients, offsets = (np.concatenate([-each, each]) for each in (coefficients, offsets))
    weights = graph.table(coefficients, precision)
    decisions = graph.op("Gemm", mapped, weights, graph.constant(offsets), transB=1)
    temperature = last.temperature_ if isinstance(last, LinearSVM) else 1
    scaled = graph.op("Mul", decisions, graph.constant(temperature / (2 if len(last.coef_) == 1 else 1)))
    return Decided(decisions, graph.op("Softmax", scaled, axis=1), mapped, weights)


def of_best(graph: Graph, answer: Decided, vectors: str) -> str:
    """Return what each value of the vectors gave to the decision for the most probable class, (N, d)."""
    best = graph.op("ArgMax", answer.probabilities, axis=1, keepdims=0)
    given = graph.op("Mul", answer.mapped, graph.op("Gather", answer.weights, best, axis=0))
    if answer.mapped == vectors:
        return given
    lengths = graph.concat(0, graph.integers(0, -1), graph.lengths(vectors, 1, 2))
    return graph.op("ReduceSum", graph.op("Reshape", given, lengths), graph.integers(1), keepdims=0)


def _map_of(step: Any) -> Callable[[Graph, Any, str], str]:
    """Return what writes a step of a pipeline before its classifier."""
    from sklearn.kernel_approximation import AdditiveChi2Sampler

    if isinstance(step, HellingerMap):
        return _hellinger
    if isinstance(step, AdditiveMap | AdditiveChi2Sampler):
        return _additive
    raise CvbowError(
        f"{type(step).__name__} cannot be exported before a classifier; what can be is AdditiveMap, HellingerMap and "
        "AdditiveChi2Sampler"
    )


def _hellinger(graph: Graph, step: HellingerMap, vectors: str) -> str:
    if step.normalize:
        vectors = graph.over(vectors, graph.op("ReduceL1", vectors, axes=[1], keepdims=1))
    return graph.op("Mul", graph.op("Sign", vectors), graph.op("Sqrt", graph.op("Abs", vectors)))


def _additive(graph: Graph, step: Any, vectors: str) -> str:
    # Of 1 a map has the sizes alone, of e the frequencies too: each is below half a turn.
    probes = np.full((2, step.n_features_in_), np.float32(np.e))
    probes[0] = 1
    of_one, of_e = step.transform(probes).reshape(2, -1, step.n_features_in_)[..., 0].astype(np.float64)
    frequencies = np.arctan2(of_e[2::2], of_e[1::2])
    root = graph.op("Sqrt", vectors)
    is_there = graph.op("Greater", vectors, graph.constant(0))
    logarithm = graph.op("Log", graph.op("Where", is_there, vectors, graph.constant(1)))
    parts = [graph.op("Mul", root, graph.constant(of_one[0]))]
    for size, frequency in zip(of_one[1::2], frequencies, strict=True):
        own, phase = graph.op("Mul", root, graph.constant(size)), graph.op("Mul", logarithm, graph.constant(frequency))
        parts += [graph.op("Mul", own, graph.op(wave, phase)) for wave in ("Cos", "Sin")]
    return graph.concat(1, *parts)
