"""``cvbow predict``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import click

from cvbow.classify import Answers, ImageClassifier, PretrainedClassifier, read_labels
from cvbow.errors import ImageError
from cvbow.networks import is_model_name
from cvbow_cli._common import (
    echo_json,
    images_of,
    option_json,
    option_max_pixels,
    printable,
    work_options,
)
from cvbow_cli._what import InputPath, ModelPath

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["command"]

#: Images answered at a time: enough to keep every worker busy, few enough to see answers come.
CHUNK = 256


class NetworkType(InputPath):
    """A file that is there, or the name of a torchvision model."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let a name pass, and check a path."""
        return value if is_model_name(value) else super().convert(value, param, ctx)


@click.command(name="predict")
@click.argument("paths", metavar="[MODEL] IMAGE|DIR...", nargs=-1, required=True)
@click.option(
    "--network",
    metavar="FILE.onnx|NAME",
    type=NetworkType(dir_okay=False),
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
    type=InputPath(dir_okay=False),
    help="Names of the network's classes, one per line, or as index,name; torchvision's official weights need none.",
)
@click.option("--layer", metavar="NAME", help="Layer with a score for each class; needed if several could be it.")
@click.option(
    "--coverage",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Also give the labels of which the right one is with this probability, such as 0.95.",
)
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
    coverage: float | None,
    top: int,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Classify images with a trained model; '-' reads their paths from stdin, one per line.

    MODEL comes first, unless there is a --network. Scores are probabilities. If an image cannot be read, it is
    reported, the others are classified, and the exit code is 1. --json gives the scores of all classes, or of the best
    --top K. With --network, the five best classes are shown. How to preprocess images for the network is read from
    FILE.toml beside it, unless cvbow or torchvision knows the network.

    Of a model for several labels an image, the labels that the image is given are shown, with --top the K most probable
    ones, and --json gives labels in place of label.

    With --coverage, each answer comes with a set of labels that holds the right one, or all that are right, in so many
    of 100 images like the training images. Of an image that is stranger than 95 of 100 of these, "perhaps none of
    these" is said beside its set, which holds the most likely labels if it is one of the model's after all. --json then
    gives the set as labels, none_of_these (true where that is said) and stranger, about 0 for what is like the training
    images and 3 for what hardly any of them is like.

    \b
    Example:
      cvbow predict photos.cvbow new/*.jpg --top 3
      cvbow predict photos.cvbow new/ --coverage 0.95
      find new/ -name '*.jpg' | cvbow predict photos.cvbow - --json
      cvbow predict --network squeezenet.onnx --labels imagenet.txt new/*.jpg
      cvbow predict --network resnet50 new/*.jpg
    """
    given = ctx.get_parameter_source("top") is click.core.ParameterSource.COMMANDLINE
    rows: list[dict[str, Any]] = []
    failed = False
    if network is not None and coverage is not None:
        raise click.UsageError("--coverage needs a model of cvbow's: a network knows no images that were left out")
    if network is not None and not given:
        given, top = True, 5
    classifier, images = _classifier(paths, network, weights, labels, layer, n_jobs)
    names = [str(name) for name in classifier.classes_]
    for chunk in _chunks(images):
        for path, result in _answers(classifier, chunk, coverage):
            if isinstance(result, ImageError):
                failed = True
                rows.append({"path": path, "error": result.reason})
                if not as_json:
                    click.echo(f"cvbow: {printable(str(result))}", err=True)
                continue
            label, probabilities = result.label, result.probabilities
            order = sorted(range(len(names)), key=lambda i: -probabilities[i])
            shown = order[:top] if given or not as_json else order
            several = not isinstance(label, str)
            if as_json:
                scores = {names[i]: float(probabilities[i]) for i in shown}
                rows.append({"path": path, "labels" if several else "label": label, "scores": scores, **result.known})
            else:
                if several and not given:
                    shown = [i for i in order if names[i] in label]
                best = "  ".join(f"{printable(names[i])} {probabilities[i]:.3f}" for i in shown)
                click.echo(f"{printable(path)}\t{best or 'no label'}{result.as_text}")
    if as_json:
        echo_json(rows)
    if failed:
        ctx.exit(1)


@dataclass(frozen=True, eq=False)
class _Answer:
    """What is said of one image."""

    #: The class, or a list of labels.
    label: Any
    probabilities: NDArray[np.float64]
    #: What JSON says more where a coverage was asked for.
    known: dict[str, Any]

    @classmethod
    def of(cls, answers: Answers, place: int) -> Self:
        label, known = answers.labels[place], dict[str, Any]()
        if answers.sets is not None:
            known = {"labels": [str(name) for name in answers.sets[place]], "none_of_these": None, "stranger": None}
            if answers.strangers is not None and answers.none_of_these is not None:
                known["none_of_these"] = bool(answers.none_of_these[place])
                known["stranger"] = float(answers.strangers[place])
        names = [str(name) for name in label] if isinstance(label, list) else str(label)
        return cls(names, answers.probabilities[place], known)

    @property
    def as_text(self) -> str:
        """What is printed after the answer."""
        if not self.known:
            return ""
        labels = ", ".join(map(printable, self.known["labels"]))
        return f"\t{{{labels}}}" + "\tperhaps none of these" * bool(self.known["none_of_these"])


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
        raise click.UsageError("Missing argument 'IMAGE|DIR...'.")
    ctx = click.get_current_context()
    model = ModelPath().convert(paths[0], ctx.command.params[0], ctx) if os.path.exists(paths[0]) else paths[0]
    return ImageClassifier.load(model, n_jobs=n_jobs), paths[1:]


def _chunks(images: tuple[str, ...]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for path in images_of(images):
        chunk.append(path)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _answers(
    classifier: ImageClassifier | PretrainedClassifier, paths: list[str], coverage: float | None
) -> Iterator[tuple[str, _Answer | ImageError]]:
    """Yield each path with its answer, or with its ImageError, in order."""
    if isinstance(classifier, ImageClassifier):
        answers = classifier.answer(paths, coverage=coverage)
    else:
        answers = classifier.answer(paths)
    places = {int(row): place for place, row in enumerate(answers.rows)}
    errors = iter(answers.skipped)
    for row, path in enumerate(paths):
        yield path, _Answer.of(answers, places[row]) if row in places else next(errors)
