"""Dictionaries by name."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from cvbow.dictionary.approximate_kmeans import ApproximateKMeans
from cvbow.dictionary.binary import BinaryDictionary
from cvbow.dictionary.gaussian_mixture import GaussianMixtureDictionary
from cvbow.dictionary.kmeans import KMeansDictionary
from cvbow.dictionary.spherical import SphericalDictionary
from cvbow.dictionary.vocabulary_tree import VocabularyTree
from cvbow.registry import Registry

#: Every dictionary.
DICTIONARIES: Registry[type[Any]] = Registry(
    "dictionary",
    BaseEstimator,
    {
        "k-means": KMeansDictionary,
        "approximate-k-means": ApproximateKMeans,
        "vocabulary-tree": VocabularyTree,
        "spherical": SphericalDictionary,
        "binary": BinaryDictionary,
        "gaussian-mixture": GaussianMixtureDictionary,
    },
    defines=("fit", "predict"),
)
