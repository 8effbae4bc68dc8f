"""``cvbow evaluate``."""

from __future__ import annotations

import time

import click

from cvbow.classify import ImageClassifier
from cvbow.progress import stages
from cvbow_cli._common import (
    echo_json,
    echo_tables,
    labelled_images,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import InputPath, argument_model

__all__ = ["command"]


@click.command(name="evaluate")
@argument_model
@click.argument("source", metavar="DIR", type=InputPath())
@output_option("--report", suffixes=(".html", ".htm"), metavar="FILE.html", help="Also write an HTML report.")
@click.option("--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it.")
@option_max_pixels
@work_options
@option_json
def command(
    model: str,
    source: str,
    report: str | None,
    strict: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Evaluate a model on DIR/<class>/<image>: accuracy, log loss, confusions.

    The report leads from each number of mistakes to their images, and from these to the reasons: what in an image
    speaks for the answer, and what for its true class.

    If DIR holds train/ and test/ folders, or is a CSV file with a split column, the test split is used.

    Where images have several labels, the measures are average precision, F1, Hamming loss and the share of images whose
    labels are all right, and DIR may be all that train takes.

    \b
    Example:
      cvbow evaluate photos.cvbow held-out/
      cvbow evaluate photos.cvbow held-out/ --json > result.json
    """
    started = time.perf_counter()
    classifier = ImageClassifier.load(model, n_jobs=n_jobs)
    images = labelled_images(source, "test", several=True)
    check_output(report, [source, *images.paths])
    with stages({"evaluate": len(images), "report": 0 if report is None else 100}) as begin:
        judged, answers = classifier.evaluate(images.paths, images.labels, strict=strict)
        if report is not None:
            from cvbow.report import write_evaluation_report, write_labels_report

            begin("report")
            one_each = classifier.multilabel and not images.multilabel
            write = write_labels_report if classifier.multilabel else write_evaluation_report
            write(
                report,
                model=classifier,
                report=judged,
                answers=answers,
                paths=images.paths,
                labels=[[name] for name in images.labels] if one_each else images.labels,
                title=f"{model} on {source}",
            )
    seconds = time.perf_counter() - started
    if as_json:
        skipped = skipped_as_json(answers.skipped)
        echo_json({**judged.as_dict(), "skipped": skipped, "seconds": round(seconds, 3)})
        return
    tell_skipped(answers.skipped)
    echo_tables(judged.tables())
    click.echo(f"\nseconds              {seconds:.1f}")
    if report is not None:
        click.echo(f"report               {printable(report)}")
