"""The benchmark of places on made images, whose masks tell where noise lies in a texture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from notes import Notes
from own_datasets import masked_manifest, register, tiny_manifest, write_masked, write_split

from cvbow.experiments import LocalizationDefinition, find_benchmark, read_benchmark, result_tables, run_benchmark
from cvbow.progress import reporting

DEFINITION = """
kind = "localization"
title = "Tiny"
dataset = "tiny-masked"
others = { tiny = 12 }
variants = [
  { name = "words", preset = "bow", settings = { n_words = 20, step = 4, bin_sizes = [3], grids = ["1x1"] } },
]
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Textures with a split; and one of them with noise in a square, whose masks tell where, with a stray pixel."""
    register(
        monkeypatch, tmp_path / "bundled", **{"tiny": tiny_manifest(n_images=30), "tiny-masked": masked_manifest()}
    )
    (tmp_path / "tiny-located.toml").write_text(DEFINITION)
    return {"tiny": write_split(tmp_path / "data"), "tiny-masked": write_masked(tmp_path / "masked", 96, stray=True)}


def read(folder: Path) -> LocalizationDefinition:
    definition = read_benchmark(folder / "tiny-located.toml")
    assert isinstance(definition, LocalizationDefinition)
    return definition


def test_a_run_and_its_tables(data: dict[str, Path], tmp_path: Path) -> None:
    told = Notes()
    with reporting(told):
        result = run_benchmark(read(tmp_path), data, n_jobs=1)
    assert [bar for bar in told.bars if bar != "hash"] == ["variants"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert [each["name"] for each in (result["dataset"], *result["others"])] == ["tiny-masked", "tiny"]
    assert result["definition"]["train"] == [6, 12]
    width = 40 / 96  # the square is 8 pixels beside the middle, of 48
    assert result["beside"]["alone"]["whole"] == [0.25] * 4
    assert result["beside"]["alone"]["centred"] == pytest.approx([width / (1 - width)] * 4, abs=1e-4)
    assert result["beside"]["mosaics"]["whole"] == [round(0.25 / 4, 4)] * 4
    (part,) = result["variants"]
    assert len(part["alone"]) == len(part["mosaics"]) == 4
    assert np.mean(part["alone"]) > 0.5
    assert part["known"] == 1
    assert 0 < part["visited"]["median"] <= part["visited"]["most"]
    assert part["visited"]["largest share"] < 0.01
    assert part["ms"]["all"] > part["ms"]["search"] > 0
    table = result_tables(result)["figures"]
    assert [row[0] for row in table.rows] == [
        "words, from labels alone",
        "centred, of the mean size",
        "the whole image",
    ]
    assert table.rows[2][1:5] == ["0.0", "0.250", "0.0", "0.062"]


def test_figures_do_not_depend_on_the_number_of_workers(data: dict[str, Path], tmp_path: Path) -> None:
    one, two = (run_benchmark(read(tmp_path), data, n_jobs=n, quick=True)["variants"] for n in (1, 2))
    for part in (*one, *two):
        assert part.pop("ms")["all"] > 0
    assert one == two


def test_the_shipped_definition() -> None:
    definition = find_benchmark("weizmann-horses-localization")
    assert isinstance(definition, LocalizationDefinition)
    assert sum(definition.others.values()) >= 400


@pytest.mark.parametrize("others", ["{}", "{ no-such = 3 }", "{ tiny = 0 }", "3"])
def test_others_that_are_refused(others: str, tmp_path: Path, data: dict[str, Path]) -> None:
    path = tmp_path / "tiny-located.toml"
    path.write_text(DEFINITION.replace("{ tiny = 12 }", others))
    with pytest.raises(ValueError, match="others must be a table of data sets"):
        read_benchmark(path)
