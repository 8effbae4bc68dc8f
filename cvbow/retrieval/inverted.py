"""Scores by inverted file: only images that share a word with the query are looked at.

J. Sivic and A. Zisserman, "Video Google: a text retrieval approach to object matching in videos", ICCV 2003 (tf-idf,
stop words); H. Jegou, M. Douze and C. Schmid, "On the burstiness of visual elements", CVPR 2009; and for signatures
see ``hamming_embedding``.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cvbow.parallel import local_threads, map_threads
from cvbow.retrieval.describer import Scorer, Segment
from cvbow.retrieval.hamming_embedding import hamming_distances
from cvbow.retrieval.postings import (
    MAX_COUNT,
    Lists,
    Postings,
    SignedPostings,
    WordPostings,
    blocks,
    derive_postings,
    gathered,
)

TF = ("raw", "log", "sqrt")
IDF = ("plain", "smooth", "none")

#: Postings that are read and summed up at a time; pairs of signatures compared at a time: some megabytes.
_BLOCK = 1 << 20
_PAIR_BLOCK = 1 << 16


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
        n_jobs: int | None = None,
    ) -> None:
        self.tf = tf
        self.tf_table = term_weights(np.arange(MAX_COUNT + 1), tf)
        self.weights = weights
        self.parts = [_Part(Postings.of(segment.arrays), segment.n_images, self) for segment in segments]
        self._starts = np.concatenate([[0], np.cumsum([part.n_images for part in self.parts], dtype=np.intp)])
        self.n_jobs = n_jobs
        documents = np.zeros(n_words, np.int64)
        for part, living in zip(self.parts, alive, strict=True):
            part.count_documents(living, documents)
        n_images = sum(int(np.count_nonzero(living)) for living in alive)
        self._weigh_words = functools.partial(_word_weights, how=idf, stop_most=stop_most, stop_least=stop_least)
        self._statistics: Mapping[str, NDArray[Any]] = {"documents": documents, "n_images": np.array(n_images)}
        self.idf = self._weigh_words(documents, n_images)

    @property
    def statistics(self) -> Mapping[str, NDArray[Any]]:
        """How many living images have each word, and how many there are."""
        return self._statistics

    def weighed_by(self, statistics: Mapping[str, NDArray[Any]]) -> InvertedScorer:
        other = copy.copy(self)
        other._statistics = statistics
        other.idf = self._weigh_words(statistics["documents"], int(statistics["n_images"]))
        other.parts = [_Part(part.postings, part.n_images, other) for part in self.parts]
        return other

    def scores(self, query: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return a score for each image, shape (n_images,), float32; all 0 for a query without features."""
        scores = np.zeros(sum(part.n_images for part in self.parts), np.float32)
        words, counts = np.unique(query["words"], return_counts=True)
        term, idf = term_weights(counts, self.tf), self.idf[words]
        if "nearest" in query:
            alone = _Part(_alone(query), 1, self)
            norm = float(self._cosines(alone, query, words, counts, term, idf)[0])
        else:
            norm = float(np.sqrt(np.square(term * idf).sum()))
        if norm == 0:
            return scores

        def score(rows: slice) -> None:
            part = self.parts[int(np.searchsorted(self._starts, rows.start, side="right")) - 1]
            scores[rows] = self._cosines(part, query, words, counts, term, idf) / norm

        tasks = [slice(*bounds) for bounds in pairwise(self._starts.tolist()) if bounds[0] < bounds[1]]
        map_threads(score, tasks, local_threads(self.n_jobs))
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
    """What a segment adds to an opened index: its postings, and the norms of its images."""

    def __init__(self, postings: WordPostings | SignedPostings, n_images: int, scorer: InvertedScorer) -> None:
        self.postings = postings
        self.n_images = n_images
        self.scorer = scorer

    def count_documents(self, living: NDArray[np.bool_], documents: NDArray[np.int64]) -> None:
        """Add to ``documents`` how many living images have each word."""
        postings = self.postings
        if living.all():
            documents[postings.words] += postings.documents
            return
        for block in blocks(postings.start, _BLOCK):
            lists = postings.lists(block)
            # Every word that is listed has an image, without which reduceat would go wrong.
            here = np.add.reduceat(living[lists.images], lists.start[:-1], dtype=np.int64)
            documents[postings.words[block]] += here

    @functools.cached_property
    def inverse_norms(self) -> NDArray[np.float64]:
        """One over the length of each image's tf-idf vector; 0 for none. Found when it is first wanted."""
        table, squares = np.square(self.scorer.tf_table), np.zeros(self.n_images)
        for block in blocks(self.postings.start, _BLOCK):
            factors = np.square(self.scorer.idf[self.postings.words[block]])
            squares += self._sums(self.postings.lists(block), table, factors)
        norms = np.sqrt(squares)
        inverse: NDArray[np.float64] = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
        return inverse

    def sums(self, words: NDArray[np.int32], factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over words of factor times tf for each image, shape (n_images,)."""
        rows, present = self.postings.rows(words)
        factors, sums = factors[present], np.zeros(self.n_images)
        ends = np.concatenate([[0], np.cumsum(self.postings.documents[rows])])
        for block in blocks(ends, _BLOCK):
            sums += self._sums(self.postings.lists(rows[block]), self.scorer.tf_table, factors[block])
        return sums

    def _sums(self, lists: Lists, table: NDArray[np.float64], factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over words of the factor times the table's value for the word's count, for each image."""
        values = np.full(len(lists.images), table[1])
        values[lists.many] = table[lists.counts]
        shape = (len(factors), self.n_images)
        # The product goes through the postings in their order, and takes half the time of a weighted bincount.
        sums: NDArray[np.float64] = csr_array((values, lists.images, lists.start), shape=shape).T @ factors
        return sums

    def near(
        self, words: NDArray[np.int32], signatures: NDArray[np.uint64], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.intp], NDArray[np.integer[Any]], NDArray[np.float64]]:
        """Return the pairs of a query's and an image's features of one word whose weight is positive.

        They are the query's feature, ascending, the image, ascending for each feature, and the weight, (m,) each.
        """
        postings = self.postings
        if not isinstance(postings, SignedPostings):
            raise ValueError("weights must be None where there are no signatures")
        limit = int(np.flatnonzero(weights)[-1])
        rows, present = postings.rows(words)
        features, signatures = np.flatnonzero(present), signatures[present]
        first, last = postings.start[:-1][rows], postings.start[1:][rows]
        ends = np.concatenate([[0], np.cumsum(last - first)])
        pieces = []
        for block in blocks(ends, _PAIR_BLOCK):
            stored = gathered(postings.signatures, first[block], last[block], np.uint64)
            distances = hamming_distances(stored, np.repeat(signatures[block], (last - first)[block]))
            kept = np.flatnonzero(distances <= limit)
            starts = ends[block] - ends[block.start]
            which = np.searchsorted(starts, kept, side="right") - 1
            images = postings.images[first[block][which] + kept - starts[which]]
            pieces.append((features[block][which], images, weights[distances[kept]].astype(np.float64)))
        if not pieces:
            return np.zeros(0, np.intp), np.zeros(0, np.int32), np.zeros(0)
        found, images, near = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return found, images, near


