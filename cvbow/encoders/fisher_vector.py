"""Improved Fisher vector: how a bag of descriptors would move the Gaussians of a mixture.

F. Perronnin, J. Sanchez and T. Mensink, "Improving the Fisher kernel for large-scale image classification", ECCV 2010;
J. Sanchez et al., "Image classification with the Fisher vector: theory and practice", IJCV 2013.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_real
from cvbow.dictionary import GaussianMixtureDictionary
from cvbow.encoders._dictionary_encoder import DictionaryEncoder
from cvbow.encoders._pooling import Cells, cell_sizes, common_cells
from cvbow.encoders.normalize import signed_power


class FisherVector(DictionaryEncoder):
    """Gradients of the mixture's log-likelihood by its means and deviations, in units of their Fisher information.

    With n descriptors x, posteriors q and Gaussians of weight w, mean m and deviation s, for each Gaussian::

        means:      sum_i q_i (x_i - m) / s             / (n sqrt(w))
        deviations: sum_i q_i ((x_i - m)^2 / s^2 - 1)   / (n sqrt(2 w))

    The vector has the means' part of all Gaussians first, (n_words, k), then the deviations' part, (n_words, k). Layout
    and signs are VLFeat's; scikit-image 0.26 has the opposite sign in the second part.

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
        """Length of an encoded vector: two values for each Gaussian and dimension."""
        check_is_fitted(self, "dictionary_")
        return 2 * int(self.dictionary_.means_.size)

    @staticmethod
    def _default_dictionary() -> GaussianMixtureDictionary:
        return GaussianMixtureDictionary()

    def _pool(self, descriptors: NDArray[np.float32], cells: Cells, n_cells: int) -> NDArray[np.float64]:
        sums = self._sums(descriptors, cells, n_cells)
        return signed_power(self._gradients(sums, cell_sizes(cells, n_cells)), self.power)

    def _sums(self, descriptors: NDArray[np.float32], cells: Cells, n_cells: int) -> NDArray[np.float64]:
        """Return each cell's sums of q z, q z^2 and q, (n_cells, n_words, 2 k + 1), for standardised z."""
        sums = np.zeros((n_cells, self.n_words, 2 * descriptors.shape[1] + 1))
        order, bounds, members = common_cells(cells, n_cells)
        if len(members) > 1:
            descriptors = descriptors[order]
        for block in self.dictionary_.mixture().blocks(descriptors, threshold=self.posterior_threshold):
            first = np.searchsorted(bounds, block.start, side="right") - 1
            last = np.searchsorted(bounds, block.stop, side="left")
            for group in range(first, last):
                within = slice(max(bounds[group] - block.start, 0), min(bounds[group + 1], block.stop) - block.start)
                part = block.posteriors[:, within] @ block.columns[:, within].T
                for cell in members[group]:
                    sums[cell] += part
        return sums

    def _gradients(self, sums: NDArray[np.float64], sizes: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the gradients (n_cells, 2 n_words k); they are the same in z as in the descriptors themselves."""
        mixture = self.dictionary_.mixture()
        k = mixture.means.shape[1]
        first, second, mass = sums[:, :, :k], sums[:, :, k : 2 * k], sums[:, :, 2 * k :]
        deviations = np.sqrt(mixture.variances)
        root = np.sqrt(mixture.weights)[:, None]
        gradients = np.empty((len(sums), 2, *mixture.means.shape))
        gradients[:, 0] = (first - mixture.means * mass) / (deviations * root)
        spread = second - 2 * mixture.means * first + mixture.means**2 * mass
        gradients[:, 1] = (spread / mixture.variances - mass) / (np.sqrt(2) * root)
        gradients /= np.maximum(sizes, 1)[:, None, None, None]
        return gradients.reshape(len(sums), -1)

    def check_params(self) -> None:
        if self.dictionary is not None and not isinstance(self.dictionary, GaussianMixtureDictionary):
            raise ValueError(f"dictionary must be a GaussianMixtureDictionary or None, got {self.dictionary!r}")
        super().check_params()
        check_real("posterior_threshold", self.posterior_threshold, minimum=0, maximum=0.5)
        check_choice("normalization", self.normalization, ("l2", "none"))

    def _check_words(self) -> None:
        if not isinstance(self.dictionary_, GaussianMixtureDictionary):
            raise ValueError("dictionary_ must be a GaussianMixtureDictionary")
