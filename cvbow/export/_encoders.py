"""Encoders in a graph: descriptors as rows (N, P, k) to vectors (N, d), and back to what each descriptor gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.dictionary import (
    ApproximateKMeans,
    Dictionary,
    GaussianMixtureDictionary,
    KMeansDictionary,
    SphericalDictionary,
)
from cvbow.encoders import (
    LLC,
    VLAD,
    BagOfWords,
    Encoder,
    FisherVector,
    KernelCodebook,
    NearWords,
    SoftThreshold,
    SpatialPyramid,
    Triangle,
)
from cvbow.encoders.spatial_pyramid import parse_grids
from cvbow.errors import CvbowError
from cvbow.export._cells import GraphCells
from cvbow.export._graph import END, Graph
from cvbow.export._grids import Points
from cvbow.features import Mirror

#: Float32's share of what ``VLAD`` takes for nothing, by descriptor.
_NOISE = 1e-6
#: A sum that is less than this share of its parts without their signs nearly cancels: see ``cvbow.encoders``.
_LEAST = 0.01
#: Products of descriptors and words that are made at once: 4 MB.
_PRODUCTS = 1 << 20


@dataclass(frozen=True)
class Encoded:
    """Vectors, and the way back: ``shares`` gives what descriptors, (N, P), gave to values in the vectors' shape."""

    vectors: str
    shares: Callable[[str], str]


def encode(graph: Graph, encoder: Encoder, rows: str, points: Points) -> Encoded:
    """Return the vectors of bags of descriptors, (N, d); CvbowError if the encoder cannot be exported."""
    grids, weights, normalization, overlap = [(1, 1)], np.ones(1, np.float32), "none", False
    if isinstance(encoder, SpatialPyramid):
        grids, weights, normalization = parse_grids(encoder.grids), encoder.cell_weights, encoder.normalization
        encoder, overlap = encoder.encoder_, bool(encoder.overlap)
    found = _ENCODERS.get(type(encoder))
    if found is None:
        names = ", ".join(kind.__name__ for kind in _ENCODERS)
        raise CvbowError(f"{type(encoder).__name__} cannot be exported; what can be is {names}")
    cells = GraphCells(graph, points, grids, overlap)
    encoded = found(graph, encoder, rows, cells)
    vectors = graph.reshape(graph.op("Mul", encoded.vectors, graph.constant(weights[:, None])), 0, -1)
    if normalization != "none":
        vectors = graph.over(vectors, graph.op(f"Reduce{normalization.upper()}", vectors, axes=[1], keepdims=1))
    return Encoded(vectors, lambda values: encoded.shares(graph.reshape(values, 0, cells.n_cells, -1)))


