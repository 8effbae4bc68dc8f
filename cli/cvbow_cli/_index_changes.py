"""``cvbow index build``, ``add``, ``update``, ``remove`` and ``compact``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cvbow.errors import CvbowError, IndexFileError
from cvbow.images import gather_images
from cvbow.index import AddReport, ImageIndex
from cvbow.presets import WORDS, index_recipe, parse_setting
from cvbow.progress import note, stages
from cvbow.tables import counted
from cvbow_cli._common import (
    echo_json,
    lines_of,
    option_json,
    option_max_pixels,
    option_own_background,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._index_common import argument_index, images, megabytes
from cvbow_cli._what import InputPath

__all__ = ["add", "build", "compact", "remove", "update"]

#: Paths of a kind that are listed for a person.
_SHOWN = 20

_option_strict = click.option(
    "--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it."
)


@click.command(name="build")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--output", "-o", required=True, metavar="INDEX", type=click.Path(file_okay=False), help="Folder to create."
)
@click.option(
    "--with",
    "-w",
    "backend_name",
    default=WORDS,
    show_default=True,
    metavar="NAME",
    help="What images are compared by: words, or the vectors of vlad, fisher, NET.onnx, resnet50, ...",
)
@click.option("--words", type=click.IntRange(min=1), metavar="N", help="Short for --set n_words=N.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting; may be repeated.")
@click.option("--local", is_flag=True, help="Store visual words beside the vectors, so that results can be verified.")
@click.option(
    "--learn-on",
    multiple=True,
    metavar="SOURCE",
    help="Learn on these images instead of those of the index; may be repeated.",
)
@click.option(
    "--like",
    metavar="INDEX",
    type=InputPath(file_okay=False),
    help="Learn nothing: describe images as this index does, so that both can be searched as one.",
)
@click.option("--root", metavar="DIR", type=click.Path(file_okay=False), help="Paths are relative to this folder.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of what is learned.")
@click.option("--overwrite", is_flag=True, help="Replace an index that is there.")
@_option_strict
@option_own_background
@option_max_pixels
@work_options
@option_json
@click.pass_context
def build(
    ctx: click.Context,
    sources: tuple[str, ...],
    output: str,
    backend_name: str,
    words: int | None,
    settings: tuple[str, ...],
    local: bool,
    learn_on: tuple[str, ...],
    like: str | None,
    root: str | None,
    seed: int,
    overwrite: bool,
    strict: bool,
    background: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Build an index of images.

    A SOURCE is a folder, with images at any depth, a CSV with the columns path,label, an image, or '-' for paths on
    stdin. By default images are compared by visual words, which find the same thing from another side, in another
    light, or in part. Vectors find what looks alike as a whole, and take a few kilobytes per image.

    An index learns from a sample of its images; images of the same kind may be added later. If there are only some
    hundred images, learn on others. An unknown setting is answered with the list of settings.

    \b
    Example:
      cvbow index build photos/ -o photos.index
      cvbow index build photos/ -o photos.index --words 100000
      cvbow index build covers/ -o covers.index --learn-on photos/
      cvbow index build photos/ -o looks.index --with squeezenet1.1 --local
      cvbow index build more-photos/ -o more.index --like photos.index
    """
    started = time.perf_counter()
    if like is not None:
        _check_like(ctx)
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings)
    if words is not None:
        changes["n_words"] = words
    if background is not None:
        changes["background"] = background
    if like is None:
        describer = index_recipe(backend_name, changes, local=local).describer(seed=seed, n_jobs=n_jobs)
    else:
        with ImageIndex.open(like, check=False) as other:
            describer = other.describer
    _check_new(output, overwrite=overwrite)
    images = _images_of(sources)
    with stages({"words": 0 if like else 300, "index": len(images)}) as begin:
        begin("words")
        if like is None:
            describer.fit(_images_of(learn_on) if learn_on else images)
        begin("index")
        with ImageIndex.build(output, describer, root=root, overwrite=overwrite, n_jobs=n_jobs) as made:
            with _told_when_cut_off(made, "add", output, sources):
                report = made.add(images, strict=strict)
            _echo_changes(made, output, report, started, verb="build", as_json=as_json)


