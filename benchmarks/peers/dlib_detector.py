"""dlib's `simple_object_detector`, one for each class: the opponent of `cvbow detect train`.

    python benchmarks/peers/dlib_detector.py TRAIN.csv TEST.csv [--boxes pad|drop] [--C 1] [--threads 1] [--json FILE]

The CSVs have the columns image, class, xmin, ymin, xmax, ymax; images lie relative to them. N. Dalal and B. Triggs,
CVPR 2005, with the trainer of D. King, "Max-margin object detection", 2015, as the wheel `dlib-bin` packages it: one
window shape for a class, sides in the mean proportion of its boxes, an area of 80 x 80 pixels, images mirrored as well.

dlib refuses boxes that its window cannot meet in half their area. Its users pad boxes to the window's proportions,
which `--boxes pad` does about each box's centre, or leave them out (`drop`). Where a class still has boxes that are too
small for the window, dlib enlarges the images up to twice; boxes that are too small even then are left out here, as
dlib's own message says one should.

The output has every detection, above a score of `--threshold`, so that precision can be told at every recall.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dlib
import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
#: Boxes smaller than this in a window's area, after two doublings of the image, are refused by dlib.
SMALLEST = 400.0


def read_boxes(path: Path) -> tuple[list[Path], list[dict[str, Boxes]]]:
    """The images of a CSV, in order of first mention, and the boxes of each by class."""
    rows: dict[str, dict[str, list[list[float]]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            image = rows.setdefault(row["image"], defaultdict(list))
            if row["class"]:
                image[row["class"]].append([float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")])
    boxes = [{name: np.array(found) for name, found in each.items()} for each in rows.values()]
    return [path.parent / name for name in rows], boxes


def rectangles(boxes: Boxes, aspect: float, how: str) -> list[Any]:
    """Dlib's rectangles of the boxes of one image, each as wide for its height as `aspect` where boxes are padded."""
    found = []
    for xmin, ymin, xmax, ymax in boxes:
        width, height = xmax - xmin, ymax - ymin
        if how == "pad":
            wider = max(width, height * aspect)
            taller = wider / aspect
            x, y = (xmin + xmax) / 2, (ymin + ymax) / 2
            xmin, xmax, ymin, ymax = x - wider / 2, x + wider / 2, y - taller / 2, y + taller / 2
        elif min(width / height / aspect, aspect * height / width) < 0.55:
            continue
        if (xmax - xmin) * (ymax - ymin) < SMALLEST:
            continue
        # The last pixel is inside of a dlib rectangle.
        found.append(dlib.rectangle(round(xmin), round(ymin), round(xmax) - 1, round(ymax) - 1))
    return found


def train(
    images: Sequence[NDArray[np.uint8]], boxes: Sequence[dict[str, Boxes]], *, how: str, C: float, threads: int
) -> dict[str, Any]:
    """A detector of each class: dlib's, and by how much boxes were padded."""
    options = dlib.simple_object_detector_training_options()
    options.add_left_right_image_flips = True
    options.C = C
    options.num_threads = threads
    detectors = {}
    for name in sorted({name for each in boxes for name in each}):
        marked = np.concatenate([each[name] for each in boxes if name in each])
        sides = marked[:, 2:] - marked[:, :2]
        aspect = float(np.exp(np.log(sides[:, 0] / sides[:, 1]).mean()))
        given = [rectangles(each.get(name, np.empty((0, 4))), aspect, how) for each in boxes]
        kept = sum(map(len, given))
        started = time.perf_counter()
        trained = dlib.train_simple_object_detector(list(images), given, options)
        # Only a detector that was read from a file takes a threshold.
        with tempfile.NamedTemporaryFile(suffix=".svm") as file:
            trained.save(file.name)
            detectors[name] = (dlib.fhog_object_detector(file.name), _upsampling(trained, images, marked))
        seconds = time.perf_counter() - started
        print(f"{name:>12}: {kept} of {len(marked)} boxes, {seconds:8.1f} s", file=sys.stderr)
    return detectors


def _upsampling(trained: Any, images: Sequence[NDArray[np.uint8]], boxes: Boxes) -> int:
    """How often to double an image: as often as the trainer did, until a tenth of the boxes at most is too small.

    The trainer counts a box as small where its area is less than that of the window; Python cannot ask for its count.
    """
    window = trained.detection_window_height * trained.detection_window_width
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for doublings in range(2):
        if (areas * 4**doublings < window).mean() < 0.1:
            return doublings
    return 2


def detect(detectors: dict[str, Any], image: NDArray[np.uint8], threshold: float) -> list[dict[str, Any]]:
    """The objects of an image, each with its class, its score and the sides of its box."""
    found = []
    for name, (detector, doublings) in detectors.items():
        boxes, scores, _ = detector.run(image, doublings, threshold)
        for box, score in zip(boxes, scores, strict=True):
            sides = {"xmin": box.left(), "ymin": box.top(), "xmax": box.right() + 1, "ymax": box.bottom() + 1}
            found.append({"class": name, "score": score} | {key: float(value) for key, value in sides.items()})
    return found


def run(
    train_file: Path,
    test_file: Path,
    *,
    how: str = "pad",
    C: float = 1.0,
    threads: int = 1,
    threshold: float = -1.0,
    only: str | None = None,
) -> dict[str, Any]:
    """Train on one CSV, find the objects in the images of another; the time of reading images does not count."""
    paths, boxes = read_boxes(train_file)
    if only is not None:
        boxes = [{name: found for name, found in each.items() if name == only} for each in boxes]
    images = [dlib.load_rgb_image(str(path)) for path in paths]
    started, used = time.perf_counter(), time.process_time()
    detectors = train(images, boxes, how=how, C=C, threads=threads)
    seconds = {"train": time.perf_counter() - started, "train_cpu": time.process_time() - used}
    test_paths, _ = read_boxes(test_file)
    tests = [dlib.load_rgb_image(str(path)) for path in test_paths]
    started, used = time.perf_counter(), time.process_time()
    found = [detect(detectors, image, threshold) for image in tests]
    seconds |= {"detect": time.perf_counter() - started, "detect_cpu": time.process_time() - used}
    return {
        "recipe": f"dlib {dlib.__version__} simple_object_detector, mirrored, C {C:g}, boxes: {how}",
        "threads": threads,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "images": [
            {"image": os.path.relpath(path, test_file.parent), "objects": each}
            for path, each in zip(test_paths, found, strict=True)
        ],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run once, print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="CSV of image, class, xmin, ymin, xmax, ymax")
    parser.add_argument("test", type=Path, help="another")
    parser.add_argument("--boxes", choices=("pad", "drop"), default="pad", help="(default %(default)s)")
    parser.add_argument("--C", type=float, default=1.0, help="of the support vector machine (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(default %(default)s)")
    parser.add_argument("--threshold", type=float, default=-1.0, help="of the scores told (default %(default)s)")
    parser.add_argument("--only", metavar="CLASS", help="the detector of this class alone (default: of every class)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there, in place of printing it")
    options = parser.parse_args(arguments)
    result = run(
        options.train,
        options.test,
        how=options.boxes,
        C=options.C,
        threads=options.threads,
        threshold=options.threshold,
        only=options.only,
    )
    text = json.dumps(result, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
