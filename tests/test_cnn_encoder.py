"""Vectors from a network: against a plain NumPy convolution, on both engines, and what is refused."""

from __future__ import annotations

import importlib.util
import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion
from synthetic import textured
from tiny_images import write_dataset
from tiny_network import filters, tiny_network

from cvbow import ImageClassifier, list_images
from cvbow.backends import CensusPyramid, CnnEncoder
from cvbow.errors import ImageError, NetworkError
from cvbow.images import content_hash, read_image, resize
from cvbow.networks import OnnxNetwork, Preprocessing, find_preprocessing, open_network

HAS_RUNTIME = importlib.util.find_spec("onnxruntime") is not None
ENGINES = [
    "opencv",
    pytest.param("onnxruntime", marks=pytest.mark.skipif(not HAS_RUNTIME, reason="needs the extra onnx")),
]
FACTS: dict[str, Any] = {"size": 12, "channel_order": "rgb", "mean": (100, 110, 120), "scale": (0.01, 0.02, 0.03)}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    return path


def color(height: int = 20, width: int = 30, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack([textured(height, width, seed + channel) for channel in range(3)], axis=2)


def relu_of(image: NDArray[np.uint8], *, order: str = "rgb") -> NDArray[np.float64]:
    """The rectified convolution, (5, 10, 10), as plainly as it can be written."""
    pixels = resize(image, (12, 12)).astype(np.float64)
    if order == "bgr":
        pixels = pixels[..., ::-1]
    planes = ((pixels - FACTS["mean"]) * FACTS["scale"]).transpose(2, 0, 1)
    out = np.zeros((5, 10, 10))
    for row in range(10):
        for column in range(10):
            out[:, row, column] = (filters() * planes[:, row : row + 3, column : column + 3]).sum(axis=(1, 2, 3))
    return np.maximum(out, 0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [1, 0], ids=["fixed at one image", "any number"])
def test_values_of_layers_against_plain_numpy(tmp_path: Path, engine: str, batch: int) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network(batch=batch))
    image = color()
    expected = relu_of(image)
    cases = {
        ("features", "average"): expected.mean(axis=(1, 2)),
        ("mean", "none"): expected.mean(axis=(1, 2)),
        ("relu", "average"): expected.mean(axis=(1, 2)),
        ("relu", "max"): expected.max(axis=(1, 2)),
        ("relu", "none"): expected.ravel(),
        ("prob", "none"): np.exp(expected.mean(axis=(1, 2))) / np.exp(expected.mean(axis=(1, 2))).sum(),
    }
    for (layer, pooling), values in cases.items():
        for normalization in ("none", "l2"):
            encoder = CnnEncoder(
                path, layer=layer, pooling=pooling, normalization=normalization, engine=engine, **FACTS
            ).fit([image])
            (vector,) = encoder.transform([image])
            assert vector.dtype == np.float32
            assert len(vector) == encoder.vector_length == len(values)
            length = np.linalg.norm(values) if normalization == "l2" else 1
            np.testing.assert_allclose(vector, values / length, rtol=1e-4, atol=1e-5)
    bgr = CnnEncoder(path, layer="features", normalization="none", engine=engine, **{**FACTS, "channel_order": "bgr"})
    values = relu_of(image, order="bgr").mean(axis=(1, 2))
    np.testing.assert_allclose(bgr.fit([image]).transform([image])[0], values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_is_its_images(tmp_path: Path, engine: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, 3, 12, 12)).astype(np.float32)
    for batch in (0, 1):
        path = tmp_path / f"{batch}.onnx"
        path.write_bytes(tiny_network(batch=batch))
        opened = open_network(path, engine=engine)
        together = opened.run(images, "relu")
        assert together.shape == (5, 5, 10, 10)
        for one, expected in zip(images, together, strict=True):
            np.testing.assert_allclose(opened.run(one[None], "relu")[0], expected, rtol=1e-5, atol=1e-6)