@click.command(name="add")
@argument_index
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@_option_strict
@option_max_pixels
@work_options
@option_json
def add(
    index: str,
    sources: tuple[str, ...],
    strict: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Add images to an index, except those that are in it already.

    A SOURCE is a folder, with images at any depth, a CSV with the columns path,label, an image, or '-' for paths on
    stdin. If the command is interrupted, what it has done stays: repeat it to continue. Files that changed since they
    were added are listed, and left to 'update'.

    \b
    Example:
      cvbow index add photos.index more-photos/
      find new/ -name '*.jpg' | cvbow index add photos.index - --json
    """
    started = time.perf_counter()
    given = _images_of(sources)
    with ImageIndex.open(index, write=True, n_jobs=n_jobs) as opened:
        with _told_when_cut_off(opened, "add", index, sources):
            report = opened.add(given, strict=strict)
        _echo_changes(opened, index, report, started, verb="add", as_json=as_json)


@click.command(name="update")
@argument_index
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("--remove-vanished", is_flag=True, help="Remove the images whose file is no longer there.")
@_option_strict
@option_max_pixels
@work_options
@option_json
def update(
    index: str,
    sources: tuple[str, ...],
    remove_vanished: bool,
    strict: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Bring an index up to date with its files: describe changed files again, and list vanished ones.

    With a SOURCE, its new images are added too.

    \b
    Example:
      cvbow index update photos.index
      cvbow index update photos.index photos/ --remove-vanished
    """
    started = time.perf_counter()
    given = _images_of(sources) if sources else None
    with ImageIndex.open(index, write=True, n_jobs=n_jobs) as opened:
        with _told_when_cut_off(opened, "update", index, sources):
            report = opened.update(given, strict=strict)
        if remove_vanished:
            opened.remove(report.vanished)
        _echo_changes(opened, index, report, started, verb="update", as_json=as_json)


@click.command(name="remove")
@argument_index
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@option_json
@click.pass_context
def remove(ctx: click.Context, index: str, paths: tuple[str, ...], as_json: bool) -> None:
    """Remove images from an index; their files are left alone.

    A PATH is that of a file, which need not exist any more, or one that 'info --paths' lists; '-' reads paths from
    stdin. Paths that the index does not know are reported, and the exit code is 1. 'compact' frees the space.

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
    """Rewrite an index without what was removed from it; results stay the same.

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


def _check_like(ctx: click.Context) -> None:
    """UsageError where options say what to learn that another index has learned."""
    learning = ("backend_name", "words", "settings", "local", "learn_on", "seed", "background")
    if any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in learning):
        raise click.UsageError("--like takes what is learned from the other index: give no option that changes it")


def _check_new(output: str, *, overwrite: bool) -> None:
    """Find out before minutes of learning what building would find out after them."""
    above = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(above):
        raise click.UsageError(f"the folder to write into does not exist: {above}")
    if os.path.isdir(output) and os.listdir(output) and not os.path.exists(os.path.join(output, "manifest.json")):
        raise IndexFileError(output, "holds other files than an index, and will not be overwritten")
    if os.path.exists(os.path.join(output, "manifest.json")) and not overwrite:
        raise IndexFileError(output, "is an index already: 'cvbow index add' adds to it, --overwrite replaces it")


def _images_of(sources: Sequence[str]) -> list[Path]:
    """List the images of folders, CSV files and paths."""
    paths, ignored = gather_images(list(lines_of(sources)))
    if not paths:
        raise click.UsageError("no images are given")
    if ignored:
        note(f"{counted(ignored, 'file')} left out: hidden, not images, or listed already")
    return list(paths)


@contextlib.contextmanager
def _told_when_cut_off(index: ImageIndex, verb: str, name: str, sources: Sequence[str]) -> Iterator[None]:
    """Say how to go on where adding ends early."""
    try:
        yield
    except (KeyboardInterrupt, CvbowError, OSError) as error:
        with contextlib.suppress(ValueError):
            repeat = " ".join(["cvbow index", verb, name, *sources])
            said = f"{name} has {images(len(index))}; continue with '{repeat}'"
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(said) from None
            click.echo(f"cvbow: {printable(said)}", err=True)
        raise


def _echo_changes(index: ImageIndex, name: str, report: AddReport, started: float, *, verb: str, as_json: bool) -> None:
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
        _echo_report(index, name, report, seconds, verb=verb)
    if report.skipped and not (report.added or report.unchanged or report.changed):
        raise CvbowError(f"none of {images(len(report.skipped))} could be read")


def _echo_report(index: ImageIndex, name: str, report: AddReport, seconds: float, *, verb: str) -> None:
    tell_skipped(report.skipped)
    _tell("same content as others in the index", [f"{path} = {other}" for path, other in report.copies])
    _tell("in which nothing was found to describe", report.empty)
    _tell("whose file is gone", report.vanished)
    if verb != "update":
        _tell(f"changed since they were added ('cvbow index update {name}' describes them again)", report.changed)
    counts = (
        (len(report.unchanged), "there already"),
        (len(report.changed), "described again" if verb == "update" else "changed, but not updated"),
        (len(report.vanished), "vanished"),
        (len(report.skipped), "skipped"),
    )
    click.echo(f"added       {', '.join([str(len(report.added)), *(f'{n} {what}' for n, what in counts if n)])}")
    click.echo(f"index       {printable(name)}, {images(len(index))}, {megabytes(index.n_bytes)}")
    click.echo(f"seconds     {seconds:.1f}")


def _tell(what: str, lines: Sequence[str]) -> None:
    if lines:
        note(f"{what}: {images(len(lines))}")
        for line in lines[:_SHOWN]:
            note(f"  {line}")
        if len(lines) > _SHOWN:
            note(f"  and {len(lines) - _SHOWN} more; --json lists them all")
