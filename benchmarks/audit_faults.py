"""Faults that are planted in copies of 15-Scene and flowers5, and what `cvbow audit` finds of them.

    python benchmarks/audit_faults.py [SET-TRIAL ...] [--seed N] [--jobs N] [--per-class N] [--data DIR] [--json FILE]
        [--keep DIR]
    python benchmarks/audit_faults.py --smoke

Each data set has three trials. `faults`: in the training part 5 % of the labels changed at random, 2 % strangers from
the other set, and 1 % of the pictures each dark, bright, blurred, flat and narrow; copies of 3 % of it in the test
part, resized, recompressed, mirrored and cropped in turn; of coloured sets, as many recoloured ones, which are no
copies. `similar`: 5 % of the labels changed to the class that a quick model takes an image's own class for most often.
`shortcuts`: a chequered mark on one class, a date as a camera prints it on another, and a third one saved as PNG. No
image has two faults.

The findings are those that `cvbow audit` has at its defaults, in a process of its own. A finding is right if it is
about an image that has the fault; of a leak, if it joins the copy and what it is a copy of. What faults a set has of
its own is unknown: they count as wrong, but for pairs in which nothing was planted, which are counted apart. Images
with another fault are left out where a finding about them would be neither right nor wrong: strangers and spoiled
pictures may well have a doubtful label, and a spoiled picture may well be like no other.

In the same run, on the same files: cleanlab for the labels, given the vectors of the same recipe, and CleanVision for
pictures and copies (`peers/`; left out where they are not installed). Each trial goes into the JSON file as soon as it
is done.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _faults import LEAKS, SPOILED, Planted, plant_many, plant_shortcuts, plant_similar
from _measure import ROOT, environment, merge_sections, rounded, shared_data

from cvbow.experiments.scripts.audit_faults import SECTIONS

RESULTS = ROOT / "benchmarks" / "results" / "audit-faults.json"
#: By data set: where its strangers come from.
SETS = {"scene15": "flowers5", "flowers5": "scene15"}

Found = Sequence[Mapping[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant, audit, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", metavar="SET-TRIAL", help=f"of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults; default %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="default %(default)s")
    parser.add_argument("--per-class", type=int, metavar="N", help="only so many images of each class and part")
    parser.add_argument("--data", type=Path, metavar="DIR", default=shared_data(), help="holds SET/{train,test}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/audit-faults.json")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the copies, the findings and a page of them there"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="seconds, on images made here, by the preset fast; writes no file"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.trials if name not in SECTIONS]
    if unknown:
        parser.error(f"no trial {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    target = options.json or (None if options.smoke or options.per_class else RESULTS)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if options.smoke:
            options.data = _made(place / "made")
            options.trials = options.trials or ["scene15-faults", "scene15-shortcuts"]
        elif options.data is None:
            parser.error("--data must name a folder that has scene15 and flowers5, as SET/{train,test}/<class>/<image>")
        if options.per_class:
            options.data = _fewer(options.data, place / "fewer", options.per_class)
        for name in options.trials or SECTIONS:
            result = _trial(name, options, (options.keep or place) / name)
            print(json.dumps({name: {key: value for key, value in result.items() if key != "environment"}}, indent=1))
            if target is not None:
                merge_sections(target, {name: result}, order=SECTIONS)
                print(f"written to {target}", file=sys.stderr)
    return 0


def _trial(name: str, options: argparse.Namespace, place: Path) -> dict[str, Any]:
    data, _, trial = name.partition("-")
    source, others = options.data / data, options.data / SETS[data]
    place.mkdir(parents=True)
    place = place.resolve()
    if trial == "faults":
        planted = plant_many(source, others, place / "images", options.seed)
    elif trial == "similar":
        planted = plant_similar(source, _mistaken(source, options.jobs), place / "images", options.seed)
    else:
        planted = plant_shortcuts(source, place / "images", options.seed)
    result: dict[str, Any] = {
        "environment": environment(
            threads=options.jobs, seed=options.seed, smoke=options.smoke or bool(options.per_class)
        ),
        "n_train": len(planted.paths("train")),
        "n_test": len(planted.paths("test")),
        "cvbow": {},
    }
    document, cost = _audit(planted.folder, place, options)

    def below(path: str) -> str:
        return Path(path).relative_to(planted.folder).as_posix()

    findings = [each | {"paths": [below(path) for path in each["paths"]]} for each in document["findings"]]
    result["cvbow"] = {**cost, "listed": dict(Counter(each["kind"] for each in findings)), **_judged(findings, planted)}
    if planted.labels:
        doubts = {below(path): score for path, score in document["doubts"].items()}
        judged = _without(planted.paths("train"), planted.strangers, planted.spoiled)
        result["cvbow"]["label"]["auroc_of_all"] = _listed(doubts, planted.labels, judged)["auroc"]
    if planted.labels and importlib.util.find_spec("cleanlab") is not None:
        result["cleanlab"] = _cleanlab(planted, place, options.jobs)
    if planted.leaks and importlib.util.find_spec("cleanvision") is not None:
        result["cleanvision"] = _cleanvision(planted, options.jobs)
    return result


#: What a process of its own does: what `cvbow audit` does, and beside the findings the doubts about all labels.
_AUDIT = """
import json, sys
from _measure import peak_memory
from cvbow.audit import audit_images
from cvbow.images import list_images
from cvbow.report import write_audit_report
folder, preset, jobs, cache, page = sys.argv[1:]
chosen = {"preset": preset} if preset else {}
found = audit_images(list_images(folder, several=True), **chosen, cache=cache, n_jobs=int(jobs), keep_model=bool(page))
if page:
    write_audit_report(page, found, title=folder, n_jobs=int(jobs))
