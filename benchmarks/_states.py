"""A fitted object of every class that a model file may hold, small, and what each answers."""

from __future__ import annotations

import base64
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import AdditiveChi2Sampler, Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import LabelBinarizer, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from cvbow import (
    Features,
    ImageClassifier,
    ObjectDetector,
    Objects,
    backends,
    classify,
    dictionary,
    encoders,
    features,
    retrieval,
)
from cvbow.augmentation import ImageAugmenter
from cvbow.backends import BagEncoder, ChannelUnion, CnnEncoder, ColorHistogram, MultiCrop, RawPixels, Shortened
from cvbow.features import CnnFeatureMap, DenseSIFT, LocalFeatures
from cvbow.presets import Auto
from cvbow.registry import parameters_of
from cvbow.segmentation import Segmenter

Answer = Callable[[Any], Any]

_RNG = np.random.default_rng(0)
_POINTS = np.concatenate([_RNG.random((60, 2)) * 40, _RNG.random((60, 2))], axis=1).astype(np.float32)
_DESCRIPTORS = _RNG.random((60, 8)).astype(np.float32)
#: Of descriptors whose first two values change places, and whose last changes its sign.
_MIRROR = features.Mirror(np.array([1, 0, *range(2, 8)]), np.array([1] * 7 + [-1]))
_BITS = _RNG.integers(0, 256, (60, 8)).astype(np.uint8)
_VECTORS = _RNG.random((30, 6)).astype(np.float32)
_LABELS = np.array(["cat", "dog", "owl"] * 10)
#: Of each image; one label is that of all.
_SETS = [["all", *["cat"] * (row % 2), *["dog"] * (row % 3 == 0)] for row in range(9)]
_IMAGES = [np.kron(_RNG.integers(0, 256, (6, 6, 3)), np.ones((6, 6, 1))).astype(np.uint8) for _ in range(9)]
_SHARES = _RNG.dirichlet([1, 1, 1], 30)
_BAG = Features(_POINTS, _DESCRIPTORS, (40, 40))
_BIT_BAG = Features(_POINTS, _BITS, (40, 40))

#: A network of one rectifier: x (1, 3, 8, 8) to y.
_NETWORK = base64.b64decode(
    "CAhCBAoAEA06SAoMCgF4EgF5IgRSZWx1WhsKAXgSFgoUCAESEAoCCAEKAggDCgIICAoCCAhiGwoBeRIWChQIARIQCgIIAQoCCAMKAggICgIICA=="
)


