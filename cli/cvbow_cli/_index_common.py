"""What the commands of an index share."""

from __future__ import annotations

import click

from cvbow_cli._what import IndexPath

__all__ = ["argument_index", "images", "megabytes"]

argument_index = click.argument("index", metavar="INDEX", type=IndexPath())


def megabytes(n_bytes: int) -> str:
    """Return a size for a person."""
    return f"{n_bytes / 1e6:.1f} MB"


def images(number: int) -> str:
    """Return a number of images in words."""
    return f"{number} image{'' if number == 1 else 's'}"
