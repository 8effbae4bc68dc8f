"""Tables of a classification report, for a person."""

from __future__ import annotations

import click

from cvbow.classify import ClassificationReport
from cvbow_cli._common import printable

__all__ = ["echo_report"]

#: With more classes than this a confusion matrix does not fit a terminal; the worst confusions are listed instead.
MATRIX_LIMIT = 20


def echo_report(report: ClassificationReport) -> None:
    """Print the measures, a line per class, and the confusions."""
    click.echo(f"images               {report.n_images}")
    click.echo(f"accuracy             {report.accuracy:.4f}")
    click.echo(
        f"mean class accuracy  {report.mean_class_accuracy:.4f} (std over classes {report.class_accuracy_std:.4f})"
    )
    click.echo(f"top-5 accuracy       {report.top5_accuracy:.4f}")
    click.echo(f"log loss             {report.log_loss:.4f}")
    names = [_short(name) for name in report.classes]
    width = max(5, *(len(name) for name in names))
    click.echo(f"\n{'class':<{width}}  images  recall  precision")
    counts = report.confusion.sum(axis=1)
    for name, count, recall, precision in zip(names, counts, report.recall, report.precision, strict=True):
        click.echo(f"{name:<{width}}  {count:6d}  {recall:6.3f}  {precision:9.3f}")
    click.echo("")
    if len(names) <= MATRIX_LIMIT:
        _echo_matrix(report, names, width)
    else:
        _echo_worst(report, names)
    click.echo("")


def _echo_matrix(report: ClassificationReport, names: list[str], width: int) -> None:
    column = max(3, len(str(report.confusion.max())))
    if max(map(len, names)) <= column:
        heads, sides = names, names
        click.echo("confusion: a row per true class, a column per answer")
    else:
        heads = [str(i) for i in range(1, len(names) + 1)]
        sides = [f"{name:<{width}} {number:>2}" for name, number in zip(names, heads, strict=True)]
        click.echo("confusion: a row per true class, a column per answer, numbered in the same order")
    margin = max(map(len, sides))
    click.echo(" " * (margin + 1) + " ".join(f"{head:>{column}}" for head in heads))
    for side, row in zip(sides, report.confusion, strict=True):
        cells = " ".join(f"{count:>{column}}" if count else f"{'.':>{column}}" for count in row)
        click.echo(f"{side:<{margin}} {cells}")


def _echo_worst(report: ClassificationReport, names: list[str], limit: int = 20) -> None:
    mistakes = [
        (int(report.confusion[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and report.confusion[i, j]
    ]
    click.echo("most frequent confusions: images, true class, answer")
    for count, truth, answer in sorted(mistakes, key=lambda mistake: -mistake[0])[:limit]:
        click.echo(f"{count:6d}  {truth}  {answer}")


def _short(name: str, limit: int = 24) -> str:
    name = printable(name)
    return name if len(name) <= limit else name[: limit - 1] + "…"
