"""``cvbow index build``."""

from __future__ import annotations

import os
import time
from typing import Any

import click

from cvbow.errors import IndexFileError
from cvbow.index import ImageIndex
from cvbow.presets import WORDS, index_recipe, parse_setting
from cvbow_cli._common import option_json, work_options, working
from cvbow_cli._index_common import echo_changes, images_of, option_strict, told_when_cut_off

__all__ = ["build"]


@click.command(name="build")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--output", "-o", required=True, metavar="INDEX", type=click.Path(file_okay=False), help="Folder to make."
)
@click.option(
    "--with",
    "-w",
    "backend_name",
    default=WORDS,
    show_default=True,
    metavar="NAME",
    help="What images are compared by: visual words, or vectors of vlad, fisher, NET.onnx, resnet50, ...",
)
@click.option("--words", type=click.IntRange(min=1), metavar="N", help="Short for --set n_words=N.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting; may be repeated.")
@click.option("--local", is_flag=True, help="Store visual words beside vectors, so that results can be verified.")
@click.option(
    "--learn-on",
    multiple=True,
    metavar="SOURCE",
    help="Learn on other images than those of the index; may be repeated.",
)
@click.option("--root", metavar="DIR", type=click.Path(file_okay=False), help="Paths are relative to this folder.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of what is learned.")
@click.option("--overwrite", is_flag=True, help="Take the place of an index that is there.")
@option_strict
@work_options
@option_json
def build(
    sources: tuple[str, ...],
    output: str,
    backend_name: str,
    words: int | None,
    settings: tuple[str, ...],
    local: bool,
    learn_on: tuple[str, ...],
    root: str | None,
    seed: int,
    overwrite: bool,
    strict: bool,
    n_jobs: int,
    executor: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build an index of images.

    A SOURCE is a folder, with images at any depth, a CSV with the columns path,label, an image, or '-' for paths on
    stdin. By default images are compared by visual words, which finds the same thing from another side, in other
    light, or as a part. Vectors tell what looks alike as a whole, and take a few kilobytes for an image.

    What an index learns comes from a sample of its images; images of the same kind may be added later. With few images
    (some hundred), learn on others. A setting that does not exist lists those that do.

    \b
    Example:
      cvbow index build photos/ -o photos.index
      cvbow index build photos/ -o photos.index --words 100000 --set max_points=2000
      cvbow index build covers/ -o covers.index --learn-on photos/
      cvbow index build photos/ -o looks.index --with squeezenet1.1 --local
    """
    started = time.perf_counter()
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings)
    if words is not None:
        changes["n_words"] = words
    describer = index_recipe(backend_name, changes, local=local).describer(seed=seed, n_jobs=n_jobs)
    _check_new(output, overwrite=overwrite)
    images = images_of(sources, quiet=quiet or as_json)
    learned = images_of(learn_on, quiet=True) if learn_on else images
    with working(quiet=quiet, executor=executor, scheduler=scheduler):
        describer.fit(learned)
        with ImageIndex.build(output, describer, root=root, overwrite=overwrite, n_jobs=n_jobs) as made:
            with told_when_cut_off(made, "add", output, sources):
                report = made.add(images, strict=strict)
            echo_changes(made, output, report, started, verb="build", as_json=as_json, quiet=quiet)


def _check_new(output: str, *, overwrite: bool) -> None:
    """Find out before minutes of learning what building would find out after them."""
    above = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(above):
        raise click.UsageError(f"the folder to write into does not exist: {above}")
    if os.path.isdir(output) and os.listdir(output) and not os.path.exists(os.path.join(output, "manifest.json")):
        raise IndexFileError(output, "holds other files than an index, and will not be overwritten")
    if os.path.exists(os.path.join(output, "manifest.json")) and not overwrite:
        raise IndexFileError(output, "is an index already: 'cvbow index add' adds to it, --overwrite replaces it")
