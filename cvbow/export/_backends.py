"""Backends in a graph: planes of whole numbers (N, 3, H, W) to vectors (N, d), and back to heat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cvbow.backends import BagEncoder, ChannelUnion, CnnEncoder, ImageEncoder
from cvbow.errors import CvbowError
from cvbow.export._encoders import Encoded, encode
from cvbow.export._extractors import Described, describe
from cvbow.export._graph import Graph
from cvbow.export._networks import NetworkVectors


@dataclass(frozen=True)
class Vectors:
    """Vectors (N, d), and ``heat``: from what their values give to a score, (N, d), to a map (N, 1, H, W).

    ``heat`` is None where no exact map is known.
    """

    values: str
    heat: Callable[[str], str] | None


def vectors(graph: Graph, backend: ImageEncoder, pixels: str) -> Vectors:
    """Return the vectors of images; CvbowError if the backend cannot be exported."""
    if isinstance(backend, ChannelUnion):
        return _union(graph, backend, pixels)
    if isinstance(backend, BagEncoder):
        return _bag(graph, backend, pixels)
    if isinstance(backend, CnnEncoder):
        network = NetworkVectors(graph, backend, pixels)
        return Vectors(network.values, network.heat if network.has_places else None)
    raise CvbowError(
        f"{type(backend).__name__} cannot be exported; what can be is BagEncoder, CnnEncoder and a ChannelUnion of them"
        ", of which all recipes are but best"
    )


def _union(graph: Graph, backend: ChannelUnion, pixels: str) -> Vectors:
    parts = [vectors(graph, channel, pixels) for _, channel in backend.channels_]
    values = graph.concat(1, *(part.values for part in parts))
    heats = [part.heat for part in parts if part.heat is not None]
    # The maps of a network are of another size.
    if len(heats) < len(parts) or any(isinstance(channel, CnnEncoder) for _, channel in backend.channels_):
        return Vectors(values, None)
    slices = backend.channel_slices.values()

    def heat(given: str) -> str:
        own = [graph.cut(given, 1, columns.start, columns.stop) for columns in slices]
        return graph.op("Sum", *(part(each) for part, each in zip(heats, own, strict=True)))

    return Vectors(values, heat)


def _bag(graph: Graph, backend: BagEncoder, pixels: str) -> Vectors:
    described = describe(graph, backend.extractor_, pixels)
    encoded = _encoded(graph, backend, described)
    if backend.mirror is not True:
        return Vectors(encoded.vectors, lambda given: described.heat(encoded.shares(given)))
    mirror = backend.extractor_.mirror
    assert mirror is not None
    values = graph.take(described.values, np.argsort(described.order)[mirror.order], 1)
    values = graph.op("Mul", values, graph.constant(mirror.signs[:, None]))
    order = np.arange(len(described.order))
    other = _encoded(
        graph, backend, replace(described, values=values, order=order, points=described.points.mirrored(graph))
    )
    both = encoded.vectors, other.vectors
    mean, share = _mean_direction(graph, *both, backend.encoder_.n_blocks)

    def heat(given: str) -> str:
        # What a value of the mean gave is shared out in proportion to both halves.
        weights = graph.op("Mul", graph.over(given, mean), share)
        shares = [
            part.shares(graph.op("Mul", weights, vector)) for part, vector in zip((encoded, other), both, strict=True)
        ]
        return described.heat(graph.op("Add", *shares))

    return Vectors(mean, heat)


def _mean_direction(graph: Graph, vector: str, mirrored: str, n_blocks: int) -> tuple[str, str]:
    """Return the mean of two vectors, block by block, at the mean of their lengths; and what it takes of each value."""
    half = graph.constant(0.5)
    blocks = [graph.reshape(each, 0, n_blocks, -1) for each in (vector, mirrored)]
    lengths = [graph.op("ReduceL2", each, axes=[2], keepdims=1) for each in blocks]
    wanted, mean = (graph.op("Mul", graph.op("Add", *pair), half) for pair in (lengths, blocks))
    factor = graph.over(wanted, graph.op("ReduceL2", mean, axes=[2], keepdims=1))
    share = graph.op("Mul", graph.op("Mul", factor, half), graph.ones(mean))
    return graph.reshape(graph.op("Mul", mean, factor), 0, -1), graph.reshape(share, 0, -1)


def _encoded(graph: Graph, backend: BagEncoder, described: Described) -> Encoded:
    rows = _reduced(graph, backend, described)
    if backend.position_weight:
        rows = graph.concat(2, rows, _places(graph, backend.position_weight, described, rows))
    return encode(graph, backend.encoder_, rows, described.points)


def _reduced(graph: Graph, backend: BagEncoder, described: Described) -> str:
    """Return the descriptors (N, P, k') in the order of the extractor, or reduced, which is a product and an offset."""
    if backend.reduce_ is None:
        return graph.transpose(graph.take(described.values, np.argsort(described.order), 1), 0, 2, 1)
    rows = graph.transpose(described.values, 0, 2, 1)
    k = len(described.order)
    offset = np.asarray(backend.reduce_.transform(np.zeros((1, k), np.float32)), np.float64)
    matrix = np.asarray(backend.reduce_.transform(np.eye(k, dtype=np.float32)), np.float64) - offset
    products = graph.op("MatMul", rows, graph.constant(matrix[described.order]))
    return graph.op("Add", products, graph.constant(offset))


def _places(graph: Graph, weight: float, described: Described, rows: str) -> str:
    """Return the places of the points in the image, from -1/2 to 1/2, times a weight, (N, P, 2)."""
    points = described.points
    ends = graph.to(graph.op("Mul", points.size, graph.integers(2)), np.float32)
    shares = [
        graph.unsqueeze(graph.op("Div", graph.to(place, np.float32), graph.row(ends, at)), 0, 2)
        for place, at in ((points.x, 1), (points.y, 0))
    ]
    centered = graph.op("Sub", graph.concat(2, *shares), graph.constant(0.5))
    weighted = graph.op("Mul", centered, graph.constant(weight))
    return graph.op("Expand", weighted, graph.concat(0, graph.lengths(rows, 0, 2), graph.integers(2)))
