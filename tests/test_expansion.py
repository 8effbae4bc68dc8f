"""Query expansion by geometry: features of results where they are in the query, and what is verified with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.features import Features
from cvbow.matching import transform_points
from cvbow.retrieval import quantize, verify
from cvbow.retrieval.expansion import carried, joined
from cvbow.retrieval.quantized import stored_points

SIZE = (400, 300)


def stored(
    points: NDArray[Any], words: NDArray[Any], signatures: NDArray[Any] | None = None
) -> dict[str, NDArray[Any]]:
    features = Features(points.astype(np.float32), np.zeros((len(points), 1), np.float32), SIZE)
    return quantize(features, words.astype(np.int32), signatures)


def seen(points: NDArray[Any], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a similarity takes points, with their sizes and angles."""
    zoom, turn = np.sqrt(np.linalg.det(matrix[:2, :2])), np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0]))
    places = transform_points(matrix, points[:, :2])
    return np.column_stack([places, points[:, 2] * zoom, (points[:, 3] + turn) % 360])


def scattered(n: int, seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return np.column_stack(
        [random.uniform((100, 80), (200, 160), (n, 2)), random.uniform(8, 20, n), 9.0 * np.arange(n)]
    )


def test_features_are_carried_with_their_size_angle_and_signature() -> None:
    matrix = np.array([[0, -1.5, 380], [1.5, 0, -80], [0, 0, 1.0]])
    points, words, signatures = scattered(30, 0), np.arange(30)[::-1], np.arange(30, dtype=np.uint64) + 7
    result = stored(seen(points, matrix), words, signatures)
    corners = np.array([[90, 70, 9, 0], [210, 170, 9, 0]])
    brought = carried({**result, "vectors": np.ones(3)}, matrix, stored(corners, np.array([50, 51])))
    expected = stored(points, words, signatures)
    np.testing.assert_array_equal(brought["words"], expected["words"])
    np.testing.assert_array_equal(brought["signatures"], expected["signatures"])
    assert brought["image_size"].tolist() == list(SIZE)
    assert brought["vectors"].tolist() == [1, 1, 1]
    found, true = stored_points(brought), stored_points(expected)
    np.testing.assert_allclose(found[:, :2], true[:, :2], atol=0.05)
    np.testing.assert_allclose(found[:, 2], true[:, 2], rtol=0.1)
    assert np.abs((found[:, 3] - true[:, 3] + 180) % 360 - 180).max() < 3


def test_what_lies_outside_the_part_that_is_asked_about_stays_behind() -> None:
    query = stored(np.array([[50, 50, 8, 0], [90, 80, 8, 0]]), np.array([0, 1]))
    places = np.array([[60, 60, 8, 0], [49, 60, 8, 0], [60, 81, 8, 0], [95, 60, 8, 0], [300, 200, 8, 0]])
    assert carried(stored(places, np.arange(5)), np.eye(3), query)["words"].tolist() == [0]
    # A homography whose horizon lies across the result: what is beyond it is nowhere in the query.
    tilted = np.linalg.inv(np.array([[1, 0, 0], [0, 1, 0], [-0.005, 0, 1.0]]))
    beyond = carried(stored(np.array([[40, 50, 8, 0], [250, 60, 8, 0]]), np.arange(2)), tilted, query)
    assert beyond["words"].tolist() == [0]
    np.testing.assert_allclose(stored_points(beyond)[0, :2], [50, 62.5], atol=0.1)


def test_a_result_is_verified_by_what_another_shows_of_the_query() -> None:
    shared, other = scattered(12, 1), scattered(20, 2)
    query = stored(shared, np.arange(12))
    to_result = np.array([[1.2, 0, -40], [0, 1.2, -30], [0, 0, 1.0]])
    result = stored(seen(np.vstack([shared, other]), to_result), np.r_[np.arange(12), 100 + np.arange(20)])
    to_third = np.array([[0.8, 0, 10], [0, 0.8, 20], [0, 0, 1.0]])
    third = stored(seen(other, to_third), 100 + np.arange(20))
    assert verify(query, third).matrix is None
    found = verify(query, result)
    assert found.n_inliers == 12
    assert found.matrix is not None
    brought = carried(result, found.matrix, query)
    expanded = joined({**query, "nearest": np.ones(12, bool)}, [brought])
    assert (np.diff(expanded["words"]) >= 0).all()
    assert len(expanded["words"]) == 12 + len(brought["words"])
    assert expanded["nearest"].all()
    verified = verify(expanded, third)
    assert verified.n_inliers == np.count_nonzero(brought["words"] >= 100) > 10
    np.testing.assert_allclose(verified.matrix, to_third, atol=0.5)
    assert joined(query, [])["words"].tolist() == query["words"].tolist()
