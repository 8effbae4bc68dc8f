"""Running a benchmark: definition and data set in, a result with everything that it depends on out."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cvbow.classify import ImageClassifier
from cvbow.datasets import LabelledImages, Place, identify, load_dataset, locate
from cvbow.experiments._drawing import Split, smoke_split
from cvbow.experiments.definition import Definition, Variant
from cvbow.experiments.environment import environment, peak_memory
from cvbow.experiments.retrieval_benchmark import RETRIEVAL_KIND
from cvbow.parallel import note
from cvbow.presets import make_model
from cvbow.storage import replacing

__all__ = ["KIND", "read_result", "run_benchmark", "write_result"]

#: What a result file says that it is.
KIND = "cvbow-benchmark-result"
FORMAT = 1


def run_benchmark(
    definition: Definition,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    n_jobs: int | None = -1,
    memory: Any = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Run a benchmark.

    Each split of each seed trains a model on its training images and judges it on its test images; so does each
    variant, where the definition has some. An image that cannot be read is an error: without it the figure would be
    another benchmark's.

    Parameters
    ----------
    definition : Definition
    data_dir : path, optional
        The data set's folder; otherwise it is looked for as ``cvbow.datasets.locate`` does.
    n_jobs : int or None, default -1
        Workers, by joblib's convention.
    memory : str, path, joblib.Memory or None, default None
        Cache of vectors; the result then tells no cost.
    quick : bool, default False
        Run the first split alone, on a few of its images, to see that everything works. The result says so, and its
        figures mean nothing.

    Returns
    -------
    dict
        Plain values, for JSON:

        ``accuracy``, ``mean_class_accuracy``
            ``mean`` and ``std`` over splits and seeds, as shares of 1; the sample standard deviation, None for one run.
        ``splits``
            The same for each, with its name, seed, images, seconds, and the model's bytes and content hash.
        ``cost``
            Milliseconds of wall time per image, to train (reading, describing, dictionary, classifier) and to test;
            None with a cache.
        ``memory``
            ``peak_bytes``, and what was measured.
        ``model_bytes``
            Of the largest model file; None for a model that cannot be saved.
        ``variants``
            Where the definition has some, a list that holds all of the above for each, with its name and settings.
        ``dataset``, ``definition``, ``environment``
            What the figures depend on.

    Raises
    ------
    DatasetError
        If the data set is not on this machine, and the message says how to get it; if it has other images than it
        should; or if a file is not the one that was fetched.
    ImageError
        For the first image that cannot be read.
    ValueError
        If the data set does not allow the protocol.
    """
    surroundings = environment(n_jobs=n_jobs)
    place = locate(definition.dataset, data_dir)
    images = load_dataset(place)
    planned = [(seed, split) for seed in definition.seeds for split in definition.protocol.splits(images, seed=seed)]
    if quick:
        planned = [(seed, smoke_split(images, split, seed=seed)) for seed, split in planned[:1]]
    dataset = _dataset(place, images, planned, quick=quick, n_jobs=n_jobs)
    measured = [
        _measure(definition, variant, images, planned, n_jobs, memory)
        for variant in definition.variants or (Variant("", definition.preset, definition.settings),)
    ]
    if definition.variants:
        named = zip(definition.variants, measured, strict=True)
        figures: dict[str, Any] = {
            "variants": [
                {"name": one.name, "preset": one.preset, "settings": _plain_settings(one.settings), **part}
                for one, part in named
            ]
        }
    else:
        (figures,) = measured
    return {
        "kind": KIND,
        "format": FORMAT,
        "benchmark": definition.name,
        "title": definition.title,
        "quick": quick,
        "metric": definition.metric,
        "published": [dataclasses.asdict(figure) for figure in definition.published],
        "definition": _as_dict(definition),
        "dataset": dataset,
        "environment": surroundings,
        **figures,
    }


