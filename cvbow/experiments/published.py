"""A figure that somebody else gave for the same data set and protocol."""

from __future__ import annotations

from dataclasses import dataclass

from cvbow._toml import NUMBER, TEXT, Rule, TomlTable, one_of

__all__ = ["STATUS", "Published", "take_published"]

#: How sure a published figure is: from the paper's text, from its authors' code or page, or measured by this project.
STATUS = ("as reported", "from the authors' code", "measured here")

_PERCENT = Rule("a number of percent, 0 to 100", lambda value: NUMBER.holds(value) and 0 <= value <= 100)


@dataclass(frozen=True)
class Published:
    """A figure that somebody else gave for the same data set and protocol.

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
    """

    method: str
    figure: float
    std: float | None
    source: str
    status: str


def take_published(table: TomlTable) -> Published:
    """Take a figure from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    figure = Published(
        method=table.take("method", TEXT),
        figure=float(table.take("figure", _PERCENT)),
        std=table.take("std", _PERCENT, None),
        source=table.take("source", TEXT),
        status=table.take("status", one_of(STATUS)),
    )
    table.finish()
    return figure
