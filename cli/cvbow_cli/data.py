"""``cvbow data``."""

from __future__ import annotations

import contextlib
import os

import click

from cvbow.datasets import Place, dataset_names, fetch, find_dataset, locate, verify
from cvbow.errors import DatasetError
from cvbow.progress import TerminalReporter, reporting
from cvbow_cli._common import ListingGroup, echo_json, option_json, printable

__all__ = ["command"]

option_quiet = click.option("--quiet", "-q", is_flag=True, help="Print no notes and no progress on stderr.")
option_jobs = click.option("--n-jobs", default=-1, show_default=True, help="Workers that hash files; -1: one per core.")


@click.group(name="data", cls=ListingGroup)
def command() -> None:
    """List, fetch and verify the data sets of the benchmarks.

    A data set that you have is used in place: CVBOW_DATA=FOLDER for a FOLDER/<data set>, or --data DIR. Fetched ones go
    into your cache folder, or into the folder CVBOW_CACHE.

    \b
    Example:
      cvbow data list
      cvbow data fetch kth-tips
      cvbow data verify kth-tips
    """


@command.command(name="list")
@option_json
def list_command(as_json: bool) -> None:
    """List the data sets, their terms, and where they are on this machine.

    \b
    Example:
      cvbow data list
    """
    rows = []
    for name in dataset_names():
        manifest = find_dataset(name)
        place = _place(name)
        rows.append(
            {
                "name": name,
                "title": manifest.title,
                "content": manifest.content,
                "n_images": manifest.n_images,
                "n_classes": manifest.n_classes,
                "homepage": manifest.homepage,
                "terms": manifest.terms,
                "citation": manifest.citation,
                "notes": manifest.notes,
                "can_be_fetched": bool(manifest.files),
                "bytes": sum(file.n_bytes or 0 for file in manifest.files) or None,
                "path": None if place is None else os.fspath(place.root),
                "origin": None if place is None else place.origin,
            }
        )
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        where = f"{row['origin']}: {row['path']}" if row["path"] else "absent"
        click.echo(f"{row['name']:<14} {row['n_images']:>6} images, {row['n_classes']:>3} classes   {printable(where)}")
        click.echo(f"{'':<14} {row['content']}\n{'':<14} {row['homepage']}\n{'':<14} terms: {row['terms']}")


@command.command(name="fetch")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--again", is_flag=True, help="Download again what is there.")
@click.option("--keep", is_flag=True, help="Keep the downloaded archives.")
@option_jobs
@option_quiet
@option_json
def fetch_command(names: tuple[str, ...], again: bool, keep: bool, n_jobs: int, quiet: bool, as_json: bool) -> None:
    """Download data sets into the cache, check their hashes, and unpack them.

    An interrupted download continues where it stopped. Needs pip install 'cvbow[data]'.

    \b
    Example:
      cvbow data fetch scene15 kth-tips
    """
    documents = []
    with contextlib.nullcontext() if quiet or as_json else reporting(TerminalReporter()):
        for name in names:
            got = fetch(name, again=again, keep=keep, n_jobs=n_jobs)
            archives = {file: vars(archive) for file, archive in got.record.archives.items()}
            documents.append(
                {"name": name, "path": os.fspath(got.place.root), "already": got.already, "archives": archives}
            )
            if as_json:
                continue
            click.echo(f"{name}: {printable(os.fspath(got.place.root))}{' (already there)' if got.already else ''}")
            for file, archive in got.record.archives.items():
                checked = "checked" if archive.checked else "recorded for the next time, as no hash is published"
                click.echo(f"  {file}  sha256:{archive.sha256}  {checked}")
            click.echo(f"  terms: {got.place.manifest.terms}\n  cite: {got.place.manifest.citation}")
    if as_json:
        echo_json(documents)


@command.command(name="verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--data", metavar="DIR", type=click.Path(file_okay=False), help="Folder of the data set; for one NAME.")
@option_jobs
@option_quiet
@option_json
def verify_command(names: tuple[str, ...], data: str | None, n_jobs: int, quiet: bool, as_json: bool) -> None:
    """Verify data sets on this machine; without a NAME, all that are there.

    A fetched data set is compared with the hashes recorded when it was fetched, and the first file that is wrong is
    named. Of your own copy, the numbers of images and classes are compared, and its hash is shown.

    \b
    Example:
      cvbow data verify scene15 --data scene15/
    """
    if data is not None and len(names) != 1:
        raise click.UsageError("--data needs exactly one NAME")
    documents = []
    with contextlib.nullcontext() if quiet or as_json else reporting(TerminalReporter()):
        for name in names or [name for name in dataset_names() if _place(name)]:
            found = verify(name, data, n_jobs=n_jobs)
            documents.append(
                {
                    "name": name,
                    "path": os.fspath(found.place.root),
                    "n_images": found.n_images,
                    "n_classes": found.n_classes,
                    "sha256": found.fingerprint,
                    "against": found.against,
                }
            )
            if not as_json:
                said = {
                    "record": "every file is as it was fetched",
                    "fingerprint": "the images are the known ones",
                    "counts": "as many images and classes as there should be",
                }[found.against]
                click.echo(f"{name}: {said}; {found.n_images} images, sha256:{found.fingerprint}")
    if as_json:
        echo_json(documents)


def _place(name: str) -> Place | None:
    with contextlib.suppress(DatasetError):
        return locate(name)
    return None
