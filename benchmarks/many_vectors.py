"""Linear classifiers of many vectors: how fast they are learned, and what vectors in a file change and take.

    python benchmarks/many_vectors.py [solver] [file] [growth] [--data DIR] [--rows N ...] [--json FILE]
    python benchmarks/many_vectors.py --smoke

solver: vectors of the preset `patches` from the small CIFAR-10, by the few passes of L-BFGS and, in turns, by Newton's
method with conjugate gradients, as up to 5,000 vectors are solved; what both decide on the test images.
file: 15-Scene by the preset `bow`, from float32 in memory and from a file of float16; what both decide on the test
images.
growth: jittered copies of a thousand images' vectors (8,000 values) in a file of float16, of several lengths, an
image's copies with the weight of one (C is as much smaller as there are copies): time, and the peak of a process that
does nothing else, in all and without the mapped file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import ROOT, alternate, environment, merge_sections, rounded, shared_data, summary
from numpy.typing import NDArray
from sections._memory import memory

from cvbow import list_images, make_model, read_image
from cvbow.classify import LinearSVM, LogisticRegression, _squared_hinge
from cvbow.experiments.scripts.many_vectors import SECTIONS
from cvbow.parallel import default_jobs, single_threaded

RESULTS = ROOT / "benchmarks" / "results" / "many-vectors.json"
LABELS = {"cvbow": "L-BFGS on a sampled curvature", "newton": "Newton, conjugate gradients"}
THREADS = 2
#: Words of `patches`, each of which makes eight values, and whether each image is there once more, a pixel aside.
_SOLVED = ((320, False), (800, True))
ROWS = (2_000, 20_000, 200_000)
_IMAGES, _JITTER = 1_000, 0.3
_CLASSIFIERS = {"linear-svm": LinearSVM(C=3.0), "logistic-regression": LogisticRegression(C=100.0)}

Vectors = tuple[NDArray[Any], NDArray[np.intp]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that are asked for, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--data", type=Path, metavar="DIR", default=shared_data(), help="holds SET/{train,test}")
    parser.add_argument("--rows", type=int, nargs="+", metavar="N", default=ROWS, help="growth: lengths of the file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/many-vectors.json")
    parser.add_argument("--smoke", action="store_true", help="seconds, on generated vectors; writes no file by default")
    parser.add_argument("--fit", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.fit is not None:
        print(json.dumps(_fitted(options.fit)))
        return 0
    unknown = [name for name in options.parts if name not in SECTIONS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; parts are {', '.join(SECTIONS)}")
    if options.data is None and not options.smoke:
        parser.error(
            "--data must name a folder that has cifar10_small and scene15, as SET/{train,test}/<class>/<image>"
        )
    if options.smoke:
        options.rows = (600,)
    target = options.json or (None if options.smoke else RESULTS)
    measure = {"solver": _solver, "file": _file, "growth": _growth}
    for name in options.parts or SECTIONS:
        with single_threaded(), default_jobs(THREADS):
            result = {"environment": environment(threads=THREADS, seed=0, smoke=options.smoke)}
            result |= measure[name](options)
        print(json.dumps({name: {key: value for key, value in result.items() if key != "environment"}}, indent=1))
        if target is not None:
            merge_sections(target, {name: result}, order=SECTIONS)
            print(f"written to {target}", file=sys.stderr)
    return 0


def _solver(options: argparse.Namespace) -> dict[str, Any]:
    """Solve by few passes and by many, in turns, and compare what both decide."""
    settings = []
    for n_words, twice in _SOLVED[:1] if options.smoke else _SOLVED:
        (X, y), (held_out, _) = _made_here(300, 40) if options.smoke else _patches(options.data, n_words, twice)
        model = LinearSVM(C=10.0, standardize=True)

        def fitted(many: int, X: Any = X, y: Any = y, model: Any = model, held_out: Any = held_out) -> NDArray[Any]:
            before, _squared_hinge.MANY = _squared_hinge.MANY, many
            try:
                return np.asarray(model.fit(X, y).decision_function(held_out))
            finally:
                _squared_hinge.MANY = before

        contenders = {"cvbow": lambda _: fitted(100), "newton": lambda _: fitted(1 << 60)}
        turns = alternate(contenders, rounds=1 if len(X) > 10_000 else 2, warm_up=False, keep=True)
        answers = [turns[name].answers[-1] for name in LABELS]
        settings.append({"vectors": list(X.shape), "contenders": summary(turns, LABELS), **_compared(*answers)})
    return {"settings": settings}


def _patches(data: Path, n_words: int, twice: bool) -> tuple[Vectors, Vectors]:
    images = list_images(data / "cifar10_small")
    parts = []
    backend = make_model("patches", settings={"n_words": n_words}, n_jobs=THREADS).backend
    for split in ("train", "test"):
        some = images.select(split)
        if split == "train":
            backend.fit(some.paths)
        vectors = backend.transform(some.paths)
        labels = np.unique(some.labels, return_inverse=True)[1]
        if split == "train" and twice:
            moved = [np.roll(read_image(path), (1, 1), axis=(0, 1)) for path in some.paths]
            vectors, labels = np.concatenate([vectors, backend.transform(moved)]), np.tile(labels, 2)
        parts.append((vectors, labels))
    return parts[0], parts[1]


def _file(options: argparse.Namespace) -> dict[str, Any]:
    """Learn from float32 in memory and from float16 in a file, and compare what both decide."""
    (X, y), (held_out, wanted) = _made_here(60, 200) if options.smoke else _bags(options.data, ("train", "test"))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/vectors.npy", X.astype(np.float16))
        in_file = np.load(f"{folder}/vectors.npy", mmap_mode="r")
        for name, model in _CLASSIFIERS.items():
            answers = [np.asarray(model.fit(each, y).decision_function(held_out)) for each in (X, in_file)]
            right = [rounded(float((_labels(each) == wanted).mean())) for each in answers]
            found[name] = {"accuracy_memory": right[0], "accuracy_file": right[1], **_compared(*answers)}
    return {"vectors": list(X.shape), "n_test": len(held_out), "classifiers": found}


def _bags(data: Path, splits: Sequence[str]) -> list[Vectors]:
    images, parts = list_images(data / "scene15"), []
    backend = make_model("bow", n_jobs=THREADS).backend
    for split in splits:
        some = images.select(split)
        if not parts:
            backend.fit(some.paths)
        parts.append((backend.transform(some.paths), np.unique(some.labels, return_inverse=True)[1]))
    return parts


def _labels(decisions: NDArray[Any]) -> NDArray[Any]:
    return decisions.argmax(axis=1) if decisions.ndim == 2 else (decisions > 0).astype(int)


def _compared(ours: NDArray[Any], theirs: NDArray[Any]) -> dict[str, float]:
    difference = np.abs(ours - theirs)
    return {
        "equal_labels": rounded(float((_labels(ours) == _labels(theirs)).mean()), 6),
        "largest_difference": rounded(float(difference.max())),
        "mean_difference": rounded(float(difference.mean())),
        "range_of_decisions": rounded(float(np.ptp(theirs))),
    }


def _growth(options: argparse.Namespace) -> dict[str, Any]:
    """Learn from files of several lengths, each in a process of its own."""
    X, y = _made_here(60, 50)[0] if options.smoke else _bags(options.data, ("train",))[0]
    if not options.smoke:
        kept = np.sort(np.random.default_rng(0).permutation(len(X))[:_IMAGES])
        X, y = X[kept], y[kept]
    rows = []
    for n in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            np.save(f"{folder}/labels.npy", _write_jittered(Path(folder) / "vectors.npy", X, y, n))
            written = time.perf_counter() - started
            done = subprocess.run(
                [sys.executable, __file__, "--fit", folder], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"learning from {n} vectors failed:\n{done.stderr[-2000:]}")
            size = (Path(folder) / "vectors.npy").stat().st_size / 1e6
        rows.append({"n": n, "d": X.shape[1], "file_mb": rounded(size), "writing_seconds": rounded(written)})
        rows[-1] |= json.loads(done.stdout)
        print(rows[-1], file=sys.stderr)
    return {"images": len(X), "rows": rows}


def _write_jittered(file: Path, X: NDArray[np.float32], y: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Write n vectors, each a mixture of an image's and of a little of another's of its class; return their classes."""
    rng = np.random.default_rng(0)
    vectors = np.lib.format.open_memmap(file, "w+", np.float16, (n, X.shape[1]))
    index = rng.integers(0, len(X), n)
    members = {label: np.flatnonzero(y == label) for label in np.unique(y)}
    for top in range(0, n, 500):
        these = index[top : top + 500]
        others = np.array([rng.choice(members[y[row]]) for row in these])
        share = rng.uniform(0, _JITTER, (len(these), 1)).astype(np.float32)
        noise = 1 + 0.1 * rng.standard_normal((1, X.shape[1]), np.float32)
        vectors[top : top + 500] = ((1 - share) * X[these] + share * X[others]) * noise
    vectors.flush()
    return np.asarray(y[index])


