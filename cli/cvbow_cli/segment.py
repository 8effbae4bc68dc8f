"""``cvbow segment``: train, apply, evaluate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cvbow.classify import CLASSIFIERS
from cvbow.errors import ImageError
from cvbow.images import encode_png, from_unit, read_image
from cvbow.progress import note
from cvbow.segmentation import MaskedImages, Segmenter, encode_mask, pair_masks
from cvbow.storage import replacing
from cvbow.tables import Table
from cvbow_cli._common import (
    ListingGroup,
    echo_json,
    echo_line,
    echo_tables,
    gathered,
    lines_of,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import check_output, output_option
from cvbow_cli._what import InputPath, ModelPath

__all__ = ["command"]

#: Names that are listed in a note.
_SHOWN = 5


@click.group(name="segment", cls=ListingGroup)
def command() -> None:
    """Tell the class of every pixel, learned from masks or from scribbles on a few images.

    A mask is a gray or palette PNG of the size of its image: values are classes, and 255 is unknown. Images and masks
    belong together by their names without suffix.

    \b
    Example:
      cvbow segment train images/ masks/ -o horses.cvbow --classes none,horse
      cvbow segment apply horses.cvbow new/ -o found/
      cvbow segment evaluate horses.cvbow test/images/ test/masks/
    """


@click.command(name="train")
@click.argument("images", metavar="IMAGES", type=InputPath(file_okay=False))
@click.argument("masks", metavar="MASKS", type=InputPath(file_okay=False))
@output_option("--output", "-o", suffixes=(".cvbow",), required=True, metavar="MODEL", help="Model file to write.")
@click.option(
    "--classes", metavar="NAME,NAME...", help="Names of the values 0, 1, 2...  [default: MASKS/classes.txt, or values]"
)
@click.option("--unknown", metavar="VALUE|none", default="255", show_default=True, help="Value of unknown pixels.")
@click.option(
    "--classifier", metavar="NAME", default="boosted-trees", show_default=True, help=f"One of {', '.join(CLASSIFIERS)}."
)
@click.option("--strict", is_flag=True, help="Stop at what cannot be used, instead of leaving it out.")
@option_max_pixels
@work_options
@option_json
def train(
    images: str,
    masks: str,
    output: str,
    classes: str | None,
    unknown: str,
    classifier: str,
    strict: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Learn from images and masks, and write a model file.

    Scribbles are masks that are 255 but for some strokes. The names of the classes are those of --classes, else the
    lines of MASKS/classes.txt, where there is one, else the values. Images without mask, masks without image, masks of
    another size than their image and files that cannot be read are left out and listed; --strict stops there.

    \b
    Example:
      cvbow segment train images/ masks/ -o horses.cvbow --classes none,horse
    """
    names = _class_names(classes, masks)
    model = Segmenter(classifier, unknown=_unknown(unknown), n_jobs=n_jobs)
    model.check_params()
    pairs = _pairs(images, masks, strict)
    check_output(output, [*pairs.images, *pairs.masks], kind="segmenter")
    model.fit(pairs.images, pairs.masks, classes=names, strict=strict)
    model.save(output, force=True)
    if as_json:
        echo_json(
            {
                "n_images": model.n_images_,
                **_alone(pairs),
                "skipped": skipped_as_json(model.skipped_),
                "classes": model.class_names_,
                "seconds": round(model.seconds_, 3),
                "model": output,
            }
        )
        return
    tell_skipped(model.skipped_)
    click.echo(f"images      {model.n_images_}, {len(model.skipped_)} skipped")
    click.echo(f"classes     {printable(', '.join(model.class_names_))}")
    click.echo(f"seconds     {model.seconds_:.1f}")
    click.echo(f"model       {printable(output)}")


