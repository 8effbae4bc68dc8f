"""ColorStatistics: cells cut out one at a time, by hand, plain and tiny images, DenseSIFT's points, and mirrors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from synthetic import textured

from cvbow.features import ColorStatistics, DenseSIFT, Features, color_statistics
from cvbow.features._color import color_channels
from cvbow.images import to_gray, to_lab
from cvbow.presets import make_model, parse_setting

Pixels = NDArray[np.uint8]
SPACES = ("lab", "opponent")


def colorful(height: int, width: int, seed: int = 0) -> Pixels:
    return np.stack([textured(height, width, 10 * seed + channel) for channel in range(3)], axis=2)


def channels(image: Pixels, space: str) -> NDArray[np.float64]:
    """The channels, (H, W, 3), in [0, 1]; the opponent ones are tested with dense SIFT."""
    planes = to_lab(image) if space == "lab" else np.rint(np.stack(color_channels(image, space), axis=2))
    return planes.astype(np.float64) / 255


def by_definition(planes: NDArray[np.float64], x: float, y: float, bin_size: int) -> NDArray[np.float64]:
    """The descriptor around a point, one cell at a time."""
    reach = bin_size // 2
    values = []
    for row in range(4):
        for column in range(4):
            middle_y, middle_x = round(y + (row - 1.5) * bin_size), round(x + (column - 1.5) * bin_size)
            top, left = max(0, middle_y - reach), max(0, middle_x - reach)
            cell = planes[top : middle_y + reach + 1, left : middle_x + reach + 1].reshape(-1, 3)
            values += [*cell.mean(axis=0), *cell.std(axis=0)]
    return np.array(values)


def by_place(features: Features) -> NDArray[np.float32]:
    return np.hstack([features.points, features.descriptors])[np.lexsort(features.points[:, :3].T)]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("step", "bin_sizes"), [(8, (4, 6)), (5, (1, 3)), (1, (2,)), (3, (7, 4, 9))])
def test_against_the_definition(space: str, step: int, bin_sizes: tuple[int, ...]) -> None:
    image = colorful(34, 41)
    features = ColorStatistics(step=step, bin_sizes=bin_sizes, space=space).extract(image)
    planes = channels(image, space)
    assert len(features) > 10
    assert features.descriptors.dtype == np.float32
    expected = [by_definition(planes, x, y, int(size / 4)) for x, y, size, _ in features.points]
    np.testing.assert_allclose(features.descriptors, expected, rtol=1e-6, atol=1e-7)


def test_by_hand() -> None:
    image = np.zeros((7, 7), np.uint8)
    image[:2, :2] = 90, 210
    features = ColorStatistics(step=1, bin_sizes=(2,), space="opponent").extract(image)
    assert features.points.tolist() == [[3, 3, 8, 0]]
    # The first cell is at the corner: 90, 210, 90, 210.
    cells = features.descriptors.reshape(4, 4, 6)
    np.testing.assert_allclose(cells[0, 0, [0, 3]] * 255, [150, 60], rtol=1e-6)
    # The one to its right has pixels 1 to 3 of two rows: 210 twice and zeros four times.
    np.testing.assert_allclose(cells[0, 1, [0, 3]] * 255, [70, 70 * 2**0.5], rtol=1e-6)
    assert not cells[1:, 2:, [0, 3]].any()


@pytest.mark.parametrize("space", SPACES)
def test_points_are_those_of_dense_sift(space: str) -> None:
    image = colorful(90, 131)
    for options in ({}, {"max_side": 60}, {"min_side": 120}, {"bin_sizes": (10, 4), "step": 7}, {"max_side": 11}):
        given_options: dict[str, Any] = {"step": 8, "bin_sizes": (4, 6, 8, 12, 16)} | options
        found = ColorStatistics(space=space, **given_options).extract(image)
        sift = DenseSIFT(**given_options).extract(image)
        np.testing.assert_array_equal(found.points, sift.points)
        assert found.image_size == sift.image_size
        assert found.descriptors.shape == (len(sift), 96)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (200, 10, 77), (1, 2, 3), (0, 255, 254)])
def test_one_colour_has_no_deviation(space: str, color: tuple[int, int, int]) -> None:
    image = np.full((80, 67, 3), color, np.uint8)
    features = ColorStatistics(space=space, step=3).extract(image)
    values = features.descriptors.reshape(-1, 6)
    assert len(features) > 100
    assert not values[:, 3:].any()
    np.testing.assert_allclose(
        values[:, :3], np.broadcast_to(channels(image, space)[0, 0], (len(values), 3)), rtol=1e-6
    )


def test_one_level_of_difference_is_found_in_any_light() -> None:
    # Of 81 pixels, one is a level brighter than the rest: variance 80 / 81^2.
    for level in (0, 127, 254):
        image = np.full((40, 40), level, np.uint8)
        (middle,) = ColorStatistics(step=40, bin_sizes=(8,), space="opponent").extract(image).points
        y, x = round(float(middle[1])) - 4, round(float(middle[0])) - 4
        image[y, x] += 1
        (descriptor,) = ColorStatistics(step=40, bin_sizes=(8,), space="opponent").extract(image).descriptors
        np.testing.assert_allclose(descriptor.reshape(4, 4, 6)[1, 1, 3] * 255, 80**0.5 / 81, rtol=1e-6)


@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))), st.sampled_from(SPACES))
def test_any_image(image: Pixels, space: str) -> None:
    features = ColorStatistics(step=2, bin_sizes=(3, 4), space=space).extract(image)
    height, width = image.shape[:2]
    assert len(features) == sum(
        max(0, (height - 3 * size + 1) // 2) * max(0, (width - 3 * size + 1) // 2) for size in (3, 4)
    )
    values = features.descriptors.reshape(-1, 2, 3)
    assert np.isfinite(values).all()
    assert values.min(initial=0) >= 0
    assert values.max(initial=0) <= 1
    # Of values in [0, 1], the deviation is largest where half of them are at each end.
    assert (values[:, 1] <= np.sqrt(values[:, 0] * (1 - values[:, 0])) + 1e-6).all()


@pytest.mark.parametrize("shape", [(1, 1), (12, 60, 3), (60, 12), (1, 100, 3)])
def test_too_small_for_a_point(shape: tuple[int, ...]) -> None:
    features = ColorStatistics().extract(np.full(shape, 200, np.uint8))
    assert features.points.shape == (0, 4)
    assert features.descriptors.shape == (0, 96)
    assert features.image_size == shape[1::-1]


def test_a_gray_image_has_three_equal_channels() -> None:
    gray = textured(50, 60)
    for space in SPACES:
        extractor = ColorStatistics(space=space)
        found, same = extractor.extract(gray), extractor.extract(np.stack([gray] * 3, axis=2))
        np.testing.assert_array_equal(found.descriptors, same.descriptors)
    # Without colour, a* and b* are 0.
    values = ColorStatistics().extract(gray).descriptors.reshape(-1, 2, 3)
    np.testing.assert_allclose(values[:, 0, 1:], 128 / 255, rtol=1e-6)
    assert not values[:, 1, 1:].any()
    assert not ColorStatistics().gray_only


def test_many_bright_pixels_are_summed_without_overflow() -> None:
    # 255 times 2^23 does not fit 31 bits.
    image = np.full((2900, 2900), 255, np.uint8)
    features = ColorStatistics(step=600, bin_sizes=(500,), space="opponent", max_side=None).extract(image)
    assert len(features) == 9
    intensity = features.descriptors.reshape(-1, 2, 3)[..., 0]
    np.testing.assert_array_equal(intensity, np.broadcast_to([1.0, 0.0], intensity.shape))


def test_cells_taken_together_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    image = colorful(70, 60)
    before = ColorStatistics().extract(image)
    monkeypatch.setattr(color_statistics, "_BLOCK", 1)
    np.testing.assert_array_equal(ColorStatistics().extract(image).descriptors, before.descriptors)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("bin_sizes", [(4, 6), (5, 3)])
def test_mirrored_is_what_the_mirrored_image_gives(space: str, bin_sizes: tuple[int, ...]) -> None:
    # The grid lies in the middle: step and bins leave an even number of pixels.
    image = colorful(60, 61 if bin_sizes == (4, 6) else 60)
    extractor = ColorStatistics(step=4, bin_sizes=bin_sizes, space=space)
    features = extractor.extract(image)
    expected = extractor.extract(np.ascontiguousarray(image[:, ::-1]))
    np.testing.assert_array_equal(by_place(extractor.mirrored(features)), by_place(expected))
    np.testing.assert_array_equal(extractor.mirrored(extractor.mirrored(features)).descriptors, features.descriptors)


def test_what_gray_does_not_show() -> None:
    # Red against green of the same brightness.
    image = np.full((40, 40, 3), 100, np.uint8)
    image[:, :20, 0], image[:, 20:, 1] = 159, 130
    assert np.ptp(to_gray(image)) <= 1
    for space in SPACES:
        values = ColorStatistics(space=space).extract(image).descriptors.reshape(-1, 2, 3)
        assert np.ptp(values[:, 0, 1]) > 0.1
        assert values[:, 1, 1].max() > 0.05


def test_as_a_setting() -> None:
    given_settings = ("features=color-statistics", "step=6", "bin_sizes=4,8", "space=opponent", "max_side=320")
    model = make_model("fisher", settings=dict(map(parse_setting, given_settings)))
    extractor = model.backend.extractor
    assert isinstance(extractor, ColorStatistics)
    assert extractor.get_params() == {
        "step": 6,
        "bin_sizes": (4, 8),
        "space": "opponent",
        "min_side": None,
        "max_side": 320,
    }
    assert model.backend.mirror
    with pytest.raises(ValueError, match=r"^space applies only if features is color-statistics; it is dense-sift$"):
        make_model("fisher", settings={"space": "lab"})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"step": 0}, "step must be an integer >= 1, got 0"),
        ({"bin_sizes": ()}, "bin_sizes must be .*"),
        ({"space": "rgb"}, "space must be one of lab, opponent, got 'rgb'"),
        ({"max_side": 0}, "max_side must be None or an integer >= 1, got 0"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        ColorStatistics(**parameters).extract(colorful(20, 20))
