"""The nearest-word kernel against every distance computed in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.dictionary import WordSearch, search

Float32 = NDArray[np.float32]


def all_distances(descriptors: Float32, words: Float32) -> NDArray[np.float64]:
    """Squared distances (n, n_words), each from its own differences."""
    differences = descriptors.astype(np.float64)[:, None] - words.astype(np.float64)[None]
    return np.asarray((differences**2).sum(axis=2))


def check_nearest(descriptors: Float32, words: Float32, *, rtol: float = 1e-4, n_threads: int = 1) -> None:
    """Each found word is as near as the nearest, but for the last digits, and the distance told is its own."""
    labels, told = WordSearch(words).nearest_distance(descriptors, n_threads=n_threads)
    assert labels.shape == told.shape == (len(descriptors),)
    assert labels.dtype == np.int32
    assert told.dtype == np.float32
    assert np.array_equal(WordSearch(words).nearest(descriptors, n_threads=n_threads), labels)
    if len(descriptors) == 0:
        return
    assert (labels >= 0).all()
    assert (labels < len(words)).all()
    distances = all_distances(descriptors, words)
    # The spread of the words and the descriptors around the words' mean is what rounding is relative to.
    center = words.astype(np.float64).mean(axis=0)
    scale = ((descriptors - center) ** 2).sum(axis=1) + ((words - center) ** 2).sum(axis=1).max()
    mine = distances[np.arange(len(labels)), labels]
    assert (mine - distances.min(axis=1) <= rtol * 1e-2 * scale).all()
    assert (np.abs(told - mine) <= rtol * 1e-2 * scale).all()
    assert (told >= 0).all()


def blobs(n: int, n_words: int, k: int, seed: int = 0, offset: float = 0.0) -> tuple[Float32, Float32]:
    rng = np.random.default_rng(seed)
    return (
        (rng.standard_normal((n, k)) + offset).astype(np.float32),
        (rng.standard_normal((n_words, k)) + offset).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("n", "n_words", "k"), [(1, 1, 1), (5, 1, 3), (1, 50, 128), (300, 77, 128), (1000, 3, 2), (257, 256, 64)]
)
def test_the_nearest_word_is_found(n: int, n_words: int, k: int) -> None:
    check_nearest(*blobs(n, n_words, k))


def test_no_descriptors_give_no_words() -> None:
    _, words = blobs(0, 5, 8)
    for n_threads in (1, 3):
        labels, distances = WordSearch(words).nearest_distance(np.zeros((0, 8), np.float32), n_threads=n_threads)
        assert labels.shape == distances.shape == (0,)
        assert labels.dtype == np.int32
        assert distances.dtype == np.float32


def test_by_hand() -> None:
    words = np.array([[0, 0], [4, 0], [0, 4]], np.float32)
    descriptors = np.array([[1, 0], [3, 1], [1, 3], [2, 0], [-5, -5], [0, 4]], np.float32)
    labels, distances = WordSearch(words).nearest_distance(descriptors)
    # (2, 0) lies half way between the first two: the first wins.
    assert labels.tolist() == [0, 1, 2, 0, 0, 2]
    np.testing.assert_allclose(distances, [1, 2, 2, 4, 50, 0], atol=1e-5)


def test_of_equal_words_the_first_wins() -> None:
    _, words = blobs(0, 6, 16)
    labels = WordSearch(np.concatenate([words, words])).nearest(np.concatenate([words, words]))
    assert labels.tolist() == [0, 1, 2, 3, 4, 5] * 2


def test_a_word_is_its_own_nearest_at_no_distance() -> None:
    _, words = blobs(0, 300, 128)
    labels, distances = WordSearch(words).nearest_distance(words)
    assert np.array_equal(labels, np.arange(300))
    assert (distances >= 0).all()
    assert distances.max() < 1e-3


@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_far_from_the_origin_the_differences_still_decide(offset: float) -> None:
    descriptors, words = blobs(500, 60, 32, offset=offset)
    check_nearest(descriptors, words)
    expected = all_distances(descriptors, words).argmin(axis=1)
    assert np.array_equal(WordSearch(words).nearest(descriptors), expected)
    # The plain expansion of |x - w|^2 in float32 gets this wrong: the test would notice.
    naive = (words**2).sum(axis=1) - 2 * descriptors @ words.T
    assert (naive.argmin(axis=1) != expected).any()


@pytest.mark.parametrize("scores", [1, 64, 1000, 1 << 18])
@pytest.mark.parametrize("task", [1, 7, 100, 8192])
@pytest.mark.parametrize("n", [1, 7, 96, 233])
def test_blocks_and_their_remainders_change_nothing(
    n: int, task: int, scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptors, words = blobs(n, 37, 16)
    expected = all_distances(descriptors, words)
    monkeypatch.setattr(search, "_TASK", task)
    monkeypatch.setattr(search, "_SCORES", scores)
    for n_threads in (1, 2):
        labels, distances = WordSearch(words).nearest_distance(descriptors, n_threads=n_threads)
        assert np.array_equal(labels, expected.argmin(axis=1))
        np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-4)


def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_TASK", 200)
    descriptors, words = blobs(1999, 113, 128)
    kernel = WordSearch(words)
    labels, distances = kernel.nearest_distance(descriptors)
    for n_threads in (2, 3, 16):
        again = kernel.nearest_distance(descriptors, n_threads=n_threads)
        assert np.array_equal(again[0], labels)
        assert np.array_equal(again[1], distances)


def test_a_descriptor_has_the_same_word_in_any_company() -> None:
    descriptors, words = blobs(700, 90, 64)
    kernel = WordSearch(words)
    labels = kernel.nearest(descriptors)
    order = np.random.default_rng(1).permutation(len(descriptors))
    assert np.array_equal(kernel.nearest(descriptors[order]), labels[order])
    assert [kernel.nearest(descriptors[row : row + 1])[0] for row in range(50)] == labels[:50].tolist()


def test_inputs_are_left_alone_and_may_be_read_only() -> None:
    descriptors, words = blobs(100, 20, 16)
    before = descriptors.copy(), words.copy()
    descriptors.flags.writeable = words.flags.writeable = False
    WordSearch(words).nearest_distance(descriptors, n_threads=2)
    assert np.array_equal(descriptors, before[0])
    assert np.array_equal(words, before[1])


def test_rows_may_be_strided() -> None:
    descriptors, words = blobs(200, 20, 16)
    expected = WordSearch(words).nearest(descriptors[::2])
    assert np.array_equal(WordSearch(words).nearest(np.asfortranarray(descriptors)[::2]), expected)


def test_words_are_copied() -> None:
    descriptors, words = blobs(50, 5, 4)
    kernel = WordSearch(words)
    expected = kernel.nearest(descriptors)
    words[:] = 0
    assert np.array_equal(kernel.nearest(descriptors), expected)


@given(
    n=st.integers(1, 40), n_words=st.integers(1, 30), k=st.integers(1, 20), seed=st.integers(0, 10**6),
    offset=st.sampled_from([0.0, 1.0, 300.0, -1e4]), scale=st.sampled_from([1e-3, 1.0, 500.0]),
)  # fmt: skip
@example(n=40, n_words=30, k=1, seed=0, offset=-1e4, scale=1e-3)
def test_any_shape_place_and_scale(n: int, n_words: int, k: int, seed: int, offset: float, scale: float) -> None:
    descriptors, words = (scale * array + np.float32(offset) for array in blobs(n, n_words, k, seed))
    check_nearest(descriptors, words)
