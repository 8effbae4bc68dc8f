"""Pooling of codes into cells against a loop over points and grids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.encoders import Cells
from cvbow.encoders._pooling import POOLINGS, pool_dense, pool_sparse

Float64 = NDArray[np.float64]


def oracle(codes: Float64, cells: Sequence[NDArray[np.intp]], n_cells: int, pooling: str) -> Float64:
    """Pool whole codes (n, width) cell by cell, as the definition says."""
    pooled = np.zeros((n_cells, codes.shape[1]))
    for cell in range(n_cells):
        members = [point for grid in cells for point in range(len(codes)) if grid[point] == cell]
        if members:
            here = codes[members]
            pooled[cell] = {"sum": here.sum(axis=0), "average": here.mean(axis=0), "max": here.max(axis=0)}[pooling]
    return pooled


def draw_cells(rng: np.random.Generator, n: int, sizes: Sequence[int]) -> tuple[list[NDArray[np.intp]], int]:
    """For each grid, the cells of n points, numbered on from the grid before."""
    starts = np.cumsum([0, *sizes])
    return [start + rng.integers(0, size, n) for start, size in zip(starts, sizes, strict=False)], int(starts[-1])


def sparse_codes(words: NDArray[np.int32], weights: Float64, n_words: int) -> Float64:
    codes = np.zeros((len(words), n_words))
    np.put_along_axis(codes, words.astype(np.intp), weights, axis=1)
    return codes


@given(
    st.integers(1, 30),
    st.integers(1, 12),
    st.integers(1, 4),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.sampled_from(POOLINGS),
    st.integers(0, 100),
)
def test_sparse_codes(n: int, n_words: int, k: int, sizes: list[int], pooling: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = min(k, n_words)
    words = np.argsort(rng.random((n, n_words)), axis=1)[:, :k].astype(np.int32)
    weights = rng.standard_normal((n, k))
    cells, n_cells = draw_cells(rng, n, sizes)
    pooled = pool_sparse(words, weights, n_words, Cells(cells, n_cells), pooling)
    expected = oracle(sparse_codes(words, weights, n_words), cells, n_cells, pooling)
    np.testing.assert_allclose(pooled, expected, atol=1e-12)


def in_blocks(size: int) -> object:
    """An encoder of descriptors that are their own codes, ``size`` of them at a time, in one buffer."""

    def encode(descriptors: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        buffer = np.empty((size, descriptors.shape[1]), np.float32)
        for top in range(0, len(descriptors), size):
            m = min(size, len(descriptors) - top)
            buffer[:m] = descriptors[top : top + m]
            yield slice(top, top + m), buffer[:m]
            buffer[:] = np.nan

    return encode


@given(
    st.integers(1, 40),
    st.integers(1, 5),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.sampled_from(POOLINGS),
    st.integers(1, 50),
    st.integers(0, 100),
)
def test_dense_codes(n: int, width: int, sizes: list[int], pooling: str, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.random((n, width)).astype(np.float32)
    codes.flags.writeable = False
    cells, n_cells = draw_cells(rng, n, sizes)
    pooled = pool_dense(in_blocks(block), codes, width, Cells(cells, n_cells), pooling)  # type: ignore[arg-type]
    np.testing.assert_allclose(pooled, oracle(codes.astype(np.float64), cells, n_cells, pooling), rtol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("sum", [[1, 1, 0], [-1, 0, 2], [0, 0, 0], [0, 1, 2]]),
        ("average", [[0.5, 0.5, 0], [-1, 0, 2], [0, 0, 0], [0, 1 / 3, 2 / 3]]),
        # Cell 1 has one point, whose weight of -1 is the largest there is; word 1 it does not use, which counts 0.
        ("max", [[3, 2, 0], [-1, 0, 2], [0, 0, 0], [3, 2, 2]]),
    ],
)
def test_by_hand(pooling: str, expected: list[list[float]]) -> None:
    words = np.array([[0, 1], [1, 0], [2, 0]], np.int32)
    weights = np.array([[3.0, -1], [2, -2], [2, -1]])
    # Points 0 and 1 in cell 0, point 2 in cell 1, none in cell 2; all in cell 3, of another grid.
    cells = [np.array([0, 0, 1]), np.array([3, 3, 3])]
    np.testing.assert_allclose(pool_sparse(words, weights, 3, Cells(cells, 4), pooling), expected)


def test_a_maximum_may_be_negative_where_no_code_is_zero() -> None:
    words = np.array([[0, 1], [1, 0]], np.int32)
    weights = np.array([[-3.0, 4], [5, -2]])
    pooled = pool_sparse(words, weights, 2, Cells.whole(2), "max")
    assert pooled.tolist() == [[-2, 5]]