def _fisher(graph: Graph, encoder: FisherVector, rows: str, cells: GraphCells) -> Encoded:
    mixture, n = encoder.dictionary_.mixture(), encoder.n_pooled
    k = mixture.means.shape[1]
    z = graph.op("Mul", _standardized(graph, mixture, cells.arranged(rows)), cells.there)
    ones = graph.op("Mul", graph.ones(graph.cut(z, 3, 0, 1)), cells.there)
    moments = graph.concat(3, z, graph.op("Mul", z, z), ones)
    posteriors = graph.op("Softmax", graph.op("MatMul", moments, graph.constant(mixture.operator.T)), axis=3)
    posteriors = graph.op("ThresholdedRelu", posteriors, alpha=float(encoder.posterior_threshold))
    sums = graph.reshape(cells.products(posteriors, moments), 0, 0, encoder.n_words, -1)
    pairs = _Pairs(graph, encoder, cells, mixture.mirror_of_sums)
    sums, variances, weights = pairs.joined(sums), mixture.variances[:n], mixture.weights[:n, None]

    def constant(value: Any) -> str:
        return graph.constant(value, np.float64)

    means = mixture.means[:n]

    def moments_around_means(sums: str) -> tuple[str, str, str]:
        """Return the sums of q (z - m), of q (z - m)^2 and of q, in float64, for there are differences."""
        sums = graph.to(sums, np.float64)
        first, second, mass = (graph.cut(sums, 3, *ends) for ends in ((0, k), (k, 2 * k), (2 * k, END)))
        offset = graph.op("Sub", first, graph.op("Mul", constant(means), mass))
        spread = graph.op("Sub", second, graph.op("Mul", constant(means), graph.op("Add", first, offset)))
        return offset, spread, mass

    def gradients(sums: str, sizes: str) -> str:
        offset, spread, mass = moments_around_means(sums)
        sizes = graph.op("Max", graph.unsqueeze(sizes, 1), constant(1))
        by_means = graph.op("Mul", offset, constant(1 / np.sqrt(weights * variances)))
        by_deviations = graph.op("Sub", graph.op("Mul", spread, constant(1 / variances)), mass)
        by_deviations = graph.op("Mul", by_deviations, constant(1 / np.sqrt(2 * weights)))
        parts = [graph.op("Div", each, sizes) for each in (by_means, by_deviations)]
        return graph.concat(2, *(graph.reshape(graph.to(part, np.float32), 0, 0, -1) for part in parts))

    def of_moments(values: str, sums: str) -> str:
        """Return what z, z^2 and 1 of a descriptor are multiplied by, and by q, for what it gave to values."""
        offset, spread, mass = moments_around_means(sums)
        values = graph.reshape(graph.to(values, np.float64), 0, 0, 2, n, k)
        of_means, of_deviations = (graph.reshape(graph.cut(values, 2, at, at + 1), 0, 0, n, k) for at in (0, 1))
        # What the parts are without their signs is at most: by Cauchy and Schwarz, and by the triangle inequality.
        held = graph.op("Max", spread, constant(0))
        squares = graph.op("Mul", held, constant(1 / variances))
        by_offset = _per_part(graph, of_means, offset, graph.op("Sqrt", graph.op("Mul", mass, held)))
        by_square = _per_part(graph, of_deviations, graph.op("Sub", squares, mass), graph.op("Add", squares, mass))
        # A descriptor gets q (by_offset (z - m) + by_square ((z - m)^2 / v - 1)), which is linear in z, z^2 and 1.
        of_square = graph.op("Mul", by_square, constant(1 / variances))
        along = graph.op("Mul", of_square, constant(means))
        of_one = graph.op("Sub", graph.op("Mul", constant(means), graph.op("Sub", along, by_offset)), by_square)
        of_z = graph.op("Sub", by_offset, graph.op("Add", along, along))
        return graph.to(graph.concat(3, of_z, of_square, graph.sum(of_one, 3)), np.float32)

    vectors = graph.function("FisherGradients", gradients, sums, pairs.sizes)
    vectors = _power(graph, vectors, encoder.power)
    vectors = vectors if encoder.normalization == "none" else _unit(graph, vectors, pairs)

    def shares(values: str) -> str:
        factors = graph.function("FisherShares", of_moments, values, sums)
        return cells.spread(pairs.of_all(factors), posteriors, moments)

    return Encoded(vectors, shares)


