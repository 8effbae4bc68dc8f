"""What one recipe is worth: its error by cross-validation, its time and its size."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cvbow.backends import ImageEncoder
from cvbow.backends.loading import ImageLike
from cvbow.classify.one_against_rest import OneAgainstRestClassifier
from cvbow.errors import CvbowError
from cvbow.parallel import default_jobs
from cvbow.presets import Preset, make_model
from cvbow.progress import reporting
from cvbow.storage import size_of
from cvbow.tuning.cost import milliseconds
from cvbow.tuning.sharing import Kept, bags, share, unshare

#: Each of so many parts of the images is left out once.
_FOLDS = 5
#: Part of the images that a recipe is looked at with first.
_FIRST = 0.4
#: Fewer images than this are not worth a first look.
_FEW = 50
#: A recipe is stopped where it is worse by more standard errors than this, of the difference image by image.
_ERRORS = 2.0
#: Images whose answers are timed.
_TIMED = 7
#: Bytes of words that are kept; they take long to learn, and little room.
_ROOM_FOR_WORDS = 64_000_000
#: Bytes of the vectors of all images that a recipe may have: twice as many are held for a moment.
_ROOM_FOR_VECTORS = 2_500_000_000


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a recipe was found to do.

    Attributes
    ----------
    recipe : Preset
    error : float
        Mean over classes of the share of images that were answered wrongly while they were left out, 0 to 1.
    spread : float
        Its standard error.
    milliseconds : float
        Of one thread for an answer, counted: see ``cvbow.tuning.cost``.
    megabytes : float
        Of what a model file holds.
    measured : float
        Milliseconds of the processor that an answer took, the median of a few: no two runs give the same.
    first : ndarray of shape (n_first,), bool
        Which images of the first look were answered wrongly.
    stopped : str
        Why it was not looked at further; empty where it was.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import PRESETS
    >>> from cvbow.tuning import Outcome
    >>> good = Outcome(PRESETS["fast"], 0.1, 0.02, 8.0, 0.5, 9.1, np.zeros(0, bool))
    >>> slow = Outcome(PRESETS["bow"], 0.1, 0.02, 20.0, 0.5, 21.3, np.zeros(0, bool))
    >>> good.dominates(slow), slow.dominates(good)
    (True, False)
    """

    recipe: Preset
    error: float
    spread: float
    milliseconds: float
    megabytes: float
    measured: float
    first: NDArray[np.bool_]
    stopped: str = ""

    @property
    def values(self) -> tuple[float, float, float]:
        """What is to be small: error, milliseconds, megabytes."""
        return self.error, self.milliseconds, self.megabytes

    def dominates(self, other: Outcome) -> bool:
        """Tell whether it is as good in everything as another one, and better in something."""
        pairs = list(zip(self.values, other.values, strict=True))
        return all(mine <= its for mine, its in pairs) and any(mine < its for mine, its in pairs)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {
            "error": self.error,
            "spread": self.spread,
            "milliseconds": self.milliseconds,
            "megabytes": self.megabytes,
            "measured": self.measured,
            "stopped": self.stopped,
        }


