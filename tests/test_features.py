"""What every extractor promises: the Features it returns, the images it takes, the sizes it works at."""

from __future__ import annotations

import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.base import clone
from synthetic import textured

from cvbow.features import SIFT, DenseSIFT, Extractor, Features

EXTRACTORS = [
    pytest.param(DenseSIFT(), id="dense-sift"),
    pytest.param(DenseSIFT(window="gaussian", root=False, bin_sizes=[5], step=3), id="dense-sift-gaussian"),
    pytest.param(SIFT(), id="sift"),
    pytest.param(SIFT(root=False, max_points=7), id="sift-capped"),
]
each_extractor = pytest.mark.parametrize("extractor", EXTRACTORS)


def same(a: Features, b: Features) -> bool:
    return (
        np.array_equal(a.points, b.points)
        and np.array_equal(a.descriptors, b.descriptors)
        and a.image_size == b.image_size
    )


def blob(height: int, width: int, x: float, y: float, sigma: float) -> np.ndarray:
    """A bright Gaussian blob on gray."""
    rows, columns = np.indices((height, width))
    gray = 60 + 150 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.rint(gray).astype(np.uint8)


# Features

FLOATS = np.zeros((3, 4), np.float32)


def test_features_hold_what_they_are_given() -> None:
    points, descriptors = np.zeros((3, 4), np.float32), np.zeros((3, 32), np.uint8)
    features = Features(points, descriptors, (20, 10))
    assert len(features) == 3
    assert features.points is points
    assert features.descriptors is descriptors
    with pytest.raises(AttributeError):
        features.image_size = (1, 1)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("points", "descriptors", "message"),
    [
        (np.zeros((3, 4)), FLOATS, "points must be float32 of shape (n, 4), got float64 of shape (3, 4)"),
        (FLOATS[:, :2], FLOATS, "points must be float32 of shape (n, 4), got float32 of shape (3, 2)"),
        (FLOATS[0], FLOATS, "points must be float32 of shape (n, 4), got float32 of shape (4,)"),
        (FLOATS, np.zeros((3, 8)), "descriptors must be float32 or uint8 of shape (n, k), got float64 of shape (3, 8)"),
        (FLOATS, FLOATS[:, 0], "descriptors must be float32 or uint8 of shape (n, k), got float32 of shape (3,)"),
        (FLOATS, FLOATS[:2], "points and descriptors must have one row per point, got 3 and 2"),
    ],
)
def test_features_refuse_what_does_not_fit(points: Any, descriptors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Features(points, descriptors, (10, 10))


def test_take_gives_rows_in_the_order_asked_for() -> None:
    points = np.arange(20, dtype=np.float32).reshape(5, 4)
    descriptors = np.arange(10, dtype=np.float32).reshape(5, 2)
    taken = Features(points, descriptors, (9, 8)).take(np.array([3, 0, 3]))
    assert np.array_equal(taken.points, points[[3, 0, 3]])
    assert np.array_equal(taken.descriptors, descriptors[[3, 0, 3]])
    assert taken.image_size == (9, 8)
    assert len(Features(points, descriptors, (9, 8)).take(np.zeros(0, np.intp))) == 0


def test_with_descriptors_keeps_the_points() -> None:
    features = Features(np.ones((2, 4), np.float32), np.zeros((2, 8), np.float32), (5, 6))
    other = features.with_descriptors(np.ones((2, 3), np.float32))
    assert other.points is features.points
    assert other.descriptors.shape == (2, 3)
    assert other.image_size == (5, 6)
    with pytest.raises(ValueError, match="one row per point, got 2 and 1"):
        features.with_descriptors(np.ones((1, 3), np.float32))


def test_features_survive_a_pickle() -> None:
    features = SIFT(max_points=5).extract(textured(60, 70))
    assert same(pickle.loads(pickle.dumps(features)), features)


# Images


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8)), "image must be a uint8 array, got float64"),
        (np.zeros((8, 8), np.int16), "image must be a uint8 array, got int16"),
        (np.zeros((8, 8), bool), "image must be a uint8 array, got bool"),
        ([[1, 2], [3, 4]], "image must be a uint8 array, got list"),
        (None, "image must be a uint8 array, got NoneType"),
        ("cat.jpg", "image must be a uint8 array, got str"),
        (np.zeros((0, 5), np.uint8), "image must have at least one pixel, got shape (0, 5)"),
        (np.zeros((5, 0, 3), np.uint8), "image must have at least one pixel, got shape (5, 0, 3)"),
        (np.zeros(9, np.uint8), "image must have shape (H, W) or (H, W, 3), got (9,)"),
        (np.zeros((8, 8, 4), np.uint8), "image must have shape (H, W) or (H, W, 3), got (8, 8, 4)"),
        (np.zeros((8, 8, 1), np.uint8), "image must have shape (H, W) or (H, W, 3), got (8, 8, 1)"),
        (np.zeros((2, 8, 8, 3), np.uint8), "image must have shape (H, W) or (H, W, 3), got (2, 8, 8, 3)"),
    ],
)
@each_extractor
def test_what_is_not_an_image_is_refused(extractor: Extractor, image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        extractor.extract(image)


@each_extractor
def test_a_colour_image_gives_what_its_gray_gives(extractor: Extractor) -> None:
    red, green, blue = (textured(60, 77, seed) for seed in range(3))
    rgb = np.dstack([red, green, blue])
    expected = extractor.extract(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    assert same(extractor.extract(rgb), expected)
    assert len(expected) > 0
    assert same(extractor.extract(np.dstack([red, red, red])), extractor.extract(red))


@each_extractor
@pytest.mark.parametrize("limit", [{}, {"max_side": 50}, {"min_side": 120}])
def test_an_image_is_not_changed(extractor: Extractor, limit: dict[str, int]) -> None:
    extractor = clone(extractor).set_params(**limit)
    for image in (textured(60, 77), np.dstack([textured(60, 77)] * 3)):
        before = image.copy()
        expected = extractor.extract(image)
        assert np.array_equal(image, before)
        image.flags.writeable = False
        assert same(extractor.extract(image), expected)


@each_extractor
def test_the_layout_of_the_memory_does_not_matter(extractor: Extractor) -> None:
    image = textured(60, 77)
    expected = extractor.extract(image)
    wide = np.zeros((120, 154), np.uint8)
    wide[::2, ::2] = image
    turned = np.ascontiguousarray(image[::-1, ::-1])
    for view in (np.asfortranarray(image), wide[::2, ::2], turned[::-1, ::-1]):
        assert same(extractor.extract(view), expected)


@each_extractor
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (3, 5), (8, 8)])
def test_a_tiny_image_gives_the_right_shapes(extractor: Extractor, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    features = extractor.extract(image)
    assert features.points.shape == (len(features), 4)
    assert features.descriptors.shape == (len(features), 128)
    assert features.points.dtype == features.descriptors.dtype == np.float32
    assert features.image_size == shape[::-1]
    if min(shape) < 4:
        assert len(features) == 0


@each_extractor
def test_shapes_dtypes_and_lengths(extractor: Extractor) -> None:
    features = extractor.extract(textured(90, 101))
    assert len(features) > 0
    assert features.points.shape == (len(features), 4)
    assert features.descriptors.shape == (len(features), extractor.descriptor_size)
    assert features.points.dtype == features.descriptors.dtype == np.float32
    assert features.image_size == (101, 90)
    assert (features.points[:, :2] >= 0).all()
    assert (features.points[:, :2] <= (100, 89)).all()
    assert (features.points[:, 2] > 0).all()
    assert features.descriptors.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-5)