def _bag_of_words(graph: Graph, encoder: BagOfWords, rows: str, cells: GraphCells) -> Encoded:
    n_words, n_groups = encoder.n_words, cells.n_groups
    pairs = _Pairs(graph, encoder, cells, None)
    # Of points that there are not, the group is one more.
    word = _word(graph, encoder, rows)
    places = graph.op("Add", word, graph.op("Mul", cells.groups, graph.integers(n_words)))
    batch = graph.lengths(rows, 0, 1)

    def zeros(length: int) -> str:
        return graph.op("Expand", graph.constant([[0]]), graph.concat(0, batch, graph.integers(length)))

    ones = graph.to(graph.ones(places, np.int64), np.float32)
    counts = graph.op("ScatterElements", zeros((n_groups + 1) * n_words), places, ones, axis=1, reduction="add")
    counts = graph.cut(graph.reshape(counts, 0, n_groups + 1, n_words), 1, 0, n_groups)
    counts = vectors = pairs.joined(cells.of_groups(counts))
    if encoder.weighting == "binary":
        vectors = graph.op("Min", vectors, graph.constant(1))
    elif encoder.weighting == "tf-idf":
        vectors = graph.op("Mul", vectors, graph.constant(encoder.idf_))

    def shares(values: str) -> str:
        each = cells.to_groups(pairs.of_all(graph.over(values, counts)))
        table = graph.concat(1, graph.reshape(each, 0, -1), zeros(n_words))
        return graph.op("GatherElements", table, places, axis=1)

    return Encoded(_normalized(graph, vectors, encoder, pairs), shares)


def _vlad(graph: Graph, encoder: VLAD, rows: str, cells: GraphCells) -> Encoded:
    if encoder.unit_residuals or encoder.residual_pca is not None:
        raise CvbowError("VLAD with unit_residuals or residual_pca cannot be exported")
    words = np.asarray(encoder.dictionary_.words_, np.float32)
    n_words, k = words.shape
    mirror = encoder.word_mirror
    arranged = cells.arranged(rows)
    word = _word(graph, encoder, arranged)
    own_words = graph.op("Gather", graph.constant(words), word, axis=0)
    residuals = graph.op("Mul", graph.op("Sub", arranged, own_words), cells.there)
    is_word = graph.op("Equal", graph.unsqueeze(word, 3), graph.constant(np.arange(n_words), np.int64))
    is_word = graph.to(is_word, np.float32)

    def summed(parts: str, n: int, last: Mirror | None) -> tuple[str, _Pairs]:
        pairs = _Pairs(graph, encoder, cells, last)
        return pairs.joined(graph.reshape(cells.products(is_word, parts), 0, 0, n_words, n)), pairs

    counted = None if mirror is None else mirror.joined(Mirror.of_order(np.zeros(1, np.intp)))
    ones = graph.op("Mul", graph.ones(graph.cut(residuals, 3, 0, 1)), cells.there)
    sums, _ = summed(graph.concat(3, residuals, ones), k + 1, counted)
    # Differences that cancel out leave rounding errors, which unit length would blow up.
    noise = _NOISE * np.abs(words).max(axis=1, keepdims=True)[: encoder.n_pooled]
    least = graph.op("Mul", graph.cut(sums, 3, k, END), graph.constant(noise))
    sums = graph.cut(sums, 3, 0, k)
    largest = graph.op("ReduceMax", graph.op("Abs", sums), axes=[3], keepdims=1)
    sums = graph.op("Where", graph.op("Greater", largest, least), sums, graph.constant(0))
    parts = _power(graph, sums, encoder.power)
    if encoder.intra_normalization:
        parts = graph.over(parts, graph.op("ReduceL2", parts, axes=[3], keepdims=1))
    vectors, pairs = graph.reshape(parts, 0, 0, -1), _Pairs(graph, encoder, cells, mirror)

    def shares(values: str) -> str:
        unsigned = None if mirror is None else Mirror.of_order(mirror.order)
        sizes, _ = summed(graph.op("Abs", residuals), k, unsigned)
        wide = [graph.to(each, np.float64) for each in (graph.reshape(values, 0, 0, encoder.n_pooled, k), sums, sizes)]
        each = graph.to(_per_part(graph, *wide), np.float32)
        return cells.spread(pairs.of_all(each), is_word, residuals)

    return Encoded(vectors if encoder.normalization == "none" else _unit(graph, vectors, pairs), shares)