def _measure(
    definition: Definition,
    variant: Variant,
    images: LabelledImages,
    planned: Sequence[tuple[int, Split]],
    n_jobs: int | None,
    memory: Any,
) -> dict[str, Any]:
    """Run one recipe on every split."""
    name = f"{definition.name}, {variant.name}" if variant.name else definition.name
    runs = []
    with peak_memory() as peak:
        for number, (seed, split) in enumerate(planned, 1):
            note(f"{name}, {number} of {len(planned)}: seed {seed}, {split.name}")
            settings = {**variant.settings, "random_state": seed}
            model = make_model(variant.preset, settings=settings, n_jobs=n_jobs, memory=memory)
            runs.append(_run(model, images, split, seed))
            note(f"  mean class accuracy {runs[-1]['mean_class_accuracy']:.4f}")
    return {
        "accuracy": _spread([run["accuracy"] for run in runs]),
        "mean_class_accuracy": _spread([run["mean_class_accuracy"] for run in runs]),
        "cost": _cost(runs, cached=memory is not None),
        "memory": peak.as_dict(),
        "model_bytes": max((run["model"]["bytes"] for run in runs if run["model"]["bytes"]), default=None),
        "splits": runs,
    }


def _dataset(
    place: Place, images: LabelledImages, planned: Sequence[tuple[int, Split]], *, quick: bool, n_jobs: int | None
) -> dict[str, Any]:
    used = {int(position) for _, split in planned for part in (split.train, split.test) for position in part}
    return {
        "name": place.manifest.name,
        "title": place.manifest.title,
        "n_images": len(images),
        "n_classes": len(images.classes),
        "n_images_used": len(used),
        "sha256": identify(place, images, only=used if quick else None, n_jobs=n_jobs),
        "sha256_of": "the images used" if quick else "all images",
        "origin": place.origin,
    }


def _run(model: ImageClassifier, images: LabelledImages, split: Split, seed: int) -> dict[str, Any]:
    train, test = ([images.images[position] for position in part] for part in (split.train, split.test))
    started = time.perf_counter()
    model.fit(train, [images.labels[position] for position in split.train], strict=True)
    trained = time.perf_counter()
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
        "model": _saved(model),
    }


def _saved(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="cvbow-") as folder:
        path = Path(folder) / "model.cvbow"
        try:
            content_hash = model.save(path)
        except TypeError as error:  # a part of the model is of a class that model files do not hold
            return {"bytes": None, "content_hash": None, "reason": str(error)}
        return {"bytes": path.stat().st_size, "content_hash": content_hash}


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}


def _cost(runs: Sequence[Mapping[str, Any]], *, cached: bool) -> dict[str, Any]:
    def per_image(part: str) -> float | None:
        if cached:
            return None
        seconds = sum(run["seconds"][part] for run in runs)
        return float(f"{1000 * seconds / sum(run[f'n_{part}'] for run in runs):.4g}")

    what = "wall time with the environment's number of workers, over all splits"
    return {
        "train_ms_per_image": per_image("train"),
        "test_ms_per_image": per_image("test"),
        "what": "not told: vectors may have come from a cache" if cached else what,
    }


def _as_dict(definition: Definition) -> dict[str, Any]:
    protocol = definition.protocol
    parameters = {key: _plain(value) for key, value in vars(protocol).items()}
    return {
        "dataset": definition.dataset,
        "preset": definition.preset,
        "settings": _plain_settings(definition.settings),
        "seeds": list(definition.seeds),
        "protocol": {"name": type(protocol).__name__, "text": protocol.describe(), **parameters},
        "notes": definition.notes,
    }


def _plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in settings.items()}


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, tuple) else value


def write_result(path: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Write a result as JSON, whole or not at all."""
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(os.path.realpath(path)) as file:
        file.write(text.encode("utf-8"))


def read_result(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a result, of classification or of retrieval.

    Raises
    ------
    FileNotFoundError
    ValueError
        When the file is not a result, or of a format that this cvbow does not know.
    """
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: not a JSON file: {error}") from None
    if not isinstance(result, dict) or result.get("kind") not in (KIND, RETRIEVAL_KIND):
        raise ValueError(f"{os.fspath(path)}: not the result of a benchmark")
    if result.get("format") != FORMAT:
        raise ValueError(f"{os.fspath(path)}: format {result.get('format')!r}; this cvbow reads format {FORMAT}")
    return result
