"""Transforms and normalisation of single images, against SciPy's affine transform, Pillow and plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cvbow.augmentation import AugmentedImage, ImageAugmenter, parse_saved_name
from cvbow.images import content_hash, read_image

#: SciPy's names of the borders that we have; its own "wrap" and "constant" are others.
SCIPY_MODES = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}
EVERYTHING: dict[str, Any] = {
    "rotation_range": 25,
    "width_shift_range": 0.2,
    "height_shift_range": 7,
    "shear_range": 15,
    "zoom_range": (0.6, 1.5),
    "channel_shift_range": 30.0,
    "brightness_range": (0.5, 1.6),
    "horizontal_flip": True,
    "vertical_flip": True,
}


def smooth(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    """An image without steep edges, of the whole range."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    blurred = scipy.ndimage.gaussian_filter(noise, (2.5, 2.5, 0)[: len(shape)], mode="wrap")
    low, high = blurred.min(), blurred.max()
    return np.rint(255 * (blurred - low) / (high - low)).astype(np.uint8)


def oracle(image: NDArray[Any], p: dict[str, Any], mode: str, cval: float) -> NDArray[np.float64]:
    """The geometry as Keras wrote it at first, on (row, column), then flips of what comes out."""
    theta, shear = np.deg2rad(p["theta"]), np.deg2rad(p["shear"])
    m = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    m = m @ [[1, 0, p["tx"]], [0, 1, p["ty"]], [0, 0, 1]]
    m = m @ [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    m = m @ np.diag([p["zx"], p["zy"], 1])
    row, column = image.shape[0] / 2 - 0.5, image.shape[1] / 2 - 0.5
    m = np.array([[1, 0, row], [0, 1, column], [0, 0, 1]]) @ m @ np.array([[1, 0, -row], [0, 1, -column], [0, 0, 1]])
    planes = image.reshape(*image.shape[:2], -1).astype(np.float64)
    out = np.stack(
        [
            scipy.ndimage.affine_transform(
                planes[..., c], m[:2, :2], m[:2, 2], order=1, mode=SCIPY_MODES[mode], cval=cval
            )
            for c in range(planes.shape[2])
        ],
        axis=2,
    )
    if p["flip_horizontal"]:
        out = out[:, ::-1]
    if p["flip_vertical"]:
        out = out[::-1]
    return out.reshape(image.shape)


def tolerance(image: NDArray[Any]) -> float:
    """What a place rounded to 1/32 pixel may change in each axis; OpenCV from 5 on does not round it."""
    import cv2

    if int(cv2.__version__.split(".")[0]) >= 5:
        return 2e-3
    values = image.astype(np.float64)
    # Across a border that wraps or is constant, neighbours may differ by the whole range.
    steepest = max(np.abs(np.diff(values, axis=axis)).max() for axis in (0, 1))
    return float(2 * steepest / 64 + 0.05)


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("shape", [(48, 48), (41, 67, 3), (60, 37, 1)])
def test_the_warp_is_scipys(mode: str, shape: tuple[int, ...]) -> None:
    image = smooth(shape)
    geometry = {k: v for k, v in EVERYTHING.items() if k not in ("channel_shift_range", "brightness_range")}
    augmenter = ImageAugmenter(**geometry, fill_mode=mode, cval=90.0)
    for seed in range(12):
        p = augmenter.get_random_transform(shape, seed)
        expected = oracle(image, p, mode, 90.0)
        slack = (
            tolerance(image)
            if mode != "constant"
            else max(tolerance(image), 165 / 32 if tolerance(image) > 0.01 else 0)
        )
        floats = augmenter.apply_transform(image.astype(np.float32), p)
        assert floats.dtype == np.float32
        np.testing.assert_allclose(floats, expected, atol=slack)
        found = augmenter.apply_transform(image, p)
        assert found.dtype == np.uint8
        assert found.shape == shape
        np.testing.assert_allclose(found, expected, atol=0.5 + slack)


def test_directions_by_hand() -> None:
    image = np.zeros((5, 7), np.uint8)
    image[2, 3] = 200
    apply = ImageAugmenter(fill_mode="constant").apply_transform

    def place(parameters: dict[str, Any], of: NDArray[np.uint8] = image) -> list[list[int]]:
        return np.argwhere(apply(of, parameters) == 200).tolist()

    # What is shown lies tx rows further down, so the picture moves up; ty likewise along the columns.
    assert place({"tx": 1}) == [[1, 3]]
    assert place({"ty": -2}) == [[2, 5]]
    right = np.zeros((7, 7), np.uint8)
    right[3, 5] = 200
    assert place({"theta": 90}, right) == [[5, 3]]  # a quarter turn clockwise
    assert place({"flip_horizontal": True, "ty": 1}) == [[2, 4]]  # flips come after the shift
    # Zoom 2 shows twice as much.
    assert apply(np.arange(5, dtype=np.uint8)[None].repeat(5, 0), {"zy": 2}).tolist()[0] == [0, 0, 2, 4, 0]


def test_height_shift_moves_rows_of_an_image_that_is_not_square() -> None:
    image = smooth((40, 90))
    p = ImageAugmenter(height_shift_range=[5]).get_random_transform(image.shape, 1)
    assert abs(p["tx"]) == 5
    assert p["ty"] == 0
    moved = ImageAugmenter().apply_transform(image, p)
    shift = int(p["tx"])
    rows = np.clip(np.arange(40) + shift, 0, 39)
    assert np.array_equal(moved, image[rows])


def test_nothing_asked_for_changes_nothing() -> None:
    image = smooth((20, 30, 3))
    out = ImageAugmenter().random_transform(image, 3)
    assert np.array_equal(out, image)
    assert not np.shares_memory(out, image)


def test_flips_alone_are_exact() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    both = ImageAugmenter().apply_transform(image, {"flip_horizontal": True, "flip_vertical": True})
    assert np.array_equal(both, image[::-1, ::-1])


def test_many_channels() -> None:
    image = smooth((20, 24, 6)).astype(np.float32)
    p = {"theta": 10.0, "tx": 1.5}
    found = ImageAugmenter().apply_transform(image, p)
    for c in range(6):
        assert np.array_equal(found[..., c], ImageAugmenter().apply_transform(image[..., c], p))


def test_photometry_of_bytes_is_pillows_after_a_clipped_shift() -> None:
    from PIL import Image, ImageEnhance

    image = np.arange(20, 240, dtype=np.uint8).reshape(10, 22)
    for shift, factor in ((None, 0.63), (14.3, None), (-30.0, 1.7), (5.0, 0.0)):
        found = ImageAugmenter().apply_transform(image, {"channel_shift_intensity": shift, "brightness": factor})
        expected = image.astype(np.float64)
        if shift is not None:
            expected = np.rint(np.clip(expected + shift, 20, 239))
        if factor is not None:
            pillow = Image.fromarray(expected.astype(np.uint8))
            expected = np.asarray(ImageEnhance.Brightness(pillow).enhance(factor), np.float64)
        assert np.array_equal(found, expected)


def test_photometry_of_floats() -> None:
    image = np.array([[10.0, 200.0]], np.float32)
    found = ImageAugmenter().apply_transform(image, {"channel_shift_intensity": 20.5, "brightness": 1.5})
    assert found.tolist() == [[45.75, 255.0]]


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_drawn_parameters_lie_in_their_ranges(seed: int, height: int, width: int) -> None:
    p = ImageAugmenter(**EVERYTHING).get_random_transform((height, width, 3), seed)
    assert abs(p["theta"]) <= 25
    assert abs(p["shear"]) <= 15
    assert abs(p["ty"]) <= 0.2 * width
    assert p["tx"] in range(-6, 7)
    assert 0.6 <= p["zx"] <= 1.5
    assert 0.6 <= p["zy"] <= 1.5
    assert abs(p["channel_shift_intensity"]) <= 30
    assert 0.5 <= p["brightness"] <= 1.6


@pytest.mark.parametrize(
    ("given_range", "values"),
    [
        (3, {-2.0, -1.0, 0.0, 1.0, 2.0}),
        ([4, 9], {-9.0, -4.0, 4.0, 9.0}),
        ([0.1, 0.5], {-50.0, -10.0, 10.0, 50.0}),
        (1, {0.0}),
    ],
)
def test_shifts_in_whole_pixels_and_from_a_list(given_range: Any, values: set[float]) -> None:
    augmenter = ImageAugmenter(width_shift_range=given_range)
    drawn = {augmenter.get_random_transform((30, 100), seed)["ty"] for seed in range(200)}
    assert drawn == values


def test_shifts_as_a_share_and_in_pixels() -> None:
    share = [ImageAugmenter(width_shift_range=0.3).get_random_transform((30, 100), s)["ty"] for s in range(300)]
    pixels = [ImageAugmenter(width_shift_range=3.0).get_random_transform((30, 100), s)["ty"] for s in range(300)]
    assert 25 < max(map(abs, share)) <= 30
    assert 2.5 < max(map(abs, pixels)) <= 3
    assert min(share) < 0 < max(share)


def test_flips_come_half_of_the_time_and_apart() -> None:
    augmenter = ImageAugmenter(horizontal_flip=True, vertical_flip=True)
    drawn = [augmenter.get_random_transform((4, 4), seed) for seed in range(1000)]
    pairs = [(p["flip_horizontal"], p["flip_vertical"]) for p in drawn]
    for pair in ((False, False), (False, True), (True, False), (True, True)):
        assert 180 < pairs.count(pair) < 320


def test_seeds() -> None:
    augmenter, image = ImageAugmenter(**EVERYTHING), smooth((30, 30))
    before = np.random.get_state()[1].copy()  # type: ignore[union-attr,index]
    assert np.array_equal(augmenter.random_transform(image, 5), augmenter.random_transform(image, 5))
    assert not np.array_equal(augmenter.random_transform(image, 5), augmenter.random_transform(image, 6))
    assert augmenter.get_random_transform((9, 9)) != augmenter.get_random_transform((9, 9))
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]


