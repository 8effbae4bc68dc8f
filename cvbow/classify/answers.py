"""A model's answers for many images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import ImageError


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers for the images that could be read.

    Attributes
    ----------
    labels : ndarray of shape (n_read,), or list of lists where images have several labels
    probabilities : ndarray of shape (n_read, n_classes), float64
    rows : ndarray of shape (n_read,), intp
        Position of each in the sequence of images that was given.
    skipped : list of ImageError
    strangers : ndarray of shape (n_read,), float64, or None
        How strange each image is to the model, see ``Strangers``; None of a model that cannot tell.
    none_of_these : ndarray of shape (n_read,), bool, or None
        Whether it is stranger than nearly all images of the model's classes.
    sets : list of lists, or None
        The labels of which the right one is with the probability that was asked for, the most probable first; None
        where none was asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier
    >>> from cvbow.backends import ColorHistogram
    >>> white, black = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> model = ImageClassifier(ColorHistogram(), "naive-bayes").fit([white, black] * 3, ["white", "black"] * 3)
    >>> answers = model.answer([black, "missing.png", white])
    >>> answers.labels.tolist(), answers.rows.tolist(), len(answers.skipped)
    (['black', 'white'], [0, 2], 1)
    """

    labels: Any
    probabilities: NDArray[np.float64]
    rows: NDArray[np.intp]
    skipped: list[ImageError]
    strangers: NDArray[np.float64] | None = None
    none_of_these: NDArray[np.bool_] | None = None
    sets: list[list[Any]] | None = None
