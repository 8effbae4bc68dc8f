"""CensusPyramid against a plain oracle, by hand, and against the image it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.base import clone
from synthetic import textured

from cvbow import storage
from cvbow.backends import CensusPyramid
from cvbow.backends.census import _partition

Pixels = NDArray[np.uint8]
OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def plain(**parameters: Any) -> CensusPyramid:
    return CensusPyramid(**{"radii": (1,), "grids": ("1x1",), "smoothing": 0, "threshold": 0} | parameters)


def vector_of(encoder: CensusPyramid, image: Pixels) -> NDArray[np.float32]:
    return encoder.transform([image])[0]


def reflected(i: int, length: int) -> int:
    """Position on an axis that goes on as its own reflection, without repeating the last pixel."""
    if length == 1:
        return 0
    i %= 2 * (length - 1)
    return min(i, 2 * (length - 1) - i)


def pattern(image: NDArray[Any], y: int, x: int, radius: int, threshold: float) -> int:
    height, width = image.shape
    code = 0
    for bit, (dy, dx) in enumerate(OFFSETS):
        neighbor = image[reflected(y + radius * dy, height), reflected(x + radius * dx, width)]
        code += int(neighbor > float(image[y, x]) + threshold) << bit
    return code


def oracle(
    image: NDArray[Any], radii: tuple[int, ...], grids: list[tuple[int, int]], threshold: float, root: bool
) -> NDArray[np.float64]:
    """The vector without smoothing, pixel by pixel."""
    height, width = image.shape
    parts = []
    for radius in radii:
        for columns, rows in grids:
            counts = np.zeros((rows, columns, 256))
            for y in range(height):
                for x in range(width):
                    cell = int((y + 0.5) * rows / height), int((x + 0.5) * columns / width)
                    counts[cell][pattern(image, y, x, radius, threshold)] += 1
            total = np.maximum(counts.sum(axis=2, keepdims=True), 1)
            parts.append((counts / total / (len(radii) * len(grids) * rows * columns)).ravel())
    vector = np.concatenate(parts)
    return np.sqrt(vector) if root else vector


def test_patterns_by_hand() -> None:
    # In the middle the neighbours 9, 8 (above), 7 (left) and 6 (below right) are brighter than 5: bits 0, 2, 3, 7.
    image = np.array([[9, 5, 8], [7, 5, 5], [1, 2, 6]], np.uint8)
    codes = plain()._codes(image, 1)
    assert codes[1, 1] == 1 + 4 + 8 + 128
    # Brighter by more than 2: 9 and 8. By more than 3: 9 alone.
    assert plain(threshold=2)._codes(image, 1)[1, 1] == 1 + 4
    assert plain(threshold=3)._codes(image, 1)[1, 1] == 1
    # Beyond the corner the image is its reflection: the 5 in the middle lies all around, and 9 is brighter than all.
    assert codes[0, 0] == 0
    # Around the 1: above it 7, to its right 2, above and below right 5; reflected to the left and below.
    assert codes[2, 0] == 0b11111111


def test_a_dark_pixel_among_bright_ones() -> None:
    image = np.full((9, 9), 200, np.uint8)
    image[4, 4] = 10
    vector = vector_of(plain(root=False), image)
    # One pixel sees only brighter ones; nobody else sees a brighter one.
    assert vector[255] == pytest.approx(1 / 81)
    assert vector[0] == pytest.approx(80 / 81)


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("shape", [(20, 31), (7, 5), (3, 40), (1, 1), (2, 9)])
def test_against_the_oracle(shape: tuple[int, int], root: bool) -> None:
    image = np.random.default_rng(0).integers(0, 40, shape).astype(np.uint8)
    encoder = plain(radii=(1, 3), grids=("1x1", "2x3", (3, 2)), threshold=4.5, root=root)
    expected = oracle(image, (1, 3), [(1, 1), (2, 3), (3, 2)], 4.5, root)
    np.testing.assert_allclose(vector_of(encoder, image), expected, rtol=1e-6, atol=1e-9)


def test_smoothing_is_a_gaussian_in_proportion_to_the_radius() -> None:
    image = textured(40, 50)
    smooth = gaussian_filter(image.astype(float), 2.0, mode="mirror", truncate=6)
    expected = oracle(smooth, (4,), [(1, 1)], 3, False)
    found = vector_of(CensusPyramid(radii=(4,), grids=("1x1",), smoothing=0.5, threshold=3, root=False), image)
    # Kept in steps of 1/256 of a gray level, a few neighbours fall on the other side of the threshold.
    assert np.abs(found - expected).sum() < 0.05
    assert np.abs(found - oracle(image, (4,), [(1, 1)], 3, False)).sum() > 0.2


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    grids=st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=3),
)
def test_every_pixel_is_in_one_cell_of_every_grid(height: int, width: int, grids: list[tuple[int, int]]) -> None:
    label, member = _partition(height, width, tuple(grids))
    assert label.shape == (height, width)
    start = 0
    for columns, rows in grids:
        cells = member[start : start + columns * rows]
        np.testing.assert_array_equal(cells.sum(axis=0), 1)
        y, x = np.indices((height, width)) + 0.5
        cell = (y * rows // height * columns + x * columns // width).astype(int)
        np.testing.assert_array_equal(cells[:, label // 256].argmax(axis=0), cell)
        start += columns * rows


def test_each_radius_and_each_grid_has_the_same_share() -> None:
    image = textured(64, 48)
    encoder = CensusPyramid()
    squares = vector_of(encoder, image).astype(float) ** 2
    assert encoder.vector_length == 3 * 21 * 256 == len(squares)
    by_radius = squares.reshape(3, 21, 256).sum(axis=2)
    np.testing.assert_allclose(by_radius[:, 0], 1 / 9, rtol=1e-5)
    np.testing.assert_allclose(by_radius[:, 1:5], 1 / 36, rtol=1e-5)
    np.testing.assert_allclose(by_radius[:, 5:], 1 / 144, rtol=1e-5)
    shares = vector_of(CensusPyramid(root=False), image)
    np.testing.assert_allclose(shares, squares, atol=1e-7)


def test_brightness_and_contrast_do_not_matter() -> None:
    image = textured(40, 40) // 2
    encoder = plain(radii=(1, 2))
    np.testing.assert_array_equal(vector_of(encoder, image), vector_of(encoder, image + 60))
    np.testing.assert_array_equal(vector_of(encoder, image), vector_of(encoder, image * 2))


def test_a_colour_image_is_taken_as_gray() -> None:
    image = textured(40, 40)
    encoder = CensusPyramid()
    colour = np.repeat(image[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(vector_of(encoder, colour), vector_of(encoder, image))
    assert encoder.gray_only


# The mirror.


@pytest.mark.parametrize("width", [48, 40])
def test_the_mirrored_counts_are_those_of_the_mirrored_image(width: int) -> None:
    image = textured(33, width)
    encoder = CensusPyramid(grids=("1x1", "4x3"), mirror=True)
    turned = np.ascontiguousarray(image[:, ::-1])
    np.testing.assert_array_equal(vector_of(encoder, image), vector_of(encoder, turned))
    alone = clone(encoder).set_params(mirror=False)
    # Each cell's histogram keeps its length.
    cells = (vector_of(alone, image) + vector_of(alone, turned)).reshape(-1, 256)
    lengths = np.linalg.norm(vector_of(alone, image).reshape(-1, 256), axis=1, keepdims=True)
    mean = (cells / np.linalg.norm(cells, axis=1, keepdims=True) * lengths).ravel()
    assert np.abs(vector_of(alone, image) - vector_of(alone, turned)).max() > 0.01
    np.testing.assert_allclose(vector_of(encoder, image), mean, rtol=1e-5, atol=1e-7)
    assert np.linalg.norm(vector_of(encoder, image)) == pytest.approx(1, rel=1e-6)


def test_shares_of_an_image_and_its_mirror_still_sum_to_one() -> None:
    vector = vector_of(CensusPyramid(root=False, mirror=True), textured(32, 48))
    assert vector.sum() == pytest.approx(1, rel=1e-5)


# Images of any size.


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 3), (5, 5), (700, 20)])
@pytest.mark.parametrize("mirror", [True, False])
def test_small_and_narrow_images(shape: tuple[int, int], mirror: bool) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    encoder = CensusPyramid(radii=(1, 9), mirror=mirror)
    vector = vector_of(encoder, image)
    assert np.isfinite(vector).all()
    assert vector.shape == (encoder.vector_length,)
    assert 0 < np.linalg.norm(vector) <= 1 + 1e-6


def test_one_colour_has_one_pattern() -> None:
    encoder = CensusPyramid(radii=(2,), grids=("1x1",))
    for value in (0, 77, 255):
        vector = vector_of(encoder, np.full((20, 30), value, np.uint8))
        np.testing.assert_array_equal(np.flatnonzero(vector), [0])
        encoded = encoder.encode_images([np.full((20, 30), value, np.uint8)])
        assert "one colour" in encoded.doubtful[0].reason


def test_a_large_image_is_shrunk_first() -> None:
    image = textured(120, 160)
    large = np.repeat(np.repeat(image, 3, axis=0), 3, axis=1)
    encoder = CensusPyramid(max_side=160)
    np.testing.assert_array_equal(vector_of(encoder, large), vector_of(encoder, image))
    assert np.abs(vector_of(CensusPyramid(max_side=None), large) - vector_of(encoder, image)).max() > 0.05


# What every backend keeps.


def test_any_number_of_workers_and_a_cache_give_the_same_vectors(tmp_path: Path) -> None:
    images = [textured(30, 40, seed) for seed in range(5)]
    expected = CensusPyramid().fit(images).transform(images)
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(CensusPyramid(n_jobs=2).transform(images), expected)
    for _ in range(2):
        np.testing.assert_array_equal(CensusPyramid(memory=tmp_path).transform(images), expected)
    # Other parameters are other entries.
    other = CensusPyramid(memory=tmp_path, threshold=5).transform(images)
    np.testing.assert_array_equal(other, CensusPyramid(threshold=5).transform(images))
    assert np.abs(other - expected).max() > 0.01


def test_the_cache_does_not_depend_on_workers() -> None:
    key = CensusPyramid().fingerprint()
    assert CensusPyramid(n_jobs=2, memory="somewhere").fingerprint() == key
    assert CensusPyramid(mirror=True).fingerprint() != key


def test_save_and_load(tmp_path: Path) -> None:
    images = [textured(30, 40)]
    encoder = CensusPyramid(radii=(2,), mirror=True, n_jobs=2).fit(images)
    storage.save(tmp_path / "census", kind="backend", state=encoder, metadata={})
    loaded = storage.load(tmp_path / "census", kind="backend").state
    assert loaded.get_params() == encoder.get_params() | {"n_jobs": None}
    np.testing.assert_array_equal(loaded.transform(images), encoder.transform(images))


def test_the_image_is_not_changed() -> None:
    image = textured(30, 40)
    image.flags.writeable = False
    CensusPyramid(mirror=True).transform([image])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"radii": ()}, "radii must be a sequence of at least one integer"),
        ({"radii": (0,)}, "radii must be an integer >= 1, got 0"),
        ({"radii": 2}, "radii must be a sequence"),
        ({"grids": "2x2"}, "grids must be a sequence"),
        ({"grids": ("2by2",)}, "grids must hold grids like '2x2'"),
        ({"smoothing": -1}, "smoothing must be a number >= 0"),
        ({"threshold": 256}, "threshold must be a number >= 0 and <= 255, got 256"),
        ({"root": 1}, "root must be True or False, got 1"),
        ({"mirror": "yes"}, "mirror must be True or False, got 'yes'"),
        ({"max_side": 0}, "max_side must be None or an integer >= 1, got 0"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CensusPyramid(**parameters).fit([textured(20, 20)])
