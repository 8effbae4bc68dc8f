"""A model as one ONNX graph answers as the model does, whatever the image's size."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvbow import BagEncoder, CvbowError, ImageClassifier, explain, make_model
from cvbow.backends import ColorHistogram

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from cvbow.export import _extractors, _images, to_onnx  # noqa: E402
from cvbow.export._graph import DOMAIN, OPSET, Graph  # noqa: E402

SMALL = {"sample": 5000, "max_iter": 3, "n_words": 16}
#: Recipes, and what is changed of them, that between them have all that can be exported.
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": ("fisher", {"channels": ("local", "color"), "color__n_words": 8, "reduce": 12, "color__reduce": 8}),
    "fast": ("fast", {"channels": ("local", "color"), "color__n_words": 8}),
    "bow": ("bow", {"reduce": 16}),
    "bow-gaussian-window": ("bow", {"reduce": None, "window": "gaussian", "root": False, "grids": ("1x1", "3x2")}),
    "bow-opponent": ("bow", {"features__color": "opponent", "reduce": 16}),
    "bow-rgb": ("bow", {"features__color": "rgb", "reduce": None, "mirror": True}),
    "bow-of-halves": ("bow", {"mirror": True, "weighting": "tf-idf", "normalization": "power", "position_weight": 2.0}),
    "bow-binary": ("bow", {"weighting": "binary", "normalization": "l2", "mirror": "pairs", "min_side": 70}),
    "vlad": ("vlad", {"reduce": 12, "mirror": "pairs"}),
    "vlad-plain": ("vlad", {"reduce": 12, "power": 1.0, "classifier": "tuned-svm"}),
    "bow-chi2-map": ("bow", {"reduce": 16, "classifier": "chi2-map-svm", "sample_steps": 3}),
    "spm": ("spm", {"min_side": None}),
    "bow-intersection-mirrored": ("bow", {"reduce": 16, "classifier": "intersection-svm", "mirror": True}),
    "bow-chi2": ("bow", {"reduce": 16, "classifier": "chi2-svm"}),
    "bow-rbf": ("bow", {"reduce": 16, "classifier": "rbf-svm"}),
    "bow-logistic": ("bow", {"reduce": 16, "classifier": "logistic-regression"}),
    "bow-spherical": ("bow", {"reduce": 16, "dictionary": "spherical"}),
    "bow-mixture": ("bow", {"reduce": 16, "dictionary": "gaussian-mixture", "mirror": True}),
    "vlad-mixture": ("vlad", {"reduce": 16, "dictionary": "gaussian-mixture"}),
    "bow-approximate": ("bow", {"reduce": 16, "dictionary": "approximate-k-means"}),
    "llc": ("llc", {"reduce": 12}),
    "llc-average": ("llc", {"reduce": None, "pooling": "average", "n_nearest": 3, "grids": ("2x1",)}),
    "bow-kernel-codebook": ("bow", {"reduce": 16, "encoder": "kernel-codebook"}),
    "patches-triangle": ("patches", {"sample_images": 100, "encoder": "triangle"}),
    "patches-max": ("patches", {"sample_images": 100, "encoder": "soft-threshold", "pooling": "max"}),
    "patches": ("patches", {"sample_images": 100}),
    "patches-soft": ("patches", {"sample_images": 100, "encoder": "soft-threshold"}),
    "patches-overlapping": ("patches", {"sample_images": 100, "grids": ("3x3", "2x1"), "overlap": True}),
    "patches-gray": ("patches", {"features__color": False, "step": 3, "pooling": "average", "mirror": False}),
}


def pictures(n: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Coloured noise of three grains, in sizes that go evenly into nothing."""
    random = np.random.default_rng(seed)
    images = []
    for number in range(n):
        grain = (1, 3, 9)[number % 3]
        coarse = random.integers(0, 256, (90 // grain + 1, 120 // grain + 1, 3), np.uint8)
        height, width = random.integers(61, 90), random.integers(71, 96)
        images.append(coarse.repeat(grain, 0).repeat(grain, 1)[:height, :width].copy())
    return images


class Made(dict[str, Any]):
    """What is made of a recipe, by its name, when it is asked for."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self.make = make

    def __missing__(self, name: str) -> Any:
        self[name] = self.make(name)
        return self[name]


@pytest.fixture(scope="module")
def models() -> dict[str, ImageClassifier]:
    images, labels = pictures(18), ["fine", "middle", "coarse"] * 6

    def learn(name: str) -> ImageClassifier:
        preset, changes = RECIPES[name]
        return make_model(preset, settings={**SMALL, **changes}, n_jobs=1).fit(images, labels)

    return Made(learn)


@pytest.fixture(scope="module")
def sessions(models: dict[str, ImageClassifier]) -> dict[str, Any]:
    return Made(lambda name: session_of(to_onnx(models[name])))


@pytest.fixture(scope="module", params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> str:
    """Each recipe; the tests of one follow each other, so that one process makes its model."""
    return str(request.param)


def session_of(exported: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # threads that wait for work keep a processor busy
    return runtime.InferenceSession(exported.SerializeToString(), options)


def answers(session: Any, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": images}), strict=True))


def test_it_answers_as_the_model(models: dict[str, ImageClassifier], sessions: dict[str, Any], recipe: str) -> None:
    model = models[recipe]
    largest = 0.0
    for image in pictures(6, seed=1):
        found = answers(sessions[recipe], image[None])
        largest = max(largest, float(np.abs(found["probabilities"] - model.predict_proba([image])).max()))
        np.testing.assert_allclose(found["decisions"][0], model.decision_function([image])[0], atol=5e-3)
    # Images of 90 pixels are not shrunk: rounding is all that differs.
    assert largest < 1e-4


@pytest.mark.parametrize("name", ["auto", "bow", "patches"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (12, 200), (33, 17), (640, 30)])
def test_images_of_any_shape(
    models: dict[str, ImageClassifier], sessions: dict[str, Any], name: str, shape: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    found = answers(sessions[name], image[None])
    np.testing.assert_allclose(found["probabilities"], models[name].predict_proba([image]), atol=2e-2)


def test_its_heat_is_that_of_explain(models: dict[str, ImageClassifier], sessions: dict[str, Any], recipe: str) -> None:
    model = models[recipe]
    for image in pictures(3, seed=2):
        found = answers(sessions[recipe], image[None])
        if recipe in ("bow-chi2", "bow-rbf"):  # kernels that do not add up have none
            assert list(found) == ["probabilities", "decisions"]
            continue
        why = explain(model, image, classes=[str(model.classes_[found["probabilities"].argmax()])])
        heat = found["heat"][0]
        if recipe == "bow-binary":  # of images below 70 pixels, it is of the larger image
            assert heat.shape[0] >= 70
            assert heat.sum() == pytest.approx(why.heat.sum(), abs=1e-3)
            continue
        assert heat.shape == image.shape[:2]
        # Of patches that are the same, float32 decides whose the maximum is.
        assert np.corrcoef(heat.ravel(), why.heat.ravel())[0, 1] > (0.98 if recipe == "patches-max" else 0.999)
        assert heat.sum() == pytest.approx(found["decisions"].max() - why.bias - why.remainder, abs=1e-3)


def test_a_codebook_of_plausibilities() -> None:
    model = make_model("bow", settings={**SMALL, "encoder": "kernel-codebook"}, n_jobs=1)
    model.set_params(backend__encoder__encoder__ambiguity="kernel").fit(pictures(6), ["a", "b"] * 3)
    image = pictures(1, seed=1)[0]
    found = answers(session_of(to_onnx(model)), image[None])["probabilities"]
    np.testing.assert_allclose(found, model.predict_proba([image]), atol=1e-4)


def test_training_vectors_of_fewer_bits(models: dict[str, ImageClassifier]) -> None:
    image, model = pictures(1)[0], models["spm"]
    expected = model.predict_proba([image])
    sizes = {}
    for precision, error in (("fp32", 1e-4), ("fp16", 1e-3), ("int8", 2e-2)):
        exported = to_onnx(model, precision=precision)
        sizes[precision] = exported.ByteSize()
        np.testing.assert_allclose(answers(session_of(exported), image[None])["probabilities"], expected, atol=error)
    # Those that count for no class are left out.
    n = model.classifier_.vectors_[model.classifier_.dual_.any(axis=1)].size
    assert sizes["fp32"] - sizes["fp16"] == pytest.approx(2 * n, abs=200)


def run_part(build: Callable[[Graph], str], planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a graph that is built on the value "planes", (N, C, H, W)."""
    from onnx import TensorProto, helper

    graph = Graph()
    graph.output("out", build(graph))
    shape = [f"length_{axis}" for axis in range(4)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("planes", "out")]
    opsets = [helper.make_opsetid(*each) for each in (("", OPSET), (DOMAIN, 1))]
    made = helper.make_graph(graph.nodes, "part", values[:1], values[1:], graph.initializers)
    model = helper.make_model(made, functions=graph.functions, opset_imports=opsets, ir_version=8)
    (found,) = runtime.InferenceSession(model.SerializeToString()).run(None, {"planes": planes})
    return np.asarray(found)


def test_colours_are_those_of_opencv() -> None:
    image = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)
    # Values that lie at a border of whole numbers.
    image[0, :3] = [[0, 5, 80], [5, 5, 0], [62, 182, 30]]
    planes = image.transpose(2, 0, 1)[None].astype(np.float32)
    found = run_part(lambda graph: _images.lab(graph, "planes"), planes)
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    found = run_part(lambda graph: _images.gray(graph, "planes"), planes)
    np.testing.assert_array_equal(found[0, 0], cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def test_smoothing_rounds_as_exact_numbers_do() -> None:
    random, sigma = np.random.default_rng(0), 1.3
    steps = random.integers(0, 255 * 256 + 1, (1, 1, 90, 80)).astype(np.float32)
    kernel = cv2.getGaussianKernel(11, sigma, cv2.CV_32F).astype(np.float64)
    exact = cv2.sepFilter2D(steps[0, 0].astype(np.float64), cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    found = run_part(lambda graph: _extractors.smoothed(graph, "planes", sigma**2), steps)
    # Where the exact number is not at the very border of two steps.
    is_clear = np.abs(exact + 0.5 - np.rint(exact + 0.5)) > 1e-3
    assert is_clear.mean() > 0.99
    np.testing.assert_array_equal(found[0, 0][is_clear], np.floor(exact + 0.5)[is_clear])


def test_large_images_are_shrunk_inside(models: dict[str, ImageClassifier], sessions: dict[str, Any]) -> None:
    image = np.kron(pictures(1)[0], np.ones((11, 9, 1), np.uint8))
    found = answers(sessions["auto"], image[None])["probabilities"]
    np.testing.assert_allclose(found, models["auto"].predict_proba([image]), atol=1e-3)


@pytest.mark.parametrize("sides", [{"min_side": 100}, {"max_side": 60}])
def test_gray_comes_before_another_size(sides: dict[str, int]) -> None:
    images = pictures(6)
    settings = {**SMALL, "min_side": None, **sides}
    model = make_model("spm", settings=settings, n_jobs=1).fit(images, ["a", "b"] * 3)
    session = session_of(to_onnx(model))
    # Of the mean of colours the gray is another one in a fifth of all pixels.
    different = 0
    for image in pictures(9, seed=1):
        found, asked = answers(session, image[None])["decisions"], model.decision_function([image])
        different += abs(found[0, 1] - asked[0]) > 1e-4
    assert different <= 1


def test_several_images_at_once_and_of_a_fixed_size(models: dict[str, ImageClassifier]) -> None:
    images = np.stack([image[:60, :70] for image in pictures(3)])
    for name in ("auto", "bow-of-halves", "bow-chi2", "bow-rbf", "spm", "vlad", "patches"):
        expected = models[name].predict_proba(list(images))
        for size in (None, (60, 70)):
            found = answers(session_of(to_onnx(models[name], size=size)), images)
            np.testing.assert_allclose(found["probabilities"], expected, atol=1e-4)


def test_gray_and_plain_images(models: dict[str, ImageClassifier], sessions: dict[str, Any]) -> None:
    for image in (np.full((64, 64, 3), 255, np.uint8), np.repeat(pictures(1)[0][..., :1], 3, axis=2)):
        for name in ("auto", "fast", "vlad"):
            found = answers(sessions[name], image[None])["probabilities"]
            np.testing.assert_allclose(found, models[name].predict_proba([image]), atol=1e-3)


@pytest.mark.parametrize("preset", ["bow", "spm"])
def test_two_classes(preset: str) -> None:
    images = pictures(12)
    model = make_model(preset, settings={**SMALL, "min_side": None}, n_jobs=1).fit(
        images, ["fine", "other", "other"] * 4
    )
    found = answers(session_of(to_onnx(model)), images[0][None])
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(images[:1]), atol=1e-5)
    assert found["decisions"].shape == (1, 2)


def test_weights_of_fewer_bits(models: dict[str, ImageClassifier]) -> None:
    image = pictures(1)[0]
    expected = models["auto"].predict_proba([image])
    sizes = {}
    for precision, error in (("fp32", 1e-4), ("fp16", 1e-3), ("int8", 2e-2)):
        exported = to_onnx(models["auto"], precision=precision)
        sizes[precision] = exported.ByteSize()
        np.testing.assert_allclose(answers(session_of(exported), image[None])["probabilities"], expected, atol=error)
    n = models["auto"].classifier_.coef_.size
    assert sizes["fp32"] - sizes["fp16"] == pytest.approx(2 * n, abs=200)
    assert sizes["fp16"] - sizes["int8"] == pytest.approx(n, abs=200)
    with pytest.raises(ValueError, match="precision must be one of"):
        to_onnx(models["auto"], precision="int4")


def test_what_the_file_says(models: dict[str, ImageClassifier]) -> None:
    exported = to_onnx(models["auto"])
    said = {entry.key: json.loads(entry.value) for entry in exported.metadata_props}
    assert said["classes"] == ["coarse", "fine", "middle"]
    assert said["recipe"]["preset"] == "fisher"
    assert exported.producer_name == "cvbow"
    # Operators are ONNX's own, or functions that the file holds.
    functions = {function.name for function in exported.functions}
    assert {node.op_type for node in exported.graph.node if node.domain} == functions
    assert len(exported.graph.node) < 400
    assert len(to_onnx(models["auto"], heat=False).graph.output) == 2


def test_what_cannot_be_exported() -> None:
    images, labels = pictures(6), ["a", "b"] * 3
    unfit = ImageClassifier(ColorHistogram()).fit(images, labels)
    with pytest.raises(CvbowError, match="ColorHistogram cannot be exported; what can be is BagEncoder"):
        to_onnx(unfit)
    sift = make_model("bow", settings={"detector": "sift", "n_words": 4}, n_jobs=1).fit(images, labels)
    with pytest.raises(CvbowError, match="how many points it finds is not known before it looks"):
        to_onnx(sift)
    forest = make_model("bow", settings={**SMALL, "classifier": "decision-tree"}, n_jobs=1).fit(images, labels)
    with pytest.raises(CvbowError, match="DecisionTreeClassifier cannot be exported; what can be is LinearSVM"):
        to_onnx(forest)
    tree = {"dictionary": "vocabulary-tree", "sample": 5000, "max_iter": 3}
    with pytest.raises(CvbowError, match="the words of VocabularyTree cannot be exported, only those of KMeans"):
        to_onnx(make_model("bow", settings=tree, n_jobs=1).fit(images, labels))
    hsv = make_model("bow", settings={**SMALL, "features__color": "hsv"}, n_jobs=1).fit(images, labels)
    with pytest.raises(CvbowError, match="what can be is gray, rgb and opponent"):
        to_onnx(hsv)
    with pytest.raises(ValueError, match="size must be a height and a width"):
        to_onnx(forest, size=(3,))
    assert isinstance(forest.backend_, BagEncoder)
