"""DenseSIFT against the definition of SIFT, against hand-computed patches, and against OpenCV and VLFeat."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import sift_oracle
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic import textured

from cvbow.features import DenseSIFT, Features
from cvbow.features._normalize import normalize_sift, root_normalize

RIGHT, DOWN, LEFT, UP = 0, 2, 4, 6
RIGHT_DOWN = 1


def one_scale(image: NDArray[np.uint8], bin_size: int, **parameters: Any) -> Features:
    settings = {"contrast_threshold": 0, "max_side": None, **parameters}
    return DenseSIFT(bin_sizes=(bin_size,), **settings).extract(image)


def cells(features: Features) -> NDArray[np.float32]:
    """Descriptors as (n, rows, columns, orientations)."""
    return features.descriptors.reshape(-1, 4, 4, 8)


def cosines(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    seen = lengths > 0
    assert seen.any()
    return np.asarray((a * b).sum(axis=1)[seen] / lengths[seen])


def by_place(features: Features) -> dict[tuple[float, float], int]:
    return {(float(x), float(y)): row for row, (x, y) in enumerate(features.points[:, :2])}


def interior(features: Features, bin_size: int, margin: float = 1) -> NDArray[np.bool_]:
    """Descriptors whose pixels, triangles' feet included, keep ``margin`` pixels from the border."""
    width, height = features.image_size
    x, y = features.points[:, 0], features.points[:, 1]
    reach = 2.5 * bin_size - 1 + margin
    return np.asarray((x >= reach) & (y >= reach) & (x <= width - 1 - reach) & (y <= height - 1 - reach))


# The definition


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("window", ["flat", "gaussian"])
@pytest.mark.parametrize(
    ("shape", "step", "bin_size"),
    [((61, 47), 4, 4), ((40, 77), 3, 5), ((47, 48), 6, 2), ((33, 32), 5, 1), ((70, 51), 7, 10), ((25, 90), 2, 8)],
)
def test_descriptors_agree_with_the_definition(
    shape: tuple[int, int], step: int, bin_size: int, window: str, root: bool
) -> None:
    image = textured(*shape, seed=bin_size)
    options = {"step": step, "window": window, "root": root}
    found = one_scale(image, bin_size, **options)
    points, expected = sift_oracle.dense_sift(image, bin_size=bin_size, **options)
    assert len(points) > 0
    assert np.array_equal(found.points, points)
    agreement = cosines(found.descriptors, expected)
    assert len(agreement) == len(points)
    assert agreement.mean() >= 0.999
    assert agreement.min() >= 0.99
    # With the orientations split as the docstring says, nothing is left but the rounding to 16 bits.
    _, documented = sift_oracle.dense_sift(image, bin_size=bin_size, split="basis", **options)
    np.testing.assert_allclose(found.descriptors, documented, atol=1e-3)


@pytest.mark.parametrize("window_size", [0.7, 2.0, 1e6])
@pytest.mark.parametrize("window", ["flat", "gaussian"])
def test_window_size_and_magnification_are_those_of_the_definition(window: str, window_size: float) -> None:
    image = textured(40, 45)
    options = {"step": 5, "window": window, "window_size": window_size, "magnification": 2.5}
    found = one_scale(image, 6, **options)
    _, expected = sift_oracle.dense_sift(image, bin_size=6, split="basis", **options)
    np.testing.assert_allclose(found.descriptors, expected, atol=1e-3)


def test_the_flat_window_is_near_the_gaussian_one() -> None:
    image = textured(90, 90)
    flat, gaussian = (one_scale(image, 4, window=window) for window in ("flat", "gaussian"))
    assert cosines(flat.descriptors, gaussian.descriptors).mean() >= 0.99
    assert not np.allclose(flat.descriptors, gaussian.descriptors, atol=1e-3)