def test_inputs_stay_as_they_are() -> None:
    image = smooth((30, 20, 3)).astype(np.float32)
    kept = image.copy()
    augmenter = ImageAugmenter(**EVERYTHING, rescale=0.1, samplewise_center=True, preprocessing_function=_in_place)
    augmenter.random_transform(image, 0)
    augmenter.standardize(image)
    assert np.array_equal(image, kept)


def _in_place(x: NDArray[np.float32]) -> NDArray[np.float32]:
    x += 1
    return x


def test_standardize_in_keras_order() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)
    augmenter = ImageAugmenter(
        preprocessing_function=lambda x: x + 3,
        rescale=1 / 255,
        samplewise_std_normalization=True,
        featurewise_std_normalization=True,
    ).fit(images)
    scaled = images / 255
    mean, std = scaled.mean(axis=(0, 1, 2)), scaled.std(axis=(0, 1, 2))
    np.testing.assert_allclose(augmenter.mean_, mean, rtol=1e-6)
    np.testing.assert_allclose(augmenter.std_, std, rtol=1e-6)
    expected = []
    for image in images:
        x = (image + 3.0) / 255
        x = (x - x.mean()) / (x.std() + 1e-6)
        expected.append((x - mean) / (std + 1e-6))
    np.testing.assert_allclose(augmenter.standardize(images), expected, atol=2e-5)
    np.testing.assert_allclose(augmenter.standardize(images[2]), expected[2], atol=2e-5)


