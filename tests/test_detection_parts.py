"""What a detector is made of, against slow computations: cells, windows, words in boxes, probabilities."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.annotations import iou
from cvbow.detection._cells import describe_cells, mirrored
from cvbow.detection._pyramid import MARGIN, Level, cut_out, levels, scales, score_windows
from cvbow.detection._regions import WordCounts
from cvbow.detection._second_look import Candidates, SecondLook, _learn_moves, _logistic_regression, describe, n_values
from cvbow.detection._shapes import group_by_aspect, window_shape
from cvbow.detection._windows import Window, look, one_way

RNG = np.random.default_rng(0)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth noise in colour."""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.uint8)


def slow_cells(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The gradient part of the cells, pixel by pixel."""
    rows, columns = image.shape[0] // 8, image.shape[1] // 8
    image = image[: rows * 8, : columns * 8].astype(int)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    sums = np.zeros((rows, columns, 18))
    tent = {0: 0.25, 1: 0.75, 2: 0.75, 3: 0.25}
    for y in range(rows * 8):
        for x in range(columns * 8):
            steepest = (-1, 0, 0)
            for channel in range(3):
                dx = padded[y + 1, x + 2, channel] - padded[y + 1, x, channel]
                dy = padded[y + 2, x + 1, channel] - padded[y, x + 1, channel]
                if abs(dx) + abs(dy) > steepest[0]:
                    steepest = (abs(dx) + abs(dy), dx, dy)
            _, dx, dy = steepest
            at = math.atan2(dy, dx) % (2 * math.pi) * 18 / (2 * math.pi)
            for row in range(rows):
                for column in range(columns):
                    place = (y // 4 - (2 * row - 1), x // 4 - (2 * column - 1))
                    weight = tent.get(place[0], 0) * tent.get(place[1], 0) / 64 * math.hypot(dx, dy)
                    low = int(at) % 18
                    sums[row, column, low] += weight * (1 - at % 1)
                    sums[row, column, (low + 1) % 18] += weight * (at % 1)
    both = np.concatenate([sums, sums[..., :9] + sums[..., 9:]], axis=2)
    energy = np.pad((both[..., 18:] ** 2).sum(axis=2), 1, mode="edge")
    cells = np.zeros((rows, columns, 31))
    for row in range(rows):
        for column in range(columns):
            for number, (down, right) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
                around = energy[row + down : row + down + 2, column + right : column + right + 2].sum()
                values = np.minimum(both[row, column] / math.sqrt(around + 4), 0.2)
                cells[row, column, :27] += 0.5 * values
                cells[row, column, 27 + number] = 0.2357 * values[:18].sum()
    return cells


def test_cells_are_those_of_pixel_by_pixel() -> None:
    image = noise(27, 33)
    cells = describe_cells(image)
    assert cells.shape == (3, 4, 34)
    np.testing.assert_allclose(cells[..., :31], slow_cells(image), atol=2e-4)


def test_an_upright_edge_has_one_direction() -> None:
    image = np.zeros((24, 24), np.uint8)
    image[:, 12:] = 100
    middle = describe_cells(image)[1, 1]
    assert middle[:18].argmax() == 0
    assert middle[1:18].max() < 1e-6
    assert np.count_nonzero(middle[18:27] > 1e-6) == 1


def test_a_plain_image_has_nothing_but_its_colour() -> None:
    cells = describe_cells(np.full((16, 16, 3), (255, 0, 0), np.uint8))
    assert not cells[..., :31].any()
    np.testing.assert_allclose(cells[0, 0, 31:], [0.5324, 80.1 / 60, 67.2 / 60], atol=2e-3)
    assert describe_cells(np.zeros((5, 50), np.uint8)).shape == (0, 6, 34)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
def test_a_mirrored_image_has_the_mirrored_cells(rows: int, columns: int, seed: int) -> None:
    image = noise(8 * rows, 8 * columns, seed)
    # Of channels that are as steep, the first counts, and rounding differs at the ends of directions.
    np.testing.assert_allclose(describe_cells(image[:, ::-1].copy()), mirrored(describe_cells(image)), atol=1e-3)
    cells = describe_cells(image)
    np.testing.assert_array_equal(mirrored(mirrored(cells)), cells)


def test_strips_of_a_tall_image_join_without_a_seam() -> None:
    image = noise(8 * 20, 40)
    whole, part = describe_cells(image), describe_cells(image[8 * 5 : 8 * 14])
    np.testing.assert_allclose(whole[7:12], part[2:7], atol=1e-5)


def test_scores_of_windows_are_products() -> None:
    cells = RNG.random((7, 9, 34), np.float32)
    windows = [RNG.random((3, 4, 34), np.float32), RNG.random((8, 2, 34), np.float32)]
    found = score_windows(cells, windows)
    assert found[0].shape == (5, 6)
    assert found[1].size == 0
    for row in range(5):
        for column in range(6):
            expected = (cells[row : row + 3, column : column + 4] * windows[0]).sum()
            assert found[0][row, column] == pytest.approx(expected, rel=1e-4)


def test_scales_and_levels() -> None:
    image = noise(100, 160)
    at = scales(image, 0.25, 1.0, 2)
    np.testing.assert_allclose(at, [1, 2**-0.5, 0.5, 2**-1.5, 0.25])
    found = list(levels(image, at))
    assert [level.cells.shape[:2] for level in found] == [(16, 24), (13, 18), (10, 14), (8, 11), (7, 9)]
    for level in found:
        inside = np.array(level.cells.shape[:2]) - 2 * MARGIN
        np.testing.assert_allclose(level.steps * inside[::-1], [160, 100])
    assert scales(image, 20, 30, 2).tolist() == [4.0]
    assert scales(np.zeros((10, 3000), np.uint8), 0.5, 3, 1).tolist() == [1.0, 0.5]
    assert list(levels(np.zeros((2, 2), np.uint8), np.array([1.0]))) == []


def test_boxes_of_a_level() -> None:
    level = Level(0.5, np.zeros((10, 10, 34), np.float32), np.array([16.0, 15.0]))
    boxes = level.boxes(np.array([2, 3]), np.array([2, 1]), (2, 3))
    np.testing.assert_allclose(boxes, [[0, 0, 48, 30], [-16, 15, 32, 45]])


def test_an_object_is_cut_out_in_its_windows_cells() -> None:
    image = noise(96, 96)
    np.testing.assert_allclose(
        cut_out(image, np.array([32.0, 24, 64, 56]), (4, 4)), describe_cells(image)[2:8, 3:9], atol=0.06
    )
    assert cut_out(image, np.array([0.0, 95, 1, 96]), (3, 2)).shape == (5, 4, 34)
    assert cut_out(image[:1, :1], np.array([0.0, 0, 1, 1]), (3, 2)).shape == (5, 4, 34)


def test_shapes() -> None:
    wide, tall = np.array([[0, 0, 60, 30.0]] * 3), np.array([[0, 0, 20, 50.0], [5, 5, 27, 55]])
    groups = group_by_aspect(np.concatenate([wide, tall]), 2)
    assert [group.tolist() for group in groups] == [[3, 4], [0, 1, 2]]
    assert [group.tolist() for group in group_by_aspect(wide, 3)] == [[0, 1, 2]]
    assert window_shape(wide, 32) == (4, 8)
    assert window_shape(np.array([[0, 0, 1e6, 1.0]]), 16) == (1, 16)


def test_a_window_finds_what_it_learned() -> None:
    random = np.random.default_rng(3)
    images = [random.integers(90, 160, (80, 120, 3), np.uint8) for _ in range(8)]
    boxes = []
    for image in images:
        x, y = (int(place) for place in random.integers((4, 4), (80, 40)))
        image[y : y + 32, x : x + 32] = np.linspace(30, 250, 32).astype(np.uint8)[None, :, None]
        boxes.append(np.array([x, y, x + 32.0, y + 32]))
    window = Window(0)
    window.smallest_, window.largest_ = 30.0, 34.0
    cells = np.stack([cut_out(image, box, (4, 4)) for image, box in zip(images, boxes, strict=True)])
    others = np.stack([describe_cells(image)[:6, -6:] for image in images])
    window.fit(cells[:6], others[:6])
    assert window.shape == (4, 4)
    assert window.scores(cells).min() > window.scores(others).max()
    seen = look(images[7], [window], 6, -10.0, keep_cells=True)
    best = int(seen.scores.argmax())
    assert iou(seen.boxes[best][None], boxes[7][None])[0, 0] > 0.5
    np.testing.assert_allclose(window.scores(np.stack(seen.cells)), seen.scores, atol=1e-3)
    # A mirrored object is found by the same window.
    turned = look(np.ascontiguousarray(images[7][:, ::-1]), [window], 6, -10.0)
    assert turned.scores.max() == pytest.approx(seen.scores.max(), abs=0.3)


def test_objects_are_turned_one_way() -> None:
    left = RNG.random((3, 4, 34), np.float32)
    mixed = np.stack([left, mirrored(left), left, mirrored(left), mirrored(left)])
    mixed += RNG.normal(0, 0.01, mixed.shape).astype(np.float32)
    turned = one_way(mixed)
    assert np.ptp(turned, axis=0).max() < 0.1
    assert one_way(mixed[:1]).shape == (1, 3, 4, 34)


@given(
    st.integers(1, 40),
    st.integers(8, 300),
    st.integers(8, 300),
    st.integers(0, 2**31),
)
def test_words_in_boxes_are_counted(n: int, width: int, height: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.random((n, 2)) * (width, height) - 0.5
    words = random.integers(0, 3, n)
    counts = WordCounts(points, words, 3, (width, height))
    whole = counts.inside(np.array([[0.0, 0, width, height], [-5, -5, width + 9, height + 9]]))
    np.testing.assert_allclose(whole, [np.bincount(words, minlength=3)] * 2, atol=1e-4)
    # Boxes of whole squares have the points in them; halves of a box add up to it.
    right, down = 2 * counts.steps[0], counts.steps[1]
    inside = (points[:, 0] + 0.5 < right) & (points[:, 1] + 0.5 < down)
    np.testing.assert_allclose(
        counts.inside(np.array([[0, 0, right, down]])), [np.bincount(words[inside], minlength=3)], atol=1e-4
    )
    low, high = sorted(random.random((2, 2)) * (width, height), key=lambda place: float(place[0]))
    left, right, top, bottom = low[0], high[0], min(low[1], high[1]), max(low[1], high[1])
    middle = (left + right) / 2
    parts = counts.inside(np.array([[left, top, middle, bottom], [middle, top, right, bottom]]))
    np.testing.assert_allclose(parts.sum(axis=0), counts.inside(np.array([[left, top, right, bottom]]))[0], atol=1e-4)


def test_vectors_of_boxes() -> None:
    points = np.array([[10.0, 10], [30, 10], [30, 30], [90, 50]])
    counts = WordCounts(points, np.array([0, 1, 1, 0]), 2, (100, 60))
    vectors = describe([counts], np.array([[0, 0, 40, 40.0]]), np.array([0.7]), (100, 60))
    assert vectors.shape == (1, n_values(2))
    assert vectors.dtype == np.float32
    whole, first, second, third, fourth, around = vectors[0, :12].reshape(6, 2)
    np.testing.assert_allclose(whole, np.sqrt([1 / 3, 2 / 3]), atol=1e-6)
    np.testing.assert_allclose([first, second, third, fourth], [[1, 0], [0, 1], [0, 0], [0, 1]], atol=1e-6)
    assert not around.any()
    assert vectors[0, -10] == pytest.approx(0.7)


def test_probabilities_are_most_likely() -> None:
    random = np.random.default_rng(0)
    is_object = np.arange(40) % 3 == 0
    inputs = random.normal(0, 1, (40, 2)) + is_object[:, None] * [1.0, 0.4]
    line = _logistic_regression(inputs, is_object)
    assert (line[:2] > 0).all()
    targets = np.where(is_object, 15 / 16, 1 / 28)

    def loss(change: NDArray[np.float64]) -> float:
        values = inputs @ (line + change)[:2] + (line + change)[2]
        return float((np.logaddexp(0, values) - targets * values).sum() + 0.0005 * ((line + change)[:2] ** 2).sum())

    for place in range(3):
        for step in (0.01, -0.01):
            assert loss(np.zeros(3)) <= loss(np.eye(3)[place] * step)
    # What speaks against itself does not count.
    assert _logistic_regression(inputs * [1, -1], is_object)[1] == 0
    assert _logistic_regression(-np.abs(inputs), np.ones(40, bool))[:2].max() >= 0


def test_a_second_look_learns_from_the_second_look() -> None:
    """The first score says nothing here, the vector all; equal objects are found once."""
    random = np.random.default_rng(1)
    candidates = []
    for _ in range(12):
        corners = random.integers(0, 200, (8, 2)).astype(float)
        boxes = np.concatenate([corners, corners + 20], axis=1)
        overlaps = np.where(np.arange(8) < 3, 0.8, 0.1)
        vectors = random.random((8, 26)).astype(np.float32)
        vectors[:, 0] += 2 * (overlaps > 0.5)
        candidates.append(Candidates(boxes, vectors, overlaps, boxes + np.array([4, 0, 4, 0]), 3))
    judge = SecondLook(0).fit(candidates, np.arange(12) % 3)
    for each in candidates:
        probable = judge.decide(each.vectors)
        assert probable[:3].min() > 0.5 > probable[3:].max()
        moved = judge.move(each.vectors, each.boxes)[:3] - each.boxes[:3]
        np.testing.assert_allclose(moved, np.tile([4, 0, 4, 0], (3, 1)), atol=0.5)


@pytest.mark.parametrize("n", [10, 60])
def test_moves_are_a_ridge_regression(n: int) -> None:
    random = np.random.default_rng(n)
    vectors = random.random((n, 30)).astype(np.float32)
    boxes = np.array([[10, 20, 30, 60.0]]) + random.random((n, 4))
    objects = boxes + vectors[:, :1] * [[2, 4, 2, 4]]
    weights, shift = _learn_moves(vectors, boxes, objects)
    centered = vectors - vectors.mean(axis=0, dtype=float)
    target = (objects[:, 0] - boxes[:, 0]) / (boxes[:, 2] - boxes[:, 0])
    penalty = 0.003 * (centered**2).sum()
    expected = np.linalg.solve(centered.T @ centered + penalty * np.eye(30), centered.T @ (target - target.mean()))
    np.testing.assert_allclose(weights[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(shift[0], target.mean() - vectors.mean(axis=0, dtype=float) @ expected, atol=1e-4)


def test_a_second_look_where_there_is_nothing_to_tell_apart() -> None:
    empty = Candidates(np.zeros((0, 4)), np.zeros((0, 16), np.float32), np.zeros(0), np.zeros((0, 4)), 1)
    box = np.array([[0, 0, 10, 10.0]])
    vector = np.full((1, 16), 0.5, np.float32)
    for candidates in ([empty], [empty, Candidates(box, vector, np.ones(1), box, 1)]):
        judge = SecondLook(0).fit(candidates, np.arange(len(candidates)))
        assert judge.decide(vector).shape == (1,)
        np.testing.assert_allclose(judge.move(vector, box), box, atol=1e-6)
