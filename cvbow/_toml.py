"""TOML files that ship with cvbow or that a user writes: where they are, and reading them so that no typo passes."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from cvbow.files import read_text

T = TypeVar("T")

_PACKAGE = Path(__file__).resolve().parent
#: What ships, and the folder of a checkout where it is edited; in a wheel it is in cvbow/_data.
_BUNDLED = {"datasets": "data", "benchmarks": "benchmarks/definitions", "datasets/networks": "data/networks"}

_NEEDED = object()


@dataclass(frozen=True)
class Rule:
    """What a value must be; ``words`` complete "must be ..."."""

    words: str
    holds: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


TEXT = Rule("text that is not empty", _is_text)
TEXTS = Rule("a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value)))
WHOLE = Rule("an integer >= 0", _is_whole)
COUNT = Rule("an integer >= 1", lambda value: _is_whole(value) and value > 0)
NUMBER = Rule("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool))
FLAG = Rule("true or false", lambda value: isinstance(value, bool))


def one_of(choices: Collection[str]) -> Rule:
    """Return the rule of a value that is one of ``choices``."""
    return Rule(f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices)


def matching(pattern: re.Pattern[str], words: str) -> Rule:
    """Return the rule of a text that as a whole is like a pattern."""
    return Rule(words, lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None)


class TomlTable:
    """A table of a TOML file. Each key is taken by a rule; ``finish`` refuses what nobody took.

    ``path`` is the file, for messages; ``above`` is the table's own key, with a dot behind it.
    """

    def __init__(self, path: Path, values: dict[str, Any], above: str = "") -> None:
        self.path = path
        self.values = values
        self.above = above
        self.known: list[str] = []

    @classmethod
    def read(cls, path: Path) -> TomlTable:
        """Read a file; FileNotFoundError where there is none, ValueError where it is not TOML in UTF-8."""
        try:
            return cls(path, tomllib.loads(read_text(path)))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not a TOML file: {error}") from None

    def take(self, key: str, rule: Rule, default: Any = _NEEDED) -> Any:
        """Return the value of a key; ValueError where it is missing and needed, or breaks its rule."""
        self.known.append(key)
        if key not in self.values:
            if default is _NEEDED:
                raise ValueError(f"{self.path}: the key {self.above}{key} is missing; it must be {rule.words}")
            return default
        value = self.values[key]
        if not rule.holds(value):
            self.fail(key, rule.words)
        return value

    def table(self, key: str, *, needed: bool = False) -> TomlTable:
        """Return the table below a key; an empty one where there is none and none is needed."""
        rule = Rule("a table", lambda value: isinstance(value, dict))
        return TomlTable(self.path, self.take(key, rule, _NEEDED if needed else {}), f"{self.above}{key}.")

    def tables(self, key: str) -> list[TomlTable]:
        """Return the tables of an array of tables."""
        rule = Rule(
            f"tables, each below [[{self.above}{key}]]",
            lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        )
        found = self.take(key, rule, [])
        return [TomlTable(self.path, item, f"{self.above}{key}[{number}].") for number, item in enumerate(found, 1)]

    def build(self, kind: Callable[..., T], rules: Mapping[str, Rule]) -> T:
        """Build an object from the parameters that have a rule, lists as tuples, and refuse all other keys.

        A parameter without a default is needed.
        """
        parameters = inspect.signature(kind).parameters
        needed = {key for key in rules if parameters[key].default is inspect.Parameter.empty}
        values = {key: self.take(key, rule, _NEEDED if key in needed else None) for key, rule in rules.items()}
        self.finish()
        return kind(**{key: _frozen(value) for key, value in values.items() if value is not None})

    def fail(self, key: str, rule: str) -> NoReturn:
        """Raise the ValueError of a value that must be something else."""
        raise ValueError(f"{self.path}: {self.above}{key} must be {rule}, got {self.values.get(key)!r}")

    def finish(self) -> None:
        """Raise ValueError for keys that no rule was asked for."""
        unknown = [key for key in self.values if key not in self.known]
        if unknown:
            keys = f"{self.above}{unknown[0]}"
            raise ValueError(f"{self.path}: unknown key {keys}; the keys here are {', '.join(self.known)}")


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def bundled(kind: str) -> dict[str, Path]:
    """Return the TOML files of a kind in ``_BUNDLED``, by name without the suffix, in order of their names."""
    installed = _PACKAGE / "_data" / kind
    folder = installed if installed.is_dir() else _PACKAGE.parent / _BUNDLED[kind]
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
