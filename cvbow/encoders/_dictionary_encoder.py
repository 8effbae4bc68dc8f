"""The bases of the encoders that own a dictionary: of all, and of those that pool a code over words for each point."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_real
from cvbow.dictionary import Dictionary, KMeansDictionary, WordSearch
from cvbow.dictionary.base import check_dictionary, check_words, distances_to_words
from cvbow.dictionary.descriptors import check_binary, check_descriptors
from cvbow.dictionary.prepared import prepared_from
from cvbow.encoders._encoder import Encoder, stack_descriptors
from cvbow.encoders._pooling import POOLINGS, Cells, pool_dense
from cvbow.encoders._shares import share_dense
from cvbow.encoders._words import WordTable
from cvbow.encoders.normalize import NORMALIZATIONS, normalize_as
from cvbow.features import Features, Mirror
from cvbow.parallel import single_threaded
from cvbow.storage import Learned, Part


class DictionaryEncoder(Encoder):
    """Base class: learns a dictionary, and makes a vector for each cell from the descriptors and their words.

    A subclass has the parameters ``dictionary``, ``normalization`` and ``power`` and defines ``_pool`` and its way
    back, ``_share``; ``_learn`` where it learns more than words.

    Attributes
    ----------
    dictionary_ : the fitted dictionary
    """

    dictionary: Any
    normalization: str
    power: float

    #: Whether ``_pool`` sums up what the descriptors of each word give, so that pairs of words can be taken together.
    _sums_by_word: ClassVar[bool] = False
    #: What words may be; binary descriptors are uint8.
    _word_types: ClassVar[tuple[type[np.generic], ...]] = (np.float32,)
    #: Values of a descriptor beyond this, either way, count as this: squares of larger ones do not fit float32.
    _limit: ClassVar[np.float32] = np.float32(1e15)

    learned: ClassVar[Mapping[str, Learned]] = {"dictionary_": Part(BaseEstimator, method="predict")}

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
        """Learn the dictionary, and what else there is to learn, from one Features per image.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the sample has no descriptors or ones of the wrong kind.
        """
        return self._fit(features_sample, {})

    def fit_pairs(self, features_sample: Sequence[Features], mirror: Mirror) -> Self:
        if not self.pools_pairs:
            return super().fit_pairs(features_sample, mirror)
        return self._fit(features_sample, {"mirror": mirror})

    @property
    def pools_pairs(self) -> bool:
        """Whether it is an encoder that sums up each word's descriptors, and the dictionary learns words in pairs."""
        dictionary = self._unfitted()
        return self._sums_by_word and isinstance(dictionary, Dictionary) and dictionary.learns_pairs

    def _fit(self, features_sample: Sequence[Features], options: Mapping[str, Mirror]) -> Self:
        self.check_params()
        descriptors = self._check(stack_descriptors(features_sample))
        self.dictionary_ = clone(self._unfitted()).fit(descriptors, None, **options)  # FrozenEstimator insists on a y
        self._check_words()
        with single_threaded():
            self._learn(descriptors, features_sample)
        return self

    def encode_cells(self, features: Features, cells: Cells) -> NDArray[np.float32]:
        """Return the normalised vectors of the cells; see ``Encoder.encode_cells``."""
        check_is_fitted(self, "dictionary_")
        if len(features) == 0:
            return np.zeros((cells.n_cells, self.vector_length), np.float32)
        size = self.dictionary_.words_.shape[1]
        with single_threaded():
            vectors = self._pool(self._check(features.descriptors, size), cells)
        return self._normalize(vectors, None if self.word_mirror is None else cells.mirror)

    def words(self, features: Features) -> WordTable:
        n, n_words = len(features), self._n_told
        word, distance = np.empty(n, np.int32), np.empty(n, np.float32)
        if n:
            with single_threaded():
                descriptors = self._check(features.descriptors, self.dictionary_.words_.shape[1])
                word[:], distance[:] = self._nearest_word(descriptors)
        return WordTable(features.points, word, np.zeros((n, 1), np.intp), distance, n_words)

    @property
    def value_words(self) -> NDArray[np.intp]:
        return np.repeat(np.arange(self.n_pooled), self.vector_length // self.n_pooled)

    @property
    def _n_told(self) -> int:
        """How many words ``words`` tells apart."""
        return self.n_words

    def _nearest_word(self, descriptors: NDArray[Any]) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        """Return the word of each descriptor and the distance from it, (n,) each; there is a descriptor at least."""
        word = self.dictionary_.predict(descriptors)
        return word, distances_to_words(self.dictionary_, descriptors, word)

    @abstractmethod
    def _pool(self, descriptors: NDArray[Any], cells: Cells) -> NDArray[np.floating]:
        """Return the vector of each cell, shape (n_cells, vector_length); there is a point at least."""

    def share_out(self, features: Features, cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each descriptor gave to the values; see ``Encoder.share_out``."""
        check_is_fitted(self, "dictionary_")
        if len(features) == 0:
            return np.zeros(0)
        size = self.dictionary_.words_.shape[1]
        with single_threaded():
            return self._share(self._check(features.descriptors, size), cells, values)

    @abstractmethod
    def _share(self, descriptors: NDArray[Any], cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share the cells' values (n_cells, vector_length) out among the descriptors, (n,); there is one at least."""

    @property
    def word_mirror(self) -> Mirror | None:
        """The mirror that the dictionary's words come in pairs for."""
        return self.dictionary_.mirror if isinstance(self.dictionary_, Dictionary) else None

    @property
    def n_pooled(self) -> int:
        """How many words, or pairs of words, a vector has values for."""
        n_words = self.n_words
        return n_words if self.word_mirror is None else n_words // 2

    def _unfitted(self) -> Any:
        return self._default_dictionary() if self.dictionary is None else self.dictionary

    def _learn(self, descriptors: NDArray[Any], features_sample: Sequence[Features]) -> None:
        """Learn what else there is to learn, once the dictionary is there."""

    def _normalize(self, vectors: NDArray[np.floating], twins: NDArray[np.intp] | None) -> NDArray[np.float32]:
        """Return the vectors of the cells normalised, each together with its twin where there are any."""
        return normalize_as(vectors.astype(np.float64, copy=False), self.normalization, self.power, twins)

    def _with_mirrors(self, sums: NDArray[Any], cells: Cells, mirror: Mirror | None = None) -> NDArray[Any]:
        """Return the sums of the cells' words, (n_cells, n_words, ...), for descriptors and their mirrors together.

        Of pairs of words, those of the first, (n_cells, n_words / 2, ...): the second's are theirs in the mirrored
        cell. Without pairs they are as they were. ``mirror`` is that of the sums' last axis; None: of plain counts.
        """
        if self.word_mirror is None:
            return sums
        half = sums.shape[1] // 2
        second = cells.mirrored(sums[:, half:])
        together: NDArray[Any] = sums[:, :half] + (second if mirror is None else mirror.apply(second))
        return together

    def _of_all_words(self, values: NDArray[Any], cells: Cells, mirror: Mirror | None = None) -> NDArray[Any]:
        """Return what belongs to the first words of pairs, (n_cells, n_words / 2, ...), as it belongs to all words.

        It is the transpose of ``_with_mirrors``; without pairs, values stay as they are.
        """
        if self.word_mirror is None:
            return values
        second = cells.mirrored(values)
        return np.concatenate([values, second if mirror is None else mirror.apply(second)], axis=1)

    @staticmethod
    def _default_dictionary() -> Any:
        return KMeansDictionary()

    def _check(self, descriptors: NDArray[Any], size: int | None = None) -> NDArray[Any]:
        """Return descriptors that are safe to compute with."""
        if np.uint8 in self._word_types:
            if size is None and descriptors.dtype == np.uint8:
                return descriptors  # the dictionary's fit says whether it takes binary ones
            if size is not None and self.dictionary_.words_.dtype == np.uint8:
                return check_binary(descriptors, size)
        data = check_descriptors(descriptors, size)
        if len(data) and max(data.max(), -data.min()) > self._limit:
            data = np.clip(data, -self._limit, self._limit)
        return data

    def check_params(self) -> None:
        check_dictionary(self.dictionary)
        check_real("power", self.power, minimum=0, maximum=1, open_minimum=True)

    def check_state(self) -> None:
        super().check_state()
        if "dictionary_" in vars(self):
            self._check_words()

    def _check_words(self) -> None:
        check_words(self.dictionary_, self._word_types, type(self).__name__)


class WordEncoder(DictionaryEncoder):
    """Base class: a code for every point, pooled by cell, normalised by cell.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_``; None is ``KMeansDictionary()``.
    pooling : {"average", "sum", "max"}
        Of the points of a cell.
    normalization : {"hellinger", "l1", "l2", "power", "none"}
        As in ``BagOfWords``.
    power : float, default 0.5
        Exponent of "power".
    """

    pooling: str

    @prepared_from("dictionary_.words_")
    def _prepared(self) -> Any:
        return self._prepare(self.dictionary_.words_)

    def _prepare(self, words: NDArray[np.float32]) -> Any:
        """Return what ``_pool`` needs of the words."""
        return WordSearch(words)

    def check_params(self) -> None:
        super().check_params()
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("normalization", self.normalization, NORMALIZATIONS)


class DenseEncoder(WordEncoder):
    """Base class: non-negative codes of ``vector_length`` values, made block by block and pooled at once."""

    @abstractmethod
    def _codes(self, descriptors: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the codes of one block of descriptors after another: the rows, and (m, vector_length) codes.

        They are float32; or uint8 where all are 0 or 1, in blocks of at most 255 rows.
        """

    def _pool(self, descriptors: NDArray[np.float32], cells: Cells) -> NDArray[np.float64]:
        return pool_dense(self._codes, descriptors, self.vector_length, cells, self.pooling)

    def _share(
        self, descriptors: NDArray[np.float32], cells: Cells, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return share_dense(self._codes, descriptors, values, cells, self.pooling)
