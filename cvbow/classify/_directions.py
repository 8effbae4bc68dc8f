"""The directions in which vectors vary most, kept in a byte a value: a short form for very long vectors.

Distances between vectors of a hundred thousand values hold little that is not in the few hundred directions in which
the training vectors differ most, and these take the place of the training vectors themselves in a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, qr

from cvbow.classify._fusion_kernel import squared_distances
from cvbow.classify._standardize import column_sums
from cvbow.parallel import cut, map_threads

_COLUMNS = 4096
_ROWS = 256
#: A direction whose variance is below this share of the first one's is rounding.
_NOTHING = 1e-7
#: Up to so many vectors the directions are found exactly.
_EXACT = 2000
_OVERSAMPLING = 32
_ITERATIONS = 6


@dataclass(frozen=True, eq=False)
class Directions:
    """A linear map to fewer values: of a vector x, ``(x - mean) @ (bytes * steps).T``.

    ``mean`` and ``steps`` have the shape (d,), ``bytes`` has (n_components, d).
    """

    mean: NDArray[np.float32]
    steps: NDArray[np.float32]
    bytes: NDArray[np.int8]

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values of (n, d) along the directions, (n, n_components)."""
        n, d = vectors.shape
        found = np.zeros((n, len(self.bytes)))

        def multiply(rows: slice) -> None:
            found[rows] += (vectors[rows, block] - self.mean[block]) @ directions.T

        for block in cut(d, _COLUMNS):
            directions = self.bytes[:, block] * self.steps[block]
            map_threads(multiply, cut(n, _ROWS))
        return found.astype(np.float32)

    def back(self, slopes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return slopes by the values along the directions, (n, n_components), as slopes by a vector's own, (n, d)."""
        n, d = len(slopes), len(self.mean)
        found, values = np.empty((n, d)), slopes.astype(np.float32)
        for block in cut(d, _COLUMNS):
            found[:, block] = (values @ self.bytes[:, block]) * self.steps[block]
        return found


def principal_directions(
    vectors: NDArray[np.float32], n_components: int, counts: NDArray[np.float64] | None = None
) -> Directions:
    """Return the ``n_components`` directions of largest variance of vectors (n, d), fewer where there are no more.

    With ``counts`` (n,) a vector is there so many times.
    """
    n, d = vectors.shape
    # The dot products of centred vectors, from their distances.
    products = squared_distances(vectors, None)
    products -= np.average(products, axis=0, weights=counts)
    products -= np.average(products, axis=1, weights=counts)[:, None]
    products *= -0.5
    if counts is None:
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    else:
        mean = (column_sums(vectors, counts=counts) / counts.sum()).astype(np.float32)
        products *= np.sqrt(counts)
        products *= np.sqrt(counts)[:, None]
    n_components = min(n_components, n - 1, d)
    variances, shares = _largest(products, n_components)
    kept = variances > _NOTHING * max(float(variances[-1]), 0.0)
    shares = (shares[:, kept] / np.sqrt(variances[kept]))[:, ::-1].T
    shares = (shares if counts is None else shares * np.sqrt(counts)).astype(np.float32)
    found, steps = np.zeros((len(shares), d), np.int8), np.zeros(d, np.float32)

    def combine(columns: slice) -> None:
        directions = shares @ (vectors[:, columns] - mean[columns])
        step = np.abs(directions).max(axis=0, initial=0) / np.float32(127)
        scaled = np.divide(directions, step, out=np.zeros_like(directions), where=step > 0)
        found[:, columns], steps[columns] = np.rint(scaled), step

    map_threads(combine, cut(d, _COLUMNS))
    return Directions(mean, steps, found)


def _largest(matrix: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ``k`` largest eigenvalues (k,), rising, of a symmetric matrix (n, n), and eigenvectors (n, k).

    Of a large matrix nearly, by subspace iteration from a random start (N. Halko, P. Martinsson and J. Tropp, "Finding
    structure with randomness", SIAM Review 2011); the exact way takes minutes there.
    """
    n = len(matrix)
    wide = k + _OVERSAMPLING
    if n <= max(_EXACT, 2 * wide):
        values, vectors = eigh(matrix, subset_by_index=(n - k, n - 1), overwrite_a=True, check_finite=False)
        return values, vectors
    basis = np.random.default_rng(0).standard_normal((n, wide))
    for _ in range(_ITERATIONS):
        basis = qr(matrix @ basis, mode="economic", overwrite_a=True, check_finite=False)[0]
    values, turn = eigh(basis.T @ (matrix @ basis), subset_by_index=(wide - k, wide - 1), check_finite=False)
    return values, basis @ turn
