"""Parts from outside the package: functions and subclasses in place of detectors, descriptors, extractors, encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from synthetic import textured
from tiny_images import TEXTURES, texture

from cvbow import storage
from cvbow.backends import BACKENDS, BagEncoder, ColorHistogram
from cvbow.classify import ImageClassifier
from cvbow.dictionary import DICTIONARIES, BinaryDictionary, KMeansDictionary
from cvbow.encoders import BagOfWords, Encoder, SpatialPyramid
from cvbow.features import (
    DESCRIPTORS,
    DETECTORS,
    EXTRACTORS,
    SIFT,
    Descriptor,
    Detections,
    Detector,
    Extractor,
    Features,
    LocalFeatures,
    make_detector,
)
from cvbow.matching import match_images
from cvbow.presets import make_model
from cvbow.retrieval import VisualWords

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def images() -> tuple[list[Pixels], list[str]]:
    rng = np.random.default_rng(5)
    labels = [name for _ in range(4) for name in TEXTURES]
    return [texture(name, size=64, rng=rng) for name in labels], labels


def every_ninth(image: Pixels) -> NDArray[np.float64]:
    """Places (n, 2) on a grid."""
    y, x = np.mgrid[4 : image.shape[0] : 9, 4 : image.shape[1] : 9]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(float)


def grays(image: Pixels, points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The gray values of 5 x 5 pixels around each point, at length 1."""
    padded = np.pad(image.astype(float), 2, mode="edge")
    x, y = np.rint(points[:, :2]).astype(int).T
    patches = np.stack([padded[y + dy, x + dx] for dy in range(5) for dx in range(5)], axis=1)
    return patches / np.linalg.norm(patches, axis=1, keepdims=True)


def corners(image: Pixels) -> tuple[Any, Any]:
    """OpenCV's keypoints and descriptors of an RGB image."""
    assert image.ndim == 3
    return cv2.SIFT_create(50).detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)


# Detections of plain points.


