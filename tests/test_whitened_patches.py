"""WhitenedPatches: patches by hand and against a loop, colours, geometry; and colours in the base of extractors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.base import clone
from synthetic import textured

from cvbow import storage
from cvbow.features import Features, WhitenedPatches, whitened_patches

Image = NDArray[np.uint8]


def color_image(height: int = 20, width: int = 26, seed: int = 0) -> Image:
    return np.stack([textured(height, width, 3 * seed + channel) for channel in range(3)], axis=2)


def oracle(image: Image, size: int, step: int, offset: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Descriptors and centres (x, y), one patch at a time."""
    descriptors, centers = [], []
    for top in range(0, image.shape[0] - size + 1, step):
        for left in range(0, image.shape[1] - size + 1, step):
            x = image[top : top + size, left : left + size].astype(np.float64).ravel()
            descriptors.append((x - x.mean()) / np.sqrt(x.var(ddof=1) + offset))
            centers.append((left + (size - 1) / 2, top + (size - 1) / 2))
    return np.array(descriptors), np.array(centers)


@pytest.mark.parametrize(
    ("size", "step", "offset"), [(6, 1, 10.0), (6, 3, 10.0), (2, 1, 0.5), (5, 4, 1e4), (20, 7, 10)]
)
@pytest.mark.parametrize("color", [True, False])
def test_against_the_definition(size: int, step: int, offset: float, color: bool) -> None:
    image = color_image() if color else textured(20, 26)
    extractor = WhitenedPatches(patch_size=size, step=step, color=color, variance_offset=offset)
    features = extractor.extract(image)
    descriptors, centers = oracle(image, size, step, offset)
    assert features.descriptors.shape == descriptors.shape == (len(features), extractor.descriptor_size)
    assert features.descriptors.dtype == np.float32
    np.testing.assert_allclose(features.descriptors, descriptors, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(features.points[:, :2], centers)
    assert (features.points[:, 2] == size).all()
    assert (features.points[:, 3] == 0).all()
    assert features.image_size == (26, 20)


def test_by_hand() -> None:
    # Mean 3, variance (9 + 1 + 1 + 9) / 3 = 20/3; with 28/3 more the root is 4.
    image = np.array([[0, 2], [4, 6]], np.uint8)
    features = WhitenedPatches(patch_size=2, color=False, variance_offset=28 / 3).extract(image)
    np.testing.assert_allclose(features.descriptors, [[-0.75, -0.25, 0.25, 0.75]], rtol=1e-6)
    assert features.points.tolist() == [[0.5, 0.5, 2, 0]]


def test_the_order_of_values_is_row_column_channel() -> None:
    image = np.zeros((6, 6, 3), np.uint8)
    image[1, 4, 2] = 255
    (descriptor,) = WhitenedPatches().extract(image).descriptors
    assert descriptor.argmax() == (1 * 6 + 4) * 3 + 2


def test_rows_taken_together_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    image = color_image(30, 30)
    before = WhitenedPatches().extract(image)
    monkeypatch.setattr(whitened_patches, "_BLOCK", 1)
    assert np.array_equal(WhitenedPatches().extract(image).descriptors, before.descriptors)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))), st.integers(2, 5))
def test_any_image(image: Image, size: int) -> None:
    features = WhitenedPatches(patch_size=size).extract(image)
    height, width = image.shape[:2]
    assert len(features) == max(0, height - size + 1) * max(0, width - size + 1)
    assert np.isfinite(features.descriptors).all()
    np.testing.assert_allclose(features.descriptors.mean(axis=1), 0, atol=1e-5)
    # Less than 1, by what the offset takes.
    assert (features.descriptors.std(axis=1) < 1).all()


@pytest.mark.parametrize("value", [0, 1, 127, 237, 255])
@pytest.mark.parametrize("offset", [10.0, 0.0])
def test_one_color_is_zero(value: int, offset: float) -> None:
    image = np.full((12, 15, 3), value, np.uint8)
    image[..., 1] = image[..., 0]
    assert not WhitenedPatches(variance_offset=offset).extract(image).descriptors.any()


