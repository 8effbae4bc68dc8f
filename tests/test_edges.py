"""Edges against SciPy, and points along them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from synthetic import textured

from cvbow.features import make_detector
from cvbow.features.edges import along_contours, canny, gradient, laplacian, prewitt, scharr, sobel

EDGES = ("sobel", "scharr", "prewitt", "laplacian", "canny")


def ramp(angle: float, size: int = 41) -> NDArray[np.uint8]:
    y, x = np.indices((size, size))
    middle = size // 2
    along = (x - middle) * np.cos(np.deg2rad(angle)) + (y - middle) * np.sin(np.deg2rad(angle))
    pixels: NDArray[np.uint8] = np.rint(128 + 100 * np.tanh(along / 2)).astype(np.uint8)
    return pixels


@pytest.mark.parametrize(("operator", "kernel"), [("sobel", (1, 2, 1)), ("scharr", (3, 10, 3)), ("prewitt", (1, 1, 1))])
def test_gradients_are_scipy_s(operator: str, kernel: tuple[int, ...]) -> None:
    image = textured(30, 40)
    whole = image.astype(float)
    expected = []
    for axis in (1, 0):
        derivative = ndimage.correlate1d(whole, [-1, 0, 1], axis=axis, mode="mirror")
        expected.append(ndimage.correlate1d(derivative, kernel, axis=1 - axis, mode="mirror") / (2 * sum(kernel)))
    dx, dy = gradient(image, operator)
    np.testing.assert_allclose(dx, expected[0], atol=1e-4)
    np.testing.assert_allclose(dy, expected[1], atol=1e-4)
    strength = {"sobel": sobel, "scharr": scharr, "prewitt": prewitt}[operator](image)
    np.testing.assert_allclose(strength, np.hypot(*expected), atol=1e-3)
    assert strength.dtype == np.float32
    smooth = ndimage.gaussian_filter(whole, 1.5, mode="mirror", truncate=6)
    derivative = ndimage.correlate1d(smooth, [-1, 0, 1], axis=1, mode="mirror")
    derivative = ndimage.correlate1d(derivative, kernel, axis=0, mode="mirror") / (2 * sum(kernel))
    np.testing.assert_allclose(gradient(image, operator, sigma=1.5)[0], derivative, atol=0.1)


def test_a_ramp_has_its_slope() -> None:
    image = np.tile(np.arange(0, 120, 3, dtype=np.uint8), (20, 1))
    for operator in (sobel, scharr, prewitt):
        np.testing.assert_allclose(operator(image)[:, 1:-1], 3, rtol=1e-6)
    np.testing.assert_allclose(laplacian(image)[:, 1:-1], 0, atol=1e-6)


def test_the_laplacian_is_scipy_s() -> None:
    image = textured(30, 40)
    expected = ndimage.laplace(image.astype(float), mode="mirror")
    np.testing.assert_allclose(laplacian(image), expected, atol=1e-4)
    smooth = ndimage.gaussian_filter(image.astype(float), 2, mode="mirror", truncate=6)
    np.testing.assert_allclose(laplacian(image, sigma=2), ndimage.laplace(smooth, mode="mirror"), atol=0.1)


def test_canny_gives_one_line_for_one_edge() -> None:
    edges = canny(ramp(0))
    assert edges.dtype == np.bool_
    assert (edges[2:-2].sum(axis=1) == 1).all()
    assert np.abs(np.nonzero(edges)[1] - 20).max() <= 1
    assert not canny(ramp(0), high=200, low=1).any()
    # A weak edge stays where a strong one leads to it, and goes where none does.
    fading = 1 - 0.9 * np.linspace(0, 1, 41)[:, None]
    image = np.rint(128 + (ramp(0).astype(float) - 128) * fading).astype(np.uint8)
    alone = np.ascontiguousarray(image[20:])
    assert canny(image, low=2, high=20)[2:38].any(axis=1).all()
    assert not canny(alone, low=2, high=20).any()


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("angle", [0, 30, 90, 135, 200, 310])
def test_points_lie_on_the_edge_and_look_across_it(name: str, angle: float) -> None:
    found = make_detector(name).set_params(step=3).detect(ramp(angle))
    x, y, size, angles = found.points.T
    inside = (np.abs(x - 20) < 15) & (np.abs(y - 20) < 15)
    assert inside.sum() >= 5
    distance = (x - 20) * np.cos(np.deg2rad(angle)) + (y - 20) * np.sin(np.deg2rad(angle))
    assert np.abs(distance[inside]).max() <= 1.6
    assert np.abs((angles[inside] - angle + 180) % 360 - 180).max() < 8
    assert (size == 32).all()
    assert (np.diff(found.responses) <= 0).all()


def test_points_along_a_contour_keep_their_distance() -> None:
    edges = np.zeros((60, 80), np.bool_)
    edges[10, 5:65] = True
    y, x = along_contours(edges, 5)
    assert (y == 10).all()
    assert (np.diff(np.sort(x)) == 5).all()
    assert len(x) == 12
    # What is shorter than the step has a point all the same.
    edges[:] = False
    edges[30, 40] = edges[50, 10] = edges[50, 11] = True
    assert len(along_contours(edges, 10)[0]) == 2
    assert len(along_contours(np.zeros((5, 5), np.bool_), 3)[0]) == 0


@pytest.mark.parametrize("step", [1, 4])
def test_no_edge_pixel_is_taken_twice(step: int) -> None:
    edges = canny(textured(60, 70), sigma=1)
    y, x = along_contours(edges, step)
    assert len(set(zip(y.tolist(), x.tolist(), strict=True))) == len(x)
    assert edges[y, x].all()
    if step == 1:
        # All but the few that have edges on every side, where three contours meet.
        assert 0.99 * edges.sum() <= len(x) <= edges.sum()
    else:
        assert len(x) < edges.sum() / 2


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("sobel", {"threshold": -1}, "threshold must be a number >= 0, got -1"),
        ("canny", {"step": 0}, "step must be an integer >= 1, got 0"),
        ("canny", {"low": 9.0}, "low must not exceed high, got 9.0 and 8.0"),
        ("laplacian", {"point_size": 0}, "point_size must be a number > 0, got 0"),
    ],
)
def test_parameters_that_break_their_rule(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_detector(name).set_params(**parameters).detect(ramp(0))
