"""Benchmarks of detectors: what is found in test images by a detector that learned from the boxes of others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cvbow._toml import TomlTable
from cvbow.annotations import ObjectList, read_objects
from cvbow.datasets import LabelledImages, dataset_names, load_dataset
from cvbow.detection import ObjectDetector, evaluate_detections
from cvbow.detection.evaluation import ALARMS
from cvbow.errors import DatasetError
from cvbow.experiments._drawing import smoke_split
from cvbow.experiments.definition import Definition, take_common
from cvbow.experiments.environment import environment
from cvbow.experiments.protocols import FixedSplit
from cvbow.experiments.results import Job, Result, dataset_facts, find_places, heading, plain, rounded
from cvbow.files import file_hash
from cvbow.progress import stages
from cvbow.registry import parameters_of
from cvbow.tables import Table, figure

RESULT = "cvbow-detection-result"


@dataclass(frozen=True, kw_only=True)
class DetectionDefinition(Definition):
    """A benchmark of a detector, on the split that its data set comes with.

    Attributes
    ----------
    protocol : FixedSplit
    settings : mapping
        Parameters of ``ObjectDetector``.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> find_benchmark("kangaroo").kind, dict(find_benchmark("kangaroo").settings)
    ('detection', {})
    """

    kind: ClassVar[str] = "detection"

    protocol: FixedSplit
    settings: Mapping[str, Any]


class DetectionResult(Result):
    """A result of a detector.

    ``found`` is what ``DetectionReport.as_json`` says; ``train`` has the numbers of images and objects that were
    learned from, the seconds of each step, and those of the processor altogether, to which other work on the machine
    matters little; ``detect_ms`` is the milliseconds of the processor for an image, files being read included; and
    ``boxes_sha256`` what the files of boxes hashed to.
    """

    definition: dict[str, Any]
    boxes_sha256: dict[str, str]
    train: dict[str, Any]
    found: dict[str, Any]
    detect_ms: float


def read(name: str, table: TomlTable) -> DetectionDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    settings = dict(table.table("settings").values)
    known = parameters_of(ObjectDetector)
    for key in settings:
        if key not in known or key in ("n_jobs", "random_state"):
            table.fail("settings", f"of {', '.join(sorted(known.keys() - {'n_jobs', 'random_state'}))}")
    try:
        ObjectDetector(**settings).check_params()
    except ValueError as error:
        raise ValueError(f"{table.path}: settings: {error}") from None
    return DetectionDefinition(**take_common(name, table, dataset_names()), protocol=FixedSplit(), settings=settings)


def run(definition: DetectionDefinition, job: Job) -> DetectionResult:
    """Learn from the boxes of the training part, and judge what is found in the test part.

    Boxes are in ``boxes.csv`` beside the folder of each part's images. A quick run is of a few images.
    """
    surroundings = environment(n_jobs=job.n_jobs)
    places = find_places([definition.dataset], job.data)
    images = load_dataset(places[definition.dataset])
    (split,) = definition.protocol.splits(images)
    settings = dict(definition.settings)
    if job.quick:
        split = smoke_split(images, split)
        settings |= {"n_shapes": 1, "n_levels": 2, "n_rounds": 1, "n_words": 8, "max_side": 128}
    (train, train_hash), (test, test_hash) = (_marked(images, rows) for rows in (split.train, split.test))
    detector = ObjectDetector(**settings, n_jobs=job.n_jobs)
    with stages({"train": 3, "test": 1}) as begin:
        begin("train")
        started = time.process_time()
        detector.fit(train.paths, train.objects, strict=True)
        trained = time.process_time()
        begin("test")
        found = detector.detect(test.paths)
        ended = time.process_time()
    whole: DetectionResult = {
        **heading(RESULT, definition, job),
        "definition": {
            "dataset": definition.dataset,
            "settings": plain(settings),
            "protocol": {"text": definition.protocol.describe()} | plain(vars(definition.protocol)),
            "notes": definition.notes,
        },
        "dataset": dataset_facts(places[definition.dataset], images, n_jobs=job.n_jobs),
        "environment": surroundings,
        "boxes_sha256": {"train": train_hash, "test": test_hash},
        "train": {
            "n_images": detector.n_images_,
            "n_objects": detector.n_objects_,
            "seconds": {step: rounded(value) for step, value in detector.seconds_.items()},
            "cpu_seconds": rounded(trained - started),
        },
        "found": evaluate_detections(test, found).as_json(),
        "detect_ms": rounded(1000 * (ended - trained) / len(test)),
    }
    return whole


def _marked(images: LabelledImages, rows: Any) -> tuple[ObjectList, str]:
    """Return the images at ``rows`` with their boxes, and the hash of the file that has these."""
    paths = [Path(images.images[row]) for row in rows]
    file = paths[0].parent.parent / "boxes.csv"
    marked = read_objects(file)
    known = {path.resolve(): objects for path, objects in zip(marked.paths, marked.objects, strict=True)}
    missing = [path for path in paths if path.resolve() not in known]
    if missing:
        raise DatasetError(file, f"it has no row for {missing[0]}")
    return ObjectList(tuple(paths), tuple(known[path.resolve()] for path in paths)), file_hash(file)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return the average precision of each class, and what that took."""
    found, train = result["found"], result["train"]
    shares = [f"{100 * found['recall_by_false_alarms'][f'{alarms:g}']:.1f}" for alarms in ALARMS]
    rows = [
        ("all", "", f"{found['ap50']:.3f}", f"{found['ap']:.3f}", *shares),
        *(
            (name, f"{row['objects']:,}", f"{row['ap50']:.3f}", f"{row['ap']:.3f}", *[""] * len(shares))
            for name, row in found["per_class"].items()
        ),
    ]
    heads = ["class", "objects", "AP at 0.5", "AP"]
    heads += [f"found %, {alarms:g} false alarms an image" for alarms in ALARMS]
    what = (
        f"{result['title']}: learned from {train['n_objects']:,} boxes in {train['n_images']} images in "
        f"{train['cpu_seconds']:.0f} s of the processor; judged in {found['n_images']} images, "
        f"{figure(result['detect_ms'])} ms of it each"
    )
    return {"figures": Table(heads, rows, what)}
