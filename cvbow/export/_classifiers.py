"""Classifiers in a graph, on vectors as they are or on maps of each value: decisions and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow.classify import AdditiveMap, HellingerMap, KernelSVM, LinearSVM, LogisticRegression
from cvbow.errors import CvbowError
from cvbow.export._graph import Graph


@dataclass(frozen=True)
class Decided:
    """Decisions and probabilities, (N, n_classes), and ``given``, which writes what the vectors' values gave to them.

    That is (N, d), to the decision for the most probable class; ``given`` is None where no exact shares are known.
    """

    decisions: str
    probabilities: str
    given: Callable[[], str] | None


def decide(graph: Graph, classifier: Any, vectors: str, precision: str) -> Decided:
    """Return what a classifier answers, with its large tables of a precision; CvbowError if it cannot be exported."""
    from sklearn.linear_model import LogisticRegression as OldLogisticRegression
    from sklearn.pipeline import Pipeline

    steps = [step for _, step in classifier.steps] if isinstance(classifier, Pipeline) else [classifier]
    maps, last = [_map_of(step) for step in steps[:-1]], steps[-1]
    mapped = vectors
    for step, apply in zip(steps, maps, strict=False):
        mapped = apply(graph, step, mapped)
    # Older model files hold scikit-learn's.
    if isinstance(last, LinearSVM | LogisticRegression | OldLogisticRegression):
        sums, shares = _weighted(graph, last.coef_, mapped, precision)
    elif isinstance(last, KernelSVM):
        sums, shares = _KERNELS[last.kernel](graph, last, mapped, precision)
    else:
        raise CvbowError(
            f"{type(last).__name__} cannot be exported; what can be is LinearSVM (linear-svm, tuned-svm, "
            "standardized-svm, and chi2-map-svm for additive kernels), KernelSVM (intersection-svm, chi2-svm, rbf-svm) "
            "and LogisticRegression"
        )
    offsets = _for_each_class(np.asarray(last.intercept_, np.float64))
    decisions = graph.op("Add", sums, graph.constant(offsets))
    temperature = 1 if isinstance(last, LogisticRegression | OldLogisticRegression) else last.temperature_
    scaled = graph.op("Mul", decisions, graph.constant(temperature / (2 if len(last.intercept_) == 1 else 1)))
    probabilities = graph.op("Softmax", scaled, axis=1)
    if shares is None:
        return Decided(decisions, probabilities, None)

    def given() -> str:
        of_mapped = shares(graph.op("ArgMax", probabilities, axis=1, keepdims=0))
        if mapped == vectors:
            return of_mapped
        # There may be several maps of all values, one behind the other.
        lengths = graph.concat(0, graph.integers(0, -1), graph.lengths(vectors, 1, 2))
        return graph.op("ReduceSum", graph.op("Reshape", of_mapped, lengths), graph.integers(1), keepdims=0)

    return Decided(decisions, probabilities, given)


#: Sums (N, n_classes), and what writes the shares (N, d) that values have in the sums of some classes (N,), if known.
_Scored = tuple[str, Callable[[str], str] | None]


def _for_each_class(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a row for each class, where there may be one for the second of two, which is against the first.

    Their softmax has half of it for each.
    """
    return np.concatenate([-rows, rows]) if len(rows) == 1 else rows


def _weighted(graph: Graph, coefficients: ArrayLike, vectors: str, precision: str) -> _Scored:
    weights = graph.table(_for_each_class(np.asarray(coefficients, np.float64)), precision)

    def shares(classes: str) -> str:
        return graph.op("Mul", vectors, graph.op("Gather", weights, classes, axis=0))

    return graph.op("Gemm", vectors, weights, transB=1), shares


def _intersection(graph: Graph, svm: KernelSVM, vectors: str, precision: str) -> _Scored:
    """Write minima with the training vectors, image by image: weighted, they are what each value gives each class."""
    trained, dual = _training_vectors(graph, svm, precision)
    given = graph.for_each_row(vectors, lambda row: graph.op("MatMul", dual, graph.op("Min", trained, row)))

    def shares(classes: str) -> str:
        return graph.op("GatherND", given, graph.unsqueeze(classes, 1), batch_dims=1)

    return graph.op("ReduceSum", given, graph.integers(2), keepdims=0), shares


def _chi2(graph: Graph, svm: KernelSVM, vectors: str, precision: str) -> _Scored:
    trained, dual = _training_vectors(graph, svm, precision)

    def distances(row: str) -> str:
        difference = graph.op("Sub", trained, row)
        parts = graph.over(graph.op("Mul", difference, difference), graph.op("Add", trained, row))
        return graph.op("ReduceSum", parts, graph.integers(1), keepdims=0)

    return _exponential(graph, svm, graph.for_each_row(vectors, distances), dual), None


def _rbf(graph: Graph, svm: KernelSVM, vectors: str, precision: str) -> _Scored:
    trained, dual = _training_vectors(graph, svm, precision)
    own = graph.op("ReduceSumSquare", vectors, axes=[1], keepdims=1)
    others = graph.transpose(graph.op("ReduceSumSquare", trained, axes=[1], keepdims=1), 1, 0)
    products = graph.op("MatMul", vectors, graph.transpose(trained, 1, 0))
    twice = graph.op("Mul", products, graph.constant(2))
    return _exponential(graph, svm, graph.op("Sub", graph.op("Add", own, others), twice), dual), None


def _exponential(graph: Graph, svm: KernelSVM, distances: str, dual: str) -> str:
    kernel = graph.op("Exp", graph.op("Mul", distances, graph.constant(-svm.gamma_)))
    return graph.op("MatMul", kernel, graph.transpose(dual, 1, 0))


_KERNELS = {"intersection": _intersection, "chi2": _chi2, "rbf": _rbf}


def _training_vectors(graph: Graph, svm: KernelSVM, precision: str) -> tuple[str, str]:
    """Return those that count for a class (m, d), and what they count for each (n_classes, m)."""
    counts = svm.dual_.any(axis=1)
    dual = _for_each_class(svm.dual_[counts].T.astype(np.float64))
    # Of 8 bits, each value has a step of its own: those of a pyramid's cells differ in size.
    trained = graph.transpose(graph.table(svm.vectors_[counts].T, precision), 1, 0)
    return trained, graph.constant(dual)


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
