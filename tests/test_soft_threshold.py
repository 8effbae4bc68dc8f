"""SoftThreshold: by hand, and against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bags import described, knowing, random_bag
from sklearn.base import clone

from cvbow.dictionary import search
from cvbow.encoders import SoftThreshold


def with_words(words: Any, **parameters: Any) -> SoftThreshold:
    """An encoder with these words, as if it had learned them."""
    return knowing(SoftThreshold(**parameters), words)


def test_by_hand() -> None:
    # Directions (0.6, 0.8) and (0, -1); a zero word has none.
    words = [[3, 4], [0, -2], [0, 0]]
    # Projections of (1, 1): 1.4, -1, 0; of (-1, 0): -0.6, 0, 0.
    one, two = described([[1, 1]]), described([[1, 1], [-1, 0]])
    np.testing.assert_allclose(with_words(words).encode(one), [1.15, 0, 0, 0, 0.75, 0], rtol=1e-6)
    np.testing.assert_allclose(with_words(words).encode(two), [1.15, 0, 0, 0.35, 0.75, 0], rtol=1e-6)
    np.testing.assert_allclose(with_words(words, split_sign=False).encode(two), [1.15, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(with_words(words, alpha=0.7).encode(two), [0.7, 0, 0, 0, 0.3, 0], rtol=1e-6)


@pytest.mark.parametrize("pooling", ["sum", "average", "max"])
@pytest.mark.parametrize("split_sign", [True, False])
@pytest.mark.parametrize(("n", "n_words", "size", "alpha"), [(1, 1, 1, 0.1), (300, 40, 12, 0.5), (500, 900, 20, 0.0)])
def test_against_the_definition(n: int, n_words: int, size: int, alpha: float, split_sign: bool, pooling: str) -> None:
    words = random_bag(n_words, size, seed=1).descriptors.astype(np.float64)
    features = random_bag(n, size, seed=2)
    projections = features.descriptors.astype(np.float64) @ (words / np.linalg.norm(words, axis=1, keepdims=True)).T
    codes = np.maximum(projections - alpha, 0)
    if split_sign:
        codes = np.hstack([codes, np.maximum(-projections - alpha, 0)])
    expected = {"sum": codes.sum(axis=0), "average": codes.mean(axis=0), "max": codes.max(axis=0)}[pooling]
    vector = with_words(words, alpha=alpha, split_sign=split_sign, pooling=pooling).encode(features)
    assert len(vector) == n_words * (1 + split_sign)
    np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-4)


def test_the_negatives_of_the_descriptors_exchange_the_halves() -> None:
    encoder = with_words(random_bag(20, 6, seed=1).descriptors)
    features = random_bag(30, 6, seed=2)
    vector = encoder.encode(features)
    turned = encoder.encode(features.with_descriptors(-features.descriptors))
    np.testing.assert_allclose(turned, np.roll(vector, 20), rtol=1e-5)


def test_the_length_of_a_word_does_not_matter() -> None:
    words, features = random_bag(20, 6, seed=1).descriptors, random_bag(30, 6, seed=2)
    np.testing.assert_allclose(
        with_words(words * 1e-20).encode(features), with_words(words).encode(features), rtol=1e-4
    )


def test_a_high_threshold_leaves_nothing() -> None:
    assert not with_words(random_bag(20, 6).descriptors, alpha=1e6).encode(random_bag(9, 6, seed=1)).any()


def test_blocks_change_only_last_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = with_words(random_bag(50, 6, seed=1).descriptors)
    features = random_bag(400, 6, seed=2)
    before = encoder.encode(features)
    monkeypatch.setattr(search, "_SCORES", 1)
    np.testing.assert_allclose(encoder.encode(features), before, rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -1}, "alpha must be a number >= 0, got -1"),
        ({"split_sign": "yes"}, "split_sign must be True or False, got 'yes'"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        clone(SoftThreshold(**parameters)).fit([random_bag(30, 3)])
