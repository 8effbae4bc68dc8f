"""``cvbow train``."""

from __future__ import annotations

from typing import Any

import click

from cvbow import storage
from cvbow.classify import CLASSIFIERS
from cvbow.presets import PRESETS, SETTINGS, make_model, next_step, parse_setting
from cvbow.progress import note
from cvbow_cli._common import (
    echo_json,
    labelled_images,
    option_json,
    option_max_pixels,
    option_own_background,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import InputPath

__all__ = ["command"]


@click.command(name="train")
@click.argument("source", metavar="DIR", type=InputPath())
@output_option("--output", "-o", suffixes=(".cvbow",), required=True, metavar="MODEL", help="Model file to write.")
@click.option(
    "--preset",
    default="auto",
    show_default=True,
    metavar="NAME",
    help=f"Recipe: {', '.join(PRESETS)}; or of a file that cvbow tune wrote, best.toml, or best.toml#3 for its third.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help=f"Change a setting; may be repeated: {', '.join(SETTINGS)}, and parameters of what was chosen, such as "
    "detector__threshold, encoder__power or, of the classifier, C.",
)
@click.option(
    "--classifier",
    metavar="NAME",
    help=f"Short for --set classifier=NAME: {', '.join(CLASSIFIERS)}.",
)
@click.option(
    "--augment", type=int, metavar="N", help="Short for --set augment=N: learn from N more variants of each image."
)
@click.option(
    "--keep-neighbours",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Keep thumbnails and short vectors of N training images, so that cvbow explain shows the nearest.",
)
@click.option("--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it.")
@click.option("--cache", metavar="DIR", type=click.Path(file_okay=False), help="Keep vectors there for the next run.")
@click.option(
    "--vectors",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Learn from vectors in a temporary file there, not in memory.  [default: beyond 4 GiB of vectors, in the "
    "system's temporary folder]",
)
@option_own_background
@option_max_pixels
@work_options
@option_json
def command(
    source: str,
    output: str,
    preset: str,
    settings: tuple[str, ...],
    classifier: str | None,
    augment: int | None,
    keep_neighbours: int,
    strict: bool,
    cache: str | None,
    vectors: str | None,
    background: str | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Train a classifier on DIR/<class>/<image> and write it to a model file.

    DIR may also hold train/, validation/ and test/ folders of classes (train/ is used), or be a CSV file with the
    columns path,label[,split]. An unknown setting is answered with the list of settings.

    Images may have several labels, or none: in a CSV file with the columns path,labels[,split] and '|' between labels,
    or by the classes of the objects that are marked on them, in a CSV file with the columns
    image,class,xmin,ymin,xmax,ymax, a JSON file of COCO, or a folder of VOC or YOLO. The model then tells for each
    label whether an image has it.

    The recipe auto goes by the images: by their size, their colour and their number. What it chose, and why, is said
    on stderr and in cvbow info.

    \b
    Example:
      cvbow train photos/ -o photos.cvbow
      cvbow train photos/ -o photos.cvbow --preset fast --set n_words=200
      cvbow train labels.csv -o photos.cvbow
      cvbow train photos/ -o photos.cvbow --augment 4 --set augment_with=zoom
      cvbow --import my_parts train photos/ -o photos.cvbow --set detector=mine
    """
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings)
    if classifier is not None:
        changes["classifier"] = classifier
    if augment is not None:
        changes["augment"] = augment
    model = make_model(preset, settings=changes, n_jobs=n_jobs, memory=cache)
    model.set_params(n_kept=keep_neighbours, vectors=vectors)
    if background is not None:
        model.set_params(background=background)
    storage.check_storable(model, "model")
    images = labelled_images(source, "train", several=True)
    check_output(output, images.paths)
    model.fit(images.paths, images.labels, strict=strict)
    content_hash = model.save(output, force=True)
    step = next_step(model, images.labels)
    if step is not None:
        note(f"next: {step}")
    n_read = len(images) - len(model.skipped_)
    if as_json:
        echo_json(
            {
                "n_images": n_read,
                "skipped": skipped_as_json(model.skipped_),
                "classes": [str(name) for name in model.classes_],
                **({"multilabel": True} if model.multilabel else {}),
                "seconds": {step: round(value, 3) for step, value in model.seconds_.items()},
                "model": output,
            }
        )
        return
    tell_skipped(model.skipped_)
    steps = ", ".join(f"{step} {value:.1f}" for step, value in model.seconds_.items() if step != "total")
    click.echo(f"images      {n_read}, {len(model.skipped_)} skipped")
    what = "labels" if model.multilabel else "classes"
    click.echo(f"{what:<11} {len(model.classes_)}: {printable(', '.join(map(str, model.classes_)))}")
    click.echo(f"seconds     {model.seconds_['total']:.1f} ({steps})")
    click.echo(f"model       {printable(output)}")
    click.echo(f"hash        {content_hash}")
