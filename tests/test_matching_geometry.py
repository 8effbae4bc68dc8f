"""Models from matches with outliers: known ones come back, degenerate ones are none; errors by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.matching import MODELS, corner_error, estimate_geometry, geometry_errors, transform_points
from cvbow.matching.evidence import distinct_matches

SIZE = (640, 480)


def random_points(n: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random((n, 2)) * SIZE


@st.composite
def homographies(draw: st.DrawFn) -> NDArray[np.float64]:
    """Maps of a 640x480 image's corners to places up to 80 pixels away, turned and scaled."""
    import cv2

    corners = np.array([[0, 0], [639, 0], [639, 479], [0, 479]], np.float64)
    moves = np.array([draw(st.floats(-80, 80)) for _ in range(8)]).reshape(4, 2)
    angle, scale = draw(st.floats(-np.pi, np.pi)), draw(st.floats(0.5, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    targets = (corners + moves) @ turn.T
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), targets.astype(np.float32)))


@given(homographies(), st.integers(0, 100))
def test_a_homography_comes_back_from_half_outliers(truth: NDArray[np.float64], seed: int) -> None:
    a = random_points(120, seed)
    b = transform_points(truth, a)
    assume(np.isfinite(b).all())
    wrong = np.random.default_rng(seed).permutation(120)[:60]
    b[wrong] += np.random.default_rng(seed + 1).uniform(30, 300, (60, 2)) * [[1, -1]]
    found = estimate_geometry(a, b)
    assert corner_error(found.matrix, truth, SIZE) < 0.05
    right = np.setdiff1d(np.arange(120), wrong)
    assert found.inliers[right].all()
    # The same matches seen from the other image.
    back = estimate_geometry(b, a)
    assert back.matrix is not None
    assert corner_error(np.linalg.inv(back.matrix), truth, SIZE) < 0.05


def test_noise_averages_out() -> None:
    truth = np.array([[1.1, 0.2, -30], [-0.1, 0.9, 12], [2e-4, -1e-4, 1]])
    a = random_points(400, 0)
    b = transform_points(truth, a) + np.random.default_rng(1).normal(0, 0.5, (400, 2))
    found = estimate_geometry(a, b)
    assert corner_error(found.matrix, truth, SIZE) < 0.3
    assert found.inliers.sum() > 395


def test_an_affine_map_comes_back() -> None:
    truth = np.array([[0.8, -0.3, 15], [0.4, 1.1, -8], [0, 0, 1]])
    a = random_points(60, 3)
    b = transform_points(truth, a)
    b[:25] = random_points(25, 4)
    found = estimate_geometry(a, b, model="affine")
    assert found.matrix is not None
    np.testing.assert_allclose(found.matrix, truth, atol=1e-4)
    np.testing.assert_array_equal(found.matrix[2], [0, 0, 1])
    assert found.inliers[25:].all()


