"""The base of the encoders that give every point a code over the words of a dictionary, and pool the codes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_real
from cvbow.dictionary import KMeansDictionary, WordSearch
from cvbow.dictionary._clusters import check_descriptors
from cvbow.encoders._encoder import Encoder, stack_descriptors
from cvbow.encoders._pooling import POOLINGS
from cvbow.encoders.normalize import NORMALIZATIONS, normalize_as
from cvbow.features import Features
from cvbow.parallel import single_threaded

__all__ = ["WordEncoder"]

#: Values beyond this, either way, count as this: squares of larger ones do not fit float32.
_LIMIT = np.float32(1e15)


class WordEncoder(Encoder):
    """Base class: a code for every point, pooled by cell, normalised by cell.

    A subclass has the parameters below and defines ``_pool``; ``_learn`` where it learns more than words.
    """

    dictionary: Any
    pooling: str
    normalization: str
    power: float

    #: Whether words may be binary descriptors.
    _takes_binary = False

    @property
    def n_words(self) -> int:
        """Number of words; NotFittedError before ``fit``."""
        check_is_fitted(self, "dictionary_")
        return len(self.dictionary_.words_)

    @property
    def vector_length(self) -> int:
        """Length of an encoded vector: the number of words."""
        return self.n_words

    def fit(self, features_sample: Sequence[Features], y: object = None) -> Self:
        """Learn the dictionary from one Features per image.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the sample has no descriptors or ones of the wrong kind.
        """
        self.check_params()
        descriptors = self._check(stack_descriptors(features_sample))
        dictionary = KMeansDictionary() if self.dictionary is None else clone(self.dictionary)
        self.dictionary_ = dictionary.fit(descriptors, None)  # FrozenEstimator insists on a y
        self._check_words()
        with single_threaded():
            self._learn(descriptors)
        return self

    def encode_cells(self, features: Features, cells: Sequence[NDArray[np.intp]], n_cells: int) -> NDArray[np.float32]:
        """Return the normalised vectors of the cells; see ``Encoder.encode_cells``."""
        check_is_fitted(self, "dictionary_")
        if len(features) == 0:
            return np.zeros((n_cells, self.vector_length), np.float32)
        size = self.dictionary_.words_.shape[1]
        with single_threaded():
            vectors = self._pool(self._check(features.descriptors, size), cells, n_cells)
        return normalize_as(vectors, self.normalization, self.power)

    @abstractmethod
    def _pool(self, descriptors: NDArray[Any], cells: Sequence[NDArray[np.intp]], n_cells: int) -> NDArray[np.float64]:
        """Return the pooled codes of each cell, shape (n_cells, vector_length); there is a point at least."""

    def _learn(self, descriptors: NDArray[Any]) -> None:
        """Learn what else there is to learn, once the dictionary is there."""

    def _check(self, descriptors: NDArray[Any], size: int | None = None) -> NDArray[Any]:
        """Return descriptors that are safe to compute with."""
        data = check_descriptors(descriptors, size)
        if len(data) and max(data.max(), -data.min()) > _LIMIT:
            data = np.clip(data, -_LIMIT, _LIMIT)
        return data

    @property
    def _prepared(self) -> Any:
        # Made once per set of words, and kept out of pickles, clones and model files.
        words = self.dictionary_.words_
        cached: tuple[NDArray[Any], Any] | None = self.__dict__.get("_search_cache")
        if cached is None or cached[0] is not words:
            cached = (words, self._prepare(words))
            self.__dict__["_search_cache"] = cached
        return cached[1]

    def _prepare(self, words: NDArray[np.float32]) -> Any:
        """Return what ``_pool`` needs of the words."""
        return WordSearch(words)

    def __getstate__(self) -> dict[str, object]:
        state: dict[str, object] = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_search_cache"}

    def check_params(self) -> None:
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("normalization", self.normalization, NORMALIZATIONS)
        check_real("power", self.power, minimum=0, maximum=1, open_minimum=True)
        if self.dictionary is not None and not hasattr(self.dictionary, "fit"):
            raise ValueError(f"dictionary must be an estimator or None, got {self.dictionary!r}")
        if hasattr(self.dictionary, "check_params"):
            self.dictionary.check_params()

    def check_state(self) -> None:
        self.check_params()
        if "dictionary_" in vars(self):
            self._check_words()

    def _check_words(self) -> None:
        words = getattr(self.dictionary_, "words_", None)
        allowed = (np.float32, np.uint8) if self._takes_binary else (np.float32,)
        if not isinstance(words, np.ndarray) or words.ndim != 2 or not words.size or words.dtype not in allowed:
            raise ValueError(
                f"dictionary must learn words_ of shape (n_words, k), {' or '.join(kind.__name__ for kind in allowed)} "
                f"for {type(self).__name__}, got {type(self.dictionary_).__name__}"
            )
