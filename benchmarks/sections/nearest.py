"""Nearest of 1000 words for 200,000 descriptors, two threads: against the matrix product alone and four libraries."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from _measure import alternate, environment, faiss_module, has_faiss, pinned, rounded, summary
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin

from cvbow.dictionary import WordSearch
from cvbow.parallel import single_threaded
from sections.inputs import Options, dense_descriptors

THREADS = 2
ROUNDS = 9

LABELS = {
    "cvbow": "cvbow WordSearch.nearest",
    "sgemm": "the matrix product alone, into memory that is kept",
    "sgemm-allocating": "the matrix product alone, X @ W.T",
    "faiss": "FAISS IndexFlatL2",
    "scikit-learn": "scikit-learn pairwise_distances_argmin",
    "opencv": "OpenCV BFMatcher",
}

NOTES = (
    "The words are descriptors drawn from the sample.",
    "sgemm is np.matmul(X, W.T, out=...): no words are found, and its 800 MB of scores are not allocated anew, so "
    "it is the product and nothing else. sgemm-allocating is X @ W.T as written, where the system hands out and "
    "clears that memory in every call.",
    "cvbow runs two Python threads with one BLAS thread each; the others run two threads of their own (OpenBLAS, "
    "OpenMP, OpenCV). WordSearch, the FAISS index and the matcher are made before the clock starts.",
    "agree: share of descriptors whose answer is as near, in float64, as the nearest that any contender found (to "
    "1e-5 of the squared distance, or 1e-6).",
)


def run(options: Options) -> dict[str, Any]:
    """Time the contenders, compare their answers, and give the section's record."""
    n, n_words = (3_000, 50) if options.smoke else (200_000, 1000)
    print(f"nearest of {n_words} words, {n} descriptors", file=sys.stderr)
    source, data = dense_descriptors(options, n)
    rng = np.random.default_rng(options.seed + 1)
    words = data[rng.choice(n, n_words, replace=False)]
    contenders = _contenders(data, words)
    record = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "input": source | {"n_words": n_words},
        "left_out": [] if has_faiss() else ["FAISS: not installed"],
        "notes": NOTES,
    }
    with pinned(THREADS):
        turns = alternate(contenders, rounds=options.rounds_or(ROUNDS))
        answers = {
            name: np.asarray(call(0)).reshape(-1) for name, call in contenders.items() if not name.startswith("sgemm")
        }
    rows = summary(turns, LABELS, work=n)
    agree = _agreement(data, words, answers)
    for row in rows:
        if row["name"] in agree:
            row["agree"] = agree[row["name"]]
    return record | {"contenders": rows}


def _contenders(data: NDArray[np.float32], words: NDArray[np.float32]) -> dict[str, Callable[[int], object]]:
    search = WordSearch(words)
    scores = np.empty((len(data), len(words)), np.float32)
    matcher = cv2.BFMatcher(cv2.NORM_L2)

    def ours(_: int) -> NDArray[np.int32]:
        with single_threaded():
            return search.nearest(data, n_threads=THREADS)

    contenders: dict[str, Callable[[int], object]] = {
        "cvbow": ours,
        "sgemm": lambda _: np.matmul(data, words.T, out=scores),
        "sgemm-allocating": lambda _: data @ words.T,
    }
    if has_faiss():
        faiss = faiss_module()
        faiss.omp_set_num_threads(THREADS)
        index = faiss.IndexFlatL2(data.shape[1])
        index.add(words)
        contenders["faiss"] = lambda _: index.search(data, 1)[1]
    contenders["scikit-learn"] = lambda _: pairwise_distances_argmin(data, words)
    contenders["opencv"] = lambda _: matcher.match(data, words)
    return contenders


def _agreement(
    data: NDArray[np.float32], words: NDArray[np.float32], answers: dict[str, NDArray[Any]]
) -> dict[str, float]:
    distances = {}
    for name, answer in answers.items():
        labels = np.array([m.trainIdx for m in answer]) if answer.dtype == object else answer
        distances[name] = squared_distances(data, words, labels)
    best = np.minimum.reduce(list(distances.values()))
    return {name: rounded(float(np.mean(d <= best * (1 + 1e-5) + 1e-6)), 6) for name, d in distances.items()}


def squared_distances(
    data: NDArray[np.float32], words: NDArray[np.float32], labels: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Squared distance of each descriptor to the word it was given, in float64: (n,)."""
    out = np.empty(len(data))
    for top in range(0, len(data), 10_000):
        rows = slice(top, top + 10_000)
        difference = data[rows].astype(np.float64) - words[labels[rows]]
        out[rows] = np.einsum("ij,ij->i", difference, difference)
    return out
