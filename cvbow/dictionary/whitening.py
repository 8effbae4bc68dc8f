"""ZCA whitening of descriptors.

A. Bell and T. Sejnowski, "The independent components of natural scenes are edge filters", Vision Research, 1997.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_matrix, check_real
from cvbow.dictionary.descriptors import refuse_binary
from cvbow.images.whitening import principal_directions, zca_matrix
from cvbow.storage import Array, Learned, storable


@storable
class ZCA(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """ZCA whitening: of all whitenings, the one that changes descriptors least.

    A scikit-learn transformer, made for ``BagEncoder(reduce=ZCA())``.

    Parameters
    ----------
    eps : float, default 0.1
        Added to the variance of each principal direction, so that those with only noise in them stay small. 0.1 suits
        patches from ``WhitenedPatches``.

    Attributes
    ----------
    mean_ : ndarray of shape (k,), float32
    matrix_ : ndarray of shape (k, k), float32
        Symmetric: ``V diag(1 / sqrt(variances + eps)) V^T``, with the principal directions as the columns of ``V``.
    n_features_in_ : int
        k.
    feature_names_in_ : ndarray of shape (k,), str
        Names of the columns, where ``fit`` got a data frame; a model file does not hold them.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import ZCA
    >>> random = np.random.default_rng(0)
    >>> patches = random.normal(size=(1000, 1)) + 0.1 * random.normal(size=(1000, 3))  # values that go together
    >>> white = ZCA(eps=1e-6).fit_transform(patches)
    >>> (np.cov(white.T).round(2) + 0).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    learned: ClassVar[Mapping[str, Learned]] = {"mean_": Array("float32", "k"), "matrix_": Array("float32", "k k")}

    def __init__(self, *, eps: float = 0.1) -> None:
        self.eps = eps

    def fit(self, X: NDArray[np.float32], y: object = None) -> Self:
        """Learn the mean and the principal directions of descriptors.

        Parameters
        ----------
        X : array of shape (n, k)
            Real values; taken as float32.
        y : ignored

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the descriptors are empty, binary (uint8), or not all finite.
        """
        check_real("eps", self.eps, minimum=0, open_minimum=True)
        refuse_binary(X)
        data = check_matrix(self, X, fitting=True)
        mean, variances, directions = principal_directions(data)
        self.mean_ = mean.astype(np.float32)
        self.matrix_ = zca_matrix(directions, 1 / np.sqrt(np.maximum(variances, 0) + self.eps))
        return self

    def transform(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return whitened descriptors, (n, k) to (n, k) float32."""
        check_is_fitted(self, "matrix_")
        refuse_binary(X)
        data = check_matrix(self, X, fitting=False, may_be_empty=True)
        return np.asarray((data - self.mean_) @ self.matrix_, np.float32)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        check_real("eps", self.eps, minimum=0, open_minimum=True)
