"""``cvbow audit``."""

from __future__ import annotations

import click

from cvbow import storage
from cvbow.audit import COLUMNS, KINDS, SCORES, Audit, Finding, audit_images
from cvbow.presets import PRESETS
from cvbow.progress import stages
from cvbow.tables import Table, duration
from cvbow_cli._common import (
    echo_json,
    echo_tables,
    labelled_images,
    option_background,
    option_json,
    option_max_pixels,
    printable,
    work_options,
)
from cvbow_cli._output import OutputFile, check_output, output_option
from cvbow_cli._what import InputPath

__all__ = ["command"]

#: Findings of each kind that are printed.
_SHOWN = 3
#: Paths of a finding that are printed.
_PATHS = 2


@click.command(name="audit")
@click.argument("source", metavar="DIR", type=InputPath())
@output_option("--report", suffixes=(".html", ".htm"), metavar="FILE.html", help="Also write a page with the images.")
@click.option(
    "--csv", "table", type=OutputFile((".csv",)), metavar="FILE.csv", help="List of suggestions to write, to decide on."
)
@click.option("--preset", default="auto", show_default=True, metavar="NAME", help=f"Recipe: {', '.join(PRESETS)}.")
@click.option("--cache", metavar="DIR", type=click.Path(file_okay=False), help="Keep vectors there for the next run.")
@option_max_pixels
@option_background
@work_options
@option_json
def command(
    source: str, report: str | None, table: str | None, preset: str, cache: str | None, n_jobs: int, as_json: bool
) -> None:
    """Look for what is wrong with a labelled set of images: leaks, wrong labels, strangers, shortcuts, bad pictures.

    DIR is a folder of classes, or of the splits train, validation and test, or a CSV file with the columns
    path,label[,split], or path,labels[,split] with '|' between labels. All splits are looked at, beside each other.
    Nothing in it is changed.

    \b
    shortcut    what tells a class beside its subject: format, size, border
    leak        the same picture in two splits, also resized, cropped, turned
    label       a label that is likely wrong, going by all other images
    duplicate   the same picture twice in one split
    class       classes that cannot be told apart, or have too few images
    stranger    an image that is like none of the classes
    picture     dark, bright, blurred, flat, tiny, of an odd shape, moving
    unreadable  a file that cannot be read

    --json gives n_images, seconds, and findings: kind, paths (the one in question first), score (0 to 1, the surer the
    larger), label, suggested (another label, or drop, keep one, look), and why. --csv has the columns path, label,
    suggested, kind and score.

    \b
    Example:
      cvbow audit photos/
      cvbow audit photos/ --report audit.html --csv suggestions.csv --cache cache
      cvbow audit photos/ --json > audit.json
    """
    images = labelled_images(source, None, several=True)
    for written in (report, table):
        check_output(written, [source, *images.paths])
    with stages({"audit": 100 + len(images), "report": 0 if report is None else 100}) as begin:
        found = audit_images(images, preset=preset, cache=cache, n_jobs=n_jobs, keep_model=report is not None)
        if table is not None:
            _write_list(table, found)
        if report is not None:
            from cvbow.report import write_audit_report

            begin("report")
            write_audit_report(report, found, title=f"Audit: {source}", n_jobs=n_jobs)
    if as_json:
        echo_json(found.as_dict())
        return
    _echo(found)
    for what, path in (("list", table), ("page", report)):
        if path is not None:
            click.echo(f"{what}  {printable(path)}")


def _echo(found: Audit) -> None:
    n_classes = len(found.counts)
    click.echo(f"images   {found.n_images} in {n_classes} classes, {len(found.skipped)} unreadable")
    click.echo(f"time     {duration(found.seconds)}")
    kinds = [(kind, findings) for kind in KINDS if (findings := found.of_kind(kind))]
    if not kinds:
        click.echo("nothing was found")
        return
    click.echo("")
    rows = [(kind, str(len(findings)), f"{findings[0].score:.2f}") for kind, findings in kinds]
    echo_tables([Table(("kind", "findings", "highest score"), rows, notes=SCORES)])
    for kind, findings in kinds:
        click.echo(f"\n{kind}")
        for finding in findings[:_SHOWN]:
            click.echo(f"  {finding.score:.2f}  {_named(finding)}")
            click.echo(f"        {printable(finding.why)}")
        if len(findings) > _SHOWN:
            click.echo(f"  and {len(findings) - _SHOWN} more")


def _named(finding: Finding) -> str:
    """Return which images a finding is about, and what is suggested."""
    shown = ", ".join(map(printable, finding.paths[:_PATHS]))
    more = f" and {len(finding.paths) - _PATHS} more" if len(finding.paths) > _PATHS else ""
    if finding.kind != "label":
        return f"{shown}{more}"
    return f"{shown}: {printable(finding.label or 'no label')} -> {printable(finding.suggested or 'no label')}"


def _write_list(path: str, found: Audit) -> None:
    lines = [",".join(COLUMNS), *(finding.as_csv() for finding in found.findings)]
    with storage.replacing(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
