"""Detectors and descriptors through cvbow beside OpenCV's own calls, one image, one thread."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from _measure import alternate, environment, pinned, rounded, summary
from numpy.typing import NDArray

from cvbow.features import DETECTORS, LocalFeatures, make_detector
from cvbow.features._opencv import create
from cvbow.images import read_image
from sections.inputs import Options, images_to_encode

THREADS = 1
ROUNDS = 15
#: Detectors that find their points by an algorithm of OpenCV's, and the fields that make its keypoints the same.
OPENCV = (
    "harris",
    "shi-tomasi",
    "fast",
    "agast",
    "mser",
    "simple-blob",
    "sift",
    "orb",
    "akaze",
    "kaze",
    "brisk",
    "star",
    "msd",
    "harris-laplace",
)
#: Where cvbow makes points of OpenCV's regions by itself.
OTHER_POINTS = ("mser",)
#: Detector, descriptor.
PAIRS = (
    ("sift", "sift"),
    ("sift", "rootsift"),
    ("orb", "orb"),
    ("akaze", "akaze"),
    ("kaze", "kaze"),
    ("brisk", "brisk"),
)
MAX_POINTS = 1000
LABELS = {"cvbow": "cvbow", "opencv": "OpenCV"}

NOTES = (
    "A call describes one image after another; seconds are those of one image. What both give is checked in every run: "
    "the same number of points at the same places.",
    "opencv, of a detector: create and detect, or goodFeaturesToTrack and cornerSubPix, and nothing more: neither are "
    "its keypoints sorted nor turned into arrays. cvbow: detect, which checks the image, sorts by strength and gives "
    "arrays. Without a limit to the points. OpenCV fits an ellipse to each region of MSER, and drops some; cvbow takes "
    "their moments, so there the points are not quite the same.",
    "opencv, of a pair: create with nfeatures where there is such a thing, and detectAndCompute. cvbow: "
    "LocalFeatures(...).extract with the same limit of points, normalised descriptors and points as arrays.",
    "overhead: median over rounds of cvbow's time over OpenCV's in the same round, less 1.",
)


def run(options: Options) -> dict[str, Any]:
    """Time the contenders and give the section's record."""
    source, images = _photographs(options)
    record: dict[str, Any] = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "input": source,
        "notes": NOTES,
    }
    rounds = options.rounds_or(ROUNDS)
    detectors, pairs = (OPENCV[::5], PAIRS[:2]) if options.smoke else (OPENCV, PAIRS)
    own = [name for name in DETECTORS if name not in OPENCV][:: 4 if options.smoke else 1]
    with pinned(THREADS):
        record["detectors"] = [_compare(name, *_detector(name, images), len(images), rounds) for name in detectors]
        record["pairs"] = [
            _compare(f"{first} + {second}", *_pair(first, second, images), len(images), rounds)
            for first, second in pairs
        ]
        record["ours"] = [_alone(name, images, rounds) for name in own]
    return record


def _photographs(options: Options) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
    """Return the first image of each sequence of oxford_affine, where that lies beside 15-Scene, or smaller ones."""
    folder = None if options.data is None or options.smoke else options.data.parent / "oxford_affine"
    paths = [] if folder is None else sorted(folder.glob("*/img1.*"))
    if not paths:
        return images_to_encode(options, 2 if options.smoke else 4)
    images = [read_image(path, gray=True) for path in paths]
    sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in images]
    return {
        "images": "oxford_affine, first of each sequence",
        "names": [p.parent.name for p in paths],
        "sizes": sizes,
    }, images


def _compare(
    name: str, ours: Callable[[], Any], theirs: Callable[[], Any], n_images: int, rounds: int
) -> dict[str, Any]:
    contenders: dict[str, Callable[[int], Any]] = {"cvbow": lambda _: ours(), "opencv": lambda _: theirs()}
    n_points = [len(each) for each in ours()]
    if name not in OTHER_POINTS and n_points != [_count(each) for each in theirs()]:
        raise RuntimeError(f"{name}: cvbow and OpenCV do not find the same points: not the same work")
    turns = alternate(contenders, rounds=rounds, shortest=0.1 if rounds > 1 else 0.0)
    ratios = [a / b for a, b in zip(turns["cvbow"].seconds, turns["opencv"].seconds, strict=True)]
    for turn in turns.values():
        turn.seconds[:] = [seconds / n_images for seconds in turn.seconds]
    overhead = rounded(statistics.median(ratios) - 1)
    print(f"{name}: {np.mean(n_points):.0f} points, overhead {100 * overhead:.1f} %", file=sys.stderr)
    return {
        "name": name,
        "points": rounded(float(np.mean(n_points))),
        "overhead": overhead,
        "contenders": summary(turns, LABELS),
    }


def _count(found: Any) -> int:
    """Count what OpenCV gives: keypoints, regions or corners, alone or with what belongs to them."""
    return len(found[0]) if isinstance(found, tuple) and len(found) == 2 and not _is_keypoint(found[0]) else len(found)


def _is_keypoint(value: object) -> bool:
    return isinstance(value, cv2.KeyPoint)


def _detector(name: str, images: Sequence[NDArray[np.uint8]]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    detector: Any = make_detector(name)

    def raw(image: NDArray[np.uint8]) -> Any:
        if name in ("harris", "shi-tomasi"):
            corners = cv2.goodFeaturesToTrack(
                image, 0, detector.quality, detector.min_distance, useHarrisDetector=name == "harris", k=0.04
            )
            return cv2.cornerSubPix(image, corners, (3, 3), (-1, -1), (3, 20, 0.01))
        if name in ("fast", "agast"):
            return create(detector.algorithm, threshold=detector.threshold).detect(image, None)
        if name == "mser":
            return create("MSER", max_area=int(detector.max_area * image.size), min_diversity=0.0).detect(image)
        algorithm = create(detector.algorithm, **detector.options(None))
        # The angles of KAZE come with the descriptors.
        return algorithm.detectAndCompute(image, None)[0] if name == "kaze" else algorithm.detect(image, None)

    return lambda: [detector.detect(each) for each in images], lambda: [raw(each) for each in images]


def _pair(first: str, second: str, images: Sequence[NDArray[np.uint8]]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    extractor = LocalFeatures(first, second, max_points=MAX_POINTS if first in ("sift", "orb") else None)
    detector: Any = make_detector(first)
    limit = extractor.max_points

    def raw(image: NDArray[np.uint8]) -> Any:
        return create(detector.algorithm, **detector.options(limit)).detectAndCompute(image, None)

    return lambda: [extractor.extract(each) for each in images], lambda: [raw(each) for each in images]


def _alone(name: str, images: Sequence[NDArray[np.uint8]], rounds: int) -> dict[str, Any]:
    """Time a detector that OpenCV does not have."""
    detector = make_detector(name)
    turns = alternate({"cvbow": lambda _: [detector.detect(each) for each in images]}, rounds=min(rounds, 5))
    turns["cvbow"].seconds[:] = [seconds / len(images) for seconds in turns["cvbow"].seconds]
    points = rounded(float(np.mean([len(detector.detect(each)) for each in images])))
    return {"name": name, "points": points, "contenders": summary(turns, LABELS)}
