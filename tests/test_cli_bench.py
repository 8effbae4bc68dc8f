"""``cvbow bench`` and ``cvbow data``: what they print, their exit codes, and what they say where data is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from own_datasets import register, tiny_manifest
from test_definition import COMPARISON
from tiny_images import write_dataset

from cvbow.datasets import dataset_names
from cvbow.datasets.record import FetchRecord, hash_files, write_record
from cvbow.experiments import benchmark_names
from cvbow.tables import percent
from cvbow_cli.main import cli

RESULTS = sorted((Path(__file__).resolve().parents[1] / "benchmarks" / "results").glob("*.json"))

DEFINITION = """
title = "Tiny"
dataset = "digits"
preset = "fast"

[protocol]
kind = "k-fold"
folds = 2

[settings]
n_words = 10
step = 8
bin_sizes = [4]
reduce = "none"
min_side = "none"
"""


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVBOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CVBOW_DATA", raising=False)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A data set of the test's own and a definition over it."""
    files = '[[files]]\nname = "tiny.zip"\nurls = ["https://example.org/tiny.zip"]\nbytes = 5000000'
    register(monkeypatch, tmp_path / "own", tiny=tiny_manifest(more=files))
    monkeypatch.setattr("cvbow.experiments.classification.dataset_names", lambda: ("tiny",))
    monkeypatch.setattr("cvbow_cli.data.dataset_names", lambda: ("tiny",))
    monkeypatch.setenv("CVBOW_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny-fast.toml"
    path.write_text(DEFINITION.replace('"digits"', '"tiny"'), encoding="utf-8")
    return path, write_dataset(tmp_path / "tiny")


@pytest.mark.parametrize(
    "command",
    [("bench", "list"), ("bench", "run"), ("bench", "table"), ("data", "list"), ("data", "fetch"), ("data", "verify")],
)
def test_every_subcommand_has_help_with_an_example(command: tuple[str, str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "\n  Example:\n    " in result.stdout
    assert f"cvbow {command[0]} {command[1]}" in result.stdout


def test_bench_list() -> None:
    rows = json.loads(run("bench", "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(benchmark_names())
    by_name = {row["name"]: row for row in rows}
    assert by_name["digits-bow"]["path"] == "scikit-learn"
    assert by_name["dtd-bow"]["path"] is None
    assert by_name["scene15-bow"]["published"][0]["figure"] == 81.4
    text = run("bench", "list").stdout
    assert all(name in text for name in benchmark_names())
    assert "here" in next(line for line in text.splitlines() if line.startswith("digits-bow"))
    assert "absent" in next(line for line in text.splitlines() if line.startswith("dtd-bow"))


def test_bench_run(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    definition, data = tiny
    output = tmp_path / "result.json"
    result = run("bench", "run", definition, "--data", data, "-o", output, "--n-jobs", "1")
    assert result.exit_code == 0, result.stderr
    document = json.loads(output.read_text(encoding="utf-8"))
    assert document["benchmark"] == "tiny-fast"
    shares = [percent(*document[key].values()) for key in ("mean_class_accuracy", "accuracy")]
    line = next(line for line in result.stdout.splitlines() if line.startswith("fast "))
    assert line.split()[1:7] == [*shares[0].split(), *shares[1].split()]
    assert document["dataset"]["sha256"] in result.stdout
    assert "QUICK" not in result.stdout
    assert "2 of 2: seed 0, fold 2" in result.stderr
    again = run("bench", "run", definition, "--data", data, "--json", "--quiet", "--n-jobs", "2")
    assert again.stderr == ""
    repeated = json.loads(again.stdout)
    for key in ("accuracy", "mean_class_accuracy", "dataset"):
        assert repeated[key] == document[key]

    table = run("bench", "table", output)
    assert table.exit_code == 0
    assert table.stdout.splitlines()[1].startswith("tiny-fast")
    (row,) = json.loads(run("bench", "table", tmp_path, "--json").stdout)
    assert row["benchmark"] == "tiny-fast"
    assert row["difference"] is None
    assert run("bench", "table", output, "--markdown").stdout.startswith("| benchmark |")


def test_bench_run_of_variants(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    path, data = tiny
    more = "".join(f'[[variants]]\nname = "step {step}"\nsettings = {{ step = {step} }}\n' for step in (8, 12))
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    output = tmp_path / "result.json"
    result = run("bench", "run", path, "--data", data, "-o", output, "--n-jobs", "1")
    assert result.exit_code == 0, result.stderr
    assert "tiny-fast, step 12, 2 of 2: seed 0, fold 2" in result.stderr
    variants = json.loads(output.read_text(encoding="utf-8"))["variants"]
    for part in variants:
        line = next(line for line in result.stdout.splitlines() if line.startswith(f"{part['name']} "))
        shares = [percent(*part[key].values()) for key in ("mean_class_accuracy", "accuracy")]
        assert line.split()[2:8] == [*shares[0].split(), *shares[1].split()]
    table = run("bench", "table", output).stdout
    assert [line.split()[1:3] for line in table.splitlines()[1:]] == [["step", "8"], ["step", "12"]]


def test_bench_run_of_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition, output = tmp_path / "both.toml", tmp_path / "both.json"
    text = COMPARISON.replace('"both=fast+squeezenet1.1"', '"colors"').replace("[2, 4]", "[5, 20]")
    definition.write_text(text, encoding="utf-8")
    result = run("bench", "run", definition, "--quick", "-o", output, "--n-jobs", "1", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("QUICK")
    document = json.loads(output.read_text())
    assert (document["kind"], document["benchmark"], document["quick"]) == ("cvbow-comparison-result", "both", True)
    assert [row["name"] for row in document["contenders"]] == ["pixels", "colors"]
    assert all(point["train_per_class"] == 5 for row in document["contenders"] for point in row["curve"])
    assert document["dataset"]["name"] == "digits"
    for words in ("Classifier head tuned-svm", "McNemar", "by training images per class", "made worse"):
        assert words in result.stdout
    monkeypatch.delenv("CVBOW_NETWORKS", raising=False)
    definition.write_text(COMPARISON, encoding="utf-8")
    absent = run("bench", "run", definition, "--quiet")
    assert absent.exit_code == 1
    assert absent.stderr.strip().endswith("CVBOW_NETWORKS must name a folder that has it")


def test_bench_run_quick_with_what_comes_along(tmp_path: Path) -> None:
    output = tmp_path / "quick.json"
    result = run("bench", "run", "digits-fast", "--quick", "-o", output, "--n-jobs", "1", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.startswith("QUICK: ")
    assert json.loads(output.read_text(encoding="utf-8"))["quick"] is True
    assert "not meaningful" in run("bench", "table", output).stdout


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_bench_table_shows_every_result_of_the_project(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    result = run("bench", "table", path)
    assert result.exit_code == 0, result.stderr
    measured = document.get("variants") or document.get("contenders") or []
    lines = result.stdout.splitlines()
    assert all(any(one["name"] in line for line in lines) for one in measured)
    assert len(lines) > max(1, len(measured))
    assert "\n| ---" in run("bench", "table", path, "--markdown").stdout
    rows = json.loads(run("bench", "table", path, "--json").stdout)
    assert all("benchmark" in row or len(row["rows"]) for row in rows)
    assert rows


def test_bench_table_of_a_folder() -> None:
    text = run("bench", "table", RESULTS[0].parent).stdout
    for words in ("scene15-bow", "Hamming embedding", "cvbow WordSearch", "PHash", "flipped bits", "sift + rootsift"):
        assert words in text


@pytest.mark.parametrize("kind", ["speed", "near-duplicates", "fuzz"])
def test_what_a_script_measures_is_not_run_by_bench(kind: str) -> None:
    result = run("bench", "run", kind)
    assert result.exit_code == 2
    assert f"{kind} is measured by a script of the project: python benchmarks/" in result.stderr


def test_bench_table_without_results_is_the_published_one() -> None:
    text = run("bench", "table").stdout
    assert "81.4 ± 0.5" in text
    assert "spatial pyramid, 400 words" in text


def test_an_absent_data_set_says_what_to_fetch_and_how(tiny: tuple[Path, Path]) -> None:
    result = run("bench", "run", tiny[0])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    for part in ("Tiny textures", "cvbow data fetch tiny", "https://example.org/tiny.zip, 5 MB", "--data DIR"):
        assert part in result.stderr
    elsewhere = run("bench", "run", tiny[0], "--data", "no-such-folder")
    assert elsewhere.exit_code == 1
    assert "no-such-folder: there is no such folder" in elsewhere.stderr


def test_a_wrong_hash_names_the_file(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    definition, data = tiny
    folder = tmp_path / "cache" / "tiny"
    folder.mkdir(parents=True)
    data.rename(folder / "data")
    (folder / "data" / "readme.txt").write_text("hello")
    write_record(folder, FetchRecord({}, hash_files(folder / "data", n_jobs=1)))
    assert run("bench", "run", definition, "--n-jobs", "1").exit_code == 0
    verified = run("data", "verify", "tiny")
    assert verified.exit_code == 0
    assert "every file is as it was fetched" in verified.stdout
    image = folder / "data" / "horizontal" / "04.png"
    for changed in (folder / "data" / "readme.txt", image):
        before = changed.read_bytes()
        changed.write_bytes((folder / "data" / "vertical" / "04.png").read_bytes())
        for command in (("bench", "run", definition, "--n-jobs", "1"), ("data", "verify")):
            result = run(*command)
            assert result.exit_code == 1
            assert f"{changed}: the file has changed" in result.stderr
        changed.write_bytes(before)
    (folder / "data" / "readme.txt").unlink()
    result = run("bench", "run", definition)
    assert result.exit_code == 1
    assert "readme.txt: the file is missing" in result.stderr


def test_mistakes_are_one_clear_line(tmp_path: Path, tiny: tuple[Path, Path]) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(DEFINITION.replace("folds", "fold"), encoding="utf-8")
    for arguments, code, expected in (
        (("bench", "run", "scene"), 2, "benchmark must be one of bccd-labels, bccd, buildings, caltech101-15-bow"),
        (("bench", "run", broken), 2, "broken.toml: unknown key protocol.fold"),
        (("bench", "run", tmp_path / "nowhere.toml"), 1, "nowhere.toml"),
        (("bench", "run", tiny[0], "--data", tiny[1], "-o", tmp_path / "no" / "r.json"), 1, "does not exist"),
        (("bench", "table", broken), 2, "broken.toml: not a JSON file"),
        (("data", "fetch", "scene"), 2, "data set must be one of"),
        (("data", "verify", "--data", tmp_path), 2, "--data needs exactly one NAME"),
        (("data", "verify", "tiny"), 1, "not on this machine"),
    ):
        result = run(*arguments)
        assert result.exit_code == code, result.output
        assert expected in result.stderr


def test_data_list() -> None:
    rows = json.loads(run("data", "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(dataset_names())
    by_name = {row["name"]: row for row in rows}
    assert by_name["digits"]["origin"] == "installed"
    assert by_name["scene15"]["n_images"] == 4485
    assert by_name["scene15"]["can_be_fetched"]
    assert not by_name["cifar10-small"]["can_be_fetched"]
    text = run("data", "list").stdout
    assert "CC BY 4.0" in text
    assert all(name in text for name in dataset_names())


def test_data_verify_in_place(tiny: tuple[Path, Path]) -> None:
    document = json.loads(run("data", "verify", "tiny", "--data", tiny[1], "--json").stdout)
    assert document == [
        {
            "name": "tiny",
            "path": str(tiny[1]),
            "n_images": 18,
            "n_classes": 3,
            "sha256": document[0]["sha256"],
            "against": "counts",
        }
    ]
    (tiny[1] / "checker" / "00.png").unlink()
    result = run("data", "verify", "tiny", "--data", tiny[1])
    assert result.exit_code == 1
    assert "here are 17 in 3" in result.stderr
