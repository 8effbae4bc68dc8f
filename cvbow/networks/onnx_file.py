"""What an ONNX file says of itself: inputs, outputs, layers; and how one of its layers is made an output.

An ONNX file is a protocol buffer, of which little is needed here: the names of tensors and the shapes of the inputs. So
it is read directly, and asks for no further library. A message of which two parts follow one another is the merger of
both, so an output is added by appending a few bytes.

References
----------
ONNX, ``onnx.proto``: the numbers of the fields. Protocol Buffers, "Encoding": the wire format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Layer", "OnnxGraph", "read_graph", "with_output"]

# Fields of ModelProto, GraphProto, NodeProto, ValueInfoProto, TensorProto, and of the types of tensors.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_OUTPUT, _NODE_KIND = 2, 4
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TENSOR_NAME = 8
_TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE, _SHAPE_DIMENSION, _DIMENSION_VALUE = 1, 1, 2, 1, 1
_FLOAT = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


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

    Examples
    --------
    >>> import base64
    >>> from cvbow.networks import read_graph
    >>> data = base64.b64decode(  # one rectifier: x (1, 3, 8, 8) to y
    ...     "CAhCBAoAEA06SAoMCgF4EgF5IgRSZWx1WhsKAXgSFgoUCAESEAoCCAEK"
    ...     "AggDCgIICAoCCAhiGwoBeRIWChQIARIQCgIIAQoCCAMKAggICgIICA=="
    ... )
    >>> read_graph(data)
    OnnxGraph(inputs={'x': (1, 3, 8, 8)}, outputs=('y',), layers=(Layer(name='y', kind='Relu'),))
    """
    inputs: dict[str, tuple[int, ...]] = {}
    outputs: list[str] = []
    layers: list[Layer] = []
    weights: set[str] = set()
    try:
        for graph in _messages(data, (0, len(data)), _MODEL_GRAPH):
            for field, place in _fields(data, graph):
                if field == _GRAPH_NODE:
                    layers.append(_layer(data, _span(place)))
                elif field == _GRAPH_INPUT:
                    name, shape = _value(data, _span(place))
                    inputs[name] = shape
                elif field == _GRAPH_OUTPUT:
                    outputs.append(_value(data, _span(place))[0])
                elif field == _GRAPH_INITIALIZER:
                    weights.update(_texts(data, _span(place), _TENSOR_NAME))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("the file is damaged") from error
    if not layers or not outputs:
        raise ValueError("it holds no network")
    # Old exporters list the weights among the inputs.
    return OnnxGraph(
        {name: shape for name, shape in inputs.items() if name not in weights}, tuple(outputs), tuple(layers)
    )


def with_output(data: bytes, name: str, *, typed: bool) -> bytes:
    """Return the file with one of its layers as a further output.

    Parameters
    ----------
    data : bytes
        An ONNX file.
    name : str
        Of the layer.
    typed : bool
        Give the output a type and an empty shape: OpenCV insists on having them, ONNX Runtime on their being right or
        missing.
    """
    value = _message(_VALUE_NAME, name.encode("utf-8"))
    if typed:
        element = _varint(_TENSOR_ELEMENT << 3 | _VARINT) + _varint(_FLOAT)
        value += _message(_VALUE_TYPE, _message(_TYPE_TENSOR, element + _message(_TENSOR_SHAPE, b"")))
    return data + _message(_MODEL_GRAPH, _message(_GRAPH_OUTPUT, value))


Span = tuple[int, int]


def _layer(data: bytes, place: Span) -> Layer:
    kinds = _texts(data, place, _NODE_KIND)
    names = _texts(data, place, _NODE_OUTPUT)
    return Layer(names[0] if names else "", kinds[0] if kinds else "")


def _value(data: bytes, place: Span) -> tuple[str, tuple[int, ...]]:
    """Return the name and the shape of an input or an output."""
    (name,) = _texts(data, place, _VALUE_NAME)[:1] or [""]
    shape = []
    for kind in _messages(data, place, _VALUE_TYPE):
        for tensor in _messages(data, kind, _TYPE_TENSOR):
            for lengths in _messages(data, tensor, _TENSOR_SHAPE):
                for dimension in _messages(data, lengths, _SHAPE_DIMENSION):
                    found = [value for field, value in _fields(data, dimension) if field == _DIMENSION_VALUE]
                    shape.append(found[0] if found and isinstance(found[0], int) else 0)
    return name, tuple(shape)


def _messages(data: bytes, place: Span, wanted: int) -> Iterator[Span]:
    for field, value in _fields(data, place):
        if field == wanted:
            yield _span(value)


def _texts(data: bytes, place: Span, wanted: int) -> list[str]:
    return [data[start:end].decode("utf-8") for start, end in _messages(data, place, wanted)]


def _span(value: int | Span) -> Span:
    if isinstance(value, int):
        raise IndexError("a number where a message should be")
    return value


def _fields(data: bytes, place: Span) -> Iterator[tuple[int, int | Span]]:
    """Yield (number, value) of the fields of a message: an integer, or where a string or message begins and ends."""
    position, end = place
    while position < end:
        key, position = _read_varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _read_varint(data, position)
            yield key >> 3, value
        elif kind == _BYTES:
            length, position = _read_varint(data, position)
            if position + length > end:
                raise IndexError("a field reaches over the end of its message")
            yield key >> 3, (position, position + length)
            position += length
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise IndexError("a field of a kind that there is not")


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise IndexError("a number without an end")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content
