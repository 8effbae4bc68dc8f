"""An image index of a thousand, ten thousand and a hundred thousand images, one thread: what it takes, how fast it is.

Inverted (visual words) against the dense product of the same tf-idf vectors, SciPy's sparse one, and FAISS; exact
(vectors) against the product alone and FAISS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import alternate, environment, faiss_module, folder_hash, has_faiss, pinned, rounded, summary
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from cvbow.backends import BagEncoder
from cvbow.dictionary import ApproximateKMeans, KMeansDictionary
from cvbow.encoders import VLAD
from cvbow.features import SIFT
from cvbow.images import read_image
from cvbow.index import ImageIndex
from cvbow.retrieval import Describer, ImageVectors, VisualWords
from sections._made_images import NOISE, REPLACED, Arrays, MadeImages
from sections.inputs import Options, image_files, texture

THREADS = 1
ROUNDS = 5
SIZES = (1000, 10_000, 100_000)
N_WORDS = 10_000
N_COMPONENTS = 512
#: Real images to learn from, and how many of them are described to make others; queries of a turn; results of a query.
N_REAL, N_DESCRIBED, N_QUERIES, K = 1000, 500, 10, 10
#: A dense matrix of more bytes than this is not tried; FAISS has a second one.
DENSE_BYTES = 5e9

LABELS = {
    "cvbow": "cvbow ImageIndex.search_described",
    "cvbow-many": "cvbow ExactScorer.scores_many, all queries at once",
    "cvbow-faiss": "cvbow with search='faiss'",
    "scipy": "SciPy sparse matrix times dense query",
    "dense": "dense matrix product, one query at a time",
    "dense-many": "dense matrix product, all queries at once",
    "faiss": "FAISS IndexFlatIP, one query at a time",
    "faiss-many": "FAISS IndexFlatIP, all queries at once",
}

NOTES = (
    f"Images are made from {N_DESCRIBED} described real ones: bags take the features of one, {REPLACED:.0%} of them "
    f"replaced by features of any; vectors are those of one with noise of length {NOISE}. Queries are {N_QUERIES} "
    "further real images, their features with several words each, as the index describes a query. "
    "The index is filled by ImageIndex.add, with made descriptions in place of computed ones; the time of making them "
    "is taken off.",
    "build_seconds is that of add without describing, all syncs to the disk included, from the empty index to that "
    "size; describe_ms is what reading and describing one real image takes.",
    "Every contender gives the scores of the ten best. The dense matrices, FAISS's copy of them and SciPy's matrix "
    "hold the same vectors as cvbow's index, float32, in memory, made before the clock starts; difference is the "
    "largest between a contender's ten scores and cvbow's.",
    "memory is that of a process that opens the index, with all its checks, and searches: peak_mb is the most that was "
    "resident, mapped files included, which the system may drop; own_mb is what it may not.",
)


def run(options: Options) -> dict[str, Any]:
    """Fill indexes, time the contenders and give the section's record."""
    largest = options.images or (120 if options.smoke else SIZES[-1])
    sizes = [size for size in ((40,) if options.smoke else SIZES) if size < largest] + [largest]
    n_words = options.words or (60 if options.smoke else N_WORDS)
    if has_faiss():
        faiss_module().omp_set_num_threads(THREADS)
    source, images = real_images(options)
    with tempfile.TemporaryDirectory(prefix="cvbow-retrieval-") as folder, pinned(THREADS):
        print(f"retrieval: learning from {len(images)} images", file=sys.stderr)
        record: dict[str, Any] = {
            "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
            "input": source | {"sizes": sizes, "n_words": n_words, "queries": N_QUERIES, "k": K},
            "left_out": [] if has_faiss() else ["FAISS: not installed"],
            "notes": NOTES,
            "kinds": {},
        }
        signed = VisualWords(
            SIFT(max_points=1000), dictionary=ApproximateKMeans(n_words=n_words), random_state=options.seed
        )
        for name, describer, described, queries, describe_ms in _describers(signed, images, options):
            made = MadeImages(described, options.seed)
            if name != "exact":
                record["input"][f"features, {name}"] = rounded(np.mean([len(one["words"]) for one in described]))
                record["input"][f"words of a query, {name}"] = rounded(np.mean([len(one["words"]) for one in queries]))
            record["kinds"][name] = {
                "describe_ms": rounded(describe_ms),
                "layout": {key: [spec.dtype, *spec.shape] for key, spec in describer.layout().items()},
                "sizes": _grow(name, describer, made, queries, sizes, Path(folder) / name, options, record["left_out"]),
            }
    return record


