"""Learning from more descriptors: words that move on, and new words beside them.

The moves are those of mini-batch k-means (D. Sculley, "Web-scale k-means clustering", WWW 2010); new words are drawn as
k-means++ draws its start (D. Arthur and S. Vassilvitskii, SODA 2007).
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int
from cvbow.dictionary._clusters import cluster_sums
from cvbow.dictionary.base import RankingDictionary, warn_if_fewer
from cvbow.dictionary.search import WordSearch
from cvbow.parallel import local_threads, single_threaded
from cvbow.progress import progress

#: New words are drawn in so many rounds; each round keeps away from the words of those before.
_ROUNDS = 10


class GrowingDictionary(RankingDictionary):
    """``partial_fit`` and ``grow``, for a dictionary with the parameters and the learned state of k-means."""

    counts_: NDArray[np.float64]
    inertia_: float
    n_iter_: int
    max_iter: int

    def partial_fit(self, descriptors: NDArray[np.float32], y: object = None) -> Self:
        """Move each word to the mean of all descriptors that it has stood for: ``counts_`` old ones and the new.

        Before ``fit``, the words start at descriptors of this first batch. Words that came without ``counts_`` weigh
        together as much as this batch.

        Parameters
        ----------
        descriptors : array of shape (n, k)
            As for ``fit``, of the size of the words. None at all change nothing, unless there are no words yet, which
            is a ValueError.
        y : ignored
        """
        self.check_params()
        fitted = "words_" in vars(self)
        data = self._check(descriptors, fitting=not fitted)
        if not fitted and len(data) == 0:
            raise ValueError("descriptors must have at least one row to learn words from, got none")
        if len(data) == 0:
            return self
        threads = local_threads(self.n_jobs)
        with single_threaded():
            if fitted:
                words, counts = self.words_, self._counts(len(data))
            else:
                words = self._start(data, np.random.default_rng(self.random_state))
                warn_if_fewer(self.n_words, len(words), stacklevel=3)
                counts = np.zeros(len(words))
            labels, distances = WordSearch(words).nearest_distance(data, n_threads=threads)
            sums, sizes = cluster_sums(data, labels, len(words), threads, self.mirror)
        counts = counts + sizes
        share = np.divide(1, counts, out=np.zeros_like(counts), where=sizes > 0)
        self.words_ = (words + (sums - sizes[:, None] * words) * share[:, None]).astype(np.float32)
        self.counts_ = counts
        self.inertia_ = float(distances.mean(dtype=np.float64))
        self.n_iter_ = vars(self).get("n_iter_", 0) + 1
        return self

    def grow(self, descriptors: NDArray[np.float32], n_words: int) -> Self:
        """Add words where the descriptors are far from the words that are there, which stay what they are.

        New words start at descriptors drawn in proportion to their squared distance from the nearest word, and settle
        by k-means in which the old words take part but do not move. An old word keeps its number, so that vectors of
        before remain the first part of what they become.

        Parameters
        ----------
        descriptors : array of shape (n, k)
            As for ``fit``, of the size of the words; NotFittedError before it.
        n_words : int
            How many words to add. Where too few descriptors differ from all words it is fewer, and a warning says so.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the words come in mirrored pairs.
        """
        check_is_fitted(self, "words_")
        self.check_params()
        check_int("n_words", n_words, minimum=1)
        if self.mirror is not None:
            raise ValueError("words in mirrored pairs cannot grow: their numbers would change")
        data = self._check(descriptors)
        threads = local_threads(self.n_jobs)
        # Another seed for every size, so that growing twice does not draw the same rows twice.
        rng = np.random.default_rng((self.random_state, len(self.words_)))
        with single_threaded():
            new = _draw(self.words_, data, n_words, rng, threads)
            if len(new) < n_words:
                warnings.warn(
                    f"n_words is {n_words}, but {len(new)} distinct descriptors differ from the words: "
                    f"the dictionary gets {len(new)} more",
                    UserWarning,
                    stacklevel=2,
                )
            if len(new):
                self._settle(data, new, threads)
        return self

    def _settle(self, data: NDArray[np.float32], new: NDArray[np.float32], threads: int) -> None:
        n_old = len(self.words_)
        words = np.concatenate([self.words_, new])
        before = np.inf
        with progress("grow dictionary", self.max_iter) as update:
            for iteration in range(1, self.max_iter + 1):
                labels, distances = WordSearch(words).nearest_distance(data, n_threads=threads)
                error = float(distances.mean(dtype=np.float64))
                sums, sizes = cluster_sums(data, labels, len(words), threads)
                means = np.divide(sums, sizes[:, None], out=words.astype(np.float64), where=sizes[:, None] > 0)
                words = np.concatenate([self.words_, means[n_old:].astype(np.float32)])
                update(iteration)
                if before - error <= self.tol * error:
                    break
                before = error
        self.counts_ = np.concatenate([self._counts(len(data)), sizes[n_old:]])
        self.words_ = words
        self.inertia_ = error
        self.n_iter_ = vars(self).get("n_iter_", 0) + iteration

    def _counts(self, n: int) -> NDArray[np.float64]:
        """Return how many descriptors each word stands for; together ``n`` where that is not known."""
        counts: NDArray[np.float64] | None = vars(self).get("counts_")
        return np.full(len(self.words_), n / len(self.words_)) if counts is None else counts

    @abstractmethod
    def _start(self, data: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return the words that k-means starts from."""


def _draw(
    words: NDArray[np.float32], data: NDArray[np.float32], n_words: int, rng: np.random.Generator, threads: int
) -> NDArray[np.float32]:
    """Return up to ``n_words`` distinct descriptors far from the words, drawn in proportion to squared distance."""
    known = {(word + 0).tobytes() for word in words}  # -0 + 0 = 0: equal rows have equal bytes
    drawn: list[int] = []
    distances = WordSearch(words).nearest_distance(data, n_threads=threads)[1].astype(np.float64)
    while len(drawn) < n_words:
        candidates = int(np.count_nonzero(distances))
        if candidates == 0:
            break
        size = min(-(-n_words // _ROUNDS), n_words - len(drawn), candidates)
        rows = rng.choice(len(data), size, replace=False, p=distances / distances.sum())
        distances[rows] = 0
        fresh = []
        for row in rows.tolist():
            key = (data[row] + 0).tobytes()
            if key not in known:
                known.add(key)
                fresh.append(row)
        if fresh:
            drawn += fresh
            nearest = WordSearch(data[fresh]).nearest_distance(data, n_threads=threads)[1]
            np.minimum(distances, nearest, out=distances)
    return data[drawn]
