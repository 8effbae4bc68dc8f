"""Benchmarks of backends against each other: which is better, by how much, and at what cost.

All learn from and are judged on the same images, with the same splits and the same classifier head.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow._toml import COUNT, FLAG, TEXTS, WHOLE, Rule, TomlTable, one_of
from cvbow.backends import ImageEncoder
from cvbow.classify import CLASSIFIERS, ImageClassifier, TunedLinearSVM, make_classifier
from cvbow.datasets import LabelledImages, dataset_names, fingerprint, load_dataset
from cvbow.experiments._drawing import Split, at_most, by_class, shuffled, smoke_split
from cvbow.experiments.definition import Definition, check_names, take_common
from cvbow.experiments.environment import environment, peak_memory
from cvbow.experiments.protocols import SplitProtocol, read_protocol
from cvbow.experiments.results import FORMAT, Job, dataset_facts, find_places, spread, stored
from cvbow.experiments.significance import accuracy_interval, holm, mcnemar_test, paired_splits_test
from cvbow.images.corruptions import CORRUPTIONS, STRENGTHS, CorruptedImage
from cvbow.presets import Contender, parse_contender
from cvbow.progress import note, stages, tracked
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-comparison-result"
#: Images that the cost of an answer is measured on, one after another.
_TIMED = 40

_COUNTS = Rule(
    "a list of integers >= 1", lambda value: isinstance(value, list) and bool(value) and all(map(COUNT.holds, value))
)


@dataclass(frozen=True, kw_only=True)
class ComparisonDefinition(Definition):
    """A benchmark of backends against each other.

    Attributes
    ----------
    protocol : SplitProtocol
    contenders : tuple of Contender
    classifier, curve, curve_draws, curve_test_per_class, corruptions, corrupted_per_class, seed
        As ``compare`` takes them.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("kth-tips-comparison")
    >>> definition.classifier, len(definition.contenders)
    ('tuned-svm', 7)
    """

    kind: ClassVar[str] = "comparison"

    protocol: SplitProtocol
    contenders: tuple[Contender, ...]
    classifier: str
    curve: tuple[int, ...]
    curve_draws: int
    curve_test_per_class: int
    corruptions: bool
    corrupted_per_class: int
    seed: int


class ComparisonResult(TypedDict):
    """What a comparison found, in a benchmark or on one's own images.

    ``contenders`` has for each its accuracies, interval, cost, curve and corruptions; ``pairs`` the tests.
    """

    kind: str
    format: int
    title: str
    classifier: str
    protocol: str
    splits: list[dict[str, Any]]
    seed: int
    contenders: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    curve_draws: int | None
    curve_test_per_class: int | None
    corrupted_per_class: int | None
    dataset: Mapping[str, Any]
    environment: dict[str, Any]
    benchmark: NotRequired[str]
    quick: NotRequired[bool]
    notes: NotRequired[str]


def read(name: str, table: TomlTable) -> ComparisonDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    texts = table.take("contenders", TEXTS)
    try:
        contenders = tuple(map(parse_contender, texts))
    except ValueError as error:
        raise ValueError(f"{table.path}: contenders: {error}") from None
    definition = ComparisonDefinition(
        **take_common(name, table, dataset_names()),
        protocol=read_protocol(table.table("protocol", needed=True)),
        contenders=contenders,
        classifier=table.take("classifier", one_of(CLASSIFIERS), "tuned-svm"),
        curve=tuple(table.take("curve", _COUNTS, [])),
        curve_draws=table.take("curve_draws", COUNT, 3),
        curve_test_per_class=table.take("curve_test_per_class", COUNT, 50),
        corruptions=table.take("corruptions", FLAG, False),
        corrupted_per_class=table.take("corrupted_per_class", COUNT, 20),
        seed=table.take("seed", WHOLE, 0),
    )
    check_names(table, "contenders", [one.name for one in contenders], are="texts")
    return definition


def run(definition: ComparisonDefinition, job: Job) -> ComparisonResult:
    """Compare the contenders of a definition; a quick run is of a few images of the first split."""
    place = find_places([definition.dataset], job.data)[definition.dataset]
    images = load_dataset(place)
    # Before the comparison: a data set that has changed should not be refused after hours.
    facts = dataset_facts(place, images, n_jobs=job.n_jobs) | {"n_classes": len(images.classes)}
    result = compare(
        images,
        _Small(definition.protocol) if job.quick else definition.protocol,
        definition.contenders,
        classifier=definition.classifier,
        curve=definition.curve[:1] if job.quick else definition.curve,
        curve_draws=1 if job.quick else definition.curve_draws,
        curve_test_per_class=definition.curve_test_per_class,
        corruptions=definition.corruptions,
        corrupted_per_class=1 if job.quick else definition.corrupted_per_class,
        seed=definition.seed,
        n_jobs=job.n_jobs,
        memory=job.memory,
        title=definition.title,
        dataset=facts,
    )
    return {**result, "benchmark": definition.name, "quick": job.quick, "notes": definition.notes}


class _Small(SplitProtocol):
    """A small part of a protocol's first split."""

    def __init__(self, protocol: SplitProtocol) -> None:
        self.protocol = protocol

    def splits(self, images: LabelledImages, *, seed: int = 0) -> list[Split]:
        return [smoke_split(images, self.protocol.splits(images, seed=seed)[0], seed=seed)]

    def describe(self) -> str:
        return f"{self.protocol.describe()}; a small part"


