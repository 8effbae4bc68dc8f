"""Benchmarks of retrieval: learn, index, search for every query, and measure the rankings."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from cvbow._toml import COUNT, FLAG, TEXT, TEXTS, WHOLE, Rule, TomlTable, matching, one_of
from cvbow.datasets import RetrievalLayout, RetrievalSet, dataset_names, find_dataset, load_dataset
from cvbow.errors import DatasetError, NetworkError
from cvbow.experiments.definition import Definition, check_names, different, take_common, take_settings
from cvbow.experiments.environment import environment, peak_memory
from cvbow.experiments.published import Published, Row, beside, take_published
from cvbow.experiments.results import (
    DatasetFacts,
    Job,
    Result,
    dataset_facts,
    find_places,
    heading,
    plain,
    rounded,
)
from cvbow.index import ImageIndex, Search, evaluate_index
from cvbow.presets import DescriberRecipe
from cvbow.progress import note, stages, tracked
from cvbow.retrieval import Describer, GroundTruth
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-retrieval-result"
#: What describes images: ``VisualWords`` or ``ImageVectors``.
DESCRIBERS = ("words", "vectors")
#: Besides these, the name of a data set.
LEARN_ON = ("index", "distractors")

#: A quick run: queries, distractors, images to learn from, words, and dimensions.
_QUICK_QUERIES, _QUICK_OTHERS, _QUICK_LEARN, _QUICK_WORDS, _QUICK_COMPONENTS = 6, 30, 60, 100, 16

_METRIC = re.compile(r"map|map_trapezoids|recall@[1-9][0-9]*")


@dataclass(frozen=True, kw_only=True)
class RetrievalProtocol:
    """What is indexed and learned from, and how rankings are judged.

    Attributes
    ----------
    distractors : tuple of str
        Data sets whose images are all indexed besides.
    learn_on : str
        "index", "distractors", or a data set: its images, without those that are queries.
    keep_self : bool
        A query that is indexed stays in its own ranking.
    k : tuple of int
        Places of recall, precision and success.
    metric : str
        What is compared with published figures: ``map``, ``map_trapezoids`` or ``recall@K``.
    """

    distractors: tuple[str, ...] = ()
    learn_on: str
    keep_self: bool = False
    k: tuple[int, ...] = (1, 5, 10)
    metric: str

    def describe(self) -> str:
        """Describe it in one line."""
        more = f" with all of {', '.join(self.distractors)}" if self.distractors else ""
        kept = "kept in their own ranking" if self.keep_self else "left out of their own ranking"
        return f"index{more}; learned on {self.learn_on}, never on queries, which are {kept}"


@dataclass(frozen=True)
class RetrievalVariant:
    """A describer, and how its index is searched.

    Attributes
    ----------
    name, describer : str
    search : Search
    published : tuple of Published

    Examples
    --------
    >>> from cvbow.experiments import RetrievalVariant
    >>> from cvbow.index import Search
    >>> RetrievalVariant("verified", "words", Search(k=None, verify=100), published=()).search.verify
    100
    """

    name: str
    describer: str
    search: Search
    published: tuple[Published, ...]


@dataclass(frozen=True, kw_only=True)
class RetrievalDefinition(Definition):
    """A benchmark of retrieval; its published figures are those of the variants, in their order.

    Attributes
    ----------
    protocol : RetrievalProtocol
    describers : mapping of str to DescriberRecipe
    variants : tuple of RetrievalVariant
    seed : int

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("ukbench")
    >>> definition.protocol.metric, sorted(definition.describers)
    ('recall@4', ['hamming', 'tree', 'vlad', 'words'])
    """

    kind: ClassVar[str] = "retrieval"

    protocol: RetrievalProtocol
    describers: Mapping[str, DescriberRecipe]
    variants: tuple[RetrievalVariant, ...]
    seed: int


class RetrievalResult(Result):
    """A result of retrieval.

    ``variants`` has for each what ``evaluate_index`` returns, with ``name``, ``describer``, ``published``, and
    ``cost``: milliseconds of wall time per image to learn and to index, per query to describe, search and verify; bytes
    of the index's arrays per image; None with a cache.
    """

    metric: str
    definition: dict[str, Any]
    others: list[DatasetFacts]
    learned_on: dict[str, Any]
    memory: dict[str, Any]
    variants: list[dict[str, Any]]


@dataclass(frozen=True)
class _Plan:
    """The images of a run."""

    learn: list[Path]
    indexed: list[Path]
    truth: GroundTruth


def read(name: str, table: TomlTable) -> RetrievalDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    sets = [name for name in dataset_names() if isinstance(find_dataset(name).layout, RetrievalLayout)]
    common = take_common(name, table, sets)
    seed = table.take("seed", WHOLE, 0)
    described = table.table("describers", needed=True)
    if not described.values:
        table.fail("describers", "one table or more")
    describers = {key: _describer(described.table(key), seed) for key in described.values}
    variants = tuple(_variant(part, describers) for part in table.tables("variants"))
    definition = RetrievalDefinition(
        **common,
        protocol=_protocol(table.table("protocol", needed=True), common["dataset"]),
        describers=describers,
        variants=variants,
        seed=seed,
        published=tuple(one for variant in variants for one in variant.published),
    )
    check_names(table, "variants", [variant.name for variant in variants], needed=True)
    return definition


def _protocol(table: TomlTable, dataset: str) -> RetrievalProtocol:
    others = [other for other in dataset_names() if other != dataset]
    distractors = Rule(
        f"a list of different data sets, of {', '.join(others)}",
        lambda value: TEXTS.holds(value) and set(value) <= set(others) and len(set(value)) == len(value),
    )
    rules = {
        "distractors": distractors,
        "learn_on": one_of((*LEARN_ON, *others)),
        "keep_self": FLAG,
        "k": different("integers >= 1", COUNT.holds),
        "metric": matching(_METRIC, "map, map_trapezoids or recall@K"),
    }
    protocol = table.build(RetrievalProtocol, rules)
    if protocol.learn_on == "distractors" and not protocol.distractors:
        table.fail("learn_on", "something else where there are no distractors")
    place = protocol.metric.rpartition("@")[2]
    if place.isdigit() and int(place) not in protocol.k:
        table.fail("metric", f"at one of the places k, {', '.join(map(str, protocol.k))}")
    return protocol


def _describer(table: TomlTable, seed: int) -> DescriberRecipe:
    kind = table.take("kind", one_of(DESCRIBERS))
    if kind == "vectors":
        table.take("backend", TEXT)
    settings = {key: value for key, value in table.values.items() if key != "kind"}
    if kind == "vectors" and "backend_settings" in settings:
        settings["backend_settings"] = take_settings(table.table("backend_settings"))
    recipe = DescriberRecipe(kind, settings)
    try:
        recipe.describer(seed=seed).check_params()
    except NetworkError:
        # One that cvbow knows and that is not on this machine: running asks for it, reading does not.
        pass
    except (ValueError, TypeError) as error:
        raise ValueError(f"{table.path}: {table.above.rstrip('.')}: {error}") from None
    return recipe


def _variant(table: TomlTable, describers: Mapping[str, DescriberRecipe]) -> RetrievalVariant:
    variant = RetrievalVariant(
        name=table.take("name", TEXT),
        describer=table.take("describer", one_of(describers)),
        search=Search(verify=table.take("verify", WHOLE, 0), expand=table.take("expand", WHOLE, 0)),
        published=take_published(table),
    )
    table.finish()
    return variant


def run(definition: RetrievalDefinition, job: Job) -> RetrievalResult:
    """Learn and index once with each describer; search its index for every query with each variant.

    An image that cannot be read is an error: without it the figure would be another benchmark's. The job's ``memory``
    caches what is learned from and described. A quick run is of a few queries and images, with a small dictionary.

    Raises
    ------
    DatasetError
        Also if nothing is left to learn from.
    NetworkError
        If a network is not where CVBOW_NETWORKS says.
    """
    surroundings = environment(n_jobs=job.n_jobs)
    for recipe in definition.describers.values():
        recipe.describer(seed=definition.seed)  # a network that is missing is told of before the work
    protocol = definition.protocol
    names = [definition.dataset, *protocol.distractors]
    if protocol.learn_on not in (*names, *LEARN_ON):
        names.append(protocol.learn_on)
    places = find_places(names, job.data)
    images = {name: load_dataset(place) for name, place in places.items()}
    facts = [dataset_facts(place, images[name], n_jobs=job.n_jobs) for name, place in places.items()]
    others = {name: [path for path in found.images if isinstance(path, Path)] for name, found in images.items()}
    layout = places[definition.dataset].manifest.layout
    if not isinstance(layout, RetrievalLayout):
        raise ValueError(f"dataset must be one with a ground truth of retrieval, got {definition.dataset!r}")
    whole = layout.retrieval(places[definition.dataset].root)
    facts[0]["ground_truth_sha256"] = _truth_hash(whole)
    plan = _plan(definition, whole, others)
    if job.quick:
        plan = _small(plan)
    measured = []
    with peak_memory() as peak:
        for key, recipe in tracked("describers", definition.describers.items()):
            variants = [variant for variant in definition.variants if variant.describer == key]
            if variants:
                describer = recipe.describer(seed=definition.seed, n_jobs=job.n_jobs, memory=job.memory)
                described = _searched(definition, describer, plan, variants, job)
                measured += list(zip(variants, described, strict=True))
    order = {variant.name: number for number, variant in enumerate(definition.variants)}
    measured.sort(key=lambda pair: order[pair[0].name])
    return {
        **heading(RESULT, definition, job),
        "metric": protocol.metric,
        "definition": {
            "protocol": plain(asdict(protocol)) | {"text": protocol.describe()},
            "describers": {key: plain(asdict(recipe)) for key, recipe in definition.describers.items()},
            "seed": definition.seed,
            "notes": definition.notes,
        },
        "dataset": facts[0],
        "others": facts[1:],
        "learned_on": {"what": protocol.learn_on, "n_images": len(plan.learn)},
        "environment": surroundings,
        "memory": peak.as_dict(),
        "variants": [
            {
                "name": variant.name,
                "describer": variant.describer,
                "published": [asdict(figure) for figure in variant.published],
                "cost": cost if job.memory is None else None,
                **evaluation,
            }
            for variant, (evaluation, cost) in measured
        ],
    }


def _plan(definition: RetrievalDefinition, whole: RetrievalSet, others: Mapping[str, Sequence[Path]]) -> _Plan:
    protocol = definition.protocol
    distractors = [path for name in protocol.distractors for path in others[name]]
    indexed = [*whole.indexed, *distractors]
    sources = {"index": indexed, "distractors": distractors}
    queries = {query.image for query in whole.ground_truth.queries}
    learn = [path for path in sources.get(protocol.learn_on, others.get(protocol.learn_on, ())) if path not in queries]
    if not learn:
        raise DatasetError(definition.dataset, f"nothing to learn from: all images of {protocol.learn_on} are queries")
    return _Plan(learn, indexed, whole.ground_truth)


def _small(plan: _Plan) -> _Plan:
    """A few queries, from all over, with what they should find, and a few other images."""
    step = max(1, len(plan.truth) // _QUICK_QUERIES)
    queries = plan.truth.queries[::step][:_QUICK_QUERIES]
    wanted = set(GroundTruth(queries).images)
    rest = [path for path in plan.indexed if path not in wanted]
    kept = wanted.union(rest[:: max(1, len(rest) // _QUICK_OTHERS)][:_QUICK_OTHERS])
    learn = plan.learn[:: max(1, len(plan.learn) // _QUICK_LEARN)][:_QUICK_LEARN]
    return _Plan(learn, [path for path in plan.indexed if path in kept], GroundTruth(queries))


def _searched(
    definition: RetrievalDefinition,
    describer: Describer,
    plan: _Plan,
    variants: Sequence[RetrievalVariant],
    job: Job,
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Learn and index with one describer; search for every query with each variant."""
    if job.quick:
        _shrink(describer)
    name = f"{definition.name}, {variants[0].describer}"
    found = []
    with (
        stages({"learn": len(plan.learn), "index": len(plan.indexed), "search": len(plan.truth)}) as begin,
        tempfile.TemporaryDirectory(prefix="cvbow-") as folder,
    ):
        begin("learn")
        note(f"{name}: learning from {len(plan.learn)} images")
        started = time.perf_counter()
        describer.fit(plan.learn)
        if describer.skipped_:
            raise describer.skipped_[0]
        learned = time.perf_counter()
        begin("index")
        note(f"{name}: indexing {len(plan.indexed)} images")
        with ImageIndex.build(Path(folder) / "index", describer, n_jobs=job.n_jobs) as index:
            index.add(plan.indexed, strict=True)
            indexed = time.perf_counter()
            cost = {
                "learn_ms_per_image": rounded(1000 * (learned - started) / len(plan.learn)),
                "index_ms_per_image": rounded(1000 * (indexed - learned) / len(plan.indexed)),
                "index_bytes_per_image": round(index.n_bytes / len(plan.indexed)),
            }
            begin("search")
            for variant in tracked("variants", variants):
                note(f"{definition.name}, {variant.name}: {len(plan.truth)} queries")
                before = time.perf_counter()
                evaluation = evaluate_index(
                    index,
                    plan.truth,
                    variant.search,
                    k=definition.protocol.k,
                    keep_self=definition.protocol.keep_self,
                    strict=True,
                )
                seconds = time.perf_counter() - before
                note(f"  {definition.protocol.metric} {figure_of(evaluation, definition.protocol.metric):.4f}")
                found.append((evaluation, cost | {"search_ms_per_query": rounded(1000 * seconds / len(plan.truth))}))
    return found


