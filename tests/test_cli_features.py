"""``cvbow features``: counts per stage, the picture, and mistakes as one line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from cvbow.features import DETECTORS, LocalFeatures
from cvbow.images import read_image
from cvbow.report.stages import MARKS, STAGES, Stage, draw_stages, find_stage
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


@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_is_a_stage(photo: Path, detector: str) -> None:
    image = read_image(photo)
    stage = find_stage(image, detector, max_points=30)
    assert stage.mark in MARKS
    assert stage.points.shape[1] == 4
    assert len(stage.drawn) <= (30 if detector != "grid" else len(stage))
    assert (stage.edges is not None) == (stage.mark == "edge")
    drawn, plain = (draw_stages(image, [one]) for one in (stage, Stage(stage.name, stage.points[:0], "dot")))
    same = (drawn[80:] == plain[80:]).all()  # below the heading
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
