"""One-against-rest support vector machines with the squared hinge loss, solved in the primal.

For each class, with targets y in {-1, +1}, the problem is
``min_w,b  |w|^2 / 2 + C sum_i c_i max(0, 1 - y_i (w . x_i + b))^2``,
that of scikit-learn's ``LinearSVC``, except that the intercept is not penalised (O. Chapelle, "Training a support
vector machine in the primal", Neural Computation 2007). It is solved for all classes at once by Newton's method with
conjugate gradients, whose steps are products of the data, as it lies in memory, with a matrix of one column per class:
nothing of the data's size is copied.

When there are fewer vectors than dimensions, or only a kernel is known, the data is replaced by the Cholesky factor of
its Gram matrix: dot products, and so the solution, stay the same, in as many dimensions as there are vectors.

Of many vectors, each product is a pass over gigabytes, and several hundred of them make a solution. There, steps follow
from the gradient, what earlier steps have shown, and a sample of the vectors (``_quasi_newton``): two passes a step,
some eighty in all.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from cvbow.classify._narrow import blocks, is_narrow, wide
from cvbow.classify._quasi_newton import Remembered, SampledCurvature, sample_rows
from cvbow.classify._standardize import Standardization
from cvbow.parallel import cut, map_threads

#: Coefficients (d, n_problems) and intercepts (n_problems,).
Solution = tuple[NDArray[np.float64], NDArray[np.float64]]

#: From more vectors than this, a solution takes as few passes over them as can be.
MANY = 5000
_GRAM_COLUMNS = 4096
_MAX_INNER = 100
_MAX_LINE = 30
#: Steps of L-BFGS in place of one of Newton's.
_STEPS = 3
#: A solution of many vectors is at the minimum up to this share of the tolerance, by what the next step promises: that
#: is about what is left, where the gradient's length only bounds it, and far. An objective that falls by a smaller
#: share than the last is as low as rounding lets it be.
_LEFT, _NOTHING = 1e-4, 1e-11


def solve(
    data: NDArray[np.floating],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    C: float,
    max_iter: int,
    tol: float = 1e-3,
    start: Solution | None = None,
    standard: Standardization | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Solve the problem for each column of ``y`` (n, n_problems), -1 or +1, with data x (n, d) and weights c (n,).

    Returns w (d, n_problems), b (n_problems,) and the number of Newton steps, ``max_iter`` at most; ``start`` is the w
    and b to start from. With ``standard``, all of it is about the data as that standardises it.

    A problem is solved when its objective is within about the share ``tol`` of the least: the objective is 1-strongly
    convex in w (and, with its constant input, about as much in b), so half the gradient's squared length bounds what is
    left. With more than ``MANY`` vectors, what is left is estimated, and steps are smaller: three times as many at
    most, and then Newton's, which end with the step that has made them twice the passes over the vectors.
    """
    cost = 2 * C * weights
    # The intercept is the last row of w, its input a constant. Nothing bends the objective along it but the losses;
    # with this constant they do so about as much as the norm bends it along w, whatever C and the vectors' lengths.
    inputs = Inputs(data, standard, 1 / cost.sum())
    w, scores = _beginning(inputs, y, start)
    enough = np.inf
    if len(data) > MANY:
        n_steps = _solve_many(inputs, y, weights, C, _STEPS * max_iter, tol, w, scores)
        if n_steps < _STEPS * max_iter:
            return w[:-1], inputs.constant * w[-1], n_steps
        # Vectors of very different lengths, of which a sample tells little: what is left is for Newton's method, and
        # the rounding of so many sums is not.
        enough = 2 * inputs.passes
        scores = inputs.forward(w)
    first = np.zeros(y.shape[1])
    n_iter = 0
    while n_iter < max_iter and inputs.passes < enough:
        # With tens of thousands of vectors an array (n, n_problems) counts: as few as can be are alive at a time.
        values = y * scores
        np.subtract(1, values, out=values)
        np.maximum(values, 0, out=values)
        objective = 0.5 * _squared(w[:-1]) + 0.5 * np.einsum("i,ij,ij->j", cost, values, values)
        curvature = np.where(values > 0, cost.astype(inputs.dtype)[:, None], 0)
        values *= y
        values *= -cost[:, None]
        gradient = inputs.back(values)
        del values
        gradient[:-1] += w[:-1]
        solved = (0.5 * _squared(gradient) <= tol * _scale(objective, w)) & (n_iter > 0)
        if solved.all():
            break
        # Problems that are solved stay where they are: their direction comes out as zero.
        gradient[:, solved] = 0
        squared = _squared(gradient)
        first = np.maximum(first, squared)
        # A tenth of the gradient's norm is all that a step needs far from the end; near it, rough steps would crawl.
        share = np.minimum(0.01, np.sqrt(np.divide(squared, first, out=np.zeros_like(first), where=first > 0)))
        step = _conjugate_gradients(inputs, curvature, -gradient, share * squared)
        del curvature
        ahead = inputs.forward(step)
        length = _line_search(w, step, y, scores, ahead, cost)
        w += length * step
        ahead *= length
        scores += ahead
        n_iter += 1
    return w[:-1], inputs.constant * w[-1], n_iter


