"""Dense SIFT on one image, one thread: cvbow against OpenCV on the same grid and VLFeat's dsift, fast and exact."""

from __future__ import annotations

import functools
import statistics
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from _measure import alternate, environment, pinned, rounded, summary
from numpy.typing import NDArray
from peers import vlfeat

from cvbow.features import DenseSIFT
from sections.inputs import Options, square_image

#: (step, bin) in pixels.
SETTINGS = ((8, 4), (4, 4), (3, 10), (4, 8))
THREADS = 1
ROUNDS = 9

LABELS = {
    "cvbow": "cvbow DenseSIFT",
    "vlfeat-fast": "VLFeat dsift, fast",
    "vlfeat-exact": "VLFeat dsift, exact",
    "opencv": "OpenCV SIFT.compute, bins of the same size",
    "opencv-patch": "OpenCV SIFT.compute, keypoint size = side of the patch (bins 6 times as wide)",
}

NOTES = (
    "The time is that of descriptors from pixels in memory: uint8 for cvbow and OpenCV, float32 in [0, 1] for "
    "VLFeat, converted before.",
    "cvbow does more than the others are asked for: it smooths the image for the size of the bins and takes square "
    "roots (RootSIFT), which are its defaults.",
    "opencv: its bins are 3 * (size / 2) pixels wide (SIFT_DESCR_SCL_FCTR times the keypoint's radius), so bins of "
    "b pixels take keypoints of size 2 b / 3, at angle 0 and octave 0, made before the clock starts. Its smoothing "
    "to sigma 1.6 is part of compute.",
    "opencv-patch: keypoints whose size is the side of the patch, 4 b, as OpenCV's description of the size "
    "(diameter of the keypoint's neighbourhood) suggests. Its bins are then 6 times as wide as the others', so it "
    "does other and more work: a warning, no fair contest. One call per setting.",
    "vlfeat: vl_dsift_process alone, through ctypes, without copying the descriptors out; the filter is made before "
    "the clock starts. Its grid has the same step and as many descriptors; its offset is up to half a step smaller.",
    "cosine: mean over the grid of the cosine of a contender's descriptors and cvbow's taken as SIFT (RootSIFT "
    "squared), as evidence that they do the same work; left out where VLFeat's grid has another offset.",
)


def run(options: Options) -> dict[str, Any]:
    """Time every setting and give the section's record."""
    source, image = square_image(options)
    record: dict[str, Any] = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "input": source,
        "left_out": [] if vlfeat.available() else ["VLFeat: not installed"],
        "notes": NOTES,
        "settings": [],
    }
    for step, bin_size in SETTINGS[:2] if options.smoke else SETTINGS:
        record["settings"].append(_setting(image, step, bin_size, options.rounds_or(ROUNDS), options.smoke))
    medians: dict[str, dict[str, Any]] = {}
    for name in [row["name"] for row in record["settings"][0]["contenders"]]:
        rows = [row for setting in record["settings"] for row in setting["contenders"] if row["name"] == name]
        medians[name] = {"label": LABELS[name], "rate": rounded(statistics.median(row["rate"] for row in rows))}
        if name != "cvbow":
            ratios = [row["ratio"] for row in rows]
            medians[name]["ratio"] = rounded(statistics.median(ratios))
            medians[name]["ratio_range"] = [min(ratios), max(ratios)]
    return record | {"median_over_settings": medians}


def _setting(image: NDArray[np.uint8], step: int, bin_size: int, rounds: int, smoke: bool) -> dict[str, Any]:
    extractor = DenseSIFT(step=step, bin_sizes=(bin_size,), max_side=None)
    features = extractor.extract(image)
    ours = np.asarray(features.descriptors, np.float32)
    n, centres = len(ours), features.points[:, :2]
    print(f"dense SIFT, step {step}, bin {bin_size}: {n} descriptors", file=sys.stderr)
    sift = cv2.SIFT_create()
    same_bins, same_patch = _keypoints(centres, 2 * bin_size / 3), _keypoints(centres, 4 * bin_size)
    cosines = {"opencv": _cosine(ours, _turned(sift.compute(image, same_bins)[1]))}
    contenders: dict[str, Callable[[int], object]] = {"cvbow": lambda _: extractor.extract(image)}
    if vlfeat.available():
        scaled = image.astype(np.float32) / np.float32(255)
        height, width = image.shape
        for name, fast in (("vlfeat-fast", True), ("vlfeat-exact", False)):
            grid = vlfeat.DenseSift(width, height, step=step, size=bin_size, fast=fast)
            described = grid.process(scaled)
            if len(described) != n:
                raise RuntimeError(f"VLFeat's grid has {len(described)} descriptors, cvbow's {n}: not the same work")
            if np.array_equal(grid.centres(), centres):
                cosines[name] = _cosine(ours, described)
            contenders[name] = functools.partial(_process, grid, scaled)
    contenders["opencv"] = lambda _: sift.compute(image, same_bins)
    contenders["opencv-patch"] = lambda _: sift.compute(image, same_patch)
    with pinned(THREADS):
        turns = alternate(contenders, rounds=rounds, shortest=0.0 if smoke else 0.2, once=("opencv-patch",))
    rows = summary(turns, LABELS, work=n)
    for row in rows:
        if row["name"] in cosines:
            row["cosine"] = rounded(cosines[row["name"]])
    return {"step": step, "bin": bin_size, "descriptors": n, "contenders": rows}


def _process(grid: vlfeat.DenseSift, image: NDArray[np.float32], _: int) -> NDArray[np.float32]:
    return grid.process(image)


def _keypoints(centres: NDArray[np.float32], size: float) -> list[cv2.KeyPoint]:
    return [cv2.KeyPoint(float(x), float(y), size, 0.0) for x, y in centres]


def _turned(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """OpenCV's descriptors with orientations counted as cvbow and VLFeat do: from x towards y downwards."""
    return descriptors.reshape(-1, 16, 8)[:, :, -np.arange(8) % 8].reshape(-1, 128)


def _cosine(root_sift: NDArray[np.float32], sift: NDArray[np.float32]) -> float:
    """Mean cosine of SIFT descriptors and RootSIFT ones, which squared are SIFT; rows of zeros are left out."""
    ours = root_sift**2
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(sift, axis=1)
    some = norms > 0
    return float(np.mean(np.einsum("ij,ij->i", ours[some], sift[some]) / norms[some]))
