"""BinaryDictionary: Hamming distances against counted bits and OpenCV, k-majority by hand, ORB into a bag of words."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from synthetic import textured

from cvbow import storage
from cvbow.dictionary import BinaryDictionary, binary
from cvbow.encoders import BagOfWords
from cvbow.features import Features

Bytes = NDArray[np.uint8]


def random_bytes(n: int, n_bytes: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (n, n_bytes), dtype=np.uint8)


def clusters(n: int, n_clusters: int, n_bytes: int = 32, *, flip: float = 0.1, seed: int = 0) -> tuple[Bytes, Bytes]:
    """Descriptors around random centres, each bit flipped with that probability; and the centres."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(0, 2, (n_clusters, 8 * n_bytes), dtype=np.uint8)
    bits = centers[np.arange(n) % n_clusters] ^ (rng.random((n, 8 * n_bytes)) < flip)
    return np.packbits(bits, axis=1), np.packbits(centers, axis=1)


def hamming(a: Bytes, b: Bytes) -> NDArray[np.intp]:
    """Differing bits of every pair, counted."""
    return np.unpackbits(a[:, None] ^ b, axis=2).sum(axis=2, dtype=np.intp)


def with_words(words: Bytes) -> BinaryDictionary:
    dictionary = BinaryDictionary(n_words=len(words))
    dictionary.words_ = words
    return dictionary


# Nearest words


@pytest.mark.parametrize(("n", "n_words", "n_bytes"), [(1, 1, 1), (300, 50, 32), (100, 300, 64), (50, 7, 61)])
def test_the_nearest_word_is_found_exactly(n: int, n_words: int, n_bytes: int) -> None:
    descriptors, words = random_bytes(n, n_bytes, 1), random_bytes(n_words, n_bytes, 2)
    distances = hamming(descriptors, words)
    dictionary = with_words(words)
    labels = dictionary.predict(descriptors)
    assert labels.dtype == np.int32
    assert np.array_equal(labels, distances.argmin(axis=1))  # of equal ones the first
    k = min(5, n_words)
    found, told = dictionary.nearest_words(descriptors, k)
    assert np.array_equal(found, np.argsort(distances, axis=1, kind="stable")[:, :k])
    assert np.array_equal(told, np.sort(distances, axis=1)[:, :k])


def test_the_nearest_word_is_that_of_opencv() -> None:
    descriptors, words = random_bytes(400, 32, 1), random_bytes(90, 32, 2)
    matches = cv2.BFMatcher(cv2.NORM_HAMMING).match(descriptors, words)
    assert [match.trainIdx for match in matches] == with_words(words).predict(descriptors).tolist()


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(0, 9))
def test_any_small_case(n: int, n_words: int, n_bytes: int, seed: int) -> None:
    descriptors, words = random_bytes(n, n_bytes, seed) & 0x81, random_bytes(n_words, n_bytes, seed + 10) & 0x81
    assert np.array_equal(with_words(words).predict(descriptors), hamming(descriptors, words).argmin(axis=1))


# Learning


def test_by_hand() -> None:
    data = np.array(
        [[0b0000_0001], [0b0000_0011], [0b0000_0011], [0b1111_0000], [0b1111_1000], [0b1110_0000]], np.uint8
    )
    for seed in range(6):
        learned = BinaryDictionary(n_words=2, tol=0, random_state=seed).fit(data)
        assert sorted(learned.words_[:, 0]) == [0b0000_0011, 0b1111_0000]
        assert learned.inertia_ == (1 + 0 + 0 + 0 + 1 + 1) / 6


def test_in_a_tie_a_bit_stays() -> None:
    data = np.array([[0b01], [0b10]], np.uint8)
    for seed in range(4):
        assert BinaryDictionary(n_words=1, random_state=seed).fit(data).words_[0, 0] in (0b01, 0b10)


@pytest.mark.parametrize("seed", range(3))
def test_well_separated_clusters_are_recovered(seed: int) -> None:
    data, centers = clusters(2000, 5, seed=seed)
    learned = BinaryDictionary(n_words=25, random_state=seed).fit(data)
    assert learned.words_.shape == (25, 32)
    assert learned.words_.dtype == np.uint8
    # Several words to a cluster: each centre has one, and none is between clusters, which are 128 bits apart.
    distances = hamming(centers, learned.words_)
    assert (distances.min(axis=1) < 20).all()
    assert (distances.min(axis=0) < 55).all()


def test_one_word_is_the_majority() -> None:
    data, centers = clusters(301, 1)
    learned = BinaryDictionary(n_words=1).fit(data)
    bits = np.unpackbits(data, axis=1).astype(float)
    assert np.array_equal(np.unpackbits(learned.words_[0]), bits.mean(axis=0) > 0.5)
    assert np.array_equal(learned.words_, centers)


def test_the_error_never_grows_with_more_iterations() -> None:
    data = random_bytes(600, 8, 3) & random_bytes(600, 8, 4)
    errors = []
    for max_iter in range(1, 9):
        learned = BinaryDictionary(n_words=20, max_iter=max_iter, tol=0).fit(data)
        errors.append(hamming(data, learned.words_).min(axis=1).mean())
        assert errors[-1] <= learned.inertia_
    assert all(after <= before for before, after in pairwise(errors))
    assert errors[-1] < errors[0]


