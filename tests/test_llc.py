"""LLC: codes by hand, against the authors' algorithm point by point, and as the minimum that they are to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bags import described, knowing, random_bag
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.encoders import LLC, llc

Float64 = NDArray[np.float64]


def with_words(words: Any, **parameters: Any) -> LLC:
    """An encoder with these words, as if it had learned them."""
    return knowing(LLC(**{"normalization": "none", **parameters}), words)


def published(descriptors: Any, words: Any, k: int, beta: float) -> Float64:
    """LLC_coding_appr.m, translated: whole codes (n, n_words)."""
    codes = np.zeros((len(descriptors), len(words)))
    for row, x in enumerate(descriptors.astype(np.float64)):
        distances = np.sum((words.astype(np.float64) - x) ** 2, axis=1)
        nearest = np.argsort(distances)[:k]
        z = words[nearest].astype(np.float64) - x
        covariance = z @ z.T
        covariance += np.eye(len(nearest)) * beta * np.trace(covariance)
        weights = np.linalg.solve(covariance, np.ones(len(nearest)))
        codes[row, nearest] = weights / weights.sum()
    return codes


@pytest.mark.parametrize(("k", "beta"), [(1, 1e-4), (2, 1e-4), (5, 1e-4), (5, 1e-2), (5, 10.0), (12, 1e-3), (50, 1e-2)])
@pytest.mark.parametrize("pooling", ["max", "sum", "average"])
def test_against_the_published_code(k: int, beta: float, pooling: str) -> None:
    words = random_bag(20, 8, seed=1).descriptors
    features = random_bag(60, 8, seed=2)
    vector = with_words(words, n_nearest=k, regularization=beta, pooling=pooling).encode(features)
    codes = published(features.descriptors, words, k, beta)
    expected = {"max": codes.max(axis=0), "sum": codes.sum(axis=0), "average": codes.mean(axis=0)}[pooling]
    np.testing.assert_allclose(vector, expected, rtol=2e-3, atol=2e-3)


def test_each_code_against_the_published_code() -> None:
    words = random_bag(40, 16, seed=1).descriptors
    features = random_bag(30, 16, seed=2)
    encoder = with_words(words)
    mine = np.array([encoder.encode(features.take(np.array([row]))) for row in range(30)])
    theirs = published(features.descriptors, words, 5, 1e-4)
    # One point: its code with the negative weights, which a maximum over one point keeps.
    np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-3)
    assert (theirs < -0.01).any()


def test_by_hand() -> None:
    # A quarter of the way from the word 0 to the word 1: three parts of the first, one of the second.
    encoder = with_words([[0.0], [1], [9]], n_nearest=2, regularization=1e-6)
    np.testing.assert_allclose(encoder.encode(described([[0.25]])), [0.75, 0.25, 0], atol=1e-5)
    # Beyond the word 1 it takes a negative part of the word 0.
    np.testing.assert_allclose(encoder.encode(described([[1.5]])), [-0.5, 1.5, 0], atol=1e-5)
    # The maximum over both; -1/2 is not one, and nor is it for a third point that does not use word 0 at all.
    np.testing.assert_allclose(encoder.encode(described([[0.25], [1.5]])), [0.75, 1.5, 0], atol=1e-5)
    np.testing.assert_allclose(encoder.encode(described([[8.0], [1.5]])), [0, 1.5, 0.875], atol=1e-5)


def test_a_code_is_the_least_of_its_problem() -> None:
    words = random_bag(30, 6, seed=4).descriptors.astype(np.float64)
    x = random_bag(1, 6, seed=5).descriptors[0].astype(np.float64)
    beta = 1e-2
    code = with_words(words, regularization=beta, pooling="sum").encode(described(x[None])).astype(np.float64)
    nearest = np.argsort(np.sum((words - x) ** 2, axis=1))[:5]
    assert set(np.flatnonzero(code)) == set(nearest)
    penalty = beta * np.sum((words[nearest] - x) ** 2)

    def objective(weights: Float64) -> float:
        return float(np.sum((x - weights @ words[nearest]) ** 2) + penalty * np.sum(weights**2))

    best = objective(code[nearest])
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1e-2, 0.1, 1):
        for _ in range(50):
            step = rng.standard_normal(5) * scale
            assert objective(code[nearest] + step - step.mean()) >= best * (1 - 1e-6)


@given(st.integers(1, 30), st.integers(1, 12), st.sampled_from([1e-6, 1e-4, 1.0]), st.integers(0, 9))
def test_weights_of_a_point_sum_to_one(n: int, k: int, beta: float, seed: int) -> None:
    encoder = with_words(random_bag(12, 3, seed=seed).descriptors, n_nearest=k, regularization=beta, pooling="sum")
    vector = encoder.encode(random_bag(n, 3, seed=seed + 50))
    np.testing.assert_allclose(vector.sum(dtype=np.float64), n, rtol=1e-3, atol=1e-3)


def test_a_point_on_a_word_is_that_word() -> None:
    words = random_bag(30, 16, seed=4).descriptors
    vector = with_words(words, regularization=1e-6).encode(described(words[7:8]))
    np.testing.assert_allclose(vector, np.eye(30)[7], atol=1e-4)


def test_words_that_coincide_share_evenly() -> None:
    encoder = with_words([[2.0, 2]] * 4 + [[5, 5]], n_nearest=4)
    np.testing.assert_allclose(encoder.encode(described([[2, 2]])), [0.25] * 4 + [0])


def test_one_nearest_word_is_hard_assignment() -> None:
    words = random_bag(10, 4, seed=4).descriptors
    features = random_bag(30, 4, seed=5)
    vector = with_words(words, n_nearest=1, pooling="sum").encode(features)
    labels = np.argmin(((features.descriptors[:, None] - words) ** 2).sum(axis=2), axis=1)
    np.testing.assert_allclose(vector, np.bincount(labels, minlength=10), rtol=1e-6)


def test_codes_do_not_depend_on_place_and_scale() -> None:
    words, features = random_bag(20, 6, seed=1).descriptors, random_bag(40, 6, seed=2)
    vector = with_words(words).encode(features)
    moved = with_words(words * 8 + 16).encode(features.with_descriptors(features.descriptors * 8 + 16))
    np.testing.assert_allclose(moved, vector, rtol=2e-3, atol=2e-3)


def test_blocks_of_points_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = with_words(random_bag(20, 6, seed=1).descriptors)
    features = random_bag(100, 6, seed=2)
    before = encoder.encode(features)
    monkeypatch.setattr(llc, "_BLOCK", 7)
    assert np.array_equal(encoder.encode(features), before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_nearest": 0}, "n_nearest must be an integer >= 1, got 0"),
        ({"regularization": 0}, "regularization must be a number >= 1e-06, got 0"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        LLC(**parameters).fit([random_bag(30, 3)])
