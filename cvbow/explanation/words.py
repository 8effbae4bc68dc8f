"""Galleries of visual words: what they look like in images, where they occur, and what they give to each class's score.

After S. Lapuschkin, A. Binder, G. Montavon, K.-R. Mueller and W. Samek, "Analyzing classifiers: Fisher vectors and deep
neural networks", CVPR 2016: a linear score is the sum of what each word's values give to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int
from cvbow.backends import ImageEncoder, ImageLike
from cvbow.backends.loading import check_images, load_source, path_of, try_image
from cvbow.classify import ImageClassifier, place_labels
from cvbow.encoders import WordTable
from cvbow.errors import ImageError, none_read
from cvbow.explanation._explanation import word_name
from cvbow.explanation.patches import cut_patch, even_contrast
from cvbow.images import from_gray, reading_as, to_gray
from cvbow.parallel import run

#: Pixels of a patch's side.
SIDE = 40


@dataclass(frozen=True, eq=False)
class WordPatch:
    """The point of one image that is nearest to a word.

    Attributes
    ----------
    path : str
        Of the image; "image 3" of one that was given as pixels.
    point : tuple of float
        x, y, size and angle, as ``Features.points``.
    distance : float
        As in ``WordTable``.
    pixels : ndarray of shape (40, 40) or (40, 40, 3), uint8
        The square of the point's size around it, upright; in gray where the descriptors see no colour.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.explanation import WordPatch
    >>> WordPatch("a.png", (7.5, 7.5, 16.0, 0.0), 0.3, np.zeros((40, 40), np.uint8)).box
    (-0.5, -0.5, 16.0, 16.0)
    """

    path: str
    point: tuple[float, float, float, float]
    distance: float
    pixels: NDArray[np.uint8]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the point's square, which may reach over the image's edge."""
        x, y, size, _ = self.point
        return x - size / 2, y - size / 2, size, size


@dataclass(frozen=True, eq=False)
class WordUse:
    """A word, or a pair of words that are each other's mirrors: what it looks like, and what it does.

    Attributes
    ----------
    channel : str
        The channel of the model that it belongs to; "all" where the model is no union.
    words : tuple of int
        Its number, as in ``WordTable.word``; of a pair both, of which the first is the pair's.
    n_points : int
        Points of all images that are this word.
    means : tuple of ndarray of shape (40, 40) or (40, 40, 3), uint8, or None
        For each of ``words``, the mean of the patch that is nearest in each image, gray ones brought to one brightness
        and contrast before and after; None where no image has the word.
    patches : tuple of tuple of WordPatch
        For each of ``words``, the nearest ones, one an image.
    n_images : ndarray of shape (n_classes,), int64
        Images of each class that have it.
    frequency : ndarray of shape (n_classes,), float64
        Its share of an image's points, mean over the images of each class; NaN for a class without images.
    weight : ndarray of shape (n_classes,), float64
        Its weight in the score of each class: see ``WordGallery.weight_is``; NaN for a class that the model does not
        know, and where the model is not linear.
    share : ndarray of shape (n_classes,), float64
        What its values give to the score of each class, mean over the images of that class; NaN as for ``weight``, and
        for a class without images.
    share_elsewhere : ndarray of shape (n_classes,), float64
        The same over the images of all other classes.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.explanation import WordUse
    >>> none = np.full(2, np.nan)
    >>> WordUse("all", (3, 11), 0, (None, None), ((), ()), np.zeros(2, np.int64), none, none, none, none).name
    'word 3'
    """

    channel: str
    words: tuple[int, ...]
    n_points: int
    means: tuple[NDArray[np.uint8] | None, ...]
    patches: tuple[tuple[WordPatch, ...], ...]
    n_images: NDArray[np.int64]
    frequency: NDArray[np.float64]
    weight: NDArray[np.float64]
    share: NDArray[np.float64]
    share_elsewhere: NDArray[np.float64]

    @property
    def name(self) -> str:
        """What to call it, as explanations do: "word 7", or "word 7 of color" where the model has channels."""
        return word_name(self.words[0], self.channel)