class Evaluator:
    """Tries recipes out on the same images.

    Parameters
    ----------
    images : sequence of ndarray
        In an order in which the first of them, however many, have the classes in the same parts as all.
    labels : ndarray of shape (n,)
    files : sequence of paths or arrays
        Images as an answer gets them, to be timed.
    n_jobs : int or None
    room : int
        Bytes of features that are kept for the recipes that follow.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        labels: NDArray[np.str_],
        files: Sequence[ImageLike],
        *,
        n_jobs: int | None,
        room: int,
    ) -> None:
        self.images = images
        self.labels = labels
        self.files = files[:_TIMED]
        self.n_jobs = n_jobs
        self.features = Kept(room)
        self.words = Kept(_ROOM_FOR_WORDS)
        sizes = np.array([image.shape[:2] for image in images])
        height, width = np.median(sizes, axis=0)
        self.size = round(float(width)), round(float(height))

    def try_out(self, recipe: Preset, known: Sequence[Outcome]) -> Outcome:
        """Return what a recipe does; it is stopped early where one of those known is clearly better in everything."""
        with reporting(None), warnings.catch_warnings():
            # Of fewer words than were wanted, say: here that is a recipe like others.
            warnings.simplefilter("ignore")
            try:
                return self._try_out(recipe, known)
            except (CvbowError, ValueError) as error:
                # Images too small for these features, say.
                worst = max((outcome.milliseconds for outcome in known), default=1.0)
                size = max((outcome.megabytes for outcome in known), default=1.0)
                return Outcome(recipe, 1.0, 0.0, worst, size, 0.0, np.ones(0, bool), stopped=str(error))

    def _try_out(self, recipe: Preset, known: Sequence[Outcome]) -> Outcome:
        model = make_model(recipe, n_jobs=self.n_jobs)
        backend, classifier = model.backend, model.classifier
        share(backend, self.features, self.words)
        backend.fit(self.images)
        n_bytes = 4 * len(self.images) * backend.vector_length
        if n_bytes > _ROOM_FOR_VECTORS:
            raise CvbowError(f"the vectors of {len(self.images)} images would take {n_bytes / 1e9:.1f} GB")
        n_first = round(_FIRST * len(self.images)) if len(self.images) >= _FEW else 0
        vectors = backend.encode_images(self.images[:n_first], strict=True).vectors
        first, _ = self._judge(backend, classifier, vectors)
        n_classes = len(np.unique(self.labels))
        outcome = Outcome(
            recipe,
            *_error(first, self.labels[:n_first]),
            milliseconds(backend, classifier, self.size),
            # Of the classifier at least: what a linear one holds.
            (_size(backend) + 4 * n_classes * backend.vector_length) / 1e6,
            0.0,
            first,
        )
        better = next((other for other in known if _clearly_better(other, outcome)), None)
        if better is not None:
            return replace(
                outcome, error=max(outcome.error, better.error), stopped=f"{better.recipe.summary} is better"
            )
        rest = backend.encode_images(self.images[n_first:], strict=True).vectors
        vectors = np.concatenate([vectors, rest])
        del rest
        wrong, fitted = self._judge(backend, classifier, vectors)
        del vectors
        used = fitted.drop_unused_channels()
        backend = backend if used is None else backend.keep(used)
        unshare(backend)
        error, spread = _error(wrong, self.labels)
        return replace(
            outcome,
            error=error,
            spread=spread,
            milliseconds=milliseconds(backend, fitted, self.size),
            megabytes=(_size(backend) + size_of(fitted)) / 1e6,
            measured=self._measured(backend, fitted),
        )

    def _judge(
        self, backend: ImageEncoder, classifier: OneAgainstRestClassifier, vectors: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], Any]:
        """Return which of the first images are answered wrongly while they are left out, and the classifier of all."""
        labels = self.labels[: len(vectors)]
        if not len(vectors):
            return np.zeros(0, bool), None
        told: dict[str, Any] = {} if backend.channel_slices is None else {"channels": backend.channel_slices}
        with default_jobs(self.n_jobs):
            fitted: Any = clone(classifier).fit(vectors, labels, folds=in_folds(labels), **told)
        return fitted.classes_[fitted.held_out_.decisions.argmax(axis=1)] != labels, fitted

    def _measured(self, backend: ImageEncoder, fitted: Any) -> float:
        """Return the median processor time of an answer on one thread, in milliseconds."""
        backend.set_params(n_jobs=1)
        times = []
        for image in self.files:
            started = time.process_time()
            fitted.predict(backend.encode(image)[None])
            times.append(1000 * (time.process_time() - started))
        return float(f"{statistics.median(times):.3g}")


def in_even_order(labels: NDArray[Any], seed: int) -> NDArray[np.intp]:
    """Return an order of images in which the first of them, however many, have the classes in the same parts as all.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.tuning.evaluation import in_even_order
    >>> labels = np.array(["a"] * 6 + ["b"] * 3)
    >>> sorted(labels[in_even_order(labels, seed=0)][:3].tolist())
    ['a', 'a', 'b']
    """
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place, kind="stable")


def in_folds(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Return the part that each image is left out with, of five: the images of each class in turn.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.tuning.evaluation import in_folds
    >>> in_folds(np.array(["a", "b", "a", "b", "a", "b", "a"])).tolist()
    [0, 4, 1, 0, 2, 1, 3]
    """
    folds = np.empty(len(labels), np.intp)
    start = 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        folds[members] = (start + np.arange(len(members))) % _FOLDS
        start += len(members)
    return folds


def front_of(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return those that no other one dominates, the least error first; of equal ones the first.

    V. Pareto's front: whoever wants less of one thing has to take more of another.
    """
    found: list[Outcome] = []
    for outcome in sorted(outcomes, key=lambda one: one.values):
        if not any(other.dominates(outcome) or other.values == outcome.values for other in found):
            found.append(outcome)
    return found


def _clearly_better(other: Outcome, outcome: Outcome) -> bool:
    """Tell whether another recipe, of which all is known, costs no more and is right so much more often at first."""
    cheaper = other.milliseconds <= outcome.milliseconds and other.megabytes <= outcome.megabytes
    if other.stopped or not cheaper or not len(outcome.first) or len(other.first) != len(outcome.first):
        return False
    difference = outcome.first.astype(float) - other.first
    return bool(difference.mean() > _ERRORS * difference.std() / np.sqrt(len(difference)))


def _error(wrong: NDArray[np.bool_], labels: NDArray[Any]) -> tuple[float, float]:
    """Return the mean over classes of the share of wrong answers, and its standard error."""
    if not len(wrong):
        return 1.0, 0.0
    shares = [(wrong[labels == label].mean(), (labels == label).sum()) for label in np.unique(labels)]
    variance = sum(share * (1 - share) / count for share, count in shares)
    return float(np.mean([share for share, _ in shares])), float(np.sqrt(variance) / len(shares))


def _size(backend: ImageEncoder) -> int:
    """Return the bytes of what the bags of a fitted backend have learned."""
    learned: list[Mapping[str, Any]] = []
    for bag in bags(backend):
        encoder = bag.encoder_.get_params(deep=False).get("encoder", None)
        inside = bag.encoder_ if encoder is None else bag.encoder_.encoder_
        learned.append({"words": inside.dictionary_, "reduce": bag.reduce_})
    return size_of(learned)
