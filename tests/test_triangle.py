"""Triangle: by hand, and against scikit-learn's distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bags import described, knowing, random_bag
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances

from cvbow.dictionary import search
from cvbow.encoders import Triangle


def with_words(words: Any, **parameters: Any) -> Triangle:
    """An encoder with these words, as if it had learned them."""
    return knowing(Triangle(**parameters), words)


def oracle(descriptors: Any, words: Any) -> NDArray[np.float64]:
    """Codes (n, n_words)."""
    distances = euclidean_distances(descriptors.astype(np.float64), words.astype(np.float64))
    return np.maximum(distances.mean(axis=1, keepdims=True) - distances, 0)


def test_by_hand() -> None:
    encoder = with_words([[0, 0], [3, 4], [6, 8]])
    # Distances 0, 5, 10: mean 5. Distances 5, 0, 5: mean 10/3.
    np.testing.assert_allclose(encoder.encode(described([[0, 0]])), [5, 0, 0], atol=1e-3)
    np.testing.assert_allclose(encoder.encode(described([[3, 4]])), [0, 10 / 3, 0], atol=1e-3)
    np.testing.assert_allclose(encoder.encode(described([[0, 0], [3, 4]])), [5, 10 / 3, 0], atol=1e-3)


@pytest.mark.parametrize("pooling", ["sum", "average", "max"])
@pytest.mark.parametrize(("n", "n_words", "size"), [(1, 1, 1), (300, 40, 12), (700, 600, 108), (20, 1000, 3)])
def test_against_the_definition(n: int, n_words: int, size: int, pooling: str) -> None:
    words = random_bag(n_words, size, seed=1).descriptors
    features = random_bag(n, size, seed=2)
    vector = with_words(words, pooling=pooling).encode(features)
    codes = oracle(features.descriptors, words)
    expected = {"sum": codes.sum(axis=0), "average": codes.mean(axis=0), "max": codes.max(axis=0)}[pooling]
    np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 9))
def test_values_are_not_negative_and_a_word_in_the_middle_has_none(n: int, n_words: int, seed: int) -> None:
    vector = with_words(random_bag(n_words, 4, seed=seed).descriptors).encode(random_bag(n, 4, seed=seed + 30))
    assert (vector >= 0).all()
    if n_words == 1:
        assert not vector.any()


def test_far_from_the_origin_the_digits_are_kept() -> None:
    words, features = random_bag(30, 6, seed=1).descriptors, random_bag(50, 6, seed=2)
    vector = with_words(words).encode(features)
    moved = with_words(words + 1024).encode(features.with_descriptors(features.descriptors + 1024))
    np.testing.assert_allclose(moved, vector, rtol=2e-3, atol=2e-2)


def test_blocks_change_only_last_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = with_words(random_bag(50, 6, seed=1).descriptors)
    features = random_bag(400, 6, seed=2)
    before = encoder.encode(features)
    monkeypatch.setattr(search, "_SCORES", 1)
    np.testing.assert_allclose(encoder.encode(features), before, rtol=1e-5)