json.dump({**found.as_dict(), "doubts": dict(found.doubts), "peak": peak_memory()}, sys.stdout)
"""


def _audit(folder: Path, place: Path, options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Audit in a process of its own; return what was found, and its seconds, the processor's, and the peak memory."""
    page = str(place / "page.html") if options.keep else ""
    preset = "fast" if options.smoke else ""  # the default
    command = [sys.executable, "-c", _AUDIT, str(folder), preset, str(options.jobs), str(place / "cache"), page]
    started = time.perf_counter()
    with (place / "findings.json").open("wb") as file:
        process = subprocess.Popen(command, stdout=file, cwd=ROOT / "benchmarks")
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"the audit of {folder} ended with {os.waitstatus_to_exitcode(status)}")
    document = json.loads((place / "findings.json").read_text())
    peak = document["peak"]
    cost = {"seconds": rounded(seconds), "cpu_seconds": rounded(used.ru_utime + used.ru_stime)}
    return document, {**cost, "peak_mb": None if peak is None else rounded(peak / 1e6)}


def _judged(findings: Found, planted: Planted) -> dict[str, Any]:
    """Return how many of each fault were found, and how many findings were right."""
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for each in findings:
        by_kind.setdefault(each["kind"], []).append(each)
    train, found = planted.paths("train"), dict[str, Any]()
    scores = {
        kind: {each["paths"][0]: float(each["score"]) for each in reversed(by_kind.get(kind, []))}
        for kind in ("label", "stranger", "picture")
    }
    if planted.labels:
        found["label"] = _listed(scores["label"], planted.labels, _without(train, planted.strangers, planted.spoiled))
        right = {each["paths"][0]: each["suggested"] for each in by_kind.get("label", [])}
        named = [right[path] == own for path, own in planted.labels.items() if path in right]
        found["label"]["rightly_suggested"] = rounded(sum(named) / len(named)) if named else None
    if planted.strangers:
        judged = _without(train, planted.spoiled)
        found["stranger"] = _listed(scores["stranger"], planted.strangers, judged)
    if planted.spoiled:
        found["picture"] = _listed(scores["picture"], planted.spoiled, _without(train, planted.strangers))
        found["picture"]["recall_by_kind"] = _by_kind(planted.spoiled, scores["picture"], SPOILED)
    if planted.leaks:
        same = [*by_kind.get("leak", []), *by_kind.get("duplicate", [])]
        pairs = [(each["paths"][0], path) for each in same for path in each["paths"][1:]]
        found["leak"] = _joined(pairs, planted)
    shortcuts = by_kind.get("shortcut", [])
    if planted.shortcuts:
        places = {}
        for name, what in planted.shortcuts.items():
            ranks = [rank for rank, each in enumerate(shortcuts, start=1) if each["label"] == name]
            places[what] = {"class": name, "place": ranks[0] if ranks else None}
            if ranks:
                best = shortcuts[ranks[0] - 1]
                places[what] |= {"score": best["score"], "why": best["why"]}
        found["shortcut"] = places
    return found


