"""DenseSIFT in colour: each channel's part against the channel alone, and against SIFT's definition."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import sift_oracle
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic import textured

from cvbow import storage
from cvbow.backends import BagEncoder
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders import BagOfWords
from cvbow.features import DenseSIFT, Features
from cvbow.features._color import COLOR_SPACES, STEPS, color_channels
from cvbow.images import to_gray

Pixels = NDArray[np.uint8]
Float64 = NDArray[np.float64]
SPACES = ("rgb", "hsv", "opponent")


def colorful(height: int, width: int, seed: int = 0) -> Pixels:
    """Red, green and blue have structure of their own, strongly coloured."""
    return np.stack([textured(height, width, 10 * seed + channel) for channel in range(3)], axis=2)


def parts(features: Features) -> NDArray[np.float32]:
    """Descriptors as (n, channels, 128)."""
    return features.descriptors.reshape(len(features), features.descriptors.shape[1] // 128, 128)


def plain_channels(image: Pixels, space: str) -> list[Float64]:
    """The channels by their definition, in float64, in [0, 255] or around 0."""
    red, green, blue = np.moveaxis(image.astype(np.float64), 2, 0)
    if space == "rgb":
        return [red, green, blue]
    if space == "hsv":
        values = [colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in image.reshape(-1, 3)]
        return [np.array(channel).reshape(red.shape) * 255 for channel in zip(*values, strict=True)]
    # vl_phow: the intensity comes first, and a hundredth of it goes into the other two.
    intensity = to_gray(image).astype(np.float64)
    return [
        intensity,
        (red - green) / np.sqrt(2) + 0.01 * intensity,
        (red + green - 2 * blue) / np.sqrt(6) + 0.01 * intensity,
    ]


def raw_lengths(channel: Float64, *, step: int, bin_size: int) -> Float64:
    """Length of each point's descriptor of a channel before it is normalised, as the contrast is defined."""
    votes = sift_oracle.orientation_shares(
        *sift_oracle.gradients(sift_oracle.smoothed(channel, bin_size, 6.0)),  # type: ignore[arg-type]
        "basis",
    )
    return np.array(
        [
            np.linalg.norm(sift_oracle.histogram(votes, x0, y0, bin_size, "flat", 1.5) / bin_size**2)
            for y0 in sift_oracle.starts_along(channel.shape[0], step, bin_size)
            for x0 in sift_oracle.starts_along(channel.shape[1], step, bin_size)
        ]
    )


# The channels.


@pytest.mark.parametrize("space", SPACES)
def test_channels_are_those_of_the_definition(space: str) -> None:
    image = colorful(40, 50)
    found, expected = color_channels(image, space), plain_channels(image, space)
    if space == "opponent":
        # Halved, and in the middle of the range.
        expected[1:] = [channel / 2 + 127 for channel in expected[1:]]
    for channel, plain in zip(found, expected, strict=True):
        assert channel.min() >= 0
        assert channel.max() <= 255
        # Hue is a circle.
        off = np.abs(channel.astype(np.float64) - plain)
        assert np.minimum(off, 255 - off if space == "hsv" else off).max() <= 1 / STEPS


@pytest.mark.parametrize("space", SPACES)
def test_every_colour_fits_the_range(space: str) -> None:
    corners = np.array(np.meshgrid([0, 128, 255], [0, 127, 255], [0, 1, 255])).reshape(3, 1, -1).T.astype(np.uint8)
    for channel in color_channels(np.ascontiguousarray(corners), space):
        assert channel.min() >= 0
        assert channel.max() <= 255
        np.testing.assert_array_equal(channel * STEPS, np.rint(channel * STEPS))


