"""Learning from more descriptors: moves by hand and against running means, new words where the error is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import KMeansDictionary, search
from cvbow.encoders import BagOfWords
from cvbow.features import Features

Float32 = NDArray[np.float32]


def random_rows(n: int, size: int = 4, seed: int = 0, offset: float = 0.0) -> Float32:
    return (np.random.default_rng(seed).standard_normal((n, size)) + offset).astype(np.float32)


def column(*values: float) -> Float32:
    return np.array(values, np.float32)[:, None]


def with_words(words: Any, counts: Any = None, **parameters: Any) -> KMeansDictionary:
    dictionary = KMeansDictionary(n_words=len(words), **parameters)
    dictionary.words_ = np.array(words, np.float32)
    if counts is not None:
        dictionary.counts_ = np.array(counts, np.float64)
    return dictionary


def error(data: Float32, words: Float32) -> float:
    return float(((data[:, None].astype(np.float64) - words) ** 2).sum(axis=2).min(axis=1).mean())


# counts_


@pytest.mark.parametrize("algorithm", ["lloyd", "mini-batch"])
def test_fit_counts_what_words_stand_for(algorithm: str) -> None:
    data = random_rows(500)
    learned = KMeansDictionary(n_words=9, algorithm=algorithm, max_iter=30, tol=0).fit(data)
    assert learned.counts_.shape == (9,)
    assert learned.counts_.dtype == np.float64
    assert (learned.counts_ > 0).all()
    if algorithm == "lloyd":
        assert learned.counts_.sum() == 500
        sizes = np.bincount(learned.predict(data), minlength=9)
        assert np.abs(learned.counts_ - sizes).sum() < 50


# partial_fit


def test_a_move_by_hand() -> None:
    # 3 descriptors so far at 0, then 1 and 3 join: (3 * 0 + 1 + 3) / 5. Nobody joins 100.
    dictionary = with_words(column(0, 100), [3, 1])
    assert dictionary.partial_fit(column(1, 3)) is dictionary
    np.testing.assert_allclose(dictionary.words_[:, 0], [0.8, 100])
    assert dictionary.counts_.tolist() == [5, 1]
    assert dictionary.inertia_ == (1 + 9) / 2
    # Words whose counts are not known weigh as much as the batch: 1 each here.
    dictionary = with_words(column(0, 100)).partial_fit(column(1, 3))
    np.testing.assert_allclose(dictionary.words_[:, 0], [4 / 3, 100])
    assert dictionary.counts_.tolist() == [3, 1]


def test_words_are_running_means() -> None:
    # Clusters so far apart that no descriptor changes its word.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    data = (1000 * labels[:, None] + rng.standard_normal((600, 2))).astype(np.float32)
    dictionary = with_words([[0, 0], [1000, 1000], [2000, 2000]], [0, 0, 0])
    for top in range(0, 600, 70):
        dictionary.partial_fit(data[top : top + 70])
    expected = [data[labels == word].astype(np.float64).mean(axis=0) for word in range(3)]
    np.testing.assert_allclose(dictionary.words_, expected, rtol=1e-5)
    assert dictionary.counts_.tolist() == np.bincount(labels).tolist()


def test_one_step_is_that_of_scikit_learn() -> None:
    start, data = random_rows(8, seed=1), random_rows(200, seed=2)
    peer = MiniBatchKMeans(8, init=start, n_init=1, reassignment_ratio=0, random_state=0).partial_fit(data)
    dictionary = with_words(start, np.zeros(8)).partial_fit(data)
    np.testing.assert_allclose(dictionary.words_, peer.cluster_centers_, rtol=1e-4, atol=1e-5)


def test_before_fit_it_starts_from_the_first_batch() -> None:
    dictionary = KMeansDictionary(n_words=20)
    for seed in range(30):
        dictionary.partial_fit(random_rows(200, seed=seed))
    assert dictionary.words_.shape == (20, 4)
    assert dictionary.counts_.sum() == 6000
    assert dictionary.n_iter_ == 30
    test = random_rows(1000, seed=99)
    whole = KMeansDictionary(n_words=20).fit(np.concatenate([random_rows(200, seed=seed) for seed in range(30)]))
    assert error(test, dictionary.words_) < 1.1 * error(test, whole.words_)


def test_words_follow_descriptors_that_change() -> None:
    dictionary = KMeansDictionary(n_words=10).fit(random_rows(300))
    moved = random_rows(300, seed=1, offset=1.0)
    before = error(moved, dictionary.words_)
    for _ in range(5):
        dictionary.partial_fit(moved)
    assert error(moved, dictionary.words_) < 0.9 * before
    assert dictionary.predict(moved[:3]).shape == (3,)


def test_no_descriptors_change_nothing() -> None:
    dictionary = KMeansDictionary(n_words=5).fit(random_rows(50))
    before = dictionary.words_
    assert dictionary.partial_fit(random_rows(0)) is dictionary
    assert dictionary.words_ is before
    with pytest.raises(ValueError, match="descriptors must have at least one row to learn words from, got none"):
        KMeansDictionary().partial_fit(random_rows(0))


def test_the_prepared_search_is_made_anew() -> None:
    dictionary = with_words(column(0, 10), [1, 1])
    assert dictionary.predict(column(4)).tolist() == [0]
    dictionary.partial_fit(np.full((1000, 1), 7, np.float32))
    assert dictionary.predict(column(4)).tolist() == [1]


# grow


def test_new_words_come_where_the_error_is() -> None:
    near, far = random_rows(500), random_rows(500, seed=1, offset=50)
    dictionary = KMeansDictionary(n_words=10).fit(near)
    old = dictionary.words_.copy()
    counts = dictionary.counts_.copy()
    assert dictionary.grow(np.concatenate([near, far]), 6) is dictionary
    assert dictionary.words_.shape == (16, 4)
    assert dictionary.words_.dtype == np.float32
    assert np.array_equal(dictionary.words_[:10], old)
    assert (dictionary.words_[10:].mean(axis=1) > 25).sum() >= 5
    assert np.array_equal(dictionary.counts_[:10], counts)
    # Each far one stands by a new word.
    assert 500 <= dictionary.counts_[10:].sum() <= 1000
    assert dictionary.get_params()["n_words"] == 10


def test_settled_words_are_the_means_of_those_nearest_to_them() -> None:
    data = random_rows(800)
    dictionary = KMeansDictionary(n_words=5, max_iter=200, tol=0).fit(data[:100])
    old = dictionary.words_.copy()
    dictionary.grow(data, 7)
    labels = dictionary.predict(data)
    for word in range(5, 12):
        np.testing.assert_allclose(dictionary.words_[word], data[labels == word].mean(axis=0), atol=1e-4)
    assert np.array_equal(dictionary.words_[:5], old)


@pytest.mark.parametrize("n_words", [1, 3, 25, 100])
def test_growing_lowers_the_error_nearly_as_learning_anew(n_words: int) -> None:
    data = random_rows(2000)
    dictionary = KMeansDictionary(n_words=20).fit(data)
    before = error(data, dictionary.words_)
    dictionary.grow(data, n_words)
    after = error(data, dictionary.words_)
    anew = error(data, KMeansDictionary(n_words=20 + n_words).fit(data).words_)
    assert after < before
    assert after < 1.15 * anew
    assert dictionary.inertia_ >= after * (1 - 1e-5)


def test_of_old_vectors_only_what_is_nearer_to_new_words_changes() -> None:
    features = Features(np.zeros((300, 4), np.float32), random_rows(300), (9, 9))
    encoder = BagOfWords(KMeansDictionary(n_words=10), normalization="none").fit([features])
    before = encoder.encode(features)
    encoder.dictionary_.grow(random_rows(300, seed=5), 5)
    after = encoder.encode(features)
    assert after.shape == (15,)
    assert after.sum() == before.sum()
    assert (after[:10] <= before).all()


def test_too_few_distinct_descriptors() -> None:
    dictionary = with_words(column(0, 1))
    with pytest.warns(UserWarning, match="n_words is 5, but 2 distinct descriptors differ from the words"):
        dictionary.grow(column(0, 1, 7, 7, 9), 5)
    assert sorted(dictionary.words_[:, 0]) == [0, 1, 7, 9]
    with pytest.warns(UserWarning, match="but 0 distinct"):
        dictionary.grow(column(0, 1, 9), 1)
    with pytest.warns(UserWarning, match="but 0 distinct"):
        dictionary.grow(random_rows(0, 1), 1)
    assert len(dictionary.words_) == 4


@given(st.integers(1, 30), st.integers(1, 10), st.integers(1, 8), st.integers(0, 9))
@pytest.mark.filterwarnings("ignore:n_words is")
def test_any_small_sample(n: int, n_words: int, n_more: int, seed: int) -> None:
    data = np.round(random_rows(n, 2, seed))
    more = np.round(random_rows(n, 2, seed + 20))
    dictionary = KMeansDictionary(n_words=n_words, max_iter=3).fit(data)
    old = dictionary.words_.copy()
    before = error(more, old)
    dictionary.grow(more, n_more)
    words = dictionary.words_
    assert len(old) <= len(words) <= len(old) + n_more
    assert np.isfinite(words).all()
    assert len(dictionary.counts_) == len(words)
    assert error(more, words) <= before + 1e-6
    storage.check_state(dictionary)


def test_threads_and_runs_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(search, "_TASK", 100)
    data = random_rows(900)
    results = []
    for n_jobs in (1, 3):
        dictionary = KMeansDictionary(n_words=10, n_jobs=n_jobs).fit(data)
        results.append(dictionary.partial_fit(random_rows(500, seed=1)).grow(random_rows(500, seed=2), 9).words_)
    assert np.array_equal(*results)


def test_growing_twice_draws_anew() -> None:
    data = random_rows(400)
    dictionary = KMeansDictionary(n_words=5).fit(data)
    dictionary.grow(data, 5).grow(data, 5)
    assert len(np.unique(dictionary.words_, axis=0)) == 15


def test_descriptors_are_not_changed() -> None:
    data = random_rows(100)
    data.flags.writeable = False
    dictionary = KMeansDictionary(n_words=5).fit(data)
    first = dictionary.words_
    copy = first.copy()
    dictionary.partial_fit(data).grow(data, 3)
    assert np.array_equal(first, copy)


def test_after_storing_it_goes_on_where_it_was(tmp_path: Path) -> None:
    dictionary = KMeansDictionary(n_words=5).fit(random_rows(100))
    storage.save(tmp_path / "model", kind="dictionary", state=dictionary, metadata={})
    back = storage.load(tmp_path / "model", kind="dictionary").state
    more = random_rows(50, seed=3)
    assert np.array_equal(back.partial_fit(more).words_, dictionary.partial_fit(more).words_)
    assert "counts_" not in vars(clone(dictionary))
    dictionary.counts_ = np.zeros(3)
    with pytest.raises(ValueError, match="counts_ must be a float64 array of shape"):
        storage.save(tmp_path / "model", kind="dictionary", state=dictionary, metadata={})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (random_rows(9, 5), "X has 5 features, but KMeansDictionary is expecting 4 features"),
        (np.zeros((3, 4), np.uint8), "descriptors must be real-valued"),
        (np.full((3, 4), np.nan), "descriptors must be finite"),
    ],
)
def test_bad_descriptors_are_refused(more: Any, message: str) -> None:
    dictionary = KMeansDictionary(n_words=5).fit(random_rows(100))
    for call in (lambda: dictionary.partial_fit(more), lambda: dictionary.grow(more, 2)):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            call()


def test_other_refusals() -> None:
    with pytest.raises(NotFittedError):
        KMeansDictionary().grow(random_rows(9), 2)
    with pytest.raises(ValueError, match="n_words must be an integer >= 1, got 0"):
        KMeansDictionary(n_words=2).fit(random_rows(9)).grow(random_rows(9), 0)
    with pytest.raises(ValueError, match="max_iter must be"):
        KMeansDictionary(max_iter=0).partial_fit(random_rows(9))
