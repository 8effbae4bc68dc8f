"""Pictures of stages and matches: what is drawn is where it should be, on any image, and files are whole or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.features import SIFT, Features
from cvbow.images import palette
from cvbow.matching import MatchResult, match_images
from cvbow.report import _canvas as canvas
from cvbow.report.matches import draw_matches, write_matches_picture
from cvbow.report.stages import MARKS, Stage, draw_stages, find_stage, write_stages_picture

WHITE = np.array([255, 255, 255])


def count(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> int:
    return int((pixels == np.array(color)).all(axis=2).sum())


def points(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


@given(st.integers(1, 400), st.integers(1, 400), st.booleans())
def test_an_image_is_fitted_into_its_box(width: int, height: int, color: bool) -> None:
    image = np.full((height, width, 3) if color else (height, width), 77, np.uint8)
    pixels, matrix = canvas.display(image, 200, 150)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert pixels.shape[1] <= 200
    assert pixels.shape[0] <= 150
    assert (pixels == 77).all()
    assert pixels.shape[1] == 200 or pixels.shape[0] == 150 or max(pixels.shape[1] / width, 1) <= 8.01
    # The image's edges, half a pixel outside of the centres, land on the picture's edges.
    for end, edge in ((-0.5, (-0.5, -0.5)), (None, (pixels.shape[1] - 0.5, pixels.shape[0] - 0.5))):
        corner = [width - 0.5, height - 0.5, 1] if end is None else [end, end, 1]
        np.testing.assert_allclose((matrix @ corner)[:2], edge, atol=1e-9)


def test_display_never_shares_memory() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    pixels, _ = canvas.display(image, 20, 20)
    pixels[:] = 9
    assert not image.any()


@pytest.mark.parametrize("background", [0, 128, 255])
def test_marks_show_on_any_gray(background: int) -> None:
    pixels = np.full((60, 60, 3), background, np.uint8)
    picture = canvas.Picture(pixels)
    picture.dots([[10, 10]], palette.SKY)
    picture.circles([[40, 40]], [10], palette.ORANGE, width=2)
    picture.lines([[[5, 55], [55, 55]]], palette.YELLOW, width=3)
    assert pixels[10, 10].tolist() == list(palette.SKY)
    assert pixels[55, 30].tolist() == list(palette.YELLOW)
    assert pixels[40, 40].tolist() == [background] * 3, "a circle is not filled"
    # Four compass points of the circle, and a rim that differs from the colour on both sides of the line.
    for x, y in ((50, 40), (30, 40), (40, 50), (40, 30)):
        assert np.abs(pixels[y, x].astype(int) - palette.ORANGE).max() < 90
    assert pixels[52, 30].max() <= max(background, 70)


def test_marks_far_outside_or_infinite_are_left_out() -> None:
    pixels = np.zeros((30, 30, 3), np.uint8)
    picture = canvas.Picture(pixels)
    picture.lines([[[0, 0], [np.inf, 3]], [[0, 0], [1e30, 1]]], palette.SKY)
    picture.circles([[np.nan, 3], [1e30, 1], [5, 5]], [3, 3, 1e30], palette.SKY)
    picture.dots([[np.inf, np.inf], [-1e30, 0]], palette.SKY)
    picture.dots(np.zeros((0, 2)), palette.SKY)
    assert not pixels.any()
    picture.lines([[[-50, 10], [5000, 10]]], palette.SKY)
    assert pixels[10].any(axis=1).all()


def test_text_without_glyphs_is_a_question_mark_and_long_text_is_shortened() -> None:
    assert canvas.text_width("фото.jpg", 15) == canvas.text_width("?.jpg", 15)
    assert canvas.text_width("a\x1b\nb", 15) == canvas.text_width("a?b", 15)
    short = canvas.fit_text("a-very-long-name-of-a-file-that-goes-on-and-on.jpg", 160, 15)
    assert canvas.text_width(short, 15) <= 160
    assert short.startswith("a-very")
    assert short.endswith(".jpg")
    assert "..." in short
    assert canvas.fit_text("short", 160, 15) == "short"
    assert canvas.fit_text("no room", 0, 15) == ""
    pixels = canvas.blank(200, 30)
    canvas.put_text(pixels, [(5, 5, "\U0001f600 日本")], 15)
    assert (pixels < 128).any()


def test_a_panel_for_each_stage() -> None:
    image = np.full((100, 150), 128, np.uint8)
    found = points((75, 50, 40, 90))
    stages = [
        Stage("keypoints", found),
        Stage("blobs", found, "circle"),
        Stage("corners", found, "dot"),
        Stage("edges", found, "edge", np.eye(100, 150, dtype=bool)),
        Stage("dense", found, "grid"),
    ]
    sizes = []
    for n in range(1, 6):
        drawn = draw_stages(image, stages[:n], title="a title")
        sizes.append(drawn.shape)
        assert (drawn[[0, -1]] == WHITE).all(), "a margin all around"
        assert (drawn[:, [0, -1]] == WHITE).all()
    assert sizes[1][1] > sizes[0][1], "two beside each other"
    assert sizes[3][0] > sizes[1][0], "four in two rows"
    assert sizes[4][1] == sizes[2][1], "never more than three columns"


def bluish(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of pixels in the keypoints' colour, or half of it."""
    rows, columns = np.nonzero(pixels[..., 2].astype(int) - pixels[..., 0] > 60)
    return rows, columns