def _shrink(describer: Describer) -> None:
    """Make a describer small enough for a quick run."""
    parameters = describer.get_params(deep=True)
    small = {"n_words": _QUICK_WORDS, "n_components": _QUICK_COMPONENTS}
    for key, value in parameters.items():
        limit = small.get(key.rpartition("__")[2])
        if limit is not None and isinstance(value, int) and value > limit:
            describer.set_params(**{key: limit})


def _truth_hash(whole: RetrievalSet) -> str:
    """SHA-256 over queries, boxes and what they should find, by the names that images have in their data set."""
    name = {path: name for path, name in zip(whole.images.images, whole.images.names, strict=True)}
    digest = hashlib.sha256()
    for query in whole.ground_truth.queries:
        parts = [query.name, name[query.image], repr(query.box)]
        for images in (query.relevant, query.ignored):
            parts.append("\0".join(sorted(name[path] for path in images)))
        digest.update(("\1".join(parts) + "\n").encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def figure_of(evaluation: Mapping[str, Any], metric: str) -> float:
    """Return a figure of an evaluation: ``map``, ``map_trapezoids`` or ``recall@K``."""
    measure, _, place = metric.partition("@")
    return float(evaluation[measure][place] if place else evaluation[measure])


def rows(result: Mapping[str, Any]) -> list[Row]:
    """Return each variant beside the figures that were published for one like it."""
    found: list[Row] = []
    for part in result["variants"]:
        own = {"runs": 1, "figure": 100 * figure_of(part, result["metric"]), "quick": result["quick"]}
        found += beside(part["published"], result["benchmark"], f"{part['name']}, {result['metric']}", **own)
    return found


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return the variants' figures, shares in percent, and what they cost."""
    variants = result["variants"]
    heads = ["index", *(f"recall@{place} %" for place in variants[0]["recall"]), "mAP %", "mAP, trapezoids %"]
    scored = result["definition"]["protocol"]["keep_self"]
    heads += ["score of 4"] if scored else []
    cells = []
    for one in variants:
        shares = [*one["recall"].values(), one["map"], one["map_trapezoids"]]
        costs = [None] * 4
        if one["cost"] is not None:
            learn, index, search, size = (one["cost"][key] for key in _COSTS)
            costs = [learn, index, search, size / 1e3]
        name = f"{one['name']} (quick run: not meaningful)" if result["quick"] else one["name"]
        score = [f"{one['ukbench_score']:.2f}"] if scored else []
        cells.append((name, *map(percent, shares), *score, *map(figure, costs)))
    what = f"{result['title']}; {variants[0]['n_queries']} queries, {variants[0]['n_images']:,} images"
    note = (
        "Trapezoids: as the Oxford and Holidays protocols compute mAP. Learning and adding: wall time per image with "
        f"{result['environment']['workers']} workers, reading and describing included; a query: with its description "
        "and verification."
    )
    return {"figures": Table((*heads, "learning: ms", "adding: ms", "query: ms", "kB an image"), cells, what, note)}


_COSTS = ("learn_ms_per_image", "index_ms_per_image", "search_ms_per_query", "index_bytes_per_image")
