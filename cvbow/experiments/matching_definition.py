"""What a benchmark of matching is: sequences with known homographies, and the detectors and descriptors to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cvbow._toml import NUMBER, TEXT, Rule, TomlTable, one_of
from cvbow.datasets import Sequences, dataset_names, find_dataset
from cvbow.features import LocalFeatures

__all__ = ["MatchingDefinition", "MatchingVariant", "Pairs", "matching_definition"]

_PIXELS = Rule("a number > 0", lambda value: NUMBER.holds(value) and value > 0)
_SHARE = Rule("a number > 0 and <= 1", lambda value: NUMBER.holds(value) and 0 < value <= 1)


@dataclass(frozen=True)
class MatchingVariant:
    """A detector with a descriptor.

    Attributes
    ----------
    name : str
    settings : mapping
        Parameters of ``LocalFeatures``, the detector and the descriptor among them.
    """

    name: str
    settings: Mapping[str, Any]

    def extractor(self) -> LocalFeatures:
        """Return it as an extractor."""
        return LocalFeatures(**self.settings)


@dataclass(frozen=True)
class Pairs:
    """How images are paired and judged.

    Attributes
    ----------
    distance : float
        Pixels within which a point is found again, or a match is correct.
    ratio : float
        Of the ratio test that matches pass before a homography is estimated from them.
    threshold : float
        Pixels; largest error of an inlier to that homography.
    """

    distance: float
    ratio: float
    threshold: float

    def describe(self) -> str:
        """Return a line for people."""
        return "the first image of each sequence with each other one; true homographies"


@dataclass(frozen=True)
class MatchingDefinition:
    """A benchmark of matching.

    Attributes
    ----------
    name : str
        Of the file, without ``.toml``.
    title, dataset : str
    protocol : Pairs
    variants : tuple of MatchingVariant
    notes : str
    """

    name: str
    title: str
    dataset: str
    protocol: Pairs
    variants: tuple[MatchingVariant, ...]
    notes: str

    #: Beside the benchmarks of classification: no recipe of a classifier, and no published figure of the same protocol.
    preset: ClassVar[str] = "matching"
    published: ClassVar[tuple[()]] = ()


def matching_definition(name: str, table: TomlTable) -> MatchingDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    protocol = table.table("protocol")
    shared = table.table("settings").values
    definition = MatchingDefinition(
        name=name,
        title=table.take("title", TEXT),
        dataset=table.take("dataset", one_of(_sequence_names())),
        protocol=Pairs(
            distance=float(protocol.take("distance", _PIXELS, 3.0)),
            ratio=float(protocol.take("ratio", _SHARE, 0.8)),
            threshold=float(protocol.take("threshold", _PIXELS, 3.0)),
        ),
        variants=tuple(_variant(part, shared) for part in table.tables("variants")),
        notes=table.take("notes", TEXT, ""),
    )
    protocol.finish()
    table.take("kind", TEXT)
    table.take("like", TEXT, None)
    table.finish()
    names = [variant.name for variant in definition.variants]
    if not names or len(set(names)) < len(names):
        table.fail("variants", "one table or more, with names of their own")
    return definition


def _variant(table: TomlTable, shared: Mapping[str, Any]) -> MatchingVariant:
    settings = {
        **shared,
        "detector": table.take("detector", TEXT),
        "descriptor": table.take("descriptor", TEXT),
        **table.table("settings").values,
    }
    name = table.take("name", TEXT, f"{settings['detector']} + {settings['descriptor']}")
    table.finish()
    variant = MatchingVariant(name, settings)
    try:
        variant.extractor().check_params()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{table.path}: {name}: {error}") from None
    return variant


def _sequence_names() -> list[str]:
    return [name for name in dataset_names() if isinstance(find_dataset(name).layout, Sequences)]
