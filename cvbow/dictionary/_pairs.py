"""Words in mirrored pairs: the second half of the words are the mirrors of the first, in the same order.

Of descriptors and their mirrors together, the sums that belong to a word are those of the descriptors that belong to
it and, mirrored, of those that belong to its mirror. So nothing is ever mirrored but sums, and whatever is made of them
comes in pairs again, to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.features import Mirror


def with_mirrors(sums: NDArray[Any], mirror: Mirror) -> NDArray[Any]:
    """Return the sums (n_words, k) of descriptors and their mirrors together from those of the descriptors."""
    half = len(sums) // 2
    return np.asarray(sums + mirror.apply(np.concatenate([sums[half:], sums[:half]])))


def paired(words: NDArray[Any], mirror: Mirror | None) -> NDArray[Any]:
    """Return words (n, k) and behind them their mirrors, (2 n, k); the words themselves without a mirror."""
    return words if mirror is None else np.concatenate([words, mirror.apply(words)])


def is_paired(words: NDArray[Any], mirror: Mirror) -> bool:
    """Tell whether the second half of the words (n_words, k) are the mirrors of the first."""
    half = len(words) // 2
    return len(words) == 2 * half and np.array_equal(mirror.apply(words[:half]), words[half:])
