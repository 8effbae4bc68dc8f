"""How much each channel of vectors is to count: its share in their squared length, learned from training vectors.

The shares are those with which a ridge regression answers best for images that are left out, one at a time, or by given
folds, where images are nearly the same. It stands for the support vector machine, whose answers without an image would
have to be learned anew: of the kernel ``sum_c s_c K_c``, K_c being the dot products in channel c at a mean squared
length of 1, they follow from one inverse (see ``_ridge``). What is judged are the probabilities that are made of the
answers: squared errors of the answers themselves tell how large these are, and of few images a channel that makes them
small seems to do harm.

Few images do not tell much, and all channels alike are what to take without any. So, as in L. Breiman et al.,
"Classification and regression trees", 1984, section 3.4.3, of shares that are worse than the best by no more than one
standard error the simplest are preferred, which are the most alike; the error is that of the difference between the
two, image by image. A channel that surely helps by less than a hundredth is left out, as it would take its time; with
few images little is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.classify._labels import Labels, fold_of_each
from cvbow.classify._ridge import left_out_of_kernel
from cvbow.classify._squared_hinge import gram
from cvbow.classify._standardize import Standardization, column_sums
from cvbow.classify._temperature import fit_temperature, log_sums
from cvbow.classify.one_against_rest import two_columns

#: Shares of a channel that are tried.
_SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
#: How much of the way from equal shares to the best ones is gone, the least that is good enough.
_WAYS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: A channel that is worth its time makes the errors smaller by such a part; to which as much is added as a tenth of
#: what answers that know nothing have, as parts of next to nothing are nothing.
_WORTH, _BLIND = 0.01, 0.1
#: What costs more has to be better by so many standard errors: chance gives one in one of six cases, two in one of 40.
_ERRORS = 2
#: Of more vectors than this, a part is looked at.
MOST = 1500
#: The part is drawn by folds that are others than those of C and of the temperature.
_SEED = 2
#: Every channel is looked at again once the others have changed, so many times at most.
_ROUNDS = 3

Float = NDArray[np.float64]


def learn_shares(
    vectors: NDArray[np.float32],
    labels: Labels,
    bounds: Mapping[str, slice],
    standard: Standardization | None,
    penalties: Sequence[float],
) -> Float:
    """Return the share of each channel, (n_channels,), which add up to 1; 0 for those that do not help.

    ``penalties`` are the ridge's, for vectors of a mean squared length of 1; each share is judged with the best.
    """
    rows = some_rows(labels, MOST)
    labels, some = labels.part(rows), None if len(rows) == len(vectors) else rows
    kernels = [gram(vectors, standard, rows=some, columns=columns) for columns in bounds.values()]
    lengths = [float(np.average(np.diag(kernel), weights=labels.counts)) for kernel in kernels]
    for kernel, length in zip(kernels, lengths, strict=True):
        kernel /= length or 1.0
    search = Search(_sum_of(kernels), Surprise(labels), penalties)
    return search.best_shares(np.flatnonzero(lengths), len(kernels))


def _sum_of(kernels: Sequence[Float]) -> Callable[[Float], Float]:
    """Return what makes one kernel of several, each of which has a share of it."""
    return lambda shares: np.asarray(
        sum(share * kernel for share, kernel in zip(shares, kernels, strict=True) if share > 0)
    )


def some_rows(labels: Labels, most: int) -> NDArray[np.intp]:
    """Return the rows of up to so many vectors, all or none of an image's, as evenly from the classes as they go.

    Those of weight 0, of a class that is not to be learned, tell nothing.
    """
    rows = np.flatnonzero(labels.weights)
    n_parts = -(-len(rows) // most)
    if n_parts == 1:
        return rows
    return np.asarray(rows[fold_of_each(labels.index[rows], n_parts, _SEED, labels.size) == 0])


def scaled_channels(
    vectors: NDArray[np.float32],
    counts: Float | None,
    bounds: Mapping[str, slice],
    shares: Float,
    standard: Standardization | None,
) -> Standardization:
    """Return what gives the channels these shares in a mean squared length of 1, besides standardising them."""
    d = vectors.shape[1]
    if standard is None:
        standard = Standardization(np.zeros(d), np.ones(d))
        squares = column_sums(vectors, standard.mean, counts) / (len(vectors) if counts is None else counts.sum())
    else:
        # Each value that varies has the same part in the squared length.
        squares = (standard.scale > 0) / max(int((standard.scale > 0).sum()), 1)
    scale = standard.scale.copy()
    for columns, share in zip(bounds.values(), shares / shares.sum(), strict=True):
        length = squares[columns].sum()
        scale[columns] *= np.sqrt(share / length) if length > 0 else 0.0
    return Standardization(standard.mean, scale)


class Search:
    """Tries shares, each once.

    ``kernel_of`` makes a kernel matrix (n, n) of the shares of the channels, and of the penalties of a ridge regression
    the best is taken.
    """

    def __init__(self, kernel_of: Callable[[Float], Float], judge: Judge, penalties: Sequence[float]) -> None:
        self.kernel_of = kernel_of
        self.judge = judge
        self.penalties = penalties
        self.known: dict[bytes, Float] = {}

    def best_shares(self, channels: NDArray[np.intp], n_channels: int) -> Float:
        """Return shares (n_channels,), which add up to 1, of those of the channels that are worth their time."""
        if not channels.size:
            return np.full(n_channels, 1 / n_channels)
        equal = np.bincount(channels, minlength=n_channels) / channels.size
        return self._without_idle(self._near(equal, self._improved(equal)))

    def _improved(self, shares: Float) -> Float:
        """Return the best shares that changing one channel's after the other leads to, for as long as that helps."""
        singles = np.eye(len(shares))[shares > 0]
        for _ in range(_ROUNDS):
            before = shares
            for single in sorted(singles, key=self.mean_error):
                if (shares != single).any():
                    rest = _without(single, shares)
                    tried = [(1 - share) * rest + share * single for share in _SHARES]
                    shares = min((shares, *tried), key=self.mean_error)
            if np.array_equal(shares, before):
                break
        return shares

    def _near(self, equal: Float, best: Float) -> Float:
        """Return the shares nearest to equal ones, on the way to the best, that are no worse by more than chance."""
        ways = ((1 - way) * equal + way * best for way in _WAYS)
        return next(shares for shares in ways if self.judge.is_as_good(self.errors(shares), self.errors(best)))

    def _without_idle(self, shares: Float) -> Float:
        """Return the shares without those channels that are surely not worth their time, up to a standard error."""
        blind = self.judge.mean(self.judge.errors_of(np.zeros_like(self.judge.wanted)))
        while np.count_nonzero(shares) > 1:
            rests = (_without(single, shares) for single in np.eye(len(shares))[shares > 0])
            rest = min(rests, key=self.mean_error)
            mean, error = self.judge.gain(self.errors(shares), self.errors(rest))
            if mean + error > _WORTH * (self.mean_error(rest) + _BLIND * blind):
                break
            shares = rest
        return shares

    def errors(self, shares: Float) -> Float:
        """Return the error of each image without which the answer was learned."""
        key = shares.round(9).tobytes()
        if key not in self.known:
            kernel = self.kernel_of(shares)
            found = [self.judge.errors(kernel, penalty) for penalty in self.penalties]
            self.known[key] = min(found, key=self.judge.mean)
        return self.known[key]

    def mean_error(self, shares: Float) -> float:
        return self.judge.mean(self.errors(shares))


