"""Running a benchmark of matching: how often points are found again, how many matches are right, how good the geometry.

The measures are those of ``cvbow.matching.measures``, whose sources stand there.
"""

from __future__ import annotations

import functools
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.datasets import ImageSequence, Sequences, homographies_hash, identify, load_dataset, locate
from cvbow.experiments.environment import environment, peak_memory
from cvbow.experiments.matching_definition import MatchingDefinition, MatchingVariant, Pairs
from cvbow.features import Extractor, Features
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
from cvbow.parallel import note, run

__all__ = ["MATCHING_KIND", "matching_table", "run_matching_benchmark"]

#: What a result file says that it is.
MATCHING_KIND = "cvbow-matching-result"
FORMAT = 1
#: Pixels.
ACCURACY_AT = tuple(range(1, 11))
CORNERS_AT = (1, 3, 5)


def run_matching_benchmark(
    definition: MatchingDefinition,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    n_jobs: int | None = -1,
    quick: bool = False,
) -> dict[str, Any]:
    """Run a benchmark of matching.

    Each variant describes every image; the first image of each sequence is then matched with each of the others.

    Parameters
    ----------
    definition : MatchingDefinition
    data_dir : path, optional
        The data set's folder; otherwise it is looked for as ``cvbow.datasets.locate`` does.
    n_jobs : int or None, default -1
        Workers, by joblib's convention. They change no figure but the times.
    quick : bool, default False
        The first pair of each sequence alone, to see that everything works. The result says so.

    Returns
    -------
    dict
        Plain values, for JSON: ``variants``, with ``mean`` over all pairs, ``sequences`` (the mean of each), ``pairs``
        and ``extract_ms`` (median over images, one thread); ``dataset``, ``definition``, ``environment``. Of a pair,
        and as means:

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

    Raises
    ------
    DatasetError
        If the data set is not on this machine, or not as it should be.
    ImageError
        For the first image that cannot be read.
    """
    surroundings = environment(n_jobs=n_jobs)
    place = locate(definition.dataset, data_dir)
    images = load_dataset(place)
    layout = place.manifest.layout
    if not isinstance(layout, Sequences):
        raise ValueError(f"dataset must be one of sequences with homographies, got {definition.dataset!r}")
    sequences = layout.sequences(place.root)
    dataset = {
        "name": place.manifest.name,
        "title": place.manifest.title,
        "n_images": len(images),
        "n_classes": len(images.classes),
        "sha256": identify(place, images, n_jobs=n_jobs),
        "homographies_sha256": homographies_hash(sequences),
        "origin": place.origin,
    }
    if quick:
        sequences = tuple(ImageSequence(s.name, s.images[:2], s.homographies[:1]) for s in sequences)
    variants = []
    with peak_memory() as peak:
        for number, variant in enumerate(definition.variants, 1):
            note(f"{definition.name}, {number} of {len(definition.variants)}: {variant.name}")
            variants.append(_run(variant, definition.protocol, sequences, n_jobs))
    protocol = asdict(definition.protocol) | {"text": definition.protocol.describe()}
    return {
        "kind": MATCHING_KIND,
        "format": FORMAT,
        "benchmark": definition.name,
        "title": definition.title,
        "quick": quick,
        "definition": {"dataset": definition.dataset, "protocol": protocol, "notes": definition.notes},
        "dataset": dataset,
        "environment": surroundings,
        "memory": peak.as_dict(),
        "variants": variants,
    }


def _run(
    variant: MatchingVariant, protocol: Pairs, sequences: Sequence[ImageSequence], n_jobs: int | None
) -> dict[str, Any]:
    extract = functools.partial(_extract, variant.extractor())
    paths = [path for sequence in sequences for path in sequence.images]
    described = list(run(extract, paths, n_jobs=n_jobs, task="describe", total=len(paths)))
    features = dict(zip(paths, (found for found, _ in described), strict=True))
    tasks = [
        (sequence.name, number, features[sequence.images[0]], features[sequence.images[number - 1]], homography)
        for sequence in sequences
        for number, homography in enumerate(sequence.homographies, 2)
    ]
    pairs = list(run(functools.partial(_judge, protocol), tasks, n_jobs=n_jobs, task="match", total=len(tasks)))
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


def matching_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a result's rows for a table, the heads first: shares in percent, means over all pairs."""
    heads = ("detector + descriptor", "points", "repeat.", "score", "MMA@1", "@3", "@5", "@10", "ratio: @3")
    rows = [(*heads, *(f"H@{limit}" for limit in CORNERS_AT), "ms")]
    for variant in result["variants"]:
        mean = variant["mean"]
        shares = [mean["repeatability"], mean["matching_score"]]
        shares += [mean["accuracy"][ACCURACY_AT.index(limit)] for limit in (1, 3, 5, 10)]
        shares += [mean["ratio_accuracy"][ACCURACY_AT.index(3)]]
        shares += [mean["homography_accuracy"][str(limit)] for limit in CORNERS_AT]
        points = f"{statistics.fmean(mean['keypoints']):.0f}"
        percent = [f"{100 * share:.1f}" for share in shares]
        rows.append((variant["name"], points, *percent, f"{variant['extract_ms']:.0f}"))
    return rows
