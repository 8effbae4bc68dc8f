"""BagOfWords: every weighting and normalisation against hand-computed numbers and a plain NumPy oracle."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from bags import all_words, bag, dictionary, frozen, random_bag
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords, Cells, Encoder
from cvbow.encoders.bag_of_words import NORMALIZATIONS, WEIGHTINGS
from cvbow.features import Features

COMBINATIONS = list(itertools.product(WEIGHTINGS, NORMALIZATIONS))


def fitted(n_words: int = 4, **parameters: Any) -> BagOfWords:
    return BagOfWords(dictionary(n_words), **parameters).fit(all_words(n_words))


def oracle(
    words: list[int], n_words: int, weighting: str, normalization: str, power: float, idf: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The definition, one word at a time."""
    counts = Counter(words)
    values = []
    for word in range(n_words):
        value = float(counts[word])
        if weighting == "binary":
            value = 1.0 if value else 0.0
        elif weighting == "tf-idf":
            value *= idf[word]
        values.append(value)
    total = sum(values)
    if normalization in ("l1", "hellinger"):
        values = [value / total if total else 0.0 for value in values]
    if normalization == "hellinger":
        values = [math.sqrt(value) for value in values]
    if normalization == "power":
        values = [value**power if value else 0.0 for value in values]
    if normalization in ("l2", "power"):
        length = math.sqrt(sum(value * value for value in values))
        values = [value / length if length else 0.0 for value in values]
    return np.array(values)


# Of the words 0, 0, 0, 0, 1, 3, 3, 3, 3: counts 4, 1, 0, 4.
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"normalization": "none"}, [4, 1, 0, 4]),
        ({"normalization": "none", "weighting": "binary"}, [1, 1, 0, 1]),
        ({"normalization": "l1"}, [4 / 9, 1 / 9, 0, 4 / 9]),
        ({"normalization": "l2"}, [4 / 33**0.5, 1 / 33**0.5, 0, 4 / 33**0.5]),
        ({}, [2 / 3, 1 / 3, 0, 2 / 3]),
        ({"normalization": "power"}, [2 / 3, 1 / 3, 0, 2 / 3]),
        ({"normalization": "power", "power": 1.0}, [4 / 33**0.5, 1 / 33**0.5, 0, 4 / 33**0.5]),
        ({"normalization": "l1", "weighting": "binary"}, [1 / 3, 1 / 3, 0, 1 / 3]),
    ],
)
def test_hand_computed(parameters: dict[str, Any], expected: list[float]) -> None:
    vector = fitted(**parameters).encode(bag([0, 3, 0, 3, 1, 3, 0, 3, 0]))
    np.testing.assert_allclose(vector, expected, rtol=1e-6)


def test_tf_idf_by_hand() -> None:
    # Of three images, all have word 0, two have word 1, one has word 2.
    images = [bag([0, 1, 2]), bag([0, 0, 0, 1]), bag([0])]
    encoder = BagOfWords(dictionary(3), weighting="tf-idf", normalization="none").fit(images)
    order = encoder.dictionary_.words_[:, 0].argsort()
    np.testing.assert_allclose(encoder.idf_[order], [0, math.log(3 / 2), math.log(3)], rtol=1e-6)
    np.testing.assert_allclose(encoder.encode(images[1])[order], [0, math.log(3 / 2), 0], rtol=1e-6)
    vector = encoder.encode(bag([2, 2, 1]))[order]
    np.testing.assert_allclose(vector, [0, math.log(3 / 2), 2 * math.log(3)], rtol=1e-6)


