"""``cvbow locate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from cvbow.annotations import Objects
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation import shown_image
from cvbow.localization import Location, locations
from cvbow_cli._common import (
    echo_json,
    echo_line,
    gathered,
    option_json,
    option_max_pixels,
    printable,
    work_options,
)
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import argument_model

__all__ = ["command"]

#: Images that a picture has room for.
_DRAWN = 12


@click.command(name="locate")
@argument_model
@click.argument("paths", metavar="IMAGE|DIR...", nargs=-1, required=True)
@click.option("--class", "classes", metavar="NAME", multiple=True, help="Class to look for; may be repeated.")
@click.option("-n", "--boxes", default=1, show_default=True, type=click.IntRange(1), help="Boxes of a class at most.")
@output_option(
    "--output", "-o", suffixes=(".png",), metavar="FILE.png", help=f"Picture to write, of at most {_DRAWN} images."
)
@option_max_pixels
@work_options
@option_json
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    paths: tuple[str, ...],
    classes: tuple[str, ...],
    boxes: int,
    output: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Find where in images a class is, by a model that learned labels of images, not boxes.

    A box's score is the sum of what the points and pixels in it gave to the class's score, and no other box has a
    larger one. Further boxes overlap none before; there are fewer than asked for where the rest speaks for other
    classes. By default the class with the highest score is looked for, or each label that an image is given. It
    helps if the model was trained with images that show the same surroundings without the class. '-' reads paths
    from stdin, one per line. If an image cannot be read, it is reported, the others are searched, and the exit code
    is 1.

    --json gives path, class and boxes: xmin, ymin, xmax, ymax in pixels, where pixel i spans from i to i + 1, and
    score.

    \b
    Example:
      cvbow locate horses.cvbow new.jpg --class horse -o where.png
      cvbow locate horses.cvbow new/ --class horse -n 2 --json
    """
    images = gathered(paths)
    check_output(output, [model, *images])
    if output is not None and len(images) > _DRAWN:
        raise click.UsageError(f"a picture has room for {_DRAWN} images, and these are {len(images)}")
    classifier = ImageClassifier.load(model, n_jobs=n_jobs)
    rows: list[dict[str, Any]] = []
    drawn: list[NDArray[np.uint8]] = []
    failed = False
    results = locations(classifier, [str(path) for path in images], classes or None, boxes)
    for path, result in zip(images, results, strict=True):
        if isinstance(result, ImageError):
            failed = True
            rows.append({"path": str(path), "error": result.reason})
            if not as_json:
                echo_line(f"cvbow: {printable(str(result))}", err=True)
            continue
        for found in result:
            rows.append(found.as_json())
            if not as_json:
                _tell(found)
        if output is not None:
            drawn.append(_draw(shown_image(classifier, path), Path(path).name, result))
    if output is not None and drawn:
        from cvbow.report.objects import write_objects_picture

        write_objects_picture(output, drawn)
    if as_json:
        echo_json(rows)
    elif output is not None and drawn:
        click.echo(f"picture  {printable(output)}")
    if failed:
        ctx.exit(1)


def _draw(image: NDArray[np.uint8], name: str, found: list[Location]) -> NDArray[np.uint8]:
    from cvbow.report.objects import draw_objects

    return draw_objects(image, Objects.joined([location.objects for location in found]), name=name)


def _tell(found: Location) -> None:
    start = f"{printable(found.path or '')}\t{printable(found.class_name)}"
    if not len(found.objects):
        echo_line(f"{start}\tnowhere")
    for row in found.objects.as_json():
        sides = ", ".join(f"{row[side]:.0f}" for side in ("xmin", "ymin", "xmax", "ymax"))
        echo_line(f"{start}\t{sides}\t{row['score']:+.3f}")