def _directions(graph: Graph, encoder: SoftThreshold | NearWords, rows: str, cells: GraphCells) -> Encoded:
    words = np.asarray(encoder.dictionary_.words_, np.float64)
    lengths = np.linalg.norm(words, axis=1, keepdims=True)
    directions = np.divide(words, lengths, out=np.zeros(words.shape), where=lengths > 0)
    products = graph.op("MatMul", rows, graph.constant(directions.T))
    if isinstance(encoder, NearWords):
        lengths = graph.op("ReduceL2", products, axes=[2], keepdims=1)
        least = graph.op("Mul", lengths, graph.constant(encoder.nearness / np.sqrt(len(words))))
    else:
        least = graph.constant(encoder.alpha)
    if encoder.split_sign:
        products = graph.concat(2, products, graph.op("Neg", products))
    if isinstance(encoder, NearWords):
        codes = graph.to(graph.op("Greater", products, least), np.float32)
    else:
        codes = graph.op("Relu", graph.op("Sub", products, least))
    return _pooled(graph, encoder, codes, cells, codes)


def _triangle(graph: Graph, encoder: Triangle, rows: str, cells: GraphCells) -> Encoded:
    # The squared distance is |x|^2 - 2 (x w - |w|^2 / 2).
    values, operator = _nearness(graph, encoder.dictionary_, rows)
    length = graph.op("ReduceSumSquare", graph.cut(values, 2, 0, len(operator) - 1), axes=[2], keepdims=1)
    products = graph.op("MatMul", values, graph.constant(-2 * operator))
    distances = graph.op("Sqrt", graph.op("Relu", graph.op("Add", products, length)))
    codes = graph.op("Relu", graph.op("Sub", graph.op("ReduceMean", distances, axes=[2], keepdims=1), distances))
    return _pooled(graph, encoder, codes, cells, codes)


def _few_words(
    graph: Graph, encoder: LLC | KernelCodebook, rows: str, cells: GraphCells, weights: Callable[[str, int], str]
) -> Encoded:
    """Encode by codes over the nearest words; ``weights`` makes (N, P, n) of the words less the descriptor.

    These are (N, P, n, k), the nearest first.
    """
    words, n = np.asarray(encoder.dictionary_.words_, np.float32), min(encoder.n_nearest, encoder.n_words)
    nearest = _nearest_words(graph, encoder, rows, n)

    def weighed(rows: str, nearest: str) -> str:
        own_words = graph.op("Gather", graph.constant(words), nearest, axis=0)
        return weights(graph.op("Sub", own_words, graph.unsqueeze(rows, 2)), n)

    shape = graph.concat(0, graph.lengths(rows, 0, 2), graph.integers(len(words)))
    nothing = graph.op("Expand", graph.constant(0), shape)
    weighed_words = graph.function(type(encoder).__name__, weighed, rows, nearest)
    codes = graph.op("ScatterElements", nothing, nearest, weighed_words, axis=2)
    return _pooled(graph, encoder, codes, cells, graph.op("Abs", codes))


def _llc(graph: Graph, encoder: LLC, rows: str, cells: GraphCells) -> Encoded:
    def weights(shifted: str, n: int) -> str:
        covariance = graph.to(graph.op("MatMul", shifted, graph.transpose(shifted, 0, 1, 3, 2)), np.float64)
        eye, zero, one = (graph.constant(each, np.float64) for each in (np.eye(n), 0, 1))
        trace = graph.op("ReduceSum", graph.op("Mul", covariance, eye), graph.integers(2, 3), keepdims=1)
        trace = graph.op("Where", graph.op("Greater", trace, zero), trace, one)
        ridge = graph.op("Mul", eye, graph.constant(encoder.regularization, np.float64))
        equations = graph.op("Add", graph.op("Div", covariance, trace), ridge)
        ones = graph.ones(graph.cut(equations, 3, 0, 1), np.float64)
        solved = _solved(graph, graph.concat(3, equations, ones), n)
        return graph.to(graph.op("Div", solved, graph.sum(solved, 2)), np.float32)

    return _few_words(graph, encoder, rows, cells, weights)