def test_document_frequencies_can_be_replaced() -> None:
    encoder = fitted(4, weighting="tf-idf", normalization="none")
    assert encoder.wants_documents
    np.testing.assert_array_equal(encoder.count_documents(bag([3, 1, 1])), [0, 1, 0, 1])
    np.testing.assert_array_equal(encoder.count_documents(bag([])), [0, 0, 0, 0])
    encoder.set_documents(np.array([8, 2, 1, 0]), 8)
    # The word that no image has weighs like the one that a single image has.
    np.testing.assert_allclose(encoder.idf_, [0, math.log(4), math.log(8), math.log(8)], rtol=1e-6)
    assert encoder.idf_.dtype == np.float32
    np.testing.assert_allclose(encoder.encode(bag([0, 3])), [0, 0, 0, math.log(8)], rtol=1e-6)


@pytest.mark.parametrize("weighting", ["count", "binary"])
def test_only_tf_idf_wants_documents(weighting: str) -> None:
    encoder = fitted(weighting=weighting)
    assert not encoder.wants_documents
    assert not hasattr(encoder, "idf_")


@given(
    words=st.lists(st.integers(0, 5), max_size=60),
    combination=st.sampled_from(COMBINATIONS),
    power=st.floats(0.05, 1.0),
    frequencies=st.lists(st.integers(0, 9), min_size=6, max_size=6),
)
def test_every_combination_against_the_oracle(
    words: list[int], combination: tuple[str, str], power: float, frequencies: list[int]
) -> None:
    weighting, normalization = combination
    encoder = fitted(6, weighting=weighting, normalization=normalization, power=power)
    idf = np.log(9 / np.maximum(frequencies, 1))
    if weighting == "tf-idf":
        encoder.set_documents(np.array(frequencies), 9)
    vector = encoder.encode(bag(words))
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    np.testing.assert_allclose(vector, oracle(words, 6, weighting, normalization, power, idf), rtol=2e-6, atol=1e-7)


@given(words=st.lists(st.integers(0, 5), min_size=1, max_size=60), combination=st.sampled_from(COMBINATIONS))
def test_norms(words: list[int], combination: tuple[str, str]) -> None:
    weighting, normalization = combination
    vector = fitted(6, weighting=weighting, normalization=normalization).encode(bag(words)).astype(np.float64)
    # In a sample of one image every word has log(1 / 1).
    if weighting == "tf-idf":
        assert not vector.any()
    elif normalization == "l1":
        assert vector.sum() == pytest.approx(1, rel=1e-5)
    elif normalization != "none":
        assert vector @ vector == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(("weighting", "normalization"), COMBINATIONS)
def test_neither_order_nor_memory_layout_matters_and_inputs_stay(weighting: str, normalization: str) -> None:
    sample = [frozen(random_bag(12, seed=seed)) for seed in range(20)]
    encoder = BagOfWords(KMeansDictionary(n_words=20), weighting=weighting, normalization=normalization).fit(sample)
    features = frozen(random_bag(90, seed=9))
    vector = encoder.encode(features)
    shuffled = features.take(np.random.default_rng(0).permutation(90))
    np.testing.assert_array_equal(encoder.encode(shuffled), vector)
    column_major = Features(features.points, np.asfortranarray(features.descriptors), features.image_size)
    np.testing.assert_array_equal(encoder.encode(column_major), vector)
    assert vector.any()


@pytest.mark.parametrize(("weighting", "normalization"), COMBINATIONS)
def test_an_empty_bag_is_the_zero_vector(weighting: str, normalization: str) -> None:
    vector = fitted(weighting=weighting, normalization=normalization).encode(bag([]))
    np.testing.assert_array_equal(vector, np.zeros(4, np.float32))
    assert vector.dtype == np.float32


def test_a_numpy_power_keeps_float32() -> None:
    assert fitted(normalization="power", power=np.float64(0.3)).encode(bag([1, 2])).dtype == np.float32


def test_the_hellinger_kernel_is_a_dot_product() -> None:
    encoder = fitted(3)
    left, right = [0, 0, 1, 2], [0, 1, 1, 1]
    # sum of sqrt(p q): sqrt(1/2 1/4) + sqrt(1/4 3/4)
    expected = math.sqrt(1 / 8) + math.sqrt(3 / 16)
    assert encoder.encode(bag(left)) @ encoder.encode(bag(right)) == pytest.approx(expected, rel=1e-6)


