"""What the commands share: options, sets of images, tables."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from cvbow import parallel
from cvbow.annotations import has_objects, read_objects
from cvbow.errors import ImageError
from cvbow.images import ImageList, Reading, gather_images, layout_doubts, list_images, reading_as
from cvbow.progress import TerminalReporter, note, reporting
from cvbow.storage import readable_json
from cvbow.tables import Table, counted, printable
from cvbow_cli._what import refuse_as_images

__all__ = [
    "ListingGroup",
    "document_table",
    "echo_json",
    "echo_line",
    "echo_tables",
    "gathered",
    "images_of",
    "labelled_images",
    "lines_of",
    "option_background",
    "option_json",
    "option_max_pixels",
    "option_own_background",
    "printable",
    "skipped_as_json",
    "tell_skipped",
    "work_options",
]

F = TypeVar("F", bound=Callable[..., Any])

_REPORTER = "cvbow.reporter"

option_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")


def _read_otherwise(ctx: click.Context, option: click.Parameter, value: Any) -> Any:
    """Read images as an option says until the command ends, and let the command know."""
    if value is not None:
        try:
            ctx.with_resource(reading_as(**{str(option.name): value}))
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


option_max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    expose_value=False,
    callback=_read_otherwise,
    help=f"Read images of up to N pixels, with 8 bytes of memory for each.  [default: {Reading().max_pixels}]",
)
_BACKGROUND = "What transparent images are laid onto: white, gray, black or #rrggbb.  [default: white]"
option_background = click.option(
    "--background", metavar="COLOR", expose_value=False, callback=_read_otherwise, help=_BACKGROUND
)
#: Of what is stored, and then answers as it learned.
option_own_background = click.option("--background", metavar="COLOR", callback=_read_otherwise, help=_BACKGROUND)


def work_options(command: F) -> F:
    """Add the options of a command that goes through many images, which works as they say; it is told ``n_jobs``."""

    @functools.wraps(command)
    def work(
        *values: Any, executor: str, scheduler: str | None, wait: float, quiet: bool, verbose: bool, **named: Any
    ) -> Any:
        with contextlib.ExitStack() as stack:
            if not quiet:
                reporter = click.get_current_context().meta[_REPORTER] = TerminalReporter()
                stack.enter_context(reporting(reporter, details=verbose))
            stack.enter_context(parallel.executor(executor, scheduler, wait=wait))
            return command(*values, **named)

    decorated: Any = work
    for option in reversed(
        (
            click.option("--n-jobs", default=-1, show_default=True, help="Number of workers; -1: one per core."),
            click.option(
                "--executor",
                type=click.Choice(parallel.EXECUTORS),
                default="threads",
                show_default=True,
                help="How workers run.",
            ),
            click.option("--backend", hidden=True, expose_value=False, is_eager=True, callback=_old_name_of_executor),
            click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to use, tcp://host:port."),
            click.option(
                "--wait",
                type=click.FloatRange(0, min_open=True),
                default=30.0,
                show_default=True,
                metavar="SECONDS",
                help="Wait so long for Dask's scheduler, or for a first worker, and then give up.",
            ),
            click.option("--quiet", "-q", is_flag=True, help="Print no notes and no progress on stderr."),
            click.option("--verbose", "-v", is_flag=True, help="Print more notes: what is learned from what."),
        )
    ):
        decorated = option(decorated)
    result: F = decorated
    return result


def _old_name_of_executor(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        click.echo("cvbow: warning: --backend is now --executor; the next version will not know the old name", err=True)
        # The option is eager, so --executor, if it is not given as well, finds its default here.
        ctx.default_map = {**(ctx.default_map or {}), "executor": value}


def labelled_images(source: str, split: str | None, *, several: bool = False) -> ImageList:
    """List a folder or CSV; where it has splits, take the one that is wanted and say so, or all of them for None.

    With ``several`` an image may have several labels: in a CSV, or by the classes of the objects that are marked on it.
    """
    refuse_as_images(source)
    images = _labelled_by_objects(source) if several and has_objects(source) else list_images(source, several=several)
    if images.ignored:
        reasons = "hidden, not images, outside a class folder, or listed already"
        note(f"{counted(images.ignored, 'file')} left out: {reasons}")
    for name in images.empty:
        note(f"{name}: no images in this folder")
    if split is None:
        return images
    for line in layout_doubts(source, images):
        note(f"warning: {line}")
    if images.has_splits:
        chosen = images.select(split)
        if len(chosen):
            note(f"split {split}: {len(chosen)} of {len(images)} images")
            return chosen
        if split == "train":
            found = sorted({name for name in images.splits if name})
            raise click.UsageError(f"{source} has no images to train on; its splits are {', '.join(found)}")
    return images


def _labelled_by_objects(source: str) -> ImageList:
    found = read_objects(source)
    note(f"{found.n_objects} objects are marked on {len(found)} images, whose labels are the objects' classes")
    return ImageList(found.paths, found.labels, (None,) * len(found))


def lines_of(paths: Iterable[str]) -> Iterator[str]:
    """Yield paths, those on stdin in place of '-': a line each, of the bytes that file names are made of."""
    for path in paths:
        if path != "-":
            yield path
        elif sys.stdin is None:
            raise click.UsageError("'-' stands for paths on stdin, and stdin is closed")
        else:
            lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer)
            yield from (os.fsdecode(line) for line in lines if line.strip())


def images_of(paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths of images, those of ``lines_of``: of a folder or a CSV file, all in it; DatasetError for none."""
    for path in lines_of(paths):
        refuse_as_images(path)
        if os.path.isdir(path) or path.casefold().endswith(".csv"):
            yield from map(str, gather_images([path])[0])
        else:
            yield path


