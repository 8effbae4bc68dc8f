"""Boxes of the largest sum: those of a search through all of them, whatever the values; and where classes are."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

import cvbow
from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary, make_classifier
from cvbow.annotations import iou
from cvbow.backends import ColorHistogram
from cvbow.errors import ImageError
from cvbow.localization import best_box, locate, locations
from cvbow_cli.main import cli

VALUES = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(-4, 4))


def all_sums(values: NDArray[np.float64]) -> list[float]:
    rows, columns = (list(itertools.combinations(range(n + 1), 2)) for n in values.shape)
    return [float(values[top:bottom, left:right].sum()) for top, bottom in rows for left, right in columns]


# The search


@given(VALUES)
def test_the_best_box_is_that_of_an_exhaustive_search(values: NDArray[np.float64]) -> None:
    found = best_box(values)
    left, top, right, bottom = found.box
    assert 0 <= left < right <= values.shape[1]
    assert 0 <= top < bottom <= values.shape[0]
    assert found.score == max(all_sums(values)) == values[top:bottom, left:right].sum()
    assert best_box(values) == found


@given(VALUES)
def test_the_best_box_has_no_empty_sides(values: NDArray[np.float64]) -> None:
    left, top, right, bottom = best_box(values).box
    inside = values[top:bottom, left:right]
    if inside.any():
        assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
    else:
        assert inside.size == 1


@settings(max_examples=30)
@given(VALUES)
def test_a_turned_map_has_the_same_sum(values: NDArray[np.float64]) -> None:
    assert best_box(values.T).score == best_box(values).score


@pytest.mark.parametrize("shape", [(60, 80), (90, 40), (1, 500), (500, 1)])
def test_larger_maps_against_all_rows(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(shape[0])
    values = np.rint(100 * random.normal(-0.02, 1, shape))
    best = -np.inf
    for top in range(shape[0]):
        sums = values[top:].cumsum(axis=0).cumsum(axis=1)
        before = np.minimum.accumulate(np.hstack([np.zeros((len(sums), 1)), sums[:, :-1]]), axis=1)
        best = max(best, float((sums - before).max()))
    found = best_box(values)
    assert found.score == best
    possible = np.prod([side * (side + 1) / 2 for side in shape])
    assert found.visited < 0.01 * possible or min(shape) == 1


def test_values_that_are_refused() -> None:
    for values in ([], [[]], [1.0], np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match=r"values must have the shape \(h, w\)"):
            best_box(values)
    with pytest.raises(ValueError, match="values must be finite"):
        best_box([[0, np.nan]])


# Models

RED, BLUE = (np.zeros((8, 8, 3), np.uint8) for _ in range(2))
RED[:, :, 0], BLUE[:, :, 2] = 255, 255


@pytest.fixture(scope="module")
def colors() -> ImageClassifier:
    return ImageClassifier(ColorHistogram()).fit([RED, BLUE] * 3, ["red", "blue"] * 3)


def textures() -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Plain noise, and noise in whose middle lie stripes."""
    random = np.random.default_rng(0)
    plain = [random.integers(90, 166, (96, 128), np.uint8) for _ in range(8)]
    striped = [image.copy() for image in plain]
    for image in striped:
        x, y = random.integers(8, 64), random.integers(8, 40)
        image[y : y + 48, x : x + 56] = np.where(np.arange(56) % 8 < 4, 0, 255)
    return plain + striped, ["plain"] * 8 + ["striped"] * 8


@pytest.fixture(scope="module", params=["linear-svm", "rbf-svm", "random-forest"])
def words(request: pytest.FixtureRequest) -> ImageClassifier:
    backend = BagEncoder(DenseSIFT(step=4, bin_sizes=(3,)), BagOfWords(KMeansDictionary(n_words=20)))
    forest = request.param == "random-forest"
    classifier = make_classifier(request.param, **({"n_estimators": 200} if forest else {}))
    return ImageClassifier(backend, classifier).fit(*textures())