@pytest.mark.parametrize(
    ("found", "points"),
    [
        ([(1, 2), (3, 4)], [(1, 2, 32, -1), (3, 4, 32, -1)]),
        (np.array([[1.5, 2, 8]]), [(1.5, 2, 8, -1)]),
        (np.array([[1, 2, 8, -30.0], [1, 2, 8, 400]]), [(1, 2, 8, -1), (1, 2, 8, 40)]),
        ([], []),
        (np.zeros((0, 3)), []),
        ((cv2.KeyPoint(1, 2, 7, 90, 0.25), cv2.KeyPoint(3, 4, 9, -1, 0.5)), [(3, 4, 9, -1), (1, 2, 7, 90)]),
    ],
    ids=lambda value: str(len(value)),
)
def test_detections_of_plain_points(found: Any, points: Any) -> None:
    made = Detections.of(found)
    np.testing.assert_array_equal(made.points, np.array(points, np.float32).reshape(-1, 4))
    assert (np.diff(made.responses) <= 0).all()
    assert Detections.of(made) is made
    np.testing.assert_array_equal(Detections.of(found, limit=1).points, made.points[:1])
    np.testing.assert_array_equal(Detections.of(made, limit=1).points, made.points[:1])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "finder must return points of shape .*, got NoneType of shape"),
        (3, r"finder must return points of shape \(n, 2\), \(n, 3\) or \(n, 4\), cv2.KeyPoints or .*of shape \(\)"),
        ([1, 2], r"of shape \(2,\)"),
        ("points", "got str"),
        ([(1, 2), (3,)], "got list"),
        (np.zeros((2, 5)), r"of shape \(2, 5\)"),
        ([(np.nan, 2)], "finder must return finite points"),
        ([(1, 2, 0)], "finder must return finite points with sizes above 0"),
    ],
    ids=str,
)
def test_what_is_no_points_is_refused(found: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detections.of(found, name="finder")


# Functions.


def test_a_function_as_detector(images: tuple[list[Pixels], list[str]]) -> None:
    image = images[0][0]
    extractor = LocalFeatures(every_ninth, "rootsift")
    features = extractor.extract(image)
    np.testing.assert_array_equal(features.points[:, :2], every_ninth(image))
    assert set(map(tuple, features.points[:, 2:])) == {(32, -1)}
    # It is found where the detector of a name would be: the same points give the same descriptors.
    grid = LocalFeatures(DETECTORS["grid"](step=9, point_size=32.0), "rootsift").extract(image)
    both = [(tuple(a), tuple(b)) for a in features.points[:, :2] for b in grid.points[:, :2] if tuple(a) == tuple(b)]
    for place, _ in both[:5]:
        rows = [np.flatnonzero((one.points[:, :2] == place).all(axis=1))[0] for one in (features, grid)]
        np.testing.assert_array_equal(features.descriptors[rows[0]], grid.descriptors[rows[1]])
    # The first are the strongest, and anms spreads them.
    few = LocalFeatures(every_ninth, "rootsift", max_points=5).extract(image)
    np.testing.assert_array_equal(few.points[:, :2], every_ninth(image)[:5])
    assert len(LocalFeatures(every_ninth, "rootsift", max_points=5, selection="anms").extract(image)) == 5
    assert len(LocalFeatures(lambda image: [], "rootsift").extract(image)) == 0
    color = np.stack([image] * 3, axis=2)
    np.testing.assert_array_equal(extractor.extract(color).descriptors, features.descriptors)
    # A detector of the package inside a function stays what it is.
    kaze = make_detector("kaze")
    assert len(LocalFeatures(lambda image: kaze.detect(image), "kaze").extract(textured(90, 80)))


def test_functions_as_descriptors(images: tuple[list[Pixels], list[str]]) -> None:
    image = images[0][0]
    extractor = LocalFeatures("harris", grays, max_points=20)
    features = extractor.extract(image)
    assert (extractor.descriptor_size, extractor.is_binary, features.descriptors.dtype) == (25, False, np.float32)
    np.testing.assert_allclose(features.descriptors, grays(image, features.points), rtol=1e-6)
    assert extractor.extract(np.zeros((20, 20), np.uint8)).descriptors.shape == (0, 25)

    def bits(image: Pixels, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.packbits(grays(image, points) > 0.2, axis=1)

    binary = LocalFeatures("harris", bits)
    assert (binary.descriptor_size, binary.is_binary) == (4, True)
    assert binary.extract(image).descriptors.dtype == np.uint8


@pytest.mark.parametrize(
    ("extractor", "message"),
    [
        (
            LocalFeatures(lambda image: 3, "patch"),
            r"the detector .*<lambda> must return points of shape",
        ),
        (LocalFeatures(lambda image: [(-3, 5)], "patch"), r"inside the image of 64 x 64 pixels, got \(-3.0, 5.0\)"),
        (
            LocalFeatures("harris", lambda image, points: points[:1]),
            r"the descriptor .*<lambda> must return numbers",
        ),
        (
            LocalFeatures("harris", lambda image, points: None),
            r"a row for each of \d+ points, got object of",
        ),
        (LocalFeatures("harris", lambda image, points: points * np.nan), "must return finite descriptors, got nan"),
        (LocalFeatures(SIFT, "patch"), "detector must be one of sobel, .*, got <class"),
    ],
)
def test_wrong_answers_of_functions(
    extractor: LocalFeatures, message: str, images: tuple[list[Pixels], list[str]]
) -> None:
    with pytest.raises(ValueError, match=message):
        extractor.extract(images[0][0])


def test_functions_as_extractors(images: tuple[list[Pixels], list[str]]) -> None:
    pictures, labels = images
    words = SpatialPyramid(BagOfWords(KMeansDictionary(n_words=8)), grids=("1x1", "2x2"))
    model = ImageClassifier(BagEncoder(corners, words, sample=500, n_jobs=2)).fit(pictures, labels)
    assert model.score(pictures, labels) > 0.8
    assert model.backend_.vector_length == 5 * 8
    features = model.backend_.features(textured(90, 80))
    keypoints, descriptors = corners(np.stack([textured(90, 80)] * 3, axis=2))
    np.testing.assert_array_equal(features.points[:, :2], cv2.KeyPoint.convert(keypoints))
    np.testing.assert_array_equal(features.descriptors, descriptors)
    assert not model.backend_.transform([np.zeros((20, 20), np.uint8)]).any()
    assert isinstance(clone(model).backend.extractor, type(corners))
    found = match_images(textured(90, 80), textured(90, 80), extractor=corners)
    assert found.n_inliers > 20 if hasattr(found, "n_inliers") else found.matrix is not None
    assert VisualWords(corners, n_words=20).fit(pictures).layout()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda image: None, r"the extractor .*<lambda> must return Features or \(points, descriptors\), got NoneType"),
        (lambda image: (every_ninth(image[..., 0]), np.zeros((1, 3))), r"a row for each of 196 points, got float64 of"),
        (lambda image: ([], []), "found nothing in a test image, so that the size of its descriptors is not known"),
    ],
)
def test_wrong_answers_of_extractors(function: Any, message: str, images: tuple[list[Pixels], list[str]]) -> None:
    with pytest.raises(ValueError, match=message):
        BagEncoder(function, BagOfWords(KMeansDictionary(n_words=3))).fit(images[0])


