"""``cvbow index search``, ``evaluate`` and ``duplicates``: what is asked of an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from cvbow.duplicates import COLORS, MAX_DIFFERENCE, MIN_OVERLAP, MIN_PART_SCORE, MIN_SCORE, Duplicates, find_duplicates
from cvbow.errors import ImageError
from cvbow.index import ImageIndex, Result, Search, evaluate_index, search_parts
from cvbow.index.search import VERIFIED
from cvbow.retrieval import VERIFICATION_MODELS, Box, read_ground_truth
from cvbow.tables import Table
from cvbow_cli._common import (
    echo_json,
    echo_tables,
    images_of,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._index_common import argument_index, images
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import InputPath

__all__ = ["duplicates", "evaluate", "search"]

F = TypeVar("F", bound=Callable[..., Any])

#: Queries that are listed for a person.
_SHOWN = 10


def _search_options(command: F) -> F:
    """Add the options of ``Search`` that searching and evaluating share."""
    for option in reversed(
        (
            click.option(
                "--verify",
                type=click.IntRange(min=0),
                metavar="N",
                help=f"Verify the best N results by geometry; by default {VERIFIED} if the index has visual words.",
            ),
            click.option(
                "--model",
                default=Search.model,
                show_default=True,
                type=click.Choice(VERIFICATION_MODELS),
                help="Map between two images that is looked for.",
            ),
            click.option(
                "--expand",
                default=Search.expand,
                show_default=True,
                type=click.IntRange(min=0),
                metavar="N",
                help="Search again with the query and its best N results; if verified, with what they show of it.",
            ),
        )
    ):
        command = option(command)
    return command


def _box(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"must be four numbers x,y,width,height in pixels, got {text!r}") from None
    return x, y, width, height


def _places(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"must be integers separated by commas, such as 1,5,10; got {text!r}") from None


@click.command(name="search")
@argument_index
@click.argument("queries", metavar="IMAGE|DIR...", nargs=-1, required=True)
@click.option(
    "--top", default=Search.k, show_default=True, type=click.IntRange(min=1), help="Results to show per image."
)
@click.option(
    "--also",
    multiple=True,
    metavar="INDEX",
    type=InputPath(),
    help="Search this index, too, as if it were one with the first; may be repeated.",
)
@_search_options
@click.option("--box", metavar="X,Y,W,H", callback=_box, help="Look for this part of the one IMAGE only, in pixels.")
@click.option("--exclude-self", is_flag=True, help="Leave the query itself out of its results.")
@output_option(
    "--output",
    "-o",
    suffixes=(".png", ".html", ".htm"),
    metavar="FILE.png|FILE.html",
    help="Draw the results there; a PNG has one query, a page any number.",
)
@option_max_pixels
@work_options
@option_json
@click.pass_context
def search(
    ctx: click.Context,
    index: str,
    queries: tuple[str, ...],
    top: int,
    also: tuple[str, ...],
    verify: int | None,
    model: str,
    expand: int,
    box: Box | None,
    exclude_self: bool,
    output: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Search an index for images; '-' reads their paths from stdin, a line each.

    Verified results come first, by their inliers: features that lie in both images in the same arrangement. With six
    or more the map between the images is given, too. An image that cannot be read is reported, the others are answered,
    and the exit code is 1; an image that nothing is found for is an answer.

    Indexes that were built with one describer ('build --like') answer as one with --also, each searched by a worker:
    with --executor dask by any machine that sees its folder.

    --json gives for each query its results: path (what the index knows the image by), file, score, inliers, and matrix
    (three rows; takes x, y, 1 of the query to the result), with --also the index, or an error.

    \b
    Example:
      cvbow index search photos.index query.jpg -o found.png
      cvbow index search photos.index query.jpg --box 120,40,300,200 --top 5
      cvbow index search photos.index new/ --json
      cvbow index search photos.index --also more.index query.jpg
    """
    paths = list(images_of(queries))
    if box is not None and len(paths) != 1:
        raise click.UsageError(f"--box needs exactly one IMAGE, got {len(paths)}")
    check_output(output, paths)
    as_page = output is not None and not output.casefold().endswith(".png")
    if output is not None and not as_page and len(paths) != 1:
        raise click.UsageError(f"a PNG shows one query, got {len(paths)}; -o FILE.html shows any number")
    if also and output is not None:
        raise click.UsageError("-o shows the results of one index, without --also")
    how = Search(k=top, verify=verify, expand=expand, model=model, exclude_self=exclude_self)
    indexes, boxes = (index, *also), [box] * len(paths)
    if also:
        answers = list(search_parts(indexes, paths, how, boxes=boxes, n_jobs=n_jobs))
        searched = f"the images of {len(indexes)} indexes"
    else:
        with ImageIndex.open(index, n_jobs=n_jobs) as opened:
            answers = list(opened.search_many(paths, how, boxes=boxes))
            if output is not None:
                _draw(output, opened, paths, answers, box, as_page=as_page)
            searched = images(len(opened))
    names = indexes if also else ()
    failed = [found for found in answers if isinstance(found, ImageError)]
    if as_json:
        echo_json([_as_json(*row, names) for row in zip(paths, answers, strict=True)])
    else:
        _echo_answers(paths, answers, searched, names)
        if output is not None and (as_page or not failed):
            click.echo(f"picture     {printable(output)}")
    if failed:
        ctx.exit(1)


