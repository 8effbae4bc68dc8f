"""``cvbow match``: what it prints, the JSON document, the picture, and mistakes as one line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from cvbow_cli.main import cli

SHIFT = (25, 10)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["match", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two views of one random scene, the second moved by SHIFT."""
    folder = tmp_path_factory.mktemp("match")
    scene = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (300, 300)).astype(np.uint8), (0, 0), 2.5)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX)
    x, y = SHIFT
    cv2.imwrite(str(folder / "a.png"), scene[:240, :240])
    cv2.imwrite(str(folder / "b.png"), scene[y : y + 240, x : x + 240])
    return folder / "a.png", folder / "b.png"


@pytest.mark.parametrize(("detector", "descriptor"), [("sift", "rootsift"), ("orb", "orb"), ("harris", "brief")])
def test_json(pair: tuple[Path, Path], detector: str, descriptor: str) -> None:
    result = run(*pair, "--detector", detector, "--descriptor", descriptor, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert list(document) == ["keypoints", "putative", "inliers", "model", "matrix", "reason"]
    assert len(document["keypoints"]) == 2
    assert min(document["keypoints"]) >= document["putative"] >= document["inliers"] > 20
    assert document["model"] == "homography"
    assert document["reason"] is None
    x, y = SHIFT
    np.testing.assert_allclose(document["matrix"], [[1, 0, -x], [0, 1, -y], [0, 0, 1]], atol=0.7)


def test_for_a_person(pair: tuple[Path, Path]) -> None:
    result = run(*pair, "--model", "affine")
    assert result.exit_code == 0
    assert str(pair[0]) in result.stdout
    assert "model      affine" in result.stdout
    assert "(median of the inliers)" in result.stdout
    assert result.stderr == ""


def test_the_picture(pair: tuple[Path, Path], tmp_path: Path) -> None:
    picture = tmp_path / "matches.png"
    result = run(*pair, "-o", picture)
    assert result.exit_code == 0
    assert f"picture    {picture}" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["matches.png"]
    assert cv2.imread(str(picture)).shape[1] > 2 * 240


def test_nothing_in_common_is_an_answer(pair: tuple[Path, Path], tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.full((40, 50, 3), 90, np.uint8))
    result = run(pair[0], plain, "--json", "-o", tmp_path / "o.png")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["keypoints"][1] == document["putative"] == document["inliers"] == 0
    assert document["matrix"] is None
    assert document["model"] == "homography"
    assert (tmp_path / "o.png").exists()
    assert document["reason"] == "there are too few matches: 0, and 8 are needed"
    assert f"none found; {document['reason']}" in run(pair[0], plain).stdout


def test_options_reach_the_library(pair: tuple[Path, Path]) -> None:
    few = json.loads(run(*pair, "--max-points", 40, "--json").stdout)
    assert max(few["keypoints"]) == 40
    strict, loose = (json.loads(run(*pair, "--ratio", r, "--model", "none", "--json").stdout) for r in (0.3, 1))
    assert strict["putative"] < loose["putative"]
    assert loose["model"] is None
    assert loose["matrix"] is None
    tight, wide = (json.loads(run(*pair, "--threshold", t, "--json").stdout)["inliers"] for t in (0.02, 5))
    assert tight < wide
    one, all_ways = (json.loads(run(*pair, flag, "--json").stdout)["putative"] for flag in ("--mutual", "--no-mutual"))
    assert one <= all_ways
    assert json.loads(run(*pair, "--model", "fundamental", "--json").stdout)["model"] == "fundamental"


def test_mistakes_are_one_line(pair: tuple[Path, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    for arguments, code, words in (
        ([pair[0], tmp_path / "none.png"], 1, "none.png"),
        ([pair[0], bad], 1, "bad.png"),
        ([*pair, "--detector", "surf"], 2, "detector must be one of"),
        ([*pair, "--detector", "orb", "--descriptor", "akaze"], 2, "descriptor akaze"),
        ([*pair, "-o", tmp_path / "no-folder" / "x.png"], 1, "no-folder"),
        ([*pair, "--ratio", "2"], 2, "--ratio"),
        ([*pair, "--model", "planar"], 2, "--model"),
        ([pair[0]], 2, "B"),
    ):
        result = run(*arguments)
        assert result.exit_code == code, result.output
        assert words in result.stderr
        assert result.stdout == ""
        if not result.stderr.startswith("Usage"):
            assert len(result.stderr.splitlines()) == 1
