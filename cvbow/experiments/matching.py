"""Benchmarks of matching: how often points are found again, how many matches are right, how good the geometry.

The measures are those of ``cvbow.matching.measures``, whose sources stand there.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._toml import NUMBER, TEXT, Rule, TomlTable
from cvbow.datasets import ImageSequence, Sequences, dataset_names, find_dataset, homographies_hash, load_dataset
from cvbow.experiments.definition import Definition, check_names, take_common
from cvbow.experiments.environment import environment, peak_memory
from cvbow.experiments.results import Job, Result, dataset_facts, find_places, heading
from cvbow.features import Extractor, Features, LocalFeatures
from cvbow.images import read_image
from cvbow.matching import (
    corner_error,
    match_features,
    matching_accuracy,
    matching_score,
    putative_matches,
    repeatability,
    transfer_errors,
)
from cvbow.parallel import run as run_parallel
from cvbow.progress import note, stages, tracked
from cvbow.tables import Table, figure, percent

RESULT = "cvbow-matching-result"
#: Pixels.
ACCURACY_AT = tuple(range(1, 11))
CORNERS_AT = (1, 3, 5)

_PIXELS = Rule("a number > 0", lambda value: NUMBER.holds(value) and value > 0)
_SHARE = Rule("a number > 0 and <= 1", lambda value: NUMBER.holds(value) and 0 < value <= 1)


@dataclass(frozen=True)
class MatchingVariant:
    """A detector with a descriptor.

    Attributes
    ----------
    name : str
    settings : mapping
        Parameters of ``LocalFeatures``, the detector and the descriptor among them.

    Examples
    --------
    >>> from cvbow.experiments import MatchingVariant
    >>> MatchingVariant("corners", {"detector": "harris", "descriptor": "rootsift"}).extractor().detector
    'harris'
    """

    name: str
    settings: Mapping[str, Any]

    def extractor(self) -> LocalFeatures:
        """Return it as an extractor."""
        return LocalFeatures(**self.settings)


@dataclass(frozen=True)
class Pairs:
    """How images are paired and judged.

    Attributes
    ----------
    distance : float
        Pixels within which a point is found again, or a match is correct.
    ratio : float
        Of the ratio test that matches pass before a homography is estimated from them.
    threshold : float
        Pixels; largest error of an inlier to that homography.
    """

    distance: float = 3.0
    ratio: float = 0.8
    threshold: float = 3.0

    def describe(self) -> str:
        """Describe it in one line."""
        return "the first image of each sequence with each other one; true homographies"


@dataclass(frozen=True, kw_only=True)
class MatchingDefinition(Definition):
    """A benchmark of matching.

    Attributes
    ----------
    protocol : Pairs
    variants : tuple of MatchingVariant

    Examples
    --------
    >>> from cvbow.experiments import find_benchmark
    >>> definition = find_benchmark("oxford-affine")
    >>> definition.protocol.describe()
    'the first image of each sequence with each other one; true homographies'
    """

    kind: ClassVar[str] = "matching"

    protocol: Pairs
    variants: tuple[MatchingVariant, ...]


class MatchingResult(Result):
    """A result of matching.

    ``variants`` has for each ``mean`` over all pairs, ``sequences`` (the mean of each), ``pairs`` and ``extract_ms``
    (median over images, one thread). Of a pair, and as means:

    ``keypoints``
        Of the first and the second image.
    ``repeatability``
        Share of the points in the common part that were found again within ``distance``, one to one.
    ``matches``, ``matching_score``, ``accuracy``
        Mutual nearest neighbours, without a ratio test; the correct ones within ``distance`` over the points in the
        common part; and the mean matching accuracy at 1 to 10 pixels (D2-Net's protocol).
    ``ratio_matches``, ``ratio_accuracy``, ``inliers``, ``corner_error``
        The matches left by the ratio test and their accuracy; the inliers of the homography estimated from them,
        and its mean corner error in pixels of the second image, at the images' own size; None where there is no
        homography.
    ``homography_accuracy``
        Of means alone: share of pairs whose corner error is at most 1, 3 and 5 pixels.
    """

    definition: dict[str, Any]
    memory: dict[str, Any]
    variants: list[dict[str, Any]]


def read(name: str, table: TomlTable) -> MatchingDefinition:
    """Take a definition from a table; ValueError that names the file and the key that is missing, unknown or wrong."""
    shared = table.table("settings").values
    sequences = [name for name in dataset_names() if isinstance(find_dataset(name).layout, Sequences)]
    definition = MatchingDefinition(
        **take_common(name, table, sequences),
        protocol=table.table("protocol").build(Pairs, {"distance": _PIXELS, "ratio": _SHARE, "threshold": _PIXELS}),
        variants=tuple(_variant(part, shared) for part in table.tables("variants")),
    )
    check_names(table, "variants", [one.name for one in definition.variants], needed=True)
    return definition


def _variant(table: TomlTable, shared: Mapping[str, Any]) -> MatchingVariant:
    settings = {
        **shared,
        "detector": table.take("detector", TEXT),
        "descriptor": table.take("descriptor", TEXT),
        **table.table("settings").values,
    }
    name = table.take("name", TEXT, f"{settings['detector']} + {settings['descriptor']}")
    table.finish()
    variant = MatchingVariant(name, settings)
    try:
        variant.extractor().check_params()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{table.path}: {name}: {error}") from None
    return variant


def run(definition: MatchingDefinition, job: Job) -> MatchingResult:
    """Describe every image with each variant, and match the first image of each sequence with each of the others.

    Nothing is kept in the job's ``memory``, as the result tells the time that points take. A quick run is of the first
    pair of each sequence.
    """
    surroundings = environment(n_jobs=job.n_jobs)
    place = find_places([definition.dataset], job.data)[definition.dataset]
    images = load_dataset(place)
    layout = place.manifest.layout
    if not isinstance(layout, Sequences):
        raise ValueError(f"dataset must be one of sequences with homographies, got {definition.dataset!r}")
    sequences = layout.sequences(place.root)
    facts = dataset_facts(place, images, n_jobs=job.n_jobs)
    facts |= {"n_classes": len(images.classes), "homographies_sha256": homographies_hash(sequences)}
    if job.quick:
        sequences = tuple(ImageSequence(s.name, s.images[:2], s.homographies[:1]) for s in sequences)
    variants = []
    with peak_memory() as peak:
        for number, variant in enumerate(tracked("variants", definition.variants), 1):
            note(f"{definition.name}, {number} of {len(definition.variants)}: {variant.name}")
            variants.append(_measure(variant, definition.protocol, sequences, job.n_jobs))
    protocol = asdict(definition.protocol) | {"text": definition.protocol.describe()}
    return {
        **heading(RESULT, definition, job),
        "definition": {"dataset": definition.dataset, "protocol": protocol, "notes": definition.notes},
        "dataset": facts,
        "environment": surroundings,
        "memory": peak.as_dict(),
        "variants": variants,
    }


def _measure(
    variant: MatchingVariant, protocol: Pairs, sequences: Sequence[ImageSequence], n_jobs: int | None
) -> dict[str, Any]:
    extract = functools.partial(_extract, variant.extractor())
    paths = [path for sequence in sequences for path in sequence.images]
    with stages({"describe": 1, "match": 2}) as begin:
        begin("describe")
        described = list(run_parallel(extract, paths, n_jobs=n_jobs, task="describe", total=len(paths)))
        features = dict(zip(paths, (found for found, _ in described), strict=True))
        tasks = [
            (sequence.name, number, features[sequence.images[0]], features[sequence.images[number - 1]], homography)
            for sequence in sequences
            for number, homography in enumerate(sequence.homographies, 2)
        ]
        begin("match")
        judge = functools.partial(_judge, protocol)
        pairs = list(run_parallel(judge, tasks, n_jobs=n_jobs, task="match", total=len(tasks)))
    return {
        "name": variant.name,
        "settings": dict(variant.settings),
        "mean": _mean(pairs),
        "sequences": {
            sequence.name: _mean([pair for pair in pairs if pair["sequence"] == sequence.name])
            for sequence in sequences
        },
        "extract_ms": round(1000 * statistics.median(seconds for _, seconds in described), 1),
        "pairs": pairs,
    }


def _extract(extractor: Extractor, path: Path) -> tuple[Features, float]:
    image = read_image(path, gray=extractor.gray_only)
    started = time.perf_counter()
    found = extractor.extract(image)
    return found, time.perf_counter() - started


def _judge(protocol: Pairs, task: tuple[str, int, Features, Features, NDArray[np.float64]]) -> dict[str, Any]:
    name, number, a, b, homography = task
    pairs, _ = putative_matches(a.descriptors, b.descriptors, ratio=None)
    errors = transfer_errors(homography, a.points[pairs[:, 0], :2], b.points[pairs[:, 1], :2])
    found = match_features(a, b, ratio=protocol.ratio, threshold=protocol.threshold)
    after = transfer_errors(homography, found.points_a, found.points_b)
    corners = corner_error(found.matrix, homography, a.image_size)
    return {
        "sequence": name,
        "pair": [1, number],
        "keypoints": [len(a), len(b)],
        "repeatability": _round(repeatability(a, b, homography, distance=protocol.distance)),
        "matches": len(pairs),
        "matching_score": _round(matching_score(a, b, pairs, homography, distance=protocol.distance)),
        "accuracy": list(map(_round, matching_accuracy(errors, ACCURACY_AT))),
        "ratio_matches": len(found),
        "ratio_accuracy": list(map(_round, matching_accuracy(after, ACCURACY_AT))),
        "inliers": found.n_inliers,
        "corner_error": _round(corners) if np.isfinite(corners) else None,
    }


def _mean(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def mean(key: str) -> Any:
        values = np.array([pair[key] for pair in pairs], np.float64).mean(axis=0)
        return list(map(_round, values)) if values.ndim else _round(values)

    corners = np.array([np.inf if pair["corner_error"] is None else pair["corner_error"] for pair in pairs])
    keys = ("keypoints", "repeatability", "matches", "matching_score", "accuracy", "ratio_matches", "ratio_accuracy")
    return {key: mean(key) for key in keys} | {
        "inliers": mean("inliers"),
        "homography_accuracy": {str(limit): _round((corners <= limit).mean()) for limit in CORNERS_AT},
    }


def _round(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return the variants' figures, means over all pairs: shares in percent."""
    heads = ["detector + descriptor", "points", "repeatability", "matching score", "MMA 1 px", "3 px", "5 px", "10 px"]
    heads += ["3 px, after the ratio test", "homography 1 px", "3 px", "5 px", "ms an image"]
    cells = []
    for variant in result["variants"]:
        mean = variant["mean"]
        shares = [mean["repeatability"], mean["matching_score"]]
        shares += [mean["accuracy"][ACCURACY_AT.index(limit)] for limit in (1, 3, 5, 10)]
        shares += [mean["ratio_accuracy"][ACCURACY_AT.index(3)]]
        shares += [mean["homography_accuracy"][str(limit)] for limit in CORNERS_AT]
        points = f"{statistics.fmean(mean['keypoints']):,.0f}"
        cells.append((variant["name"], points, *map(percent, shares), figure(variant["extract_ms"])))
    what = (
        f"{result['title']}; percent, means over {len(result['variants'][0]['pairs'])} pairs; MMA is the mean matching "
        "accuracy of mutual nearest neighbours; the time is to find and describe an image's points, on one thread"
    )
    return {"figures": Table(heads, cells, what)}
