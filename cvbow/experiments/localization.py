"""Benchmarks of places found by image labels alone: how well boxes agree with masks, and what the search costs.

A box is right where its overlap with the mask's box is half or more, as in M. Everingham and others, "The PASCAL visual
object classes challenge", IJCV 2010. Mosaics: A. Arias-Duart, F. Pares, D. Garcia-Gasulla and V. Gimenez-Abalos,
"Focus! Rating XAI methods and finding biases", FUZZ-IEEE 2022.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._toml import COUNT, TEXT, Rule, TomlTable, one_of
from cvbow.annotations import iou
from cvbow.backends import ImageLike
from cvbow.classify import ImageClassifier
from cvbow.datasets import dataset_names, load_dataset
from cvbow.errors import ImageError
from cvbow.experiments._drawing import shuffled, smoke_split
from cvbow.experiments._known_places import OTHER, QUARTER, SHOWN, Scene, mask_of
from cvbow.experiments.classification import Variant
from cvbow.experiments.definition import Definition, check_names, take_common, take_settings
from cvbow.experiments.environment import environment
from cvbow.experiments.protocols import FixedSplit
from cvbow.experiments.results import DatasetFacts, Job, Result, dataset_facts, find_places, heading, plain, rounded
from cvbow.explanation import ScoreShares, score_shares
from cvbow.localization import best_box, locations, share_cells
from cvbow.parallel import run as run_parallel
from cvbow.presets import PRESETS, make_model
from cvbow.progress import note, stages, tracked
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-localization-result"
#: The images as they are, and each as a quarter of a mosaic with three that show none of it.
SETTINGS = ("alone", "mosaics")
#: What stands beside the boxes that are found: the box in the image's middle with the mean width and height of those of
#: the training part, as shares of the image's, and the whole image. In a mosaic, both are of the whole mosaic.
BESIDE = ("centred", "whole")
#: The overlap from which on a box is right.
RIGHT = 0.5


@dataclass(frozen=True, kw_only=True)
class LocalizationDefinition(Definition):
    """A benchmark of places.

    Attributes
    ----------
    protocol : FixedSplit
        The data set has a split of its own, in two folders ``images`` and ``masks``: what is shown, and where it is.
    variants : tuple of Variant
        The recipes.
    others : mapping of str to int
        Data sets whose images show none of it, and how many are drawn of each part, training and test.

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("weizmann-horses-localization")
    >>> definition.dataset, definition.variants[0].preset
    ('weizmann-horses', 'fisher')
    """

    kind: ClassVar[str] = "localization"

    protocol: FixedSplit
    variants: tuple[Variant, ...]
    others: Mapping[str, int]


class LocalizationResult(Result):
    """A result of places.

    ``beside`` has for each of ``SETTINGS`` and each of ``BESIDE`` the overlaps with the masks' boxes, image by image.
    ``variants`` has for each recipe:

    ``alone``, ``mosaics``
        The overlap of the box that was found with the mask's, image by image; 0 where none was found.
    ``known``
        The share of test images that get the highest score for what they show.
    ``visited``
        Of the test images as they are, the median number and the largest of the sets of boxes whose bound was computed,
        and the largest share of all boxes of an image that these are.
    ``points``
        Their median number of points.
    ``ms``
        Median milliseconds of wall time for one, on one thread: ``locate`` in all, and the search alone.
    """

    definition: dict[str, Any]
    others: list[DatasetFacts]
    beside: dict[str, dict[str, list[float]]]
    variants: list[dict[str, Any]]


def read(name: str, table: TomlTable) -> LocalizationDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    others = Rule(
        "a table of data sets, and how many images to take of each",
        lambda value: (
            isinstance(value, dict) and bool(value) and all(map(COUNT.holds, value.values())) and _are_known(value)
        ),
    )
    variants = tuple(map(_variant, table.tables("variants")))
    check_names(table, "variants", [variant.name for variant in variants], needed=True)
    return LocalizationDefinition(
        **take_common(name, table, dataset_names()),
        protocol=FixedSplit(),
        variants=variants,
        others=dict(table.take("others", others)),
    )


def _variant(table: TomlTable) -> Variant:
    variant = Variant(
        table.take("name", TEXT), table.take("preset", one_of(PRESETS)), take_settings(table.table("settings"))
    )
    table.finish()
    return variant


def run(definition: LocalizationDefinition, job: Job) -> LocalizationResult:
    """Train each recipe on the training part and on what shows none of it, and look for it in the test part.

    Nothing is kept in the job's ``memory``, as the result tells times. A quick run is of a few images.
    """
    surroundings = environment(n_jobs=job.n_jobs)
    places = find_places([definition.dataset, *definition.others], job.data)
    sets = {name: load_dataset(place) for name, place in places.items()}
    splits = {name: definition.protocol.splits(images)[0] for name, images in sets.items()}
    if job.quick:
        splits = {name: smoke_split(sets[name], split) for name, split in splits.items()}
    own, split = sets[definition.dataset], splits[definition.dataset]
    train, test = ([Path(str(own.images[place])) for place in part] for part in (split.train, split.test))
    without: tuple[list[ImageLike], list[ImageLike]] = ([], [])
    for name, count in definition.others.items():
        for images, part in zip(without, (splits[name].train, splits[name].test), strict=True):
            drawn = shuffled(sets[name], part.tolist(), definition.kind)
            images += [sets[name].images[place] for place in drawn[:count]]
    scenes = _scenes(test, without[1])
    mean = np.mean([_extent(path) for path in train], axis=0)
    facts = [dataset_facts(places[name], images, n_jobs=job.n_jobs) for name, images in sets.items()]
    variants = []
    for variant in tracked("variants", definition.variants):
        note(f"{definition.name}: {variant.name}")
        with stages({"train": 2, "look": 1}) as begin:
            begin("train")
            model = make_model(variant.preset, settings=variant.settings, n_jobs=job.n_jobs)
            model.fit([*train, *without[0]], [SHOWN] * len(train) + [OTHER] * len(without[0]), strict=True)
            model.backend_.set_params(n_jobs=1)  # images are shared out to workers here
            begin("look")
            variants.append({"name": variant.name} | _measured(model, scenes, job.n_jobs))
    whole: LocalizationResult = {
        **heading(RESULT, definition, job),
        "definition": {
            "dataset": definition.dataset,
            "others": dict(definition.others),
            "variants": [plain(vars(variant)) for variant in definition.variants],
            "protocol": {"text": definition.protocol.describe()} | plain(vars(definition.protocol)),
            "notes": definition.notes,
            "train": [len(train), len(without[0])],
        },
        "dataset": facts[0],
        "others": facts[1:],
        "environment": surroundings,
        "beside": {
            setting: {name: [_beside(scene, name, mean) for scene in each] for name in BESIDE}
            for setting, each in scenes.items()
        },
        "variants": variants,
    }
    return whole


def _truth(scene: Scene) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the box of what a scene shows, and the width and height of its image."""
    box, (width, height) = _mask_box(scene.path)
    if not scene.others:
        return box, (width, height)
    row, column = divmod(scene.place, 2)
    scaled = box * np.array([QUARTER / width, QUARTER / height] * 2)
    return scaled + np.array([column, row] * 2) * QUARTER, (2 * QUARTER, 2 * QUARTER)


