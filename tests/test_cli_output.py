"""What a command writes over: its own earlier output, anything else with --force, and never what it reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from tiny_images import write_dataset

from cvbow.storage import kind_of
from cvbow_cli.main import COMMANDS, cli

SMALL = ["--preset", "fast", "--set", "n_words=8", "--set", "reduce=none", "--set", "step=10", "-q", "--n-jobs", "1"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, and with what each command makes of them."""
    folder = tmp_path_factory.mktemp("made")
    photos = write_dataset(folder / "photos")
    for command in (
        ("train", photos, "-o", folder / "m.cvbow", *SMALL),
        ("evaluate", folder / "m.cvbow", photos, "--report", folder / "r.html", "-q"),
        ("features", photos / "checker" / "00.png", "-o", folder / "f.png", "--stage", "harris"),
        ("stats", photos, "-o", folder / "stats", "-q"),
        ("bench", "run", "digits-fast", "--quick", "-q", "-o", folder / "b.json"),
        ("index", "build", photos, "-o", folder / "i.index", "--with", "pixels", "-q"),
    ):
        assert run(*command).exit_code == 0, command
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "here")
    return tmp_path / "here"


def commands(folder: Path, output: Path) -> list[tuple[object, ...]]:
    """Each way of writing a file or a folder's files, with this output."""
    image, photos = folder / "photos" / "checker" / "00.png", folder / "photos"
    ways: dict[str, list[tuple[object, ...]]] = {
        ".cvbow": [("train", photos, "-o", output, *SMALL)],
        ".html": [
            ("evaluate", folder / "m.cvbow", photos, "-q", "--report", output),
            ("index", "search", folder / "i.index", image, "-q", "-o", output),
            ("index", "duplicates", folder / "i.index", "-q", "-o", output),
        ],
        ".png": [
            ("features", image, "--stage", "harris", "-o", output),
            ("match", image, image, "-o", output),
            ("index", "search", folder / "i.index", image, "-q", "-o", output),
        ],
        ".json": [
            ("bench", "run", "digits-fast", "--quick", "-q", "-o", output),
            ("compare", photos, "-w", "colors", "-q", "--classifier", "naive-bayes", "-o", output),
        ],
        "": [("stats", photos, "-o", output, "-q")],
    }
    return ways[output.suffix]


SUFFIXES = (".cvbow", ".html", ".png", ".json")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_file_is_replaced_with_force_alone_and_ones_own_always(here: Path, suffix: str) -> None:
    output = here / f"mine{suffix}"
    for command in commands(here, output):
        output.write_bytes(b"the only copy of a novel")
        refused = run(*command)
        assert refused.exit_code == 2
        assert "--force replaces it" in refused.stderr
        assert output.read_bytes() == b"the only copy of a novel"
        for again in (["--force"], []):
            done = run(*command, *again)
            assert done.exit_code == 0, done.output
            assert output.read_bytes() != b"the only copy of a novel"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_suffix_says_the_format_and_a_wrong_one_is_refused(here: Path, suffix: str) -> None:
    before = sorted(here.rglob("*"))
    for wrong in (".gif", ".txt", ""):
        for command in commands(here, here / f"new{suffix}"):
            words = [str(here / f"new{wrong}") if str(word).endswith(f"new{suffix}") else word for word in command]
            refused = run(*words)
            assert refused.exit_code == 2
            assert f"must end in {'.png or .html' if 'search' in command else suffix}" in refused.stderr
    assert sorted(here.rglob("*")) == before


def test_what_other_commands_make_is_not_ones_own(here: Path) -> None:
    model, result = here / "i.index" / "describer.cvbow", here / "stats" / "stats.json"
    assert (kind_of(model), kind_of(result)) == ("index", "summary")
    for output in (model, result):
        before = output.read_bytes()
        for command in commands(here, output):
            assert "--force replaces it" in run(*command).stderr
        assert output.read_bytes() == before


def test_an_input_is_never_replaced(here: Path) -> None:
    image = here / "photos" / "checker" / "00.png"
    link, hard = here / "link.png", here / "hard.png"
    link.symlink_to(image)
    hard.hardlink_to(image)
    shutil.copy(here / "f.png", here / "g.png")  # its own kind, and an input
    shutil.copy(image, here / "photos" / "checker" / "mean.png")
    before = {path: path.read_bytes() for path in here.rglob("*.png")}
    for command in (
        ("features", image, "-o", image),
        ("features", image, "-o", link),
        ("features", link, "-o", image),
        ("features", image, "-o", hard),
        ("features", here / "g.png", "-o", here / "g.png"),
        ("match", image, here / "g.png", "-o", here / "g.png"),
        ("index", "search", here / "i.index", image, "-o", image),
        ("stats", image.parent, "-o", image.parent),
    ):
        for force in ([], ["--force"]):
            refused = run(*command, *force)
            assert refused.exit_code == 2, command
            assert "is an input of this command" in refused.stderr
    assert {path: path.read_bytes() for path in here.rglob("*.png")} == before


def test_a_folder_is_asked_file_by_file(here: Path) -> None:
    again = ("stats", here / "photos", "-o", here / "stats", "-q")
    assert run(*again).exit_code == 0
    (here / "stats" / "montage.png").write_bytes(b"mine")
    refused = run(*again)
    assert (refused.exit_code, (here / "stats" / "montage.png").read_bytes()) == (2, b"mine")
    assert "montage.png is there, and is not a picture of cvbow's" in refused.stderr
    assert run(*again, "--force").exit_code == 0


def test_an_index_is_not_built_over_a_model(here: Path) -> None:
    (here / "models").mkdir()
    model = here / "models" / "describer.cvbow"
    shutil.copy(here / "m.cvbow", model)
    before = model.read_bytes()
    for options in ([], ["--overwrite"]):
        done = run("index", "build", here / "photos", "-o", model.parent, "--with", "colors", "-q", *options)
        assert done.exit_code == 1
        assert model.read_bytes() == before


def options(command: Any, name: str) -> list[tuple[str, Any]]:
    inside = getattr(command, "commands", {})
    return [(name, command)] + [found for key, one in inside.items() for found in options(one, f"{name} {key}")]


def test_what_is_not_there_is_told_alike() -> None:
    found = [one for top in COMMANDS for one in options(cli.get_command(None, top), top)]  # type: ignore[arg-type]
    types = [one.type for _, command in found for one in command.params]
    types = [one for one in types if isinstance(one, click.Path) and one.exists]
    assert len(types) > 30
    for one in types:
        what = " or ".join(["file"] * one.file_okay + ["folder"] * one.dir_okay)
        with pytest.raises(click.BadParameter, match=f"^nowhere/at.all: there is no such {what}$"):
            one.convert("nowhere/at.all", None, None)
    for arguments in (["info", "nowhere"], ["features", "nowhere"], ["predict", "nowhere", "x.png"]):
        assert "nowhere: there is no such file" in CliRunner().invoke(cli, arguments).stderr


def test_every_option_that_names_an_output_is_under_the_rule() -> None:
    # These two ask for a new folder, or for one that they have made.
    folders = {"augment", "index build"}
    found = {}
    for top in COMMANDS:
        for name, command in options(cli.get_command(None, top), top):  # type: ignore[arg-type]
            names = {option for parameter in command.params for option in parameter.opts}
            if names & {"--output", "--report", "--plots"}:
                found[name] = "--force" in names
    assert {name for name, forced in found.items() if not forced} == folders
    assert len(found) >= 10
