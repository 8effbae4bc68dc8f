"""Bag of visual words: a histogram of the nearest words.

J. Sivic and A. Zisserman, "Video Google", ICCV 2003 (tf-idf); G. Csurka et al., "Visual categorization with bags of
keypoints", ECCV workshop 2004; F. Perronnin, J. Sanchez and T. Mensink, ECCV 2010 (power normalisation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_choice
from cvbow.dictionary import Dictionary
from cvbow.dictionary.descriptors import check_size
from cvbow.encoders._dictionary_encoder import DictionaryEncoder
from cvbow.encoders._pooling import Cells
from cvbow.encoders._shares import per_part
from cvbow.encoders.normalize import NORMALIZATIONS, shared
from cvbow.features import Features
from cvbow.storage import Array, Learned

WEIGHTINGS = ("count", "binary", "tf-idf")


class BagOfWords(DictionaryEncoder):
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
    idf_ : ndarray of shape (vector_length,), float32
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

    learned: ClassVar[Mapping[str, Learned]] = {
        **DictionaryEncoder.learned,
        "idf_": Array("float32", "n_pooled", minimum=0, optional=True),
    }
    _sums_by_word = True

    def __init__(
        self,
        dictionary: Dictionary | None = None,
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
        """True with tf-idf, as whole images give better frequencies than a sample of their points."""
        return self.weighting == "tf-idf"

    def _learn(self, descriptors: NDArray[Any], features_sample: Sequence[Features]) -> None:
        if self.weighting == "tf-idf":
            counts = sum(self.count_documents(features) for features in features_sample)
            self.set_documents(np.asarray(counts), len(features_sample))

    @property
    def vector_length(self) -> int:
        """Length of an encoded vector: the number of words, or of pairs of words."""
        return self.n_pooled

    def count_documents(self, features: Features) -> NDArray[np.int64]:
        """Return 1 for each value of a vector whose word the image has, shape (vector_length,)."""
        present = np.zeros(self.n_pooled, np.int64)
        if len(features):
            present[self.dictionary_.predict(features.descriptors) % self.n_pooled] = 1
        return present

    def set_documents(self, counts: NDArray[np.int64], n_images: int) -> None:
        """Set the inverse document frequencies from the number of images that have each word, of ``n_images``."""
        # A word that no image has gets the weight of a word that one has.
        self.idf_ = np.log(n_images / np.maximum(counts, 1)).astype(np.float32)

    def _pool(self, descriptors: NDArray[Any], cells: Cells) -> NDArray[np.float32]:
        return self._counts(self.dictionary_.predict(descriptors), cells)

    def _share(self, descriptors: NDArray[Any], cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
        words = self.dictionary_.predict(descriptors)
        counts = self._counts(words, cells)
        each = self._of_all_words(per_part(values, counts, counts), cells)
        return np.asarray(sum(each[cell, words] for cell in cells.of_points), np.float64)

    def _counts(self, words: NDArray[np.int32], cells: Cells) -> NDArray[np.float32]:
        """Return how often each word, or pair of words, occurs in each cell, (n_cells, vector_length)."""
        histograms = np.zeros(cells.n_cells * self.n_words, np.float32)
        for cell in cells.of_points:
            histograms += np.bincount(cell * self.n_words + words, minlength=len(histograms))
        return self._with_mirrors(histograms.reshape(cells.n_cells, -1), cells)

    def _check(self, descriptors: NDArray[Any], size: int | None = None) -> NDArray[Any]:
        check_size(descriptors, size)
        return descriptors  # the dictionary checks all else

    def _check_words(self) -> None:
        """Words may be of any kind that the dictionary itself can tell apart."""

    def _normalize(self, vectors: NDArray[Any], twins: NDArray[np.intp] | None) -> NDArray[np.float32]:
        histograms: NDArray[np.float32] = vectors
        if self.weighting == "binary":
            histograms = (histograms > 0).astype(np.float32)
        elif self.weighting == "tf-idf":
            histograms = histograms * self.idf_
        if self.normalization in ("hellinger", "l1"):
            histograms = _divide(histograms, shared(histograms.sum(axis=1), twins))
        if self.normalization == "hellinger":
            histograms = np.sqrt(histograms)
        elif self.normalization == "power":
            histograms = histograms ** np.float32(self.power)
        if self.normalization in ("l2", "power"):
            histograms = _divide(histograms, np.sqrt(shared(np.einsum("ij,ij->i", histograms, histograms), twins)))
        return histograms

    def check_params(self) -> None:
        super().check_params()
        check_choice("weighting", self.weighting, WEIGHTINGS)
        check_choice("normalization", self.normalization, NORMALIZATIONS)

    def check_state(self) -> None:
        super().check_state()
        if self.weighting == "tf-idf" and "dictionary_" in vars(self):
            idf = vars(self).get("idf_")
            if idf is None or len(idf) != self.n_pooled:
                raise ValueError(f"idf_ must have a value for each of {self.n_pooled} words, or pairs of words")


def _divide(rows: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each row; a row to be divided by zero is zero."""
    return np.divide(rows, by[:, None], out=np.zeros_like(rows), where=by[:, None] > 0)
