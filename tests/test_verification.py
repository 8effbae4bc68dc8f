"""Spatial re-ranking against maps that are known, plain loops, and pairs of images that have nothing in common."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.dictionary import KMeansDictionary
from cvbow.features import SIFT, Features
from cvbow.images import read_image
from cvbow.matching import maps, transform_points
from cvbow.retrieval.quantized import quantize, stored_points
from cvbow.retrieval.verification import Verification, shared_words, verify

SIZE = (640, 480)
Local = dict[str, NDArray[Any]]


def local_words(
    points: NDArray[Any], words: NDArray[Any], *, size: tuple[int, int] = SIZE, signatures: NDArray[Any] | None = None
) -> Local:
    features = Features(points.astype(np.float32), np.zeros((len(points), 1), np.float32), size)
    return quantize(features, words.astype(np.int32), signatures)


def random_points(rng: np.random.Generator, n: int, size: tuple[int, int] = SIZE) -> NDArray[np.float64]:
    return np.column_stack(
        [rng.uniform(0, size[0] - 1, n), rng.uniform(0, size[1] - 1, n), rng.uniform(4, 30, n), rng.uniform(0, 360, n)]
    )


def moved(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points under a map, sizes and angles by its derivative at each point, by finite differences."""

    def at(places: NDArray[np.float64]) -> NDArray[np.float64]:
        mapped = np.column_stack([places, np.ones(len(places))]) @ matrix.T
        return np.asarray(mapped[:, :2] / mapped[:, 2:])

    step = 1e-4
    here = at(points[:, :2])
    along_x, along_y = ((at(points[:, :2] + step * np.eye(2)[i]) - here) / step for i in range(2))
    angle = np.deg2rad(points[:, 3])
    heading = along_x * np.cos(angle)[:, None] + along_y * np.sin(angle)[:, None]
    area = np.abs(along_x[:, 0] * along_y[:, 1] - along_x[:, 1] * along_y[:, 0])
    turned = np.rad2deg(np.arctan2(heading[:, 1], heading[:, 0])) % 360
    return np.column_stack([here, points[:, 2] * np.sqrt(area), turned])


def similarity(zoom: float, degrees: float, centre: tuple[float, float] = (320, 240)) -> NDArray[np.float64]:
    return np.vstack([cv2.getRotationMatrix2D(centre, degrees, zoom), [0, 0, 1]])


def pair_under(
    matrix: NDArray[np.float64], *, n: int = 60, outliers: int = 0, seed: int = 0, n_words: int = 1000
) -> tuple[Local, Local, NDArray[np.float64]]:
    """Two images with n right matches, and as many wrong ones as wanted; and the points of the first."""
    rng = np.random.default_rng(seed)
    points = random_points(rng, n)
    images = moved(points, matrix)
    inside = ((images[:, :2] >= 0) & (images[:, :2] <= np.array(SIZE) - 1)).all(axis=1)
    points, images = points[inside], images[inside]
    words = rng.choice(n_words, len(points), replace=False)
    noise = [random_points(rng, outliers) for _ in range(2)]
    extra = rng.choice(n_words, outliers)
    query = local_words(np.vstack([points, noise[0]]), np.concatenate([words, extra]))
    candidate = local_words(np.vstack([images, noise[1]]), np.concatenate([words, extra]))
    return query, candidate, points