def test_light_and_strong_contrast_hardly_matter() -> None:
    image = color_image() // 4
    plain = WhitenedPatches().extract(image).descriptors
    np.testing.assert_allclose(WhitenedPatches().extract(image + 90).descriptors, plain, atol=1e-5)
    image = textured(20, 20) // 4 * 4
    doubled = WhitenedPatches(variance_offset=40).extract(image // 2 * 2).descriptors
    np.testing.assert_allclose(WhitenedPatches(variance_offset=10).extract(image // 2).descriptors, doubled, atol=1e-4)


def test_smaller_than_a_patch() -> None:
    for shape in ((5, 20), (20, 5), (1, 1)):
        features = WhitenedPatches().extract(np.zeros(shape, np.uint8))
        assert features.descriptors.shape == (0, 108)
        assert features.image_size == shape[::-1]


def test_large_images_are_shrunk_and_places_scaled_back() -> None:
    features = WhitenedPatches(step=4).extract(color_image(100, 192))
    small = WhitenedPatches(step=4, max_side=None).extract(color_image(50, 96))
    assert len(features) == len(small)
    assert features.image_size == (192, 100)
    np.testing.assert_allclose(features.points[:, :2] + 0.5, 2 * (small.points[:, :2] + 0.5))
    assert (features.points[:, 2] == 12).all()


def test_small_images_can_be_enlarged() -> None:
    assert len(WhitenedPatches(min_side=8).extract(color_image(4, 4))) == 9


# Colours


def test_a_gray_image_has_three_equal_channels() -> None:
    gray = textured(12, 14)
    features = WhitenedPatches().extract(gray)
    same = WhitenedPatches().extract(np.stack([gray] * 3, axis=2))
    assert np.array_equal(features.descriptors, same.descriptors)
    channels = features.descriptors.reshape(len(features), 36, 3)
    assert np.array_equal(channels[..., 0], channels[..., 2])


def test_without_color_an_rgb_image_becomes_gray() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:, 0] = 200
    gray = np.zeros((8, 8), np.uint8)
    gray[:, 4:] = 60  # 0.299 of 200
    extractor = WhitenedPatches(color=False)
    assert extractor.gray_only
    assert not WhitenedPatches().gray_only
    np.testing.assert_allclose(extractor.extract(image).descriptors, extractor.extract(gray).descriptors)


def test_colors_that_look_alike_in_gray_differ() -> None:
    one, two = np.zeros((2, 6, 6, 3), np.uint8)
    one[:, 3:, 0] = 100
    two[:, 3:, 2] = 100
    extractor = WhitenedPatches()
    assert np.abs(extractor.extract(one).descriptors - extractor.extract(two).descriptors).max() > 0.5


# Mirror


@pytest.mark.parametrize(("width", "step", "color"), [(26, 1, True), (26, 4, False), (21, 3, True)])
def test_mirrored_is_what_the_mirrored_image_gives(width: int, step: int, color: bool) -> None:
    image = color_image(14, width)
    extractor = WhitenedPatches(step=step, color=color)
    mirrored = extractor.mirrored(extractor.extract(image))
    expected = extractor.extract(np.ascontiguousarray(image[:, ::-1]))

    def by_place(features: Features) -> NDArray[np.float32]:
        order = np.lexsort(features.points[:, :2].T)
        return np.hstack([features.points, features.descriptors])[order]

    np.testing.assert_allclose(by_place(mirrored), by_place(expected), atol=1e-6)


# Contract


def test_parameters_and_copies(tmp_path: Path) -> None:
    extractor = WhitenedPatches(patch_size=4, step=2, color=False, variance_offset=5.0, max_side=40)
    image = color_image()
    image.flags.writeable = False
    features = extractor.extract(image)
    storage.save(tmp_path / "model", kind="extractor", state=extractor, metadata={})
    for again in (
        clone(extractor),
        pickle.loads(pickle.dumps(extractor)),
        storage.load(tmp_path / "model", kind="extractor").state,
    ):
        assert again.get_params() == extractor.get_params()
        assert np.array_equal(again.extract(image).descriptors, features.descriptors)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"patch_size": 1}, "patch_size must be an integer >= 2, got 1"),
        ({"step": 0}, "step must be an integer >= 1, got 0"),
        ({"color": 1}, "color must be True or False, got 1"),
        ({"variance_offset": -1}, "variance_offset must be a number >= 0, got -1"),
        ({"max_side": 0}, "max_side must be None or an integer >= 1, got 0"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        WhitenedPatches(**parameters).extract(color_image())
