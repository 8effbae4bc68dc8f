"""The base of the encoders whose codes have a value for every word."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.encoders._pooling import pool_dense
from cvbow.encoders._word_encoder import WordEncoder

__all__ = ["DenseEncoder"]


class DenseEncoder(WordEncoder):
    """Base class: non-negative codes of ``vector_length`` values, made block by block and pooled at once."""

    @abstractmethod
    def _codes(self, descriptors: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the codes of one block of descriptors after another: the rows, and (m, vector_length) codes."""

    def _pool(
        self, descriptors: NDArray[np.float32], cells: Sequence[NDArray[np.intp]], n_cells: int
    ) -> NDArray[np.float64]:
        return pool_dense(self._codes, descriptors, self.vector_length, cells, n_cells, self.pooling)
