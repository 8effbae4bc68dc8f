"""Soft threshold encoding: the projections on the words, less a threshold.

A. Coates and A. Ng, "The importance of encoding versus training with sparse coding and vector quantization",
ICML 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_real
from cvbow.dictionary.search import block_size
from cvbow.encoders._dictionary_encoder import DenseEncoder


class SoftThreshold(DenseEncoder):
    """Values ``max(0, x . u_k - alpha)``, and ``max(0, -x . u_k - alpha)`` after them, with ``u_k = w_k / |w_k|``.

    Made for whitened patches and a dictionary of directions, such as ``SphericalDictionary``.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_``, of which only the directions matter; None is ``KMeansDictionary()``.
    alpha : float, default 0.25
        The threshold, in the unit of the descriptors.
    split_sign : bool, default True
        Encode negative projections too; the vector is then twice as long.
    pooling, normalization, power : default "sum", "none" and 0.5
        See ``WordEncoder``. The paper leaves the sums as they are and standardises each value over the training images
        before the classifier.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import Features
    >>> from cvbow.dictionary import SphericalDictionary
    >>> from cvbow.encoders import SoftThreshold
    >>> descriptors = np.random.default_rng(0).random((50, 8), np.float32)
    >>> sample = Features(np.zeros((50, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoder = SoftThreshold(SphericalDictionary(n_words=5)).fit([sample])
    >>> encoder.encode(sample).shape
    (10,)
    """

    recipe_dictionary: ClassVar[str] = "spherical"

    def __init__(
        self,
        dictionary: Any = None,
        *,
        alpha: float = 0.25,
        split_sign: bool = True,
        pooling: str = "sum",
        normalization: str = "none",
        power: float = 0.5,
    ) -> None:
        self.dictionary = dictionary
        self.alpha = alpha
        self.split_sign = split_sign
        self.pooling = pooling
        self.normalization = normalization
        self.power = power

    @property
    def vector_length(self) -> int:
        """Length of an encoded vector: the number of words, or twice that with ``split_sign``."""
        return self.n_words * (2 if self.split_sign else 1)

    @property
    def value_words(self) -> NDArray[np.intp]:
        return np.arange(self.vector_length)

    @property
    def _n_told(self) -> int:
        # Each value has a direction of its own.
        return self.vector_length

    def _nearest_word(self, descriptors: NDArray[np.float32]) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        word, largest = np.empty(len(descriptors), np.int32), np.empty(len(descriptors), np.float32)
        step = block_size(self.vector_length)
        for top in range(0, len(descriptors), step):
            rows = slice(top, top + step)
            projections = descriptors[rows] @ self._prepared
            if self.split_sign:
                projections = np.hstack([projections, -projections])
            word[rows], largest[rows] = projections.argmax(axis=1), projections.max(axis=1)
        lengths = np.linalg.norm(descriptors, axis=1)
        return word, 1 - np.divide(largest, lengths, out=np.zeros_like(largest), where=lengths > 0)

    def _codes(self, descriptors: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        n, n_words = len(descriptors), self.n_words
        alpha = np.float32(self.alpha)
        block = min(n, block_size(self.vector_length))
        codes = np.empty((block, self.vector_length), np.float32)
        projections = np.empty((block, n_words), np.float32)
        for top in range(0, n, block):
            m = min(block, n - top)
            np.matmul(descriptors[top : top + m], self._prepared, out=projections[:m])
            np.subtract(projections[:m], alpha, out=codes[:m, :n_words])
            if self.split_sign:
                np.subtract(-alpha, projections[:m], out=codes[:m, n_words:])
            yield slice(top, top + m), np.maximum(codes[:m], 0, out=codes[:m])

    def _prepare(self, words: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the words as columns of length 1; a zero word stays zero."""
        lengths = np.linalg.norm(words.astype(np.float64), axis=1, keepdims=True)
        directions = np.divide(words, lengths, out=np.zeros(words.shape), where=lengths > 0)
        return np.ascontiguousarray(directions.T, np.float32)

    def check_params(self) -> None:
        super().check_params()
        check_real("alpha", self.alpha, minimum=0)
        check_flag("split_sign", self.split_sign)
