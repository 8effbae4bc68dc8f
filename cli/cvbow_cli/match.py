"""``cvbow match``."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from cvbow.features import LocalFeatures
from cvbow.images import read_image
from cvbow.matching import MODELS, MatchResult, match_images
from cvbow.report.matches import write_matches_picture
from cvbow_cli._common import (
    echo_json,
    option_background,
    option_json,
    option_max_pixels,
    printable,
)
from cvbow_cli._output import check_output, output_option

__all__ = ["command"]


@click.command(name="match")
@click.argument("image_a", metavar="A")
@click.argument("image_b", metavar="B")
@output_option("--output", "-o", suffixes=(".png",), metavar="FILE.png", help="Picture to write.")
@click.option("--detector", default="sift", show_default=True, help="Detector of the points.")
@click.option("--descriptor", default="rootsift", show_default=True, help="Descriptor of the points.")
@click.option("--max-points", default=2000, show_default=True, type=click.IntRange(min=1), help="Points per image.")
@click.option(
    "--max-side",
    default=1600,
    show_default=True,
    type=click.IntRange(min=16),
    help="Shrink larger images to this side to find points; coordinates are those of the files.",
)
@click.option(
    "--ratio",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Ratio test: largest distance to the nearest descriptor over that to the second nearest.",
)
@click.option("--mutual/--no-mutual", default=True, show_default=True, help="Keep mutual nearest neighbours only.")
@click.option(
    "--model",
    default="homography",
    show_default=True,
    type=click.Choice([*MODELS, "none"]),
    help="Geometry that correct matches agree on.",
)
@click.option(
    "--threshold",
    default=3.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Largest error of an inlier, in pixels.",
)
@option_max_pixels
@option_background
@option_json
def command(
    image_a: str,
    image_b: str,
    output: str | None,
    detector: str,
    descriptor: str,
    max_points: int,
    max_side: int,
    ratio: float,
    mutual: bool,
    model: str,
    threshold: float,
    as_json: bool,
) -> None:
    """Match two images: find points of A again in B, and the geometry that the correct matches agree on.

    A homography relates images of a plane or from one place, a fundamental matrix any two views of a scene that does
    not move. That two images have nothing in common is an answer too: the matrix is null, no match is an inlier, and
    the exit code is 0.

    --json gives keypoints (how many in A and in B), putative (matches after the ratio test), inliers (those that agree
    with the model), model, matrix (three rows; takes x, y, 1 of A to B, or has b' F a = 0), and reason (why there is no
    matrix).

    \b
    Example:
      cvbow match box.jpg scene.jpg -o matches.png
      cvbow match left.jpg right.jpg --model fundamental --json
      cvbow match a.png b.png --detector orb --descriptor orb
    """
    check_output(output, [image_a, image_b])
    extractor = LocalFeatures(detector=detector, descriptor=descriptor, max_points=max_points, max_side=max_side)
    a, b = read_image(image_a), read_image(image_b)
    result = match_images(
        a,
        b,
        extractor=extractor,
        ratio=ratio,
        mutual=mutual,
        model=None if model == "none" else model,
        threshold=threshold,
    )
    if output is not None:
        write_matches_picture(output, a, b, result, names=(image_a, image_b))
    if as_json:
        echo_json(_as_json(result))
        return
    click.echo(f"keypoints  {len(result.features_a)} in {printable(image_a)}")
    click.echo(f"           {len(result.features_b)} in {printable(image_b)}")
    click.echo(f"putative   {len(result)}")
    if result.model is not None:
        none = "" if result.matrix is not None else f": none found; {result.reason}"
        click.echo(f"inliers    {result.n_inliers}")
        click.echo(f"model      {result.model}{none}")
    if result.matrix is not None:
        click.echo(f"error      {np.median(result.errors[result.inliers]):.2f} pixels (median of the inliers)")
        for row, head in zip(result.matrix, ("matrix", "", ""), strict=True):
            click.echo(f"{head:<11}" + "  ".join(f"{value:12.6g}" for value in row))
    if output is not None:
        click.echo(f"picture    {printable(output)}")


def _as_json(result: MatchResult) -> dict[str, Any]:
    return {
        "keypoints": [len(result.features_a), len(result.features_b)],
        "putative": len(result),
        "inliers": result.n_inliers,
        "model": result.model,
        "matrix": None if result.matrix is None else result.matrix.tolist(),
        "reason": result.reason,
    }
