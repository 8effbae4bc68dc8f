"""``cvbow index duplicates``."""

from __future__ import annotations

import os
from typing import Any

import click

from cvbow import storage
from cvbow.duplicates import MIN_OVERLAP, MIN_PART_SCORE, MIN_SCORE, Duplicates, find_duplicates
from cvbow.index import ImageIndex
from cvbow_cli._common import echo_json, option_json, printable, skipped_as_json, tell_skipped, work_options, working
from cvbow_cli._index_common import argument_index, images

__all__ = ["duplicates"]


@click.command(name="duplicates")
@argument_index
@click.option(
    "--min-score",
    default=MIN_SCORE,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Agreement of the details of a pair, at least.",
)
@click.option(
    "--min-part-score",
    default=MIN_PART_SCORE,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="The same where one is a part of the other.",
)
@click.option(
    "--min-overlap",
    default=MIN_OVERLAP,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of each image that the other one shows, at least.",
)
@click.option(
    "--output",
    "-o",
    metavar="FILE.html",
    type=click.Path(dir_okay=False),
    help="Write a page of the groups there, the least sure first.",
)
@work_options
@option_json
def duplicates(
    index: str,
    min_score: float,
    min_part_score: float,
    min_overlap: float,
    output: str | None,
    n_jobs: int,
    executor: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """List the images of an index that are the same picture: copied, resized, recompressed or cropped.

    An index of visual words (or one built with --local) finds crops, too.

    --json gives groups of paths, each with the pairs that join it: reason (identical bytes, copy at another size or
    compression, part where one is cropped), score (agreement of the details, 0 to 1), and overlap (the share of each
    one that the other shows).

    \b
    Example:
      cvbow index duplicates photos.index
      cvbow index duplicates photos.index -o duplicates.html
      cvbow index duplicates photos.index --json > duplicates.json
    """
    if output is not None:
        storage.check_writable(output)
        if os.path.splitext(output)[1].casefold() not in (".html", ".htm"):
            raise click.UsageError(f"--output must end in .html, got {output}")
    with (
        working(quiet=quiet or as_json, executor=executor, scheduler=scheduler),
        ImageIndex.open(index, n_jobs=n_jobs) as opened,
    ):
        found = find_duplicates(
            opened, min_score=min_score, min_part_score=min_part_score, min_overlap=min_overlap, n_jobs=n_jobs
        )
        if output is not None:
            from cvbow.report.duplicates import write_duplicates_page

            write_duplicates_page(output, opened, found)
    if as_json:
        echo_json(_duplicates_as_json(found))
        return
    if not quiet:
        tell_skipped(found.unseen)
    for group in found.groups:
        click.echo(f"{group.score:.3f}  {', '.join(sorted({pair.reason for pair in group.pairs}))}")
        for path in group.paths:
            click.echo(f"  {printable(path)}")
    n_groups = len(found.groups)
    left = found.n_images - sum(len(group.paths) - 1 for group in found.groups)
    click.echo(
        f"{n_groups} group{'' if n_groups == 1 else 's'} among {images(found.n_images)}; "
        f"with one of each group there would be {left}"
    )
    if output is not None:
        click.echo(f"page        {printable(output)}")


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
                    }
                    for pair in group.pairs
                ],
            }
            for group in found.groups
        ],
        "skipped": skipped_as_json(found.unseen),
    }
