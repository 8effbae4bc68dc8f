"""Running a benchmark of retrieval: learn, index, search for every query, and measure the rankings."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cvbow.datasets import Place, RetrievalLayout, RetrievalSet, identify, load_dataset, locate
from cvbow.errors import DatasetError
from cvbow.experiments.environment import environment, peak_memory
from cvbow.experiments.retrieval_definition import RetrievalDefinition, RetrievalVariant
from cvbow.index import ImageIndex, Search, evaluate_index
from cvbow.parallel import note
from cvbow.retrieval import Describer, GroundTruth

__all__ = ["RETRIEVAL_KIND", "figure_of", "retrieval_table", "run_retrieval_benchmark"]

#: What a result file says that it is.
RETRIEVAL_KIND = "cvbow-retrieval-result"
FORMAT = 1

#: A quick run: queries, distractors, images to learn from, words, and dimensions.
_QUICK_QUERIES, _QUICK_OTHERS, _QUICK_LEARN, _QUICK_WORDS, _QUICK_COMPONENTS = 6, 30, 60, 100, 16

DataPaths = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]


@dataclass(frozen=True)
class _Plan:
    """The images of a run."""

    learn: list[Path]
    indexed: list[Path]
    truth: GroundTruth


def run_retrieval_benchmark(
    definition: RetrievalDefinition,
    data: DataPaths | None = None,
    *,
    n_jobs: int | None = -1,
    memory: Any = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Run a benchmark of retrieval.

    Each describer learns and indexes once; each variant then searches that index for every query. An image that cannot
    be read is an error: without it the figure would be another benchmark's.

    Parameters
    ----------
    definition : RetrievalDefinition
    data : path or mapping of str to path, optional
        The data set's folder, or the folders of this and others by their names; what is not given is looked for as
        ``cvbow.datasets.locate`` does.
    n_jobs : int or None, default -1
        Workers, by joblib's convention. They change no figure but the times.
    memory : str, path, joblib.Memory or None, default None
        Cache of what is learned from and described; the result then tells no times.
    quick : bool, default False
        A few queries and images and a small dictionary, to see that everything works. The result says so, and its
        figures mean nothing.

    Returns
    -------
    dict
        Plain values, for JSON:

        ``variants``
            For each, what ``evaluate_index`` returns, with ``name``, ``describer``, ``published``, and ``cost``:
            milliseconds of wall time per image to learn and to index, per query to describe, search and verify; bytes
            of the index's arrays per image.
        ``dataset``, ``others``, ``learned_on``, ``definition``, ``environment``, ``memory``
            What the figures depend on.

    Raises
    ------
    DatasetError
        If a data set is not on this machine, or not as it should be; or nothing is left to learn from.
    ImageError
        For the first image that cannot be read.
    NetworkError
        If a network is not where CVBOW_NETWORKS says.
    ValueError
        If `data` names a data set that does not take part.
    """
    surroundings = environment(n_jobs=n_jobs)
    for recipe in definition.describers.values():
        recipe.describer(seed=definition.seed)  # a network that is missing is told of before the work
    protocol = definition.protocol
    names = [definition.dataset, *protocol.distractors]
    if protocol.learn_on not in (*names, "index", "distractors"):
        names.append(protocol.learn_on)
    given = {} if data is None else dict(data) if isinstance(data, Mapping) else {definition.dataset: data}
    unknown = set(given) - set(names)
    if unknown:
        raise ValueError(f"data must be of {', '.join(names)}, got {min(unknown)!r}")
    places = {name: locate(name, given.get(name)) for name in names}
    images = {name: load_dataset(place) for name, place in places.items()}
    facts = [
        {
            "name": name,
            "title": place.manifest.title,
            "n_images": len(images[name]),
            "sha256": identify(place, images[name], n_jobs=n_jobs),
            "origin": place.origin,
        }
        for name, place in places.items()
    ]
    others = {name: [path for path in found.images if isinstance(path, Path)] for name, found in images.items()}
    whole = _retrieval_set(places[definition.dataset])
    plan = _plan(definition, whole, others)
    if quick:
        plan = _small(plan)
    measured = []
    with peak_memory() as peak:
        for key, recipe in definition.describers.items():
            variants = [variant for variant in definition.variants if variant.describer == key]
            if variants:
                describer = recipe.describer(seed=definition.seed, n_jobs=n_jobs, memory=memory)
                described = _described(definition, describer, plan, variants, n_jobs, quick=quick)
                measured += list(zip(variants, described, strict=True))
    order = {variant.name: number for number, variant in enumerate(definition.variants)}
    measured.sort(key=lambda pair: order[pair[0].name])
    return {
        "kind": RETRIEVAL_KIND,
        "format": FORMAT,
        "benchmark": definition.name,
        "title": definition.title,
        "quick": quick,
        "metric": protocol.metric,
        "definition": {
            "protocol": _plain(asdict(protocol)) | {"text": protocol.describe()},
            "describers": {key: _plain(asdict(recipe)) for key, recipe in definition.describers.items()},
            "seed": definition.seed,
            "notes": definition.notes,
        },
        "dataset": facts[0] | {"ground_truth_sha256": _truth_hash(whole)},
        "others": facts[1:],
        "learned_on": {"what": protocol.learn_on, "n_images": len(plan.learn)},
        "environment": surroundings,
        "memory": peak.as_dict(),
        "variants": [
            {
                "name": variant.name,
                "describer": variant.describer,
                "published": [asdict(figure) for figure in variant.published],
                "cost": cost if memory is None else None,
                **evaluation,
            }
            for variant, (evaluation, cost) in measured
        ],
    }


