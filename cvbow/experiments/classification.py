"""Benchmarks of classification: recipes, trained and judged on the splits of a data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NotRequired, TypedDict, cast

from cvbow._toml import TEXT, WHOLE, TomlTable, one_of
from cvbow.classify import ImageClassifier
from cvbow.datasets import LabelledImages, dataset_names, load_dataset
from cvbow.experiments._drawing import Split, smoke_split
from cvbow.experiments.definition import Definition, check_names, different, take_common, take_settings
from cvbow.experiments.environment import environment, peak_memory
from cvbow.experiments.protocols import SplitProtocol, read_protocol
from cvbow.experiments.published import Row, beside, take_published
from cvbow.experiments.results import (
    Job,
    Result,
    Spread,
    dataset_facts,
    find_places,
    heading,
    plain,
    rounded,
    spread,
    stored,
)
from cvbow.presets import PRESETS, make_model
from cvbow.progress import note, stages, tracked
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-benchmark-result"
#: What a published figure may be: the mean over classes of the share of right answers, or that share over all images.
METRICS = ("mean_class_accuracy", "accuracy")


@dataclass(frozen=True)
class Variant:
    """One of several recipes that a benchmark compares.

    Attributes
    ----------
    name : str
        What sets it apart.
    preset : str
        The definition's, or another.
    settings : mapping
        Changes to the preset: the definition's, then its own.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> [variant.name for variant in find_benchmark("scene15-augmentation").variants]
    ['fast', 'fast, augmented', 'bow', 'bow, augmented']
    """

    name: str
    preset: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ClassificationDefinition(Definition):
    """A benchmark of classification.

    Attributes
    ----------
    preset : str
    settings : mapping
        Changes to the preset.
    protocol : SplitProtocol
    seeds : tuple of int
        The whole is run once for each: it draws the splits, and is the preset's ``random_state``.
    metric : str
        What the published figures are; one of ``METRICS``.
    variants : tuple of Variant
        What is compared in one run; empty for a benchmark of one recipe.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("digits-fast")
    >>> definition.dataset, definition.preset, definition.protocol.describe()
    ('digits', 'fast', '5-fold cross-validation, stratified')
    """

    kind: ClassVar[str] = "classification"

    preset: str
    protocol: SplitProtocol
    settings: Mapping[str, Any]
    seeds: tuple[int, ...] = (0,)
    metric: str = METRICS[0]
    variants: tuple[Variant, ...] = ()

    @property
    def recipe(self) -> str:
        """The preset."""
        return self.preset


class Measured(TypedDict):
    """What a recipe was found to do.

    ``accuracy`` and ``mean_class_accuracy`` are over splits and seeds; ``splits`` has the same for each, with its name,
    seed, images, seconds, and the model's bytes and content hash. ``cost`` is milliseconds of wall time per image, to
    train (reading, describing, dictionary, classifier) and to test; None with a cache. ``memory`` has ``peak_bytes``,
    and what was measured. ``model_bytes`` is of the largest model file; None for a model that cannot be saved.
    """

    accuracy: Spread
    mean_class_accuracy: Spread
    cost: dict[str, Any]
    memory: dict[str, Any]
    model_bytes: int | None
    splits: list[dict[str, Any]]


class ClassificationResult(Result):
    """A result of classification: the keys of ``Measured``, or ``variants`` that each have them."""

    metric: str
    published: list[dict[str, Any]]
    definition: dict[str, Any]
    variants: NotRequired[list[dict[str, Any]]]


def read(name: str, table: TomlTable) -> ClassificationDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    protocol = read_protocol(table.table("protocol", needed=True))
    settings = take_settings(table.table("settings"))
    preset = table.take("preset", one_of(PRESETS))
    definition = ClassificationDefinition(
        **take_common(name, table, dataset_names()),
        preset=preset,
        protocol=protocol,
        settings=settings,
        seeds=tuple(table.take("seeds", different("integers >= 0", WHOLE.holds), [0])),
        metric=table.take("metric", one_of(METRICS), METRICS[0]),
        published=take_published(table),
        variants=tuple(_variant(part, preset, settings) for part in table.tables("variants")),
    )
    check_names(table, "variants", [one.name for one in definition.variants])
    for one in (Variant("settings", preset, settings), *definition.variants):
        try:
            make_model(one.preset, settings=one.settings)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{table.path}: {one.name}: {error}") from None
    return definition


def _variant(table: TomlTable, preset: str, shared: Mapping[str, Any]) -> Variant:
    variant = Variant(
        table.take("name", TEXT),
        table.take("preset", one_of(PRESETS), preset),
        {**shared, **take_settings(table.table("settings"))},
    )
    table.finish()
    return variant


def run(definition: ClassificationDefinition, job: Job) -> ClassificationResult:
    """Train on the training images of each split of each seed, and judge on its test images; so with each variant.

    An image that cannot be read is an error: without it the figure would be another benchmark's. A quick run is of the
    first split alone, on a few of its images.
    """
    surroundings = environment(n_jobs=job.n_jobs)
    place = find_places([definition.dataset], job.data)[definition.dataset]
    images = load_dataset(place)
    planned = [(seed, split) for seed in definition.seeds for split in definition.protocol.splits(images, seed=seed)]
    if job.quick:
        planned = [(seed, smoke_split(images, split, seed=seed)) for seed, split in planned[:1]]
    used = {int(position) for _, split in planned for part in (split.train, split.test) for position in part}
    facts = dataset_facts(place, images, n_jobs=job.n_jobs, only=used if job.quick else None)
    facts |= {"n_classes": len(images.classes), "n_images_used": len(used)}
    facts["sha256_of"] = "the images used" if job.quick else "all images"
    recipes = definition.variants or (Variant("", definition.preset, definition.settings),)
    measured = [_measure(definition.name, one, images, planned, job) for one in recipes]
    figures: dict[str, Any] = {**measured[0]}
    if definition.variants:
        figures = {"variants": [plain(asdict(one)) | part for one, part in zip(recipes, measured, strict=True)]}
    protocol = {"name": type(definition.protocol).__name__, "text": definition.protocol.describe()}
    whole = {
        **heading(RESULT, definition, job),
        "metric": definition.metric,
        "published": [asdict(one) for one in definition.published],
        "definition": {
            "dataset": definition.dataset,
            "preset": definition.preset,
            "settings": plain(definition.settings),
            "seeds": list(definition.seeds),
            "protocol": protocol | plain(vars(definition.protocol)),
            "notes": definition.notes,
        },
        "dataset": facts,
        "environment": surroundings,
        **figures,
    }
    return cast(ClassificationResult, whole)


def _measure(
    benchmark: str,
    recipe: Variant,
    images: LabelledImages,
    planned: Sequence[tuple[int, Split]],
    job: Job,
) -> Measured:
    """Run one recipe on every split."""
    name = f"{benchmark}, {recipe.name}" if recipe.name else benchmark
    runs = []
    with peak_memory() as peak:
        for number, (seed, split) in enumerate(tracked("splits", planned), 1):
            note(f"{name}, {number} of {len(planned)}: seed {seed}, {split.name}")
            settings = {**recipe.settings, "random_state": seed}
            model = make_model(recipe.preset, settings=settings, n_jobs=job.n_jobs, memory=job.memory)
            with stages({"train": 3, "test": 1}) as begin:
                runs.append(_judge(model, images, split, seed, begin))
            note(f"  mean class accuracy {runs[-1]['mean_class_accuracy']:.4f}")
    return {
        "accuracy": spread([one["accuracy"] for one in runs]),
        "mean_class_accuracy": spread([one["mean_class_accuracy"] for one in runs]),
        "cost": _cost(runs, cached=job.memory is not None),
        "memory": peak.as_dict(),
        "model_bytes": max((one["model"]["bytes"] for one in runs if one["model"]["bytes"]), default=None),
        "splits": runs,
    }


def _judge(
    model: ImageClassifier, images: LabelledImages, split: Split, seed: int, begin: Callable[[str], None]
) -> dict[str, Any]:
    train, test = ([images.images[position] for position in part] for part in (split.train, split.test))
    begin("train")
    started = time.perf_counter()
    model.fit(train, [images.labels[position] for position in split.train], strict=True)
    trained = time.perf_counter()
    begin("test")
    report, _ = model.evaluate(test, [images.labels[position] for position in split.test], strict=True)
    tested = time.perf_counter()
    return {
        "name": split.name,
        "seed": seed,
        "n_train": len(train),
        "n_test": len(test),
        # Descriptors that the dictionary was learned from: where the sample has room for all, those of the images.
        "n_sampled": model.backend_.n_sampled_,
        "accuracy": report.accuracy,
        "mean_class_accuracy": report.mean_class_accuracy,
        "seconds": {"train": round(trained - started, 3), "test": round(tested - trained, 3)}
        | {f"train_{step}": round(value, 3) for step, value in model.seconds_.items() if step != "total"},
        "model": stored(model),
    }


def _cost(runs: Sequence[Mapping[str, Any]], *, cached: bool) -> dict[str, Any]:
    def per_image(part: str) -> float | None:
        seconds = sum(one["seconds"][part] for one in runs)
        return None if cached else rounded(1000 * seconds / sum(one[f"n_{part}"] for one in runs))

    what = "wall time with the environment's number of workers, over all splits"
    return {
        "train_ms_per_image": per_image("train"),
        "test_ms_per_image": per_image("test"),
        "what": "not told: vectors may have come from a cache" if cached else what,
    }


def _parts(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the variants by name; of a result without them, itself by its preset."""
    named = {part["name"]: part for part in result.get("variants", ())}
    return list(named.items()) or [(result["definition"]["preset"], result)]


