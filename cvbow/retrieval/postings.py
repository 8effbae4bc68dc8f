"""Postings: the images of each word, worked out from the words of each image, and read again.

A segment's features, which lie image by image and by word within an image, are brought into the order of words, and of
images within a word. Where words alone are searched, every posting of a query's words is read, and only the gaps
between images are kept, in as few bytes as the largest gap of the word needs: one for a word that every twentieth
image has (I. Witten, A. Moffat and T. Bell, "Managing Gigabytes", 1999, chapter 3; whole bytes, because NumPy undoes
them by a sum). Where signatures are compared, the images of a few in a hundred features are wanted, wherever those lie:
there images are numbers, of two bytes in a segment of 65,536 images or fewer.

All of it follows from the words; what depends on the other images of an index (idf, norms) is never stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

#: Counts above this are stored as this.
MAX_COUNT = 65535

#: What gaps are stored in, narrow ones first.
_WIDTHS = {1: "|u1", 2: "<u2", 4: "<u4"}
#: Up to so many entries each, slices are read place by place.
_SHORT = 100
#: Entries that are looked at together where postings are checked.
_CHECKED = 1 << 20

Rows = NDArray[np.intp] | slice


def derive_postings(
    words: NDArray[np.int32], feature_start: NDArray[np.int64], signatures: NDArray[np.uint64] | None = None
) -> dict[str, NDArray[Any]]:
    """Work out the postings of images from the words of all their features, ascending within an image.

    The features of image i start at ``feature_start[i]``. The arrays are

    ``posting_words`` (m,) int32: the words that occur, ascending;

    and without signatures, a posting being an image that has the word, in the order of words and images,

    ``posting_start`` (m + 1,) int64: where the postings of each word start;
    ``posting_last`` (m,) int32: the last image of each;
    ``posting_bytes`` (m,) uint8: bytes of each of its gaps, 1, 2 or 4;
    ``posting_gaps1``, ``posting_gaps2``, ``posting_gaps4``, uint8, uint16 and uint32: of the words of such gaps, one
    after another, each posting's image less that of the posting before, and of the first one the image;
    ``many_start`` (m + 1,) int64: of the postings of images that have the word more than once, where each word's start;
    ``many_places`` (k,) int32: which of the word's postings each is;
    ``many_counts`` (k,) uint16: how often the image has the word, 65535 for more;

    and with signatures, one entry for a feature, in the same order,

    ``posting_documents`` (m,) int32: how many images have each word;
    ``signature_start`` (m + 1,) int64: where the features of each start;
    ``signature_images`` (n,) uint16, or int32 where there are more than 65,536 images;
    ``posting_signatures`` (n,) uint64.
    """
    n, n_images = len(words), len(feature_start) - 1
    starts = narrowed(feature_start)
    shape = (n_images, int(words.max()) + 1 if n else 1)
    # From rows to columns is a counting sort: linear, and stable, so that images ascend within a word.
    by_word = csr_array((np.arange(n, dtype=starts.dtype), words, starts), shape=shape).tocsc()
    order, images, ends = by_word.data, by_word.indices, by_word.indptr
    present = np.flatnonzero(np.diff(ends))
    start = np.append(ends[present], n).astype(np.int64)
    arrays: dict[str, NDArray[Any]] = {"posting_words": present.astype(np.int32)}
    first = _firsts(images, start)
    of_word = np.searchsorted(first, start).astype(np.int64)
    if signatures is not None:
        arrays["posting_documents"] = np.diff(of_word).astype(np.int32)
        arrays["signature_start"] = start
        arrays["signature_images"] = images.astype(_images_type(n_images))
        arrays["posting_signatures"] = np.asarray(signatures)[order]
        return arrays
    images, counts, lengths = images[first], np.diff(first, append=n), np.diff(of_word)
    gaps = np.diff(images, prepend=images.dtype.type(0))
    gaps[of_word[:-1]] = images[of_word[:-1]]
    largest = np.maximum.reduceat(gaps, of_word[:-1]) if n else gaps
    n_bytes = np.where(largest < 1 << 8, 1, np.where(largest < 1 << 16, 2, 4)).astype(np.uint8)
    arrays["posting_start"] = of_word
    arrays["posting_last"] = images[of_word[1:] - 1].astype(np.int32)
    arrays["posting_bytes"] = n_bytes
    of_posting = np.repeat(n_bytes, lengths)
    for width, dtype in _WIDTHS.items():
        arrays[f"posting_gaps{width}"] = gaps[of_posting == width].astype(dtype)
    many = np.flatnonzero(counts > 1)
    arrays["many_start"] = np.searchsorted(many, of_word).astype(np.int64)
    arrays["many_places"] = (many - np.repeat(of_word[:-1], np.diff(arrays["many_start"]))).astype(np.int32)
    arrays["many_counts"] = np.minimum(counts[many], MAX_COUNT).astype(np.uint16)
    return arrays


def is_outdated(names: Iterable[str]) -> bool:
    """Tell from the names of its arrays whether an earlier version of cvbow has written a segment's postings."""
    return not {"posting_last", "posting_documents"} & set(names)


