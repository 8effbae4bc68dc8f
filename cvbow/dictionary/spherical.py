"""Dictionaries of directions: k-means on the sphere, also known as gain-shape vector quantisation and OMP-1.

A. Coates and A. Ng, "The importance of encoding versus training with sparse coding and vector quantization",
ICML 2011; A. Coates and A. Ng, "Learning feature representations with k-means", Neural Networks: Tricks of the Trade,
2012.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int, check_real
from cvbow.dictionary._clusters import check_descriptors
from cvbow.dictionary._knn import block_size
from cvbow.parallel import local_threads, map_threads, progress, single_threaded

__all__ = ["SphericalDictionary"]

#: Descriptors that one task of a thread takes; fixed, so that the order of the additions is too.
_PART = 8192


class SphericalDictionary(BaseEstimator):  # type: ignore[misc]
    """Words of length 1 that come nearest to the lines of their descriptors.

    A descriptor ``x`` belongs to the word ``w`` with the largest ``|x . w|``, whatever the sign: what is left of it,
    ``x - (x . w) w``, is then smallest. Each word is the direction of its descriptors' sum, weighted by ``x . w``.
    Made for whitened patches; see ``ZCA``.

    Parameters
    ----------
    n_words : int, default 1000
    max_iter : int, default 20
        Iterations.
    tol : float, default 1e-3
        Stop when an iteration lowers the mean squared remainder by less than this share of it.
    n_jobs : int or None, default None
        Threads, by joblib's convention; the result does not depend on it.
    random_state : int, default 0
        Seed of the start, at directions drawn evenly from the sphere.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, k), float32
        Of length 1.
    inertia_ : float
        Mean squared length of the remainders in the last iteration, before it moved the words once more.
    n_iter_ : int
        Iterations done.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import SphericalDictionary
    >>> descriptors = np.array([[1, 0], [2, 0.1], [0, 3], [0.1, 1]], np.float32)
    >>> dictionary = SphericalDictionary(n_words=2).fit(descriptors)
    >>> np.linalg.norm(dictionary.words_, axis=1).round(3).tolist()
    [1.0, 1.0]
    >>> labels = dictionary.predict(descriptors).tolist()
    >>> labels[0] == labels[1] != labels[2] == labels[3]
    True
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

    def fit(self, descriptors: NDArray[np.float32], y: object = None) -> Self:
        """Learn the words from descriptors.

        Parameters
        ----------
        descriptors : array of shape (n, k)
            Real values; taken as float32. Their zero matters: see ``ZCA``.
        y : ignored

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the descriptors are empty, binary (uint8), or not all finite.
        """
        self.check_params()
        data = check_descriptors(descriptors)
        if len(data) == 0:
            raise ValueError("descriptors must have at least one row to learn words from, got none")
        threads = local_threads(self.n_jobs)
        rng = np.random.default_rng(self.random_state)
        words = _unit(rng.standard_normal((self.n_words, data.shape[1])))
        energy = float(np.einsum("ij,ij->", data, data, dtype=np.float64)) / len(data)
        before = np.inf
        with single_threaded(), progress("spherical k-means", self.max_iter) as update:
            for iteration in range(1, self.max_iter + 1):
                labels, projections = _project(data, words, threads)
                error = energy - float(np.square(projections, dtype=np.float64).mean())
                words = _move(data, labels, projections, words, rng)
                update(iteration)
                if before - error <= self.tol * abs(error):
                    break
                before = error
        self.words_ = words
        self.inertia_ = max(error, 0.0)
        self.n_iter_ = iteration
        return self

    def predict(self, descriptors: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return each descriptor's word, (n, k) to (n,) int32: the largest ``|x . w|``, of equal ones the first."""
        check_is_fitted(self, "words_")
        data = check_descriptors(descriptors, self.words_.shape[1])
        with single_threaded():
            return _project(data, self.words_, local_threads(self.n_jobs))[0]

    def check_params(self) -> None:
        check_int("n_words", self.n_words, minimum=1)
        check_int("max_iter", self.max_iter, minimum=1)
        check_real("tol", self.tol, minimum=0)
        check_int("random_state", self.random_state, minimum=0)

    def check_state(self) -> None:
        self.check_params()
        if "words_" in vars(self):
            words = self.words_
            if not isinstance(words, np.ndarray) or words.ndim != 2 or words.dtype != np.float32 or not words.size:
                raise ValueError("words_ must be a float32 array of shape (n_words, k)")


def _project(
    data: NDArray[np.float32], words: NDArray[np.float32], threads: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return each descriptor's word and its signed projection on it."""
    labels = np.empty(len(data), np.int32)
    projections = np.empty(len(data), np.float32)
    columns = np.ascontiguousarray(words.T)
    block = block_size(len(words))

    def project(task: slice) -> None:
        for top in range(task.start, task.stop, block):
            rows = slice(top, min(top + block, task.stop))
            products = data[rows] @ columns
            best = np.abs(products).argmax(axis=1)
            labels[rows] = best
            projections[rows] = products[np.arange(len(best)), best]

    map_threads(project, [slice(top, min(top + _PART, len(data))) for top in range(0, len(data), _PART)], threads)
    return labels, projections


def _move(
    data: NDArray[np.float32],
    labels: NDArray[np.int32],
    projections: NDArray[np.float32],
    words: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return the directions of the weighted sums; a word without descriptors restarts at a random one's direction."""
    from scipy.sparse import csc_array

    sums = np.zeros(words.shape)
    for top in range(0, len(data), _PART):
        rows = slice(top, min(top + _PART, len(data)))
        n = rows.stop - rows.start
        member = csc_array((projections[rows], labels[rows], np.arange(n + 1)), shape=(len(words), n))
        sums += member @ data[rows]
    lost = np.flatnonzero(~sums.any(axis=1))
    if len(lost):
        sums[lost] = data[rng.integers(len(data), size=len(lost))]
        still = lost[~sums[lost].any(axis=1)]
        sums[still] = words[still]
    return _unit(sums)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
