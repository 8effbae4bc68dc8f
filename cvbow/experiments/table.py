"""From results to a table with the published figures and the differences, for a terminal or for Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cvbow.experiments.definition import AnyDefinition
from cvbow.experiments.retrieval_benchmark import RETRIEVAL_KIND, figure_of
from cvbow.experiments.runner import KIND, read_result
from cvbow.images import natural_key

__all__ = ["Row", "as_markdown", "as_text", "collect_results", "result_rows", "target_rows"]

_HEADS = ("benchmark", "preset", "runs", "%", "published %", "difference", "by")
_RIGHT = (False, False, True, False, False, True, False)


@dataclass(frozen=True)
class Row:
    """A result beside one published figure; or, below the first row of a result, a further figure.

    Attributes
    ----------
    benchmark, preset : str
        Of a variant, its name stands in place of the preset's.
    runs : int or None
        Splits times seeds; None without a result.
    figure, std : float or None
        Percent, of the definition's metric.
    published, published_std : float or None
        Percent.
    by, source : str
        Whose figure it is, with how sure it is; and where it stands.
    quick : bool
        A smoke run, whose figure is not compared.
    first : bool
        Whether it is the first row of its result.
    """

    benchmark: str
    preset: str
    runs: int | None
    figure: float | None
    std: float | None
    published: float | None
    published_std: float | None
    by: str
    source: str = ""
    quick: bool = False
    first: bool = True

    @property
    def difference(self) -> float | None:
        """The result less the published figure, in points; None where one of them is missing or the run was quick."""
        return None if self.figure is None or self.published is None or self.quick else self.figure - self.published


def collect_results(paths: Iterable[str | os.PathLike[str]]) -> list[dict[str, Any]]:
    """Read result files, and those results that lie directly in folders.

    Raises
    ------
    FileNotFoundError
    ValueError
        When a file that was named is not a result, or no result is found.
    """
    results = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(path.glob("*.json"), key=lambda file: natural_key(file.name))
            results += [read_result(file) for file in inside if _is_result(file)]
        else:
            results.append(read_result(path))
    if not results:
        raise ValueError("no result of a benchmark was found there; cvbow bench run NAME -o FILE writes one")
    return results


def result_rows(results: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return the rows of a table of results, a row more for each further published figure."""
    rows = []
    for result in results:
        if result.get("kind") == RETRIEVAL_KIND:
            rows += _retrieval_rows(result)
            continue
        for part in result.get("variants", [result]):
            measured = part[result["metric"]]
            std = None if measured["std"] is None else 100 * measured["std"]
            common = (result["benchmark"], part.get("name", result["definition"]["preset"]), len(part["splits"]))
            for number, figure in enumerate(result["published"] or [None]):
                rows.append(_row(common, 100 * measured["mean"], std, figure, quick=result["quick"], first=number == 0))
    return rows


def _retrieval_rows(result: Mapping[str, Any]) -> list[Row]:
    """Each variant beside the figures that were published for one like it."""
    rows = []
    for part in result["variants"]:
        name = f"{part['name']}, {result['metric']}"
        measured = 100 * figure_of(part, result["metric"])
        for number, figure in enumerate(part["published"] or [None]):
            common = (result["benchmark"], name, 1)
            rows.append(_row(common, measured, None, figure, quick=result["quick"], first=number == 0))
    return rows


def _is_result(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return KIND in text or RETRIEVAL_KIND in text


def target_rows(definitions: Iterable[AnyDefinition]) -> list[Row]:
    """Return the rows of a table of published figures alone."""
    rows = []
    for definition in definitions:
        for number, figure in enumerate(definition.published or [None]):
            given = None if figure is None else asdict(figure)
            rows.append(_row((definition.name, definition.preset, None), None, None, given, first=number == 0))
    return rows


def _row(
    common: tuple[str, str, int | None],
    figure: float | None,
    std: float | None,
    published: Mapping[str, Any] | None,
    *,
    quick: bool = False,
    first: bool = True,
) -> Row:
    if published is None:
        return Row(*common, figure, std, None, None, "no published figure", "", quick, first)
    by = f"{published['method']} ({published['status']})"
    return Row(*common, figure, std, published["figure"], published["std"], by, published["source"], quick, first)


def _cells(row: Row, *, sources: bool = False) -> tuple[str, ...]:
    own = ("", "", "", "")
    if row.first:
        runs = "" if row.runs is None else str(row.runs)
        figure = _percent(row.figure, row.std) + (" (quick: means nothing)" if row.quick else "")
        own = (row.benchmark, row.preset, runs, figure)
    difference = "" if row.difference is None else f"{row.difference:+.1f}"
    by = f"{row.by}; {row.source}" if sources and row.source else row.by
    return (*own, _percent(row.published, row.published_std), difference, by)


def _percent(figure: float | None, std: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.1f}" if std is None else f"{figure:.1f} ± {std:.1f}"


def as_text(rows: Sequence[Row]) -> str:
    """Return a table for a terminal."""
    lines = [_HEADS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADS))]
    return "\n".join(
        "  ".join(
            f"{cell:>{width}}" if right else f"{cell:<{width}}"
            for cell, width, right in zip(line, widths, _RIGHT, strict=True)
        ).rstrip()
        for line in lines
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """Return a table in Markdown, with the sources of the published figures."""
    marks = ["---:" if right else "---" for right in _RIGHT]
    lines = [_HEADS, marks, *([cell.replace("|", r"\|") for cell in _cells(row, sources=True)] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
