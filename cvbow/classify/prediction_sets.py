"""Sets of labels that hold the right ones with a stated probability: conformal prediction.

The sets are those of Y. Romano, M. Sesia and E. Candes, "Classification with valid and adaptive coverage", NeurIPS
2020: the most probable classes, until what comes before the next is more than a bound. Nothing is drawn at random: a
set is never empty, and where a model is right more often than was asked, so are the sets. The bound comes from images
that were left out in the folds that calibrate a classifier (V. Vovk, "Cross-conformal predictors", Annals of
Mathematics and Artificial Intelligence 2015). Of images that may have several labels the set is to hold all of them, as
in M. Cauchois, S. Gupta and J. Duchi, "Knowing what you know", JMLR 2021.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_flag
from cvbow.classify._quantiles import bound, check_kept, shorten
from cvbow.storage import Array, Learned, Number, storable

#: The probability with which sets hold the right label, by default.
COVERAGE = 0.95


@storable
class PredictionSets(BaseEstimator):  # type: ignore[misc]
    """Makes sets of labels of probabilities, which hold the right ones with the probability that is asked for.

    Parameters
    ----------
    several : bool, default False
        Whether an image may have several labels, whose probabilities need not add up to 1: then a set is that of all
        labels whose probability is not too small, and is to hold all that the image has.

    Attributes
    ----------
    kept_ : ndarray of shape (n_kept,), float32
        Of images that a classifier had not learned from, the probability of all classes that were more probable than
        the right one; of several labels, 1 minus the probability of the least probable one. In rising order, a thousand
        at most.
    n_images_ : int
        Images that these are of.

    Notes
    -----
    That holds on average over images like those of the training, not for each class of them. The classifiers that
    left images out have learned from fewer images than the one that answers, which is a little surer.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.classify import PredictionSets
    >>> rng = np.random.default_rng(0)
    >>> probabilities = rng.dirichlet([0.5] * 4, size=2000)
    >>> has = np.array([rng.multinomial(1, p) for p in probabilities], bool)
    >>> sets = PredictionSets().fit(probabilities[:1000], has[:1000])
    >>> found = sets.of(probabilities[1000:], 0.9)
    >>> round(float((found & has[1000:]).any(axis=1).mean()), 2), int(found.sum(axis=1).min())
    (0.89, 1)
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "n_images_": Number(integer=True, minimum=1),
        "kept_": Array("float32", "n_kept", minimum=0),
    }

    def __init__(self, *, several: bool = False) -> None:
        self.several = several

    def fit(
        self,
        probabilities: NDArray[np.float64],
        has: NDArray[np.bool_],
        sample_weight: NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn from images that were left out.

        Parameters
        ----------
        probabilities : ndarray of shape (n, n_classes), float64
        has : ndarray of shape (n, n_classes), bool
            Which of the classes is the right one, or which labels each image has.
        sample_weight : ndarray of shape (n,) or None, default None
            How many times each image counts.

        Raises
        ------
        ValueError
            If there are no images, or the shapes do not agree.
        """
        self.check_params()
        if len(has) == 0 or has.shape != probabilities.shape:
            raise ValueError(f"has must be of shape {probabilities.shape}, with an image at least, got {has.shape}")
        # An image without labels is right in every set.
        needed = np.where(has, self._needed(probabilities), 0).max(axis=1)
        self.n_images_, self.kept_ = len(has), shorten(needed, sample_weight)
        return self

    def of(self, probabilities: ArrayLike, coverage: float = COVERAGE) -> NDArray[np.bool_]:
        """Return which classes each set holds, (n, n_classes), for probabilities (n, n_classes).

        Where the images that were left out are too few to tell, a set holds all. ValueError unless the coverage is in
        (0, 1).
        """
        check_is_fitted(self, "kept_")
        if not isinstance(coverage, numbers.Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage must be a number > 0 and < 1, got {coverage!r}")
        needed = self._needed(np.asarray(probabilities, np.float64))
        return np.asarray(needed.astype(np.float32) <= bound(self.kept_, self.n_images_, coverage))

    def _needed(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least bound with which a set holds each class, (n, n_classes)."""
        if self.several:
            return 1 - probabilities
        order = np.argsort(-probabilities, axis=1, kind="stable")
        sorted_ = np.take_along_axis(probabilities, order, axis=1)
        needed = np.empty_like(probabilities)
        before = np.cumsum(sorted_, axis=1)
        np.put_along_axis(needed, order, np.hstack([np.zeros((len(before), 1)), before[:, :-1]]), axis=1)
        return needed

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        check_flag("several", self.several)

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()
        if "kept_" in vars(self):
            check_kept(self.kept_, self.n_images_)