def _alone(query: Mapping[str, NDArray[Any]]) -> WordPostings | SignedPostings:
    """Return the postings of one image: the query's features with their nearest words."""
    first = query["nearest"]
    words = query["words"][first]
    signatures = query["signatures"][first] if "signatures" in query else None
    return Postings.of(derive_postings(words, np.array([0, len(words)], np.int64), signatures))


def term_weights(counts: NDArray[Any], tf: str) -> NDArray[np.float64]:
    """Return the weight of so many occurrences, whole or not."""
    values = np.asarray(counts, np.float64)
    if tf == "raw":
        return values
    return np.log2(1 + values) if tf == "log" else np.sqrt(values)


def _word_weights(
    documents: NDArray[np.int64], n_images: int, how: str, stop_most: float, stop_least: float
) -> NDArray[np.float64]:
    if how == "none":
        weights = np.ones(len(documents))
    else:
        # A word that no image has matters for the length of the query alone, as one that a single image has.
        ratio = max(n_images, 1) / np.maximum(documents, 1)
        weights = np.log(ratio) if how == "plain" else np.log1p(ratio)
    seen = np.flatnonzero(documents)
    seen = seen[np.argsort(documents[seen], kind="stable")]
    weights[seen[len(seen) - int(stop_most * len(seen)) :]] = 0
    weights[seen[: int(stop_least * len(seen))]] = 0
    return weights
