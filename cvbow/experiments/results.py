"""What the results of all benchmarks have in common: plain values, for JSON, with all that the figures depend on."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from cvbow.classify import ImageClassifier
from cvbow.datasets import LabelledImages, Place, identify, locate
from cvbow.experiments.definition import Definition
from cvbow.experiments.environment import machine
from cvbow.files import read_text
from cvbow.storage import readable_json, replacing
from cvbow.tables import Table

FORMAT = 1

#: The folder of a benchmark's data set, or the folders of several data sets by their names.
DataFolders = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]


@dataclass(frozen=True)
class Job:
    """How a benchmark is run; ``run_benchmark`` says what each of these means."""

    data: DataFolders | None = None
    n_jobs: int | None = -1
    memory: Any = None
    quick: bool = False


class Spread(TypedDict):
    """A share of 1: its mean, and its sample standard deviation, None for one run."""

    mean: float
    std: float | None


class DatasetFacts(TypedDict):
    """A data set, as a figure depends on it."""

    name: str
    title: str
    n_images: int
    n_classes: NotRequired[int]
    n_images_used: NotRequired[int]
    sha256: str
    sha256_of: NotRequired[str]
    homographies_sha256: NotRequired[str]
    ground_truth_sha256: NotRequired[str]
    origin: str


class Heading(TypedDict):
    """What the result of a benchmark begins with."""

    kind: str
    format: int
    benchmark: str
    title: str
    quick: bool


class Result(Heading):
    """What the results of every kind have; ``environment`` is that of ``cvbow.experiments.environment``."""

    dataset: DatasetFacts
    environment: dict[str, Any]


def heading(kind: str, definition: Definition, job: Job) -> Heading:
    """Return what the result of a benchmark begins with."""
    return {
        "kind": kind,
        "format": FORMAT,
        "benchmark": definition.name,
        "title": definition.title,
        "quick": job.quick,
    }


def find_places(names: Sequence[str], data: DataFolders | None) -> dict[str, Place]:
    """Find the data sets of a benchmark, its own first, as ``locate`` does; ValueError where ``data`` names another."""
    given = {} if data is None else dict(data) if isinstance(data, Mapping) else {names[0]: data}
    unknown = set(given) - set(names)
    if unknown:
        raise ValueError(f"data must be of {', '.join(names)}, got {min(unknown)!r}")
    return {name: locate(name, given.get(name)) for name in names}


def dataset_facts(
    place: Place, images: LabelledImages, *, n_jobs: int | None, only: set[int] | None = None
) -> DatasetFacts:
    """Return what a result says of a data set; with ``only``, the hash is that of these images.

    DatasetError where it has other images than it should, or a file is not the one that was fetched.
    """
    return {
        "name": place.manifest.name,
        "title": place.manifest.title,
        "n_images": len(images),
        "sha256": identify(place, images, only=only, n_jobs=n_jobs),
        "origin": place.origin,
    }


def facts_table(result: Mapping[str, Any]) -> Table:
    """Return what a result's figures depend on: protocol, data sets, machine."""
    protocol = result["protocol"] if "protocol" in result else result["definition"]["protocol"]["text"]
    rows = [("title", result["title"]), ("protocol", protocol)]
    rows += [("data set", _said(dataset)) for dataset in (result["dataset"], *result.get("others", ()))]
    rows.append(("machine", f"{machine([result['environment']])} {result['environment']['workers']} workers."))
    return Table((), rows)


def _said(dataset: Mapping[str, Any]) -> str:
    used, total = dataset.get("n_images_used"), dataset["n_images"]
    hashes = [
        f"{key.removesuffix('sha256').replace('_', ' ')}sha256:{value}"
        for key, value in dataset.items()
        if key.endswith("sha256")
    ]
    of = f" of {dataset['sha256_of']}" if "sha256_of" in dataset else ""
    return f"{dataset['name']}, {'' if used in (None, total) else f'{used} of '}{total} images, {', '.join(hashes)}{of}"


def spread(values: Sequence[float]) -> Spread:
    """Return the mean and the sample standard deviation."""
    return {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}


def rounded(value: float) -> float:
    """Return a cost with four digits: more would be noise."""
    return float(f"{value:.4g}")


def plain(value: Any) -> Any:
    """Return lists for tuples, at any depth, as JSON gives them back."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


def stored(model: ImageClassifier) -> dict[str, Any]:
    """Return the bytes and the content hash of a model's file; None and the reason where it cannot be saved."""
    with tempfile.TemporaryDirectory(prefix="cvbow-") as folder:
        path = Path(folder) / "model.cvbow"
        try:
            content_hash = model.save(path)
        except TypeError as error:  # a part of the model is of a class that model files do not hold
            return {"bytes": None, "content_hash": None, "reason": str(error)}
        return {"bytes": path.stat().st_size, "content_hash": content_hash}


def write_result(path: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Write ``result`` as JSON to ``path``, whole or not at all."""
    content = readable_json(result, indent=1) + b"\n"
    with replacing(path) as file:
        file.write(content)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; ValueError that names the file where it is none."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: not a JSON file: {error}") from None