@dataclass(frozen=True, eq=False)
class WordGallery:
    """The words of a model over a set of labelled images.

    Attributes
    ----------
    classes : list of str
        Those of the model, then those of the images that it does not know.
    n_images : ndarray of shape (n_classes,), int64
        Images of each class that were read.
    words : list of WordUse
        All words, by channel and number.
    weight_is : dict of str to str
        For each channel, what a weight is: "mean", that of a word's coefficient over the cells; or "length", that of
        the coefficients of a word that has several values in a cell. Empty where the model is not linear.
    skipped : list of ImageError
        Images that could not be read.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import BagEncoder, BagOfWords, DenseSIFT, ImageClassifier, KMeansDictionary
    >>> from cvbow.explanation import word_gallery
    >>> random = np.random.default_rng(0)
    >>> fine = [random.integers(0, 256, (32, 32), np.uint8) for _ in range(4)]
    >>> coarse = [image[:8, :8].repeat(4, 0).repeat(4, 1) for image in fine]
    >>> backend = BagEncoder(DenseSIFT(step=4, bin_sizes=(4,)), BagOfWords(KMeansDictionary(n_words=10)))
    >>> labels = ["fine"] * 4 + ["coarse"] * 4
    >>> model = ImageClassifier(backend, "linear-svm").fit(fine + coarse, labels)
    >>> gallery = word_gallery(model, fine + coarse, labels)
    >>> len(gallery.words), gallery.n_images.tolist()
    (10, [4, 4])
    >>> best = gallery.words_for("fine")[0]
    >>> bool(best.share[1] > best.share_elsewhere[1])
    True
    """

    classes: list[str]
    n_images: NDArray[np.int64]
    words: list[WordUse]
    weight_is: dict[str, str]
    skipped: list[ImageError]

    @property
    def is_linear(self) -> bool:
        """Whether words have weights and shares: whether the model's decisions are linear in its vectors."""
        return bool(self.weight_is)

    def matters(self, name: str) -> NDArray[np.float64]:
        """Return how much each word matters for a class, shape (n_words,).

        Its share of the score, mean over the images of the class; where the model is not linear, how much more frequent
        it is in images of the class than in those of other classes. NaN where there is neither.
        """
        place = self.classes.index(name)
        if self.is_linear:
            return np.array([word.share[place] for word in self.words])
        others = self.n_images.copy()
        others[place] = 0
        found = []
        for word in self.words:
            elsewhere = np.nansum(word.frequency * others) / max(others.sum(), 1)
            found.append(word.frequency[place] - elsewhere)
        return np.array(found)

    def words_for(self, name: str, most: int | None = None) -> list[WordUse]:
        """Return the words that matter most for a class, the first the most; none for a class without images.

        Parameters
        ----------
        name : str
            Of a class; ValueError if there is none of this name.
        most : int or None, default None
            How many at most; all for None.
        """
        matters = self.matters(name)
        order = np.argsort(-matters, kind="stable")
        return [self.words[place] for place in order[: np.isfinite(matters).sum()][:most]]


def word_gallery(
    model: ImageClassifier,
    images: Sequence[ImageLike],
    labels: ArrayLike,
    *,
    n_patches: int = 8,
    strict: bool = False,
) -> WordGallery:
    """Look at a model's visual words in labelled images, each of which is read once.

    Memory holds the nearest patches of each word (13 kB, of colour 38 kB a word) and, of a linear model, the sum of the
    vectors of each class. The result does not depend on the number of workers, which is the model's.

    Parameters
    ----------
    model : ImageClassifier
        Fitted; it needs visual words, in one channel or several.
    images : sequence of paths or arrays
    labels : array of shape (n_images,)
        Their classes; the model need not know all of them.
    n_patches : int, default 8
        Patches to keep of each word, each of another image.
    strict : bool, default False
        Raise the error of an image that cannot be read, instead of leaving the image out.

    Raises
    ------
    ValueError
        If the model has no words, or images and labels differ in number.
    CvbowError
        If no image could be read.
    """
    check_is_fitted(model, "classifier_")
    check_int("n_patches", n_patches, minimum=1)
    images = check_images(images, minimum=1)
    given = np.asarray(labels)
    if given.shape != (len(images),):
        raise ValueError(f"labels must be one for each of the {len(images)} images, got shape {given.shape}")
    value_words = model.backend_.value_words
    if not value_words:
        raise ValueError("the model has no visual words: its vectors are not made of any")
    names, places = place_labels(given, model.classes_)
    weights = model.class_weights
    seen: dict[str, _Seen] = {}
    sums = None if weights is None else np.zeros((len(names), weights.shape[1]))
    n_images, skipped = np.zeros(len(names), np.int64), []
    look = _Look(model.backend_, vectors=weights is not None)
    with reading_as(background=model.background):
        results = run(look, images, n_jobs=model.backend_.n_jobs, task="words", total=len(images))
        for row, found in enumerate(results):
            if isinstance(found, ImageError):
                if strict:
                    raise found
                skipped.append(found)
                continue
            n_images[places[row]] += 1
            if sums is not None:
                sums[places[row]] += found.vector
            for channel, part in found.words.items():
                if channel not in seen:
                    seen[channel] = _Seen(part, len(names), n_patches)
                seen[channel].add(part, row, places[row])
    if not n_images.any():
        raise none_read(skipped)
    paths = [path_of(image) or f"image {row}" for row, image in enumerate(images)]
    words: list[WordUse] = []
    weight_is: dict[str, str] = {}
    for channel, values in value_words.items():
        use = _Weighed.of(values, seen[channel], weights, sums, n_images)
        if use.weight_is:
            weight_is[channel] = use.weight_is
        words += seen[channel].uses(channel, use, n_images, paths)
    return WordGallery(names, n_images, words, weight_is, skipped)