def _scenes(test: Sequence[Path], others: Sequence[ImageLike]) -> dict[str, list[Scene]]:
    """Return the scenes of each of ``SETTINGS``; the images of others take their turn."""
    threes = [tuple(others[(3 * row + n) % len(others)] for n in range(3)) for row in range(len(test))]
    mosaics = [Scene(path, three, row % 4) for row, (path, three) in enumerate(zip(test, threes, strict=True))]
    return dict(zip(SETTINGS, (list(map(Scene, test)), mosaics), strict=True))


def _mask_box(path: Path) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the box of the largest part of an image's mask, as some have stray pixels, and its width and height."""
    mask = mask_of(path)
    _, _, statistics_, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    left, top, width, height, _ = statistics_[1 + np.argmax(statistics_[1:, cv2.CC_STAT_AREA])].tolist()
    return np.array([left, top, left + width, top + height], np.float64), mask.shape[::-1]


def _extent(path: Path) -> NDArray[np.float64]:
    """Return the width and height of what an image shows, as shares of the image's."""
    box, size = _mask_box(path)
    return np.asarray((box[2:] - box[:2]) / size)


def _beside(scene: Scene, name: str, mean: NDArray[np.float64]) -> float:
    truth, size = _truth(scene)
    half = np.array(size) * (mean if name == "centred" else 1) / 2
    middle = np.array(size) / 2
    return _overlap(truth, np.concatenate([middle - half, middle + half])[None])


