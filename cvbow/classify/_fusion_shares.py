"""What a product of Gaussian kernels is to be made of, learned from training vectors: channels, width and views.

As in ``_shares``, a ridge regression's answers for images that are left out are judged by the probabilities that are
made of them. Of views, which cost more than channels do, squared errors have to be smaller as well, by more than
chance: they tell views that help with fewer images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbow.classify._fusion_kernel import squared_distances
from cvbow.classify._labels import Labels
from cvbow.classify._shares import MOST, Judge, Search, Surprise, some_rows

#: What the weights of all channels may add up to: a narrow kernel has much.
_TOTALS = (0.2, 0.35, 0.5, 0.75, 1.1, 1.6)
#: Penalties that are tried, in units of the one that is asked for.
_FACTORS = (1, 4, 16)
#: Of more vectors than this, a part tells whether views help: the work is the cube of their number. Of 2000, five views
#: of 400 images, the gain on 15-Scene was no larger than its standard error; of 4000 it was two and a half of them.
_MOST_VIEWS = 4000

Float = NDArray[np.float64]


class Ways(NamedTuple):
    """How many views of each image are learned from, and of how many the answer is the mean."""

    learned: int
    answering: int


class Scaled(Judge):
    """Judges answers by their squared errors once all are multiplied by the factor that is best for them.

    Where much is held back, answers are small, whatever they are worth.
    """

    def errors_of(self, answers: Float) -> Float:
        center = self.weights @ self.wanted
        answers, wanted = answers - center, self.wanted - center
        product, square = self.weights @ (answers * wanted), self.weights @ answers**2
        factor = product.sum() / square.sum() if square.any() else 1.0
        return np.asarray(((factor * answers - wanted) ** 2).mean(axis=1))


def learn_weights(
    vectors: NDArray[np.float32], labels: Labels, bounds: Mapping[str, slice], total: float, alpha: float
) -> Float:
    """Return the weight of each channel, (n_channels,), 0 for those that do not help.

    The vectors are those of the first view of each image; ``total`` is what the weights add up to at first.
    """
    rows = some_rows(labels, MOST)
    some = vectors[rows]
    distances = [squared_distances(some[:, columns], None) for columns in bounds.values()]
    for each in distances:
        each /= _mean(each) or 1.0
    varied = np.flatnonzero([each.any() for each in distances])
    labels = labels.part(rows)

    judge = Surprise(labels)

    def search(total: float) -> Search:
        return Search(lambda shares: _kernel(distances, total * shares), judge, _penalties(alpha))

    shares = search(total).best_shares(varied, len(distances))
    best = min(_TOTALS, key=lambda total: search(total).mean_error(shares))
    if best != total:
        shares = search(best).best_shares(varied, len(distances))
    return best * shares


def learn_views(
    vectors: NDArray[np.float32], labels: Labels, bounds: Mapping[str, slice], weights: Float, alpha: float
) -> tuple[Ways, float]:
    """Return what to do with the views of images and the penalty for that, the weights of the channels being known.

    To learn from them makes training longer; to answer by them makes every answer longer. Each is judged with the best
    penalty, ``alpha`` or a larger one: the views of an image say much the same, so that there is more to hold back.
    """
    size, views = labels.size, labels.groups.views
    rows = some_rows(labels, _MOST_VIEWS)
    some, labels = vectors[rows], labels.part(rows)
    distances = []
    for columns in bounds.values():
        between = squared_distances(some[:, columns], None)
        distances.append(between / (_mean(between[::size, ::size]) or 1.0))
    kernel = _kernel(distances, weights)
    first = np.arange(0, len(some), views)
    own, by_first, penalties = first_views(labels), answered_by_first(labels), _penalties(alpha)
    scaled, surprise = Scaled(own), Surprise(own)
    of_first = [scaled.answers(kernel[np.ix_(first, first)], penalty) for penalty in penalties]
    answers = {Ways(1, 1): [own.of_images(each) for each in of_first]}
    if views > 1:
        of_all = [Judge(labels).answers(kernel, penalty) for penalty in penalties]
        answers[Ways(views, 1)] = [by_first.of_images(each) for each in of_all]
        answers[Ways(views, views)] = [labels.of_images(each) for each in of_all]

    def errors(way: Ways, judge: Judge) -> list[Float]:
        return sorted((judge.errors_of(each) for each in answers[way]), key=judge.mean)

    best = Ways(1, 1)
    for way in list(answers)[1:]:
        # Views that answer take their time with every image: the probabilities have to be better as well.
        judges = [scaled] if way.answering == 1 else [scaled, surprise]
        if all(judge.is_better(errors(way, judge)[0], errors(best, judge)[0]) for judge in judges):
            best = way
    each = [surprise.mean(surprise.errors_of(found)) for found in answers[best]]
    return best, penalties[int(np.argmin(each))]


def _penalties(alpha: float) -> list[float]:
    return [factor * alpha for factor in _FACTORS]


def first_views(labels: Labels) -> Labels:
    """Return the labels of the first view of each picture."""
    found = labels.part(slice(None, None, labels.groups.views))
    return replace(found, groups=replace(found.groups, views=1))


def answered_by_first(labels: Labels) -> Labels:
    """Return the labels of vectors of which all are learned from, and the first of each image answers for it."""
    return replace(labels, groups=replace(labels.groups, views=1, copies=labels.size))


def _kernel(distances: list[Float], weights: Float) -> Float:
    total = np.zeros_like(distances[0])
    for each, weight in zip(distances, weights, strict=True):
        if weight > 0:
            total -= weight * each
    return np.exp(total, out=total)


def _mean(distances: Float) -> float:
    """Return the mean of the distances (n, n) between different vectors."""
    n = len(distances)
    return float(distances.sum()) / max(n * (n - 1), 1)