@dataclass(frozen=True, eq=False)
class _Part:
    """What one image has of the words of one channel: for each word that it has, how often, and the nearest point."""

    n_words: int
    n_uses: int
    n_cells: int
    word: NDArray[np.int32]
    count: NDArray[np.intp]
    point: NDArray[np.float32]
    distance: NDArray[np.float32]
    patches: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Found:
    """What one image has of words, by channel, and the mean vector of its views, if that is wanted."""

    words: dict[str, _Part]
    vector: NDArray[np.float64] | None


class _Look:
    """What a worker does with one image; picklable, for processes and Dask."""

    def __init__(self, backend: ImageEncoder, *, vectors: bool) -> None:
        self.backend = backend
        self.vectors = vectors

    def __call__(self, image: ImageLike) -> Any:
        return try_image(image, lambda: self._look(*load_source(image)))

    def _look(self, source: Any, name: str | None) -> _Found:
        pixels = self.backend.read(source, name)
        words = {channel: self._part(pixels, table) for channel, table in self.backend.words_of(pixels).items()}
        if not self.vectors:
            return _Found(words, None)
        views = self.backend.encode_image(pixels).reshape(self.backend.n_views, -1)
        return _Found(words, views.mean(axis=0, dtype=np.float64))

    def _part(self, pixels: NDArray[np.uint8], table: WordTable) -> _Part:
        order = np.lexsort([table.distance, table.word])  # of equally near points, the first
        word, first, count = np.unique(table.word[order], return_index=True, return_counts=True)
        rows = order[first]
        shown = (to_gray if table.gray_only else from_gray)(pixels, floats=False)
        shape = (len(rows), SIDE, SIDE, *shown.shape[2:])
        patches = np.empty(shape, np.uint8)
        for place, row in enumerate(rows):
            patches[place] = cut_patch(shown, table.points[row], SIDE)
        points, distance = table.points[rows], table.distance[rows]
        return _Part(table.n_words, table.n_uses, table.n_cells, word, count, points, distance, patches)


