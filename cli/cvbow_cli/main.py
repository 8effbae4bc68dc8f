"""The ``cvbow`` command: finds its subcommands, and turns a user's mistakes into one clear line."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
import warnings
from typing import Any, NoReturn, TextIO

import click

from cvbow import __version__
from cvbow.tables import printable
from cvbow_cli._interrupts import interruptible

#: Subcommand, its module, and its summary; a module is imported when its command runs, so that help answers at once.
COMMANDS = {
    "demo": ("cvbow_cli.demo", "Train and evaluate a classifier of handwritten digits; nothing is downloaded."),
    "stats": ("cvbow_cli.stats", "Describe a set of images: sizes, channels, mean image, montage."),
    "audit": ("cvbow_cli.audit", "Look for leaks, wrong labels, strangers, shortcuts and bad pictures in a set."),
    "augment": ("cvbow_cli.augment", "Write randomly transformed variants of images."),
    "train": ("cvbow_cli.train", "Train a classifier on a folder of images."),
    "predict": ("cvbow_cli.predict", "Classify images."),
    "evaluate": ("cvbow_cli.evaluate", "Evaluate a model on labelled images."),
    "next": ("cvbow_cli.next_images", "Choose the unlabelled images whose labels would teach a model the most."),
    "explain": ("cvbow_cli.explain", "Show why a model gives images their scores: points, words, heat maps."),
    "locate": ("cvbow_cli.locate", "Find where in images a class is, by a model of image labels."),
    "detect": ("cvbow_cli.detect", "Find objects: train a detector on boxes, run it, evaluate it."),
    "words": ("cvbow_cli.words", "Show the visual words of a model, and what they mean to each class."),
    "segment": ("cvbow_cli.segment", "Tell the class of every pixel, learned from masks or scribbles."),
    "tune": ("cvbow_cli.tune", "Search for recipes that are more accurate, faster or smaller than the presets."),
    "compare": ("cvbow_cli.compare", "Compare backends, classical and CNN, with the same splits and classifier."),
    "features": ("cvbow_cli.features", "Show the edges, corners, blobs and keypoints of an image."),
    "match": ("cvbow_cli.match", "Match two images."),
    "index": ("cvbow_cli.index", "Find images: build an index, search it, evaluate it, find duplicates."),
    "bench": ("cvbow_cli.bench", "Run benchmarks, and compare the results with published figures."),
    "data": ("cvbow_cli.data", "List, fetch and verify the benchmarks' data sets."),
    "export": ("cvbow_cli.export", "Write a model as one ONNX file, or as a page that answers in the browser."),
    "info": ("cvbow_cli.info", "Show what is in a model file."),
}

#: What others call it.
SYNONYMS = {
    **dict.fromkeys(("classify", "recognize", "infer", "label"), "predict"),
    **dict.fromkeys(("fit", "learn"), "train"),
    **dict.fromkeys(("test", "eval", "score", "validate"), "evaluate"),
    **dict.fromkeys(("search", "find", "query"), "index search"),
    **dict.fromkeys(("duplicates", "dedupe"), "index duplicates"),
    **dict.fromkeys(("show", "inspect", "describe"), "info"),
    **dict.fromkeys(("why", "heatmap"), "explain"),
    **dict.fromkeys(("benchmark",), "bench"),
    "help": "cvbow --help",
    "version": "cvbow --version",
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a name that is none, the error names the one that is most like it."""
        from cvbow.errors import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = SYNONYMS.get(args[0].casefold())
            ctx.fail(
                f"No such command {args[0]!r}"
                + (f"; did you mean {meant}?" if meant else did_you_mean(args[0], COMMANDS))
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def make_context(self, *values: Any, **named: Any) -> click.Context:
        """Read the options, import the modules that they name, and show help."""
        with interruptible():
            try:
                return super().make_context(*values, **named)
            except OSError as error:
                _fail_of_system(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what cvbow and the system raise becomes a line on stderr and an exit code."""
        for stream in (sys.stdout, sys.stderr):
            # Whatever a terminal can encode: a name or a class that it cannot is escaped.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        written: list[str] = []
        with interruptible(written), contextlib.ExitStack() as stack:
            self._invoke(ctx, stack, written)

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
            _fail(str(error), 1)
        except OSError as error:
            _fail_of_system(error)
        except (ValueError, TypeError) as error:
            _fail(str(error), 2)
        except ImportError as error:
            _fail(str(error), 1)
        except MemoryError:
            _fail("not enough memory: use fewer or smaller images, fewer words, or smaller grids", 1)
        except Exception as error:
            # Nobody's mistake that is foreseen: of OpenCV, of a library, or of cvbow itself.
            line = next(iter(str(error).strip().splitlines()), "")
            _fail(f"{type(error).__name__}: {line} (cvbow --debug {ctx.invoked_subcommand} ... shows where)", 1)


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


def _fail(message: str, code: int) -> NoReturn:
    ctx = click.get_current_context(silent=True)
    if ctx is not None and ctx.obj and ctx.obj.get("debug"):
        raise
    click.echo("cvbow: error: " + "\n".join(map(printable, message.splitlines())), err=True)
    raise click.exceptions.Exit(code)


def _fail_of_system(error: OSError) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        raise error
    try:
        if sys.stdout is not None:  # it is where it was closed
            sys.stdout.flush()
    except OSError:
        # The disk is full, say. What stdout has not taken is dropped, or Python would try again at its end.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if error.filename and error.strerror == os.strerror(errno.ENOENT):
        from cvbow.files import no_such

        error = no_such(error.filename)
    reason = (error.strerror or str(error)).lower()
    _fail(f"{error.filename}: {reason}" if error.filename else reason, 1)


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
    cvbow demo                            see it work on handwritten digits
    cvbow train photos/ -o model.cvbow    photos/<class>/<image>
    cvbow predict model.cvbow new.jpg
    cvbow evaluate model.cvbow held-out/
    """
    ctx.obj = {"debug": debug}
