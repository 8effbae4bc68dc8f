"""What a benchmark of retrieval is: what is indexed, what is learned from, the describers, and how each is searched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cvbow._toml import COUNT, FLAG, TEXT, TEXTS, WHOLE, Rule, TomlTable, one_of
from cvbow.datasets import RetrievalLayout, dataset_names, find_dataset
from cvbow.errors import NetworkError
from cvbow.experiments._settings import take_settings
from cvbow.experiments.published import Published, take_published
from cvbow.presets import DescriberRecipe

__all__ = ["RetrievalDefinition", "RetrievalProtocol", "RetrievalVariant", "retrieval_definition"]

KINDS = ("words", "vectors")
#: Besides these, the name of a data set.
LEARN_ON = ("index", "distractors")

_METRIC = re.compile(r"map|map_trapezoids|recall@[1-9][0-9]*")
_PLACES = Rule(
    "a list of different integers >= 1",
    lambda value: (
        isinstance(value, list) and bool(value) and all(map(COUNT.holds, value)) and len(set(value)) == len(value)
    ),
)


@dataclass(frozen=True)
class RetrievalProtocol:
    """What is indexed and learned from, and how rankings are judged.

    Attributes
    ----------
    distractors : tuple of str
        Data sets whose images are all indexed besides.
    learn_on : str
        "index", "distractors", or a data set: its images, without those that are queries.
    keep_self : bool
        A query that is indexed stays in its own ranking.
    k : tuple of int
        Places of recall, precision and success.
    metric : str
        What is compared with published figures: ``map``, ``map_trapezoids`` or ``recall@K``.
    """

    distractors: tuple[str, ...]
    learn_on: str
    keep_self: bool
    k: tuple[int, ...]
    metric: str

    def describe(self) -> str:
        """Return a line for people."""
        more = f" with all of {', '.join(self.distractors)}" if self.distractors else ""
        kept = "kept in their own ranking" if self.keep_self else "left out of their own ranking"
        return f"index{more}; learned on {self.learn_on}, never on queries, which are {kept}"


@dataclass(frozen=True)
class RetrievalVariant:
    """A describer, and how its index is searched.

    Attributes
    ----------
    name, describer : str
    verify : int
        Results of each query that are verified by geometry.
    expand : int
        Results that the query is expanded with.
    published : tuple of Published
    """

    name: str
    describer: str
    verify: int
    expand: int
    published: tuple[Published, ...]


@dataclass(frozen=True)
class RetrievalDefinition:
    """A benchmark of retrieval.

    Attributes
    ----------
    name : str
        Of the file, without ``.toml``.
    title, dataset : str
    protocol : RetrievalProtocol
    describers : mapping of str to DescriberRecipe
    variants : tuple of RetrievalVariant
    seed : int
    notes : str
    """

    name: str
    title: str
    dataset: str
    protocol: RetrievalProtocol
    describers: Mapping[str, DescriberRecipe]
    variants: tuple[RetrievalVariant, ...]
    seed: int
    notes: str

    #: Beside the benchmarks of classification: no recipe of a classifier.
    preset: ClassVar[str] = "retrieval"

    @property
    def published(self) -> tuple[Published, ...]:
        """The figures of all variants, in their order."""
        return tuple(figure for variant in self.variants for figure in variant.published)


def retrieval_definition(name: str, table: TomlTable) -> RetrievalDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    dataset = table.take("dataset", one_of(_retrieval_sets()))
    seed = table.take("seed", WHOLE, 0)
    describers = {
        key: _describer(part, seed)
        for key, part in ((key, table.table("describers").table(key)) for key in _keys(table))
    }
    definition = RetrievalDefinition(
        name=name,
        title=table.take("title", TEXT),
        dataset=dataset,
        protocol=_protocol(table.table("protocol", needed=True), dataset),
        describers=describers,
        variants=tuple(_variant(part, describers) for part in table.tables("variants")),
        seed=seed,
        notes=table.take("notes", TEXT, ""),
    )
    table.take("kind", TEXT)
    table.take("like", TEXT, None)
    table.finish()
    names = [variant.name for variant in definition.variants]
    if not names or len(set(names)) < len(names):
        table.fail("variants", "one table or more, with names of their own")
    return definition


def _keys(table: TomlTable) -> list[str]:
    described = table.table("describers", needed=True).values
    if not described:
        table.fail("describers", "one table or more")
    return list(described)


def _protocol(table: TomlTable, dataset: str) -> RetrievalProtocol:
    others = [other for other in dataset_names() if other != dataset]
    distractors = Rule(
        f"a list of different data sets, of {', '.join(others)}",
        lambda value: TEXTS.holds(value) and set(value) <= set(others) and len(set(value)) == len(value),
    )
    protocol = RetrievalProtocol(
        distractors=tuple(table.take("distractors", distractors, [])),
        learn_on=table.take("learn_on", one_of((*LEARN_ON, *others))),
        keep_self=table.take("keep_self", FLAG, False),
        k=tuple(table.take("k", _PLACES, [1, 5, 10])),
        metric=table.take(
            "metric",
            Rule(
                "map, map_trapezoids or recall@K",
                lambda value: isinstance(value, str) and _METRIC.fullmatch(value) is not None,
            ),
        ),
    )
    if protocol.learn_on == "distractors" and not protocol.distractors:
        table.fail("learn_on", "something else where there are no distractors")
    place = protocol.metric.rpartition("@")[2]
    if place.isdigit() and int(place) not in protocol.k:
        table.fail("metric", f"at one of the places k, {', '.join(map(str, protocol.k))}")
    table.finish()
    return protocol


def _describer(table: TomlTable, seed: int) -> DescriberRecipe:
    kind = table.take("kind", one_of(KINDS))
    if kind == "vectors":
        table.take("backend", TEXT)
    settings = {key: value for key, value in table.values.items() if key != "kind"}
    if kind == "vectors" and "backend_settings" in settings:
        settings["backend_settings"] = take_settings(table.table("backend_settings"))
    recipe = DescriberRecipe(kind, settings)
    try:
        recipe.describer(seed=seed).check_params()
    except NetworkError:
        # One that cvbow knows and that is not on this machine: running asks for it, reading does not.
        pass
    except (ValueError, TypeError) as error:
        raise ValueError(f"{table.path}: {table.above.rstrip('.')}: {error}") from None
    return recipe


def _variant(table: TomlTable, describers: Mapping[str, DescriberRecipe]) -> RetrievalVariant:
    variant = RetrievalVariant(
        name=table.take("name", TEXT),
        describer=table.take("describer", one_of(describers)),
        verify=table.take("verify", WHOLE, 0),
        expand=table.take("expand", WHOLE, 0),
        published=tuple(map(take_published, table.tables("published"))),
    )
    table.finish()
    return variant


def _retrieval_sets() -> list[str]:
    return [name for name in dataset_names() if isinstance(find_dataset(name).layout, RetrievalLayout)]