def test_stripes_are_found_by_labels_alone(words: ImageClassifier) -> None:
    """Also by the mean gradient; of a forest, whose score is no sum, parts are left out, and few of them tell."""
    image = np.random.default_rng(1).integers(90, 166, (96, 128), np.uint8)
    image[30:78, 50:106] = np.where(np.arange(56) % 8 < 4, 0, 255)
    found = locate(words, image, "striped")
    assert isinstance(found, cvbow.Objects)
    method = cvbow.explain(words, image).method  # type: ignore[union-attr]
    if method == "leaving out":
        assert len(found) <= 1
        return
    assert found.classes.tolist() == ["striped"]
    assert iou(found.boxes, [[50, 30, 106, 78]])[0, 0] > {"exact": 0.5, "mean gradient": 0.2}[method]
    left, top, right, bottom = found.boxes[0]
    assert 50 < (left + right) / 2 < 106
    assert 30 < (top + bottom) / 2 < 78


def test_a_score_is_the_sum_of_what_is_in_the_box(words: ImageClassifier) -> None:
    image = textures()[0][-1]
    why = cvbow.explain(words, image, "striped")
    assert isinstance(why, cvbow.Explanation)
    found = locate(words, image, "striped")
    assert isinstance(found, cvbow.Objects)
    left, top, right, bottom = found.boxes[0]
    if why.method != "leaving out":
        x, y = why.points[:, 0] + 0.5, why.points[:, 1] + 0.5
        inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        assert found.scores[0] == pytest.approx(why.shares[inside].sum())
        assert found.scores[0] >= why.shares.sum()
    else:
        rows, columns = slice(int(top), int(bottom)), slice(int(left), int(right))
        assert found.scores[0] == pytest.approx(why.heat[rows, columns].sum(), rel=1e-5)


def test_several_boxes_do_not_overlap_and_scores_fall(colors: ImageClassifier) -> None:
    image = np.hstack([RED[:, :2], BLUE, RED, BLUE[:, :3]])
    (found,) = [next(iter(result)) for result in locations(colors, [image], "red", 5)]  # type: ignore[arg-type]
    assert found.objects.boxes.tolist() == [[10, 0, 18, 8], [0, 0, 2, 8]]
    assert found.objects.scores[0] > found.objects.scores[1] > 0
    assert found.n_possible == 36 * 21 * 11
    assert found.visited < 0.1 * found.n_possible


def test_the_class_is_that_of_the_highest_score_unless_it_is_named(colors: ImageClassifier) -> None:
    image = np.hstack([RED[:, :2], BLUE])
    assert locate(colors, image).classes.tolist() == ["blue"]  # type: ignore[union-attr]
    both = locate(colors, [image, RED], ["red", "blue"])
    assert isinstance(both, list)
    assert [objects.classes.tolist() for objects in both] == [["red", "blue"], ["red"]]
    assert both[0].boxes.tolist() == [[0, 0, 2, 8], [2, 0, 10, 8]]


def test_images_with_nothing_in_them(words: ImageClassifier, colors: ImageClassifier) -> None:
    """No points, or nothing that speaks for the class: no box, and no error."""
    for image in (np.zeros((1, 1), np.uint8), np.zeros((96, 128), np.uint8), np.zeros((3, 200), np.uint8)):
        for objects in (locate(words, image, "striped"), locate(words, image, n_boxes=3)):
            assert objects.boxes.shape[1] == 4  # type: ignore[union-attr]
    assert len(locate(colors, BLUE, "red")) == 0
    assert len(locate(words, np.zeros((1, 1), np.uint8), "striped")) <= 1
    assert locate(words, []) == []


