"""Which images a person should label next: those whose labels would teach a model the most.

What an image would teach is its gradient: what its vector would change in the classifier's weights if the model's own
answer were right. It is long where the model is unsure, and two images teach the same where theirs point the same way
(J. Ash, C. Zhang, A. Krishnamurthy, J. Langford and A. Agarwal, "Deep batch active learning by diverse, uncertain
gradient lower bounds", ICLR 2020, draw images by k-means++ over them). Here each next image is the one whose gradient
has the longest part that those of the images before it do not span, which makes the determinant of their products as
large as one choice after the other can (L. Chen, G. Zhang and E. Zhou, "Fast greedy MAP inference for determinantal
point process", NeurIPS 2018): unsure and unlike each other, and the same on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images
from cvbow.classify.image_classifier import ImageClassifier
from cvbow.errors import CvbowError, ImageError, none_read
from cvbow.parallel import single_threaded
from cvbow.progress import note
from cvbow.tables import counted

#: Images that are compared with each other: the unsurest so many times as are wanted, and at least so many; of longer
#: vectors fewer, so that they fit into so many bytes.
_TIMES, _LEAST, _ROOM = 20, 1000, 1 << 29
#: A squared length that stands for none.
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class ImagesToLabel:
    """The images whose labels would teach a model the most, the one that would teach most first.

    Attributes
    ----------
    rows : ndarray of shape (n,), intp
        Position of each in the sequence of images that was given.
    labels : ndarray of shape (n,), or list of lists where images have several labels
        What the model would answer.
    probabilities : ndarray of shape (n, n_classes), float64
    skipped : list of ImageError
        Images that cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier, images_to_label
    >>> from cvbow.backends import ColorHistogram
    >>> black, gray, white = (np.full((8, 8, 3), level, np.uint8) for level in (0, 120, 255))
    >>> model = ImageClassifier(ColorHistogram()).fit([white, black] * 3, ["white", "black"] * 3)
    >>> images_to_label(model, [white, gray, gray], n_images=1).rows.tolist()
    [1]
    """

    rows: NDArray[np.intp]
    labels: Any
    probabilities: NDArray[np.float64]
    skipped: list[ImageError]


def images_to_label(model: ImageClassifier, images: Sequence[ImageLike], n_images: int = 50) -> ImagesToLabel:
    """Choose the images whose labels would teach a model the most, of some that have none.

    Images that the model has learned from are left out, and of several that are alike one comes early and the others
    late.

    Parameters
    ----------
    model : ImageClassifier
        With a classifier that gives probabilities; of others their softmax stands for these.
    images : sequence of paths or arrays
    n_images : int, default 50
        So many, or all that there are.

    Returns
    -------
    ImagesToLabel

    Raises
    ------
    ValueError
        If a parameter breaks its rule.
    CvbowError
        If none of the images can be read, or the model has learned from all of them.
    """
    check_int("n_images", n_images, minimum=1)
    images = check_images(images, minimum=1)
    new = np.flatnonzero(~model.has_seen(images))
    if len(new) < len(images):
        note(f"{counted(len(images) - len(new), 'image')} left out: the model has learned from them")
    if not len(new):
        raise CvbowError("no image is left to label: the model has learned from all of them")
    n_compared = min(max(_TIMES * n_images, _LEAST), max(n_images, _ROOM // (4 * model.backend_.vector_length)))
    best, skipped = None, []
    for top in range(0, len(new), n_compared):
        rows = new[top : top + n_compared]
        encoded = model._encoded([images[row] for row in rows], strict=False)
        skipped += encoded.skipped
        if len(encoded.rows):
            probabilities = model._probabilities(encoded.vectors)
            found = _Candidates(
                rows[encoded.rows], encoded.vectors, probabilities, _answer_gradients(model, probabilities)
            )
            best = found if best is None else best.with_more(found, n_compared)
    if best is None:
        raise none_read(skipped)
    chosen = best.part(_far_apart(best, n_images))
    return ImagesToLabel(chosen.rows, model._named(model._chosen(chosen.probabilities)), chosen.probabilities, skipped)


def _answer_gradients(model: ImageClassifier, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gradients of the log loss by the scores if the model's answers were right, (n, n_classes)."""
    answers = model._chosen(probabilities)
    given = answers if model.multilabel else answers[:, None] == model.classes_
    return np.asarray(probabilities - given)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Images with their vectors (n, d), answers, and gradients by the scores (n, n_classes)."""

    rows: NDArray[np.intp]
    vectors: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    gradients: NDArray[np.float64]

    def part(self, places: NDArray[np.intp]) -> Self:
        return type(self)(self.rows[places], self.vectors[places], self.probabilities[places], self.gradients[places])

    def with_more(self, other: Self, most: int) -> Self:
        """Return those of both whose gradients are the longest, in the order of their rows."""
        squares = np.concatenate([one.squares for one in (self, other)])
        kept = np.sort(np.argsort(-squares, kind="stable")[:most])
        n_own = int(np.searchsorted(kept, len(self.rows)))
        parts = self.part(kept[:n_own]), other.part(kept[n_own:] - len(self.rows))
        joined = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(type(self)))
        return type(self)(*joined)

    @property
    def squares(self) -> NDArray[np.float64]:
        """The squared length of what the classifier's weights would change by, (n,)."""
        lengths = np.einsum("ij,ij->i", self.vectors, self.vectors, dtype=np.float64)
        return np.asarray((self.gradients**2).sum(axis=1) * lengths)


def _far_apart(images: _Candidates, n: int) -> NDArray[np.intp]:
    """Return the places of n images, each the one with the longest part that those before it do not span."""
    left = images.squares
    n = min(n, len(left))
    rows = np.zeros((n, len(left)))
    chosen = np.empty(n, np.intp)
    with single_threaded():
        for step in range(n):
            # What is spanned has no more than rounding left; of several such images the first.
            best = chosen[step] = int(left.argmax())
            products = (images.vectors @ images.vectors[best]) * (images.gradients @ images.gradients[best])
            rows[step] = (products - rows[:step, best] @ rows[:step]) / np.sqrt(max(left[best], _TINY))
            left = left - rows[step] ** 2
            left[chosen[: step + 1]] = -np.inf
    return chosen
