"""KMeansDictionary: what it learns, next to scikit-learn; its repairs, warnings, seeds and report."""

from __future__ import annotations

import copy
import pickle
import re
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notes import Notes
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from synthetic import textured

from cvbow.dictionary import KMeansDictionary, WordSearch, _clusters, kmeans, search
from cvbow.dictionary._clusters import move_words
from cvbow.dictionary.descriptors import check_descriptors
from cvbow.features import DenseSIFT
from cvbow.progress import reporting

Float32 = NDArray[np.float32]

ALGORITHMS = ("lloyd", "mini-batch")
STARTS = ("random", "k-means++")


def blobs(n: int, n_clusters: int, k: int, *, spread: float = 0.1, seed: int = 0) -> tuple[Float32, Float32]:
    """Points around well separated centres, and the centres."""
    rng = np.random.default_rng(seed)
    centers = 10 * rng.permutation(2 * n_clusters)[:n_clusters, None] + rng.uniform(-1, 1, (n_clusters, k))
    points = centers[np.arange(n) % n_clusters] + spread * rng.standard_normal((n, k))
    return rng.permutation(points).astype(np.float32), centers.astype(np.float32)


@cache
def real_like() -> Float32:
    """6000 dense SIFT descriptors of textures, blank ones among them."""
    images = [textured(120, 130, seed) for seed in range(4)]
    for image in images:
        image[:40, :60] = 90
    bags = [DenseSIFT(step=4, bin_sizes=(4, 6)).extract(image).descriptors for image in images]
    rows = np.random.default_rng(0).permutation(np.concatenate(bags))[:6000]
    assert (~rows.any(axis=1)).sum() > 50
    rows.flags.writeable = False
    return rows


def mean_squared_error(data: Float32, words: Float32) -> float:
    x, w = data.astype(np.float64), words.astype(np.float64)
    distances = (x**2).sum(axis=1)[:, None] - 2 * x @ w.T + (w**2).sum(axis=1)
    return float(distances.min(axis=1).mean())


# What is learned


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", range(4))
def test_well_separated_clusters_are_recovered(algorithm: str, seed: int) -> None:
    data, centers = blobs(3000, 8, 16, seed=seed)
    options = {"algorithm": algorithm, "random_state": seed}
    learned = KMeansDictionary(n_words=8, init="k-means++", max_iter=30, **options).fit(data)
    assert learned.words_.shape == (8, 16)
    assert learned.words_.dtype == np.float32
    assert np.isfinite(learned.words_).all()
    nearest = WordSearch(learned.words_).nearest(centers)
    assert sorted(nearest) == list(range(8))
    np.testing.assert_allclose(learned.words_[nearest], centers, atol=0.05)
    np.testing.assert_allclose(learned.inertia_, 16 * 0.1**2, rtol=0.1)


def test_lloyd_by_hand() -> None:
    data = np.array([[0], [1], [10], [11], [12]], np.float32)
    for seed in range(5):
        learned = KMeansDictionary(n_words=2, tol=0, random_state=seed).fit(data)
        np.testing.assert_allclose(np.sort(learned.words_[:, 0]), [0.5, 11])
        np.testing.assert_allclose(learned.inertia_, (2 * 0.25 + 2 * 1) / 5)


def test_one_word_is_the_mean() -> None:
    data = real_like()
    learned = KMeansDictionary(n_words=1).fit(data)
    np.testing.assert_allclose(learned.words_[0], data.mean(axis=0), atol=1e-5)
    assert not learned.predict(data).any()


@pytest.mark.parametrize("data", [blobs(4000, 30, 8, spread=3)[0], real_like()[:3000]], ids=["blobs", "descriptors"])
def test_the_error_is_that_of_scikit_learn_from_the_same_start(data: Float32) -> None:
    for seed in range(3):
        dictionary = KMeansDictionary(n_words=40, max_iter=60, tol=0, first_share=1.0, random_state=seed)
        start = dictionary._start(data, np.random.default_rng(seed))
        peer = KMeans(40, init=start, n_init=1, max_iter=60, tol=0).fit(data)
        error = mean_squared_error(data, dictionary.fit(data).words_)
        np.testing.assert_allclose(error, peer.inertia_ / len(data), rtol=2e-3)
        # What is told is the error before the last move: the words are at least as good.
        assert 0.99 * dictionary.inertia_ <= error <= dictionary.inertia_ * (1 + 1e-4)


