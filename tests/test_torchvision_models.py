"""Torchvision's networks: against Torch's own forward pass, with weights of files made here; nothing is downloaded."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from synthetic import textured
from tiny_images import write_dataset

from cvbow import ImageClassifier, list_images
from cvbow.backends import CnnEncoder
from cvbow.classify import PretrainedClassifier
from cvbow.errors import NetworkError
from cvbow.networks import known_models, open_network, torchvision_models
from cvbow.presets import parse_contender
from cvbow_cli.main import cli

torch = pytest.importorskip("torch", reason="needs the extra torch")
models = pytest.importorskip("torchvision", reason="needs the extra torch").models

#: Small, and it ends with a linear layer.
SMALL = "mobilenet_v3_small"
#: The issue's names, and the layers that describe an image by default.
DEFAULTS = {
    "resnet50": ("flatten", 2048),
    "inception_v3": ("flatten", 2048),
    "alexnet": ("classifier.5", 4096),
    "vgg19": ("classifier.4", 4096),
    "googlenet": ("flatten", 1024),
    "mobilenet": ("classifier.1", 1280),
    "efficientnet": ("flatten", 1280),
}


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def random_model(name: str, seed: int = 0, **options: Any) -> Any:
    """A network with random weights, and statistics that are not those of an untrained one, in evaluation mode."""
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False, **options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = models.get_model(name, weights=None, **options).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    path = folder / "small.pth"
    torch.save(random_model(SMALL).state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Official weights are remembered by their name, which stands for other files in each of these tests."""
    torchvision_models._opened.cache_clear()
    yield
    torchvision_models._opened.cache_clear()


def color(height: int = 90, width: int = 130, seed: int = 0) -> Any:
    return np.stack([textured(height, width, seed + channel) for channel in range(3)], axis=2)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{seed}.png" for seed in range(5)]
    for seed, path in enumerate(paths):
        Image.fromarray(color(seed=seed)).save(path)
    return paths


def test_layers_are_those_that_torch_computes(tmp_path: Path) -> None:
    model = random_model("resnet18")
    torch.save(model.state_dict(), tmp_path / "w.pth")
    network = open_network("resnet18", weights=tmp_path / "w.pth")
    # ResNet adds and rectifies in place: a layer's values must be those before the next one writes over them.
    found: dict[str, Any] = {}
    last = ("layer3.0", "layer3.0.relu_1")
    for name, module in model.named_modules():
        if name in ("conv1", "bn1", "layer1.0.bn2", "layer2.0.downsample.1", "layer4.1.conv1", "avgpool", "fc"):
            module.register_forward_hook(lambda _, __, out, name=name: found.update({name: out.clone()}))
        if name == "layer3.0":  # of a module the last node
            module.register_forward_hook(lambda _, __, out: found.update(dict.fromkeys(last, out.clone())))
    batch = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    kept = batch.copy()
    with torch.inference_mode():
        model(torch.from_numpy(batch))
    assert len(found) == 9
    for name, expected in found.items():
        values = network.run(batch, name)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(network.run(batch, "flatten"), network.run(batch, "avgpool")[..., 0, 0])
    np.testing.assert_array_equal(batch, kept)
    assert network.outputs == ("fc",)
    assert "x" not in network.names, "the input is no layer"


def test_the_vector_is_what_torchvision_says_from_the_file_on(weights: Path, images: list[Path]) -> None:
    model = random_model(SMALL)
    preset = models.get_model_weights(SMALL).DEFAULT.transforms()
    encoder = CnnEncoder(SMALL, weights=weights, normalization="none").fit(images)
    assert encoder.layer_ == "classifier.1"
    assert encoder.preprocessing_["shorter_side"] == 256
    assert encoder.preprocessing_["interpolation"] == "bilinear"
    with torch.inference_mode():
        batch = torch.stack([preset(Image.open(path)) for path in images])
        model.classifier[3] = torch.nn.Identity()
        expected = model(batch).numpy()
    np.testing.assert_allclose(encoder.transform(images), expected, rtol=1e-4, atol=1e-5)
    own = CnnEncoder(SMALL, weights=weights, size=64, mean=0, layer="features.12", pooling="max").fit(images)
    assert own.preprocessing_["size"] == [64, 64]
    assert own.preprocessing_["mean"] == [0, 0, 0]
    assert "shorter_side" not in own.preprocessing_, "it belongs to the other size"
    assert own.transform(images).shape == (5, 576)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_change_their_input(tmp_path: Path, name: str) -> None:
    # As torchvision builds them with official weights: with parts for training, and taking its normalization back.
    model = random_model(name, transform_input=True, aux_logits=True)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    network = open_network(name, weights=tmp_path / "w.pth")
    facts = network.preprocessing({"size": 96})
    preset = models.get_model_weights(name).DEFAULT.transforms(resize_size=96, crop_size=96)
    image = color(96, 96)
    with torch.inference_mode():
        expected = model(preset(Image.fromarray(image))[None]).numpy()
    found = network.run(facts.prepare(image)[None], "fc")
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(facts.mean, 127.5)
    np.testing.assert_allclose(facts.scale, 1 / 127.5)


