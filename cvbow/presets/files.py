"""Recipes in a TOML file, such as ``cvbow tune`` writes: each may be named wherever a preset is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cvbow._checks import check_choice
from cvbow._toml import TEXT, TomlTable, one_of
from cvbow.backends import BACKENDS
from cvbow.presets.recipes import PRESETS, Preset
from cvbow.presets.settings import PARTS, SETTINGS, parse_setting
from cvbow.storage import GENERATOR, replacing

_NAME = re.compile(r"(?P<path>.*\.toml)(?:#(?P<number>\d+))?", re.DOTALL | re.IGNORECASE)


def find_preset(name: str) -> Preset:
    """Return the recipe of a name.

    Parameters
    ----------
    name : str
        A key of ``PRESETS``; a file such as ``best.toml``, for the first of its recipes; or ``best.toml#3``, for the
        third.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no such recipe, or the file is none of recipes; the message lists the presets, or says what is
        wrong.

    Examples
    --------
    >>> from cvbow.presets import find_preset
    >>> find_preset("fast").settings["n_words"]
    400
    """
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    if not is_recipe_file(name):
        a_file = "or a file of recipes, such as best.toml, or best.toml#3 for the third of them"
        check_choice("preset", name, PRESETS, hint=a_file)
    found = _NAME.fullmatch(name)
    assert found is not None
    recipes = read_recipes(found["path"])
    number = int(found["number"] or 1)
    if not 1 <= number <= len(recipes):
        raise ValueError(f"preset must be one of the {len(recipes)} recipes of {found['path']}, got {name!r}")
    return recipes[number - 1]


def is_recipe_file(name: object) -> bool:
    """Tell whether the name of a preset is that of a file."""
    return isinstance(name, str) and name not in PRESETS and _NAME.fullmatch(name) is not None


def read_recipes(path: str | os.PathLike[str]) -> list[Preset]:
    """Read a file of recipes; they are called by the file's name, without its folder: ``best.toml``, ``best.toml#2``.

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is no such file, or a key is missing or unknown; the message names the file and the key.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from cvbow.presets import PRESETS, read_recipes, write_recipes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "two.toml")
    ...     write_recipes(path, [PRESETS["fast"], PRESETS["bow"]])
    ...     [(recipe.name, recipe.settings["n_words"]) for recipe in read_recipes(path)]
    [('two.toml', 400), ('two.toml#2', 1000)]
    """
    path = Path(path)
    table = TomlTable.read(path)
    table.take("generator", one_of((GENERATOR,)))
    parts = table.tables("recipes")
    table.finish()
    if not parts:
        raise ValueError(f"{path}: recipes must be one table or more, each below [[recipes]]")
    return [_read(part, f"{path.name}#{number}" if number > 1 else path.name) for number, part in enumerate(parts, 1)]


def _read(table: TomlTable, name: str) -> Preset:
    summary = table.take("summary", TEXT)
    settings = take_settings(table.table("settings", needed=True))
    classifier = take_settings(table.table("classifier"))
    table.finish()
    for key in settings:
        part, is_nested, _ = key.partition("__")
        if not (part in BACKENDS or part in PARTS if is_nested else key in SETTINGS):
            raise ValueError(f"{table.path}: unknown setting {table.above}settings.{key}; see cvbow train --set")
    return Preset(name, summary, settings, {}, classifier)


def take_settings(table: TomlTable) -> dict[str, Any]:
    """Take the settings of a table as ``--set`` does, which also knows ``"none"``, a word that TOML lacks."""
    settings = {}
    for key, value in table.values.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        if isinstance(value, dict):
            table.fail(key, "a value")
        try:
            settings[key] = parse_setting(f"{key}={text}")[1]
        except ValueError as error:
            raise ValueError(f"{table.path}: {table.above.rstrip('.')}: {error}") from None
    return settings


def write_recipes(path: str | os.PathLike[str], recipes: Sequence[Preset], *, notes: Sequence[str] = ()) -> None:
    """Write a file of recipes, whole or not at all; ``read_recipes`` has an example.

    Parameters
    ----------
    path : path
    recipes : sequence of Preset
        The one that the file's bare name stands for first. Reasons are not written.
    notes : sequence of str
        Lines of comment above them.
    """
    lines = [f'generator = "{GENERATOR}"', *(f"# {line}".rstrip() for line in notes)]
    for recipe in recipes:
        lines += [
            "",
            "[[recipes]]",
            f"summary = {_text(recipe.summary)}",
            "",
            "[recipes.settings]",
            *_rows(recipe.settings),
        ]
        if recipe.classifier:
            lines += ["", "[recipes.classifier]", *_rows(recipe.classifier)]
    content = "\n".join(lines).encode() + b"\n"
    with replacing(path) as file:
        file.write(content)


def _rows(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_text(value)}" for key, value in values.items()]


def _text(value: Any) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    # JSON's texts, numbers, true and false are TOML's too.
    return json.dumps("none" if value is None else value, ensure_ascii=False)