def _listed(scores: Mapping[str, float], faulty: Collection[str], judged: Collection[str]) -> dict[str, Any]:
    """Return precision and recall of images that were listed, and the area under the curve of their scores.

    Images that are not listed have the score 0.
    """
    from sklearn.metrics import roc_auc_score

    listed = [path for path in judged if path in scores]
    right = sum(path in faulty for path in listed)
    area = roc_auc_score([path in faulty for path in judged], [scores.get(path, 0.0) for path in judged])
    return {
        "planted": len(faulty),
        "listed": len(listed),
        "right": right,
        "precision": rounded(right / len(listed)) if listed else None,
        "recall": rounded(right / len(faulty)),
        "auroc": rounded(float(area)),
    }


def _joined(pairs: Sequence[tuple[str, str]], planted: Planted) -> dict[str, Any]:
    """Return how many copies were joined with what they are copies of, and how many pairs were right."""
    wanted = {frozenset((copy, origin)) for copy, (origin, _) in planted.leaks.items()}
    pairs_found = {frozenset(pair) for pair in pairs}
    made = {*planted.leaks, *planted.decoys}
    ours = [pair for pair in pairs_found if pair & made]
    right = sum(pair in wanted for pair in ours)
    hit = {copy: 1.0 for copy, (origin, _) in planted.leaks.items() if frozenset((copy, origin)) in pairs_found}
    return {
        "planted": len(planted.leaks),
        "listed": len(ours),
        "right": right,
        "precision": rounded(right / len(ours)) if ours else None,
        "recall": rounded(len(hit) / len(planted.leaks)),
        "recall_by_kind": _by_kind({copy: kind for copy, (_, kind) in planted.leaks.items()}, hit, LEAKS),
        "decoys": len(planted.decoys),
        "decoys_listed": len({path for pair in pairs_found for path in pair if path in planted.decoys}),
        "other_pairs": len(pairs_found) - len(ours),
    }


def _cleanlab(planted: Planted, place: Path, jobs: int) -> dict[str, Any]:
    from peers import cleanlab_labels

    from cvbow.presets import Auto

    train, test = planted.paths("train"), planted.paths("test")
    files = {path: planted.folder / path for path in [*train, *test]}
    chosen = Auto(n_jobs=jobs, memory=place / "cache").choose(list(files.values()))
    vectors = chosen.backend.fit([files[path] for path in train]).transform(list(files.values()))
    issues = cleanlab_labels.run(vectors, [path.split("/")[1] for path in files])
    judged = _without(train, planted.strangers, planted.spoiled)
    every = dict(zip(files, issues["scores"], strict=True))
    listed = {path: every[path] for path in (list(files)[row] for row in issues["rows"])}
    found = _listed(listed, planted.labels, judged)
    # It has a score for each image, listed or not.
    found["auroc_of_all"] = _listed(every, planted.labels, judged)["auroc"]
    return {**{key: issues[key] for key in ("seconds", "cpu_seconds", "C", "log_loss", "versions")}, "label": found}


