"""Dictionaries of directions: k-means on the sphere, also known as gain-shape vector quantisation and OMP-1.

A. Coates and A. Ng, "The importance of encoding versus training with sparse coding and vector quantization",
ICML 2011; A. Coates and A. Ng, "Learning feature representations with k-means", Neural Networks: Tricks of the Trade,
2012.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from cvbow.dictionary.base import Dictionary
from cvbow.dictionary.search import NearestWords, block_size
from cvbow.parallel import cut, map_threads
from cvbow.progress import progress

#: Descriptors that one task of a thread takes; fixed, so that the order of the additions is too.
_PART = 8192


class SphericalDictionary(Dictionary):
    """Spherical k-means: words of length 1, each the main direction of its descriptors.

    A descriptor ``x`` belongs to the word ``w`` with the largest ``|x . w|``, whatever the sign: what is left of it,
    ``x - (x . w) w``, is then smallest. Each word is the direction of its descriptors' sum, weighted by ``x . w``.
    The descriptors' zero matters. Made for whitened patches; see ``ZCA``.

    Parameters
    ----------
    n_words, max_iter, tol, n_jobs, random_state : default 1000, 20, 1e-3, None and 0
        See ``Dictionary``; the start is at directions drawn evenly from the sphere.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, k), float32
        Of length 1.
    inertia_, n_iter_ : see ``Dictionary``
        The mean squared length of what is left of the descriptors.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import SphericalDictionary
    >>> descriptors = np.array([[1, 0], [2, 0.1], [0, 3], [0.1, 1]], np.float32)
    >>> dictionary = SphericalDictionary(n_words=2).fit(descriptors)
    >>> np.linalg.norm(dictionary.words_, axis=1).round(3).tolist()
    [1.0, 1.0]
    """

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

    def _learn(self, data: NDArray[np.float32], threads: int) -> None:
        rng = np.random.default_rng(self.random_state)
        words = _unit(rng.standard_normal((self.n_words, data.shape[1])))
        energy = float(np.einsum("ij,ij->", data, data, dtype=np.float64)) / len(data)
        before = np.inf
        with progress("spherical k-means", self.max_iter) as update:
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

    def _predict(self, data: NDArray[np.float32], threads: int) -> NDArray[np.int32]:
        return _project(data, self.words_, threads)[0]

    def check_params(self) -> None:
        self._check_iterations("n_words")


def _project(data: NDArray[np.float32], words: NDArray[np.float32], threads: int) -> NearestWords:
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

    map_threads(project, cut(len(data), _PART), threads)
    return labels, projections


def _move(
    data: NDArray[np.float32],
    labels: NDArray[np.int32],
    projections: NDArray[np.float32],
    words: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return the directions of the weighted sums; a word without descriptors restarts at a random one's direction."""
    sums = np.zeros(words.shape)
    for rows in cut(len(data), _PART):
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
