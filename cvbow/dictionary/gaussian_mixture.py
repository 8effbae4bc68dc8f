"""Gaussian mixture: a dictionary of soft words with their spread, the model under the Fisher vector.

A. Dempster, N. Laird and D. Rubin, "Maximum likelihood from incomplete data via the EM algorithm", JRSS B, 1977; for
image descriptors: F. Perronnin and C. Dance, "Fisher kernels on visual vocabularies for image categorization",
CVPR 2007.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_real
from cvbow.dictionary._mixture import Mixture, mirror_of_sums
from cvbow.dictionary._pairs import with_mirrors
from cvbow.dictionary.base import HISTORY, PAIRS, Dictionary
from cvbow.dictionary.kmeans import KMeansDictionary
from cvbow.dictionary.prepared import prepared_from
from cvbow.features import Mirror
from cvbow.parallel import cut, local_threads, map_threads, single_threaded
from cvbow.progress import detail, progress, stages
from cvbow.storage import Array, Learned, Number

#: k-means, the start, looks at this many descriptors per component and iterates this often.
_START_SAMPLE = 200
_START_ITERATIONS = 10
#: The data is summed in at most so many parts, of at least so many rows: fixed, so that the order of additions is too.
_PARTS = 64
_PART = 8192
#: A component keeps this share of one descriptor at least, so that its weight has a logarithm.
_LEAST_MASS = 1e-3
#: The first share is left for the whole sample when an iteration gains less than this, or when so many are left.
_FIRST_TOL = 0.05
_LAST = 3
_FIRST_PER_WORD = 200
_FLOAT32 = np.finfo(np.float32)


class GaussianMixtureDictionary(Dictionary):
    """Mixture of Gaussians with diagonal covariances, learned by EM from a k-means start.

    Parameters
    ----------
    n_words, max_iter, n_jobs, random_state : default 128, 50, None and 0
        Gaussians, iterations of EM, threads and seed; see ``Dictionary``.
    tol : float, default 0.01
        Stop when an iteration raises the mean log-likelihood of a descriptor by less than this, in nats.
    first_share : float, default 0.25
        Share of the sample that the first iterations look at, as in ``KMeansDictionary``: the whole sample comes in
        once they gain less than 0.05 nats, and has at least the last three iterations. A share with fewer than 200
        descriptors per Gaussian is not used; 1 looks at the whole sample throughout.
    min_variance : float, default 1e-3
        No variance falls below this share of the sample's variance averaged over its dimensions.

    Attributes
    ----------
    weights_ : ndarray of shape (n_words,), float32
        Positive, sum 1.
    means_, variances_ : ndarray of shape (n_words, k), float32
    log_likelihood_ : float
        Mean over the sample, in nats, as the last iteration found it before it moved the Gaussians once more.
    n_iter_ : int
        Iterations of EM done.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import GaussianMixtureDictionary
    >>> random = np.random.default_rng(0)
    >>> descriptors = np.concatenate([random.normal(5, 1, (300, 2)), random.normal(20, 2, (100, 2))])
    >>> mixture = GaussianMixtureDictionary(n_words=2).fit(descriptors)
    >>> sorted(mixture.weights_.round(2).tolist()), sorted(mixture.words_[:, 0].round().tolist())
    ([0.25, 0.75], [5.0, 20.0])
    """

    #: Model files from before there was one looked at all descriptors.
    added: ClassVar[Mapping[str, Any]] = {"first_share": 1.0}
    learns_pairs = True
    learned: ClassVar[Mapping[str, Learned]] = {
        "weights_": Array("float32", "n_words", above=0),
        "means_": Array("float32", "n_words k"),
        "variances_": Array("float32", "n_words k", above=0),
        "log_likelihood_": Number(optional=True),
        **HISTORY,
        **PAIRS,
    }

    def __init__(
        self,
        *,
        n_words: int = 128,
        max_iter: int = 50,
        tol: float = 0.01,
        first_share: float = 0.25,
        min_variance: float = 1e-3,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_words = n_words
        self.max_iter = max_iter
        self.tol = tol
        self.first_share = first_share
        self.min_variance = min_variance
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def words_(self) -> NDArray[np.float32]:  # type: ignore[override]
        """The means of the Gaussians."""
        check_is_fitted(self, "means_")
        means: NDArray[np.float32] = self.means_
        return means

    def _learn(self, data: NDArray[np.float32], threads: int) -> None:
        center, variance = _moments(data, self.mirror)
        # Where all descriptors are one, any variance does.
        floor = self.min_variance * (float(variance.mean()) or 1.0)
        with stages({"k-means": 1, "Gaussian mixture": 4}) as begin:
            begin("k-means")
            mixture = self._start(data, center, np.maximum(variance, floor), floor)
            detail(_cost(data, mixture, self.max_iter, threads))
            begin("Gaussian mixture")
            done, first = 0, self._first_part(data)
            with progress("Gaussian mixture", self.max_iter) as update:
                if first is not None:
                    steps = range(1, self.max_iter - _LAST + 1)
                    mixture, _, done = _iterate(
                        first, mixture, floor, steps, max(self.tol, _FIRST_TOL), threads, update
                    )
                steps = range(done + 1, self.max_iter + 1)
                mixture, self.log_likelihood_, self.n_iter_ = _iterate(
                    data, mixture, floor, steps, self.tol, threads, update
                )
        self._keep(mixture)

    def _first_part(self, data: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return what the first iterations look at; None where that is all of the data."""
        n_first = int(self.first_share * len(data))
        if n_first == len(data) or n_first < _FIRST_PER_WORD * self.n_words or self.max_iter <= _LAST:
            return None
        # Drawn by itself: the start was learned from a draw of its own.
        order = np.random.default_rng((self.random_state, 1)).permutation(len(data))
        return data[np.sort(order[:n_first])]

    def _predict(self, data: NDArray[np.float32], threads: int) -> NDArray[np.int32]:
        labels, mixture = np.empty(len(data), np.int32), self._mixture

        def label(rows: slice) -> None:
            for block in mixture.blocks(data[rows]):
                labels[rows][block.start : block.stop] = block.posteriors.argmax(axis=0)

        map_threads(label, _parts(len(data)), threads)
        return labels

    def posteriors(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return each Gaussian's probability given each descriptor, (n, k) to (n, n_words) float32; rows sum to 1."""
        data = self._check_query(descriptors)
        found, mixture = np.empty((len(data), len(self.weights_)), np.float32), self._mixture

        def fill(rows: slice) -> None:
            for block in mixture.blocks(data[rows]):
                found[rows][block.start : block.stop] = block.posteriors.T

        with single_threaded():
            map_threads(fill, _parts(len(data)), local_threads(self.n_jobs))
        return found

    def distances(self, descriptors: NDArray[np.float32], words: NDArray[np.integer]) -> NDArray[np.float32]:
        offsets = np.subtract(self._check_query(descriptors), self.words_[words], dtype=np.float64)
        offsets /= np.sqrt(self.variances_[words], dtype=np.float64)
        return np.asarray(np.linalg.norm(offsets, axis=1), np.float32)

    def score(self, descriptors: NDArray[np.float32], y: object = None) -> float:
        """Return the mean log-likelihood of the descriptors (n, k), in nats."""
        data = self._check_query(descriptors)
        if len(data) == 0:
            raise ValueError("descriptors must have at least one row to score, got none")
        with single_threaded():
            return _expect(data, self._mixture, local_threads(self.n_jobs))[1]

    def mixture(self) -> Mixture:
        """Return the learned mixture, prepared for queries."""
        check_is_fitted(self, "means_")
        return self._mixture

    @prepared_from("weights_", "means_", "variances_")
    def _mixture(self) -> Mixture:
        return Mixture(self.weights_, self.means_, self.variances_, self.mirror)

    def _start(
        self, data: NDArray[np.float32], center: NDArray[np.float64], variance: NDArray[np.float64], floor: float
    ) -> Mixture:
        """Return the Gaussians of the clusters that k-means finds in a part of the data."""
        order = np.random.default_rng(self.random_state).permutation(len(data))
        part = data[np.sort(order[: _START_SAMPLE * self.n_words])]
        if not _has_distinct(part, self.n_words):
            part = data
        # Half-way from the distances as they are to those between whitened descriptors: a dimension of much variance,
        # such as an appended position, does not decide alone, and EM settles sooner and as high.
        unit = variance**0.25 * variance.mean() ** 0.25
        part = ((part - center) / unit).astype(np.float32)
        start = KMeansDictionary(
            n_words=self.n_words, max_iter=_START_ITERATIONS, n_jobs=self.n_jobs, random_state=self.random_state
        ).fit(part, mirror=self.mirror)
        labels = start.predict(part)
        members = (part[labels == word].astype(np.float64) for word in range(len(start.words_)))
        sums = np.array([[*each.sum(axis=0), *np.square(each).sum(axis=0), len(each)] for each in members])
        if self.mirror is not None:
            sums = with_mirrors(sums, mirror_of_sums(self.mirror))
        weights, means, variances = _gaussians(sums, start.words_, variance / unit**2, floor / unit**2)
        return Mixture(weights, center + unit * means, unit**2 * variances, self.mirror)

    def _keep(self, mixture: Mixture) -> None:
        self.weights_ = mixture.weights.astype(np.float32)
        self.means_ = (mixture.center + mixture.scale * mixture.means).astype(np.float32)
        variances = mixture.scale**2 * mixture.variances
        # A square may leave float32 where its root does not.
        self.variances_ = np.clip(variances, _FLOAT32.tiny, _FLOAT32.max).astype(np.float32)

    def check_params(self) -> None:
        self._check_iterations("n_words")
        check_real("first_share", self.first_share, minimum=0, maximum=1, open_minimum=True)
        check_real("min_variance", self.min_variance, minimum=1e-8, maximum=1)


def _parts(n: int) -> list[slice]:
    return cut(n, max(_PART, -(-n // _PARTS)))


def _moments(data: NDArray[np.float32], mirror: Mirror | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the variance of each column, shape (k,) each, without a float64 copy of the data.

    With a mirror, those of the descriptors and their mirrors together.
    """
    mean = sum(data[rows].sum(axis=0, dtype=np.float64) for rows in _parts(len(data))) / len(data)
    variance = sum(np.square(data[rows] - mean).sum(axis=0) for rows in _parts(len(data))) / len(data)
    if mirror is None:
        return mean, variance
    half_way = (mean - mirror.apply(mean)) / 2
    return mean - half_way, (variance + variance[mirror.order]) / 2 + half_way**2


def _has_distinct(data: NDArray[np.float32], n: int) -> bool:
    """Tell whether at least ``n`` rows differ from one another."""
    found = set()
    for row in data:
        found.add((row + 0).tobytes())  # -0 + 0 = 0: equal rows have equal bytes
        if len(found) == n:
            return True
    return False


def _expect(data: NDArray[np.float32], mixture: Mixture, threads: int) -> tuple[NDArray[np.float64], float]:
    """E step: return each Gaussian's sums of q z, q z^2 and q, (n_words, 2 k + 1), and the mean log-likelihood."""
    partial: dict[int, tuple[NDArray[np.float64], float]] = {}
    n_words, k = mixture.means.shape

    def add(rows: slice) -> None:
        sums, density = np.zeros((n_words, 2 * k + 1)), 0.0
        for block in mixture.blocks(data[rows]):
            sums += block.posteriors @ block.columns.T
            density += float(block.log_density.sum(dtype=np.float64))
        partial[rows.start] = sums, density

    parts = _parts(len(data))
    map_threads(add, parts, threads)
    sums, density = np.zeros((n_words, 2 * k + 1)), 0.0
    for rows in parts:
        sums += partial[rows.start][0]
        density += partial[rows.start][1]
    return sums, density / len(data) - k * (0.5 * np.log(2 * np.pi) + np.log(mixture.scale))


def _iterate(
    data: NDArray[np.float32],
    mixture: Mixture,
    floor: float,
    steps: range,
    tol: float,
    threads: int,
    update: Callable[[int], None],
) -> tuple[Mixture, float, int]:
    """Iterate until a step gains less than ``tol``; return mixture, likelihood and number of the last."""
    before = -np.inf
    for step in steps:
        sums, likelihood = _expect(data, mixture, threads)
        mixture = _maximize(sums, mixture, floor)
        update(step)
        if likelihood - before < tol:
            break
        before = likelihood
    return mixture, likelihood, step


def _maximize(sums: NDArray[np.float64], mixture: Mixture, floor: float) -> Mixture:
    """M step: return the mixture that the E step's sums make of the one they were taken with."""
    scale2 = mixture.scale**2
    if mixture.mirror_of_sums is not None:
        sums = with_mirrors(sums, mixture.mirror_of_sums)
    weights, means, variances = _gaussians(sums, mixture.means, mixture.variances, floor / scale2)
    return Mixture(weights, mixture.center + mixture.scale * means, scale2 * variances, mixture.mirror)


def _gaussians(
    sums: NDArray[np.float64], means: NDArray[np.floating], variances: NDArray[np.floating], floor: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return weights, means and variances from sums; a component without mass keeps the given ones."""
    k = means.shape[1]
    found = sums[:, 2 * k :] > _LEAST_MASS
    mass = np.maximum(sums[:, 2 * k :], _LEAST_MASS)
    new_means = np.where(found, sums[:, :k] / mass, means)
    new_variances = np.where(found, sums[:, k : 2 * k] / mass - new_means**2, variances)
    return np.asarray((mass / mass.sum())[:, 0]), new_means, np.maximum(new_variances, floor)


def _cost(data: NDArray[np.float32], mixture: Mixture, max_iter: int, threads: int) -> str:
    """Say what training will cost: the memory from the sizes, the time from a short trial."""
    n, k = data.shape
    n_words = len(mixture.weights)
    trial = data[:4096]
    _expect(trial[:64], mixture, 1)
    started = time.perf_counter()
    _expect(trial, mixture, 1)
    seconds = (time.perf_counter() - started) * n / len(trial) / threads * max_iter
    megabytes = (4 * n * k + 8 * len(_parts(n)) * n_words * (2 * k + 1)) / 1e6
    return (
        f"Gaussian mixture: {n_words} Gaussians from {n} descriptors of {k} values; about {megabytes:.0f} MB, "
        f"at most about {max(1, round(seconds))} s ({max_iter} iterations)"
    )