def test_functions_are_neither_cached_nor_saved(images: tuple[list[Pixels], list[str]], tmp_path: Path) -> None:
    words = BagOfWords(KMeansDictionary(n_words=3))
    for extractor in (corners, LocalFeatures(every_ninth, "rootsift"), LocalFeatures("harris", grays)):
        with pytest.raises(ValueError, match="memory must be None where a part is a function, got one with "):
            BagEncoder(extractor, words, memory=tmp_path / "cache").fit(images[0])
        model = ImageClassifier(BagEncoder(extractor, words)).fit(*images)
        with pytest.raises(TypeError, match=r"state.backend.extractor.* is the function test_own_parts\.\w+, which"):
            model.save(tmp_path / "model.cvbow")
        with pytest.raises(TypeError, match=r"model.backend.extractor.* is the function"):
            storage.check_storable(clone(model), "model")
    assert not (tmp_path / "model.cvbow").exists()


# Subclasses, that are registered nowhere.


class Ninth(Detector):
    def __init__(self, step: int = 9) -> None:
        self.step = step

    def detect(self, image: Pixels, *, limit: int | None = None) -> Detections:
        y, x = np.mgrid[4 : image.shape[0] : self.step, 4 : image.shape[1] : self.step]
        return Detections.of(np.stack([x.ravel(), y.ravel()], axis=1))


class Grays(Descriptor):
    descriptor_size = 25

    def compute(self, image: Pixels, detections: Detections) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        return np.arange(len(detections)), 3 * grays(image, detections.points).astype(np.float32)


class Corners(Extractor):
    descriptor_size = 128

    def extract(self, image: Pixels) -> Features:
        keypoints, descriptors = cv2.SIFT_create(50).detectAndCompute(image, None)
        if not keypoints:
            return Features(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.float32), image.shape[::-1])
        return Features(Detections.of(keypoints).points, descriptors, image.shape[::-1])


class Means(Encoder):
    def fit(self, features_sample: Any, y: object = None) -> Means:
        self.size_ = features_sample[0].descriptors.shape[1]
        return self

    @property
    def vector_length(self) -> int:
        return self.size_

    def encode(self, features: Features) -> NDArray[np.float32]:
        return features.descriptors.sum(axis=0) / max(len(features), 1)


