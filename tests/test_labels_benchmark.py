"""The benchmark of several labels an image, on made images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from notes import Notes
from own_datasets import register, tiny_manifest, write_split
from PIL import Image
from test_multi_label import NAMES, pictures

from cvbow.datasets import LabelledImages
from cvbow.errors import DatasetError
from cvbow.experiments import LabelsDefinition, find_benchmark, read_benchmark, result_tables, run_benchmark
from cvbow.experiments.labels import EMPTY, PART, make_mosaics
from cvbow.progress import reporting

DEFINITION = """
kind = "labels"
title = "Tiny"
dataset = "tiny"
contenders = ["colors", "both=colors+pixels"]
classifier = "linear-svm"
protocol = { kind = "fixed" }
"""


def definition(folder: Path, more: str) -> LabelsDefinition:
    path = folder / "tiny-labels.toml"
    path.write_text(DEFINITION + more)
    found = read_benchmark(path)
    assert isinstance(found, LabelsDefinition)
    return found


def plain_images(n: int = 5) -> LabelledImages:
    """Images of one gray level each, which tells their class and their number."""
    levels = [(place, number) for place in range(6) for number in range(n)]
    pixels = tuple(np.full((8, 8), 40 * place + number, np.uint8) for place, number in levels)
    names = tuple(f"{place}/{number}" for place, number in levels)
    return LabelledImages(pixels, tuple(f"class {place}" for place, _ in levels), names)


def test_a_mosaic_holds_what_its_labels_say() -> None:
    images = plain_images()
    mosaics, labels = make_mosaics(images, range(len(images)), 60, key="test")
    assert {len(names) for names in labels} == {2, 3, 4}
    assert len({name for names in labels for name in names}) == 6
    seen: dict[str, list[int]] = {}
    for mosaic, names in zip(mosaics, labels, strict=True):
        pixels = np.asarray(mosaic)
        assert pixels.shape == (2 * PART, 2 * PART)
        parts = pixels.reshape(2, PART, 2, PART).transpose(0, 2, 1, 3).reshape(4, -1)
        assert (parts == parts[:, :1]).all()
        levels = sorted(int(level) for level in parts[:, 0] if level != EMPTY)
        assert [f"class {level // 40}" for level in levels] == sorted(names)
        for level in levels:
            seen.setdefault(f"class {level // 40}", []).append(level % 40)
    for numbers in seen.values():
        # All images of a class, before one comes again.
        assert sorted(numbers[:5]) == list(range(5))


def test_mosaics_depend_on_names_and_key_alone() -> None:
    images = plain_images()
    made, labels = make_mosaics(images, range(30), 8, key="a")
    again, same = make_mosaics(images, list(range(29, -1, -1)), 8, key="a")
    assert labels == same
    np.testing.assert_array_equal(made, again)
    assert make_mosaics(images, range(30), 8, key="b")[1] != labels


def test_a_run_of_mosaics_and_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, tmp_path / "bundled", tiny=tiny_manifest(n_images=30))
    data = write_split(tmp_path / "data")
    result = run_benchmark(definition(tmp_path, "mosaics = { train = 20, test = 10 }"), data, n_jobs=1)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["labels"]["train"]["images"], result["labels"]["test"]["images"]) == (20, 10)
    assert [one["name"] for one in result["contenders"]] == ["colors", "both"]
    for one in result["contenders"]:
        assert one["interval"]["low"] <= one["mean_average_precision"] <= one["interval"]["high"]
        assert one["n_images"] == 10
        assert one["ms"] > 0
    tables = result_tables(result)
    assert [row[0] for row in tables["figures"].rows] == ["colors", "both"]
    assert [row[0] for row in tables["labels"].rows] == ["checker", "horizontal", "vertical"]
    assert "20 images to train on and 10 to test with" in tables["figures"].title


def marked(folder: Path) -> Path:
    for part, seed in (("train", 0), ("test", 1)):
        (folder / part / "images").mkdir(parents=True)
        rows = ["image,class,xmin,ymin,xmax,ymax"]
        for number, (image, names) in enumerate(zip(*pictures(20, seed), strict=True)):
            Image.fromarray(image).save(folder / part / "images" / f"{number}.png")
            rows += [f"images/{number}.png,{name},0,0,4,4" for name in names] or [f"images/{number}.png,,,,,"]
        (folder / part / "boxes.csv").write_text("\n".join(rows))
    return folder


def test_a_run_of_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = tiny_manifest(n_images=40).replace("n_classes = 3", "n_classes = 1")
    register(monkeypatch, tmp_path / "bundled", tiny=manifest)
    data = marked(tmp_path / "marked")
    objects = definition(tmp_path, 'objects = "boxes.csv"')
    told = Notes()
    with reporting(told):
        result = run_benchmark(objects, data, n_jobs=1)
    assert [bar for bar in told.bars if bar != "hash"] == ["contenders"]
    assert list(result["labels"]["test"]) == ["images", *NAMES]
    assert result["labels"]["test"]["red"] == sum("red" in names for names in pictures(20, 1)[1])
    assert result["contenders"][0]["mean_average_precision"] > 0.9
    assert result["definition"]["mosaics"] is None
    lines = (data / "test" / "boxes.csv").read_text().splitlines()
    (data / "test" / "boxes.csv").write_text("\n".join(line for line in lines if "images/3.png" not in line))
    with pytest.raises(DatasetError, match=r"it does not say what is on 3\.png"):
        run_benchmark(objects, data, n_jobs=1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "mosaics"),
        ("mosaics = { train = 0, test = 1 }", "train must be"),
        ('objects = "boxes.csv"\nmosaics = { train = 1, test = 1 }', "mosaics"),
    ],
)
def test_definitions_with_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, message: str) -> None:
    register(monkeypatch, tmp_path / "bundled", tiny=tiny_manifest())
    with pytest.raises(ValueError, match=message):
        definition(tmp_path, more)


def test_those_that_come_with_cvbow() -> None:
    for name in ("scene15-mosaics", "bccd-labels"):
        found = find_benchmark(name)
        assert isinstance(found, LabelsDefinition)
        assert (found.mosaics is None) == bool(found.objects)
        assert any("mobilenet" in one.name for one in found.contenders)
