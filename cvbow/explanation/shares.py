"""What the points and pixels of images gave to scores of classes, which explanations and places are made of.

The way back of the way that an image goes: weights of a vector's values, shares of its points. S. Lapuschkin, A.
Binder, G. Montavon, K.-R. Mueller and W. Samek, "Analyzing classifiers: Fisher vectors and deep neural networks", CVPR
2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow.backends import ImageLike, ImageShares
from cvbow.backends.loading import check_images, load_source, path_of, try_image
from cvbow.backends.shares import leave_out
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError, did_you_mean
from cvbow.images import reading_as
from cvbow.parallel import run
from cvbow.tables import some

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ScoreShares:
    """What the points and pixels of one image gave to the scores of some classes.

    Attributes
    ----------
    path : str or None
        Of the image; None of pixels.
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        As the model read it.
    vector : ndarray of shape (d,), float32
    class_names : list of str
        The classes.
    against : str or None
        The class whose score has been subtracted from each; None where there is none.
    scores : ndarray of shape (n_classes,), float64
    biases : ndarray of shape (n_classes,), float64
        The scores of a vector of zeros.
    shares : ImageShares
        Its answers are the classes.
    method : {"exact", "mean gradient", "leaving out"}
        As that of ``Explanation``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.explanation import score_shares
    >>> red, blue = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> red[:, :, 0], blue[:, :, 2] = 255, 255
    >>> model = ImageClassifier(ColorHistogram()).fit([red, blue] * 3, ["red", "blue"] * 3)
    >>> (found,) = score_shares(model, [red], [["red", "blue"]], make=lambda shares: shares)
    >>> found.class_names, found.shares.pixels.shape, found.method
    (['red', 'blue'], (2, 8, 8), 'exact')
    """

    path: str | None
    image: NDArray[np.uint8]
    vector: NDArray[np.float32]
    class_names: list[str]
    against: str | None
    scores: NDArray[np.float64]
    biases: NDArray[np.float64]
    shares: ImageShares
    method: str


def score_shares(
    model: ImageClassifier,
    images: Sequence[ImageLike],
    classes: Sequence[Sequence[Any]],
    *,
    make: Callable[[ScoreShares], T],
    against: Any = None,
    task: str = "explain",
) -> Iterator[T | ImageError]:
    """Yield what is made of the shares of each image, or the error that it could not be read with.

    Parameters
    ----------
    model : ImageClassifier
        Trained.
    images : sequence of paths or arrays
    classes : sequence, of n_images, of sequences of labels
        Whose scores are shared out; where one is empty, that of the class with the highest score, or of each label that
        the image is given, where it may have several.
    make : callable
        Gets the ScoreShares of an image, in the worker that read it: picklable.
    against : label or None, default None
        Share out the difference from this class's score.
    task : str, default "explain"
        What the work is called.

    Raises
    ------
    NotFittedError
        If the model is not trained.
    ValueError
        If the model is no ImageClassifier or has no such class, or there are more or fewer classes than images.
    """
    if not isinstance(model, ImageClassifier):
        raise ValueError(f"model must be an ImageClassifier, got {type(model).__name__}")
    check_is_fitted(model, "classifier_")
    images = check_images(images)
    if len(classes) != len(images):
        raise ValueError(f"classes must be as many as images, got {len(classes)} and {len(images)}")
    rows = {name: _row(model, name) for name in dict.fromkeys(name for wanted in classes for name in wanted)}
    other = None if against is None else _row(model, against)
    if other in rows.values():
        raise ValueError(f"against must be another class than the one that is explained, got {against!r}")
    items = zip(images, ([rows[name] for name in wanted] for wanted in classes), strict=True)
    return run(_Sharer(model, other, make), items, n_jobs=model.backend_.n_jobs, task=task, total=len(images))


def wanted_classes(classes: Any, n_images: int) -> list[list[Any]]:
    """Return for each of n_images the wanted classes: a label, a sequence of labels, or None for the best one."""
    if classes is None:
        wanted: list[Any] = []
    elif isinstance(classes, str) or not isinstance(classes, Sequence | np.ndarray):
        wanted = [classes]
    else:
        wanted = list(classes)
    return [wanted] * n_images


def _row(model: ImageClassifier, wanted: object) -> int:
    """Return the place of a class among the model's."""
    names = [str(name) for name in model.classes_]
    if str(wanted) in names:
        return names.index(str(wanted))
    told = did_you_mean(str(wanted), names) or f"; it knows {some(names)}"
    raise ValueError(f"the model has no class {str(wanted)!r}{told}")


@dataclass
class _Sharer(Generic[T]):
    """Shares out the scores of one image; picklable."""

    model: ImageClassifier
    other: int | None
    make: Callable[[ScoreShares], T]

    def __call__(self, item: tuple[ImageLike, list[int]]) -> T | ImageError:
        image, wanted = item
        found: T | ImageError = try_image(image, lambda: self.make(self._share_out(image, wanted)))
        return found

    def _share_out(self, image: ImageLike, wanted: list[int]) -> ScoreShares:
        model, backend = self.model, self.model.backend_
        with reading_as(background=model.background):
            pixels = backend.read(*load_source(image))
        vector = backend.encode_image(pixels)
        scores = np.concatenate([model.scores(each[None]) for each in (vector, np.zeros_like(vector))])
        rows = wanted or self._answered(vector, scores[0])
        # What is explained as sums and differences of the classes' scores.
        answers = np.eye(len(model.classes_))[rows]
        if self.other is not None:
            answers[:, self.other] = -1
        weights = model.weights_at(vector)
        if weights is None:
            found = leave_out(
                lambda boxes: backend.without(pixels, boxes),
                lambda vectors: model.scores(vectors) @ answers.T,
                vector,
                pixels.shape[:2],
            )
        else:
            found = backend.shares_of(pixels, answers @ weights[0])
        method = "leaving out" if found.left_out else "exact" if weights is None or weights[1] else "mean gradient"
        names = [str(name) for name in model.classes_]
        shared_scores, biases = scores @ answers.T
        return ScoreShares(
            path_of(image),
            pixels,
            vector,
            [names[row] for row in rows],
            None if self.other is None else names[self.other],
            shared_scores,
            biases,
            found,
            method,
        )

    def _answered(self, vector: NDArray[np.float32], scores: NDArray[np.float64]) -> list[int]:
        """Return the labels that the image is given, where it may have several; otherwise the best class."""
        given = self.model.given(vector).tolist() if self.model.multilabel else []
        return [row for row in given if row != self.other] or [self._best(scores)]

    def _best(self, scores: NDArray[np.float64]) -> int:
        """Return the class with the highest score, of those that are not the one to compare with."""
        return int(np.argmax([-np.inf if row == self.other else score for row, score in enumerate(scores)]))