def _beginning(
    inputs: Inputs, y: NDArray[np.float64], start: Solution | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the coefficients (d + 1, n_problems) to start from, that of the constant last, and their scores."""
    w = np.zeros((inputs.data.shape[1] + 1, y.shape[1]))
    if start is None:
        return w, np.zeros_like(y)
    w[:-1], w[-1] = start[0], start[1] / inputs.constant
    return w, inputs.forward(w)


def _solve_many(
    inputs: Inputs,
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    C: float,
    max_iter: int,
    tol: float,
    w: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> int:
    """Move ``w`` and its ``scores``, in place, to what solves the problems, by L-BFGS, and return the number of steps.

    Problems that are solved are no longer multiplied.
    """
    cost = 2 * C * weights
    rows = sample_rows(weights)
    guess = SampledCurvature(inputs.rows(rows), weights[rows], float(weights.sum()))
    left = np.arange(y.shape[1])
    remembered, n_iter = Remembered(), 0
    last, before, step = np.full(len(left), np.inf), np.zeros_like(w), np.zeros_like(w)
    while True:
        some_w, some_y = w[:, left], y[:, left]
        short = some_y * scores[:, left]
        np.subtract(1, short, out=short)
        np.maximum(short, 0, out=short)
        objective = 0.5 * _squared(some_w[:-1]) + 0.5 * np.einsum("i,ij,ij->j", cost, short, short)
        curvature = cost @ (short > 0) / weights.sum()
        short *= some_y
        short *= -cost[:, None]
        gradient = inputs.back(short)
        del short
        gradient[:-1] += some_w[:-1]
        if n_iter:
            remembered.add(step, gradient - before)
        step = remembered.direction(gradient, curvature, guess)
        going = -0.5 * remembered.dot(step, gradient) > _LEFT * tol * _scale(objective, some_w)
        going &= last - objective > _NOTHING * objective
        if n_iter == max_iter or not (going.any() or n_iter == 0):
            break
        last, before = objective, gradient
        if n_iter and not going.all():
            left, step, before, last = left[going], step[:, going], before[:, going], last[going]
            remembered = remembered.of(going)
        ahead = inputs.forward(step)
        length = _line_search(w[:, left], step, y[:, left], scores[:, left], ahead, cost)
        step *= length
        ahead *= length
        w[:, left] += step
        scores[:, left] += ahead
        n_iter += 1
    return n_iter


class Inputs:
    """The data, standardised where that is wanted, with a column of a constant.

    The standardisation is folded into the other factor of each product, so the data is read as it lies in memory, or in
    a file. ``passes`` counts how often all of it was read.
    """

    def __init__(self, data: NDArray[np.floating], standard: Standardization | None, squared_constant: float) -> None:
        self.data = data
        self.dtype = np.float32 if is_narrow(data) else data.dtype
        self.standard = standard
        squared = 1.0 if standard is not None else mean_squared_length(data)
        self.constant = float(np.sqrt(squared + squared_constant))
        self.passes = 0
        self.parts = _parts(len(data))
        # Of few vectors a product takes no longer than cutting them into parts and blocks would.
        self.whole = len(self.parts) == 1 and not is_narrow(data)

    def rows(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return some of the inputs."""
        found = np.full((len(rows), self.data.shape[1] + 1), self.constant, np.float32)
        for row, vector in zip(rows, found[:, :-1], strict=True):
            vector[:] = wide(self.data[row : row + 1])[0]
            if self.standard is not None:
                vector -= self.standard.mean
                vector *= self.standard.scale
        return found

    def forward(self, w: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``X' w``, X' being the inputs."""
        coefficients, offset = w[:-1], self.constant * w[-1]
        if self.standard is not None:
            coefficients, offset = self.standard.raw(coefficients, offset)
        factor = coefficients.astype(self.dtype, copy=False)
        self.passes += 1
        if self.whole:
            return np.asarray(self.data @ factor + offset)
        result = np.empty((len(self.data), w.shape[1]))

        def multiply(rows: slice) -> None:
            for these, block in blocks(self.data, rows):
                np.add(block @ factor, offset, out=result[these])

        map_threads(multiply, self.parts)
        return result

    def back(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``X'^T values``, summed over parts of the data in a fixed order."""
        self.passes += 1
        result = np.zeros((self.data.shape[1] + 1, values.shape[1]))
        if self.whole:
            result[:-1] += self.data.T @ values.astype(self.dtype)
        else:
            self._add_parts(values, result[:-1])
        total = values.sum(axis=0)
        if self.standard is not None:
            result[:-1] -= self.standard.mean[:, None] * total
            result[:-1] *= self.standard.scale[:, None]
        result[-1] = self.constant * total
        return result

    def _add_parts(self, values: NDArray[np.float64], result: NDArray[np.float64]) -> None:
        """Add to the result (d, n_problems) what ``back`` sums, part by part."""
        partial: dict[int, NDArray[np.floating]] = {}

        def multiply(rows: slice) -> None:
            products = (block.T @ values[these].astype(self.dtype) for these, block in blocks(self.data, rows))
            partial[rows.start] = functools.reduce(np.add, products)

        map_threads(multiply, self.parts)
        for rows in self.parts:
            result += partial[rows.start]


def mean_squared_length(data: NDArray[np.floating]) -> float:
    """Return the mean of the squared lengths of vectors (n, d)."""
    squares = [np.einsum("ij,ij->i", block, block) for _, block in blocks(data)]
    return float(np.concatenate(squares).mean(dtype=np.float64))


def _parts(n: int) -> list[slice]:
    """Cut rows into parts that depend on nothing but their number: at least 1024 rows, at most 16 parts."""
    return cut(n, max(1024, -(-n // 16)))


def _squared(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared length of each column."""
    return np.asarray(np.einsum("ij,ij->j", columns, columns))


def _scale(objective: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what an error of each problem is to be small next to.

    With a small C, w has hardly a share in the objective, yet it decides: an error must be small next to it too.
    """
    return np.minimum(objective, np.maximum(5 * _squared(w[:-1]), 1e-6 * objective))


def _conjugate_gradients(
    inputs: Inputs, curvature: NDArray[np.floating], target: NDArray[np.float64], enough: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve ``(I' + X'^T D X') p = target`` for each column roughly; D is that column's ``curvature``.

    X' are the inputs, I' the identity but for a zero at the intercept. A column is done when its residual's squared
    length is down to ``enough``.
    """
    step = np.zeros_like(target)
    residual = target.copy()
    direction = residual.copy()
    squared = _squared(residual)
    for _ in range(_MAX_INNER):
        active = squared > enough
        if not active.any():
            break
        bent = inputs.forward(direction)
        bent *= curvature
        applied = inputs.back(bent)
        applied[:-1] += direction[:-1]
        bend = np.einsum("ij,ij->j", direction, applied)
        length = np.divide(squared, bend, out=np.zeros_like(bend), where=active & (bend > 0))
        step += length * direction
        residual -= length * applied
        now = _squared(residual)
        direction = residual + np.divide(now, squared, out=np.zeros_like(now), where=squared > 0) * direction
        squared = np.where(active, now, squared)
    return step


def _line_search(
    w: NDArray[np.float64],
    step: NDArray[np.float64],
    y: NDArray[np.float64],
    scores: NDArray[np.float64],
    ahead: NDArray[np.float64],
    cost: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how far along its step each problem is least: a root of a rising, piecewise linear function."""
    slope_of_norm = np.einsum("ij,ij->j", w[:-1], step[:-1])
    curve_of_norm = _squared(step[:-1])
    lengths = np.ones(step.shape[1])
    for k in range(step.shape[1]):
        margins, changes = y[:, k] * scores[:, k], y[:, k] * ahead[:, k]
        for _ in range(_MAX_LINE):
            short = 1 - margins - lengths[k] * changes
            pull = np.where(short > 0, cost, 0.0) * changes
            slope = slope_of_norm[k] + lengths[k] * curve_of_norm[k] - pull @ short
            curve = curve_of_norm[k] + pull @ changes
            move = slope / curve if curve > 0 else 0.0
            lengths[k] = max(lengths[k] - move, 0.0)
            if abs(move) < 1e-6:
                break
    return lengths


def gram(
    vectors: NDArray[np.float32],
    standard: Standardization | None = None,
    *,
    rows: NDArray[np.intp] | None = None,
    columns: slice = slice(None),
) -> NDArray[np.float64]:
    """Return the dot products (n, n) of the rows of float32 vectors, standardised if so wanted, summed in float64.

    They are those of some of the rows, and of some neighbouring columns, where that is said.
    """
    n = len(vectors) if rows is None else len(rows)
    first, end, _ = columns.indices(vectors.shape[1])
    which = slice(None) if rows is None else rows
    products = np.zeros((n, n))
    for part in cut(end - first, _GRAM_COLUMNS):
        these = slice(first + part.start, first + part.stop)
        found = wide(vectors[which, these])
        block = found.astype(np.float64) if standard is None else standard.apply(found, these)
        products += block @ block.T
    return products


def factorize(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return L, lower triangular, with L @ L.T the kernel matrix (n, n) up to rounding.

    Equal vectors make the matrix singular; the least of 1e-10, 1e-9, ... of its mean diagonal that makes it
    factorizable is added to the diagonal.
    """
    from scipy.linalg import LinAlgError, cholesky

    scale = float(np.mean(np.diag(kernel))) or 1.0
    for exponent in range(-10, 1):
        shifted = kernel.copy()
        shifted.flat[:: len(kernel) + 1] += 10.0**exponent * scale
        try:
            return np.asarray(cholesky(shifted, lower=True, overwrite_a=True, check_finite=False))
        except LinAlgError:
            continue
    raise ValueError("the kernel matrix is far from positive definite")