def test_fewer_distinct_descriptors_than_words() -> None:
    data = np.repeat(random_bytes(3, 4), 10, axis=0)
    with pytest.warns(UserWarning, match="n_words is 8, but the sample has 3 distinct descriptors"):
        learned = BinaryDictionary(n_words=8).fit(data)
    assert {bytes(word) for word in learned.words_} == {bytes(row) for row in data}
    assert learned.inertia_ == 0


def test_an_empty_cluster_restarts_at_the_farthest_descriptor() -> None:
    data = np.array([[0], [0], [1], [0b0111_1111]], np.uint8)
    words = np.array([[0], [0b1111_1111]], np.uint8)
    distances = np.array([0, 0, 1, 7], np.float32)
    moved = binary._majority(data, np.zeros(4, np.int32), distances, words, threads=1)
    assert moved.tolist() == [[0], [0b0111_1111]]
    assert words.tolist() == [[0], [255]]


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 9))
def test_any_small_sample(n: int, n_words: int, seed: int) -> None:
    data = random_bytes(n, 2, seed) & 0x11
    n_words = min(n_words, len(np.unique(data, axis=0)))
    learned = BinaryDictionary(n_words=n_words, random_state=seed).fit(data)
    assert learned.words_.shape == (n_words, 2)
    assert (learned.predict(data) < n_words).all()


def test_threads_and_parts_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = clusters(700, 9)[0]
    plain = BinaryDictionary(n_words=30).fit(data)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(binary, "_PART", 50)
    for n_jobs in (1, 3):
        again = BinaryDictionary(n_words=30, n_jobs=n_jobs).fit(data)
        assert np.array_equal(again.words_, plain.words_)
        assert again.inertia_ == plain.inertia_
        assert np.array_equal(again.predict(data), plain.predict(data))


# Contract


def test_copies_answer_the_same(tmp_path: Path) -> None:
    data = random_bytes(100, 4)
    learned = BinaryDictionary(n_words=7, n_jobs=2).fit(data)
    labels = learned.predict(data)
    storage.save(tmp_path / "model", kind="dictionary", state=learned, metadata={})
    back = storage.load(tmp_path / "model", kind="dictionary").state
    for again in (back, pickle.loads(pickle.dumps(learned))):
        assert np.array_equal(again.predict(data), labels)
    assert back.n_jobs is None
    assert not hasattr(clone(learned), "words_")
    learned.words_ = learned.words_.astype(np.float32)
    with pytest.raises(ValueError, match="words_ must be a uint8 array"):
        storage.save(tmp_path / "model", kind="dictionary", state=learned, metadata={})


def test_new_words_are_noticed() -> None:
    dictionary = with_words(np.array([[0], [255]], np.uint8))
    assert dictionary.predict(np.array([[3]], np.uint8)).tolist() == [0]
    dictionary.words_ = np.array([[255], [0]], np.uint8)
    assert dictionary.predict(np.array([[3]], np.uint8)).tolist() == [1]


def test_nothing_given_is_changed() -> None:
    data = random_bytes(50, 4)
    data.flags.writeable = False
    BinaryDictionary(n_words=5).fit(data).predict(data)


def test_no_descriptors_have_no_words() -> None:
    assert with_words(random_bytes(3, 4)).predict(np.zeros((0, 4), np.uint8)).shape == (0,)


def test_unfitted() -> None:
    with pytest.raises(NotFittedError):
        BinaryDictionary().predict(random_bytes(3, 4))


@pytest.mark.parametrize(
    ("descriptors", "message"),
    [
        (np.zeros((0, 4), np.uint8), "descriptors must have at least one row to learn words from, got none"),
        (np.zeros(4, np.uint8), "Expected 2D array, got 1D array instead"),
        (
            np.zeros((4, 0), np.uint8),
            r"Found array with 0 feature\(s\) \(shape=\(4, 0\)\) while a minimum of 1 is required",
        ),
        (
            np.zeros((4, 4), np.float32),
            "descriptors must be binary, eight bits to a uint8, for binary words; got float32",
        ),
    ],
)
def test_bad_descriptors_are_refused(descriptors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        BinaryDictionary().fit(descriptors)


def test_bad_questions_are_refused() -> None:
    dictionary = with_words(random_bytes(3, 4))
    with pytest.raises(ValueError, match="X has 5 features, but BinaryDictionary is expecting 4 features"):
        dictionary.predict(random_bytes(2, 5))
    with pytest.raises(ValueError, match="k must not exceed the number of words, 3, got 4"):
        dictionary.nearest_words(random_bytes(2, 4), 4)
    with pytest.raises(ValueError, match="k must be an integer >= 1, got 0"):
        dictionary.nearest_words(random_bytes(2, 4), 0)


@pytest.mark.parametrize("parameters", [{"n_words": 0}, {"max_iter": 0}, {"tol": -1}, {"random_state": -1}])
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(parameters))} must be "):
        BinaryDictionary(**parameters).fit(random_bytes(20, 4))


def test_orb_feeds_a_bag_of_words() -> None:
    bags = []
    for seed in range(4):
        keypoints, descriptors = cv2.ORB_create(100).detectAndCompute(textured(120, 160, seed), None)
        points = np.array([(*k.pt, k.size, k.angle) for k in keypoints], np.float32)
        bags.append(Features(points, descriptors, (160, 120)))
    encoder = BagOfWords(BinaryDictionary(n_words=20), normalization="none").fit(bags)
    vector = encoder.encode(bags[0])
    nearest = hamming(bags[0].descriptors, encoder.dictionary_.words_).argmin(axis=1)
    assert np.array_equal(vector, np.bincount(nearest, minlength=20))
