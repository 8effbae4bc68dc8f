"""``cvbow bench``."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import click

from cvbow import storage
from cvbow.datasets import Place, dataset_names, locate
from cvbow.errors import DatasetError
from cvbow.experiments import (
    AnyDefinition,
    ComparisonDefinition,
    MatchingDefinition,
    RetrievalDefinition,
    as_markdown,
    as_text,
    benchmark_names,
    collect_results,
    find_benchmark,
    matching_table,
    result_rows,
    retrieval_table,
    run_benchmark,
    run_comparison_benchmark,
    run_matching_benchmark,
    run_retrieval_benchmark,
    target_rows,
    write_result,
)
from cvbow.report import comparison_tables, tables_as_text
from cvbow_cli._common import echo_json, option_json, printable, work_options, working

__all__ = ["command"]


@click.group(name="bench")
def command() -> None:
    """Run the benchmarks that published tables report, and compare with them.

    A benchmark is a TOML file: a data set, a protocol, a recipe, the published figures. Its result is a JSON file.

    \b
    Example:
      cvbow bench list
      cvbow bench run digits-bow
      cvbow bench run scene15-bow --data scene15/ -o scene15-bow.json
      cvbow bench table *.json
    """


@command.command(name="list")
@option_json
def list_command(as_json: bool) -> None:
    """List the benchmarks that come with cvbow, and whether their data sets are on this machine.

    \b
    Example:
      cvbow bench list
    """
    definitions = [find_benchmark(name) for name in benchmark_names()]
    places = {dataset: _place(dataset) for dataset in {definition.dataset for definition in definitions}}
    if as_json:
        echo_json([_listed(definition, places[definition.dataset]) for definition in definitions])
        return
    rows: list[tuple[str, ...]] = [("benchmark", "data set", "", "preset", "protocol")]
    for definition in definitions:
        there = "here" if places[definition.dataset] else "absent"
        rows.append((definition.name, definition.dataset, there, definition.preset, definition.protocol.describe()))
    _echo_columns(rows)
    click.echo("\nRun one:  cvbow bench run NAME      Get an absent data set:  cvbow data fetch NAME")


@command.command(name="run")
@click.argument("name", metavar="NAME")
@click.option(
    "--data",
    metavar="[NAME=]DIR",
    multiple=True,
    help="The data set's folder, used in place; NAME=DIR for a further one, such as one of distractors.",
)
@click.option("--quick", is_flag=True, help="A few images of the first split, to see that it works; no figure.")
@click.option("--output", "-o", metavar="FILE.json", type=click.Path(dir_okay=False), help="Write the result there.")
@click.option("--cache", metavar="DIR", type=click.Path(file_okay=False), help="Keep vectors there; no cost is told.")
@work_options
@option_json
def run_command(
    name: str,
    data: tuple[str, ...],
    quick: bool,
    output: str | None,
    cache: str | None,
    n_jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run the benchmark NAME, or the one in a file NAME.toml.

    The data set is looked for in --data DIR, else in $CVBOW_DATA/<data set>, else among those that 'cvbow data fetch'
    got. An image that cannot be read is an error.

    \b
    Example:
      cvbow bench run digits-bow --quick
      cvbow bench run kth-tips-bow --data KTH_TIPS/ -o kth-tips-bow.json
      cvbow bench run dvd-covers --data dvd_covers/ --data scene15=scene15/
    """
    definition = find_benchmark(name)
    folders = _folders(definition, data)
    folder = folders.get(definition.dataset)
    if output is not None:
        storage.check_writable(output)
    with working(quiet=quiet or as_json, backend=backend, address=scheduler):
        if isinstance(definition, MatchingDefinition):
            result = run_matching_benchmark(definition, folder, n_jobs=n_jobs, quick=quick)
        elif isinstance(definition, RetrievalDefinition):
            result = run_retrieval_benchmark(definition, folders, n_jobs=n_jobs, memory=cache, quick=quick)
        elif isinstance(definition, ComparisonDefinition):
            result = run_comparison_benchmark(definition, folder, n_jobs=n_jobs, memory=cache, quick=quick)
        else:
            result = run_benchmark(definition, folder, n_jobs=n_jobs, memory=cache, quick=quick)
    if output is not None:
        write_result(output, result)
    if as_json:
        echo_json(result)
        return
    if quick:
        click.echo("QUICK: a few images, to see that it works; these figures mean nothing\n")
    if isinstance(definition, MatchingDefinition):
        _echo_matching(result)
    elif isinstance(definition, RetrievalDefinition):
        _echo_retrieval(result)
    elif isinstance(definition, ComparisonDefinition):
        click.echo(f"{printable(result['title'])}\n\n{tables_as_text(comparison_tables(result))}\n")
    else:
        click.echo(as_text(result_rows([result])) + "\n")
        _echo_result(result)
    if output is not None:
        click.echo(f"result               {printable(output)}")


