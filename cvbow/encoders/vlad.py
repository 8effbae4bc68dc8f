"""VLAD: the sum of the differences between descriptors and their nearest words.

H. Jegou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010; R. Arandjelovic and
A. Zisserman, "All about VLAD", CVPR 2013 (intra-normalisation); J. Delhumeau et al., "Revisiting the VLAD image
representation", ACM Multimedia 2013 (unit residuals, a coordinate system for each word).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_flag, check_int
from cvbow.dictionary import KMeansDictionary
from cvbow.encoders._dictionary_encoder import DictionaryEncoder
from cvbow.encoders._pooling import Cells
from cvbow.encoders._shares import per_part
from cvbow.encoders.normalize import normalize_rows, signed_power
from cvbow.features import Features
from cvbow.storage import Array, Learned

#: Differences that should cancel out may add up to this much of the words' size for each, by rounding.
_NOISE = 1e-6


class VLAD(DictionaryEncoder):
    """Vector of locally aggregated descriptors.

    For each word, the sum of ``x - word`` over the descriptors x that are nearest to it; then what is asked for of
    ``residual_pca``, ``power``, ``intra_normalization`` and ``normalization``, in this order, which is VLFeat's.

    Parameters
    ----------
    dictionary : estimator or None, default None
        Learns ``words_`` and predicts the nearest; None is ``KMeansDictionary(n_words=256)``.
    power : float, default 0.5
        Each value becomes ``sign(v) |v| ** power``; 1 leaves it.
    intra_normalization : bool, default True
        Give each word's part unit length, so that no word outweighs the others by being frequent: made for retrieval.
        Classes may be told apart better without it.
    unit_residuals : bool, default False
        Give each difference unit length before it is summed.
    residual_pca : int or None, default None
        Turn each word's part into the principal axes of the differences from that word and keep the first so many; as
        many as a descriptor has values only turns it, which matters because ``power`` works on each axis.
    normalization : {"l2", "none"}, default "l2"
        Of the vector (with a spatial pyramid: of each cell's).

    Attributes
    ----------
    axes_ : ndarray of shape (n_words, k, residual_pca), float32
        Only with ``residual_pca``: each word's axes as columns; of words in mirrored pairs, those of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import VLAD, Features, KMeansDictionary
    >>> descriptors = np.random.default_rng(0).random((50, 8), np.float32)
    >>> sample = Features(np.zeros((50, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoder = VLAD(KMeansDictionary(n_words=5)).fit([sample])
    >>> encoder.encode(sample.take(np.arange(10))).shape
    (40,)
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        **DictionaryEncoder.learned,
        "axes_": Array("float32", "n_pooled k n_kept", only_if="residual_pca"),
    }
    _sums_by_word = True

    def __init__(
        self,
        dictionary: Any = None,
        *,
        power: float = 0.5,
        intra_normalization: bool = True,
        unit_residuals: bool = False,
        residual_pca: int | None = None,
        normalization: str = "l2",
    ) -> None:
        self.dictionary = dictionary
        self.power = power
        self.intra_normalization = intra_normalization
        self.unit_residuals = unit_residuals
        self.residual_pca = residual_pca
        self.normalization = normalization

    @property
    def vector_length(self) -> int:
        """Length of an encoded vector: the number of words, or pairs of words, times that of values kept for each."""
        check_is_fitted(self, "dictionary_")
        return self.n_pooled * int(self.residual_pca or self.dictionary_.words_.shape[1])

    @staticmethod
    def _default_dictionary() -> KMeansDictionary:
        return KMeansDictionary(n_words=256)

    def _check(self, descriptors: NDArray[Any], size: int | None = None) -> NDArray[Any]:
        data = super()._check(descriptors, size)
        if self.residual_pca is not None and self.residual_pca > data.shape[1]:
            raise ValueError(
                f"residual_pca must be at most the descriptors' {data.shape[1]} values, got {self.residual_pca}"
            )
        return data

    def _learn(self, descriptors: NDArray[np.float32], features_sample: Sequence[Features]) -> None:
        if self.residual_pca is not None:
            self.axes_ = self._learn_axes(descriptors)[:, :, : self.residual_pca].copy()

    def _pool(self, descriptors: NDArray[np.float32], cells: Cells) -> NDArray[np.float64]:
        parts = self._sums(descriptors, cells)
        if self.residual_pca is not None:
            # A product for each word: (n_words, n_cells, k) by (n_words, k, kept).
            parts = np.matmul(parts.transpose(1, 0, 2), self.axes_.astype(np.float64)).transpose(1, 0, 2)
        parts = signed_power(parts, self.power)
        if self.intra_normalization:
            parts = normalize_rows(parts)
        return parts.reshape(cells.n_cells, -1)

    def _sums(self, descriptors: NDArray[np.float32], cells: Cells) -> NDArray[np.float64]:
        """Return the summed differences of each cell and word, (n_cells, n_words, k); of pairs, of the first word."""
        n_cells, n_words = cells.n_cells, self.n_words
        labels = self.dictionary_.predict(descriptors)
        residuals = self._residuals(descriptors, labels)
        member = _membership(cells.of_points, labels, n_cells, n_words)
        sums: NDArray[np.float64] = member @ residuals
        sums = self._with_mirrors(sums.reshape(n_cells, n_words, -1), cells, self.word_mirror)
        # Differences that cancel out leave rounding errors, which intra-normalisation would blow up to full length.
        counts = np.bincount(member.indices, minlength=n_cells * n_words).reshape(n_cells, n_words)
        counts = self._with_mirrors(counts, cells)
        size = np.ones(1) if self.unit_residuals else np.abs(self.dictionary_.words_).max(axis=1)[: sums.shape[1]]
        sums[np.abs(sums).max(axis=2) <= _NOISE * counts * size] = 0
        return sums

    def _share(
        self, descriptors: NDArray[np.float32], cells: Cells, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        grids, labels = cells.of_points, self.dictionary_.predict(descriptors)
        parts = self._residuals(descriptors, labels)
        if self.word_mirror is not None:
            # What belongs to a pair's second word is, mirrored, the first's, in the mirrored cell.
            second, places = labels >= self.n_pooled, cells.mirrored(np.arange(cells.n_cells))
            parts = np.where(second[:, None], self.word_mirror.apply(parts), parts)
            grids = [np.where(second, places[grid], grid) for grid in grids]
            labels = labels % self.n_pooled
        if self.residual_pca is not None:
            turned = np.empty((len(parts), self.residual_pca))
            for word in np.unique(labels):
                turned[labels == word] = parts[labels == word] @ self.axes_[word].astype(np.float64)
            parts = turned
        member = _membership(grids, labels, cells.n_cells, self.n_pooled)
        each = per_part(values.reshape(member.shape[0], -1), member @ parts, member @ np.abs(parts))
        return np.asarray(np.einsum("ij,ij->i", member.T @ each, parts))

    def _residuals(self, descriptors: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
        residuals: NDArray[np.float64] = np.subtract(descriptors, self.dictionary_.words_[labels], dtype=np.float64)
        return normalize_rows(residuals) if self.unit_residuals else residuals

    def _learn_axes(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the principal axes of the differences from each word, (n_words, k, k), by falling variance."""
        k = descriptors.shape[1]
        labels = self.dictionary_.predict(descriptors)
        if self.word_mirror is not None:
            # Those of a pair's second word are, mirrored, of its first.
            second = labels >= self.n_pooled
            descriptors = np.where(second[:, None], self.word_mirror.apply(descriptors), descriptors)
            labels = labels % self.n_pooled
        moments = np.zeros((self.n_pooled, k, k))
        for word in range(self.n_pooled):
            members = labels == word
            residuals = self._residuals(descriptors[members], labels[members])
            moments[word] = residuals.T @ residuals
        # Few differences do not tell all axes: those of all words count as k more.
        moments += k * moments.sum(axis=0) / len(labels)
        axes = np.linalg.eigh(moments)[1][:, :, ::-1]
        # An axis has no sign of its own: let its largest value be positive.
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
        return np.where(largest < 0, -axes, axes).astype(np.float32)

    def check_params(self) -> None:
        super().check_params()
        check_flag("intra_normalization", self.intra_normalization)
        check_flag("unit_residuals", self.unit_residuals)
        if self.residual_pca is not None:
            check_int("residual_pca", self.residual_pca, minimum=1)
        check_choice("normalization", self.normalization, ("l2", "none"))

    def check_state(self) -> None:
        super().check_state()
        if "dictionary_" in vars(self) and self.residual_pca is not None:
            shape = (self.n_pooled, self.dictionary_.words_.shape[1], self.residual_pca)
            if self.axes_.shape != shape:
                raise ValueError(
                    f"axes_ must have the shape {shape}, (n_words, k, residual_pca), got {self.axes_.shape}"
                )


def _membership(grids: Sequence[NDArray[np.intp]], labels: NDArray[np.int32], n_cells: int, n_words: int) -> csc_array:
    """Return ones where a descriptor is of a cell and word, (n_cells * n_words, n): in a column, one for each grid."""
    rows = (np.stack(grids, axis=1) * n_words + labels[:, None]).ravel()
    ends = np.arange(len(labels) + 1) * len(grids)
    return csc_array((np.ones(len(rows)), rows, ends), shape=(n_cells * n_words, len(labels)))