def _kernel_codebook(graph: Graph, encoder: KernelCodebook, rows: str, cells: GraphCells) -> Encoded:
    def weights(shifted: str, n: int) -> str:
        distances = graph.op("ReduceSumSquare", shifted, axes=[3], keepdims=0)
        if encoder.ambiguity == "uncertainty":
            distances = graph.op("Sub", distances, graph.op("ReduceMin", distances, axes=[2], keepdims=1))
        found = graph.op("Exp", graph.op("Mul", distances, graph.constant(-0.5 / encoder.sigma_**2)))
        return graph.op("Div", found, graph.sum(found, 2)) if encoder.ambiguity == "uncertainty" else found

    return _few_words(graph, encoder, rows, cells, weights)


def _solved(graph: Graph, equations: str, k: int) -> str:
    """Solve k linear equations (N, P, k, k + 1), of a matrix that is positive definite: (N, P, k)."""
    left = [graph.op("Squeeze", graph.cut(equations, 2, row, row + 1), graph.integers(2)) for row in range(k)]
    for row in range(k):
        pivot = graph.op("Div", left[row], graph.cut(left[row], 2, row, row + 1))
        left = [
            pivot if other == row else graph.op("Sub", line, graph.op("Mul", pivot, graph.cut(line, 2, row, row + 1)))
            for other, line in enumerate(left)
        ]
    return graph.concat(2, *(graph.cut(line, 2, k, k + 1) for line in left))


def _pooled(graph: Graph, encoder: Any, codes: str, cells: GraphCells, sizes: str) -> Encoded:
    """Return what an encoder pools codes (N, P, m) to; ``sizes`` are the codes without their signs."""
    if encoder.pooling == "max":
        vectors, shares = cells.highest(codes)
    else:
        sums, all_sizes = (cells.of_groups(graph.op("MatMul", cells.members, each)) for each in (codes, sizes))
        vectors = sums
        if encoder.pooling == "average":
            vectors = graph.op("Div", vectors, graph.op("Max", graph.to(cells.sizes, np.float32), graph.constant(1)))

        def shares(values: str) -> str:
            wide = [graph.to(each, np.float64) for each in (values, sums, all_sizes)]
            each = cells.to_groups(graph.to(_per_part(graph, *wide), np.float32))
            of_groups = graph.op("MatMul", each, graph.transpose(codes, 0, 2, 1))
            return graph.op("ReduceSum", graph.op("Mul", of_groups, cells.members), graph.integers(1), keepdims=0)

    return Encoded(_normalized(graph, vectors, encoder, _Pairs(graph, encoder, cells, None)), shares)


_ENCODERS: dict[type[Encoder], Callable[[Graph, Any, str, GraphCells], Encoded]] = {
    BagOfWords: _bag_of_words,
    FisherVector: _fisher,
    KernelCodebook: _kernel_codebook,
    LLC: _llc,
    NearWords: _directions,
    SoftThreshold: _directions,
    Triangle: _triangle,
    VLAD: _vlad,
}


@dataclass(frozen=True)
class _Pairs:
    """What belongs to words in mirrored pairs; of an encoder without such, everything stays as it is.

    ``last`` is the mirror of the last axis of what belongs to words, (N, n_cells, n_words, ...); None of counts.
    """

    graph: Graph
    encoder: Any
    cells: GraphCells
    last: Mirror | None

    @property
    def are_there(self) -> bool:
        return self.encoder.word_mirror is not None

    def joined(self, sums: str) -> str:
        """Return sums of all words as those of the first of each pair: the second's count in the mirrored cell."""
        if not self.are_there:
            return sums
        n = self.encoder.n_pooled
        second = self._applied(self.cells.mirrored(self.graph.cut(sums, 2, n, END), 1))
        return self.graph.op("Add", self.graph.cut(sums, 2, 0, n), second)

    def of_all(self, values: str) -> str:
        """Return what belongs to the first words as it belongs to all: the transpose of ``joined``."""
        if not self.are_there:
            return values
        return self.graph.concat(2, values, self._applied(self.cells.mirrored(values, 1)))

    @property
    def sizes(self) -> str:
        """The number of points in each cell, and of mirrored ones where they count as well, float64 (n_cells, 1)."""
        sizes = self.cells.sizes
        return self.shared(sizes, 0, 1.0) if self.are_there else sizes

    def shared(self, value: str, axis: int = 1, factor: float = 0.5) -> str:
        """Return the mean, or another multiple of the sum, of what each cell and its twin have along an axis."""
        if not self.are_there:
            return value
        both = self.graph.op("Add", value, self.cells.mirrored(value, axis))
        return both if factor == 1 else self.graph.op("Mul", both, self.graph.constant(factor))

    def _applied(self, value: str) -> str:
        if self.last is None:
            return value
        moved = self.graph.take(value, self.last.order, 3)
        return self.graph.op("Mul", moved, self.graph.constant(self.last.signs))


