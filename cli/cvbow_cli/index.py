"""``cvbow index``: the group; its commands are in the modules ``_index_...``."""

from __future__ import annotations

import click

from cvbow_cli._index_build import build
from cvbow_cli._index_changes import add, compact, remove, update
from cvbow_cli._index_duplicates import duplicates
from cvbow_cli._index_evaluate import evaluate
from cvbow_cli._index_search import search
from cvbow_cli._index_state import check, info

__all__ = ["command"]


@click.group(name="index")
def command() -> None:
    """Find images: the same thing, or the same picture, among many.

    An index is a folder. Images in it are known by their paths, relative to the folder that the index lies in where
    they are below that. Any number of processes may search an index while one changes it.

    \b
    Example:
      cvbow index build photos/ -o photos.index
      cvbow index search photos.index query.jpg -o found.png
      cvbow index duplicates photos.index
      cvbow index add photos.index more-photos/
    """


for part in (build, search, add, update, remove, evaluate, duplicates, info, check, compact):
    command.add_command(part)