def test_cells_are_encoded_apart() -> None:
    encoder = fitted(3, normalization="l1")
    features = bag([0, 1, 2, 2, 0])
    # Two grids: one of cells 0 and 1, one of the single cell 2; cell 3 has no points.
    cells = [np.array([0, 0, 1, 1, 1]), np.array([2, 2, 2, 2, 2])]
    vectors = encoder.encode_cells(features, Cells(cells, 4))
    expected = [[1 / 2, 1 / 2, 0], [1 / 3, 0, 2 / 3], [2 / 5, 1 / 5, 2 / 5], [0, 0, 0]]
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    assert vectors.dtype == np.float32


def test_large_counts_stay_exact() -> None:
    words = np.repeat([0, 1], [300_000, 7])
    np.testing.assert_array_equal(fitted(2, normalization="none").encode(bag(words)), [300_000, 7])


def test_fit_leaves_the_parameters_alone() -> None:
    unfitted = dictionary(4)
    encoder = BagOfWords(unfitted)
    assert encoder.fit(all_words(4)) is encoder
    assert encoder.dictionary is unfitted
    assert not hasattr(unfitted, "words_")
    assert encoder.n_words == encoder.vector_length == 4


def test_the_default_dictionary_has_a_thousand_words() -> None:
    with pytest.warns(UserWarning, match="n_words is 1000, but the sample has 4 distinct"):
        encoder = BagOfWords().fit(all_words(4))
    assert encoder.vector_length == 4


def test_before_fit() -> None:
    encoder = BagOfWords(dictionary(4))
    assert isinstance(encoder, Encoder)
    for use in (lambda: encoder.encode(bag([])), lambda: encoder.vector_length, lambda: encoder.n_words):
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weighting": "idf"}, "weighting must be one of count, binary, tf-idf, got 'idf'"),
        ({"normalization": "L2"}, "normalization must be one of hellinger, l1, l2, power, none, got 'L2'"),
        ({"normalization": None}, "normalization must be one of"),
        ({"power": 0}, "power must be a number > 0 and <= 1, got 0"),
        ({"power": 1.5}, "power must be a number > 0 and <= 1, got 1.5"),
        ({"dictionary": 1000}, "dictionary must be an estimator or None, got 1000"),
        ({"dictionary": KMeansDictionary(n_words=0)}, "n_words must be an integer >= 1, got 0"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BagOfWords(**{"dictionary": dictionary(4)} | parameters).fit(all_words(4))


def test_a_sample_that_is_none_is_refused() -> None:
    encoder = BagOfWords(dictionary(4))
    with pytest.raises(ValueError, match="must be a sequence of Features, one per image; got a single Features"):
        encoder.fit(bag([0, 1]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have at least one image, got none"):
        encoder.fit([])
    with pytest.raises(ValueError, match="has no descriptors"):
        encoder.fit([bag([]), bag([])])


def test_descriptors_that_do_not_fit_are_refused() -> None:
    encoder = fitted(4)
    with pytest.raises(ValueError, match="descriptors must have 2 values each, as the words have, got 3"):
        encoder.encode(random_bag(5, size=3))
    binary = Features(np.zeros((5, 4), np.float32), np.zeros((5, 2), np.uint8), (9, 9))
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(binary)


@pytest.mark.parametrize("idf", [None, np.zeros(3, np.float32), np.zeros(4), [0.0] * 4])
def test_a_state_without_fitting_frequencies_is_refused(idf: object) -> None:
    encoder = fitted(4, weighting="tf-idf")
    storage.check_state(encoder)
    vars(encoder)["idf_"] = idf
    with pytest.raises(ValueError, match="idf_"):
        storage.check_state(encoder)
