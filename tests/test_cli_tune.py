"""``cvbow tune``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cvbow.presets import Preset, read_recipes
from cvbow.storage import kind_of
from cvbow.tuning import Outcome
from cvbow.tuning.evaluation import Evaluator
from cvbow_cli.main import cli

pytest.importorskip("optuna", reason="the search needs optuna: pip install 'cvbow[tune]'")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def made_up(self: Evaluator, recipe: Preset, known: Sequence[Outcome]) -> Outcome:
    words = recipe.settings["n_words"]
    return Outcome(recipe, 1 / words, 0.01, words / 100, words / 1000, 1.0, np.zeros(3, bool))


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluator, "try_out", made_up)


@pytest.mark.usefixtures("quickly")
def test_the_front_is_told_written_and_drawn(tiny_dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib: pip install 'cvbow[report]'")
    best, picture = tmp_path / "best.toml", tmp_path / "front.png"
    done = run("tune", tiny_dataset, "-o", best, "--evaluations", "6", "--plot", picture, "--json", "--quiet")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert {key: document[key] for key in ("n_images", "n_evaluated", "n_stopped", "seed", "sampler", "skipped")} == {
        "n_images": 18,
        "n_evaluated": 6,
        "n_stopped": 0,
        "seed": 0,
        "sampler": "nsga2",
        "skipped": [],
    }
    errors = [row["error"] for row in document["front"]]
    assert errors == sorted(errors)
    recipes = read_recipes(best)
    assert len(recipes) == len(errors)
    for row, recipe in zip(document["front"], recipes, strict=True):
        assert recipe.summary.startswith(row["summary"])
        assert {key: list(v) if isinstance(v, tuple) else v for key, v in recipe.settings.items()} == row["settings"]
        assert recipe.classifier == row["classifier"]
    assert [kind_of(best), kind_of(picture)] == ["recipes", "picture"]


@pytest.mark.usefixtures("quickly")
def test_the_table_and_a_search_that_goes_on(tiny_dataset: Path, tmp_path: Path) -> None:
    words = ["tune", tiny_dataset, "-o", tmp_path / "best.toml", "--storage", tmp_path / "search.log"]
    assert run(*words, "--evaluations", "4").exit_code == 0
    done = run(*words, "--evaluations", "9")
    assert done.exit_code == 0, done.output
    assert "9 tried on 18 images, 0 of them stopped early" in " ".join(done.stdout.split())
    assert "recipe" in done.stdout
    assert "--preset" in done.stderr
    again = run(*words, "--evaluations", "9", "--seed", "2")
    assert again.exit_code == 2
    assert "has other seed: 0, not 2" in again.stderr


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--time", "soon"], "must be a time such as 90s, 30m or 1h30m"),
        (["--evaluations", "0"], "0 is not in the range"),
        (["--sampler", "grid"], "is not one of"),
        (["--plot", "front.svg"], "must end in .png"),
        (["--storage", "letter.txt"], "is not a search of cvbow's"),
        (["--storage", "best.toml"], "must be another file than the outputs"),
    ],
)
def test_mistakes_are_told(
    words: list[str], message: str, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("letter.txt").write_text("Dear reader\n")
    done = run("tune", tiny_dataset, "-o", "best.toml", "--evaluations", "1", *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not Path("best.toml").exists()
    assert Path("letter.txt").read_text() == "Dear reader\n"


@pytest.mark.usefixtures("quickly")
def test_a_file_of_somebody_is_not_replaced(tiny_dataset: Path, tmp_path: Path) -> None:
    best = tmp_path / "best.toml"
    best.write_text("[somebody]\n")
    words = ["tune", tiny_dataset, "-o", best, "--evaluations", "1"]
    assert run(*words).exit_code == 2
    assert best.read_text() == "[somebody]\n"
    assert run(*words, "--force").exit_code == 0
    assert run(*words).exit_code == 0
    assert kind_of(best) == "recipes"


@pytest.mark.usefixtures("quickly")
def test_several_labels_are_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = [f"{path},a|b" for path in sorted(tiny_dataset.rglob("*.png"))]
    table.write_text("\n".join(["path,labels", *rows]))
    done = run("tune", table, "-o", tmp_path / "best.toml", "--evaluations", "1")
    assert done.exit_code == 2
    assert "one label for each image" in done.stderr


def test_numbers_of_close_recipes_are_apart() -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib: pip install 'cvbow[report]'")
    from matplotlib.figure import Figure

    from cvbow.report.front import _number

    figure = Figure(figsize=(7.5, 4.8), dpi=120)
    axes = figure.subplots()
    axes.set(xlim=(1, 100), ylim=(0, 50), xscale="log")
    times, percents = [10.0, 10.4, 10.6, 30.0, 31.0], [20.0, 19.8, 19.5, 10.0, 9.9]
    _number(axes, times, percents)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent().padded(-2) for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5"]
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])
        for mark in axes.transData.transform(np.column_stack([times, percents])):
            assert not box.contains(*mark)
