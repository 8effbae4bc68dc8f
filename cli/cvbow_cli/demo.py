"""``cvbow demo``."""

from __future__ import annotations

import click

from cvbow.demo import run_digits
from cvbow_cli._common import echo_json, echo_tables, option_json, printable, work_options
from cvbow_cli._output import check_output, output_option

__all__ = ["command"]


@click.command(name="demo")
@output_option(
    "--output",
    "-o",
    suffixes=(".png",),
    metavar="FILE.png",
    help="Picture to write, of the surest mistake and its reasons.",
)
@work_options
@option_json
def command(output: str | None, n_jobs: int, as_json: bool) -> None:
    """Train a classifier on real handwritten digits and evaluate it on others. Nothing is downloaded.

    The picture is of the surest mistake, and of why the model took this digit and not the true one: what each part of
    the image gave to the difference of the scores, and each word.

    \b
    Example:
      cvbow demo
      cvbow demo -o why.png
    """
    check_output(output)
    result = run_digits(n_jobs=n_jobs)
    if output is not None and result.mistake is not None:
        from cvbow.report.explanation import write_explanation_picture

        write_explanation_picture(output, [result.mistake])
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
    echo_tables(report.tables())
    click.echo(
        f"\nseconds              train {result.seconds['train']:.1f}, evaluate {result.seconds['evaluate']:.1f}\n"
    )
    if output is not None and result.mistake is not None:
        click.echo(f"picture              {printable(output)}\n")
    click.echo("Next, train on your own images, a folder per class:  cvbow train photos/ -o photos.cvbow")
    click.echo("and classify new ones:                               cvbow predict photos.cvbow new.jpg --top 3")
