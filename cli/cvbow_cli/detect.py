"""``cvbow detect``: the group, and what trains, runs and judges a detector."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from cvbow.annotations import ObjectList, Objects, read_objects, write_objects, write_voc, write_yolo
from cvbow.detection import DetectionReport, ObjectDetector, evaluate_detections
from cvbow.errors import ImageError, none_read
from cvbow.images import read_image
from cvbow.progress import note
from cvbow.tables import Table
from cvbow_cli._common import (
    ListingGroup,
    echo_json,
    echo_line,
    echo_tables,
    gathered,
    option_json,
    option_max_pixels,
    printable,
    skipped_as_json,
    tell_skipped,
    work_options,
)
from cvbow_cli._output import check_output, check_output_folder, output_option
from cvbow_cli._what import InputPath, ModelPath

__all__ = ["command"]

#: Images that a picture has room for.
_DRAWN = 12
#: What is shown to a person is more probable than not; files have nearly all.
_SHOWN, _WRITTEN = 0.5, 0.01


@click.group(name="detect", cls=ListingGroup)
def command() -> None:
    """Find objects: learn from boxes, find boxes, judge them by those that are marked.

    \b
    Example:
      cvbow detect train boxes.csv -o cells.cvbow
      cvbow detect run cells.cvbow slides/ -o found.png
      cvbow detect evaluate cells.cvbow test.csv --report page.html
    """


@command.command(name="train")
@click.argument("source", metavar="BOXES", type=InputPath())
@output_option("--output", "-o", suffixes=(".cvbow",), required=True, metavar="MODEL", help="Model file to write.")
@click.option("--shapes", type=click.IntRange(min=1), metavar="N", help="Shapes of windows for a class.  [default: 2]")
@click.option(
    "--max-side",
    type=click.IntRange(min=64),
    metavar="PIXELS",
    help="Shrink larger images to this; raise it where objects are small in large images.  [default: 1024]",
)
@click.option("--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it.")
@option_max_pixels
@work_options
@option_json
def train(
    source: str, output: str, shapes: int | None, max_side: int | None, strict: bool, n_jobs: int, as_json: bool
) -> None:
    """Train a detector on the boxes of images and write it to a model file.

    BOXES is a CSV with the columns image,class,xmin,ymin,xmax,ymax, where image is a path relative to it and a row with
    nothing else is an image without objects; COCO's JSON; or a folder of VOC's XML files or of YOLO's texts.

    \b
    Example:
      cvbow detect train boxes.csv -o cells.cvbow
      cvbow detect train VOC2007/Annotations -o objects.cvbow --max-side 512
    """
    given = {"n_shapes": shapes, "max_side": max_side}
    detector = ObjectDetector(n_jobs=n_jobs, **{name: value for name, value in given.items() if value is not None})
    marked = read_objects(source)
    check_output(output, [source, *marked.paths], kind="detector")
    detector.fit(marked.paths, marked.objects, strict=strict)
    content_hash = detector.save(output, force=True)
    classes = detector.classes_.tolist()
    if as_json:
        echo_json(
            {
                "n_images": detector.n_images_,
                "n_objects": detector.n_objects_,
                "skipped": skipped_as_json(detector.skipped_),
                "classes": classes,
                "seconds": {step: round(value, 3) for step, value in detector.seconds_.items()},
                "model": output,
            }
        )
        return
    tell_skipped(detector.skipped_)
    steps = ", ".join(f"{step} {value:.1f}" for step, value in detector.seconds_.items() if step != "total")
    click.echo(f"images      {detector.n_images_}, {len(detector.skipped_)} skipped")
    click.echo(f"objects     {detector.n_objects_}")
    click.echo(f"classes     {len(classes)}: {printable(', '.join(classes))}")
    click.echo(f"seconds     {detector.seconds_['total']:.1f} ({steps})")
    click.echo(f"model       {printable(output)}")
    click.echo(f"hash        {content_hash}")


@command.command(name="run")
@click.argument("model", metavar="MODEL", type=ModelPath("detector"))
@click.argument("paths", metavar="IMAGE|DIR...", nargs=-1, required=True)
@output_option(
    "--output",
    "-o",
    suffixes=(".png", ".csv", ".json"),
    metavar="FILE",
    help=f"File to write: a picture (.png) of at most {_DRAWN} images, or boxes (.csv, or .json of COCO).",
)
@click.option(
    "--pictures", type=click.Path(file_okay=False), metavar="DIR", help="Write a picture of each image there."
)
@click.option(
    "--voc", type=click.Path(file_okay=False), metavar="DIR", help="Write VOC's NAME.xml of each image there."
)
@click.option(
    "--yolo",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Write YOLO's NAME.txt of each image there, and classes.txt.",
)
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help=f"Least probability of what is told.  [default: {_SHOWN}, in --json and files of boxes {_WRITTEN}]",
)
@option_max_pixels
@work_options
@option_json
@click.pass_context
def run(
    ctx: click.Context,
    model: str,
    paths: tuple[str, ...],
    output: str | None,
    pictures: str | None,
    voc: str | None,
    yolo: str | None,
    score: float | None,
    n_jobs: int,
    as_json: bool,
) -> None:
    """Find objects in images; '-' reads their paths from stdin, one per line.

    If an image cannot be read, it is reported, the others are searched, and the exit code is 1. --json gives path and
    objects: class, score (the probability that it is one), xmin, ymin, xmax, ymax, in pixels of the upright image.

    \b
    Example:
      cvbow detect run cells.cvbow slide.png -o found.png
      cvbow detect run cells.cvbow slides/ --json > found.json
      cvbow detect run cells.cvbow slides/ -o boxes.csv --score 0.3
      cvbow detect run cells.cvbow set/images/ --yolo set/labels --score 0.5
    """
    images = gathered(paths)
    is_picture = output is not None and output.lower().endswith(".png")
    if is_picture and len(images) > _DRAWN:
        raise click.UsageError(f"a picture has room for {_DRAWN} images, and these are {len(images)}; see --pictures")
    names = [f"{place}-{Path(path).stem}.png" for place, path in enumerate(images, 1)] if pictures is not None else []
    check_output(output, [model, *images], kind="picture" if is_picture else "objects")
    check_output_folder(pictures, names, [model, *images])
    stems = [Path(path).stem for path in images]
    if (voc is not None or yolo is not None) and len(set(stems)) < len(stems):
        raise click.UsageError("files of VOC and YOLO are called as their images, and two of these have one name")
    check_output_folder(voc, [f"{stem}.xml" for stem in stems], [model, *images])
    check_output_folder(yolo, [f"{stem}.txt" for stem in (*stems, "classes")], [model, *images])
    of_boxes = (None if is_picture else output, write_objects), (voc, write_voc), (yolo, write_yolo)
    boxes = [(path, write) for path, write in of_boxes if path is not None]
    detector = ObjectDetector.load(model, n_jobs=n_jobs)
    least = score if score is not None else _SHOWN
    written = score if score is not None else _WRITTEN
    rows: list[dict[str, Any]] = []
    kept: list[tuple[Path, Objects]] = []
    drawn: list[Any] = []
    failed = False
    for place, (path, found) in enumerate(zip(images, detector.stream(images), strict=True)):
        if isinstance(found, ImageError):
            failed = True
            rows.append({"path": str(path), "error": found.reason})
            if not as_json:
                echo_line(f"cvbow: {printable(str(found))}", err=True)
            continue
        likely = found.take(found.scores >= written)
        shown = found.take(found.scores >= least)
        if as_json:
            rows.append({"path": str(path), "objects": likely.as_json()})
        else:
            _tell(str(path), shown)
        if boxes:
            kept.append((Path(path), likely))
        if is_picture or pictures is not None:
            from cvbow.report.objects import draw_objects

            picture = draw_objects(read_image(path), shown, name=Path(path).name, classes=detector.classes_.tolist())
            if is_picture:
                drawn.append(picture)
            if pictures is not None:
                _write_picture(os.path.join(pictures, names[place]), [picture])
    if drawn and output is not None:
        _write_picture(output, drawn)
    for where, write in boxes if kept else ():
        write(where, ObjectList(tuple(path for path, _ in kept), tuple(found for _, found in kept)))
    if as_json:
        echo_json(rows)
    else:
        if output is not None and drawn:
            click.echo(f"picture  {printable(output)}")
        for where, _ in boxes if kept else ():
            click.echo(f"boxes    {printable(where)}")
    if failed:
        ctx.exit(1)


@command.command(name="evaluate")
@click.argument("model", metavar="MODEL", type=ModelPath("detector"))
@click.argument("source", metavar="BOXES", type=InputPath())
@output_option(
    "--report", suffixes=(".html", ".htm"), metavar="FILE.html", help="Also write a page, worst images first."
)
@click.option("--strict", is_flag=True, help="Stop at an image that cannot be read, instead of skipping it.")
@option_max_pixels
@work_options
@option_json
def evaluate(model: str, source: str, report: str | None, strict: bool, n_jobs: int, as_json: bool) -> None:
    """Judge a detector by marked boxes, in a file or folder as detect train takes it.

    --json gives ap50 and ap, the average precision at overlap 0.5 and the mean over overlaps from 0.5 to 0.95, as COCO
    defines them, averaged over classes; per_class, with both and the number of objects; recall_by_false_alarms, the
    share of objects that are found while so many false ones an image are; and skipped.

    \b
    Example:
      cvbow detect evaluate cells.cvbow test.csv
      cvbow detect evaluate cells.cvbow test.csv --json --report page.html
    """
    started = time.perf_counter()
    detector = ObjectDetector.load(model, n_jobs=n_jobs)
    marked = read_objects(source)
    check_output(report, [model, source, *marked.paths])
    paths, truth, found, skipped = [], [], [], []
    for path, objects, result in zip(marked.paths, marked.objects, detector.stream(marked.paths), strict=True):
        if isinstance(result, ImageError):
            if strict:
                raise result
            skipped.append(result)
            continue
        paths.append(path)
        truth.append(objects)
        found.append(result)
    if not paths:
        raise none_read(skipped)
    judged = ObjectList(tuple(paths), tuple(truth))
    measured = evaluate_detections(judged, found)
    unknown = [name for name in measured.classes if name not in detector.classes_.tolist()]
    if unknown:
        note(f"the detector does not know {', '.join(unknown)}: none of these is found")
    if report is not None:
        from cvbow.report.detection import write_detection_report

        write_detection_report(report, measured, judged, found, skipped, title=f"{model} on {source}")
    seconds = time.perf_counter() - started
    if as_json:
        echo_json({**measured.as_json(), "skipped": skipped_as_json(skipped), "seconds": round(seconds, 3)})
        return
    tell_skipped(skipped)
    echo_tables([_table(measured)])
    click.echo(f"\nseconds              {seconds:.1f}")
    if report is not None:
        click.echo(f"report               {printable(report)}")


def _tell(path: str, objects: Objects) -> None:
    if not len(objects):
        echo_line(f"{printable(path)}\tnothing")
    for name, score, box in zip(objects.classes.tolist(), objects.scores, objects.boxes, strict=True):
        sides = " ".join(f"{side:.0f}" for side in np.rint(box))
        echo_line(f"{printable(path)}\t{printable(name)} {score:.3f}\t{sides}")


def _write_picture(path: str, pictures: Sequence[Any]) -> None:
    from cvbow.report.objects import write_objects_picture

    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_objects_picture(path, pictures)


def _table(report: DetectionReport) -> Table:
    rows = [
        (name, str(count), f"{row[0]:.3f}", f"{row.mean():.3f}")
        for name, count, row in zip(report.classes, report.n_objects.tolist(), report.precisions, strict=True)
    ]
    rows.append(("all", str(int(report.n_objects.sum())), f"{report.ap50:.3f}", f"{report.ap:.3f}"))
    return Table(("class", "objects", "AP at 0.5", "AP"), rows, f"{report.n_images} images")