def test_subclasses_that_are_registered_nowhere(images: tuple[list[Pixels], list[str]], tmp_path: Path) -> None:
    pictures, labels = images
    for extractor in (LocalFeatures(Ninth(step=7), Grays()), Corners()):
        backend = BagEncoder(extractor, SpatialPyramid(Means(), grids=("1x1", "2x2")), n_jobs=2)
        model = ImageClassifier(backend).fit(pictures, labels)
        assert model.score(pictures, labels) > 0.6
        # Of a pyramid, each cell has the mean of its own points.
        features = model.backend_.features(pictures[0])
        vector = model.backend_.encoder_.encode(features)
        inside = (features.points[:, 0] + 0.5 < 32) & (features.points[:, 1] + 0.5 < 32)
        cell = features.descriptors[inside].mean(axis=0)
        size = extractor.descriptor_size
        ratio = vector[size : 2 * size] / cell
        np.testing.assert_allclose(ratio[cell > 1e-6], np.median(ratio), rtol=1e-4)
        copy = clone(model).set_params(backend__encoder__grids=("1x1",)).fit(pictures, labels)
        assert copy.backend_.vector_length == size
        with pytest.raises(TypeError, match=r"test_own_parts\.\w+, which a model file cannot hold: register the class"):
            model.save(tmp_path / "model.cvbow")
    features = LocalFeatures(Ninth(step=7), Grays()).extract(pictures[0])
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, rtol=1e-5)
    # A limit that a detector does not care about is kept all the same.
    assert len(LocalFeatures(Ninth(), Grays(), max_points=5).extract(pictures[0])) == 5


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"extractor": type("Bad", (Corners,), {"extract": lambda self, image: None})()},
            "Bad.extract must return",
        ),
        (
            {"encoder": type("Bad", (Means,), {"encode": lambda self, features: np.zeros(3)})()},
            r"return shape \(128,\)",
        ),
    ],
)
def test_wrong_answers_of_subclasses(
    parts: dict[str, Any], message: str, images: tuple[list[Pixels], list[str]]
) -> None:
    with pytest.raises(ValueError, match=message):
        BagEncoder(**{"extractor": Corners(), "encoder": Means(), **parts}).fit_transform(images[0])


def test_binary_words_of_a_function(images: tuple[list[Pixels], list[str]]) -> None:
    def bits(image: Pixels) -> tuple[Any, Any]:
        return cv2.ORB_create(60).detectAndCompute(image, None)

    encoder = BagEncoder(bits, BagOfWords(BinaryDictionary(n_words=6)))
    assert encoder.fit_transform([textured(90, 80, seed) for seed in range(3)]).shape == (3, 6)


# Registered ones of the kinds that CONTRIBUTING does not show.


class OwnColors(ColorHistogram):
    pass


class OwnWords(KMeansDictionary):
    def __init__(
        self, *, n_words: int = 5, random_state: int = 0, n_jobs: int | None = None, spread: float = 1.0
    ) -> None:
        super().__init__(n_words=n_words, random_state=random_state, n_jobs=n_jobs)
        self.spread = spread


def test_registered_parts_of_every_kind(
    images: tuple[list[Pixels], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parts: list[tuple[Any, type]] = [
        (EXTRACTORS, Corners),
        (DETECTORS, Ninth),
        (DESCRIPTORS, Grays),
        (DICTIONARIES, OwnWords),
        (BACKENDS, OwnColors),
    ]
    for registry, kind in parts:
        monkeypatch.setitem(registry, "mine", kind)
    for settings in (
        {"features": "mine"},
        {"detector": "mine", "detector__step": 7, "descriptor": "mine"},
        {"dictionary": "mine", "dictionary__spread": 2.0},
        {"channels": ("mine", "census"), "mine__space": "rgb"},
    ):
        few = {} if "channels" in settings else {"n_words": 6, "sample": 500, "reduce": None}
        model = make_model(settings={**settings, **few}, n_jobs=1).fit(*images)
        digest = model.save(tmp_path / "model.cvbow")
        loaded = ImageClassifier.load(tmp_path / "model.cvbow")
        np.testing.assert_array_equal(loaded.predict_proba(images[0]), model.predict_proba(images[0]))
        assert loaded.save(tmp_path / "again.cvbow") == digest
        shown = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
        assert shown.items() <= (loaded.recipe or {}).items()


def test_workers_know_what_is_registered_here(
    images: tuple[list[Pixels], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name would mean nothing in another process, so that what is sent there holds the part itself."""
    monkeypatch.setitem(DETECTORS, "mine", Ninth)
    monkeypatch.setitem(DESCRIPTORS, "mine", Grays)
    settled = LocalFeatures("mine", "mine").settled()
    assert (repr(settled.detector), repr(settled.descriptor)) == ("Ninth()", "Grays()")
    assert LocalFeatures("harris", "sift").settled().detector == "harris"
