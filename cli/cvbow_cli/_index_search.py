"""``cvbow index search``."""

from __future__ import annotations

import os
from typing import Any

import click

from cvbow import storage
from cvbow.errors import ImageError
from cvbow.index import ImageIndex, Result
from cvbow.retrieval import Box
from cvbow_cli._common import echo_json, option_json, printable, work_options, working
from cvbow_cli._index_common import (
    argument_index,
    images,
    lines_of,
    n_verified,
    option_expand,
    option_model,
    option_verify,
)

__all__ = ["search"]


def _box(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"must be four numbers x,y,width,height in pixels, got {text!r}") from None
    return x, y, width, height


@click.command(name="search")
@argument_index
@click.argument("queries", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=1), help="Results to show per image.")
@option_verify
@option_model
@option_expand
@click.option("--box", metavar="X,Y,W,H", callback=_box, help="Look for this part of the one IMAGE only, in pixels.")
@click.option("--exclude-self", is_flag=True, help="Leave the query itself out of its results.")
@click.option(
    "--output",
    "-o",
    metavar="FILE.png|FILE.html",
    type=click.Path(dir_okay=False),
    help="Draw the results there; a PNG has one query, a page any number.",
)
@work_options
@option_json
@click.pass_context
def search(
    ctx: click.Context,
    index: str,
    queries: tuple[str, ...],
    top: int,
    verify: int | None,
    model: str,
    expand: int,
    box: Box | None,
    exclude_self: bool,
    output: str | None,
    n_jobs: int,
    executor: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Search an index for images; '-' reads their paths from stdin, a line each.

    Verified results come first, by their inliers: features that lie in both images in the same arrangement. With six
    or more the map between the images is given, too. An image that cannot be read is reported, the others are answered,
    and the exit code is 1; an image that nothing is found for is an answer.

    --json gives for each query its results: path (what the index knows the image by), file, score, inliers, and matrix
    (three rows; takes x, y, 1 of the query to the result), or an error.

    \b
    Example:
      cvbow index search photos.index query.jpg -o found.png
      cvbow index search photos.index query.jpg --box 120,40,300,200 --top 5
      cvbow index search photos.index new/*.jpg --json
    """
    paths = list(lines_of(queries))
    if box is not None and len(paths) != 1:
        raise click.UsageError(f"--box goes with one IMAGE, got {len(paths)}")
    as_page = _check_output(output, len(paths))
    with (
        working(quiet=quiet or as_json, executor=executor, scheduler=scheduler),
        ImageIndex.open(index, n_jobs=n_jobs) as opened,
    ):
        answers = list(
            opened.search_many(
                paths,
                top,
                boxes=[box] * len(paths),
                verify=n_verified(opened, verify),
                expand=expand,
                exclude_self=exclude_self,
                verify_options={"model": model},
            )
        )
        files = [[] if isinstance(found, ImageError) else [opened.file(one.row) for one in found] for found in answers]
        if output is not None:
            _draw(output, opened, paths, answers, box, {"model": model}, as_page=as_page)
        n_images = len(opened)
    failed = [found for found in answers if isinstance(found, ImageError)]
    if as_json:
        echo_json([_as_json(*row) for row in zip(paths, answers, files, strict=True)])
    else:
        _echo_answers(paths, answers, n_images)
        if output is not None and (as_page or not failed):
            click.echo(f"picture     {printable(output)}")
    if failed:
        ctx.exit(1)


def _check_output(output: str | None, n_queries: int) -> bool:
    """Return whether a page is to be written, rather than a picture."""
    if output is None:
        return False
    storage.check_writable(output)
    suffix = os.path.splitext(output)[1].casefold()
    if suffix not in (".png", ".html", ".htm"):
        raise click.UsageError(f"--output must end in .png or .html, got {output}")
    if suffix == ".png" and n_queries != 1:
        raise click.UsageError(f"a PNG shows one query, got {n_queries}; -o FILE.html shows any number")
    return suffix != ".png"


def _draw(
    output: str,
    index: ImageIndex,
    paths: list[str],
    answers: list[list[Result] | ImageError],
    box: Box | None,
    options: dict[str, Any],
    *,
    as_page: bool,
) -> None:
    from cvbow.report.retrieval import Searched, write_search_page, write_search_picture

    if as_page:
        searches = [Searched(path, found, box) for path, found in zip(paths, answers, strict=True)]
        write_search_page(output, index, searches, verify_options=options)
    elif not isinstance(answers[0], ImageError):
        write_search_picture(output, index, paths[0], answers[0], box=box, verify_options=options)


def _as_json(path: str, found: list[Result] | ImageError, files: list[str | None]) -> dict[str, Any]:
    if isinstance(found, ImageError):
        return {"query": path, "error": found.reason}
    return {
        "query": path,
        "results": [
            {
                "path": result.path,
                "file": file,
                "score": result.score,
                "inliers": result.n_inliers,
                "matrix": None if result.matrix is None else result.matrix.tolist(),
            }
            for result, file in zip(found, files, strict=True)
        ],
    }


def _echo_answers(paths: list[str], answers: list[list[Result] | ImageError], n_images: int) -> None:
    for number, (path, found) in enumerate(zip(paths, answers, strict=True)):
        if isinstance(found, ImageError):
            click.echo(f"cvbow: {printable(str(found))}", err=True)
            continue
        if len(paths) > 1:
            click.echo(("\n" if number else "") + printable(path))
        if not found:
            click.echo(f"nothing found among {images(n_images)}")
            continue
        verified = any(result.n_inliers is not None for result in found)
        click.echo(f"rank   score  {'inliers  ' if verified else ''}image")
        for rank, result in enumerate(found, start=1):
            inliers = "" if result.n_inliers is None else str(result.n_inliers)
            column = f"{inliers:>7}  " if verified else ""
            click.echo(f"{rank:4d}  {result.score:6.3f}  {column}{printable(result.path)}")
