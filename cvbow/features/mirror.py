"""What mirroring an image does to its descriptors: their values change places and signs, and nothing else."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Mirror:
    """Left and right exchanged, as seen by the values of a descriptor: ``mirrored[i] = signs[i] * values[order[i]]``.

    Mirrored twice, an image is itself again; so are its descriptors.

    Parameters
    ----------
    order : ndarray of shape (k,), integer
        Where each value of the mirrored descriptor stands in the descriptor.
    signs : ndarray of shape (k,)
        1, or -1 where the value changes its sign.

    Raises
    ------
    ValueError
        If mirroring twice does not give back what was there.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.features import Mirror
    >>> mirror = Mirror(np.array([1, 0, 2]), np.array([1, 1, -1]))  # two values change places, one its sign
    >>> mirror.apply(np.array([[5.0, 6.0, 7.0]])).tolist()
    [[6.0, 5.0, -7.0]]
    """

    order: NDArray[np.integer]
    signs: NDArray[np.number]

    def __post_init__(self) -> None:
        order, signs = self.order, self.signs
        k = len(order)
        is_permutation = order.shape == signs.shape == (k,) and np.array_equal(np.sort(order), np.arange(k))
        if not is_permutation or (np.abs(signs) != 1).any() or (order[order] != np.arange(k)).any():
            raise ValueError("a mirror must be an order of all values, and signs, that undo themselves when done twice")
        if (signs * signs[order] != 1).any():
            raise ValueError("a mirror must give two values that change places the same sign")

    def apply(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return descriptors (..., k) as the mirrored image has them; of the same type."""
        mirrored = rows[..., self.order] if self._moves else rows
        return mirrored * self.signs.astype(rows.dtype) if self._turns else mirrored.copy()

    @functools.cached_property
    def _moves(self) -> bool:
        return bool((self.order != np.arange(len(self.order))).any())

    @functools.cached_property
    def _turns(self) -> bool:
        return bool((self.signs < 0).any())

    def joined(self, other: Mirror) -> Mirror:
        """Return the mirror of descriptors that have the values of ``other`` behind their own."""
        order = np.concatenate([self.order, len(self.order) + other.order])
        return Mirror(order, np.concatenate([self.signs, other.signs]))

    @classmethod
    def of_signs(cls, signs: NDArray[np.number]) -> Self:
        """Return the mirror under which values keep their places, and change their signs where ``signs`` are -1."""
        return cls(np.arange(len(signs)), signs)

    @classmethod
    def of_order(cls, order: NDArray[np.integer]) -> Self:
        """Return the mirror under which values change places, and keep their signs."""
        return cls(order, np.ones(len(order), np.int8))
