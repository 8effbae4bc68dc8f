"""Linear classifiers in a graph: vectors (N, d) to decisions and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cvbow.classify import LinearSVM
from cvbow.errors import CvbowError
from cvbow.export._graph import Graph


@dataclass(frozen=True)
class Decided:
    """Decisions and probabilities, (N, n_classes), and the weights that make the decisions, (n_classes, d)."""

    decisions: str
    probabilities: str
    weights: str


def decide(graph: Graph, classifier: Any, vectors: str, precision: str) -> Decided:
    """Return what a classifier answers, with weights of a precision; CvbowError if it cannot be exported."""
    if not isinstance(classifier, LinearSVM):
        raise CvbowError(
            f"{type(classifier).__name__} cannot be exported; what can be is LinearSVM, as linear-svm, tuned-svm or "
            "standardized-svm"
        )
    coefficients, offsets = (np.asarray(each, np.float64) for each in (classifier.coef_, classifier.intercept_))
    if len(coefficients) == 1:
        # Half for the second class, and half against the first.
        coefficients, offsets = (np.concatenate([-each, each]) / 2 for each in (coefficients, offsets))
    weights = graph.table(coefficients, precision)
    decisions = graph.op("Gemm", vectors, weights, graph.constant(offsets), transB=1)
    scaled = graph.op("Mul", decisions, graph.constant(classifier.temperature_))
    return Decided(decisions, graph.op("Softmax", scaled, axis=1), weights)


def of_best(graph: Graph, answer: Decided, vectors: str) -> str:
    """Return what each value of the vectors gave to the decision for the most probable class, (N, d)."""
    best = graph.op("ArgMax", answer.probabilities, axis=1, keepdims=0)
    return graph.op("Mul", vectors, graph.op("Gather", answer.weights, best, axis=0))
