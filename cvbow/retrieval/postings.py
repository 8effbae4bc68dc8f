"""Postings: the images of each word, worked out from the words of each image.

A segment's features, which lie image by image and by word within an image, are brought into the order of words, and of
images within a word. All of it follows from the words; what depends on the other images of an index (idf, norms) is
never stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

#: Counts above this are stored as this.
MAX_COUNT = 65535


def derive_postings(
    words: NDArray[np.int32], feature_start: NDArray[np.int64], signatures: NDArray[np.uint64] | None = None
) -> dict[str, NDArray[Any]]:
    """Work out the postings of images from the words of all their features, ascending within an image.

    The features of image i start at ``feature_start[i]``. The arrays are

    ``posting_words`` (m,) int32: the words that occur, ascending;
    ``posting_start`` (m + 1,) int64: where the postings of each start. A posting is an image that has the word;
    ``posting_images`` (p,) int32: of each posting, ascending within a word;
    ``posting_counts`` (p,) uint16: how often the image has the word, 65535 for more;

    and with signatures, one entry for a feature, in the order of words and of images within a word:

    ``signature_start`` (m + 1,) int64: where those of each word start;
    ``signature_images`` (n,) int32;
    ``posting_signatures`` (n,) uint64.
    """
    n, n_images = len(words), len(feature_start) - 1
    starts = narrowed(feature_start)
    shape = (n_images, int(words.max()) + 1 if n else 1)
    # From rows to columns is a counting sort: linear, and stable, so that images ascend within a word.
    by_word = csr_array((np.arange(n, dtype=starts.dtype), words, starts), shape=shape).tocsc()
    order, images, starts = by_word.data, by_word.indices, by_word.indptr
    present = np.flatnonzero(np.diff(starts))
    signature_start = np.append(starts[present], n).astype(np.int64)
    is_first = np.zeros(n, bool)
    is_first[1:] = images[1:] != images[:-1]
    is_first[signature_start[:-1]] = True
    first = np.flatnonzero(is_first)
    arrays: dict[str, NDArray[Any]] = {
        "posting_words": present.astype(np.int32),
        "posting_start": np.searchsorted(first, signature_start).astype(np.int64),
        "posting_images": images[first].astype(np.int32),
        "posting_counts": np.minimum(np.diff(first, append=n), MAX_COUNT).astype(np.uint16),
    }
    if signatures is not None:
        arrays["signature_start"] = signature_start
        arrays["signature_images"] = images.astype(np.int32)
        arrays["posting_signatures"] = np.asarray(signatures)[order]
    return arrays


def check_postings(arrays: Mapping[str, NDArray[Any]], n_images: int, n_words: int, *, signatures: bool) -> None:
    """Raise ValueError unless all indices of stored postings are in range: SciPy's compiled code does not look.

    ``arrays`` are a segment's ``words``, and those of `derive_postings`.
    """
    n, listed = len(arrays["words"]), _stored(arrays, "posting_words", "<i4")
    _check_range("words", arrays["words"], n_words)
    _check_range("posting_words", listed, n_words)
    if np.any(listed[1:] <= listed[:-1]):
        raise ValueError("posting_words must ascend")
    entries = {"posting": len(_stored(arrays, "posting_images", "<i4")), "signature": n}
    _stored(arrays, "posting_counts", "<u2", entries["posting"])
    if signatures:
        _stored(arrays, "signature_images", "<i4", n)
        _stored(arrays, "posting_signatures", "<u8", n)
    for kind in ("posting", "signature") if signatures else ("posting",):
        starts = _stored(arrays, f"{kind}_start", "<i8", len(listed) + 1)
        if starts[0] != 0 or starts[-1] != entries[kind] or np.any(starts[1:] <= starts[:-1]):
            raise ValueError(f"{kind}_start must ascend from 0 to {entries[kind]}")
        _check_range(f"{kind}_images", arrays[f"{kind}_images"], n_images)


def _stored(arrays: Mapping[str, NDArray[Any]], name: str, dtype: str, length: int | None = None) -> NDArray[Any]:
    if name not in arrays:
        raise ValueError(f"the array {name} is missing")
    array = arrays[name]
    if array.dtype != np.dtype(dtype) or array.ndim != 1 or length not in (None, len(array)):
        wanted = "" if length is None else f" of length {length}"
        raise ValueError(f"{name} must be {dtype}{wanted}, got {array.dtype.str} of shape {array.shape}")
    return array


def _check_range(name: str, values: NDArray[Any], stop: int) -> None:
    if len(values) and (values.min() < 0 or values.max() >= stop):
        raise ValueError(f"{name} must be from 0 to {stop - 1}")


def narrowed(starts: NDArray[np.int64]) -> NDArray[Any]:
    """Return starts as int32 where they fit: SciPy copies the indices to the starts' type where the two differ."""
    return np.asarray(starts, np.int32 if not len(starts) or starts[-1] < 1 << 31 else np.int64)


def blocks(starts: NDArray[np.int64], size: int) -> Iterator[slice]:
    """Yield slices of rows, in order, that have at most ``size`` entries together, or are one row.

    Parameters
    ----------
    starts : ndarray of shape (n_rows + 1,), int64
        Where the entries of each row start.
    """
    first, n_rows = 0, len(starts) - 1
    while first < n_rows:
        stop = int(np.searchsorted(starts, starts[first] + size, side="right")) - 1
        stop = min(max(stop, first + 1), n_rows)
        yield slice(first, stop)
        first = stop