def test_gray_images_have_three_equal_channels(network: Path) -> None:
    gray = textured(20, 30)
    encoder = CnnEncoder(network, layer="relu", engine="opencv", **FACTS).fit([gray])
    np.testing.assert_array_equal(encoder.transform([gray]), encoder.transform([np.stack([gray] * 3, axis=2)]))


def test_a_gray_network(tmp_path: Path) -> None:
    path = tmp_path / "gray.onnx"
    path.write_bytes(tiny_network(n_channels=1))
    encoder = CnnEncoder(path, layer="features", size=12, channel_order="gray", mean=0, scale=1, engine="opencv")
    encoder.fit([textured(9, 9)])
    assert encoder.gray_only
    assert encoder.transform([color(), textured(9, 9)]).shape == (2, 5)


def test_preparing_an_image() -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, :5], image[:, 15:] = 200, 100
    image[..., 0] //= 2
    facts = Preprocessing((10, 10), "bgr", (1, 2, 3), (1, 10, 100), resize="crop")
    cropped = facts.prepare(image)
    # Only the middle ten columns stay; channels come blue, green, red.
    np.testing.assert_array_equal(cropped, np.array([-1, -20, -300])[:, None, None] * np.ones((3, 10, 10)))
    stretched = Preprocessing((10, 10), "bgr", (1, 2, 3), (1, 10, 100)).prepare(image)
    np.testing.assert_array_equal(stretched[:, 4, 0], [199, 1980, 9700])
    np.testing.assert_array_equal(stretched[:, 4, 9], [99, 980, 4700])
    assert stretched.dtype == np.float32


