"""Recipes in TOML files: written, read, and named wherever a preset is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cvbow import PRESETS, make_model
from cvbow.presets import find_preset, is_recipe_file, parse_contender, read_recipes, resolve, write_recipes
from cvbow.storage import kind_of
from cvbow.tuning.space import genes, recipe_of
from cvbow_cli.main import cli

EVERY = genes(colored=True, tiny=True, side=320)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    write_recipes(path, [PRESETS["fast"], PRESETS["best"]], notes=["a note"])
    return path


def test_every_preset_comes_back_from_a_file(tmp_path: Path) -> None:
    names = [name for name in PRESETS if name != "auto"]
    write_recipes(tmp_path / "all.toml", [PRESETS[name] for name in names])
    for name, recipe in zip(names, read_recipes(tmp_path / "all.toml"), strict=True):
        assert resolve(recipe) == resolve(name)
        assert recipe.summary == PRESETS[name].summary
        # Of "fast", make_model would choose by the images.
        ours, its = make_model(recipe), make_model(PRESETS[name])
        assert repr(ours.backend) == repr(its.backend)
        assert repr(ours.classifier) == repr(its.classifier)


@given(st.fixed_dictionaries({gene.name: st.sampled_from(gene.choices) for gene in EVERY}))
def test_every_recipe_of_the_search_comes_back_from_a_file(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, str | int | float | bool]
) -> None:
    path = tmp_path_factory.mktemp("recipes") / "one.toml"
    recipe = recipe_of(chosen)
    write_recipes(path, [recipe])
    assert resolve(read_recipes(path)[0]) == resolve(recipe)


def test_a_file_is_named_where_a_preset_is(two: Path) -> None:
    assert find_preset(str(two)).name == "two.toml"
    assert find_preset(f"{two}#2").classifier == dict(PRESETS["best"].classifier)
    model = make_model(f"{two}#1", settings={"n_words": 10})
    recipe = model.recipe
    # No folder: a model file says nothing of the machine that wrote it.
    assert recipe is not None
    assert recipe["preset"] == "two.toml"
    assert recipe["n_words"] == 10
    assert recipe["step"] == PRESETS["fast"].settings["step"]
    assert kind_of(two) == "recipes"
    assert "# a note" in two.read_text()


def test_a_contender_may_be_of_a_file(two: Path) -> None:
    contender = parse_contender(f"ours={two}#1")
    images = list(np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8))
    backend = contender.backend(images, n_jobs=1)
    assert repr(backend.encoder) == repr(make_model(str(two)).backend.encoder)
    assert contender.as_dict() == {"name": "ours", "parts": ["two.toml#1"]}
    with pytest.raises(ValueError, match=r"must be one of the 2 recipes of .*two.toml"):
        parse_contender(f"{two}#3")
    with pytest.raises(FileNotFoundError):
        parse_contender("nowhere.toml")


@pytest.mark.parametrize("number", ["0", "3", "99999999999999999999"])
def test_a_recipe_that_is_not_in_the_file(two: Path, number: str) -> None:
    with pytest.raises(ValueError, match=r"preset must be one of the 2 recipes of .*two.toml, got"):
        find_preset(f"{two}#{number}")


def test_what_is_no_recipe_lists_the_presets() -> None:
    with pytest.raises(ValueError, match=r"preset must be one of auto, bow, .*, got 'best'?|got 'greatest'; or a file"):
        find_preset("greatest")
    assert not is_recipe_file("bow")
    assert not is_recipe_file(3)
    assert not is_recipe_file("a.toml#x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no toml at all", "not a TOML file"),
        ('title = "x"', "the key generator is missing"),
        ('generator = "else"', "generator must be one of cvbow"),
        ('generator = "cvbow"', "recipes must be one table or more"),
        ('generator = "cvbow"\nrecipes = 3', r"recipes must be tables, each below \[\[recipes\]\]"),
        ('generator = "cvbow"\nmore = 1\n[[recipes]]\nsummary = "x"\n[recipes.settings]', "unknown key more"),
        ('generator = "cvbow"\n[[recipes]]\n[recipes.settings]', r"recipes\[1\].summary is missing"),
        ('generator = "cvbow"\n[[recipes]]\nsummary = "x"', r"recipes\[1\].settings is missing"),
        (
            'generator = "cvbow"\n[[recipes]]\nsummary = "x"\n[recipes.settings]\nn_wrods = 3',
            r"unknown setting recipes\[1\].settings.n_wrods",
        ),
        (
            'generator = "cvbow"\n[[recipes]]\nsummary = "x"\n[recipes.settings]\nnothing__n_words = 3',
            r"unknown setting recipes\[1\].settings.nothing__n_words",
        ),
        (
            'generator = "cvbow"\n[[recipes]]\nsummary = "x"\n[recipes.settings]\nn_words = "many"',
            "n_words must be an integer, got 'many'",
        ),
        (
            'generator = "cvbow"\n[[recipes]]\nsummary = "x"\n[recipes.settings]\n[recipes.settings.n_words]\na = 1',
            r"recipes\[1\].settings.n_words must be a value",
        ),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_recipes(path)
    assert str(path) in str(error.value)


def test_train_takes_a_file_of_recipes(two: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    words = ["train", str(tiny_dataset), "-o", str(tmp_path / "m.cvbow"), "--set", "n_words=8", "--set", "reduce=none"]
    done = CliRunner().invoke(cli, [*words, "--preset", f"{two}#1", "--n-jobs", "1"])
    assert done.exit_code == 0, done.output
    told = CliRunner().invoke(cli, ["info", str(tmp_path / "m.cvbow")])
    assert "two.toml" in told.stdout
    for name in (f"{two}#7", str(tmp_path / "nowhere.toml")):
        failed = CliRunner().invoke(cli, [*words, "--preset", name])
        assert failed.exit_code in (1, 2)
        assert failed.stderr.startswith("cvbow: error: ")
        assert "Traceback" not in failed.output
