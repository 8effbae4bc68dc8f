"""Gist against full-size filtering by a plain oracle, gratings whose answer is known, and mirrored images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from synthetic import textured

from cvbow import storage
from cvbow.backends import Gist
from cvbow.backends.gist import _even_contrast, _filters

Pixels = NDArray[np.uint8]


def vector_of(encoder: Gist, image: Pixels) -> NDArray[np.float32]:
    return encoder.transform([image])[0]


def grating(size: int, cycles_per_pixel: float, degrees: float) -> Pixels:
    """A wave that changes along a direction, from x towards y."""
    y, x = np.indices((size, size))
    angle = np.deg2rad(degrees)
    wave = np.sin(2 * np.pi * cycles_per_pixel * (x * np.cos(angle) + y * np.sin(angle)))
    return np.rint(127 + 100 * wave).astype(np.uint8)


def gabor(size: int, scale: int, n: int, index: int) -> NDArray[np.float64]:
    """The filter over the whole spectrum, as the paper's authors publish it."""
    frequency = np.fft.fftfreq(size)
    across, down = np.meshgrid(frequency, frequency)
    radius, angle = np.hypot(across, down), np.arctan2(down, across)
    center = 0.3 / 1.85**scale
    off = angle - np.pi * index / n
    off = np.where(off < -np.pi, off + 2 * np.pi, off)
    off = np.where(off > np.pi, off - 2 * np.pi, off)
    found = np.exp(-10 * 0.35 * (radius / center - 1) ** 2 - 2 * np.pi * 16 * n**2 / 32**2 * off**2)
    found[0, 0] = 0
    found[size // 2] = found[:, size // 2] = 0
    return np.asarray(found)


def oracle(square: NDArray[np.float64], orientations: tuple[int, ...], grid: int) -> NDArray[np.float64]:
    """Mean magnitudes of the responses, every filter at full size."""
    size = len(square)
    padding = size // 8
    spectrum = np.fft.fft2(np.pad(square, padding, mode="symmetric"))
    energies = []
    for scale, n in enumerate(orientations):
        for index in range(n):
            response = np.abs(np.fft.ifft2(spectrum * gabor(len(spectrum), scale, n, index)))
            response = response[padding : padding + size, padding : padding + size]
            energies.append(response.reshape(grid, size // grid, grid, size // grid).mean(axis=(1, 3)))
    return np.array(energies)


def oracle_even(square: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """The prefilter, by the definition: logarithm, high pass, over 0.2 and the local standard deviation."""
    size = len(square)
    padding = size // 8
    frequency = np.fft.fftfreq(size + 2 * padding)
    low = np.exp(-np.log(2) * (frequency[:, None] ** 2 + frequency**2) / (cutoff / size) ** 2)

    def smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
        padded = np.fft.fft2(np.pad(image, padding, mode="symmetric"))
        return np.fft.ifft2(padded * low).real[padding : padding + size, padding : padding + size]

    levels = np.log1p(square)
    levels = levels - smooth(levels)
    return np.asarray(levels / (0.2 + np.sqrt(np.maximum(smooth(levels**2), 0))))


@pytest.mark.parametrize("orientations", [(8, 8, 4, 4), (3,), (1, 5, 2, 3, 4)])
def test_energies_are_those_of_filters_at_full_size(orientations: tuple[int, ...]) -> None:
    square = textured(64, 64).astype(np.float32)
    encoder = Gist(size=64, orientations=orientations, grid=4)
    expected = oracle(square.astype(float), orientations, 4)
    found = encoder._energies(square)
    assert found.shape == expected.shape
    # What the coarse filters pass beyond the kept frequencies is below a thousandth of their peak.
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=1e-3 * expected.max())
    np.testing.assert_allclose(found[: orientations[0]], expected[: orientations[0]], rtol=1e-4)


def test_coarse_filters_keep_a_part_of_the_spectrum() -> None:
    kept = [len(_filters(160, scale, 8, 30)[0]) for scale in range(4)]
    assert kept[0] == 160
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] == 40
    assert len(_filters(160, 3, 8, 41)[0]) == 80


def test_the_prefilter() -> None:
    square = textured(64, 64).astype(np.float32)
    np.testing.assert_allclose(_even_contrast(square, 4.0), oracle_even(square.astype(float), 4.0), atol=1e-4)
    np.testing.assert_allclose(_even_contrast(square, 0), np.log1p(square), rtol=1e-6)


def test_the_vector_is_the_root_of_the_energies_at_length_one() -> None:
    image = textured(64, 64)
    encoder = Gist(size=64, orientations=(4, 4), grid=4)
    energies = oracle(oracle_even(image.astype(float), 4.0), (4, 4), 4).ravel()
    expected = np.sqrt(energies)
    np.testing.assert_allclose(vector_of(encoder, image), expected / np.linalg.norm(expected), rtol=5e-3, atol=1e-4)
    plain = vector_of(clone(encoder).set_params(compression="none"), image)
    np.testing.assert_allclose(plain, energies / np.linalg.norm(energies), rtol=1e-2, atol=1e-4)
    logarithm = np.log1p(energies / energies.mean())
    found = vector_of(clone(encoder).set_params(compression="log"), image)
    np.testing.assert_allclose(found, logarithm / np.linalg.norm(logarithm), rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize("index", [0, 1, 2, 5, 7])
@pytest.mark.parametrize("scale", [0, 1, 2])
def test_a_grating_answers_to_its_own_filter(scale: int, index: int) -> None:
    image = grating(128, 0.3 / 1.85**scale, 22.5 * index)
    energies = vector_of(Gist(prefilter=0, compression="none"), image).reshape(4, 8, 36).mean(axis=2)
    assert np.unravel_index(energies.argmax(), energies.shape) == (scale, index)


def test_cells_are_row_by_row() -> None:
    image = np.full((128, 128), 128, np.uint8)
    rng = np.random.default_rng(0)
    image[64:, :64] = rng.integers(0, 256, (64, 64))  # below left
    cells = vector_of(Gist(grid=2, prefilter=0, compression="none"), image).reshape(32, 2, 2).mean(axis=0)
    assert cells[1, 0] > 5 * max(cells[0, 0], cells[0, 1], cells[1, 1])


def test_the_side_of_the_square_decides_not_the_image() -> None:
    image = textured(128, 128)
    large = np.repeat(np.repeat(image, 2, axis=0), 3, axis=1)
    np.testing.assert_allclose(vector_of(Gist(), large), vector_of(Gist(), image), atol=1e-5)


def test_a_photograph_of_many_pixels_is_shrunk_in_two_steps() -> None:
    image = textured(128, 128)
    large = np.repeat(np.repeat(image, 8, axis=0), 8, axis=1)
    np.testing.assert_allclose(vector_of(Gist(), large), vector_of(Gist(), image), atol=1e-5)


# The mirror.


@pytest.mark.parametrize("orientations", [(8, 8, 8, 8), (6, 5, 1, 2)])
def test_the_mirrored_energies_are_those_of_the_mirrored_image(orientations: tuple[int, ...]) -> None:
    image = textured(96, 110)
    turned = np.ascontiguousarray(image[:, ::-1])
    encoder = Gist(orientations=orientations, mirror=True)
    np.testing.assert_allclose(vector_of(encoder, image), vector_of(encoder, turned), atol=1e-5)
    alone = clone(encoder).set_params(mirror=False)
    mean = vector_of(alone, image) + vector_of(alone, turned)
    assert np.abs(vector_of(alone, image) - vector_of(alone, turned)).max() > 1e-3
    np.testing.assert_allclose(vector_of(encoder, image), mean / np.linalg.norm(mean), atol=1e-5)


def test_a_slanted_wave_and_its_mirror() -> None:
    image = grating(128, 0.3, 45)
    alone, both = Gist(prefilter=0), Gist(prefilter=0, mirror=True)
    energy = vector_of(alone, image).reshape(4, 8, 36).sum(axis=2)[0]
    mean = vector_of(both, image).reshape(4, 8, 36).sum(axis=2)[0]
    assert energy[2] > 3 * energy[6]
    assert mean[2] == pytest.approx(mean[6], rel=1e-4)


# Images of any kind.


@pytest.mark.parametrize("value", [0, 100, 255])
@pytest.mark.parametrize("mirror", [True, False])
def test_one_colour_is_zero(value: int, mirror: bool) -> None:
    image = np.full((50, 70), value, np.uint8)
    encoded = Gist(mirror=mirror).encode_images([image])
    assert not encoded.vectors.any()
    assert "one colour" in encoded.doubtful[0].reason


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (3, 300), (5, 5), (900, 7)])
@pytest.mark.parametrize("compression", ["root", "log", "none"])
def test_small_and_narrow_images(shape: tuple[int, int], compression: str) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    vector = vector_of(Gist(size=64, compression=compression, mirror=True), image)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, rel=1e-5)


