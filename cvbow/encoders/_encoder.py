"""The base of every encoder: a bag of descriptors in, one vector of fixed length out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cvbow.encoders._pooling import Cells
from cvbow.encoders._words import WordTable
from cvbow.features import Features, Mirror


class Encoder(BaseEstimator):  # type: ignore[misc]
    """Base class: ``fit(features_sample)``, then ``encode(features) -> (d,) float32``.

    A subclass defines ``fit`` and ``vector_length``, and overrides ``encode``; or ``encode_cells``, which encodes
    several bags of one image at once: so a spatial pyramid finds each point's word only once for all its grids. With
    ``share_out`` it can say what each descriptor gave to a vector.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import VLAD, BagOfWords, Features, KMeansDictionary
    >>> descriptors = np.random.default_rng(0).random((50, 8), np.float32)
    >>> features = Features(np.zeros((50, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoders = BagOfWords(KMeansDictionary(n_words=5)), VLAD(KMeansDictionary(n_words=5))
    >>> [encoder.fit([features]).encode(features).shape for encoder in encoders]
    [(5,), (40,)]
    """

    #: What a recipe makes its words by: a key of ``cvbow.dictionary.DICTIONARIES``.
    recipe_dictionary: ClassVar[str] = "k-means"
    #: True while document frequencies are wanted that ``fit`` could only estimate; see ``count_documents``.
    wants_documents = False

    @property
    def pools_pairs(self) -> bool:
        """Whether ``fit_pairs`` works."""
        return False

    @property
    def n_words(self) -> int | None:
        """Number of words of the dictionary; None where there is none."""
        return None

    @property
    def n_blocks(self) -> int:
        """Parts of equal length that a vector consists of, each normalised by itself: the cells of a pyramid."""
        return 1

    @property
    def has_shares(self) -> bool:
        """Whether ``shares`` works."""
        return type(self).share_out is not Encoder.share_out

    @property
    @abstractmethod
    def vector_length(self) -> int:
        """Length of an encoded vector; NotFittedError before ``fit``."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Features of images, which are no matrix.
        tags.input_tags.two_d_array = False
        return tags

    @abstractmethod
    def fit(self, features_sample: Sequence[Features], y: object = None) -> Self:
        """Learn from a sample of features, an item per image."""

    def fit_pairs(self, features_sample: Sequence[Features], mirror: Mirror) -> Self:
        """Learn words in mirrored pairs, so that an image's vector is its mirror's, too: see ``pools_pairs``.

        The bag of an image then holds its mirror's descriptors as well, which costs no second encoding: those of a word
        are, mirrored, those of the word's mirror. So each pair of words takes the place of one in the vector.

        Parameters
        ----------
        features_sample : sequence of Features
            As for ``fit``.
        mirror : Mirror
            Of their descriptors.

        Raises
        ------
        ValueError
            As ``fit``, and if the encoder or its dictionary cannot do so.
        """
        raise ValueError(f"{type(self).__name__} cannot pool words in mirrored pairs")

    def encode_cells(self, features: Features, cells: Cells) -> NDArray[np.float32]:
        """Encode the bags of an image's cells.

        Parameters
        ----------
        features : Features
        cells : Cells

        Returns
        -------
        ndarray of shape (n_cells, d), float32
            Normalised; a cell without points is zero. With words in mirrored pairs a cell holds the descriptors of the
            mirrored image in it as well, and is normalised together with the cell that is its mirror: the pair of
            cells has the length that two cells have otherwise.
        """
        vectors = np.zeros((cells.n_cells, self.vector_length), np.float32)
        for grid in cells.of_points:
            for cell in np.unique(grid):
                vectors[cell] = self.encode(features.take(np.flatnonzero(grid == cell)))
        return vectors

    def words(self, features: Features) -> WordTable:
        """Tell the word of each point of one image, and its cells.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the encoder has no words, or the descriptors do not have the size that was learned.
        """
        raise ValueError(f"{type(self).__name__} has no visual words to tell of")

    @property
    def value_words(self) -> NDArray[np.intp]:
        """The word that each value of a vector belongs to, shape (vector_length,); ValueError of an encoder without.

        Of words in mirrored pairs it is the first, whose values hold those of the second.
        """
        raise ValueError(f"{type(self).__name__} has no visual words to tell of")

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule: called by ``fit``, and before a backend reads an image."""

    def check_state(self) -> None:
        """Raise ValueError if a parameter breaks its rule, or what was learned and stored does not fit together."""
        self.check_params()

    def encode(self, features: Features) -> NDArray[np.float32]:
        """Encode one image's features; shape (vector_length,), float32, finite; zero for an empty bag.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the descriptors do not have the size that was learned.
        """
        return self.encode_cells(features, Cells.whole(len(features))).reshape(-1)

    def shares(self, features: Features, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Tell what each descriptor gave to the product of the vector and some weights.

        Parameters
        ----------
        features : Features
        weights : array of shape (vector_length,)
            Such as a linear classifier's for a class.

        Returns
        -------
        ndarray of shape (n,), float64
            Their sum is the product ``encode(features) @ weights``, but for what is left of values whose parts nearly
            cancel.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If the encoder has no shares, or the weights are not as many as a vector's values.

        Examples
        --------
        >>> import numpy as np
        >>> from cvbow import BagOfWords, Features, KMeansDictionary
        >>> descriptors = np.array([[0, 0], [0, 1], [9, 9], [9, 8], [8, 9]], np.float32)
        >>> features = Features(np.zeros((5, 4), np.float32), descriptors, image_size=(64, 64))
        >>> encoder = BagOfWords(KMeansDictionary(n_words=2), normalization="none").fit([features])
        >>> encoder.shares(features, np.ones(2)).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]
        """
        vector = self.encode(features).astype(np.float64)
        if np.shape(weights) != vector.shape:
            raise ValueError(f"weights must have shape {vector.shape}, got {np.shape(weights)}")
        return self.share_out(features, Cells.whole(len(features)), (vector * weights)[None])

    def share_out(self, features: Features, cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share out, among the descriptors, what became of each value of the vectors of an image's cells.

        Parameters
        ----------
        features : Features
        cells : Cells
            As ``encode_cells`` got them.
        values : ndarray of shape (n_cells, d), float64
            Such as the products of the vectors' values and weights; where a vector is zero, so are they.

        Returns
        -------
        ndarray of shape (n,), float64
            Each value goes to the descriptors in proportion to their parts of the sum, or other pool, that it was made
            of; where these nearly cancel, less than all of it.
        """
        raise ValueError(f"{type(self).__name__} cannot tell what each descriptor gave: it defines no share_out")


def stack_descriptors(features_sample: Sequence[Features]) -> NDArray[np.float32]:
    """Return all descriptors of a sample as one (n, k) array."""
    if isinstance(features_sample, Features):
        raise ValueError("features_sample must be a sequence of Features, one per image; got a single Features")
    if len(features_sample) == 0:
        raise ValueError("features_sample must have at least one image, got none")
    stacked: NDArray[np.float32] = np.concatenate([features.descriptors for features in features_sample])
    if len(stacked) == 0:
        raise ValueError("features_sample has no descriptors: no point was found in any of its images")
    return stacked
