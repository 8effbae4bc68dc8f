"""The benchmark of sets of labels and strangers, on made images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from notes import Notes
from own_datasets import register, tiny_manifest, write_split

from cvbow.experiments import CoverageDefinition, read_benchmark, result_tables, run_benchmark
from cvbow.experiments.coverage import _area
from cvbow.progress import reporting

DEFINITION = """
kind = "coverage"
title = "Tiny"
dataset = "tiny"
preset = "fast"
strangers = ["noise"]
protocol = { kind = "fixed" }
"""


def write_noise(folder: Path) -> Path:
    """Write folder/{train,test}/<class>/, 6 and 4 images of noise for each of 3 classes."""
    random = np.random.default_rng(0)
    for part, n in (("train", 6), ("test", 4)):
        for name in "abc":
            (folder / part / name).mkdir(parents=True)
            for number in range(n):
                pixels = cv2.resize(random.integers(0, 256, (6, 6), np.uint8), (48, 48))
                cv2.imwrite(str(folder / part / name / f"{number}.png"), pixels)
    return folder


def definition(folder: Path, text: str = DEFINITION) -> CoverageDefinition:
    path = folder / "tiny-coverage.toml"
    path.write_text(text)
    found = read_benchmark(path)
    assert isinstance(found, CoverageDefinition)
    return found


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    manifest = tiny_manifest(n_images=30)
    register(monkeypatch, tmp_path / "bundled", tiny=manifest, noise=manifest)
    return {"tiny": write_split(tmp_path / "tiny"), "noise": write_noise(tmp_path / "noise")}


def test_a_run_and_its_tables(tmp_path: Path, data: dict[str, Path]) -> None:
    told = Notes()
    with reporting(told):
        result = run_benchmark(definition(tmp_path), data, n_jobs=1)
    assert [bar for bar in told.bars if bar != "hash"] == ["train"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["images"] == {"train": 18, "test": 12}
    assert [one["asked"] for one in result["sets"]] == [0.9, 0.95]
    for one in result["sets"]:
        assert one["interval"]["low"] <= one["coverage"] <= one["interval"]["high"]
        assert one["mean_set_size"] >= 1
    (strangers,) = result["strangers"]
    assert (strangers["name"], strangers["n_images"]) == ("noise", 12)
    assert 0 <= strangers["none_of_these"] <= 1
    made = result_tables(result)
    assert [row[0] for row in made["sets"].rows] == ["90.0 %", "95.0 %"]
    assert made["strangers"].rows[0][:2] == ("noise", "12")
    again = run_benchmark(definition(tmp_path), data, n_jobs=2)
    assert {**again, "seconds": 0, "environment": 0} == {**result, "seconds": 0, "environment": 0}


def test_wrong_definitions_are_refused(tmp_path: Path, data: dict[str, Path]) -> None:
    for wrong in ('["tiny"]', '["none"]', "[]"):
        with pytest.raises(ValueError, match="strangers"):
            definition(tmp_path, DEFINITION.replace('["noise"]', wrong))


def test_the_area_under_the_curve_is_that_of_pairs() -> None:
    rng = np.random.default_rng(0)
    known, strange = rng.integers(0, 9, 40).astype(float), rng.integers(3, 12, 30).astype(float)
    pairs = (strange[:, None] > known) + 0.5 * (strange[:, None] == known)
    assert _area(known, strange) == pytest.approx(pairs.mean())
