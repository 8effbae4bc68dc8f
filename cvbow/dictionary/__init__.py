"""Visual dictionaries: descriptors in, words out."""

from cvbow.dictionary._nearest import WordSearch
from cvbow.dictionary.gaussian_mixture import GaussianMixtureDictionary
from cvbow.dictionary.kmeans import KMeansDictionary

__all__ = ["GaussianMixtureDictionary", "KMeansDictionary", "WordSearch"]