def test_a_colour_image_is_taken_as_gray() -> None:
    image = textured(40, 40)
    colour = np.repeat(image[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(vector_of(Gist(), colour), vector_of(Gist(), image))


# What every backend keeps.


def test_any_number_of_workers_and_a_cache_give_the_same_vectors(tmp_path: Path) -> None:
    images = [textured(50, 40, seed) for seed in range(5)]
    expected = Gist().fit(images).transform(images)
    assert expected.dtype == np.float32
    assert expected.shape == (5, Gist().vector_length) == (5, 32 * 36)
    np.testing.assert_array_equal(Gist(n_jobs=2).transform(images), expected)
    for _ in range(2):
        np.testing.assert_array_equal(Gist(memory=tmp_path).transform(images), expected)
    other = Gist(memory=tmp_path, prefilter=2).transform(images)
    np.testing.assert_array_equal(other, Gist(prefilter=2).transform(images))
    assert np.abs(other - expected).max() > 1e-3


def test_save_and_load(tmp_path: Path) -> None:
    images = [textured(50, 40)]
    encoder = Gist(size=64, orientations=(4, 2), grid=3, mirror=True, n_jobs=2).fit(images)
    storage.save(tmp_path / "gist", kind="backend", state=encoder, metadata={})
    loaded = storage.load(tmp_path / "gist", kind="backend").state
    assert loaded.get_params() == encoder.get_params() | {"n_jobs": None}
    np.testing.assert_array_equal(loaded.transform(images), encoder.transform(images))


def test_the_image_is_not_changed() -> None:
    image = textured(128, 128)
    image.flags.writeable = False
    Gist(mirror=True).transform([image])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 8}, "size must be an integer >= 16, got 8"),
        ({"size": 100}, "size must be a multiple of 16, got 100"),
        ({"orientations": ()}, "orientations must be a sequence of at least one integer"),
        ({"orientations": (8, 0)}, "orientations must be an integer >= 1, got 0"),
        ({"orientations": "8888"}, "orientations must be a sequence"),
        ({"grid": 0}, "grid must be an integer >= 1"),
        ({"grid": 17}, "grid must be at most an eighth of size, got 17 of 128"),
        ({"prefilter": -1}, "prefilter must be a number >= 0"),
        ({"compression": "square"}, "compression must be one of root, log, none, got 'square'"),
        ({"mirror": 1}, "mirror must be True or False, got 1"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gist(**parameters).fit([textured(20, 20)])
