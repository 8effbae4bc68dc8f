"""Blobs of known place and size, corners against their formula, regions and the grid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from synthetic import textured

from cvbow.features import make_detector
from cvbow.features.corners import HarrisDetector

BLOBS = ("log", "dog", "doh")


def gaussian_blob(x: float, y: float, sigma: float, height: float = 120.0) -> NDArray[np.uint8]:
    rows, columns = np.indices((160, 200))
    blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    pixels: NDArray[np.uint8] = np.rint(64 + max(0.0, -height) + height * blob).astype(np.uint8)
    return pixels


@pytest.mark.parametrize("name", BLOBS)
@pytest.mark.parametrize("sigma", [2.5, 4.0, 6.3, 11.0])
@pytest.mark.parametrize("height", [120.0, -120.0])
def test_a_gaussian_blob_is_found_where_it_is_and_as_large_as_it_is(name: str, sigma: float, height: float) -> None:
    found = make_detector(name).detect(gaussian_blob(90.3, 71.7, sigma, height), limit=1)
    x, y, size, angle = found.points[0]
    assert np.hypot(x - 90.3, y - 71.7) < 0.05 * sigma
    # The size is 2 sqrt(2) sigma; the kernels' and the pixels' own width counts most for a small blob.
    assert abs(size / (2 * np.sqrt(2) * sigma) - 1) < 0.07
    assert angle == -1
    # Half the blob's height, or a quarter for the determinant.
    assert abs(found.responses[0] / (120 * (0.25 if name == "doh" else 0.5)) - 1) < 0.15


@pytest.mark.parametrize("name", BLOBS)
def test_a_disk_has_its_diameter(name: str) -> None:
    y, x = np.indices((160, 200))
    disk = np.where(np.hypot(x - 100, y - 80) <= 20, 200, 50).astype(np.uint8)
    found = make_detector(name).detect(disk)
    near = np.hypot(*(found.points[:, :2] - (100, 80)).T) < 1.5
    # The largest there is the disk itself.
    best = found.points[near][np.argmax(found.responses[near])]
    assert abs(best[2] / 40 - 1) < 0.12


@pytest.mark.parametrize("name", BLOBS)
def test_blobs_of_a_turned_image_are_turned(name: str) -> None:
    image = np.rint(ndimage.gaussian_filter(textured(129, 129, 3).astype(float), 1)).astype(np.uint8)
    detector = make_detector(name).set_params(max_sigma=6.0)
    found, turned = detector.detect(image), detector.detect(np.ascontiguousarray(np.rot90(image)))
    back = np.column_stack([128 - turned.points[:, 1], turned.points[:, 0], turned.points[:, 2]])
    assert len(found) > 10
    distances = np.linalg.norm(found.points[:, None, :3] - back[None], axis=2).min(axis=1)
    assert np.mean(distances < 0.02) > 0.95


def test_an_edge_is_no_blob() -> None:
    image = np.tile(np.repeat(np.array([40, 200], np.uint8), 80), (160, 1))
    for name in BLOBS:
        assert len(make_detector(name).detect(image)) == 0
    assert (make_detector("log").set_params(max_sigma=5.0).detect(textured(120, 120)).points[:, 2] <= 14.2).all()


def slow_harris(image: NDArray[np.uint8], k: float) -> NDArray[np.float64]:
    whole = image.astype(float)
    dx = ndimage.correlate1d(ndimage.correlate1d(whole, [-1, 0, 1], 1, mode="mirror"), [1, 2, 1], 0, mode="mirror")
    dy = ndimage.correlate1d(ndimage.correlate1d(whole, [-1, 0, 1], 0, mode="mirror"), [1, 2, 1], 1, mode="mirror")
    box = [ndimage.uniform_filter(each, 3, mode="mirror") for each in (dx * dx, dy * dy, dx * dy)]
    cornerness: NDArray[np.float64] = box[0] * box[1] - box[2] ** 2 - k * (box[0] + box[1]) ** 2
    return cornerness


def test_harris_corners_are_the_maxima_of_the_formula() -> None:
    image = textured(70, 90)
    expected = slow_harris(image, 0.05)
    found = HarrisDetector(k=0.05, subpixel=False, min_distance=0, quality=0.01).detect(image)
    x, y = found.points[:, :2].astype(int).T
    ratio = found.responses / expected[y, x]
    assert np.ptp(ratio) < 1e-3 * ratio.mean()
    maxima = (expected == ndimage.maximum_filter(expected, 3)) & (expected > 0.01 * expected.max())
    maxima[[0, -1]] = maxima[:, [0, -1]] = False
    assert {(int(a), int(b)) for a, b in zip(y, x, strict=True)} == set(
        zip(*map(list, np.nonzero(maxima)), strict=True)
    )


@pytest.mark.parametrize("name", ["harris", "shi-tomasi", "fast", "agast"])
def test_a_square_has_four_corners_to_parts_of_a_pixel(name: str) -> None:
    # Eight times as large, then averaged: corners at parts of a pixel.
    large = np.full((800, 800), 60.0)
    large[244:524, 203:563] = 180
    image = np.rint(ndimage.gaussian_filter(large.reshape(100, 8, 100, 8).mean(axis=(1, 3)), 0.7)).astype(np.uint8)
    corners = np.array([(x / 8 - 0.5, y / 8 - 0.5) for x in (203, 563) for y in (244, 524)])
    detector = make_detector(name).set_params(subpixel=True)
    found = detector.detect(image)
    nearest = np.linalg.norm(corners[:, None] - found.points[None, :, :2], axis=2).min(axis=1)
    assert nearest.max() < 0.35
    whole = detector.set_params(subpixel=False).detect(image)
    np.testing.assert_array_equal(whole.points[:, :2], np.rint(whole.points[:, :2]))


def test_regions_have_their_centre_and_size() -> None:
    y, x = np.indices((120, 160))
    image = np.full((120, 160), 90, np.uint8)
    image[np.hypot(x - 50, y - 60) <= 15] = 200
    image[(np.abs(x - 120) <= 10) & (np.abs(y - 40) <= 20)] = 30
    found = make_detector("mser").detect(image)
    for center, diameter, contrast in (((50, 60), 31, 110), ((120, 40), 2 * (21 * 41 / 3) ** 0.5 * 2 / 2, 0)):
        distance = np.linalg.norm(found.points[:, :2] - np.array(center), axis=1)
        best = int(distance.argmin())
        assert distance[best] < 0.1
        assert abs(found.points[best, 2] / diameter - 1) < 0.05
        # The box of the rectangle is full: there is nothing beside it to compare with.
        assert found.responses[best] == pytest.approx(contrast, abs=1)


def test_simple_blobs() -> None:
    y, x = np.indices((100, 100))
    image = np.rint(np.clip(125 + 20 * (np.hypot(x - 30, y - 40) - 12), 20, 230)).astype(np.uint8)
    found = make_detector("simple-blob").detect(image)
    np.testing.assert_allclose(found.points, [[30, 40, 24, -1]], atol=2)
    assert len(make_detector("simple-blob").set_params(color="bright").detect(image)) == 0
    bright = make_detector("simple-blob").set_params(color="bright", min_circularity=0.5).detect(255 - image)
    np.testing.assert_allclose(bright.points, found.points, atol=4)
    np.testing.assert_allclose(bright.points[0, :2], [30, 40], atol=0.2)


def test_the_grid_lies_in_the_middle_and_inside() -> None:
    found = make_detector("grid").set_params(step=10, point_size=16).detect(np.zeros((40, 61), np.uint8))
    x, y = np.unique(found.points[:, 0]), np.unique(found.points[:, 1])
    np.testing.assert_allclose(x, [10, 20, 30, 40, 50])
    np.testing.assert_allclose(y, [9.5, 19.5, 29.5])
    assert len(found) == 15
    assert len(make_detector("grid").detect(np.zeros((31, 100), np.uint8))) == 0
    limited = make_detector("grid").set_params(step=4, point_size=8).detect(np.zeros((100, 100), np.uint8), limit=50)
    assert len(limited) == 50
    assert np.ptp(limited.points[:, 1]) > 80


@pytest.mark.parametrize("shape", [(100, 100), (100, 60), (52, 196)])
@pytest.mark.parametrize("limit", [12, 48, 50, 96, 150])
def test_a_limit_leaves_no_part_of_the_grid_out(shape: tuple[int, int], limit: int) -> None:
    grid = make_detector("grid").set_params(step=4, point_size=8)
    image = np.zeros(shape, np.uint8)
    every, kept = grid.detect(image).points, grid.detect(image, limit=limit).points
    assert len({tuple(place) for place in kept[:, :2].tolist()}) == limit
    # No point is further from one that stays than a few times the distance of as many evenly spread ones.
    apart = np.linalg.norm(every[:, None, :2] - kept[None, :, :2], axis=2).min(axis=1)
    assert apart.max() < 2 * grid.step * np.sqrt(len(every) / limit)
    np.testing.assert_array_equal(grid.detect(image, limit=len(every)).points, every)
