"""What is prepared from learned arrays: never stale, never stored, and gone with its owner."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
from bags import random_bag
from numpy.typing import NDArray
from sklearn.base import clone

from cvbow.dictionary import (
    ApproximateKMeans,
    BinaryDictionary,
    Dictionary,
    GaussianMixtureDictionary,
    KMeansDictionary,
    VocabularyTree,
)
from cvbow.dictionary.prepared import prepared_from
from cvbow.encoders import LLC, KernelCodebook, NearWords, SoftThreshold, Triangle

#: Each with the arrays that its search is made from.
DICTIONARIES: dict[str, tuple[Dictionary, tuple[str, ...]]] = {
    "k-means": (KMeansDictionary(n_words=6), ("words_",)),
    "approximate": (ApproximateKMeans(n_words=9), ("words_", "centers_", "cell_start_")),
    "binary": (BinaryDictionary(n_words=6), ("words_",)),
    "tree": (VocabularyTree(branching=3, depth=2), ("nodes_", "n_children_")),
    "mixture": (GaussianMixtureDictionary(n_words=4), ("weights_", "means_", "variances_")),
}
every_array = pytest.mark.parametrize(
    ("kind", "array"), [(kind, array) for kind, (_, arrays) in DICTIONARIES.items() for array in arrays]
)


def rows(dictionary: Dictionary, n: int = 200, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if isinstance(dictionary, BinaryDictionary):
        return rng.integers(0, 256, (n, 4), dtype=np.uint8)
    return rng.standard_normal((n, 4)).astype(np.float32)


def learned(kind: str) -> tuple[Dictionary, NDArray[Any]]:
    dictionary = clone(DICTIONARIES[kind][0])
    data = rows(dictionary)
    return dictionary.fit(data), data


def answers(dictionary: Any, data: NDArray[Any]) -> list[NDArray[Any]]:
    found = [dictionary.predict(data), dictionary.words_]
    if isinstance(dictionary, GaussianMixtureDictionary):
        found += [dictionary.posteriors(data), np.array(dictionary.score(data))]
    return found


def changed(dictionary: Dictionary, array: str) -> NDArray[Any]:
    """A copy that stands for something else."""
    other = vars(dictionary)[array].copy()
    if array == "weights_":
        return np.float32([0.97, 0.01, 0.01, 0.01])
    if array == "cell_start_":
        return np.concatenate([[0], np.arange(len(other) - 1) + len(vars(dictionary)["words_"]) - len(other) + 2])
    if array == "n_children_":
        other[1:] = 0  # the root's children as leaves: the others are no part of the tree
        return other
    return 255 - other if other.dtype == np.uint8 else other[::-1] + np.abs(other).max() / 2


@every_array
def test_another_array_is_noticed(kind: str, array: str) -> None:
    dictionary, data = learned(kind)
    before = answers(dictionary, data)
    setattr(dictionary, array, changed(dictionary, array))
    fresh = clone(dictionary)
    vars(fresh).update({name: value for name, value in vars(dictionary).items() if name.endswith("_")})
    for found, expected in zip(answers(dictionary, data), answers(fresh, data), strict=True):
        np.testing.assert_array_equal(found, expected)
    if array not in ("centers_", "cell_start_"):  # which hardly change what is found
        assert any(not np.array_equal(*pair) for pair in zip(answers(dictionary, data), before, strict=True))


@every_array
def test_a_change_in_place_counts_before_use_and_is_refused_after(kind: str, array: str) -> None:
    dictionary, data = learned(kind)
    held = vars(dictionary)[array]
    held[...] = changed(dictionary, array)
    copied = pickle.loads(pickle.dumps(dictionary))
    for found, expected in zip(answers(dictionary, data), answers(copied, data), strict=True):
        np.testing.assert_array_equal(found, expected)
    for one in (held, vars(dictionary)[array]):
        with pytest.raises(ValueError, match="read-only"):
            one[0] = 0


def test_a_part_of_an_array_cannot_be_changed_through_the_whole() -> None:
    whole = np.eye(4, dtype=np.float32)
    dictionary = KMeansDictionary()
    dictionary.words_ = whole[1:]
    assert dictionary.predict(whole[1:]).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        whole[1] = 0


@pytest.mark.parametrize("kind", DICTIONARIES)
def test_the_descriptors_stay_writeable(kind: str) -> None:
    dictionary, data = learned(kind)
    dictionary.predict(data)
    data[:] = 0


@pytest.mark.parametrize("kind", DICTIONARIES)
def test_what_is_prepared_is_no_part_of_the_dictionary(kind: str) -> None:
    dictionary, data = learned(kind)
    attributes, content, digest = set(vars(dictionary)), pickle.dumps(dictionary), joblib.hash(dictionary)
    dictionary.predict(data)
    assert set(vars(dictionary)) == attributes
    assert len(pickle.dumps(dictionary)) <= len(content)
    assert joblib.hash(dictionary) == digest
    assert joblib.hash(pickle.loads(content)) == digest


ENCODERS: dict[str, Callable[[Any], Any]] = {
    "kernel-codebook": lambda words: KernelCodebook(words, sigma=1.0),
    "llc": lambda words: LLC(words),
    "soft-threshold": lambda words: SoftThreshold(words),
    "near-words": lambda words: NearWords(words),
    "triangle": lambda words: Triangle(words),
}


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_notices_other_words(kind: str) -> None:
    bag = random_bag(60, 5, seed=1)
    encoder = ENCODERS[kind](KMeansDictionary(n_words=7)).fit([bag])
    attributes = set(vars(encoder))
    before = encoder.encode(bag)
    assert set(vars(encoder)) == attributes
    with pytest.raises(ValueError, match="read-only"):
        encoder.dictionary_.words_[0] = 0
    encoder.dictionary_.words_ = encoder.dictionary_.words_[::-1].copy()
    np.testing.assert_array_equal(encoder.encode(bag), pickle.loads(pickle.dumps(encoder)).encode(bag))
    assert not np.array_equal(encoder.encode(bag), before)


class Owner:
    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        self.first, self.second = first, second
        self.calls = 0

    @prepared_from("first", "second")
    def total(self) -> NDArray[Any]:
        """The sum."""
        self.calls += 1
        return np.asarray(self.first + self.second)


def test_it_is_made_once_and_once_more_for_each_other_array() -> None:
    owner, other = Owner(np.ones(2), np.ones(2)), Owner(np.ones(2), np.zeros(2))
    for _ in range(3):
        assert owner.total.tolist() == [2, 2]
        assert other.total.tolist() == [1, 1]
    assert (owner.calls, other.calls) == (1, 1)
    owner.second = np.zeros(2)
    assert owner.total.tolist() == [1, 1]
    owner.first = owner.first.copy()
    assert owner.total.tolist() == [1, 1]
    assert owner.calls == 3
    assert Owner.total.__doc__ == "The sum."


def test_it_goes_with_its_owner() -> None:
    owner = Owner(np.ones(2), np.ones(2))
    made = weakref.ref(owner.total)
    assert made() is not None
    del owner
    gc.collect()
    assert made() is None
