"""A comparison of backends as tables for a terminal or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["comparison_tables", "tables_as_markdown", "tables_as_text"]

Table = tuple[str, list[list[str]]]


def comparison_tables(result: Mapping[str, Any]) -> list[Table]:
    """Return (title, rows with a head) of what a comparison found.

    Parameters
    ----------
    result : mapping
        Of ``cvbow.experiments.compare``.

    Returns
    -------
    list of (str, list of list of str)
        Accuracy and cost; tests of pairs; the learning curve; the corruptions: those that were asked for.
    """
    tables = [_figures(result)]
    if result["pairs"]:
        tables.append(_pairs(result))
    rows = result["contenders"]
    if any("curve" in row for row in rows):
        tables.append(_curve(rows))
    if any("corruptions" in row for row in rows):
        tables.append(_corruptions(rows))
    return tables


def _figures(result: Mapping[str, Any]) -> Table:
    rows = result["contenders"]
    best = max(rows, key=lambda row: row["mean_class_accuracy"]["mean"])["name"]
    against = {name: pair for pair in result["pairs"] for name in _other(pair, best)}
    spread = "95 % interval" if len(result["splits"]) == 1 else "± over splits"
    tests = [f"points to {best}", "p (Holm)"] if against else []
    table = [["backend", "mean class accuracy %", spread, *tests, "ms an image", "training s", "model MB", "peak GB"]]
    for row in rows:
        cost, figure, interval = row["cost"], row["mean_class_accuracy"], row["interval"]
        cells = "" if figure["std"] is None else f"{100 * figure['std']:.1f}"
        if interval is not None:
            cells = f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}"
        table.append([row["name"], f"{100 * figure['mean']:.1f}", cells])
        if against:
            pair = against.get(row["name"])
            sign = 1 if pair is None or pair["first"] == row["name"] else -1
            table[-1] += [
                "" if pair is None else f"{100 * sign * pair['difference']:+.1f}",
                "" if pair is None else _p(pair["p_value_holm"]),
            ]
        table[-1] += [
            _number(cost["ms_per_image"]),
            _number(cost["train_processor_seconds"]),
            _number(cost["model_bytes"], 1e6),
            _number(cost["peak_bytes"], 1e9),
        ]
    what = "times are the processor's, points and p of accuracy"
    return f"Classifier head {result['classifier']}; {result['protocol']}; {what}", table


def _other(pair: Mapping[str, Any], name: str) -> list[str]:
    """Return the other one of a pair that ``name`` is in, as a list; none of another pair."""
    sides = [pair["first"], pair["second"]]
    return [side for side in sides if side != name] if name in sides else []


def _pairs(result: Mapping[str, Any]) -> Table:
    rows = [["backend", "against", "points", "p", "p, for all pairs (Holm)"]]
    for pair in result["pairs"]:
        points = f"{100 * pair['difference']:+.1f}"
        rows.append([pair["first"], pair["second"], points, _p(pair["p_value"]), _p(pair["p_value_holm"])])
    return f"Differences of accuracy; {result['pairs'][0]['test']}", rows


def _curve(rows: Sequence[Mapping[str, Any]]) -> Table:
    counts = [str(point["train_per_class"]) for point in rows[0]["curve"]]
    table = [["backend", *counts]]
    for row in rows:
        cells = [
            f"{100 * point['mean']:.1f}" + ("" if point["std"] is None else f" ± {100 * point['std']:.1f}")
            for point in row["curve"]
        ]
        table.append([row["name"], *cells])
    return "Mean class accuracy % by training images per class", table


def _corruptions(rows: Sequence[Mapping[str, Any]]) -> Table:
    kinds = list(rows[0]["corruptions"]["kinds"])
    table = [["backend", "clean", "mean", *kinds]]
    for row in rows:
        found = row["corruptions"]
        means = [sum(found["kinds"][kind]) / len(found["kinds"][kind]) for kind in kinds]
        table.append([row["name"], *(f"{100 * figure:.1f}" for figure in (found["clean"], found["mean"], *means))])
    n_images = rows[0]["corruptions"]["n_images"]
    return f"Mean class accuracy % on {n_images} test images made worse, over five strengths", table


def _number(value: float | None, unit: float = 1.0) -> str:
    if value is None:
        return ""
    scaled = value / unit
    return f"{scaled:,.0f}" if scaled >= 99.95 else f"{scaled:.1f}" if scaled >= 9.995 else f"{scaled:.2f}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.01 else f"{value:.2f}"


def tables_as_text(tables: Sequence[Table]) -> str:
    """Return the tables for a terminal: the first column to the left, figures to the right."""
    blocks = []
    for title, rows in tables:
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 0 or not _is_figure(rows, column) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        blocks.append("\n".join([title, "", *lines]))
    return "\n\n".join(blocks)


def tables_as_markdown(tables: Sequence[Table]) -> str:
    """Return the tables in Markdown."""
    blocks = []
    for title, rows in tables:
        marks = ["---:" if column and _is_figure(rows, column) else "---" for column in range(len(rows[0]))]
        cells = [[cell.replace("|", r"\|") for cell in row] for row in (rows[0], marks, *rows[1:])]
        blocks.append("\n".join([f"{title}:", "", *(f"| {' | '.join(row)} |" for row in cells)]))
    return "\n\n".join(blocks)


def _is_figure(rows: Sequence[Sequence[str]], column: int) -> bool:
    return all(not row[column] or row[column][0] in "+-<0123456789" for row in rows[1:])
