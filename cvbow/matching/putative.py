"""Putative matches of two sets of descriptors: nearest neighbours, the ratio test, mutual agreement.

D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 7.1 (the ratio test).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_flag, check_real

Descriptors = NDArray[np.float32] | NDArray[np.uint8]


def putative_matches(
    a: Descriptors, b: Descriptors, *, ratio: float | None = 0.8, mutual: bool = True
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Match each descriptor of ``a`` with its nearest in ``b``, and keep the pairs that pass the tests.

    Parameters
    ----------
    a, b : ndarray of shape (n_a, k) and (n_b, k), float32 or uint8
        Both of one dtype. float32 rows are compared by Euclidean distance, uint8 rows, eight bits a byte, by Hamming
        distance.
    ratio : float or None, default 0.8
        A pair is kept when its distance is below ``ratio`` times the distance to the second nearest in ``b``, so that
        equally near ones never pass. Where ``b`` has one row there is no second, and nothing to fail against. None:
        no such test.
    mutual : bool, default True
        Keep a pair only if the row of ``a`` is also the nearest to the row of ``b``; no row is then in two pairs.

    Returns
    -------
    pairs : ndarray of shape (m, 2), intp
        Rows of ``a`` and of ``b``, in the order of ``a``.
    distances : ndarray of shape (m,), float32
        Of the pairs: Euclidean, or the number of bits.

    Raises
    ------
    ValueError
        If a parameter breaks its rule or the descriptors cannot be compared.

    Notes
    -----
    Every pair of rows is compared, exactly; of equally near rows the first counts.

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow.matching import putative_matches
    >>> a = np.array([[0, 0], [4, 0]], np.float32)
    >>> b = np.array([[4, 1], [0, 9], [4, 9]], np.float32)
    >>> pairs, distances = putative_matches(a, b)
    >>> pairs.tolist(), distances.tolist()
    ([[1, 0]], [1.0])
    """
    if ratio is not None:
        check_real("ratio", ratio, minimum=0, maximum=1, open_minimum=True)
    check_flag("mutual", mutual)
    check_descriptors(a, b)
    if len(a) == 0 or len(b) == 0:
        return np.zeros((0, 2), np.intp), np.zeros(0, np.float32)
    k = min(2, len(b)) if ratio is not None else 1
    distances, nearest = _nearest(a, b, k)
    keep = np.ones(len(a), bool)
    if ratio is not None and k == 2:
        keep &= distances[:, 0] < np.float32(ratio) * distances[:, 1]
    if mutual:
        back = _nearest(b, a, 1)[1][:, 0]
        keep &= back[nearest[:, 0]] == np.arange(len(a))
    rows = np.flatnonzero(keep)
    return np.column_stack([rows, nearest[rows, 0]]).astype(np.intp), distances[rows, 0]


def check_descriptors(a: Descriptors, b: Descriptors) -> None:
    """Raise ValueError unless the rows of two arrays of descriptors can be compared."""
    for name, array in (("a", a), ("b", b)):
        if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype not in (np.float32, np.uint8):
            raise ValueError(f"descriptors of {name} must be float32 or uint8 of shape (n, k), got {_describe(array)}")
    if a.dtype != b.dtype or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"descriptors must be of one kind and length to be compared, got {_describe(a)} and {_describe(b)}"
        )


def _nearest(a: Descriptors, b: Descriptors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return distances and rows of the ``k`` nearest in ``b`` of each row of ``a``, shapes (n_a, k)."""
    binary = a.dtype == np.uint8
    # OpenCV subtracts row from row: unlike in |a|^2 + |b|^2 - 2 a.b, equal distances come out equal to the last digit.
    distances, rows = cv2.batchDistance(
        np.ascontiguousarray(a),
        np.ascontiguousarray(b),
        cv2.CV_32S if binary else cv2.CV_32F,
        normType=cv2.NORM_HAMMING if binary else cv2.NORM_L2,
        K=k,
    )
    return distances.astype(np.float32, copy=False), rows


def _describe(array: Any) -> str:
    return f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
