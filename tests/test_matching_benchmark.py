"""The benchmark of matching on sequences made here, whose homographies are exact, and its definition and command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from notes import Notes
from own_datasets import register

from cvbow.datasets import load_dataset, locate
from cvbow.experiments import (
    ClassificationDefinition,
    MatchingDefinition,
    collect_results,
    find_benchmark,
    read_benchmark,
    result_rows,
    result_tables,
    run_benchmark,
    write_result,
)
from cvbow.features import LocalFeatures
from cvbow.images import read_image
from cvbow.matching import corner_error, match_images, repeatability
from cvbow.progress import reporting
from cvbow_cli.main import cli

MANIFEST = """
title = "Tiny sequences"
content = "made by the tests"
n_images = 5
n_classes = 2
layout = "sequences"
homepage = "https://example.org"
terms = "Made by the tests."
citation = "Nobody, 2024."
"""

DEFINITION = """
kind = "matching"
title = "Tiny"
dataset = "tiny-sequences"

[settings]
max_points = 150

[[variants]]
detector = "sift"
descriptor = "rootsift"

[[variants]]
name = "orb, few"
detector = "orb"
descriptor = "orb"
settings = { max_points = 40 }
"""


@pytest.fixture
def sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of two sequences, of three and two images, and its definition beside it."""
    register(monkeypatch, tmp_path / "bundled", **{"tiny-sequences": MANIFEST})
    scene = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (200, 240)).astype(np.uint8), (0, 0), 2.5)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX)
    root = tmp_path / "data"
    for name, n, angle in (("turn", 3, 8), ("shift", 2, 0)):
        folder = root / name
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "img1.png"), scene)
        for number in range(2, n + 1):
            matrix = np.vstack([cv2.getRotationMatrix2D((119.5, 99.5), angle * (number - 1), 1.0), [0, 0, 1]])
            matrix[0, 2] += 6
            warped = cv2.warpPerspective(scene, matrix, (240, 200), flags=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"img{number}.png"), warped)
            np.savetxt(folder / f"H1to{number}p", matrix)
    (tmp_path / "tiny.toml").write_text(DEFINITION)
    return root


def read(path: Path) -> MatchingDefinition:
    definition = read_benchmark(path)
    assert isinstance(definition, MatchingDefinition)
    return definition


def test_the_result_is_that_of_the_parts(sequences: Path) -> None:
    definition = read(sequences.parent / "tiny.toml")
    told = Notes()
    with reporting(told):
        result = run_benchmark(definition, sequences, n_jobs=1)
    assert [bar for bar in told.bars if bar != "hash"] == ["variants"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["kind"], result["benchmark"], result["quick"]) == ("cvbow-matching-result", "tiny", False)
    assert result["dataset"]["n_images"] == len(load_dataset(locate("tiny-sequences", sequences))) == 5
    assert [variant["name"] for variant in result["variants"]] == ["sift + rootsift", "orb, few"]
    sift, orb = result["variants"]
    assert [(pair["sequence"], pair["pair"]) for pair in sift["pairs"]] == [
        ("shift", [1, 2]),
        ("turn", [1, 2]),
        ("turn", [1, 3]),
    ]
    pair = sift["pairs"][2]
    truth = np.loadtxt(sequences / "turn" / "H1to3p")
    extractor = LocalFeatures("sift", "rootsift", max_points=150)
    one, other = (sequences / "turn" / f"img{number}.png" for number in (1, 3))
    found = match_images(one, other, extractor=extractor)
    assert pair["keypoints"] == [len(found.features_a), len(found.features_b)]
    assert (pair["ratio_matches"], pair["inliers"]) == (len(found), found.n_inliers)
    assert pair["corner_error"] == pytest.approx(corner_error(found.matrix, truth, (240, 200)), abs=1e-4)
    features = [extractor.extract(read_image(path)) for path in (one, other)]
    assert pair["repeatability"] == pytest.approx(repeatability(*features, truth), abs=1e-4)
    # An exact warp: nearly all is found again, and nearly all matches are right.
    assert sift["mean"]["repeatability"] > 0.6
    assert sift["mean"]["ratio_accuracy"][2] > 0.9
    assert sift["mean"]["homography_accuracy"] == {"1": 1.0, "3": 1.0, "5": 1.0}
    assert max(orb["mean"]["keypoints"]) <= 40
    for variant in result["variants"]:
        accuracy = variant["mean"]["accuracy"]
        assert len(accuracy) == 10
        assert accuracy == sorted(accuracy)
        means = [variant["sequences"][name]["matches"] for name in ("shift", "turn")]
        assert variant["mean"]["matches"] == pytest.approx((means[0] + 2 * means[1]) / 3, abs=1e-3)