# The descriptors.


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("window", ["flat", "gaussian"])
def test_rgb_is_three_images(window: str, root: bool) -> None:
    image = colorful(60, 70)
    options: dict[str, Any] = {"step": 5, "bin_sizes": (4, 6), "window": window, "root": root, "contrast_threshold": 0}
    found = DenseSIFT(color="rgb", **options).extract(image)
    assert found.descriptors.shape == (len(found), 384)
    for index in range(3):
        alone = DenseSIFT(**options).extract(np.ascontiguousarray(image[:, :, index]))
        np.testing.assert_array_equal(found.points, alone.points)
        np.testing.assert_allclose(parts(found)[:, index] * np.sqrt(3), alone.descriptors, atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_parts_agree_with_the_definition(space: str) -> None:
    image = colorful(50, 45)
    found = DenseSIFT(color=space, step=6, bin_sizes=(4,), contrast_threshold=0).extract(image)
    for index, channel in enumerate(plain_channels(image, space)):
        points, expected = sift_oracle.dense_sift(channel, step=6, bin_size=4, split="basis")  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.points, points)
        ours = parts(found)[:, index] * np.sqrt(3)
        # The chromatic channels are halved before they are cut to steps; hue jumps by the whole range.
        np.testing.assert_allclose(ours, expected, atol=6e-3)
        assert (ours * expected).sum(axis=1).min() > 0.999


@pytest.mark.parametrize("space", SPACES)
def test_contrast_is_that_of_vl_phow(space: str) -> None:
    image = colorful(60, 60)
    # A coloured pattern of no brightness, strong noise in the blue, and a weak gray one.
    image[:30, :30] = 120
    image[10:20, 5:25, 2] = 180
    image[30:, :30] = 120 + (textured(30, 30)[..., None] % 2)
    options: dict[str, Any] = {"color": space, "step": 3, "bin_sizes": (4,)}
    kept = DenseSIFT(contrast_threshold=0, **options).extract(image)
    lengths = [raw_lengths(channel, step=3, bin_size=4) for channel in plain_channels(image, space)]
    contrast = {"rgb": np.mean(lengths, axis=0), "hsv": lengths[2], "opponent": lengths[0]}[space]
    for threshold in (0.005, float(np.median(contrast)), 10.0):
        found = DenseSIFT(contrast_threshold=threshold, **options).extract(image)
        faint = contrast < threshold
        sure = np.abs(contrast / threshold - 1) > 0.01
        assert not found.descriptors[faint & sure].any()
        np.testing.assert_array_equal(found.descriptors[~faint & sure], kept.descriptors[~faint & sure])
        assert (faint & sure).any()
        assert threshold == 10 or (~faint & sure).any()


@pytest.mark.parametrize("space", SPACES)
def test_a_gray_image_gives_its_gray_descriptors(space: str) -> None:
    gray = textured(70, 60)
    plain = DenseSIFT().extract(gray)
    for image in (gray, np.repeat(gray[..., None], 3, axis=2)):
        found = DenseSIFT(color=space).extract(image)
        np.testing.assert_array_equal(found.points, plain.points)
        expected = np.repeat(plain.descriptors[:, None] / np.sqrt(3), 3, axis=1)
        if space == "hsv":
            expected[:, :2] = 0
        # A hundredth of the intensity, halved, has about one step to a gray level.
        np.testing.assert_allclose(parts(found), expected, atol=0.06 if space == "opponent" else 1e-6)
        cosines = (parts(found) * expected).sum(axis=2) * 3
        assert cosines[expected.any(axis=2)].mean() > 0.99


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (200, 10, 77), (1, 2, 3), (0, 255, 254)])
def test_one_colour_gives_zeros(space: str, color: tuple[int, int, int]) -> None:
    image = np.full((47, 46, 3), color, np.uint8)
    for window in ("flat", "gaussian"):
        features = DenseSIFT(color=space, contrast_threshold=0, window=window).extract(image)
        assert len(features) > 0
        assert not features.descriptors.any()


def test_colour_shows_what_gray_does_not() -> None:
    image = np.full((40, 40, 3), 100, np.uint8)
    # Red against green of the same brightness.
    image[:, :20, 0], image[:, 20:, 1] = 159, 130
    assert np.ptp(to_gray(image)) <= 1
    assert not DenseSIFT().extract(image).descriptors.any()
    found = parts(DenseSIFT(color="opponent", contrast_threshold=0).extract(image))
    assert found[:, 1].any(axis=1).mean() > 0.5
    # By its brightness alone there is nothing here; by the mean of the channels there is.
    assert not DenseSIFT(color="opponent").extract(image).descriptors.any()
    assert DenseSIFT(color="rgb").extract(image).descriptors.any()


def test_opponent_colours_know_which_side_is_which() -> None:
    image = np.full((40, 40, 3), 100, np.uint8)
    image[:, :20, 0] = 180  # red to the left: red-green falls towards x, yellow-blue too
    image[:, 20:, 2] = 180
    cells = parts(DenseSIFT(color="opponent", contrast_threshold=0, bin_sizes=(4,)).extract(image))
    for index in (1, 2):
        orientations = cells[:, index].reshape(-1, 16, 8).sum(axis=(0, 1))
        assert orientations.argmax() == 4
        assert orientations[4] > 100 * orientations[0]


