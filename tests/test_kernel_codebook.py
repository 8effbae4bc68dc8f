"""KernelCodebook: weights by hand and against a loop over points and words; the default sigma."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bags import random_bag
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.dictionary import BinaryDictionary, KMeansDictionary
from cvbow.encoders import BagOfWords, KernelCodebook
from cvbow.features import Features


def on_line(places: list[float]) -> Features:
    """Descriptors of one value."""
    return Features(np.zeros((len(places), 4), np.float32), np.array(places, np.float32)[:, None], (9, 9))


def with_words(words: Any, sigma: float, **parameters: Any) -> KernelCodebook:
    """An encoder with these words and this sigma, as if it had learned them."""
    encoder = KernelCodebook(sigma=sigma, pooling="sum", normalization="none", **parameters)
    encoder.dictionary_ = KMeansDictionary(n_words=len(words))
    encoder.dictionary_.words_ = np.array(words, np.float32)
    encoder.sigma_ = sigma
    return encoder


def oracle(descriptors: Any, words: Any, k: int, sigma: float, ambiguity: str) -> NDArray[np.float64]:
    """Sum of the weights, one point at a time."""
    total = np.zeros(len(words))
    for x in descriptors.astype(np.float64):
        distances = np.array([np.sum((x - w) ** 2) for w in words.astype(np.float64)])
        nearest = np.argsort(distances)[:k]
        weights = np.exp(-distances[nearest] / (2 * sigma**2))
        total[nearest] += weights / weights.sum() if ambiguity == "uncertainty" else weights
    return total


def test_by_hand() -> None:
    # Words at 0, 1 and 10; a point at 1/2 is shared evenly, one at 0 by exp(-1/2) to 1.
    words = [[0.0], [1], [10]]
    e = np.exp(-0.5)
    vector = with_words(words, 1.0, n_nearest=2).encode(on_line([0.5, 0]))
    np.testing.assert_allclose(vector, [0.5 + 1 / (1 + e), 0.5 + e / (1 + e), 0], rtol=1e-6)
    plain = with_words(words, 1.0, n_nearest=2, ambiguity="kernel").encode(on_line([0.5, 0]))
    np.testing.assert_allclose(plain, [np.exp(-0.125) + 1, np.exp(-0.125) + e, 0], rtol=1e-6)


@pytest.mark.parametrize("ambiguity", ["uncertainty", "kernel"])
@pytest.mark.parametrize(("k", "sigma"), [(1, 0.7), (3, 2.0), (5, 0.4), (30, 1.0), (99, 1.5)])
def test_against_the_definition(k: int, sigma: float, ambiguity: str) -> None:
    words = random_bag(30, 6, seed=1).descriptors
    features = random_bag(200, 6, seed=2)
    vector = with_words(words, sigma, n_nearest=k, ambiguity=ambiguity).encode(features)
    expected = oracle(features.descriptors, words, k, sigma, ambiguity)
    np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 40), st.integers(1, 10), st.floats(1e-3, 1e3), st.integers(0, 5))
def test_under_uncertainty_every_point_counts_one(n: int, k: int, sigma: float, seed: int) -> None:
    encoder = with_words(random_bag(10, 4, seed=seed).descriptors, sigma, n_nearest=k)
    vector = encoder.encode(random_bag(n, 4, seed=seed + 100))
    np.testing.assert_allclose(vector.sum(dtype=np.float64), n, rtol=1e-5)
    assert (vector >= 0).all()


def test_a_small_sigma_is_hard_assignment() -> None:
    sample = [random_bag(100, 6, seed=3)]
    soft = KernelCodebook(KMeansDictionary(n_words=9), sigma=1e-3).fit(sample)
    hard = BagOfWords(KMeansDictionary(n_words=9)).fit(sample)
    features = random_bag(70, 6, seed=4)
    np.testing.assert_allclose(soft.encode(features), hard.encode(features), atol=1e-6)


def test_a_large_sigma_shares_evenly() -> None:
    encoder = with_words(random_bag(4, 3, seed=3).descriptors, 1e6, n_nearest=4)
    np.testing.assert_allclose(encoder.encode(random_bag(8, 3)), 2, rtol=1e-5)


def test_a_point_far_from_all_words_keeps_its_weight_or_loses_it() -> None:
    words = [[0.0], [1], [2]]
    far = on_line([1e6])
    np.testing.assert_allclose(with_words(words, 1.0, n_nearest=2).encode(far).sum(), 1)
    assert not with_words(words, 1.0, n_nearest=2, ambiguity="kernel").encode(far).any()


def test_the_default_sigma_weighs_the_last_word_one_eth_on_average() -> None:
    sample = [random_bag(500, 6, seed=5)]
    encoder = KernelCodebook(KMeansDictionary(n_words=20), n_nearest=4).fit(sample)
    words, x = encoder.dictionary_.words_.astype(np.float64), sample[0].descriptors.astype(np.float64)
    distances = np.sort(((x[:, None] - words) ** 2).sum(axis=2), axis=1)
    np.testing.assert_allclose(2 * encoder.sigma_**2, np.mean(distances[:, 3] - distances[:, 0]), rtol=1e-5)
    plain = KernelCodebook(KMeansDictionary(n_words=20), ambiguity="kernel").fit(sample)
    np.testing.assert_allclose(plain.sigma_**2, distances[:, 0].mean(), rtol=1e-5)


def test_the_default_sigma_follows_the_scale_of_the_descriptors() -> None:
    features = random_bag(300, 6, seed=5)
    small = KernelCodebook(KMeansDictionary(n_words=10)).fit([features])
    big = KernelCodebook(KMeansDictionary(n_words=10)).fit([features.with_descriptors(features.descriptors * 64)])
    np.testing.assert_allclose(big.sigma_, 64 * small.sigma_, rtol=1e-4)


def test_a_given_sigma_is_taken() -> None:
    encoder = KernelCodebook(KMeansDictionary(n_words=4), sigma=2).fit([random_bag(30, 3)])
    assert encoder.sigma_ == 2.0
    assert isinstance(encoder.sigma_, float)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_nearest": 0}, "n_nearest must be an integer >= 1, got 0"),
        ({"sigma": 0}, "sigma must be a number > 0, got 0"),
        ({"sigma": float("nan")}, "sigma must be a number > 0, got nan"),
        ({"ambiguity": "hard"}, "ambiguity must be one of uncertainty, kernel, got 'hard'"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        KernelCodebook(**parameters).fit([random_bag(30, 3)])


def test_of_binary_words_the_distance_is_the_root_of_hammings() -> None:
    descriptors = np.array([[0b0000_0000], [0b0000_0011], [0b1111_1111]], np.uint8)
    features = Features(np.zeros((3, 4), np.float32), descriptors, (9, 9))
    encoder = KernelCodebook(
        BinaryDictionary(n_words=3), sigma=1.0, n_nearest=2, pooling="sum", normalization="none"
    ).fit([features])
    vector = encoder.encode(features.take(np.array([1])))
    order = [encoder.dictionary_.words_[:, 0].tolist().index(word) for word in (3, 0, 255)]
    e = np.exp(-2 / 2)  # two bits apart
    np.testing.assert_allclose(vector[order], [1 / (1 + e), e / (1 + e), 0], rtol=1e-6)
