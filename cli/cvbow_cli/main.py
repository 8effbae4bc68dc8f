"""The ``cvbow`` command: finds its subcommands, and turns a user's mistakes into one clear line."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

import click

from cvbow import __version__
from cvbow.tables import printable

#: Subcommand, its module, and its summary; a module is imported when its command runs, so that help answers at once.
COMMANDS = {
    "demo": ("cvbow_cli.demo", "Train and evaluate a classifier of handwritten digits; nothing is downloaded."),
    "stats": ("cvbow_cli.stats", "Describe a set of images: sizes, channels, mean image, montage."),
    "augment": ("cvbow_cli.augment", "Write randomly transformed variants of images."),
    "train": ("cvbow_cli.train", "Train a classifier on a folder of images."),
    "predict": ("cvbow_cli.predict", "Classify images."),
    "evaluate": ("cvbow_cli.evaluate", "Evaluate a model on labelled images."),
    "compare": ("cvbow_cli.compare", "Compare backends, classical and CNN, with the same splits and classifier."),
    "features": ("cvbow_cli.features", "Show the edges, corners, blobs and keypoints of an image."),
    "match": ("cvbow_cli.match", "Match two images."),
    "index": ("cvbow_cli.index", "Find images: build an index, search it, evaluate it, find duplicates."),
    "bench": ("cvbow_cli.bench", "Run benchmarks, and compare the results with published figures."),
    "data": ("cvbow_cli.data", "List, fetch and verify the benchmarks' data sets."),
    "info": ("cvbow_cli.info", "Show what is in a model file."),
}


class CvbowGroup(click.Group):
    """A group whose commands load when they run, and whose errors are messages instead of tracebacks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what cvbow and the system raise becomes a line on stderr and an exit code."""
        for stream in (sys.stdout, sys.stderr):
            # Whatever a terminal can encode: a name or a class that it cannot is escaped.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        written: list[str] = []
        try:
            with _interruptible(), contextlib.ExitStack() as stack:
                self._invoke(ctx, stack, written)
        except KeyboardInterrupt as error:
            files = f"written: {', '.join(written[:3])}" + (f" and {len(written) - 3} more" if written[3:] else "")
            said = str(error) or (files if written else "nothing was written")
            click.echo(f"cvbow: interrupted; {printable(said)}", err=True)
            ctx.exit(130)

    def _invoke(self, ctx: click.Context, stack: contextlib.ExitStack, written: list[str]) -> None:
        from cvbow.errors import CvbowError
        from cvbow.storage import recording

        try:
            stack.enter_context(recording(written))
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except CvbowError as error:
            _fail(ctx, str(error), 1)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            _fail(ctx, _describe(error), 1)
        except (ValueError, TypeError) as error:
            _fail(ctx, str(error), 2)
        except ImportError as error:
            _fail(ctx, str(error), 1)
        except MemoryError:
            _fail(ctx, "not enough memory: use fewer or smaller images, fewer words, or smaller grids", 1)
        except Exception as error:
            # Nobody's mistake that is foreseen: of OpenCV, of a library, or of cvbow itself.
            line = next(iter(str(error).strip().splitlines()), "")
            _fail(ctx, f"{type(error).__name__}: {line} (cvbow --debug {ctx.invoked_subcommand} ... shows where)", 1)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt alike; those that are ignored, as by nohup, stay so."""
    first: list[float] = []

    def interrupt(number: int, frame: object) -> None:
        if not first:
            first.append(time.monotonic())
            threading.excepthook = lambda failed: None  # what threads of others say of work that was cut off
            raise KeyboardInterrupt
        # One signal may come twice, to the process and to its group; a person who repeats it does not want to wait.
        if time.monotonic() - first[0] > 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    before, hook = {}, threading.excepthook
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = signal.Signals.__members__.get(name)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        threading.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as a user wants it: without the line of code that it came from."""
    click.echo(f"cvbow: warning: {printable(str(message))}", err=True)


def _fail(ctx: click.Context, message: str, code: int) -> None:
    if ctx.obj and ctx.obj.get("debug"):
        raise
    click.echo("cvbow: error: " + "\n".join(map(printable, message.splitlines())), err=True)
    ctx.exit(code)


def _describe(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else str(error)


def _import_modules(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> None:
    """Import modules that register parts, also from the current folder; commands and their help see the parts then."""
    if names:
        sys.path.append(os.getcwd())
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise click.BadParameter(f"cannot import {name}: {type(error).__name__}: {error}") from error


@click.group(cls=CvbowGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="cvbow")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--import",
    metavar="MODULE",
    multiple=True,
    expose_value=False,
    callback=_import_modules,
    envvar="CVBOW_IMPORT",
    show_envvar=True,
    help="Import a module first, which registers parts of your own; it may lie in the current folder. May be repeated.",
)
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Classical image recognition: features, visual words, scikit-learn.

    \b
    cvbow demo                                    see it work on real handwritten digits
    cvbow train photos/ -o model.cvbow            photos/<class>/<image>
    cvbow predict model.cvbow new.jpg
    cvbow evaluate model.cvbow held-out/
    """
    ctx.obj = {"debug": debug}


if __name__ == "__main__":
    cli(prog_name="cvbow")
    sys.exit(0)