@given(seed=st.integers(0, 10**6), height=st.integers(1, 40), width=st.integers(1, 40), step=st.integers(1, 9),
       space=st.sampled_from(SPACES), root=st.booleans(), levels=st.sampled_from([1, 2, 256]))  # fmt: skip
def test_parts_are_finite_and_of_their_length_or_zero(
    seed: int, height: int, width: int, step: int, space: str, root: bool, levels: int
) -> None:
    image = np.random.default_rng(seed).integers(0, levels, (height, width, 3)).astype(np.uint8)
    features = DenseSIFT(color=space, step=step, bin_sizes=(3,), root=root).extract(image)
    assert features.descriptors.dtype == np.float32
    assert features.image_size == (width, height)
    lengths = np.linalg.norm(parts(features), axis=2)
    assert np.isfinite(lengths).all()
    assert ((lengths == 0) | (np.abs(lengths - 3**-0.5) < 1e-5)).all()


# What does not change with colour.


@pytest.mark.parametrize("space", SPACES)
def test_points_scales_and_limits_are_those_of_gray(space: str) -> None:
    image = colorful(90, 131)
    for options in ({}, {"max_side": 60}, {"min_side": 120}, {"bin_sizes": (10, 4), "step": 7}, {"max_side": 11}):
        gray = DenseSIFT(**options).extract(image)  # type: ignore[arg-type]
        found = DenseSIFT(color=space, **options).extract(image)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.points, gray.points)
        assert found.image_size == gray.image_size
        assert found.descriptors.shape == (len(gray), 384)


def test_the_first_part_of_opponent_is_the_gray_descriptor() -> None:
    image = colorful(80, 70)
    gray, found = DenseSIFT().extract(image), DenseSIFT(color="opponent").extract(image)
    np.testing.assert_allclose(parts(found)[:, 0] * np.sqrt(3), gray.descriptors, atol=1e-6)


@pytest.mark.parametrize("space", COLOR_SPACES)
def test_mirrored_is_the_mirror(space: str) -> None:
    image = colorful(60, 61)
    extractor = DenseSIFT(color=space, step=4, bin_sizes=(4, 6))
    found = extractor.mirrored(extractor.extract(image))
    expected = extractor.extract(np.ascontiguousarray(image[:, ::-1]))
    order, wanted = (np.lexsort(features.points[:, [0, 1, 2]].T) for features in (found, expected))
    np.testing.assert_array_equal(found.points[order], expected.points[wanted])
    # In opponent colours, cutting to steps differs in the last step only.
    np.testing.assert_allclose(found.descriptors[order], expected.descriptors[wanted], atol=2e-3)
    twice = extractor.mirrored(found)
    np.testing.assert_array_equal(twice.descriptors, extractor.extract(image).descriptors)


@pytest.mark.parametrize("space", COLOR_SPACES)
def test_an_encoder_reads_colour_where_it_counts(space: str, tmp_path: Path) -> None:
    images = [colorful(40, 44, seed) for seed in range(4)]
    encoder = BagEncoder(
        DenseSIFT(color=space, step=6, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=6)), mirror=True
    )
    assert encoder.gray_only == (space == "gray")
    cv2.imwrite(str(tmp_path / "a.png"), images[0][..., ::-1])
    vectors = encoder.fit(images).transform([images[0], tmp_path / "a.png", to_gray(images[0])])
    np.testing.assert_array_equal(vectors[1], vectors[0])
    assert (vectors[2] == vectors[0]).all() == (space == "gray")
    storage.save(tmp_path / "e.cvbow", kind="test", state=encoder, metadata={})
    loaded = storage.load(tmp_path / "e.cvbow", kind="test").state
    assert loaded.extractor.color == space
    np.testing.assert_array_equal(loaded.transform(images), encoder.transform(images))


def test_the_input_stays_as_it_is() -> None:
    image = colorful(40, 40)
    before = image.copy()
    image.flags.writeable = False
    for space in SPACES:
        DenseSIFT(color=space).extract(image)
    np.testing.assert_array_equal(image, before)