def corners_apart(a: NDArray[np.float64], b: NDArray[np.float64], size: tuple[int, int] = SIZE) -> float:
    """The largest distance in pixels between where two maps send the corners of an image."""
    corners = np.array([[[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]], np.float64)
    distances = cv2.perspectiveTransform(corners, a) - cv2.perspectiveTransform(corners, b)
    return float(np.linalg.norm(distances[0], axis=1).max())


# --- putative matches -------------------------------------------------------------------------------------------------


def test_shared_words_are_all_pairs_of_a_word() -> None:
    rng = np.random.default_rng(0)
    a = local_words(random_points(rng, 80), rng.integers(0, 30, 80))
    b = local_words(random_points(rng, 50), rng.integers(0, 30, 50))
    expected = [[i, j] for i in range(80) for j in range(50) if a["words"][i] == b["words"][j]]
    assert shared_words(a, b, max_hamming=0).tolist() == expected


def test_signatures_leave_the_near_ones_and_at_most_four_of_a_feature() -> None:
    rng = np.random.default_rng(1)
    words = np.zeros(7)
    near = np.array([0, 1, 3, 7, 15, 31, 2**20 - 1], np.uint64)  # 0, 1, 2, 3, 4, 5 and 20 bits from 0
    a = local_words(random_points(rng, 1), words[:1], signatures=np.zeros(1, np.uint64))
    b = local_words(random_points(rng, 7), words, signatures=near)
    assert shared_words(a, b, max_hamming=2).tolist() == [[0, 0], [0, 1], [0, 2]]
    assert shared_words(a, b, max_hamming=64).tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]
    del b["signatures"]
    assert len(shared_words(a, b, max_hamming=0)) == 7


def test_signatures_match_up_to_as_many_bits_as_are_asked_for() -> None:
    query, candidate, points = pair_under(similarity(1.2, 20))
    signed = [
        {**image, "signatures": np.full(len(image["words"]), bits, np.uint64)}
        for image, bits in ((query, 0), (candidate, 0b11111))
    ]
    assert verify(*signed, max_hamming=5).n_inliers >= 0.9 * len(points)
    assert verify(*signed, max_hamming=4).matrix is None


def test_a_texture_does_not_multiply() -> None:
    rng = np.random.default_rng(2)
    words = np.concatenate([np.zeros(900), np.arange(1, 41)])
    a, b = (local_words(random_points(rng, 940), words) for _ in range(2))
    assert shared_words(a, b, max_hamming=0)[:, 0].tolist() == list(range(900, 940))
    # Below that limit too, there is one for all: the rarest words first.
    words = np.concatenate([np.repeat(np.arange(100), 8), np.arange(100, 140)])
    a, b = (local_words(random_points(rng, 840), words) for _ in range(2))
    matches = shared_words(a, b, max_hamming=0)
    assert len(matches) <= 4000
    assert set(range(800, 840)) <= set(matches[:, 0].tolist())


# --- the map ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["similarity", "affine", "homography"])
@pytest.mark.parametrize(("zoom", "degrees"), [(1.0, 0.0), (0.4, 170.0), (1.8, -75.0), (2.5, 40.0)])
def test_a_similarity_is_recovered(model: str, zoom: float, degrees: float) -> None:
    truth = similarity(zoom, degrees)
    query, candidate, points = pair_under(truth, n=150, outliers=150)
    found = verify(query, candidate, model=model)
    assert found.matrix is not None
    assert found.n_inliers >= 0.97 * len(points)
    assert corners_apart(found.matrix, truth) < 2 * zoom


def test_a_hand_made_case() -> None:
    # Four corners of a square, its middle and two more points, shifted by (100, 50): every word is there once.
    places = np.array([[100, 100], [200, 100], [100, 200], [200, 200], [150, 150], [120, 180], [170, 110]])
    points = np.column_stack([places, np.full(7, 10), np.full(7, 90)])
    shifted = points + np.array([100, 50, 0, 0])
    shifted[6, :2] = [20, 400]  # the last one is elsewhere
    found = verify(local_words(points, np.arange(7)), local_words(shifted, np.arange(7)))
    assert found.n_inliers == 6
    assert found.pairs.tolist() == [[i, i] for i in range(6)]
    np.testing.assert_allclose(found.matrix, [[1, 0, 100], [0, 1, 50], [0, 0, 1]], atol=0.1)
    assert found.score == pytest.approx(6, abs=0.01)


