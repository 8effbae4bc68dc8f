"""Benchmarks of segmentation: how well masks fit, by how many masks or scribbles were learned from."""

from __future__ import annotations

import statistics
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._toml import COUNT, FLAG, TEXT, TEXTS, TomlTable
from cvbow.datasets import LabelledImages, dataset_names, load_dataset
from cvbow.experiments._drawing import shuffled, smoke_split
from cvbow.experiments.definition import Definition, check_names, take_common
from cvbow.experiments.environment import environment
from cvbow.experiments.protocols import FixedSplit
from cvbow.experiments.results import Job, Result, dataset_facts, find_places, heading, rounded
from cvbow.progress import note, stages, tracked
from cvbow.segmentation import Segmenter, make_scribbles, read_mask
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-segmentation-result"


@dataclass(frozen=True)
class Trial:
    """What is learned from.

    Attributes
    ----------
    name : str
    images : int or None
        Training images, drawn at random; None for all of them.
    scribbles : bool
        Whether a few strokes stand for each mask (``make_scribbles``).
    draws : int
        How often images are drawn, for a mean and a deviation.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> find_benchmark("weizmann-horses-segmentation").trials[2].scribbles
    True
    """

    name: str
    images: int | None = None
    scribbles: bool = False
    draws: int = 1


@dataclass(frozen=True, kw_only=True)
class SegmentationDefinition(Definition):
    """A benchmark of segmentation.

    Attributes
    ----------
    protocol : FixedSplit
    classes : tuple of str
        What the values 0, 1, 2 and so on of the masks are called.
    trials : tuple of Trial

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("weizmann-horses-segmentation")
    >>> definition.classes, [trial.images for trial in definition.trials]
    (('background', 'horse'), [None, 20, 10])
    """

    kind: ClassVar[str] = "segmentation"

    protocol: FixedSplit
    classes: tuple[str, ...]
    trials: tuple[Trial, ...]


class SegmentationResult(Result):
    """A result of segmentation.

    ``trials`` has for each its ``name``, and of each draw the ``names`` of the images that were learned from, ``known``
    (the share of their pixels that was told), ``iou`` by class, ``mean_iou``, ``pixel_accuracy``, ``boundary_f`` and
    ``seconds`` of the training, and ``ms`` for a test image: wall time on all workers.
    """

    definition: dict[str, Any]
    trials: list[dict[str, Any]]


def read(name: str, table: TomlTable) -> SegmentationDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    rules = {"name": TEXT, "images": COUNT, "scribbles": FLAG, "draws": COUNT}
    trials = tuple(each.build(Trial, rules) for each in table.tables("trials"))
    check_names(table, "trials", [trial.name for trial in trials], needed=True)
    return SegmentationDefinition(
        **take_common(name, table, dataset_names()),
        protocol=FixedSplit(),
        classes=tuple(table.take("classes", TEXTS)),
        trials=trials,
    )


def run(definition: SegmentationDefinition, job: Job) -> SegmentationResult:
    """Train on each trial's draws from the training part, and judge the masks of the test part.

    The mask of ``images/NAME.jpg`` is ``masks/NAME.png`` beside that folder. Nothing is kept in the job's ``memory``,
    as the result tells times. A quick run is of a few images.
    """
    surroundings = environment(n_jobs=job.n_jobs)
    places = find_places([definition.dataset], job.data)
    images = load_dataset(places[definition.dataset])
    (split,) = definition.protocol.splits(images)
    if job.quick:
        split = smoke_split(images, split)
    trials = []
    for trial in tracked("trials", definition.trials):
        draws = []
        for draw in tracked("draws", range(trial.draws)):
            order = shuffled(images, split.train.tolist(), f"segmentation {draw}")
            chosen = sorted(order[: trial.images])
            note(f"{definition.name}: {trial.name}, draw {draw + 1} of {trial.draws}")
            draws.append(_measure(definition, trial, images, chosen, split.test.tolist(), job.n_jobs))
        trials.append({"name": trial.name, "draws": draws})
    whole: SegmentationResult = {
        **heading(RESULT, definition, job),
        "definition": {
            "dataset": definition.dataset,
            "classes": list(definition.classes),
            "trials": [asdict(trial) for trial in definition.trials],
            "protocol": {"text": definition.protocol.describe()},
            "n_test": len(split.test),
            "notes": definition.notes,
        },
        "dataset": dataset_facts(places[definition.dataset], images, n_jobs=job.n_jobs),
        "environment": surroundings,
        "trials": trials,
    }
    return whole


def _measure(
    definition: SegmentationDefinition,
    trial: Trial,
    images: LabelledImages,
    train: list[int],
    test: list[int],
    n_jobs: int | None,
) -> dict[str, Any]:
    paths, shown = ([_file(images, place) for place in part] for part in (train, test))
    masks = [scribbles_for(_mask_of(path)) if trial.scribbles else read_mask(_mask_of(path)) for path in paths]
    with stages({"train": 1, "test": 1}) as begin:
        begin("train")
        model = Segmenter(n_jobs=n_jobs).fit(paths, masks, classes=definition.classes, strict=True)
        begin("test")
        started = time.perf_counter()
        report = model.evaluate(shown, [_mask_of(path) for path in shown], strict=True)
        spent = time.perf_counter() - started
    return {
        "names": [path.stem for path in paths],
        "known": round(float(np.mean([np.mean(mask != 255) for mask in masks])), 4),
        "iou": {name: _rounded(value) for name, value in report.iou.items()},
        "mean_iou": _rounded(report.mean_iou),
        "pixel_accuracy": _rounded(report.pixel_accuracy),
        "boundary_f": _rounded(report.boundary_f),
        "seconds": rounded(model.seconds_),
        "ms": rounded(1000 * spent / len(test)),
    }


def scribbles_for(path: Path) -> NDArray[np.uint8]:
    """Return scribbles for the mask in a file; its name decides which, so that they are the same in every draw."""
    return make_scribbles(read_mask(path), random_state=zlib.crc32(path.stem.encode()))


def _file(images: LabelledImages, place: int) -> Path:
    image = images.images[place]
    if not isinstance(image, Path):
        raise ValueError(f"the images of a benchmark of segmentation must be files, got {type(image).__name__}")
    return image


def _mask_of(path: Path) -> Path:
    return path.parent.parent / "masks" / f"{path.stem}.png"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how well masks fit, trial by trial."""
    definition = result["definition"]
    classes = definition["classes"]
    heads = ("learned from", *(f"IoU of {name}, %" for name in classes), "accuracy, %", "borders, %", "s", "ms")
    rows = [
        (
            trial["name"],
            *(_spread([draw["iou"][name] for draw in trial["draws"]]) for name in classes),
            *(_spread([draw[key] for draw in trial["draws"]]) for key in ("pixel_accuracy", "boundary_f")),
            figure(statistics.median(draw["seconds"] for draw in trial["draws"])),
            figure(statistics.median(draw["ms"] for draw in trial["draws"])),
        )
        for trial in result["trials"]
    ]
    what = (
        f"{result['title']}: intersection over union on the {definition['n_test']} test images, pixels that are right, "
        "the F measure of borders, seconds to train, and milliseconds for a test image with its judgement"
    )
    return {"figures": Table(heads, rows, what)}


def _spread(shares: list[float | None]) -> str:
    known = [share for share in shares if share is not None]
    if not known:
        return ""
    return percent(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)
