"""The base of the dictionaries, and what is asked of an estimator that is one without being cvbow's."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_int, check_matrix, check_part, check_real
from cvbow.dictionary._pairs import is_paired
from cvbow.dictionary.descriptors import refuse_binary
from cvbow.dictionary.search import NearestWords
from cvbow.features import Mirror
from cvbow.parallel import local_threads, single_threaded
from cvbow.storage import Array, Learned, Number

#: How learning went; no answer depends on it.
HISTORY: Mapping[str, Learned] = {
    "inertia_": Number(minimum=0, optional=True),
    "n_iter_": Number(integer=True, minimum=0, optional=True),
}


#: Of a dictionary that learned words in mirrored pairs: where a mirrored descriptor's values stand, and their signs.
PAIRS: Mapping[str, Learned] = {"mirror_": Array("int32", "2 k", optional=True)}


class Dictionary(BaseEstimator):  # type: ignore[misc]
    """Base class: ``fit(descriptors)`` learns words, ``predict(descriptors)`` tells each descriptor's word.

    A subclass has the parameter ``n_jobs`` and defines ``check_params``, ``_learn`` and ``_predict``; ``words_``, and
    ``learned`` where it learns other things than words.

    Parameters
    ----------
    n_words : int
        Words wanted. With fewer distinct descriptors in the sample there are fewer words, and a warning says so.
    max_iter : int
        Iterations, at most.
    tol : float
        Stop when an iteration lowers the mean error by less than this share of it.
    n_jobs : int or None, default None
        Threads, by joblib's convention; the result does not depend on it.
    random_state : int, default 0
        Seed of the start.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, k)
    inertia_ : float
        Mean error of the sample's descriptors, as the last iteration found it before it moved the words once more: what
        is left is at most that.
    n_iter_ : int
        Iterations done.
    n_features_in_ : int
        k.
    feature_names_in_ : ndarray of shape (k,), str
        Names of the columns, where ``fit`` got a data frame; a model file does not hold them.

    Notes
    -----
    Arrays that were learned become read-only once they are in use: assign a changed copy to change them.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import DICTIONARIES
    >>> descriptors = np.random.default_rng(0).random((200, 8), np.float32)
    >>> DICTIONARIES["k-means"](n_words=5).fit(descriptors).predict(descriptors).shape
    (200,)
    """

    transient: ClassVar[Mapping[str, Any]] = {"n_jobs": None}
    learned: ClassVar[Mapping[str, Learned]] = {"words_": Array("float32", "n_words k"), **HISTORY}
    #: Whether ``fit`` takes a mirror.
    learns_pairs: ClassVar[bool] = False

    n_words: int
    tol: float
    n_jobs: int | None
    random_state: int
    words_: NDArray[Any]
    mirror_: NDArray[np.int32]

    @abstractmethod
    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""

    def fit(self, descriptors: NDArray[Any], y: object = None, *, mirror: Mirror | None = None) -> Self:
        """Learn from descriptors.

        Parameters
        ----------
        descriptors : array of shape (n, k)
            Real values, taken as float32; of a dictionary of binary descriptors uint8, eight bits a byte.
        y : ignored
        mirror : Mirror or None, default None
            Where it is given, the words come in pairs, of which the second is the mirror of the first, and are those of
            the descriptors and their mirrors together. Only a dictionary with ``learns_pairs`` takes it, of an even
            number of words.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the descriptors are empty, of the wrong kind, or not all finite.
        """
        self.check_params()
        data = self._check(descriptors, fitting=True)
        if len(data) == 0:
            raise ValueError("descriptors must have at least one row to learn words from, got none")
        self._take_mirror(mirror)
        with single_threaded():
            self._learn(data, local_threads(self.n_jobs))
        return self

    @property
    def mirror(self) -> Mirror | None:
        """What makes of the first half of the words the second; None where words do not come in pairs."""
        found = vars(self).get("mirror_")
        return None if found is None else Mirror(found[0], found[1])

    def _take_mirror(self, mirror: Mirror | None) -> None:
        if mirror is None:
            if "mirror_" in vars(self):
                del self.mirror_
            return
        if not self.learns_pairs:
            raise ValueError(f"{type(self).__name__} cannot learn words in mirrored pairs: mirror must be None")
        if self.n_words % 2:
            raise ValueError(f"n_words must be even for words in mirrored pairs, got {self.n_words}")
        self.mirror_ = np.stack([mirror.order, mirror.signs]).astype(np.int32)

    def predict(self, descriptors: NDArray[Any]) -> NDArray[np.int32]:
        """Return the word of each descriptor, (n, k) to (n,) int32: the nearest, of equally near ones the first."""
        data = self._check_query(descriptors)
        with single_threaded():
            return self._predict(data, local_threads(self.n_jobs))

    @abstractmethod
    def _learn(self, data: NDArray[Any], threads: int) -> None:
        """Learn from descriptors (n, k), of which there is one at least."""

    @abstractmethod
    def _predict(self, data: NDArray[Any], threads: int) -> NDArray[np.int32]:
        """Return the word of each descriptor, shape (n,)."""

    def distances(self, descriptors: NDArray[Any], words: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return each descriptor's distance from a word of its own, (n, k) and (n,) to (n,) float32.

        It is Euclidean; of binary words in bits; of a Gaussian in its standard deviations, from its mean.
        """
        return _euclidean(self._check_query(descriptors), self.words_[words])

    @property
    def n_features_in_(self) -> int:
        """Values of a descriptor, as the words have them; scikit-learn's checks set it, which changes nothing."""
        return int(self.words_.shape[1])

    @n_features_in_.setter
    def n_features_in_(self, n_features: int) -> None: ...

    def _check(self, descriptors: object, *, fitting: bool = False) -> NDArray[Any]:
        """Return descriptors as an array, of which words can be learned or which fits them; ValueError for others."""
        refuse_binary(descriptors)
        data: NDArray[Any] = check_matrix(self, descriptors, fitting=fitting, name="descriptors", may_be_empty=True)
        return data

    def _check_query(self, descriptors: object) -> NDArray[Any]:
        """Return descriptors as an array that fits the words."""
        check_is_fitted(self, "words_")
        return self._check(descriptors)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        mirror = self.mirror
        if mirror is not None and not is_paired(self.words_, mirror):
            raise ValueError("the second half of the words must be the mirrors of the first, as mirror_ has them")

    def _check_iterations(self, *counts: str) -> None:
        """Check what all that iterate have in common, and what else is an integer of at least 1."""
        for name in (*counts, "max_iter"):
            check_int(name, getattr(self, name), minimum=1)
        check_real("tol", self.tol, minimum=0)
        check_int("random_state", self.random_state, minimum=0)