def rows(result: ClassificationResult) -> list[Row]:
    """Return each recipe beside the published figures."""
    found: list[Row] = []
    for name, part in _parts(result):
        measured = {key: None if value is None else 100 * value for key, value in part[result["metric"]].items()}
        own = {"runs": len(part["splits"]), "figure": measured["mean"], "std": measured["std"]}
        found += beside(result["published"], result["benchmark"], name, **own, quick=result["quick"])
    return found


def tables(result: ClassificationResult) -> dict[str, Table]:
    """Return what each recipe can do, and what it takes."""
    cells = []
    for name, part in _parts(result):
        cost, peak, size = part["cost"], part["memory"]["peak_bytes"], part["model_bytes"]
        shares = [percent(part[metric]["mean"], part[metric]["std"]) for metric in METRICS]
        times = [figure(cost["train_ms_per_image"]), figure(cost["test_ms_per_image"])]
        cells.append((name, *shares, *times, figure(peak and peak / 1e9), figure(size and size / 1e6)))
    heads = ("recipe", "mean class accuracy %", "accuracy %", "train: ms an image", "test: ms an image")
    runs = len(_parts(result)[0][1]["splits"])
    over = f", mean and standard deviation over {runs} runs" if runs > 1 else ""
    return {"figures": Table((*heads, "peak GB", "model MB"), cells, f"{result['title']}{over}")}
