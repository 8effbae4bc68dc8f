"""Indexes of a hundred thousand and of a million images: what they take, and how fast they answer.

Words and words with signatures, by one thread and by one for each core; and for vectors the exact search beside FAISS:
the flat index, and inverted lists of compressed vectors (IVF-PQ) that look at as many lists as it takes to find most of
the ten best.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import alternate, environment, faiss_module, has_faiss, pinned, rounded, summary
from numpy.typing import NDArray

from cvbow.dictionary import ApproximateKMeans
from cvbow.features import SIFT
from cvbow.index import ImageIndex, Record
from cvbow.index._segment import Part
from cvbow.retrieval import Describer, VisualWords
from sections import retrieval
from sections._made_images import Arrays, MadeImages
from sections.inputs import Options

ROUNDS = 5
SIZES = (100_000, 1_000_000)
#: Images that are added in one step: each is a segment, which is then large enough to stay as it is.
BATCH = 32_768
#: What a search by words reads: the postings.
READ = ("posting_", "many_", "signature_")
#: Share of the ten best that IVF-PQ must find, if any number of lists gives it.
RECALL = 0.9
#: Cells and code bytes of IVF-PQ, vectors that it learns from for each cell, and the results looked at again exactly.
CELLS, CODE_BYTES, PER_CELL, AGAIN = 1024, 64, 64, 200

LABELS = {
    "cvbow": "cvbow ImageIndex.search_described",
    "cvbow-threads": "the same, a thread for each core",
    "cvbow-many": "cvbow ExactScorer.scores_many, all queries at once",
    "faiss": "FAISS IndexFlatIP, one query at a time",
    "faiss-many": "FAISS IndexFlatIP, all queries at once",
    "faiss-ivfpq": "FAISS IVF-PQ, its best compared exactly",
}

NOTES = (
    "Images are made as for the section retrieval, tens of thousands at once, and written as a step of ImageIndex.add "
    "writes them, all syncs to the disk included; reading and describing images is not in it.",
    "read_bytes are those of the postings, which a search reads parts of; the rest is read for the results alone.",
    "The flat index and IVF-PQ hold their vectors in memory. IVF-PQ's 200 best are compared by their whole vectors.",
)

Kind = tuple[str, Describer, MadeImages, list[Arrays]]


def run(options: Options) -> dict[str, Any]:
    """Indexes of words, and of words with signatures."""
    source, images = retrieval.real_images(options)
    n_words = options.words or (60 if options.smoke else retrieval.N_WORDS)
    signed = VisualWords(
        SIFT(max_points=1000), dictionary=ApproximateKMeans(n_words=n_words), random_state=options.seed
    )
    kinds = [
        (name, describer, MadeImages(described, options.seed), queries)
        for name, describer, described, queries, _ in retrieval.word_describers(signed, images, options)
    ]
    return _measured(kinds, source | {"n_words": n_words}, options)


def run_vectors(options: Options) -> dict[str, Any]:
    """Indexes of vectors, beside FAISS."""
    source, images = retrieval.real_images(options)
    name, describer, described, queries, _ = retrieval.vector_describer(images, options)
    return _measured([(name, describer, MadeImages(described, options.seed), queries)], source, options)


def _measured(kinds: Sequence[Kind], source: dict[str, Any], options: Options) -> dict[str, Any]:
    largest = options.images or (200 if options.smoke else SIZES[-1])
    sizes = [size for size in ((60,) if options.smoke else SIZES) if size < largest] + [largest]
    if has_faiss():
        faiss_module().omp_set_num_threads(1)
    record: dict[str, Any] = {
        "environment": environment(threads=1, seed=options.seed, smoke=options.smoke),
        "input": source | {"sizes": sizes, "queries": retrieval.N_QUERIES, "k": retrieval.K},
        "left_out": [] if has_faiss() else ["FAISS: not installed"],
        "notes": NOTES,
        "kinds": {},
    }
    for name, describer, made, queries in kinds:
        with tempfile.TemporaryDirectory(prefix="cvbow-million-") as folder, pinned(1):
            record["kinds"][name] = {"sizes": _grow(name, describer, made, queries, sizes, Path(folder), options)}
    return record


def _grow(
    name: str,
    describer: Describer,
    made: MadeImages,
    queries: list[Arrays],
    sizes: Sequence[int],
    home: Path,
    options: Options,
) -> list[dict[str, Any]]:
    folder, file = home / "index", home / "queries.npz"
    np.savez(file, **{f"{i}/{key}": array for i, query in enumerate(queries) for key, array in query.items()})
    records, seconds, first = [], 0.0, 0
    with ImageIndex.build(folder, describer) as index:
        for size in sizes:
            print(f"million: {name}, {size} images", file=sys.stderr)
            for start in range(first, size, BATCH):
                stop = min(start + BATCH, size)
                arrays, features = made.many(start, stop)
                names = [f"made/{number:07d}" for number in range(start, stop)]
                known = [Record(one, hashlib.sha256(one.encode()).hexdigest(), is_file=False) for one in names]
                part = Part(arrays | {"feature_start": features}, known, np.ones(stop - start, bool))
                started = time.perf_counter()
                writer: Any = index._writer
                index._publish(writer.commit(index._snapshot, added=part))
                seconds += time.perf_counter() - started
            first = size
            entries = [entry for segment in index._snapshot.manifest.segments for entry in segment.arrays.items()]
            record: dict[str, Any] = {
                "n_images": size,
                "build_seconds": rounded(seconds),
                "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
                "read_bytes": sum(entry.record.nbytes for key, entry in entries if key.startswith(READ)),
                "segments": index.n_segments,
                "memory": retrieval.memory_of(folder, file),
            }
            make = _vectors if describer.kind == "exact" else _words
            contenders = make(index, queries, record)
            record["contenders"] = _timed(contenders, options)
            records.append(record)
    return records


Contender = Callable[[], NDArray[np.float32]]


def _words(index: ImageIndex, queries: list[Arrays], record: dict[str, Any]) -> dict[str, Contender]:
    scorer: Any = index._snapshot.scorer

    def search(n_jobs: int) -> NDArray[np.float32]:
        scorer.n_jobs = n_jobs
        return retrieval.best_scores(index, queries)

    return {"cvbow": lambda: search(1), "cvbow-threads": lambda: search(os.cpu_count() or 1)}


def _vectors(index: ImageIndex, queries: list[Arrays], record: dict[str, Any]) -> dict[str, Contender]:
    scorer: Any = index._snapshot.scorer
    asked = np.stack([query["vectors"] for query in queries])
    contenders: dict[str, Contender] = {
        "cvbow": lambda: retrieval.best_scores(index, queries),
        "cvbow-many": lambda: np.array([retrieval.best(row) for row in scorer.scores_many(queries)]),
    }
    if not has_faiss():
        return contenders
    parts = [np.asarray(segment.arrays["vectors"]) for segment in index._snapshot.segments]
    exact = contenders["cvbow"]()
    ivfpq, record["ivfpq"] = _ivfpq(parts, asked, exact)
    flat = faiss_module().IndexFlatIP(asked.shape[1])
    for part in parts:
        flat.add(part)
    k = retrieval.K
    contenders["faiss"] = lambda: np.concatenate([flat.search(query[None], k)[0] for query in asked])
    contenders["faiss-many"] = lambda: flat.search(asked, k)[0]
    contenders["faiss-ivfpq"] = ivfpq
    return contenders


def _ivfpq(
    parts: Sequence[NDArray[np.float32]], asked: NDArray[np.float32], exact: NDArray[np.float32]
) -> tuple[Contender, dict[str, Any]]:
    """Make the compressed index, and let it visit as many lists as find RECALL of the ten best, or all of them."""
    faiss, length = faiss_module(), asked.shape[1]
    total = sum(map(len, parts))
    cells = max(1, min(CELLS, total // PER_CELL))
    code = next(size for size in (CODE_BYTES, 8, 4, 2, 1) if length % size == 0)
    bits = 8 if total >= 10_000 else 4
    started = time.perf_counter()
    index = faiss.index_factory(length, f"IVF{cells},PQ{code}x{bits}", faiss.METRIC_INNER_PRODUCT)
    index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
    step = max(1, total // (PER_CELL * cells))
    index.train(np.concatenate([part[::step] for part in parts]))
    starts = np.cumsum([0, *map(len, parts)])
    for part in parts:
        index.add(part)
    seconds = time.perf_counter() - started

    def search() -> NDArray[np.float32]:
        answers = np.full((len(asked), retrieval.K), -np.inf, np.float32)
        for row, query in zip(answers, asked, strict=True):
            found = index.search(query[None], AGAIN)[1][0]
            found = np.sort(found[found >= 0])
            numbers = np.searchsorted(starts, found, side="right") - 1
            pieces = [parts[number][found[numbers == number] - starts[number]] @ query for number in np.unique(numbers)]
            scores = -np.sort(-np.concatenate(pieces))[: retrieval.K]
            row[: len(scores)] = scores
        return answers

    recall, probes = 0.0, 0
    while recall < RECALL and probes < cells:
        probes = min(max(1, 2 * probes), cells)
        index.nprobe = probes
        recall = float(np.mean(search() >= exact[:, -1:] - 1e-5))
    return search, {
        "build_seconds": rounded(seconds),
        "cells": cells,
        "probes": probes,
        "bytes": total * (code * bits // 8 + 8),
        "recall": rounded(recall),
    }


def _timed(contenders: dict[str, Contender], options: Options) -> list[dict[str, Any]]:
    calls = {name: (lambda _, call=call: call()) for name, call in contenders.items()}
    turns = alternate(calls, rounds=options.rounds_or(ROUNDS), keep=True)
    rows = summary(turns, LABELS)
    ours = turns["cvbow"].answers[0]
    for row in rows:
        row["ms_per_query"] = rounded(1e3 * row["seconds"] / retrieval.N_QUERIES)
        found = turns[row["name"]].answers[0]
        row["recall"] = rounded(float(np.mean(found >= ours[:, -1:] - 1e-5)))
    return rows
