"""Locality-constrained linear coding: a point as a combination of its nearest words.

J. Wang, J. Yang, K. Yu, F. Lv, T. Huang and Y. Gong, "Locality-constrained linear coding for image classification",
CVPR 2010; the approximated coding of section 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real
from cvbow.dictionary.base import threads_of
from cvbow.encoders._dictionary_encoder import WordEncoder
from cvbow.encoders._pooling import Cells, pool_sparse
from cvbow.encoders._shares import share_sparse

#: Descriptors solved for at a time: with 5 words of 64 values, 1.3 MB of float32.
_BLOCK = 1024


class LLC(WordEncoder):
    """Weights that rebuild each point from its nearest words, the largest of each word taken over the points.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_``; None is ``KMeansDictionary()``.
    n_nearest : int, default 5
        Words that a point is built of, or all where there are fewer.
    regularization : float, default 1e-4
        Added to the diagonal of the local covariance, as a share of its trace: the larger, the more equal the weights.
    pooling, normalization, power : default "max", "l2" and 0.5
        See ``WordEncoder``. The maximum is taken over whole codes, so a word that only some of the points use has at
        least 0; weights may be negative, so roots and powers keep the sign.

    Notes
    -----
    The code ``c`` of a point ``x`` with nearest words ``b_i`` minimises ``|x - sum_i c_i b_i|^2`` under
    ``sum_i c_i = 1``: with ``C_ij = (b_i - x) . (b_j - x)``, it solves ``(C + regularization tr(C) I) c = 1`` and is
    then divided by its sum.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import LLC, Features, KMeansDictionary
    >>> descriptors = np.random.default_rng(0).random((50, 8), np.float32)
    >>> sample = Features(np.zeros((50, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoder = LLC(KMeansDictionary(n_words=5), n_nearest=2, normalization="none").fit([sample])
    >>> round(float(encoder.encode(sample.take(np.array([0]))).sum()), 3)  # the weights of one point
    1.0
    """

    def __init__(
        self,
        dictionary: Any = None,
        *,
        n_nearest: int = 5,
        regularization: float = 1e-4,
        pooling: str = "max",
        normalization: str = "l2",
        power: float = 0.5,
    ) -> None:
        self.dictionary = dictionary
        self.n_nearest = n_nearest
        self.regularization = regularization
        self.pooling = pooling
        self.normalization = normalization
        self.power = power

    def _pool(self, descriptors: NDArray[np.float32], cells: Cells) -> NDArray[np.float64]:
        words, weights = self._codes(descriptors)
        return pool_sparse(words, weights, self.n_words, cells, self.pooling)

    def _share(
        self, descriptors: NDArray[np.float32], cells: Cells, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        words, weights = self._codes(descriptors)
        return share_sparse(words, weights, values, cells, self.pooling)

    def _codes(self, descriptors: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the words that each point is built of, and their weights, both (n, k)."""
        k = min(self.n_nearest, self.n_words)
        words, _ = self._prepared.nearest_words(descriptors, k, n_threads=threads_of(self.dictionary_))
        weights = np.empty(words.shape)
        for top in range(0, len(words), _BLOCK):
            here = slice(top, top + _BLOCK)
            weights[here] = self._weights(descriptors[here], words[here])
        return words, weights

    def _weights(self, descriptors: NDArray[np.float32], words: NDArray[np.int32]) -> NDArray[np.float64]:
        shifted = self.dictionary_.words_[words]
        shifted -= descriptors[:, None]
        covariance = (shifted @ shifted.transpose(0, 2, 1)).astype(np.float64)
        trace = np.trace(covariance, axis1=1, axis2=2)
        # A point that all its words coincide with is built of them in equal parts.
        covariance /= np.where(trace > 0, trace, 1)[:, None, None]
        diagonal = np.arange(words.shape[1])
        covariance[:, diagonal, diagonal] += self.regularization
        solved = np.linalg.solve(covariance, np.ones((*words.shape, 1)))[..., 0]
        return np.asarray(solved / solved.sum(axis=1, keepdims=True))

    def check_params(self) -> None:
        super().check_params()
        check_int("n_nearest", self.n_nearest, minimum=1)
        # Below, rounding alone could make the equations of more words than dimensions unsolvable.
        check_real("regularization", self.regularization, minimum=1e-6)
