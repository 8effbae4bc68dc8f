"""Linear classifiers in a graph: vectors (N, d) to decisions and probabilities."""

from __future__ import annotations

from typing import Any

from cvbow.classify import LinearSVM
from cvbow.errors import CvbowError
from cvbow.export._graph import Graph


def decide(graph: Graph, classifier: Any, vectors: str) -> dict[str, str]:
    """Return the outputs by their names, (N, n_classes) each; CvbowError if the classifier cannot be exported."""
    if not isinstance(classifier, LinearSVM):
        kind = type(classifier).__name__
        raise CvbowError(
            f"{kind} cannot be exported; what can be is LinearSVM, as linear-svm, tuned-svm or standardized-svm"
        )
    weights, offsets = graph.constant(classifier.coef_), graph.constant(classifier.intercept_)
    decisions = graph.op("Gemm", vectors, weights, offsets, transB=1)
    if len(classifier.coef_) == 1:
        # Half for the second class, and half against the first.
        decisions = graph.op("Mul", graph.concat(1, graph.op("Neg", decisions), decisions), graph.constant(0.5))
    scaled = graph.op("Mul", decisions, graph.constant(classifier.temperature_))
    return {"probabilities": graph.op("Softmax", scaled, axis=1), "decisions": decisions}