def test_the_error_from_random_starts_is_within_a_hundredth_of_that_of_scikit_learn() -> None:
    # No gaps between clusters, as in a sample of many images: then the start matters little.
    data = (np.random.default_rng(0).standard_normal((3000, 12)) * np.linspace(2, 0.3, 12)).astype(np.float32)
    mine, theirs = [], []
    for seed in range(4):
        mine.append(mean_squared_error(data, KMeansDictionary(n_words=60, random_state=seed).fit(data).words_))
        peer = KMeans(60, init="random", n_init=1, max_iter=20, tol=0, random_state=seed).fit(data)
        theirs.append(peer.inertia_ / len(data))
    assert np.mean(mine) <= 1.01 * np.mean(theirs)


def test_a_first_share_saves_work_and_ends_within_a_hundredth_of_the_whole() -> None:
    data = (np.random.default_rng(0).standard_normal((8000, 12)) * np.linspace(2, 0.3, 12)).astype(np.float32)
    searched: list[int] = []

    class CountingSearch(WordSearch):
        def nearest_distance(self, descriptors: Float32, *, n_threads: int = 1) -> tuple[Any, Any]:
            searched.append(len(descriptors))
            return super().nearest_distance(descriptors, n_threads=n_threads)

    errors = {}
    for share in (0.25, 1.0):
        searched.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cvbow.dictionary.kmeans.WordSearch", CountingSearch)
            learned = KMeansDictionary(n_words=60, max_iter=12, tol=0, first_share=share).fit(data)
        errors[share] = mean_squared_error(data, learned.words_)
        iterations = [n for n in searched if n >= 2000]
        assert len(iterations) == learned.n_iter_ == 12
        if share == 1:
            assert set(iterations) == {8000}
        else:
            assert iterations == sorted(iterations)
            assert iterations.count(2000) >= 3
            assert iterations.count(8000) >= 3
    assert errors[0.25] <= 1.01 * errors[1.0]


def test_a_first_share_of_too_few_descriptors_is_not_used() -> None:
    data = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
    plain = KMeansDictionary(n_words=20, first_share=1.0).fit(data)
    np.testing.assert_array_equal(KMeansDictionary(n_words=20, first_share=0.25).fit(data).words_, plain.words_)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, "half"])
def test_a_first_share_is_a_share(share: object) -> None:
    with pytest.raises(ValueError, match="first_share must be a number > 0 and <= 1"):
        KMeansDictionary(n_words=2, first_share=share).fit(np.zeros((3, 2), np.float32))  # type: ignore[arg-type]


def test_one_iteration_is_that_of_the_definition() -> None:
    data = real_like()[:500]
    start = data[np.random.default_rng(3).choice(500, 20, replace=False)]
    start = np.unique(start, axis=0)
    labels, distances = WordSearch(start).nearest_distance(data)
    moved = move_words(data, labels, distances, start, threads=1)
    expected = [data[labels == word].astype(np.float64).mean(axis=0) for word in range(len(start))]
    np.testing.assert_allclose(moved, expected, atol=1e-6)


@pytest.mark.parametrize("init", STARTS)
def test_the_error_never_grows_with_more_iterations(init: str) -> None:
    data = real_like()[:1500]
    errors = []
    for max_iter in range(1, 12):
        learned = KMeansDictionary(n_words=50, init=init, max_iter=max_iter, tol=0).fit(data)
        assert learned.n_iter_ == max_iter
        errors.append(mean_squared_error(data, learned.words_))
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(errors))
    assert errors[-1] < 0.99 * errors[0]


@pytest.mark.parametrize("batch_size", [300, 2000, 10_000])
def test_mini_batches_end_near_lloyd(batch_size: int) -> None:
    data = real_like()[:4000]
    options = {"n_words": 60, "max_iter": 15, "tol": 0}
    lloyd = KMeansDictionary(**options).fit(data)
    batches = KMeansDictionary(algorithm="mini-batch", batch_size=batch_size, **options).fit(data)
    assert mean_squared_error(data, batches.words_) <= 1.03 * mean_squared_error(data, lloyd.words_)
    assert not np.array_equal(batches.words_, lloyd.words_)


def test_k_means_plus_plus_starts_better_than_random() -> None:
    data, _ = blobs(3000, 40, 8)
    errors = {
        init: [
            KMeansDictionary(n_words=40, init=init, max_iter=1, random_state=seed).fit(data).inertia_
            for seed in range(5)
        ]
        for init in STARTS
    }
    assert np.mean(errors["k-means++"]) < 0.2 * np.mean(errors["random"])


