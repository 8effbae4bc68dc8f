"""Published figures for the same data set and protocol, and results beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cvbow._toml import NUMBER, TEXT, Rule, TomlTable, one_of
from cvbow.tables import Table

#: How sure a published figure is: from the paper's text, from its authors' code or page, or measured by this project.
STATUS = ("as reported", "from the authors' code", "measured here")

_PERCENT = Rule("a number of percent, 0 to 100", lambda value: NUMBER.holds(value) and 0 <= value <= 100)


@dataclass(frozen=True)
class Published:
    """A published figure for the same data set and protocol.

    Attributes
    ----------
    method : str
    figure : float
        Percent.
    std : float or None
        Standard deviation over splits, percent.
    source : str
        Where it stands.
    status : str
        One of ``STATUS``.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> published = find_benchmark("scene15-spm").published[0]
    >>> published.figure, published.status
    (81.4, 'as reported')
    """

    method: str
    figure: float
    std: float | None
    source: str
    status: str


def take_published(table: TomlTable) -> tuple[Published, ...]:
    """Take the figures below ``published``; ValueError that names the file and the key that is wrong."""
    return tuple(map(_take, table.tables("published")))


def _take(table: TomlTable) -> Published:
    figure = Published(
        method=table.take("method", TEXT),
        figure=float(table.take("figure", _PERCENT)),
        std=table.take("std", _PERCENT, None),
        source=table.take("source", TEXT),
        status=table.take("status", one_of(STATUS)),
    )
    table.finish()
    return figure


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

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark, target_rows
    >>> row, *_ = target_rows([find_benchmark("scene15-spm")])
    >>> row.benchmark, row.figure, row.published
    ('scene15-spm', None, 81.4)
    """

    benchmark: str
    preset: str
    runs: int | None = None
    figure: float | None = None
    std: float | None = None
    published: float | None = None
    published_std: float | None = None
    by: str = "no published figure"
    source: str = ""
    quick: bool = False
    first: bool = True

    @property
    def difference(self) -> float | None:
        """The result less the published figure, in points; None where one of them is missing or the run was quick."""
        return None if self.figure is None or self.published is None or self.quick else self.figure - self.published


def beside(
    published: Sequence[Mapping[str, Any] | Published], benchmark: str, preset: str, **own: Any
) -> Iterator[Row]:
    """Yield a result's row for each published figure, as definitions or results have them, or one where there is none.

    ``own`` are ``runs``, ``figure``, ``std`` and ``quick`` of the ``Row``, where there is a result.
    """
    if not published:
        yield Row(benchmark, preset, **own)
    for number, one in enumerate(published):
        given = asdict(one) if isinstance(one, Published) else one
        yield Row(
            benchmark,
            preset,
            **own,
            published=given["figure"],
            published_std=given["std"],
            by=f"{given['method']} ({given['status']})",
            source=given["source"],
            first=number == 0,
        )


def rows_table(rows: Sequence[Row], *, sources: bool = False) -> Table:
    """Return rows as a table; with the sources of the published figures where they are asked for."""
    heads = ("benchmark", "preset", "runs", "%", "published %", "difference", "by")
    return Table(heads, [_cells(row, sources=sources) for row in rows])


def _cells(row: Row, *, sources: bool) -> tuple[str, ...]:
    own = ("", "", "", "")
    if row.first:
        runs = "" if row.runs is None else str(row.runs)
        figure = _percent(row.figure, row.std) + (" (quick run: not meaningful)" if row.quick else "")
        own = (row.benchmark, row.preset, runs, figure)
    difference = "" if row.difference is None else f"{row.difference:+.1f}"
    by = f"{row.by}; {row.source}" if sources and row.source else row.by
    return (*own, _percent(row.published, row.published_std), difference, by)


def _percent(figure: float | None, std: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.1f}" if std is None else f"{figure:.1f} ± {std:.1f}"
