"""Detectors that learn from boxes: cvbow's beside dlib's, on the same boxes, in one run on one thread.

    python benchmarks/detection.py [kangaroo] [bccd] [--data DIR] [--json FILE]
    python benchmarks/detection.py --smoke

Each data set goes into the JSON file as soon as it is done, in place of the one that was there. Of the blood cells
one training image of 24 is used: on all of them dlib takes the better part of an hour, and its trainer refuses the
red cells' boxes. The opponent is `peers/dlib_detector.py`, with boxes padded to the proportions of its window, which
gave it more than leaving them out. Times are of the processor, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _measure import ROOT, environment, merge_sections, pinned, rounded, shared_data

from cvbow.annotations import ObjectList, Objects, read_objects, write_objects
from cvbow.detection import ObjectDetector, evaluate_detections

RESULTS = ROOT / "benchmarks" / "results" / "detection.json"
#: By data set: one of so many training images.
SETS = {"kangaroo": 1, "bccd": 24}
LABELS = {"cvbow": "cvbow detect", "dlib": "dlib simple_object_detector, one for each class"}

#: What a contender is given, and returns: seconds of the processor to train and to detect, and what it found.
Contender = Callable[[Path, Path], tuple[float, float, list[Objects]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, detect, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"{', '.join(SETS)} (default: both)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", default=shared_data(), help="has SET/{train,test}/boxes.csv"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/detection.json")
    parser.add_argument("--smoke", action="store_true", help="seconds, on images made here; writes no file")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sets if name not in SETS]
    if unknown:
        parser.error(f"no data set {', '.join(unknown)}; there are {', '.join(SETS)}")
    target = options.json or (None if options.smoke else RESULTS)
    with tempfile.TemporaryDirectory() as folder:
        if options.smoke:
            options.data = _made(Path(folder))
        elif options.data is None:
            parser.error("--data must name a folder that has SET/{train,test}/boxes.csv")
        for name in options.sets or SETS:
            result = {"detectors": _judge(name, options.data / name, Path(folder), smoke=options.smoke)}
            print(json.dumps(result["detectors"]["contenders"], indent=1))
            if target is not None:
                merge_sections(target, {name: result["detectors"]}, order=list(SETS))
                print(f"written to {target}", file=sys.stderr)
    return 0


def _judge(name: str, data: Path, folder: Path, *, smoke: bool) -> dict[str, Any]:
    marked = read_objects(data / "train" / "boxes.csv")
    rows = range(0, len(marked), SETS[name])
    train, test = folder / f"{name}-train.csv", data / "test" / "boxes.csv"
    write_objects(
        train, ObjectList(tuple(marked.paths[row] for row in rows), tuple(marked.objects[row] for row in rows))
    )
    truth = read_objects(test)
    contenders: dict[str, Contender] = {"cvbow": _cvbow}
    left_out = []
    try:
        import dlib  # noqa: F401

        contenders["dlib"] = _dlib
    except ImportError:
        left_out.append("dlib: pip install dlib-bin")
    record: dict[str, Any] = {
        "environment": environment(threads=1, seed=0, smoke=smoke),
        "n_train": len(rows),
        "n_train_of": len(marked),
        "n_boxes": sum(len(marked.objects[row]) for row in rows),
        "n_test": len(truth),
        "left_out": left_out,
        "contenders": [],
    }
    for contender, call in contenders.items():
        with pinned(1):
            train_seconds, detect_seconds, found = call(train, test)
        report = evaluate_detections(truth, found)
        record["contenders"].append(
            {
                "name": contender,
                "label": LABELS[contender],
                "ap50": round(report.ap50, 4),
                "ap": round(report.ap, 4),
                "per_class": {key: round(row["ap50"], 4) for key, row in report.as_json()["per_class"].items()},
                "train_seconds": rounded(train_seconds),
                "detect_ms": rounded(1000 * detect_seconds / len(truth)),
            }
        )
    first = record["contenders"][0]
    for row in record["contenders"][1:]:
        row["train_over_cvbow"] = rounded(row["train_seconds"] / first["train_seconds"])
    return record


def _cvbow(train: Path, test: Path) -> tuple[float, float, list[Objects]]:
    marked = read_objects(train)
    started = time.process_time()
    detector = ObjectDetector(n_jobs=1).fit(marked.paths, marked.objects)
    trained = time.process_time()
    found = detector.detect(read_objects(test).paths)
    return trained - started, time.process_time() - trained, found


def _dlib(train: Path, test: Path) -> tuple[float, float, list[Objects]]:
    from peers import dlib_detector

    result = dlib_detector.run(train, test, threads=1)
    found = []
    for each in result["images"]:
        sides = [[row[side] for side in ("xmin", "ymin", "xmax", "ymax")] for row in each["objects"]]
        names, scores = ([row[key] for row in each["objects"]] for key in ("class", "score"))
        found.append(Objects.of(sides, names, scores))
    return result["seconds"]["train_cpu"], result["seconds"]["detect_cpu"], found


def _made(folder: Path) -> Path:
    """Write small images with discs, as both data sets."""
    random = np.random.default_rng(0)
    for name in SETS:
        for part in ("train", "test"):
            place = folder / "data" / name / part
            place.mkdir(parents=True)
            with (place / "boxes.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("image", "class", "xmin", "ymin", "xmax", "ymax"))
                for number in range(6 if part == "train" else 3):
                    image = random.integers(100, 150, (128, 160, 3), np.uint8)
                    x, y = (int(at) for at in random.integers((45, 45), (115, 83)))
                    cv2.circle(image, (x, y), 40, (30, 60, 200), -1)
                    cv2.imwrite(str(place / f"{number}.png"), image)
                    writer.writerow((f"{number}.png", "disc", x - 40, y - 40, x + 41, y + 41))
    return folder / "data"


if __name__ == "__main__":
    raise SystemExit(main())