def _cleanvision(planted: Planted, jobs: int) -> dict[str, Any]:
    from peers import cleanvision_issues

    issues = cleanvision_issues.run(planted.folder, jobs=jobs)

    def below(path: str) -> str:
        return Path(path).resolve().relative_to(planted.folder).as_posix()

    every = {below(path): row for path, row in issues["pictures"].items()}
    listed = {path: float(row["score"]) for path, row in every.items() if row["issues"]}
    judged = _without(planted.paths("train"), planted.strangers)
    pictures = _listed(listed, planted.spoiled, judged)
    pictures["recall_by_kind"] = _by_kind(planted.spoiled, listed, SPOILED)
    pictures["auroc_of_all"] = _listed({path: row["score"] for path, row in every.items()}, planted.spoiled, judged)[
        "auroc"
    ]
    pairs = [
        (below(first), below(second))
        for each in issues["sets"]
        for at, first in enumerate(each)
        for second in each[at + 1 :]
    ]
    return {
        "seconds": issues["seconds"],
        "versions": issues["versions"],
        "picture": pictures,
        "leak": _joined(pairs, planted),
    }


def _by_kind(kinds: Mapping[str, str], hit: Collection[str], order: Sequence[str]) -> dict[str, float | None]:
    counts = Counter(kinds.values())
    right = Counter(kind for path, kind in kinds.items() if path in hit)
    return {kind: rounded(right[kind] / counts[kind]) if counts[kind] else None for kind in order}


def _without(paths: Sequence[str], *others: Collection[str]) -> list[str]:
    return [path for path in paths if not any(path in other for other in others)]


def _mistaken(source: Path, jobs: int) -> dict[str, str]:
    """Return for each class the one that a quick model takes it for most often, by folds."""
    from cvbow import make_model
    from cvbow.classify import cross_probabilities

    paths = sorted((source / "train").glob("*/*"))
    labels = np.array([path.parent.name for path in paths])
    model = make_model("fast", n_jobs=jobs).fit(paths, labels)
    probabilities = cross_probabilities(model.classifier_, model.backend_.transform(paths), labels)
    answers = model.classes_[probabilities.argmax(axis=1)]
    names = sorted(set(labels.tolist()))
    like = {}
    for name in names:
        wrong = Counter(answers[(labels == name) & (answers != name)].tolist())
        like[name] = max((other for other in names if other != name), key=lambda other: wrong[other])
    return like


def _fewer(data: Path, folder: Path, number: int) -> Path:
    """Copy only so many images of each class and part, evenly over their names."""
    import shutil

    for name in SETS:
        for part in ("train", "test"):
            for place in sorted((data / name / part).iterdir()):
                files = sorted(place.iterdir())
                (folder / name / part / place.name).mkdir(parents=True)
                for row in sorted({round(at) for at in np.linspace(0, len(files) - 1, number).tolist()}):
                    shutil.copyfile(files[row], folder / name / part / place.name / files[row].name)
    return folder


def _made(folder: Path) -> Path:
    """Write textures of three classes as both data sets: waves of two directions, and spots."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :128]
    for name in SETS:
        for part, number in (("train", 20), ("test", 6)):
            for kind in ("across", "down", "spots") if name == "scene15" else ("fine", "coarse"):
                place = folder / name / part / kind
                place.mkdir(parents=True)
                for row in range(number):
                    wide, a, b = rng.uniform(6, 9), *rng.uniform(0, 6, 2)
                    across, down = np.sin(6.28 * x / wide + a), np.sin(6.28 * y / wide + b)
                    wave = {"across": across, "down": down, "spots": across * down}.get(kind)
                    side = 3 if kind == "fine" else 20
                    noise = cv2.resize(rng.normal(size=(128 // side, 128 // side)), (128, 96))
                    values = (
                        128
                        + 60 * (noise if wave is None else wave)
                        + 20 * cv2.resize(rng.normal(size=(6, 8)), (128, 96))
                    )
                    cv2.imwrite(str(place / f"{row:02d}.jpg"), np.clip(values, 0, 255).astype(np.uint8))
    return folder


if __name__ == "__main__":
    raise SystemExit(main())
