"""The benchmark of detectors on made images, and its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from marked_images import write_marked
from notes import Notes
from own_datasets import register

from cvbow.errors import DatasetError
from cvbow.experiments import (
    DetectionDefinition,
    benchmark_names,
    find_benchmark,
    read_benchmark,
    result_tables,
    run_benchmark,
)
from cvbow.progress import reporting

MANIFEST = """
title = "Tiny shapes"
content = "made by the tests, with boxes"
n_images = 12
n_classes = 1
layout = "folders"
homepage = "https://example.org"
terms = "none"
citation = "nobody"
"""
DEFINITION = 'kind = "detection"\ntitle = "Tiny"\ndataset = "tiny"\n'


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six images to learn from and six to test with, and their boxes beside the folders of images."""
    register(monkeypatch, tmp_path / "bundled", tiny=MANIFEST)
    for part, seed in (("train", 0), ("test", 7)):
        file = write_marked(tmp_path / "data" / part / "images", 6, seed=seed)
        lines = [line if line.startswith("image,") else f"images/{line}" for line in file.read_text().splitlines()]
        file.with_name("boxes.csv").unlink()
        (tmp_path / "data" / part / "boxes.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "tiny.toml").write_text(DEFINITION)
    return tmp_path / "data"


def test_a_run_and_its_table(data: Path, tmp_path: Path) -> None:
    definition = read_benchmark(tmp_path / "tiny.toml")
    assert isinstance(definition, DetectionDefinition)
    told = Notes()
    with reporting(told):
        result = run_benchmark(definition, data, n_jobs=1, quick=True)
    assert [bar for bar in told.bars if bar != "hash"] == ["train"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["train"]["n_images"] == 6
    assert result["found"]["n_images"] == 6
    assert result["found"]["ap50"] > 0.5
    assert set(result["boxes_sha256"]) == {"train", "test"}
    table = result_tables(result)["figures"]
    assert [row[0] for row in table.rows] == ["all", "bar", "square"]
    assert "learned from 10 boxes in 6 images" in table.title
    (data / "test" / "boxes.csv").write_text("image,class,xmin,ymin,xmax,ymax\nimages/00.png,,,,,\n")
    with pytest.raises(DatasetError, match="it has no row for"):
        run_benchmark(definition, data, n_jobs=1, quick=True)


def test_definitions(data: Path, tmp_path: Path) -> None:
    for text, message in (
        ("settings = { n_shapes = 0 }", "settings: n_shapes must be an integer >= 1"),
        ("settings = { n_jobs = 2 }", "settings must be of max_side, n_cells"),
    ):
        (tmp_path / "tiny.toml").write_text(DEFINITION + text)
        with pytest.raises(ValueError, match=message):
            read_benchmark(tmp_path / "tiny.toml")


def test_those_that_come_with_cvbow() -> None:
    assert {"kangaroo", "bccd"} <= set(benchmark_names())
    assert find_benchmark("bccd").dataset == "bccd"


def test_the_table_beside_dlib() -> None:
    contender = {"label": "cvbow detect", "ap50": 0.5, "ap": 0.2, "per_class": {"cell": 0.5}}
    contender |= {"train_seconds": 90.0, "detect_ms": 120.0}
    part = {"n_train": 10, "n_train_of": 20, "n_boxes": 33, "contenders": [contender, contender]}
    part["contenders"][1] = contender | {"label": "dlib", "train_over_cvbow": 2.5}
    table = result_tables({"bccd": part})["figures"]
    assert table.rows[0][:2] == ("bccd: 10 of 20 images, 33 boxes", "cvbow detect")
    assert table.rows[1][:2] == ("", "dlib")
    assert table.rows[1][6] == "2.50"