def _without(single: Float, shares: Float) -> Float:
    """Return the shares without those of one channel, which has 1 in `single`; the others keep their ratios."""
    rest = np.asarray(shares * (1 - single))
    return np.asarray(rest / rest.sum())


class Judge:
    """Judges answers for images that are left out of a ridge regression: by their squared errors."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.together = labels.together
        images = self.images = labels.images
        n_classes = int(labels.index.max()) + 1
        self.y = labels.targets(n_classes)
        self.wanted = images.targets(n_classes)
        counts = np.ones(len(images.index)) if images.counts is None else images.counts
        # Every class weighs the same, as in the mean class accuracy. Labels, of which an image may have several, weigh
        # by how much they vary: the few images without a label that nearly all have would be little more than chance.
        sizes = np.maximum(images.class_counts(n_classes), 1)[images.index]
        self.weights = counts / sizes if images.has is None else counts
        self.weights = self.weights / self.weights.sum()
        # As many images as it counts for would be that many errors.
        self.squared_weights = self.weights**2 / counts

    def errors(self, kernel: Float, penalty: float) -> Float:
        """Return the error of each image, (n_images,), from the kernel of the vectors (n, n)."""
        return self.errors_of(self.labels.of_images(self.answers(kernel, penalty)))

    def answers(self, kernel: Float, penalty: float) -> Float:
        """Return the answers for each vector, (n, n_problems)."""
        return left_out_of_kernel(kernel, self.y, self.labels.weights, penalty, self.together)

    def errors_of(self, answers: Float) -> Float:
        """Return the error of each image's answers (n_images, n_problems)."""
        return np.asarray(((answers - self.wanted) ** 2).mean(axis=1))

    def mean(self, errors: Float) -> float:
        return float(self.weights @ errors)

    def is_better(self, errors: Float, than: Float) -> bool:
        """Tell whether errors are smaller than others by more than chance, for what costs more."""
        mean, error = self.gain(errors, than)
        return mean > _ERRORS * error

    def is_as_good(self, errors: Float, than: Float) -> bool:
        """Tell whether errors are larger than others by no more than a standard error."""
        mean, error = self.gain(errors, than)
        return mean >= -error

    def gain(self, errors: Float, than: Float) -> tuple[float, float]:
        """Return by how much errors are smaller than others, on average, and the standard error of that."""
        smaller = than - errors
        mean = self.weights @ smaller
        return float(mean), float(np.sqrt(self.squared_weights @ (smaller - mean) ** 2))


class Surprise(Judge):
    """Judges answers by the logarithms of the probabilities that they give to the right classes.

    Where an image may have several labels, it judges by squared errors.
    """

    def errors_of(self, answers: Float) -> Float:
        if self.labels.has is not None:
            return super().errors_of(answers)
        index, decisions = self.images.index, two_columns(answers)
        scores = decisions * fit_temperature(decisions, index, self.images.counts)
        return np.asarray(log_sums(scores) - scores[np.arange(len(scores)), index])
