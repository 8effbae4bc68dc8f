"""Pictures of a search: what is drawn where, and files that cannot be shown."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvbow.backends import ColorHistogram
from cvbow.errors import ImageError
from cvbow.features import SIFT
from cvbow.images.palette import DARK, SKY, VERMILLION, YELLOW
from cvbow.index import ImageIndex, Result
from cvbow.report._found import panels, rendered
from cvbow.report.retrieval import Searched, draw_search, write_search_page, write_search_picture
from cvbow.retrieval import ImageVectors, VisualWords

#: The first image of the index is the query without so many columns and rows.
LEFT, TOP = 30, 20
NAMES = ("cut.png", "large.png", "other.png", "<b>&.png", "wide.png")


def scene(seed: int, width: int = 200, height: int = 160) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    blurred = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX)
    return cv2.cvtColor(blurred, cv2.COLOR_GRAY2RGB).astype(np.uint8)


def write(path: Path, image: NDArray[np.uint8]) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with views of the scene of query.png: cut, twice as large, as a part; another scene; and their index."""
    folder, query = tmp_path_factory.mktemp("scenes"), scene(0)
    write(folder / "query.png", query)
    wide = scene(2, 900, 100)
    wide[10:90, 400:500] = cv2.resize(query, (100, 80), interpolation=cv2.INTER_AREA)
    large = cv2.resize(query, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    images = (query[TOP:, LEFT:], large, scene(1), query, wide)
    paths = [write(folder / name, image) for name, image in zip(NAMES, images, strict=True)]
    describer = VisualWords(SIFT(max_points=300), n_words=60).fit(paths)
    with ImageIndex.build(folder / "scenes.index", describer) as built:
        built.add(paths)
    return folder


@pytest.fixture
def index(made: Path, tmp_path: Path) -> Iterator[ImageIndex]:
    """The index in a folder of the test's own, in which it may change the images."""
    with ImageIndex.open(shutil.copytree(made, tmp_path, dirs_exist_ok=True) / "scenes.index") as opened:
        yield opened


def found(index: ImageIndex, k: int = 5, **options: object) -> tuple[Path, list[Result]]:
    query = Path(index.root) / "query.png"
    return query, index.search(query, k=k, verify=10, **options)  # type: ignore[arg-type]


def count(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> int:
    return int((pixels == np.array(color, np.uint8)).all(axis=2).sum())


def test_points_and_frames_are_where_they_should_be(index: ImageIndex) -> None:
    query, results = found(index)
    shown, others = panels(index, query, results)
    by_name = {panel.name: panel for panel in others}
    assert shown.image is not None
    assert shown.image.shape == (160, 200, 3)
    # The query without LEFT columns and TOP rows: its frame lies beyond two sides.
    cut = by_name["cut.png"]
    assert cut.frame is not None
    np.testing.assert_allclose(cut.frame[0], [-LEFT - 0.5, -TOP - 0.5], atol=2)
    large = by_name["large.png"]
    assert large.frame is not None
    np.testing.assert_allclose(large.frame, [[-0.5, -0.5], [399.5, -0.5], [399.5, 319.5], [-0.5, 319.5]], atol=4)
    # Of a feature in the cut image there is one in the query, LEFT and TOP further.
    moved = cut.points + np.array([LEFT, TOP])
    nearest = np.linalg.norm(moved[:, None] - shown.points[None], axis=2).min(axis=1)
    assert len(cut.points) == next(result.n_inliers for result in results if result.path == "cut.png") > 20
    assert nearest.max() < 3
    for panel in others:
        assert panel.name != "other.png" or (panel.frame is None and len(panel.points) == 0)


def test_the_frame_of_a_box(index: ImageIndex) -> None:
    box = (60.0, 50.0, 80.0, 70.0)
    query, results = found(index, box=box)
    shown, others = panels(index, query, results, box=box)
    cut = next(panel for panel in others if panel.name == "cut.png")
    assert cut.frame is not None
    expected = np.array([[60, 50], [140, 50], [140, 120], [60, 120]]) - 0.5 - [LEFT, TOP]
    np.testing.assert_allclose(cut.frame, expected, atol=2)
    assert shown.box == box
    assert (shown.points >= [59, 49]).all()
    assert (shown.points <= [140, 120]).all()
    picture = draw_search(index, query, results, box=box)
    assert count(picture, VERMILLION) > 200
    assert count(draw_search(index, query, found(index)[1]), VERMILLION) == 0


def test_marks_are_drawn_for_verified_results_only(index: ImageIndex) -> None:
    query, verified = found(index)
    plain = index.search(query, k=5)
    assert {result.path for result in plain} >= {"cut.png", "large.png"}
    marked, unmarked = draw_search(index, query, verified), draw_search(index, query, plain)
    for color in (SKY, YELLOW):
        assert count(marked, color) > 100
        assert count(unmarked, color) == 0


def lines_across(picture: NDArray[np.uint8]) -> list[int]:
    """Rows in which everything beside the query is dark."""
    return np.flatnonzero((picture[:, 16 + 360 + 28 : -16] == np.array(DARK)).all(axis=(1, 2))).tolist()


def test_a_line_after_what_is_verified(index: ImageIndex, tmp_path: Path) -> None:
    query, results = found(index)
    verified = [result for result in results if result.matrix is not None]
    others = [result for result in results if result.matrix is None]
    assert len(verified) > 1
    assert len(others) > 0
    first, second = lines_across(draw_search(index, query, results))
    assert second == first + 1
    alone = draw_search(index, query, verified)
    assert lines_across(alone) == [], "all are verified"
    assert lines_across(draw_search(index, query, index.search(query, k=5, verify=0))) == [], "none was to be"
    (top, _) = lines_across(draw_search(index, query, others))
    assert top < 150 < first
    write_search_page(tmp_path / "found.html", index, [Searched(query, results)])
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    before, after = page.split('<p class="unverified">From here on nothing is verified')
    assert before.count("<img") == 1 + len(verified)
    assert after.count("<img") == len(others)
    write_search_page(tmp_path / "found.html", index, [Searched(query, verified)])
    assert 'class="unverified"' not in (tmp_path / "found.html").read_text(encoding="utf-8")


def test_drawing_neither_describes_nor_verifies(index: ImageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    query, results = found(index, model="homography")

    def never(*args: object, **options: object) -> None:
        raise AssertionError("a search was done again")

    expected = draw_search(index, query, results)
    for name in ("describe", "describe_query"):
        monkeypatch.setattr(VisualWords, name, never)
    monkeypatch.setattr("cvbow.retrieval.verification.verify", never)
    monkeypatch.setattr("cvbow.index.search.verify", never)
    np.testing.assert_array_equal(draw_search(index, query, results), expected)
    assert count(expected, SKY) > 100


def test_a_frame_outside_of_the_image_is_none(index: ImageIndex) -> None:
    """The photograph shows more than the result: the result's frame is drawn in it, but its own nowhere."""
    scenery = scene(7, 500, 400)
    scenery[100:260, 150:350] = scene(0)
    query = write(Path(index.root) / "scenery.png", scenery)
    results = [result for result in index.search(query, k=5, verify=5) if result.path == "<b>&.png"]
    shown, (panel,) = panels(index, query, results)
    assert len(panel.points) > 10
    assert panel.frame is None
    assert shown.frame is not None
    np.testing.assert_allclose(shown.frame[[0, 2]], [[149.5, 99.5], [349.5, 259.5]], atol=2)


@pytest.mark.parametrize(("n", "side", "columns"), [(1, 480, 1), (2, 320, 2), (5, 260, 4), (20, 220, 5)])
def test_every_number_of_results(index: ImageIndex, n: int, side: int, columns: int) -> None:
    query, results = found(index)
    picture = draw_search(index, query, (results * 8)[:n], name="x" * 300)
    assert picture.shape[1] == 16 + 360 + 28 + columns * side + (columns - 1) * 14 + 16
    # The margins stay white, whatever the names are; below the legend, so does what is between query and results.
    assert (picture[:, :14] == 255).all()
    assert (picture[:, -14:] == 255).all()
    assert (picture[75:, 16 + 362 : 16 + 360 + 26] == 255).all()


def test_no_results_and_pixels_as_query(index: ImageIndex) -> None:
    plain = np.full((40, 60, 3), (10, 200, 30), np.uint8)
    assert index.search(plain, verify=5) == []
    picture = draw_search(index, plain, [])
    assert (picture == [10, 200, 30]).all(axis=2).sum() == 360 * 240


def test_files_that_cannot_be_shown(index: ImageIndex) -> None:
    root = Path(index.root)
    query, results = found(index)
    (root / "cut.png").unlink()
    (root / "large.png").write_bytes(b"not an image")
    write(root / "wide.png", scene(3, 300, 200))
    shown, others = panels(index, query, results)
    by_name = {panel.name: panel for panel in others}
    assert (by_name["cut.png"].image, by_name["cut.png"].problem) == (None, "the file is not there")
    assert by_name["large.png"].problem.startswith("not an image in a known format")
    assert by_name["wide.png"].problem == "changed since"
    assert by_name["wide.png"].frame is None
    assert by_name["wide.png"].image is not None
    card = rendered(by_name["cut.png"], 220, 220)
    assert card.shape == (165, 220, 3)
    assert len(np.unique(card.reshape(-1, 3), axis=0)) > 2
    write_search_picture(root / "found.png", index, query, results)
    assert cv2.imread(str(root / "found.png")).shape[1] > 1000
    # A query that the index has stored is answered, and drawn, without its file.
    answers = index.search(root / "cut.png", k=5, verify=5)
    shown, others = panels(index, root / "cut.png", answers)
    assert shown.problem == "the file is not there"
    assert any(len(panel.points) for panel in others if panel.name == "<b>&.png")


def test_an_index_of_vectors(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{number}.png", scene(number)) for number in range(3)]
    describer = ImageVectors(ColorHistogram(), whiten=False).fit(paths)
    with ImageIndex.build(tmp_path / "x.index", describer) as index:
        index.add(paths[:2])
        index.add([scene(5)], names=["by name"])
        results = index.search(paths[0])
        shown, others = panels(index, paths[0], results)
        assert {panel.problem for panel in others} == {"", "known by name only"}
        assert shown.frame is None
        assert all(len(panel.points) == 0 for panel in others)
        picture = draw_search(index, paths[0], results)
        assert count(picture, SKY) == 0


def test_the_page(index: ImageIndex, tmp_path: Path) -> None:
    query, results = found(index)
    searches = [
        Searched(query, results),
        Searched(scene(9), []),
        Searched("nowhere<script>.png", ImageError("nowhere<script>.png", "there is no such file")),
    ]
    write_search_page(tmp_path / "found.html", index, searches)
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert "3 queries in an index of 5 images" in page
    assert page.count("<section") == 3
    assert page.count("<img") == len(results) + 2
    assert "there is no such file" in page
    assert "Nothing in the index has anything in common with it" in page
    assert "&lt;b&gt;&amp;.png" in page
    assert "<script" not in page
    assert "<b>&" not in page
    # Self-contained: nothing is fetched.
    assert all(source.startswith("data:image/jpeg;base64,") for source in re.findall(r'src="([^"]*)', page))
    assert "://" not in page
    for result in results:
        assert f"score {result.score:.3f}, {result.n_inliers} inlier" in page