class _Seen:
    """What was seen of one channel's words in the images so far; ``n_uses`` counts a pair of words once."""

    def __init__(self, part: _Part, n_classes: int, n_patches: int) -> None:
        n_words, n_uses, shape = part.n_words, part.n_uses, part.patches.shape[1:]
        self.n_cells, self.n_uses = part.n_cells, n_uses
        self.n_points = np.zeros(n_uses, np.int64)
        self.n_images = np.zeros((n_classes, n_uses), np.int64)
        self.frequency = np.zeros((n_classes, n_uses))
        #: Of the patch that is nearest in each image, the sum over so many images.
        self.total, self.n_added = np.zeros((n_words, *shape), np.uint32), np.zeros(n_words, np.int64)
        #: The patches nearest to each word, the nearest first.
        self.distance = np.full((n_words, n_patches), np.inf, np.float32)
        self.row = np.full((n_words, n_patches), -1, np.intp)
        self.point = np.zeros((n_words, n_patches, 4), np.float32)
        self.patches = np.zeros((n_words, n_patches, *shape), np.uint8)

    def add(self, part: _Part, row: int, label: int) -> None:
        """Add what one image has."""
        uses = part.word % self.n_uses
        np.add.at(self.n_points, uses, part.count)
        np.add.at(self.frequency[label], uses, part.count / max(part.count.sum(), 1))
        self.n_images[label, np.unique(uses)] += 1
        self.total[part.word] += even_contrast(part.patches)
        self.n_added[part.word] += 1
        # Of equally near patches, those of the first images stay.
        for place in np.flatnonzero(part.distance < self.distance[part.word, -1]):
            self._insert(part, int(place), row)

    def _insert(self, part: _Part, place: int, row: int) -> None:
        word = part.word[place]
        at = int(np.searchsorted(self.distance[word], part.distance[place], side="right"))
        news = (part.distance[place], row, part.point[place], part.patches[place])
        all_kept: tuple[NDArray[Any], ...] = (self.distance, self.row, self.point, self.patches)
        for kept, new in zip(all_kept, news, strict=True):
            kept[word, at + 1 :] = kept[word, at:-1].copy()
            kept[word, at] = new

    def uses(self, channel: str, weighed: _Weighed, n_images: NDArray[np.int64], paths: Sequence[str]) -> list[WordUse]:
        """Return what was seen of each word, or pair of words."""
        frequency = np.divide(
            self.frequency, n_images[:, None], out=np.full_like(self.frequency, np.nan), where=n_images[:, None] > 0
        )
        found = []
        for use in range(self.n_uses):
            words = tuple(range(use, len(self.total), self.n_uses))
            found.append(
                WordUse(
                    channel,
                    words,
                    int(self.n_points[use]),
                    tuple(self._mean(word) for word in words),
                    tuple(self._patches(word, paths) for word in words),
                    self.n_images[:, use],
                    frequency[:, use],
                    *(array[:, use] for array in (weighed.weight, weighed.share, weighed.share_elsewhere)),
                )
            )
        return found

    def _mean(self, word: int) -> NDArray[np.uint8] | None:
        n_added = self.n_added[word]
        return None if n_added == 0 else even_contrast(np.rint(self.total[word][None] / n_added).astype(np.uint8))[0]

    def _patches(self, word: int, paths: Sequence[str]) -> tuple[WordPatch, ...]:
        return tuple(
            WordPatch(
                paths[self.row[word, place]],
                tuple(self.point[word, place].tolist()),
                float(self.distance[word, place]),
                self.patches[word, place],
            )
            for place in np.flatnonzero(self.row[word] >= 0)
        )


@dataclass(frozen=True, eq=False)
class _Weighed:
    """The weight, the share, and the share elsewhere of each use of words in the score of each class."""

    weight: NDArray[np.float64]
    share: NDArray[np.float64]
    share_elsewhere: NDArray[np.float64]
    weight_is: str = ""

    @classmethod
    def of(
        cls,
        values: NDArray[np.intp],
        seen: _Seen,
        weights: NDArray[np.floating] | None,
        sums: NDArray[np.float64] | None,
        n_images: NDArray[np.int64],
    ) -> Self:
        columns = np.flatnonzero(values >= 0)
        words, n_uses, n_cells = values[columns], seen.n_uses, seen.n_cells
        found = np.full((3, len(n_images), n_uses), np.nan)
        if weights is None or sums is None or not len(columns):
            return cls(*found)

        def by_word(of_values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(words, of_values, n_uses).astype(np.float64)

        is_single = len(columns) == n_uses * n_cells
        all_sums = sums[:, columns].sum(axis=0)
        for place, row in enumerate(weights):
            of_values, own = row[columns].astype(np.float64), sums[place, columns]
            found[0, place] = by_word(of_values) / n_cells if is_single else np.sqrt(by_word(of_values**2))
            n_own, n_others = n_images[place], n_images.sum() - n_images[place]
            if n_own:
                found[1, place] = by_word(of_values * own) / n_own
            if n_others:
                found[2, place] = by_word(of_values * (all_sums - own)) / n_others
        weight, share, share_elsewhere = found
        return cls(weight, share, share_elsewhere, "mean" if is_single else "length")
