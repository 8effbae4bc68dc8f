"""What scikit-learn asks of an estimator: of all that learn from a matrix, and of those that learn from images."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils import estimator_checks, get_tags

import cvbow
from cvbow import storage
from cvbow._checks import check_matrix
from cvbow.augmentation import ImageAugmenter
from cvbow.backends import BagEncoder, ChannelUnion, ColorHistogram, Gist, ImageEncoder, MultiCrop, RawPixels
from cvbow.classify import (
    CLASSIFIERS,
    AdditiveMap,
    FusionClassifier,
    HellingerMap,
    ImageClassifier,
    KeptImages,
    KernelSVM,
    LinearSVM,
    LogisticRegression,
    MultiLabelClassifier,
    PredictionSets,
    Strangers,
    make_classifier,
)
from cvbow.detection import ObjectDetector
from cvbow.dictionary import DICTIONARIES, ZCA, BinaryDictionary, KMeansDictionary, MirrorPCA
from cvbow.encoders import BagOfWords, Encoder
from cvbow.features import DenseSIFT
from cvbow.images import FeaturewiseScaler
from cvbow.parallel import single_threaded
from cvbow.retrieval import HammingEmbedding, ImageVectors, VisualWords
from cvbow.segmentation import Segmenter, SuperPixelDescriber

Float32 = NDArray[np.float32]

#: What keeps the checks fast: few words of a few rows, few trees.
SMALL = {"n_words": 3, "branching": 2, "depth": 2, "Cs": (0.1, 10.0), "n_trees": 10}


def small(estimator: Any) -> Any:
    """Return an estimator with the small one of those of its parameters that have one."""
    known = estimator.get_params(deep=False)
    return estimator.set_params(**{name: value for name, value in SMALL.items() if name in known})


def own_classifiers() -> dict[str, Any]:
    """Return those of the registry that are cvbow's own, by name."""
    made = {name: make_classifier(name) for name in CLASSIFIERS}
    return {name: small(model) for name, model in made.items() if type(model).__module__.startswith("cvbow.")}


class BytesOfNumbers(BinaryDictionary):
    """A dictionary of binary descriptors that makes bytes of any numbers, as the checks give them."""

    def _check(self, descriptors: object, *, fitting: bool = False) -> NDArray[np.uint8]:
        values = check_matrix(self, descriptors, fitting=fitting)
        return super()._check(np.clip(16 * values + 128, 0, 255).astype(np.uint8), fitting=fitting)


#: Every estimator that learns from a matrix.
ESTIMATORS: dict[str, Any] = {
    **own_classifiers(),
    "fusion of landmarks": FusionClassifier(n_landmarks=20),
    "chi2 map": AdditiveMap(),
    "intersection map": AdditiveMap("intersection", n_samples=2),
    "Hellinger map": HellingerMap(),
    "zca": ZCA(),
    "mirror pca": MirrorPCA(2),
    **{name: small(make()) for name, make in DICTIONARIES.items()},
    "binary, of numbers": small(BytesOfNumbers()),
}
#: Estimators of matrices whose ``fit`` is not scikit-learn's.
OTHERS = {
    HammingEmbedding: "fit takes the words of the descriptors and the number of all words besides",
    Strangers: "fit takes classes, and what is learned predicts none",
    PredictionSets: "fit takes the probabilities of classes and which of these are right",
    MultiLabelClassifier: "fit takes the labels of vectors that have several, and the checks give each a class",
}

ROUNDING = (
    "vectors and their products are float32, and the products of one row and of many differ in the last digit; "
    "the check allows 1e-7"
)
WEIGHTS = (
    "copies are rows of their own where held-out parts are drawn for the temperature, and a solution is within a "
    "thousandth of the least objective; the check allows 1e-7 (see test_sample_weight)"
)
MINIMUM = "a solution is within about a ten-millionth of the least objective; the check allows 1e-7 of its answers"
NEGATIVE = "the check gives negative values also to an estimator whose tag says that it takes none"
LANDMARKS = "which vectors are kept is drawn from the rows as they come"
BYTES = "binary descriptors are bytes, and the check gives other numbers; BytesOfNumbers passes"

