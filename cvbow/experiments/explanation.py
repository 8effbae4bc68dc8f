"""Benchmarks of explanations: whether maps are whole, whether what they point at matters, and is where it should be.

The other maps and the curves are those of ``cvbow.experiments._attribution``, and images in which it is known where
something is those of ``cvbow.experiments._known_places``; their sources stand there. Shuffled weights: J. Adebayo and
others, "Sanity checks for saliency maps", NeurIPS 2018.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from cvbow._toml import COUNT, TomlTable, one_of
from cvbow.backends import ImageLike
from cvbow.backends.loading import load_source
from cvbow.classify import ImageClassifier, LinearSVM
from cvbow.datasets import LabelledImages, dataset_names, load_dataset
from cvbow.experiments._attribution import FILLS, aopc, asked_once, by_cell, cut_cells, edges, filled, lime, occlusion
from cvbow.experiments._drawing import Split, by_class, shuffled, smoke_split
from cvbow.experiments._known_places import OTHER, SHOWN, Masked, Quarters, Scene, Stamped, shown_first, stamped, why_of
from cvbow.experiments.definition import Definition, different, take_common, take_settings
from cvbow.experiments.environment import environment
from cvbow.experiments.protocols import FixedSplit, SplitProtocol, read_protocol
from cvbow.experiments.results import DatasetFacts, Job, Result, dataset_facts, find_places, heading, plain, rounded
from cvbow.explanation import Explanation, explain
from cvbow.networks import known_networks
from cvbow.parallel import run as run_parallel
from cvbow.presets import PRESETS, make_model, parse_contender
from cvbow.progress import note, stages, tracked
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-explanation-result"
#: The first is ``cvbow.explain``'s. The coarse occlusion is that of ``COARSE`` rows and columns, which asks for as many
#: scores as a map of ``cvbow.explain`` takes time for.
MAPS = ("explain", "coarse occlusion", "occlusion", "LIME", "edges", "random")
COARSE = 2
ORDERS = ("most", "least")
#: Steps of a curve, from the whole image to one of which nothing is left.
STEPS = 8


@dataclass(frozen=True)
class Amounts:
    """How much is looked at.

    Attributes
    ----------
    images : int
        Test images whose maps are judged, and as many that are stamped.
    mosaics : int
    grid : int
        Rows and columns of the cells that are taken away.
    samples : int
        Of LIME.
    """

    images: int = 20
    mosaics: int = 20
    grid: int = 8
    samples: int = 1000


@dataclass(frozen=True, kw_only=True)
class ExplanationDefinition(Definition):
    """A benchmark of explanations.

    Attributes
    ----------
    protocol : SplitProtocol
        Its first split counts.
    presets : tuple of str
        Presets, and networks that cvbow knows: these with the default classifier.
    masked : str
        A data set with a split, in two folders ``images`` and ``masks``: what is shown, and where it is.
    settings : mapping
        Changes to every preset.
    amounts : Amounts

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("scene15-explanation")
    >>> definition.presets, definition.masked
    (('fisher', 'bow', 'squeezenet1.1'), 'weizmann-horses')
    """

    kind: ClassVar[str] = "explanation"

    protocol: SplitProtocol
    presets: tuple[str, ...]
    masked: str
    settings: Mapping[str, Any]
    amounts: Amounts


class ExplanationResult(Result):
    """A result of explanations.

    ``variants`` has for each preset:

    ``remainder``
        Mean and largest of what was not shared out, as a share of the absolute shares of an image's points.
    ``error``
        Largest difference of a score from the sum of its parts, as a share of the largest of them.
    ``same``
        Whether maps are the same bits on repetition and with two workers.
    ``aopc``
        By map, fill and order (most or least relevant cells first), the area over the curve of each image.
    ``ms``
        By map, the median milliseconds of wall time for one, on one thread.
    ``shuffled``
        By image, the rank correlation of cells' heat with that of the model with its weights shuffled.
    ``quarters``
        By class of a mosaic of four, the share of its positive heat in its own quarter (``heat``), and whether its map
        points there (``point``).
    ``stamp``
        Of a model one of whose classes was stamped: by stamped image of another class, whether that class has the
        highest score (``taken``), the share of its positive heat in the stamp (``heat``), and the share within a
        point's size of it (``near``), with the area of that. ``first`` tells whether what the class is recognised by
        shows the stamp first: in its mean heat, and by the share of places of the first word.
    ``masked``
        Of a model that tells what is masked from the training images of all classes; by test image, whether the map
        points, and whether the image's centre is, on what is shown (``point``, ``centre``), the share of positive heat
        on it, and its share of the area.
    ``hidden``
        The same of a mosaic of such an image and three of the classes; ``centre`` is the share of the centres of the
        quarters that are on what is shown.
    """

    definition: dict[str, Any]
    others: list[DatasetFacts]
    variants: list[dict[str, Any]]


def read(name: str, table: TomlTable) -> ExplanationDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    return ExplanationDefinition(
        **take_common(name, table, dataset_names()),
        protocol=read_protocol(table.table("protocol", needed=True)),
        presets=tuple(table.take("presets", different("presets or known networks", _is_known))),
        masked=table.take("masked", one_of(dataset_names())),
        settings=take_settings(table.table("settings")),
        amounts=table.table("amounts").build(Amounts, dict.fromkeys(("images", "mosaics", "grid", "samples"), COUNT)),
    )


def run(definition: ExplanationDefinition, job: Job) -> ExplanationResult:
    """Train each preset on the first split, once more with a class stamped, and once to tell what is masked from it.

    Nothing is kept in the job's ``memory``, as the result tells times. A quick run is of a few images.
    """
    surroundings = environment(n_jobs=job.n_jobs)
    places = find_places([definition.dataset, definition.masked], job.data)
    images, masked = (load_dataset(places[name]) for name in (definition.dataset, definition.masked))
    split, amounts = definition.protocol.splits(images, seed=0)[0], definition.amounts
    (halves,) = FixedSplit().splits(masked)
    if job.quick:
        split, halves = smoke_split(images, split), smoke_split(masked, halves)
        amounts = Amounts(images=2, mosaics=1, grid=2, samples=10)
    shown = [[masked.images[place] for place in part] for part in (halves.train, halves.test)]
    facts = [
        dataset_facts(places[name], part, n_jobs=job.n_jobs)
        for name, part in zip(places, (images, masked), strict=True)
    ]
    variants = []
    for preset in tracked("presets", definition.presets):
        note(f"{definition.name}: {preset}")
        trial = _Trial(preset, definition.settings, images, split, shown, amounts, job.n_jobs)
        with stages({"train": 2, "judge": 4, "mosaics": 1, "stamps": 3, "masks": 3}) as begin:
            variants.append({"name": preset} | trial.measure(begin))
    whole: ExplanationResult = {
        **heading(RESULT, definition, job),
        "definition": {
            "dataset": definition.dataset,
            "masked": definition.masked,
            "settings": plain(definition.settings),
            "protocol": {"text": definition.protocol.describe()} | plain(vars(definition.protocol)),
            "amounts": asdict(amounts),
            "notes": definition.notes,
        },
        "dataset": facts[0],
        "others": facts[1:],
        "environment": surroundings,
        "variants": variants,
    }
    return whole


@dataclass(frozen=True)
class _Trial:
    """All that is measured of one preset."""

    preset: str
    settings: Mapping[str, Any]
    images: LabelledImages
    split: Split
    #: To train on, and to test with.
    shown: Sequence[Sequence[ImageLike]]
    amounts: Amounts
    n_jobs: int | None

    def measure(self, begin: Callable[[str], None]) -> dict[str, Any]:
        begin("train")
        train = [self.images.images[place] for place in self.split.train]
        labels = [self.images.labels[place] for place in self.split.train]
        test = shuffled(self.images, self.split.test.tolist(), "explanation")
        looked_at = [self.images.images[place] for place in test[: self.amounts.images]]
        model = self._train(train, labels)
        begin("judge")
        found: dict[str, Any] = {"same": self._same(model, looked_at[:4])}
        judged = self._each(_Judge(model, _shuffled(model), self.amounts), list(enumerate(looked_at)), "judge")
        found |= _gathered(judged)
        begin("mosaics")
        mosaics = self._mosaics(test)
        quarters = [one for each in self._each(Quarters(model), mosaics, "mosaics") for one in each]
        found["quarters"] = _columns(quarters)
        begin("stamps")
        first = min(labels)
        marked = [stamped(image) if label == first else image for image, label in zip(train, labels, strict=True)]
        others = [self.images.images[place] for place in test if self.images.labels[place] != first]
        stamps = Stamped(self._train(marked, labels), first)
        found["stamp"] = {"class": first} | _columns(self._each(stamps, others[: self.amounts.images], "stamps"))
        own = [image for image, label in zip(train, labels, strict=True) if label == first]
        found["stamp"]["first"] = shown_first(stamps.model, own[: self.amounts.images], first)
        begin("masks")
        scenes = [*self.shown[0], *train]
        names = [SHOWN] * len(self.shown[0]) + [OTHER] * len(train)
        masks = Masked(self._train(scenes, names))
        paths = [Path(str(image)) for image in self.shown[1]]
        threes = [tuple(image for image, _ in mosaic)[:3] for mosaic in mosaics]
        alone = [Scene(path) for path in paths]
        hidden = [Scene(path, three, row % 4) for row, (path, three) in enumerate(zip(paths, threes, strict=False))]
        found["masked"] = _columns(self._each(masks, alone, "masks"))
        found["hidden"] = _columns(self._each(masks, hidden, "masks in mosaics"))
        return found

    def _train(self, images: Sequence[ImageLike], labels: Sequence[str]) -> ImageClassifier:
        if self.preset in PRESETS:
            model = make_model(self.preset, settings=self.settings, n_jobs=self.n_jobs)
        else:
            model = ImageClassifier(parse_contender(self.preset).backend(n_jobs=self.n_jobs))
        model.fit(images, labels, strict=True)
        model.backend_.set_params(n_jobs=1)  # images are shared out to workers here
        return model

    def _each(self, function: Callable[[Any], Any], items: Sequence[Any], task: str) -> list[Any]:
        return list(run_parallel(function, items, n_jobs=self.n_jobs, task=task, total=len(items)))

    def _same(self, model: ImageClassifier, images: Sequence[ImageLike]) -> bool:
        workers = copy.deepcopy(model)
        workers.backend_.set_params(n_jobs=2)
        whys = [cast(list[Explanation], explain(one, images)) for one in (model, model, workers)]
        maps = [[why.heat.tobytes() for why in each] for each in whys]
        return maps[0] == maps[1] == maps[2]

    def _mosaics(self, test: Sequence[int]) -> list[list[tuple[ImageLike, str]]]:
        """Return mosaics, each of the images of four classes, with their labels; every class in its turn."""
        members = {label: iter(places) for label, places in by_class(self.images, test).items()}
        labels = list(members)
        found: list[list[tuple[ImageLike, str]]] = []
        for number in range(self.amounts.mosaics):
            turn = [labels[(4 * number + place) % len(labels)] for place in range(min(4, len(labels)))]
            chosen = [(next(members[label], None), label) for label in turn]
            if any(place is None for place, _ in chosen):
                break
            found.append([(self.images.images[place], label) for place, label in chosen if place is not None])
        return found


def _shuffled(model: ImageClassifier) -> ImageClassifier | None:
    """Return the model with the weights of each class in another order; None where it is no linear SVM."""
    if not isinstance(model.classifier_, LinearSVM):
        return None
    other = copy.deepcopy(model)
    other.classifier_.coef_ = np.random.default_rng(0).permuted(other.classifier_.coef_, axis=1)
    return other


@dataclass(frozen=True)
class _Judge:
    """Judges the maps of one image; picklable."""

    model: ImageClassifier
    other: ImageClassifier | None
    amounts: Amounts

    def __call__(self, numbered: tuple[int, ImageLike]) -> dict[str, Any]:
        number, source = numbered
        model, backend, random = self.model, self.model.backend_, np.random.default_rng(number)
        image = backend.read(*load_source(source))
        cells, coarse = (cut_cells(image.shape[:2], n) for n in (self.amounts.grid, COARSE))
        row = int(np.argmax(model.scores(backend.encode_image(image)[None])[0]))

        def score(shown: NDArray[np.uint8]) -> float:
            return float(model.scores(backend.encode_image(shown)[None])[0, row])

        why = why_of(model, image, model.classes_[row])
        makers: dict[str, Callable[[], NDArray[np.float64]]] = {
            "explain": lambda: by_cell(why_of(model, image, model.classes_[row]).heat, cells),
            "coarse occlusion": lambda: by_cell(occlusion(score, image, coarse)[coarse], cells),
            "occlusion": lambda: occlusion(score, image, cells),
            "LIME": lambda: lime(score, image, cells, self.amounts.samples, random),
            "edges": lambda: by_cell(edges(image), cells),
            "random": lambda: random.random(self.amounts.grid**2),
        }
        maps, seconds = {}, {}
        for name in MAPS:
            started = time.perf_counter()
            maps[name] = makers[name]()
            seconds[name] = time.perf_counter() - started
        curves: dict[str, dict[str, dict[str, float]]] = {name: {} for name in MAPS}
        known = asked_once(score)
        for fill in FILLS:
            other = filled(image, fill, random)
            for name, values in maps.items():
                most = np.argsort(-values, kind="stable")
                falls = [aopc(known, image, other, cells, order, STEPS) for order in (most, most[::-1])]
                curves[name][fill] = dict(zip(ORDERS, map(_round, falls), strict=True))
        parts = (why.heat_sum, why.bias, why.remainder, why.score)
        shuffled_heat = (
            None if self.other is None else by_cell(why_of(self.other, image, model.classes_[row]).heat, cells)
        )
        correlation = None if shuffled_heat is None else spearmanr(maps["explain"], shuffled_heat).statistic
        return {
            "remainder": abs(why.remainder) / float(np.abs(why.shares).sum() or np.abs(why.heat).sum() or 1),
            "error": abs(sum(parts[:3]) - why.score) / max(map(abs, parts)),
            "seconds": seconds,
            "aopc": curves,
            "shuffled": None if correlation is None or np.isnan(correlation) else _round(correlation),
        }


def _gathered(judged: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what was found of each image as lists by what it is, and the means."""
    remainders = [one["remainder"] for one in judged]
    return {
        "remainder": {"mean": statistics.fmean(remainders), "largest": max(remainders)},
        "error": max(one["error"] for one in judged),
        "ms": {name: rounded(1000 * statistics.median(one["seconds"][name] for one in judged)) for name in MAPS},
        "aopc": {
            name: {
                fill: {order: [one["aopc"][name][fill][order] for one in judged] for order in ORDERS} for fill in FILLS
            }
            for name in MAPS
        },
        "shuffled": [one["shuffled"] for one in judged if one["shuffled"] is not None],
    }


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def _round(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what taking cells away does to scores, map by map, and what else each recipe's maps were found to be."""
    rows = []
    for part in result["variants"]:
        name = part["name"]
        for one in MAPS:
            curves = part["aopc"][one]
            means = [[statistics.fmean(curves[fill][order]) for fill in FILLS] for order in ORDERS]
            cells = [f"{mean:.3f}" for order in means for mean in (*order, statistics.fmean(order))]
            rows.append((name, one, *cells, figure(part["ms"][one])))
            name = ""
    heads = [
        "recipe",
        "map",
        *(f"{order} first, {fill}" for order in ORDERS for fill in (*FILLS, "all three")),
        "ms a map",
    ]
    amounts = result["definition"]["amounts"]
    what = (
        f"{result['title']}: mean fall of the score while the cells of {amounts['grid']} rows and columns are "
        "replaced, the most relevant first (more is better) or the least relevant first (less is better), over "
        f"{amounts['images']} test images; LIME with {amounts['samples']:,} samples, occlusion with one for each cell, "
        f"coarse occlusion with {COARSE**2}"
    )
    checks = [_checks(part) for part in result["variants"]]
    facts = [(label, *(one[label] for one in checks)) for label in checks[0]]
    names = [part["name"] for part in result["variants"]]
    return {"figures": Table(heads, rows, what), "checks": Table(["what", *names], facts, result["title"])}


def _is_known(value: object) -> bool:
    return value in PRESETS or value in known_networks()


def _percent(values: Sequence[float]) -> str:
    return percent(statistics.fmean(values)) if values else ""


def _checks(part: Mapping[str, Any]) -> dict[str, str]:
    stamp, ms = part["stamp"], part["ms"]
    taken = [heat for heat, is_taken in zip(stamp["heat"], stamp["taken"], strict=True) if is_taken]
    shuffled_ = statistics.fmean(part["shuffled"]) if part["shuffled"] else None
    return {
        "remainder, % of absolute shares: mean": f"{100 * part['remainder']['mean']:.4f}",
        "remainder, % of absolute shares: largest": f"{100 * part['remainder']['largest']:.4f}",
        "largest error of the sum, of its size": f"{part['error']:.1e}",
        "same bits on repetition, and with two workers": "yes" if part["same"] else "no",
        "rank correlation with shuffled weights": "" if shuffled_ is None else f"{shuffled_:.2f}",
        "mosaics: % of positive heat in the class's quarter": _percent(part["quarters"]["heat"]),
        "mosaics: % of maps that point there": _percent(part["quarters"]["point"]),
        "stamp: % of stamped images taken for its class": _percent(stamp["taken"]),
        "stamp: % of positive heat on it, 1 % of the area": _percent(stamp["heat"]),
        "stamp: the same of the images that were taken": _percent(taken),
        "stamp: % of positive heat within a point's size of it": _percent(stamp["near"]),
        "stamp: the area of that, %": _percent(stamp["near_area"]),
        "stamp: the class's mean heat is highest on it": "yes" if stamp["first"]["heat"] else "no",
        "stamp: % of places of the class's first word that meet it": _percent(
            [] if stamp["first"]["word"] is None else [stamp["first"]["word"]]
        ),
        **{
            f"{name}: {what}": _percent(part[key][value])
            for name, key in (("masks", "masked"), ("masks in mosaics", "hidden"))
            for what, value in (
                ("% of maps that point at it", "point"),
                ("% of centres that are on it", "centre"),
                ("% of positive heat on it", "heat"),
                ("its area, %", "area"),
            )
        },
        "LIME takes longer than a map, times": figure(ms["LIME"] / ms["explain"]),
        "occlusion takes longer than a map, times": figure(ms["occlusion"] / ms["explain"]),
    }
