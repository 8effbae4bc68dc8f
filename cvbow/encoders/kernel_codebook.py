"""Kernel codebook: a point is shared out among its nearest words.

J. van Gemert, J.-M. Geusebroek, C. Veenman and A. Smeulders, "Kernel codebooks for scene categorization", ECCV 2008;
J. van Gemert, C. Veenman, A. Smeulders and J.-M. Geusebroek, "Visual word ambiguity", IEEE TPAMI 2010; k nearest words
only: L. Liu, L. Wang and X. Liu, "In defense of soft-assignment coding", ICCV 2011.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice, check_int, check_real
from cvbow.dictionary.base import threads_of
from cvbow.encoders._dictionary_encoder import WordEncoder
from cvbow.encoders._pooling import Cells, pool_sparse
from cvbow.encoders._shares import share_sparse
from cvbow.features import Features
from cvbow.storage import Learned, Number

#: Descriptors from which sigma is found.
_SIGMA_SAMPLE = 10_000


class KernelCodebook(WordEncoder):
    """Histogram of soft assignments: a Gaussian of the distance to each of the nearest words.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_``; None is ``KMeansDictionary()``. A ``BinaryDictionary`` makes the distance the root of the
        Hamming distance.
    n_nearest : int, default 5
        Words that a point is shared out among, or all where there are fewer.
    sigma : float or None, default None
        Standard deviation of the Gaussian ``exp(-distance^2 / (2 sigma^2))``; None finds it in the sample, see Notes.
    ambiguity : {"uncertainty", "kernel"}, default "uncertainty"
        "uncertainty": a point's weights are divided by their sum, so that each point counts 1. "kernel": they stay
        what they are, so that a point far from all words counts little; with ``n_nearest=1`` that is the paper's
        "plausibility".
    pooling, normalization, power : default "average", "hellinger" and 0.5
        See ``WordEncoder``.

    Attributes
    ----------
    sigma_ : float

    Notes
    -----
    A weight is relative to its point's nearest word under "uncertainty", so there ``2 sigma^2`` is the mean difference
    between the squared distances to the last and the first of the nearest words: on average, the last weighs 1/e of
    the first. Under "kernel", ``sigma^2`` is the mean squared distance to the nearest word.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import Features, KMeansDictionary
    >>> from cvbow.encoders import KernelCodebook
    >>> descriptors = np.random.default_rng(0).random((50, 8), np.float32)
    >>> sample = Features(np.zeros((50, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoder = KernelCodebook(KMeansDictionary(n_words=5), n_nearest=2, normalization="none").fit([sample])
    >>> int(np.count_nonzero(encoder.encode(sample.take(np.array([0])))))  # one point, shared among two words
    2
    """

    _word_types = (np.float32, np.uint8)

    learned: ClassVar[Mapping[str, Learned]] = {**WordEncoder.learned, "sigma_": Number(above=0)}

    def __init__(
        self,
        dictionary: Any = None,
        *,
        n_nearest: int = 5,
        sigma: float | None = None,
        ambiguity: str = "uncertainty",
        pooling: str = "average",
        normalization: str = "hellinger",
        power: float = 0.5,
    ) -> None:
        self.dictionary = dictionary
        self.n_nearest = n_nearest
        self.sigma = sigma
        self.ambiguity = ambiguity
        self.pooling = pooling
        self.normalization = normalization
        self.power = power

    def _learn(self, descriptors: NDArray[Any], features_sample: Sequence[Features]) -> None:
        if self.sigma is not None:
            self.sigma_ = float(self.sigma)
            return
        step = -(-len(descriptors) // _SIGMA_SAMPLE)
        _, distances = self._nearest(descriptors[::step])
        spread = distances[:, 0] if self.ambiguity == "kernel" else (distances[:, -1] - distances[:, 0]) / 2
        variance = float(spread.mean(dtype=np.float64))
        # Without any spread every sigma gives the same weights.
        self.sigma_ = variance**0.5 if variance > 0 else 1.0

    def _pool(self, descriptors: NDArray[Any], cells: Cells) -> NDArray[np.float64]:
        words, weights = self._codes(descriptors)
        return pool_sparse(words, weights, self.n_words, cells, self.pooling)

    def _share(self, descriptors: NDArray[Any], cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
        words, weights = self._codes(descriptors)
        return share_sparse(words, weights, values, cells, self.pooling)

    def _codes(self, descriptors: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the words that each point is shared out among, and by which weights, both (n, k)."""
        words, distances = self._nearest(descriptors)
        if self.ambiguity == "uncertainty":
            distances = distances - distances[:, :1]
        with np.errstate(under="ignore"):
            weights = np.exp(distances / (-2 * self.sigma_**2))
        if self.ambiguity == "uncertainty":
            weights /= weights.sum(axis=1, keepdims=True)
        return words, weights

    def _nearest(self, descriptors: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the nearest words, the nearest first, and their squared distances, both (n, k)."""
        k = min(self.n_nearest, self.n_words)
        if descriptors.dtype == np.uint8:
            words, distances = self.dictionary_.nearest_words(descriptors, k)
        else:
            words, distances = self._prepared.nearest_words(descriptors, k, n_threads=threads_of(self.dictionary_))
        return words, distances.astype(np.float64)

    def check_params(self) -> None:
        super().check_params()
        check_int("n_nearest", self.n_nearest, minimum=1)
        check_real("sigma", self.sigma, minimum=0, open_minimum=True, none=True)
        check_choice("ambiguity", self.ambiguity, ("uncertainty", "kernel"))
