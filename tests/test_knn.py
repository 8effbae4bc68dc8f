"""The k nearest words against every distance computed in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.dictionary import WordSearch, search

Float32 = NDArray[np.float32]


def blobs(n: int, n_words: int, size: int, seed: int = 0, offset: float = 0.0) -> tuple[Float32, Float32]:
    rng = np.random.default_rng(seed)
    descriptors, words = rng.standard_normal((n, size)) + offset, rng.standard_normal((n_words, size)) + offset
    return descriptors.astype(np.float32), words.astype(np.float32)


def all_distances(descriptors: Float32, words: Float32) -> NDArray[np.float64]:
    """Squared distances (n, n_words), each from its own differences."""
    return np.asarray(((descriptors.astype(np.float64)[:, None] - words.astype(np.float64)) ** 2).sum(axis=2))


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize(
    ("n", "n_words", "size", "k"),
    [(1, 1, 1, 1), (50, 7, 3, 7), (300, 77, 128, 5), (300, 77, 128, 16), (300, 77, 128, 17), (40, 60, 2, 60)],
)
def test_the_k_nearest_words_are_found_in_order(n: int, n_words: int, size: int, k: int, offset: float) -> None:
    descriptors, words = blobs(n, n_words, size, offset=offset)
    found, told = WordSearch(words).nearest_words(descriptors, k)
    assert found.shape == told.shape == (n, k)
    assert found.dtype == np.int32
    assert told.dtype == np.float32
    distances = all_distances(descriptors, words)
    np.testing.assert_allclose(told, np.sort(distances, axis=1)[:, :k], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(told, np.take_along_axis(distances, found, axis=1), rtol=1e-4, atol=1e-4)
    assert (np.diff(told, axis=1) >= 0).all()
    assert all(len(set(row)) == k for row in found.tolist())


def test_the_first_of_the_k_nearest_is_the_nearest() -> None:
    descriptors, words = blobs(200, 50, 16)
    kernel = WordSearch(words)
    labels, distances = kernel.nearest_distance(descriptors)
    for k in (3, 30):
        found, told = kernel.nearest_words(descriptors, k)
        assert np.array_equal(found[:, 0], labels)
        np.testing.assert_allclose(told[:, 0], distances, rtol=1e-5)


@pytest.mark.parametrize("k", [4, 20])
def test_of_equally_near_words_the_first_comes_first(k: int) -> None:
    words = np.repeat(np.array([[0, 0], [4, 0], [0, 4], [9, 9]], np.float32), 10, axis=0)
    found, told = WordSearch(words).nearest_words(np.zeros((3, 2), np.float32), k)
    assert found[:, :4].tolist() == [[0, 1, 2, 3]] * 3
    assert (told[:, :4] == 0).all()
    np.testing.assert_allclose(told[:, 10:], 16, rtol=1e-6)


def test_by_hand() -> None:
    words = np.array([[0, 0], [3, 4], [6, 8]], np.float32)
    found, told = WordSearch(words).nearest_words(np.array([[6, 8], [0, 1]], np.float32), 2)
    assert found.tolist() == [[2, 1], [0, 1]]
    np.testing.assert_allclose(told, [[0, 25], [1, 18]], atol=1e-5)


@given(
    st.integers(1, 60),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(0, 5),
    st.sampled_from([1, 64, 1 << 18]),
)
def test_blocks_and_threads_change_only_last_digits(
    n: int, n_words: int, size: int, k: int, seed: int, scores: int
) -> None:
    descriptors, words = blobs(n, n_words, size, seed)
    k = min(k, n_words)
    kernel = WordSearch(words)
    _, told = kernel.nearest_words(descriptors, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_SCORES", scores)
        patch.setattr(search, "_TASK", 7)
        one, two = (kernel.nearest_words(descriptors, k, n_threads=n_threads) for n_threads in (1, 3))
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
    np.testing.assert_allclose(one[1], told, atol=1e-4)


def test_no_descriptors() -> None:
    _, words = blobs(0, 5, 8)
    found, told = WordSearch(words).nearest_words(np.zeros((0, 8), np.float32), 3)
    assert found.shape == told.shape == (0, 3)
    assert list(WordSearch(words).score_blocks(np.zeros((0, 8), np.float32))) == []


def test_score_blocks_cover_all_rows_with_what_they_promise() -> None:
    descriptors, words = blobs(700, 1000, 9, offset=3)
    distances = all_distances(descriptors, words)
    covered = []
    for rows, centered, scores in WordSearch(words).score_blocks(descriptors):
        covered += list(range(rows.start, rows.stop))
        assert len(centered) == len(scores) == rows.stop - rows.start <= 262
        squared = np.einsum("ij,ij->i", centered, centered)[:, None] - 2 * scores
        np.testing.assert_allclose(squared, distances[rows], rtol=1e-4, atol=1e-4)
        scores[:] = np.nan  # the caller's to overwrite
    assert covered == list(range(700))


def test_descriptors_are_not_changed() -> None:
    descriptors, words = blobs(50, 20, 4)
    descriptors.flags.writeable = words.flags.writeable = False
    WordSearch(words).nearest_words(descriptors, 5)