#: The failures that remain, by estimator and check.
FAILURES: dict[str, dict[str, str]] = {
    **{
        name: {"check_sample_weight_equivalence_on_dense_data": WEIGHTS}
        for name in ("linear-svm", "tuned-svm", "standardized-svm", "rbf-svm", "kernel-ridge", "rbf-fusion")
    },
    **{
        name: {
            "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
            "check_class_weight_classifiers": NEGATIVE,
            "check_decision_proba_consistency": NEGATIVE,
        }
        for name in ("chi2-svm", "intersection-svm")
    },
    "logistic-regression": {"check_sample_weight_equivalence_on_dense_data": MINIMUM},
    "fusion of landmarks": {"check_sample_weight_equivalence_on_dense_data": f"{WEIGHTS}; {LANDMARKS}"},
    "binary": dict.fromkeys(
        (
            "check_fit_score_takes_y",
            "check_estimators_overwrite_params",
            "check_dont_overwrite_parameters",
            "check_estimators_fit_returns_self",
            "check_readonly_memmap_input",
            "check_n_features_in_after_fitting",
            "check_positive_only_tag_during_fit",
            "check_estimators_dtypes",
            "check_dtype_object",
            "check_pipeline_consistency",
            "check_estimators_nan_inf",
            "check_estimators_pickle",
            "check_f_contiguous_array_estimator",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_fit2d_1sample",
            "check_fit2d_1feature",
            "check_dict_unchanged",
            "check_fit_idempotent",
            "check_fit_check_is_fitted",
            "check_n_features_in",
            "check_fit2d_predict1d",
        ),
        BYTES,
    ),
}
#: Failures that another BLAS or another version of scikit-learn may not show.
MAYBE = {
    "check_methods_subset_invariance": ROUNDING,
    "check_methods_sample_order_invariance": ROUNDING,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_threaded():
        yield


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_scikit_learns_checks(name: str) -> None:
    expected = FAILURES.get(name, {})
    found = estimator_checks.check_estimator(
        ESTIMATORS[name], expected_failed_checks=expected, on_skip=None, on_fail=None
    )
    assert len(found) > 40
    rounded = LinearSVM | LogisticRegression | KernelSVM | FusionClassifier | MirrorPCA
    allowed = MAYBE if isinstance(ESTIMATORS[name], rounded) else {}
    failed = {
        check["check_name"]: check["exception"]
        for check in found
        if check["status"] == "failed" and check["check_name"] not in allowed
    }
    assert not failed
    # A reason for what does not fail is a reason too many.
    outcomes = {check["check_name"] for check in found if check["status"] == "xfail"}
    assert {check["check_name"] for check in found} & set(expected) <= outcomes


def test_every_estimator_of_matrices_is_checked() -> None:
    for module in pkgutil.walk_packages(cvbow.__path__, "cvbow."):
        importlib.import_module(module.name)
    checked = {type(estimator) for estimator in ESTIMATORS.values()} | set(OTHERS)
    found = {cls for cls in _subclasses(BaseEstimator) if cls.__module__.startswith("cvbow.") and hasattr(cls, "fit")}
    # Searches for recipes make classes, which live until the collector comes by.
    found = {cls for cls in found if "<locals>" not in cls.__qualname__}
    abstract = {cls for cls in found if any(issubclass(other, cls) for other in found - {cls})}
    of_images = {cls for cls in found if issubclass(cls, _OF_IMAGES)}
    missing = sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in found - abstract - of_images - checked)
    assert not missing, missing


