"""``cvbow demo``."""

from __future__ import annotations

import click

from cvbow.demo import run_digits
from cvbow_cli._common import echo_json, echo_tables, option_json, work_options
from cvbow_cli._tables import report_tables

__all__ = ["command"]


@click.command(name="demo")
@work_options
@option_json
def command(n_jobs: int, as_json: bool) -> None:
    """Train a classifier on real handwritten digits and evaluate it on others. Nothing is downloaded.

    \b
    Example:
      cvbow demo
    """
    result = run_digits(n_jobs=n_jobs)
    report = result.report
    if as_json:
        echo_json(
            {
                "n_train": result.n_train,
                **report.as_dict(),
                "seconds": {step: round(value, 3) for step, value in result.seconds.items()},
            }
        )
        return
    click.echo(
        f"1797 handwritten digits of 8x8 pixels: trained on {result.n_train}, evaluated on {report.n_images} others\n"
    )
    echo_tables(report_tables(report))
    click.echo(
        f"\nseconds              train {result.seconds['train']:.1f}, evaluate {result.seconds['evaluate']:.1f}\n"
    )
    click.echo("Next, train on your own images, a folder per class:  cvbow train photos/ -o photos.cvbow")
    click.echo("and classify new ones:                  cvbow predict photos.cvbow new.jpg --top 3")