@pytest.mark.parametrize("shape", [(90, 131), (131, 90), (64, 64), (20, 21)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_middle_of_a_larger_side_by_pillow(shape: tuple[int, int], interpolation: str) -> None:
    image = color(*shape)
    facts = Preprocessing((48, 48), "rgb", (0, 0, 0), (1, 1, 1), "crop", shorter_side=55, interpolation=interpolation)
    # torchvision: the other side is cut to an integer, and the offset rounded.
    width, height = (55 * side // min(shape) for side in shape[::-1])
    method = Image.Resampling.BILINEAR if interpolation == "bilinear" else Image.Resampling.BICUBIC
    scaled = np.asarray(Image.fromarray(image).resize((width, height), method))
    top, left = round((height - 48) / 2), round((width - 48) / 2)
    np.testing.assert_array_equal(
        facts.prepare(image), scaled[top : top + 48, left : left + 48].transpose(2, 0, 1).astype(np.float32)
    )
    # A gray image is three equal channels, and what is not said is said nowhere.
    np.testing.assert_array_equal(facts.prepare(image[..., 0])[0], facts.prepare(image)[0])
    assert "shorter_side" not in Preprocessing((48, 48), "rgb", (0, 0, 0), (1, 1, 1)).as_dict()


def test_what_the_file_beside_the_network_says(network: Path) -> None:
    network.with_suffix(".toml").write_text(
        'size = [12, 12]\nchannel_order = "bgr"\nmean = [1, 2, 3]\nscale = 0.5\nlayer = "relu"\nresize = "crop"\n'
    )
    encoder = CnnEncoder(network, engine="opencv").fit([color()])
    assert encoder.layer_ == "relu"
    assert encoder.preprocessing_ == {
        "size": [12, 12],
        "channel_order": "bgr",
        "mean": [1.0, 2.0, 3.0],
        "scale": [0.5, 0.5, 0.5],
        "resize": "crop",
    }
    network.with_suffix(".toml").write_text(network.with_suffix(".toml").read_text() + "shorter_side = 14\n")
    assert CnnEncoder(network, engine="opencv").fit([color()]).preprocessing_["shorter_side"] == 14
    own = CnnEncoder(network, layer="features", mean=7, resize="stretch", engine="opencv").fit([color()])
    assert own.layer_ == "features"
    assert own.preprocessing_["mean"] == [7.0, 7.0, 7.0]
    assert own.preprocessing_["resize"] == "stretch"
    assert own.preprocessing_["scale"] == [0.5, 0.5, 0.5]
    network.with_suffix(".toml").write_text("size = 12\nmaen = 3\n")
    with pytest.raises(ValueError, match=r"tiny\.toml: unknown key maen; the keys here are size"):
        CnnEncoder(network, engine="opencv").fit([color()])


def test_nothing_is_guessed(network: Path) -> None:
    with pytest.raises(ValueError, match=r"size, channel_order, mean, scale must be given, .* tiny\.toml beside it"):
        CnnEncoder(network, layer="features").fit([color()])
    with pytest.raises(ValueError, match="not known: mean, scale must be given"):
        CnnEncoder(network, layer="features", size=12, channel_order="rgb").fit([color()])
    with pytest.raises(ValueError, match=r"layer must be given, .* choose among prob, features, conv, relu, mean"):
        CnnEncoder(network, **FACTS).fit([color()])


def test_the_networks_that_are_known_by_their_hash() -> None:
    folder = Path(__file__).resolve().parents[1] / "data" / "networks"
    files = sorted(folder.glob("*.toml"))
    assert len(files) == 2
    for file in files:
        digest = tomllib.loads(file.read_text(encoding="utf-8"))["sha256"]
        facts = find_preprocessing(Path("elsewhere.onnx"), digest, {})
        assert facts.size == (224, 224)
        assert facts.layer == "features"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "fire9"}, "layer must be one of prob, features, conv, relu, mean, got 'fire9'"),
        ({"layer": 3}, "layer must be a name or None, got 3"),
        ({"pooling": "sum"}, "pooling must be one of average, max, none, got 'sum'"),
        ({"normalization": "l1"}, "normalization must be one of l2, none, got 'l1'"),
        ({"engine": "tf"}, "engine must be one of auto, opencv, onnxruntime, torch, got 'tf'"),
        ({"engine": "torch"}, "engine must be one of auto, opencv, onnxruntime for an ONNX file, got 'torch'"),
        ({"weights": "a.pth"}, "weights go with the name of a torchvision model, got 'a.pth' with .*tiny.onnx"),
        ({"weights": 3}, "weights must be a path, a name or None, got 3"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"resize": "crop", "shorter_side": 11}, "shorter_side must be at least the size, 12x12, got 11"),
        ({"shorter_side": 20}, "shorter_side goes with the resize crop, got 20 with 'stretch'"),
        ({"interpolation": "area"}, "interpolation must be one of bilinear, bicubic, got 'area'"),
        ({"provider": "gpu"}, "provider must be one of cpu, cuda, .*, got 'gpu'"),
        ({"provider": "cuda", "engine": "opencv"}, "provider must be cpu with the engine opencv, got 'cuda'"),
        ({"network": 3}, "network must be the path of an ONNX file or a torchvision model's name, got 3"),
        ({"size": 13}, "size must be 12x12, the network's input, got 13x13"),
        ({"size": (12, 12, 3)}, r"size must be a width and a height, got \(12, 12, 3\)"),
        ({"size": 0}, "size must be an integer >= 1, got 0"),
        ({"channel_order": "gray", "mean": 0, "scale": 1}, "channel_order must be one of 3 channels"),
        ({"channel_order": "hsv"}, "channel_order must be one of rgb, bgr, gray, got 'hsv'"),
        ({"mean": (1, 2)}, r"mean must be 3 numbers, one for a channel, got \(1.0, 2.0\)"),
        ({"scale": float("nan")}, "scale must be 3 numbers"),
        ({"mean": "low"}, "mean must be a number, or one for each channel, got 'low'"),
        ({"resize": "pad"}, "resize must be one of stretch, crop, got 'pad'"),
    ],
)
def test_a_wrong_parameter_is_named(network: Path, changes: dict[str, Any], message: str) -> None:
    parameters = {"network": network, "layer": "features", "engine": "opencv", **FACTS, **changes}
    with pytest.raises(ValueError, match=message):
        CnnEncoder(**parameters).fit([color()])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a network", "not an ONNX network"),
        (b"", "not an ONNX network"),
        (tiny_network()[:-200], "not an ONNX network|cannot read it|its input must be"),
        (tiny_network(n_channels=4), r"its input must be one image as .*; it is image \(1, 4, 12, 12\)"),
        (tiny_network(inputs=2), r"its input must be one image"),
        (tiny_network(kind="bfloat16"), "of numbers; it is image .* of another type"),
    ],
    ids=["text", "empty", "truncated", "four channels", "two inputs", "bfloat16"],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, engine: str, content: bytes, message: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=message) as caught:
        CnnEncoder(path, layer="features", engine=engine, **FACTS).fit([color()])
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        CnnEncoder(tmp_path / "none.onnx", layer="features", engine=engine, **FACTS).fit([color()])


