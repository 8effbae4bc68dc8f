"""Bag of visual words: a histogram of the nearest words.

J. Sivic and A. Zisserman, "Video Google", ICCV 2003 (tf-idf); G. Csurka et al., "Visual categorization with bags of
keypoints", ECCV workshop 2004; F. Perronnin, J. Sanchez and T. Mensink, ECCV 2010 (power normalisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_real
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders._encoder import Encoder, stack_descriptors
from cvbow.features import Features

__all__ = ["BagOfWords"]

NORMALIZATIONS = ("hellinger", "l1", "l2", "power", "none")
WEIGHTINGS = ("count", "binary", "tf-idf")


class BagOfWords(Encoder):
    """Histogram of hard assignments to the words of a dictionary.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_`` and predicts the nearest; None is ``KMeansDictionary()``.
    weighting : {"count", "binary", "tf-idf"}, default "count"
        Occurrences of a word; whether it occurs; or occurrences times log(N / N_word), with N_word of N images having
        the word. The frequencies come from the bags given to ``fit`` until ``set_documents`` replaces them.
    normalization : {"hellinger", "l1", "l2", "power", "none"}, default "hellinger"
        "hellinger": L1, then the square root, which makes a dot product the Hellinger kernel (L2 norm 1);
        "power": h ** power, then L2.
    power : float, default 0.5
        Exponent of "power".

    Attributes
    ----------
    dictionary_ : the fitted dictionary
    idf_ : ndarray of shape (n_words,), float32
        Only with ``weighting="tf-idf"``.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import BagOfWords, Features, KMeansDictionary
    >>> descriptors = np.array([[0, 0], [0, 1], [9, 9], [9, 8], [8, 9]], np.float32)
    >>> features = Features(np.zeros((5, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoder = BagOfWords(KMeansDictionary(n_words=2), normalization="none").fit([features])
    >>> sorted(encoder.encode(features).tolist())
    [2.0, 3.0]
    """

    def __init__(
        self,
        dictionary: KMeansDictionary | None = None,
        *,
        weighting: str = "count",
        normalization: str = "hellinger",
        power: float = 0.5,
    ) -> None:
        self.dictionary = dictionary
        self.weighting = weighting
        self.normalization = normalization
        self.power = power

    @property
    def wants_documents(self) -> bool:  # type: ignore[override]
        """True with tf-idf: better frequencies come from whole images than from a sample of their points."""
        return self.weighting == "tf-idf"

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
        """Learn the dictionary, and the document frequencies if they are used, from one Features per image.

        Raises
        ------
        ValueError
            If a parameter breaks its rule or the sample has no descriptors.
        """
        self.check_params()
        descriptors = stack_descriptors(features_sample)
        self.dictionary_ = clone(self.dictionary or KMeansDictionary()).fit(descriptors, None)
        if self.weighting == "tf-idf":
            counts = sum(self.count_documents(features) for features in features_sample)
            self.set_documents(np.asarray(counts), len(features_sample))
        return self

    def count_documents(self, features: Features) -> NDArray[np.int64]:
        """Return 1 for each word that the image has, shape (n_words,)."""
        present = np.zeros(self.n_words, np.int64)
        if len(features):
            present[self.dictionary_.predict(features.descriptors)] = 1
        return present

    def set_documents(self, counts: NDArray[np.int64], n_images: int) -> None:
        """Set the inverse document frequencies from the number of images that have each word, of ``n_images``."""
        # A word that no image has gets the weight of a word that one has.
        self.idf_ = np.log(n_images / np.maximum(counts, 1)).astype(np.float32)

    def encode_cells(self, features: Features, cells: Sequence[NDArray[np.intp]], n_cells: int) -> NDArray[np.float32]:
        """Return the normalised histograms of the cells; see ``Encoder.encode_cells``."""
        check_is_fitted(self, "dictionary_")
        n_words = self.n_words
        histograms = np.zeros(n_cells * n_words, np.float32)
        if len(features):
            words = self.dictionary_.predict(features.descriptors)
            for cell in cells:
                histograms += np.bincount(cell * n_words + words, minlength=len(histograms))
        return self._normalize(histograms.reshape(n_cells, n_words))

    def _normalize(self, histograms: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.weighting == "binary":
            histograms = (histograms > 0).astype(np.float32)
        elif self.weighting == "tf-idf":
            histograms = histograms * self.idf_
        if self.normalization in ("hellinger", "l1"):
            histograms = _divide(histograms, histograms.sum(axis=1))
        if self.normalization == "hellinger":
            histograms = np.sqrt(histograms)
        elif self.normalization == "power":
            histograms = histograms ** np.float32(self.power)
        if self.normalization in ("l2", "power"):
            histograms = _divide(histograms, np.sqrt(np.einsum("ij,ij->i", histograms, histograms)))
        return histograms

    def check_params(self) -> None:
        check_choice("weighting", self.weighting, WEIGHTINGS)
        check_choice("normalization", self.normalization, NORMALIZATIONS)
        check_real("power", self.power, minimum=0, maximum=1, open_minimum=True)
        if isinstance(self.dictionary, KMeansDictionary):
            self.dictionary.check_params()
        elif self.dictionary is not None and not hasattr(self.dictionary, "fit"):
            raise ValueError(f"dictionary must be an estimator or None, got {self.dictionary!r}")

    def check_state(self) -> None:
        self.check_params()
        if self.weighting == "tf-idf" and "dictionary_" in vars(self):
            idf = vars(self).get("idf_")
            if not isinstance(idf, np.ndarray) or idf.shape != (self.n_words,) or idf.dtype != np.float32:
                raise ValueError("idf_ must be a float32 array with a value per word")


def _divide(rows: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each row; a row to be divided by zero is zero."""
    return np.divide(rows, by[:, None], out=np.zeros_like(rows), where=by[:, None] > 0)