def gathered(paths: Iterable[str]) -> tuple[Path, ...]:
    """Return what ``images_of`` yields, each image once."""
    sources = list(lines_of(paths))
    for path in sources:
        refuse_as_images(path)
    return gather_images(sources)[0]


def echo_line(line: str, *, err: bool = False) -> None:
    """Print a line while work goes on: the bar, if there is one, stays below."""
    reporter = click.get_current_context().meta.get(_REPORTER)
    with contextlib.nullcontext() if reporter is None else reporter.hidden():
        click.echo(line, err=err)


def echo_json(document: object) -> None:
    """Print one JSON document on stdout: in UTF-8, whatever a terminal's text is encoded in."""
    click.echo(readable_json(document))


def echo_tables(tables: Iterable[Table], *, markdown: bool = False) -> None:
    """Print tables on stdout, a blank line between them."""
    click.echo("\n\n".join(table.markdown() if markdown else table.text() for table in tables))


class ListingGroup(click.Group):
    """A group whose help lists the first sentence of each command whole, over several lines if need be."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit=1000)) for name, command in commands.items() if command]
            )


def document_table(document: Mapping[str, Any]) -> Table:
    """Return what a JSON document says as a list of names and values; those of a value's own stand below it."""
    rows: list[tuple[str, str]] = []
    for key, value in document.items():
        inside = value if isinstance(value, dict) else None
        rows.append((key, "" if inside is not None else _text(value)))
        rows += [(f"  {name}", _text(item)) for name, item in (inside or {}).items()]
    return Table((), rows)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def skipped_as_json(skipped: Sequence[ImageError]) -> list[dict[str, str]]:
    """Return the skipped files as JSON values."""
    return [{"path": error.path, "reason": error.reason} for error in skipped]


def tell_skipped(skipped: Sequence[ImageError], limit: int = 20) -> None:
    """Say on stderr which images could not be read."""
    if skipped:
        note(f"{counted(len(skipped), 'image')} skipped:")
        for error in skipped[:limit]:
            note(f"  {error}")
        if len(skipped) > limit:
            note(f"  and {len(skipped) - limit} more; --json lists them all")
