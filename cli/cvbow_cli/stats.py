"""``cvbow stats``."""

from __future__ import annotations

import click

from cvbow.images import SetSummary, list_images, summarize_images
from cvbow_cli._common import (
    echo_json,
    option_background,
    option_json,
    option_max_pixels,
    printable,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import check_output_folder, output_option
from cvbow_cli._what import InputPath

__all__ = ["command"]


@click.command(name="stats")
@click.argument("source", metavar="DIR", type=InputPath())
@output_option("--output", "-o", required=True, metavar="FOLDER", help="Folder to write into.")
@click.option(
    "--size",
    nargs=2,
    type=click.IntRange(min=1, max=4096),
    metavar="WIDTH HEIGHT",
    help="Resize images to this size to average them; by default the median size, at most 256.",
)
@click.option("--split", metavar="NAME", help="Use this split only: train, validation or test.")
@click.option("--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it.")
@option_max_pixels
@option_background
@work_options
@option_json
def command(
    source: str,
    output: str,
    size: tuple[int, int] | None,
    split: str | None,
    strict: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Describe a set of images, and write the images of their mean and standard deviation.

    DIR is a folder of class folders, a folder of images, or a CSV file with the columns path,label[,split]. In FOLDER,
    the command writes mean.png, std.png (twice the standard deviation), montage.png, and stats.json: sizes, aspect
    ratios, channels, class counts, files that cannot be read.

    \b
    Example:
      cvbow stats photos/ -o photos-stats
      cvbow stats photos/ -o photos-stats --split train --json
    """
    images = list_images(source, flat=True)
    if split is not None:
        images = images.select(split)
        if not len(images):
            raise click.UsageError(f"{source} has no images of the split {split}")
    check_output_folder(output, SetSummary.FILES, images.paths)
    summary = summarize_images(images, size=size, strict=strict, n_jobs=n_jobs)
    files = summary.write(output)
    found = summary.as_dict()
    if as_json:
        echo_json({**found, "files": files})
        return
    tell_skipped(summary.skipped)
    width, height, ratios = found["sizes"]["width"], found["sizes"]["height"], found["aspect_ratios"]
    kinds = [f"{count} {'gray' if n == '1' else 'colour'}" for n, count in found["channels"].items()]
    click.echo(f"images      {summary.n_images} ({', '.join(kinds)}), {len(summary.skipped)} skipped")
    if summary.counts:
        counts = summary.counts.values()
        click.echo(f"classes     {len(counts)}, of {min(counts)} to {max(counts)} images")
    click.echo(f"width       {width['min']:g} to {width['max']:g}, median {width['median']:g}")
    click.echo(f"height      {height['min']:g} to {height['max']:g}, median {height['median']:g}")
    click.echo(f"aspect      {ratios['min']:.3g} to {ratios['max']:.3g}, {ratios['square']} square")
    click.echo(f"mean        {'  '.join(f'{value:.2f}' for value in found['mean'])}")
    click.echo(f"std         {'  '.join(f'{value:.2f}' for value in found['std'])}")
    click.echo(f"written     {printable(', '.join(files))}")
