"""The exact scorer: cosines against float64, over mapped segments, at bounded memory; FAISS where it is installed."""

from __future__ import annotations

import importlib.util
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvbow.retrieval import exact
from cvbow.retrieval.exact import NOT_LOOKED_AT, ExactScorer

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="needs the extra faiss")


def unit(n: int, length: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((n, length))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32).reshape(n, length)


def segments_of(vectors: NDArray[np.float32], cuts: Sequence[int] = ()) -> tuple[list[Any], list[NDArray[np.bool_]]]:
    parts = np.split(vectors, list(cuts))
    segments = [SimpleNamespace(n_images=len(part), arrays={"vectors": part}) for part in parts]
    return segments, [np.ones(len(part), np.bool_) for part in parts]


def scorer_of(vectors: NDArray[np.float32], cuts: Sequence[int] = (), **options: Any) -> ExactScorer:
    return ExactScorer(*segments_of(vectors, cuts), **options)


def test_cosines_by_hand() -> None:
    scorer = scorer_of(np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0], [-0.6, -0.8]], np.float32), [2])
    scores = scorer.scores({"vectors": np.array([0.6, 0.8], np.float32)})
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [0.6, 0.8, 1, 0, -1], atol=1e-7)
    # A query without features has nothing in common with anything.
    assert not scorer.scores({"vectors": np.zeros(2, np.float32)}).any()


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    length=st.integers(1, 7),
    block=st.integers(1, 40),
    n_jobs=st.sampled_from([None, 1, 2]),
)
def test_any_cut_into_segments_and_blocks_gives_the_cosines(
    sizes: list[int], length: int, block: int, n_jobs: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_BLOCK", block)
        vectors, queries = unit(sum(sizes), length), unit(3, length, seed=1)
        scorer = scorer_of(vectors, np.cumsum(sizes)[:-1].tolist(), n_jobs=n_jobs)
        wanted = queries.astype(np.float64) @ vectors.astype(np.float64).T
        items = [{"vectors": query} for query in queries]
        np.testing.assert_allclose([scorer.scores(item) for item in items], wanted, atol=1e-6)
        np.testing.assert_allclose(scorer.scores_many(items), wanted, atol=1e-6)


def test_scores_do_not_depend_on_the_number_of_threads() -> None:
    vectors, query = unit(30_000, 96), {"vectors": unit(1, 96, seed=1)[0]}
    one, two = (scorer_of(vectors, [11_111], n_jobs=n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.scores(query), two.scores(query))
    np.testing.assert_array_equal(one.scores_many([query] * 3), two.scores_many([query] * 3))


def test_mapped_vectors_are_not_copied(tmp_path: Path) -> None:
    n, length = 50_000, 64
    np.save(tmp_path / "vectors.npy", unit(n, length))
    vectors = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    query = {"vectors": unit(1, length, seed=1)[0]}
    scorer = scorer_of(vectors, [20_000])
    scorer.scores(query)
    tracemalloc.start()
    try:
        for scores, size in ((lambda: scorer.scores(query), 4 * n), (lambda: scorer.scores_many([query] * 8), 32 * n)):
            tracemalloc.reset_peak()
            assert scores().nbytes == size
            # The scores, and those of a block once more: not the 12.8 MB of vectors.
            assert tracemalloc.get_traced_memory()[1] < 2 * size + 100_000
    finally:
        tracemalloc.stop()


def test_an_index_without_images() -> None:
    empty = np.zeros((0, 5), np.float32)
    for scorer in (ExactScorer([], []), scorer_of(empty), scorer_of(empty, [0])):
        query = {"vectors": unit(1, 5)[0]}
        assert scorer.scores(query).shape == (0,)
        assert scorer.scores_many([query, query]).shape == (2, 0)
    assert scorer_of(unit(3, 5)).scores_many([]).shape == (0, 3)


@pytest.mark.parametrize("shape", [(4,), (1, 5), ()])
def test_a_vector_of_another_length_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the query's vector must have shape \(5,\), got "):
        scorer_of(unit(3, 5)).scores({"vectors": np.ones(shape, np.float32)})


def test_expansion_is_the_mean_at_unit_length() -> None:
    scorer = scorer_of(unit(2, 2))
    words = np.arange(3)
    query = {"vectors": np.array([1, 0], np.float32), "words": words}
    results = [{"vectors": np.array([0, 1], np.float32)}, {"vectors": np.array([0.6, 0.8], np.float32)}]
    expanded = scorer.expanded(query, results)
    # (1.6, 1.8) / 3 at unit length; the local features stay the query's own.
    np.testing.assert_allclose(expanded["vectors"], np.array([1.6, 1.8]) / np.hypot(1.6, 1.8), rtol=1e-6)
    assert expanded["vectors"].dtype == np.float32
    assert expanded["words"] is words
    np.testing.assert_array_equal(query["vectors"], [1, 0])
    assert scorer.expanded(query, []) is query
    opposite = scorer.expanded(query, [{"vectors": np.array([-1, 0], np.float32)}])
    np.testing.assert_array_equal(opposite["vectors"], [0, 0])


# FAISS.


@needs_faiss
def test_faiss_with_every_cell_and_candidate_is_exact() -> None:
    vectors, queries = unit(500, 16), unit(5, 16, seed=1)
    scorer = scorer_of(vectors, [0, 200, 333], search="faiss", n_probes=100, n_candidates=500)
    items = [{"vectors": query} for query in queries]
    wanted = queries.astype(np.float64) @ vectors.astype(np.float64).T
    np.testing.assert_allclose([scorer.scores(item) for item in items], wanted, atol=1e-6)
    np.testing.assert_array_equal(scorer.scores_many(items), [scorer.scores(item) for item in items])


@needs_faiss
def test_faiss_looks_through_a_part_and_finds_what_is_near() -> None:
    # Twenty directions with a hundred images around each, as images of one thing are.
    rng = np.random.default_rng(0)
    centers = unit(20, 32)
    vectors = np.repeat(centers, 100, axis=0) + 0.05 * rng.standard_normal((2000, 32))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    scorer = scorer_of(vectors, [700], search="faiss", n_probes=8, n_candidates=50)
    plain = scorer_of(vectors, [700])
    for number, center in enumerate(centers):
        scores, wanted = scorer.scores({"vectors": center}), plain.scores({"vectors": center})
        looked_at = scores != NOT_LOOKED_AT
        assert looked_at.sum() == 50
        assert looked_at[100 * number : 100 * number + 100].sum() == 50
        np.testing.assert_allclose(scores[looked_at], wanted[looked_at], atol=1e-6)
        best = set(np.argsort(-wanted)[:10].tolist())
        assert len(best & set(np.argsort(-scores)[:10].tolist())) >= 9


@needs_faiss
def test_faiss_never_brings_up_what_was_removed() -> None:
    vectors = unit(300, 8)
    segments, alive = segments_of(vectors, [120])
    alive[0][::2] = alive[1][1::3] = False
    scores = ExactScorer(segments, alive, search="faiss", n_probes=99).scores({"vectors": vectors[0]})
    np.testing.assert_array_equal(scores != NOT_LOOKED_AT, np.concatenate(alive))


@needs_faiss
@pytest.mark.parametrize("n_alive", [0, 1, 5])
def test_faiss_with_few_images(n_alive: int, capfd: pytest.CaptureFixture[str]) -> None:
    vectors = unit(5, 8)
    segments, alive = segments_of(vectors)
    alive[0][n_alive:] = False
    scores = ExactScorer(segments, alive, search="faiss").scores({"vectors": vectors[0]})
    assert (scores != NOT_LOOKED_AT).sum() == n_alive
    assert ExactScorer([], [], search="faiss").scores({"vectors": vectors[0]}).shape == (0,)
    assert capfd.readouterr() == ("", "")


@needs_faiss
def test_faiss_keeps_the_callers_number_of_threads() -> None:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        scorer_of(unit(100, 4), search="faiss").scores({"vectors": unit(1, 4)[0]})
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_faiss_that_is_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"^search='faiss' needs the extra: pip install 'cvbow\[faiss\]'$"):
        scorer_of(unit(3, 5), search="faiss")
    assert scorer_of(unit(3, 5)).scores({"vectors": unit(1, 5)[0]}).shape == (3,)