def panel(stage: Stage, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The image's part of a picture of one stage, and how much it was enlarged."""
    drawn = draw_stages(image, [stage])
    pixels, matrix = canvas.display(image, 1000, 800)
    rows = drawn.shape[0] - 16 - pixels.shape[0]
    return drawn[rows : rows + pixels.shape[0], 16 : 16 + pixels.shape[1]], float(matrix[0, 0])


def test_circles_have_the_points_size_and_lines_their_angle() -> None:
    image = np.full((100, 125), 128, np.uint8)
    pixels, scale = panel(Stage("one", points((60, 40, 20, 90))), image)
    assert scale == 8
    x, y = 8 * 60 + 3.5, 8 * 40 + 3.5
    rows, columns = bluish(pixels)
    distances = np.hypot(columns - x, rows - y)
    # A diameter of 20 is a radius of 80 here.
    assert distances.max() == pytest.approx(80, abs=2)
    inner = distances < 70
    # 90 degrees point down, along y.
    assert inner.any()
    assert (np.abs(columns[inner] - x) < 3).all()
    assert (rows[inner] > y - 3).all()
    # Without an angle there is no line; a circle alone.
    pixels, _ = panel(Stage("one", points((60, 40, 20, -1))), image)
    rows, columns = bluish(pixels)
    assert np.hypot(columns - x, rows - y).min() > 70


def test_edges_are_tinted_where_they_are() -> None:
    image = np.full((100, 125), 200, np.uint8)
    edges = np.zeros((100, 125), bool)
    edges[:, 60] = True
    pixels, _ = panel(Stage("edges", points((30, 30, 8, 0)), "edge", edges), image)
    column = pixels[400, :, :].astype(int)
    assert np.abs(column[483] - palette.SKY).max() < 40
    assert (column[600] == 50).all(), "the image is faded"
    # A tick along the x axis.
    assert pixels[243, 247, 0].astype(int) - pixels[243, 247, 2] > 60


def drawn_on(image: NDArray[np.uint8], stage: Stage) -> NDArray[np.bool_]:
    """The pixels of a stage's panel that are clearly not those of the image."""
    pixels, _ = panel(stage, image)
    return np.asarray(np.abs(pixels.astype(int) - canvas.display(image, 1000, 800)[0]).max(axis=2) > 60)


@pytest.mark.parametrize("name", ["orb", "brisk", "sift", "log", "fast", "grid"])
def test_marks_leave_the_image_to_be_seen(name: str) -> None:
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.integers(0, 256, (480, 600, 3)).astype(np.uint8), (0, 0), 2.5)
    image = np.asarray(cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX))
    stage = find_stage(image, name)
    assert len(stage.drawn) >= 20
    assert 0.005 < drawn_on(image, stage).mean() < 0.12


def test_what_is_drawn_is_apart_and_counted() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 300)).astype(np.uint8)
    for most in (10, 40, 150):
        stage = find_stage(image, "fast", max_points=most)
        assert most / 3 < len(stage.drawn) <= most < len(stage)
        places = stage.drawn[:, :2]
        between = np.linalg.norm(places[:, None] - places[None], axis=2)[~np.eye(len(places), dtype=bool)]
        assert between.min() > 300 / 80
    assert len(find_stage(image, "fast", max_points=None).drawn) == len(stage)


def test_a_stroke_is_thin() -> None:
    image = np.full((600, 750), 128, np.uint8)
    row = drawn_on(image, Stage("one", points((400, 300, 300, -1)), "circle"))[400, :600]
    assert 1 <= row.sum() <= 4


def test_regions_are_outlines() -> None:
    image = np.full((200, 250), 60, np.uint8)
    image[50:110, 40:140] = 220
    stage = find_stage(image, "mser")
    assert stage.mark == "region"
    drawn = drawn_on(image, stage)
    scale = drawn.shape[0] / 200
    rows, columns = (np.nonzero(drawn)[axis] / scale for axis in (0, 1))
    to_border = np.minimum.reduce([np.abs(rows - 50), np.abs(rows - 110), np.abs(columns - 40), np.abs(columns - 140)])
    assert to_border.max() < 2, "nothing inside, and nothing along the image's own border"
    assert [columns.min(), columns.max(), rows.min(), rows.max()] == pytest.approx([40, 140, 50, 110], abs=2)


def test_a_gradient_is_drawn_by_its_length() -> None:
    image = np.full((200, 250), 100, np.uint8)
    image[:, 60:] = 120
    image[:, 150:] = 220
    pixels, scale = panel(find_stage(image, "sobel"), image)
    flat, weak, strong = (pixels[:, round((x + 0.5) * scale), 2].astype(float) for x in (30, 60, 150))
    assert np.median(flat) + 10 < np.median(weak) < np.median(strong) - 60


