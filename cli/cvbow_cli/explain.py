"""``cvbow explain``."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation import Explanation, explanations, heat_file, shown_image
from cvbow.progress import note
from cvbow_cli._common import (
    echo_json,
    echo_line,
    gathered,
    option_json,
    option_max_pixels,
    printable,
    work_options,
)
from cvbow_cli._output import OutputFile, check_output, output_option
from cvbow_cli._what import argument_model

__all__ = ["command"]

#: Explanations that a picture has room for, and words of each that are printed.
_DRAWN, _SHOWN = 12, 3
_HOW = "a score is no probability: the class with the highest one is the answer, even if it is below 0"


@click.command(name="explain")
@argument_model
@click.argument("paths", metavar="IMAGE|DIR...", nargs=-1, required=True)
@output_option(
    "--output",
    "-o",
    suffixes=(".png", ".html", ".htm"),
    metavar="FILE.png|FILE.html",
    help=f"Picture to write, of at most {_DRAWN}, or page.",
)
@click.option("--class", "classes", metavar="NAME", multiple=True, help="Class to explain; may be repeated.")
@click.option("--against", metavar="NAME", help="Explain the difference from the score of this class.")
@click.option(
    "--heat",
    type=OutputFile((".npz",)),
    metavar="FILE.npz",
    help="Heat maps to write, as arrays named path:class.",
)
@option_max_pixels
@work_options
@option_json
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    paths: tuple[str, ...],
    output: str | None,
    classes: tuple[str, ...],
    against: str | None,
    heat: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Show why a model gives images their scores: what each visual word gave, and each pixel.

    A score is the sum of what the image's points gave, of a bias that the model has by itself, and of a remainder that
    could not be shared out. By default each image's best class is explained; of a model for several labels an image,
    each label that it is given. '-' reads paths from stdin, one per line.
    If an image cannot be read, it is reported, the others are explained, and the exit code is 1.

    A page has all images, as many as fit into 15 MB, and what each class is recognised by: over the images that it is
    explained for, the mean heat, and the words that gave most on average. So a shortcut is seen at once, such as a
    border, a watermark or a time stamp.

    --json gives path, class, score, bias, remainder, heat_sum (the sum of the heat map), method ("exact", or, where the
    score is no sum of parts, "mean gradient" or "leaving out"), words (word, share, n_points, boxes: left, top, right,
    bottom of the points in pixels), and nearest: path, class and distance of the nearest training images, of those that
    train --keep-neighbours kept.

    \b
    Example:
      cvbow explain photos.cvbow new.jpg -o why.png
      cvbow explain photos.cvbow new.jpg --class coast --against highway --json
      cvbow explain photos.cvbow new/ -o why.html --heat heat.npz
    """
    images = gathered(paths)
    for written in (output, heat):
        check_output(written, [model, *images])
    classifier = ImageClassifier.load(model, n_jobs=n_jobs)
    is_picture = output is not None and output.lower().endswith(".png")
    n_wanted = len(images) * max(len(classes), 1)
    if is_picture and n_wanted > _DRAWN:
        raise click.UsageError(f"a picture has room for {_DRAWN} explanations, and these are {n_wanted}")
    rows: list[dict[str, Any]] = []
    failed = told = False

    def explained() -> Iterator[tuple[NDArray[np.uint8], Explanation]]:
        """Print, or note, one explanation after another; those that are drawn come with their images."""
        nonlocal failed, told
        results = explanations(classifier, [str(path) for path in images], classes or None, against)
        for path, result in zip(images, results, strict=True):
            if isinstance(result, ImageError):
                failed = True
                rows.append({"path": str(path), "error": result.reason})
                if not as_json:
                    echo_line(f"cvbow: {printable(str(result))}", err=True)
                continue
            pixels = shown_image(classifier, path) if output is not None else None
            for why in result:
                if write is not None:
                    write(why)
                if as_json:
                    rows.append(why.as_json())
                else:
                    told = True
                    _tell(why)
                if pixels is not None:
                    yield pixels, why

    with contextlib.nullcontext(None) if heat is None else heat_file(heat) as write:
        drawn = explained()
        first = list(itertools.islice(drawn, 1))
        if output is not None and first:
            _write(output, classifier, itertools.chain(first, drawn), f"Why: {model}")
    if as_json:
        echo_json(rows)
    else:
        if told:
            note(_HOW)
        for what, written in (("picture" if is_picture else "page", output if first else None), ("heat", heat)):
            if written is not None:
                click.echo(f"{what:<7}  {printable(written)}")
    if failed:
        ctx.exit(1)


def _write(
    output: str, classifier: ImageClassifier, drawn: Iterator[tuple[NDArray[np.uint8], Explanation]], title: str
) -> None:
    if output.lower().endswith(".png"):
        from cvbow.report.explanation import write_explanation_picture

        # How many labels images are given is not known before.
        write_explanation_picture(output, list(itertools.islice(drawn, _DRAWN)))
        left_out = sum(1 for _ in drawn)
        if left_out:
            note(f"a picture has room for {_DRAWN} explanations; {left_out} are left out")
    else:
        from cvbow.report.explanation_page import write_explanation_page

        write_explanation_page(output, classifier, drawn, title=title)


def _tell(why: Explanation) -> None:
    against = "" if why.against is None else f" against {why.against}"
    echo_line(f"{printable(why.path or '')}\t{printable(why.class_name + against)} {why.score:+.3f}")
    how = "" if why.method == "exact" else f", by {why.method}"
    echo_line(f"  image {why.heat_sum:+.3f}, bias {why.bias:+.3f}, remainder {why.remainder:+.3g}{how}")
    best, worst = why.words[:_SHOWN], [word for word in why.words[: -_SHOWN - 1 : -1] if word.share < 0]
    if why.nearest:
        echo_line("  nearest " + ", ".join(f"{printable(near.class_name)} {near.distance:.3g}" for near in why.nearest))
    for name, words in (("for", [word for word in best if word.share > 0]), ("against", worst)):
        if words:
            echo_line(f"  {name:<8}" + ", ".join(f"{printable(word.name)} {word.share:+.3g}" for word in words))