def _word(graph: Graph, encoder: Any, rows: str) -> str:
    """Return the word that a dictionary finds for each descriptor (..., k), int64 (...)."""
    found = _SCORES.get(type(encoder.dictionary_))
    if found is None:
        names = ", ".join(kind.__name__ for kind in _SCORES)
        raise CvbowError(f"the words of {type(encoder.dictionary_).__name__} cannot be exported, only those of {names}")
    values, operator = found(graph, encoder.dictionary_, rows)
    is_signed = not isinstance(encoder.dictionary_, SphericalDictionary)

    def highest(products: str) -> str:
        return graph.op("ArgMax", products if is_signed else graph.op("Abs", products), axis=1, keepdims=0)

    return graph.op("Reshape", _by_block(graph, values, operator, highest), graph.lengths(rows, 0, -1))


def _nearest_words(graph: Graph, encoder: Any, rows: str, n: int) -> str:
    """Return the n nearest words of each descriptor (N, P, k), the nearest first, int64 (N, P, n)."""
    values, operator = _nearness(graph, encoder.dictionary_, rows)
    found = _by_block(graph, values, operator, lambda products: graph.largest(products, n))
    return graph.op("Reshape", found, graph.concat(0, graph.lengths(rows, 0, 2), graph.integers(n)))


def _nearness(graph: Graph, dictionary: Dictionary, rows: str) -> tuple[str, NDArray[np.float64]]:
    """Return factors, (..., m) and (m, n_words), of what is larger the nearer a word is."""
    words = np.asarray(dictionary.words_, np.float64)
    # As ``WordSearch`` has it: counted from the words' mean, so that float32's digits serve the differences.
    center = words.mean(axis=0)
    words = words - center
    centered = graph.op("Sub", rows, graph.constant(center))
    values = graph.concat(-1, centered, graph.ones(graph.cut(centered, -1, 0, 1)))
    return values, np.hstack([words, -(words**2).sum(axis=1, keepdims=True) / 2]).T


def _projections(graph: Graph, dictionary: SphericalDictionary, rows: str) -> tuple[str, NDArray[np.float64]]:
    return rows, np.asarray(dictionary.words_, np.float64).T


def _logarithms(graph: Graph, dictionary: GaussianMixtureDictionary, rows: str) -> tuple[str, NDArray[np.float64]]:
    """Return factors of the logarithms of Gaussians' densities, but for what they have in common."""
    mixture = dictionary.mixture()
    z = _standardized(graph, mixture, rows)
    values = graph.concat(-1, z, graph.op("Mul", z, z), graph.ones(graph.cut(z, -1, 0, 1)))
    return values, np.asarray(mixture.operator, np.float64).T


_SCORES: dict[type[Dictionary], Callable[[Graph, Any, str], tuple[str, NDArray[np.float64]]]] = {
    KMeansDictionary: _nearness,
    # Whose search may miss the nearest one.
    ApproximateKMeans: _nearness,
    SphericalDictionary: _projections,
    GaussianMixtureDictionary: _logarithms,
}


