"""Bringing the values of vectors to mean 0 and the same deviation, without a copy of them.

What is learned from standardised vectors is a product with them: the scaling goes into the other factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.classify._narrow import wide
from cvbow.parallel import cut, map_threads

#: Values that a thread looks at together: 2 MB in float64.
_BLOCK = 1 << 18
#: A value that varies by less than its rounding does not vary.
_ROUNDING = float(np.finfo(np.float32).eps)
#: Nor does one that varies by less than this: 1 over it has to fit float32, with a coefficient.
_LEAST = 1e-30


@dataclass(frozen=True, eq=False)
class Standardization:
    """What turns vectors ``x`` (n, d) into ``(x - mean) * scale``.

    The scale of a value that does not vary is 0, so that it counts for nothing also where it is another one.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def raw(self, w: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return coefficients (d, k) and intercepts (k,) that do with vectors what these do with standardised ones."""
        coefficients = w * self.scale[:, None]
        return coefficients, b - self.mean @ coefficients

    def apply(self, values: NDArray[np.float32], columns: slice) -> NDArray[np.float64]:
        """Return some columns of vectors, which are those given, standardised."""
        block = values - self.mean[columns]
        block *= self.scale[columns]
        return block


def standardization(vectors: NDArray[np.float32], counts: NDArray[np.float64] | None = None) -> Standardization:
    """Return what standardises these vectors (n, d), each of which counts so many times (n,); once otherwise.

    Deviations become 1 over the root of the number of values that vary, so the mean squared length of the vectors is 1.
    """
    total = len(vectors) if counts is None else float(counts.sum())
    mean = column_sums(vectors, counts=counts) / total
    deviation = np.sqrt(column_sums(vectors, mean, counts) / total)
    varies = deviation > np.maximum(_ROUNDING * np.abs(mean), _LEAST)
    wanted = 1 / np.sqrt(max(int(varies.sum()), 1))
    return Standardization(mean, np.divide(wanted, deviation, out=np.zeros_like(deviation), where=varies))


def column_sums(
    vectors: NDArray[np.float32],
    mean: NDArray[np.float64] | None = None,
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the sum of each column, or with a mean that of its squared distances from it; in a fixed order.

    With ``counts`` (n,) a row counts so many times.
    """
    n, d = vectors.shape
    rows = max(1, _BLOCK // d)
    parts = cut(n, -(-n // 16))
    partial: dict[int, NDArray[np.float64]] = {}

    def add(part: slice) -> None:
        total = np.zeros(d)
        for top in range(part.start, part.stop, rows):
            these = slice(top, min(top + rows, part.stop))
            values: NDArray[np.floating] = wide(vectors[these])
            if mean is not None:
                values = values - mean
            if counts is not None:
                total += counts[these] @ (values if mean is None else values**2)
            elif mean is None:
                total += values.sum(axis=0, dtype=np.float64)
            else:
                total += np.einsum("ij,ij->j", values, values)
        partial[part.start] = total

    map_threads(add, parts)
    total: NDArray[np.float64] = np.sum([partial[part.start] for part in parts], axis=0)
    return total
