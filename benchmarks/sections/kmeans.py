"""k-means, 200,000 descriptors, 1000 words, ten iterations, two threads: against FAISS, scikit-learn and OpenCV."""

from __future__ import annotations

import statistics
import sys
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from _measure import alternate, environment, faiss_module, has_faiss, pinned, rounded, summary
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from cvbow.dictionary import KMeansDictionary, WordSearch
from cvbow.parallel import single_threaded
from sections.inputs import Options, dense_descriptors
from sections.nearest import squared_distances

THREADS = 2
ROUNDS = 5
ITERATIONS = 10
#: OpenCV gets every fourth descriptor, and its time counts fourfold.
OPENCV_SHARE = 4

LABELS = {
    "cvbow": "cvbow KMeansDictionary",
    "faiss": "FAISS Kmeans",
    "scikit-learn": "scikit-learn KMeans, Lloyd",
    "opencv": "OpenCV kmeans, a quarter of the descriptors, time x 4",
}

NOTES = (
    "Every contender starts from words drawn at random from the descriptors: one start, ten iterations, no early "
    "stop (tolerance 0). Each round has a seed of its own; equal seeds are different starts in different libraries.",
    "cvbow's time includes its estimate of the cost and its search for equal starting words; FAISS's its check for "
    "NaN; scikit-learn's an eleventh assignment, which it makes for its labels.",
    "FAISS: max_points_per_centroid is raised so that no descriptor is dropped.",
    "OpenCV's own random start is drawn from the bounding box of the data, where few descriptors lie: it gets the "
    "assignment to random descriptors as its initial labels instead, made before the clock starts.",
    "inertia: mean squared distance of all descriptors to the nearest of the final words, by one exact search in "
    "the same code for every contender, outside the clock; the median over rounds.",
)


def run(options: Options) -> dict[str, Any]:
    """Time the contenders, judge their words in one way, and give the section's record."""
    n, n_words = (3_000, 50) if options.smoke else (200_000, 1000)
    print(f"k-means, {n} descriptors, {n_words} words, {ITERATIONS} iterations", file=sys.stderr)
    source, data = dense_descriptors(options, n)
    rounds = options.rounds_or(ROUNDS)
    seeds = [options.seed + number for number in range(rounds)]
    contenders = _contenders(data, n_words, seeds)
    record = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "input": source | {"n_words": n_words, "iterations": ITERATIONS},
        "left_out": [] if has_faiss() else ["FAISS: not installed"],
        "notes": NOTES,
    }
    with pinned(THREADS):
        turns = alternate(contenders, rounds=rounds, keep=True)
    inertias = {
        name: statistics.median(_inertia(data, np.asarray(words)) for words in turn.answers)
        for name, turn in turns.items()
    }
    turns["opencv"].seconds = [OPENCV_SHARE * seconds for seconds in turns["opencv"].seconds]
    rows = summary(turns, LABELS)
    for row in rows:
        row["inertia"] = rounded(inertias[row["name"]], 5)
        row["inertia_over_cvbow"] = rounded(inertias[row["name"]] / inertias["cvbow"], 5)
    return record | {"contenders": rows}


def _contenders(data: NDArray[np.float32], n_words: int, seeds: list[int]) -> dict[str, Callable[[int], object]]:
    n, size = data.shape
    part = np.ascontiguousarray(data[::OPENCV_SHARE])
    starts = {seed: _random_labels(part, n_words, seed) for seed in seeds}

    def ours(number: int) -> object:
        dictionary = KMeansDictionary(
            n_words=n_words, init="random", max_iter=ITERATIONS, tol=0, n_jobs=THREADS, random_state=seeds[number]
        ).fit(data)
        if dictionary.n_iter_ != ITERATIONS:
            raise RuntimeError(f"cvbow stopped after {dictionary.n_iter_} iterations: not the same work")
        return dictionary.words_

    def faiss_kmeans(number: int) -> object:
        kmeans = faiss_module().Kmeans(
            size, n_words, niter=ITERATIONS, seed=seeds[number], max_points_per_centroid=n, min_points_per_centroid=1
        )
        kmeans.train(data)
        return kmeans.centroids

    def scikit_learn(number: int) -> object:
        kmeans = KMeans(
            n_words, algorithm="lloyd", init="random", n_init=1, tol=0, max_iter=ITERATIONS, random_state=seeds[number]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on equal descriptors in a tiny sample
            kmeans.fit(data)
        if kmeans.n_iter_ != ITERATIONS:
            raise RuntimeError(f"scikit-learn stopped after {kmeans.n_iter_} iterations: not the same work")
        return kmeans.cluster_centers_

    def opencv(number: int) -> object:
        stop = (cv2.TERM_CRITERIA_MAX_ITER, ITERATIONS, 0.0)
        labels = starts[seeds[number]].copy()
        return cv2.kmeans(part, n_words, labels, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)[2]

    contenders: dict[str, Callable[[int], object]] = {"cvbow": ours}
    if has_faiss():
        faiss_module().omp_set_num_threads(THREADS)
        contenders["faiss"] = faiss_kmeans
    return contenders | {"scikit-learn": scikit_learn, "opencv": opencv}


def _random_labels(data: NDArray[np.float32], n_words: int, seed: int) -> NDArray[np.int32]:
    drawn = np.random.default_rng(seed).choice(len(data), n_words, replace=False)
    return WordSearch(data[drawn]).nearest(data)[:, None]


def _inertia(data: NDArray[np.float32], words: NDArray[np.float32]) -> float:
    with single_threaded():
        labels = WordSearch(words).nearest(data, n_threads=THREADS)
    return float(squared_distances(data, words, labels).mean())
