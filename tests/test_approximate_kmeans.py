"""Approximate k-means against exact search, and against plain Lloyd iterations where every cell is probed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cvbow import storage
from cvbow.dictionary import ApproximateKMeans, WordSearch
from cvbow.dictionary._probing import ProbingSearch, group_words
from cvbow.dictionary.approximate_kmeans import _moved, _row_hashes
from cvbow.dictionary.kmeans import KMeansDictionary


def descriptors(n: int = 6000, size: int = 16, n_clusters: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((n_clusters, size))
    return (centers[rng.integers(n_clusters, size=n)] + 0.3 * rng.standard_normal((n, size))).astype(np.float32)


def true_nearest(data: np.ndarray, words: np.ndarray) -> np.ndarray:
    distances = np.square(data.astype(float)[:, None] - words.astype(float)).sum(axis=2)
    return distances.argmin(axis=1)


def test_words_found_are_nearly_always_the_nearest_and_never_far() -> None:
    data = descriptors()
    dictionary = ApproximateKMeans(n_words=400).fit(data)
    fresh = descriptors(1000, seed=1)
    nearest = true_nearest(fresh, dictionary.words_)
    found = dictionary.predict(fresh)
    assert found.dtype == np.int32
    assert np.mean(found == nearest) > 0.97
    rates = []
    for n_probes in (1, 4, 20):
        dictionary.set_params(n_probes=n_probes)
        rates.append(np.mean(dictionary.predict(fresh) == nearest))
    assert rates[0] < rates[1] < 1
    # Twenty cells are all there are.
    assert len(dictionary.centers_) <= 20
    assert rates[2] == 1


def test_probing_looks_only_into_the_nearest_cells() -> None:
    # Cells around 0 and 10 on a line; 5.2 is nearer to the second centre, but its nearest word, 4.5, in the first.
    words = np.array([[-4.5], [4.5], [9.0], [11.0]], np.float32)
    centers = np.array([[0.0], [10.0]], np.float32)
    order, starts, kept = group_words(words, centers)
    assert order.tolist() == [0, 1, 2, 3]
    assert starts.tolist() == [0, 2, 4]
    search = ProbingSearch(words, starts, kept)
    query = np.array([[5.2], [8.0]], np.float32)
    labels, distances = search.nearest(query, 1)
    assert labels.tolist() == [2, 2]
    np.testing.assert_allclose(distances, [3.8**2, 1], rtol=1e-5)
    labels, distances = search.nearest(query, 2)
    assert labels.tolist() == [1, 2]
    np.testing.assert_allclose(distances, [0.7**2, 1], rtol=1e-5)


def test_cells_without_words_are_dropped_and_words_grouped() -> None:
    words = np.array([[9.0], [0.0], [1.0], [10.0]], np.float32)
    order, starts, centers = group_words(words, np.array([[0.0], [50.0], [10.0]], np.float32))
    assert words[order].ravel().tolist() == [0, 1, 9, 10]
    assert starts.tolist() == [0, 2, 4]
    assert centers.ravel().tolist() == [0, 10]


def test_exact_search_goes_the_way_of_lloyd() -> None:
    data = descriptors(3000)
    dictionary = ApproximateKMeans(n_words=40, n_probes=1000, max_iter=3, tol=0).fit(data)
    rng = np.random.default_rng(0)
    words = data[rng.permutation(len(data))[:40]].astype(float)
    for _ in range(3):
        labels = true_nearest(data, words)
        error = np.square(data - words[labels]).sum(axis=1).mean()
        words = np.array([data[labels == word].mean(axis=0, dtype=float) for word in range(40)])
    assert dictionary.inertia_ == pytest.approx(error, rel=1e-5)
    assert dictionary.n_iter_ == 3
    by_first = dictionary.words_[np.argsort(dictionary.words_[:, 0])]
    np.testing.assert_allclose(by_first, words[np.argsort(words[:, 0])], atol=1e-5)


def test_error_is_near_that_of_exact_k_means() -> None:
    data = descriptors()
    approximate = ApproximateKMeans(n_words=300, random_state=3).fit(data)
    exact = KMeansDictionary(n_words=300, max_iter=10, first_share=1.0, random_state=3).fit(data)
    assert approximate.inertia_ < 1.1 * exact.inertia_
    assert approximate.inertia_ == pytest.approx(
        WordSearch(approximate.words_).nearest_distance(data)[1].mean(), rel=0.05
    )


def test_result_does_not_depend_on_threads_or_order_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvbow.dictionary._probing._TASK", 500)
    monkeypatch.setattr("cvbow.dictionary.approximate_kmeans._PART", 700)
    data = descriptors(4000)
    alone = ApproximateKMeans(n_words=200, n_jobs=1).fit(data)
    together = ApproximateKMeans(n_words=200, n_jobs=2).fit(data)
    np.testing.assert_array_equal(alone.words_, together.words_)
    np.testing.assert_array_equal(alone.predict(data), together.predict(data))
    assert data.flags.writeable


def test_means_are_exact_and_empty_words_restart_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    data = rng.standard_normal((50, 3)).astype(np.float32)
    labels = rng.integers(0, 5, 50).astype(np.int32) * 2
    distances = rng.random(50).astype(np.float32)
    words = np.zeros((10, 3), np.float32)
    expected = np.array([data[labels == word].mean(axis=0) for word in range(0, 10, 2)])
    far = data[np.argsort(-distances)[:5]]
    for part in (7, 50):
        monkeypatch.setattr("cvbow.dictionary.approximate_kmeans._PART", part)
        moved = _moved(data, labels, distances, words, 1)
        np.testing.assert_allclose(moved[::2], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(moved[1::2], far)
    assert not words.any()


def test_repeated_descriptors_make_one_word_each() -> None:
    data = np.repeat(descriptors(20), 30, axis=0)
    with pytest.warns(UserWarning, match="n_words is 50, but the sample has 20 distinct descriptors"):
        dictionary = ApproximateKMeans(n_words=50).fit(data)
    assert len(dictionary.words_) == 20
    assert dictionary.inertia_ == pytest.approx(0, abs=1e-5)
    assert len(np.unique(dictionary.predict(data[::30]))) == 20
    one = ApproximateKMeans(n_words=1).fit(data[:5])
    np.testing.assert_allclose(one.words_, data[:1], rtol=1e-6)
    assert one.predict(data[:0]).shape == (0,)


def test_hashes_tell_rows_apart_and_take_equal_ones_for_equal() -> None:
    # Round numbers, whose low bits are all 0; and -0, which equals 0.
    grid = np.stack(np.meshgrid(*[np.arange(-10.0, 11)] * 4), axis=-1).reshape(-1, 4).astype(np.float32)
    assert len(np.unique(_row_hashes(grid))) == len(grid)
    zeros = np.array([[0.0, 1.0], [-0.0, 1.0]], np.float32)
    assert len(np.unique(_row_hashes(zeros))) == 1


def test_save_and_load(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = descriptors(2000)
    dictionary = ApproximateKMeans(n_words=100).fit(data)
    words = dictionary.predict(data)
    path = tmp_path / "words.cvbow"
    storage.save(path, kind="dictionary", state=dictionary, metadata={})
    again = storage.load(path, kind="dictionary").state
    np.testing.assert_array_equal(again.predict(data), words)
    assert not hasattr(clone(dictionary), "words_")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cell_start_", np.array([0, 5], np.int64), "cell_start_ must rise"),
        ("cell_start_", None, "cell_start_ must rise"),
        ("centers_", np.zeros((10, 3), np.float32), "centers_ must be a float32 array"),
        ("words_", np.zeros((100, 16)), "words_ must be a float32 array"),
    ],
)
def test_impossible_states_are_refused(name: str, value: np.ndarray | None, message: str) -> None:
    dictionary = ApproximateKMeans(n_words=100).fit(descriptors(1000))
    if value is None:
        value = dictionary.cell_start_.copy()
        value[1] = value[2]
    setattr(dictionary, name, value)
    with pytest.raises(ValueError, match=message):
        storage.check_state(dictionary)


def test_mistakes_are_named() -> None:
    data = descriptors(100)
    with pytest.raises(NotFittedError):
        ApproximateKMeans().predict(data)
    with pytest.raises(ValueError, match="n_probes must be an integer >= 1, got 0"):
        ApproximateKMeans(n_probes=0).fit(data)
    with pytest.raises(ValueError, match="at least one row"):
        ApproximateKMeans().fit(data[:0])
    with pytest.raises(ValueError, match="X has 7 features, but ApproximateKMeans is expecting 16 features"):
        ApproximateKMeans(n_words=5).fit(data).predict(data[:, :7])
    with pytest.raises(ValueError, match="got uint8"):
        ApproximateKMeans(n_words=5).fit(data.astype(np.uint8))


@pytest.mark.parametrize("kind", [ApproximateKMeans, KMeansDictionary])
@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_the_nearest_words_are_those_of_a_full_sort(kind: type, k: int) -> None:
    dictionary = kind(n_words=60, **({"n_probes": 100} if kind is ApproximateKMeans else {})).fit(descriptors(2000))
    fresh = descriptors(100, seed=1)
    words, distances = dictionary.nearest_words(fresh, k)
    squares = np.square(fresh.astype(float)[:, None] - dictionary.words_.astype(float)).sum(axis=2)
    assert words.dtype == np.int32
    assert distances.dtype == np.float32
    np.testing.assert_array_equal(words, np.argsort(squares, axis=1)[:, :k])
    np.testing.assert_allclose(distances, np.sort(squares, axis=1)[:, :k], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(words[:, 0], dictionary.predict(fresh))


def test_cells_with_fewer_words_than_are_asked_for() -> None:
    words = np.array([[-4.5], [4.5], [9.0], [11.0], [30.0]], np.float32)
    order, starts, kept = group_words(words, np.array([[0.0], [10.0], [30.0]], np.float32))
    assert order.tolist() == [0, 1, 2, 3, 4]
    search = ProbingSearch(words, starts, kept)
    query = np.array([[29.0], [8.0]], np.float32)
    # Of the smallest cells, of one word and of two, both are needed for two words, wherever a query lies.
    labels, distances = search.nearest_words(query, 2, 1)
    assert labels.tolist() == [[4, 3], [2, 3]]
    np.testing.assert_allclose(distances, [[1, 18**2], [1, 9]], rtol=1e-5)
    assert search.nearest_words(query, 5, 1)[0].tolist() == [[4, 3, 2, 1, 0], [2, 3, 1, 0, 4]]


def test_more_words_than_there_are_cannot_be_nearest() -> None:
    for dictionary in (
        ApproximateKMeans(n_words=9).fit(descriptors(50)),
        KMeansDictionary(n_words=9).fit(descriptors(50)),
    ):
        with pytest.raises(ValueError, match="k must not exceed the number of words, 9, got 10"):
            dictionary.nearest_words(descriptors(3), 10)
        with pytest.raises(ValueError, match="k must be an integer >= 1"):
            dictionary.nearest_words(descriptors(3), 0)
        with pytest.raises(NotFittedError):
            clone(dictionary).nearest_words(descriptors(3), 1)
