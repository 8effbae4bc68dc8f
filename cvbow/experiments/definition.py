"""What the definitions of all benchmarks have in common, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from cvbow import presets
from cvbow._toml import TEXT, Rule, TomlTable, one_of
from cvbow.experiments.published import Published


class Described(Protocol):
    """What can say itself in a line: a protocol."""

    def describe(self) -> str:
        """Describe it in one line."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A benchmark; each kind has a class of its own, with what it needs besides.

    Attributes
    ----------
    name : str
        Of the file, without ``.toml``.
    title, dataset : str
    protocol : Described
    notes : str
    published : tuple of Published
        The one to compare with first.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("digits-fast")
    >>> definition.kind, definition.recipe, definition.title
    ('classification', 'fast', 'Digits, 5-fold cross-validation')
    """

    #: The key of ``KINDS``.
    kind: ClassVar[str]

    name: str
    title: str
    dataset: str
    protocol: Described
    notes: str = ""
    published: tuple[Published, ...] = ()

    @property
    def recipe(self) -> str:
        """The preset that is measured; for a kind that does not compare presets, the kind."""
        return self.kind


def take_common(name: str, table: TomlTable, datasets: Collection[str]) -> dict[str, Any]:
    """Take the keys of every definition but ``protocol`` and ``published``."""
    return {
        "name": name,
        "title": table.take("title", TEXT),
        "dataset": table.take("dataset", one_of(datasets)),
        "notes": table.take("notes", TEXT, ""),
    }


def check_names(table: TomlTable, key: str, names: Sequence[str], *, needed: bool = False, are: str = "tables") -> None:
    """Raise ValueError where two have the same name, or there is none and one is needed."""
    if len(set(names)) < len(names) or (needed and not names):
        table.fail(key, "one table or more, with names of their own" if needed else f"{are} with names of their own")


def different(words: str, item: Callable[[Any], bool]) -> Rule:
    """Return the rule of a list that is not empty, of different ``words``."""
    return Rule(
        f"a list of different {words}",
        lambda value: (
            isinstance(value, list) and bool(value) and all(map(item, value)) and len(set(value)) == len(value)
        ),
    )


def take_settings(table: TomlTable) -> dict[str, Any]:
    """Take a preset's settings as files of recipes have them, without the seed, which the definition has for all."""
    if "random_state" in table.values:
        table.fail("random_state", "left to the key seeds")
    return presets.take_settings(table)
