"""The base of the encoders that go by the products of descriptors with directions: the words at length 1."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow.dictionary.search import block_size
from cvbow.encoders._dictionary_encoder import DenseEncoder

#: Codes that are whole numbers of one byte are summed up as such, a block at a time: so many ones fit one.
_BYTE = 255


class DirectionEncoder(DenseEncoder):
    """Base class: codes of the products ``x @ u_k`` with ``u_k = w_k / |w_k|``, and of ``-x @ u_k`` after them.

    A subclass defines ``_encode_products``, and ``split_sign`` where negative products may be left out.
    """

    split_sign: bool = True
    recipe_dictionary: ClassVar[str] = "spherical"
    #: Of the codes: float32, or uint8 for such as are 0 or 1.
    _code_type: ClassVar[type[np.generic]] = np.float32

    @property
    def vector_length(self) -> int:
        """Length of an encoded vector: the number of words, or twice that where negative products count as well."""
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
            products = descriptors[rows] @ self._prepared
            if self.split_sign:
                products = np.hstack([products, -products])
            word[rows], largest[rows] = products.argmax(axis=1), products.max(axis=1)
        lengths = np.linalg.norm(descriptors, axis=1)
        return word, 1 - np.divide(largest, lengths, out=np.zeros_like(largest), where=lengths > 0)

    def _codes(self, descriptors: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[Any]]]:
        n = len(descriptors)
        block = min(n, block_size(self.vector_length))
        if self._code_type is np.uint8:
            block = min(block, _BYTE)
        codes = np.empty((block, self.vector_length), self._code_type)
        products = np.empty((block, self.n_words), np.float32)
        for top in range(0, n, block):
            m = min(block, n - top)
            np.matmul(descriptors[top : top + m], self._prepared, out=products[:m])
            self._encode_products(products[:m], codes[:m])
            yield slice(top, top + m), codes[:m]

    @abstractmethod
    def _encode_products(self, products: NDArray[np.float32], codes: NDArray[Any]) -> None:
        """Write the codes (m, vector_length) of descriptors whose products are (m, n_words), and which may change."""

    def _prepare(self, words: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the words as columns of length 1; a zero word stays zero."""
        lengths = np.linalg.norm(words.astype(np.float64), axis=1, keepdims=True)
        directions = np.divide(words, lengths, out=np.zeros(words.shape), where=lengths > 0)
        return np.ascontiguousarray(directions.T, np.float32)