def compare(
    images: LabelledImages,
    protocol: SplitProtocol,
    contenders: Sequence[Contender],
    *,
    classifier: str = "tuned-svm",
    curve: Sequence[int] = (),
    curve_draws: int = 3,
    curve_test_per_class: int | None = 50,
    corruptions: bool = False,
    corrupted_per_class: int = 20,
    seed: int = 0,
    n_jobs: int | None = -1,
    memory: Any = None,
    title: str = "",
    dataset: Mapping[str, Any] | None = None,
) -> ComparisonResult:
    """Compare backends.

    All get the same training and test images of each split and the same classifier head, whose C is sought on the
    training part. Dictionaries, projections and everything else that is learned comes from the training part too.

    Parameters
    ----------
    images : LabelledImages
    protocol : SplitProtocol
        The splits.
    contenders : sequence of Contender
        At least one, with names of their own.
    classifier : str, default "tuned-svm"
        The head: a key of ``CLASSIFIERS``.
    curve : sequence of int, default ()
        Training images per class of the learning curve, drawn from the first split's training part; all is learned
        anew from them.
    curve_draws : int, default 3
        Draws for each point of the curve; where all training images are taken, there is one.
    curve_test_per_class : int or None, default 50
        Test images of each class that judge them; None for all.
    corruptions : bool, default False
        Judge the first split's models on test images made worse, in each way and at each strength.
    corrupted_per_class : int, default 20
        Test images of each class for that.
    seed : int, default 0
    n_jobs : int or None, default -1
    memory : optional
        Cache of vectors; times are then not told.
    title : str
    dataset : mapping, optional
        What the result says of the images, where that is known; otherwise their number, classes and SHA-256.

    Returns
    -------
    ComparisonResult

    Raises
    ------
    ValueError
        If a parameter breaks its rule, or the images do not allow the protocol.
    ImageError
        For the first image that cannot be read.
    """
    names = [contender.name for contender in contenders]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"contenders must be at least one, with names of their own, got {', '.join(names) or 'none'}")
    for name, count in (("curve_draws", curve_draws), ("corrupted_per_class", corrupted_per_class)):
        check_int(name, count, minimum=1)
    for count in curve:
        check_int("curve", count, minimum=1)
    make_classifier(classifier)
    for contender in contenders:
        contender.check()
    surroundings = environment(n_jobs=n_jobs)
    splits = protocol.splits(images, seed=seed)
    counts = {"n_images": len(images), "n_classes": len(images.classes)}
    run = _Run(images, classifier, seed, n_jobs, memory)
    rows, outcomes = [], []
    for contender in tracked("contenders", contenders):
        with stages({"splits": 4, "curve": 4 * bool(curve), "corruptions": 2 * corruptions}) as begin:
            begin("splits")
            model, judged, row = run.contender(contender, splits)
            if curve:
                begin("curve")
                row["curve"] = run.curve(contender, model, splits[0], curve, curve_draws, curve_test_per_class)
            if corruptions:
                begin("corruptions")
                row["corruptions"] = run.corruptions(contender, model, splits[0], corrupted_per_class)
            rows.append(row)
            outcomes.append([one.right for one in judged])
            del model  # before the next one's memory is measured
    return {
        "kind": RESULT,
        "format": FORMAT,
        "title": title,
        "classifier": classifier,
        "protocol": protocol.describe(),
        "splits": [{"name": split.name, "n_train": len(split.train), "n_test": len(split.test)} for split in splits],
        "seed": seed,
        "contenders": rows,
        "pairs": _pairs(names, outcomes, splits),
        "curve_draws": curve_draws if curve else None,
        "curve_test_per_class": curve_test_per_class if curve else None,
        "corrupted_per_class": corrupted_per_class if corruptions else None,
        "dataset": dataset or {**counts, "sha256": fingerprint(images, n_jobs=n_jobs)},
        "environment": surroundings,
    }


