"""Benchmarks of several labels an image: mosaics of images of several classes, and images of several kinds of objects.

Backends learn from the same images and are judged on the same ones, with the same classifier against the rest for each
label; so a network's features stand beside words, with all else alike.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._toml import COUNT, TEXT, TEXTS, TomlTable, one_of
from cvbow.annotations import read_objects
from cvbow.backends import ImageLike
from cvbow.classify import (
    CLASSIFIERS,
    ImageClassifier,
    LabelSets,
    LabelsReport,
    average_precision,
    make_classifier,
    place_sets,
)
from cvbow.datasets import LabelledImages, dataset_names, load_dataset
from cvbow.errors import DatasetError
from cvbow.experiments._drawing import by_class, shuffled, smoke_split
from cvbow.experiments.definition import Definition, check_names, take_common
from cvbow.experiments.environment import environment
from cvbow.experiments.protocols import SplitProtocol, read_protocol
from cvbow.experiments.results import Job, Result, dataset_facts, find_places, heading, plain, rounded
from cvbow.images import read_image
from cvbow.presets import Contender, parse_contender
from cvbow.progress import note, stages, tracked
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-labels-result"
#: Pixels of the side of a part of a mosaic, which has two rows and two columns; gray levels of a part without an image.
PART, EMPTY = 160, 128
#: Classes of a mosaic, at least and at most.
FEWEST, MOST = 2, 4
#: Test sets that are drawn from the test images, each of as many, for an interval.
_DRAWN = 1000
#: Test images that the time of an answer is measured on, one after another.
_TIMED = 20

Labelled = tuple[list[ImageLike], list[list[str]]]


@dataclass(frozen=True)
class Mosaics:
    """How many mosaics are made of the images to train on, and of those to test with.

    Attributes
    ----------
    train, test : int
    """

    train: int
    test: int


@dataclass(frozen=True, kw_only=True)
class LabelsDefinition(Definition):
    """A benchmark of several labels an image.

    Attributes
    ----------
    protocol : SplitProtocol
        Its first split counts.
    contenders : tuple of Contender
    classifier : str
        The name of the one that learns each label.
    mosaics : Mosaics or None
        What is made of the images. None: an image's labels are the classes of the objects on it.
    objects : str
        Where these are, one folder up from an image: a file that ``read_objects`` takes.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("scene15-mosaics")
    >>> definition.mosaics.train, definition.classifier
    (400, 'tuned-svm')
    """

    kind: ClassVar[str] = "labels"

    protocol: SplitProtocol
    contenders: tuple[Contender, ...]
    classifier: str
    mosaics: Mosaics | None
    objects: str


class LabelsResult(Result):
    """A result of several labels an image.

    ``labels`` says how many images of each label there are to train on and to test with, ``contenders`` has for each
    the measures of ``LabelsReport.as_dict``, the ``interval`` of the mean average precision, the ``seconds`` of
    training and the median processor time of an answer in ``ms``.
    """

    definition: dict[str, Any]
    labels: dict[str, dict[str, int]]
    contenders: list[dict[str, Any]]


def read(name: str, table: TomlTable) -> LabelsDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    try:
        contenders = tuple(map(parse_contender, table.take("contenders", TEXTS)))
    except ValueError as error:
        raise ValueError(f"{table.path}: contenders: {error}") from None
    objects = table.take("objects", TEXT, "")
    definition = LabelsDefinition(
        **take_common(name, table, dataset_names()),
        protocol=read_protocol(table.table("protocol", needed=True)),
        contenders=contenders,
        classifier=table.take("classifier", one_of(CLASSIFIERS), "tuned-svm"),
        mosaics=None
        if objects
        else table.table("mosaics", needed=True).build(Mosaics, {"train": COUNT, "test": COUNT}),
        objects=objects,
    )
    check_names(table, "contenders", [one.name for one in contenders], needed=True, are="texts")
    return definition


def run(definition: LabelsDefinition, job: Job) -> LabelsResult:
    """Train each contender on the first split, and judge it; a quick run is of a few images."""
    surroundings = environment(n_jobs=job.n_jobs)
    for contender in definition.contenders:
        contender.check()
    (place,) = find_places([definition.dataset], job.data).values()
    images = load_dataset(place)
    split = definition.protocol.splits(images, seed=0)[0]
    mosaics = definition.mosaics
    if job.quick:
        split, mosaics = smoke_split(images, split), mosaics and Mosaics(30, 10)
    parts = []
    for what, positions in (("train", split.train), ("test", split.test)):
        if mosaics is None:
            parts.append(_by_objects(images, positions, definition.objects))
        else:
            parts.append(make_mosaics(images, positions, asdict(mosaics)[what], key=what))
    train, test = parts
    whole: LabelsResult = {
        **heading(RESULT, definition, job),
        "definition": {
            "dataset": definition.dataset,
            "classifier": definition.classifier,
            "protocol": {"text": definition.protocol.describe()} | plain(vars(definition.protocol)),
            "mosaics": None if mosaics is None else asdict(mosaics),
            "notes": definition.notes,
        },
        "dataset": dataset_facts(place, images, n_jobs=job.n_jobs),
        "environment": surroundings,
        "labels": {what: _counted(part) for what, part in (("train", train), ("test", test))},
        "contenders": [
            _judge(one, definition.classifier, train, test, job) for one in tracked("contenders", definition.contenders)
        ],
    }
    return whole


def make_mosaics(images: LabelledImages, positions: Sequence[int] | NDArray[np.intp], n: int, *, key: str) -> Labelled:
    """Return mosaics of images at some positions, each of two to four classes, with these as their labels.

    A mosaic has two rows and two columns of square parts, and where there are fewer images, gray ones. Which classes it
    has, where, and which of their images, follows from the key and the images' names; all images of a class are taken
    before one is taken again.

    Parameters
    ----------
    images : LabelledImages
    positions : sequence of int
    n : int
    key : str

    Returns
    -------
    mosaics : list of ndarray of shape (320, 320) or (320, 320, 3), uint8
    labels : list of lists of str

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.datasets import LabelledImages
    >>> from cvbow.experiments.labels import make_mosaics
    >>> white = np.full((8, 8), 255, np.uint8)
    >>> images = LabelledImages((white, white // 2), labels=("white", "gray"), names=("1", "2"))
    >>> mosaics, labels = make_mosaics(images, [0, 1], 3, key="test")
    >>> mosaics[0].shape, labels[0]
    ((320, 320), ['gray', 'white'])
    """
    members = {label: shuffled(images, group, key) for label, group in by_class(images, positions).items()}
    used = dict.fromkeys(members, 0)
    made: list[ImageLike] = []
    labels = []
    for number in range(n):
        digest = hashlib.sha256(f"{key}\0{number}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        count = int(random.integers(FEWEST, MOST + 1))
        chosen = sorted(random.permutation(sorted(members))[:count].tolist())
        tiles = []
        for label in chosen:
            position = members[label][used[label] % len(members[label])]
            used[label] += 1
            tiles.append(_tile(images.images[position]))
        made.append(_put_together(tiles, random.permutation(MOST)[: len(tiles)].tolist()))
        labels.append(chosen)
    return made, labels


def _tile(image: Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = image if isinstance(image, np.ndarray) else read_image(image)
    return np.asarray(cv2.resize(pixels, (PART, PART), interpolation=cv2.INTER_AREA), np.uint8)


def _put_together(tiles: Sequence[NDArray[np.uint8]], places: Sequence[int]) -> NDArray[np.uint8]:
    mosaic = np.full((2, PART, 2, PART, *tiles[0].shape[2:]), EMPTY, np.uint8)
    for tile, place in zip(tiles, places, strict=True):
        mosaic[place // 2, :, place % 2] = tile
    return mosaic.reshape(2 * PART, 2 * PART, *tiles[0].shape[2:])


def _by_objects(images: LabelledImages, positions: Sequence[int] | NDArray[np.intp], file: str) -> Labelled:
    """Return images at some positions, with the classes of the objects that are marked on them."""
    chosen: list[ImageLike] = []
    labels = []
    known: dict[Path, dict[Path, tuple[str, ...]]] = {}
    for position in positions:
        path = images.images[position]
        if not isinstance(path, Path):
            raise ValueError("objects must be of a data set of files")
        source = path.parent.parent / file
        if source not in known:
            marked = read_objects(source)
            known[source] = {at.resolve(): found for at, found in zip(marked.paths, marked.labels, strict=True)}
        if path.resolve() not in known[source]:
            raise DatasetError(source, f"it does not say what is on {path.name}")
        chosen.append(path)
        labels.append(list(known[source][path.resolve()]))
    return chosen, labels


def _counted(part: Labelled) -> dict[str, int]:
    sets = LabelSets.of(part[1])
    return {"images": len(sets), **dict(zip(sets.classes.tolist(), sets.counts.tolist(), strict=True))}


def _judge(contender: Contender, classifier: str, train: Labelled, test: Labelled, job: Job) -> dict[str, Any]:
    note(contender.name)
    backend = contender.backend(train[0], n_jobs=job.n_jobs, memory=job.memory)
    with stages({"train": 3, "test": 1}) as begin:
        begin("train")
        started = time.perf_counter()
        model = ImageClassifier(backend, make_classifier(classifier)).fit(*train, strict=True)
        seconds = time.perf_counter() - started
        begin("test")
        report, answers = model.evaluate(*test, strict=True)
    assert isinstance(report, LabelsReport)
    note(f"  mean average precision {report.mean_average_precision:.4f}")
    return {
        **contender.as_dict(),
        **report.as_dict(),
        "interval": _interval(LabelSets.of(test[1]), answers.probabilities, model.classes_),
        "vector_length": int(model.backend_.vector_length),
        "seconds": None if job.memory is not None else rounded(seconds),
        "ms": None if job.memory is not None else rounded(_milliseconds(model, test[0])),
    }


def _interval(sets: LabelSets, scores: NDArray[np.float64], classes: NDArray[Any]) -> dict[str, Any]:
    """Return between what the mean average precision lies for 95 of 100 test sets drawn from the test images."""
    random, has = np.random.default_rng(0), place_sets(sets, classes)[1][:, : len(classes)]
    means = []
    for _ in range(_DRAWN):
        rows = random.integers(0, len(has), len(has))
        means.append(np.nanmean(average_precision(has[rows], scores[rows])))
    low, high = np.nanquantile(means, (0.025, 0.975))
    return {"low": float(low), "high": float(high), "what": f"95 %, of {_DRAWN} sets drawn from the test images"}


def _milliseconds(model: ImageClassifier, images: Sequence[ImageLike]) -> float:
    """Return the median processor time of an answer to one image, on one thread."""
    before, model.backend_.n_jobs = model.backend_.n_jobs, 1
    times = []
    for image in [images[0], *images[:_TIMED]]:  # the first answer fills caches
        started = time.process_time()
        model.answer([image])
        times.append(1000 * (time.process_time() - started))
    model.backend_.n_jobs = before
    return statistics.median(times[1:])


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return the measures of each backend, and its average precision label by label."""
    contenders, counts = result["contenders"], result["labels"]
    heads = ["backend", "mAP", "95 % of draws", "mAP, VOC 2007", "micro F1", "macro F1", "all labels right"]
    rows = [
        (
            one["name"],
            percent(one["mean_average_precision"]),
            f"{percent(one['interval']['low'])} to {percent(one['interval']['high'])}",
            *(
                percent(one[name])
                for name in ("mean_average_precision_2007", "micro_f1", "macro_f1", "subset_accuracy")
            ),
            figure(one["ms"]),
        )
        for one in contenders
    ]
    what = (
        f"{result['title']}: {result['definition']['classifier']} against the rest for each label, "
        f"{counts['train']['images']:,} images to train on and {counts['test']['images']:,} to test with; figures in "
        "%, milliseconds of processor time of an answer"
    )
    names = [one["name"] for one in contenders]
    each = [
        (name, str(counts["train"].get(name, 0)), str(count), *(_of(one, name) for one in contenders))
        for name, count in counts["test"].items()
        if name != "images"
    ]
    by_label = Table(["label", "train", "test", *names], each, f"{result['title']}: average precision, %")
    return {"figures": Table([*heads, "ms"], rows, what), "labels": by_label}


def _of(contender: Mapping[str, Any], label: str) -> str:
    value = contender["per_class"][label]["average_precision"]
    return "" if value is None else percent(value)