@pytest.mark.parametrize("model", ["affine", "homography"])
def test_an_affine_map_is_recovered(model: str) -> None:
    truth = np.array([[1.1, 0.35, -60], [-0.2, 0.7, 90], [0, 0, 1]])
    query, candidate, points = pair_under(truth, n=120, outliers=200)
    found = verify(query, candidate, model=model)
    assert found.matrix is not None
    assert found.n_inliers >= 0.97 * len(points)
    assert corners_apart(found.matrix, truth) < 2


def test_a_homography_follows_perspective() -> None:
    truth = np.array([[0.9, 0.15, 40], [-0.1, 0.95, 50], [4e-4, 2e-4, 1]])
    query, candidate, points = pair_under(truth, n=200, outliers=200)
    flat, bent = (verify(query, candidate, model=model) for model in ("affine", "homography"))
    assert flat.matrix is not None
    assert bent.matrix is not None
    assert corners_apart(bent.matrix, truth) < 3
    assert flat.n_inliers < bent.n_inliers
    assert bent.n_inliers >= 0.97 * len(points)


def test_images_of_different_sizes_and_shapes() -> None:
    rng = np.random.default_rng(4)
    points = random_points(rng, 60)
    truth = np.array([[0.25, 0, 5], [0, 0.25, 170], [0, 0, 1]])
    query = local_words(points, np.arange(60))
    candidate = local_words(moved(points, truth), np.arange(60), size=(200, 300))
    found = verify(query, candidate)
    assert found.matrix is not None
    assert found.n_inliers == 60
    assert corners_apart(found.matrix, truth) < 0.2
    back = verify(candidate, query)
    assert back.matrix is not None
    assert corners_apart(back.matrix, np.linalg.inv(truth), (200, 300)) < 1
    assert back.n_inliers == 60


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    zoom=st.floats(0.3, 3),
    degrees=st.floats(-180, 180),
    shear=st.floats(-0.3, 0.3),
    model=st.sampled_from(["similarity", "affine", "homography"]),
)
def test_what_is_returned_holds_together(seed: int, zoom: float, degrees: float, shear: float, model: str) -> None:
    truth = similarity(zoom, degrees) @ np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    query, candidate, _ = pair_under(truth, outliers=80, seed=seed, n_words=100)
    before = {name: array.copy() for name, array in query.items()}
    found, again = (verify(query, candidate, model=model, tolerance=0.01) for _ in range(2))
    assert all((query[name] == before[name]).all() for name in before)
    assert (found.n_inliers, found.score) == (again.n_inliers, again.score)
    np.testing.assert_array_equal(found.pairs, again.pairs)
    assert found.pairs.shape == (found.n_inliers, 2)
    if found.matrix is None:
        assert (found.n_inliers, found.score) == (0, 0)
        return
    # No feature twice, on either side; each pair has one word, and agrees with the map as documented.
    assert all(len(set(column)) == found.n_inliers for column in found.pairs.T.tolist())
    assert (query["words"][found.pairs[:, 0]] == candidate["words"][found.pairs[:, 1]]).all()
    a, b = stored_points(query)[found.pairs[:, 0], :2], stored_points(candidate)[found.pairs[:, 1], :2]
    np.testing.assert_array_equal(found.points, np.hstack([a, b]))
    forth = cv2.perspectiveTransform(a[None].astype(np.float64), found.matrix)[0] - b
    back = cv2.perspectiveTransform(b[None].astype(np.float64), np.linalg.inv(found.matrix))[0] - a
    errors = np.sqrt(((forth**2).sum(axis=1) + (back**2).sum(axis=1)) / 2) / max(SIZE)
    assert errors.max() <= 0.01 * 1.001
    assert found.score == pytest.approx(float((1 - (errors / 0.01) ** 2).sum()), abs=0.02)


