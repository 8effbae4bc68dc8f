"""``cvbow next``."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cvbow import storage
from cvbow.classify import ImageClassifier, ImagesToLabel, images_to_label
from cvbow_cli._common import (
    echo_json,
    gathered,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import OutputFile, check_output, output_option
from cvbow_cli._what import argument_model

__all__ = ["command"]

#: Classes that are printed with an image.
_SHOWN = 2


@click.command(name="next")
@argument_model
@click.argument("paths", metavar="IMAGE|DIR...", nargs=-1, required=True)
@click.option("-n", "--images", "n_images", default=50, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option(
    "--csv", "table", type=OutputFile((".csv",)), metavar="FILE.csv", help="List to write, to fill the labels in."
)
@output_option("--report", suffixes=(".html", ".htm"), metavar="FILE.html", help="Also write a page with the images.")
@option_max_pixels
@work_options
@option_json
def command(
    model: str,
    paths: tuple[str, ...],
    n_images: int,
    table: str | None,
    report: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Choose the unlabelled images whose labels would teach a model the most.

    These are images of which the model is unsure, and which are unlike each other: of several that are alike one comes
    early and the others late. Images that the model has learned from are left out. '-' reads paths from stdin, one per
    line.

    The list has the columns path, label, guess and probability: label is empty, for you to fill in, and guess is what
    the model would answer. Once it is filled in, train takes it.

    \b
    Example:
      cvbow next photos.cvbow new/ -n 50 --csv label.csv --report label.html
    """
    images = gathered(paths)
    for written in (table, report):
        check_output(written, [model, *images])
    classifier = ImageClassifier.load(model, n_jobs=n_jobs)
    chosen = images_to_label(classifier, images, n_images)
    if table is not None:
        _write_list(table, chosen, images)
    if report is not None:
        from cvbow.report import write_to_label_page

        write_to_label_page(report, model=classifier, chosen=chosen, paths=images, title=f"To label next: {model}")
    names = [str(name) for name in classifier.classes_]
    if as_json:
        key = "labels" if classifier.multilabel else "label"
        rows = [
            {"path": str(images[row]), key: label, "scores": dict(zip(names, scores.tolist(), strict=True))}
            for row, label, scores in zip(chosen.rows, _answers(chosen), chosen.probabilities, strict=True)
        ]
        echo_json({"images": rows, "skipped": skipped_as_json(chosen.skipped)})
        return
    tell_skipped(chosen.skipped)
    for row, scores in zip(chosen.rows, chosen.probabilities, strict=True):
        best = (-scores).argsort(kind="stable")[:_SHOWN]
        said = "  ".join(f"{printable(names[at])} {scores[at]:.3f}" for at in best)
        click.echo(f"{printable(str(images[row]))}\t{said}")
    for what, path in (("list", table), ("page", report)):
        if path is not None:
            click.echo(f"{what}  {printable(path)}")


def _answers(chosen: ImagesToLabel) -> list[Any]:
    """Return what the model would answer, as text, or lists of it."""
    return [list(map(str, label)) if isinstance(label, list) else str(label) for label in chosen.labels]


def _write_list(path: str, chosen: ImagesToLabel, images: Sequence[Path]) -> None:
    """Write the images as a CSV whose labels are empty, with paths as seen from its folder."""
    folder = os.path.dirname(os.path.abspath(path))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    several = any(isinstance(label, list) for label in chosen.labels)
    rows.writerow(("path", "labels" if several else "label", "guess", "probability"))
    for row, label, scores in zip(chosen.rows, _answers(chosen), chosen.probabilities, strict=True):
        guess = "|".join(label) if several else label
        rows.writerow((_seen_from(folder, images[row]), "", guess, f"{scores.max():.3f}"))
    with storage.replacing(path) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def _seen_from(folder: str, image: Path) -> str:
    whole = os.path.abspath(image)
    return os.path.relpath(whole, folder) if whole.startswith(os.path.join(folder, "")) else whole