def _retrieval_set(place: Place) -> RetrievalSet:
    layout = place.manifest.layout
    if not isinstance(layout, RetrievalLayout):
        raise ValueError(f"dataset must be one with a ground truth of retrieval, got {place.manifest.name!r}")
    return layout.retrieval(place.root)


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


def _described(
    definition: RetrievalDefinition,
    describer: Describer,
    plan: _Plan,
    variants: Sequence[RetrievalVariant],
    n_jobs: int | None,
    *,
    quick: bool,
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Learn and index with one describer; search for every query with each variant."""
    if quick:
        _shrink(describer)
    name = f"{definition.name}, {variants[0].describer}"
    note(f"{name}: learning from {len(plan.learn)} images")
    started = time.perf_counter()
    describer.fit(plan.learn)
    if describer.skipped_:
        raise describer.skipped_[0]
    learned = time.perf_counter()
    note(f"{name}: indexing {len(plan.indexed)} images")
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="cvbow-") as folder,
        ImageIndex.build(Path(folder) / "index", describer, n_jobs=n_jobs) as index,
    ):
        index.add(plan.indexed, strict=True)
        indexed = time.perf_counter()
        cost = {
            "learn_ms_per_image": _rounded(1000 * (learned - started) / len(plan.learn)),
            "index_ms_per_image": _rounded(1000 * (indexed - learned) / len(plan.indexed)),
            "index_bytes_per_image": round(index.n_bytes / len(plan.indexed)),
        }
        for variant in variants:
            note(f"{definition.name}, {variant.name}: {len(plan.truth)} queries")
            before = time.perf_counter()
            evaluation = evaluate_index(
                index,
                plan.truth,
                Search(verify=variant.verify, expand=variant.expand),
                k=definition.protocol.k,
                keep_self=definition.protocol.keep_self,
                strict=True,
            )
            seconds = time.perf_counter() - before
            note(f"  {definition.protocol.metric} {figure_of(evaluation, definition.protocol.metric):.4f}")
            found.append((evaluation, cost | {"search_ms_per_query": _rounded(1000 * seconds / len(plan.truth))}))
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


def _plain(value: Any) -> Any:
    """Lists for tuples, at any depth, as JSON gives them back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def retrieval_table(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a result's rows for a table, the heads first: shares in percent."""
    places = result["definition"]["protocol"]["k"]
    keep_self = result["definition"]["protocol"]["keep_self"]
    heads = ["variant", "mAP", "trapezoids", *(f"recall@{place}" for place in places)]
    heads += ["score of 4"] if keep_self else []
    rows = [(*heads, "learn", "index", "search: ms", "bytes/image")]
    for variant in result["variants"]:
        shares = [variant["map"], variant["map_trapezoids"], *(variant["recall"][str(place)] for place in places)]
        cells = [variant["name"], *(f"{100 * share:.1f}" for share in shares)]
        cells += [f"{variant['ukbench_score']:.2f}"] if keep_self else []
        cost = variant["cost"]
        keys = ("learn_ms_per_image", "index_ms_per_image", "search_ms_per_query", "index_bytes_per_image")
        rows.append((*cells, *("" if cost is None else f"{cost[key]:.4g}" for key in keys)))
    return rows
