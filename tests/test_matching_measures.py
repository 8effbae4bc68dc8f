"""The measures of a matching benchmark: by hand, and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.features import Features
from cvbow.matching import (
    common_points,
    corner_error,
    matching_accuracy,
    matching_score,
    repeatability,
    transfer_errors,
    transform_points,
)

SHIFT = np.array([[1, 0, 10], [0, 1, 0], [0, 0, 1.0]])


def features(xy: object, size: tuple[int, int] = (100, 50)) -> Features:
    array = np.asarray(xy, np.float32).reshape(-1, 2)
    points = np.column_stack([array, np.ones((len(array), 2), np.float32)])
    return Features(points, np.zeros((len(array), 4), np.float32), size)


def test_common_points_are_those_inside_of_both_images() -> None:
    # Shifted by 10 to the right, a's points beyond x = 89.5 leave b's frame of 100 pixels; b's first 10 are not in a.
    a, b = features([[0, 0], [89.4, 5], [89.6, 5], [99, 49]]), features([[9.4, 0], [9.6, 0], [99, 49]])
    rows_a, rows_b = common_points(a, b, SHIFT)
    assert (rows_a.tolist(), rows_b.tolist()) == ([0, 1], [1, 2])


def test_repeatability_by_hand() -> None:
    a = features([[0, 0], [20, 20], [40, 40], [95, 5]])
    b = features([[10, 2], [30, 24], [50, 40], [51, 40], [70, 10]])
    # In common: three of a (the fourth leaves), five of b. Distances 2, 4, 0; the second point near (50, 40) is spare.
    assert repeatability(a, b, SHIFT) == pytest.approx(2 / 3)
    assert repeatability(a, b, SHIFT, distance=4) == 1
    assert repeatability(a, b, SHIFT, distance=1) == pytest.approx(1 / 3)
    assert repeatability(a, features([]), SHIFT) == 0
    assert repeatability(features([]), features([]), SHIFT) == 0


def test_points_at_one_place_count_once() -> None:
    a, b = features([[0, 0], [0, 0], [20, 20]]), features([[10, 0], [10, 0], [60, 20]])
    assert repeatability(a, b, SHIFT) == 0.5


def test_matching_score_and_accuracy_by_hand() -> None:
    a = features([[0, 0], [20, 20], [40, 40], [95, 5]])
    b = features([[10, 2], [30, 24], [50, 40], [51, 40]])
    pairs = np.array([[0, 0], [1, 1], [2, 3]])
    errors = transfer_errors(SHIFT, a.points[pairs[:, 0], :2], b.points[pairs[:, 1], :2])
    np.testing.assert_allclose(errors, [2, 4, 1])
    np.testing.assert_allclose(matching_accuracy(errors), [1 / 3, 2 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1])
    assert matching_score(a, b, pairs, SHIFT) == pytest.approx(2 / 3)
    none = np.zeros((0, 2), np.intp)
    assert matching_score(a, b, none, SHIFT) == 0
    assert matching_score(features([]), features([]), none, SHIFT) == 0
    assert matching_accuracy([]).tolist() == [0] * 10


def test_corner_error_by_hand() -> None:
    moved = SHIFT.copy()
    moved[:2, 2] += [3, 4]
    assert corner_error(moved, SHIFT, (100, 50)) == pytest.approx(5)
    assert corner_error(None, SHIFT, (100, 50)) == np.inf
    assert corner_error(np.diag([2.0, 1, 1]), np.eye(3), (101, 50)) == pytest.approx(50)
    tilted = np.array([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1.0]])
    assert corner_error(tilted, np.eye(3), (100, 50)) == np.inf
    with pytest.raises(ValueError, match="corners in front"):
        corner_error(np.eye(3), tilted, (100, 50))


def slow_repeatability(a: Features, b: Features, homography: NDArray[np.float64], distance: float) -> float:
    here = [p for p in sorted({tuple(p) for p in a.points[:, :2].tolist()})]
    there = [p for p in sorted({tuple(p) for p in b.points[:, :2].tolist()})]
    (width_a, height_a), (width_b, height_b) = a.image_size, b.image_size
    inverse = np.linalg.inv(homography)

    def inside(p: tuple[float, float], matrix: NDArray[np.float64], width: int, height: int) -> bool:
        x, y = transform_points(matrix, [p])[0]
        return bool(-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5)

    here = [p for p in here if inside(p, homography, width_b, height_b)]
    there = [p for p in there if inside(p, inverse, width_a, height_a)]
    if not here or not there:
        return 0.0
    table = np.array([[np.hypot(*(transform_points(homography, [p])[0] - q)) for q in there] for p in here])
    found = sum(
        table[i, j] <= distance and table[i, j] == table[i].min() == table[:, j].min()
        for i in range(len(here))
        for j in range(len(there))
    )
    return found / min(len(here), len(there))


@given(st.integers(0, 1000), st.integers(0, 25), st.integers(0, 25))
def test_repeatability_is_that_of_plain_loops(seed: int, n_a: int, n_b: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (features(random.random((n, 2)) * [100, 50]) for n in (n_a, n_b))
    homography = np.array([[1.1, 0.1, -5], [-0.2, 0.9, 6], [1e-3, 0, 1]])
    assert repeatability(a, b, homography, distance=8) == pytest.approx(slow_repeatability(a, b, homography, 8))
