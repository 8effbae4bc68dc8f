"""Corruptions: what each does, by how much, and as images that are made when they are read."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from synthetic import textured

from cvbow.backends import CensusPyramid
from cvbow.images import content_hash, read_image
from cvbow.images.corruptions import CORRUPTIONS, STRENGTHS, CorruptedImage, corrupt


def gray(value: int, height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    return np.full((height, width), value, np.uint8)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_gets_worse_with_its_strength(kind: str) -> None:
    image = np.repeat(textured(80, 100)[..., None], 3, axis=2)
    image[..., 1] //= 2
    before = image.copy()
    errors = []
    for strength in STRENGTHS:
        worse = corrupt(image, kind, strength, seed=3)
        assert worse.shape == image.shape
        assert worse.dtype == np.uint8
        np.testing.assert_array_equal(corrupt(image, kind, strength, seed=3), worse)
        errors.append(np.abs(worse.astype(float) - image).mean())
    np.testing.assert_array_equal(image, before)
    assert errors[0] > 0
    # Rotated texture is no more like itself at 10 degrees than at 45.
    if kind not in ("rotation", "zoom"):
        assert errors == sorted(errors)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_takes_the_smallest_images(kind: str) -> None:
    for image in (gray(7, 1, 1), gray(7, 1, 9), np.zeros((2, 3, 3), np.uint8)):
        assert corrupt(image, kind, 5).shape == image.shape


def test_amounts() -> None:
    noise = corrupt(gray(128, 200, 200), "noise", 1).astype(float) - 128
    assert noise.std() == pytest.approx(255 * 0.08, rel=0.03)
    assert abs(noise.mean()) < 0.5
    assert (corrupt(gray(100), "brightness", 2) == 151).all()
    assert (corrupt(gray(250), "brightness", 2) == 255).all()
    halves = np.hstack([gray(50, 10, 10), gray(150, 10, 10)])
    assert np.unique(corrupt(halves, "contrast", 3)).tolist() == [90, 110]
    hidden = corrupt(gray(0, 100, 100), "occlusion", 2, seed=5)
    assert (hidden == 128).mean() == pytest.approx(0.1, abs=0.005)
    square = np.pad(gray(255, 21, 21), 30)
    blurred = corrupt(square, "blur", 4).astype(float)
    across = (np.arange(81) - 40) ** 2
    spread = [shape.sum(axis=0) @ across / shape.sum() for shape in (blurred, square.astype(float))]
    assert np.sqrt(spread[0] - spread[1]) == pytest.approx(4, rel=0.05), "variances add up"
    zoomed = corrupt(np.pad(gray(255, 20, 20), 20), "zoom", 5)
    assert (zoomed > 127).mean() == pytest.approx(4 * 400 / 3600, rel=0.1)


def test_rotation_turns_about_the_middle_in_either_direction() -> None:
    bar = np.zeros((101, 101), np.uint8)
    bar[48:53, 10:91] = 255
    slopes = set()
    for seed in range(6):
        rows, columns = np.nonzero(corrupt(bar, "rotation", 5, seed=seed) > 127)
        assert rows.mean() == pytest.approx(50, abs=1)
        assert columns.mean() == pytest.approx(50, abs=1)
        slopes.add(round(float(np.polyfit(columns, rows, 1)[0])))
    assert slopes == {-1, 1}


def test_jpeg_keeps_the_order_of_channels() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:] = 200, 100, 30
    worse = corrupt(image, "jpeg", 5).astype(int)
    assert (worse[..., 0] > worse[..., 1]).all()
    assert (worse[..., 1] > worse[..., 2]).all()


def test_as_an_image_that_is_made_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = textured(40, 50)
    Image.fromarray(pixels).save(path)
    lazy = CorruptedImage(path, "noise", 3, seed=4)
    expected = corrupt(pixels, "noise", 3, seed=4)
    for image in (lazy, lazy.loaded(), pickle.loads(pickle.dumps(lazy)), CorruptedImage(pixels, "noise", 3, seed=4)):
        np.testing.assert_array_equal(read_image(image), expected)
    assert lazy.name == lazy.loaded().name == str(path)
    keys = {
        content_hash(CorruptedImage(path, kind, strength, seed=seed))
        for kind in ("noise", "blur")
        for strength in (1, 2)
        for seed in (0, 1)
    }
    assert len(keys) == 8
    assert content_hash(lazy) == content_hash(lazy.loaded())
    census = CensusPyramid(grids=("1x1",), memory=tmp_path / "cache").fit([path])
    for _ in range(2):
        np.testing.assert_array_equal(census.transform([lazy, path]), census.transform([expected, pixels]))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of noise, blur, jpeg, .*, got 'fog'"):
        corrupt(gray(1), "fog", 1)
    with pytest.raises(ValueError, match="strength must be one of 1, 2, 3, 4, 5, got 0"):
        corrupt(gray(1), "blur", 0)
    with pytest.raises(ValueError, match="seed must be an integer >= 0, got -1"):
        corrupt(gray(1), "blur", 1, seed=-1)
