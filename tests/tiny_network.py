"""ONNX files made on the spot: one convolution, a rectifier, a mean over places, a softmax.

    python tests/tiny_network.py FILE.onnx

Written byte by byte, as the tests need no library for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FLOAT, INT, INTS = 1, 2, 7
#: Numbers of the types of tensors.
TYPES = {"float32": 1, "uint8": 2, "float16": 10, "float64": 11, "bfloat16": 16}


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(8 * number) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(8 * number + 2) + varint(len(content)) + content


def attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, INT)
    return field(1, name) + b"".join(field(8, item) for item in value) + field(20, INTS)


def node(kind: str, inputs: list[str], output: str, **attributes: int | list[int]) -> bytes:
    parts = [field(1, name) for name in inputs] + [field(2, output), field(3, f"node_{output}"), field(4, kind)]
    parts += [field(5, attribute(name, value)) for name, value in attributes.items()]
    return field(1, b"".join(parts))


def tensor(name: str, values: NDArray[np.floating], external: dict[str, str] | None = None) -> bytes:
    """A tensor; with `external`, one whose values lie in another file: location, offset and length."""
    dims = b"".join(field(1, int(length)) for length in values.shape)
    head = dims + field(2, TYPES[values.dtype.name]) + field(8, name)
    if external is None:
        return head + field(9, values.astype(values.dtype.newbyteorder("<")).tobytes())
    return head + b"".join(field(13, field(1, key) + field(2, entry)) for key, entry in external.items()) + field(14, 1)


def value(name: str, shape: tuple[int, ...], kind: str = "float32") -> bytes:
    dims = b"".join(field(1, field(1, length) if length else field(2, "n")) for length in shape)
    return field(1, name) + field(2, field(1, field(1, TYPES[kind]) + field(2, dims)))


def filters(n_channels: int = 3, n_filters: int = 5, seed: int = 0) -> NDArray[np.float32]:
    """The network's only weights, (n_filters, n_channels, 3, 3)."""
    return np.random.default_rng(seed).normal(0, 1, (n_filters, n_channels, 3, 3)).astype(np.float32)


def tiny_network(
    *,
    size: int = 12,
    n_channels: int = 3,
    n_filters: int = 5,
    batch: int = 1,
    seed: int = 0,
    inputs: int = 1,
    kind: str = "float32",
    channels_last: bool = False,
    external: dict[str, str] | None = None,
) -> bytes:
    """An ONNX file: layers conv, relu (n_filters, size - 2, size - 2), mean, features and prob (n_filters,).

    `kind` is the type of its input; a network of float16 is so throughout.
    """
    computed = "float16" if kind == "float16" else "float32"
    shape = (batch, size, size, n_channels) if channels_last else (batch, n_channels, size, size)
    first = [node("Transpose", ["image"], "planes", perm=[0, 3, 1, 2])] if channels_last else []
    source = "planes" if channels_last else "image"
    if kind != computed:
        first.append(node("Cast", [source], "cast", to=FLOAT))
        source = "cast"
    graph = b"".join(
        (
            *first,
            node("Conv", [source, "weights"], "conv", kernel_shape=[3, 3]),
            node("Relu", ["conv"], "relu"),
            node("GlobalAveragePool", ["relu"], "mean"),
            node("Flatten", ["mean"], "features", axis=1),
            node("Softmax", ["features"], "prob", axis=1),
            field(2, "tiny"),
            field(5, tensor("weights", filters(n_channels, n_filters, seed).astype(computed), external)),
            *(field(11, value("image" + "2" * number, shape, kind)) for number in range(inputs)),
            field(12, value("prob", (batch, n_filters), computed)),
            field(12, value("features", (batch, n_filters), computed)),
        )
    )
    return field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(tiny_network())
