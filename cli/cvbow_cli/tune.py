"""``cvbow tune``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import click

from cvbow.images import ImageList
from cvbow.progress import note
from cvbow.report import write_front_plot
from cvbow.tuning import SAMPLERS, is_storage, tune
from cvbow_cli._common import (
    echo_json,
    echo_tables,
    labelled_images,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import OutputFile, check_output, output_option
from cvbow_cli._what import InputPath

__all__ = ["command"]

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.IGNORECASE)
_DEFAULT = "30m"


def _seconds(ctx: click.Context, option: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise click.BadParameter(f"must be a time such as 90s, 30m or 1h30m, got {printable(text)!r}")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60.0 * minutes + seconds


@click.command(name="tune")
@click.argument("source", metavar="DIR", type=InputPath())
@output_option(
    "--output", "-o", suffixes=(".toml",), required=True, metavar="BEST.toml", help="File of recipes to write."
)
@click.option(
    "--time",
    "seconds",
    metavar="TIME",
    callback=_seconds,
    help=f"Begin no recipe after so long: 90s, 30m, 1h30m.  [default: {_DEFAULT}, unless --evaluations is given]",
)
@click.option("--evaluations", metavar="N", type=click.IntRange(min=1), help="Try so many recipes.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of all that is drawn.")
@click.option(
    "--sampler",
    default=SAMPLERS[0],
    show_default=True,
    type=click.Choice(SAMPLERS),
    help="Of recipes: genetic, by a model of the good ones, or at random.",
)
@click.option(
    "--storage",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Note every recipe there, and go on from there when the command is run again.",
)
@click.option(
    "--max-images", default=1500, show_default=True, metavar="N", type=click.IntRange(min=4), help="Images to try on."
)
@click.option(
    "--memory",
    "gigabytes",
    default=2.0,
    show_default=True,
    metavar="GB",
    type=click.FloatRange(min=0, max=1000),
    help="For features that recipes share.",
)
@click.option(
    "--plot", type=OutputFile((".png",)), metavar="FRONT.png", help="Picture of the front to write (needs matplotlib)."
)
@option_max_pixels
@work_options
@option_json
def command(
    source: str,
    output: str,
    seconds: float | None,
    evaluations: int | None,
    seed: int,
    sampler: str,
    storage: str | None,
    max_images: int,
    gigabytes: float,
    plot: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Search for recipes that are more accurate, faster or smaller than the presets, for DIR/<class>/<image>.

    A genetic search (NSGA-II) tries recipes out by cross-validation on the training images. What is found is a front:
    recipes of which none is better in error, milliseconds and megabytes than another. It is written to a file, the most
    accurate first, whose recipes may be named wherever a preset is: best.toml, best.toml#2, ... The presets are tried
    first, so the front is never worse than they are.

    The same images, seed and number of evaluations give the same front, also after a kill, if --storage was given. Of
    many recipes, the best looks a little better than it is: judge it on images that were not used here.

    \b
    Example:
      cvbow tune photos/ --time 30m -o best.toml --storage search.log
      cvbow train photos/ -o photos.cvbow --preset best.toml
      cvbow train photos/ -o small.cvbow --preset "best.toml#4"
    """
    if seconds is None and evaluations is None:
        seconds = _seconds(click.get_current_context(), click.Option(["--time"]), _DEFAULT)
    images = labelled_images(source, "train", several=True)
    check_output(output, images.paths)
    check_output(plot, images.paths)
    _check_storage(storage, images, (output, plot))
    found = tune(
        images.paths,
        images.labels,
        seconds=seconds,
        evaluations=evaluations,
        sampler=sampler,
        seed=seed,
        storage=storage,
        max_images=max_images,
        gigabytes=gigabytes,
        n_jobs=n_jobs,
    )
    if not found.front:
        raise click.ClickException("no recipe could be tried out: of the first, " + found.outcomes[0].stopped)
    found.write(output)
    if plot is not None:
        write_front_plot(plot, found)
    if as_json:
        echo_json({**found.as_dict(), "skipped": skipped_as_json(found.skipped), "recipes": output})
        return
    tell_skipped(found.skipped)
    echo_tables([found.table()])
    note(f"wrote {output}: cvbow train {source} -o MODEL --preset {output} trains the first")


def _check_storage(storage: str | None, images: ImageList, others: Sequence[str | None]) -> None:
    """Refuse, before the work, a file that is not of a search."""
    if storage is None:
        return
    if any(other is not None and os.path.abspath(other) == os.path.abspath(storage) for other in others):
        raise click.UsageError("--storage must be another file than the outputs")
    if os.path.lexists(storage) and not is_storage(storage):
        raise click.UsageError(f"{printable(storage)} is there, and is not a search of cvbow's")
