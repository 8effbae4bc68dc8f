"""A network's own classes, from the library and from ``cvbow predict --network``."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from synthetic import textured
from tiny_network import field, node, tensor, tiny_network, value

from cvbow.backends import CnnEncoder
from cvbow.classify import PretrainedClassifier, read_labels
from cvbow_cli.main import cli

FACTS = 'size = 12\nchannel_order = "rgb"\nmean = 128\nscale = 0.01\n'
LABELS = ("crane", "dog", "crane", "cat", "goldfish, Carassius auratus")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    path.with_suffix(".toml").write_text(FACTS)
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(f"{row},{name}" for row, name in enumerate(LABELS)), encoding="utf-8")
    return path


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, path in enumerate(paths):
        Image.fromarray(textured(20, 30, seed)).save(path)
    return paths


def test_the_scores_are_the_softmax_of_the_network(network: Path, images: list[Path]) -> None:
    answers = PretrainedClassifier(network, LABELS, layer="prob").answer(images)
    features = CnnEncoder(network, layer="features", normalization="none").fit(images).transform(images)
    expected = np.exp(features) / np.exp(features).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers.probabilities, expected, rtol=1e-4)
    # Scores before the softmax give the same probabilities.
    before = PretrainedClassifier(network, LABELS, layer="features").answer(images)
    np.testing.assert_allclose(before.probabilities, expected, rtol=1e-4)
    names = np.array(["crane (0)", "dog", "crane (2)", "cat", "goldfish, Carassius auratus"])
    np.testing.assert_array_equal(answers.labels, names[expected.argmax(axis=1)])


def test_the_output_with_a_score_for_each_label_is_found(tmp_path: Path, images: list[Path]) -> None:
    graph = (
        node("Conv", ["image", "weights"], "conv", kernel_shape=[3, 3])
        + node("GlobalAveragePool", ["conv"], "mean")
        + node("Flatten", ["mean"], "logits", axis=1)
        + field(5, tensor("weights", np.ones((4, 3, 3, 3), np.float32)))
        + field(11, value("image", (1, 3, 12, 12)))
        + field(12, value("logits", (1, 4)))
        + field(12, value("conv", (1, 4, 10, 10)))
    )
    path = tmp_path / "two.onnx"
    path.write_bytes(field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph))
    path.with_suffix(".toml").write_text(FACTS)
    classifier = PretrainedClassifier(path, list("abcd"), engine="opencv")
    assert classifier.layer_ == "logits"
    np.testing.assert_allclose(classifier.answer(images).probabilities, 0.25, rtol=1e-4)


def test_labels_files(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    for text, expected in (
        ("cat\ndog\n", ["cat", "dog"]),
        ("0,cat\n1,goldfish, Carassius auratus\n", ["cat", "goldfish, Carassius auratus"]),
        ("cat, tabby\n\ndog", ["cat, tabby", "dog"]),
        ("\ufeff0,Katze\n1,Hündin", ["Katze", "Hündin"]),
        ("1984\n2001", ["1984", "2001"]),
    ):
        path.write_text(text, encoding="utf-8")
        assert read_labels(path) == expected
    for content, message in (
        (b"", "labels must have a line for each class"),
        (b"\xff\xfe\x00", "labels must be text in UTF-8"),
        (b"0,cat\n2,dog", "labels must be numbered 0, 1, 2, ...; line 2 has 2"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_labels(path)
        assert str(path) in str(caught.value)


def test_predict(network: Path, labels: Path, images: list[Path]) -> None:
    # Two outputs have five values: which are the scores has to be said where labels do not tell.
    twice = run("predict", "--network", network, "--labels", labels, *images)
    assert twice.exit_code == 2
    assert "an output of the network that is named as the layer" in twice.stderr
    result = run("predict", "--network", network, "--labels", labels, "--layer", "prob", *images, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    expected = PretrainedClassifier(network, LABELS, layer="prob").answer(images)
    for row, path, label, probabilities in zip(rows, images, expected.labels, expected.probabilities, strict=True):
        assert row["path"] == str(path)
        assert row["label"] == label
        assert len(row["scores"]) == 5, "five by default"
        assert list(row["scores"].values()) == sorted(probabilities.tolist(), reverse=True)
    top = run("predict", "--network", network, "--labels", labels, "--layer", "prob", images[0], "--top", "2")
    assert len(top.stdout.split("\t")[1].split("  ")) == 2


def test_mistakes_are_one_clear_line(network: Path, labels: Path, images: list[Path], tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("cat\ndog")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(tiny_network()[:300])
    damaged.with_suffix(".toml").write_text(FACTS)
    unknown = tmp_path / "unknown.onnx"
    unknown.write_bytes(tiny_network())
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(tiny_network(n_channels=4))
    network_is = ("--network", network)
    for arguments, code, expected in (
        ((*network_is, "--labels", few, "--layer", "prob"), 2, "outputs are prob 5; got 2 labels"),
        ((*network_is, "--labels", labels, "--layer", "fc8"), 2, "layer must be one of prob, features, conv"),
        ((*network_is,), 2, "--network FILE needs --labels"),
        (("--labels", labels), 2, "--network FILE needs --labels"),
        (("--weights", labels), 2, "--weights needs --network NAME"),
        ((*network_is, "--labels", labels, "--weights", few), 2, "weights go with the name of a torchvision model"),
        (("--network", damaged, "--labels", labels), 1, "damaged.onnx: not an ONNX network: the file is damaged"),
        (("--network", unknown, "--labels", labels), 2, "size, channel_order, mean, scale must be given"),
        (("--network", wrong, "--labels", labels), 1, "its input must be one image"),
        (("--network", tmp_path / "none.onnx", "--labels", labels), 2, "none.onnx: there is no such file\n"),
        ((), 2, "Missing argument 'IMAGE|DIR...'"),
        ((tmp_path / "none.cvbow",), 1, "none.cvbow: there is no such file or folder\n"),
    ):
        result = run("predict", *arguments, images[0])
        assert result.exit_code == code, (arguments, result.output)
        assert expected in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""


def test_a_torchvision_model_without_torch(images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for arguments in (("--network", "resnet50"), ("--network", "resnet50", "--weights", "w.pth")):
        result = run("predict", *arguments, images[0])
        assert result.exit_code == 1
        assert result.stderr == (
            "cvbow: error: the torchvision model resnet50 needs the extra: pip install 'cvbow[torch]'\n"
        )


def test_real_networks_name_real_things(shared_data: Path) -> None:
    folder = shared_data / "models"
    pictures = [shared_data / "oxford_affine" / name / "img1.png" for name in ("bikes", "leuven")]
    for name in ("squeezenet1.1_fp32", "mobilenet_v1_0.75_224"):
        arguments = ("--network", folder / f"{name}.onnx", "--labels", folder / "imagenet_labels.txt", "--json")
        bikes, cars = json.loads(run("predict", *arguments, *pictures).stdout)
        assert set(bikes["scores"]) & {"moped", "motor scooter, scooter", "tricycle, trike, velocipede"}
        assert set(cars["scores"]) & {"minivan", "cab, hack, taxi, taxicab", "police van, police wagon, paddy wagon"}