@pytest.mark.parametrize("window", ["flat", "gaussian"])
@pytest.mark.parametrize("scene", ["Coast", "Office", "Forest"])
def test_descriptors_of_photographs_agree_with_the_definition(shared_data: Path, scene: str, window: str) -> None:
    path = sorted((shared_data / "scene15" / "train" / scene).glob("*.jpg"))[0]
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    found = DenseSIFT(step=31, bin_sizes=(4, 9), window=window).extract(image)
    parts = [
        sift_oracle.dense_sift(image, step=31, bin_size=bin_size, window=window, contrast_threshold=0.005)
        for bin_size in (4, 9)
    ]
    assert np.array_equal(found.points, np.concatenate([points for points, _ in parts]))
    expected = np.concatenate([descriptors for _, descriptors in parts])
    assert cosines(found.descriptors, expected).mean() >= 0.999
    # The same patches are blank, but for one whose length lies on the threshold to its last digits.
    assert (found.descriptors.any(axis=1) != expected.any(axis=1)).sum() <= 1


# Geometry


@given(height=st.integers(1, 60), width=st.integers(1, 60), step=st.integers(1, 15), bin_size=st.integers(1, 12))
@example(height=13, width=13, step=4, bin_size=4)
@example(height=12, width=40, step=4, bin_size=4)
def test_the_grid_fits_is_centred_and_regular(height: int, width: int, step: int, bin_size: int) -> None:
    features = one_scale(np.zeros((height, width), np.uint8), bin_size, step=step)
    counts = []
    for axis, length in ((0, width), (1, height)):
        places = np.unique(features.points[:, axis])
        room = length - 1 - 3 * bin_size  # for the first of four bin centres
        counts.append(room // step + 1 if room >= 0 else 0)
        if len(features) == 0:
            continue
        assert len(places) == counts[-1]
        assert (np.diff(places) == step).all()
        first_bin, last_bin = places[0] - 1.5 * bin_size, places[-1] + 1.5 * bin_size
        assert first_bin == int(first_bin)
        assert 0 <= first_bin <= last_bin <= length - 1
        assert (length - 1 - last_bin) - first_bin in (0, 1)
    assert len(features) == counts[0] * counts[1]
    assert (features.points[:, 2] == 4 * bin_size).all()
    assert (features.points[:, 3] == 0).all()


def test_points_of_a_small_grid() -> None:
    # 20 columns: first bin centres at 0..7, so step 4 fits two and leaves 3, of which 1 to the left.
    features = one_scale(textured(13, 20), 4, step=4)
    assert features.points.tolist() == [[7, 6, 16, 0], [11, 6, 16, 0]]
    # An odd bin puts the centre between two pixels.
    assert one_scale(textured(10, 10), 3, step=4).points.tolist() == [[4.5, 4.5, 12, 0]]


def test_scales_come_one_after_another_row_by_row() -> None:
    image = textured(41, 50)
    both = DenseSIFT(bin_sizes=(6, 4), contrast_threshold=0).extract(image)
    first, second = one_scale(image, 6), one_scale(image, 4)
    assert np.array_equal(both.points, np.concatenate([first.points, second.points]))
    assert np.array_equal(both.descriptors, np.concatenate([first.descriptors, second.descriptors]))
    rows = [tuple(point) for point in first.points[:, [1, 0]]]
    assert rows == sorted(rows)


def test_scales_that_do_not_fit_are_left_out() -> None:
    image = textured(14, 14)
    features = DenseSIFT(bin_sizes=(10, 4, 5, 3)).extract(image)
    assert set(features.points[:, 2]) == {16, 12}
    assert len(DenseSIFT(bin_sizes=(10, 5)).extract(image)) == 0


# Hand-computed patches


@pytest.mark.parametrize("window", ["flat", "gaussian"])
@pytest.mark.parametrize(
    ("turn", "orientation"),
    [(lambda a: a, RIGHT), (lambda a: a.T, DOWN), (lambda a: a[:, ::-1], LEFT), (lambda a: a.T[::-1], UP)],
    ids=["right", "down", "left", "up"],
)
def test_an_edge_fills_the_direction_towards_its_bright_side(turn: Any, orientation: int, window: str) -> None:
    image = np.full((48, 48), 50, np.uint8)
    image[:, 24:] = 200
    found = cells(one_scale(np.ascontiguousarray(turn(image)), 4, window=window, magnification=0))
    filled = found.any(axis=(0, 1, 2))
    assert np.flatnonzero(filled).tolist() == [orientation]


def test_an_edge_fills_the_cells_that_it_runs_through() -> None:
    image = np.full((48, 64), 50, np.uint8)
    image[:, 32:] = 200
    features = one_scale(image, 4, magnification=0)
    for (x, _, _, _), patch in zip(features.points, cells(features), strict=True):
        centers = x - 6 + 4 * np.arange(4)
        # The gradient lies in the columns 31 and 32; a bin takes what is less than a bin size from its centre.
        touched = (np.abs(centers - 31) < 4) | (np.abs(centers - 32) < 4)
        assert np.array_equal(patch[..., RIGHT] > 0, np.broadcast_to(touched, (4, 4)))


@pytest.mark.parametrize("window", ["flat", "gaussian"])
@pytest.mark.parametrize("magnification", [0, 6.0])
def test_a_ramp_along_a_diagonal_fills_one_orientation_alike(window: str, magnification: float) -> None:
    y, x = np.indices((60, 60))
    ramp = (x + y).astype(np.uint8)
    options = {"window": window, "window_size": 1e6, "magnification": magnification}
    for root in (True, False):
        features = one_scale(ramp, 4, root=root, **options)
        inner = cells(features)[interior(features, 4, margin=4)]
        # 16 equal values: 1/4 each for L2 length 1, and the square root of 1/16 for L1 length 1.
        expected = np.zeros((4, 4, 8))
        expected[..., RIGHT_DOWN] = 0.25
        np.testing.assert_allclose(inner, np.broadcast_to(expected, inner.shape), atol=1e-4)


@pytest.mark.parametrize(("root", "straight", "diagonal"), [(False, 0.14631, 0.20272), (True, 0.16185, 0.19053)])
def test_a_ramp_between_two_orientations_is_shared_cut_and_scaled(root: bool, straight: float, diagonal: float) -> None:
    y, x = np.indices((60, 60))
    features = one_scale((2 * x + y).astype(np.uint8), 4, root=root, window_size=1e6, magnification=0)
    inner = cells(features)[interior(features, 4)]
    # (2, 1) = 1 (1, 0) + sqrt(2) (1, 1) / sqrt(2). Sixteen such pairs have length 4 sqrt(3): shares 0.14434 and
    # 0.20412, the latter cut at 0.2. The L2 norm is then 0.98658 and the L1 norm 5.5094.
    expected = np.zeros((4, 4, 8))
    expected[..., RIGHT] = straight
    expected[..., RIGHT_DOWN] = diagonal
    np.testing.assert_allclose(inner, np.broadcast_to(expected, inner.shape), atol=2e-5)


def test_the_contrast_threshold_is_in_gray_levels_per_pixel() -> None:
    ramp = np.tile(np.arange(60, dtype=np.uint8), (60, 1))
    options = {"magnification": 0, "window_size": 1e6}
    length = 4 * 1 / 255  # sixteen bins with a mean gradient of one gray level in 255
    below, above = (
        one_scale(ramp, 6, contrast_threshold=length * factor, **options).descriptors for factor in (0.999, 1.001)
    )
    inner = interior(one_scale(ramp, 6, **options), 6)
    assert inner.any()
    assert below[inner].any(axis=1).all()
    assert not above.any()


def test_noise_becomes_zero_and_structure_stays() -> None:
    image = (128 + (np.random.default_rng(0).random((60, 120)) < 0.03)).astype(np.uint8)
    image[:, 60:] = textured(60, 60)
    default, all_kept = DenseSIFT(bin_sizes=(4,)).extract(image), one_scale(image, 4)
    noise, structure = default.points[:, 0] < 60 - 11, default.points[:, 0] > 60 + 11
    assert not default.descriptors[noise].any()
    assert all_kept.descriptors[noise].any(axis=1).mean() > 0.9
    assert np.array_equal(default.descriptors[structure], all_kept.descriptors[structure])


@pytest.mark.parametrize("window", ["flat", "gaussian"])
def test_a_plain_image_gives_zeros_whatever_the_threshold(window: str) -> None:
    # The smoothing's last digits differ between an image's edge and its middle; they must not become gradients.
    for gray in (0, 1, *range(2, 254, 6), 254, 255):
        features = DenseSIFT(contrast_threshold=0, window=window).extract(np.full((47, 46), gray, np.uint8))
        assert len(features) > 0
        assert not features.descriptors.any()


# What SIFT does not see, and how it moves


@given(seed=st.integers(0, 10**6), height=st.integers(1, 40), width=st.integers(1, 40), step=st.integers(1, 9),
       bin_size=st.integers(1, 6), window=st.sampled_from(["flat", "gaussian"]), root=st.booleans(),
       levels=st.sampled_from([1, 2, 256]))  # fmt: skip
def test_descriptors_are_finite_and_of_length_one_or_zero(
    seed: int, height: int, width: int, step: int, bin_size: int, window: str, root: bool, levels: int
) -> None:
    image = np.random.default_rng(seed).integers(0, levels, (height, width)).astype(np.uint8)
    features = DenseSIFT(step=step, bin_sizes=(bin_size,), window=window, root=root).extract(image)
    assert np.isfinite(features.descriptors).all()
    assert features.descriptors.min(initial=0) >= 0
    lengths = np.linalg.norm(features.descriptors, axis=1)
    assert ((lengths == 0) | (np.abs(lengths - 1) < 1e-5)).all()


def test_brightness_and_contrast_do_not_matter() -> None:
    image = (textured(70, 81) // 4).astype(np.uint8)
    expected = one_scale(image, 4)
    for other in (image + 100, image * 2, image * 3 + 20):
        found = one_scale(other.astype(np.uint8), 4)
        assert cosines(found.descriptors, expected.descriptors).min() > 0.9999
        np.testing.assert_allclose(found.descriptors, expected.descriptors, atol=0.01)


@pytest.mark.parametrize("window", ["flat", "gaussian"])
def test_a_negative_turns_every_orientation_round(window: str) -> None:
    image = textured(60, 70)
    expected = np.roll(cells(one_scale(image, 4, window=window)), 4, axis=3)
    np.testing.assert_allclose(cells(one_scale(255 - image, 4, window=window)), expected, atol=1e-3)


@pytest.mark.parametrize("window", ["flat", "gaussian"])
@pytest.mark.parametrize("bin_size", [4, 7])
def test_a_quarter_turn_permutes_cells_and_orientations(bin_size: int, window: str) -> None:
    image = textured(81, 61) if bin_size == 4 else textured(82, 62)  # no odd left-over: the grid turns onto itself
    before = one_scale(image, bin_size, window=window)
    after = one_scale(np.ascontiguousarray(np.rot90(image)), bin_size, window=window)
    # Anticlockwise, (x, y) goes to (y, W - 1 - x): right becomes up, two orientations less with y downwards.
    expected = np.roll(np.rot90(cells(before), axes=(1, 2)), -2, axis=3)
    places = by_place(after)
    order = [places[(y, 61 + (bin_size == 7) - 1 - x)] for x, y in before.points[:, :2].tolist()]
    assert sorted(order) == list(range(len(before)))
    np.testing.assert_allclose(cells(after)[order], expected, atol=1e-3)


@pytest.mark.parametrize("window", ["flat", "gaussian"])
def test_a_mirror_permutes_cells_and_orientations(window: str) -> None:
    image = textured(60, 81)
    before = one_scale(image, 6, window=window)
    after = one_scale(np.ascontiguousarray(image[:, ::-1]), 6, window=window)
    expected = cells(before)[:, :, ::-1][..., (4 - np.arange(8)) % 8]
    places = by_place(after)
    order = [places[(80 - x, y)] for x, y in before.points[:, :2].tolist()]
    np.testing.assert_allclose(cells(after)[order], expected, atol=1e-3)


def test_a_shift_by_steps_shifts_the_descriptors() -> None:
    canvas = textured(110, 120)
    here, there = one_scale(canvas[:90, :100], 6), one_scale(canvas[8:98, 12:112], 6)
    places = by_place(there)
    # Away from the border, by the reach of the smoothing too.
    inner = {row for row in np.flatnonzero(interior(here, 6, margin=5))}
    pairs = [
        (row, places[(x - 12, y - 8)])
        for row, (x, y) in enumerate(here.points[:, :2].tolist())
        if row in inner and (x - 12, y - 8) in places and interior(there, 6, margin=5)[places[(x - 12, y - 8)]]
    ]
    assert len(pairs) > 50
    a, b = np.array(pairs).T
    np.testing.assert_allclose(here.descriptors[a], there.descriptors[b], atol=1e-3)


# Normalisation


def test_normalize_sift_by_hand() -> None:
    rows = np.array([[3, 4, 0], [0, 0, 0], [0, 0, 1e-30], [0, 0, 5]], np.float32)
    block = rows.copy()
    normalize_sift(block, root=False, threshold=0)
    # Both values of the first row are above a fifth of its length 5.
    np.testing.assert_allclose(block, [[0.5**0.5, 0.5**0.5, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]], rtol=1e-6)
    block = rows.copy()
    normalize_sift(block, root=True, threshold=5.01)
    assert not block.any()
    flat = np.ones((1, 26), np.float32)
    flat[0, 0] = 0.5  # the others are just under a fifth of the length: nothing is cut
    normalize_sift(flat, root=True, threshold=0)
    np.testing.assert_allclose(flat[0], np.sqrt(np.array([0.5] + [1.0] * 25) / 25.5), rtol=1e-6)


def test_a_cut_value_is_the_largest_there_is() -> None:
    # Values over 0.2 of the length come out equal, and nothing above them.
    descriptors = one_scale(textured(60, 60), 4, root=False).descriptors
    at_the_top = np.isclose(descriptors, descriptors.max(axis=1, keepdims=True), rtol=1e-5).sum(axis=1)
    assert (at_the_top > 1).mean() > 0.3
    assert descriptors.max() < 0.5


def test_root_normalize_by_hand() -> None:
    descriptors = np.array([[1, 3], [0, 0], [0, 2]], np.float32)
    before = descriptors.copy()
    found = root_normalize(descriptors)
    np.testing.assert_allclose(found, [[0.5, 0.75**0.5], [0, 0], [0, 1]], rtol=1e-6)
    assert found.dtype == np.float32
    assert np.array_equal(descriptors, before)


# Parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"step": 0}, "step must be an integer >= 1, got 0"),
        ({"step": 2.0}, "step must be an integer >= 1, got 2.0"),
        ({"bin_sizes": ()}, "bin_sizes must be a sequence of at least one integer, got ()"),
        ({"bin_sizes": 4}, "bin_sizes must be a sequence of at least one integer, got 4"),
        ({"bin_sizes": "48"}, "bin_sizes must be a sequence of at least one integer, got '48'"),
        ({"bin_sizes": (4, 0)}, "bin_sizes must be an integer >= 1, got 0"),
        ({"bin_sizes": (4, 6.5)}, "bin_sizes must be an integer >= 1, got 6.5"),
        ({"window": "triangle"}, "window must be one of flat, gaussian, got 'triangle'"),
        ({"window": None}, "window must be one of flat, gaussian, got None"),
        ({"window_size": 0}, "window_size must be a number > 0, got 0"),
        ({"window_size": float("nan")}, "window_size must be a number > 0, got nan"),
        ({"magnification": -1}, "magnification must be a number >= 0, got -1"),
        ({"magnification": float("inf")}, "magnification must be a number >= 0, got inf"),
        ({"contrast_threshold": -0.1}, "contrast_threshold must be a number >= 0, got -0.1"),
        ({"contrast_threshold": None}, "contrast_threshold must be a number >= 0, got None"),
        ({"root": "no"}, "root must be True or False, got 'no'"),
        ({"root": 1}, "root must be True or False, got 1"),
        ({"color": "lab"}, "color must be one of gray, rgb, hsv, opponent, got 'lab'"),
        ({"color": True}, "color must be one of gray, rgb, hsv, opponent, got True"),
    ],
)
def test_a_bad_parameter_is_refused(parameters: dict[str, Any], message: str) -> None:
    extractor = DenseSIFT(**parameters)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        extractor.extract(textured(40, 40))


