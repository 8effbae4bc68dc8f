"""Soft threshold encoding: the projections on the words, less a threshold.

A. Coates and A. Ng, "The importance of encoding versus training with sparse coding and vector quantization",
ICML 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_real
from cvbow.encoders._directions import DirectionEncoder


class SoftThreshold(DirectionEncoder):
    """Values ``max(0, x @ u_k - alpha)``, and ``max(0, -x @ u_k - alpha)`` after them, with ``u_k = w_k / |w_k|``.

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

    def _encode_products(self, products: NDArray[np.float32], codes: NDArray[Any]) -> None:
        n_words, alpha = products.shape[1], np.float32(self.alpha)
        np.subtract(products, alpha, out=codes[:, :n_words])
        if self.split_sign:
            np.subtract(-alpha, products, out=codes[:, n_words:])
        np.maximum(codes, 0, out=codes)

    def check_params(self) -> None:
        super().check_params()
        check_real("alpha", self.alpha, minimum=0)
        check_flag("split_sign", self.split_sign)