@click.command(name="apply")
@click.argument("model", metavar="MODEL", type=ModelPath("segmenter"))
@click.argument("paths", metavar="IMAGE|DIR...", nargs=-1, required=True)
@output_option("--output", "-o", required=True, metavar="DIR", help="Folder to write masks into; it may be new.")
@click.option(
    "--overlay", is_flag=True, help="Also write DIR/overlay/NAME.png: the image with its classes, and a legend."
)
@click.option(
    "--probabilities", is_flag=True, help="Also write DIR/probabilities/CLASS/NAME.png: gray, 255 stands for 1."
)
@click.option("--uncertainty", is_flag=True, help="Also write DIR/uncertainty/NAME.png: gray, 0 is sure.")
@option_max_pixels
@work_options
@option_json
@click.pass_context
def apply(
    ctx: click.Context,
    model: str,
    paths: tuple[str, ...],
    output: str,
    overlay: bool,
    probabilities: bool,
    uncertainty: bool,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Write the mask of each image to DIR/NAME.png: a palette PNG whose values are those of the training masks.

    '-' reads paths from stdin, one per line. If an image cannot be read, it is reported, the others are segmented, and
    the exit code is 1. --json gives path, mask, and the share of each class.

    \b
    Example:
      cvbow segment apply horses.cvbow new/ -o found/ --overlay
      cvbow segment apply horses.cvbow photo.jpg -o found/ --uncertainty --json
    """
    sources = list(lines_of(paths))
    if any(os.path.isdir(source) and os.path.realpath(source) == os.path.realpath(output) for source in sources):
        raise click.UsageError(f"DIR must be another folder than that of the images, got {printable(output)} for both")
    images = gathered(sources)
    segmenter = Segmenter.load(model, n_jobs=n_jobs)
    kinds = [""] + ["overlay"] * overlay + ["uncertainty"] * uncertainty
    kinds += [os.path.join("probabilities", name) for name in segmenter.class_names_] if probabilities else []
    folders = [os.path.join(output, kind) for kind in kinds]
    _check_targets(folders, images, [model, *images])
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
    rows: list[dict[str, Any]] = []
    failed = False
    value_names = dict(zip(segmenter.classes_.tolist(), segmenter.class_names_, strict=True))
    for path, found in zip(images, segmenter.segment_images(images), strict=True):
        if isinstance(found, ImageError):
            failed = True
            rows.append({"path": str(path), "error": found.reason})
            if not as_json:
                echo_line(f"cvbow: {printable(str(found))}", err=True)
            continue
        mask, name = found.mask(), f"{path.stem}.png"
        target = os.path.join(output, name)
        _write(target, encode_mask(mask))
        if overlay:
            from cvbow.report.segmentation import write_segmentation_picture

            write_segmentation_picture(
                os.path.join(output, "overlay", name), read_image(path), mask, value_names, name=path.name
            )
        if probabilities:
            for class_name, plane in zip(segmenter.class_names_, found.probabilities(), strict=True):
                _write(os.path.join(output, "probabilities", class_name, name), encode_png(from_unit(plane)))
        if uncertainty:
            _write(os.path.join(output, "uncertainty", name), encode_png(from_unit(found.uncertainty())))
        shares = {each: float((mask == value).mean()) for value, each in value_names.items()}
        rows.append({"path": str(path), "mask": target, "shares": shares})
        if not as_json:
            told = "  ".join(f"{printable(each)} {100 * share:.1f} %" for each, share in shares.items())
            echo_line(f"{printable(target)}\t{told}")
    if as_json:
        echo_json(rows)
    if failed:
        ctx.exit(1)


@click.command(name="evaluate")
@click.argument("model", metavar="MODEL", type=ModelPath("segmenter"))
@click.argument("images", metavar="IMAGES", type=InputPath(file_okay=False))
@click.argument("masks", metavar="MASKS", type=InputPath(file_okay=False))
@output_option("--report", suffixes=(".html", ".htm"), metavar="FILE.html", help="Also write an HTML report.")
@click.option("--strict", is_flag=True, help="Stop at what cannot be used, instead of leaving it out.")
@option_max_pixels
@work_options
@option_json
def evaluate(model: str, images: str, masks: str, report: str | None, strict: bool, n_jobs: int, as_json: bool) -> None:
    """Judge a model by true masks: intersection over union of each class, pixel accuracy, borders.

    --json gives iou (by class, null where neither a mask nor an answer has it), mean_iou, pixel_accuracy, boundary_f
    (of borders within 0.75 % of the diagonal), the same for each image, and what was left out.

    \b
    Example:
      cvbow segment evaluate horses.cvbow images/ masks/ --report horses.html
      cvbow segment evaluate horses.cvbow images/ masks/ --json > result.json
    """
    segmenter = Segmenter.load(model, n_jobs=n_jobs)
    pairs = _pairs(images, masks, strict)
    check_output(report, [model, *pairs.images, *pairs.masks])
    judged = segmenter.evaluate([str(path) for path in pairs.images], pairs.masks, strict=strict)
    if report is not None:
        from cvbow.report.segmentation import write_segmentation_report

        write_segmentation_report(
            report,
            model=segmenter,
            report=judged,
            masks={str(image): mask for image, mask in zip(pairs.images, pairs.masks, strict=True)},
            title=f"{model} on {images}",
        )
    if as_json:
        echo_json({**judged.as_json(), **_alone(pairs)})
        return
    tell_skipped(judged.skipped)
    rows = [(name, "" if iou is None else f"{100 * iou:.1f}") for name, iou in judged.iou.items()]
    echo_tables([Table(["class", "IoU %"], rows)])
    click.echo(f"\nmean IoU             {100 * judged.mean_iou:.1f} %")
    click.echo(f"pixel accuracy       {100 * judged.pixel_accuracy:.1f} %")
    click.echo(f"boundary F           {100 * judged.boundary_f:.1f} %")
    click.echo(f"images               {len(judged.images)}, {len(judged.skipped)} skipped")
    if report is not None:
        click.echo(f"report               {printable(report)}")


def _class_names(classes: str | None, masks: str) -> list[str] | None:
    if classes is not None:
        return [name.strip() for name in classes.split(",")]
    path = os.path.join(masks, "classes.txt")
    if not os.path.isfile(path):
        return None
    from cvbow.files import read_text

    return [line.strip() for line in read_text(path, encoding="utf-8-sig").splitlines() if line.strip()]


def _unknown(text: str) -> int | None:
    if text == "none":
        return None
    if not text.isdecimal() or int(text) > 255:
        raise click.BadParameter(f"a value from 0 to 255, or none, is needed, got {text}", param_hint="--unknown")
    return int(text)


def _pairs(images: str, masks: str, strict: bool) -> MaskedImages:
    """Pair images and masks, and say what has no partner; with ``strict`` that is an error."""
    pairs = pair_masks(images, masks)
    for paths, what in ((pairs.without_mask, "images have no mask"), (pairs.without_image, "masks have no image")):
        if paths:
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            line = f"{len(paths)} {what}: {', '.join(path.name for path in paths[:_SHOWN])}{more}"
            if strict:
                raise click.ClickException(line)
            note(f"{line}; they are left out")
    return pairs


def _alone(pairs: MaskedImages) -> dict[str, list[str]]:
    return {
        "without_mask": [str(path) for path in pairs.without_mask],
        "without_image": [str(path) for path in pairs.without_image],
    }


def _check_targets(folders: Sequence[str], images: Sequence[Path], inputs: Sequence[Any]) -> None:
    """Refuse, before the work, two images of one name, and to write over what cvbow has not written."""
    names: dict[str, Path] = {}
    for path in images:
        first = names.setdefault(path.stem.casefold(), path)
        if first is not path:
            said = f"{printable(str(first))} and {printable(str(path))} would both be written to {path.stem}.png"
            raise click.UsageError(f"{said}: segment them into two folders")
    for folder in folders:
        if os.path.lexists(folder):
            for path in images:
                check_output(os.path.join(folder, f"{path.stem}.png"), inputs)


def _write(path: str, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)


for part in (train, apply, evaluate):
    command.add_command(part)
