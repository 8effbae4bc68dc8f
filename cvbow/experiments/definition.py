"""What a benchmark is: a data set, a protocol, a recipe, seeds, and the published figures to compare with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvbow._toml import TEXT, WHOLE, Rule, TomlTable, bundled, one_of
from cvbow.datasets import dataset_names
from cvbow.experiments._settings import take_settings
from cvbow.experiments.comparison_definition import ComparisonDefinition, comparison_definition
from cvbow.experiments.matching_definition import MatchingDefinition, matching_definition
from cvbow.experiments.protocols import SplitProtocol, read_protocol
from cvbow.experiments.published import Published, take_published
from cvbow.experiments.retrieval_definition import RetrievalDefinition, retrieval_definition
from cvbow.presets import PRESETS, make_model

__all__ = [
    "METRICS",
    "AnyDefinition",
    "Definition",
    "Published",
    "Variant",
    "benchmark_names",
    "find_benchmark",
    "read_benchmark",
]

#: What a published figure may be: the mean over classes of the share of right answers, or that share over all images.
METRICS = ("mean_class_accuracy", "accuracy")
#: What a benchmark is of.
KINDS = ("classification", "comparison", "matching", "retrieval")

_SEEDS = Rule(
    "a list of different integers >= 0",
    lambda value: (
        isinstance(value, list) and bool(value) and all(map(WHOLE.holds, value)) and len(set(value)) == len(value)
    ),
)


@dataclass(frozen=True)
class Variant:
    """One of several recipes that a benchmark compares.

    Attributes
    ----------
    name : str
        What sets it apart.
    preset : str
        The definition's, or another.
    settings : mapping
        Changes to the preset: the definition's, then its own.
    """

    name: str
    preset: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Definition:
    """A benchmark.

    Attributes
    ----------
    name : str
        Of the file, without ``.toml``.
    title, dataset, preset : str
    protocol : SplitProtocol
    settings : mapping
        Changes to the preset.
    seeds : tuple of int
        The whole is run once for each: it draws the splits, and is the preset's ``random_state``.
    metric : str
        What the published figures are; one of ``METRICS``.
    published : tuple of Published
        The one to compare with first.
    notes : str
    variants : tuple of Variant
        What is compared in one run; empty for a benchmark of one recipe.
    """

    name: str
    title: str
    dataset: str
    preset: str
    protocol: SplitProtocol
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    metric: str
    published: tuple[Published, ...]
    notes: str
    variants: tuple[Variant, ...] = ()


#: A benchmark of any kind.
AnyDefinition = Definition | ComparisonDefinition | MatchingDefinition | RetrievalDefinition


def read_benchmark(path: str | os.PathLike[str]) -> AnyDefinition:
    """Read a definition: of a comparison, of matching or of retrieval where the file has such a ``kind``.

    With ``like = "NAME"`` every key that the file does not give is the one of the definition NAME, which lies beside
    it or comes with cvbow. So another recipe under the same protocol is a file of two lines.

    Raises
    ------
    FileNotFoundError
    ValueError
        That names the file and the key which is missing, unknown or wrong.
    """
    path = Path(path)
    table = _inherited(path, ())
    readers: dict[str, Callable[[str, TomlTable], AnyDefinition]] = {
        "classification": _definition,
        "comparison": comparison_definition,
        "matching": matching_definition,
        "retrieval": retrieval_definition,
    }
    return readers[table.take("kind", one_of(KINDS), KINDS[0])](path.stem, table)


def _inherited(path: Path, above: tuple[Path, ...]) -> TomlTable:
    table = TomlTable.read(path)
    like = table.take("like", TEXT, None)
    if like is None:
        return table
    others = bundled("benchmarks") | {other.stem: other for other in path.parent.glob("*.toml")}
    if like not in others or others[like].resolve() in (*above, path.resolve()):
        table.fail("like", "the name of another definition")
    base = _inherited(others[like], (*above, path.resolve()))
    own = {key: value for key, value in table.values.items() if key != "like"}
    merged = TomlTable(path, {key: value for key, value in base.values.items() if key != "like"} | own)
    merged.known.append("like")
    return merged


def _definition(name: str, table: TomlTable) -> Definition:
    protocol = read_protocol(table.table("protocol", needed=True))
    settings = take_settings(table.table("settings"))
    preset = table.take("preset", one_of(PRESETS))
    definition = Definition(
        name=name,
        title=table.take("title", TEXT),
        dataset=table.take("dataset", one_of(dataset_names())),
        preset=preset,
        protocol=protocol,
        settings=settings,
        seeds=tuple(table.take("seeds", _SEEDS, [0])),
        metric=table.take("metric", one_of(METRICS), METRICS[0]),
        published=tuple(map(take_published, table.tables("published"))),
        notes=table.take("notes", TEXT, ""),
        variants=tuple(_variant(part, preset, settings) for part in table.tables("variants")),
    )
    table.take("like", TEXT, None)
    table.finish()
    names = [variant.name for variant in definition.variants]
    if len(set(names)) < len(names):
        table.fail("variants", "tables with names of their own")
    for one in (Variant("settings", preset, settings), *definition.variants):
        try:
            make_model(one.preset, settings=one.settings)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{table.path}: {one.name}: {error}") from None
    return definition


def _variant(table: TomlTable, preset: str, shared: Mapping[str, Any]) -> Variant:
    variant = Variant(
        table.take("name", TEXT),
        table.take("preset", one_of(PRESETS), preset),
        {**shared, **take_settings(table.table("settings"))},
    )
    table.finish()
    return variant


def benchmark_names() -> tuple[str, ...]:
    """Return the names of the definitions that come with cvbow."""
    return tuple(bundled("benchmarks"))


def find_benchmark(name: str) -> AnyDefinition:
    """Return a definition that comes with cvbow, or read one from a file whose name ends in ``.toml``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is none of that name, and the message lists those there are; or what ``read_benchmark`` finds.
    """
    if name.endswith(".toml"):
        return read_benchmark(name)
    files = bundled("benchmarks")
    if name not in files:
        raise ValueError(f"benchmark must be one of {', '.join(files)}, or a .toml file, got {name!r}")
    return read_benchmark(files[name])
