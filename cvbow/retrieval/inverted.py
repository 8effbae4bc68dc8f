"""Scores by inverted file: only images that share a word with the query are looked at.

J. Sivic and A. Zisserman, "Video Google: a text retrieval approach to object matching in videos", ICCV 2003 (tf-idf,
stop words); H. Jegou, M. Douze and C. Schmid, "On the burstiness of visual elements", CVPR 2009; and for signatures
see ``hamming_embedding``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cvbow.retrieval.describer import Scorer, Segment
from cvbow.retrieval.hamming_embedding import hamming_distances
from cvbow.retrieval.postings import MAX_COUNT, blocks, derive_postings, narrowed

TF = ("raw", "log", "sqrt")
IDF = ("plain", "smooth", "none")

#: Features whose norms are found at a time.
_NORM_BLOCK = 1 << 20
#: Pairs of signatures compared at a time: 2 MB, within a core's reach.
_PAIR_BLOCK = 1 << 18


class InvertedScorer(Scorer):
    """Cosine of tf-idf vectors over the postings of an index, with or without signatures.

    ``segments`` have the arrays of ``derive_postings``; ``alive`` are (n_images,) bool. ``tf``, ``idf``, ``stop_most``
    and ``stop_least`` are those of ``VisualWords``, counted over living images and the words that occur. ``weights``
    (65,), float32, are those of two features of one word by the Hamming distance of their signatures, 0 from some
    distance on; None for no signatures.

    Notes
    -----
    Without signatures the score of an image d for a query q is ``sum_w idf_w^2 tf(q_w) tf(d_w) / (|q| |d|)``. With them
    the occurrences of a word in the image count for each feature f of the query by how near they are:
    ``tf(d_w)`` becomes the mean over the query's features of that word of ``tf(sum_g weight(f, g))``, which for weights
    of 1 is the same. It is between 0 and the cosine.

    Where features of the query have several words (``nearest`` tells the first of each), an image may have none but the
    first ones, and ``|q|`` is what makes the score of an image with exactly the query's features 1. Others are below
    it, but for rare mixtures of repeated features.

    Sums run over the words in ascending order, for each image on its own, in float64: the score of an image does not
    depend on the segment that it lies in.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        alive: Sequence[NDArray[np.bool_]],
        *,
        n_words: int,
        tf: str,
        idf: str,
        stop_most: float,
        stop_least: float,
        weights: NDArray[np.float32] | None,
    ) -> None:
        self.tf = tf
        self.tf_table = term_weights(np.arange(MAX_COUNT + 1), tf)
        n_images = sum(int(np.count_nonzero(living)) for living in alive)
        documents = np.zeros(n_words, np.int64)
        for segment, living in zip(segments, alive, strict=True):
            _count_documents(segment.arrays, living, documents)
        self.idf = _word_weights(documents, n_images, idf, stop_most, stop_least)
        self.weights = weights
        self.parts = [_Part(segment, self) for segment in segments]

    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return a score for each image, shape (n_images,), float32; all 0 for a query without features."""
        scores = np.zeros(sum(part.n_images for part in self.parts), np.float32)
        words, counts = np.unique(query["words"], return_counts=True)
        term, idf = term_weights(counts, self.tf), self.idf[words]
        if "nearest" in query:
            norm = float(self._cosines(_Part(_alone(query), self), query, words, counts, term, idf)[0])
        else:
            norm = float(np.sqrt(np.square(term * idf).sum()))
        if norm == 0:
            return scores
        start = 0
        for part in self.parts:
            stop = start + part.n_images
            scores[start:stop] = self._cosines(part, query, words, counts, term, idf) / norm
            start = stop
        return scores

    def expanded(
        self, query: Mapping[str, NDArray[Any]], results: Sequence[Mapping[str, NDArray[Any]]]
    ) -> dict[str, NDArray[Any]]:
        """Return the words of the query and of the results together: their tf vectors' sum (Chum et al., ICCV 2007)."""
        names = ("words",) if self.weights is None else ("words", "signatures")
        joined = {name: np.concatenate([bag[name] for bag in (query, *results)]) for name in names}
        if "nearest" in query:
            theirs = np.ones(len(joined["words"]) - len(query["words"]), bool)
            joined["nearest"] = np.concatenate([query["nearest"], theirs])
        order = np.argsort(joined["words"], kind="stable")
        return {name: array[order] for name, array in joined.items()}

    def _cosines(
        self,
        part: _Part,
        query: Mapping[str, NDArray[Any]],
        words: NDArray[np.int32],
        counts: NDArray[np.intp],
        term: NDArray[np.float64],
        idf: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the scores of a segment's images before the division by the query's length."""
        if self.weights is None:
            used = idf > 0
            sums = part.sums(words[used], (term * idf * idf)[used])
        else:
            sums = self._signature_sums(part, query, words, term / counts * idf * idf, self.weights)
        return sums * part.inverse_norms

    def _signature_sums(
        self,
        part: _Part,
        query: Mapping[str, NDArray[Any]],
        words: NDArray[np.int32],
        factors: NDArray[np.float64],
        weights: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        order = np.argsort(query["words"], kind="stable")
        factor = factors[np.searchsorted(words, query["words"][order])]
        used = factor > 0
        order, factor = order[used], factor[used]
        found, images, near = part.near(query["words"][order], query["signatures"][order], weights)
        if not len(found):
            return np.zeros(part.n_images)
        # One feature of the query and one image make a group; their pairs are neighbours.
        change = np.ones(len(found), bool)
        change[1:] = (found[1:] != found[:-1]) | (images[1:] != images[:-1])
        first = np.flatnonzero(change)
        together = term_weights(np.add.reduceat(near, first), self.tf)
        terms: NDArray[np.float64] = factor[found[first]] * together
        sums: NDArray[np.float64] = np.bincount(images[first], terms, part.n_images).astype(np.float64, copy=False)
        return sums


class _Part:
    """What a segment adds to an opened index: postings as sparse matrices over its mapped arrays, and norms."""

    def __init__(self, segment: Segment, scorer: InvertedScorer) -> None:
        arrays = segment.arrays
        self.n_images = segment.n_images
        self.words = np.asarray(arrays["posting_words"])
        self.tf_table = scorer.tf_table
        shape = (len(self.words), self.n_images)
        if scorer.weights is None:
            columns = (arrays["posting_counts"], arrays["posting_images"], narrowed(arrays["posting_start"]))
            self.counts = csr_array(columns, shape=shape)
        else:
            columns = (arrays["posting_signatures"], arrays["signature_images"], narrowed(arrays["signature_start"]))
            self.signatures = csr_array(columns, shape=shape)
        norms = _norms(arrays["words"], arrays["feature_start"], scorer.tf_table, scorer.idf)
        self.inverse_norms = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)

    def sums(self, words: NDArray[np.int32], factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over words of factor times tf for each image, shape (n_images,)."""
        rows, present = self._rows(words)
        hit = self.counts[rows]
        hit.data = self.tf_table.take(hit.data)
        # The product goes through the postings in their order, and takes half the time of a weighted bincount.
        sums: NDArray[np.float64] = hit.T @ factors[present]
        return sums

    def near(
        self, words: NDArray[np.int32], signatures: NDArray[np.uint64], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float64]]:
        """Return the pairs of a query's and an image's features of one word whose weight is positive.

        They are the query's feature, ascending, the image, ascending for each feature, and the weight, (m,) each.
        """
        limit = int(np.flatnonzero(weights)[-1])
        rows, present = self._rows(words)
        features = np.flatnonzero(present)
        starts = self.signatures.indptr
        lengths = np.diff(starts)[rows] if len(rows) else np.zeros(0, np.int64)
        ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        pieces = []
        for block in blocks(ends, _PAIR_BLOCK):
            hit = self.signatures[rows[block]]
            distances = hamming_distances(hit.data, np.repeat(signatures[features[block]], lengths[block]))
            kept = np.flatnonzero(distances <= limit)
            feature = features[block][np.searchsorted(hit.indptr, kept, side="right") - 1]
            pieces.append((feature, hit.indices[kept], weights[distances[kept]].astype(np.float64)))
        if not pieces:
            return np.zeros(0, np.intp), np.zeros(0, np.int32), np.zeros(0)
        found, images, near = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return found, images, near

    def _rows(self, words: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the rows of those words that occur here, and which of the given ones those are."""
        rows = np.searchsorted(self.words, words)
        present = rows < len(self.words)
        present[present] = self.words[rows[present]] == words[present]
        return rows[present], present


def _alone(query: Mapping[str, NDArray[Any]]) -> Segment:
    """Return a segment of one image: the query's features with their nearest words."""
    first = query["nearest"]
    words = query["words"][first]
    signatures = query["signatures"][first] if "signatures" in query else None
    start = np.array([0, len(words)], np.int64)
    return _Alone({"words": words, "feature_start": start, **derive_postings(words, start, signatures)})


@dataclass(frozen=True)
class _Alone:
    arrays: dict[str, NDArray[Any]]
    n_images: int = 1


def term_weights(counts: NDArray[Any], tf: str) -> NDArray[np.float64]:
    """Return the weight of so many occurrences, whole or not."""
    values = np.asarray(counts, np.float64)
    if tf == "raw":
        return values
    return np.log2(1 + values) if tf == "log" else np.sqrt(values)


def _count_documents(
    arrays: Mapping[str, NDArray[Any]], living: NDArray[np.bool_], documents: NDArray[np.int64]
) -> None:
    """Add to ``documents`` how many living images have each word."""
    words, starts = arrays["posting_words"], arrays["posting_start"]
    if living.all():
        documents[words] += np.diff(starts)
        return
    for block in blocks(starts, _NORM_BLOCK):
        first, last = starts[block.start], starts[block.stop]
        here = living[arrays["posting_images"][first:last]].astype(np.int64)
        # Every word that is listed has a posting, without which reduceat would go wrong.
        documents[words[block]] += np.add.reduceat(here, starts[block] - first)


def _word_weights(
    documents: NDArray[np.int64], n_images: int, idf: str, stop_most: float, stop_least: float
) -> NDArray[np.float64]:
    if idf == "none":
        weights = np.ones(len(documents))
    else:
        # A word that no image has matters for the length of the query alone, as one that a single image has.
        ratio = max(n_images, 1) / np.maximum(documents, 1)
        weights = np.log(ratio) if idf == "plain" else np.log1p(ratio)
    seen = np.flatnonzero(documents)
    seen = seen[np.argsort(documents[seen], kind="stable")]
    weights[seen[len(seen) - int(stop_most * len(seen)) :]] = 0
    weights[seen[: int(stop_least * len(seen))]] = 0
    return weights


def _norms(
    words: NDArray[np.int32], feature_start: NDArray[np.int64], tf_table: NDArray[np.float64], idf: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the length of each image's tf-idf vector, from its words in ascending order."""
    squares = np.zeros(len(feature_start) - 1)
    for block in blocks(feature_start, _NORM_BLOCK):
        starts = feature_start[block.start : block.stop + 1] - feature_start[block.start]
        own = np.asarray(words[feature_start[block.start] : feature_start[block.stop]])
        change = np.zeros(len(own) + 1, bool)
        change[1:-1] = own[1:] != own[:-1]
        # An image ends where the next one starts, with the same word or not; and so does the last.
        change[starts] = True
        first = np.flatnonzero(change)
        counts = np.minimum(np.diff(first), MAX_COUNT)
        weights = np.square(tf_table[counts] * idf[own[first[:-1]]])
        terms = np.searchsorted(first, starts)
        filled = np.flatnonzero(np.diff(terms))
        if len(filled):
            squares[block.start + filled] = np.add.reduceat(weights, terms[filled])
    return np.sqrt(squares)
