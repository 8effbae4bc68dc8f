"""``cvbow audit``: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from faulty_images import pixels, save, write

from cvbow.audit import SCORES
from cvbow_cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["audit", "--preset", "fast", "-q", *map(str, arguments)])


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faulty")
    write(folder, split="train", per_class=8)
    write(folder, split="test", per_class=2, first=20)
    save(pixels("rings", 1)[:, ::-1].copy(), folder / "test" / "rings" / "leak,1.png")
    (folder / "train" / "lines" / "broken.png").write_bytes(b"not an image")
    return folder


def test_a_table_a_list_and_a_page(faulty: Path, tmp_path: Path) -> None:
    done = run(faulty, "--csv", tmp_path / "list.csv", "--report", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("images   32 in 3 classes, 1 unreadable\n")
    assert "\nleak" in done.stdout
    assert f"\n{SCORES}\n" in done.stdout
    assert "mirrored" in done.stdout
    assert f"{faulty}/train/lines/broken.png" in done.stdout
    with open(tmp_path / "list.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "path": f"{faulty}/test/rings/leak,1.png",
        "label": "rings",
        "suggested": "drop",
        "kind": "leak",
        "score": rows[0]["score"],
    }
    assert {row["kind"] for row in rows} >= {"leak", "unreadable", "class"}
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Leaks" in page
    assert SCORES in page
    assert page.count("<img") >= 2


def test_one_json_document(faulty: Path) -> None:
    done = run(faulty, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert list(document) == ["n_images", "seconds", "findings"]
    assert document["n_images"] == 32
    kinds = [finding["kind"] for finding in document["findings"]]
    assert kinds[0] == "leak"
    assert kinds[-1] == "unreadable"


def test_a_file_of_others_is_not_replaced_and_an_input_never(faulty: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("mine", encoding="utf-8")
    done = run(faulty, "--csv", path)
    assert (done.exit_code, path.read_text(encoding="utf-8")) == (2, "mine")
    assert "--force replaces it" in done.stderr
    path.write_text(f"path,label\n{faulty}/train/rings/00.png,a\n{faulty}/train/lines/00.png,b\n", encoding="utf-8")
    done = run(path, "--csv", path, "--force")
    assert done.exit_code == 2
    assert "is an input of this command" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: there is no such file or folder"),
        ([".", "--preset", "slow"], "preset must be"),
        ([".", "--csv", "a.txt"], ".csv"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_dataset)
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_what_cannot_be_read_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"not an image")
    done = run(tmp_path)
    assert done.exit_code == 1
    assert "the image cannot be read: " in done.stderr