_OF_IMAGES = (
    Encoder,
    FeaturewiseScaler,
    ImageAugmenter,
    ImageClassifier,
    ImageEncoder,
    ImageVectors,
    ObjectDetector,
    KeptImages,
    Segmenter,
    SuperPixelDescriber,
    VisualWords,
)


def _subclasses(cls: type) -> set[type]:
    return {cls}.union(*(_subclasses(other) for other in cls.__subclasses__()))


# Names of features, and data frames.


def matrix(n: int = 30, d: int = 4) -> tuple[Float32, NDArray[np.str_]]:
    X = np.random.default_rng(0).random((n, d)).astype(np.float32)
    return X, np.array(["a", "b"])[(X[:, 0] > 0.5).astype(int)]


TRANSFORMERS = {name: model for name, model in ESTIMATORS.items() if hasattr(model, "transform")}


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize(
    "check",
    [
        "check_transformer_get_feature_names_out",
        "check_set_output_transform",
        pytest.param("check_transformer_get_feature_names_out_pandas", marks=pytest.mark.pandas),
        pytest.param("check_set_output_transform_pandas", marks=pytest.mark.pandas),
        pytest.param("check_global_output_transform_pandas", marks=pytest.mark.pandas),
    ],
)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_names_and_data_frames_of_transformers(name: str, check: str) -> None:
    model = clone(TRANSFORMERS[name])
    getattr(estimator_checks, check)(type(model).__name__, _Positive.of(model))


class _Positive:
    """The checks give any numbers to transformers; a map of non-negative vectors gets their absolute values."""

    @staticmethod
    def of(model: Any) -> Any:
        if not get_tags(model).input_tags.positive_only:
            return model

        class Absolute(type(model)):  # type: ignore[misc]
            def fit(self, X: Any, y: object = None) -> Any:
                return super().fit(abs(X), y)

            def transform(self, X: Any) -> Any:
                return super().transform(abs(X))

        return Absolute(**model.get_params())


def test_the_names_of_mapped_values() -> None:
    X, _ = matrix(d=2)
    assert AdditiveMap(n_samples=2).fit(X).get_feature_names_out().tolist() == [
        *("x0_sqrt", "x1_sqrt", "x0_cos1", "x1_cos1", "x0_sin1", "x1_sin1"),
        *("x0_cos2", "x1_cos2", "x0_sin2", "x1_sin2"),
    ]
    assert HellingerMap().fit(X).get_feature_names_out(["red", "blue"]).tolist() == ["red", "blue"]
    assert ZCA().fit(X).get_feature_names_out().tolist() == ["x0", "x1"]
    with pytest.raises(NotFittedError):
        AdditiveMap().get_feature_names_out()


@pytest.mark.pandas
@pytest.mark.filterwarnings("ignore:n_words")
@pytest.mark.parametrize("name", [name for name in ESTIMATORS if not name.startswith("binary")])
def test_names_of_columns_are_those_of_training(name: str) -> None:
    import pandas

    X, y = matrix()
    model = clone(ESTIMATORS[name])
    model.fit(pandas.DataFrame(X, columns=["p", "q", "r", "s"]), y)
    assert model.feature_names_in_.tolist() == ["p", "q", "r", "s"]
    assert model.n_features_in_ == 4
    answer = model.transform if hasattr(model, "transform") else model.predict
    with pytest.raises(ValueError, match="feature names should match"):
        answer(pandas.DataFrame(X, columns=["q", "p", "r", "s"]))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        answer(X)
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.pandas
def test_a_model_file_holds_neither_names_nor_steps(tmp_path: Path) -> None:
    import pandas

    X, y = matrix()
    hashes = set()
    for data in (X, pandas.DataFrame(X, columns=list("pqrs"))):
        for model in (LinearSVM().fit(data, y), KMeansDictionary(n_words=3).fit(data), HellingerMap().fit(data)):
            hashes.add(storage.save(tmp_path / "model", kind="test", state=model, metadata={}))
            loaded = storage.load(tmp_path / "model", kind="test").state
            assert not hasattr(loaded, "feature_names_in_")
            assert loaded.n_features_in_ == 4
            if isinstance(model, LinearSVM):
                assert model.n_iter_ >= 1
                assert "n_iter_" not in vars(loaded)
    assert len(hashes) == 3


