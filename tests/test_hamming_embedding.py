"""Signatures: bits by definition, distances by counting, and what the method promises of near descriptors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.retrieval import HammingEmbedding, hamming_distances
from cvbow.retrieval.hamming_embedding import _count_bits

BITS = st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=20)


def sample(n: int = 2000, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((10, size))
    words = rng.integers(0, 10, n).astype(np.int32)
    return (centers[words] + rng.standard_normal((n, size))).astype(np.float32), words


@given(BITS, BITS)
def test_distances_are_counts_of_differing_bits(first: list[int], second: list[int]) -> None:
    n = min(len(first), len(second))
    left, right = np.array(first[:n], np.uint64), np.array(second[:n], np.uint64)
    expected = [bin(a ^ b).count("1") for a, b in zip(first[:n], second[:n], strict=True)]
    found = hamming_distances(left, right)
    assert found.dtype == np.uint8
    assert found.tolist() == expected
    # What stands in for it on NumPy 1.26.
    counts = _count_bits(left ^ right)
    assert counts.dtype == np.uint8
    assert counts.tolist() == expected


def test_signatures_follow_the_definition() -> None:
    data, words = sample()
    embedding = HammingEmbedding(random_state=3).fit(data, words, 10)
    np.testing.assert_allclose(embedding.projection_ @ embedding.projection_.T, np.eye(64), atol=1e-5)
    values = data.astype(float) @ embedding.projection_.T.astype(float)
    for word in range(10):
        own = values[words == word]
        n = len(own)
        expected = (n * np.median(own, axis=0) + np.median(values, axis=0)) / (n + 1)
        np.testing.assert_allclose(embedding.medians_[word], expected, atol=1e-5)
    signatures = embedding.signatures(data, words)
    assert signatures.dtype == np.uint64
    safe = np.abs(values - embedding.medians_[words]) > 1e-4
    for row in range(0, 2000, 50):
        bits = [int(signatures[row]) >> i & 1 for i in range(64)]
        above = values[row] > embedding.medians_[words[row]]
        assert [b for b, s in zip(bits, safe[row], strict=True) if s] == above[safe[row]].tolist()


def test_near_descriptors_share_bits_and_others_half() -> None:
    data, words = sample()
    embedding = HammingEmbedding().fit(data, words, 10)
    signatures = embedding.signatures(data, words)
    near = (data + 0.1 * np.random.default_rng(1).standard_normal(data.shape)).astype(np.float32)
    assert hamming_distances(signatures, embedding.signatures(near, words)).mean() < 6
    here = signatures[words == 0]
    others = hamming_distances(here[:, None], here)[np.triu_indices(len(here), 1)]
    assert 30 < others.mean() < 34


def test_words_with_few_descriptors_are_drawn_to_the_middle_of_all() -> None:
    data, words = sample()
    words[words == 4] = 5
    words[0] = 4
    embedding = HammingEmbedding().fit(data, words, 11)
    values = data @ embedding.projection_.T
    middle = np.median(values, axis=0)
    np.testing.assert_allclose(embedding.medians_[10], middle, atol=1e-5)
    np.testing.assert_allclose(embedding.medians_[4], (values[0] + middle) / 2, atol=1e-5)
    # A near copy of a word's only descriptor keeps most of its bits.
    near = (data[:1] + 0.1 * np.random.default_rng(1).standard_normal((1, 128))).astype(np.float32)
    first, second = embedding.signatures(data[:1], words[:1]), embedding.signatures(near, words[:1])
    assert hamming_distances(first, second)[0] < 14
    nothing = embedding.signatures(data[:0], words[:0])
    assert nothing.shape == (0,)
    assert nothing.dtype == np.uint64


@pytest.mark.parametrize("size", [1, 24, 64, 100])
def test_every_size_of_descriptor_gives_64_bits(size: int) -> None:
    data, words = sample(300, size)
    embedding = HammingEmbedding().fit(data, words, 10)
    np.testing.assert_allclose(np.linalg.norm(embedding.projection_, axis=1), 1, atol=1e-5)
    first = embedding.projection_[:size]
    np.testing.assert_allclose(first @ first.T, np.eye(len(first)), atol=1e-5)
    assert len(np.unique(embedding.signatures(data, words))) > 1


def test_binary_descriptors_are_projected_as_their_bits() -> None:
    rng = np.random.default_rng(2)
    data = rng.integers(0, 256, (500, 32), np.uint8)
    words = rng.integers(0, 3, 500).astype(np.int32)
    binary = HammingEmbedding().fit(data, words, 3)
    real = HammingEmbedding().fit(_bits(data), words, 3)
    np.testing.assert_array_equal(binary.signatures(data, words), real.signatures(_bits(data), words))


def _bits(data: np.ndarray) -> np.ndarray:
    return np.unpackbits(data, axis=1).astype(np.float32)


def test_save_load_and_mistakes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data, words = sample(200)
    with pytest.raises(NotFittedError):
        HammingEmbedding().signatures(data, words)
    with pytest.raises(ValueError, match="one for each of 200 descriptors, got 3"):
        HammingEmbedding().fit(data, words[:3], 10)
    with pytest.raises(ValueError, match="at least one row"):
        HammingEmbedding().fit(data[:0], words[:0], 10)
    with pytest.raises(ValueError, match="random_state must be an integer >= 0"):
        HammingEmbedding(random_state=-1).fit(data, words, 10)
    embedding = HammingEmbedding().fit(data, words, 10)
    path = tmp_path / "embedding.cvbow"
    storage.save(path, kind="index", state=embedding, metadata={})
    again = storage.load(path, kind="index").state
    np.testing.assert_array_equal(again.signatures(data, words), embedding.signatures(data, words))
    embedding.medians_ = embedding.medians_[:, :9]
    with pytest.raises(ValueError, match=r"medians_ must be a float32 array of shape \(n_words, 64\)"):
        storage.check_state(embedding)