def _fitted(folder: Path) -> dict[str, Any]:
    """Learn from the file in a folder, and tell seconds, steps and megabytes."""
    X, y = np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    with single_threaded(), default_jobs(THREADS):
        LinearSVM().fit(X[:40:20], [0, 1])  # what is imported on first use is not its memory
        before, own, done = memory(), [0.0], threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                own.append(memory().get("RssAnon", 0.0))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            started = time.perf_counter()
            model = LinearSVM(C=3.0 * _IMAGES / len(X)).fit(X, y)
            seconds = time.perf_counter() - started
        finally:
            done.set()
            watcher.join()
        some = slice(None, None, max(1, len(X) // 1000))
        right = float((model.predict(X[some]) == y[some]).mean())
    return {
        "seconds": rounded(seconds),
        "steps": model.n_iter_,
        "before_mb": rounded(before["VmHWM"]),
        "own_peak_mb": rounded(max(own)),
        "peak_mb": rounded(memory()["VmHWM"]),
        "training_accuracy": rounded(right),
    }


def _made_here(n: int, d: int) -> tuple[Vectors, Vectors]:
    """Vectors around the means of three classes that overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(n + 50) % 3
    X = (rng.standard_normal((n + 50, d)) + 2 * rng.standard_normal((3, d))[labels]).astype(np.float32) / np.sqrt(d)
    X = X.astype(np.float32)
    return (X[:n], labels[:n]), (X[n:], labels[n:])


if __name__ == "__main__":
    sys.exit(main())
