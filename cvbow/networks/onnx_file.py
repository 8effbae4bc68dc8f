"""What an ONNX file says of itself: inputs, outputs, layers; and how one of its layers is made an output.

An ONNX file is a protocol buffer, of which little is needed here: the names of tensors, and the shapes and types of the
inputs. So it is read directly, and asks for no further library. A message of which two parts follow one another is the
merger of both, so an output is added by appending a few bytes.

References
----------
ONNX, ``onnx.proto``: the numbers of the fields. Protocol Buffers, "Encoding": the wire format.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cvbow.networks._wire import VARINT, Span, fields, message, messages, span, texts, varint

# Fields of ModelProto, GraphProto, NodeProto, ValueInfoProto, TensorProto, and of the types of tensors.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_OUTPUT, _NODE_KIND = 2, 4
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TENSOR_NAME = 8
_TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE, _SHAPE_DIMENSION, _DIMENSION_VALUE = 1, 1, 2, 1, 1
_FLOAT = 1
#: NumPy's names of the types of tensors.
_TYPES = {
    _FLOAT: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}


@dataclass(frozen=True)
class Layer:
    """A node of the network.

    Attributes
    ----------
    name : str
        Of its first output, by which it can be asked for.
    kind : str
        The operator: ``Conv``, ``Relu``, ...

    Examples
    --------
    >>> from cvbow.networks import Layer
    >>> layers = Layer("conv1", "Conv"), Layer("relu1", "Relu")
    >>> [layer.name for layer in layers if layer.kind == "Relu"]
    ['relu1']
    """

    name: str
    kind: str


@dataclass(frozen=True)
class OnnxGraph:
    """A network.

    Attributes
    ----------
    inputs : dict of str to tuple
        Shapes; 0 stands for a length that is left open.
    outputs : tuple of str
    layers : tuple of Layer
        In the order in which they are computed.
    types : dict of str to str
        NumPy's names of the inputs' types; an empty text for one that NumPy does not have.

    Examples
    --------
    >>> from cvbow.networks import Layer, OnnxGraph
    >>> layers = Layer("pool5", "MaxPool"), Layer("scores", "Gemm")
    >>> OnnxGraph({"image": (1, 3, 224, 224)}, ("scores",), layers).names
    ('scores', 'pool5')
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    types: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outputs, and then of the other layers."""
        return tuple(dict.fromkeys((*self.outputs, *(layer.name for layer in self.layers))))


def read_graph(data: bytes) -> OnnxGraph:
    """Read the inputs, outputs and layers of an ONNX file.

    Parameters
    ----------
    data : bytes
        The file's content.

    Raises
    ------
    ValueError
        If the bytes are not an ONNX file with a network in it.
    """
    inputs: dict[str, tuple[int, ...]] = {}
    types: dict[str, str] = {}
    outputs: list[str] = []
    layers: list[Layer] = []
    weights: set[str] = set()
    try:
        for graph in messages(data, (0, len(data)), _MODEL_GRAPH):
            for number, place in fields(data, graph):
                if number == _GRAPH_NODE:
                    layers.append(_layer(data, span(place)))
                elif number == _GRAPH_INPUT:
                    name, shape, kind = _value(data, span(place))
                    inputs[name], types[name] = shape, kind
                elif number == _GRAPH_OUTPUT:
                    outputs.append(_value(data, span(place))[0])
                elif number == _GRAPH_INITIALIZER:
                    weights.update(texts(data, span(place), _TENSOR_NAME))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("the file is damaged") from error
    if not layers or not outputs:
        raise ValueError("it holds no network")
    # Old exporters list the weights among the inputs.
    asked = [name for name in inputs if name not in weights]
    return OnnxGraph(
        {name: inputs[name] for name in asked}, tuple(outputs), tuple(layers), {name: types[name] for name in asked}
    )


def with_output(data: bytes, name: str, *, typed: bool) -> bytes:
    """Return an ONNX file with the layer of that name as a further output.

    ``typed`` gives the output a type and an empty shape: OpenCV insists on having them, ONNX Runtime on their being
    right or missing.
    """
    value = message(_VALUE_NAME, name.encode("utf-8"))
    if typed:
        element = varint(_TENSOR_ELEMENT << 3 | VARINT) + varint(_FLOAT)
        value += message(_VALUE_TYPE, message(_TYPE_TENSOR, element + message(_TENSOR_SHAPE, b"")))
    return data + message(_MODEL_GRAPH, message(_GRAPH_OUTPUT, value))


def _layer(data: bytes, place: Span) -> Layer:
    kinds = texts(data, place, _NODE_KIND)
    names = texts(data, place, _NODE_OUTPUT)
    return Layer(names[0] if names else "", kinds[0] if kinds else "")


def _value(data: bytes, place: Span) -> tuple[str, tuple[int, ...], str]:
    """Return the name, the shape and the type of an input or an output."""
    (name,) = texts(data, place, _VALUE_NAME)[:1] or [""]
    shape = []
    types = []
    for kind in messages(data, place, _VALUE_TYPE):
        for tensor in messages(data, kind, _TYPE_TENSOR):
            types += [value for number, value in fields(data, tensor) if number == _TENSOR_ELEMENT]
            for lengths in messages(data, tensor, _TENSOR_SHAPE):
                for dimension in messages(data, lengths, _SHAPE_DIMENSION):
                    found = [value for number, value in fields(data, dimension) if number == _DIMENSION_VALUE]
                    shape.append(found[0] if found and isinstance(found[0], int) else 0)
    known = types[-1] if types and isinstance(types[-1], int) else 0
    return name, tuple(shape), _TYPES.get(known, "")
