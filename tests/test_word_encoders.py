"""What encoders of codes over words have in common: the contract of an encoder, for each option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bags import random_bag
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from cvbow import storage
from cvbow.dictionary import BinaryDictionary, KMeansDictionary, SphericalDictionary, VocabularyTree
from cvbow.encoders import (
    LLC,
    BagOfWords,
    Encoder,
    KernelCodebook,
    NearWords,
    SoftThreshold,
    SpatialPyramid,
    Triangle,
)
from cvbow.encoders._pooling import POOLINGS
from cvbow.encoders.normalize import NORMALIZATIONS, normalize_as
from cvbow.features import Features

N_WORDS = 12
SIZE = 8


def words() -> KMeansDictionary:
    return KMeansDictionary(n_words=N_WORDS, max_iter=3)


ENCODERS = [
    pytest.param(KernelCodebook(words()), id="kernel"),
    pytest.param(KernelCodebook(words(), ambiguity="kernel", sigma=0.5, n_nearest=3), id="kernel-plain"),
    pytest.param(KernelCodebook(words(), n_nearest=100, pooling="max", normalization="l2"), id="kernel-all-max"),
    pytest.param(LLC(words()), id="llc"),
    pytest.param(LLC(words(), n_nearest=1), id="llc-one"),
    pytest.param(LLC(words(), pooling="sum", normalization="power", n_nearest=100), id="llc-all-sum"),
    pytest.param(LLC(VocabularyTree(branching=3, depth=2), pooling="average", normalization="l1"), id="llc-tree"),
    pytest.param(Triangle(words()), id="triangle"),
    pytest.param(Triangle(words(), pooling="average", normalization="hellinger"), id="triangle-average"),
    pytest.param(Triangle(words(), pooling="max", normalization="power", power=0.3), id="triangle-max"),
    pytest.param(SoftThreshold(words()), id="soft-threshold"),
    pytest.param(SoftThreshold(words(), split_sign=False, alpha=0, pooling="max"), id="soft-threshold-max"),
    pytest.param(SoftThreshold(SphericalDictionary(n_words=N_WORDS), normalization="l2"), id="soft-threshold-l2"),
    pytest.param(NearWords(words()), id="near-words"),
    pytest.param(NearWords(SphericalDictionary(n_words=N_WORDS), pooling="average"), id="near-words-average"),
]
each_encoder = pytest.mark.parametrize("encoder", ENCODERS)


def sample() -> list[Features]:
    return [random_bag(40, SIZE, seed=seed) for seed in range(5)]


def binary_bag(n: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    return Features(np.zeros((n, 4), np.float32), rng.integers(0, 256, (n, 4), dtype=np.uint8), (20, 20))


@each_encoder
def test_a_vector_is_float32_of_the_promised_length(encoder: Any) -> None:
    fitted = clone(encoder).fit(sample())
    vector = fitted.encode(random_bag(30, SIZE, seed=9))
    assert isinstance(fitted, Encoder)
    assert vector.shape == (fitted.vector_length,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    assert vector.any()
    factor = 2 if getattr(encoder, "split_sign", False) else 1
    assert fitted.vector_length == factor * fitted.n_words == factor * len(fitted.dictionary_.words_)
    assert fitted.wants_documents is False


@each_encoder
def test_the_norm_is_what_the_normalization_says(encoder: Any) -> None:
    vector = clone(encoder).fit(sample()).encode(random_bag(30, SIZE, seed=9)).astype(np.float64)
    if encoder.normalization in ("l2", "power", "hellinger"):
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
    elif encoder.normalization == "l1":
        np.testing.assert_allclose(np.abs(vector).sum(), 1, rtol=1e-6)


@each_encoder
def test_one_point(encoder: Any) -> None:
    vector = clone(encoder).fit(sample()).encode(random_bag(1, SIZE, seed=3))
    assert np.isfinite(vector).all()
    assert vector.any()


@each_encoder
def test_in_a_pyramid(encoder: Any) -> None:
    pyramid = SpatialPyramid(clone(encoder), grids=("1x1", "2x1"), normalization="none").fit(sample())
    features = random_bag(50, SIZE, seed=4, image_size=(64, 48))
    left = features.points[:, 0] + 0.5 < 32
    inner = pyramid.encoder_
    expected = [inner.encode(features.take(np.flatnonzero(part))) for part in (left | True, left, ~left)]
    np.testing.assert_allclose(pyramid.encode(features), np.concatenate(expected), rtol=1e-5, atol=1e-6)


@each_encoder
def test_descriptors_of_another_kind_are_refused(encoder: Any) -> None:
    fitted = clone(encoder).fit(sample())
    with pytest.raises(ValueError, match=f"descriptors must have {SIZE} values each, as the words have, got 5"):
        fitted.encode(random_bag(3, 5))
    with pytest.raises(ValueError, match="uint8"):
        fitted.encode(binary_bag(3))
    bad = random_bag(3, SIZE)
    bad.descriptors[1, 1] = np.nan
    with pytest.raises(ValueError, match="descriptors must be finite"):
        fitted.encode(bad)
    with pytest.raises(ValueError, match="binary"):
        clone(encoder).fit([binary_bag(50)])


@each_encoder
@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("pooling", "mean", "pooling must be one of average, sum, max, got 'mean'"),
        ("normalization", "L2", r"normalization must be one of .*, none, got 'L2'; did you mean l2\?"),
        ("power", 0, "power must be a number > 0 and <= 1, got 0"),
        ("dictionary", "kmeans", "dictionary must be an estimator or None, got 'kmeans'"),
        ("dictionary", KMeansDictionary(n_words=0), "n_words must be an integer >= 1, got 0"),
    ],
)
def test_bad_parameters_are_refused(encoder: Any, parameter: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        clone(encoder).set_params(**{parameter: value}).fit(sample())


@each_encoder
def test_binary_words_are_for_those_that_take_them(encoder: Any) -> None:
    encoder = clone(encoder).set_params(dictionary=BinaryDictionary(n_words=5))
    if isinstance(encoder, KernelCodebook):
        vector = encoder.fit([binary_bag(50)]).encode(binary_bag(20, seed=1))
        assert vector.shape == (5,)
        assert vector.any()
        with pytest.raises(ValueError, match="descriptors must be binary"):
            encoder.encode(random_bag(3, 32))
        with pytest.raises(ValueError, match="descriptors must have 4 bytes each"):
            encoder.encode(Features(np.zeros((1, 4), np.float32), np.zeros((1, 5), np.uint8), (9, 9)))
    else:
        with pytest.raises(ValueError, match="binary"):
            encoder.fit([binary_bag(50)])
    with pytest.raises(ValueError, match="binary"):
        encoder.fit(sample())


def test_a_forged_dictionary_is_refused(tmp_path: Path) -> None:
    fitted = LLC(words()).fit(sample())
    fitted.dictionary_ = BinaryDictionary(n_words=5).fit(binary_bag(30).descriptors)
    with pytest.raises(ValueError, match="dictionary must learn words_ of shape"):
        storage.save(tmp_path / "model", kind="encoder", state=fitted, metadata={})
    fitted.dictionary_ = None
    with pytest.raises(ValueError, match="dictionary_ must be there"):
        storage.save(tmp_path / "model", kind="encoder", state=fitted, metadata={})


@each_encoder
def test_new_words_are_noticed(encoder: Any) -> None:
    fitted = clone(encoder).fit(sample())
    features = random_bag(30, SIZE, seed=2)
    first = fitted.encode(features)
    second = fitted.fit([random_bag(60, SIZE, seed=77)]).encode(features)
    assert first.shape != second.shape or not np.allclose(first, second)
    assert np.array_equal(second, clone(encoder).fit([random_bag(60, SIZE, seed=77)]).encode(features))


@each_encoder
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.just(SIZE)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_any_finite_descriptors_give_a_finite_vector(encoder: Any, descriptors: np.ndarray) -> None:
    fitted = _fitted(encoder)
    features = Features(np.zeros((len(descriptors), 4), np.float32), descriptors, (10, 10))
    vector = fitted.encode(features)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()


@each_encoder
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e-10, 1e15, 1e30, 3e38])
def test_training_at_any_scale_gives_finite_vectors(encoder: Any, scale: float) -> None:
    rng = np.random.default_rng(0)
    descriptors = (rng.uniform(-1, 1, (60, SIZE)) * scale).astype(np.float32)
    features = Features(np.zeros((60, 4), np.float32), descriptors, (10, 10))
    vector = clone(encoder).fit([features]).encode(features)
    assert np.isfinite(vector).all()


@each_encoder
def test_a_sample_of_one_descriptor_repeated(encoder: Any) -> None:
    features = random_bag(30, SIZE)
    features.descriptors[:] = 0.25
    encoder = clone(encoder)
    if isinstance(encoder.dictionary, KMeansDictionary):
        encoder.set_params(dictionary__n_words=1)
    vector = encoder.fit([features]).encode(features)
    assert np.isfinite(vector).all()


_FITTED: dict[str, Any] = {}


def _fitted(encoder: Any) -> Any:
    key = str(encoder.get_params())
    if key not in _FITTED:
        _FITTED[key] = clone(encoder).fit(sample())
    return _FITTED[key]


# Normalisation


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("power", [0.5, 0.3, 1.0])
def test_histograms_are_normalised_as_by_bag_of_words(normalization: str, power: float) -> None:
    # One nearest word makes a kernel codebook a bag of words.
    options = {"normalization": normalization, "power": power}
    hard = KernelCodebook(words(), n_nearest=1, pooling="sum", **options).fit(sample())
    bag_of_words = BagOfWords(words(), **options).fit(sample())
    features = random_bag(80, SIZE, seed=6)
    np.testing.assert_allclose(hard.encode(features), bag_of_words.encode(features), rtol=1e-6)


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ("none", [[3.0, -4.0, 0.0], [0, 0, 0]]),
        ("l1", [[3 / 7, -4 / 7, 0], [0, 0, 0]]),
        ("l2", [[0.6, -0.8, 0], [0, 0, 0]]),
        ("hellinger", [[(3 / 7) ** 0.5, -((4 / 7) ** 0.5), 0], [0, 0, 0]]),
        ("power", [[9 / 337**0.5, -16 / 337**0.5, 0], [0, 0, 0]]),
    ],
)
def test_rows_of_either_sign_by_hand(normalization: str, expected: list[list[float]]) -> None:
    rows = np.array([[3.0, -4, 0], [0, 0, 0]])
    rows.flags.writeable = False
    normalized = normalize_as(rows, normalization, 2.0)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized, expected, rtol=1e-6)


def test_pooling_changes_only_the_length_where_it_should() -> None:
    features = random_bag(30, SIZE, seed=1)
    for kind in (KernelCodebook, LLC, Triangle, SoftThreshold, NearWords):
        encoder = kind(words())
        vectors = {
            pooling: clone(encoder).set_params(pooling=pooling, normalization="none").fit(sample()).encode(features)
            for pooling in POOLINGS
        }
        np.testing.assert_allclose(vectors["sum"], 30 * vectors["average"], rtol=1e-5)
        assert (vectors["max"] >= vectors["average"] - 1e-6).all()
        assert not np.allclose(vectors["max"], vectors["average"])