def two_views(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Points in space before two cameras, and their true fundamental matrix K'^-T [t]x R K^-1."""
    random = np.random.default_rng(5)
    world = random.uniform([-2, -2, 4], [2, 2, 8], (n, 3))
    camera = np.array([[500, 0, 320], [0, 500, 240], [0, 0, 1.0]])
    angle = 0.15
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    translation = np.array([-0.8, 0.1, 0.05])
    one, other = world @ camera.T, (world @ rotation.T + translation) @ camera.T
    x, y, z = translation
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    inverse = np.linalg.inv(camera)
    return one[:, :2] / one[:, 2:], other[:, :2] / other[:, 2:], inverse.T @ cross @ rotation @ inverse


def test_a_fundamental_matrix_comes_back() -> None:
    a, b, truth = two_views(200)
    truth /= np.linalg.norm(truth)
    assert geometry_errors(truth, a, b, model="fundamental").max() < 1e-9
    b[:60] = random_points(60, 6)
    found = estimate_geometry(a, b, model="fundamental", threshold=1.0)
    assert found.matrix is not None
    assert np.linalg.norm(found.matrix) == pytest.approx(1)
    assert abs(np.linalg.det(found.matrix)) < 1e-12
    assert found.inliers[60:].all()
    # Outliers that lie near their epipolar lines by chance pull a little.
    assert geometry_errors(found.matrix, a[60:], b[60:], model="fundamental").max() < 0.2
    # Swapped views have the transposed matrix, and the same errors.
    np.testing.assert_allclose(
        geometry_errors(truth.T, b, a, model="fundamental"),
        geometry_errors(truth, a, b, model="fundamental"),
        rtol=1e-6,
        atol=1e-9,
    )


def test_errors_by_hand() -> None:
    double = np.diag([2.0, 2, 1])
    # |b - 2a| = 6 there and |a - b/2| = 3 back: sqrt((36 + 9) / 2).
    error = geometry_errors(double, [[1, 1]], [[8, 2]], model="homography")
    np.testing.assert_allclose(error, np.sqrt(22.5))
    np.testing.assert_allclose(geometry_errors(double, [[1, 1]], [[8, 2]], model="affine"), error)
    # Rows must agree (y' = y); both points move by half of 3 pixels.
    rows = np.array([[0, 0, 0], [0, 0, -1.0], [0, 1, 0]])
    np.testing.assert_allclose(geometry_errors(rows, [[5, 10]], [[9, 13]], model="fundamental"), 3 / np.sqrt(2))


@settings(max_examples=30)
@given(homographies(), st.sampled_from([-1.0, 1.0, 3.5]))
def test_errors_do_not_depend_on_scale_or_order(homography: NDArray[np.float64], scale: float) -> None:
    a, b = random_points(20, 1), random_points(20, 2)
    errors = geometry_errors(homography, a, b, model="homography")
    np.testing.assert_allclose(geometry_errors(scale * homography, a, b, model="homography"), errors, rtol=1e-6)
    np.testing.assert_allclose(
        geometry_errors(np.linalg.inv(homography), b, a, model="homography"), errors, rtol=1e-6, atol=1e-6
    )


def test_points_beyond_the_horizon_are_infinitely_far() -> None:
    tilt = np.array([[1, 0, 0], [0, 1, 0], [0.01, 0, 1.0]])
    mapped = transform_points(tilt, [[0, 0], [-99, 5], [-100, 5], [-101, 5]])
    np.testing.assert_allclose(mapped[:2], [[0, 0], [-9900, 500]])
    assert np.isinf(mapped[2:]).all()
    np.testing.assert_array_equal(np.isinf(transform_points(-tilt, [[-101, 5], [0, 0]])), [[True] * 2, [False] * 2])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", ["none", "one", "few", "one place", "line", "one place in b", "random"])
def test_degenerate_matches_have_no_model(model: str, case: str) -> None:
    a, b = random_points(40, 0), random_points(40, 1)
    if case == "none":
        a = b = np.zeros((0, 2))
    elif case == "one":
        a, b = a[:1], b[:1]
    elif case == "few":
        a = b = a[: 2 * MODELS[model] - 1]
    elif case == "one place":
        a = b = np.full((40, 2), 7.0)
    elif case == "one place in b":
        b = np.full((40, 2), 7.0)
    elif case == "line":
        a = np.column_stack([np.arange(40), 2 * np.arange(40) + 3.0])
        b = a + 5
    found = estimate_geometry(a, b, model=model)
    assert found.matrix is None
    assert found.reason
    assert found.inliers.shape == found.errors.shape == (len(a),)
    assert not found.inliers.any()
    assert np.isinf(found.errors).all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", range(8))
def test_several_matches_at_one_place_count_once(model: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    # Six wrong matches, each given four times; and four marks in shuffled places, with six keypoints around each.
    for n, times, around in ((6, 4, 0.0), (4, 6, 0.4)):
        a, b = (np.repeat(random.random((n, 2)) * SIZE, times, axis=0) for _ in range(2))
        noise = random.normal(0, around, a.shape)
        found = estimate_geometry(a + noise, b + noise, model=model)
        assert found.matrix is None
        assert found.reason
    # At places of their own they are a model, and more keypoints at these change nothing.
    a = np.repeat(random_points(30, seed), 3, axis=0)
    if model != "fundamental":
        assert estimate_geometry(a, a + 5, model=model).inliers.all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("beside", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_noise_around_a_line_determines_nothing(model: str, beside: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.uniform(0, 400, 40)
    a = np.column_stack([x, 0.3 * x + 50]) + random.normal(0, 0.1, (40, 2))
    a[:beside] = [[100, 300]]
    found = estimate_geometry(a, a + np.array([20, 10]) + random.normal(0, 0.1, (40, 2)), model=model)
    assert found.matrix is None
    assert found.reason
    assert "on a line" in found.reason or "agree" in found.reason


def test_how_far_beside_a_line_follows_the_threshold() -> None:
    # A line of text, 400 pixels long and 40 high.
    a = np.random.default_rng(0).uniform((0, 100), (400, 140), (40, 2))
    b = a + np.array([20, 10]) + np.random.default_rng(1).normal(0, 0.3, (40, 2))
    found = estimate_geometry(a, b)
    assert found.reason is None
    assert corner_error(found.matrix, [[1, 0, 20], [0, 1, 10], [0, 0, 1]], (400, 240)) < 5
    assert estimate_geometry(a, b, threshold=12).matrix is None


def test_a_plane_determines_no_fundamental_matrix() -> None:
    truth = np.array([[1.1, 0.2, -30], [-0.1, 0.9, 12], [2e-4, -1e-4, 1]])
    a = random_points(60, 0)
    found = estimate_geometry(a, transform_points(truth, a), model="fundamental")
    assert found.matrix is None
    assert found.reason
    assert found.reason.startswith("a homography agrees")


def test_places_by_hand() -> None:
    a = np.array([[0.0, 0], [3, 0], [3.1, 0], [0, 50], [80, 80], [0, 0]])
    b = np.array([[9.0, 9], [30, 30], [60, 60], [30, 29], [90, 20], [9, 9]])
    # The second is 3 from the first in a, the fourth 1 from the second in b; which the first has driven out.
    assert distinct_matches(a, b, 3).tolist() == [0, 2, 3, 4]
    assert distinct_matches(a, b, 0).tolist() == [0, 1, 2, 3, 4]
    assert distinct_matches(a, b, 3, most=2).tolist() == [0, 2]
    assert distinct_matches(a[:0], b[:0], 3).tolist() == []


def test_implausible_maps_are_none() -> None:
    a = random_points(50, 0)
    assert estimate_geometry(a, a * [-1, 1]).matrix is None, "mirrored"
    assert estimate_geometry(a, a * [-1, 1], model="affine").matrix is None, "mirrored"
    assert estimate_geometry(a, a * 1e-3, threshold=0.01).matrix is None, "shrunk to less than a pixel"
    assert estimate_geometry(a, a * 0.1, threshold=0.01).matrix is not None


def test_models_of_random_matches_are_none() -> None:
    """Some dozen of hundreds of random matches always agree with something."""
    for seed in range(2):
        a, b = random_points(400, seed), random_points(400, seed + 50)
        for model in MODELS:
            assert estimate_geometry(a, b, model=model, max_iter=1000).matrix is None
    # The same number of inliers is a model where there are fewer others.
    b[:20] = a[:20] + 5
    assert estimate_geometry(a[:60], b[:60]).inliers[:20].all()
    # Any seven agree with a fundamental matrix; who sets the number himself gets it.
    assert estimate_geometry(a[20:80], b[20:80], model="fundamental").matrix is None
    assert estimate_geometry(a[20:80], b[20:80], model="fundamental", min_inliers=7).matrix is not None


def test_min_inliers_counts() -> None:
    a = random_points(10, 0)
    b = a + 10
    assert estimate_geometry(a, b).inliers.sum() == 10
    assert estimate_geometry(a, b, min_inliers=11).matrix is None
    assert estimate_geometry(a[:5], b[:5]).matrix is None
    assert estimate_geometry(a[:5], b[:5], min_inliers=5).inliers.sum() == 5


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_model(model: str) -> None:
    a, b, _ = two_views(80)
    b = b + np.random.default_rng(0).normal(0, 1, b.shape)
    before = a.copy()
    # Within 20 pixels a homography agrees with both views, too.
    threshold = 3 if model == "fundamental" else 20
    one, other = (estimate_geometry(a, b, model=model, threshold=threshold, random_state=3) for _ in range(2))
    assert one.matrix is not None
    np.testing.assert_array_equal(one.matrix, other.matrix)
    np.testing.assert_array_equal(one.errors, other.errors)
    np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "planar"}, "model must be one of"),
        ({"threshold": 0}, "threshold must be a number > 0, got 0"),
        ({"confidence": 1.5}, "confidence must be"),
        ({"max_iter": 0}, "max_iter must be"),
        ({"min_inliers": 0}, "min_inliers must be"),
        ({"random_state": -1}, "random_state must be"),
        ({"b": np.zeros((3, 2))}, "a and b must have as many points, got 5 and 3"),
        ({"b": np.zeros((5, 3))}, r"b must have shape \(m, 2\), got \(5, 3\)"),
        ({"b": np.full((5, 2), np.nan)}, "b must be finite"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], message: str) -> None:
    given = {"a": np.zeros((5, 2)), "b": np.zeros((5, 2))} | arguments
    with pytest.raises(ValueError, match=message):
        estimate_geometry(given.pop("a"), given.pop("b"), **given)
