"""A table of texts, for a terminal, for Markdown and for a notebook; and how figures are written in it."""

from __future__ import annotations

import html
import re
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Table", "Tabular", "counted", "duration", "figure", "percent", "printable", "shares", "some"]

#: A column whose cells all are like this, or empty, stands to the right: "81.4 ± 0.5", "< 0.0001", "26.3 ms", "+5 %".
_FIGURE = re.compile(r"(< )?[+-]?\d[\d,.]*(%| .*)?")


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    heads : sequence of str
        Of the columns; empty for a list of names with their values.
    rows : sequence of sequence of str
        As many cells in each as there are columns.
    title : str
        What the table is of: a phrase without a full stop.
    notes : str
        What must be said besides: whole sentences.

    Examples
    --------
    >>> from cvbow.tables import Table
    >>> table = Table(["class", "images"], [["cat", "12"], ["dog", "3"]])
    >>> print(table.text())
    class  images
    cat        12
    dog         3
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: str = ""

    def text(self) -> str:
        """Return the table for a terminal: columns of figures to the right, control characters escaped."""
        lines = [[printable(cell) for cell in row] for row in ([self.heads] if self.heads else []) + [*self.rows]]
        cells = zip(*lines, strict=True)
        columns = [_aligned(column, right) for column, right in zip(cells, self._right(), strict=True)]
        body = "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))
        around = [textwrap.fill(printable(part), 110) for part in (self.title, self.notes)]
        return "\n\n".join(part for part in (around[0], body, around[1]) if part)

    def markdown(self) -> str:
        """Return the table in Markdown."""
        right = self._right()
        heads = self.heads or [""] * len(right)
        marks = ["---:" if figures else "---" for figures in right]
        lines = ([cell.replace("|", r"\|") for cell in row] for row in (heads, marks, *self.rows))
        body = "\n".join("|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in lines)
        return "\n\n".join(part for part in (self.title and f"{self.title}:", body, self.notes) if part)

    def html(self) -> str:
        """Return the table in HTML, without a style of its own: a notebook has one."""
        right = self._right()
        lines = []
        for tag, rows in (("th", [self.heads] if self.heads else []), ("td", self.rows)):
            for row in rows:
                cells = zip(right, map(html.escape, row), strict=True)
                told = (f'<{tag} style="text-align: {"right" if at else "left"}">{cell}</{tag}>' for at, cell in cells)
                lines.append(f"<tr>{''.join(told)}</tr>")
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        notes = f"<p>{html.escape(self.notes)}</p>" if self.notes else ""
        return f"<table>{caption}{''.join(lines)}</table>{notes}"

    def _repr_html_(self) -> str:
        return self.html()

    def _right(self) -> list[bool]:
        """Tell which columns hold figures; the values of a list of names are of all kinds."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.heads)
        return [
            bool(self.heads) and any(column) and all(not cell or _FIGURE.fullmatch(cell) for cell in column)
            for column in columns
        ]


class Tabular(ABC):
    """What tells itself in tables: ``print`` writes them, and a notebook shows them.

    Examples
    --------
    >>> from cvbow.tables import Table, Tabular
    >>> class Count(Tabular):
    ...     def tables(self):
    ...         return [Table((), [("images", "12")])]
    >>> print(Count())
    images  12
    """

    @abstractmethod
    def tables(self) -> list[Table]:
        """Return what it tells, for a person."""

    def __str__(self) -> str:
        return "\n\n".join(table.text() for table in self.tables())

    def html(self) -> str:
        """Return it as HTML."""
        return "\n".join(table.html() for table in self.tables())

    def _repr_html_(self) -> str:
        return self.html()


def _aligned(cells: Sequence[str], right: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]


def figure(value: float | None) -> str:
    """Return a number as a person reads it, with about three digits; nothing for None.

    Examples
    --------
    >>> from cvbow.tables import figure
    >>> figure(1234.6), figure(12.345), figure(1.2345)
    ('1,235', '12.3', '1.23')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def counted(number: int, what: str) -> str:
    """Return a number of things and what they are, its thousands apart.

    Examples
    --------
    >>> from cvbow.tables import counted
    >>> counted(1, "image"), counted(12345, "image"), counted(2, "class")
    ('1 image', '12,345 images', '2 classes')
    """
    return f"{number:,} {what}{'' if number == 1 else 'es' if what.endswith(('s', 'x')) else 's'}"


def percent(share: float | None, spread: float | None = None) -> str:
    """Return a share of 1 in percent, "81.4 ± 0.5" with a spread; nothing for None.

    Examples
    --------
    >>> from cvbow.tables import percent
    >>> percent(0.8137, 0.0052)
    '81.4 ± 0.5'
    """
    if share is None:
        return ""
    return f"{100 * share:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")


def shares(parts: Mapping[str, float]) -> list[str]:
    """Return how much each of several parts counts.

    Examples
    --------
    >>> from cvbow.tables import shares
    >>> shares({"local": 0.8, "colour": 0.2, "gist": 0})
    ['local 0.80', 'colour 0.20', 'gist left out']
    """
    return [f"{name} {share:.2f}" if share else f"{name} left out" for name, share in parts.items()]


def some(names: Sequence[str], limit: int = 5) -> str:
    """Return the first names, up to a limit, and how many more there are.

    Examples
    --------
    >>> from cvbow.tables import some
    >>> some(["cat", "dog"]), some(["cat", "dog", "cow"], 2)
    ('cat, dog', 'cat, dog and 1 more')
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def views_used(numbers: Mapping[str, int]) -> str:
    """Return what is done with the views of images.

    Examples
    --------
    >>> from cvbow.tables import views_used
    >>> views_used({"learned from": 5, "answered by": 1})
    'learned from 5 of each image, answered by 1'
    """
    return f"learned from {numbers['learned from']} of each image, answered by {numbers['answered by']}"


def duration(seconds: float) -> str:
    """Return a time in seconds or milliseconds."""
    return f"{figure(seconds)} s" if seconds >= 0.1 else f"{figure(1e3 * seconds)} ms"


def printable(text: str) -> str:
    """Return the text with control characters, and what cannot be encoded, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
