"""The product of one Gaussian kernel per channel, channels being groups of neighbouring columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.parallel import cut, map_threads

_COLUMNS = 4096
_ROWS = 256
#: Columns whose copy in float64 is made at a time.
_NARROW = 512


def spreads(
    vectors: NDArray[np.float32], bounds: Sequence[slice], counts: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return for each channel the mean squared distance between two different rows of (n, d), n >= 2.

    With ``counts`` (n,) a row is there so many times.
    """
    d = vectors.shape[1]
    variances = np.empty(d)

    def measure(columns: slice) -> None:
        if counts is None:
            variances[columns] = np.var(vectors[:, columns], axis=0, dtype=np.float64, ddof=1)
        else:
            total = counts.sum()
            off = vectors[:, columns] - np.average(vectors[:, columns], axis=0, weights=counts)
            # Counts that add up to less than two rows are no counts; half the divisor keeps the scale above zero.
            variances[columns] = counts @ off**2 / max(total - 1, total / 2)

    map_threads(measure, cut(d, _NARROW))
    return np.array([2 * variances[columns].sum() for columns in bounds])


def fusion_kernel(
    a: NDArray[np.float32], b: NDArray[np.float32] | None, bounds: Sequence[slice], factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``exp(-sum_c factors_c |a_c - b_c|^2)`` over channels c, (n, m), of the rows of a (n, d) and b (m, d).

    With ``b`` None the kernel is that of ``a`` with itself: symmetric, with ones on the diagonal.
    """
    total = np.zeros((len(a), len(a) if b is None else len(b)))
    for columns, factor in zip(bounds, factors, strict=True):
        if factor > 0:
            distances = squared_distances(a[:, columns], None if b is None else b[:, columns])
            distances *= -factor
            total += distances
    return np.exp(total, out=total)


def squared_distances(a: NDArray[np.float32], b: NDArray[np.float32] | None) -> NDArray[np.float64]:
    """Return the squared distances between the rows of ``a`` (n, d) and ``b`` (m, d), shape (n, m).

    With ``b`` None between the rows of ``a``: symmetric, with zeros on the diagonal.
    """
    n, d = a.shape
    m = n if b is None else len(b)
    products, a_squares, b_squares = np.zeros((n, m)), np.zeros(n), np.zeros(m)

    def multiply(rows: slice) -> None:
        part = near[rows] if b is None else a[rows, block] - origin
        a_squares[rows] += _squares(part)
        # Of a symmetric matrix the part below the diagonal is enough.
        end = rows.stop if b is None else m
        products[rows, :end] += part @ near[:end].T

    # The parts depend on nothing but the number of rows, so that results do not depend on the threads.
    parts = cut(n, _ROWS)
    for block in cut(d, _COLUMNS):
        # Distances stay when all rows are moved alike: by one of them, so that what all have in common, however
        # large, takes no digits of the products. These are in float32 block by block, and added up in float64.
        origin = a[0, block]
        near = (a if b is None else b)[:, block] - origin
        b_squares += _squares(near)
        map_threads(multiply, parts)
    if b is None:
        products = np.tril(products)
        products += np.tril(products, -1).T
    products *= -2
    products += a_squares[:, None]
    products += b_squares
    np.maximum(products, 0, out=products)
    if b is None:
        np.fill_diagonal(products, 0)
    return products


def _squares(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))
