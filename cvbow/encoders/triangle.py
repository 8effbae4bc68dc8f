"""Triangle encoding: how much nearer than the average each word is.

A. Coates, H. Lee and A. Ng, "An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.encoders._dictionary_encoder import DenseEncoder


class Triangle(DenseEncoder):
    """Soft assignment ``f_k = max(0, mean(z) - z_k)``, with ``z_k`` the distance to word ``k``.

    About half of a point's values are zero.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_``; None is ``KMeansDictionary()``.
    pooling, normalization, power : default "sum", "none" and 0.5
        See ``WordEncoder``. The paper leaves the sums as they are and standardises each value over the training images
        before the classifier.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import Features, KMeansDictionary
    >>> from cvbow.encoders import Triangle
    >>> descriptors = np.random.default_rng(0).random((50, 8), np.float32)
    >>> sample = Features(np.zeros((50, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoder = Triangle(KMeansDictionary(n_words=5)).fit([sample])
    >>> float(encoder.encode(sample.take(np.array([0]))).min())  # of the words that are farther than most
    0.0
    """

    def __init__(
        self, dictionary: Any = None, *, pooling: str = "sum", normalization: str = "none", power: float = 0.5
    ) -> None:
        self.dictionary = dictionary
        self.pooling = pooling
        self.normalization = normalization
        self.power = power

    def _codes(self, descriptors: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        for rows, centered, scores in self._prepared.score_blocks(descriptors):
            norms = np.einsum("ij,ij->i", centered, centered)
            scores *= -2
            scores += norms[:, None]
            np.maximum(scores, 0, out=scores)
            distances = np.sqrt(scores, out=scores)
            np.subtract(distances.mean(axis=1, keepdims=True), distances, out=distances)
            yield rows, np.maximum(distances, 0, out=distances)
