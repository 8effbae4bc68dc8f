"""Dictionaries of binary descriptors: clustering by majority under the Hamming distance.

C. Grana, D. Borghesani, M. Manfredi and R. Cucchiara, "A fast approach for integrating ORB descriptors in the bag of
words model", SPIE Multimedia Content and Mobile Devices, 2013 (k-majority).
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int, check_real
from cvbow.dictionary._knn import check_nearest, nearest_words
from cvbow.dictionary._nearest import WordSearch
from cvbow.parallel import local_threads, map_threads, progress, single_threaded

__all__ = ["BinaryDictionary", "check_binary"]

#: Descriptors unpacked at a time: at 256 bits, 8 MB of float32 per thread.
_PART = 8192


class BinaryDictionary(BaseEstimator):  # type: ignore[misc]
    """Visual words of ORB, BRISK, AKAZE, BRIEF, FREAK and their like.

    A descriptor belongs to the word that differs from it in the fewest bits (of equally near ones, the first); each
    bit of a word is what most of its descriptors have.

    Parameters
    ----------
    n_words : int, default 1000
        Words wanted. With fewer distinct descriptors in the sample there are fewer words, and a warning says so.
    max_iter : int, default 20
        Iterations.
    tol : float, default 1e-3
        Stop when an iteration lowers the mean distance by less than this share of it.
    n_jobs : int or None, default None
        Threads, by joblib's convention; the result does not depend on it.
    random_state : int, default 0
        Seed of the start, at random descriptors.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, n_bytes), uint8
    inertia_ : float
        Mean number of bits in which the sample's descriptors differ from their words, as the last iteration found it
        before it changed the words once more.
    n_iter_ : int
        Iterations done.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import BinaryDictionary
    >>> descriptors = np.array([[0, 0], [0, 1], [2, 0], [255, 255], [255, 127], [191, 255]], np.uint8)
    >>> dictionary = BinaryDictionary(n_words=2).fit(descriptors)
    >>> sorted(dictionary.words_.tolist())
    [[0, 0], [255, 255]]
    >>> dictionary.predict(descriptors).tolist()
    [1, 1, 1, 0, 0, 0]
    """

    transient = {"n_jobs": None}  # noqa: RUF012

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

    def fit(self, descriptors: NDArray[np.uint8], y: object = None) -> Self:
        """Learn the words from descriptors.

        Parameters
        ----------
        descriptors : array of shape (n, n_bytes), uint8
            Eight bits a byte.
        y : ignored

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the descriptors are empty or not uint8.
        """
        self.check_params()
        data = check_binary(descriptors)
        if len(data) == 0:
            raise ValueError("descriptors must have at least one row to learn words from, got none")
        threads = local_threads(self.n_jobs)
        words = self._start(data)
        before = np.inf
        with single_threaded(), progress("k-majority", self.max_iter) as update:
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
        return self

    def predict(self, descriptors: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the nearest word of each descriptor, (n, n_bytes) to (n,) int32."""
        return np.ascontiguousarray(self.nearest_words(descriptors, 1)[0][:, 0])

    def nearest_words(self, descriptors: NDArray[np.uint8], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the ``k`` nearest words of each descriptor, the nearest first, and their Hamming distances in bits.

        Parameters
        ----------
        descriptors : array of shape (n, n_bytes), uint8
        k : int
            From 1 to the number of words.

        Returns
        -------
        words : ndarray of shape (n, k), int32
        distances : ndarray of shape (n, k), float32
        """
        check_is_fitted(self, "words_")
        check_nearest(k, len(self.words_))
        data = check_binary(descriptors, self.words_.shape[1])
        with single_threaded():
            return _nearest(self._search(), data, k, local_threads(self.n_jobs))

    def _search(self) -> WordSearch:
        # Prepared once per set of words, and kept out of pickles, clones and model files.
        cached: tuple[NDArray[np.uint8], WordSearch] | None = self.__dict__.get("_search_cache")
        if cached is None or cached[0] is not self.words_:
            cached = (self.words_, _BitSearch(self.words_))
            self.__dict__["_search_cache"] = cached
        return cached[1]

    def __getstate__(self) -> dict[str, object]:
        state: dict[str, object] = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_search_cache"}

    def _start(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        order = np.random.default_rng(self.random_state).permutation(len(data))
        chosen: dict[bytes, int] = {}
        for row in order:
            chosen.setdefault(data[row].tobytes(), row)
            if len(chosen) == self.n_words:
                break
        else:
            if len(chosen) < self.n_words:
                warnings.warn(
                    f"n_words is {self.n_words}, but the sample has {len(chosen)} distinct descriptors: "
                    f"the dictionary gets {len(chosen)} words",
                    UserWarning,
                    stacklevel=3,
                )
        return data[list(chosen.values())]

    def check_params(self) -> None:
        check_int("n_words", self.n_words, minimum=1)
        check_int("max_iter", self.max_iter, minimum=1)
        check_real("tol", self.tol, minimum=0)
        check_int("random_state", self.random_state, minimum=0)

    def check_state(self) -> None:
        self.check_params()
        if "words_" in vars(self):
            words = self.words_
            if not isinstance(words, np.ndarray) or words.ndim != 2 or words.dtype != np.uint8 or not words.size:
                raise ValueError("words_ must be a uint8 array of shape (n_words, n_bytes)")


class _BitSearch(WordSearch):
    """Nearest words in bits: on values of -1/2 and 1/2 the squared distance is the Hamming distance, exactly.

    One matrix product of these beats counting bits, which NumPy and OpenCV do pair by pair.
    """

    def __init__(self, words: NDArray[np.uint8]) -> None:
        bits = _unpack(words)
        self.center = np.full(bits.shape[1], 0.5, np.float32)
        bias = np.full((1, len(words)), -bits.shape[1] / 8, np.float32)
        self.operator = np.ascontiguousarray(np.vstack([(bits - self.center).T, bias]))


def check_binary(descriptors: object, size: int | None = None) -> NDArray[np.uint8]:
    """Return descriptors as a uint8 (n, n_bytes) array; ValueError where they are none."""
    data = np.asarray(descriptors)
    if data.ndim != 2 or data.shape[1] == 0:
        raise ValueError(f"descriptors must have shape (n, n_bytes), got {data.shape}")
    if data.dtype != np.uint8:
        raise ValueError(f"descriptors must be binary, eight bits to a uint8, for binary words; got {data.dtype}")
    if size is not None and data.shape[1] != size:
        raise ValueError(f"descriptors must have {size} bytes each, as the words have, got {data.shape[1]}")
    return np.ascontiguousarray(data)


def _unpack(data: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.unpackbits(data, axis=1).astype(np.float32)


def _nearest(
    search: WordSearch, data: NDArray[np.uint8], k: int, threads: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    words = np.empty((len(data), k), np.int32)
    distances = np.empty((len(data), k), np.float32)

    def find(rows: slice) -> None:
        words[rows], distances[rows] = nearest_words(search, _unpack(data[rows]), k)

    map_threads(find, _parts(len(data)), threads)
    return words, distances


def _majority(
    data: NDArray[np.uint8],
    labels: NDArray[np.int32],
    distances: NDArray[np.float32],
    words: NDArray[np.uint8],
    threads: int,
) -> NDArray[np.uint8]:
    """Return the majority of each cluster, bit by bit; an empty one restarts at a descriptor far from its word."""
    from scipy.sparse import csc_array

    partial: dict[int, Any] = {}

    def count(rows: slice) -> None:
        n = rows.stop - rows.start
        member = csc_array((np.ones(n, np.float32), labels[rows], np.arange(n + 1)), shape=(len(words), n))
        partial[rows.start] = member @ _unpack(data[rows])

    parts = _parts(len(data))
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


def _parts(n: int) -> list[slice]:
    return [slice(top, min(top + _PART, n)) for top in range(0, n, _PART)]
