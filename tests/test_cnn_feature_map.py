"""Cells of a feature map as local features: their values, their places, what is refused, and what a model keeps."""

from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from feature_maps import FACTS, feature_map
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from synthetic import textured
from tiny_images import write_dataset
from tiny_network import filters, tiny_network

from cvbow import ImageClassifier, list_images
from cvbow.backends import BagEncoder, CnnEncoder
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import VLAD, SpatialPyramid
from cvbow.errors import NetworkError
from cvbow.features import CnnFeatureMap
from cvbow.features.cnn_feature_map import _places
from cvbow.images import content_hash, read_image, resize
from cvbow.networks import Preprocessing
from cvbow_cli.main import cli

HAS_RUNTIME = importlib.util.find_spec("onnxruntime") is not None
ENGINES = [
    "opencv",
    pytest.param("onnxruntime", marks=pytest.mark.skipif(not HAS_RUNTIME, reason="needs the extra onnx")),
]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    return path


def color(height: int = 20, width: int = 30, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack([textured(height, width, seed + channel) for channel in range(3)], axis=2)


def convolved(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The convolution of a 12 x 12 image, a row of 5 values for each of 10 x 10 places, as plainly as can be."""
    planes = ((pixels.astype(np.float64) - FACTS["mean"]) * FACTS["scale"]).transpose(2, 0, 1)
    return np.array(
        [
            (filters() * planes[:, row : row + 3, column : column + 3]).sum(axis=(1, 2, 3))
            for row in range(10)
            for column in range(10)
        ]
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_values_against_plain_numpy(engine: str) -> None:
    image = color()
    raw = convolved(resize(image, (12, 12)))
    relu = np.maximum(raw, 0)
    # Nowhere is a cell without values but among the rectified ones, and there it stays without.
    assert raw.any(axis=1).all()
    total = np.where(relu.any(axis=1), relu.sum(axis=1), 1)[:, None]
    assert not relu.any(axis=1).all()
    expected = {
        ("conv", "none"): raw,
        ("conv", "l2"): raw / np.sqrt((raw**2).sum(axis=1, keepdims=True)),
        ("conv", "root"): np.sign(raw) * np.sqrt(np.abs(raw) / np.abs(raw).sum(axis=1, keepdims=True)),
        ("relu", "none"): relu,
        ("relu", "root"): np.sqrt(relu / total),
    }
    for (layer, normalization), values in expected.items():
        extractor = feature_map(layer, normalization=normalization, engine=engine)
        features = extractor.extract(image)
        assert features.descriptors.dtype == np.float32
        assert features.descriptors.shape == (100, extractor.descriptor_size) == (100, 5)
        np.testing.assert_allclose(features.descriptors, values, rtol=1e-4, atol=1e-5)
    assert CnnFeatureMap(feature_map().network, "relu", engine=engine, **FACTS).normalization == "l2"


def test_places_by_hand() -> None:
    # 30 x 20 pixels are stretched to a map of 10 x 10: cells of 3 x 2 pixels, the first over x = 0, 1, 2 and y = 0, 1.
    points = feature_map().extract(color(20, 30)).points.reshape(10, 10, 4)
    np.testing.assert_allclose(points[..., 0], np.broadcast_to(3 * np.arange(10) + 1, (10, 10)), atol=1e-5)
    np.testing.assert_allclose(points[..., 1].T, np.broadcast_to(2 * np.arange(10) + 0.5, (10, 10)), atol=1e-5)
    np.testing.assert_allclose(points[..., 2], np.sqrt(6), rtol=1e-6)
    assert (points[..., 3] == -1).all()
    # Of 40 x 20 pixels the middle 20 x 20 are left, from x = 10: cells of 2 x 2 pixels.
    points = feature_map(resize="crop").extract(color(20, 40)).points.reshape(10, 10, 4)
    np.testing.assert_allclose(points[0, :, 0], 2 * np.arange(10) + 10.5, atol=1e-5)
    np.testing.assert_allclose(points[:, 0, 1], 2 * np.arange(10) + 0.5, atol=1e-5)
    np.testing.assert_allclose(points[..., 2], 2, rtol=1e-6)
    # And so for an image that stands upright.
    upright = feature_map(resize="crop").extract(color(40, 20)).points.reshape(10, 10, 4)
    np.testing.assert_allclose(upright[..., [1, 0]].swapaxes(0, 1), points[..., :2], atol=1e-5)


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    resize=st.sampled_from(["stretch", "crop"]),
)
def test_cells_tile_what_the_network_sees(height: int, width: int, resize: str) -> None:
    points = feature_map(resize=resize).extract(np.zeros((height, width), np.uint8)).points
    xs, ys = points[:10, 0].astype(float), points[::10, 1].astype(float)
    across, down = np.diff(xs).mean(), np.diff(ys).mean()
    edges = [xs[0] - across / 2, xs[-1] + across / 2, ys[0] - down / 2, ys[-1] + down / 2]
    side_x, side_y = (width, height) if resize == "stretch" else (min(height, width),) * 2
    # A crop begins at a whole pixel of the resized image, so that up to half of one is missing to its middle.
    slack = 1e-3 if resize == "stretch" else side_x / 12
    assert edges[1] - edges[0] == pytest.approx(side_x, abs=slack)
    assert edges[3] - edges[2] == pytest.approx(side_y, abs=slack)
    assert (edges[0] + edges[1]) / 2 == pytest.approx((width - 1) / 2, abs=slack)
    assert (edges[2] + edges[3]) / 2 == pytest.approx((height - 1) / 2, abs=slack)
    assert min(edges) >= -0.5 - 1e-3
    np.testing.assert_allclose(points[:, 2], np.sqrt(across * down), rtol=1e-3)


@pytest.mark.parametrize(
    "facts",
    [
        {"size": (12, 12)},
        {"size": (20, 9)},
        {"size": (12, 12), "resize": "crop"},
        {"size": (20, 9), "resize": "crop"},
        {"size": (12, 9), "resize": "crop", "shorter_side": 15},
        {"size": (12, 12), "resize": "crop", "shorter_side": 14, "interpolation": "bilinear"},
    ],
)
@pytest.mark.parametrize("shape", [(48, 48), (60, 97), (97, 60), (41, 200)])
def test_places_are_where_the_preprocessing_takes_the_pixels_from(
    facts: dict[str, Any], shape: tuple[int, int]
) -> None:
    done = Preprocessing(channel_order="gray", mean=(0,), scale=(1,), **facts)
    # Gray levels that say where they are: what arrives is the place that it was taken from.
    across = np.broadcast_to(np.arange(shape[1], dtype=np.uint8), shape)
    down = np.broadcast_to(np.arange(shape[0], dtype=np.uint8)[:, None], shape)
    points = _places(shape, done, done.size[1], done.size[0]).reshape(done.size[1], done.size[0], 4)
    inner = slice(2, -2)  # at the border, filters see only one side
    for image, axis in ((across, 0), (down, 1)):
        taken = done.prepare(np.ascontiguousarray(image))[0]
        np.testing.assert_allclose(points[inner, inner, axis], taken[inner, inner], atol=0.6)


@pytest.mark.parametrize("how", ["stretch", "crop"])
@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (7, 9), (240, 240)])
def test_what_is_in_the_image_is_where_the_point_is(how: str, shape: tuple[int, int]) -> None:
    extractor = feature_map("conv", resize=how, mean=0, scale=1, normalization="none")
    height, width = shape
    for row, column in ((0.3, 0.4), (0.5, 0.5), (0.7, 0.55)):
        ys, xs = np.indices(shape)
        y, x = row * (height - 1), column * (width - 1)
        side = min(height, width)
        spot = 255 * np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (2 * (side / 12) ** 2))
        features = extractor.extract(np.rint(spot).astype(np.uint8))
        energy = (features.descriptors.astype(float) ** 2).sum(axis=1)
        found = (energy[:, None] * features.points[:, :2]).sum(axis=0) / energy.sum()
        # The filters are random and the convolution is not padded: the places are right up to about a cell.
        cell = features.points[0, 2]
        assert np.abs(found - (x, y)).max() < 1.5 * cell


def test_gray_images_and_gray_networks(tmp_path: Path) -> None:
    gray = textured(20, 30)
    same = feature_map().extract(np.stack([gray] * 3, axis=2))
    np.testing.assert_array_equal(feature_map().extract(gray).descriptors, same.descriptors)
    assert not feature_map().gray_only
    path = tmp_path / "gray.onnx"
    path.write_bytes(tiny_network(n_channels=1))
    facts = {"size": 12, "mean": 100, "scale": 0.01, "engine": "opencv"}
    extractor = CnnFeatureMap(path, "relu", channel_order="gray", **facts)
    assert extractor.gray_only
    assert extractor.extract(color()).descriptors.shape == (100, 5)
    # Where the file says it, the arguments do not tell; the settled extractor does.
    path.with_suffix(".toml").write_text('size = 12\nchannel_order = "gray"\nmean = 100\nscale = 0.01\n')
    told = CnnFeatureMap(path, "relu", engine="opencv")
    assert not told.gray_only
    assert told.settled().gray_only
    np.testing.assert_array_equal(told.extract(color()).descriptors, extractor.extract(color()).descriptors)


def test_an_image_of_any_size_has_a_descriptor_for_every_place() -> None:
    for shape in ((1, 1), (1, 1, 3), (1, 300), (300, 1), (2, 3, 3)):
        for how in ("stretch", "crop"):
            features = feature_map(resize=how).extract(np.full(shape, 90, np.uint8))
            assert len(features) == 100
            assert features.image_size == (shape[1], shape[0])
            assert (features.points[:, 2] > 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "features"}, r"layer must be a feature map, .* and more than one place; 'features' has \(5,\)"),
        ({"layer": "prob"}, r"layer must be a feature map, .*; 'prob' has \(5,\)"),
        ({"layer": "mean"}, r"layer must be a feature map, .*; 'mean' has \(5, 1, 1\)"),
        ({"layer": "fire9"}, "layer must be one of prob, features, conv, relu, mean, got 'fire9'"),
        ({"layer": None}, "layer must be one of prob, features, conv, relu, mean, got None"),
        ({"network": 3}, "network must be the path of an ONNX file .*, got 3"),
        ({"preprocessing": {"size": [12, 12]}}, r"preprocessing must be a dict as settled\(\) makes it, or None, got"),
        ({"preprocessing": "bgr"}, r"preprocessing must be a dict as settled\(\) makes it, or None, got 'bgr'"),
        ({"network_hash": 3}, "network_hash must be a SHA-256 in hexadecimal or None, got 3"),
        ({"normalization": "l1"}, "normalization must be one of l2, root, none, got 'l1'"),
        ({"engine": "caffe"}, "engine must be one of auto, opencv, onnxruntime.*, got 'caffe'"),
        ({"provider": "gpu"}, "provider must be one of cpu, cuda, .*, got 'gpu'"),
        ({"size": 13}, "size must be 12x12, the network's input, got 13x13"),
        ({"resize": "pad"}, "resize must be one of stretch, crop, got 'pad'"),
        ({"mean": (1, 2)}, r"mean must be 3 numbers, one for a channel, got \(1.0, 2.0\)"),
        ({"mean": None, "scale": None}, "not known: mean, scale must be given"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    extractor = feature_map().set_params(**changes)
    encoder = BagEncoder(extractor, VLAD(KMeansDictionary(n_words=2)))
    for use in (lambda: extractor.extract(color()), extractor.settled, lambda: encoder.fit([color()])):
        with pytest.raises(ValueError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value)


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        feature_map(network_hash=None).set_params(network=tmp_path / "none.onnx").extract(color())
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"nonsense")
    with pytest.raises(NetworkError, match=r"bad\.onnx: not an ONNX network"):
        feature_map().set_params(network=path).extract(color())


def test_settled_is_what_the_files_say(network: Path) -> None:
    beside = network.with_suffix(".toml")
    beside.write_text(
        'size = 12\nchannel_order = "bgr"\nmean = [1, 2, 3]\nscale = 0.5\nlayer = "prob"\nresize = "crop"\n'
    )
    extractor = CnnFeatureMap(network, "relu", mean=9, engine="opencv")
    settled = extractor.settled()
    assert extractor.get_params()["network_hash"] is None
    changed = {
        "network_hash": content_hash(network),
        "preprocessing": {
            "size": [12, 12],
            "channel_order": "bgr",
            "mean": [9.0, 9.0, 9.0],
            "scale": [0.5, 0.5, 0.5],
            "resize": "crop",
        },
    }
    assert settled.get_params() == extractor.get_params() | changed
    expected = extractor.extract(color())
    beside.write_text("size = 11\n")
    for again in (settled, settled.settled(), clone(settled), pickle.loads(pickle.dumps(settled))):
        np.testing.assert_array_equal(again.extract(color()).descriptors, expected.descriptors)
        np.testing.assert_array_equal(again.extract(color()).points, expected.points)


def vlad(extractor: CnnFeatureMap, **parameters: Any) -> BagEncoder:
    encoder = SpatialPyramid(VLAD(KMeansDictionary(n_words=4, max_iter=5)), grids=("1x1", "2x1"))
    return BagEncoder(extractor, encoder, reduce=PCA(3, svd_solver="covariance_eigh"), sample=2000, **parameters)


def test_a_model_knows_its_network(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = list_images(write_dataset(tmp_path / "tiny"))
    facts = network.with_suffix(".toml")
    facts.write_text('size = 12\nchannel_order = "rgb"\nmean = 100\nscale = 0.02\n')
    model = ImageClassifier(vlad(CnnFeatureMap(network, "relu", engine="opencv"))).fit(images.paths, images.labels)
    assert model.score(images.paths, images.labels) >= 0.8
    assert model.backend_.extractor_.network_hash == content_hash(network)
    assert model.backend.extractor.network_hash is None
    expected = model.predict_proba(images.paths)
    digest = model.save(tmp_path / "m.cvbow")
    loaded = ImageClassifier.load(tmp_path / "m.cvbow")
    # The preprocessing is the model's, whatever becomes of the file that said it.
    facts.unlink()
    np.testing.assert_array_equal(loaded.predict_proba(images.paths), expected)
    assert loaded.save(tmp_path / "again.cvbow") == digest
    features = loaded.backend_.features(images.paths[0])
    assert features.descriptors.shape == (100, 3)
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


def test_the_same_for_any_workers(network: Path) -> None:
    images = [color(seed=seed) for seed in range(8)]
    extractor = CnnFeatureMap(network, "relu", engine="opencv", **FACTS)
    expected = vlad(extractor).fit(images).transform(images)
    assert expected.shape == (8, 4 * 3 * 3)
    for n_jobs in (1, 3):
        np.testing.assert_array_equal(vlad(extractor, n_jobs=n_jobs).fit(images).transform(images), expected)


def entries(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("output.pkl"))


def test_the_cache_knows_the_network(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = list_images(write_dataset(tmp_path / "tiny")).paths[:6]
    extractor = CnnFeatureMap(network, "relu", engine="opencv", **FACTS)
    cache = tmp_path / "cache"

    def vectors() -> NDArray[np.float32]:
        return vlad(extractor, memory=cache).fit(images).transform(images)

    first = vectors()
    np.testing.assert_array_equal(first, vlad(extractor).fit(images).transform(images))
    # A sample and a vector of each image.
    assert entries(cache) == 12
    np.testing.assert_array_equal(vectors(), first)
    assert entries(cache) == 12
    # The same network elsewhere has the same features, another one at its path has others.
    moved = network.rename(tmp_path / "moved.onnx")
    extractor = extractor.set_params(network=moved)
    np.testing.assert_array_equal(vectors(), first)
    assert entries(cache) == 12
    moved.write_bytes(tiny_network(seed=3))
    other = vectors()
    assert entries(cache) == 24
    assert np.abs(other - first).max() > 0.01
    np.testing.assert_array_equal(other, vlad(extractor).fit(images).transform(images))
    # So have another layer and another preprocessing.
    extractor = clone(extractor).set_params(resize="crop")
    vectors()
    assert entries(cache) == 36


def test_a_model_without_a_settled_extractor_answers(network: Path) -> None:
    # Models of earlier versions hold none.
    images = [color(seed=seed) for seed in range(4)]
    encoder = vlad(CnnFeatureMap(network, "relu", engine="opencv", **FACTS)).fit(images)
    expected = encoder.transform(images)
    del encoder.extractor_
    np.testing.assert_array_equal(encoder.transform(images), expected)


def test_mirrors_are_not_claimed(network: Path) -> None:
    extractor = feature_map()
    assert extractor.mirror is None
    with pytest.raises(ValueError, match="mirror=True needs an extractor that can mirror features"):
        vlad(extractor, mirror=True).fit([color()])
    # Nor would it be true: the features of the mirror are no others at mirrored places.
    image = color()
    found, mirrored = extractor.extract(image), extractor.extract(np.ascontiguousarray(image[:, ::-1]))
    backwards = mirrored.descriptors.reshape(10, 10, 5)[:, ::-1].reshape(100, 5)
    assert np.abs(backwards - found.descriptors).max() > 0.1


# The command line.


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_training_and_predicting(network: Path, tmp_path: Path) -> None:
    images = write_dataset(tmp_path / "tiny")
    network.with_suffix(".toml").write_text('size = 12\nchannel_order = "rgb"\nmean = 100\nscale = 0.02\n')
    model = tmp_path / "m.cvbow"
    settings = {"features": "cnn-feature-map", "network": network, "layer": "relu", "reduce": 4, "n_words": 8}
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    result = run("train", images, "--preset", "vlad", *options, "-o", model, "-q")
    assert result.exit_code == 0, result.output
    paths = list_images(images).paths
    result = run("predict", model, "--json", *paths)
    assert result.exit_code == 0, result.output
    right = [Path(row["path"]).parent.name == row["label"] for row in json.loads(result.stdout)]
    assert np.mean(right) >= 0.9
    told = json.loads(run("info", model, "--json").stdout)
    assert told["parameters"]["features"] == "cnn-feature-map"
    assert told["parameters"]["network"] == str(network)
    assert told["parameters"]["layer"] == "relu"
    assert not {"step", "bin_sizes", "max_side", "min_side", "root"} & set(told["parameters"])
    assert told["network_hashes"] == [content_hash(network)]
    assert content_hash(network) in run("info", model).stdout
    # To name a network is to want its features.
    result = run("train", images, "--preset", "vlad", *options[2:], "-o", tmp_path / "again.cvbow", "-q")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again.cvbow").read_bytes() == model.read_bytes()
    network.write_bytes(tiny_network(seed=1))
    result = run("predict", model, paths[0])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not the network that the model was trained with" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        (["layer=relu"], 2, "network must be the path of an ONNX file"),
        (["network=none.onnx", "layer=relu"], 1, "none.onnx"),
        (["network=NETWORK"], 2, "layer must be one of prob, features, conv, relu, mean, got None"),
        (["network=NETWORK", "layer=features"], 2, "layer must be a feature map"),
        (["network=NETWORK", "layer=relu", "mirror=true"], 2, "mirror=True needs an extractor"),
        (["network=NETWORK", "layer=relu", "max_side=100"], 2, "max_side applies only if features is"),
        (["network=NETWORK", "layer=relu", "features=sift"], 2, "network applies only if features is"),
        (["network=NETWORK", "layer=relu", "map_normalization=l3"], 2, "normalization must be one of l2, root, none"),
    ],
)
def test_settings_that_cannot_be(network: Path, tmp_path: Path, settings: list[str], code: int, message: str) -> None:
    images = write_dataset(tmp_path / "tiny")
    network.with_suffix(".toml").write_text('size = 12\nchannel_order = "rgb"\nmean = 100\nscale = 0.02\n')
    options = [part for text in settings for part in ("--set", text.replace("NETWORK", str(network)))]
    result = run("train", images, "--preset", "vlad", *options, "-o", tmp_path / "m.cvbow", "-q")
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "m.cvbow").exists()


# The networks themselves.


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("squeezenet1.1_fp32", "fire9/concat_1", (13, 512)),
        ("mobilenet_v1_0.75_224", "conv_pw_13_relu", (7, 768)),
    ],
)
def test_the_mean_of_the_cells_is_the_pooled_layer(
    shared_data: Path, name: str, layer: str, shape: tuple[int, int]
) -> None:
    path = shared_data / "models" / f"{name}.onnx"
    image = read_image(shared_data / "oxford_affine" / "bikes" / "img1.png")
    extractor = CnnFeatureMap(path, layer, normalization="none")
    features = extractor.extract(image)
    side, n_channels = shape
    assert features.descriptors.shape == (side**2, n_channels)
    assert extractor.descriptor_size == n_channels
    pooled = CnnEncoder(path, layer="features", normalization="none").fit([image]).transform([image])[0]
    np.testing.assert_allclose(features.descriptors.mean(axis=0), pooled, rtol=1e-3, atol=1e-4)
    height, width = image.shape[:2]
    np.testing.assert_allclose(features.points[:, 2], np.sqrt(height * width) / side, rtol=1e-4)


def test_a_torchvision_model(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    models = pytest.importorskip("torchvision", reason="needs the extra torch").models
    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    torch.save(models.resnet18(weights=None).state_dict(), weights)
    extractor = CnnFeatureMap("resnet18", "layer4.1.relu_1", weights=weights)
    image = color(100, 160)
    # Torchvision's preprocessing: the shorter side to 256, then the middle 224 x 224; a map of 7 x 7.
    points = extractor.extract(image).points.reshape(7, 7, 4)
    between, first = 256 * 160 // 100, round((256 * 160 // 100 - 224) / 2)
    np.testing.assert_allclose(points[0, :, 0], (first + 32 * np.arange(7) + 16) * 160 / between - 0.5, rtol=1e-5)
    np.testing.assert_allclose(points[:, 0, 1], (16 + 32 * np.arange(7) + 16) * 100 / 256 - 0.5, rtol=1e-5)
    assert len(clone(extractor).set_params(size=(320, 256), resize="stretch").extract(image)) == 80
    with pytest.raises(ValueError, match=r"layer must be a feature map, .* 'avgpool' has \(512, 1, 1\)"):
        clone(extractor).set_params(layer="avgpool").settled()
    settled = extractor.settled()
    torch.save(models.resnet18(weights=None).state_dict(), weights)
    with pytest.raises(NetworkError, match="not the network that the model was trained with"):
        settled.extract(image)
