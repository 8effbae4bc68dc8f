"""What the commands of an index share."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from cvbow.errors import CvbowError
from cvbow.images import gather_images
from cvbow.index import AddReport, ImageIndex
from cvbow.retrieval.verification import VERIFICATION_MODELS
from cvbow_cli._common import echo_json, printable, skipped_as_json, tell_skipped

__all__ = [
    "argument_index",
    "echo_changes",
    "images",
    "images_of",
    "lines_of",
    "megabytes",
    "n_verified",
    "option_expand",
    "option_model",
    "option_strict",
    "option_verify",
    "told_when_cut_off",
]

#: Paths of a kind that are listed for a person.
_SHOWN = 20
#: Results that are verified where the index can, unless told otherwise.
_VERIFIED = 100

argument_index = click.argument("index", metavar="INDEX", type=click.Path(exists=True))
option_strict = click.option(
    "--strict", is_flag=True, help="An image that cannot be read is an error, instead of being skipped."
)
option_verify = click.option(
    "--verify",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Verify the best N by geometry; {_VERIFIED} unless told otherwise, where the index has visual words.",
)
option_model = click.option(
    "--model",
    default="affine",
    show_default=True,
    type=click.Choice(VERIFICATION_MODELS),
    help="The map between two images that is verified.",
)
option_expand = click.option(
    "--expand",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Search again, with the mean of the query and its best N.",
)


def megabytes(n_bytes: int) -> str:
    """Return a size for a person."""
    return f"{n_bytes / 1e6:.1f} MB"


def images(number: int) -> str:
    """Return a number of images in words."""
    return f"{number} image{'' if number == 1 else 's'}"


def n_verified(index: ImageIndex, verify: int | None) -> int:
    """Return how many results to verify."""
    if verify is not None:
        return verify
    return _VERIFIED if index.describer.has_geometry else 0


def lines_of(paths: Sequence[str]) -> Iterator[str]:
    """Yield paths, those on stdin in place of '-'."""
    for path in paths:
        if path == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield path


def images_of(sources: Sequence[str], *, quiet: bool) -> list[Path]:
    """List the images of folders, CSV files and paths."""
    paths, ignored = gather_images(list(lines_of(sources)))
    if not paths:
        raise click.UsageError("no images are given")
    if ignored and not quiet:
        click.echo(f"{ignored} files left out: hidden, or not images", err=True)
    return list(paths)


@contextlib.contextmanager
def told_when_cut_off(index: ImageIndex, verb: str, name: str, sources: Sequence[str]) -> Iterator[None]:
    """Say how to go on where adding ends early."""
    try:
        yield
    except (KeyboardInterrupt, CvbowError, OSError):
        with contextlib.suppress(ValueError):
            repeat = " ".join(["cvbow index", verb, name, *sources])
            click.echo(f"cvbow: {printable(name)} has {images(len(index))}; '{printable(repeat)}' goes on", err=True)
        raise


def echo_changes(
    index: ImageIndex, name: str, report: AddReport, started: float, *, verb: str, as_json: bool, quiet: bool
) -> None:
    """Print what became of the images; CvbowError where none could be read."""
    seconds = time.perf_counter() - started
    if as_json:
        echo_json(
            {
                "index": name,
                "kind": index.kind,
                "n_images": len(index),
                "added": report.added,
                "unchanged": report.unchanged,
                "changed": report.changed,
                "copies": [{"path": path, "of": other} for path, other in report.copies],
                "empty": report.empty,
                "vanished": report.vanished,
                "skipped": skipped_as_json(report.skipped),
                "seconds": round(seconds, 3),
            }
        )
    else:
        _echo_report(index, name, report, seconds, verb=verb, quiet=quiet)
    if report.skipped and not (report.added or report.unchanged or report.changed):
        raise CvbowError(f"of {images(len(report.skipped))} none could be read")


def _echo_report(index: ImageIndex, name: str, report: AddReport, seconds: float, *, verb: str, quiet: bool) -> None:
    if not quiet:
        tell_skipped(report.skipped)
        _tell("copies of others in the index", [f"{path} = {other}" for path, other in report.copies])
        _tell("with nothing to be found by", report.empty)
        _tell("without a file any more", report.vanished)
        if verb != "update":
            _tell(f"changed since they were added ('cvbow index update {name}' takes them anew)", report.changed)
    counts = (
        (len(report.unchanged), "there already"),
        (len(report.changed), "described anew" if verb == "update" else "changed, and left"),
        (len(report.vanished), "vanished"),
        (len(report.skipped), "skipped"),
    )
    click.echo(f"added       {', '.join([str(len(report.added)), *(f'{n} {what}' for n, what in counts if n)])}")
    click.echo(f"index       {printable(name)}, {images(len(index))}, {megabytes(index.n_bytes)}")
    click.echo(f"seconds     {seconds:.1f}")


def _tell(what: str, lines: Sequence[str]) -> None:
    if lines:
        click.echo(printable(f"{what}: {images(len(lines))}"), err=True)
        for line in lines[:_SHOWN]:
            click.echo(f"  {printable(line)}", err=True)
        if len(lines) > _SHOWN:
            click.echo(f"  and {len(lines) - _SHOWN} more; --json lists them all", err=True)