def test_sides_lie_on_a_grid_where_an_image_is_large(colors: ImageClassifier) -> None:
    image = np.zeros((1100, 1301, 3), np.uint8)
    image[:, :, 2] = 255
    image[300:600, 903:] = RED[0, 0]
    (found,) = locations(colors, [image], "red")
    assert not isinstance(found, ImageError)
    assert found[0].objects.boxes.tolist() == [[903, 300, 1301, 600]]
    assert found[0].n_possible == (434 * 435 // 2) * (367 * 368 // 2)


def test_mistakes_are_told(colors: ImageClassifier, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the model has no class 'rde'; did you mean red"):
        locate(colors, RED, "rde")
    with pytest.raises(ValueError, match="n_boxes must be an integer >= 1, got 0"):
        locate(colors, RED, n_boxes=0)
    with pytest.raises(ValueError, match="model must be an ImageClassifier, got str"):
        locate("model", RED)  # type: ignore[arg-type]
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ImageError, match=r"a\.png"):
        locate(colors, [RED, tmp_path / "a.png"], "red")
    found = list(locations(colors, [tmp_path / "a.png", RED], "red"))
    assert isinstance(found[0], ImageError)
    assert not isinstance(found[1], ImageError)


def test_the_same_boxes_for_any_number_of_workers(words: ImageClassifier) -> None:
    images = textures()[0][-2:]

    def boxes(n_jobs: int) -> Any:
        words.backend_.set_params(n_jobs=n_jobs)
        found = locate(words, images, "striped", 3)
        return [objects.as_json() for objects in found]  # type: ignore[union-attr]

    assert boxes(1) == boxes(2)


# The command


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["locate", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, colors: ImageClassifier) -> Path:
    folder = tmp_path_factory.mktemp("locate")
    colors.save(folder / "model.cvbow")
    (folder / "new").mkdir()
    for number, pixels in enumerate((np.hstack([RED[:, :2], BLUE, RED]), BLUE)):
        Image.fromarray(pixels).save(folder / "new" / f"{number}.png")
    return folder


def test_json(folder: Path) -> None:
    result = run(folder / "model.cvbow", folder / "new", "--class", "red", "-n", 2, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert [(Path(row["path"]).name, row["class"], len(row["boxes"])) for row in document] == [
        ("0.png", "red", 2),
        ("1.png", "red", 0),
    ]
    first = document[0]["boxes"][0]
    assert list(first) == ["xmin", "ymin", "xmax", "ymax", "score"]
    assert [first[side] for side in ("xmin", "ymin", "xmax", "ymax")] == [10, 0, 18, 8]


def test_for_a_person_and_a_picture(folder: Path, tmp_path: Path) -> None:
    result = run(folder / "model.cvbow", folder / "new", "--class", "red", "-o", tmp_path / "where.png")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{folder / 'new' / '0.png'}\tred\t10, 0, 18, 8\t+")
    assert lines[1:] == [f"{folder / 'new' / '1.png'}\tred\tnowhere", f"picture  {tmp_path / 'where.png'}"]
    assert cvbow.read_image(tmp_path / "where.png").shape[2] == 3


def test_mistakes_of_the_command(folder: Path, tmp_path: Path) -> None:
    model = folder / "model.cvbow"
    result = run(model, folder / "new", "--class", "green")
    assert result.exit_code == 2
    assert "the model has no class 'green'; it knows blue, red" in result.stderr
    assert run(model, folder / "new", "-n", 0).exit_code == 2
    assert run(model, folder / "new", "-o", "where.jpg").exit_code == 2
    (tmp_path / "broken.png").write_text("no image")
    result = run(model, tmp_path / "broken.png", folder / "new" / "1.png", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert list(document[0]) == ["path", "error"]
    assert document[1]["class"] == "blue"
    many = [folder / "new" / "0.png"] * 1 + [folder / "new" / f"{number}.png" for number in range(20)]
    result = run(model, *many, "-o", tmp_path / "where.png")
    assert result.exit_code == 2
    assert "a picture has room for 12 images" in result.stderr
