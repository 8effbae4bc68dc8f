"""From a model and images to the reasons for their scores.

The way back of the way that an image goes: weights of a vector's values, shares of its points, heat of its pixels.
S. Lapuschkin, A. Binder, G. Montavon, K.-R. Mueller and W. Samek, "Analyzing classifiers: Fisher vectors and deep
neural networks", CVPR 2016.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow.backends import ImageLike, ImageShares
from cvbow.backends.loading import check_images, load_source, path_of, try_image
from cvbow.backends.shares import leave_out
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation._explanation import Explanation, WordShare
from cvbow.explanation._heat import densities, spread, supports
from cvbow.images import DerivedImage, read_image, reading_as
from cvbow.images.pixels import is_lone_image
from cvbow.parallel import run


def explain(
    model: ImageClassifier,
    images: ImageLike | Sequence[ImageLike],
    classes: Any = None,
    against: Any = None,
) -> Explanation | list[Explanation]:
    """Tell why a model gives images their scores.

    Parameters
    ----------
    model : ImageClassifier
        Trained.
    images : path, array, or sequence of them
    classes : label, sequence of labels, or None, default None
        Whose scores to explain; None: that of the class with the highest score, image by image, or of each label that
        the image is given, where it may have several.
    against : label or None, default None
        Explain the difference from this class's score: why the one and not the other.

    Returns
    -------
    Explanation or list of Explanation
        For each image one for each class; of one image and one class it is no list. The score of a label, of which an
        image may have several, is that of the label against the rest.

    Raises
    ------
    NotFittedError
        If the model is not trained.
    ValueError
        If the model is no ImageClassifier, or has no such class.
    ImageError
        For the first image that cannot be read; ``explanations`` goes on.

    Examples
    --------
    >>> import numpy as np
    >>> import cvbow
    >>> from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary
    >>> random = np.random.default_rng(0)
    >>> fine = [random.integers(0, 256, (32, 32), np.uint8) for _ in range(6)]
    >>> coarse = [image[:8, :8].repeat(4, 0).repeat(4, 1) for image in fine]
    >>> backend = BagEncoder(DenseSIFT(step=4, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=10)))
    >>> model = ImageClassifier(backend, "linear-svm").fit(fine + coarse, ["fine"] * 6 + ["coarse"] * 6)
    >>> why = cvbow.explain(model, coarse[0])
    >>> why.class_name, why.heat.shape, why.method
    ('coarse', (32, 32), 'exact')
    >>> bool(np.isclose(why.bias + why.shares.sum() + why.remainder, why.score))
    True
    """
    lone = isinstance(images, str | os.PathLike | DerivedImage) or is_lone_image(images)
    sequence: Any = [images] if lone else images
    found: list[Explanation] = []
    for result in explanations(model, sequence, classes, against):
        if isinstance(result, ImageError):
            raise result
        found += result
    return found[0] if lone and len(found) == 1 else found


def explanations(
    model: ImageClassifier, images: Sequence[ImageLike], classes: Any = None, against: Any = None
) -> Iterator[list[Explanation] | ImageError]:
    """Yield for each image its explanations, one for each class, or the error that it could not be read with.

    The model, images (a sequence), classes, against and errors are as for ``explain``; no more than a few images'
    explanations are held at a time.
    """
    images = check_images(images)
    if classes is None:
        wanted: list[Any] = []
    elif isinstance(classes, str) or not isinstance(classes, Sequence | np.ndarray):
        wanted = [classes]
    else:
        wanted = list(classes)
    return explanations_of(model, images, [wanted] * len(images), against)


def explanations_of(
    model: ImageClassifier, images: Sequence[ImageLike], classes: Sequence[Sequence[Any]], against: Any = None
) -> Iterator[list[Explanation] | ImageError]:
    """Yield what ``explanations`` does, where each image has classes of its own.

    The model, images and against are as for ``explanations``; the classes (n_images,) hold sequences of labels. Where
    one is empty, what the image is answered with is explained, as for ``explain``. ValueError also if there are more or
    fewer of them.
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
    explainer = _Explainer(model, other)
    return run(explainer, items, n_jobs=model.backend_.n_jobs, task="explain", total=len(images))


def shown_image(model: ImageClassifier, image: ImageLike) -> NDArray[np.uint8]:
    """Return an image (H, W) or (H, W, 3), uint8, as a person sees it, at the size at which a model explains it.

    ImageError if it cannot be read.
    """
    source, name = load_source(image)
    with reading_as(background=model.background):
        return read_image(source, shrunk_to=model.backend_.shrinks_to, name=name)


def _row(model: ImageClassifier, wanted: object) -> int:
    """Return the place of a class among the model's."""
    names = [str(name) for name in model.classes_]
    if str(wanted) in names:
        return names.index(str(wanted))
    close = difflib.get_close_matches(str(wanted), names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"the model has no class {str(wanted)!r}; it knows {', '.join(names)}{hint}")


@dataclass
class _Explainer:
    """Explains one image; picklable."""

    model: ImageClassifier
    other: int | None

    def __call__(self, item: tuple[ImageLike, list[int]]) -> list[Explanation] | ImageError:
        image, wanted = item
        found: list[Explanation] | ImageError = try_image(image, lambda: self._explain(image, wanted))
        return found

    def _explain(self, image: ImageLike, wanted: list[int]) -> list[Explanation]:
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
        boxes = supports(found.points, pixels.shape[:2])
        pooled = densities(found.pools_gradients, pixels)
        explained: list[Explanation] = []
        for place, (row, (score, bias)) in enumerate(zip(rows, answers @ scores.T, strict=True)):
            shares = found.shares[place]
            heat = np.zeros(pixels.shape[:2]) if found.pixels is None else found.pixels[place].copy()
            for members, density in pooled:
                heat += spread(boxes[members], shares[members], density)
            explained.append(
                Explanation(
                    path_of(image),
                    names[row],
                    None if self.other is None else names[self.other],
                    float(score),
                    float(bias),
                    float(score - bias - heat.sum()),
                    found.points,
                    shares,
                    _words(found, shares, boxes),
                    heat.astype(np.float32),
                    method,
                    model.nearest(vector),
                )
            )
        return explained

    def _answered(self, vector: NDArray[np.float32], scores: NDArray[np.float64]) -> list[int]:
        """Return the labels that the image is given, where it may have several; otherwise the best class."""
        given = self.model.given(vector).tolist() if self.model.multilabel else []
        return [row for row in given if row != self.other] or [self._best(scores)]

    def _best(self, scores: NDArray[np.float64]) -> int:
        """Return the class with the highest score, of those that are not the one to compare with."""
        return int(np.argmax([-np.inf if row == self.other else score for row, score in enumerate(scores)]))


def _words(found: ImageShares, shares: NDArray[np.float64], boxes: NDArray[np.intp]) -> list[WordShare]:
    """Return what the words of the points gave, by falling share."""
    words: list[WordShare] = []
    for channel in dict.fromkeys(found.channel.tolist()):
        rows = np.flatnonzero((found.channel == channel) & (found.word >= 0))
        rows = rows[np.lexsort((-shares[rows], found.word[rows]))]
        numbers, starts = np.unique(found.word[rows], return_index=True)
        for number, members in zip(numbers.tolist(), np.split(rows, starts[1:]), strict=True):
            share = float(shares[members].sum())
            ordered = members[:: 1 if share >= 0 else -1]
            words.append(WordShare(number, channel, share, len(members), boxes[ordered]))
    return sorted(words, key=lambda word: -word.share)
