"""``cvbow predict``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow_cli._common import echo_json, option_json, printable, work_options, working

__all__ = ["command"]

#: Images answered at a time: enough to keep every worker busy, few enough to see answers come.
CHUNK = 256


@click.command(name="predict")
@click.argument("model", metavar="MODEL", type=click.Path(exists=True, dir_okay=False))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--top", default=1, show_default=True, type=click.IntRange(min=1), help="Classes to show per image.")
@work_options
@option_json
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    images: tuple[str, ...],
    top: int,
    n_jobs: int,
    backend: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    r"""Classify images with a trained model; '-' reads their paths from stdin, a line each.

    Scores are probabilities. An image that cannot be read is reported, the others are answered, and the exit code
    is 1. With --json, the scores of all classes are given unless --top is.

    \b
    Example:
      cvbow predict photos.cvbow new/*.jpg --top 3
      find new/ -name '*.jpg' | cvbow predict photos.cvbow - --json
    """
    given = ctx.get_parameter_source("top") is click.core.ParameterSource.COMMANDLINE
    rows: list[dict[str, Any]] = []
    failed = False
    with working(quiet=True, backend=backend, address=scheduler):
        classifier = ImageClassifier.load(model, n_jobs=n_jobs)
        names = [str(name) for name in classifier.classes_]
        for chunk in _chunks(images):
            for path, result in _answers(classifier, chunk):
                if isinstance(result, ImageError):
                    failed = True
                    rows.append({"path": path, "error": result.reason})
                    if not as_json:
                        click.echo(f"cvbow: {printable(str(result))}", err=True)
                    continue
                label, probabilities = result
                order = sorted(range(len(names)), key=lambda i: -probabilities[i])
                shown = order[:top] if given or not as_json else order
                if as_json:
                    scores = {names[i]: float(probabilities[i]) for i in shown}
                    rows.append({"path": path, "label": label, "scores": scores})
                else:
                    best = "  ".join(f"{printable(names[i])} {probabilities[i]:.3f}" for i in shown)
                    click.echo(f"{printable(path)}\t{best}")
    if as_json:
        echo_json(rows)
    if failed:
        ctx.exit(1)


def _chunks(images: tuple[str, ...]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for path in _paths(images):
        chunk.append(path)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _paths(images: tuple[str, ...]) -> Iterator[str]:
    for image in images:
        if image != "-":
            yield image
            continue
        for line in sys.stdin:
            if line.strip():
                yield line.rstrip("\r\n")


def _answers(classifier: ImageClassifier, paths: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield each path with its label and probabilities, or with its ImageError, in order."""
    answers = classifier.answer(paths)
    found: dict[int, Any] = {
        int(row): (str(label), probabilities)
        for row, label, probabilities in zip(answers.rows, answers.labels, answers.probabilities, strict=True)
    }
    errors = iter(answers.skipped)
    for row, path in enumerate(paths):
        yield path, found[row] if row in found else next(errors)
