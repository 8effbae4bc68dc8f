"""The kinds of benchmarks: how one is run, and how its result is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from cvbow.experiments import (
    AnyDefinition,
    ComparisonDefinition,
    Definition,
    MatchingDefinition,
    RetrievalDefinition,
    as_text,
    matching_table,
    result_rows,
    retrieval_table,
    run_benchmark,
    run_comparison_benchmark,
    run_matching_benchmark,
    run_retrieval_benchmark,
)
from cvbow.report import comparison_tables, tables_as_text
from cvbow_cli._common import printable

__all__ = ["KINDS", "Kind", "echo_columns"]

Result = dict[str, Any]
Folders = Mapping[str, str]


@dataclass(frozen=True)
class Kind:
    """A kind of benchmark.

    Attributes
    ----------
    run : callable
        Takes the definition, the folders of data sets by their names, and ``n_jobs``, ``memory`` and ``quick``.
    show : callable
        Takes the result.
    several_data_sets : bool
        Whether it may need more data sets than its own.
    """

    run: Callable[..., Result]
    show: Callable[[Result], None]
    several_data_sets: bool = False


def _run(definition: Definition, folders: Folders, **options: Any) -> Result:
    return run_benchmark(definition, folders.get(definition.dataset), **options)


def _run_matching(definition: MatchingDefinition, folders: Folders, *, memory: Any, **options: Any) -> Result:
    # It is about the time that points take: nothing of it is kept.
    return run_matching_benchmark(definition, folders.get(definition.dataset), **options)


def _run_comparison(definition: ComparisonDefinition, folders: Folders, **options: Any) -> Result:
    return run_comparison_benchmark(definition, folders.get(definition.dataset), **options)


def echo_columns(rows: list[tuple[str, ...]]) -> None:
    """Print a table, its heads first."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(f"{printable(cell):<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _echo_classification(result: Result) -> None:
    click.echo(as_text(result_rows([result])) + "\n")
    _echo_result(result)


def _echo_comparison(result: Result) -> None:
    click.echo(f"{printable(result['title'])}\n\n{tables_as_text(comparison_tables(result))}\n")


def _echo_matching(result: Result) -> None:
    echo_columns(matching_table(result))
    click.echo(
        "\nMeans over pairs, in percent. repeat.: repeatability; score: matching score; MMA@t: mean matching\n"
        "accuracy of mutual nearest neighbours at t pixels; ratio: the same after the ratio test; H@t: homographies\n"
        "with a corner error of at most t pixels. ms: to find and describe an image's points, median, one thread.\n"
    )
    dataset, protocol = result["dataset"], result["definition"]["protocol"]
    click.echo(f"title                {printable(result['title'])}")
    click.echo(f"protocol             {printable(protocol['text'])}")
    hashes = f"sha256:{dataset['sha256']}, homographies {dataset['homographies_sha256']}"
    click.echo(f"data set             {dataset['n_images']} images, {hashes}")


def _echo_retrieval(result: Result) -> None:
    echo_columns(retrieval_table(result))
    click.echo(
        "\nIn percent. mAP: mean over queries of the precisions at the relevant images; trapezoids: as the Oxford and\n"
        "Holidays protocols compute it. learn, index: ms per image; search: ms per query, with its description and\n"
        f"verification ({result['environment']['workers']} workers).\n"
    )
    click.echo(f"title                {printable(result['title'])}")
    click.echo(f"protocol             {printable(result['definition']['protocol']['text'])}")
    first = result["variants"][0]
    click.echo(f"queries, index       {first['n_queries']} queries, {first['n_images']} images")
    learned = result["learned_on"]
    click.echo(f"learned on           {learned['n_images']} images: {learned['what']}")
    for dataset in (result["dataset"], *result["others"]):
        click.echo(f"data set             {dataset['name']}, {dataset['n_images']} images, sha256:{dataset['sha256']}")


def _echo_result(result: Result) -> None:
    dataset = result["dataset"]
    click.echo(f"title                {printable(result['title'])}")
    click.echo(f"protocol             {printable(result['definition']['protocol']['text'])}")
    if "variants" in result:
        _echo_variants(result)
    else:
        _echo_figures(result, result["environment"]["workers"])
    used = f"{dataset['n_images_used']} of {dataset['n_images']} images"
    click.echo(f"data set             {used}, sha256:{dataset['sha256']} of {dataset['sha256_of']}")


def _echo_figures(result: Result, workers: int) -> None:
    cost, memory = result["cost"], result["memory"]
    for metric in ("mean_class_accuracy", "accuracy"):
        std = result[metric]["std"]
        spread = "" if std is None else f" ± {std:.4f} over {len(result['splits'])} runs"
        click.echo(f"{metric.replace('_', ' '):<20} {result[metric]['mean']:.4f}{spread}")
    if cost["train_ms_per_image"] is not None:
        times = f"train {cost['train_ms_per_image']:.4g}, test {cost['test_ms_per_image']:.4g}"
        click.echo(f"ms per image         {times} ({workers} workers)")
    if memory["peak_bytes"]:
        click.echo(f"peak memory          {memory['peak_bytes'] / 1e6:.0f} MB")
    if result["model_bytes"]:
        click.echo(f"model                {result['model_bytes'] / 1e6:.2f} MB")


def _echo_variants(result: Result) -> None:
    rows: list[tuple[str, ...]] = [("variant", "mean class accuracy", "accuracy", "train, test: ms per image", "model")]
    for part in result["variants"]:
        figures = [f"{part[metric]['mean']:.4f}" for metric in ("mean_class_accuracy", "accuracy")]
        cost, size = part["cost"], part["model_bytes"]
        train, test = cost["train_ms_per_image"], cost["test_ms_per_image"]
        times = "" if train is None else f"{train:.4g}, {test:.4g}"
        rows.append((part["name"], *figures, times, f"{size / 1e6:.2f} MB" if size else ""))
    click.echo("")
    echo_columns(rows)
    click.echo("")


#: By the type of a definition.
KINDS: dict[type[AnyDefinition], Kind] = {
    Definition: Kind(_run, _echo_classification),
    ComparisonDefinition: Kind(_run_comparison, _echo_comparison),
    MatchingDefinition: Kind(_run_matching, _echo_matching),
    RetrievalDefinition: Kind(run_retrieval_benchmark, _echo_retrieval, several_data_sets=True),
}
