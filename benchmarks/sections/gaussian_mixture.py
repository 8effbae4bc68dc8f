"""Gaussian mixture, 100,000 descriptors of 66 values, 128 Gaussians, 20 iterations, one thread: against VLFeat."""

from __future__ import annotations

import statistics
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _measure import alternate, environment, pinned, rounded, summary
from numpy.typing import NDArray
from peers import vlfeat
from sklearn.mixture import GaussianMixture

from cvbow.dictionary import GaussianMixtureDictionary
from sections.inputs import Options, Reduction

THREADS = 1
ROUNDS = 3
ITERATIONS = 20

#: Means, variances and weights.
Gaussians = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

LABELS = {
    "cvbow": "cvbow GaussianMixtureDictionary",
    "vlfeat": "VLFeat gmm, from its own k-means",
    "vlfeat-given": "VLFeat gmm, from cvbow's first iteration, which is not in its time",
    "scikit-learn": "scikit-learn GaussianMixture, from there too",
}

NOTES = (
    "EM with diagonal covariances, 20 iterations, no early stop in cvbow (tolerance 0) nor in scikit-learn. VLFeat "
    "has no such switch: it stops where an iteration raises the likelihood by less than 1e-5 of it, which could only "
    "make it faster.",
    "cvbow's time has all of its training in it: the k-means start on part of the sample and the 20 iterations.",
    "vlfeat: its k-means start (five iterations over the whole sample, its default) and 20 iterations. It ends with "
    "one expectation more, which cvbow does not make.",
    "vlfeat-given and scikit-learn continue from the Gaussians that cvbow has after its start and one iteration, made "
    "before the clock starts, for 19 iterations: the same 20 iterations in all, and nearly the same Gaussians.",
    "Each has its own lowest variance, as it comes: cvbow 1e-3 of the mean variance of the sample, VLFeat "
    "1e-4, and scikit-learn adds 1e-6.",
    "log_likelihood: mean over the sample of the log of the learned density, in nats, computed in float64 by "
    "scikit-learn's GaussianMixture.score for every contender, outside the clock; the median over rounds. "
    "over_cvbow: how much larger than cvbow's, as a share of the size of cvbow's.",
    "No untimed calls; scikit-learn runs once. The sample is float32 for all. Each round has a seed of its own.",
)


def run(options: Options) -> dict[str, Any]:
    """Time the contenders, judge their mixtures in one way, and give the section's record."""
    n, n_words = (3_000, 8) if options.smoke else (100_000, 128)
    print(f"Gaussian mixture, {n} descriptors, {n_words} Gaussians, {ITERATIONS} iterations", file=sys.stderr)
    reduction = Reduction(options, n)
    data = reduction.reduced
    rounds = options.rounds_or(ROUNDS)
    seeds = [options.seed + number for number in range(rounds)]
    record = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "input": reduction.source | {"shape": list(data.shape), "n_words": n_words, "iterations": ITERATIONS},
        "left_out": [] if vlfeat.available() else ["VLFeat: not installed"],
        "notes": NOTES,
    }
    with pinned(THREADS):
        contenders = _contenders(data, n_words, seeds)
        # The starts that were made for the others have warmed cvbow up; a minute of VLFeat needs no warmth.
        turns = alternate(contenders, rounds=rounds, warm_up=False, once=("scikit-learn",), keep=True)
        likelihoods = {
            name: statistics.median(
                as_scikit_learn(gaussians).score(data.astype(np.float64)) for gaussians in t.answers
            )
            for name, t in turns.items()
        }
    rows = summary(turns, LABELS)
    for row in rows:
        likelihood = likelihoods[row["name"]]
        row["log_likelihood"] = rounded(likelihood, 6)
        row["over_cvbow"] = rounded((likelihood - likelihoods["cvbow"]) / abs(likelihoods["cvbow"]), 3)
    return record | {"contenders": rows}


def _contenders(data: NDArray[np.float32], n_words: int, seeds: list[int]) -> dict[str, Callable[[int], Gaussians]]:
    def ours(number: int, iterations: int = ITERATIONS) -> Gaussians:
        dictionary = GaussianMixtureDictionary(
            n_words=n_words, max_iter=iterations, tol=0, n_jobs=THREADS, random_state=seeds[number]
        ).fit(data)
        if dictionary.n_iter_ != iterations:
            raise RuntimeError(f"cvbow stopped after {dictionary.n_iter_} iterations: not the same work")
        return dictionary.means_, dictionary.variances_, dictionary.weights_

    starts = [ours(number, 1) for number in range(len(seeds))]

    def vlfeat_own(number: int) -> Gaussians:
        return vlfeat.gmm(data, n_words, max_iterations=ITERATIONS, start="k-means", random_state=seeds[number])

    def vlfeat_given(number: int) -> Gaussians:
        return vlfeat.gmm(data, n_words, max_iterations=ITERATIONS - 1, start=starts[number])

    def scikit_learn(number: int) -> Gaussians:
        means, variances, weights = starts[number]
        mixture = GaussianMixture(
            n_words,
            covariance_type="diag",
            max_iter=ITERATIONS - 1,
            tol=0,
            means_init=means,
            precisions_init=1 / variances,
            weights_init=weights / weights.sum(),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged, which tolerance 0 means
            mixture.fit(data)
        return mixture.means_, mixture.covariances_, mixture.weights_

    contenders: dict[str, Callable[[int], Gaussians]] = {"cvbow": ours}
    if vlfeat.available():
        contenders |= {"vlfeat": vlfeat_own, "vlfeat-given": vlfeat_given}
    return contenders | {"scikit-learn": scikit_learn}


def as_scikit_learn(gaussians: Gaussians) -> GaussianMixture:
    """The mixture as scikit-learn's, in float64."""
    means, variances, weights = (np.asarray(values, np.float64) for values in gaussians)
    mixture = GaussianMixture(len(means), covariance_type="diag")
    mixture.means_, mixture.covariances_, mixture.weights_ = means, variances, weights
    mixture.precisions_cholesky_ = 1 / np.sqrt(variances)
    return mixture
