"""What each descriptor gave to the values of vectors: the way back through pooling.

A value is what became of a sum of parts, one of each descriptor, and is shared out in proportion to them. Whatever was
done to the sum by itself, a power or a normalisation, is thereby shared as well: S. Bach et al., "On pixel-wise
explanations for non-linear classifier decisions by layer-wise relevance propagation", PLoS ONE 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.encoders._pooling import Blocks, Cells, cut_by_group, pool_dense, pool_sparse

#: A sum that is less than this share of what its parts are without their signs nearly cancels.
_LEAST = 0.01


def per_part(
    values: NDArray[np.float64], sums: NDArray[np.floating], sizes: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return what a part of size 1 gets of each value; the three arrays have one shape.

    ``sums`` are those of the parts, and ``sizes`` those of their absolute values or more. Of a value whose parts nearly
    cancel, less than all is shared out, so that no part gets a multiple of what there is; without parts, nothing.
    """
    held = np.copysign(np.maximum(np.abs(sums), _LEAST * sizes), sums)
    each: NDArray[np.float64] = np.divide(values, held, out=np.zeros(values.shape), where=held != 0)
    return each


def share_sparse(
    words: NDArray[np.int32], weights: NDArray[np.float64], values: NDArray[np.float64], cells: Cells, pooling: str
) -> NDArray[np.float64]:
    """Share the cells' values (n_cells, n_words) out among codes that ``pool_sparse`` pools; shape (n,).

    A maximum belongs to the codes that have it.
    """
    places = [cell[:, None] * values.shape[1] + words for cell in cells.of_points]
    parts = [weights] * len(places)
    if pooling == "max":
        maxima = pool_sparse(words, weights, values.shape[1], cells, pooling).ravel()
        parts = [np.where(weights == maxima[place], weights, 0) for place in places]
    sums, sizes = np.zeros(values.size), np.zeros(values.size)
    for place, part in zip(places, parts, strict=True):
        sums += np.bincount(place.ravel(), part.ravel(), values.size)
        sizes += np.bincount(place.ravel(), np.abs(part).ravel(), values.size)
    each = per_part(values.ravel(), sums, sizes)
    shares = np.zeros(len(words))
    for place, part in zip(places, parts, strict=True):
        shares += np.einsum("ij,ij->i", part, each[place])
    return shares


def share_dense(
    encode: Callable[[NDArray[np.float32]], Blocks],
    descriptors: NDArray[np.float32],
    values: NDArray[np.float64],
    cells: Cells,
    pooling: str,
) -> NDArray[np.float64]:
    """Share the cells' values (n_cells, width) out among codes that ``pool_dense`` pools; shape (n,)."""
    is_max = pooling == "max"
    pooled = pool_dense(encode, descriptors, values.shape[1], cells, "max" if is_max else "sum")
    order, bounds, members = cells.groups()
    if len(members) > 1:
        descriptors = descriptors[order]
    sums = pooled
    if is_max:
        sums = np.zeros_like(pooled)
        for rows, codes in encode(descriptors):
            for group, within in cut_by_group(bounds, rows.start, rows.stop):
                for cell in members[group]:
                    sums[cell] += _highest(codes[within], pooled[cell]).sum(axis=0, dtype=np.float64)
    each = per_part(values, sums, sums)
    shares = np.zeros(len(descriptors))
    for rows, codes in encode(descriptors):
        for group, within in cut_by_group(bounds, rows.start, rows.stop):
            here = order[rows][within]
            for cell in members[group]:
                part = _highest(codes[within], pooled[cell]) if is_max else codes[within]
                shares[here] += part @ each[cell]
    return shares


def _highest(codes: NDArray[Any], maxima: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return codes (m, width) without what is below the maxima."""
    return np.where(codes == maxima, codes, np.float32(0))
