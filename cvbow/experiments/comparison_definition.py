"""What a benchmark of backends against each other is: a data set, a protocol, one classifier head, the contenders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cvbow._toml import COUNT, FLAG, TEXT, TEXTS, WHOLE, Rule, TomlTable, one_of
from cvbow.classify import CLASSIFIERS
from cvbow.datasets import dataset_names
from cvbow.experiments.protocols import SplitProtocol, read_protocol
from cvbow.presets import Contender, parse_contender

__all__ = ["ComparisonDefinition", "comparison_definition"]

_COUNTS = Rule(
    "a list of integers >= 1", lambda value: isinstance(value, list) and bool(value) and all(map(COUNT.holds, value))
)


@dataclass(frozen=True)
class ComparisonDefinition:
    """A benchmark of backends against each other.

    Attributes
    ----------
    name : str
        Of the file, without ``.toml``.
    title, dataset : str
    protocol : SplitProtocol
    contenders : tuple of Contender
    classifier : str
        The head of all; a key of ``CLASSIFIERS``.
    curve : tuple of int
        Training images per class of the learning curve; empty for none.
    curve_draws, curve_test_per_class : int
    corruptions : bool
        Judge the answers on images made worse too.
    corrupted_per_class : int
    seed : int
    notes : str
    """

    name: str
    title: str
    dataset: str
    protocol: SplitProtocol
    contenders: tuple[Contender, ...]
    classifier: str
    curve: tuple[int, ...]
    curve_draws: int
    curve_test_per_class: int
    corruptions: bool
    corrupted_per_class: int
    seed: int
    notes: str

    #: Beside the benchmarks of classification: several recipes, and no published figure of the same head.
    preset: ClassVar[str] = "comparison"
    published: ClassVar[tuple[()]] = ()


def comparison_definition(name: str, table: TomlTable) -> ComparisonDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    texts = table.take("contenders", TEXTS)
    try:
        contenders = tuple(map(parse_contender, texts))
    except ValueError as error:
        raise ValueError(f"{table.path}: contenders: {error}") from None
    definition = ComparisonDefinition(
        name=name,
        title=table.take("title", TEXT),
        dataset=table.take("dataset", one_of(dataset_names())),
        protocol=read_protocol(table.table("protocol", needed=True)),
        contenders=contenders,
        classifier=table.take("classifier", one_of(CLASSIFIERS), "tuned-svm"),
        curve=tuple(table.take("curve", _COUNTS, [])),
        curve_draws=table.take("curve_draws", COUNT, 3),
        curve_test_per_class=table.take("curve_test_per_class", COUNT, 50),
        corruptions=table.take("corruptions", FLAG, False),
        corrupted_per_class=table.take("corrupted_per_class", COUNT, 20),
        seed=table.take("seed", WHOLE, 0),
        notes=table.take("notes", TEXT, ""),
    )
    table.take("kind", TEXT)
    table.take("like", TEXT, None)
    table.finish()
    names = [contender.name for contender in contenders]
    if len(set(names)) < len(names):
        table.fail("contenders", "texts with names of their own")
    return definition