def fitted_states(folder: str) -> Iterator[tuple[str, Any, Answer]]:
    """Yield a name, a fitted object, and what asks it for an answer, for every class; a folder gets a network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from _all(Path(folder))


def _all(folder: Path) -> Iterator[tuple[str, Any, Answer]]:
    network = folder / "relu.onnx"
    network.write_bytes(_NETWORK)
    facts = {"size": 8, "channel_order": "rgb", "mean": 0, "scale": 1 / 255, "engine": "opencv"}
    for name, kind in features.DETECTORS.items():
        yield f"detector {name}", kind(), lambda built: built.detect(_IMAGES[0]).points
    for name, kind in features.DESCRIPTORS.items():
        yield f"descriptor {name}", kind(), _described
    for name, kind in features.EXTRACTORS.items():
        made = CnnFeatureMap(network, "y", **facts) if kind is CnnFeatureMap else kind()
        yield f"extractor {name}", made, lambda built: _arrays(built.extract(_IMAGES[0]))
    for name, kind in dictionary.DICTIONARIES.items():
        data = _BITS if kind is dictionary.BinaryDictionary else _DESCRIPTORS
        small = {"n_words": 5} if "n_words" in parameters_of(kind) else {"branching": 3, "depth": 2}
        yield f"dictionary {name}", kind(**small).fit(data), lambda built, data=data: built.predict(data)
    yield (
        "pairs",
        dictionary.MirrorPCA(4).fit(_DESCRIPTORS, mirror=_MIRROR),
        lambda built: built.transform(_DESCRIPTORS),
    )
    yield (
        "paired words",
        dictionary.KMeansDictionary(n_words=6).fit(_DESCRIPTORS, mirror=_MIRROR),
        lambda built: built.predict(_DESCRIPTORS),
    )
    yield (
        "paired Gaussians",
        encoders.FisherVector(dictionary.GaussianMixtureDictionary(n_words=4)).fit_pairs([_BAG], _MIRROR),
        lambda built: built.encode(_BAG),
    )
    yield "whitening", dictionary.ZCA().fit(_DESCRIPTORS), lambda built: built.transform(_DESCRIPTORS)
    words = dictionary.KMeansDictionary(n_words=5)
    for name, kind in encoders.ENCODERS.items():
        inside = dictionary.GaussianMixtureDictionary(n_words=3) if kind is encoders.FisherVector else words
        yield f"encoder {name}", kind(inside).fit([_BAG]), lambda built: built.encode(_BAG)
    for encoder in (
        encoders.BagOfWords(words, weighting="tf-idf"),
        encoders.BagOfWords(dictionary.BinaryDictionary(n_words=5)),
        encoders.VLAD(words, residual_pca=3),
        encoders.SpatialPyramid(encoders.BagOfWords(words)),
        encoders.BagOfWords(FrozenEstimator(dictionary.KMeansDictionary(n_words=5).fit(_DESCRIPTORS))),
    ):
        bag = _BIT_BAG if isinstance(getattr(encoder, "dictionary", None), dictionary.BinaryDictionary) else _BAG
        yield f"encoder {type(encoder).__name__}", encoder.fit([bag]), lambda built, bag=bag: built.encode(bag)
    small_bag = BagEncoder(DenseSIFT(step=8, bin_sizes=(4,)), encoders.BagOfWords(words), reduce=PCA(4), sample=200)
    made_by_hand = {
        "bag": small_bag,
        "cnn": CnnEncoder(network, layer="y", **facts),
        "pixels": RawPixels(size=4, n_components=3),
    }
    for name, kind in backends.BACKENDS.items():
        backend = next((one for one in made_by_hand.values() if type(one) is kind), None) or kind()
        yield f"backend {name}", backend.fit(_IMAGES), _vectors
    union = ChannelUnion([("colors", ColorHistogram()), ("pixels", RawPixels(size=4, n_components=3))])
    yield "backend union", union.fit(_IMAGES), _vectors
    yield "backend shortened", Shortened(RawPixels(size=4, n_components=None), n_components=4).fit(_IMAGES), _vectors
    yield "backend crops", MultiCrop(RawPixels(size=4, n_components=3)).fit(_IMAGES), _vectors
    for name, made in _classifiers():
        yield f"classifier {name}", made.fit(_VECTORS, _LABELS), _decided
    for name in classify.CLASSIFIERS:
        model = ImageClassifier(ColorHistogram(bins=(2, 2, 2)), _quick(name)).fit(_IMAGES, _LABELS[:9])
        yield f"model {name}", model, lambda built: (built.predict(_IMAGES), built.predict_proba(_IMAGES))
    model = ImageClassifier(small_bag, "linear-svm", recipe={"preset": "mine"}).fit(_IMAGES, _LABELS[:9])
    yield "model of words", model, lambda built: (built.predict(_IMAGES), built.predict_proba(_IMAGES))
    chooser = Auto("fast", {"n_words": 8, "sample": 200, "max_iter": 2})
    model = ImageClassifier(chooser, None).fit(_IMAGES, _LABELS[:9])
    yield "model that was chosen", model, lambda built: (built.predict(_IMAGES), built.predict_proba(_IMAGES))
    model = ImageClassifier(ColorHistogram(bins=(2, 2, 2)), n_kept=6).fit(_IMAGES, _LABELS[:9])
    yield "model that keeps images", model, _nearest
    yield "label sets", classify.PredictionSets().fit(_SHARES, _SHARES > 0.5), lambda built: built.of(_SHARES)
    strangers = classify.Strangers().fit(_VECTORS, _LABELS, channels={"a": 2, "b": 4})
    yield "strangers", strangers, lambda built: (built.strangeness(_VECTORS), built.threshold(0.2))
    for classifier in ("linear-svm", "naive-bayes", "nearest-neighbors"):
        model = ImageClassifier(ColorHistogram(bins=(2, 2, 2)), classifier).fit(_IMAGES, _SETS)
        yield f"model of many labels, {classifier}", model, lambda built: built.predict_proba(_IMAGES)
    marked = [Objects.of([[6, 6, 26, 26]], "square")] * len(_IMAGES)
    detector = ObjectDetector(n_shapes=1, n_cells=4, n_levels=1, n_rounds=0, n_words=4).fit(_IMAGES, marked)
    yield "detector", detector, lambda built: [vars(found) for found in built.detect(_IMAGES[:2])]
    for made in _transformers():
        yield f"transformer {type(made).__name__}", made.fit(_VECTORS), lambda built: built.transform(_VECTORS)
    yield "labels", LabelBinarizer().fit(_LABELS), lambda built: built.transform(_LABELS)
    augmenter = ImageAugmenter(featurewise_std_normalization=True, zca_whitening=True)
    small = [image[::6, ::6] for image in _IMAGES]
    yield "augmenter", augmenter.fit(small), lambda built: built.standardize(small[0].astype(np.float32))
    embedding = retrieval.HammingEmbedding().fit(_DESCRIPTORS, np.arange(60, dtype=np.int32) % 5, 5)
    yield "embedding", embedding, lambda built: built.signatures(_DESCRIPTORS, np.arange(60, dtype=np.int32) % 5)
    visual = retrieval.VisualWords(n_words=8, sample=300)
    yield "describer words", visual.fit(_IMAGES), lambda built: built.describe(_IMAGES[0])
    for vectors in (retrieval.ImageVectors(RawPixels(size=4)), retrieval.ImageVectors(RawPixels(size=4), local=visual)):
        yield "describer vectors", vectors.fit(_IMAGES), lambda built: built.describe(_IMAGES[0])
    trees = classify.BoostedTrees(n_trees=2, n_leaves=3, min_leaf=1)
    masks = [np.asarray(image[..., 0] > 128, np.uint8) for image in _IMAGES[:3]]
    segmenter = Segmenter(trees, n_words=4, n_directions=3, n_rounds=2, n_folds=2).fit(_IMAGES[:3], masks)
    yield "segmenter", segmenter, lambda built: built.predict_proba(_IMAGES[0])


def _classifiers() -> Iterator[tuple[str, Any]]:
    for name in classify.CLASSIFIERS:
        yield name, classify.make_classifier(name) if isinstance(_quick(name), str) else _quick(name)
    yield "two classes", classify.LinearSVM()
    for made in (
        ComplementNB(),
        MultinomialNB(),
        GaussianNB(),
        DecisionTreeClassifier(random_state=0),
        ExtraTreeClassifier(random_state=0),
        ExtraTreesClassifier(3, random_state=0),
        KNeighborsClassifier(3, algorithm="brute"),
        LinearSVC(random_state=0, dual=False),
        make_pipeline(StandardScaler(), PCA(3, whiten=True), LogisticRegression()),
        make_pipeline(FeatureUnion([("a", PCA(2)), ("b", Normalizer())]), GaussianNB()),
        make_pipeline(classify.AdditiveMap(), LinearSVC(dual=False)),
        make_pipeline(classify.HellingerMap(), classify.KernelSVM()),
        classify.FusionClassifier({"a": 2, "b": 4}, n_components=2),
        classify.TunedLinearSVM(),
    ):
        yield type(made).__name__, made


def _quick(name: str) -> Any:
    quick = {
        "random-forest": RandomForestClassifier(3, random_state=0),
        "mlp": MLPClassifier((5,), max_iter=5, random_state=0),
    }
    return quick.get(name, name)


def _transformers() -> Iterator[Any]:
    yield from (
        PCA(3, whiten=True),
        TfidfTransformer(),
        AdditiveChi2Sampler(),
        Nystroem(n_components=4, random_state=0),
    )
    yield from (MinMaxScaler(), Normalizer(), StandardScaler(), FeatureUnion([("a", PCA(2)), ("b", Normalizer())]))
    yield from (classify.AdditiveMap(), classify.HellingerMap())


def _vectors(built: Any) -> Any:
    return built.transform(_IMAGES)


def _decided(built: Any) -> Any:
    methods = [name for name in ("predict", "predict_proba", "decision_function") if hasattr(built, name)]
    return [getattr(built, name)(_VECTORS) for name in methods]


def _described(descriptor: Any) -> Any:
    detector = "akaze" if type(descriptor).__name__ == "AKAZEDescriptor" else "harris"
    detector = "kaze" if type(descriptor).__name__ == "KAZEDescriptor" else detector
    return _arrays(LocalFeatures(detector, descriptor, max_points=20).extract(_IMAGES[0]))


def _arrays(found: Any) -> Any:
    """Return the arrays of a dataclass."""
    return {key: value for key, value in vars(found).items() if isinstance(value, np.ndarray)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for name, built, answer in fitted_states(place):
            print(name, type(built).__name__, type(answer(built)).__name__)


def _nearest(built: Any) -> Any:
    found = built.nearest(built.encode(_IMAGES[0]))
    return [near.class_name for near in found], [near.distance for near in found]