# A scikit-learn estimator


@each_extractor
def test_parameters_are_stored_as_they_come(extractor: Extractor) -> None:
    copy = clone(extractor)
    assert copy is not extractor
    assert copy.get_params() == extractor.get_params()
    changed = clone(extractor).set_params(max_side=33)
    assert changed.max_side == 33
    assert repr(changed).startswith(type(extractor).__name__)


@each_extractor
def test_a_pickle_and_a_second_run_extract_the_same(extractor: Extractor) -> None:
    image = textured(60, 77)
    expected = extractor.extract(image)
    copy = pickle.loads(pickle.dumps(extractor))
    assert copy.get_params() == extractor.get_params()
    assert same(copy.extract(image), expected)
    assert same(extractor.extract(image), expected)


@each_extractor
def test_threads_may_share_an_extractor(extractor: Extractor) -> None:
    images = [textured(60 + 3 * seed, 77, seed) for seed in range(8)]
    expected = [extractor.extract(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert all(map(same, pool.map(extractor.extract, images), expected))


def test_the_parameters_are_keyword_only() -> None:
    for kind in (DenseSIFT, SIFT):
        with pytest.raises(TypeError, match="positional"):
            kind(4)


@each_extractor
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_side": 0}, "min_side must be None or an integer >= 1, got 0"),
        ({"min_side": 10.5}, "min_side must be None or an integer >= 1, got 10.5"),
        ({"max_side": -5}, "max_side must be None or an integer >= 1, got -5"),
        ({"max_side": "480"}, "max_side must be None or an integer >= 1, got '480'"),
        ({"max_side": True}, "max_side must be None or an integer >= 1, got True"),
        ({"min_side": 300, "max_side": 200}, "min_side must not exceed max_side, got 300 and 200"),
    ],
)
def test_bad_sides_are_refused(extractor: Extractor, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        clone(extractor).set_params(**parameters).extract(textured(40, 40))


# Working sizes


@pytest.mark.parametrize(
    ("limits", "shape", "working"),
    [
        ({"min_side": None, "max_side": None}, (300, 500), (300, 500)),
        ({"min_side": None, "max_side": 250}, (300, 500), (150, 250)),
        ({"min_side": None, "max_side": 500}, (300, 500), (300, 500)),
        ({"min_side": 300, "max_side": None}, (300, 500), (300, 500)),
        ({"min_side": 600, "max_side": None}, (300, 500), (600, 1000)),
        ({"min_side": 600, "max_side": 800}, (300, 500), (480, 800)),
        ({"min_side": 200, "max_side": 250}, (300, 500), (150, 250)),
        ({"min_side": None, "max_side": 100}, (1000, 2), (100, 1)),
    ],
)
def test_the_working_size_keeps_the_limits_and_the_proportions(
    limits: dict[str, int | None], shape: tuple[int, int], working: tuple[int, int]
) -> None:
    extractor = DenseSIFT(**limits)  # type: ignore[arg-type]
    assert extractor._to_working_size(np.zeros(shape, np.uint8)).shape == working


@pytest.mark.parametrize("limits", [{"max_side": 120}, {"min_side": 450}])
def test_sift_finds_a_blob_where_and_as_large_as_it_is(limits: dict[str, int]) -> None:
    image = blob(180, 240, x=150.0, y=70.0, sigma=7.0)
    as_it_is = SIFT().extract(image)
    resized = SIFT(**limits).extract(image)  # type: ignore[arg-type]
    assert resized.image_size == as_it_is.image_size == (240, 180)
    for features in (as_it_is, resized):
        nearest = np.hypot(*(features.points[:, :2] - (150, 70)).T).argmin()
        np.testing.assert_allclose(features.points[nearest, :2], (150, 70), atol=0.1)
        # The scale of a blob is its standard deviation, the size a diameter.
        np.testing.assert_allclose(features.points[nearest, 2], 2 * 7.0, rtol=0.15)


@pytest.mark.parametrize("limits", [{"max_side": 100}, {"min_side": 300}, {"max_side": 87}])
def test_dense_sift_puts_an_edge_where_it_is(limits: dict[str, int]) -> None:
    image = np.full((150, 200), 60, np.uint8)
    image[:, 130:] = 180  # between the columns 129 and 130
    features = DenseSIFT(bin_sizes=(4,), step=1, **{"max_side": None, **limits}).extract(image)  # type: ignore[arg-type]
    sees = features.descriptors.any(axis=1)
    assert 0 < sees.sum() < len(features)
    scale = features.points[0, 2] / 16
    np.testing.assert_allclose(scale, 200 / limits.get("max_side", 400), rtol=0.01)
    # To a fraction of a pixel of the working size.
    np.testing.assert_allclose(features.points[sees, 0].mean(), 129.5, atol=0.25 * scale)
    # As far as a patch of four bins and the triangles' feet reaches, smoothing aside.
    assert np.abs(features.points[sees, 0] - 129.5).max() <= 10.5 * scale + 1


def test_points_of_a_shrunk_image_are_those_of_its_copy_scaled() -> None:
    image = textured(301, 401)
    extractor = DenseSIFT(bin_sizes=(4, 6), max_side=200)
    features = extractor.extract(image)
    small = extractor.extract(cv2.resize(image, (200, 150), interpolation=cv2.INTER_AREA))
    assert np.array_equal(features.descriptors, small.descriptors)
    np.testing.assert_allclose(features.points[:, 0], (small.points[:, 0] + 0.5) * 401 / 200 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(features.points[:, 1], (small.points[:, 1] + 0.5) * 301 / 150 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(features.points[:, 2], small.points[:, 2] * 2.0058, rtol=1e-3)
    assert features.image_size == (401, 301)
