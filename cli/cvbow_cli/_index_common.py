"""What the commands of an index share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

__all__ = ["argument_index", "images", "lines_of", "megabytes"]

argument_index = click.argument("index", metavar="INDEX", type=click.Path(exists=True))


def megabytes(n_bytes: int) -> str:
    """Return a size for a person."""
    return f"{n_bytes / 1e6:.1f} MB"


def images(number: int) -> str:
    """Return a number of images in words."""
    return f"{number} image{'' if number == 1 else 's'}"


def lines_of(paths: Sequence[str]) -> Iterator[str]:
    """Yield paths, those on stdin in place of '-'."""
    for path in paths:
        if path == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield path
