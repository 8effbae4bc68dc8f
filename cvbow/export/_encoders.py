"""Encoders in a graph: descriptors as columns (N, k, P) to vectors (N, d)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cvbow.encoders import VLAD, BagOfWords, Encoder, FisherVector, SoftThreshold, SpatialPyramid
from cvbow.encoders.spatial_pyramid import parse_grids
from cvbow.errors import CvbowError
from cvbow.export._cells import GraphCells
from cvbow.export._graph import END, Graph
from cvbow.export._grids import Points


#: Float32's share of what ``VLAD`` takes for nothing, by descriptor.
_NOISE = 1e-6


def encode(graph: Graph, encoder: Encoder, columns: str, points: Points) -> str:
    """Return the vectors of bags of descriptors; CvbowError if the encoder cannot be exported."""
    if isinstance(encoder, SpatialPyramid):
        rows = _of_cells(graph, encoder.encoder_, columns, GraphCells(graph, points, parse_grids(encoder.grids)))
        vectors = graph.reshape(graph.op("Mul", rows, graph.constant(encoder.cell_weights[:, None])), 0, -1)
        if encoder.normalization == "none":
            return vectors
        return graph.over(vectors, graph.op(f"Reduce{encoder.normalization.upper()}", vectors, axes=[1], keepdims=1))
    return graph.reshape(_of_cells(graph, encoder, columns, GraphCells(graph, points, [(1, 1)])), 0, -1)


def _of_cells(graph: Graph, encoder: Encoder, columns: str, cells: GraphCells) -> str:
    """Return the vectors of the cells, (N, n_cells, d)."""
    found = _ENCODERS.get(type(encoder))
    if found is None:
        names = ", ".join(kind.__name__ for kind in _ENCODERS)
        raise CvbowError(f"{type(encoder).__name__} cannot be exported; what can be is {names}")
    return found(graph, encoder, columns, cells)


def _fisher(graph: Graph, encoder: FisherVector, columns: str, cells: GraphCells) -> str:
    mixture = encoder.dictionary_.mixture()
    k = mixture.means.shape[1]
    z = graph.op("Sub", columns, graph.constant(mixture.center[:, None]))
    z = graph.op("Mul", z, graph.constant(mixture.inverse))
    z = graph.op("Clip", z, graph.constant(-mixture.farthest), graph.constant(mixture.farthest))
    values = graph.concat(1, z, graph.op("Mul", z, z), graph.ones(graph.cut(z, 1, 0, 1)))
    posteriors = graph.op("Softmax", graph.op("MatMul", graph.constant(mixture.operator), values), axis=1)
    kept = graph.op("Greater", posteriors, graph.constant(encoder.posterior_threshold))
    posteriors = graph.op("Where", kept, posteriors, graph.constant(0))
    sums = graph.reshape(cells.products(posteriors, values), 0, 0, len(mixture.means), -1)
    sizes = graph.unsqueeze(cells.sizes, 1)
    n = encoder.n_pooled
    if mixture.mirror_of_sums is not None:
        second = cells.mirrored(graph.cut(sums, 2, n, END), 1)
        mirror = mixture.mirror_of_sums
        second = graph.op("Mul", graph.take(second, mirror.order, 3), graph.constant(mirror.signs))
        sums = graph.op("Add", graph.cut(sums, 2, 0, n), second)
        sizes = graph.op("Add", sizes, cells.mirrored(sizes, 0))
    # Differences of sums, in float64.
    sums = graph.to(sums, np.float64)
    first, second, mass = (graph.cut(sums, 3, *ends) for ends in ((0, k), (k, 2 * k), (2 * k, END)))
    means, variances, weights = mixture.means[:n], mixture.variances[:n], mixture.weights[:n, None]

    def constant(value: Any) -> str:
        return graph.constant(value, np.float64)

    offset = graph.op("Sub", first, graph.op("Mul", constant(means), mass))
    spread = graph.op("Sub", second, graph.op("Mul", constant(means), graph.op("Add", first, offset)))
    sizes = graph.op("Max", sizes, constant(1))
    by_means = graph.op("Div", graph.op("Mul", offset, constant(1 / np.sqrt(weights * variances))), sizes)
    by_deviations = graph.op("Sub", graph.op("Mul", spread, constant(1 / variances)), mass)
    by_deviations = graph.op("Div", graph.op("Mul", by_deviations, constant(1 / np.sqrt(2 * weights))), sizes)
    parts = [graph.reshape(graph.to(part, np.float32), 0, 0, -1) for part in (by_means, by_deviations)]
    rows = _power(graph, graph.concat(2, *parts), encoder.power)
    return rows if encoder.normalization == "none" else _unit(graph, rows, encoder, cells)


def _nearest_word(graph: Graph, encoder: Any, columns: str) -> str:
    """Return the word of each descriptor, int64 (N, P)."""
    words = np.asarray(encoder.dictionary_.words_, np.float64)
    # As ``WordSearch`` has it: counted from the words' mean, so that float32's digits serve the differences.
    center = words.mean(axis=0)
    words = words - center
    centered = graph.op("Sub", columns, graph.constant(center[:, None]))
    rows = graph.transpose(graph.concat(1, centered, graph.ones(graph.cut(columns, 1, 0, 1))), 0, 2, 1)
    operator = np.hstack([words, -(words**2).sum(axis=1, keepdims=True) / 2])
    return graph.op("ArgMax", graph.op("MatMul", rows, graph.constant(operator.T)), axis=2, keepdims=0)


def _bag_of_words(graph: Graph, encoder: BagOfWords, columns: str, cells: GraphCells) -> str:
    word = _nearest_word(graph, encoder, columns)
    n_words, n_groups = encoder.n_words, cells.n_groups
    # Of points that there are not, the group is one more.
    places = graph.op("Add", word, graph.op("Mul", cells.groups, graph.integers(n_words)))
    shape = graph.concat(0, graph.lengths(columns, 0, 1), graph.integers((n_groups + 1) * n_words))
    empty = graph.op("Expand", graph.constant([[0]]), shape)
    ones = graph.to(graph.ones(places, np.int64), np.float32)
    counts = graph.op("ScatterElements", empty, places, ones, axis=1, reduction="add")
    counts = graph.cut(graph.reshape(counts, 0, n_groups + 1, n_words), 1, 0, n_groups)
    counts = cells.of_groups(counts)
    if encoder.word_mirror is not None:
        n = encoder.n_pooled
        counts = graph.op("Add", graph.cut(counts, 2, 0, n), cells.mirrored(graph.cut(counts, 2, n, END), 1))
    if encoder.weighting == "binary":
        counts = graph.op("Min", counts, graph.constant(1))
    elif encoder.weighting == "tf-idf":
        counts = graph.op("Mul", counts, graph.constant(encoder.idf_))
    return _normalized(graph, counts, encoder, cells)


def _vlad(graph: Graph, encoder: VLAD, columns: str, cells: GraphCells) -> str:
    if encoder.unit_residuals or encoder.residual_pca is not None:
        raise CvbowError("VLAD with unit_residuals or residual_pca cannot be exported")
    words = np.asarray(encoder.dictionary_.words_, np.float32)
    n_words, k = words.shape
    word = _nearest_word(graph, encoder, columns)
    own_words = graph.transpose(graph.op("Gather", graph.constant(words), word, axis=0), 0, 2, 1)
    residuals = graph.concat(1, graph.op("Sub", columns, own_words), graph.ones(graph.cut(columns, 1, 0, 1)))
    is_word = graph.op("Equal", graph.unsqueeze(word, 1), graph.constant(np.arange(n_words)[:, None], np.int64))
    sums = cells.products(graph.to(is_word, np.float32), residuals)
    sums = graph.reshape(sums, 0, 0, n_words, k + 1)
    if encoder.word_mirror is not None:
        mirror = encoder.word_mirror
        second = cells.mirrored(graph.cut(sums, 2, encoder.n_pooled, END), 1)
        second = graph.take(second, np.append(mirror.order, k), 3)
        second = graph.op("Mul", second, graph.constant(np.append(mirror.signs, 1)))
        sums = graph.op("Add", graph.cut(sums, 2, 0, encoder.n_pooled), second)
    # Differences that cancel out leave rounding errors, which unit length would blow up.
    noise = _NOISE * np.abs(words).max(axis=1, keepdims=True)[: encoder.n_pooled]
    least = graph.op("Mul", graph.cut(sums, 3, k, END), graph.constant(noise))
    sums = graph.cut(sums, 3, 0, k)
    largest = graph.op("ReduceMax", graph.op("Abs", sums), axes=[3], keepdims=1)
    sums = graph.op("Where", graph.op("Greater", largest, least), sums, graph.constant(0))
    parts = _power(graph, sums, encoder.power)
    if encoder.intra_normalization:
        parts = graph.over(parts, graph.op("ReduceL2", parts, axes=[3], keepdims=1))
    rows = graph.reshape(parts, 0, 0, -1)
    return rows if encoder.normalization == "none" else _unit(graph, rows, encoder, cells)


def _soft_threshold(graph: Graph, encoder: SoftThreshold, columns: str, cells: GraphCells) -> str:
    if encoder.pooling == "max":
        raise CvbowError("SoftThreshold(pooling='max') cannot be exported, only sums and averages can")
    words = np.asarray(encoder.dictionary_.words_, np.float64)
    lengths = np.linalg.norm(words, axis=1, keepdims=True)
    directions = np.divide(words, lengths, out=np.zeros(words.shape), where=lengths > 0)
    projections = graph.op("MatMul", graph.constant(directions), columns)
    if encoder.split_sign:
        projections = graph.concat(1, projections, graph.op("Neg", projections))
    codes = graph.op("Relu", graph.op("Sub", projections, graph.constant(encoder.alpha)))
    sums = graph.op("MatMul", codes, graph.transpose(cells.members, 1, 0))
    rows = cells.of_groups(graph.transpose(sums, 0, 2, 1))
    if encoder.pooling == "average":
        sizes = graph.op("Max", graph.to(cells.sizes, np.float32), graph.constant(1))
        rows = graph.op("Div", rows, sizes)
    return _normalized(graph, rows, encoder, cells)


_ENCODERS: dict[type[Encoder], Callable[[Graph, Any, str, GraphCells], str]] = {
    BagOfWords: _bag_of_words,
    FisherVector: _fisher,
    SoftThreshold: _soft_threshold,
    VLAD: _vlad,
}


def _normalized(graph: Graph, rows: str, encoder: Any, cells: GraphCells) -> str:
    """Return the cells' vectors normalised as their encoder says, (N, n_cells, d)."""
    how = encoder.normalization
    if how in ("hellinger", "l1"):
        total = graph.op("ReduceL1", rows, axes=[2], keepdims=1)
        rows = graph.over(rows, _shared(graph, total, encoder, cells))
    if how in ("hellinger", "power"):
        rows = _power(graph, rows, 0.5 if how == "hellinger" else encoder.power)
    return _unit(graph, rows, encoder, cells) if how in ("l2", "power") else rows


def _unit(graph: Graph, rows: str, encoder: Any, cells: GraphCells) -> str:
    squares = graph.op("ReduceSumSquare", rows, axes=[2], keepdims=1)
    return graph.over(rows, graph.op("Sqrt", _shared(graph, squares, encoder, cells)))


def _shared(graph: Graph, value: str, encoder: Any, cells: GraphCells) -> str:
    """Return the mean of what each cell and its twin have, (N, n_cells, 1), where words come in pairs."""
    if encoder.word_mirror is None:
        return value
    return graph.op("Mul", graph.op("Add", value, cells.mirrored(value, 1)), graph.constant(0.5))


def _power(graph: Graph, value: str, power: float) -> str:
    if power == 1:
        return value
    size = graph.op("Abs", value)
    size = graph.op("Sqrt", size) if power == 0.5 else graph.op("Pow", size, graph.constant(power))
    return graph.op("Mul", graph.op("Sign", value), size)
