"""Reading what an ONNX file says of itself, and making a layer an output."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_network import tiny_network, value, varint

from cvbow.networks import Layer, OnnxGraph, read_graph
from cvbow.networks import _wire as wire
from cvbow.networks.onnx_file import with_output


def test_the_graph_of_a_network() -> None:
    graph = read_graph(tiny_network(size=12, n_channels=3, batch=1))
    kinds = {"conv": "Conv", "relu": "Relu", "mean": "GlobalAveragePool", "features": "Flatten", "prob": "Softmax"}
    layers = tuple(Layer(name, kind) for name, kind in kinds.items())
    assert graph == OnnxGraph({"image": (1, 3, 12, 12)}, ("prob", "features"), layers, {"image": "float32"})
    assert graph.names == ("prob", "features", "conv", "relu", "mean")


def test_an_open_length_is_zero() -> None:
    assert read_graph(tiny_network(batch=0)).inputs == {"image": (0, 3, 12, 12)}


def test_an_output_is_added_behind_the_others() -> None:
    data = tiny_network()
    for typed in (False, True):
        more = with_output(data, "relu", typed=typed)
        assert more.startswith(data)
        assert read_graph(more).outputs == ("prob", "features", "relu")
        assert read_graph(more).layers == read_graph(data).layers


@given(st.integers(0, 2**40))
def test_integers_of_the_wire_format(number: int) -> None:
    assert wire.varint(number) == varint(number)
    assert wire.read_varint(varint(number) + b"\xff", 0) == (number, len(varint(number)))


@pytest.mark.parametrize("data", [b"", b"not a network at all", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff" * 40])
def test_what_is_not_a_network_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|holds no network"):
        read_graph(data)


def test_a_file_without_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no network"):
        read_graph(b"\x3a" + varint(len(value("x", (1,)))) + value("x", (1,)))


@given(st.data())
def test_damage_never_escapes_as_anything_but_a_refusal(data: st.DataObject) -> None:
    network = bytearray(tiny_network())
    for _ in range(data.draw(st.integers(1, 5))):
        network[data.draw(st.integers(0, len(network) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(network)))
    for damaged in (bytes(network), bytes(network[:cut])):
        try:
            graph = read_graph(damaged)
        except ValueError:
            continue
        assert graph.layers
        assert graph.outputs


def test_the_networks_of_the_shared_data(shared_data: Path) -> None:
    expected = {"squeezenet1.1_fp32": ("data", "fire9/concat_1", 512), "mobilenet_v1_0.75_224": ("data", "conv1", 768)}
    for name, (entry, layer, _) in expected.items():
        graph = read_graph((shared_data / "models" / f"{name}.onnx").read_bytes())
        assert graph.inputs == {entry: (1, 3, 224, 224)}
        assert graph.outputs == ("prob", "features")
        assert layer in graph.names