def test_zca_is_keras_formula() -> None:
    rng = np.random.default_rng(1)
    images = (rng.standard_normal((300, 4, 3, 2)) @ rng.standard_normal((2, 2))).astype(np.float32) * 40 + 100
    augmenter = ImageAugmenter(zca_whitening=True, featurewise_std_normalization=True).fit(images)
    flat = (images - images.mean(axis=(0, 1, 2))).reshape(300, -1).astype(np.float64)
    u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
    expected = flat @ ((u * (np.sqrt(300) / (s + 1e-6))) @ u.T)
    white = augmenter.standardize(images)
    np.testing.assert_allclose(white.reshape(300, -1), expected, atol=1e-3)
    np.testing.assert_allclose(white.reshape(300, -1).T @ white.reshape(300, -1) / 300, np.eye(24), atol=1e-3)


def test_zca_of_fewer_images_than_values_stays_finite() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 6)).astype(np.uint8)
    white = ImageAugmenter(zca_whitening=True).fit(images).standardize(images[0])
    assert np.isfinite(white).all()
    assert np.abs(white).max() < 10


def test_fit_reads_an_iterable_once_and_augments_by_seed() -> None:
    images = [smooth((12, 10, 3), seed) for seed in range(5)]
    plain = ImageAugmenter(featurewise_center=True).fit(iter(images))
    np.testing.assert_allclose(plain.mean_, np.mean(images, axis=(0, 1, 2)), rtol=1e-9)
    one = ImageAugmenter(**EVERYTHING).fit(images, augment=True, rounds=2, seed=4)
    two = ImageAugmenter(**EVERYTHING).fit(np.stack(images), augment=True, rounds=2, seed=4)
    assert np.array_equal(one.mean_, two.mean_)
    assert not np.array_equal(one.mean_, plain.mean_)
    with pytest.raises(ValueError, match="an iterator ends"):
        ImageAugmenter().fit(iter(images), augment=True, rounds=2)
    with pytest.raises(ValueError, match="size"):
        ImageAugmenter().fit([images[0], images[0][:5]])