class _Judged(NamedTuple):
    """How a model answered the test images of its split."""

    right: NDArray[np.bool_]
    truth: NDArray[Any]

    @property
    def mean_class_accuracy(self) -> float:
        return statistics.fmean(float(self.right[self.truth == name].mean()) for name in np.unique(self.truth))


@dataclass(frozen=True)
class _Run:
    """What all contenders have in common."""

    images: LabelledImages
    classifier: str
    seed: int
    n_jobs: int | None
    memory: Any

    def contender(
        self, contender: Contender, splits: Sequence[Split]
    ) -> tuple[ImageClassifier, list[_Judged], dict[str, Any]]:
        """Train and judge on every split; only the first model is kept."""
        judged: list[_Judged] = []
        seconds, processor = [], []
        with peak_memory() as peak:
            for number, split in enumerate(tracked("splits", splits), 1):
                note(f"{contender.name}, {number} of {len(splits)}: {split.name}")
                started = time.perf_counter(), time.process_time()
                trained = self._train(contender, split.train)
                seconds.append(time.perf_counter() - started[0])
                processor.append(time.process_time() - started[1])
                judged.append(self._judge(trained, split.test))
                note(f"  mean class accuracy {judged[-1].mean_class_accuracy:.4f}")
                if number == 1:
                    model = trained
        figures = [one.mean_class_accuracy for one in judged]
        size = stored(model)["bytes"]
        row: dict[str, Any] = {
            **contender.as_dict(),
            "mean_class_accuracy": spread(figures),
            "accuracy": spread([float(one.right.mean()) for one in judged]),
            "interval": None,
            # The C that the head found for itself.
            "head": {"C": [model.classifier_.C_ if isinstance(model.classifier_, TunedLinearSVM) else None]},
            "vector_length": int(model.backend_.vector_length),
            "cost": {
                "train_seconds": self._time(seconds),
                "train_processor_seconds": self._time(processor),
                "ms_per_image": self._milliseconds(model, splits[0]),
                "what": "training with all workers, per split, in wall time and processor time of this process; "
                "processor time of an answer on one thread: reading, vector and head",
                "model_bytes": None if size is None else size + _network_bytes(model.backend_),
                "peak_bytes": peak.n_bytes,
            },
        }
        if len(splits) == 1:
            interval = accuracy_interval(judged[0].right, judged[0].truth)
            row["interval"] = {"low": interval.low, "high": interval.high, "what": "95 %, Wilson's over test images"}
        return model, judged, row

    def curve(
        self,
        contender: Contender,
        whole: ImageClassifier,
        split: Split,
        counts: Sequence[int],
        draws: int,
        test_per_class: int | None,
    ) -> list[dict[str, Any]]:
        """Judge models that learned from a few images of each class; ``whole`` learned from all."""
        test = np.array(at_most(self.images, split.test.tolist(), test_per_class, f"curve {self.seed}"))
        members = by_class(self.images, split.train.tolist()).values()
        points = []
        for count in tracked("curve", counts):
            found = []
            for draw in range(draws):
                key = f"curve {self.seed} {draw}"
                # The first of one order: more images are the fewer and some others.
                train = [place for group in members for place in shuffled(self.images, group, key)[:count]]
                everything = len(train) == len(split.train)
                note(f"{contender.name}, {count} per class, draw {draw + 1} of {1 if everything else draws}")
                model = whole if everything else self._train(contender, np.array(train))
                found.append(self._judge(model, test).mean_class_accuracy)
                note(f"  mean class accuracy {found[-1]:.4f}")
                if everything:
                    break
            points.append({"train_per_class": count, "draws": found, **spread(found)})
        return points

    def corruptions(self, contender: Contender, model: ImageClassifier, split: Split, per_class: int) -> dict[str, Any]:
        """Judge a model on images that were made worse."""
        test = np.array(at_most(self.images, split.test.tolist(), per_class, f"corrupted {self.seed}"))
        clean = self._judge(model, test).mean_class_accuracy
        kinds = {}
        for kind in tracked("corruptions", CORRUPTIONS):
            note(f"{contender.name}, {kind}")
            kinds[kind] = [self._judge(model, test, (kind, strength)).mean_class_accuracy for strength in STRENGTHS]
        every = [figure for figures in kinds.values() for figure in figures]
        return {"n_images": len(test), "clean": clean, "mean": statistics.fmean(every), "kinds": kinds}

    def _train(self, contender: Contender, positions: NDArray[np.intp]) -> ImageClassifier:
        pictures = self._pictures(positions)
        backend = contender.backend(pictures, seed=self.seed, n_jobs=self.n_jobs, memory=self.memory)
        labels = [self.images.labels[place] for place in positions]
        return ImageClassifier(backend, self.classifier).fit(pictures, labels, strict=True)

    def _judge(
        self, model: ImageClassifier, positions: NDArray[np.intp], corruption: tuple[str, int] | None = None
    ) -> _Judged:
        pictures: list[Any] = self._pictures(positions)
        if corruption is not None:
            kind, strength = corruption
            pictures = [
                CorruptedImage(picture, kind, strength, seed=int(place))
                for picture, place in zip(pictures, positions, strict=True)
            ]
        truth = np.array([self.images.labels[place] for place in positions])
        _, answers = model.evaluate(pictures, truth, strict=True)
        return _Judged(answers.labels == truth, truth)

    def _pictures(self, positions: NDArray[np.intp]) -> list[Any]:
        return [self.images.images[place] for place in positions]

    def _time(self, values: Sequence[float]) -> float | None:
        """Return the mean, None where vectors may have come from a cache."""
        return None if self.memory is not None else round(statistics.fmean(values), 3)

    def _milliseconds(self, model: ImageClassifier, split: Split) -> float | None:
        """Return the median processor time of an answer to one image, on one thread: other work hardly changes it."""
        if self.memory is not None:
            return None
        pictures = self._pictures(split.test[:: max(1, len(split.test) // _TIMED)][:_TIMED])
        before = model.backend_.n_jobs
        model.backend_.n_jobs = 1
        times = []
        for picture in [pictures[0], *pictures]:  # the first answer fills caches
            started = time.process_time()
            model.predict([picture])
            times.append(1000 * (time.process_time() - started))
        model.backend_.n_jobs = before
        return float(f"{statistics.median(times[1:]):.4g}")


def _pairs(names: Sequence[str], outcomes: Sequence[Sequence[Any]], splits: Sequence[Split]) -> list[dict[str, Any]]:
    """Test every pair; p-values are also corrected for their number."""
    found: list[dict[str, Any]] = []
    for (a, first), (b, second) in itertools.combinations(zip(names, outcomes, strict=True), 2):
        if len(splits) == 1:
            test = mcnemar_test(first[0], second[0])
        else:
            ratio = statistics.fmean(len(split.test) / len(split.train) for split in splits)
            means = [[float(right.mean()) for right in rights] for rights in (first, second)]
            test = paired_splits_test(*means, test_over_train=ratio)
        found.append({"first": a, "second": b, **vars(test)})
    for row, corrected in zip(found, holm([row["p_value"] for row in found]), strict=True):
        row["p_value_holm"] = corrected
    return found


def _network_bytes(backend: ImageEncoder) -> int:
    """Return the size of the networks that a backend needs beside its model file."""
    return sum(file.stat().st_size for file in backend.network_files)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return accuracy and cost, tests of pairs, the learning curve, the corruptions: those that were asked for."""
    contenders = result["contenders"]
    found = {"figures": _figures(result)}
    if result["pairs"]:
        heads = ("backend", "against", "points", "p", "p, for all pairs (Holm)")
        cells = [
            (pair["first"], pair["second"], _points(pair), _p(pair["p_value"]), _p(pair["p_value_holm"]))
            for pair in result["pairs"]
        ]
        found["pairs"] = Table(heads, cells, f"Differences of accuracy; {result['pairs'][0]['test']}")
    if "curve" in contenders[0]:
        counts = [str(point["train_per_class"]) for point in contenders[0]["curve"]]
        curves = [
            (one["name"], *(percent(point["mean"], point["std"]) for point in one["curve"])) for one in contenders
        ]
        what = "Mean class accuracy % by training images per class"
        found["curve"] = Table(("backend", *counts), curves, _titled(result, what))
    if "corruptions" in contenders[0]:
        first = contenders[0]["corruptions"]
        worse = []
        for one in contenders:
            kinds = map(statistics.fmean, one["corruptions"]["kinds"].values())
            shares = (one["corruptions"]["clean"], one["corruptions"]["mean"], *kinds)
            worse.append((one["name"], *map(percent, shares)))
        what = f"Mean class accuracy % on {first['n_images']} test images made worse, over five strengths"
        found["corruptions"] = Table(("backend", "clean", "mean", *first["kinds"]), worse, _titled(result, what))
    return found


def _figures(result: Mapping[str, Any]) -> Table:
    contenders = result["contenders"]
    best = max(contenders, key=lambda one: one["mean_class_accuracy"]["mean"])["name"]
    pairs = [pair for pair in result["pairs"] if best in (pair["first"], pair["second"])]
    against = {pair["second"] if pair["first"] == best else pair["first"]: pair for pair in pairs}
    bounds = "95 % interval" if len(result["splits"]) == 1 else "± over splits"
    tests = (f"points to {best}", "p (Holm)") if against else ()
    heads = ("backend", "mean class accuracy %", bounds, *tests, "ms an image", "training s", "model MB", "peak GB")
    cells = []
    for one in contenders:
        cost, accuracy, interval = one["cost"], one["mean_class_accuracy"], one["interval"]
        between = percent(accuracy["std"])
        if interval is not None:
            between = f"{percent(interval['low'])} to {percent(interval['high'])}"
        compared: tuple[str, ...] = ("", "") if against else ()
        if one["name"] in against:
            pair = against[one["name"]]
            compared = (_points(pair, 1 if pair["first"] == one["name"] else -1), _p(pair["p_value_holm"]))
        sizes = [figure(size and size / unit) for size, unit in ((cost["model_bytes"], 1e6), (cost["peak_bytes"], 1e9))]
        times = [figure(cost["ms_per_image"]), figure(cost["train_processor_seconds"])]
        cells.append((one["name"], percent(accuracy["mean"]), between, *compared, *times, *sizes))
    what = "times are the processor's, points and p of accuracy"
    return Table(heads, cells, _titled(result, f"Classifier head {result['classifier']}; {result['protocol']}; {what}"))


def _titled(result: Mapping[str, Any], what: str) -> str:
    return f"{result['title']}. {what}" if result["title"] else what


def _points(pair: Mapping[str, Any], sign: int = 1) -> str:
    return f"{100 * sign * pair['difference']:+.1f}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.01 else f"{value:.2f}"