def _overlap(truth: NDArray[np.float64], boxes: NDArray[np.float64]) -> float:
    """Return the overlap of the first box with the true one; 0 where there is none."""
    return round(float(iou(boxes[:1], truth[None]).sum()), 4)


def _measured(model: ImageClassifier, scenes: Mapping[str, Sequence[Scene]], n_jobs: int | None) -> dict[str, Any]:
    finder = _Finder(model)
    found = {
        setting: list(run_parallel(finder, scenes[setting], n_jobs=n_jobs, task=setting, total=len(scenes[setting])))
        for setting in tracked("settings", scenes)
    }
    alone = found[SETTINGS[0]]
    return {
        **{setting: [one["overlap"] for one in each] for setting, each in found.items()},
        "known": statistics.fmean(one["known"] for one in alone),
        "visited": {
            "median": statistics.median(one["visited"] for one in alone),
            "most": max(one["visited"] for one in alone),
            "largest share": rounded(max(one["visited"] / one["possible"] for one in alone)),
        },
        "points": statistics.median(one["points"] for one in alone),
        "ms": {
            name: rounded(1000 * statistics.median(one["seconds"][name] for one in alone)) for name in ("all", "search")
        },
    }


@dataclass(frozen=True)
class _Finder:
    """Looks for what a scene shows; picklable."""

    model: ImageClassifier

    def __call__(self, scene: Scene) -> dict[str, Any]:
        model, image, (truth, _) = self.model, scene.image(), _truth(scene)
        started = time.perf_counter()
        (result,) = locations(model, [image], SHOWN)
        seconds = {"all": time.perf_counter() - started}
        (shared,) = score_shares(model, [image], [[SHOWN]], make=_same)
        if isinstance(result, ImageError):
            raise result
        if isinstance(shared, ImageError):
            raise shared
        started = time.perf_counter()
        best_box(share_cells(shared, 0)[0])
        seconds["search"] = time.perf_counter() - started
        return {
            "overlap": _overlap(truth, result[0].objects.boxes),
            "known": str(model.classes_[np.argmax(model.scores(shared.vector[None])[0])]) == SHOWN,
            "visited": result[0].visited,
            "possible": result[0].n_possible,
            "points": len(shared.shares.points),
            "seconds": seconds,
        }


def _same(shared: ScoreShares) -> ScoreShares:
    return shared


def _are_known(names: Mapping[str, Any]) -> bool:
    return set(names) <= set(dataset_names())


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how well boxes agree with the masks', and what finding them costs."""
    heads = ["boxes", *(f"{setting}: {what}" for setting in SETTINGS for what in ("right", "mean overlap"))]
    heads += ["points", "sets visited", "most", "% of boxes", "ms in all", "ms search"]
    rows: list[list[str]] = []
    for part in result["variants"]:
        visited, ms = part["visited"], part["ms"]
        costs = [f"{part['points']:,.0f}", f"{visited['median']:,.0f}", f"{visited['most']:,}"]
        costs += [f"{100 * visited['largest share']:.1g}", figure(ms["all"]), figure(ms["search"])]
        rows.append([f"{part['name']}, from labels alone", *_agreement(part), *costs])
    for name in BESIDE:
        agreement = _agreement({setting: result["beside"][setting][name] for setting in SETTINGS})
        rows.append([{"centred": "centred, of the mean size", "whole": "the whole image"}[name], *agreement, *[""] * 6])
    n_shown, n_others = result["definition"]["train"]
    others = " and ".join(result["definition"]["others"])
    what = (
        f"{result['title']}: percent of boxes that overlap the mask's by half or more, and the mean overlap; of images "
        f"as they are, and as quarters of mosaics. Trained with {n_shown} images of it and {n_others} of {others}"
    )
    return {"figures": Table(heads, rows, what)}


def _agreement(overlaps: Mapping[str, Sequence[float]]) -> list[str]:
    found = []
    for setting in SETTINGS:
        values = overlaps[setting]
        found += [percent(statistics.fmean(value >= RIGHT for value in values)), f"{statistics.fmean(values):.3f}"]
    return found