def test_figures_do_not_depend_on_the_number_of_workers(sequences: Path) -> None:
    definition = read(sequences.parent / "tiny.toml")
    one, two = (run_benchmark(definition, sequences, n_jobs=n_jobs)["variants"] for n_jobs in (1, 2))
    for variant in (*one, *two):
        variant.pop("extract_ms")
    assert one == two


def test_nothing_found_is_null(sequences: Path) -> None:
    for path in sequences.glob("*/img[23].png"):
        cv2.imwrite(str(path), np.full((200, 240), 7, np.uint8))
    result = run_benchmark(read(sequences.parent / "tiny.toml"), sequences, n_jobs=1)
    for pair in result["variants"][0]["pairs"]:
        assert pair["corner_error"] is None
        assert pair["repeatability"] == pair["matching_score"] == pair["inliers"] == 0
    assert result["variants"][0]["mean"]["homography_accuracy"] == {"1": 0, "3": 0, "5": 0}
    assert result_tables(result)["figures"].rows[0][0] == "sift + rootsift"


def test_the_command(sequences: Path) -> None:
    output = sequences.parent / "result.json"
    arguments = ["bench", "run", str(sequences.parent / "tiny.toml"), "--data", str(sequences), "--n-jobs", "1"]
    done = CliRunner().invoke(cli, [*arguments, "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert "sift + rootsift" in done.stdout
    assert "MMA 1 px" in done.stdout
    assert "homographies" in done.stdout
    assert json.loads(output.read_text())["kind"] == "cvbow-matching-result"
    quick = CliRunner().invoke(cli, [*arguments, "--quick", "--json"])
    document = json.loads(quick.stdout)
    assert document["quick"]
    assert [pair["pair"] for pair in document["variants"][0]["pairs"]] == [[1, 2], [1, 2]]


def test_a_folder_of_results_may_hold_one(sequences: Path, tmp_path: Path) -> None:
    result = run_benchmark(read(sequences.parent / "tiny.toml"), sequences, n_jobs=1, quick=True)
    folder = tmp_path / "results"
    folder.mkdir()
    write_result(folder / "matching.json", result)
    assert collect_results([folder]) == [result]
    assert result_rows([result]) == [], "nothing is published of the same protocol"
    shown = CliRunner().invoke(cli, ["bench", "table", str(folder)]).stdout
    assert shown.strip() == result_tables(result)["figures"].text()


def test_the_shipped_definition() -> None:
    definition = find_benchmark("oxford-affine")
    assert isinstance(definition, MatchingDefinition)
    assert definition.published == ()
    names = [variant.name for variant in definition.variants]
    assert {"sift + rootsift", "orb + orb", "akaze + akaze", "fast + beblid", "harris-laplace + rootsift"} <= set(names)
    assert {variant.settings["max_points"] for variant in definition.variants} == {2000}
    assert isinstance(find_benchmark("digits-bow"), ClassificationDefinition)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'kind = "matching"',
            'kind = "robustness"',
            "kind must be one of classification, .*retrieval",
        ),
        ('dataset = "tiny-sequences"', 'dataset = "digits"', "dataset must be one of"),
        ('detector = "orb"', 'detector = "surf"', "orb, few: detector must be one of"),
        ('descriptor = "orb"', 'descriptor = "akaze"', "orb, few: descriptor akaze"),
        ('name = "orb, few"', 'name = "sift + rootsift"', "variants must be one table or more"),
        ("max_points = 40", "max_point = 40", "orb, few: .*max_point"),
        ("max_points = 40", "max_points = 0", "max_points must be"),
        ('title = "Tiny"', 'title = "Tiny"\npreset = "bow"', "unknown key preset"),
        ("[settings]", "[protocol]\nratio = 2\n\n[settings]", "protocol.ratio must be a number > 0 and <= 1"),
    ],
)
def test_what_is_wrong_in_a_definition_is_named(sequences: Path, old: str, new: str, message: str) -> None:
    path = sequences.parent / "wrong.toml"
    path.write_text(DEFINITION.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_benchmark(path)