@pytest.mark.parametrize("mark", MARKS)
def test_no_points_are_drawn_as_none(mark: str) -> None:
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)
    drawn = draw_stages(image, [Stage("nothing", points(), mark)])
    assert drawn.dtype == np.uint8
    assert count(drawn, palette.SKY) == count(drawn, palette.ORANGE) == count(drawn, palette.YELLOW) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 5, 3), (2000, 1500)])
def test_any_shape_can_be_drawn(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    found = points((0, 0, 3, 0))
    drawn = draw_stages(image, [Stage(mark, found, mark) for mark in MARKS], title="t")
    assert max(drawn.shape) < 2500
    features = Features(found, np.zeros((1, 4), np.float32), (shape[1], shape[0]))
    result = MatchResult(
        features, features, np.array([[0, 0]]), np.zeros(1, np.float32), "homography", np.eye(3), np.ones(1, bool),
        np.zeros(1),
    )  # fmt: skip
    assert max(draw_matches(image, image, result).shape) < 2500


def test_bad_stages_are_named() -> None:
    with pytest.raises(ValueError, match="mark must be one of circle"):
        Stage("x", points(), "star")
    with pytest.raises(ValueError, match="points must have shape"):
        Stage("x", np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="stages must be at least one"):
        draw_stages(np.zeros((9, 9), np.uint8), [])


@pytest.fixture(scope="module")
def pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.integers(0, 256, (300, 300)).astype(np.uint8), (0, 0), 3)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    return image, np.asarray(cv2.warpAffine(image, np.array([[1, 0, 40], [0, 1, 30.0]]), (300, 300)))


def test_matches_are_joined_and_the_outline_is_projected(pair: tuple[Any, Any]) -> None:
    a, b = pair
    result = match_images(a, b)
    assert result.matrix is not None
    drawn = draw_matches(a, b, result, names=("left.png", "right.png"))
    assert drawn.shape[1] > 2 * 500, "small images are enlarged"
    assert count(drawn, palette.SKY) > 100
    yellow = np.argwhere((drawn == np.array(palette.YELLOW)).all(axis=2))
    yellow = yellow[yellow[:, 0] > 110]  # below the legend
    # b begins in the right half; a's upper left corner is 40, 30 pixels into it.
    size = canvas.display(a, 760, 760)[0].shape[1]
    left = 16 + size + 12
    assert yellow[:, 1].min() == pytest.approx(left + 40 / 300 * size, abs=4)
    top = drawn.shape[0] - 16 - size
    assert yellow[:, 0].min() == pytest.approx(top + 30 / 300 * size, abs=4)
    without = draw_matches(a, b, match_images(a, b, model="fundamental"))
    assert count(without, palette.YELLOW) == 0


def test_without_a_model_there_is_no_outline(pair: tuple[Any, Any]) -> None:
    a, _ = pair
    other = np.rot90(a[::-1]).copy()
    result = match_images(a, other, ratio=1.0)
    assert result.matrix is None
    assert len(result) > 0
    drawn = draw_matches(a, other, result)
    assert count(drawn, palette.YELLOW) == count(drawn, palette.SKY) == 0
    assert count(drawn, palette.ORANGE) > 20


def test_fewer_lines_where_they_would_hide_the_image(pair: tuple[Any, Any]) -> None:
    a, b = pair
    result = match_images(a, b)
    none, few, many = (draw_matches(a, b, result, max_lines=n) for n in (0, 5, 60))
    assert (many != none).sum() > 3 * (few != none).sum() > 0
    with pytest.raises(ValueError, match="max_lines must be an integer >= 0"):
        draw_matches(a, b, result, max_lines=-1)


def test_another_image_is_refused(pair: tuple[Any, Any]) -> None:
    a, b = pair
    result = match_images(a, b)
    with pytest.raises(ValueError, match="b must be the image that was matched"):
        draw_matches(a, b[:100], result)


def test_inputs_are_not_drawn_on(pair: tuple[Any, Any]) -> None:
    big = np.repeat(np.kron(pair[0], np.ones((3, 3), np.uint8))[..., None], 3, axis=2)[:760, :760].copy()
    before = big.copy()
    draw_stages(big, [Stage("sift", SIFT().extract(big).points)])
    draw_matches(big, big, match_images(big, big))
    np.testing.assert_array_equal(big, before)


def test_files_are_whole_or_absent(tmp_path: Path, pair: tuple[Any, Any]) -> None:
    a, b = pair
    stages = [Stage("sift", SIFT().extract(a).points)]
    write_stages_picture(tmp_path / "stages.png", a, stages, title="t")
    read = cv2.cvtColor(cv2.imread(str(tmp_path / "stages.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read, draw_stages(a, stages, title="t"))
    write_matches_picture(tmp_path / "matches.png", a, b, match_images(a, b))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["matches.png", "stages.png"]
    with pytest.raises(FileNotFoundError):
        write_stages_picture(tmp_path / "none" / "x.png", a, stages)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError):
        write_stages_picture(tmp_path / "folder.png", a, stages)
