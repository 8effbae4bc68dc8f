"""An explanation of one score: its shares by point, by word and by pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.classify import NearImage
from cvbow.errors import ImageError
from cvbow.explanation.heat_colors import colored, densities, full_color, pale
from cvbow.images import from_gray, read_image
from cvbow.images.pixels import png_element
from cvbow.tables import Table, Tabular

#: Words that a notebook shows, of those that gave most and of those that took most.
_SHOWN = 5


def word_name(word: int, channel: str) -> str:
    """Return what to call a word: "word 7", or "word 7 of color" where the model has channels."""
    return f"word {word}" if channel == "all" else f"word {word} of {channel}"


@dataclass(frozen=True, eq=False)
class WordShare:
    """What the points of one visual word gave to a score.

    Attributes
    ----------
    word : int
        Its number; of words in mirrored pairs, that of the first for both.
    channel : str
        The channel that it is of; "all" without channels.
    share : float
    n_points : int
    boxes : ndarray of shape (n_points, 4), intp
        Left, top, right and bottom of each point's support in pixels, right and bottom excluded; those that gave most
        of the share come first.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier, explain
    >>> from cvbow.backends import BagEncoder
    >>> from cvbow.dictionary import KMeansDictionary
    >>> from cvbow.encoders import BagOfWords
    >>> from cvbow.features import DenseSIFT
    >>> images = list(np.random.default_rng(0).integers(0, 256, (8, 32, 32), np.uint8))
    >>> backend = BagEncoder(DenseSIFT(step=8), BagOfWords(KMeansDictionary(n_words=5)))
    >>> why = explain(ImageClassifier(backend).fit(images, ["a", "b"] * 4), images[0])
    >>> sum(word.n_points for word in why.words) == len(why.points)
    True
    """

    word: int
    channel: str
    share: float
    n_points: int
    boxes: NDArray[np.intp] = field(repr=False)

    @property
    def name(self) -> str:
        """What to call it, see ``word_name``."""
        return word_name(self.word, self.channel)


@dataclass(frozen=True, eq=False)
class Explanation(Tabular):
    """Why a model gives an image a score: ``score`` is the sum of ``bias``, ``heat`` and ``remainder``.

    Attributes
    ----------
    path : str or None
        Of the image; None of pixels.
    class_name : str
        The class whose score is explained.
    against : str or None
        The class whose score has been subtracted; None where there is none.
    score : float
        As ``ImageClassifier.scores`` gives it.
    bias : float
        The score of a vector of zeros, of an image in which nothing was found.
    remainder : float
        What was not shared out.
    points : ndarray of shape (n, 4), float32
        x, y, size and angle of the points that the score comes from.
    shares : ndarray of shape (n,), float64
        What each gave.
    words : list of WordShare
        What the words gave, by falling share.
    heat : ndarray of shape (H, W), float32
        What each pixel of the image gave, as it was read: the shares of points spread over their supports as these were
        pooled, evenly or, of descriptors of gradients, by the gradients' strength; and those of whole-image channels.
    method : {"exact", "mean gradient", "leaving out"}
        How shares were found: the score is a sum of them; they are values times the mean of the score's gradients on
        the way from a vector of zeros; or they tell how much the score falls where a part of the image is left out.
    nearest : list of NearImage
        Training images with the nearest vectors, of those that the model keeps.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageClassifier, explain
    >>> from cvbow.backends import ColorHistogram
    >>> red, blue = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> red[:, :, 0], blue[:, :, 2] = 255, 255
    >>> model = ImageClassifier(ColorHistogram()).fit([red, blue] * 3, ["red", "blue"] * 3)
    >>> half = np.hstack([red[:, :6], blue[:, 6:]])
    >>> why = explain(model, half, "red")
    >>> bool((why.heat[:, :6] > 0).all()), bool((why.heat[:, 6:] < 0).all())
    (True, True)
    >>> bool(np.isclose(why.bias + why.heat_sum + why.remainder, why.score))
    True
    """

    path: str | None
    class_name: str
    against: str | None
    score: float
    bias: float
    remainder: float
    points: NDArray[np.float32]
    shares: NDArray[np.float64]
    words: list[WordShare]
    heat: NDArray[np.float32]
    method: str
    nearest: list[NearImage] = field(default_factory=list)

    def __repr__(self) -> str:
        against = "" if self.against is None else f" against {self.against}"
        height, width = self.heat.shape
        of = f"{width}x{height} pixels" if self.path is None else repr(self.path)
        return (
            f"Explanation({self.class_name}{against} {self.score:+.3f} of {of}, {len(self.words)} words, {self.method})"
        )

    @property
    def heat_sum(self) -> float:
        """The sum of ``heat``, in double precision."""
        return float(self.heat.sum(dtype=np.float64))

    def tables(self) -> list[Table]:
        """Return the sum that the score is, and the words that gave most to it and took most from it."""
        against = "" if self.against is None else f" and not {self.against}"
        parts = [("image", self.heat_sum), ("model", self.bias), ("not shared out", self.remainder)]
        summed = [(name, f"{value:+.4f}") for name, value in parts if abs(value) >= 5e-5]
        told = Table((), [*summed, ("score", f"{self.score:+.4f}")], f"why {self.class_name}{against}")
        giving = [word for word in self.words if word.share > 0][:_SHOWN]
        taking = [word for word in self.words if word.share < 0][-_SHOWN:]
        rows = [(word.name, f"{word.share:+.4f}", str(word.n_points)) for word in giving + taking]
        return [told, Table(("word", "share", "points"), rows)] if rows else [told]

    def picture(self) -> NDArray[np.uint8]:
        """Return the heat over the image, (H, W, 3), uint8: vermillion for the class, blue against it.

        Over white where the image was given as pixels, or is no longer there.
        """
        below = np.full((*self.heat.shape, 3), 255, np.uint8)
        if self.path is not None:
            try:
                image = from_gray(read_image(self.path, gray=True))
            except (ImageError, OSError):
                image = below
            if image.shape == below.shape:
                below = pale(image)
        density = densities(self.heat)
        return colored(below, density / (full_color(density) or 1))

    def html(self) -> str:
        """Return the picture and the tables as HTML."""
        return png_element(self.picture(), f"heat for {self.class_name}") + super().html()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, without the heat itself.

        Words of a union's channels have ``channel`` as well.
        """
        several = len({found.channel for found in self.words}) > 1
        return {
            "path": self.path,
            "class": self.class_name,
            **({} if self.against is None else {"against": self.against}),
            "score": self.score,
            "bias": self.bias,
            "remainder": self.remainder,
            "heat_sum": self.heat_sum,
            "method": self.method,
            "words": [
                {
                    "word": found.word,
                    **({"channel": found.channel} if several else {}),
                    "share": found.share,
                    "n_points": found.n_points,
                    "boxes": found.boxes.tolist(),
                }
                for found in self.words
            ],
            "nearest": [
                {"path": near.path, "class": near.class_name, "distance": near.distance} for near in self.nearest
            ],
        }
