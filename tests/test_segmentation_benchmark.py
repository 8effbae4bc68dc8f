"""The benchmark of segmentation on made images with masks, its tables, and its opponent."""

from __future__ import annotations

import functools
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from masked_images import write_masked
from notes import Notes
from own_datasets import masked_manifest, register

from cvbow import Segmenter
from cvbow.experiments import SegmentationDefinition, find_benchmark, read_benchmark, result_tables, run_benchmark
from cvbow.experiments.segmentation import scribbles_for
from cvbow.progress import reporting
from cvbow.segmentation import read_mask

ROOT = Path(__file__).resolve().parents[1]

DEFINITION = """
kind = "segmentation"
title = "Tiny"
dataset = "tiny-masked"
classes = ["noise", "stripes"]

[[trials]]
name = "all"

[[trials]]
name = "scribbles"
images = 3
scribbles = true
draws = 2
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    register(monkeypatch, tmp_path / "bundled", **{"tiny-masked": masked_manifest(n_images=8)})
    write_masked(tmp_path / "masked" / "train", 5)
    write_masked(tmp_path / "masked" / "test", 3, first=5)
    (tmp_path / "tiny.toml").write_text(DEFINITION)
    return {"tiny-masked": tmp_path / "masked"}


def test_a_run_and_its_tables(data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = functools.partial(Segmenter, "decision-tree", n_words=8, n_rounds=2)
    monkeypatch.setattr("cvbow.experiments.segmentation.Segmenter", quick)
    definition = read_benchmark(tmp_path / "tiny.toml")
    assert isinstance(definition, SegmentationDefinition)
    told = Notes()
    with reporting(told):
        result = run_benchmark(definition, data, n_jobs=1)
    assert [bar for bar in told.bars if bar != "hash"] == ["trials"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    first, second = result["trials"]
    (draw,) = first["draws"]
    assert (draw["names"], draw["known"]) == (["0", "1", "2", "3", "4"], 1.0)
    assert draw["iou"]["stripes"] > 0.3
    assert [len(each["names"]) for each in second["draws"]] == [3, 3]
    assert all(each["known"] < 0.5 for each in second["draws"])
    table = result_tables(result)["figures"].text()
    assert f"{100 * draw['iou']['stripes']:.1f}" in table
    assert " ± " in table


def test_what_a_definition_must_have(tmp_path: Path, data: dict[str, Path]) -> None:
    for wrong, said in (
        (DEFINITION.replace('name = "all"', ""), "name is missing"),
        (DEFINITION.replace('name = "all"', 'name = "scribbles"'), "names of their own"),
        (DEFINITION.replace("images = 3", "images = 0"), "images must be"),
        (DEFINITION.replace("draws", "draw"), "unknown key"),
    ):
        (tmp_path / "wrong.toml").write_text(wrong)
        with pytest.raises(ValueError, match=said):
            read_benchmark(tmp_path / "wrong.toml")


def test_scribbles_that_are_written_are_those_that_are_learned_from(data: dict[str, Path], tmp_path: Path) -> None:
    masks = data["tiny-masked"] / "train" / "masks"
    main = runpy.run_path(str(ROOT / "benchmarks" / "scribbles.py"))["main"]
    assert main([str(masks), str(tmp_path / "scribbles")]) == 0
    for path in masks.iterdir():
        np.testing.assert_array_equal(read_mask(tmp_path / "scribbles" / path.name), scribbles_for(path))


def test_the_opponent(data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage")
    root = data["tiny-masked"]
    like = {
        "definition": {"trials": [{"name": "few", "scribbles": False}]},
        "trials": [{"name": "few", "draws": [{"names": ["1", "3"]}]}],
    }
    (tmp_path / "like.json").write_text(json.dumps(like))
    monkeypatch.setattr(sys, "argv", ["skimage_segmentation.py"])
    main = runpy.run_path(str(ROOT / "benchmarks" / "peers" / "skimage_segmentation.py"))["main"]
    main(
        [str(root / "train"), str(root / "test"), "--like", str(tmp_path / "like.json"), "--json", str(tmp_path / "r")]
    )
    (trial,) = json.loads((tmp_path / "r").read_text())["trials"]
    (draw,) = trial["draws"]
    assert (trial["name"], draw["n_train"]) == ("few", 2)
    assert 0 < draw["iou"]["1"] < 1


def test_the_definition_that_comes_with_cvbow() -> None:
    definition = find_benchmark("weizmann-horses-segmentation")
    assert isinstance(definition, SegmentationDefinition)
    assert definition.recipe == "segmentation"
