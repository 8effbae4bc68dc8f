"""Selection of points: the strongest, and adaptive non-maximal suppression against a slow oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.features import LocalFeatures
from cvbow.features.selection import by_strength, suppression_radii, well_spread


def slow_radii(places: NDArray[np.float32], responses: NDArray[np.float32]) -> NDArray[np.float64]:
    radii = np.full(len(places), np.inf)
    for i in range(len(places)):
        stronger = responses[i].astype(np.float64) < 0.9 * responses.astype(np.float64)
        if stronger.any():
            radii[i] = np.linalg.norm(places[stronger].astype(np.float64) - places[i], axis=1).min()
    return radii


def random_points(n: int, seed: int, levels: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    points = np.zeros((n, 4), np.float32)
    points[:, :2] = rng.uniform(0, 300, (n, 2))
    responses = rng.uniform(0, 1, n) if levels is None else rng.integers(0, levels, n)
    return points, np.sort(responses.astype(np.float32))[::-1].copy()


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 127, 128, 500, 1500])
@pytest.mark.parametrize("levels", [None, 1, 4])
def test_radii_are_those_of_the_definition(n: int, levels: int | None) -> None:
    points, responses = random_points(n, n, levels)
    np.testing.assert_allclose(
        suppression_radii(points[:, :2], responses), slow_radii(points[:, :2], responses), rtol=1e-12
    )


def test_an_example_by_hand() -> None:
    # 10 suppresses 8 and 5; 9.5 is within a tenth of 10, so nothing suppresses it.
    points = np.array([[0, 0, 1, -1], [3, 4, 1, -1], [6, 8, 1, -1], [6, 9, 1, -1]], np.float32)
    responses = np.array([10, 9.5, 8, 5], np.float32)
    np.testing.assert_allclose(suppression_radii(points[:, :2], responses), [np.inf, np.inf, 5, 1])
    np.testing.assert_array_equal(well_spread(points, responses, 3), [0, 1, 2])
    np.testing.assert_array_equal(well_spread(points, responses, 9), [0, 1, 2, 3])


def test_a_cluster_of_strong_points_does_not_take_all_places() -> None:
    points, _ = random_points(400, 0)
    points[:200, :2] = 150 + points[:200, :2] / 100
    responses = np.geomspace(100, 1, 400, dtype=np.float32)
    spread = well_spread(points, responses, 60)
    assert (spread < 200).sum() < 30
    assert np.std(points[spread, 0]) > 3 * np.std(points[by_strength(points, responses, 60), 0])


@pytest.mark.parametrize(("columns", "rows"), [(32, 32), (25, 40), (60, 9)])
@pytest.mark.parametrize("n", [8, 50, 64, 200])
def test_of_equally_strong_points_those_stay_that_lie_all_over(columns: int, rows: int, n: int) -> None:
    places = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    points = np.zeros((len(places), 4), np.float32)
    points[:, :2] = 8 * places
    kept = well_spread(points, np.ones(len(points), np.float32), n)
    assert len(set(kept.tolist())) == n
    # No place is further from one that stays than a few times the distance of as many evenly spread ones.
    apart = np.linalg.norm(places[:, None] - places[kept][None], axis=2).min(axis=1)
    assert apart.max() < 2 * np.sqrt(len(places) / n)


def test_what_is_stronger_stays_before_what_lies_all_over() -> None:
    points, responses = random_points(200, 3, levels=1)
    responses += 1
    responses[:5] = 1.05
    kept = well_spread(points, responses, 12)
    np.testing.assert_array_equal(kept[:5], range(5))
    assert np.ptp(points[kept[5:], 0]) > 150 < np.ptp(points[kept[5:], 1])


def test_a_grid_is_thinned_out_all_over() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    found = LocalFeatures("grid", selection="anms", max_points=40).detect(image)
    for axis in (0, 1):
        assert np.histogram(found.points[:, axis], bins=4, range=(0, 200))[0].min() >= 5


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 5), max_size=40), st.integers(1, 50), st.randoms())
def test_a_limit_keeps_the_same_points_in_whatever_order_they_come(
    rows: list[tuple[int, ...]], limit: int, random: object
) -> None:
    table = np.array(sorted(set(rows)), np.float32).reshape(-1, 5)
    order = np.random.default_rng(random.randint(0, 1000)).permutation(len(table))  # type: ignore[attr-defined]
    found = [each[by_strength(each[:, :4], each[:, 4].copy(), limit)] for each in (table, table[order])]
    np.testing.assert_array_equal(found[0], found[1])
    assert len(found[0]) == min(limit, len(table))
    assert (np.diff(found[0][:, 4]) <= 0).all()