def best_similarity(query: Local, candidate: Local, tolerance: float) -> int:
    """The most matches, no feature twice, that agree with the similarity of any one of them: plain loops."""
    a, b = stored_points(query).astype(float), stored_points(candidate).astype(float)
    matches = [(i, j) for i in range(len(a)) for j in range(len(b)) if query["words"][i] == candidate["words"][j]]
    most = 0
    for i, j in matches:
        zoom, turn = b[j, 2] / a[i, 2], math.radians(b[j, 3] - a[i, 3])
        matrix = zoom * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        left, right = set(), set()
        for k, m in matches:
            forth = matrix @ (a[k, :2] - a[i, :2]) + b[j, :2] - b[m, :2]
            error = math.sqrt(forth @ forth * (1 + 1 / zoom**2) / 2) / max(SIZE)
            turned = (math.radians(b[m, 3] - a[k, 3]) - turn + math.pi) % (2 * math.pi) - math.pi
            same_size = abs(math.log2(b[m, 2] / a[k, 2] / zoom)) <= 1
            if error <= tolerance and same_size and abs(turned) <= math.pi / 4 and k not in left and m not in right:
                left.add(k)
                right.add(m)
        most = max(most, len(left))
    return most


@pytest.mark.parametrize("seed", range(4))
def test_no_fewer_inliers_than_the_best_single_match_has(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, candidate, _ = pair_under(
        similarity(rng.uniform(0.6, 1.5), rng.uniform(0, 360)), n=25, outliers=25, seed=seed
    )
    found = verify(query, candidate, model="similarity", tolerance=0.01)
    assert found.n_inliers >= best_similarity(query, candidate, 0.01) > 10


def test_a_place_counts_once() -> None:
    # One place with eight orientations, as SIFT gives several: it is one point of evidence, not eight.
    rng = np.random.default_rng(6)
    points = random_points(rng, 5)
    repeated = np.vstack([points, np.repeat(points[:1], 8, axis=0)])
    repeated[5:, 3] = np.arange(8) * 45
    shifted = repeated + np.array([30, 20, 0, 0])
    words = np.arange(13)
    assert verify(local_words(repeated, words), local_words(shifted, words), min_inliers=3).n_inliers == 5


# --- what is refused --------------------------------------------------------------------------------------------------


def assert_nothing(found: Verification) -> None:
    assert (found.n_inliers, found.score, found.matrix, found.pairs.shape) == (0, 0.0, None, (0, 2))
    assert found.points.shape == (0, 4)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_features(n: int) -> None:
    rng = np.random.default_rng(0)
    few, many = local_words(random_points(rng, n), np.arange(n)), local_words(random_points(rng, 50), np.arange(50))
    assert_nothing(verify(few, many))
    assert_nothing(verify(many, few))
    assert_nothing(verify(few, few))


def test_nothing_in_common() -> None:
    rng = np.random.default_rng(0)
    a, b = (local_words(random_points(rng, 50), np.arange(50) + shift) for shift in (0, 50))
    assert_nothing(verify(a, b))


@pytest.mark.parametrize("model", ["similarity", "affine", "homography"])
@pytest.mark.parametrize("n", [10, 100, 800])
def test_random_places_have_no_map(n: int, model: str) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        a, b = (local_words(random_points(rng, n), rng.integers(0, 2 * n, n)) for _ in range(2))
        assert_nothing(verify(a, b, model=model))


@pytest.mark.parametrize("model", ["similarity", "affine", "homography"])
def test_points_on_a_line_or_in_one_place(model: str) -> None:
    rng = np.random.default_rng(0)
    points = random_points(rng, 40)
    line = points.copy()
    line[:, 1] = 0.5 * line[:, 0] + 20
    near = points.copy()
    near[:, :2] = 300 + rng.uniform(-2, 2, (40, 2))
    for flat in (line, near):
        found = local_words(flat, np.arange(40))
        assert_nothing(verify(found, found, model=model))
    whole = local_words(points, np.arange(40))
    assert verify(whole, whole, model=model).n_inliers == 40


@pytest.mark.parametrize("model", ["similarity", "affine", "homography"])
def test_a_line_but_for_one_point_and_how_the_tolerance_counts(model: str) -> None:
    rng = np.random.default_rng(0)
    points = random_points(rng, 40)
    points[1:, 1] = 0.5 * points[1:, 0] + 20
    points[0, :2] = 500, 100
    found = local_words(points, np.arange(40))
    assert_nothing(verify(found, found, model=model))
    # A strip 60 pixels high is a line to who knows places to 30 pixels only.
    strip = random_points(rng, 40)
    strip[:, 1] = 200 + strip[:, 1] / 8
    found = local_words(strip, np.arange(40))
    assert verify(found, found, model=model).n_inliers == 40
    assert_nothing(verify(found, found, model=model, tolerance=30 / 640))


@pytest.mark.parametrize("model", ["similarity", "affine", "homography"])
@pytest.mark.parametrize("seed", range(4))
def test_keypoints_around_one_place_count_once(model: str, seed: int) -> None:
    # Four marks with six keypoints each, a pixel apart: any four marks in this order look like it.
    rng = np.random.default_rng(seed)
    around = rng.normal(0, 1, (24, 2))
    corners = np.repeat([[100.0, 100], [300, 100], [100, 300], [300, 300]], 6, axis=0)
    sizes, angles = np.full((24, 1), 10), np.zeros((24, 1))
    query = local_words(np.hstack([corners + around, sizes, angles]), np.arange(24))
    candidate = local_words(np.hstack([corners + around + (30, 20), sizes, angles]), np.arange(24))
    assert_nothing(verify(query, candidate, model=model))
    assert verify(query, candidate, model=model, min_inliers=4).n_inliers == 24


@pytest.mark.parametrize("model", ["similarity", "affine", "homography"])
def test_implausible_maps(model: str) -> None:
    rng = np.random.default_rng(0)
    points = random_points(rng, 60)
    mirrored, tiny, squeezed = points.copy(), points.copy(), points.copy()
    mirrored[:, 0] = 639 - mirrored[:, 0]
    tiny[:, :2], tiny[:, 2] = 300 + (tiny[:, :2] - 300) * 0.05, tiny[:, 2] * 0.05
    squeezed[:, 1] = 240 + (squeezed[:, 1] - 240) * 0.12
    query = local_words(points, np.arange(60))
    for other in (mirrored, tiny):
        assert_nothing(verify(query, local_words(other, np.arange(60)), model=model))
    # A few lie near enough to a plausible map; the map that all agree with is none.
    assert verify(query, local_words(squeezed, np.arange(60)), model=model).n_inliers < 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "projective"),
        ("tolerance", 0),
        ("tolerance", math.nan),
        ("max_hamming", -1),
        ("min_inliers", 2),
        ("min_inliers", 6.0),
    ],
)
def test_a_bad_parameter_is_named(name: str, value: object) -> None:
    query, candidate, _ = pair_under(np.eye(3))
    with pytest.raises(ValueError, match=f"^{name} must be"):
        verify(query, candidate, **{name: value})


