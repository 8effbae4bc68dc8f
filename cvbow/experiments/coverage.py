"""Benchmarks of what a model knows of its own answers: how often sets of labels hold the right one, and strangers.

The sets are made of probabilities and training images alone; so are the scores of strangers, which are the images of
other data sets, of which the model has seen none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._toml import TEXTS, TomlTable, one_of
from cvbow.backends import ImageLike
from cvbow.classify import Answers, ClassificationReport, ImageClassifier, place_labels
from cvbow.datasets import LabelledImages, dataset_names, load_dataset
from cvbow.experiments._drawing import smoke_split
from cvbow.experiments.definition import Definition, check_names, take_common
from cvbow.experiments.environment import environment
from cvbow.experiments.protocols import SplitProtocol, read_protocol
from cvbow.experiments.results import Job, Result, dataset_facts, find_places, heading, plain, rounded
from cvbow.experiments.significance import wilson_interval
from cvbow.presets import PRESETS, make_model
from cvbow.progress import note, stages, tracked
from cvbow.tables import Table, percent

RESULT = "cvbow-coverage-result"
#: The probabilities with which sets are to hold the right label, and the share of false alarms that is allowed.
COVERAGES, FALSE_ALARMS = (0.9, 0.95), 0.05


@dataclass(frozen=True, kw_only=True)
class CoverageDefinition(Definition):
    """A benchmark of sets of labels and of strangers.

    Attributes
    ----------
    protocol : SplitProtocol
        Its first split counts, of the data set and of those of the strangers.
    preset : str
    strangers : tuple of str
        Data sets whose test images are of none of the classes.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> find_benchmark("scene15-coverage").strangers
    ('flowers5',)
    """

    kind: ClassVar[str] = "coverage"

    protocol: SplitProtocol
    preset: str
    strangers: tuple[str, ...]

    @property
    def recipe(self) -> str:
        """The preset."""
        return self.preset


class CoverageResult(Result):
    """A result of sets of labels and strangers.

    ``sets`` has for each coverage that was asked for the share of test images whose class was held, an interval of
    it, the mean number of labels and the share of sets of one. ``strangers`` has for each data set the area under the
    curve against the test images, and the share of either that is told to be of none of the classes.
    """

    definition: dict[str, Any]
    images: dict[str, int]
    accuracy: float
    calibration_error: float
    sets: list[dict[str, Any]]
    strangers: list[dict[str, Any]]
    seconds: float | None


def read(name: str, table: TomlTable) -> CoverageDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    strangers = table.take("strangers", TEXTS)
    definition = CoverageDefinition(
        **take_common(name, table, dataset_names()),
        protocol=read_protocol(table.table("protocol", needed=True)),
        preset=table.take("preset", one_of(PRESETS)),
        strangers=tuple(strangers),
    )
    check_names(table, "strangers", strangers, needed=True, are="texts")
    for other in strangers:
        if other not in dataset_names() or other == definition.dataset:
            table.fail("strangers", f"names of other data sets than {definition.dataset}")
    return definition


def run(definition: CoverageDefinition, job: Job) -> CoverageResult:
    """Train on the first split, and judge what the model says of its test images and of others'."""
    surroundings = environment(n_jobs=job.n_jobs)
    places = find_places([definition.dataset, *definition.strangers], job.data)
    images = load_dataset(places[definition.dataset])
    train, test = _parts(definition, images, job)
    with stages({"train": 3, "test": 1, "strangers": 1}) as begin:
        begin("train")
        started = time.perf_counter()
        model = make_model(definition.preset, n_jobs=job.n_jobs)
        model.fit(*train, strict=True)
        seconds = time.perf_counter() - started
        begin("test")
        report, answers = model.evaluate(*test, strict=True)
        assert isinstance(report, ClassificationReport)
        note(f"accuracy {report.accuracy:.4f}, calibration error {report.calibration_error:.4f}")
        begin("strangers")
        strangers = []
        for name in tracked("strangers", definition.strangers):
            others = load_dataset(places[name])
            strangers.append({"name": name, **_strangers(model, answers, _parts(definition, others, job)[1][0])})
    whole: CoverageResult = {
        **heading(RESULT, definition, job),
        "definition": {
            "dataset": definition.dataset,
            "preset": definition.preset,
            "strangers": list(definition.strangers),
            "protocol": {"text": definition.protocol.describe()} | plain(vars(definition.protocol)),
            "notes": definition.notes,
        },
        "dataset": dataset_facts(places[definition.dataset], images, n_jobs=job.n_jobs),
        "environment": surroundings,
        "images": {"train": len(train[0]), "test": len(test[0])},
        "accuracy": report.accuracy,
        "calibration_error": report.calibration_error,
        "sets": [_sets(model, answers, test[1], coverage) for coverage in COVERAGES],
        "strangers": strangers,
        "seconds": None if job.memory is not None else rounded(seconds),
    }
    return whole


