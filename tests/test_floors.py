"""The two floors of a comparison: raw pixels and colour histograms."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from synthetic import textured
from tiny_images import write_dataset

from cvbow import CvbowError, ImageClassifier, list_images
from cvbow.backends import ColorHistogram, RawPixels
from cvbow.images import resize

FLOORS: dict[str, Any] = {
    "pixels": RawPixels(size=8, n_components=5),
    "all pixels": RawPixels(size=8, n_components=None),
    "colours of pixels": RawPixels(size=8, n_components=6, color=True),
    "hsv": ColorHistogram(),
    "lab": ColorHistogram(bins=(2, 3, 4), space="lab"),
}


def color(seed: int, height: int = 20, width: int = 30) -> NDArray[np.uint8]:
    return np.stack([textured(height, width, seed + channel) for channel in range(3)], axis=2)


@pytest.mark.parametrize("name", FLOORS)
def test_a_floor_keeps_the_contract_of_a_backend(name: str, tmp_path: Path) -> None:
    images = [color(seed) for seed in range(12)]
    encoder = clone(FLOORS[name]).fit(images)
    odd = [np.zeros((1, 1), np.uint8), np.full((40, 7, 3), 200, np.uint8), textured(9, 50)]
    expected = encoder.transform([*images, *odd])
    assert expected.shape == (15, encoder.vector_length)
    assert expected.dtype == np.float32
    assert np.isfinite(expected).all()
    assert len(np.unique(expected[:12].round(4), axis=0)) == 12
    again = clone(FLOORS[name]).set_params(n_jobs=2, memory=tmp_path / "cache").fit(images)
    for _ in range(2):
        np.testing.assert_array_equal(again.transform([*images, *odd]), expected)
    np.testing.assert_array_equal(encoder.transform(images[4:5])[0], expected[4])
    dataset = list_images(write_dataset(tmp_path / "tiny"))
    model = ImageClassifier(clone(FLOORS[name]), "linear-svm").fit(dataset.paths, dataset.labels)
    model.save(tmp_path / "m.cvbow")
    loaded = ImageClassifier.load(tmp_path / "m.cvbow")
    np.testing.assert_array_equal(loaded.predict_proba(dataset.paths), model.predict_proba(dataset.paths))


def test_pixels_against_plain_numpy() -> None:
    images = [color(seed) for seed in range(9)]
    squares = np.array([resize(image, (8, 8)).astype(np.float64).ravel() for image in images])
    squares = (squares - squares.mean(axis=1, keepdims=True)) / squares.std(axis=1, keepdims=True)
    plain = RawPixels(size=8, n_components=None, color=True).fit(images)
    np.testing.assert_allclose(plain.transform(images), squares, atol=1e-5)
    reduced = RawPixels(size=8, n_components=4, color=True).fit(images).transform(images)
    centred = squares - squares.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    # Directions have no sign.
    np.testing.assert_allclose(np.abs(reduced), np.abs(centred @ directions[:4].T), atol=1e-3)


def test_no_more_components_than_images() -> None:
    images = [textured(20, 20, seed) for seed in range(3)]
    assert RawPixels(n_components=100).fit(images).vector_length == 3
    assert RawPixels(n_components=100).fit(images[:1]).transform(images).shape == (3, 1)


def test_pixels_of_images_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    encoder = RawPixels(n_components=2).fit([textured(20, 20, 0), bad, textured(20, 20, 1)])
    assert [error.path for error in encoder.skipped_] == [str(bad)]
    with pytest.raises(CvbowError, match="the image cannot be read"):
        RawPixels().fit([bad])


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=30), st.tuples(*[st.integers(1, 9)] * 3))
def test_histograms_of_rgb_by_counting(pixels: list[tuple[int, int, int]], bins: tuple[int, int, int]) -> None:
    image = np.array(pixels, np.uint8)[None]
    counts = np.zeros(bins)
    for pixel in pixels:
        counts[tuple(value * count // 256 for value, count in zip(pixel, bins, strict=True))] += 1
    encoder = ColorHistogram(bins=bins, space="rgb").fit([image])
    np.testing.assert_allclose(encoder.transform([image])[0], np.sqrt(counts / len(pixels)).ravel(), rtol=1e-6)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_hue_saturation_and_value_of_a_colour(pixel: tuple[int, int, int]) -> None:
    image = np.full((2, 2, 3), pixel, np.uint8)
    (vector,) = ColorHistogram(bins=(4, 4, 4)).fit([image]).transform([image])
    (place,) = np.flatnonzero(vector)
    assert vector[place] == 1
    found = np.unravel_index(place, (4, 4, 4))
    expected = [4 * part for part in colorsys.rgb_to_hsv(*(value / 255 for value in pixel))]
    # OpenCV rounds to 8 bits; hue is a circle.
    for part, wanted in zip(found, expected, strict=True):
        distance = min(abs(part + 0.5 - wanted), 4 - abs(part + 0.5 - wanted))
        assert distance <= 0.55


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (RawPixels(size=1), "size must be an integer >= 2, got 1"),
        (RawPixels(n_components=0), "n_components must be None or an integer >= 1, got 0"),
        (RawPixels(color="yes"), "color must be True or False, got 'yes'"),  # type: ignore[arg-type]
        (ColorHistogram(space="cmyk"), "space must be one of hsv, rgb, lab, got 'cmyk'"),
        (ColorHistogram(bins=(8, 4)), "bins must be three integers"),
        (ColorHistogram(bins=(8, 4, 0)), "bins must be an integer >= 1, got 0"),
    ],
)
def test_a_wrong_parameter_is_named(encoder: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder.fit([textured(9, 9)])


def test_before_fit() -> None:
    with pytest.raises(NotFittedError):
        RawPixels().transform([textured(9, 9)])
    with pytest.raises(ValueError, match="images must have at least one image, got none"):
        RawPixels().fit([])
