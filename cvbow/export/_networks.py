"""A network that is a model's backend, in a graph: from planes of whole numbers (N, 3, H, W) to vectors (N, d)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, version_converter

from cvbow.backends import CnnEncoder
from cvbow.backends.shares import overlaps
from cvbow.errors import CvbowError
from cvbow.export._graph import OPSET, Graph
from cvbow.export._images import gray
from cvbow.export._sizes import Frame, resampled, resized
from cvbow.networks import OnnxNetwork, Preprocessing, open_network


class NetworkVectors:
    """The vectors of a ``CnnEncoder``, and where in an image their values come from.

    Attributes
    ----------
    values : str
        (N, d).
    has_places : bool
        Whether the layer is a feature map, whose places ``heat`` tells.
    """

    def __init__(self, graph: Graph, backend: CnnEncoder, pixels: str) -> None:
        network = backend.opened_network
        if not isinstance(network, OnnxNetwork):
            raise CvbowError(
                f"the network {backend.network} cannot be exported: it is torchvision's, and only those that come from "
                "an ONNX file can; torch.onnx.export writes one"
            )
        self.graph = graph
        self.facts = Preprocessing.from_dict(backend.preprocessing_)
        self.frame = _frame(graph, self.facts, graph.lengths(pixels, 2, 4))
        width, height = self.facts.size
        one = np.zeros((1, self.facts.n_channels, height, width), np.float32)
        self.shape = network.run(one, backend.layer_).shape[1:]
        planes = _input(graph, self.facts, self.frame, pixels)
        key = "layer", network.digest, backend.layer_, planes
        layer = graph.once(key, lambda: graph.to(_layer(graph, network, backend.layer_, planes, one), np.float32))
        self.pooling = backend.pooling
        self.has_places = len(self.shape) == 3
        flat = len(self.shape) < 2 or backend.pooling == "none"
        self.places = graph.reshape(layer, 0, -1, 1) if flat else graph.reshape(layer, 0, self.shape[0], -1)
        kind = "ReduceMax" if backend.pooling == "max" else "ReduceMean"
        pooled = graph.op(kind, self.places, axes=[2], keepdims=0)
        if backend.normalization == "l2":
            pooled = graph.over(pooled, graph.op("ReduceL2", pooled, axes=[1], keepdims=1))
        self.values = pooled

    def heat(self, given: str) -> str:
        """Return from what the values give to a score, (N, d), a map (N, 1, H, W) of the size of the frame."""
        graph = self.graph
        n_channels, rows, columns = self.shape
        given = graph.unsqueeze(given, 2)
        if self.pooling != "none":
            places = self.places
            if self.pooling == "max":
                highest = graph.op("ReduceMax", places, axes=[2], keepdims=1)
                places = graph.to(graph.op("Equal", places, highest), np.float32)
            given = graph.op("Mul", given, graph.over(places, graph.sum(places, 2)))
        maps = graph.op("ReduceSum", graph.reshape(given, 0, n_channels, rows, columns), graph.integers(1), keepdims=1)
        # Each place is spread over the area of the input that it stands for.
        width, height = self.facts.size
        down, across = _spread(rows, height), _spread(columns, width)
        maps = graph.op("MatMul", graph.op("MatMul", graph.constant(down), maps), graph.constant(across.T))
        if self.frame.corner is None:
            return maps
        end = graph.op("Sub", graph.op("Sub", self.frame.size, self.frame.corner), graph.integers(*self.frame.wanted))
        around = graph.concat(0, graph.integers(0, 0), self.frame.corner, graph.integers(0, 0), end)
        return graph.op("Pad", maps, around)


def _spread(n_places: int, length: int) -> NDArray[np.float64]:
    """Return what each of ``length`` pixels in a row gets of each of ``n_places``, (length, n_places)."""
    return np.asarray(n_places * overlaps(length, n_places))


def _frame(graph: Graph, facts: Preprocessing, sides: str) -> Frame:
    """Return what ``Preprocessing.frame`` does, for images of a height and width, int64 (2,)."""
    shape = facts.size[1], facts.size[0]
    wanted = graph.integers(*shape)
    if facts.resize == "stretch":
        return Frame(wanted, shape)
    if facts.shorter_side is None:
        lengths = (graph.to(each, np.float64) for each in (wanted, sides))
        factor = graph.op("ReduceMax", graph.op("Div", *lengths), axes=[0])
        size = graph.op("Max", wanted, graph.whole(graph.op("Mul", graph.to(sides, np.float64), factor)))
        return Frame(size, shape, graph.op("Div", graph.op("Sub", size, wanted), graph.integers(2)))
    shorter = graph.op("ReduceMin", sides, axes=[0])
    size = graph.op("Div", graph.op("Mul", sides, graph.integers(facts.shorter_side)), shorter)
    around = graph.to(graph.op("Sub", size, wanted), np.float64)
    return Frame(size, shape, graph.whole(graph.op("Mul", around, graph.constant(0.5, np.float64))))


def _input(graph: Graph, facts: Preprocessing, frame: Frame, pixels: str) -> str:
    """Return what ``Preprocessing.prepare`` does, (N, n_channels, height, width)."""
    if facts.channel_order == "gray":
        pixels = gray(graph, pixels)
    if facts.interpolation is None:
        pixels = resized(graph, pixels, frame)
    else:
        pixels = resampled(graph, pixels, frame, facts.interpolation)
    if facts.channel_order == "bgr":
        pixels = graph.take(pixels, [2, 1, 0], 1)
    mean, scale = (graph.constant(np.reshape(each, (-1, 1, 1))) for each in (facts.mean, facts.scale))
    return graph.op("Mul", graph.op("Sub", pixels, mean), scale)


def _layer(graph: Graph, network: OnnxNetwork, layer: str, planes: str, one: NDArray[np.float32]) -> str:
    """Write the network as far as a layer, and return its values for planes (N, n_channels, height, width).

    ``one`` are such planes (1, n_channels, height, width), of any values.
    """
    made = _converted(network, layer, one).graph
    prefix = graph.fresh("network") + "/"
    for node in made.node:
        _rename(node, prefix)
    for value in (*made.input, *made.initializer):
        value.name = prefix + value.name
    constants = {constant.name for constant in made.initializer}
    (entry,) = (value.name for value in made.input if value.name not in constants)
    nodes = _up_to(made.node, prefix + layer)
    wanted = {name for node in nodes for name in _names(node)}
    graph.adopt([constant for constant in made.initializer if constant.name in wanted])

    def run(images: str) -> str:
        graph.nodes += [onnx.helper.make_node("Identity", [images], [entry]), *nodes]
        return prefix + layer

    if network.channels_last:
        planes = graph.transpose(planes, 0, 2, 3, 1)
    planes = graph.to(planes, network.input_type)
    if network.input_shape[0] != 1:
        return run(planes)
    # Such a file may take it for granted that images come one by one.
    count = graph.op("Squeeze", graph.lengths(planes, 0, 1))

    def of_one(number: str) -> str:
        image = graph.op("Gather", planes, graph.unsqueeze(number, 0), axis=0)
        return graph.op("Squeeze", run(image), graph.integers(0))

    return graph.for_each(count, of_one)


def _converted(network: OnnxNetwork, layer: str, one: NDArray[np.float32]) -> ModelProto:
    """Return the network in the graph's operator set; CvbowError if that is not possible, or changes its answers."""
    model = onnx.load_model_from_string(network.read())
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    if model.functions or model.graph.sparse_initializer or not {*opsets} <= {"", "ai.onnx"}:
        raise CvbowError(f"{network.path}: it has operators that ONNX does not have itself, and cannot be exported")
    if max(opsets.values()) == OPSET:
        return model
    trouble = (
        f"{network.path}: its operator set {max(opsets.values())} of ONNX cannot be brought to {OPSET}, that of "
        f"exported models; where it was made, it may be written with {OPSET}"
    )
    # What an operator means has changed at times.
    values = np.random.default_rng(0).normal(size=one.shape).astype(np.float32)
    if network.input_type.kind != "f":
        values = np.round(values * 10) + 100
    before = network.run(values, layer)
    try:
        model = version_converter.convert_version(model, OPSET)
        onnx.checker.check_model(model)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "converted.onnx"
            path.write_bytes(model.SerializeToString())
            after = open_network(path, engine=network.engine).run(values, layer)
    except Exception as error:  # of classes of onnx's own, with places in its source
        raise CvbowError(trouble) from error
    if after.shape != before.shape or not np.allclose(after, before, atol=1e-3 * np.abs(before).max()):
        raise CvbowError(trouble)
    return model


def _rename(node: NodeProto, prefix: str) -> None:
    """Put a prefix before each name that an operator has to do with, also inside of its graphs."""
    for names in (node.input, node.output):
        names[:] = [name and prefix + name for name in names]
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
                value.name = prefix + value.name
            for inner in graph.node:
                _rename(inner, prefix)


def _up_to(nodes: Sequence[NodeProto], layer: str) -> list[NodeProto]:
    """Return the operators that a layer needs, in their order."""
    wanted, found = {layer}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(_names(node))
            found.append(node)
    return found[::-1]


def _names(node: NodeProto) -> Iterator[str]:
    """Yield the values that an operator takes, also inside of its graphs."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _names(inner)
