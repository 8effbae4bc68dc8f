"""The base of the encoders whose codes have a value for every word."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cvbow.encoders._pooling import Groups, pool_dense
from cvbow.encoders._word_encoder import WordEncoder

__all__ = ["DenseEncoder"]


class DenseEncoder(WordEncoder):
    """Base class: non-negative codes of ``vector_length`` values, made block by block and pooled at once."""

    @abstractmethod
    def _codes(self, descriptors: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the codes of one block of descriptors after another: the rows, and (m, vector_length) codes."""

    def _pool(self, descriptors: NDArray[np.float32], groups: Groups) -> NDArray[np.float64]:
        # Points of a group follow each other, so that a block is summed in few pieces.
        order = np.argsort(groups.of_point, kind="stable")
        sorted_groups = groups.of_point[order]
        if not np.array_equal(sorted_groups, groups.of_point):
            descriptors = descriptors[order]
        return pool_dense(self._codes(descriptors), sorted_groups, self.vector_length, self.pooling)
