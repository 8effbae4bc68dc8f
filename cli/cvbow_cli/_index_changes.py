"""``cvbow index add``, ``update``, ``remove`` and ``compact``."""

from __future__ import annotations

import time

import click

from cvbow.index import ImageIndex
from cvbow_cli._common import echo_json, option_json, printable, work_options, working
from cvbow_cli._index_common import (
    argument_index,
    echo_changes,
    images,
    images_of,
    lines_of,
    megabytes,
    option_strict,
    told_when_cut_off,
)

__all__ = ["add", "compact", "remove", "update"]


@click.command(name="add")
@argument_index
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@option_strict
@work_options
@option_json
def add(
    index: str,
    sources: tuple[str, ...],
    strict: bool,
    n_jobs: int,
    executor: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Add images to an index, those that are not in it yet.

    A SOURCE is a folder, with images at any depth, a CSV with the columns path,label, an image, or '-' for paths on
    stdin. An add that was cut off can be repeated: what it has done stays. Files that have changed since they were
    added are told, and left to 'update'.

    \b
    Example:
      cvbow index add photos.index more-photos/
      find new/ -name '*.jpg' | cvbow index add photos.index - --json
    """
    started = time.perf_counter()
    given = images_of(sources, quiet=quiet or as_json)
    with (
        working(quiet=quiet, executor=executor, scheduler=scheduler),
        ImageIndex.open(index, write=True, n_jobs=n_jobs) as opened,
    ):
        with told_when_cut_off(opened, "add", index, sources):
            report = opened.add(given, strict=strict)
        echo_changes(opened, index, report, started, verb="add", as_json=as_json, quiet=quiet)


@click.command(name="update")
@argument_index
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("--remove-vanished", is_flag=True, help="Remove the images whose file is no longer there.")
@option_strict
@work_options
@option_json
def update(
    index: str,
    sources: tuple[str, ...],
    remove_vanished: bool,
    strict: bool,
    n_jobs: int,
    executor: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Bring an index up to date with its files: those that changed are described anew, those that vanished listed.

    With a SOURCE, its new images are added, too.

    \b
    Example:
      cvbow index update photos.index
      cvbow index update photos.index photos/ --remove-vanished
    """
    started = time.perf_counter()
    given = images_of(sources, quiet=quiet or as_json) if sources else None
    with (
        working(quiet=quiet, executor=executor, scheduler=scheduler),
        ImageIndex.open(index, write=True, n_jobs=n_jobs) as opened,
    ):
        with told_when_cut_off(opened, "update", index, sources):
            report = opened.update(given, strict=strict)
        if remove_vanished:
            opened.remove(report.vanished)
        echo_changes(opened, index, report, started, verb="update", as_json=as_json, quiet=quiet)


@click.command(name="remove")
@argument_index
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@option_json
@click.pass_context
def remove(ctx: click.Context, index: str, paths: tuple[str, ...], as_json: bool) -> None:
    """Remove images from an index; their files are left alone.

    A PATH is that of a file, which need not be there any more, or one that 'info --paths' lists; '-' reads them from
    stdin. Paths that the index does not know are reported, and the exit code is 1. 'compact' gives the space back.

    \b
    Example:
      cvbow index remove photos.index photos/blurred.jpg
    """
    with ImageIndex.open(index, write=True) as opened:
        report = opened.remove(list(lines_of(paths)))
        left = len(opened)
    if as_json:
        echo_json({"index": index, "n_images": left, "removed": report.removed, "missing": report.missing})
    else:
        for path in report.missing:
            click.echo(f"cvbow: not in the index: {printable(path)}", err=True)
        click.echo(f"removed     {len(report.removed)}")
        click.echo(f"index       {printable(index)}, {images(left)}")
    if report.missing:
        ctx.exit(1)


@click.command(name="compact")
@argument_index
@option_json
def compact(index: str, as_json: bool) -> None:
    """Write an index anew without what was removed from it; no answer changes.

    \b
    Example:
      cvbow index compact photos.index
    """
    with ImageIndex.open(index, write=True) as opened:
        before = opened.n_bytes
        opened.compact()
        after, segments, left = opened.n_bytes, opened.n_segments, len(opened)
    if as_json:
        echo_json(
            {"index": index, "n_images": left, "n_segments": segments, "n_bytes": after, "n_bytes_before": before}
        )
        return
    click.echo(f"index       {printable(index)}, {images(left)}, {segments} segment{'' if segments == 1 else 's'}")
    click.echo(f"size        {megabytes(before)} before, {megabytes(after)} now")