def test_tolerance_stops_early() -> None:
    data = real_like()[:2000]
    strict, loose = (KMeansDictionary(n_words=30, max_iter=40, tol=tol).fit(data) for tol in (0, 0.02))
    assert 2 <= loose.n_iter_ < strict.n_iter_ <= 40
    assert KMeansDictionary(n_words=30, max_iter=40, tol=1e9).fit(data).n_iter_ == 2
    assert KMeansDictionary(n_words=30, max_iter=1, tol=0).fit(data).n_iter_ == 1


# Empty clusters, duplicates, small samples


def test_an_empty_cluster_restarts_at_the_farthest_descriptor() -> None:
    data = np.array([[0, 0], [1, 0], [0, 1], [9, 9], [6, 6]], np.float32)
    words = np.array([[0, 0], [500, 500], [-500, 500]], np.float32)
    labels, distances = WordSearch(words).nearest_distance(data)
    assert not labels.any()
    moved = move_words(data, labels, distances, words, threads=1)
    # The far ones in the order of their distance; the first word still takes the mean of all it had.
    np.testing.assert_allclose(moved, [[3.2, 3.2], [9, 9], [6, 6]], atol=1e-6)
    assert np.array_equal(words[1], [500, 500])


def test_lloyd_fills_empty_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    data, centers = blobs(600, 6, 4)
    start = np.concatenate([centers[:1], 1e4 + np.arange(20, dtype=np.float32).reshape(5, 4)])
    monkeypatch.setattr(KMeansDictionary, "_start", lambda self, data, rng: start)
    learned = KMeansDictionary(n_words=6, max_iter=30, tol=0).fit(data)
    assert (np.bincount(learned.predict(data), minlength=6) > 0).all()
    assert learned.words_.max() < 1e3


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("n_words", "copies", "distinct"), [(10, 1, 4), (5, 30, 4), (4, 1, 3), (2, 50, 1), (100, 2, 60)]
)
def test_fewer_distinct_descriptors_give_fewer_words_and_a_warning(
    n_words: int, copies: int, distinct: int, algorithm: str, init: str
) -> None:
    values = np.random.default_rng(0).standard_normal((distinct, 3)).astype(np.float32)
    data = np.random.default_rng(1).permutation(np.tile(values, (copies, 1)))
    message = (
        f"n_words is {n_words}, but the sample has {distinct} distinct descriptors: "
        f"the dictionary gets {distinct} words"
    )
    dictionary = KMeansDictionary(n_words=n_words, algorithm=algorithm, init=init)
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        dictionary.fit(data)
    assert caught[0].filename == __file__
    order, expected = (np.lexsort(rows.T) for rows in (dictionary.words_, values))
    np.testing.assert_allclose(dictionary.words_[order], values[expected], atol=1e-5)
    assert dictionary.inertia_ < 1e-6


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("seed", range(5))
def test_exactly_as_many_distinct_descriptors_as_words_need_no_warning(init: str, seed: int) -> None:
    # 990 rows are one blank descriptor: a start drawn at random is nearly all blank, and is filled up.
    values = np.random.default_rng(0).standard_normal((11, 3)).astype(np.float32)
    values[0] = 0
    data = np.concatenate([np.zeros((990, 3), np.float32), values[1:]])
    learned = KMeansDictionary(n_words=11, init=init, random_state=seed).fit(data)
    order, expected = (np.lexsort(rows.T) for rows in (learned.words_, values))
    np.testing.assert_allclose(learned.words_[order], values[expected], atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_the_two_zeros_are_one_descriptor(seed: int) -> None:
    data = np.array([[0.0, 1], [-0.0, 1], [0.0, 1], [-0.0, 1]], np.float32)
    with pytest.warns(UserWarning, match="has 1 distinct descriptors"):
        assert KMeansDictionary(n_words=2, random_state=seed).fit(data).words_.tolist() == [[0, 1]]


def test_a_single_descriptor_is_the_word() -> None:
    learned = KMeansDictionary(n_words=1).fit(np.array([[3, 4]], np.float32))
    assert learned.words_.tolist() == [[3, 4]]
    assert learned.inertia_ == 0


@given(
    n=st.integers(1, 30), k=st.integers(1, 4), n_words=st.integers(1, 12), seed=st.integers(0, 999),
    levels=st.integers(1, 4), algorithm=st.sampled_from(ALGORITHMS), init=st.sampled_from(STARTS),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:n_words is:UserWarning")
def test_any_small_sample_gives_finite_distinct_words(
    n: int, k: int, n_words: int, seed: int, levels: int, algorithm: str, init: str
) -> None:
    data = np.random.default_rng(seed).integers(0, levels, (n, k)).astype(np.float32)
    learned = KMeansDictionary(n_words=n_words, algorithm=algorithm, init=init, batch_size=7, random_state=seed)
    learned.fit(data)
    assert learned.words_.shape == (min(n_words, len(np.unique(data, axis=0))), k)
    assert np.isfinite(learned.words_).all()
    assert learned.words_.min() >= 0
    assert learned.words_.max() <= levels - 1
    assert learned.inertia_ >= 0


# Determinism


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("init", STARTS)
def test_threads_do_not_change_a_bit(algorithm: str, init: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(search, "_TASK", 300)
    monkeypatch.setattr(_clusters, "_PART", 500)
    data = real_like()[:3000]
    options = {"n_words": 40, "algorithm": algorithm, "init": init, "max_iter": 5}
    one, two, three = (KMeansDictionary(n_jobs=n_jobs, **options).fit(data) for n_jobs in (1, 2, 3))
    assert np.array_equal(one.words_, two.words_)
    assert np.array_equal(one.words_, three.words_)
    assert one.inertia_ == two.inertia_ == three.inertia_
    assert np.array_equal(one.predict(data), three.predict(data))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("init", STARTS)
def test_the_seed_decides(algorithm: str, init: str) -> None:
    data = real_like()[:1500]
    options = {"n_words": 30, "algorithm": algorithm, "init": init, "max_iter": 3}
    first, again, other, large = (
        KMeansDictionary(random_state=seed, **options).fit(data).words_ for seed in (5, 5, 6, 2**70)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, large)


# Input


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_sample_is_not_changed_and_may_be_any_real_type(algorithm: str) -> None:
    data = real_like()[:400].astype(np.float64)
    before = data.copy()
    dictionary = KMeansDictionary(n_words=10, algorithm=algorithm).fit(data)
    dictionary.predict(data)
    assert np.array_equal(data, before)
    again = KMeansDictionary(n_words=10, algorithm=algorithm).fit(np.asfortranarray(data.astype(np.float32)))
    assert np.array_equal(again.words_, dictionary.words_)
    integers = KMeansDictionary(n_words=2).fit([[0, 1], [0, 1], [8, 9]])  # type: ignore[arg-type]
    assert sorted(integers.words_.tolist()) == [[0, 1], [8, 9]]


BAD_DESCRIPTORS = [
    (np.zeros(8, np.float32), "Expected 2D array, got 1D array instead"),
    (np.zeros((2, 3, 4), np.float32), "Found array with dim 3"),
    (np.zeros((5, 0), np.float32), "Found array with 0 feature(s) (shape=(5, 0)) while a minimum of 1 is required"),
    (
        np.zeros((5, 4), np.uint8),
        "descriptors must be real-valued for k-means, got uint8, which stands for binary descriptors",
    ),
    (np.zeros((5, 4), complex), "Complex data not supported"),
    (np.array([["a", "b"]]), "could not convert string to float: np.str_('a')"),
    (np.array([[None, 1]]), "descriptors must be finite, got NaN or infinity"),
    (np.array([[1, np.nan]]), "descriptors must be finite, got NaN or infinity"),
    (np.array([[1, np.inf], [2, 3]], np.float32), "descriptors must be finite, got NaN or infinity"),
    (np.array([[1, np.inf], [2, -np.inf]]), "descriptors must be finite, got NaN or infinity"),
    (np.array([[1, 1e300], [2, 3]]), "descriptors must be finite, got NaN or infinity"),
]


@pytest.mark.parametrize(("data", "message"), BAD_DESCRIPTORS)
def test_bad_descriptors_are_refused(data: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        KMeansDictionary(n_words=1).fit(data)
    fitted = KMeansDictionary(n_words=1).fit(np.zeros((1, data.shape[-1] or 1), np.float32))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        fitted.predict(data)


def test_no_descriptors_are_refused_by_fit_and_answered_by_predict() -> None:
    nothing = np.zeros((0, 4), np.float32)
    with pytest.raises(ValueError, match=r"^descriptors must have at least one row to learn words from, got none$"):
        KMeansDictionary().fit(nothing)
    words = KMeansDictionary(n_words=2).fit(real_like()[:50, :4]).predict(nothing)
    assert words.shape == (0,)
    assert words.dtype == np.int32


def test_large_values_are_not_mistaken_for_infinity() -> None:
    data = np.full((100, 4), 3e38, np.float32)
    assert np.array_equal(check_descriptors(data), data)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_words": 0}, "n_words must be an integer >= 1, got 0"),
        ({"n_words": 10.0}, "n_words must be an integer >= 1, got 10.0"),
        ({"algorithm": "elkan"}, "algorithm must be one of lloyd, mini-batch, got 'elkan'"),
        ({"init": "kmeans++"}, "init must be one of random, k-means++, got 'kmeans++'; did you mean k-means++?"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
        ({"tol": -1e-3}, "tol must be a number >= 0, got -0.001"),
        ({"tol": float("nan")}, "tol must be a number >= 0, got nan"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"random_state": -1}, "random_state must be an integer >= 0, got -1"),
        ({"random_state": None}, "random_state must be an integer >= 0, got None"),
        ({"n_jobs": 0}, "n_jobs must be None or an integer other than 0, got 0"),
        ({"n_jobs": 1.5}, "n_jobs must be None or an integer other than 0, got 1.5"),
    ],
)
def test_a_bad_parameter_is_refused(parameters: dict[str, Any], message: str) -> None:
    dictionary = KMeansDictionary(**parameters)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        dictionary.fit(real_like()[:50])


# Prediction


def test_predict_gives_the_nearest_word() -> None:
    data = real_like()[:1000]
    dictionary = KMeansDictionary(n_words=25, max_iter=3).fit(data)
    distances = ((data.astype(np.float64)[:, None] - dictionary.words_[None]) ** 2).sum(axis=2)
    found = dictionary.predict(data)
    assert found.dtype == np.int32
    np.testing.assert_allclose(distances[np.arange(1000), found], distances.min(axis=1), atol=1e-5)


def test_predict_needs_words_of_the_same_size() -> None:
    with pytest.raises(NotFittedError):
        KMeansDictionary().predict(real_like()[:5])
    dictionary = KMeansDictionary(n_words=3).fit(real_like()[:50])
    with pytest.raises(ValueError, match="X has 64 features, but KMeansDictionary is expecting 128 features"):
        dictionary.predict(real_like()[:5, :64])


def test_a_second_fit_is_predicted_with_its_own_words() -> None:
    data, _ = blobs(200, 4, 3)
    dictionary = KMeansDictionary(n_words=4).fit(data)
    dictionary.predict(data)
    dictionary.fit(-5 * data)
    assert np.array_equal(dictionary.predict(data), WordSearch(dictionary.words_).nearest(data))


def test_pickles_and_copies_leave_the_search_out_and_predict_the_same() -> None:
    data = real_like()[:500]
    dictionary = KMeansDictionary(n_words=20).fit(data)
    size = len(pickle.dumps(dictionary))
    expected = dictionary.predict(data)
    assert len(pickle.dumps(dictionary)) == size
    for other in (pickle.loads(pickle.dumps(dictionary)), copy.deepcopy(dictionary)):
        assert not [name for name in vars(other) if "search" in name]
        assert np.array_equal(other.predict(data), expected)
    assert np.array_equal(dictionary.predict(data), expected)


def test_clone_and_parameters() -> None:
    dictionary = KMeansDictionary(n_words=7, algorithm="mini-batch", init="k-means++", tol=0.5, n_jobs=2)
    fresh = clone(dictionary.fit(real_like()[:100]))
    assert fresh.get_params() == dictionary.get_params()
    assert not hasattr(fresh, "words_")
    with pytest.raises(TypeError, match="positional"):
        KMeansDictionary(10)  # type: ignore[misc]


# What is told


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_cost_is_told_before_the_work_and_progress_as_it_goes(algorithm: str) -> None:
    data = real_like()[:2000]
    collector = Notes()
    with reporting(collector, details=True):
        learned = KMeansDictionary(n_words=33, algorithm=algorithm, max_iter=50, tol=0.02).fit(data)
    assert learned.n_iter_ < 50
    (note,) = collector.lines
    assert note.startswith("k-means: 33 words from 2000 descriptors of 128 values; about 1 MB, at most about ")
    assert re.search(r"at most about \d+ s \(50 iterations\)$", note)
    shown = [(done / 50, f"{done}/50") for done in range(learned.n_iter_ + 1)]
    assert [(share, stage.split()[-1]) for share, stage in collector.shown][: len(shown)] == shown
    assert "k-means" in collector.stages[0]
    assert collector.n_finished == 1


def test_progress_ends_even_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(kmeans, "move_words", fail)
    collector = Notes()
    with reporting(collector), pytest.raises(MemoryError):
        KMeansDictionary(n_words=3).fit(real_like()[:50])
    assert collector.n_finished == 1