@dataclass(frozen=True, eq=False)
class Lists:
    """The images of some words, in memory: those of word i lie from ``start[i]`` to ``start[i + 1]``.

    ``images`` (n,) are int32, ascending within a word; an image has the word once, but for those at ``many``, which
    have it ``counts`` times.
    """

    start: NDArray[Any]
    images: NDArray[np.int32]
    many: NDArray[np.intp]
    counts: NDArray[np.integer[Any]]


class Postings(ABC):
    """The postings of a segment, read from its mapped arrays.

    ``words`` (m,) are those that occur, ascending, ``documents`` (m,) how many images have each; and the entries of
    each, which are postings or features, start at ``start`` (m + 1,).
    """

    words: NDArray[np.int32]
    documents: NDArray[np.integer[Any]]
    start: NDArray[np.int64]

    @staticmethod
    def of(arrays: Mapping[str, NDArray[Any]]) -> WordPostings | SignedPostings:
        """Read the arrays of `derive_postings`; those of an earlier version are worked out again, into memory."""
        if is_outdated(arrays):
            arrays = derive_postings(arrays["words"], arrays["feature_start"], arrays.get("signatures"))
        return SignedPostings(arrays) if "posting_documents" in arrays else WordPostings(arrays)

    @abstractmethod
    def lists(self, rows: Rows) -> Lists:
        """Read the images of some of the words, by their rows, in the order of these."""

    def rows(self, words: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the rows of those words that occur here, and which of the given ones those are."""
        rows = np.searchsorted(self.words, words)
        present = rows < len(self.words)
        present[present] = self.words[rows[present]] == words[present]
        return rows[present], present


class WordPostings(Postings):
    """Postings of words alone."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.words, self.start, self._last, n_bytes, self._many_start, self._places, self._counts = (
            np.asarray(arrays[name])
            for name in (
                "posting_words", "posting_start", "posting_last", "posting_bytes",
                "many_start", "many_places", "many_counts",
            )
        )  # fmt: skip
        self.documents = np.diff(self.start)
        #: Which of the arrays of gaps has each word's, and where.
        self._gaps = [arrays[f"posting_gaps{width}"] for width in _WIDTHS]
        self._which = np.searchsorted(list(_WIDTHS), n_bytes)
        self._at = np.zeros(len(self.words), np.int64)
        for which in range(len(_WIDTHS)):
            own = self._which == which
            self._at[own] = np.cumsum(self.documents[own]) - self.documents[own]

    def lists(self, rows: Rows) -> Lists:
        start = _starts(self.documents[rows])
        images = self.gaps(rows, np.int32)
        # One sum over all words: each takes back what the one before has come to.
        images[start[1:-1]] -= self._last[rows][:-1]
        np.cumsum(images, dtype=np.int32, out=images)
        first, last = self._many_start[:-1][rows], self._many_start[1:][rows]
        many = gathered(self._places, first, last, np.intp) + np.repeat(start[:-1], last - first)
        return Lists(start, images, many, gathered(self._counts, first, last, self._counts.dtype))

    def gaps(self, rows: Rows, dtype: Any) -> NDArray[Any]:
        """Read the gaps between the images of some words, one word after another."""
        at, which, lengths = self._at[rows], self._which[rows], self.documents[rows]
        if _are_short(lengths):
            found, start = np.empty(int(lengths.sum()), dtype), np.cumsum(lengths) - lengths
            for number, stored in enumerate(self._gaps):
                own = which == number
                found[_spread(start[own], lengths[own])] = stored[_spread(at[own], lengths[own])]
            return found
        places = zip(which.tolist(), at.tolist(), (at + lengths).tolist(), strict=True)
        return np.concatenate(
            [self._gaps[number][first:last] for number, first, last in places], dtype=dtype, casting="unsafe"
        )


