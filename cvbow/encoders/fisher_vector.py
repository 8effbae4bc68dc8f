"""Improved Fisher vector: how a bag of descriptors would move the Gaussians of a mixture.

F. Perronnin, J. Sanchez and T. Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV 2010;
J. Sanchez et al., "Image classification with the Fisher vector: theory and practice", IJCV 2013.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_real
from cvbow.dictionary import GaussianMixtureDictionary
from cvbow.encoders._dictionary_encoder import DictionaryEncoder
from cvbow.encoders._pooling import Cells, cut_by_group
from cvbow.encoders._shares import per_part
from cvbow.encoders.normalize import normalize_as, signed_power


class FisherVector(DictionaryEncoder):
    """Gradients of the mixture's log-likelihood by its means and deviations, in units of their Fisher information.

    With n descriptors x, posteriors q and Gaussians of weight w, mean m and deviation s, for each Gaussian::

        means:      sum_i q_i (x_i - m) / s             / (n sqrt(w))
        deviations: sum_i q_i ((x_i - m)^2 / s^2 - 1)   / (n sqrt(2 w))

    The vector has the means' part of all Gaussians first, (n_words, k), then the deviations' part, (n_words, k). Layout
    and signs are VLFeat's; scikit-image 0.26 has the opposite sign in the second part. Of Gaussians in mirrored pairs,
    only the first of each pair has values.

    Parameters
    ----------
    dictionary : GaussianMixtureDictionary or None, default None
        None is ``GaussianMixtureDictionary()``.
    power : float, default 0.5
        Each value becomes ``sign(v) |v| ** power`` before the normalisation; 1 leaves it.
    posterior_threshold : float, default 1e-4
        Posteriors up to this are dropped; those kept are not scaled up.
    normalization : {"l2", "none"}, default "l2"
        Of the vector (with a spatial pyramid: of each cell's).

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import Features, FisherVector, GaussianMixtureDictionary
    >>> descriptors = np.random.default_rng(0).random((200, 8), np.float32)
    >>> sample = Features(np.zeros((200, 4), np.float32), descriptors, image_size=(64, 64))
    >>> encoder = FisherVector(GaussianMixtureDictionary(n_words=3)).fit([sample])
    >>> encoder.encode(sample.take(np.arange(10))).shape  # 2 * 3 * 8
    (48,)
    """

    recipe_dictionary: ClassVar[str] = "gaussian-mixture"
    _sums_by_word = True
    #: The mixture takes values of any size.
    _limit = np.float32(np.inf)

    def __init__(
        self,
        dictionary: GaussianMixtureDictionary | None = None,
        *,
        power: float = 0.5,
        posterior_threshold: float = 1e-4,
        normalization: str = "l2",
    ) -> None:
        self.dictionary = dictionary
        self.power = power
        self.posterior_threshold = posterior_threshold
        self.normalization = normalization

    @property
    def vector_length(self) -> int:
        """Length of an encoded vector: two values for each Gaussian, or pair of Gaussians, and dimension."""
        check_is_fitted(self, "dictionary_")
        return 2 * self.n_pooled * int(self.dictionary_.means_.shape[1])

    @property
    def value_words(self) -> NDArray[np.intp]:
        # The means' part of all Gaussians, then that of the deviations.
        n = self.n_pooled
        return np.tile(np.repeat(np.arange(n), self.vector_length // (2 * n)), 2)

    @staticmethod
    def _default_dictionary() -> GaussianMixtureDictionary:
        return GaussianMixtureDictionary()

    def _pool(self, descriptors: NDArray[np.float32], cells: Cells) -> NDArray[np.float32]:
        mixture = self.dictionary_.mixture()
        sums, sizes = self._sums(descriptors, cells), cells.sizes
        if mixture.mirror_of_sums is not None:
            sums = self._with_mirrors(sums, cells, mixture.mirror_of_sums)
            sizes = sizes + cells.mirrored(sizes)
        return signed_power(self._gradients(sums, sizes), self.power)

    def _sums(self, descriptors: NDArray[np.float32], cells: Cells) -> NDArray[np.float32]:
        """Return each cell's sums of q z, q z^2 and q, (n_cells, n_words, 2 k + 1), for standardised z."""
        order, bounds, members = cells.groups()
        if len(members) > 1:
            descriptors = descriptors[order]
        sums = np.zeros((len(members), self.n_words, 2 * descriptors.shape[1] + 1), np.float32)
        for block in self.dictionary_.mixture().blocks(descriptors, threshold=self.posterior_threshold):
            for group, within in cut_by_group(bounds, block.start, block.stop):
                sums[group] += block.posteriors[:, within] @ block.columns[:, within].T
        # Which groups make up a cell: the same product for all words and values.
        belongs = np.zeros((cells.n_cells, len(members)), np.float32)
        np.add.at(belongs, (members.T, np.arange(len(members))), 1)
        return (belongs @ sums.reshape(len(members), -1)).reshape(cells.n_cells, *sums.shape[1:])

    def _gradients(self, sums: NDArray[np.float32], sizes: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the gradients by the first Gaussians, or all, (n_cells, 2 n_pooled k).

        They are the same in z as in the descriptors themselves.
        """
        mixture, n = self.dictionary_.mixture(), self.n_pooled
        weights, variances = mixture.weights[:n, None], mixture.variances[:n]
        offset, spread, mass = self._about_means(sums)
        scale = 1 / (np.sqrt(weights) * np.maximum(sizes, 1)[:, None, None])
        gradients = np.empty((len(sums), 2, *variances.shape), np.float32)
        np.multiply(offset, scale / np.sqrt(variances), out=gradients[:, 0], casting="same_kind")
        np.multiply(spread / variances - mass, scale / np.sqrt(2), out=gradients[:, 1], casting="same_kind")
        return gradients.reshape(len(sums), -1)

    def _about_means(self, sums: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the sums of q (z - m) and of q (z - m)^2, (n_cells, n_pooled, k), and of q, (n_cells, n_pooled, 1)."""
        means = self.dictionary_.mixture().means[: self.n_pooled]
        k = means.shape[1]
        first, second, mass = sums[:, :, :k], sums[:, :, k : 2 * k], sums[:, :, 2 * k :]
        # sum q (z - m)^2 = sum q z^2 - m sum q z - m sum q (z - m): differences, in float64.
        offset = first - means * mass
        return offset, second - means * (first + offset), mass

    def _share(
        self, descriptors: NDArray[np.float32], cells: Cells, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        mixture = self.dictionary_.mixture()
        sums = self._sums(descriptors, cells)
        if mixture.mirror_of_sums is not None:
            sums = self._with_mirrors(sums, cells, mixture.mirror_of_sums)
        means, variances = mixture.means[: self.n_pooled], mixture.variances[: self.n_pooled]
        offset, spread, mass = self._about_means(sums)
        of_means, of_deviations = np.moveaxis(values.reshape(cells.n_cells, 2, *means.shape), 1, 0)
        # What the parts are without their signs is at most: by Cauchy and Schwarz, and by the triangle inequality.
        spread = np.maximum(spread, 0)
        by_offset = per_part(of_means, offset, np.sqrt(mass * spread))
        by_square = per_part(of_deviations, spread / variances - mass, spread / variances + mass)
        # A descriptor gets q (by_offset (z - m) + by_square ((z - m)^2 / v - 1)), which is linear in z, z^2 and 1.
        squares = by_square / variances
        ones = (means * (means * squares - by_offset) - by_square).sum(axis=2, keepdims=True)
        factors = np.concatenate([by_offset - 2 * means * squares, squares, ones], axis=2)
        factors = self._of_all_words(factors, cells, mixture.mirror_of_sums)
        order, bounds, members = cells.groups()
        of_groups = factors[members].sum(axis=1)
        shares = np.empty(len(descriptors))
        for block in mixture.blocks(descriptors[order], threshold=self.posterior_threshold):
            for group, within in cut_by_group(bounds, block.start, block.stop):
                given = of_groups[group] @ block.columns[:, within]
                here = order[block.start : block.stop][within]
                shares[here] = np.einsum("ij,ij->j", block.posteriors[:, within], given)
        return shares

    def _normalize(self, vectors: NDArray[np.floating], twins: NDArray[np.intp] | None) -> NDArray[np.float32]:
        # Of standardised descriptors, which are bounded, float32 holds the squares too.
        return normalize_as(vectors, self.normalization, twins=twins)

    def check_params(self) -> None:
        if self.dictionary is not None and not isinstance(self.dictionary, GaussianMixtureDictionary):
            raise ValueError(f"dictionary must be a GaussianMixtureDictionary or None, got {self.dictionary!r}")
        super().check_params()
        check_real("posterior_threshold", self.posterior_threshold, minimum=0, maximum=0.5)
        check_choice("normalization", self.normalization, ("l2", "none"))

    def _check_words(self) -> None:
        if not isinstance(self.dictionary_, GaussianMixtureDictionary):
            raise ValueError("dictionary_ must be a GaussianMixtureDictionary")
