"""Running a benchmark of backends against each other."""

from __future__ import annotations

import os
from typing import Any

from cvbow.datasets import LabelledImages, identify, load_dataset, locate
from cvbow.experiments._drawing import Split, smoke_split
from cvbow.experiments.comparison import compare
from cvbow.experiments.comparison_definition import ComparisonDefinition
from cvbow.experiments.protocols import SplitProtocol

__all__ = ["run_comparison_benchmark"]


def run_comparison_benchmark(
    definition: ComparisonDefinition,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    n_jobs: int | None = -1,
    memory: Any = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Run a benchmark of backends against each other.

    Parameters
    ----------
    definition : ComparisonDefinition
    data_dir : path, optional
        The data set's folder; otherwise it is looked for as ``cvbow.datasets.locate`` does.
    n_jobs : int or None, default -1
        Workers, by joblib's convention.
    memory : str, path, joblib.Memory or None, default None
        Cache of vectors; the result then tells no times.
    quick : bool, default False
        A few images of the first split, to see that everything works. The result says so, and its figures mean nothing.

    Returns
    -------
    dict
        Of ``compare``, with the definition's name and notes and the data set's, and ``quick``.

    Raises
    ------
    DatasetError
        If the data set is not on this machine, or not as it should be.
    ImageError
        For the first image that cannot be read.
    NetworkError
        If a network that takes part is not on this machine.
    """
    place = locate(definition.dataset, data_dir)
    images = load_dataset(place)
    # Before the comparison: a data set that has changed should not be refused after hours.
    dataset = {
        "name": place.manifest.name,
        "title": place.manifest.title,
        "n_images": len(images),
        "n_classes": len(images.classes),
        "sha256": identify(place, images, n_jobs=n_jobs),
        "origin": place.origin,
    }
    result = compare(
        images,
        _Small(definition.protocol) if quick else definition.protocol,
        definition.contenders,
        classifier=definition.classifier,
        curve=definition.curve[:1] if quick else definition.curve,
        curve_draws=1 if quick else definition.curve_draws,
        curve_test_per_class=definition.curve_test_per_class,
        corruptions=definition.corruptions,
        corrupted_per_class=1 if quick else definition.corrupted_per_class,
        seed=definition.seed,
        n_jobs=n_jobs,
        memory=memory,
        title=definition.title,
        dataset=dataset,
    )
    return {**result, "benchmark": definition.name, "quick": quick, "notes": definition.notes}


class _Small:
    """A small part of a protocol's first split."""

    def __init__(self, protocol: SplitProtocol) -> None:
        self.protocol = protocol

    def splits(self, images: LabelledImages, *, seed: int = 0) -> list[Split]:
        return [smoke_split(images, self.protocol.splits(images, seed=seed)[0], seed=seed)]

    def describe(self) -> str:
        return f"{self.protocol.describe()}; a small part"
