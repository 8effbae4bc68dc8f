"""Labels of images that may have several, or none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from cvbow._checks import check_labels

#: What the labels of one image may come as.
_SETS = (list, tuple, set, frozenset)


@dataclass(frozen=True, eq=False)
class LabelSets:
    """Which labels each of n images has.

    Attributes
    ----------
    classes : ndarray of shape (k,)
        The labels that there are, in sorted order.
    has : ndarray of shape (n, k), bool

    Examples
    --------
    >>> from cvbow.classify import LabelSets
    >>> sets = LabelSets.of([["cat", "dog"], [], ["dog"]])
    >>> sets.classes.tolist(), sets.has.astype(int).tolist()
    (['cat', 'dog'], [[1, 1], [0, 0], [0, 1]])
    >>> sets.names
    [['cat', 'dog'], [], ['dog']]
    """

    classes: NDArray[Any]
    has: NDArray[np.bool_]

    @classmethod
    def of(cls, y: Any) -> Self:
        """Take labels as they may be given.

        Parameters
        ----------
        y : sequence of (list, tuple or set of labels), or indicator matrix of shape (n, k)
            A label that an image has twice counts once. The columns of an array, or of a sparse matrix, are the labels
            0 to k - 1; those of a data frame are called as they are there.

        Raises
        ------
        ValueError
            If labels are missing or not all of one kind, an image has a label in place of several, or a matrix holds
            other values than 0 and 1.
        """
        if isinstance(y, cls):
            return y
        is_matrix = issparse(y) or _columns(y) is not None or (isinstance(y, np.ndarray) and y.ndim == 2)
        return cls._of_matrix(y) if is_matrix else cls._of_lists(y)

    @classmethod
    def _of_matrix(cls, y: Any) -> Self:
        matrix = np.asarray(y.toarray() if issparse(y) else y)
        if matrix.dtype.kind not in "biuf" or not np.isin(matrix, (0, 1)).all():
            got = f"{matrix.dtype} of shape {matrix.shape}"
            raise ValueError(f"y must hold only 0 and 1 where it is a matrix, got {got}")
        names = check_labels("the columns of y", _columns(y) or list(range(matrix.shape[1])))
        order = np.argsort(names, kind="stable")
        return cls(names[order], np.ascontiguousarray(matrix[:, order], bool))

    @classmethod
    def _of_lists(cls, y: Iterable[Any]) -> Self:
        sets = list(y)
        for position, labels in enumerate(sets):
            if not isinstance(labels, _SETS):
                raise ValueError(f"y must hold a list of labels for each image, got {labels!r} at position {position}")
        flat = check_labels("y", [label for labels in sets for label in labels])
        classes, index = np.unique(flat, return_inverse=True)
        has = np.zeros((len(sets), len(classes)), bool)
        has[np.repeat(np.arange(len(sets)), [len(labels) for labels in sets]), index] = True
        return cls(classes, has)

    def __len__(self) -> int:
        return len(self.has)

    @property
    def names(self) -> list[list[Any]]:
        """The labels of each image, in sorted order."""
        return [self.classes[row].tolist() for row in self.has]

    @property
    def counts(self) -> NDArray[np.intp]:
        """How many images have each label, (k,)."""
        return np.asarray(self.has.sum(axis=0), np.intp)

    @property
    def rarest(self) -> NDArray[np.intp]:
        """The rarest label of each image, as its place among the classes; k for an image that has none.

        Parts that are even by these are about even by every label: K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the
        stratification of multi-label data", ECML 2011.
        """
        order = np.argsort(self.counts, kind="stable")
        found: NDArray[np.intp] = np.append(order, len(order))[
            np.where(self.has.any(axis=1), self.has[:, order].argmax(axis=1), len(order))
        ]
        return found

    def trouble(self) -> str | None:
        """Say what these images have, where that keeps a classifier from learning their labels; None otherwise."""
        counts = self.counts
        if not counts.any():
            return "no label"
        if len(self.classes) == 1:
            name = str(self.classes[0])
            return f"only the label {name!r}: give classes in its place, such as {name!r} and 'other'"
        if ((counts == 0) | (counts == len(self.has))).all():
            return "only labels that all of them have, or none"
        return None

    def part(self, rows: NDArray[Any] | slice) -> Self:
        """Return the labels of some of the images; the classes stay."""
        return type(self)(self.classes, self.has[rows])

    def repeat(self, times: int) -> Self:
        """Return the labels of vectors that each image has so many of, which follow one another."""
        return type(self)(self.classes, self.has.repeat(times, axis=0))


def are_sets(y: Any) -> bool:
    """Tell whether what was given as labels is of images that may have several: sets of them, or a matrix."""
    if isinstance(y, LabelSets) or issparse(y) or _columns(y) is not None:
        return True
    if isinstance(y, np.ndarray) and (y.ndim != 1 or y.dtype != object):
        return y.ndim == 2 and y.shape[1] > 1
    if isinstance(y, str | bytes) or not isinstance(y, Collection):
        return False
    return any(isinstance(labels, _SETS) for labels in y)


def _columns(y: Any) -> list[Any] | None:
    """Return what the columns of a data frame are called; None of anything else."""
    columns = getattr(y, "columns", None)
    return None if columns is None else list(columns)
