"""k-means dictionaries.

S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Information Theory, 1982; D. Sculley, "Web-scale k-means
clustering", WWW 2010 (mini-batch); D. Arthur and S. Vassilvitskii, "k-means++", SODA 2007 (start).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_real
from cvbow.dictionary._clusters import cluster_sizes, cluster_sums, fill_up, move_words
from cvbow.dictionary._pairs import paired
from cvbow.dictionary.base import PAIRS, warn_if_fewer
from cvbow.dictionary.growing import GrowingDictionary
from cvbow.dictionary.prepared import prepared_from
from cvbow.dictionary.search import NearestWords, WordSearch
from cvbow.features import Mirror
from cvbow.progress import detail, progress
from cvbow.storage import Array, Learned

#: k-means++ looks at this many descriptors per word.
_START_SAMPLE = 10
#: The first share is left for the whole sample when an iteration gains less than this, or when so many are left.
_FIRST_TOL = 0.01
_LAST = 3
_FIRST_PER_WORD = 20


class KMeansDictionary(GrowingDictionary):
    """Visual words as the means of clusters of descriptors.

    Parameters
    ----------
    n_words : int, default 1000
        See ``Dictionary``.
    algorithm : {"lloyd", "mini-batch"}, default "lloyd"
        Lloyd's algorithm over the whole sample, or over random batches of it, which is faster on a large sample and
        ends with a somewhat larger error.
    init : {"random", "k-means++"}, default "random"
        Start from random descriptors, or from ones spread out by k-means++ on a subsample of 10 descriptors per word.
    max_iter : int, default 20
        Iterations of Lloyd's algorithm, or passes over the sample by mini-batches.
    tol : float, default 1e-3
        Stop when an iteration lowers the mean squared error by less than this share of it.
    first_share : float, default 0.25
        Share of the sample that the first iterations of Lloyd's algorithm look at: while the words are far from their
        places, a part shows the way as well as the whole (nested batches: Newling and Fleuret, NIPS 2016). The whole
        sample comes in once they gain less than 1 % an iteration, and has at least the last three. A share with fewer
        than 20 descriptors per word is not used; 1 looks at the whole sample throughout.
    batch_size : int, default 10000
        Descriptors per mini-batch.
    n_jobs, random_state : see ``Dictionary``

    Attributes
    ----------
    words_ : ndarray of shape (n_words, k), float32
    counts_ : ndarray of shape (n_words,), float64
        Descriptors that each word stands for: those nearest to it in the last iteration (of mini-batches, counted with
        halving weight), and those of ``partial_fit``, which goes by it.
    inertia_, n_iter_ : see ``Dictionary``
        The mean squared distance to the nearest word, and iterations or passes.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import KMeansDictionary
    >>> descriptors = np.array([[0, 0], [0, 1], [9, 9], [9, 8]], np.float32)
    >>> dictionary = KMeansDictionary(n_words=2).fit(descriptors)
    >>> sorted(dictionary.words_.tolist())
    [[0.0, 0.5], [9.0, 8.5]]
    >>> dictionary.grow(np.array([[50, 50]], np.float32), 1).words_[2].tolist()
    [50.0, 50.0]
    """

    learns_pairs = True
    learned: ClassVar[Mapping[str, Learned]] = {
        **GrowingDictionary.learned,
        **PAIRS,
        "counts_": Array("float64", "n_words", minimum=0, optional=True),
    }

    def __init__(
        self,
        *,
        n_words: int = 1000,
        algorithm: str = "lloyd",
        init: str = "random",
        max_iter: int = 20,
        tol: float = 1e-3,
        first_share: float = 0.25,
        batch_size: int = 10_000,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_words = n_words
        self.algorithm = algorithm
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.first_share = first_share
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _learn(self, data: NDArray[np.float32], threads: int) -> None:
        rng = np.random.default_rng(self.random_state)
        words = self._start(data, rng)
        warn_if_fewer(self.n_words, len(words))
        detail(_cost(len(data), data.shape[1], len(words), self.max_iter, threads, words, data))
        if self.algorithm == "lloyd":
            self._lloyd(data, words, rng, threads)
        else:
            self._mini_batches(data, words, rng, threads)

    def _predict(self, data: NDArray[np.float32], threads: int) -> NDArray[np.int32]:
        return self._search.nearest(data, n_threads=threads)

    def _nearest_words(self, data: NDArray[np.float32], k: int, threads: int) -> NearestWords:
        return self._search.nearest_words(data, k, n_threads=threads)

    @prepared_from("words_")
    def _search(self) -> WordSearch:
        return WordSearch(self.words_)

    def check_params(self) -> None:
        self._check_iterations("n_words", "batch_size")
        check_choice("algorithm", self.algorithm, ("lloyd", "mini-batch"))
        check_choice("init", self.init, ("random", "k-means++"))
        check_real("first_share", self.first_share, minimum=0, maximum=1, open_minimum=True)

    def _start(self, data: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        order = rng.permutation(len(data))
        n_words = self.n_words if self.mirror is None else self.n_words // 2
        if self.init == "k-means++" and len(data) > n_words:
            from sklearn.cluster import kmeans_plusplus

            subsample = data[np.sort(order[: _START_SAMPLE * n_words])]
            # scikit-learn takes seeds of 32 bits.
            seed = int(rng.integers(1 << 32))
            words, _ = kmeans_plusplus(subsample, min(n_words, len(subsample)), random_state=seed)
        else:
            words = data[order[:n_words]]
        # Two equal words would leave one of them empty for good.
        distinct = np.unique(words, axis=0)
        if len(distinct) < n_words:
            distinct = fill_up(distinct, data, order, n_words)
        return paired(np.ascontiguousarray(distinct, np.float32), self.mirror)

    def _lloyd(
        self, data: NDArray[np.float32], words: NDArray[np.float32], rng: np.random.Generator, threads: int
    ) -> None:
        done = 0
        n_first = int(self.first_share * len(data))
        with progress("k-means", self.max_iter) as update:
            if n_first < len(data) and n_first >= _FIRST_PER_WORD * len(words) and self.max_iter > _LAST:
                first = data[np.sort(rng.permutation(len(data))[:n_first])]
                steps = range(1, self.max_iter - _LAST + 1)
                words, _, _, done = _iterate(
                    first, words, steps, max(self.tol, _FIRST_TOL), threads, update, self.mirror
                )
            steps = range(done + 1, self.max_iter + 1)
            words, labels, error, done = _iterate(data, words, steps, self.tol, threads, update, self.mirror)
        self._keep(words, error, done, cluster_sizes(labels, len(words), self.mirror))

    def _mini_batches(
        self, data: NDArray[np.float32], words: NDArray[np.float32], rng: np.random.Generator, threads: int
    ) -> None:
        counts = np.zeros(len(words))
        before = np.inf
        with progress("mini-batch k-means", self.max_iter) as update:
            for iteration in range(1, self.max_iter + 1):
                errors = 0.0
                order = rng.permutation(len(data))
                for top in range(0, len(data), self.batch_size):
                    batch = data[order[top : top + self.batch_size]]
                    labels, distances = WordSearch(words).nearest_distance(batch, n_threads=threads)
                    errors += float(distances.sum(dtype=np.float64))
                    sums, sizes = cluster_sums(batch, labels, len(words), threads, self.mirror)
                    counts += sizes
                    rate = np.divide(1, counts, out=np.zeros_like(counts), where=sizes > 0)
                    words = (words + (sums - sizes[:, None] * words) * rate[:, None]).astype(np.float32)
                # Old batches were counted with words that have moved since: let later ones weigh more.
                counts *= 0.5
                update(iteration)
                error = errors / len(data)
                if before - error <= self.tol * error:
                    break
                before = error
        self._keep(words, error, iteration, counts)

    def _keep(self, words: NDArray[np.float32], error: float, n_iter: int, counts: NDArray[Any]) -> None:
        self.words_ = words
        self.counts_ = counts.astype(np.float64)
        self.inertia_ = error
        self.n_iter_ = n_iter


def _iterate(
    data: NDArray[np.float32],
    words: NDArray[np.float32],
    steps: range,
    tol: float,
    threads: int,
    update: Callable[[int], None],
    mirror: Mirror | None,
) -> tuple[NDArray[np.float32], NDArray[np.int32], float, int]:
    """Iterate until a step gains less than ``tol``; return words, labels, error and number of the last."""
    before = np.inf
    for step in steps:
        labels, distances = WordSearch(words).nearest_distance(data, n_threads=threads)
        error = float(distances.mean(dtype=np.float64))
        words = move_words(data, labels, distances, words, threads, mirror)
        update(step)
        if before - error <= tol * error:
            break
        before = error
    return words, labels, error, step


def _cost(
    n: int, size: int, n_words: int, max_iter: int, threads: int, words: NDArray[np.float32], data: NDArray[np.float32]
) -> str:
    """Say what training will cost: the memory from the sizes, the time from a short trial."""
    trial = data[: min(n, 4096)]
    search = WordSearch(words)
    search.nearest(trial[:64])
    started = time.perf_counter()
    search.nearest(trial)
    seconds = (time.perf_counter() - started) * n / len(trial) / threads * max_iter
    megabytes = 4 * (n * size + 3 * n_words * size + 2 * n) / 1e6
    return (
        f"k-means: {n_words} words from {n} descriptors of {size} values; about {megabytes:.0f} MB, "
        f"at most about {max(1, round(seconds))} s ({max_iter} iterations)"
    )