def _standardized(graph: Graph, mixture: Any, rows: str) -> str:
    z = graph.op("Sub", rows, graph.constant(mixture.center))
    z = graph.op("Mul", z, graph.constant(mixture.inverse))
    return graph.op("Clip", z, graph.constant(-mixture.farthest), graph.constant(mixture.farthest))


def _by_block(graph: Graph, values: str, operator: NDArray[np.float64], build: Callable[[str], str]) -> str:
    """Return what is built of products, (n, n_words), of values (..., m) and an operator (m, n_words), (n, ...)."""
    flat = graph.reshape(values, -1, len(operator))
    # A block of products stays in the processor's cache.
    n, most = graph.lengths(flat, 0, 1), graph.integers(max(1, _PRODUCTS // operator.shape[1]))
    n_blocks = _divided_up(graph, n, most)
    size = _divided_up(graph, n, n_blocks)
    lacking = graph.op("Sub", graph.op("Mul", n_blocks, size), n)
    blocks = graph.op("Pad", flat, graph.concat(0, graph.integers(0, 0), lacking, graph.integers(0)))
    blocks = graph.op("Reshape", blocks, graph.concat(0, n_blocks, size, graph.integers(-1)))

    def of_block(number: str) -> str:
        block = graph.op("Gather", blocks, number, axis=0)
        return build(graph.op("MatMul", block, graph.constant(operator)))

    found = graph.for_each(graph.op("Squeeze", n_blocks), of_block)
    found = graph.op("Reshape", found, graph.concat(0, graph.integers(-1), graph.lengths(found, 2, END)))
    return graph.op("Slice", found, graph.integers(0), n, graph.integers(0))


def _divided_up(graph: Graph, value: str, by: str) -> str:
    """Return a quotient of whole numbers, rounded up."""
    return graph.op("Div", graph.op("Sub", graph.op("Add", value, by), graph.integers(1)), by)


def _per_part(graph: Graph, values: str, sums: str, sizes: str) -> str:
    """Return what a part of size 1 gets of each value, of float64: ``cvbow.encoders``' way of sharing out sums."""

    def build(values: str, sums: str, sizes: str) -> str:
        zero, one = (graph.constant(number, np.float64) for number in (0, 1))
        least = graph.op("Mul", sizes, graph.constant(_LEAST, np.float64))
        held = graph.op("Max", graph.op("Abs", sums), least)
        is_there = graph.op("Greater", held, zero)
        held = graph.op("Where", graph.op("Less", sums, zero), graph.op("Neg", held), held)
        each = graph.op("Div", values, graph.op("Where", is_there, held, one))
        return graph.op("Where", is_there, each, zero)

    return graph.function("ShareOut", build, values, sums, sizes)


def _normalized(graph: Graph, rows: str, encoder: Any, pairs: _Pairs) -> str:
    """Return the cells' vectors normalised as their encoder says, (N, n_cells, d)."""
    how = encoder.normalization
    if how in ("hellinger", "l1"):
        rows = graph.over(rows, pairs.shared(graph.op("ReduceL1", rows, axes=[2], keepdims=1)))
    if how in ("hellinger", "power"):
        rows = _power(graph, rows, 0.5 if how == "hellinger" else encoder.power)
    return _unit(graph, rows, pairs) if how in ("l2", "power") else rows


def _unit(graph: Graph, rows: str, pairs: _Pairs) -> str:
    squares = pairs.shared(graph.op("ReduceSumSquare", rows, axes=[2], keepdims=1))
    return graph.over(rows, graph.op("Sqrt", squares))


def _power(graph: Graph, value: str, power: float) -> str:
    if power == 1:
        return value
    size = graph.op("Abs", value)
    size = graph.op("Sqrt", size) if power == 0.5 else graph.op("Pow", size, graph.constant(power))
    return graph.op("Mul", graph.op("Sign", value), size)
