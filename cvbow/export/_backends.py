"""Backends in a graph: planes of whole numbers (N, 3, H, W) to vectors (N, d)."""

from __future__ import annotations

import numpy as np

from cvbow.backends import BagEncoder, ChannelUnion, ImageEncoder
from cvbow.errors import CvbowError
from cvbow.export._encoders import encode
from cvbow.export._extractors import Described, describe
from cvbow.export._graph import Graph


def vectors(graph: Graph, backend: ImageEncoder, pixels: str) -> str:
    """Return the vectors of images; CvbowError if the backend cannot be exported."""
    if isinstance(backend, ChannelUnion):
        return graph.concat(1, *(vectors(graph, channel, pixels) for _, channel in backend.channels_))
    if isinstance(backend, BagEncoder):
        return _bag(graph, backend, pixels)
    raise CvbowError(
        f"{type(backend).__name__} cannot be exported; what can be is BagEncoder, and a ChannelUnion of such"
    )


def _bag(graph: Graph, backend: BagEncoder, pixels: str) -> str:
    described = describe(graph, backend.extractor_, pixels)
    vector = _encoded(graph, backend, described)
    if backend.mirror is not True:
        return vector
    mirror = backend.extractor_.mirror
    assert mirror is not None
    places = np.argsort(described.order)
    values = graph.take(described.values, places[mirror.order], 1)
    values = graph.op("Mul", values, graph.constant(mirror.signs[:, None]))
    mirrored = Described(values, np.arange(len(places)), described.points.mirrored(graph))
    return _mean_direction(graph, vector, _encoded(graph, backend, mirrored), backend.encoder_.n_blocks)


def _mean_direction(graph: Graph, vector: str, mirrored: str, n_blocks: int) -> str:
    """Return the mean of two vectors, block by block, at the mean of their lengths."""
    half = graph.constant(0.5)
    blocks = [graph.reshape(each, 0, n_blocks, -1) for each in (vector, mirrored)]
    lengths = [graph.op("ReduceL2", each, axes=[2], keepdims=1) for each in blocks]
    wanted, mean = (graph.op("Mul", graph.op("Add", *pair), half) for pair in (lengths, blocks))
    unit = graph.over(mean, graph.op("ReduceL2", mean, axes=[2], keepdims=1))
    return graph.reshape(graph.op("Mul", unit, wanted), 0, -1)


def _encoded(graph: Graph, backend: BagEncoder, described: Described) -> str:
    columns = _reduced(graph, backend, described)
    if backend.position_weight:
        columns = graph.concat(1, columns, _places(graph, backend.position_weight, described, columns))
    return encode(graph, backend.encoder_, columns, described.points)


def _reduced(graph: Graph, backend: BagEncoder, described: Described) -> str:
    """Return the descriptors (N, k', P) in the order of the extractor, or reduced, which is a product and an offset."""
    if backend.reduce_ is None:
        return graph.take(described.values, np.argsort(described.order), 1)
    k = len(described.order)
    offset = np.asarray(backend.reduce_.transform(np.zeros((1, k), np.float32)), np.float64)
    matrix = np.asarray(backend.reduce_.transform(np.eye(k, dtype=np.float32)), np.float64) - offset
    products = graph.op("MatMul", graph.constant(matrix.T[:, described.order]), described.values)
    return graph.op("Add", products, graph.constant(offset.T))


def _places(graph: Graph, weight: float, described: Described, columns: str) -> str:
    """Return the places of the points in the image, from -1/2 to 1/2, times a weight, (N, 2, P)."""
    points = described.points
    ends = graph.to(graph.op("Mul", points.size, graph.integers(2)), np.float32)
    shares = [
        graph.unsqueeze(graph.op("Div", graph.to(place, np.float32), graph.row(ends, at)), 0, 1)
        for place, at in ((points.x, 1), (points.y, 0))
    ]
    centered = graph.op("Sub", graph.concat(1, *shares), graph.constant(0.5))
    weighted = graph.op("Mul", centered, graph.constant(weight))
    shape = graph.concat(0, graph.lengths(columns, 0, 1), graph.integers(2), graph.lengths(columns, 2, 3))
    return graph.op("Expand", weighted, shape)
