"""A network that is a model's backend goes into the model's ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic import textured
from test_export import answers, run_part, session_of
from tiny_network import tiny_network

from cvbow import (
    BagEncoder,
    BagOfWords,
    CvbowError,
    DenseSIFT,
    ImageClassifier,
    KMeansDictionary,
    LinearSVM,
    explain,
    read_image,
)
from cvbow.backends import ChannelUnion, CnnEncoder

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from cvbow.export import _sizes, to_onnx  # noqa: E402
from cvbow.networks import Preprocessing  # noqa: E402

FACTS: dict[str, Any] = {"size": 12, "channel_order": "rgb", "mean": (100, 110, 120), "scale": (0.01, 0.02, 0.03)}


def color(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack([textured(height, width, seed + channel) for channel in range(3)], axis=2)


IMAGES = [color(20 + 7 * number, 50 - 6 * number, 3 * number) for number in range(6)]


def fitted(backend: Any) -> ImageClassifier:
    return ImageClassifier(backend, LinearSVM(shares=None)).fit(IMAGES, ["a", "b", "c"] * 2)


def check_equal(model: ImageClassifier, images: list[NDArray[np.uint8]] = IMAGES) -> None:
    session = session_of(to_onnx(model))
    for image in images:
        found = answers(session, image[None])
        # A pixel of a resized image may differ by a level.
        np.testing.assert_allclose(found["decisions"][0], model.decision_function([image])[0], atol=5e-3)


@pytest.mark.parametrize(
    ("layer", "pooling", "batch"),
    [
        ("relu", "average", 1),
        ("relu", "average", 0),
        ("relu", "max", 0),
        ("relu", "none", 1),
        ("mean", "none", 0),
        ("features", "average", 1),
        ("prob", "max", 0),
    ],
)
def test_layers(tmp_path: Path, layer: str, pooling: str, batch: int) -> None:
    """Of networks that are fixed at one image, and that take any number."""
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network(batch=batch))
    model = fitted(CnnEncoder(path, layer=layer, pooling=pooling, **FACTS))
    check_equal(model)
    # Several images of a size at once.
    two = [color(30, 20, 5), color(30, 20, 9)]
    session = session_of(to_onnx(model))
    np.testing.assert_allclose(answers(session, np.stack(two))["decisions"], model.decision_function(two), atol=5e-3)
    found = answers(session, two[0][None])
    assert ("heat" in found) == (layer in ("relu", "mean"))
    if "heat" in found:
        best = str(model.classes_[found["probabilities"].argmax()])
        why = explain(model, two[0], classes=[best])
        assert found["heat"].shape == (1, 12, 12)
        assert found["heat"].sum() == pytest.approx(why.heat.sum(), abs=5e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel_order": "bgr", "normalization": "none"},
        {"channel_order": "gray", "mean": 90, "scale": 0.02},
        {"resize": "crop"},
        {"resize": "crop", "shorter_side": 17},
        {"interpolation": "bilinear"},
        {"interpolation": "bicubic", "resize": "crop", "shorter_side": 15},
    ],
    ids=str,
)
def test_preprocessing(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "tiny.onnx"
    n_channels = 1 if changes.get("channel_order") == "gray" else 3
    path.write_bytes(tiny_network(n_channels=n_channels))
    model = fitted(CnnEncoder(path, layer="relu", **{**FACTS, **changes}))
    wide_and_narrow = [color(5, 300), color(300, 5), np.zeros((1, 1, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)]
    check_equal(model, [*IMAGES, *wide_and_narrow])
    image = color(40, 60, 4)
    found = answers(session_of(to_onnx(model)), image[None])
    why = explain(model, image, classes=[str(model.classes_[found["probabilities"].argmax()])])
    assert found["heat"].sum() == pytest.approx(why.heat.sum(), abs=5e-3)
    # What the network does not see has no heat.
    heat = found["heat"][0]
    assert heat.shape == ((12, 12) if "resize" not in changes else heat.shape)
    assert (heat != 0).any(axis=0).sum() <= 12
    assert (heat != 0).any(axis=1).sum() <= 12


@pytest.mark.parametrize(("kind", "channels_last"), [("float16", False), ("uint8", True), ("float64", True)])
def test_inputs_as_networks_declare_them(tmp_path: Path, kind: str, channels_last: bool) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network(kind=kind, channels_last=channels_last))
    facts = {**FACTS, "mean": 0, "scale": 1} if kind == "uint8" else FACTS
    check_equal(fitted(CnnEncoder(path, layer="relu", **facts)))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", None])
@pytest.mark.parametrize("size", [(9, 31), (40, 30), (1, 1), (31, 9)])
def test_sizes_are_those_of_preprocessing(interpolation: str | None, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 40, 3), np.uint8)
    planes = image.transpose(2, 0, 1)[None].astype(np.float32)
    facts = Preprocessing(size[::-1], "rgb", (0,) * 3, (1,) * 3, interpolation=interpolation)

    def build(graph: Any) -> str:
        frame = _sizes.Frame(graph.integers(*size), size)
        if interpolation is None:
            return _sizes.resized(graph, "planes", frame)
        return _sizes.resampled(graph, "planes", frame, interpolation)

    away = np.abs(run_part(build, planes)[0] - facts.prepare(image))
    assert away.max() <= 1
    assert (away > 0).mean() < 0.05


def test_a_network_beside_words_has_no_heat(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    words = BagEncoder(DenseSIFT(step=6, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=5)))
    model = fitted(ChannelUnion([("network", CnnEncoder(path, layer="relu", **FACTS)), ("words", words)]))
    check_equal(model)
    assert [value.name for value in to_onnx(model).graph.output] == ["probabilities", "decisions"]


def test_what_cannot_go_into_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    model = fitted(CnnEncoder(path, layer="relu", **FACTS))
    with monkeypatch.context() as patched:
        patched.setattr(CnnEncoder, "opened_network", property(lambda _: None))
        with pytest.raises(CvbowError, match="is torchvision's, and only those that come from an ONNX file can"):
            to_onnx(model)
    changed = onnx.load(path)
    changed.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(changed, path)
    model = fitted(CnnEncoder(path, layer="relu", **FACTS))
    with pytest.raises(CvbowError, match="it has operators that ONNX does not have itself"):
        to_onnx(model)


@pytest.mark.parametrize("changes", [{"layer": "mean"}, {"pooling": "max"}, {"network": 1}], ids=str)
def test_two_networks(tmp_path: Path, changes: dict[str, Any]) -> None:
    paths = [tmp_path / "one.onnx", tmp_path / "other.onnx"]
    for seed, path in enumerate(paths):
        path.write_bytes(tiny_network(seed=seed))
    other = {"layer": "relu", **changes, "network": paths[changes.get("network", 0)]}
    one = CnnEncoder(paths[0], layer="relu", **FACTS)
    check_equal(fitted(ChannelUnion([("one", one), ("other", CnnEncoder(**other, **FACTS))])))


def with_nodes(path: Path, nodes: list[Any], opset: int, *constants: Any) -> CnnEncoder:
    """A network of these operators, from "image" (1, 3, 12, 12) to "out"."""
    helper = onnx.helper
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("image", "out")]
    values[0] = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 12, 12])
    graph = helper.make_graph(nodes, "network", values[:1], values[1:], list(constants))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return CnnEncoder(path, layer="out", engine="onnxruntime", **FACTS)


def test_a_branch_may_use_what_lies_outside(tmp_path: Path) -> None:
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    factor = numpy_helper.from_array(np.float32(3), "factor")
    branches = {}
    for name, operator in (("then_branch", "Mul"), ("else_branch", "Add")):
        value = helper.make_tensor_value_info(f"{name}_out", onnx.TensorProto.FLOAT, None)
        node = helper.make_node(operator, ["image", "factor"], [f"{name}_out"])
        branches[name] = helper.make_graph([node], name, [], [value])
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["highest"], keepdims=0),
        helper.make_node("Greater", ["highest", "factor"], ["condition"]),
        helper.make_node("If", ["condition"], ["out"], **branches),
    ]
    check_equal(fitted(with_nodes(tmp_path / "if.onnx", nodes, 13, factor)))


def test_operators_whose_meaning_changed_are_refused(tmp_path: Path) -> None:
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    node = onnx.helper.make_node("Resize", ["image", "scales"], ["out"], mode="linear")
    model = fitted(with_nodes(tmp_path / "resize.onnx", [node], 10, scales))
    with pytest.raises(CvbowError, match="its operator set 10 of ONNX cannot be brought to 17"):
        to_onnx(model)


def test_of_a_thin_image_only_what_the_network_sees_is_computed(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    crop = {"resize": "crop", "shorter_side": 15, "interpolation": "bicubic"}
    check_equal(fitted(CnnEncoder(path, layer="relu", **FACTS, **crop)), [color(1, 4000), color(4000, 1)])


@pytest.mark.parametrize(
    ("file", "layer"), [("squeezenet1.1_fp32.onnx", "conv10_2"), ("mobilenet_v1_0.75_224.onnx", "conv_pw_13_relu")]
)
def test_real_networks(shared_data: Path, file: str, layer: str) -> None:
    data = shared_data
    images = sorted((data / "flowers5" / "train").glob("*/*.jpg"))[::30]
    labels = [path.parent.name for path in images]
    backend = CnnEncoder(data / "models" / file, layer=layer)
    model = ImageClassifier(backend, LinearSVM()).fit(images, labels)
    exported = to_onnx(model)
    assert len(exported.graph.node) < 60
    session = session_of(exported)
    tests = sorted((data / "flowers5" / "test").glob("*/*.jpg"))[::40]
    for path in tests:
        image = read_image(path)
        found = answers(session, image[None])
        np.testing.assert_allclose(found["probabilities"][0], model.predict_proba([image])[0], atol=2e-3)
        why = explain(model, image, classes=[str(model.classes_[found["probabilities"].argmax()])])
        assert found["heat"].sum() == pytest.approx(why.heat.sum(), abs=1e-2)
