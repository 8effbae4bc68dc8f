"""Visual dictionaries: descriptors in, words out."""

from cvbow.dictionary.approximate_kmeans import ApproximateKMeans
from cvbow.dictionary.base import Dictionary
from cvbow.dictionary.binary import BinaryDictionary
from cvbow.dictionary.exchange import export_words, import_words
from cvbow.dictionary.gaussian_mixture import GaussianMixtureDictionary
from cvbow.dictionary.kmeans import KMeansDictionary
from cvbow.dictionary.mirror_pca import MirrorPCA
from cvbow.dictionary.registry import DICTIONARIES
from cvbow.dictionary.search import WordSearch
from cvbow.dictionary.spherical import SphericalDictionary
from cvbow.dictionary.vocabulary_tree import VocabularyTree
from cvbow.dictionary.whitening import ZCA

__all__ = [
    "DICTIONARIES",
    "ZCA",
    "ApproximateKMeans",
    "BinaryDictionary",
    "Dictionary",
    "GaussianMixtureDictionary",
    "KMeansDictionary",
    "MirrorPCA",
    "SphericalDictionary",
    "VocabularyTree",
    "WordSearch",
    "export_words",
    "import_words",
]