# Images.


def pictures(n: int = 8) -> tuple[list[NDArray[np.uint8]], list[str]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (40, 40, 3)).astype(np.uint8) for _ in range(n)], ["x", "y"] * (n // 2)


BACKENDS: Mapping[str, ImageEncoder] = {
    "bagencoder": BagEncoder(DenseSIFT(step=8), BagOfWords(KMeansDictionary(n_words=5)), reduce=ZCA()),
    "rawpixels": RawPixels(size=8, n_components=3),
    "colorhistogram": ColorHistogram(),
    "channelunion": ChannelUnion([("colors", ColorHistogram()), ("gist", Gist())]),
    "multicrop": MultiCrop(ColorHistogram()),
}


@pytest.mark.pandas
@pytest.mark.parametrize("name", BACKENDS)
def test_backends_put_out_data_frames(name: str) -> None:
    import pandas

    images, _ = pictures()
    vectors = clone(BACKENDS[name]).fit_transform(images)
    names = [f"{name}{value}" for value in range(vectors.shape[1])]
    backend = clone(BACKENDS[name]).set_output(transform="pandas").fit(images)
    assert backend.get_feature_names_out().tolist() == names
    with sklearn.config_context(transform_output="pandas"):
        everywhere = clone(BACKENDS[name]).fit(images).transform(images)
    for found in (backend.transform(images), backend.transform(images=images), everywhere):
        assert isinstance(found, pandas.DataFrame)
        assert found.columns.tolist() == names
        assert found.index.tolist() == list(range(len(images)))
        np.testing.assert_array_equal(found.to_numpy(), vectors)


def test_names_of_backends_in_a_union() -> None:
    images, _ = pictures()
    union = FeatureUnion([("colors", ColorHistogram()), ("pixels", RawPixels(size=4, n_components=2))]).fit(images)
    assert union.get_feature_names_out()[[0, -1]].tolist() == ["colors__colorhistogram0", "pixels__rawpixels1"]
    with pytest.raises(NotFittedError):
        RawPixels().get_feature_names_out()


@pytest.mark.pandas
def test_a_classifier_of_images_where_everything_puts_out_data_frames(tmp_path: Path) -> None:
    images, y = pictures()
    for classifier in ("linear-svm", "chi2-map-svm", make_pipeline(HellingerMap(), LinearSVM())):
        model = ImageClassifier(ColorHistogram(), classifier)
        expected = clone(model).fit(images, y).predict_proba(images)
        with sklearn.config_context(transform_output="pandas"):
            found = model.fit(images, y)
            np.testing.assert_array_equal(found.predict_proba(images), expected)
            found.save(tmp_path / "model")
        np.testing.assert_array_equal(ImageClassifier.load(tmp_path / "model").predict_proba(images), expected)


@pytest.mark.parametrize(
    "estimator",
    [
        *BACKENDS.values(),
        ImageClassifier(ColorHistogram()),
        FeaturewiseScaler(),
        ImageAugmenter(),
        VisualWords(DenseSIFT()),
        ImageVectors(ColorHistogram()),
        BagOfWords(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_takes_images_does_not_say_that_it_takes_a_matrix(estimator: Any) -> None:
    tags = get_tags(estimator).input_tags
    assert not tags.two_d_array
    assert tags.three_d_array == (not isinstance(estimator, BagOfWords))


def test_tags_of_vectors() -> None:
    for name, model in ESTIMATORS.items():
        tags = get_tags(model).input_tags
        assert tags.two_d_array, name
        assert tags.positive_only == name.startswith(("chi2", "intersection")), name
        assert not tags.sparse, name
