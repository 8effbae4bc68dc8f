"""``cvbow index``: the group, and what tells of an index: ``info`` and ``check``."""

from __future__ import annotations

import os
from typing import Any

import click

from cvbow.index import ImageIndex
from cvbow_cli._common import ListingGroup, document_table, echo_json, echo_tables, option_json, printable
from cvbow_cli._index_changes import add, build, compact, remove, update
from cvbow_cli._index_common import argument_index, megabytes
from cvbow_cli._index_queries import duplicates, evaluate, search

__all__ = ["command"]

#: Paths that are listed for a person.
_SHOWN = 20


@click.group(name="index", cls=ListingGroup)
def command() -> None:
    """Find images: the same thing, or the same picture, among many.

    An index is a folder. It knows an image by its path, which is relative if the image is below the folder that the
    index lies in. Any number of processes may search an index while one process changes it.

    \b
    Example:
      cvbow index build photos/ -o photos.index
      cvbow index search photos.index query.jpg -o found.png
      cvbow index duplicates photos.index
      cvbow index add photos.index more-photos/
    """


@click.command(name="info")
@argument_index
@click.option("--paths", "as_paths", is_flag=True, help="List the paths of the images, one per line.")
@option_json
def info(index: str, as_paths: bool, as_json: bool) -> None:
    """Show what is in an index: how many images, what they are compared by, its size.

    \b
    Example:
      cvbow index info photos.index
      cvbow index info photos.index --paths
    """
    with ImageIndex.open(index, check=False) as opened:
        document = _facts(opened)
        paths = opened.paths if as_paths else []
    if as_json:
        echo_json(document | ({"paths": paths} if as_paths else {}))
    elif as_paths:
        for path in paths:
            click.echo(printable(path))
    else:
        echo_tables([document_table(document | {"n_bytes": megabytes(document["n_bytes"])})])


@click.command(name="check")
@argument_index
@option_json
def check(index: str, as_json: bool) -> None:
    """Verify every file of an index against its checksum, and list images whose file is gone.

    A damaged index is an error (exit code 1): build it again from its images. A vanished image file is not.

    \b
    Example:
      cvbow index check photos.index
    """
    with ImageIndex.open(index, check=True) as opened:
        files = [opened.file(row) for row in opened.rows.tolist()]
        names, n_bytes = opened.paths, opened.n_bytes
        vanished = [
            name for name, file in zip(names, files, strict=True) if file is not None and not os.path.lexists(file)
        ]
        document = {
            "index": index,
            "sound": True,
            "n_images": len(opened),
            "n_segments": opened.n_segments,
            "n_bytes": n_bytes,
            "vanished": vanished,
        }
    if as_json:
        echo_json(document)
        return
    click.echo(f"index       {printable(index)} is sound")
    click.echo(f"images      {document['n_images']}, {len(vanished)} of them without their file")
    for name in vanished[:_SHOWN]:
        click.echo(f"  {printable(name)}")
    if len(vanished) > _SHOWN:
        click.echo(f"  and {len(vanished) - _SHOWN} more; --json lists them all")
    click.echo(f"size        {megabytes(n_bytes)} in {document['n_segments']} segments")


def _facts(index: ImageIndex) -> dict[str, Any]:
    describer = index.describer
    parameters = describer.get_params(deep=False)
    return {
        "index": index.path,
        "root": index.root,
        "kind": index.kind,
        "n_images": len(index),
        "n_segments": index.n_segments,
        "n_bytes": index.n_bytes,
        "verifiable": describer.has_geometry,
        "describer": type(describer).__name__,
        "parameters": {
            name: value if isinstance(value, bool | int | float | str | None) else " ".join(repr(value).split())
            for name, value in parameters.items()
            if name not in ("n_jobs", "memory")
        },
        "arrays": {name: f"{spec.dtype} per {spec.per}" for name, spec in describer.layout().items()},
    }


for part in (build, search, add, update, remove, evaluate, duplicates, info, check, compact):
    command.add_command(part)