# Weights in a file of their own.


def weights_of(seed: int) -> bytes:
    return filters(seed=seed).tobytes()


def external(path: Path, location: str = "net.data", *, offset: int = 8, length: int | None = None) -> Path:
    size = len(weights_of(0)) if length is None else length
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(tiny_network(external={"location": location, "offset": str(offset), "length": str(size)}))
    return path


def features_of(path: Path, engine: str) -> NDArray[np.float32]:
    (vector,) = CnnEncoder(path, layer="mean", normalization="none", engine=engine, **FACTS).fit_transform([color()])
    return vector


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_in_another_file_are_read_beside_the_network(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = external(tmp_path / "there" / "net.onnx")
    (path.parent / "net.data").write_bytes(bytes(8) + weights_of(0) + b"more")
    here = tmp_path / "here"
    here.mkdir()
    (here / "net.data").write_bytes(bytes(8) + weights_of(1))
    monkeypatch.chdir(here)
    expected = relu_of(color()).mean(axis=(1, 2))
    np.testing.assert_allclose(features_of(path, engine), expected, rtol=1e-5)
    (here / "link.onnx").symlink_to(path)
    (here / "net.data").unlink()
    np.testing.assert_allclose(features_of(Path("link.onnx"), engine), expected, rtol=1e-5)
    assert set(open_network(path, engine=engine).files) == {path, path.parent / "net.data"}


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_in_another_file_are_part_of_the_hash(tmp_path: Path, engine: str) -> None:
    path = external(tmp_path / "net.onnx")
    data = tmp_path / "net.data"
    data.write_bytes(bytes(8) + weights_of(0))
    encoder = CnnEncoder(path, layer="mean", engine=engine, **FACTS).fit([color()])
    before = encoder.transform([color()])
    data.write_bytes(b"anything" + weights_of(0))  # no part of the weights
    np.testing.assert_array_equal(encoder.transform([color()]), before)
    data.write_bytes(bytes(8) + weights_of(1) + b".")
    with pytest.raises(NetworkError, match="not the network that the model was trained with"):
        encoder.transform([color()])
    # A network in one file has the hash of the file.
    path.write_bytes(tiny_network())
    assert open_network(path, engine=engine).digest == content_hash(path)


@pytest.mark.parametrize(
    ("location", "offset", "length", "message"),
    [
        ("none.data", 0, None, "its weights lie in another file, which must be beside it: none.data is not there"),
        ("../net.data", 0, None, "its weights lie outside its folder"),
        ("/etc/hostname", 0, None, "its weights lie outside its folder"),
        ("C:\\net.data", 0, None, "its weights lie outside its folder"),
        ("", 0, None, "its weights lie outside its folder"),
        ("net.data", 9, None, "net.data ends before the values of weights, at 548 bytes"),
        ("net.data", 0, 544, "net.data has 544 bytes for weights, which needs 540"),
        ("net.data", -1, None, "a place that is no number"),
    ],
)
def test_weights_that_are_not_beside_the_network_or_too_few(
    tmp_path: Path, location: str, offset: int, length: int | None, message: str
) -> None:
    path = external(tmp_path / "set" / "net.onnx", location, offset=offset, length=length)
    for folder in (tmp_path, path.parent):
        (folder / "net.data").write_bytes(bytes(8) + weights_of(0))
    with pytest.raises(NetworkError, match=message):
        open_network(path, engine="opencv")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["float32", "float16", "float64", "uint8"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_inputs_are_given_as_the_network_declares_them(
    tmp_path: Path, engine: str, kind: str, channels_last: bool
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_network(kind=kind, channels_last=channels_last, batch=0))
    images = [color(), color(seed=5)]
    facts: dict[str, Any] = {"size": 12, "channel_order": "bgr", "mean": 0, "scale": 1}
    vectors = CnnEncoder(path, layer="relu", normalization="none", engine=engine, **facts).fit_transform(images)
    plain = tmp_path / "plain.onnx"
    plain.write_bytes(tiny_network(batch=0))
    expected = CnnEncoder(plain, layer="relu", normalization="none", engine=engine, **facts).fit_transform(images)
    np.testing.assert_allclose(vectors, expected, rtol=1e-6, atol=1 if kind == "float16" else 0)


def test_values_that_a_network_of_integers_cannot_take(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_network(kind="uint8"))
    with pytest.raises(ValueError, match=r"mean and scale must leave values of uint8, .* got values from -3\.6 to -1"):
        CnnEncoder(path, layer="relu", engine="opencv", **FACTS).fit([color()])


def test_an_engine_that_is_not_installed(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'cvbow\[onnx\]'"):
        CnnEncoder(network, layer="features", engine="onnxruntime", **FACTS).fit([color()])
    assert CnnEncoder(network, layer="features", **FACTS).fit([color()]).transform([color()]).shape == (1, 5)
    with pytest.raises(
        ImportError, match=r"the torchvision model resnet50 needs the extra: pip install 'cvbow\[torch\]'"
    ):
        CnnEncoder("resnet50").fit([color()])
    with pytest.raises(ImportError, match=r"resnet18 is no file, and a torchvision model needs the extra: pip install"):
        CnnEncoder("resnet18").fit([color()])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_for_any_number_of_workers(network: Path, engine: str) -> None:
    images = [color(seed=seed) for seed in range(12)]
    encoder = CnnEncoder(network, layer="relu", pooling="none", engine=engine, **FACTS).fit(images)
    expected = encoder.transform(images)
    for n_jobs in (1, 3):
        np.testing.assert_array_equal(encoder.set_params(n_jobs=n_jobs).transform(images), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(images), expected)
    copy = clone(encoder)
    with pytest.raises(NotFittedError):
        copy.transform(images)
    assert copy.get_params() == encoder.get_params()


def test_a_black_image_and_a_zero_vector(network: Path) -> None:
    encoder = CnnEncoder(network, layer="relu", size=12, channel_order="rgb", mean=0, scale=1, engine="opencv")
    (vector,) = encoder.fit([color()]).transform([np.zeros((9, 9), np.uint8)])
    np.testing.assert_array_equal(vector, np.zeros(5))


def test_a_model_knows_its_network(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    encoder = CnnEncoder(network, layer="relu", pooling="none", engine="opencv", **FACTS)
    model = ImageClassifier(encoder, "linear-svm").fit(images.paths, images.labels)
    assert model.backend_.network_hash_ == content_hash(network)
    expected = model.predict_proba(images.paths)
    digest = model.save(tmp_path / "m.cvbow")
    loaded = ImageClassifier.load(tmp_path / "m.cvbow")
    np.testing.assert_array_equal(loaded.predict_proba(images.paths), expected)
    assert loaded.save(tmp_path / "again.cvbow") == digest
    # Another network in its place is refused; the right one is found in a folder that is named.
    elsewhere = tmp_path / "networks"
    elsewhere.mkdir()
    network.rename(elsewhere / network.name)
    with pytest.raises(NetworkError, match="the network is not there; CVBOW_NETWORKS may name a folder"):
        loaded.predict(images.paths[:1])
    monkeypatch.setenv("CVBOW_NETWORKS", str(elsewhere))
    np.testing.assert_array_equal(loaded.predict_proba(images.paths), expected)
    network.write_bytes(tiny_network(seed=1))
    with pytest.raises(NetworkError, match="not the network that the model was trained with: its SHA-256 is"):
        loaded.predict(images.paths[:1])


def test_vectors_are_cached(network: Path, tmp_path: Path) -> None:
    images = list_images(write_dataset(tmp_path / "tiny")).paths
    encoder = CnnEncoder(network, layer="features", engine="opencv", memory=tmp_path / "cache", **FACTS).fit(images)
    expected = encoder.transform(images)
    entries = sum(1 for _ in (tmp_path / "cache").rglob("output.pkl"))
    assert entries == len(images)
    np.testing.assert_array_equal(encoder.transform(images), expected)
    assert sum(1 for _ in (tmp_path / "cache").rglob("output.pkl")) == entries


@pytest.mark.parametrize("batch", [0, 1], ids=["any number", "fixed at one image"])
def test_batches(tmp_path: Path, batch: int) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network(batch=batch))
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"not an image")
    black = np.zeros((9, 9), np.uint8)
    images: list[Any] = [color(seed=0), damaged, color(seed=1), black, color(seed=2), "none.png", color(seed=3)]
    plain = {**FACTS, "mean": 0}
    encoder = CnnEncoder(path, layer="relu", engine="opencv", memory=tmp_path / "cache", **plain).fit(images)
    expected = encoder.set_params(memory=None).encode_images(images)
    assert expected.rows.tolist() == [0, 2, 3, 4, 6]
    assert not expected.vectors[2].any()
    for batch_size in (2, 3, 4, 100):
        for n_jobs in (1, 2):
            found = encoder.set_params(batch_size=batch_size, n_jobs=n_jobs).encode_images(images)
            np.testing.assert_allclose(found.vectors, expected.vectors, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(found.rows, expected.rows)
            assert [str(error) for error in found.skipped] == [str(error) for error in expected.skipped]
            assert [str(error) for error in found.doubtful] == [str(error) for error in expected.doubtful]
            np.testing.assert_array_equal(found.vectors, encoder.set_params(n_jobs=1).encode_images(images).vectors)
    with pytest.raises(ImageError, match=r"damaged\.png"):
        encoder.transform(images)
    assert encoder.encode_images([]).vectors.shape == (0, 5)


def test_batches_and_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network(batch=0))
    images = [color(seed=seed) for seed in range(7)]
    sizes: list[int] = []
    whole = OnnxNetwork.run

    def counted(self: OnnxNetwork, batch: NDArray[np.float32], layer: str) -> NDArray[np.float32]:
        sizes.append(len(batch))
        return whole(self, batch, layer)

    encoder = CnnEncoder(path, layer="relu", engine="opencv", batch_size=3, **FACTS).fit(images)
    expected = encoder.encode_images([*images[:3], np.zeros((4, 4), np.uint8)])
    monkeypatch.setattr(OnnxNetwork, "run", counted)
    encoder.set_params(memory=tmp_path / "cache")
    encoder.transform([images[1], images[4]])
    assert sizes == [2]
    # What is in the cache is left out of the batches.
    found = encoder.transform(images)
    assert sizes == [2, 2, 2, 1]
    np.testing.assert_allclose(found, encoder.set_params(memory=None).transform(images), rtol=1e-5, atol=1e-6)
    del sizes[:]
    encoder.set_params(memory=tmp_path / "cache")
    np.testing.assert_array_equal(encoder.transform(images[::-1]), found[::-1])
    assert sizes == []
    assert sum(1 for _ in (tmp_path / "cache").rglob("output.pkl")) == len(images)
    # A doubt is remembered as well.
    for _ in range(2):
        again = encoder.encode_images([*images[:3], np.zeros((4, 4), np.uint8)])
        assert [str(error) for error in again.doubtful] == [str(error) for error in expected.doubtful]
    assert len(again.doubtful) == 1
    assert sizes == [1]


def test_beside_a_classical_backend(network: Path) -> None:
    images = [color(seed=seed) for seed in range(4)]
    cnn = CnnEncoder(network, layer="features", engine="opencv", **FACTS)
    both = FeatureUnion([("cnn", cnn), ("census", CensusPyramid(grids=("1x1",)))]).fit(images)
    assert both.transform(images).shape == (4, 5 + CensusPyramid(grids=("1x1",)).fit(images).vector_length)


@pytest.mark.skipif(not HAS_RUNTIME, reason="needs the extra onnx")
@pytest.mark.parametrize("name", ["squeezenet1.1_fp32", "mobilenet_v1_0.75_224"])
def test_both_engines_see_the_same(shared_data: Path, name: str) -> None:
    path = shared_data / "models" / f"{name}.onnx"
    images = sorted((shared_data / "scene15" / "test").glob("*/*.jpg"))[::300]
    images += sorted((shared_data / "dvd_covers" / "Reference").glob("*.jpg"))[:3]
    found = [
        CnnEncoder(path, normalization="none", engine=engine).fit(images).transform(images)
        for engine in ("opencv", "onnxruntime")
    ]
    assert np.abs(found[0] - found[1]).max() <= 1e-4
    assert found[0].std() > 0.1


def test_a_real_network_names_what_is_in_a_picture(shared_data: Path) -> None:
    labels = (shared_data / "models" / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    image = read_image(shared_data / "oxford_affine" / "bikes" / "img1.png")
    for name in ("squeezenet1.1_fp32", "mobilenet_v1_0.75_224"):
        encoder = CnnEncoder(shared_data / "models" / f"{name}.onnx", layer="prob", normalization="none")
        (scores,) = encoder.fit([image]).transform([image])
        assert scores.sum() == pytest.approx(1, abs=1e-3)
        best = [labels[row] for row in np.argsort(-scores)[:5]]
        assert any("bike" in label or "scooter" in label or "motor" in label for label in best), best


@pytest.mark.parametrize("pooling", ["average", "max", "none"])
@pytest.mark.parametrize("normalization", ["l2", "none"])
@pytest.mark.parametrize("layer", ["conv", "relu"])
def test_shares_of_places_sum_to_the_product(network: Path, layer: str, normalization: str, pooling: str) -> None:
    backend = CnnEncoder(network, layer=layer, pooling=pooling, normalization=normalization, engine="opencv", **FACTS)
    image, backend = color(), backend.fit([])
    weights = np.random.default_rng(0).normal(size=(2, backend.vector_length))
    found = backend.shares_of(image, weights)
    assert not found.left_out
    assert found.pixels is not None
    assert found.pixels.shape == (2, 20, 30)
    products = backend.encode_image(image) @ weights.T
    np.testing.assert_allclose(found.pixels.sum(axis=(1, 2)), products, rtol=1e-4, atol=1e-5)


def test_shares_lie_where_the_network_looks(network: Path) -> None:
    image = np.full((20, 40, 3), (100, 110, 120), np.uint8)
    image[4:8, 14:18] = 200
    backend = CnnEncoder(network, layer="relu", normalization="none", resize="crop", engine="opencv", **FACTS).fit([])
    found = backend.shares_of(image, np.ones((1, 5)))
    assert found.pixels is not None
    rows, columns = np.nonzero(found.pixels[0] > 0)
    # The input is the middle 20 columns; a filter sees a pixel around its own.
    assert 10 <= columns.min() <= 14
    assert 18 <= columns.max() < 25
    assert rows.max() < 14
    np.testing.assert_allclose(found.pixels[0].sum(), backend.encode_image(image).sum(), rtol=1e-4)


def test_a_layer_without_places_is_explained_by_leaving_out(network: Path) -> None:
    backend = CnnEncoder(network, layer="features", engine="opencv", **FACTS).fit([])
    found = backend.shares_of(color(), np.ones((1, 5)))
    assert found.left_out
    assert found.pixels is not None
    assert found.pixels.shape == (1, 20, 30)
    assert found.pixels.any()
