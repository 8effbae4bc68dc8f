"""Cropping, resizing, padding, rotating: against NumPy and SciPy, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from synthetic import textured

from cvbow.images import center_crop, pad, resize, rotate


def color(height: int, width: int) -> np.ndarray:
    return np.stack([textured(height, width, seed) for seed in range(3)], axis=2)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.05, 20))
def test_center_crop_is_the_largest_rectangle_in_the_middle(height: int, width: int, aspect: float) -> None:
    image = np.arange(height * width, dtype=np.float32).reshape(height, width)
    cropped = center_crop(image, aspect)
    down, across = cropped.shape
    assert down == height or across == width
    # Rounded to a pixel on the side that was cut.
    assert abs(across - down * aspect) <= 0.5 * max(1, aspect) or 1 in (across, down)
    top, left = divmod(int(cropped[0, 0]), width)
    assert 0 <= (height - down - top) - top <= 1
    assert 0 <= (width - across - left) - left <= 1
    np.testing.assert_array_equal(cropped, image[top : top + down, left : left + across])


def test_center_crop_of_colour_keeps_the_channels() -> None:
    image = color(9, 20)
    np.testing.assert_array_equal(center_crop(image), image[:, 5:14])


def test_area_is_the_mean_of_what_falls_into_a_pixel() -> None:
    image = textured(24, 36).astype(np.float32)
    expected = image.reshape(8, 3, 9, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, (9, 8)), expected, rtol=1e-5)


def test_linear_interpolates_between_pixel_centres() -> None:
    image = textured(12, 17).astype(np.float32)
    bigger = resize(image, (34, 36), interpolation="linear")
    y, x = (np.arange(36) + 0.5) / 3 - 0.5, (np.arange(34) + 0.5) / 2 - 0.5
    where = np.meshgrid(y, x, indexing="ij")
    np.testing.assert_allclose(bigger, map_coordinates(image, where, order=1, mode="nearest"), atol=0.3)


@pytest.mark.parametrize(
    ("size", "chosen"), [((20, 10), "area"), ((40, 20), "cubic"), ((20, 30), "cubic"), ((30, 10), "area")]
)
def test_the_default_is_area_for_shrinking_and_cubic_otherwise(size: tuple[int, int], chosen: str) -> None:
    image = textured(20, 30)
    np.testing.assert_array_equal(resize(image, size), resize(image, size, interpolation=chosen))
    other = "cubic" if chosen == "area" else "linear"
    assert (resize(image, size) != resize(image, size, interpolation=other)).any()


@pytest.mark.parametrize(("name", "number"), [("lanczos", cv2.INTER_LANCZOS4), ("cubic", cv2.INTER_CUBIC)])
def test_other_interpolations_are_those_of_opencv(name: str, number: int) -> None:
    image = color(20, 30)
    np.testing.assert_array_equal(
        resize(image, (50, 33), interpolation=name), cv2.resize(image, (50, 33), interpolation=number)
    )


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 80))
def test_longest_side_and_shape_follow(height: int, width: int, longest: int) -> None:
    down, across = resize(np.zeros((height, width), np.uint8), longest=longest).shape
    assert max(down, across) == longest
    assert abs(min(down, across) - min(height, width) * longest / max(height, width)) <= 0.5 or min(down, across) == 1


@pytest.mark.parametrize(("mode", "numpys"), [("replicate", "edge"), ("reflect", "reflect"), ("constant", "constant")])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 7), (4, 1, 3)])
def test_pad_as_numpy_does(mode: str, numpys: Any, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    widths = ((2, 9), (1, 11), (0, 0))[: len(shape)]
    np.testing.assert_array_equal(pad(image, margins=(2, 9, 1, 11), mode=mode), np.pad(image, widths, mode=numpys))


def test_pad_to_a_size_and_a_colour() -> None:
    padded = pad(np.full((2, 3, 3), 7, np.uint8), size=(6, 5), fill=(10, 20, 30))
    assert padded.shape == (5, 6, 3)
    assert (padded[1:3, 1:4] == 7).all()
    padded[1:3, 1:4] = (10, 20, 30)
    assert (padded == np.array([10, 20, 30])).all()


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_move_whole_pixels(quarters: int) -> None:
    image = color(6, 9)
    np.testing.assert_array_equal(rotate(image, 90 * quarters, expand=True), np.rot90(image, quarters))


@pytest.mark.parametrize("degrees", [30.0, -75.0, 200.0])
@pytest.mark.parametrize("expand", [False, True])
def test_rotation_against_scipy(degrees: float, expand: bool) -> None:
    image = cv2.GaussianBlur(textured(31, 44), (0, 0), 2).astype(np.float32)
    rotated = rotate(image, degrees, expand=expand, fill=5)
    height, width = rotated.shape
    if expand:
        angle = np.radians(degrees)
        bounds = np.abs([[np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ (44, 31)
        assert (width, height) == tuple(np.ceil(bounds).astype(int))
    else:
        assert (width, height) == (44, 31)
    # Counter-clockwise on a screen: undo it, with y pointing up.
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, (height - 1) / 2 - np.arange(height))
    back = np.exp(-1j * np.radians(degrees)) * (x + 1j * y)
    where = (15 - back.imag, 21.5 + back.real)
    expected = map_coordinates(image, where, order=1, mode="constant", cval=5)
    inside = (where[0] > 0) & (where[0] < 30) & (where[1] > 0) & (where[1] < 43)
    # OpenCV's places are a 32nd of a pixel apart.
    assert np.abs(rotated - expected)[inside].max() < 1.0
    outside = (where[0] < -1) | (where[0] > 31) | (where[1] < -1) | (where[1] > 44)
    assert outside.any()
    assert (rotated[outside] == 5).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda image: center_crop(image, 0.5),
        lambda image: resize(image, (12, 12)),
        lambda image: resize(image, (6, 5)),
        lambda image: pad(image, margins=0),
        lambda image: rotate(image, 0),
        lambda image: rotate(image, 33),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_dtype_stays_and_the_argument_is_left_alone(function: Callable[[Any], Any], dtype: Any) -> None:
    image = color(12, 12).astype(dtype)
    before = image.copy()
    result = function(image)
    assert result.dtype == dtype
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, image)
    result += 1
    np.testing.assert_array_equal(image, before)


GRAY = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: center_crop(np.zeros((4, 4))), "image must be a uint8 or float32 array, got float64"),
        (lambda: center_crop(np.zeros((0, 4), np.uint8)), "at least one pixel"),
        (lambda: center_crop(np.zeros((4, 4, 4), np.uint8)), r"image must have shape \(H, W\)"),
        (lambda: center_crop(GRAY, 0), "aspect must be a number > 0, got 0"),
        (lambda: resize(GRAY), "one of size and longest"),
        (lambda: resize(GRAY, (3, 3), longest=4), "one of size and longest"),
        (lambda: resize(GRAY, (0, 3)), "size must be an integer >= 1, got 0"),
        (lambda: resize(GRAY, (3, 3, 3)), r"size must be \(width, height\)"),
        (lambda: resize(GRAY, (3, 3), interpolation="nearest"), "interpolation must be one of area, linear"),
        (lambda: pad(GRAY, size=(5, 9)), "size must be at least that of the image"),
        (lambda: pad(GRAY, margins=(1, 2)), "margins must be an integer or"),
        (lambda: pad(GRAY, margins=-1), "margins must be an integer >= 0, got -1"),
        (lambda: pad(GRAY, margins=1, mode="wrap"), "mode must be one of"),
        (lambda: pad(GRAY, margins=1, fill=256), "fill must be a number >= 0 and <= 255, got 256"),
        (lambda: pad(GRAY, margins=1, fill=(1, 2, 3)), "fill must be a number for a gray image"),
        (lambda: rotate(GRAY, float("nan")), "degrees must be a number"),
        (lambda: rotate(GRAY, 10, interpolation="area"), "interpolation must be one of linear"),
        (lambda: rotate(np.zeros((1, 40000), np.uint8), 10), "no side above"),
    ],
)
def test_mistakes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
