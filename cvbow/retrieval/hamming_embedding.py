"""Hamming embedding: 64 bits that tell descriptors of one word apart.

H. Jegou, M. Douze and C. Schmid, "Hamming embedding and weak geometric consistency for large scale image search",
ECCV 2008; weights from H. Jegou, M. Douze and C. Schmid, "Improving bag-of-features for large scale image search",
IJCV 2010.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int
from cvbow.storage import Array, Learned, storable

N_BITS = 64
#: The medians of all descriptors count in those of a word as so many of its descriptors.
_PRIOR = 1
#: Descriptors projected at a time.
_BLOCK = 1 << 14


@storable
class HammingEmbedding(BaseEstimator):  # type: ignore[misc]
    """Hamming embedding: a signature of 64 bits for each descriptor, within its word.

    A descriptor is projected onto 64 random orthogonal directions; bit i is whether its i-th value is above the median
    of its word's descriptors. Two descriptors of a word that are near each other differ in few bits, any two in about
    half of them.

    Parameters
    ----------
    random_state : int, default 0
        Seed of the projection.

    Attributes
    ----------
    projection_ : ndarray of shape (64, k), float32
        Orthogonal rows of length 1; for k < 64, of several such sets.
    medians_ : ndarray of shape (n_words, 64), float32
        Of a word with n descriptors in the sample, n parts their medians and one those of all descriptors. With one
        descriptor, or three, the median is a descriptor itself, and a near copy of it would get bits by chance; drawn
        to the middle of all, the bits of such a word tell less, and its matches are kept.

    Notes
    -----
    Binary descriptors (uint8) are projected as vectors of their bits, 0 or 1.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.retrieval import HammingEmbedding, hamming_distances
    >>> descriptors, words = np.random.default_rng(0).random((200, 16), np.float32), np.zeros(200, np.int32)
    >>> embedding = HammingEmbedding().fit(descriptors, words, n_words=1)
    >>> near = descriptors[:1] + 0.01
    >>> first, again, other = embedding.signatures(np.concatenate([descriptors[:1], near, descriptors[1:2]]), words[:3])
    >>> bool(hamming_distances(first, again) < 10 < hamming_distances(first, other))
    True
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "projection_": Array("float32", f"{N_BITS} k"),
        "medians_": Array("float32", f"n_words {N_BITS}"),
    }

    def __init__(self, *, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, descriptors: NDArray[Any], words: NDArray[np.int32], n_words: int) -> Self:
        """Learn the medians.

        Parameters
        ----------
        descriptors : array of shape (n, k), float32 or uint8
        words : ndarray of shape (n,), int32
            The word of each.
        n_words : int

        Raises
        ------
        ValueError
            If a parameter breaks its rule, there are no descriptors, or the shapes do not fit.
        """
        self.check_params()
        check_int("n_words", n_words, minimum=1)
        if len(descriptors) == 0:
            raise ValueError("descriptors must have at least one row to learn medians from, got none")
        if len(descriptors) != len(words):
            raise ValueError(f"words must be one for each of {len(descriptors)} descriptors, got {len(words)}")
        size = _real(descriptors[:0]).shape[1]
        rng = np.random.default_rng(self.random_state)
        parts = [np.linalg.qr(rng.standard_normal((size, size)))[0].T for _ in range(-(-N_BITS // size))]
        self.projection_ = np.concatenate(parts)[:N_BITS].astype(np.float32)
        projected = self._projected(descriptors)[np.argsort(words, kind="stable")]
        middle = np.median(projected, axis=0)
        medians = np.tile(middle, (n_words, 1))
        counts = np.bincount(words, minlength=n_words)
        starts = np.cumsum(counts) - counts
        # The words that have equally many descriptors are one array: a thousand steps for a million words.
        for count in np.unique(counts[counts > 0]).tolist():
            these = np.flatnonzero(counts == count)
            own = np.median(projected[starts[these][:, None] + np.arange(count)], axis=1)
            medians[these] += np.float32(count / (count + _PRIOR)) * (own - middle)
        self.medians_ = medians
        return self

    def signatures(self, descriptors: NDArray[Any], words: NDArray[np.int32]) -> NDArray[np.uint64]:
        """Return 64 bits for each descriptor.

        Parameters
        ----------
        descriptors : array of shape (n, k), float32 or uint8
        words : ndarray of shape (n,), int32
            The word of each.

        Returns
        -------
        ndarray of shape (n,), uint64
            Bit i, of value 2 ** i, is whether direction i is above the median.
        """
        check_is_fitted(self, "medians_")
        bits = self._projected(descriptors) > self.medians_[words]
        packed = np.packbits(bits, axis=1, bitorder="little")
        return packed.view("<u8")[:, 0].astype(np.uint64)

    def _projected(self, descriptors: NDArray[Any]) -> NDArray[np.float32]:
        projected = np.empty((len(descriptors), N_BITS), np.float32)
        for top in range(0, len(descriptors), _BLOCK):
            rows = slice(top, top + _BLOCK)
            np.matmul(_real(descriptors[rows]), self.projection_.T, out=projected[rows])
        return projected

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_int("random_state", self.random_state, minimum=0)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()


def hamming_distances(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return in how many bits the signatures ``first`` and ``second`` differ, with broadcasting, uint8.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.retrieval import hamming_distances
    >>> hamming_distances(np.array([0b1011, 0], np.uint64), np.array([0b0001, 0], np.uint64)).tolist()
    [2, 0]
    """
    different = np.bitwise_xor(first, second)
    count = getattr(np, "bitwise_count", _count_bits)
    distances: NDArray[np.uint8] = count(different)
    return distances


def hamming_weights(max_hamming: int, sigma: float) -> NDArray[np.float32]:
    """Return the weight of a match by its distance in bits, shape (65,): exp(-h^2 / sigma^2), 0 above the limit."""
    bits = np.arange(N_BITS + 1)
    return np.where(bits <= max_hamming, np.exp(-((bits / sigma) ** 2)), 0).astype(np.float32)


def _count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the bits that are set; NumPy has had this since 2.0."""
    # In parallel within the word: sums of neighbouring bits, of pairs, of fours; the product adds up the eight bytes.
    # H. Warren, "Hacker's Delight", 2002, section 5-1.
    pairs = values - ((values >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    counts: NDArray[np.uint8] = ((eights * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)
    return counts


def _real(descriptors: NDArray[Any]) -> NDArray[np.float32]:
    """Return real-valued descriptors as they are, and the bits of binary ones."""
    if descriptors.dtype == np.uint8:
        return np.unpackbits(descriptors, axis=1).astype(np.float32)
    return descriptors.astype(np.float32, copy=False)
