"""Putative matches against a plain NumPy oracle, and the matching of whole images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cvbow import match_images
from cvbow.errors import ImageError
from cvbow.features import SIFT, Features
from cvbow.images import read_image
from cvbow.matching import corner_error, match_features, putative_matches, transform_points


def slow_matches(a: Any, b: Any, ratio: float | None, mutual: bool) -> tuple[list[tuple[int, int]], list[float]]:
    """The definition, one pair at a time."""
    if a.dtype == np.uint8:
        distance = lambda x, y: float(np.unpackbits(x ^ y).sum())  # noqa: E731
    else:
        distance = lambda x, y: float(np.sqrt(((x.astype(np.float64) - y) ** 2).sum()))  # noqa: E731
    table = np.array([[distance(x, y) for y in b] for x in a]).reshape(len(a), len(b))
    pairs, distances = [], []
    for i in range(len(a)):
        if len(b) == 0:
            continue
        j = int(table[i].argmin())
        others = np.delete(table[i], j)
        if ratio is not None and len(others) and not table[i, j] < ratio * others.min():
            continue
        if mutual and int(table[:, j].argmin()) != i:
            continue
        pairs.append((i, j))
        distances.append(table[i, j])
    return pairs, distances


@pytest.mark.parametrize("mutual", [True, False])
@pytest.mark.parametrize("ratio", [None, 0.7, 0.95, 1])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("sizes", [(40, 60), (60, 40), (5, 1), (1, 5), (1, 1), (3, 2)])
def test_matches_are_those_of_the_definition(sizes: tuple[int, int], binary: bool, ratio: Any, mutual: bool) -> None:
    random = np.random.default_rng(sum(sizes))
    if binary:
        a, b = (random.integers(0, 256, (n, 4)).astype(np.uint8) for n in sizes)
    else:
        # Whole numbers: distances tie, and come out exact.
        a, b = (random.integers(0, 5, (n, 3)).astype(np.float32) for n in sizes)
    pairs, distances = putative_matches(a, b, ratio=ratio, mutual=mutual)
    expected, lengths = slow_matches(a, b, ratio, mutual)
    assert list(map(tuple, pairs.tolist())) == expected
    np.testing.assert_allclose(distances, lengths, rtol=1e-6)
    assert (pairs.dtype, distances.dtype) == (np.intp, np.float32)
    if ratio is None:
        assert len(pairs), "the oracle and the function agree on nothing"


def test_by_hand() -> None:
    a = np.array([[0, 0], [10, 0], [10, 1]], np.float32)
    b = np.array([[10, 0.5], [3, 4], [6, 8]], np.float32)
    pairs, distances = putative_matches(a, b, ratio=0.8, mutual=False)
    # Row 0: 5 to row 1, 10 to the others: 5 < 0.8 * 10. Rows 1 and 2: both 0.5 from row 0.
    assert pairs.tolist() == [[0, 1], [1, 0], [2, 0]]
    assert distances.tolist() == [5, 0.5, 0.5]
    # Of the two that are equally near to row 0 of b, the first is its match.
    assert putative_matches(a, b, ratio=0.8)[0].tolist() == [[0, 1], [1, 0]]
    # 5 < ratio * 10 no longer holds at 0.5: the test is strict.
    assert putative_matches(a, b, ratio=0.5)[0].tolist() == [[1, 0]]
    # Three bits of a byte.
    one, other = np.array([[0b0000_0111]], np.uint8), np.array([[0], [0xFF]], np.uint8)
    assert putative_matches(one, other, ratio=None)[1].tolist() == [3]


def test_equal_descriptors_match_the_first_and_fail_the_ratio() -> None:
    row = np.random.default_rng(0).random((1, 128), np.float32)
    a, b = np.repeat(row, 3, axis=0), np.repeat(row, 40, axis=0)
    assert putative_matches(a, b, ratio=None)[0].tolist() == [[0, 0]]
    assert putative_matches(a, b, ratio=None, mutual=False)[0].tolist() == [[0, 0], [1, 0], [2, 0]]
    assert len(putative_matches(a, b, ratio=1)[0]) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_match(sizes: tuple[int, int], dtype: Any) -> None:
    pairs, distances = putative_matches(*(np.zeros((n, 8), dtype) for n in sizes))
    assert (pairs.shape, pairs.dtype, distances.shape, distances.dtype) == ((0, 2), np.intp, (0,), np.float32)


@given(
    arrays(np.uint8, st.tuples(st.integers(0, 12), st.just(2))),
    arrays(np.uint8, st.tuples(st.integers(0, 12), st.just(2))),
)
def test_mutual_pairs_are_one_to_one_and_the_same_from_the_other_side(a: Any, b: Any) -> None:
    pairs = putative_matches(a, b, ratio=None)[0]
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    back = putative_matches(b, a, ratio=None)[0]
    # Ties aside, which each side settles for its own first, a mutual pair is mutual from both sides.
    table = np.unpackbits(a[:, None] ^ b[None], axis=2).sum(axis=2)
    if all(len(set(line)) == len(line) for line in (*table.tolist(), *table.T.tolist())):
        assert sorted(map(tuple, pairs.tolist())) == sorted((i, j) for j, i in back.tolist())


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(2))), st.floats(0.1, 1), st.floats(0.1, 1))
def test_a_stricter_ratio_keeps_a_part(descriptors: Any, one: float, other: float) -> None:
    a, b = descriptors[::2], descriptors[1::2]
    strict, loose = (
        set(map(tuple, putative_matches(a, b, ratio=r, mutual=False)[0].tolist())) for r in sorted((one, other))
    )
    assert strict <= loose


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 0}, "ratio must be a number > 0 and <= 1, got 0"),
        ({"ratio": 1.1}, "ratio must be"),
        ({"mutual": 1}, "mutual must be True or False, got 1"),
        ({"b": np.zeros((2, 8), np.uint8)}, "one kind and length .* got float32 of shape .* and uint8"),
        ({"b": np.zeros((2, 9), np.float32)}, "one kind and length"),
        ({"b": np.zeros((2, 8))}, "descriptors of b must be float32 or uint8 .* got float64"),
        ({"b": [1, 2]}, "descriptors of b .* got list"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], message: str) -> None:
    given = {"a": np.zeros((2, 8), np.float32), "b": np.ones((2, 8), np.float32)} | arguments
    with pytest.raises(ValueError, match=message):
        putative_matches(given.pop("a"), given.pop("b"), **given)


def scene(side: int = 360) -> NDArray[np.uint8]:
    """Smooth random blobs: texture at several scales, so that SIFT finds a lot."""
    import cv2

    random = np.random.default_rng(4)
    total = np.zeros((side, side), np.float32)
    for sigma in (2, 4, 8, 16):
        layer = cv2.GaussianBlur(random.standard_normal((side, side)).astype(np.float32), (0, 0), sigma)
        total += layer / layer.std()
    return np.clip(128 + 32 * total, 0, 255).astype(np.uint8)


def warped(image: NDArray[np.uint8], homography: NDArray[np.float64]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.warpPerspective(image, homography, image.shape[::-1], flags=cv2.INTER_CUBIC, borderValue=128))


TURN = np.array([[0.9, -0.25, 60], [0.25, 0.9, -20], [1e-4, -2e-4, 1]])


@pytest.mark.parametrize("model", ["homography", "affine"])
def test_a_known_warp_is_recovered(model: str) -> None:
    truth = TURN.copy()
    if model == "affine":
        truth[2] = 0, 0, 1
    image = scene()
    before = image.copy()
    result = match_images(image, warped(image, truth), model=model)
    assert corner_error(result.matrix, truth, (360, 360)) < 0.5
    assert len(result) == len(result.distances) == len(result.errors) > 100
    assert result.n_inliers > 0.9 * len(result)
    assert (result.errors[result.inliers] <= 3).all()
    assert (result.errors[~result.inliers] > 3).all()
    assert result.model == model
    np.testing.assert_allclose(
        transform_points(result.matrix, result.points_a[result.inliers]), result.points_b[result.inliers], atol=5
    )
    np.testing.assert_array_equal(image, before)


def test_swapped_images_give_the_inverse() -> None:
    image = scene()
    other = warped(image, TURN)
    forth, back = match_images(image, other), match_images(other, image)
    assert forth.matrix is not None
    assert back.matrix is not None
    assert corner_error(np.linalg.inv(back.matrix), forth.matrix, (360, 360)) < 0.3


def test_nothing_in_common_is_no_error() -> None:
    image = scene()
    other = np.rot90(scene(200)[::-1]).copy()
    noise = np.random.default_rng(1).integers(0, 256, (200, 200)).astype(np.uint8)
    for b in (noise, np.zeros((50, 60), np.uint8), np.full((1, 1), 9, np.uint8), other[:, :30]):
        result = match_images(image, b)
        assert result.matrix is None
        assert result.n_inliers == 0
        assert result.inliers.shape == result.errors.shape == (len(result),)
        assert np.isinf(result.errors).all()


def test_without_a_model_there_are_pairs_alone() -> None:
    image = scene()
    result = match_images(image, image, model=None)
    assert (result.model, result.matrix, result.n_inliers) == (None, None, 0)
    np.testing.assert_array_equal(result.points_a, result.points_b)
    assert len(result) > 100


def test_colour_files_and_arrays_match_alike(tmp_path: Path) -> None:
    import cv2

    image = np.repeat(scene()[..., None], 3, axis=2)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    files = match_images(tmp_path / "a.png", tmp_path / "a.png")
    arrays = match_images(image, image)
    np.testing.assert_array_equal(files.pairs, arrays.pairs)
    assert files.matrix is not None
    np.testing.assert_allclose(files.matrix, np.eye(3), atol=1e-6)


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    image = scene(64)
    with pytest.raises(ValueError, match="model must be one of affine, homography, fundamental, got 'planar'"):
        match_images(image, image, model="planar")
    with pytest.raises(ValueError, match="extractor must be an Extractor"):
        match_images(image, image, extractor="sift")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        match_images(image, tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    with pytest.raises(ImageError):
        match_images(tmp_path / "bad.png", image)


def test_features_of_different_kinds_are_refused() -> None:
    points = np.zeros((3, 4), np.float32)
    a = Features(points, np.zeros((3, 32), np.uint8), (9, 9))
    b = Features(points, np.zeros((3, 128), np.float32), (9, 9))
    with pytest.raises(ValueError, match="descriptors must be of one kind and length"):
        match_features(a, b)


@pytest.mark.parametrize(("sequence", "number"), [("graf", 3), ("boat", 4)])
def test_real_sequences(shared_data: Path, sequence: str, number: int) -> None:
    folder = shared_data / "oxford_affine" / sequence
    truth = np.loadtxt(folder / f"H1to{number}p")
    extractor = SIFT(max_points=2000)
    images = [read_image(folder / f"img{n}.png", gray=True) for n in (1, number)]
    result = match_images(*images, extractor=extractor)
    height, width = images[0].shape
    assert corner_error(result.matrix, truth, (width, height)) < 5
    assert result.n_inliers > 200


def test_real_images_of_other_places_have_no_model(shared_data: Path) -> None:
    folder = shared_data / "oxford_affine"
    for model in ("homography", "fundamental"):
        result = match_images(folder / "graf/img1.png", folder / "leuven/img1.png", model=model)
        assert len(result) > 10
        assert result.matrix is None
