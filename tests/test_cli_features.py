"""``cvbow features``: counts per stage, the picture, and mistakes as one line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from cvbow import ImageClassifier, make_model
from cvbow.features import DETECTORS, LocalFeatures
from cvbow.images import read_image
from cvbow.report.stages import MARKS, STAGES, Stage, draw_stages, find_stage, model_stages
from cvbow_cli.main import cli


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["features", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colour scene of discs, squares and blocks over texture."""
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.integers(0, 256, (240, 300, 3)).astype(np.uint8), (0, 0), 4)
    image[180:, 60:240] = np.kron(random.integers(0, 2, (10, 30, 1)) * 255, np.ones((6, 6, 1)))
    for number in range(6):
        cv2.circle(image, (30 + 48 * number, 60), 6 + 2 * number, (250, 250, 250), -1)
        cv2.rectangle(image, (12 + 32 * number, 100), (28 + 32 * number, 116 + number), (10, 10, 60), -1)
    path = tmp_path_factory.mktemp("features") / "photo.png"
    cv2.imwrite(str(path), image)
    return path


def test_json_counts_every_stage(photo: Path) -> None:
    result = run(photo, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["image"], document["size"]) == (str(photo), [300, 240])
    assert [row["stage"] for row in document["stages"]] == list(STAGES)
    assert [row["detector"] for row in document["stages"]] == list(STAGES.values())
    for row in document["stages"]:
        assert set(row) == {"stage", "detector", "points", "sizes"}
        assert row["points"] > 5
        assert 0 < row["sizes"][0] <= row["sizes"][1]
    keypoints = next(row for row in document["stages"] if row["stage"] == "keypoints")
    found = LocalFeatures("sift", max_points=None, max_side=None).detect(read_image(photo))
    assert keypoints["points"] == len(found), "all points are counted, however few are drawn"


def test_a_size_that_all_points_have_is_told_once(photo: Path) -> None:
    lines = [line.split() for line in run(photo, "--stage", "dense", "--stage", "keypoints").stdout.splitlines()[-2:]]
    dense, keypoints = lines
    assert dense[-2:] == [str(len(find_stage(read_image(photo), "dense"))), "32"]
    assert keypoints[-2] == "to"


@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_is_a_stage(photo: Path, detector: str) -> None:
    image = read_image(photo)
    stage = find_stage(image, detector, max_points=30)
    assert stage.mark in MARKS
    assert stage.points.shape[1] == 4
    assert len(stage.drawn) <= (30 if detector != "grid" else len(stage))
    assert (stage.edges is not None) == (stage.mark == "edge")
    drawn, plain = (draw_stages(image, [one]) for one in (stage, Stage(stage.name, stage.points[:0], "dot")))
    rows = min(len(drawn), len(plain)) - 80  # below the heading
    same = (drawn[-rows:] == plain[-rows:]).all()
    assert len(stage) > 0
    assert not same, "something is drawn on the image"


def test_marks_follow_what_a_detector_measures(photo: Path) -> None:
    image = read_image(photo)
    marks = {name: find_stage(image, name).mark for name in ("edges", "corners", "blobs", "keypoints", "dense")}
    assert marks == {"edges": "edge", "corners": "dot", "blobs": "circle", "keypoints": "keypoint", "dense": "grid"}


def test_several_stages_are_wider_than_one(photo: Path, tmp_path: Path) -> None:
    sizes = []
    for number, stages in enumerate((["sift"], ["sift", "orb", "akaze"])):
        path = tmp_path / f"{number}.png"
        options = [argument for stage in stages for argument in ("--stage", stage)]
        assert run(photo, "-o", path, *options).exit_code == 0
        sizes.append(cv2.imread(str(path)).shape)
    assert sizes[1][1] > sizes[0][1]


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (64, 64)])
def test_images_without_points(tmp_path: Path, shape: tuple[int, int]) -> None:
    cv2.imwrite(str(tmp_path / "plain.png"), np.full(shape, 128, np.uint8))
    result = run(tmp_path / "plain.png", "-o", tmp_path / "x.png", "--json")
    assert result.exit_code == 0
    counts = {row["stage"]: row["points"] for row in json.loads(result.stdout)["stages"]}
    assert counts["corners"] == counts["keypoints"] == counts["edges"] == 0
    assert all(row["sizes"] is None for row in json.loads(result.stdout)["stages"] if row["points"] == 0)


def test_a_name_in_any_script_is_no_trouble(photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "фото \U0001f600 日本.png"
    path.write_bytes(photo.read_bytes())
    result = run(path, "-o", tmp_path / "x.png", "--stage", "sift")
    assert result.exit_code == 0
    assert (tmp_path / "x.png").exists()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of a dense grid, one of keypoints, and one without words."""
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    images = [cv2.GaussianBlur(random.integers(0, 256, (80, 90, 3), np.uint8), (0, 0), 1 + n % 2) for n in range(8)]
    small = {"n_words": 8, "sample": 2000}
    recipes = {
        "grid": {**small, "step": 10, "bin_sizes": [4, 6]},
        "keypoints": {**small, "features": "sift"},
        "whole": {"channels": ["gist"]},
    }
    for name, settings in recipes.items():
        model = make_model("bow", settings=settings)
        model.fit(images, ["a", "b"] * 4).save(folder / f"{name}.cvbow")
    return {name: folder / f"{name}.cvbow" for name in recipes}


@pytest.mark.parametrize("name", ["grid", "keypoints"])
def test_the_points_of_a_model(photo: Path, models: dict[str, Path], tmp_path: Path, name: str) -> None:
    result = run(photo, "--model", models[name], "--json", "-o", tmp_path / "x.png")
    assert result.exit_code == 0, result.output
    model = ImageClassifier.load(models[name])
    rows = json.loads(result.stdout)["stages"]
    (stage,) = model_stages(model, photo)
    np.testing.assert_array_equal(stage.points, model.words(photo).points)
    assert [(row["points"], row["detector"]) for row in rows] == [(len(stage), None)]
    assert stage.mark == ("grid" if name == "grid" else "keypoint")
    picture = read_image(tmp_path / "x.png")
    assert (picture != read_image(photo)[0, 0]).any()
    if name == "grid":
        np.testing.assert_array_equal(np.unique(stage.points[:, 2]), [16, 24])


def test_models_that_have_no_points(photo: Path, models: dict[str, Path]) -> None:
    result = run(photo, "--model", models["whole"])
    assert result.exit_code == 2
    assert "has no points to show" in result.stderr
    for option in (["--stage", "sift"], ["--max-side", "100"]):
        result = run(photo, "--model", models["grid"], *option)
        assert result.exit_code == 2
        assert "--model goes without" in result.stderr


def test_mistakes_are_one_line(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for arguments, code, words in (
        ([tmp_path / "none.png"], 1, "none.png"),
        ([tmp_path / "bad.png"], 1, "bad.png"),
        ([photo, "--stage", "surf"], 2, "surf"),
        ([photo, "-o", tmp_path / "no-folder" / "x.png"], 1, "no-folder"),
        ([photo, "--max-points", "0"], 2, "--max-points"),
    ):
        result = run(*arguments)
        assert result.exit_code == code, result.output
        assert words in result.stderr
        assert result.stdout == ""
