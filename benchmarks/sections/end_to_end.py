"""From a folder of images to a judged classifier, two threads: cvbow's command line against the popular recipe."""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import ROOT, alternate, environment, folder_hash, rounded, summary

from sections.inputs import SUFFIXES, Options, write_scenes

THREADS = 2
ROUNDS = 1

LABELS = {
    "opencv-bow": "the popular recipe: OpenCV SIFT, BOWKMeansTrainer(500), RBF SVM",
    "cvbow-fast": "cvbow train --preset fast",
    "cvbow": "cvbow train --preset bow",
    "cvbow-auto": "cvbow train, whose default recipe is auto",
}

NOTES = (
    "Wall time of whole processes, the start of Python and all imports included: one process for the popular "
    "recipe, two for cvbow (train, evaluate).",
    "Every process is told to use two threads (--threads, --n-jobs, OMP_NUM_THREADS, OPENBLAS_NUM_THREADS). The "
    "images are read once before, so that nobody pays for a cold disk.",
    "The popular recipe is benchmarks/peers/opencv_bow.py with its defaults: histograms of unit length before the "
    "SVM, the best of the variants in benchmarks/peers/README.md, and 20,000 descriptors for k-means.",
)


def run(options: Options) -> dict[str, Any]:
    """Time the recipes and give the section's record."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if options.smoke:
            rng = np.random.default_rng(options.seed)
            train = write_scenes(work / "train", per_class=6, rng=rng)
            test = write_scenes(work / "test", per_class=4, rng=rng)
        elif options.data is not None:
            train, test = options.data / "train", options.data / "test"
        else:
            raise SystemExit("end-to-end needs 15-Scene: --data DIR with DIR/train/<class>/ and DIR/test/<class>/")
        print("end to end: minutes for each recipe", file=sys.stderr)
        record = {
            "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
            "input": {
                "images": "generated" if options.smoke else "15-Scene",
                "n_train": _count(train),
                "n_test": _count(test),
                "sha256": folder_hash(train, test),  # reads them all: from here on they are in memory
            },
            "left_out": [],
            "notes": NOTES,
        }
        peer = functools.partial(_popular, train, test, work, 10 if options.smoke else None)
        contenders = {
            "opencv-bow": peer,
            "cvbow-fast": functools.partial(_cvbow, train, test, work, "fast"),
            "cvbow": functools.partial(_cvbow, train, test, work, "bow"),
            "cvbow-auto": functools.partial(_cvbow, train, test, work, "auto"),
        }
        rounds = options.rounds or ROUNDS
        turns = alternate(contenders, rounds=rounds, warm_up=False, keep=True)
    rows = summary(turns, LABELS)
    base = turns["opencv-bow"].seconds
    for row in rows:
        seconds, answers = turns[row["name"]].seconds, turns[row["name"]].answers
        row.pop("ratio", None)
        row.pop("ratio_range", None)
        row["time_over_popular"] = rounded(statistics.median(s / b for s, b in zip(seconds, base, strict=True)))
        for key in ("accuracy", "mean_class_accuracy"):
            row[key] = round(statistics.median(answer[key] for answer in answers), 4)
        row["stages"] = [answer["stages"] for answer in answers]
    return record | {"contenders": rows}


def _count(folder: Path) -> int:
    return sum(p.suffix.lower() in SUFFIXES for p in folder.rglob("*"))


def _popular(train: Path, test: Path, work: Path, n_words: int | None, _: int) -> dict[str, Any]:
    script = str(ROOT / "benchmarks" / "peers" / "opencv_bow.py")
    words = [] if n_words is None else ["--words", str(n_words)]
    answer, _seconds = _call([script, str(train), str(test), "--threads", str(THREADS), *words], work)
    return {
        "accuracy": answer["accuracy"],
        "mean_class_accuracy": answer["mean_class_accuracy"],
        "stages": answer["seconds"],
    }


def _cvbow(train: Path, test: Path, work: Path, preset: str, _: int) -> dict[str, Any]:
    model = str(work / f"{preset}.cvbow")
    common = ["--n-jobs", str(THREADS), "--json", "--quiet"]
    command = ["-m", "cvbow_cli"]
    trained, train_wall = _call([*command, "train", str(train), "-o", model, "--preset", preset, *common], work)
    judged, evaluate_wall = _call([*command, "evaluate", model, str(test), *common], work)
    stages = {f"train: {stage}": seconds for stage, seconds in trained["seconds"].items() if stage != "total"}
    return {
        "accuracy": judged["accuracy"],
        "mean_class_accuracy": judged["mean_class_accuracy"],
        "stages": stages | {"train, whole process": train_wall, "evaluate, whole process": evaluate_wall},
    }


def _call(arguments: Sequence[str], folder: Path) -> tuple[dict[str, Any], float]:
    """Run Python with some arguments, away from the checkout; its JSON and its seconds."""
    threads = {"OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=os.environ | threads, capture_output=True, text=True, check=False
    )
    seconds = round(time.perf_counter() - started, 3)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:3])} failed with exit status {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer, seconds
