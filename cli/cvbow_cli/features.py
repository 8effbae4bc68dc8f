"""``cvbow features``."""

from __future__ import annotations

from typing import Any

import click

from cvbow.features import DETECTORS
from cvbow.images import read_image
from cvbow.report.stages import STAGES, Stage, find_stage, write_stages_picture
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
def command(
    image: str, output: str | None, stages: tuple[str, ...], max_points: int, max_side: int, as_json: bool
) -> None:
    """Show what detectors of edges, corners, blobs and keypoints find in an image, side by side.

    Edges are drawn with the points sampled along them, corners as dots, blobs as circles of their scale, keypoints with
    scale and angle, a dense grid with its patches. All points are counted; strong ones from all over the image are
    drawn.

    --json gives, for each stage, its name and the detector, the number of points, and their smallest and largest size
    (diameter in pixels).

    \b
    Example:
      cvbow features photo.jpg -o stages.png
      cvbow features photo.jpg -o keypoints.png --stage sift --stage orb --stage akaze
      cvbow features photo.jpg --json
    """
    check_output(output, [image])
    pixels = read_image(image)
    found = [find_stage(pixels, name, max_points=max_points, max_side=max_side) for name in stages or STAGES]
    height, width = pixels.shape[:2]
    if output is not None:
        write_stages_picture(output, pixels, found, title=f"{image} - {width} x {height}")
    rows = [_as_json(name, stage) for name, stage in zip(stages or STAGES, found, strict=True)]
    if as_json:
        echo_json({"image": image, "size": [width, height], "stages": rows})
        return
    cells = []
    for row in rows:
        sizes = "" if row["sizes"] is None else "{:.3g} to {:.3g}".format(*row["sizes"])
        detector = "" if row["detector"] == row["stage"] else f" ({row['detector']})"
        cells.append((row["stage"] + detector, str(row["points"]), sizes))
    echo_tables([Table(("stage", "points", "sizes, pixels"), cells)])
    if output is not None:
        click.echo(f"\npicture  {printable(output)}")


def _as_json(name: str, stage: Stage) -> dict[str, Any]:
    return {
        "stage": name,
        "detector": STAGES.get(name, name),
        "points": len(stage),
        "sizes": None if stage.sizes is None else list(stage.sizes),
    }