def _parts(
    definition: CoverageDefinition, images: LabelledImages, job: Job
) -> tuple[tuple[list[ImageLike], list[str]], tuple[list[ImageLike], list[str]]]:
    """Return the images of the first split to train on, and those to test with, with their labels."""
    split = definition.protocol.splits(images, seed=0)[0]
    split = smoke_split(images, split) if job.quick else split
    train, test = (
        ([images.images[row] for row in rows], [images.labels[row] for row in rows])
        for rows in (split.train, split.test)
    )
    return train, test


def _sets(model: ImageClassifier, answers: Answers, labels: list[str], coverage: float) -> dict[str, Any]:
    if model.sets_ is None:
        raise ValueError("preset must be one whose classifier makes sets of labels")
    held = model.sets_.of(answers.probabilities, coverage)
    _, truth = place_labels(np.asarray(labels), model.classes_)
    right = held[np.arange(len(truth)), truth]
    low, high = wilson_interval(float(right.mean()), len(right))
    sizes = held.sum(axis=1)
    note(f"sets of {coverage:.2f}: {right.mean():.4f} held, {sizes.mean():.2f} labels on average")
    return {
        "asked": coverage,
        "coverage": float(right.mean()),
        "interval": {"low": low, "high": high},
        "mean_set_size": float(sizes.mean()),
        "share_of_one": float((sizes == 1).mean()),
    }


def _strangers(model: ImageClassifier, answers: Answers, others: list[ImageLike]) -> dict[str, Any]:
    found = model.answer(others, strict=True, false_alarms=FALSE_ALARMS)
    assert answers.strangers is not None
    assert answers.none_of_these is not None
    assert found.strangers is not None
    assert found.none_of_these is not None
    area = _area(answers.strangers, found.strangers)
    note(f"strangers: AUROC {area:.4f}, {found.none_of_these.mean():.3f} told at {FALSE_ALARMS}")
    return {
        "n_images": len(others),
        "auroc": area,
        "none_of_these": float(found.none_of_these.mean()),
        "false_alarms": float(answers.none_of_these.mean()),
        "surest": float(np.mean(found.probabilities.max(axis=1))),
    }


def _area(known: NDArray[np.float64], strange: NDArray[np.float64]) -> float:
    """Return the probability that a stranger has a larger score than an image that is none, one half where equal."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([known, strange]))[len(known) :]
    return float((ranks.sum() - len(strange) * (len(strange) + 1) / 2) / (len(known) * len(strange)))


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how often sets hold the right label, and how strangers are told."""
    counts = result["images"]
    what = (
        f"{result['title']}: {result['definition']['preset']}, {counts['train']:,} images to train on and "
        f"{counts['test']:,} to test with, accuracy {percent(result['accuracy'])} %, calibration error "
        f"{percent(result['calibration_error'])} %"
    )
    sets = [
        (
            f"{percent(one['asked'])} %",
            f"{percent(one['coverage'])} %",
            f"{percent(one['interval']['low'])} to {percent(one['interval']['high'])} %",
            f"{one['mean_set_size']:.2f}",
            f"{percent(one['share_of_one'])} %",
        )
        for one in result["sets"]
    ]
    strangers = [
        (
            one["name"],
            f"{one['n_images']:,}",
            percent(one["auroc"]),
            f"{percent(one['none_of_these'])} %",
            f"{percent(one['false_alarms'])} %",
            f"{percent(one['surest'])} %",
        )
        for one in result["strangers"]
    ]
    heads = ("strangers", "images", "AUROC, %", "told to be none", "false alarms", "mean probability of the answer")
    return {
        "sets": Table(("asked", "sets that hold it", "95 % interval", "labels a set", "sets of one"), sets, what),
        "strangers": Table(heads, strangers, f"{result['title']}: strangers, and what else they are taken for"),
    }
