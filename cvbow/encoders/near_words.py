"""Neighbours among words: of each word, and of its negative, whether it is near.

L. Thiry, M. Arbel, E. Belilovsky and E. Oyallon, "The unreasonable effectiveness of patches in deep convolutional
kernels methods", ICLR 2021.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_real
from cvbow.encoders._directions import DirectionEncoder


class NearWords(DirectionEncoder):
    """Values 1 where ``x @ u_k > t s``, and after them 1 where ``-x @ u_k > t s``, with ``u_k = w_k / |w_k|``.

    ``s`` is the root mean square of the descriptor's products with all words, so that only its direction counts. Summed
    up, a value is the number of descriptors that are near a word, or near its negative. Made for whitened patches and
    directions, such as ``SphericalDictionary``'s.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_``, of which only the directions matter; None is ``KMeansDictionary()``.
    nearness : float, default 0.6
        ``t``, at least 0. Products are nearly normally distributed, so about a quarter of the words are near with 0.6,
        40 % with 0.25, and 16 % with 1.
    pooling, normalization, power : default "sum", "none" and 0.5
        See ``WordEncoder``.

    Notes
    -----
    The paper calls those 40 % of the words near whose products are largest, and those 40 % whose products are smallest.
    The nearness finds them without sorting, and which words are near does not hang on how many others are nearer.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import Features, KMeansDictionary
    >>> from cvbow.encoders import NearWords
    >>> axes = Features(np.zeros((2, 4), np.float32), np.eye(2, dtype=np.float32), image_size=(64, 64))
    >>> encoder = NearWords(KMeansDictionary(n_words=2)).fit([axes])
    >>> one = Features(np.zeros((1, 4), np.float32), np.array([[3, -1]], np.float32), image_size=(64, 64))
    >>> sorted(encoder.encode(one).tolist())  # near one axis, and not near the negative of the other
    [0.0, 0.0, 0.0, 1.0]
    """

    _code_type: ClassVar[type[np.generic]] = np.uint8

    def __init__(
        self,
        dictionary: Any = None,
        *,
        nearness: float = 0.6,
        pooling: str = "sum",
        normalization: str = "none",
        power: float = 0.5,
    ) -> None:
        self.dictionary = dictionary
        self.nearness = nearness
        self.pooling = pooling
        self.normalization = normalization
        self.power = power

    def _encode_products(self, products: NDArray[np.float32], codes: NDArray[Any]) -> None:
        n_words, is_near = products.shape[1], codes.view(np.bool_)
        lengths = np.sqrt(np.einsum("ij,ij->i", products, products))[:, None]
        least = np.float32(self.nearness / np.sqrt(n_words)) * lengths
        np.greater(products, least, out=is_near[:, :n_words])
        np.less(products, -least, out=is_near[:, n_words:])

    def check_params(self) -> None:
        super().check_params()
        check_real("nearness", self.nearness, minimum=0)
