"""Convolution and pooling against SciPy and NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, signal
from synthetic import textured

from cvbow.images import average_pool, box_blur, convolve, edges, gaussian_blur, max_pool, sharpen

IMAGE = textured(23, 31)
FLOATS = IMAGE.astype(np.float32)
MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect"}


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.sampled_from(["none", *MODES]), st.integers(0, 99))
def test_convolve_against_scipy(height: int, width: int, stride: int, padding: str, seed: int) -> None:
    kernel = np.random.default_rng(seed).normal(size=(height, width))
    if padding == "none":
        source = FLOATS
    else:
        # The kernel's centre is (h // 2, w // 2); convolution reaches as far above as the kernel reaches below it.
        around = ((height - 1 - height // 2, height // 2), (width - 1 - width // 2, width // 2))
        source = np.pad(FLOATS, around, mode=MODES[padding])
    expected = signal.convolve2d(source.astype(np.float64), kernel, mode="valid")[::stride, ::stride]
    found = convolve(FLOATS, kernel, stride=stride, padding=padding)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-2)
    if padding != "none":
        assert found.shape == (-(-23 // stride), -(-31 // stride))


@pytest.mark.parametrize("size", [(3, 3), (5, 3), (4, 2)])
@pytest.mark.parametrize(("padding", "mode"), [("zeros", "constant"), ("replicate", "nearest"), ("reflect", "mirror")])
def test_the_same_size_is_that_of_ndimage(size: tuple[int, int], padding: str, mode: str) -> None:
    kernel = np.random.default_rng(1).normal(size=size)
    expected = ndimage.convolve(FLOATS.astype(np.float64), kernel, mode=mode)
    np.testing.assert_allclose(convolve(FLOATS, kernel, padding=padding), expected, atol=1e-2)


def test_it_is_convolution_and_not_correlation() -> None:
    ramp = np.array([[0, 1, 3, 6]], np.float32)
    # (f * g)[n] = sum_m f[n - m] g[m]: with g = (1, -1) the difference to the pixel before.
    assert convolve(ramp, [[1, -1]]).tolist() == [[1, 2, 3]]


def test_colours_are_filtered_one_by_one() -> None:
    image = np.stack([IMAGE, IMAGE[::-1], IMAGE[:, ::-1]], axis=2)
    found = sharpen(image)
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], sharpen(image[..., channel].copy()))


def test_bytes_are_rounded_and_cut_off() -> None:
    kernel = np.array([[0.0, 2.5]])
    expected = np.clip(np.rint(signal.convolve2d(IMAGE.astype(float), kernel, mode="valid")), 0, 255)
    found = convolve(IMAGE, kernel)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    assert (convolve(IMAGE, [[-1.0]]) == 0).all()


def test_kernels() -> None:
    """A point becomes the kernel of its filter."""
    point = np.zeros((13, 13), np.float32)
    point[6, 6] = 1
    np.testing.assert_array_equal(convolve(IMAGE, np.pad([[1]], 2), padding="reflect"), IMAGE)
    box = box_blur(point, 4)
    np.testing.assert_allclose(box[box > 0], [1 / 16] * 16)
    kernel = gaussian_blur(point, 1.5)
    assert kernel.sum() == pytest.approx(1)
    assert (kernel > 0).sum() == 11**2
    assert kernel[6, 8] / kernel[6, 6] == pytest.approx(np.exp(-4 / (2 * 1.5**2)), rel=1e-5)
    assert edges(point)[5:8, 5:8].tolist() == [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]
    assert edges(point, 8)[5:8, 5:8].tolist() == [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]
    assert sharpen(point)[5:8, 5:8].tolist() == [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    np.testing.assert_allclose(sharpen(FLOATS, 0.5), FLOATS + 0.5 * edges(FLOATS), atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("function", [box_blur, gaussian_blur, sharpen, edges])
@pytest.mark.parametrize("padding", ["none", "zeros", "reflect"])
def test_strides_leave_places_out(function: Callable[..., Any], dtype: Any, padding: str) -> None:
    image = IMAGE.astype(dtype)
    np.testing.assert_array_equal(
        function(image, stride=3, padding=padding), function(image, padding=padding)[::3, ::3]
    )


def test_blurs_against_ndimage() -> None:
    np.testing.assert_allclose(box_blur(FLOATS, 5), ndimage.uniform_filter(FLOATS, 5, mode="mirror"), atol=1e-3)
    expected = ndimage.gaussian_filter(FLOATS.astype(float), 1.5, mode="mirror", radius=5)
    np.testing.assert_allclose(gaussian_blur(FLOATS, 1.5), expected, atol=1e-3)
    along = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    whole = convolve(FLOATS, np.outer(along, along) / along.sum() ** 2, padding="reflect")
    np.testing.assert_allclose(gaussian_blur(FLOATS, 1.5), whole, atol=1e-3)
    assert np.abs(gaussian_blur(IMAGE, 1.5).astype(float) - expected).max() <= 0.51


def test_edges_against_the_laplacian() -> None:
    np.testing.assert_allclose(edges(FLOATS), -ndimage.laplace(FLOATS, mode="mirror"), atol=1e-3)
    plain = np.full((5, 6), 99, np.uint8)
    assert not edges(plain, 8).any()
    np.testing.assert_array_equal(sharpen(plain), plain)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("padding", ["none", *MODES])
@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 1), (3, 2), (4, 3), (1, None), (5, 7)])
def test_pools_against_windows(dtype: Any, padding: str, size: int, stride: int | None) -> None:
    image = np.stack([IMAGE, IMAGE[::-1], 255 - IMAGE], axis=2).astype(dtype) - (100 if dtype == np.float32 else 0)
    source = image
    if padding != "none":
        around = ((size - 1) // 2, size // 2)
        source = np.pad(image, (around, around, (0, 0)), mode=MODES[padding])
    step = stride or size
    windows = np.lib.stride_tricks.sliding_window_view(source, (size, size), axis=(0, 1))[::step, ::step]
    found = max_pool(image, size, stride=stride, padding=padding)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, windows.max(axis=(3, 4)))
    mean = windows.mean(axis=(3, 4), dtype=np.float64)
    tolerance = 1e-3 if dtype == np.float32 else 0.501
    assert np.abs(average_pool(image, size, stride=stride, padding=padding) - mean).max() <= tolerance


def test_a_single_row_reflects_into_itself() -> None:
    row = np.array([[4, 8]], np.float32)
    np.testing.assert_allclose(box_blur(row), [[20 / 3, 16 / 3]], rtol=1e-6)


def test_arguments_are_left_alone() -> None:
    image, kernel = FLOATS.copy(), np.arange(9.0).reshape(3, 3)
    results = [convolve(image, kernel), convolve(image, [[1]]), max_pool(image, 1), average_pool(image, 1)]
    assert not any(np.shares_memory(result, image) for result in results)
    np.testing.assert_array_equal(image, FLOATS)
    np.testing.assert_array_equal(kernel, np.arange(9.0).reshape(3, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convolve(IMAGE, [1, 2, 3]), "kernel must be finite real numbers of shape"),
        (lambda: convolve(IMAGE, [[np.nan]]), "kernel must be finite"),
        (lambda: convolve(IMAGE, [["a"]]), "kernel must be finite"),
        (lambda: convolve(IMAGE, np.ones((24, 1))), "the kernel must fit into the image"),
        (lambda: convolve(IMAGE, [[1]], stride=0), "stride must be an integer >= 1, got 0"),
        (lambda: convolve(IMAGE, [[1]], padding="same"), "padding must be one of none, zeros"),
        (lambda: convolve(IMAGE.astype(np.int32), [[1]]), "image must be a uint8 or float32 array"),
        (lambda: gaussian_blur(IMAGE, 0), "sigma must be a number > 0"),
        (lambda: edges(IMAGE, 6), "neighbors must be 4 or 8, got 6"),
        (lambda: sharpen(IMAGE, -1), "amount must be a number >= 0"),
        (lambda: max_pool(IMAGE, 24), "the kernel must fit"),
        (lambda: max_pool(IMAGE, 0), "size must be an integer >= 1"),
        (lambda: average_pool(IMAGE, 2, stride=0), "stride must be None or an integer >= 1"),
    ],
)
def test_mistakes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
