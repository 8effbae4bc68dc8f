"""Linear one-against-rest SVMs of image vectors, one thread: against scikit-learn's LinearSVC (liblinear)."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _measure import alternate, environment, folder_hash, pinned, rounded, summary
from numpy.typing import NDArray

from cvbow import make_model
from cvbow.parallel import single_threaded
from sections._fitted_svm import fit
from sections.inputs import Options, image_files

THREADS = 1
ROUNDS = 3
#: Of the registry's linear-svm.
C = 3.0
#: Rows whose float64 copy is made at a time.
_ROWS = 256

LABELS = {"cvbow": "cvbow LinearSVM", "linear-svc": "scikit-learn LinearSVC"}

NOTES = (
    "Both get the same float32 vectors and C; all else is their default. LinearSVC copies the vectors to float64 for "
    "liblinear, which keeps an index beside each value.",
    "cvbow's time includes its probabilities: five further problems on parts of the vectors, or one where there are "
    "more vectors than values. LinearSVC has none.",
    "objective: the norms and squared hinge losses of all classes, the intercept not penalised, in float64, over "
    "cvbow's. LinearSVC penalises the intercept, which is not what it is judged by here.",
    "memory: of a process that does nothing else, at its peak, over what it had before the fit, the vectors included.",
)


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors with their classes, and what they are."""

    source: dict[str, Any]
    X: NDArray[np.float32]
    y: NDArray[np.intp]


def run(options: Options) -> dict[str, Any]:
    """Time the contenders on vectors of several lengths, and give the section's record."""
    record: dict[str, Any] = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "left_out": [],
        "notes": NOTES,
        "settings": [],
    }
    for vectors in _inputs(options):
        n, d = vectors.X.shape
        n_classes = len(np.unique(vectors.y))
        print(f"linear SVM, {n} vectors of {d} values, {n_classes} classes", file=sys.stderr)
        contenders = {name: functools.partial(_fitted, name, vectors) for name in LABELS}
        with pinned(THREADS), single_threaded():
            turns = alternate(contenders, rounds=options.rounds_or(ROUNDS), warm_up=False, keep=True)
        objectives = {name: _objective(turns[name].answers[-1], vectors) for name in LABELS}
        rows = summary(turns, LABELS)
        for row in rows:
            row["objective_over_cvbow"] = rounded(objectives[row["name"]] / objectives["cvbow"], 5)
            row["memory"] = _memory_of(row["name"], vectors)
        given = vectors.source | {"vectors": [n, d], "n_classes": n_classes, "C": C}
        record["settings"].append({"input": given, "contenders": rows})
    return record


def _inputs(options: Options) -> Iterator[Vectors]:
    """Bags of words and Fisher vectors of 15-Scene, or generated vectors as long; and many that are shorter."""
    if options.smoke:
        yield _generated(60, 300, 3, options.seed)
        return
    for preset, length in (("bow", 8_000), ("fisher", 115_200)):
        if options.data is not None:
            yield _encoded(options.data / "train", preset)
        else:
            yield _generated(1_500, length, 15, options.seed)
    yield _generated(10_000, 1_600, 10, options.seed)


def _encoded(folder: Path, preset: str) -> Vectors:
    paths = image_files(folder)
    backend = make_model(preset).backend.fit(paths)
    _, labels = np.unique([path.parent.name for path in paths], return_inverse=True)
    source = {"images": "15-Scene, train", "preset": preset, "sha256": folder_hash(folder)}
    return Vectors(source, backend.transform(paths), labels)


def _generated(n: int, d: int, n_classes: int, seed: int) -> Vectors:
    """Vectors of length 1 around the means of classes that overlap."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    X = rng.standard_normal((n, d), np.float32)
    X += 4 / np.sqrt(d) * rng.standard_normal((n_classes, d), np.float32)[labels] * np.sqrt(n_classes)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return Vectors({"images": "none: generated vectors", "seed": seed}, X, labels)


def _fitted(name: str, vectors: Vectors, _: int) -> Any:
    return fit(name, C, vectors.X, vectors.y)


def _objective(model: Any, vectors: Vectors) -> float:
    """What both minimise but for the intercept's penalty, summed over the classes."""
    coefficients = np.asarray(model.coef_, np.float64)
    signs = np.where(vectors.y[:, None] == model.classes_, 1.0, -1.0)
    if len(coefficients) == 1:
        signs = signs[:, 1:]
    total = 0.5 * float((coefficients**2).sum())
    for top in range(0, len(vectors.X), _ROWS):
        rows = slice(top, top + _ROWS)
        decisions = vectors.X[rows].astype(np.float64) @ coefficients.T + model.intercept_
        total += C * float((np.maximum(0, 1 - signs[rows] * decisions) ** 2).sum())
    return total


def _memory_of(name: str, vectors: Vectors) -> dict[str, float]:
    """Megabytes that fitting a contender takes at its peak, in a process of its own."""
    with tempfile.TemporaryDirectory() as work:
        files = [str(Path(work) / "vectors.npy"), str(Path(work) / "labels.npy")]
        np.save(files[0], vectors.X)
        np.save(files[1], vectors.y)
        done = subprocess.run(
            [sys.executable, "-m", "sections._fitted_svm", name, str(C), *files],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"fitting {LABELS[name]} failed with exit status {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    found["over_mb"] = found["peak_mb"] - found["before_mb"]
    return {key: rounded(value) if value else 0.0 for key, value in found.items()}
