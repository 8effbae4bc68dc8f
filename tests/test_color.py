"""Colour conversions against Python's colorsys, the CIE's equations, and by hand."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbow.images import (
    blend,
    from_gray,
    from_hsv,
    from_lab,
    merge_channels,
    read_image,
    split_channels,
    to_gray,
    to_hsv,
    to_lab,
)

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)


def test_gray_is_the_luma_that_read_image_gives() -> None:
    np.testing.assert_array_equal(to_gray(IMAGE), read_image(IMAGE, gray=True))
    expected = IMAGE @ np.array([0.299, 0.587, 0.114])
    assert np.abs(to_gray(IMAGE) - expected).max() <= 0.51


def test_gray_and_back() -> None:
    gray = IMAGE[..., 0]
    assert (from_gray(gray) == gray[..., None]).all()
    np.testing.assert_array_equal(to_gray(from_gray(gray)), gray)
    np.testing.assert_allclose(to_gray(IMAGE.astype(np.float32)), to_gray(IMAGE), atol=0.51)
    assert from_gray(gray.astype(np.float32)).dtype == np.float32


def test_what_is_gray_or_coloured_already_comes_back_as_it_is() -> None:
    gray = IMAGE[..., 0].copy()
    assert to_gray(gray) is gray
    assert from_gray(IMAGE) is IMAGE
    assert from_gray(IMAGE[:, ::2]).flags.c_contiguous


def test_gray_by_hand() -> None:
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]]], np.uint8)
    assert to_gray(rgb).tolist() == [[76, 150, 29, 255, 18]]
    assert np.array_equal(from_gray(IMAGE[..., 0]), np.stack([IMAGE[..., 0]] * 3, axis=2))


@pytest.mark.parametrize("function", [to_gray, from_gray])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 3), np.float32), "image must be a uint8 array, got float32"),
        ([[1, 2]], "image must be a uint8 array, got list"),
        (np.zeros((0, 3), np.uint8), r"image must have at least one pixel, got shape \(0, 3\)"),
        (np.zeros((3, 3, 4), np.uint8), r"image must have shape \(H, W\) or \(H, W, 3\), got \(3, 3, 4\)"),
        (np.zeros(3, np.uint8), "image must have shape"),
    ],
)
def test_images_of_bytes_only(function: Callable[..., Any], image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(image, floats=False)


def test_hsv_against_colorsys() -> None:
    expected = np.array([[colorsys.rgb_to_hsv(*pixel) for pixel in row] for row in IMAGE / 255.0])
    found = to_hsv(IMAGE).astype(float)
    hue = np.abs(found[..., 0] - 180 * expected[..., 0])
    # A hue is in steps of two degrees, and 180 is 0 again.
    assert np.minimum(hue, 180 - hue).max() <= 1
    assert np.abs(found[..., 1:] - 255 * expected[..., 1:]).max() <= 1
    floats = to_hsv((IMAGE / 255).astype(np.float32))
    np.testing.assert_allclose(floats / (360, 1, 1), expected, atol=1e-4)


def lab(pixels: np.ndarray) -> np.ndarray:
    """CIE 15:2004, of sRGB (IEC 61966-2-1) in [0, 1] with D65."""
    linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = linear @ np.array(matrix).T / (0.950456, 1, 1.088754)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def test_lab_against_the_equations() -> None:
    expected = lab(IMAGE / 255.0)
    np.testing.assert_allclose(to_lab((IMAGE / 255).astype(np.float32)), expected, atol=0.5)
    bytes_of = expected * (255 / 100, 1, 1) + (0, 128, 128)
    assert np.abs(to_lab(IMAGE) - bytes_of).max() <= 2


@pytest.mark.parametrize(("there", "back"), [(to_hsv, from_hsv), (to_lab, from_lab)])
def test_there_and_back(there: Callable[[Any], Any], back: Callable[[Any], Any]) -> None:
    floats = (IMAGE / 255).astype(np.float32)
    again = back(there(floats))
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, floats, atol=0.01)
    # Eight bits of hue, or of the dark colours' chroma, do not hold all colours.
    lost = np.abs(back(there(IMAGE)).astype(int) - IMAGE)
    assert lost.mean() < 1.5
    assert lost.max() <= 20


def test_channels_apart_and_together() -> None:
    parts = split_channels(IMAGE)
    assert [part.shape for part in parts] == [(13, 17)] * 3
    np.testing.assert_array_equal(parts[1], IMAGE[..., 1])
    np.testing.assert_array_equal(merge_channels(parts), IMAGE)
    (only,) = split_channels(IMAGE[..., 0])
    np.testing.assert_array_equal(merge_channels([only]), IMAGE[..., 0])
    assert not any(np.shares_memory(part, IMAGE) for part in parts)


@given(st.floats(0, 1))
def test_blend_is_the_weighted_mean(alpha: float) -> None:
    other = IMAGE[::-1].copy()
    expected = (1 - alpha) * IMAGE + alpha * other
    assert np.abs(blend(IMAGE, other, alpha) - expected).max() <= 0.5 + 1e-3
    floats = blend(IMAGE.astype(np.float32), other.astype(np.float32), alpha)
    np.testing.assert_allclose(floats, expected, atol=1e-3)


def test_blend_at_its_ends() -> None:
    other = 255 - IMAGE
    np.testing.assert_array_equal(blend(IMAGE, other, 0), IMAGE)
    np.testing.assert_array_equal(blend(IMAGE, other, 1), other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_hsv(IMAGE[..., 0]), r"image must have shape \(H, W, 3\)"),
        (lambda: to_lab(IMAGE.astype(np.float64)), "uint8 or float32"),
        (lambda: merge_channels([IMAGE[..., 0]] * 2), "channels must be one or three, got 2"),
        (lambda: merge_channels([IMAGE[..., 0], IMAGE[..., 1], IMAGE[:-1, :, 2]]), "one shape and dtype"),
        (lambda: merge_channels([IMAGE]), r"each channel must have shape \(H, W\)"),
        (lambda: blend(IMAGE, IMAGE[..., 0]), "one shape and dtype"),
        (lambda: blend(IMAGE, IMAGE, 1.5), "alpha must be a number >= 0 and <= 1, got 1.5"),
    ],
)
def test_mistakes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
