"""What classes are recognised by: the explanations of many images, put together class by class.

What all images of a class have in one place, such as a border, a watermark or a time stamp, shows in the mean of their
heat, and its words are those of the largest mean share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.explanation._explanation import Explanation, WordShare
from cvbow.images import to_gray

#: Side of the square that images and heat are brought to, in pixels.
SIDE = 96
_N_PLACES = 6


@dataclass(frozen=True, eq=False)
class MeanWord(WordShare):
    """What the points of one visual word gave to a class on average, and where they gave most.

    Attributes
    ----------
    word : int
        Its number; of words in mirrored pairs, that of the first for both.
    channel : str
        The channel that it is of; "all" without channels.
    share : float
        Mean over the images, also those without the word.
    n_points : int
        In all images.
    boxes : ndarray of shape (n, 4), intp
        Left, top, right and bottom of the support of the point that gave most, in each of the images in which the word
        gave most; right and bottom excluded.
    paths : tuple of (str or None), of n
        Of these images.
    n_images : int
        How many have the word.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.explanation import MeanWord
    >>> MeanWord(7, "color", 0.5, 12, np.array([[0, 0, 8, 8]]), ("a.jpg",), 3).name
    'word 7 of color'
    """

    paths: tuple[str | None, ...]
    n_images: int


@dataclass(frozen=True, eq=False)
class ClassReasons:
    """What the images of one class were given its score for.

    Attributes
    ----------
    class_name, against : str, and str or None
        As those of ``Explanation``.
    n_images : int
    image : ndarray of shape (96, 96), float64
        Mean gray image, from 0 to 1; images are stretched to a square.
    heat : ndarray of shape (96, 96), float64
        Mean heat; its sum is the mean of the images' sums.
    words : list of MeanWord
        By falling mean share.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier, explain
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.explanation import Recognition
    >>> red, blue = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> red[:, :, 0], blue[:, :, 2] = 255, 255
    >>> model = ImageClassifier(ColorHistogram()).fit([red, blue] * 3, ["red", "blue"] * 3)
    >>> images = [np.hstack([red[:, :width], blue]) for width in (2, 4)]
    >>> found = Recognition()
    >>> for image in images:
    ...     found.add(image, explain(model, image, "blue"))
    >>> (reasons,) = found.classes()
    >>> reasons.n_images, bool(reasons.heat[:, :16].max() < 0 < reasons.heat[:, 48:].min())
    (2, True)
    """

    class_name: str
    against: str | None
    n_images: int
    image: NDArray[np.float64]
    heat: NDArray[np.float64]
    words: list[MeanWord]


class Recognition:
    """Explanations of many images, added one by one: memory holds two small maps of a class, and sums of its words.

    Examples
    --------
    >>> from cvbow.explanation import Recognition
    >>> Recognition().classes()
    []
    """

    def __init__(self) -> None:
        self._classes: dict[tuple[str, str | None], _Sums] = {}

    def add(self, image: NDArray[np.uint8], why: Explanation) -> None:
        """Add an image, (H, W) or (H, W, 3), and why it was given the score of a class.

        ValueError if the image has another size than the heat.
        """
        if image.shape[:2] != why.heat.shape:
            raise ValueError(f"image must be of the size of the heat, {why.heat.shape}, got {image.shape[:2]}")
        self._classes.setdefault((why.class_name, why.against), _Sums()).add(image, why)

    def classes(self) -> list[ClassReasons]:
        """Return what was found of each class, by name."""
        ordered = sorted(self._classes.items(), key=lambda item: (item[0][0], item[0][1] or ""))
        return [sums.reasons(*names) for names, sums in ordered]


class _Sums:
    def __init__(self) -> None:
        self.n_images = 0
        self.image, self.heat = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
        self.words: dict[tuple[str, int], _WordSums] = {}

    def add(self, image: NDArray[np.uint8], why: Explanation) -> None:
        self.n_images += 1
        self.heat += _in_squares(why.heat.astype(np.float64))
        self.image += _in_squares(to_gray(image, floats=False) / 255) * (SIDE**2 / why.heat.size)
        for word in why.words:
            self.words.setdefault((word.channel, word.word), _WordSums()).add(word, why.path)

    def reasons(self, class_name: str, against: str | None) -> ClassReasons:
        n = self.n_images
        words = [sums.mean(word, channel, n) for (channel, word), sums in self.words.items()]
        words.sort(key=lambda word: (-word.share, word.channel, word.word))
        return ClassReasons(class_name, against, n, self.image / n, self.heat / n, words)


class _WordSums:
    def __init__(self) -> None:
        self.share, self.n_points, self.n_images = 0.0, 0, 0
        self.places: list[tuple[float, str | None, NDArray[np.intp]]] = []

    def add(self, word: WordShare, path: str | None) -> None:
        self.share += word.share
        self.n_points += word.n_points
        self.n_images += 1
        self.places.append((word.share, path, word.boxes[0].copy()))
        # Of both signs, until it is known which one the sum has.
        if len(self.places) > 4 * _N_PLACES:
            self.places.sort(key=lambda place: -place[0])
            self.places = self.places[:_N_PLACES] + self.places[-_N_PLACES:]

    def mean(self, word: int, channel: str, n_images: int) -> MeanWord:
        sign = 1 if self.share >= 0 else -1
        places = sorted(self.places, key=lambda place: -sign * place[0])[:_N_PLACES]
        boxes = np.array([box for _, _, box in places], np.intp)
        paths = tuple(path for _, path, _ in places)
        return MeanWord(word, channel, self.share / n_images, self.n_points, boxes, paths, self.n_images)


def _in_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of values (H, W) in equal parts of their area, (SIDE, SIDE); pixels on a border are divided."""
    for _ in range(2):
        sums = np.vstack([np.zeros(values.shape[1]), values.cumsum(axis=0)])
        at = np.linspace(0, len(values), SIDE + 1)
        below = np.minimum(at.astype(np.intp), len(values) - 1)
        part = (at - below)[:, None]
        # The second pass is along the other axis, and turns the values back.
        values = np.diff(sums[below] * (1 - part) + sums[below + 1] * part, axis=0).T
    return values