def test_numpy_numbers_and_lists_are_as_good() -> None:
    image = textured(50, 60)
    plain = DenseSIFT(step=4, bin_sizes=(4, 6), window_size=1.5).extract(image)
    numpy = DenseSIFT(step=np.int64(4), bin_sizes=[np.int32(4), 6], window_size=np.float64(1.5)).extract(image)  # type: ignore[arg-type, list-item]
    assert np.array_equal(plain.descriptors, numpy.descriptors)


# Peers


@pytest.mark.parametrize("bin_size", [4, 6, 10])
def test_opencv_describes_the_same_patches_alike(bin_size: int) -> None:
    image = textured(120, 150, seed=3)
    # OpenCV's terms: smoothed to 1.6 pixels, a window of two bins, bins of 1.5 times the keypoint's size, y upwards.
    mine = one_scale(
        image, bin_size, step=6, window="gaussian", window_size=2, magnification=bin_size / 1.6, root=False
    )
    keypoints = [cv2.KeyPoint(float(x), float(y), bin_size / 1.5, 0.0) for x, y in mine.points[:, :2]]
    keypoints, theirs = cv2.SIFT_create().compute(image, keypoints)
    assert np.array_equal([keypoint.pt for keypoint in keypoints], mine.points[:, :2])
    theirs = theirs.reshape(-1, 4, 4, 8)[..., -np.arange(8) % 8].reshape(-1, 128)
    agreement = cosines(mine.descriptors, theirs)
    inner = interior(mine, bin_size)
    # OpenCV leaves out the gradients on the image's border and rounds its values to bytes.
    assert agreement[inner].mean() >= 0.999
    assert agreement[inner].min() >= 0.998
    assert agreement.min() >= 0.98


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("step", "bin_size"), [(8, 4), (4, 4), (3, 10), (4, 8)])
def test_vlfeat_describes_the_same_patches_alike(
    step: int, bin_size: int, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = Path(__file__).resolve().parents[1] / "benchmarks" / "peers"
    if not (peers / "vlfeat.py").is_file():
        pytest.skip("needs benchmarks/peers, which this copy of the tests comes without")
    monkeypatch.syspath_prepend(str(peers))
    vlfeat = importlib.import_module("vlfeat")
    sys.modules.pop("vlfeat")
    if not vlfeat.available():
        pytest.skip("needs VLFeat 0.9.21 (Debian: apt install libvlfeat1)")
    image = textured(120, 150, seed=3)
    window = "flat" if fast else "gaussian"
    mine = one_scale(image, bin_size, step=step, window=window, window_size=2, magnification=0, root=False)
    # VLFeat starts its grid at the first pixel: cut the image where cvbow's starts.
    left, top = (mine.points[0, :2] - 1.5 * bin_size).astype(int)
    cut = image[top:, left:].astype(np.float32) / 255
    centers, theirs = vlfeat.dsift(np.ascontiguousarray(cut), step=step, size=bin_size, fast=fast)
    np.testing.assert_allclose(centers + np.array([left, top]), mine.points[:, :2])
    agreement = cosines(mine.descriptors, theirs)
    inner = interior(mine, bin_size, margin=2)
    # On the border VLFeat takes one-sided differences in full, where a replicated border halves them.
    assert agreement[inner].mean() >= 0.999
    assert agreement[inner].min() >= 0.998
    assert agreement.mean() >= 0.99