@pytest.mark.parametrize("name", DEFAULTS)
def test_names_and_the_layers_that_describe_an_image(name: str) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    model = torchvision_models._architecture(torchvision_models.MODELS[name], 1000, None)
    layer = torchvision_models._before_the_head(model, get_graph_node_names(model, suppress_diff_warning=True)[1])
    extractor = create_feature_extractor(model, [layer], suppress_diff_warning=True).eval()
    # Without values there is nothing to compute, and shapes are known all the same.
    values = extractor(torch.empty(2, 3, 299, 299, device="meta"))[layer]
    assert (layer, values.shape[1]) == DEFAULTS[name]
    assert values.ndim == 2
    assert name in known_models()


def test_a_network_without_a_linear_head_must_have_its_layer_named(tmp_path: Path) -> None:
    torch.save(random_model("squeezenet1_1").state_dict(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"layer must be given, .* features\.12\.cat, classifier\.0, .* flatten$"):
        CnnEncoder("squeezenet1_1", weights=tmp_path / "w.pth").fit([color()])
    encoder = CnnEncoder("squeezenet1_1", weights=tmp_path / "w.pth", layer="features.12.cat").fit([color()])
    assert encoder.vector_length == 512


def test_the_digest_is_of_the_architecture_and_the_tensors(weights: Path, tmp_path: Path) -> None:
    digest = open_network(SMALL, weights=weights).digest
    state = random_model(SMALL).state_dict()
    plain = hashlib.sha256(f"torchvision {SMALL}\n".encode())
    for key in sorted(state):
        if not key.endswith("num_batches_tracked"):
            values = state[key].numpy()
            plain.update(f"{key} <f4 {values.shape}\n".encode() + values.tobytes())
    assert digest == plain.hexdigest()
    # The same weights as a training script leaves them: beside other things, with a prefix, without counters.
    wrapped = {f"module.{key}": value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save({"model": wrapped, "epoch": 3}, tmp_path / "wrapped.pth")
    assert open_network(SMALL, weights=tmp_path / "wrapped.pth").digest == digest
    state["classifier.3.bias"][7] += 1e-3
    torch.save(state, tmp_path / "other.pth")
    assert open_network(SMALL, weights=tmp_path / "other.pth").digest != digest


def test_half_precision_and_another_number_of_classes(tmp_path: Path, images: list[Path]) -> None:
    model = random_model(SMALL, num_classes=7)
    torch.save(model.half().state_dict(), tmp_path / "w.pth")
    labels = list("abcdefg")
    classifier = PretrainedClassifier(SMALL, labels, weights=tmp_path / "w.pth", n_jobs=2)
    assert classifier.layer_ == "classifier.3"
    preset = models.get_model_weights(SMALL).DEFAULT.transforms()
    with torch.inference_mode():
        scores = model.float()(torch.stack([preset(Image.open(path)) for path in images]))
    answers = classifier.answer(images)
    np.testing.assert_allclose(answers.probabilities, scores.softmax(dim=1).numpy(), rtol=1e-4)
    with pytest.raises(ValueError, match=r"labels must be given, as .*w\.pth does not say what its classes are"):
        PretrainedClassifier(SMALL, weights=tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"the network's outputs are classifier.3 7; got 2 labels"):
        PretrainedClassifier(SMALL, ["a", "b"], weights=tmp_path / "w.pth")


def test_a_file_beside_the_weights_says_what_they_were_made_for(weights: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.pth"
    own.write_bytes(weights.read_bytes())
    own.with_suffix(".toml").write_text(
        'size = 64\nchannel_order = "bgr"\nmean = 0\nscale = 1\nresize = "crop"\nshorter_side = 70\n'
        'interpolation = "bicubic"\nlayer = "features.12"\n'
    )
    encoder = CnnEncoder(SMALL, weights=own).fit([color()])
    assert encoder.layer_ == "features.12"
    assert encoder.preprocessing_ == {
        "size": [64, 64],
        "channel_order": "bgr",
        "mean": [0.0, 0.0, 0.0],
        "scale": [1.0, 1.0, 1.0],
        "resize": "crop",
        "shorter_side": 70,
        "interpolation": "bicubic",
    }


class _Code:
    """Runs a function when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_files_that_are_no_weights_of_the_network(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    state = random_model(SMALL).state_dict()
    harm = tmp_path / "harm"
    for content, message in (
        (weights.read_bytes()[:-5000], "not a file of weights"),
        (b"", "not a file of weights"),
        (b"not weights", "not a file of weights"),
        (pickle.dumps({"fc.weight": _Code(harm)}), "not a file of weights"),
        ({"fc.weight": _Code(harm)}, "not a file of weights"),
        (random_model(SMALL), "not a file of weights"),
        ([1, 2], "not a file of weights: it must be a state_dict, tensors by their names"),
        ({}, "not a file of weights: it must be a state_dict, tensors by their names"),
        (
            random_model("squeezenet1_1").state_dict(),
            rf"not the weights of {SMALL}: 210 of its 210 tensors are missing or of other shapes "
            r"\(features.0.0.weight\) and 52 are none of its \(features.0.weight\)",
        ),
        ({**state, "classifier.0.bias": torch.zeros(3)}, r"1 of its 210 tensors are .* \(classifier.0.bias\)$"),
    ):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(NetworkError, match=message) as caught:
            CnnEncoder(SMALL, weights=path).fit([color()])
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
        assert not harm.exists(), "the file's code was run"


def test_wrong_parameters(weights: Path, tmp_path: Path) -> None:
    for parameters, message in (
        (
            {"network": "resnet51"},
            "network must be a file, or one of torchvision's models: alexnet, .*; got 'resnet51'",
        ),
        ({"layer": "layer9"}, r"layer must be one of features\.0, .* classifier\.3, got 'layer9'"),
        ({"weights": "IMAGENET1K_V9"}, f"weights must be a file or one of IMAGENET1K_V1, the official ones of {SMALL}"),
        ({"engine": "opencv"}, f"engine must be auto or torch for the torchvision model {SMALL}, got 'opencv'"),
        ({"provider": "coreml"}, "provider must be one of cpu, cuda for a torchvision model, got 'coreml'"),
        ({"channel_order": "gray", "mean": 0, "scale": 1}, "channel_order must be one of 3 channels"),
        ({"size": 300, "shorter_side": 299}, "shorter_side must be at least the size, 300x300, got 299"),
    ):
        with pytest.raises(ValueError, match=message):
            CnnEncoder(**{"network": SMALL, "weights": weights, **parameters}).fit([color()])
    with pytest.raises(FileNotFoundError):
        CnnEncoder(SMALL, weights=tmp_path / "none.pth").fit([color()])
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="provider must be cpu where Torch finds no CUDA device, got 'cuda'"):
            CnnEncoder(SMALL, weights=weights, provider="cuda").fit([color()])
    torch.save(random_model("shufflenet_v2_x0_5").state_dict(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"layer must be one with values for each image, got 'stage2\.1\.chunk'"):
        CnnEncoder("shufflenet_v2_x0_5", weights=tmp_path / "w.pth", layer="stage2.1.chunk", size=64).fit([color()])
    network = open_network(SMALL, weights=weights)
    with pytest.raises(NetworkError, match=r"small\.pth: torch cannot run it: .*expected input.* to have 3 channels"):
        network.run(np.zeros((1, 4, 64, 64), np.float32), "classifier.1")


def test_the_same_for_any_number_of_workers(weights: Path, images: list[Path]) -> None:
    before = torch.get_num_threads()
    encoder = CnnEncoder(SMALL, weights=weights, size=64).fit(images)
    expected = encoder.transform(images)
    assert torch.get_num_threads() == before
    np.testing.assert_array_equal(encoder.transform(images), expected)
    for batch_size in (1, 2):
        encoder.set_params(batch_size=batch_size)
        alone, together = (encoder.set_params(n_jobs=n_jobs).transform(images) for n_jobs in (1, 2))
        np.testing.assert_array_equal(together, alone)
        np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, rtol=1e-5)
    assert torch.get_num_threads() == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(images), alone)
    assert clone(encoder).get_params() == encoder.get_params()


def test_in_a_grid_search(weights: Path, tmp_path: Path) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    pipeline = Pipeline([("cnn", CnnEncoder(SMALL, weights=weights, size=64)), ("svm", LinearSVC())])
    search = GridSearchCV(pipeline, {"cnn__layer": ["features.0", "classifier.1"]}, cv=2, error_score="raise")
    search.fit(images.paths, images.labels)
    assert search.best_score_ > 0.5
    assert len(set(search.cv_results_["mean_test_score"])) == 2 or search.best_score_ == 1


def test_a_model_knows_its_weights(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    own = tmp_path / "own.pth"
    own.write_bytes(weights.read_bytes())
    encoder = CnnEncoder(SMALL, weights=own, size=64, batch_size=4)
    model = ImageClassifier(encoder, "linear-svm").fit(images.paths, images.labels)
    expected = model.predict_proba(images.paths)
    digest = model.save(tmp_path / "m.cvbow")
    loaded = ImageClassifier.load(tmp_path / "m.cvbow")
    np.testing.assert_array_equal(loaded.predict_proba(images.paths), expected)
    assert loaded.save(tmp_path / "again.cvbow") == digest
    (tmp_path / "elsewhere").mkdir()
    own.rename(tmp_path / "elsewhere" / "own.pth")
    with pytest.raises(NetworkError, match="the network is not there; CVBOW_NETWORKS may name a folder"):
        loaded.predict(images.paths[:1])
    monkeypatch.setenv("CVBOW_NETWORKS", str(tmp_path / "elsewhere"))
    np.testing.assert_array_equal(loaded.predict_proba(images.paths), expected)
    torch.save(random_model(SMALL, seed=1).state_dict(), tmp_path / "elsewhere" / "own.pth")
    with pytest.raises(NetworkError, match="not the network that the model was trained with: its SHA-256 is"):
        loaded.predict(images.paths[:1])


def test_contenders_by_their_texts(weights: Path) -> None:
    contender = parse_contender(f"{SMALL}@{weights}")
    assert (contender.name, contender.as_dict()["parts"]) == (f"{SMALL}@small", [f"{SMALL}@small.pth"])
    backend = contender.backend()
    assert isinstance(backend, CnnEncoder)
    assert (backend.network, backend.weights) == (SMALL, str(weights))
    official = parse_contender("pixels+resnet50")
    assert (official.name, official.parts) == ("pixels+resnet50", ("pixels", "resnet50"))
    assert official.backend().channels[1][1].weights is None
    with pytest.raises(FileNotFoundError):
        parse_contender(f"{SMALL}@none.pth")
    with pytest.raises(ValueError, match=r"a torchvision model such as resnet50 or .*; got 'resnet51@small\.pth'"):
        parse_contender("resnet51@small.pth")


def test_compare(weights: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.pth"
    own.write_bytes(weights.read_bytes())
    facts = 'size = 48\nchannel_order = "rgb"\nmean = 128\nscale = 0.02\nlayer = "features.0"\n'
    own.with_suffix(".toml").write_text(facts)
    data = write_dataset(tmp_path / "tiny", per_class=5)
    result = run("compare", data, "-w", f"net={SMALL}@{own}", "--json", "--classifier", "linear-svm")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["contenders"]
    assert (row["name"], row["parts"]) == ("net", [f"{SMALL}@own.pth"])
    assert row["accuracy"]["mean"] > 1 / 3
    assert row["cost"]["model_bytes"] > own.stat().st_size, "the network is part of what a user must have"


class _Server:
    """Files of a folder by HTTP on this machine, and how often each was asked for."""

    def __init__(self, folder: Path) -> None:
        requests = self.requests = list[str]()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None:
                requests.append(self.path)

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
        )
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server(folder: Path) -> Iterator[_Server]:
    server = _Server(folder)
    yield server
    server.stop()


@pytest.fixture
def official(folder: Path, weights: Path, server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The entry of the small network's official weights, which come from the server instead of the internet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    content = weights.read_bytes()
    name = f"small-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    entry = models.get_model_weights(SMALL).DEFAULT
    monkeypatch.setattr(entry.value, "url", f"{server.url}/{name}")
    return entry


def test_official_weights_are_fetched_once(
    official: Any, server: _Server, weights: Path, images: list[Path], tmp_path: Path
) -> None:
    encoder = CnnEncoder(SMALL).fit(images)
    cached = tmp_path / "torch" / "hub" / "checkpoints" / official.url.rpartition("/")[2]
    assert cached.read_bytes() == weights.read_bytes()
    assert len(server.requests) == 1
    expected = CnnEncoder(SMALL, weights=weights).fit(images)
    assert encoder.network_hash_ == expected.network_hash_
    np.testing.assert_array_equal(encoder.transform(images), expected.transform(images))
    torchvision_models._opened.cache_clear()
    assert CnnEncoder(SMALL, weights="IMAGENET1K_V1").fit(images).network_hash_ == encoder.network_hash_
    assert len(server.requests) == 1, "what is there was fetched again"
    # A model file leads to the same weights, and refuses others.
    model = ImageClassifier(CnnEncoder(SMALL), "linear-svm").fit(images[:4], ["a", "a", "b", "b"])
    model.save(tmp_path / "m.cvbow")
    torchvision_models._opened.cache_clear()
    loaded = ImageClassifier.load(tmp_path / "m.cvbow")
    np.testing.assert_array_equal(loaded.predict_proba(images), model.predict_proba(images))


def test_official_weights_have_names_of_classes(official: Any, images: list[Path], weights: Path) -> None:
    result = run("predict", "--network", SMALL, *images, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    preset = official.transforms()
    model = random_model(SMALL)
    with torch.inference_mode():
        scores = model(torch.stack([preset(Image.open(path)) for path in images])).softmax(dim=1).numpy()
    names = np.array(official.meta["categories"])
    for row, values in zip(rows, scores, strict=True):
        assert len(row["scores"]) == 5
        best = np.argsort(-values)[:5]
        # Two of torchvision's names stand for two classes each, and then have a number behind them.
        assert [label.split(" (")[0] for label in row["scores"]] == names[best].tolist()
        np.testing.assert_allclose(list(row["scores"].values()), values[best], rtol=1e-4)
    # The same file elsewhere is known by its SHA-256.
    again = run("predict", "--network", SMALL, "--weights", weights, *images, "--json")
    assert json.loads(again.stdout) == rows


def test_what_may_be_wrong_with_official_weights(
    official: Any, server: _Server, folder: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = official.url
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    wrong = folder / "small-0123abcd.pth"
    wrong.write_bytes(weights.read_bytes())
    monkeypatch.setattr(official.value, "url", f"{server.url}/{wrong.name}")
    with pytest.raises(NetworkError, match="the weights that were fetched are damaged: invalid hash value"):
        CnnEncoder(SMALL).fit([color()])
    assert list(cache.iterdir()) == [], "a file with another hash must not stay"
    monkeypatch.setattr(official.value, "url", f"{server.url}/none-0123abcd.pth")
    with pytest.raises(NetworkError, match="the weights cannot be fetched: 404 File not found"):
        CnnEncoder(SMALL).fit([color()])
    monkeypatch.setattr(official.value, "url", right)
    damaged = cache / right.rpartition("/")[2]
    damaged.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(NetworkError, match=r"damaged: its SHA-256 is not the one in its name; delete it to fetch it"):
        CnnEncoder(SMALL).fit([color()])
    damaged.unlink()
    monkeypatch.setattr(official.value, "url", "http://127.0.0.1:1/small-0123abcd.pth")
    with pytest.raises(NetworkError, match="the weights cannot be fetched: ") as caught:
        CnnEncoder(SMALL).fit([color()])
    assert "\n" not in str(caught.value)


def test_predict_tells_mistakes_in_one_line(weights: Path, images: list[Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(weights.read_bytes()[:1000])
    labels = tmp_path / "few.txt"
    labels.write_text("cat\ndog\n")
    other = random_model(SMALL, seed=3).state_dict()
    torch.save(other, tmp_path / "other.pth")
    for arguments, code, expected in (
        (("--network", "resnet51"), 2, "network must be a file, or one of torchvision's models: alexnet"),
        (("--network", "resnet18", "--weights", weights, "--labels", labels), 1, "not the weights of resnet18: "),
        (("--network", SMALL, "--weights", damaged), 1, "damaged.pth: not a file of weights"),
        (("--network", SMALL, "--weights", tmp_path / "none.pth"), 1, "none.pth: there is no such file"),
        (("--network", SMALL, "--weights", tmp_path / "other.pth"), 2, "labels must be given, as "),
        (
            ("--network", SMALL, "--weights", weights, "--labels", labels),
            2,
            "outputs are classifier.3 1000; got 2 labels",
        ),
        (("--network", SMALL, "--weights", weights, "--labels", labels, "--layer", "fc9"), 2, "layer must be one of"),
        (("--weights", weights), 2, "--weights needs --network NAME"),
    ):
        result = run("predict", *arguments, *images[:2])
        assert result.exit_code == code, (arguments, result.output)
        assert expected in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
