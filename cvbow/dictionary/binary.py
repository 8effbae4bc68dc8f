"""Dictionaries of binary descriptors: clustering by majority under the Hamming distance.

C. Grana, D. Borghesani, M. Manfredi and R. Cucchiara, "A fast approach for integrating ORB descriptors in the bag of
words model", SPIE Multimedia Content and Mobile Devices, 2013 (k-majority).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from cvbow._checks import check_matrix
from cvbow.dictionary.base import RankingDictionary, warn_if_fewer
from cvbow.dictionary.descriptors import check_binary
from cvbow.dictionary.prepared import prepared_from
from cvbow.dictionary.search import NearestWords, WordSearch
from cvbow.parallel import cut, map_threads
from cvbow.progress import progress
from cvbow.storage import Array, Learned

#: Descriptors unpacked at a time: at 256 bits, 8 MB of float32 per thread.
_PART = 8192


class BinaryDictionary(RankingDictionary):
    """Visual words of ORB, BRISK, AKAZE, BRIEF, FREAK and their like.

    A descriptor belongs to the word that differs from it in the fewest bits (of equally near ones, the first); each
    bit of a word is what most of its descriptors have.

    Parameters
    ----------
    n_words, max_iter, tol, n_jobs, random_state : default 1000, 20, 1e-3, None and 0
        See ``Dictionary``; the start is at random descriptors.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, n_bytes), uint8
    inertia_, n_iter_ : see ``Dictionary``
        The mean number of bits in which descriptors differ from their words.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import BinaryDictionary
    >>> descriptors = np.array([[0, 0], [0, 1], [2, 0], [255, 255], [255, 127], [191, 255]], np.uint8)
    >>> dictionary = BinaryDictionary(n_words=2).fit(descriptors)
    >>> sorted(dictionary.words_.tolist())
    [[0, 0], [255, 255]]
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        **RankingDictionary.learned,
        "words_": Array("uint8", "n_words n_bytes"),
    }

    def __init__(
        self,
        *,
        n_words: int = 1000,
        max_iter: int = 20,
        tol: float = 1e-3,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_words = n_words
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _learn(self, data: NDArray[np.uint8], threads: int) -> None:
        words = self._start(data)
        warn_if_fewer(self.n_words, len(words))
        before = np.inf
        with progress("k-majority", self.max_iter) as update:
            for iteration in range(1, self.max_iter + 1):
                labels, distances = _nearest(_BitSearch(words), data, 1, threads)
                error = float(distances.mean(dtype=np.float64))
                words = _majority(data, labels[:, 0], distances[:, 0], words, threads)
                update(iteration)
                if before - error <= self.tol * error:
                    break
                before = error
        self.words_ = words
        self.inertia_ = error
        self.n_iter_ = iteration

    def _nearest_words(self, data: NDArray[np.uint8], k: int, threads: int) -> NearestWords:
        return _nearest(self._search, data, k, threads)

    @prepared_from("words_")
    def _search(self) -> WordSearch:
        return _BitSearch(self.words_)

    def distances(self, descriptors: NDArray[np.uint8], words: NDArray[np.integer]) -> NDArray[np.float32]:
        different = np.bitwise_xor(self._check_query(descriptors), self.words_[words])
        return np.asarray(np.unpackbits(different, axis=1).sum(axis=1), np.float32)

    def _check(self, descriptors: object, *, fitting: bool = False) -> NDArray[np.uint8]:
        dtype = "uint8" if isinstance(descriptors, np.ndarray) and descriptors.dtype == np.uint8 else None
        data = check_matrix(self, descriptors, fitting=fitting, name="descriptors", dtype=dtype, may_be_empty=True)
        return check_binary(data)

    def _start(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        order = np.random.default_rng(self.random_state).permutation(len(data))
        chosen: dict[bytes, int] = {}
        for row in order:
            chosen.setdefault(data[row].tobytes(), row)
            if len(chosen) == self.n_words:
                break
        return data[list(chosen.values())]

    def check_params(self) -> None:
        self._check_iterations("n_words")


class _BitSearch(WordSearch):
    """Nearest words in bits: on values of -1/2 and 1/2 the squared distance is the Hamming distance, exactly.

    One matrix product of these beats counting bits, which NumPy and OpenCV do pair by pair.
    """

    def __init__(self, words: NDArray[np.uint8]) -> None:
        bits = _unpack(words)
        self.center = np.full(bits.shape[1], 0.5, np.float32)
        bias = np.full((1, len(words)), -bits.shape[1] / 8, np.float32)
        self.operator = np.ascontiguousarray(np.vstack([(bits - self.center).T, bias]))


def _unpack(data: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.unpackbits(data, axis=1).astype(np.float32)


def _nearest(search: WordSearch, data: NDArray[np.uint8], k: int, threads: int) -> NearestWords:
    words = np.empty((len(data), k), np.int32)
    distances = np.empty((len(data), k), np.float32)

    def find(rows: slice) -> None:
        words[rows], distances[rows] = search.nearest_words(_unpack(data[rows]), k)

    map_threads(find, cut(len(data), _PART), threads)
    return words, distances


def _majority(
    data: NDArray[np.uint8],
    labels: NDArray[np.int32],
    distances: NDArray[np.float32],
    words: NDArray[np.uint8],
    threads: int,
) -> NDArray[np.uint8]:
    """Return the majority of each cluster, bit by bit; an empty one restarts at a descriptor far from its word."""
    partial: dict[int, Any] = {}

    def count(rows: slice) -> None:
        n = rows.stop - rows.start
        member = csc_array((np.ones(n, np.float32), labels[rows], np.arange(n + 1)), shape=(len(words), n))
        partial[rows.start] = member @ _unpack(data[rows])

    parts = cut(len(data), _PART)
    map_threads(count, parts, threads)
    ones = np.zeros((len(words), 8 * words.shape[1]))
    for rows in parts:
        ones += partial[rows.start]
    sizes = np.bincount(labels, minlength=len(words))
    excess = 2 * ones - sizes[:, None]
    # In a tie the bit stays, so that words settle.
    bits = np.where(excess == 0, np.unpackbits(words, axis=1), excess > 0)
    moved = np.packbits(bits.astype(np.uint8), axis=1)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        farthest = np.argsort(-distances, kind="stable")[: len(empty)]
        moved[empty[: len(farthest)]] = data[farthest]
    return moved
