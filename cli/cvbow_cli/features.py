"""``cvbow features``."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from cvbow.classify import ImageClassifier
from cvbow.features import DETECTORS
from cvbow.images import read_image
from cvbow.report.stages import STAGES, Stage, find_stage, model_stages, write_stages_picture
from cvbow.tables import Table
from cvbow_cli._common import (
    echo_json,
    echo_tables,
    option_background,
    option_json,
    option_max_pixels,
    printable,
)
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import InputPath

__all__ = ["command"]


@click.command(name="features")
@click.argument("image", metavar="IMAGE")
@output_option("--output", "-o", suffixes=(".png",), metavar="FILE.png", help="Picture to write.")
@click.option(
    "--stage",
    "stages",
    metavar="NAME",
    multiple=True,
    type=click.Choice([*STAGES, *(name for name in DETECTORS if name not in STAGES)]),
    help=f"{', '.join(STAGES)}, or a detector: {', '.join(DETECTORS)}. May be repeated. Default: {', '.join(STAGES)}.",
)
@click.option(
    "--model",
    metavar="MODEL",
    type=InputPath(dir_okay=False),
    help="Show the points that this model describes, instead of stages.",
)
@click.option(
    "--max-points", default=150, show_default=True, type=click.IntRange(min=1), help="Points drawn per stage, at most."
)
@click.option(
    "--max-side",
    default=1600,
    show_default=True,
    type=click.IntRange(min=16),
    help="Shrink a larger image to this side first.",
)
@option_max_pixels
@option_background
@option_json
@click.pass_context
def command(
    ctx: click.Context,
    image: str,
    output: str | None,
    stages: tuple[str, ...],
    model: str | None,
    max_points: int,
    max_side: int,
    as_json: bool,
) -> None:
    """Show what detectors of edges, corners, blobs and keypoints find in an image, side by side.

    Edges are drawn by their strength, with points sampled along them, corners as dots, blobs as circles of their scale,
    regions by their outlines, keypoints with scale and angle, a dense grid with its patches. All points are counted;
    drawn are strong ones that are apart from each other, and no more than leave the image to be seen.

    With --model the points are those that a trained model describes, at the size that it brings the image to: a picture
    for each channel that has visual words.

    --json gives, for each stage, its name and the detector (none of a model's channel), the number of points, and their
    smallest and largest size (diameter in pixels).

    \b
    Example:
      cvbow features photo.jpg -o stages.png
      cvbow features photo.jpg -o keypoints.png --stage sift --stage orb
      cvbow features photo.jpg -o used.png --model photos.cvbow
      cvbow features photo.jpg --json
    """
    check_output(output, [image] if model is None else [image, model])
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    title = f"{image} - {width} x {height}"
    if model is None:
        found = [find_stage(pixels, name, max_points=max_points, max_side=max_side) for name in stages or STAGES]
        names: list[tuple[str, str | None]] = [(name, STAGES.get(name, name)) for name in stages or STAGES]
    else:
        if stages or ctx.get_parameter_source("max_side") is not ParameterSource.DEFAULT:
            raise click.UsageError(
                "a model has detectors and a size of its own: --model goes without --stage, --max-side"
            )
        found = model_stages(ImageClassifier.load(model), image, max_points=max_points)
        names = [(stage.name, None) for stage in found]
        title = f"{title} - what {model} describes"
    rows = [_as_json(*name, stage) for name, stage in zip(names, found, strict=True)]
    if output is not None:
        write_stages_picture(output, pixels, found, title=title)
    if as_json:
        echo_json({"image": image, "size": [width, height], "stages": rows})
        return
    cells = []
    for row in rows:
        sizes = " to ".join(dict.fromkeys(f"{size:.3g}" for size in row["sizes"] or ()))
        detector = "" if row["detector"] in (None, row["stage"]) else f" ({row['detector']})"
        cells.append((row["stage"] + detector, str(row["points"]), sizes))
    echo_tables([Table(("stage", "points", "sizes, pixels"), cells)])
    if output is not None:
        click.echo(f"\npicture  {printable(output)}")


def _as_json(name: str, detector: str | None, stage: Stage) -> dict[str, Any]:
    return {
        "stage": name,
        "detector": detector,
        "points": len(stage),
        "sizes": None if stage.sizes is None else list(stage.sizes),
    }
