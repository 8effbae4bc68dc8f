"""``cvbow bench``."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import click

from cvbow.datasets import Place, dataset_names, locate
from cvbow.errors import DatasetError
from cvbow.experiments import (
    Definition,
    Row,
    benchmark_names,
    collect_results,
    facts_table,
    find_benchmark,
    result_rows,
    result_tables,
    rows_table,
    run_benchmark,
    target_rows,
    write_result,
)
from cvbow.tables import Table
from cvbow_cli._common import (
    ListingGroup,
    echo_json,
    echo_tables,
    option_json,
    option_max_pixels,
    printable,
    work_options,
)
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import InputPath

__all__ = ["command"]


@click.group(name="bench", cls=ListingGroup)
def command() -> None:
    """Run benchmarks, and compare the results with published figures.

    A benchmark is a TOML file: a data set, a protocol, a recipe, and published figures. Its result is a JSON file.

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
    rows = []
    for definition in definitions:
        there = "here" if places[definition.dataset] else "absent"
        rows.append((definition.name, definition.dataset, there, definition.recipe, definition.protocol.describe()))
    echo_tables([Table(("benchmark", "data set", "", "preset", "protocol"), rows)])
    click.echo("\nRun one:  cvbow bench run NAME      Get an absent data set:  cvbow data fetch NAME")


@command.command(name="run")
@click.argument("name", metavar="NAME")
@click.option(
    "--data",
    metavar="[NAME=]DIR",
    multiple=True,
    help="Folder of the data set; NAME=DIR for a further data set, such as one of distractors.",
)
@click.option("--quick", is_flag=True, help="Use a few images of the first split, to see that it works.")
@output_option("--output", "-o", suffixes=(".json",), metavar="FILE.json", help="Result file to write.")
@click.option(
    "--cache", metavar="DIR", type=click.Path(file_okay=False), help="Folder for vectors; no costs are shown."
)
@option_max_pixels
@work_options
@option_json
def run_command(
    name: str,
    data: tuple[str, ...],
    quick: bool,
    output: str | None,
    cache: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Run the benchmark NAME, or the one in a file NAME.toml.

    The data set is looked for in --data DIR, then in $CVBOW_DATA/<data set>, then among those that 'cvbow data fetch'
    downloaded. An image that cannot be read is an error.

    \b
    Example:
      cvbow bench run digits-bow --quick
      cvbow bench run kth-tips-bow --data KTH_TIPS/ -o kth-tips-bow.json
      cvbow bench run dvd-covers --data dvd_covers/ --data scene15=scene15/
    """
    definition = find_benchmark(name)
    folders = _folders(definition, data)
    check_output(output, [name])
    result = run_benchmark(definition, folders, n_jobs=n_jobs, memory=cache, quick=quick)
    if output is not None:
        write_result(output, result)
    if as_json:
        echo_json(result)
        return
    if quick:
        click.echo("QUICK: a few images, to see that it works; the figures are not meaningful\n")
    rows = result_rows([result])
    beside = [rows_table(rows)] if rows else []
    echo_tables([*beside, *result_tables(result).values(), facts_table(result)])
    if output is not None:
        click.echo(f"\nresult    {printable(output)}")


@command.command(name="table")
@click.argument("paths", metavar="[RESULT.json | DIR]...", nargs=-1, type=InputPath())
@click.option("--markdown", is_flag=True, help="Print Markdown tables.")
@option_json
def table_command(paths: tuple[str, ...], markdown: bool, as_json: bool) -> None:
    """Show results beside the published figures; without results, the published figures alone.

    A result is a JSON file of 'cvbow bench run', 'cvbow compare', or a script in benchmarks/.

    \b
    Example:
      cvbow bench table results/ --markdown
    """
    results = collect_results(paths) if paths else []
    rows = result_rows(results) if paths else target_rows(find_benchmark(name) for name in benchmark_names())
    others = [table for result in results if not result_rows([result]) for table in result_tables(result).values()]
    if as_json:
        echo_json([_as_json(row) for row in rows] + [vars(table) for table in others])
        return
    beside = [rows_table(rows, sources=markdown)] if rows else []
    echo_tables(beside + others, markdown=markdown)


def _as_json(row: Row) -> dict[str, Any]:
    return vars(row) | {"difference": row.difference}


def _folders(definition: Definition, data: tuple[str, ...]) -> dict[str, str]:
    """Return the folders of data sets by their names; one that is given without is the benchmark's own."""
    folders: dict[str, str] = {}
    for text in data:
        name, equals, path = text.partition("=")
        if not equals or name not in dataset_names():
            name, path = definition.dataset, text
        if name in folders:
            raise click.UsageError(f"--data gives {name} twice")
        folders[name] = path
    return folders


def _place(dataset: str) -> Place | None:
    with contextlib.suppress(DatasetError):
        return locate(dataset)
    return None


def _listed(definition: Definition, place: Place | None) -> dict[str, Any]:
    return {
        "name": definition.name,
        "title": definition.title,
        "dataset": definition.dataset,
        "path": None if place is None else os.fspath(place.root),
        "kind": definition.kind,
        "preset": definition.recipe,
        "protocol": definition.protocol.describe(),
        "published": [vars(figure) for figure in definition.published],
    }
