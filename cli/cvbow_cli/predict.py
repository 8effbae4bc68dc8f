"""``cvbow predict``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cvbow.classify import ImageClassifier, PretrainedClassifier, read_labels
from cvbow.errors import ImageError
from cvbow.networks import is_model_name
from cvbow_cli._common import (
    echo_json,
    lines_of,
    option_json,
    option_max_pixels,
    printable,
    work_options,
)

__all__ = ["command"]

#: Images answered at a time: enough to keep every worker busy, few enough to see answers come.
CHUNK = 256


class NetworkType(click.Path):
    """A file that is there, or the name of a torchvision model."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let a name pass, and check a path."""
        return value if is_model_name(value) else super().convert(value, param, ctx)


@click.command(name="predict")
@click.argument("paths", metavar="[MODEL] IMAGE...", nargs=-1, required=True)
@click.option(
    "--network",
    metavar="FILE.onnx|NAME",
    type=NetworkType(exists=True, dir_okay=False),
    help="A trained network with its own classes, instead of MODEL: a file, or a torchvision model such as resnet50.",
)
@click.option(
    "--weights",
    metavar="FILE",
    help="Weights (state_dict) of the torchvision model; by default the official ones, which are downloaded once.",
)
@click.option(
    "--labels",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Names of the network's classes, one per line, or as index,name; torchvision's official weights need none.",
)
@click.option("--layer", metavar="NAME", help="Layer with a score for each class; needed if several could be it.")
@click.option("--top", default=1, show_default=True, type=click.IntRange(min=1), help="Classes to show per image.")
@option_max_pixels
@work_options
@option_json
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    network: str | None,
    weights: str | None,
    labels: str | None,
    layer: str | None,
    top: int,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Classify images with a trained model; '-' reads their paths from stdin, one per line.

    Scores are probabilities. If an image cannot be read, it is reported, the others are classified, and the exit code
    is 1. --json gives the scores of all classes, or of the best --top K. With --network, the five best classes are
    shown. How to preprocess images for the network is read from FILE.toml beside it, unless cvbow or torchvision knows
    the network.

    Of a model for several labels an image, the labels that the image is given are shown, with --top the K most probable
    ones, and --json gives labels in place of label.

    \b
    Example:
      cvbow predict photos.cvbow new/*.jpg --top 3
      find new/ -name '*.jpg' | cvbow predict photos.cvbow - --json
      cvbow predict --network squeezenet.onnx --labels imagenet.txt new/*.jpg
      cvbow predict --network resnet50 new/*.jpg
    """
    given = ctx.get_parameter_source("top") is click.core.ParameterSource.COMMANDLINE
    rows: list[dict[str, Any]] = []
    failed = False
    if network is not None and not given:
        given, top = True, 5
    classifier, images = _classifier(paths, network, weights, labels, layer, n_jobs)
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
            several = not isinstance(label, str)
            if as_json:
                scores = {names[i]: float(probabilities[i]) for i in shown}
                rows.append({"path": path, "labels" if several else "label": label, "scores": scores})
            else:
                if several and not given:
                    shown = [i for i in order if names[i] in label]
                best = "  ".join(f"{printable(names[i])} {probabilities[i]:.3f}" for i in shown)
                click.echo(f"{printable(path)}\t{best or 'no label'}")
    if as_json:
        echo_json(rows)
    if failed:
        ctx.exit(1)


def _classifier(
    paths: tuple[str, ...], network: str | None, weights: str | None, labels: str | None, layer: str | None, n_jobs: int
) -> tuple[ImageClassifier | PretrainedClassifier, tuple[str, ...]]:
    """Return what answers, and the images among the arguments."""
    if network is not None and (labels is not None or is_model_name(network)):
        names = None if labels is None else read_labels(labels)
        return PretrainedClassifier(network, names, layer=layer, weights=weights, n_jobs=n_jobs), paths
    if network is not None or labels is not None:
        raise click.UsageError("--network FILE needs --labels, and --labels needs --network")
    if weights is not None:
        raise click.UsageError("--weights needs --network NAME")
    if len(paths) < 2:
        raise click.UsageError("Missing argument 'IMAGE...'.")
    return ImageClassifier.load(paths[0], n_jobs=n_jobs), paths[1:]


def _chunks(images: tuple[str, ...]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for path in lines_of(images):
        chunk.append(path)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _answers(classifier: ImageClassifier | PretrainedClassifier, paths: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield each path with its label, or list of labels, and probabilities, or with its ImageError, in order."""
    answers = classifier.answer(paths)
    found: dict[int, Any] = {
        int(row): ([str(name) for name in label] if isinstance(label, list) else str(label), probabilities)
        for row, label, probabilities in zip(answers.rows, answers.labels, answers.probabilities, strict=True)
    }
    errors = iter(answers.skipped)
    for row, path in enumerate(paths):
        yield path, found[row] if row in found else next(errors)
