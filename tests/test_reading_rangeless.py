"""TIFF samples without a fixed range: which values become 0 and 255, and what becomes of those that are no numbers."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiffs import tags_for, tiff

from cvbow.errors import ImageError
from cvbow.images import read_image

RAMP = np.arange(12 * 9).reshape(9, 12)
_FORMATS = {"u": 1, "i": 2, "f": 3}


def saved(
    samples: NDArray[Any], *, endian: str = "<", stated: tuple[float, float] | None = None, **extra: int
) -> bytes:
    n = 1 if samples.ndim == 2 else samples.shape[2]
    bits = 8 * samples.dtype.itemsize
    tags: Any = tags_for(samples.shape[1], samples.shape[0], [bits] * n, 1 if n == 1 else 2, **extra)
    tags[339] = (3, [_FORMATS[samples.dtype.kind]] * n)
    if stated is not None:
        tags[340], tags[341] = (12, [stated[0]] * n), (11, [stated[1]] * n)
    return tiff(tags, samples.astype(samples.dtype.newbyteorder(endian)).tobytes(), endian=endian)


def expected(samples: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    return np.rint(np.clip((samples.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "i2", "i4", "u4"])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_the_smallest_and_the_largest_value_become_black_and_white(endian: str, kind: str, n_channels: int) -> None:
    start = {"i": -50, "f": -50, "u": 3_000_000_000}[kind[0]]
    samples = (RAMP + start).astype(kind)
    if n_channels == 3:
        samples = np.stack([samples, samples[::-1], samples[:, ::-1]], axis=2)
    found = read_image(saved(samples, endian=endian))
    np.testing.assert_array_equal(found, expected(samples, start, start + 107))
    gray = read_image(saved(samples, endian=endian), gray=True)
    assert gray.shape == (9, 12)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_floats_within_0_and_1_keep_that_range(kind: str) -> None:
    samples = (0.25 + RAMP / 214).astype(kind)
    np.testing.assert_array_equal(read_image(saved(samples)), expected(samples, 0, 1))
    # As an array of them is read.
    np.testing.assert_array_equal(read_image(saved(samples)), read_image(samples))


def test_pillows_own_float_file() -> None:
    file = io.BytesIO()
    Image.fromarray((RAMP / 107).astype(np.float32)).save(file, "TIFF")
    np.testing.assert_array_equal(read_image(file.getvalue()), expected(RAMP / 107, 0, 1))


@pytest.mark.parametrize("kind", ["f4", "i2", "u4"])
def test_the_range_that_a_file_states_holds(kind: str) -> None:
    samples = RAMP.astype(kind)
    np.testing.assert_array_equal(read_image(saved(samples, stated=(20.0, 60.5))), expected(samples, 20, 60.5))
    # What makes no sense is not said.
    for stated in ((60.0, 20.0), (5.0, 5.0), (float("nan"), 5.0), (0.0, float("inf"))):
        np.testing.assert_array_equal(read_image(saved(samples, stated=stated)), expected(samples, 0, 107))


def test_what_is_not_finite_says_nothing_of_the_range() -> None:
    samples = RAMP.astype(np.float32)
    samples[0, :3] = np.nan, np.inf, -np.inf
    found = read_image(saved(samples))
    assert found[0, :3].tolist() == [0, 255, 0]
    np.testing.assert_array_equal(found.ravel()[3:], expected(samples.ravel()[3:], 3, 107))
    for value, pixel in ((np.nan, 0), (np.inf, 255), (-np.inf, 0)):
        assert np.unique(read_image(saved(np.full((4, 5), value, np.float32)))).tolist() == [pixel]


def test_a_number_that_is_none_in_a_form_of_its_own() -> None:
    """To change the type of a signalling NaN is an invalid operation."""
    samples = RAMP.astype(np.float32)
    samples.view(np.uint32)[2, 3] = 0x7FA00001
    assert read_image(saved(samples))[2, 3] == 0


def test_one_value_is_one_colour() -> None:
    assert np.unique(read_image(saved(np.full((4, 5), 7, np.int32)))).tolist() == [0]
    assert np.unique(read_image(saved(np.full((4, 5), 0.5, np.float32)))).tolist() == [128]
    huge = np.array([[np.finfo(np.float64).max, 0, np.finfo(np.float64).min]])
    assert read_image(saved(huge)).shape == (1, 3)


def test_alpha_and_white_is_zero() -> None:
    color = np.stack([RAMP, RAMP, RAMP], axis=2) / 107
    alpha = np.where(RAMP % 2, 1.0, 0.0)
    samples = np.dstack([color, alpha]).astype(np.float32)
    found = read_image(saved(samples, t338=2))
    np.testing.assert_array_equal(found[alpha == 1], expected(color, 0, 1)[alpha == 1])
    assert (found[alpha == 0] == 255).all()
    inverted = tags_for(12, 9, [32], 0)
    inverted[339] = (3, [3])
    found = read_image(tiff(inverted, (RAMP / 107).astype("<f4").tobytes()))
    np.testing.assert_array_equal(found, 255 - expected(RAMP / 107, 0, 1))


def test_compressed_by_opencv() -> None:
    samples = np.random.default_rng(0).normal(size=(40, 30, 3)).astype(np.float32)
    for compression in (1, 5, 8, 32946):
        data = cv2.imencode(".tif", samples[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])[1].tobytes()
        np.testing.assert_array_equal(read_image(data), expected(samples, samples.min(), samples.max()))


def test_orientation() -> None:
    samples = RAMP.astype(np.float32)
    np.testing.assert_array_equal(read_image(saved(samples, t274=6)), np.rot90(expected(samples, 0, 107), -1))


@pytest.mark.parametrize(
    ("bits", "kind", "reason"),
    [
        ([16], 3, "16-bit floating-point samples are not supported"),
        ([64], 1, "64-bit samples are not supported"),
        ([64], 2, "64-bit signed samples are not supported"),
        ([64], 6, "64-bit complex samples are not supported"),
        ([32, 32], 3, "a TIFF with 2 32-bit floating-point samples in a pixel is not supported"),
    ],
)
def test_what_is_still_not_read(bits: list[int], kind: int, reason: str) -> None:
    tags = tags_for(4, 4, bits, 1)
    tags[339] = (3, [kind] * len(bits))
    with pytest.raises(ImageError, match=reason):
        read_image(tiff(tags, bytes(4 * 4 * 16)))
    planes = tags_for(4, 4, [32] * 3, 2, t284=2)
    planes[339] = (3, [3] * 3)
    with pytest.raises(ImageError, match="32-bit TIFF planes stored one after another"):
        read_image(tiff(planes, bytes(4 * 4 * 12)))


def test_a_large_one_is_refused_for_its_memory() -> None:
    tags = tags_for(9000, 9000, [64] * 3, 2)
    tags[339] = (3, [3] * 3)
    with pytest.raises(ImageError, match="a 9000x9000 image of this kind takes"):
        read_image(tiff(tags, bytes(100)))
