"""From a model and images to the reasons for their scores.

The last part of the way back, from the shares of points to the heat of pixels. S. Lapuschkin, A. Binder, G. Montavon,
K.-R. Mueller and W. Samek, "Analyzing classifiers: Fisher vectors and deep neural networks", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike, ImageShares
from cvbow.backends.loading import as_sequence, check_images, load_source
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation._explanation import Explanation, WordShare
from cvbow.explanation._heat import densities, spread, supports
from cvbow.explanation.shares import ScoreShares, score_shares, wanted_classes
from cvbow.images import read_image, reading_as


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
    sequence, is_lone = as_sequence(images)
    found: list[Explanation] = []
    for result in explanations(model, sequence, classes, against):
        if isinstance(result, ImageError):
            raise result
        found += result
    return found[0] if is_lone and len(found) == 1 else found


def explanations(
    model: ImageClassifier, images: Sequence[ImageLike], classes: Any = None, against: Any = None
) -> Iterator[list[Explanation] | ImageError]:
    """Yield for each image its explanations, one for each class, or the error that it could not be read with.

    The model, images (a sequence), classes, against and errors are as for ``explain``; no more than a few images'
    explanations are held at a time.
    """
    images = check_images(images)
    return explanations_of(model, images, wanted_classes(classes, len(images)), against)


def explanations_of(
    model: ImageClassifier, images: Sequence[ImageLike], classes: Sequence[Sequence[Any]], against: Any = None
) -> Iterator[list[Explanation] | ImageError]:
    """Yield what ``explanations`` does, where each image has classes of its own.

    The model, images and against are as for ``explanations``; the classes (n_images,) hold sequences of labels. Where
    one is empty, what the image is answered with is explained, as for ``explain``. ValueError also if there are more or
    fewer of them.
    """
    return score_shares(model, images, classes, make=_Explainer(model), against=against)


def shown_image(model: ImageClassifier, image: ImageLike) -> NDArray[np.uint8]:
    """Return an image (H, W) or (H, W, 3), uint8, as a person sees it, at the size at which a model explains it.

    ImageError if it cannot be read.
    """
    source, name = load_source(image)
    with reading_as(background=model.background):
        return read_image(source, shrunk_to=model.backend_.shrinks_to, name=name)


@dataclass
class _Explainer:
    """Explains one image; picklable."""

    model: ImageClassifier

    def __call__(self, shared: ScoreShares) -> list[Explanation]:
        found, shape = shared.shares, shared.image.shape[:2]
        boxes = supports(found.points, shape)
        pooled = densities(found.pools_gradients, shared.image)
        explained: list[Explanation] = []
        each = zip(shared.class_names, shared.scores.tolist(), shared.biases.tolist(), strict=True)
        for place, (name, score, bias) in enumerate(each):
            shares = found.shares[place]
            heat = np.zeros(shape) if found.pixels is None else found.pixels[place].copy()
            for members, density in pooled:
                heat += spread(boxes[members], shares[members], density)
            explained.append(
                Explanation(
                    shared.path,
                    name,
                    shared.against,
                    score,
                    bias,
                    float(score - bias - heat.sum()),
                    found.points,
                    shares,
                    _words(found, shares, boxes),
                    heat.astype(np.float32),
                    shared.method,
                    self.model.nearest(shared.vector),
                )
            )
        return explained


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