class SignedPostings(Postings):
    """Features with their images and signatures, by words."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.words, self.documents, self.start, self.images, self.signatures = (
            np.asarray(arrays[name])
            for name in (
                "posting_words", "posting_documents", "signature_start", "signature_images", "posting_signatures"
            )
        )  # fmt: skip

    def lists(self, rows: Rows) -> Lists:
        first, last = self.start[:-1][rows], self.start[1:][rows]
        images = gathered(self.images, first, last, np.int32)
        start = _starts(last - first)
        new = _firsts(images, start)
        counts = np.diff(new, append=len(images))
        many = np.flatnonzero(counts > 1)
        return Lists(narrowed(np.searchsorted(new, start)), images[new], many, np.minimum(counts[many], MAX_COUNT))


def check_postings(arrays: Mapping[str, NDArray[Any]], n_images: int, n_words: int, *, signatures: bool) -> None:
    """Raise ValueError unless all that stored postings say is in range: SciPy's compiled code does not look.

    ``arrays`` are a segment's ``words``, and those of `derive_postings` unless an earlier version has written them.
    """
    n = len(arrays["words"])
    _check_range("words", arrays["words"], n_words)
    if is_outdated(arrays):
        return
    listed = _stored(arrays, "posting_words", "<i4")
    _check_range("posting_words", listed, n_words)
    if np.any(listed[1:] <= listed[:-1]):
        raise ValueError("posting_words must ascend")
    if signatures:
        starts = _check_starts(arrays, "signature_start", len(listed), n)
        _check_range("signature_images", _stored(arrays, "signature_images", _images_type(n_images), n), n_images)
        _stored(arrays, "posting_signatures", "<u8", n)
        documents = _stored(arrays, "posting_documents", "<i4", len(listed))
        signed = SignedPostings(arrays)
        for block in blocks(starts, _CHECKED):
            if np.any(np.diff(signed.lists(block).start) != documents[block]):
                raise ValueError("posting_documents must be the numbers of images")
        return
    starts = _check_starts(arrays, "posting_start", len(listed), None)
    n_bytes = _stored(arrays, "posting_bytes", "|u1", len(listed))
    if not np.isin(n_bytes, list(_WIDTHS)).all():
        raise ValueError("posting_bytes must be 1, 2 or 4")
    for width, dtype in _WIDTHS.items():
        _stored(arrays, f"posting_gaps{width}", dtype, int(np.diff(starts)[n_bytes == width].sum()))
    last = _stored(arrays, "posting_last", "<i4", len(listed))
    _check_range("posting_last", last, n_images)
    many = _check_starts(arrays, "many_start", len(listed), None, rise=0)
    places = _stored(arrays, "many_places", "<i4", int(many[-1]))
    if np.any(places < 0) or np.any(places >= np.repeat(np.diff(starts), np.diff(many))):
        raise ValueError("many_places must be among the postings of their words")
    _stored(arrays, "many_counts", "<u2", int(many[-1]))
    postings = WordPostings(arrays)
    for block in blocks(starts, _CHECKED):
        # No image is below 0, nor above the last one of its word.
        sums = np.add.reduceat(postings.gaps(block, np.int64), starts[block] - starts[block.start])
        if np.any(sums != last[block]):
            raise ValueError("posting_last must be the last images")


def _check_starts(
    arrays: Mapping[str, NDArray[Any]], name: str, n: int, end: int | None, *, rise: int = 1
) -> NDArray[np.int64]:
    starts = _stored(arrays, name, "<i8", n + 1)
    if starts[0] != 0 or end not in (None, starts[-1]) or np.any(np.diff(starts) < rise):
        raise ValueError(f"{name} must ascend from 0" + ("" if end is None else f" to {end}"))
    return starts


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


def _images_type(n_images: int) -> str:
    return "<u2" if n_images <= 1 << 16 else "<i4"


def _firsts(images: NDArray[Any], start: NDArray[Any]) -> NDArray[np.intp]:
    """Return where each image of each word is for the first time; every word has entries."""
    is_first = np.ones(len(images), bool)
    np.not_equal(images[1:], images[:-1], out=is_first[1:])
    is_first[start[:-1]] = True
    return np.flatnonzero(is_first)


def _starts(lengths: NDArray[np.integer[Any]]) -> NDArray[Any]:
    return narrowed(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))


def gathered(array: NDArray[Any], first: NDArray[np.int64], last: NDArray[np.int64], dtype: Any) -> NDArray[Any]:
    """Return slices of an array, one after another, as another type."""
    if _are_short(last - first):
        return array[_spread(first, last - first)].astype(dtype, copy=False)
    return np.concatenate(
        [array[start:stop] for start, stop in zip(first.tolist(), last.tolist(), strict=True)], dtype=dtype
    )


def _are_short(lengths: NDArray[np.integer[Any]]) -> bool:
    """Tell whether slices are so short that each costs more than a look at each of their places, or there are none."""
    return int(lengths.sum()) <= _SHORT * len(lengths)


def _spread(first: NDArray[np.int64], lengths: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the places in slices that begin at ``first``, one slice after another."""
    ends = np.cumsum(lengths, dtype=np.int64)
    places: NDArray[np.int64] = np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
    places += np.repeat(first - (ends - lengths), lengths)
    return places


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
