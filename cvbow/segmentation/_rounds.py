"""Classifiers one after the other, each of which sees what the one before it thinks of a super-pixel's surroundings.

What classifiers learn of the last round is said by those that have not seen the image; else they would believe it more
than it deserves on other images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cvbow.errors import CvbowError
from cvbow.parallel import run, single_threaded
from cvbow.progress import detail, note, stages
from cvbow.segmentation._context import context
from cvbow.segmentation._known import Known
from cvbow.segmentation._smoothing import smooth
from cvbow.segmentation.measures import ious, mean_of

#: Factors of a class's probability that are tried, where such a share of all pixels is known.
_FACTORS, _MOSTLY = np.geomspace(1 / 3, 3, 13), 0.5


@dataclass(frozen=True, eq=False)
class Rounds:
    """How rounds are learned: see ``Segmenter``."""

    classifier: Any
    n_rounds: int
    n_folds: int
    sample: int
    smoothing: float
    n_jobs: int | None
    random_state: int

    def learn(self, known: Sequence[Known], classes: NDArray[np.int64]) -> tuple[list[list[Any]], NDArray[np.float64]]:
        """Return the classifiers of each round, one for each part of the images, and the factors of the classes."""
        n_folds, n_rounds = min(self.n_folds, len(known)), self.n_rounds
        if n_folds == 1 and n_rounds > 1:
            note("one image: nothing can be learned from what others, which have not seen it, say of it")
            n_rounds = 1
        folds = np.arange(len(known)) % n_folds
        targets = [one.targets(classes) for one in known]
        rows = self._drawn(targets)
        values = [one.values for one in known]
        rounds: list[list[Any]] = []
        steps = [f"{step} {number}" for number in range(1, n_rounds + 1) for step in ("round", "context")]
        with stages(dict.fromkeys(steps, 1)) as begin:
            for number in range(1, n_rounds + 1):
                begin(f"round {number}")
                detail(
                    f"round {number} of {n_rounds}: {sum(map(len, rows))} super-pixels of {values[0].shape[1]} values"
                )
                learner = _Learn(self.classifier, values, targets, rows, folds)
                parts = list(range(n_folds))
                made = list(run(learner, parts, n_jobs=self.n_jobs, task=f"round {number}", total=n_folds))
                rounds.append(made)
                begin(f"context {number}")
                guess = _Guess(made, folds, len(classes), known, values, number < n_rounds)
                found = list(
                    run(guess, range(len(known)), n_jobs=self.n_jobs, task=f"context {number}", total=len(known))
                )
                if number < n_rounds:
                    values = [
                        one.values if more is None else np.hstack([one.values, more])
                        for one, (_, more) in zip(known, found, strict=True)
                    ]
        return rounds, self._best_factors(known, [probabilities for probabilities, _ in found], classes)

    def _drawn(self, targets: Sequence[NDArray[np.intp]]) -> list[NDArray[np.intp]]:
        """Return the super-pixels of each image to learn from: those of one class, or a share of them at random."""
        random = np.random.default_rng(self.random_state)
        pure = [np.flatnonzero(one >= 0) for one in targets]
        share = min(1.0, self.sample / max(sum(map(len, pure)), 1))
        return [np.sort(random.permutation(rows)[: max(1, round(share * len(rows)))]) for rows in pure]

    def _best_factors(
        self, known: Sequence[Known], probabilities: Sequence[NDArray[np.float32]], classes: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the factors of the classes that give the best mean intersection over union, one after the other."""
        with single_threaded():
            smoothed = np.concatenate(
                [smooth(one.described, found, self.smoothing) for one, found in zip(known, probabilities, strict=True)]
            )
        counts = np.concatenate([one.by_class(classes) for one in known])
        n_classes, n_pixels = len(classes), sum(one.n_pixels for one in known)
        if counts.sum() < _MOSTLY * n_pixels:
            return np.ones(n_classes)  # scribbles do not say how large classes are

        def judged(factors: NDArray[np.float64]) -> float:
            found = (smoothed * factors).argmax(axis=1)
            return mean_of(ious(np.stack([np.bincount(found, column, n_classes) for column in counts.T])))

        factors = np.ones(n_classes)
        for column in range(1, n_classes):
            options = [np.where(np.arange(n_classes) == column, factor, factors) for factor in _FACTORS]
            figures = [judged(option) for option in options]
            # Of equals the one that changes least.
            middle = len(options) // 2
            factors = options[max(range(len(options)), key=lambda place: (figures[place], -abs(place - middle)))]
        return factors


def class_probabilities(classifier: Any, values: NDArray[np.float32], n_classes: int) -> NDArray[np.float32]:
    """Return probabilities (n, n_classes); a class that the classifier has not seen has none."""
    found = np.zeros((len(values), n_classes), np.float32)
    found[:, classifier.classes_] = classifier.predict_proba(values)
    return found


@dataclass(frozen=True, eq=False)
class _Learn:
    """Learns the classifier of one part of the images from the others, or from all where these are of one class."""

    classifier: Any
    values: Sequence[NDArray[np.float32]]
    targets: Sequence[NDArray[np.intp]]
    rows: Sequence[NDArray[np.intp]]
    folds: NDArray[np.intp]

    def __call__(self, fold: int) -> Any:
        places = list(range(len(self.folds)))
        others = [place for place in places if self.folds[place] != fold]
        for chosen in (others, places):
            y = np.concatenate([self.targets[place][self.rows[place]] for place in chosen] or [np.zeros(0, np.intp)])
            if len(np.unique(y)) > 1:
                X = np.concatenate([self.values[place][self.rows[place]] for place in chosen])
                return clone(self.classifier).fit(X, y)
        raise CvbowError("masks must show two classes, each with a super-pixel of its own: smaller ones may help")


@dataclass(frozen=True, eq=False)
class _Guess:
    """Lets the classifier that has not seen an image answer for it; and tells the context of that, if it is asked."""

    classifiers: Sequence[Any]
    folds: NDArray[np.intp]
    n_classes: int
    known: Sequence[Known]
    values: Sequence[NDArray[np.float32]]
    tell_context: bool

    def __call__(self, place: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        found = class_probabilities(self.classifiers[self.folds[place]], self.values[place], self.n_classes)
        if not self.tell_context:
            return found, None
        described = self.known[place].described
        return found, context(described, described.pixels.neighbourhoods(), found)
