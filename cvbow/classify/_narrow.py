"""Vectors in half precision, as they lie in a file or in memory: read in float32, a block of rows after the other.

A classifier that learns from such vectors never holds all of them in float32. NumPy's own conversion takes several
times as long as the products that follow it, where it knows of no instructions that convert many values at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Values of a block: 16 MB in float32.
_BLOCK = 1 << 22
#: Values that are converted together: half a megabyte, which stays near the processor.
_NEAR = 1 << 17
#: Where a half's bits lie in a float32, 13 places further up: its sign, which has been drawn out over what is above it,
#: and its exponent and fraction.
_SIGN_AND_REST = np.array(0x8FFFE000, np.uint32).view(np.int32)
#: The exponents of the two count from 15 and from 127.
_EXPONENT = np.float32(2.0 ** (127 - 15))


def is_narrow(vectors: NDArray[Any]) -> bool:
    """Tell whether vectors are in half precision."""
    return vectors.dtype == np.float16


def wide(block: NDArray[Any], out: NDArray[np.float32] | None = None) -> NDArray[Any]:
    """Return finite vectors (n, d) in float32, exactly, if they are in half precision; others as they are.

    They go into ``out``, of the same shape, where that is given.
    """
    if not is_narrow(block):
        return block
    result = np.empty(block.shape, np.float32) if out is None else out
    halves, bits = block.view(np.int16), result.view(np.int32)
    size = max(1, _NEAR // max(1, block.shape[1]))
    for top in range(0, len(block), size):
        rows = slice(top, top + size)
        np.copyto(bits[rows], halves[rows])
        np.left_shift(bits[rows], 13, out=bits[rows])
        np.bitwise_and(bits[rows], _SIGN_AND_REST, out=bits[rows])
        np.multiply(result[rows], _EXPONENT, out=result[rows])
    return result


def blocks(vectors: NDArray[Any], rows: slice = slice(None)) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield some neighbouring rows of vectors, and where they are: block by block, in float32, if they are narrow.

    A block lasts until the next one is asked for. Vectors that need no conversion come in one.
    """
    start, stop, _ = rows.indices(len(vectors))
    if not is_narrow(vectors):
        yield slice(start, stop), vectors[start:stop]
        return
    d = vectors.shape[1]
    size = max(1, min(_BLOCK // max(1, d), stop - start))
    buffer = np.empty((size, d), np.float32)
    for top in range(start, stop, size):
        these = slice(top, min(top + size, stop))
        yield these, wide(vectors[these], buffer[: these.stop - top])


def product(vectors: NDArray[Any], coefficients: NDArray[np.floating], intercepts: Any = 0.0) -> NDArray[np.floating]:
    """Return ``vectors @ coefficients + intercepts``, (n, k), of vectors (n, d) of any precision."""
    found = [block @ coefficients + intercepts for _, block in blocks(vectors)]
    return np.concatenate(found) if len(found) > 1 else found[0]


def transposed_product(vectors: NDArray[Any], values: NDArray[np.float32]) -> NDArray[np.floating]:
    """Return ``vectors.T @ values``, (d, k), of vectors (n, d) of any precision."""
    if not is_narrow(vectors):
        return np.asarray(vectors.T @ values)
    total = np.zeros((vectors.shape[1], values.shape[1]))
    for rows, block in blocks(vectors):
        total += block.T @ values[rows]
    return total