@command.command(name="table")
@click.argument("paths", metavar="[RESULT.json | DIR]...", nargs=-1, type=click.Path(exists=True))
@click.option("--markdown", is_flag=True, help="A Markdown table.")
@option_json
def table_command(paths: tuple[str, ...], markdown: bool, as_json: bool) -> None:
    """Show results beside the published figures; without results, the published figures of every benchmark.

    \b
    Example:
      cvbow bench table results/ --markdown
    """
    if paths:
        rows = result_rows(collect_results(paths))
    else:
        rows = target_rows(find_benchmark(name) for name in benchmark_names())
    if as_json:
        echo_json([vars(row) | {"difference": row.difference} for row in rows])
        return
    click.echo(as_markdown(rows) if markdown else as_text(rows))


def _folders(definition: AnyDefinition, data: tuple[str, ...]) -> dict[str, str]:
    """Return the folders of data sets by their names; one that is given without is the benchmark's own."""
    folders: dict[str, str] = {}
    for text in data:
        name, equals, path = text.partition("=")
        if not equals or name not in dataset_names():
            name, path = definition.dataset, text
        if name in folders:
            raise click.UsageError(f"--data gives {name} twice")
        folders[name] = path
    others = set(folders) - {definition.dataset}
    if others and not isinstance(definition, RetrievalDefinition):
        raise click.UsageError(f"--data: {definition.name} is run on {definition.dataset}, got {min(others)}")
    return folders


def _place(dataset: str) -> Place | None:
    with contextlib.suppress(DatasetError):
        return locate(dataset)
    return None


def _listed(definition: AnyDefinition, place: Place | None) -> dict[str, Any]:
    return {
        "name": definition.name,
        "title": definition.title,
        "dataset": definition.dataset,
        "path": None if place is None else os.fspath(place.root),
        "preset": definition.preset,
        "protocol": definition.protocol.describe(),
        "published": [vars(figure) for figure in definition.published],
    }


def _echo_columns(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(f"{printable(cell):<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _echo_matching(result: dict[str, Any]) -> None:
    _echo_columns(matching_table(result))
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


def _echo_retrieval(result: dict[str, Any]) -> None:
    _echo_columns(retrieval_table(result))
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


def _echo_result(result: dict[str, Any]) -> None:
    dataset = result["dataset"]
    click.echo(f"title                {printable(result['title'])}")
    click.echo(f"protocol             {printable(result['definition']['protocol']['text'])}")
    if "variants" in result:
        _echo_variants(result)
    else:
        _echo_figures(result, result["environment"]["workers"])
    used = f"{dataset['n_images_used']} of {dataset['n_images']} images"
    click.echo(f"data set             {used}, sha256:{dataset['sha256']} of {dataset['sha256_of']}")


def _echo_figures(result: dict[str, Any], workers: int) -> None:
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


def _echo_variants(result: dict[str, Any]) -> None:
    rows: list[tuple[str, ...]] = [("variant", "mean class accuracy", "accuracy", "train, test: ms per image", "model")]
    for part in result["variants"]:
        figures = [f"{part[metric]['mean']:.4f}" for metric in ("mean_class_accuracy", "accuracy")]
        cost, size = part["cost"], part["model_bytes"]
        train, test = cost["train_ms_per_image"], cost["test_ms_per_image"]
        times = "" if train is None else f"{train:.4g}, {test:.4g}"
        rows.append((part["name"], *figures, times, f"{size / 1e6:.2f} MB" if size else ""))
    click.echo("")
    _echo_columns(rows)
    click.echo("")
