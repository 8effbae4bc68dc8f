"""The command line: exit codes, messages, JSON, and that a user's mistake never shows a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny_images import write_dataset

from cvbow.images import read_image
from cvbow_cli.main import COMMANDS, cli

SMALL = ["--preset", "bow", "--set", "n_words=30", "--set", "step=8", "--set", "reduce=none", "--n-jobs", "1"]

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: object, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set and a model trained on it, shared by the tests of this module."""
    folder = tmp_path_factory.mktemp("cli")
    data = write_dataset(folder / "data")
    model = folder / "tiny.cvbow"
    result = run("train", data, "-o", model, *SMALL, "--json")
    assert result.exit_code == 0, result.output
    return data, model


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "\n  Example:\n    " in result.stdout
    assert f"cvbow {command}" in result.stdout


def test_help_lists_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(f"  {command} " in result.stdout for command in COMMANDS)


def test_an_unknown_command_is_a_usage_error() -> None:
    result = run("frobnicate")
    assert result.exit_code == 2
    assert "frobnicate" in result.stderr
    assert "did you mean" not in run("xyz").stderr
    result = run("trian")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        2,
        "Error: No such command 'trian'; did you mean train?",
    )


def test_train_json(tmp_path: Path, tiny_dataset: Path) -> None:
    model = tmp_path / "model.cvbow"
    result = run("train", tiny_dataset, "-o", model, *SMALL, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert set(document) == {"n_images", "skipped", "classes", "seconds", "model"}
    assert document["n_images"] == 18
    assert document["skipped"] == []
    assert document["classes"] == ["checker", "horizontal", "vertical"]
    assert set(document["seconds"]) == {"extract", "dictionary", "encode", "classifier", "total"}
    assert document["model"] == str(model)
    assert model.exists()


def test_train_for_a_person(tmp_path: Path, tiny_dataset: Path) -> None:
    result = run("train", tiny_dataset, "-o", tmp_path / "model.cvbow", *SMALL, "--verbose")
    assert result.exit_code == 0
    assert "images      18, 0 skipped" in result.stdout
    assert "checker, horizontal, vertical" in result.stdout
    # What it will cost comes before the work, on stderr.
    assert "k-means: 30 words from" in result.stderr
    assert "MB" in result.stderr
    assert "\r" not in result.stderr, "a progress bar is for terminals only"


def test_train_from_vectors_in_a_file(tmp_path: Path, tiny_dataset: Path) -> None:
    folder, model = tmp_path / "vectors", tmp_path / "model.cvbow"
    result = run("train", tiny_dataset, "-o", model, *SMALL, "--vectors", folder)
    assert result.exit_code == 0
    assert f"in a temporary file in {folder}, of two bytes a value" in result.stderr
    assert list(folder.iterdir()) == []
    assert json.loads(run("evaluate", model, tiny_dataset, "--json").stdout)["accuracy"] == 1
    refused = run("train", tiny_dataset, "-o", model, *SMALL, "--vectors", folder, "--classifier", "naive-bayes")
    assert refused.exit_code == 2
    assert "vectors must be None: GaussianNB learns from no file; linear-svm, for one, does" in refused.stderr


def test_quiet_says_nothing_on_stderr(tmp_path: Path, tiny_dataset: Path) -> None:
    assert run("train", tiny_dataset, "-o", tmp_path / "m.cvbow", *SMALL, "--quiet").stderr == ""


def test_predict_json(trained: tuple[Path, Path]) -> None:
    data, model = trained
    images = [data / "vertical/00.png", data / "checker/03.png"]
    result = run("predict", model, *images, "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [set(row) for row in rows] == [{"path", "label", "scores"}] * 2
    assert [row["path"] for row in rows] == list(map(str, images))
    assert [row["label"] for row in rows] == ["vertical", "checker"]
    for row in rows:
        assert set(row["scores"]) == {"checker", "horizontal", "vertical"}
        assert sum(row["scores"].values()) == pytest.approx(1)
        assert max(row["scores"], key=row["scores"].__getitem__) == row["label"]
        assert list(row["scores"].values()) == sorted(row["scores"].values(), reverse=True)


def test_predict_top(trained: tuple[Path, Path]) -> None:
    data, model = trained
    image = data / "vertical/00.png"
    (row,) = json.loads(run("predict", model, image, "--json", "--top", "2").stdout)
    assert len(row["scores"]) == 2
    text = run("predict", model, image, "--top", "2").stdout
    (line,) = text.splitlines()
    path, best = line.split("\t")
    assert path == str(image)
    (first, probability), (_, other) = (pair.split() for pair in best.split("  "))
    assert first == "vertical"
    assert 1 > float(probability) > float(other) > 0


def test_predict_reads_paths_from_stdin(trained: tuple[Path, Path]) -> None:
    data, model = trained
    paths = [str(data / "horizontal/01.png"), str(data / "vertical/02.png")]
    rows = json.loads(run("predict", model, "-", "--json", stdin="\n".join(paths) + "\n\n").stdout)
    assert [(row["path"], row["label"]) for row in rows] == list(zip(paths, ["horizontal", "vertical"], strict=True))


def test_predict_takes_folders(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = trained
    rows = json.loads(run("predict", model, data / "vertical", data / "checker/03.png", "--json").stdout)
    wanted = [*sorted((data / "vertical").iterdir()), data / "checker/03.png"]
    assert [row["path"] for row in rows] == list(map(str, wanted))
    assert {row["label"] for row in rows[:-1]} == {"vertical"}
    (tmp_path / "empty").mkdir()
    result = run("predict", model, tmp_path / "empty")
    assert result.exit_code == 1
    assert "no images in this folder" in result.stderr


def test_predict_answers_the_others_when_an_image_is_unreadable(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = trained
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    images = [text, data / "vertical/00.png", tmp_path / "missing.png"]
    result = run("predict", model, *images, "--json")
    assert result.exit_code == 1
    first, second, third = json.loads(result.stdout)
    assert first == {"path": str(text), "error": first["error"]}
    assert "not an image" in first["error"]
    assert second["label"] == "vertical"
    assert "no such file" in third["error"]
    shown = run("predict", model, *images)
    assert shown.exit_code == 1
    assert "vertical" in shown.stdout
    assert "not an image" in shown.stderr


def test_evaluate_json(trained: tuple[Path, Path]) -> None:
    data, model = trained
    result = run("evaluate", model, data, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert set(document) == {
        *("n_images", "accuracy", "mean_class_accuracy", "top5_accuracy", "log_loss", "classes", "confusion"),
        *("unknown_classes", "per_class", "skipped", "seconds", "calibration_error", "coverage", "mean_set_size"),
    }
    assert document["n_images"] == 18
    assert document["accuracy"] == document["coverage"] == 1.0
    assert document["confusion"] == [[6, 0, 0], [0, 6, 0], [0, 0, 6]]
    assert document["per_class"]["checker"] == {"n_images": 6, "recall": 1.0, "precision": 1.0}


def test_evaluate_for_a_person(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = trained
    page = tmp_path / "report.html"
    result = run("evaluate", model, data, "--report", page)
    assert result.exit_code == 0
    assert "mean class accuracy  1.0000 (std over classes 0.0000)" in result.stdout
    assert "confusion" in result.stdout
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_evaluate_counts_a_class_the_model_does_not_know_as_mistakes(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    shutil.copytree(data / "checker", tmp_path / "more" / "novel")
    shutil.copytree(data / "vertical", tmp_path / "more" / "vertical")
    document = json.loads(run("evaluate", model, tmp_path / "more", "--json").stdout)
    assert document["classes"] == ["checker", "horizontal", "vertical", "novel"]
    assert document["accuracy"] == 0.5


def test_train_uses_the_training_split_and_evaluate_the_test_split(tmp_path: Path) -> None:
    write_dataset(tmp_path / "set" / "train")
    write_dataset(tmp_path / "set" / "test")
    (tmp_path / "set" / "test" / "vertical" / "00.png").unlink()
    model = tmp_path / "m.cvbow"
    trained = run("train", tmp_path / "set", "-o", model, *SMALL)
    assert "images      18," in trained.stdout
    assert "split train: 18 of 35 images" in trained.stderr
    assert json.loads(run("evaluate", model, tmp_path / "set", "--json").stdout)["n_images"] == 17


def test_info_json(trained: tuple[Path, Path]) -> None:
    document = json.loads(run("info", trained[1], "--json").stdout)
    assert set(document) == {
        *("kind", "format_version", "content_hash", "preset", "parameters", "classes", "versions", "n_words"),
        *("vector_length", "knows"),
    }
    assert document["preset"] == "bow"
    assert document["parameters"]["n_words"] == document["n_words"] == 30
    assert document["parameters"]["C"] == 3.0
    assert document["vector_length"] == 30 * 8
    assert document["classes"] == ["checker", "horizontal", "vertical"]
    assert document["versions"]["cvbow"]


def test_info_for_a_person(trained: tuple[Path, Path]) -> None:
    text = run("info", trained[1]).stdout
    assert "content_hash" in text
    assert "n_words" in text


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("wrods=3", "n_words"),
        ("n_words", "key=value"),
        ("n_words=many", "an integer"),
        ("n_words=0", "n_words must be an integer >= 1, got 0"),
        ("grids=3y4", "grids"),
        ("features=surf", "dense-sift"),
        ("classifier=magic", "linear-svm"),
        ("window=round", "flat, gaussian"),
    ],
)
def test_a_bad_setting_is_a_usage_error_that_lists_the_valid_ones(
    tiny_dataset: Path, tmp_path: Path, setting: str, expected: str
) -> None:
    result = run("train", tiny_dataset, "-o", tmp_path / "m.cvbow", "--set", setting, "--quiet", "--n-jobs", "1")
    assert result.exit_code == 2
    assert expected in result.stderr
    assert not (tmp_path / "m.cvbow").exists()


def test_an_unknown_preset_lists_the_presets(tiny_dataset: Path, tmp_path: Path) -> None:
    result = run("train", tiny_dataset, "-o", tmp_path / "m.cvbow", "--preset", "slow")
    assert result.exit_code == 2
    assert "bow, fast" in result.stderr


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"not a model"])
def test_a_file_that_is_no_model_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.cvbow"
    path.write_bytes(content)
    for arguments in (("info", path), ("predict", path, "x.png"), ("evaluate", path, tmp_path)):
        (tmp_path / "a").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "a" / "x.png"), np.zeros((9, 9), np.uint8))
        result = run(*arguments)
        assert result.exit_code == 1
        assert str(path) in result.stderr
        assert result.stderr.count("\n") == 1


def test_an_output_folder_that_is_missing_fails_before_the_work(tiny_dataset: Path, tmp_path: Path) -> None:
    result = run("train", tiny_dataset, "-o", tmp_path / "no" / "m.cvbow", *SMALL)
    assert result.exit_code == 1
    assert "k-means" not in result.stderr


def test_a_folder_without_classes_says_what_is_expected(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    result = run("train", tmp_path, "-o", tmp_path / "m.cvbow")
    assert result.exit_code == 1
    assert "DIR/<class>/<image>" in result.stderr


def test_one_class_is_not_enough(tmp_path: Path, tiny_dataset: Path) -> None:
    shutil.rmtree(tiny_dataset / "vertical")
    shutil.rmtree(tiny_dataset / "checker")
    result = run("train", tiny_dataset, "-o", tmp_path / "m.cvbow", *SMALL)
    assert result.exit_code == 1
    assert "at least two classes" in result.stderr


@pytest.fixture
def difficult_dataset(tiny_dataset: Path) -> Path:
    """Three good classes, files that no one can read among them, and a class with a single image."""
    checker = tiny_dataset / "checker"
    (checker / "empty.png").write_bytes(b"")
    rng = np.random.default_rng(0)
    jpeg = cv2.imencode(".jpg", rng.integers(0, 255, (64, 64), dtype=np.uint8))[1].tobytes()
    (checker / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (checker / "text.jpg").write_text("not an image")
    (checker / "broken-link.png").symlink_to(tiny_dataset / "nowhere.png")
    cv2.imwrite(str(checker / "one-pixel.png"), np.zeros((1, 1), np.uint8))
    cv2.imwrite(str(checker / "one-colour.png"), np.full((80, 80), 90, np.uint8))
    (tiny_dataset / "single").mkdir()
    cv2.imwrite(str(tiny_dataset / "single" / "x.png"), rng.integers(0, 255, (48, 48), dtype=np.uint8))
    return tiny_dataset


def test_training_goes_on_past_files_that_cannot_be_read(difficult_dataset: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.cvbow"
    result = run("train", difficult_dataset, "-o", model, *SMALL, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    reasons = {Path(row["path"]).name: row["reason"] for row in document["skipped"]}
    assert set(reasons) == {"empty.png", "truncated.jpg", "text.jpg", "broken-link.png"}
    assert "empty" in reasons["empty.png"]
    assert "truncated" in reasons["truncated.jpg"]
    assert "not an image" in reasons["text.jpg"]
    assert "no such file" in reasons["broken-link.png"]
    assert document["n_images"] == 18 + 3
    for said in ("one-pixel.png: all 1x1 pixels", "one-colour.png: all 80x80 pixels", "class single: a single image"):
        assert said in result.stderr
    answers = json.loads(run("predict", model, *(difficult_dataset / "vertical").iterdir(), "--json").stdout)
    assert {row["label"] for row in answers} == {"vertical"}


def test_strict_stops_at_a_file_that_cannot_be_read(difficult_dataset: Path, tmp_path: Path) -> None:
    result = run("train", difficult_dataset, "-o", tmp_path / "m.cvbow", *SMALL, "--strict")
    assert result.exit_code == 1
    assert "cvbow: error: " in result.stderr
    assert not (tmp_path / "m.cvbow").exists()


def test_the_hash_depends_on_neither_the_workers_nor_the_cache(tiny_dataset: Path, tmp_path: Path) -> None:
    hashes = []
    for number, more in enumerate(
        (
            ["--n-jobs", "1"],
            ["--n-jobs", "2"],
            ["--n-jobs", "2", "--cache", str(tmp_path / "cache")],
            ["--n-jobs", "1", "--cache", str(tmp_path / "cache")],
            ["--n-jobs", "2", "--executor", "processes"],
        )
    ):
        model = tmp_path / f"{number}.cvbow"
        result = run("train", tiny_dataset, "-o", model, *SMALL, *more, "--quiet")
        assert result.exit_code == 0, result.stderr
        hashes.append(json.loads(run("info", model, "--json").stdout)["content_hash"])
    assert len(set(hashes)) == 1
    run("train", tiny_dataset, "-o", tmp_path / "other.cvbow", *SMALL, "--set", "random_state=1")
    assert json.loads(run("info", tmp_path / "other.cvbow", "--json").stdout)["content_hash"] != hashes[0]


def test_the_old_name_of_the_executor_works_and_says_so(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = []
    stats = ("stats", tiny_dataset, "-o", tmp_path / "out")

    def executor(name: str, scheduler: str | None, *, wait: float) -> contextlib.AbstractContextManager[None]:
        chosen.append(name)
        return contextlib.nullcontext()

    monkeypatch.setattr("cvbow.parallel.executor", executor)
    old = run(*stats, "--backend", "processes", "--quiet")
    assert old.exit_code == 0
    assert old.stderr == "cvbow: warning: --backend is now --executor; the next version will not know the old name\n"
    assert run(*stats, "--executor", "processes", "--quiet").stderr == ""
    assert run(*stats, "--backend", "processes", "--executor", "threads").exit_code == 0
    assert chosen == ["processes", "processes", "threads"]
    assert "'mpi' is not one of 'threads', 'processes', 'dask'" in run(*stats, "--backend", "mpi").stderr
    assert "--backend" not in run("stats", "--help").stdout


def test_names_that_could_steer_the_terminal_are_escaped(tiny_dataset: Path, tmp_path: Path) -> None:
    (tiny_dataset / "vertical").rename(tiny_dataset / "ver\x1b[31mtical")
    result = run("train", tiny_dataset, "-o", tmp_path / "m.cvbow", *SMALL)
    assert result.exit_code == 0
    assert "\x1b" not in result.output


def installed(*arguments: object) -> list[str]:
    script = Path(sys.executable).with_name("cvbow")
    if not script.exists():
        pytest.skip("the cvbow script is not installed beside this Python")
    return [str(script), *map(str, arguments)]


def test_the_installed_script(tiny_dataset: Path, tmp_path: Path) -> None:
    done = subprocess.run(installed("--version"), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cvbow, version ")
    model = tmp_path / "m.cvbow"
    done = subprocess.run(
        installed("train", tiny_dataset, "-o", model, *SMALL, "--json"), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["n_images"] == 18


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as on POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killing_the_training_leaves_no_half_written_model(
    tiny_dataset: Path, tmp_path: Path, number: signal.Signals
) -> None:
    model = tmp_path / "m.cvbow"
    for delay in (0.7, 1.4, 2.1):
        process = subprocess.Popen(
            installed("train", tiny_dataset, "-o", model, *SMALL), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(delay)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert b"Traceback" not in errors
        if model.exists():
            assert run("info", model).exit_code == 0
            model.unlink()


def test_the_demo_replaces_no_file_of_others(tmp_path: Path) -> None:
    (tmp_path / "why.png").write_bytes(b"mine")
    result = run("demo", "-o", tmp_path / "why.png")
    assert result.exit_code == 2
    assert "--force replaces it" in result.stderr
    assert (tmp_path / "why.png").read_bytes() == b"mine"


def test_demo_and_the_picture_in_the_readme(tmp_path: Path) -> None:
    result = run("demo", "--json", "-o", tmp_path / "why.png")
    assert result.exit_code == 0
    made, shown = (read_image(path).astype(int) for path in (tmp_path / "why.png", ROOT / "docs" / "why.png"))
    assert made.shape == shown.shape
    assert np.abs(made - shown).mean() < 2, "docs/why.png is another picture than cvbow demo -o makes"
    document = json.loads(result.stdout)
    assert document["n_images"] == 540
    assert document["accuracy"] >= 0.97


@pytest.mark.parametrize(
    ("name", "meant"),
    [("classify", "predict"), ("fit", "train"), ("test", "evaluate"), ("Search", "index search"), ("show", "info")],
)
def test_what_others_call_a_command_is_understood(name: str, meant: str) -> None:
    result = run(name, "x")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: No such command {name!r}; did you mean {meant}?"


def test_an_argument_of_another_kind_is_told_what_it_is(tmp_path: Path, trained: tuple[Path, Path]) -> None:
    (tiny_dataset, model), index = trained, tmp_path / "images.index"
    assert run("index", "build", tiny_dataset, "-o", index, "--with", "colors").exit_code == 0
    image = next(tiny_dataset.rglob("*.png"))
    table = tmp_path / "table.csv"
    table.write_text("path,label\n")
    an_image = f"{image} is an image: the model comes first, then the images"
    an_index = f"{index} is an index of images: cvbow index search takes it"
    a_model = f"{model} is a model of images' classes"
    for command, said in [
        (("predict", image, model), an_image),
        (("explain", image, model), an_image),
        (("info", image), an_image),
        (("predict", index, image), an_index),
        (("locate", index, image), an_index),
        (("predict", table, image), f"{table} is a table: the model comes first"),
        (("evaluate", tiny_dataset, model), f"{tiny_dataset} is a folder: the model is a file, and comes first"),
        (("detect", "run", model, image), f"{a_model}: cvbow predict takes it"),
        (("segment", "apply", model, image, "-o", tmp_path / "out"), f"{a_model}: cvbow predict takes it"),
        (("index", "search", model, image), f"{a_model}: cvbow predict takes it"),
        (("index", "search", image, index), f"{image} is an image: the index comes first"),
        (("predict", model, index), f"{index} is an index of images, where images are expected"),
        (("explain", model, model), f"{a_model}, where images are expected"),
        (("train", model, "-o", tmp_path / "b.cvbow"), f"{a_model}, where images are expected"),
        (("evaluate", model, model), f"{a_model}, where images are expected"),
    ]:
        result = run(*command)
        assert result.exit_code == 2, result.stderr
        assert said in result.stderr


def test_only_important_notes_are_written_unless_more_are_asked_for(tmp_path: Path, tiny_dataset: Path) -> None:
    few, many = (run("train", tiny_dataset, "-o", tmp_path / "m.cvbow", *SMALL, *more) for more in ((), ("-v",)))
    assert few.stdout.splitlines()[:2] == many.stdout.splitlines()[:2]
    assert len(few.stderr.splitlines()) <= 2
    assert {line.partition(":")[0] for line in many.stderr.splitlines()} >= {"sample", "k-means", "classifier"}


def test_the_top_five_of_five_classes_are_not_told(trained: tuple[Path, Path]) -> None:
    data, model = trained
    assert "top-5" not in run("evaluate", model, data).stdout
    assert '"top5_accuracy"' in run("evaluate", model, data, "--json").stdout


def test_the_help_of_commands_fits_a_terminal_of_80_columns() -> None:
    def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        ctx = click.Context(group)
        for name in group.list_commands(ctx):
            found = group.get_command(ctx, name)
            yield (*path, name)
            if isinstance(found, click.Group):
                yield from commands(found, (*path, name))

    for command in [(), *commands(cli, ())]:
        lines = CliRunner().invoke(cli, [*command, "--help"], terminal_width=80).stdout.splitlines()
        long = [line for line in lines if len(line) > 80]
        assert not long, (command, long)
