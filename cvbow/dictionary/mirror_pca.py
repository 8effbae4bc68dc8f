"""Principal components whose values mirroring the image leaves as they are, or gives the other sign.

I. Jolliffe, "Principal Component Analysis", 2002. Descriptors and their mirrors together have a covariance that
commutes with the mirror; so its eigenvectors can be chosen even, their own mirrors, or odd, their own mirrors with the
other sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_flag, check_int, check_matrix
from cvbow.dictionary.descriptors import refuse_binary
from cvbow.dictionary.prepared import prepared_from
from cvbow.features import Mirror
from cvbow.images.whitening import covariance_of
from cvbow.storage import Array, Learned, storable


@storable
class MirrorPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """PCA of descriptors and their mirrors together, made for ``BagEncoder(reduce=MirrorPCA(), mirror="pairs")``.

    Parameters
    ----------
    n_components : int, default 64
        Directions of most variance that are kept; all, where a descriptor has no more.
    whiten : bool, default True
        Bring each direction to variance 1.

    Attributes
    ----------
    mean_ : ndarray of shape (k,), float32
    components_ : ndarray of shape (n_components, k), float32
        A row for each direction, at its length: by falling variance.
    signs_ : ndarray of shape (n_components,), int32
        What a mirrored descriptor's value is that of the descriptor times: 1 or -1.
    n_features_in_ : int
        k.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.dictionary import MirrorPCA
    >>> from cvbow.features import Mirror
    >>> mirror = Mirror.of_order(np.array([1, 0, 2]))  # the first two values change places
    >>> descriptors = np.random.default_rng(0).random((100, 3), np.float32)
    >>> pca = MirrorPCA(n_components=2).fit(descriptors, mirror=mirror)
    >>> once, mirrored = (pca.transform(each[:1]) for each in (descriptors, mirror.apply(descriptors)))
    >>> bool(np.allclose(mirrored, pca.signs_ * once, atol=1e-6))
    True
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "mean_": Array("float32", "k"),
        "components_": Array("float32", "n_kept k"),
        "signs_": Array("int32", "n_kept"),
    }

    def __init__(self, n_components: int = 64, *, whiten: bool = True) -> None:
        self.n_components = n_components
        self.whiten = whiten

    def fit(self, X: NDArray[np.float32], y: object = None, *, mirror: Mirror | None = None) -> Self:
        """Learn the mean and the principal directions of descriptors.

        Parameters
        ----------
        X : array of shape (n, k)
            Real values; taken as float32.
        y : ignored
        mirror : Mirror or None, default None
            Of the descriptors; without it all directions are even, and this is PCA.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, or the descriptors are empty, binary (uint32), or not all finite.
        """
        self.check_params()
        refuse_binary(X)
        data = check_matrix(self, X, fitting=True)
        mean, covariance = covariance_of(data)
        k = len(mean)
        bases = [np.eye(k)]
        if mirror is not None:
            half_way = (mean - mirror.apply(mean)) / 2
            mean -= half_way
            covariance += np.outer(half_way, half_way)
            covariance = (covariance + mirror.apply(mirror.apply(covariance).T)) / 2
            bases = _even_and_odd(mirror)
        found = [np.linalg.eigh(basis @ covariance @ basis.T) for basis in bases]
        variances = np.concatenate([values for values, _ in found])
        directions = np.concatenate([vectors.T @ basis for (_, vectors), basis in zip(found, bases, strict=True)])
        signs = np.repeat([1, -1][: len(found)], [len(values) for values, _ in found]).astype(np.int32)
        order = np.argsort(-variances, kind="stable")[: self.n_components]
        # An axis has no sign of its own: let its largest value be positive.
        kept = directions[order]
        largest = np.take_along_axis(kept, np.abs(kept).argmax(axis=1)[:, None], axis=1)
        kept *= np.where(largest < 0, -1, 1)
        if self.whiten:
            # What does not vary becomes zero, not noise blown up.
            least = max(variances.max(), 0) * k * np.finfo(np.float32).eps
            deviations = np.sqrt(np.maximum(variances[order], 0))
            kept *= np.divide(1, deviations, out=np.zeros(len(order)), where=variances[order] > least)[:, None]
        self.mean_ = mean.astype(np.float32)
        self.components_ = np.ascontiguousarray(kept, np.float32)
        self.signs_ = signs[order]
        return self

    @property
    def mirror(self) -> Mirror:
        """What mirroring the image does to the values that ``transform`` returns."""
        check_is_fitted(self, "signs_")
        return Mirror.of_signs(self.signs_)

    def transform(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values of descriptors along the directions, (n, k) to (n, n_components) float32."""
        check_is_fitted(self, "components_")
        refuse_binary(X)
        data = check_matrix(self, X, fitting=False, may_be_empty=True)
        # Not a copy of the descriptors without their mean, which would cost more than the product.
        values = data @ self.components_.T
        values -= self._offset
        return np.asarray(values, np.float32)

    @prepared_from("mean_", "components_")
    def _offset(self) -> NDArray[np.float32]:
        """What the mean has along the directions."""
        return (self.components_.astype(np.float64) @ self.mean_).astype(np.float32)

    @property
    def _n_features_out(self) -> int:
        """How many names scikit-learn gives to the values."""
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_int("n_components", self.n_components, minimum=1)
        check_flag("whiten", self.whiten)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "signs_" in vars(self) and (np.abs(self.signs_) != 1).any():
            raise ValueError("signs_ must be 1 or -1")


def _even_and_odd(mirror: Mirror) -> list[NDArray[np.float64]]:
    """Return orthonormal bases of what a mirror leaves as it is and of what it gives the other sign, as rows."""
    k = len(mirror.order)
    image = mirror.apply(np.eye(k)).T  # mirrored unit vectors as rows
    first = np.arange(k) <= mirror.order
    even, odd = (np.eye(k) + image)[first], (np.eye(k) - image)[first]
    return [_unit(even), _unit(odd)]


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = rows[np.abs(rows).any(axis=1)]
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