# --- fits -------------------------------------------------------------------------------------------------------------


def test_fits_against_least_squares_and_opencv() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(-0.5, 0.5, (30, 2))
    b = a @ np.array([[1.2, 0.1], [-0.3, 0.8]]) + [0.1, -0.2] + rng.normal(0, 0.01, (30, 2))
    weights = rng.uniform(0.2, 1, 30)
    root = np.sqrt(weights)[:, None]

    design = np.column_stack([a, np.ones(30)])
    expected = np.linalg.lstsq(design * root, b * root, rcond=None)[0].T
    np.testing.assert_allclose(maps.fit_affine(a, b, weights)[:2], expected, atol=1e-12)

    # A similarity is linear in cos, sin and the shift.
    x, y, one, zero = a[:, 0], a[:, 1], np.ones(30), np.zeros(30)
    design = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    roots = np.concatenate([root, root])
    c, s, t, u = np.linalg.lstsq(design * roots, b.T.reshape(-1, 1) * roots, rcond=None)[0][:, 0]
    np.testing.assert_allclose(maps.fit_similarity(a, b, weights)[:2], [[c, -s, t], [s, c, u]], atol=1e-12)

    truth = np.array([[1.1, 0.2, 0.1], [-0.1, 0.9, 0.05], [0.3, -0.2, 1]])
    exact = cv2.perspectiveTransform(a[None], truth)[0]
    np.testing.assert_allclose(maps.fit_homography(a, exact), truth, atol=1e-9)
    noisy = exact + rng.normal(0, 0.001, exact.shape)
    np.testing.assert_allclose(maps.fit_homography(a, noisy), cv2.findHomography(a, noisy, 0)[0], atol=5e-3)