@click.command(name="evaluate")
@argument_index
@click.argument("truth", metavar="TRUTH", type=InputPath())
@click.option("--images", metavar="DIR", type=InputPath(file_okay=False), help="Folder of the images.")
@click.option(
    "--at",
    "k",
    default="1,5,10",
    show_default=True,
    metavar="K,K,...",
    callback=_places,
    help="Measure the first K results.",
)
@_search_options
@click.option("--keep-self", is_flag=True, help="Let a query that is in the index count among its own results.")
@click.option(
    "--depth", type=click.IntRange(min=1), metavar="N", help="Evaluate only the first N results; by default all."
)
@click.option("--strict", is_flag=True, help="Stop at a query that cannot be read, instead of skipping it.")
@option_max_pixels
@work_options
@option_json
def evaluate(
    index: str,
    truth: str,
    images: str | None,
    k: tuple[int, ...],
    verify: int | None,
    model: str,
    expand: int,
    keep_self: bool,
    depth: int | None,
    strict: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Evaluate an index against ground truth: mean average precision, recall, precision.

    TRUTH is a CSV with the columns query,image,label and a row for each pair, labelled relevant or ignored (names are
    relative to the CSV, or to --images); or a folder with a folder for each group of images that show the same thing;
    or the folder of the ground truth of the Oxford or Paris buildings. A query that is in the index is left out of its
    own results.

    \b
    Example:
      cvbow index evaluate photos.index truth.csv
      cvbow index evaluate photos.index groups/ --verify 0 --json > result.json
    """
    ground_truth = read_ground_truth(truth, images=images)
    with ImageIndex.open(index, n_jobs=n_jobs) as opened:
        judged = evaluate_index(
            opened,
            ground_truth,
            Search(verify=verify, expand=expand, model=model),
            k=k,
            keep_self=keep_self,
            depth=depth,
            strict=strict,
        )
    if as_json:
        echo_json(judged)
        return
    tell_skipped([ImageError(row["query"], row["reason"]) for row in judged["skipped"]])
    _echo_judged(judged)


@click.command(name="duplicates")
@argument_index
@click.option(
    "--min-score",
    default=MIN_SCORE,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Smallest agreement of the details of two images.",
)
@click.option(
    "--min-part-score",
    default=MIN_PART_SCORE,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="The same for an image that is a part of another.",
)
@click.option(
    "--min-overlap",
    default=MIN_OVERLAP,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Smallest share of each image that the other one shows.",
)
@click.option(
    "--max-difference",
    default=MAX_DIFFERENCE,
    show_default=True,
    type=click.FloatRange(0, 2),
    help="Largest difference in brightness or colour, where two images differ most.",
)
@click.option("--turned", is_flag=True, help="A picture that was mirrored, or turned by 90, 180 or 270 degrees, too.")
@click.option(
    "--colors",
    default=COLORS[0],
    show_default=True,
    type=click.Choice(COLORS),
    help="Whether a picture in other colours, or in gray, is another one, or the same.",
)
@output_option(
    "--output",
    "-o",
    suffixes=(".html", ".htm"),
    metavar="FILE.html",
    help="Page of the groups to write, the least certain first.",
)
@option_max_pixels
@work_options
@option_json
def duplicates(
    index: str,
    min_score: float,
    min_part_score: float,
    min_overlap: float,
    max_difference: float,
    turned: bool,
    colors: str,
    output: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """List the images of an index that are the same picture: copied, resized, recompressed or cropped.

    An index of visual words, or one built with --local, finds crops too. A picture in other colours, or in gray, is
    another one unless --colors any says otherwise; one that was drawn over, or a form that was filled in differently,
    always is. Symbolic and hard links are names of one file, no copies.

    --json gives groups of paths, each with the pairs that join it: reason (identical bytes, copy at another size or
    compression, part where one is cropped), score (agreement of the details, 0 to 1), overlap (the share of each one
    that the other shows), difference (where they differ most), and turned (what was done to the first, such as
    "mirrored", empty for nothing); and links, the names of one file each.

    \b
    Example:
      cvbow index duplicates photos.index
      cvbow index duplicates photos.index --turned -o duplicates.html
      cvbow index duplicates photos.index --json > duplicates.json
    """
    check_output(output)
    with ImageIndex.open(index, n_jobs=n_jobs) as opened:
        found = find_duplicates(
            opened,
            min_score=min_score,
            min_part_score=min_part_score,
            min_overlap=min_overlap,
            max_difference=max_difference,
            turned=turned,
            colors=colors,
            n_jobs=n_jobs,
        )
        if output is not None:
            from cvbow.report.duplicates import write_duplicates_page

            write_duplicates_page(output, opened, found)
    if as_json:
        echo_json(_duplicates_as_json(found))
        return
    tell_skipped(found.unseen)
    for group in found.groups:
        kinds = {word for pair in group.pairs for word in (pair.reason, pair.turned) if word}
        click.echo(f"{group.score:.3f}  {', '.join(sorted(kinds))}")
        for path in group.paths:
            click.echo(f"  {printable(path)}")
    n_groups = len(found.groups)
    for names in found.links:
        click.echo(f"one file: {' = '.join(map(printable, names))}")
    left = found.n_files - sum(len(group.paths) - 1 for group in found.groups)
    click.echo(
        f"{n_groups} group{'' if n_groups == 1 else 's'} among {images(found.n_images)}; "
        f"keeping one of each group would leave {left}"
    )
    if output is not None:
        click.echo(f"page        {printable(output)}")


def _draw(
    output: str,
    index: ImageIndex,
    paths: list[str],
    answers: Sequence[Sequence[Result] | ImageError],
    box: Box | None,
    *,
    as_page: bool,
) -> None:
    from cvbow.report.retrieval import Searched, write_search_page, write_search_picture

    if as_page:
        searches = [Searched(path, found, box) for path, found in zip(paths, answers, strict=True)]
        write_search_page(output, index, searches)
    elif not isinstance(answers[0], ImageError):
        write_search_picture(output, index, paths[0], answers[0], box=box)


def _as_json(path: str, found: Sequence[Result] | ImageError, indexes: Sequence[str]) -> dict[str, Any]:
    if isinstance(found, ImageError):
        return {"query": path, "error": found.reason}
    return {
        "query": path,
        "results": [
            {
                "path": result.path,
                "file": result.file,
                "score": result.score,
                "inliers": result.n_inliers,
                "matrix": None if result.matrix is None else result.matrix.tolist(),
            }
            | ({"index": indexes[result.part]} if indexes else {})
            for result in found
        ],
    }


def _echo_answers(
    paths: list[str], answers: Sequence[Sequence[Result] | ImageError], searched: str, indexes: Sequence[str]
) -> None:
    for number, (path, found) in enumerate(zip(paths, answers, strict=True)):
        if isinstance(found, ImageError):
            click.echo(f"cvbow: {printable(str(found))}", err=True)
            continue
        if len(paths) > 1:
            click.echo(("\n" if number else "") + printable(path))
        if not found:
            click.echo(f"nothing found among {searched}")
            continue
        verified = any(result.n_inliers is not None for result in found)
        rows = []
        for rank, result in enumerate(found, start=1):
            inliers = ("" if result.n_inliers is None else str(result.n_inliers),) if verified else ()
            names = (indexes[result.part],) if indexes else ()
            rows.append((str(rank), f"{result.score:.3f}", *inliers, *names, result.path))
        heads = ("rank", "score", *(("inliers",) if verified else ()), *(("index",) if indexes else ()), "image")
        echo_tables([Table(heads, rows)])


def _echo_judged(judged: dict[str, Any]) -> None:
    verified = f", the best {judged['verify']} verified" if judged["verify"] else ""
    click.echo(f"queries     {judged['n_queries']} in {judged['n_images']} images{verified}")
    click.echo(f"mAP         {judged['map']:.4f}")
    click.echo(f"trapezoids  {judged['map_trapezoids']:.4f} (mAP as the Oxford and Holidays protocols have it)")
    for measure in ("recall", "precision"):
        values = "  ".join(f"@{place} {value:.4f}" for place, value in judged[measure].items())
        click.echo(f"{measure:<11} {values}")
    if judged["ukbench_score"] is not None:
        click.echo(f"ukbench     {judged['ukbench_score']:.3f} of 4")
    if judged["missing"]:
        click.echo(
            f"missing     {len(judged['missing'])} relevant images are not in the index; they count as not found"
        )
    worst = sorted(judged["per_query"], key=lambda row: row["average_precision"])
    worst = [row for row in worst if row["average_precision"] < 1][:_SHOWN]
    if worst:
        rows = [(f"{row['average_precision']:.4f}", str(row["first_relevant"] or ""), row["query"]) for row in worst]
        heads = ("average precision", "first relevant image at", "query")
        click.echo("")
        echo_tables([Table(heads, rows, "hardest queries")])


def _duplicates_as_json(found: Duplicates) -> dict[str, Any]:
    return {
        "n_images": found.n_images,
        "groups": [
            {
                "paths": list(group.paths),
                "score": group.score,
                "pairs": [
                    {
                        "first": pair.first,
                        "second": pair.second,
                        "reason": pair.reason,
                        "score": pair.score,
                        "overlap": list(pair.overlap),
                        "inliers": pair.n_inliers,
                        "difference": pair.difference,
                        "turned": pair.turned,
                    }
                    for pair in group.pairs
                ],
            }
            for group in found.groups
        ],
        "links": [list(names) for names in found.links],
        "skipped": skipped_as_json(found.unseen),
    }
