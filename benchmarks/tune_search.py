"""Searches for recipes side by side: the genetic one, a model of the good ones (TPE), and chance, at equal time.

    python benchmarks/tune_search.py [--time MINUTES] [--data flowers5] [--seed N] [--json FILE]
    python benchmarks/tune_search.py --smoke

The three searches run at the same time, each in a process of its own, so that all see the same load. They see the
training images alone, and begin with the same presets. Then two recipes of each front learn from all training images
and are judged on the test images, beside `auto`: the most accurate by cross-validation, and the fastest of those that
are no worse than `auto` by it. The test images choose nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import ROOT, environment, folder_hash, rounded, shared_data
from PIL import Image

from cvbow.experiments.results import stored, write_result
from cvbow.images import list_images
from cvbow.presets import PRESETS, Preset, make_model, write_recipes
from cvbow.presets.files import read_recipes
from cvbow.tuning import SAMPLERS, Outcome, Tuning, tune

RESULTS = ROOT / "benchmarks" / "results" / "tune-search.json"
#: Tries of the smoke run.
FEW = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, train, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="has train/ and test/ (default: flowers5)")
    parser.add_argument("--time", type=float, default=20.0, metavar="MINUTES", help="of a search (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int, default=-1, help="workers of each search (default: one per core)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/tune-search.json")
    parser.add_argument("--smoke", action="store_true", help="seconds, on images made here; writes no file")
    parser.add_argument("--one", nargs=2, metavar=("SAMPLER", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one is not None:
        _search(options, *options.one)
        return 0
    target = options.json or (None if options.smoke else RESULTS)
    with tempfile.TemporaryDirectory() as folder:
        if options.smoke:
            options.data = _made(Path(folder) / "data")
        elif options.data is None:
            shared = shared_data()
            if shared is None:
                parser.error("--data must name a folder that has train/ and test/")
            options.data = shared / "flowers5"
        surroundings = environment(threads=options.n_jobs, seed=options.seed, smoke=options.smoke)
        _side_by_side(options, Path(folder))
        result = _judge(options, Path(folder))
    result = {"kind": "cvbow-tune-search", **result, "environment": surroundings}
    if target is not None:
        write_result(target, result)
    print(json.dumps(result, indent=1) if options.smoke else f"wrote {target}")
    return 0


def _side_by_side(options: argparse.Namespace, folder: Path) -> None:
    """Run all searches at once, each to a file of recipes and one of figures in the folder."""
    words = [sys.executable, __file__, "--data", str(options.data), "--time", str(options.time)]
    words += ["--seed", str(options.seed), "--n-jobs", str(options.n_jobs), *(["--smoke"] if options.smoke else [])]
    searches = [subprocess.Popen([*words, "--one", sampler, str(folder)]) for sampler in SAMPLERS]
    if any([search.wait() for search in searches]):
        raise RuntimeError("a search failed")


def _search(options: argparse.Namespace, sampler: str, folder: str) -> None:
    images = list_images(str(options.data)).select("train")
    limit: dict[str, Any] = {"evaluations": FEW} if options.smoke else {"seconds": 60 * options.time}
    found = tune(images.paths, images.labels, sampler=sampler, seed=options.seed, n_jobs=options.n_jobs, **limit)
    # `auto` is the first that is tried, and may be no part of the front.
    auto = found.outcomes[0]
    chosen = {"best": found.front[0], "as good": _as_good(found, auto)}
    write_recipes(Path(folder, f"{sampler}.toml"), [one.recipe for one in chosen.values()])
    document = {
        "sampler": sampler,
        "seconds": round(found.seconds, 1),
        "n_evaluated": len(found.outcomes),
        "n_stopped": found.n_stopped,
        "n_front": len(found.front),
        "auto": auto.as_dict(),
        "chosen": {name: {**one.as_dict(), "summary": one.recipe.summary} for name, one in chosen.items()},
        "front": [{**one.as_dict(), "summary": one.recipe.summary} for one in found.front],
    }
    Path(folder, f"{sampler}.json").write_text(json.dumps(document), encoding="utf-8")


def _as_good(found: Tuning, auto: Outcome) -> Outcome:
    """Return the fastest of those that are no worse than `auto`; of a search that left `auto` out, the best."""
    good = [one for one in found.front if one.error <= auto.error]
    return min(good or found.front[:1], key=lambda one: one.milliseconds)


def _judge(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Let what was chosen learn from the training images, and answer for the test images."""
    images = list_images(str(options.data))
    train, test = images.select("train"), images.select("test")
    known: dict[str, dict[str, Any]] = {}

    def judged(recipe: str | Preset) -> dict[str, Any]:
        key = repr(recipe if isinstance(recipe, str) else (recipe.settings, recipe.classifier))
        if key not in known:
            model = make_model(recipe, n_jobs=options.n_jobs).fit(train.paths, train.labels)
            report, _ = model.evaluate(test.paths, test.labels)
            known[key] = {
                "test_accuracy": round(report.accuracy, 4),
                "test_mean_class_accuracy": round(report.mean_class_accuracy, 4),
                "model_bytes": stored(model)["bytes"],
            }
        return known[key]

    searches = [json.loads((folder / f"{sampler}.json").read_text(encoding="utf-8")) for sampler in SAMPLERS]
    for search in searches:
        recipes = read_recipes(folder / f"{search['sampler']}.toml")
        for one, recipe in zip(search["chosen"].values(), recipes, strict=True):
            one |= judged(recipe)
    auto = {**searches[0]["auto"], "summary": PRESETS["auto"].summary, **judged("auto")}
    # Of three measurements of the same recipe, one by each search.
    auto["measured"] = rounded(statistics.median(search["auto"]["measured"] for search in searches))
    return {
        "dataset": options.data.name,
        "sha256": folder_hash(options.data),
        "n_train": len(train),
        "n_test": len(test),
        "minutes": options.time,
        "auto": auto,
        "searches": searches,
    }


def _made(folder: Path) -> Path:
    """Write small images of two textures."""
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name, size in (("fine", 1), ("coarse", 8)):
            (folder / part / name).mkdir(parents=True)
            for number in range(5):
                grains = random.integers(0, 256, (64 // size, 64 // size, 3), np.uint8)
                pixels = grains.repeat(size, 0).repeat(size, 1)
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")
    return folder


if __name__ == "__main__":
    raise SystemExit(main())
