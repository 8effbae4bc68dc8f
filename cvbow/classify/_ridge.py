"""Ridge regression on targets of -1 and 1, and its answers for vectors that are left out.

For each class it minimises ``sum_i c_i (x_i . w + b - y_i)^2 + alpha |w|^2`` over w, with b the targets' weighted mean.
R. Rifkin, G. Yeo and T. Poggio, "Regularized least-squares classification", 2003, tell how much of a support vector
machine that is, and how the answers without one vector follow from the one solution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, lapack, solve_triangular

from cvbow.parallel import cut

#: Rows whose weighted copy is made at a time.
_ROWS = 4096
#: Of a kernel's mean diagonal: less on the diagonal may leave it without a Cholesky factor.
_ROUNDING = 1e-10


def ridge(
    data: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Solve the problem for each column of ``y`` (n, n_problems), with data x (n, d) and weights c (n,).

    Returns w (d, n_problems), b (n_problems,), and a Cholesky factor of the normal equations' matrix (d, d), of which
    the lower triangle counts.
    """
    b = np.average(y, axis=0, weights=weights)
    d = data.shape[1]
    normal, target = np.zeros((d, d)), np.zeros((d, y.shape[1]))
    for rows in cut(len(data), _ROWS):
        weighted = data[rows] * weights[rows, None]
        normal += weighted.T @ data[rows]
        target += weighted.T @ (y[rows] - b)
    normal.flat[:: d + 1] += alpha
    factor = cho_factor(normal, lower=True, overwrite_a=True, check_finite=False)[0]
    return cho_solve((factor, True), target, check_finite=False), b, factor


def left_out(
    data: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    solution: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    views: int = 1,
) -> NDArray[np.float64]:
    """Return for each vector the answers of the solution without it, at the same b; shape (n, n_problems).

    So many ``views`` that follow one another are left out together.
    """
    w, b, factor = solution
    answers = np.empty_like(y)
    for rows in cut(len(data), max(_ROWS // views, 1) * views):
        half = solve_triangular(factor, data[rows].T, lower=True, check_finite=False)
        off = (y[rows] - data[rows] @ w - b).reshape(-1, views, y.shape[1])
        # With H the shares that the targets of a group have in their own answers, the answers without them are off by
        # (I - H)^-1 as much. Of a vector that nothing holds back, H is 1 up to rounding.
        groups = half.T.reshape(-1, views, len(half))
        shares = groups @ groups.transpose(0, 2, 1) * weights[rows].reshape(-1, 1, views)
        rest = np.eye(views) * (1 + 1e-12) - shares
        answers[rows] = y[rows] - np.linalg.solve(rest, off).reshape(-1, y.shape[1])
    return answers


def left_out_of_kernel(
    kernel: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    alpha: float,
    groups: Sequence[NDArray[np.intp]],
) -> NDArray[np.float64]:
    """Return what ``left_out`` does, from the kernel matrix (n, n): a fifth of the work where d is n.

    ``groups`` are rows that are left out together, tables (n_groups, size) of as many as are of one size.
    """
    b = np.average(y, axis=0, weights=weights)
    shifted = kernel.copy()
    shifted.flat[:: len(kernel) + 1] += np.maximum(alpha / weights, _ROUNDING * np.diag(kernel).mean())
    # The transposed view is in LAPACK's order, and its upper triangle is the lower one here.
    factor, _ = lapack.dpotrf(shifted.T, lower=False, clean=False, overwrite_a=True)
    half = lapack.dpotri(factor, lower=False, overwrite_c=True)[0].T
    inverse = np.tril(half) + np.tril(half, -1).T
    dual = inverse @ (y - b)
    answers = np.empty_like(y)
    for rows in groups:
        answers[rows] = y[rows] - np.linalg.solve(inverse[rows[:, :, None], rows[:, None, :]], dual[rows])
    return answers
