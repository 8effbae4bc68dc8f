"""What the commands share: options, the terminal's progress bar, tables."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click

from cvbow import parallel
from cvbow.annotations import has_objects, read_objects
from cvbow.errors import ImageError
from cvbow.images import ImageList, Reading, gather_images, layout_doubts, list_images, reading_as
from cvbow.storage import readable_json
from cvbow.tables import Table, printable

__all__ = [
    "document_table",
    "echo_json",
    "echo_tables",
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
    def work(*values: Any, executor: str, scheduler: str | None, wait: float, quiet: bool, **named: Any) -> Any:
        with contextlib.ExitStack() as stack:
            if not quiet:
                stack.enter_context(parallel.reporting(TerminalReporter()))
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


class TerminalReporter:
    """Notes as lines on stderr; progress as one line that is drawn over, with an estimate, on a terminal only."""

    #: Seconds between two drawings.
    PAUSE = 0.1

    def __init__(self) -> None:
        self.stream = sys.stderr
        self.shown = self.stream.isatty()
        self.task, self.total, self.started, self.drawn = "", 0, 0.0, 0.0

    def note(self, line: str) -> None:
        """Print a line; on a terminal it is broken between words."""
        line = printable(line)
        if self.shown:
            width = shutil.get_terminal_size().columns
            line = textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        click.echo(line, err=True)

    def start(self, task: str, total: int) -> None:
        """Begin a bar."""
        self.task, self.total, self.started, self.drawn = task, total, time.monotonic(), 0.0
        self.update(0)

    def update(self, done: int) -> None:
        """Draw the bar, unless it was drawn a moment ago."""
        now = time.monotonic()
        if not self.shown or (now - self.drawn < self.PAUSE and done < self.total):
            return
        self.drawn = now
        filled = round(24 * done / self.total) if self.total else 24
        elapsed = now - self.started
        left = f", {_duration(elapsed * (self.total - done) / done)} left" if 0 < done < self.total else ""
        line = f"{self.task:<12} [{'#' * filled}{'.' * (24 - filled)}] {done}/{self.total}{left}"
        self.stream.write(f"\r{line}\x1b[K")
        self.stream.flush()

    def finish(self) -> None:
        """Wipe the bar."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def labelled_images(source: str, split: str | None, *, several: bool = False) -> ImageList:
    """List a folder or CSV; where it has splits, take the one that is wanted and say so, or all of them for None.

    With ``several`` an image may have several labels: in a CSV, or by the classes of the objects that are marked on it.
    """
    images = _labelled_by_objects(source) if several and has_objects(source) else list_images(source, several=several)
    if images.ignored:
        reasons = "hidden, not images, outside a class folder, or listed already"
        parallel.note(f"{images.ignored} files left out: {reasons}")
    for name in images.empty:
        parallel.note(f"{name}: no images in this folder")
    if split is None:
        return images
    for line in layout_doubts(source, images):
        parallel.note(f"warning: {line}")
    if images.has_splits:
        chosen = images.select(split)
        if len(chosen):
            parallel.note(f"split {split}: {len(chosen)} of {len(images)} images")
            return chosen
        if split == "train":
            found = sorted({name for name in images.splits if name})
            raise click.UsageError(f"{source} has no images to train on; its splits are {', '.join(found)}")
    return images


def _labelled_by_objects(source: str) -> ImageList:
    found = read_objects(source)
    parallel.note(f"{found.n_objects} objects are marked on {len(found)} images, whose labels are the objects' classes")
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
        if os.path.isdir(path) or path.casefold().endswith(".csv"):
            yield from map(str, gather_images([path])[0])
        else:
            yield path


class ModelPath(click.Path):
    """The path of a model file, which is there; a folder in its place says what comes first."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the path."""
        if os.path.isdir(value):
            self.fail(f"{value!r} is a folder, and MODEL a file: it comes first", param, ctx)
        return super().convert(value, param, ctx)


argument_model = click.argument("model", metavar="MODEL", type=ModelPath())


def echo_json(document: object) -> None:
    """Print one JSON document on stdout: in UTF-8, whatever a terminal's text is encoded in."""
    click.echo(readable_json(document))


def echo_tables(tables: Iterable[Table], *, markdown: bool = False) -> None:
    """Print tables on stdout, a blank line between them."""
    click.echo("\n\n".join(table.markdown() if markdown else table.text() for table in tables))


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
        parallel.note(f"{len(skipped)} images skipped:")
        for error in skipped[:limit]:
            parallel.note(f"  {error}")
        if len(skipped) > limit:
            parallel.note(f"  and {len(skipped) - limit} more; --json lists them all")
