"""NearWords: by hand, and against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bags import described, knowing, random_bag
from sklearn.base import clone

from cvbow.dictionary import KMeansDictionary, search
from cvbow.encoders import NearWords, SpatialPyramid


def with_words(words: Any, **parameters: Any) -> NearWords:
    """An encoder with these words, as if it had learned them."""
    return knowing(NearWords(**parameters), words)


def test_by_hand() -> None:
    # Directions (0.6, 0.8) and (0, -1); a zero word has none.
    words = [[3, 4], [0, -2], [0, 0]]
    # Products of (1, 1): 1.4, -1, 0, whose root mean square is 0.99; of (-5, 0): -3, 0, 0, of which it is 1.73.
    one, two = described([[1, 1]]), described([[1, 1], [-5, 0]])
    assert with_words(words).encode(one).tolist() == [1, 0, 0, 0, 1, 0]
    assert with_words(words).encode(two).tolist() == [1, 0, 0, 1, 1, 0]
    assert with_words(words, nearness=1.2).encode(two).tolist() == [1, 0, 0, 1, 0, 0]
    assert with_words(words, pooling="average").encode(two).tolist() == [0.5, 0, 0, 0.5, 0.5, 0]
    assert with_words(words, pooling="max").encode(two).tolist() == [1, 0, 0, 1, 1, 0]


@pytest.mark.parametrize("pooling", ["sum", "average", "max"])
@pytest.mark.parametrize(("n", "n_words", "size", "nearness"), [(1, 2, 1, 0.1), (700, 40, 12, 0.5), (500, 900, 20, 0)])
def test_against_the_definition(n: int, n_words: int, size: int, nearness: float, pooling: str) -> None:
    words = random_bag(n_words, size, seed=1).descriptors.astype(np.float64) - 0.3
    features = random_bag(n, size, seed=2)
    products = features.descriptors.astype(np.float64) @ (words / np.linalg.norm(words, axis=1, keepdims=True)).T
    least = nearness * np.sqrt((products**2).mean(axis=1, keepdims=True))
    codes = np.hstack([products > least, -products > least])
    expected = {"sum": codes.sum(axis=0), "average": codes.mean(axis=0), "max": codes.max(axis=0)}[pooling]
    vector = with_words(words, nearness=nearness, pooling=pooling).encode(features)
    assert 0 < codes.mean() < 1 or n == 1
    np.testing.assert_allclose(vector, expected, rtol=1e-6)


def test_more_descriptors_than_a_byte_counts() -> None:
    features = described(np.ones((1000, 2)))
    assert with_words([[1, 1], [-2, -2]]).encode(features).tolist() == [1000, 0, 0, 1000]
    pyramid = SpatialPyramid(NearWords(KMeansDictionary(n_words=1)), grids=("1x1", "2x2"), normalization="none")
    assert pyramid.fit([features]).encode(features).tolist() == [1000, 0, 1000, 0, 0, 0, 0, 0, 0, 0]


def test_the_negatives_of_the_descriptors_exchange_the_halves() -> None:
    encoder = with_words(random_bag(20, 6, seed=1).descriptors)
    features = random_bag(30, 6, seed=2)
    vector = encoder.encode(features)
    turned = encoder.encode(features.with_descriptors(-features.descriptors))
    np.testing.assert_array_equal(turned, np.roll(vector, 20))


def test_only_directions_matter() -> None:
    words, features = random_bag(20, 6, seed=1).descriptors, random_bag(30, 6, seed=2)
    vector = with_words(words).encode(features)
    np.testing.assert_array_equal(with_words(words * 1e-20).encode(features), vector)
    np.testing.assert_array_equal(
        with_words(words).encode(features.with_descriptors(features.descriptors * 1024)), vector
    )


def test_two_fifths_of_normal_words_are_near_as_in_the_paper() -> None:
    rng = np.random.default_rng(0)
    encoder = with_words(rng.standard_normal((2000, 100)), nearness=0.2533, pooling="average")
    shares = encoder.encode(described(rng.standard_normal((50, 100))))
    assert abs(shares.mean() - 0.4) < 0.01


def test_nothing_is_near_a_descriptor_of_zeros() -> None:
    assert not with_words(random_bag(20, 6).descriptors, nearness=0).encode(described(np.zeros((3, 6)))).any()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = with_words(random_bag(50, 6, seed=1).descriptors)
    features = random_bag(400, 6, seed=2)
    before = encoder.encode(features)
    monkeypatch.setattr(search, "_SCORES", 1)
    np.testing.assert_allclose(encoder.encode(features), before, atol=1)


def test_shares_are_those_of_each_descriptor() -> None:
    encoder = with_words([[1, 0], [0, 1]], normalization="hellinger")
    features = described([[3, 1], [2, 0], [-1, 5]])
    # Near are: of the first and the second the first word, of the third the second; roots of 2/3 and of 1/3.
    np.testing.assert_allclose(encoder.encode(features), np.sqrt([2 / 3, 1 / 3, 0, 0]), rtol=1e-6)
    shares = encoder.shares(features, np.array([1.0, 10, 100, 1000]))
    np.testing.assert_allclose(shares, [np.sqrt(2 / 3) / 2, np.sqrt(2 / 3) / 2, 10 * np.sqrt(1 / 3)], rtol=1e-6)


@pytest.mark.parametrize("nearness", [-1, "much", float("nan")])
def test_bad_parameters_are_refused(nearness: Any) -> None:
    with pytest.raises(ValueError, match=f"^nearness must be a number >= 0, got {nearness!r}$"):
        clone(NearWords(nearness=nearness)).fit([random_bag(30, 3)])
