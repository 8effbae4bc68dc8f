"""SIFT keypoints: the cap by strength, the order, the normalisations, and OpenCV's own answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from synthetic import textured

from cvbow.features import SIFT


def opencv(image: np.ndarray, **options: Any) -> tuple[list[cv2.KeyPoint], np.ndarray]:
    """OpenCV's keypoints, the strongest first, with their descriptors."""
    keypoints, descriptors = cv2.SIFT_create(enable_precise_upscale=True, **options).detectAndCompute(image, None)
    order = sorted(range(len(keypoints)), key=lambda i: (-keypoints[i].response, keypoints[i].pt[::-1]))
    return [keypoints[i] for i in order], descriptors[order]


def as_points(keypoints: list[cv2.KeyPoint]) -> np.ndarray:
    return np.array([(*k.pt, k.size, k.angle) for k in keypoints], np.float32)


def in_one_order(points: np.ndarray) -> np.ndarray:
    """Positions that sort points by value: keypoints of one place and strength differ in their angle alone."""
    return np.lexsort(points.T[::-1])


def test_points_and_descriptors_are_those_of_opencv() -> None:
    image = textured(150, 200)
    keypoints, raw = opencv(image)
    assert len(keypoints) > 100
    features = SIFT(max_points=None, root=False).extract(image)
    theirs, mine = in_one_order(as_points(keypoints)), in_one_order(features.points)
    assert np.array_equal(features.points[mine], as_points(keypoints)[theirs])
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(features.descriptors[mine], expected[theirs], atol=1e-6)


def test_root_sift_is_the_square_root_of_the_l1_share() -> None:
    image = textured(150, 200)
    plain, root = (SIFT(root=root).extract(image) for root in (False, True))
    assert np.array_equal(plain.points, root.points)
    share = plain.descriptors / plain.descriptors.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(root.descriptors, np.sqrt(share), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(root.descriptors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(plain.descriptors, axis=1), 1, atol=1e-5)


def test_parameters_reach_opencv() -> None:
    image = textured(150, 200)
    options = {"contrastThreshold": 0.08, "edgeThreshold": 4.0, "sigma": 2.0}
    expected = as_points(opencv(image, **options)[0])
    found = SIFT(max_points=None, contrast_threshold=0.08, edge_threshold=4, sigma=2).extract(image).points
    assert 0 < len(found) < len(SIFT(max_points=None).extract(image))
    assert np.array_equal(found[in_one_order(found)], expected[in_one_order(expected)])


@pytest.mark.parametrize("cap", [1, 7, 40])
def test_the_strongest_points_are_kept(cap: int) -> None:
    image = textured(150, 200)
    keypoints, _ = opencv(image)
    strengths = [k.response for k in keypoints]
    everything = SIFT(max_points=None).extract(image)
    capped = SIFT(max_points=cap).extract(image)
    assert len(capped) == cap
    assert np.array_equal(capped.points, everything.points[:cap])
    # A cap that leaves none of the smallest scale lets OpenCV start a scale up, which hardly shows.
    assert (capped.descriptors * everything.descriptors[:cap]).sum(axis=1).min() > 0.99
    strength_of = {tuple(point): strength for point, strength in zip(as_points(keypoints), strengths, strict=True)}
    kept = [strength_of[tuple(point)] for point in capped.points]
    assert kept == strengths[:cap]


def test_a_cap_above_the_number_of_points_changes_nothing() -> None:
    image = textured(60, 60)
    everything = SIFT(max_points=None).extract(image)
    assert 0 < len(everything) < 1000
    assert np.array_equal(SIFT(max_points=1000).extract(image).descriptors, everything.descriptors)


def test_the_points_of_a_mirrored_image_are_mirrored(shared_data: Path) -> None:
    path = sorted((shared_data / "scene15" / "train" / "Office").glob("*.jpg"))[0]
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    before = SIFT(max_points=None).extract(image).points[:, :2]
    after = SIFT(max_points=None).extract(np.ascontiguousarray(image[:, ::-1])).points[:, :2]
    after[:, 0] = image.shape[1] - 1 - after[:, 0]
    offsets = after[:, None] - before
    nearest = offsets[np.arange(len(after)), (offsets**2).sum(axis=2).argmin(axis=1)]
    found = np.abs(nearest).max(axis=1) < 0.1
    assert found.mean() > 0.9
    np.testing.assert_allclose(np.median(nearest[found], axis=0), 0, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (64, 64)])
@pytest.mark.parametrize("gray", [0, 130, 255])
def test_an_image_without_keypoints_gives_an_empty_bag(shape: tuple[int, int], gray: int) -> None:
    features = SIFT().extract(np.full(shape, gray, np.uint8))
    assert features.points.shape == (0, 4)
    assert features.descriptors.shape == (0, 128)
    assert features.points.dtype == features.descriptors.dtype == np.float32
    assert features.image_size == shape[::-1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_points": 0}, "max_points must be None or an integer >= 1, got 0"),
        ({"max_points": 10.0}, "max_points must be None or an integer >= 1, got 10.0"),
        ({"contrast_threshold": -1}, "contrast_threshold must be a number >= 0, got -1"),
        ({"contrast_threshold": "0.04"}, "contrast_threshold must be a number >= 0, got '0.04'"),
        ({"edge_threshold": 0.5}, "edge_threshold must be a number >= 1, got 0.5"),
        ({"edge_threshold": float("inf")}, "edge_threshold must be a number >= 1, got inf"),
        ({"sigma": 0}, "sigma must be a number >= 0.5, got 0"),
        ({"sigma": float("nan")}, "sigma must be a number >= 0.5, got nan"),
        ({"root": "no"}, "root must be True or False, got 'no'"),
    ],
)
def test_a_bad_parameter_is_refused(parameters: dict[str, Any], message: str) -> None:
    extractor = SIFT(**parameters)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        extractor.extract(textured(40, 40))
