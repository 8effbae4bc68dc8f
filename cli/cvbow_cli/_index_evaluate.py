"""``cvbow index evaluate``."""

from __future__ import annotations

from typing import Any

import click

from cvbow.errors import ImageError
from cvbow.index import ImageIndex, evaluate_index
from cvbow.retrieval import read_ground_truth
from cvbow_cli._common import echo_json, option_json, printable, tell_skipped, work_options, working
from cvbow_cli._index_common import argument_index, n_verified, option_expand, option_model, option_verify

__all__ = ["evaluate"]

#: Queries that are listed for a person.
_SHOWN = 10


def _places(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"must be integers separated by commas, such as 1,5,10; got {text!r}") from None


@click.command(name="evaluate")
@argument_index
@click.argument("truth", metavar="TRUTH", type=click.Path(exists=True))
@click.option("--images", metavar="DIR", type=click.Path(exists=True, file_okay=False), help="Where names are found.")
@click.option("--at", "k", default="1,5,10", show_default=True, metavar="K,K,...", callback=_places, help="Places.")
@option_verify
@option_model
@option_expand
@click.option("--keep-self", is_flag=True, help="A query that is in the index stays in its own ranking, and counts.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Judge the first N results; otherwise all.")
@click.option("--strict", is_flag=True, help="A query that cannot be read is an error, instead of being skipped.")
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
    executor: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Judge an index by what should be found: mean average precision, recall, precision.

    TRUTH is a CSV with the columns query,image,label, a row for each pair, with the label relevant or ignored (names
    are relative to the CSV, or to --images); or a folder with a folder for each group of images that show the same; or
    one with the files of the Oxford and Paris buildings. A query that is in the index is left out of its own ranking.

    \b
    Example:
      cvbow index evaluate photos.index truth.csv
      cvbow index evaluate photos.index groups/ --verify 0 --json > result.json
    """
    ground_truth = read_ground_truth(truth, images=images)
    with (
        working(quiet=quiet or as_json, executor=executor, scheduler=scheduler),
        ImageIndex.open(index, n_jobs=n_jobs) as opened,
    ):
        judged = evaluate_index(
            opened,
            ground_truth,
            k=k,
            verify=n_verified(opened, verify),
            expand=expand,
            verify_options={"model": model},
            keep_self=keep_self,
            depth=depth,
            strict=strict,
        )
    if as_json:
        echo_json(judged)
        return
    if not quiet:
        tell_skipped([ImageError(row["query"], row["reason"]) for row in judged["skipped"]])
    _echo_judged(judged)


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
        click.echo("\nhardest queries: average precision, first relevant image at")
        for row in worst:
            place = row["first_relevant"] or "none"
            click.echo(f"  {row['average_precision']:.4f}  {place!s:>6}  {printable(row['query'])}")