class RankingDictionary(Dictionary):
    """Base class of the dictionaries that know more words than the nearest; a subclass defines ``_nearest_words``."""

    def nearest_words(self, descriptors: NDArray[Any], k: int) -> NearestWords:
        """Return the ``k`` nearest words of each descriptor, from 1 to all, the nearest first, and their distances.

        Descriptors are (n, size); words are (n, k), int32, and distances (n, k), float32: squared Euclidean ones, of
        binary descriptors Hamming distances, in bits.
        """
        data = self._check_query(descriptors)
        check_int("k", k, minimum=1)
        if k > len(self.words_):
            raise ValueError(f"k must not exceed the number of words, {len(self.words_)}, got {k}")
        with single_threaded():
            return self._nearest_words(data, k, local_threads(self.n_jobs))

    @abstractmethod
    def _nearest_words(self, data: NDArray[Any], k: int, threads: int) -> NearestWords: ...

    def _predict(self, data: NDArray[Any], threads: int) -> NDArray[np.int32]:
        return np.ascontiguousarray(self._nearest_words(data, 1, threads)[0][:, 0])


def warn_if_fewer(n_words: int, n_found: int, *, stacklevel: int = 4) -> None:
    """Warn of a sample with too few distinct descriptors; ``stacklevel`` counts from here to the user's line."""
    if n_found < n_words:
        warnings.warn(
            f"n_words is {n_words}, but the sample has {n_found} distinct descriptors: "
            f"the dictionary gets {n_found} words",
            UserWarning,
            stacklevel=stacklevel,
        )


# An encoder takes any estimator that learns ``words_``, scikit-learn's FrozenEstimator around one included.


def check_dictionary(dictionary: Any) -> None:
    """Raise ValueError unless ``dictionary`` is an estimator whose parameters keep their rules, or None."""
    if dictionary is not None and not hasattr(dictionary, "fit"):
        raise ValueError(f"dictionary must be an estimator or None, got {dictionary!r}")
    check_part(dictionary)


def learned(dictionary: Any, name: str) -> Any:
    """Return what a dictionary has learned under a name, such as ``words_``; None where there is no such thing."""
    return getattr(dictionary, name, None)


def check_words(dictionary: Any, kinds: Collection[type[np.generic]], user: str) -> None:
    """Raise ValueError unless a fitted dictionary has words (n_words, k) of a kind that ``user`` can do with."""
    words = learned(dictionary, "words_")
    is_matrix = isinstance(words, np.ndarray) and words.ndim == 2 and words.size and words.dtype.type in kinds
    # The least and the greatest of values with NaN among them are NaN.
    if not is_matrix or not np.isfinite([words.min(), words.max()]).all():
        types = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(
            f"dictionary must learn words_ of shape (n_words, k), finite and {types} for {user}, "
            f"got {type(dictionary).__name__}"
        )


def distances_to_words(dictionary: Any, descriptors: NDArray[Any], words: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return each descriptor's distance from a word of its own, as ``Dictionary.distances``; Euclidean of others."""
    if isinstance(dictionary, Dictionary):
        return dictionary.distances(descriptors, words)
    return _euclidean(descriptors, dictionary.words_[words])


def _euclidean(descriptors: NDArray[Any], words: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(np.subtract(descriptors, words, dtype=np.float64), axis=1), np.float32)


def ranks_words(dictionary: Any) -> bool:
    """Whether a dictionary knows more than the nearest word of a descriptor: see ``RankingDictionary``."""
    return hasattr(dictionary, "nearest_words")


def threads_of(dictionary: Any) -> int:
    """Return the number of threads that a dictionary works with."""
    return local_threads(getattr(dictionary, "n_jobs", None))