def test_what_needs_fit_says_so() -> None:
    with pytest.raises(NotFittedError):
        ImageAugmenter(featurewise_center=True).standardize(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rotation_range": -1}, r"rotation_range must be a number >= 0, got -1"),
        ({"width_shift_range": []}, r"width_shift_range must be a number"),
        ({"zoom_range": 1.0}, r"zoom_range must be below 1, or two factors > 0 in order, got 1\.0"),
        ({"zoom_range": (1.2, 0.8)}, r"zoom_range must be two numbers in order"),
        ({"brightness_range": 0.5}, r"brightness_range must be two numbers in order, got 0\.5"),
        ({"brightness_range": (-0.5, 1)}, r"brightness_range must be at least 0"),
        ({"fill_mode": "mirror"}, r"fill_mode must be one of constant, nearest, reflect, wrap, got 'mirror'"),
        ({"validation_split": 1.0}, r"validation_split must be below 1, got 1\.0"),
        ({"horizontal_flip": 1}, r"horizontal_flip must be True or False, got 1"),
        ({"interpolation_order": 3}, r"interpolation_order must be 0 or 1, got 3"),
        ({"preprocessing_function": 3}, r"preprocessing_function must be callable or None, got 3"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageAugmenter(**parameters).random_transform(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("x", [np.zeros(4), np.zeros((0, 4)), np.array([["a"]]), np.zeros((2, 2, 2, 2))])
def test_what_is_not_an_image(x: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"x must be an image"):
        ImageAugmenter().random_transform(x)
    with pytest.raises(ValueError, match="transform_parameters must be among"):
        ImageAugmenter().apply_transform(np.zeros((3, 3), np.uint8), {"angle": 3})


def test_clone_keeps_the_parameters() -> None:
    augmenter = ImageAugmenter(**EVERYTHING)
    assert clone(augmenter).get_params() == augmenter.get_params()


def test_an_augmented_image_is_read_as_the_transform_of_its_source() -> None:
    image, augmenter = smooth((30, 40, 3)), ImageAugmenter(**EVERYTHING)
    copy = AugmentedImage(image, augmenter, (1, 2, 3))
    expected = augmenter.random_transform(image, np.random.SeedSequence((1, 2, 3)))
    assert np.array_equal(read_image(copy), expected)
    keys = {content_hash(image), content_hash(copy), content_hash(AugmentedImage(image, augmenter, (1, 2, 4)))}
    keys |= {content_hash(AugmentedImage(image, ImageAugmenter(), (1, 2, 3)))}
    assert len(keys) == 4
    assert content_hash(copy) == content_hash(AugmentedImage(image.copy(), clone(augmenter), (1, 2, 3)))


@pytest.mark.parametrize("name", ["1.png", "a_1.png", "a_1_2", "a_x_2.png"])
def test_names_of_another_form(name: str) -> None:
    with pytest.raises(ValueError, match="prefix_index_number"):
        parse_saved_name(name)
    assert parse_saved_name("_3_0.jpg") == ("", 3, 0)
