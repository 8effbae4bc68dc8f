"""``cvbow stats``: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cvbow.images import read_image
from cvbow_cli.main import cli

FILES = ["mean.png", "montage.png", "stats.json", "std.png"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["stats", *map(str, arguments)])


def test_a_folder_of_classes(tiny_dataset: Path, tmp_path: Path) -> None:
    done = run(tiny_dataset, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "images      18 (18 gray), 0 skipped" in done.stdout
    assert "classes     3, of 6 to 6 images" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    assert read_image(tmp_path / "out" / "mean.png").shape == (48, 48)


def test_one_json_document_which_is_the_file(tiny_dataset: Path, tmp_path: Path) -> None:
    (tiny_dataset / "checker" / "bad.png").write_bytes(b"not an image")
    done = run(tiny_dataset, "-o", tmp_path / "out", "--json", "--size", 20, 10)
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    files = document.pop("files")
    assert [Path(name).name for name in files] == ["mean.png", "std.png", "montage.png", "stats.json"]
    written = json.loads((tmp_path / "out" / "stats.json").read_text(encoding="utf-8"))
    assert written == {"generator": "cvbow", **document}
    assert document["classes"] == {"checker": 6, "horizontal": 6, "vertical": 6}
    assert document["skipped"][0]["reason"].startswith("not an image in a known format")
    assert document["mean_image_size"] == [20, 10]
    pixels = np.stack([read_image(path) for path in sorted(tiny_dataset.rglob("[0-9]*.png"))])
    assert document["mean"][0] == pytest.approx(pixels.mean(), abs=1)


def test_a_flat_folder_and_a_csv(tiny_dataset: Path, tmp_path: Path) -> None:
    done = run(tiny_dataset / "checker", "-o", tmp_path / "flat", "--json")
    assert json.loads(done.stdout)["classes"] == {}
    table = tmp_path / "list.csv"
    rows = [f"{tiny_dataset}/checker/00.png,x,train", f"{tiny_dataset}/checker/01.png,y,test"]
    table.write_text("\n".join(["path,label,split", *rows]))
    document = json.loads(run(table, "-o", tmp_path / "csv", "--json").stdout)
    assert (document["classes"], document["splits"]) == ({"x": 1, "y": 1}, {"test": 1, "train": 1})
    document = json.loads(run(table, "-o", tmp_path / "csv", "--json", "--split", "test").stdout)
    assert (document["n_images"], document["classes"]) == (1, {"y": 1})


def test_skipped_files_are_told_and_strict_refuses_them(tiny_dataset: Path, tmp_path: Path) -> None:
    (tiny_dataset / "checker" / "bad.png").write_bytes(b"")
    done = run(tiny_dataset, "-o", tmp_path / "out")
    assert done.exit_code == 0
    assert "1 image skipped" in done.stderr
    assert "the file is empty" in done.stderr
    done = run(tiny_dataset, "-o", tmp_path / "strict", "--strict")
    assert done.exit_code == 1
    assert "bad.png: the file is empty" in done.stderr
    assert not (tmp_path / "strict").exists()


def test_mistakes_are_one_line(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    occupied = tmp_path / "occupied"
    (occupied / "mean.png").mkdir(parents=True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no")
    for arguments, code, message in (
        ((tiny_dataset,), 2, "--output"),
        ((tmp_path / "nowhere", "-o", tmp_path / "o"), 2, "nowhere: there is no such file or folder"),
        ((tmp_path / "empty", "-o", tmp_path / "o"), 1, "no class folder with images"),
        ((tmp_path / "bad", "-o", tmp_path / "o"), 1, "none of its 1 images can be read"),
        ((tiny_dataset, "-o", tmp_path / "o", "--split", "dev"), 2, "split must be one of"),
        ((tiny_dataset, "-o", tmp_path / "o", "--split", "test"), 2, "no images of the split test"),
        ((tiny_dataset, "-o", tmp_path / "o", "--n-jobs", 0), 2, "n_jobs must be"),
        ((tiny_dataset, "-o", occupied), 1, "a folder is in the place of the file to write"),
    ):
        done = run(*arguments)
        assert done.exit_code == code, done.output
        assert message in done.stderr
        assert "Traceback" not in done.output
    assert [path.name for path in occupied.iterdir()] == ["mean.png"]


def test_names_that_steer_a_terminal_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "a\x1b[31m\nb"
    folder.mkdir(parents=True)
    Image.new("L", (8, 8)).save(folder / "x.png")
    done = run(tmp_path / "set", "-o", tmp_path / "out\x1b")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output


def test_help_has_an_example() -> None:
    done = run("--help")
    assert done.exit_code == 0
    assert "cvbow stats photos/ -o photos-stats" in done.stdout


def test_scene15(shared_data: Path, tmp_path: Path) -> None:
    done = run(shared_data / "scene15" / "train" / "Coast", "-o", tmp_path / "out", "--json")
    document = json.loads(done.stdout)
    assert (document["n_images"], document["skipped"], document["channels"]) == (100, [], {"1": 100})
    assert document["sizes"]["most_frequent"] == [{"width": 256, "height": 256, "count": 100}]
    # The sky is above.
    mean = read_image(tmp_path / "out" / "mean.png")
    assert mean[:100].mean() > mean[-100:].mean() + 20