def test_fits_refuse_what_determines_nothing() -> None:
    line = np.column_stack([np.linspace(-0.5, 0.5, 20), np.linspace(0, 0.3, 20)])
    point, ones = np.full((20, 2), 0.25), np.ones(20)
    assert maps.fit_affine(line, line, ones) is None
    assert maps.fit_homography(line, line) is None
    assert maps.fit_similarity(line, line, ones) is not None
    assert maps.fit_similarity(point, point, ones) is None
    assert maps.fit_affine(point[:0], point[:0], ones[:0]) is None
    assert maps.fit_similarity(point[:0], point[:0], ones[:0]) is None


@given(values=st.lists(st.floats(-3, 3), min_size=4, max_size=4), seed=st.integers(0, 100))
def test_small_matrices_against_numpy(values: list[float], seed: int) -> None:
    linear = np.array(values).reshape(2, 2)
    high, low = maps.stretches(linear)
    np.testing.assert_allclose([high, abs(low)], np.linalg.svd(linear, compute_uv=False), atol=1e-9)
    assert low * high == pytest.approx(np.linalg.det(linear), abs=1e-9)
    points = np.random.default_rng(seed).normal(size=(9, 2)) @ linear
    least = np.linalg.eigvalsh(np.cov(points.T, bias=True))[0]
    assert maps.spread(points) == pytest.approx(math.sqrt(max(least, 0)), abs=1e-6)


def test_derivative_and_horizon() -> None:
    matrix = np.array([[0.9, 0.1, 0.2], [-0.2, 1.1, -0.1], [0.4, -0.3, 1.25]])
    step = 1e-6
    ahead = transform_points(matrix, step * np.eye(2)) - transform_points(matrix, np.zeros((2, 2)))
    np.testing.assert_allclose(maps.derivative(matrix), ahead.T / step, rtol=1e-5)
    beyond = np.array([[-4.0, 0.0], [0.0, 0.0]])
    mapped = transform_points(matrix, beyond)
    assert np.isinf(mapped[0]).all()
    assert np.isfinite(mapped[1]).all()


# --- photographs ------------------------------------------------------------------------------------------------------


def test_photographs(shared_data: Path) -> None:
    covers = sorted((shared_data / "dvd_covers" / "Reference").glob("*.jpg"))[:6]
    extractor = SIFT(max_points=500)
    images = [read_image(path, gray=True) for path in covers]
    features = [extractor.extract(image) for image in images]
    dictionary = KMeansDictionary(n_words=600, max_iter=3).fit(np.vstack([f.descriptors for f in features[:3]]))

    def described(found: Features) -> Local:
        return quantize(found, dictionary.predict(found.descriptors))

    stored = [described(found) for found in features]
    for number, image in enumerate(images):
        height, width = image.shape
        truth = np.array([[0.6, -0.2, 120], [0.25, 0.55, 30], [2e-4, -1e-4, 1]])
        seen = described(extractor.extract(cv2.warpPerspective(image, truth, (width, height))))
        found = verify(stored[number], seen, model="homography")
        assert found.matrix is not None
        assert found.n_inliers >= 25
        assert corners_apart(found.matrix, truth, (width, height)) < 0.02 * max(width, height)
        others = [verify(seen, other).n_inliers for at, other in enumerate(stored) if at != number]
        assert max(others) < found.n_inliers / 3
