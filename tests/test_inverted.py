"""Postings and inverted scores, against dense tf-idf vectors and pair-by-pair comparison of signatures."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvbow.retrieval import hamming_distances, postings
from cvbow.retrieval.hamming_embedding import hamming_weights
from cvbow.retrieval.inverted import InvertedScorer, term_weights
from cvbow.retrieval.postings import Postings, blocks, check_postings, derive_postings, is_outdated

N_WORDS = 30
PLAIN = {"tf": "raw", "idf": "smooth", "stop_most": 0.0, "stop_least": 0.0, "weights": None}


def make_bags(rng: np.random.Generator, n_images: int, *, most: int = 40) -> list[dict[str, np.ndarray]]:
    bags = []
    for _ in range(n_images):
        n = int(rng.integers(0, most))
        # A square law: some words are everywhere, some are rare.
        words = np.sort((N_WORDS * rng.random(n) ** 2).astype(np.int32))
        bags.append({"words": words, "signatures": rng.integers(0, 1 << 63, n, np.uint64) << np.uint64(1)})
    return bags


def make_segment(bags: list[dict[str, np.ndarray]], *, signatures: bool = True) -> Any:
    start = np.concatenate([[0], np.cumsum([len(bag["words"]) for bag in bags])]).astype(np.int64)
    arrays: dict[str, Any] = {
        "words": np.concatenate([np.zeros(0, np.int32), *(bag["words"] for bag in bags)]),
        "feature_start": start,
    }
    bits = np.concatenate([np.zeros(0, np.uint64), *(bag["signatures"] for bag in bags)])
    arrays.update(derive_postings(arrays["words"], start, bits if signatures else None))
    for array in arrays.values():
        array.flags.writeable = False
    return SimpleNamespace(n_images=len(bags), arrays=arrays)


def make_scorer(bags: list[dict[str, np.ndarray]], cuts: tuple[int, ...] = (), alive: Any = None, **how: Any) -> Any:
    edges = [0, *cuts, len(bags)]
    alive = np.ones(len(bags), bool) if alive is None else alive
    parts = [slice(first, last) for first, last in pairwise(edges)]
    return InvertedScorer(
        [make_segment(bags[part]) for part in parts], [alive[part] for part in parts], n_words=N_WORDS, **(PLAIN | how)
    )


def dense_idf(bags: list[dict[str, np.ndarray]], alive: np.ndarray, how: str) -> np.ndarray:
    living = [bag for bag, lives in zip(bags, alive, strict=True) if lives]
    idf = np.ones(N_WORDS)
    for word in range(N_WORDS):
        df = max(1, sum(word in bag["words"] for bag in living))
        if how == "plain":
            idf[word] = np.log(len(living) / df)
        elif how == "smooth":
            idf[word] = np.log(1 + len(living) / df)
    return idf


def dense_tf(words: np.ndarray, how: str) -> np.ndarray:
    counts = np.bincount(words, minlength=N_WORDS).astype(float)
    return {"raw": counts, "log": np.log2(1 + counts), "sqrt": np.sqrt(counts)}[how]


def dense_cosines(query: np.ndarray, bags: list[dict[str, np.ndarray]], idf: np.ndarray, tf: str) -> np.ndarray:
    vectors = np.array([dense_tf(bag["words"], tf) * idf for bag in bags])
    vector = dense_tf(query, tf) * idf
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
    return np.divide(vectors @ vector, lengths, out=np.zeros(len(bags)), where=lengths > 0)


@pytest.mark.parametrize("tf", ["raw", "log", "sqrt"])
@pytest.mark.parametrize("idf", ["plain", "smooth", "none"])
def test_scores_are_cosines_of_dense_vectors(tf: str, idf: str) -> None:
    rng = np.random.default_rng(0)
    bags = make_bags(rng, 50)
    alive = rng.random(50) < 0.8
    scorer = make_scorer(bags, (20, 20, 33), alive, tf=tf, idf=idf)
    weights = dense_idf(bags, alive, idf)
    for query in make_bags(rng, 10):
        expected = dense_cosines(query["words"], bags, weights, tf)
        scores = scorer.scores(query)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores[alive], expected[alive], atol=1e-6)


def test_scores_by_hand() -> None:
    # Three images with the words {0, 0, 1}, {1} and {2}; N / df is 3, 3/2 and 3.
    bags = [{"words": np.array(words, np.int32), "signatures": np.zeros(len(words), np.uint64)} for words in
            ([0, 0, 1], [1], [2])]  # fmt: skip
    a, b = np.log(4), np.log(2.5)
    scores = make_scorer(bags).scores({"words": np.array([1, 0], np.int32)})
    expected = (2 * a * a + b * b) / np.sqrt((4 * a * a + b * b) * (a * a + b * b)), b / np.sqrt(a * a + b * b), 0
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 12), max_size=4), with_bits=st.booleans())
def test_scores_do_not_depend_on_segments(seed: int, cuts: list[int], with_bits: bool) -> None:
    rng = np.random.default_rng(seed)
    bags = make_bags(rng, 12)
    alive = rng.random(12) < 0.7
    how = {"tf": "sqrt", "weights": hamming_weights(40, 20.0) if with_bits else None}
    (query,) = make_bags(rng, 1)
    whole = make_scorer(bags, (), alive, **how).scores(query)
    np.testing.assert_array_equal(make_scorer(bags, tuple(sorted(cuts)), alive, **how).scores(query), whole)


def slow_signature_scores(
    query: dict[str, np.ndarray], bags: list[dict[str, np.ndarray]], idf: np.ndarray, tf: str, weights: np.ndarray
) -> np.ndarray:
    """The definition, pair by pair."""

    def bits(first: np.uint64, second: np.uint64) -> int:
        return bin(int(first) ^ int(second)).count("1")

    def term(value: float) -> float:
        return float(term_weights(np.array(value), tf))

    length = np.linalg.norm(dense_tf(query["words"], tf) * idf)
    scores = np.zeros(len(bags))
    for row, bag in enumerate(bags):
        total = 0.0
        for word, bit in zip(query["words"], query["signatures"], strict=True):
            same = bag["signatures"][bag["words"] == word]
            n = np.count_nonzero(query["words"] == word)
            total += idf[word] ** 2 * term(n) / n * term(sum(float(weights[bits(bit, other)]) for other in same))
        norm = np.linalg.norm(dense_tf(bag["words"], tf) * idf) * length
        scores[row] = total / norm if norm else 0
    return scores


@pytest.mark.parametrize("tf", ["raw", "log", "sqrt"])
def test_signature_scores_are_those_of_all_pairs(tf: str) -> None:
    rng = np.random.default_rng(1)
    bags, queries = make_bags(rng, 20), make_bags(rng, 4)
    weights = hamming_weights(30, 24.0)
    scorer = make_scorer(bags, (5, 11), tf=tf, weights=weights)
    idf = dense_idf(bags, np.ones(20, bool), "smooth")
    for query in queries:
        expected = slow_signature_scores(query, bags, idf, tf, weights)
        assert expected.max() > 0
        np.testing.assert_allclose(scorer.scores(query), expected, atol=1e-6)


def test_signature_scores_with_weights_of_one_are_cosines() -> None:
    rng = np.random.default_rng(2)
    bags = make_bags(rng, 20)
    (query,) = make_bags(rng, 1)
    for tf in ("raw", "log", "sqrt"):
        cosines = make_scorer(bags, tf=tf).scores(query)
        np.testing.assert_allclose(
            make_scorer(bags, tf=tf, weights=np.ones(65, np.float32)).scores(query), cosines, atol=1e-6
        )
        nearer = make_scorer(bags, tf=tf, weights=hamming_weights(24, 16.0)).scores(query)
        assert (nearer <= cosines + 1e-6).all()
        assert (nearer < cosines).any()


def test_many_pairs_are_compared_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    bags, (query,) = make_bags(rng, 30), make_bags(rng, 1, most=80)
    scorer = make_scorer(bags, tf="sqrt", weights=hamming_weights(32, 20.0))
    whole = scorer.scores(query)
    monkeypatch.setattr("cvbow.retrieval.inverted._PAIR_BLOCK", 7)
    np.testing.assert_array_equal(scorer.scores(query), whole)
    monkeypatch.setattr("cvbow.retrieval.inverted._BLOCK", 5)
    alive = np.arange(30) % 3 > 0
    other = make_scorer(bags, (), alive, tf="sqrt", weights=hamming_weights(32, 20.0)).scores(query)
    monkeypatch.undo()
    again = make_scorer(bags, (), alive, tf="sqrt", weights=hamming_weights(32, 20.0)).scores(query)
    np.testing.assert_array_equal(other, again)


@pytest.mark.parametrize("with_bits", [False, True])
def test_empty_queries_images_and_indexes_score_zero(with_bits: bool) -> None:
    rng = np.random.default_rng(4)
    weights = hamming_weights(24, 16.0) if with_bits else None
    nothing = {"words": np.zeros(0, np.int32), "signatures": np.zeros(0, np.uint64)}
    bags = [nothing, *make_bags(rng, 3), nothing]
    scores = make_scorer(bags, (1, 5), weights=weights).scores
    np.testing.assert_array_equal(scores(nothing), np.zeros(5, np.float32))
    found = scores(bags[1])
    assert found[1] > 0
    assert found[0] == found[4] == 0
    assert make_scorer([], weights=weights).scores(bags[1]).shape == (0,)
    no_segments = InvertedScorer([], [], n_words=N_WORDS, **(PLAIN | {"weights": weights}))
    assert no_segments.scores(bags[1]).shape == (0,)
    np.testing.assert_array_equal(make_scorer([nothing], weights=weights).scores(bags[1]), [0])
    unknown = {"words": np.array([N_WORDS - 1], np.int32), "signatures": np.zeros(1, np.uint64)}
    few = [{"words": np.array([1, 4], np.int32), "signatures": np.zeros(2, np.uint64)}]
    np.testing.assert_array_equal(make_scorer(few, weights=weights).scores(unknown), [0])


def test_words_that_most_or_fewest_images_have_are_stopped() -> None:
    # Word 0 in all four images, word 1 in three, word 2 in two, words 3 and 4 in one.
    bags = [
        {"words": np.array(words, np.int32), "signatures": np.zeros(len(words), np.uint64)}
        for words in ([0, 1, 2, 3], [0, 1, 2], [0, 1, 4], [0])
    ]
    idf = make_scorer(bags, stop_most=0.2, stop_least=0.4).idf
    np.testing.assert_array_equal(np.flatnonzero(idf[:5]), [1, 2])
    np.testing.assert_allclose(idf[[1, 2]], np.log1p([4 / 3, 2]))
    scorer = make_scorer(bags, stop_most=0.2)
    assert scorer.scores({"words": np.array([0], np.int32)}).max() == 0
    assert scorer.scores(bags[3]).max() == 0
    # A removed image no longer counts: then words 3 and 0 are had by none and by three.
    living = np.array([False, True, True, True])
    np.testing.assert_allclose(make_scorer(bags, (2,), living).idf[:4], np.log1p([3 / 3, 3 / 2, 3 / 1, 3 / 1]))


def test_expanded_query_is_the_sum() -> None:
    rng = np.random.default_rng(5)
    bags = make_bags(rng, 20)
    scorer = make_scorer(bags)
    expanded = scorer.expanded(bags[0], [bags[3], bags[4]])
    together = np.concatenate([bags[row]["words"] for row in (0, 3, 4)])
    expected = dense_cosines(together, bags, dense_idf(bags, np.ones(20, bool), "smooth"), "raw")
    np.testing.assert_allclose(scorer.scores(expanded), expected, atol=1e-6)
    np.testing.assert_array_equal(scorer.scores(scorer.expanded(bags[0], [])), scorer.scores(bags[0]))
    weights = hamming_weights(40, 20.0)
    with_bits = make_scorer(bags, weights=weights)
    joined = {name: np.concatenate([bags[row][name] for row in (0, 3)]) for name in ("words", "signatures")}
    idf = dense_idf(bags, np.ones(20, bool), "smooth")
    np.testing.assert_allclose(
        with_bits.scores(with_bits.expanded(bags[0], [bags[3]])),
        slow_signature_scores(joined, bags, idf, "raw", weights),
        atol=1e-6,
    )


@pytest.mark.parametrize("short", [0, 10**9])
@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_postings_are_those_of_a_plain_loop(short: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "_SHORT", short)
        check_plain_loop(seed)


def check_plain_loop(seed: int) -> None:
    bags = make_bags(np.random.default_rng(seed), 9)
    arrays = make_segment(bags).arrays
    counted = {}
    signatures = []
    for word in range(N_WORDS):
        for row, bag in enumerate(bags):
            here = bag["words"] == word
            if here.any():
                counted[word, row] = int(here.sum())
                signatures += [(word, row, bit) for bit in bag["signatures"][here].tolist()]
    signed, plain = Postings.of(arrays), Postings.of(make_segment(bags, signatures=False).arrays)
    for read, with_bits in ((signed, True), (plain, False)):
        check_postings(make_segment(bags, signatures=with_bits).arrays, len(bags), N_WORDS, signatures=with_bits)
        listed = dict(zip(read.words.tolist(), read.documents.tolist(), strict=True))
        assert listed == Counter(word for word, _ in counted)
        rows = np.random.default_rng(seed).permutation(len(read.words))
        lists = read.lists(rows)
        counts = np.ones(len(lists.images), int)
        counts[lists.many] = lists.counts
        words = np.repeat(read.words[rows], np.diff(lists.start)).tolist()
        found = zip(words, lists.images.tolist(), counts.tolist(), strict=True)
        expected = [(int(word), row, count) for word in read.words[rows] for (other, row), count in counted.items()
                    if other == word]  # fmt: skip
        assert list(found) == expected
    words = np.repeat(signed.words, np.diff(signed.start)).tolist()
    assert list(zip(words, signed.images.tolist(), signed.signatures.tolist(), strict=True)) == signatures


@pytest.mark.parametrize("short", [0, 10**9])
def test_gaps_take_as_few_bytes_as_the_largest_of_a_word(short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "_SHORT", short)
    # Word 0 is in every image, word 1 in every three hundredth, word 2 in the last one, beyond sixteen bits.
    n = 70_000
    words = [[0] + [1] * (image % 300 == 299) + [2] * (image == n - 1) for image in range(n)]
    joined, start = np.concatenate(words).astype(np.int32), np.cumsum([0, *map(len, words)])
    arrays = derive_postings(joined, start)
    assert arrays["posting_bytes"].tolist() == [1, 2, 4]
    assert [len(arrays[f"posting_gaps{width}"]) for width in (1, 2, 4)] == [n, n // 300, 1]
    check_postings(arrays | {"words": joined}, n, 3, signatures=False)
    read = Postings.of(arrays)
    (images,) = (read.lists(slice(0, 3)).images,)
    np.testing.assert_array_equal(images[:n], np.arange(n))
    np.testing.assert_array_equal(images[n:-1], np.arange(299, n, 300))
    assert images[-1] == n - 1
    with_bits = derive_postings(joined, start, np.zeros(len(joined), np.uint64))
    assert with_bits["signature_images"].dtype.str == "<i4"
    check_postings(with_bits | {"words": joined}, n, 3, signatures=True)


def test_counts_are_held_at_the_type_s_limit() -> None:
    bags = [{"words": np.zeros(n, np.int32), "signatures": np.zeros(n, np.uint64)} for n in (0, 70_000, 1)]
    for weights in (None, hamming_weights(24, 16.0)):
        segment = make_segment(bags, signatures=weights is not None)
        how = PLAIN | {"idf": "none", "weights": weights}
        (part,) = InvertedScorer([segment], [np.ones(3, bool)], n_words=N_WORDS, **how).parts
        np.testing.assert_array_equal(part.inverse_norms, [0, 1 / 65535, 1])


def test_opening_copies_no_postings() -> None:
    bags = make_bags(np.random.default_rng(6), 30)
    plain, signed = (make_segment(bags, signatures=with_bits).arrays for with_bits in (False, True))
    assert np.shares_memory(Postings.of(plain)._gaps[0], plain["posting_gaps1"])
    assert np.shares_memory(Postings.of(signed).signatures, signed["posting_signatures"])
    assert np.shares_memory(Postings.of(signed).images, signed["signature_images"])


@given(seed=st.integers(0, 1000), with_bits=st.booleans())
@settings(max_examples=20)
def test_segments_of_format_1_are_read(seed: int, with_bits: bool) -> None:
    bags = make_bags(np.random.default_rng(seed), 9)
    segment = make_segment(bags, signatures=with_bits)
    first = {name: segment.arrays[name] for name in ("words", "feature_start")}
    if with_bits:
        first["signatures"] = np.concatenate([bag["signatures"] for bag in bags])
    # What it had, by names that are used no more, and by one that meant the same.
    first |= {"posting_words": segment.arrays["posting_words"], "posting_images": np.zeros(3, np.int32)}
    check_postings(first, 9, N_WORDS, signatures=with_bits)
    assert is_outdated(first)
    assert not is_outdated(segment.arrays)
    own, read = Postings.of(segment.arrays), Postings.of(first)
    assert type(own) is type(read)
    for name in ("words", "start", "documents", *(("images", "signatures") if with_bits else ("_last", "_which"))):
        np.testing.assert_array_equal(vars(read)[name], vars(own)[name])


@given(lengths=st.lists(st.integers(0, 9), max_size=12), size=st.integers(1, 12))
def test_blocks_cover_the_rows_in_order(lengths: list[int], size: int) -> None:
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    found = list(blocks(starts, size))
    rows = [row for block in found for row in range(block.start, block.stop)]
    assert rows == list(range(len(lengths)))
    assert all(starts[b.stop] - starts[b.start] <= size or b.stop - b.start == 1 for b in found)


def test_hamming_weights_end_at_the_limit() -> None:
    weights = hamming_weights(24, 16.0)
    assert weights.shape == (65,)
    assert weights[0] == 1
    assert weights[16] == pytest.approx(np.exp(-1))
    assert weights[24] > 0
    assert not weights[25:].any()
    assert hamming_distances(np.uint64(0b1011), np.array([0b1000, 0b1011], np.uint64)).tolist() == [2, 0]


@pytest.mark.parametrize("tf", ["raw", "log", "sqrt"])
@pytest.mark.parametrize("with_bits", [False, True])
def test_several_words_of_a_feature_against_all_pairs(tf: str, with_bits: bool) -> None:
    rng = np.random.default_rng(5)
    weights = hamming_weights(40, 20.0) if with_bits else None
    bags = make_bags(rng, 20)
    for number in range(5):
        first = bags[number]
        n = len(first["words"])
        # Each feature's own word, and two more with other signatures.
        words = np.concatenate([first["words"], rng.integers(0, N_WORDS, 2 * n).astype(np.int32)])
        bits = np.concatenate([first["signatures"], rng.integers(0, 1 << 63, 2 * n, np.uint64)])
        order = np.argsort(words, kind="stable")
        query = {"words": words[order], "signatures": bits[order], "nearest": (np.arange(3 * n) < n)[order]}
        scores = make_scorer(bags, (7,), tf=tf, weights=weights).scores(query)
        expected = [assigned_score(query, bag, bags, tf, weights) for bag in bags]
        own = assigned_score(query, first, bags, tf, weights)
        if n == 0:
            assert not scores.any()
            continue
        np.testing.assert_allclose(scores, np.array(expected) / own, rtol=1e-5, atol=1e-6)
        assert scores[number] == pytest.approx(1)


def assigned_score(query: Any, bag: Any, bags: list[Any], tf: str, weights: Any) -> float:
    """The score but for the query's length, feature by feature."""
    idf = dense_idf(bags, np.ones(len(bags), bool), "smooth")
    length = np.linalg.norm(dense_tf(bag["words"], tf) * idf)
    total = 0.0
    for word, bits in zip(query["words"], query["signatures"], strict=True):
        count = np.count_nonzero(query["words"] == word)
        there = bag["signatures"][bag["words"] == word]
        near = float(len(there)) if weights is None else weights[hamming_distances(bits, there)].sum(dtype=float)
        total += float(term_weights(count, tf) / count * idf[word] ** 2 * term_weights(near, tf))
    return total / length if length else 0.0


def test_an_expanded_query_keeps_what_is_nearest() -> None:
    bags = make_bags(np.random.default_rng(2), 4)
    query = {**bags[0], "nearest": np.zeros(len(bags[0]["words"]), bool)}
    scorer = make_scorer(bags)
    joined = scorer.expanded(query, bags[1:3])
    n = sum(len(bag["words"]) for bag in bags[:3])
    assert joined["nearest"].shape == joined["words"].shape == (n,)
    assert np.count_nonzero(joined["nearest"]) == n - len(bags[0]["words"])
    assert (np.diff(joined["words"]) >= 0).all()