def real_images(options: Options) -> tuple[dict[str, Any], list[Any]]:
    folder = None if options.smoke or options.data is None else options.data / "train"
    if folder is None:
        rng = np.random.default_rng(options.seed)
        n, side = (16, 96) if options.smoke else (N_REAL, 256)
        return {"images": "generated textures", "n_images": n}, [texture(side, rng) for _ in range(n)]
    paths = image_files(folder)
    chosen = [paths[number * len(paths) // N_REAL] for number in range(min(N_REAL, len(paths)))]
    return {"images": "15-Scene, train", "n_images": len(chosen), "sha256": folder_hash(folder)}, chosen


Described = tuple[str, Describer, list[Arrays], list[Arrays], float]


def _describers(signed: VisualWords, images: Sequence[Any], options: Options) -> list[Described]:
    """The three kinds of index: a fitted describer, the real images' descriptions, queries, and the ms of an image."""
    return [*word_describers(signed, images, options), vector_describer(images, options)]


def word_describers(signed: VisualWords, images: Sequence[Any], options: Options) -> list[Described]:
    """The two kinds of words, without signatures and with them, of one dictionary."""
    signed.set_params(n_jobs=os.cpu_count() or 1).fit(images)
    plain = VisualWords(**{**signed.get_params(deep=False), "embedding_bits": 0})
    plain.extractor_, plain.dictionary_, plain.embedding_ = signed.extractor_, signed.dictionary_, None
    some, others = _parted(images)
    described, ms = _described(signed, some)
    without = [{name: array for name, array in one.items() if name != "signatures"} for one in described]
    return [
        ("inverted", plain, without, _asked(plain, others), ms),
        ("inverted, signatures", signed, described, _asked(signed, others), ms),
    ]


def vector_describer(images: Sequence[Any], options: Options) -> Described:
    """The kind of one vector for an image."""
    vlad = VLAD(KMeansDictionary(n_words=8 if options.smoke else 64))
    backend = BagEncoder(SIFT(max_points=1000), vlad, sample_images=250)
    n_components = 8 if options.smoke else N_COMPONENTS
    vectors = ImageVectors(backend, n_components=n_components, n_jobs=os.cpu_count() or 1).fit(images)
    some, others = _parted(images)
    whitened, ms = _described(vectors, some)
    return "exact", vectors, whitened, _asked(vectors, others), ms


def _parted(images: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Images to make others from, and queries."""
    step = -(-len(images) // N_DESCRIBED)
    return images[::step], images[step - 1 :: max(1, len(images) // N_QUERIES)][:N_QUERIES]


def _asked(describer: Describer, images: Sequence[Any]) -> list[Arrays]:
    return [describer.describe_query(read_image(image, gray=describer.gray_only)) for image in images]


def _described(describer: Describer, images: Sequence[Any]) -> tuple[list[Arrays], float]:
    started = time.perf_counter()
    found = [describer.describe(read_image(image, gray=describer.gray_only)) for image in images]
    return found, 1e3 * (time.perf_counter() - started) / len(images)


def _grow(
    name: str,
    describer: Describer,
    made: MadeImages,
    queries: list[Arrays],
    sizes: Sequence[int],
    folder: Path,
    options: Options,
    left_out: list[str],
) -> list[dict[str, Any]]:
    """Fill an index step by step, and measure it at each size."""
    file = folder.with_suffix(".npz")
    np.savez(file, **{f"{i}/{key}": array for i, query in enumerate(queries) for key, array in query.items()})
    records, seconds, first = [], 0.0, 0
    with ImageIndex.build(folder, describer) as index:
        for size in sizes:
            print(f"retrieval: {name}, {size} images", file=sys.stderr)
            stand_ins, names = made.pixels(first, size)
            made.seconds = 0.0
            started = time.perf_counter()
            with made.described_by(type(describer)):
                index.add(stand_ins, names)
            seconds += time.perf_counter() - started - made.seconds
            first = size
            record: dict[str, Any] = {
                "n_images": size,
                "build_seconds": rounded(seconds),
                "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
                "segments": index.n_segments,
                "memory": memory_of(folder, file),
            }
            contenders = _exact if describer.kind == "exact" else _inverted if name == "inverted" else _alone
            record["contenders"] = _timed(contenders(index, queries, record, left_out), options)
            records.append(record)
    return records


def memory_of(folder: Path, queries: Path) -> dict[str, Any]:
    threads = {"OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}
    done = subprocess.run(
        [sys.executable, "-m", "sections._opened_index", str(folder), str(queries)],
        cwd=Path(__file__).parents[1],
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"opening the index failed with exit status {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return {key: None if value is None else rounded(value) for key, value in answer.items()}


Contender = Callable[[], NDArray[np.float32]]


def _timed(contenders: dict[str, Contender], options: Options) -> list[dict[str, Any]]:
    calls = {name: (lambda _, call=call: call()) for name, call in contenders.items()}
    turns = alternate(calls, rounds=options.rounds_or(ROUNDS), keep=True)
    rows = summary(turns, LABELS)
    ours = turns["cvbow"].answers[0]
    for row in rows:
        row["ms_per_query"] = rounded(1e3 * row["seconds"] / N_QUERIES)
        if row["name"] == "cvbow-faiss":
            found = turns["cvbow-faiss"].answers[0]
            row["recall"] = rounded(float(np.mean(found >= ours[:, -1:] - 1e-6)))
        elif row["name"] != "cvbow":
            row["difference"] = float(f"{np.abs(turns[row['name']].answers[0] - ours).max():.2g}")
    return rows


def _alone(
    index: ImageIndex, queries: list[Arrays], record: dict[str, Any], left_out: list[str]
) -> dict[str, Contender]:
    return {"cvbow": lambda: best_scores(index, queries)}


def best_scores(index: ImageIndex, queries: list[Arrays]) -> NDArray[np.float32]:
    """The scores of the best results of each query, one after another."""
    found = np.zeros((len(queries), K), np.float32)  # an image that has no word of the query is no result
    for row, query in zip(found, queries, strict=True):
        results = index.search_described(query, k=K)
        row[: len(results)] = [result.score for result in results]
    return found


def _inverted(
    index: ImageIndex, queries: list[Arrays], record: dict[str, Any], left_out: list[str]
) -> dict[str, Contender]:
    """The index, and the same tf-idf vectors as matrices."""
    contenders = _alone(index, queries, record, left_out)
    segments = index._snapshot.segments
    n_words = len(index.describer.dictionary_.words_)
    counts = [_counts(one.arrays["words"], one.arrays["feature_start"], n_words) for one in segments]
    stacked = csr_array(vstack(counts))
    frequency = np.bincount(stacked.indices, minlength=n_words)
    # The describer's defaults: tf = sqrt(n), idf = ln(1 + N / df).
    idf = np.log1p(stacked.shape[0] / np.maximum(frequency, 1))
    matrix = _unit(_tf_idf(stacked, idf))
    asked = np.concatenate([_query_vector(query, idf) for query in queries])
    record["nonzeros"] = int(matrix.nnz)
    contenders["scipy"] = lambda: np.array([best(matrix @ query) for query in asked])
    if 4 * matrix.shape[0] * n_words > DENSE_BYTES:
        text = f"dense products of {matrix.shape[0]:,} x {n_words:,}: more than {DENSE_BYTES / 1e9:.0f} GB"
        left_out.append(text)
        return contenders
    return contenders | _dense(matrix.toarray(), asked)


def _exact(
    index: ImageIndex, queries: list[Arrays], record: dict[str, Any], left_out: list[str]
) -> dict[str, Contender]:
    """The index, one query at a time and all at once, and the same vectors as a matrix."""
    snapshot = index._snapshot
    asked = np.stack([query["vectors"] for query in queries])
    scorer: Any = snapshot.scorer
    contenders = _alone(index, queries, record, left_out)
    contenders["cvbow-many"] = lambda: np.array([best(row) for row in scorer.scores_many(queries)])
    if has_faiss():
        approximate = ImageVectors(**{**index.describer.get_params(deep=False), "search": "faiss"})
        started = time.perf_counter()
        cells = approximate.scorer(snapshot.segments, snapshot.alive)
        record["faiss_open_seconds"] = rounded(time.perf_counter() - started)
        contenders["cvbow-faiss"] = lambda: np.array([best(cells.scores(query)) for query in queries])
    matrix = np.concatenate([one.arrays["vectors"] for one in snapshot.segments])
    return contenders | _dense(matrix, asked)


def _dense(matrix: NDArray[np.float32], asked: NDArray[np.float32]) -> dict[str, Contender]:
    contenders: dict[str, Contender] = {
        "dense": lambda: np.array([best(matrix @ query) for query in asked]),
        "dense-many": lambda: np.array([best(row) for row in asked @ matrix.T]),
    }
    if has_faiss():
        flat = faiss_module().IndexFlatIP(matrix.shape[1])
        flat.add(matrix)
        contenders["faiss"] = lambda: np.concatenate([flat.search(query[None], K)[0] for query in asked])
        contenders["faiss-many"] = lambda: flat.search(asked, K)[0]
    return contenders


def _counts(words: NDArray[np.int32], start: NDArray[np.int64], n_words: int) -> Any:
    """How often each image has each word, (n_images, n_words)."""
    ones = np.ones(len(words), np.float32)
    counts = csr_array((ones, np.array(words), np.array(start)), shape=(len(start) - 1, n_words))
    counts.sum_duplicates()
    return counts


def _tf_idf(counts: Any, idf: NDArray[np.float64]) -> Any:
    values = np.sqrt(counts.data.astype(np.float64)) * idf[counts.indices]
    return csr_array((values, counts.indices, counts.indptr), shape=counts.shape)


def _unit(vectors: Any) -> Any:
    """Rows of unit length, float32."""
    rows = np.repeat(np.arange(vectors.shape[0]), np.diff(vectors.indptr))
    lengths = np.sqrt(np.bincount(rows, vectors.data**2, vectors.shape[0]))
    values = (vectors.data / lengths[rows]).astype(np.float32)
    return csr_array((values, vectors.indices, vectors.indptr), shape=vectors.shape)


def _query_vector(query: Arrays, idf: NDArray[np.float64]) -> NDArray[np.float32]:
    """The tf-idf vector of all words of a query, so long that an image of its nearest ones scores 1; shape (1, n)."""
    nearest = query["words"][query["nearest"]] if "nearest" in query else query["words"]
    whole, own = (
        _tf_idf(_counts(words, np.array([0, len(words)]), len(idf)), idf).toarray()
        for words in (query["words"], nearest)
    )
    length = (whole @ own.T).item() / np.linalg.norm(own)
    return np.asarray(whole / length, np.float32)


def best(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The ten highest, in order."""
    best = scores[np.argpartition(-scores, K - 1)[:K]]
    return -np.sort(-best)
