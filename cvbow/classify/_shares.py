"""How much each channel of vectors is to count: its share in their squared length, learned from training vectors.

The shares are those that make a ridge regression answer best for images that are left out, one at a time. It stands
for the support vector machine, whose answers without an image would have to be learned anew: of the kernel
``sum_c s_c K_c``, K_c being the dot products in channel c at a mean squared length of 1, they follow from one inverse
(see ``_ridge``). Its squared errors tell more of a difference than counts of right answers do. As in L. Breiman et al.,
"Classification and regression trees", 1984, section 3.4.3, what is better by no more than its standard errors is taken
for chance, and what is simpler is preferred; here that is to be without a channel, and the errors are those of the
difference between the two, image by image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.classify._labels import Labels
from cvbow.classify._ridge import left_out_of_kernel
from cvbow.classify._squared_hinge import gram
from cvbow.classify._standardize import Standardization, column_sums

#: Shares of a channel that are tried next to 0.
_SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
#: A channel has to help by so many standard errors: chance gives one in one of six cases, two in one of 40.
_ERRORS = 2
#: Of more vectors than this, a part is looked at.
_MOST = 1500
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
    n_parts = -(-len(vectors) // _MOST)
    rows = None
    if n_parts > 1:
        drawn = labels.folds(n_parts, _SEED) == 0
        rows, labels = np.flatnonzero(drawn), labels.part(drawn)
    kernels = [gram(vectors, standard, rows=rows, columns=columns) for columns in bounds.values()]
    lengths = [float(np.average(np.diag(kernel), weights=labels.counts)) for kernel in kernels]
    for kernel, length in zip(kernels, lengths, strict=True):
        kernel /= length or 1.0
    search = _Search(kernels, labels, penalties)
    single = np.eye(len(kernels))
    # Strongest first. A channel that is 0 everywhere is not looked at.
    order = sorted(np.flatnonzero(lengths).tolist(), key=lambda channel: search.mean_error(single[channel]))
    if not order:
        return np.full(len(kernels), 1 / len(kernels))
    shares: Float = single[order[0]]
    for _ in range(_ROUNDS):
        before = shares
        for channel in order:
            if shares[channel] < 1:
                shares = search.with_best_share(shares, channel)
        if np.array_equal(shares, before):
            break
    return shares


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


class _Search:
    """Tries shares, each once."""

    def __init__(self, kernels: Sequence[Float], labels: Labels, penalties: Sequence[float]) -> None:
        self.kernels = kernels
        self.labels = labels
        self.penalties = penalties
        images = labels.images
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
        self.known: dict[bytes, Float] = {}

    def errors(self, shares: Float) -> Float:
        """Return the squared error of each image without which the answer was learned."""
        key = shares.round(9).tobytes()
        if key not in self.known:
            kernel = sum(share * kernel for share, kernel in zip(shares, self.kernels, strict=True) if share > 0)
            found = [self._errors(np.asarray(kernel), penalty) for penalty in self.penalties]
            self.known[key] = min(found, key=lambda errors: float(self.weights @ errors))
        return self.known[key]

    def mean_error(self, shares: Float) -> float:
        return float(self.weights @ self.errors(shares))

    def _errors(self, kernel: Float, penalty: float) -> Float:
        labels = self.labels
        answers = left_out_of_kernel(kernel, self.y, labels.weights, penalty, labels.size)
        return np.asarray(((labels.of_images(answers) - self.wanted) ** 2).mean(axis=1))

    def with_best_share(self, shares: Float, channel: int) -> Float:
        """Return the shares with the best one of a channel, the others keeping what they are to each other."""
        alone: Float = np.eye(len(shares))[channel]
        rest: Float = shares * (alone == 0)
        rest /= rest.sum()
        best: Float = min(
            ((1 - share) * rest + share * alone for share in _SHARES),
            key=self.mean_error,
        )
        better = self.errors(rest) - self.errors(best)
        mean = self.weights @ better
        error = np.sqrt(self.squared_weights @ (better - mean) ** 2)
        return best if float(mean) > _ERRORS * float(error) else rest
