"""Searching an index: rankings by plain loops, queries of every kind, verification, and describers that are real."""

from __future__ import annotations

import builtins
import hashlib
import inspect
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_describer
import numpy as np
import pytest
from fake_describer import BlockWords, PlainVectors
from hypothesis import given
from hypothesis import strategies as st
from index_images import content, found, keys, noise, reseal, write
from numpy.typing import NDArray
from PIL import Image
from synthetic import textured

from cvbow.backends import RawPixels
from cvbow.errors import ImageError, IndexFileError
from cvbow.features import SIFT
from cvbow.index import ImageIndex, Search, _merging
from cvbow.index.search import best_rows, in_order
from cvbow.retrieval import Describer, ImageVectors, VisualWords, stored_points, verify
from cvbow.retrieval.verification import Verification


def by_hand(paths: list[str], query: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """The ranking by one plain loop."""
    own = np.bincount(BlockWords().describe(query)["words"], minlength=fake_describer.N_WORDS)
    scores = []
    for path in paths:
        words = BlockWords().describe(np.array(Image.open(path)))["words"]
        score = np.minimum(own, np.bincount(words, minlength=fake_describer.N_WORDS)).sum()
        scores.append(("images/" + os.path.basename(path), float(score)))
    return sorted((one for one in scores if one[1]), key=lambda one: (-one[1], one[0]))


def test_a_ranking_is_by_score_and_then_by_path(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths[::-1], batch=3)  # in another order than the paths'
    query = noise(77, low=20, high=140)
    expected = by_hand(paths, query)
    assert len({score for _, score in expected}) < len(expected), "no ties: this shows nothing of their order"
    assert found(index.search(query, k=None)) == expected
    for k in range(1, 10):
        assert found(index.search(query, k=k)) == expected[:k]
    result = index.search(query, k=1)[0]
    assert (result.n_inliers, result.matrix) == (None, None)
    assert index.record(result.row).path == result.path


def test_answers_do_not_depend_on_batches_segments_or_workers(
    tmp_path: Path, paths: list[str], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [*paths, *(noise(i) for i in range(60, 64))]
    answers, contents = [], []
    for number, (batch, n_jobs, fanout) in enumerate([(1, 1, 8), (3, 2, 2), (256, 4, 8)]):
        monkeypatch.setattr(_merging, "FANOUT", fanout)
        with ImageIndex.build(tmp_path / f"{number}.index", BlockWords(), n_jobs=n_jobs) as index:
            index.add(paths, batch=batch)
            contents.append(content(index))
            answers.append([found(a) for a in index.search_many(queries, k=None, verify=2, expand=2)])
            assert answers[-1] == [found(index.search(query, k=None, verify=2, expand=2)) for query in queries]
            index.compact()
            assert answers[-1] == [found(a) for a in index.search_many(queries, k=None, verify=2, expand=2)]
    assert answers[0] == answers[1] == answers[2]
    assert contents[0] == contents[1] == contents[2]


def test_defined_answers_where_there_is_nothing(index: ImageIndex, paths: list[str], tmp_path: Path) -> None:
    assert index.search(paths[0]) == []  # an empty index
    assert list(index.search_many(paths[:2])) == [[], []]
    assert index.scores(BlockWords().describe(noise(0))).shape == (0,)
    index.add(paths)
    assert index.search(np.full((24, 32), 17, np.uint8)) == []  # nothing to describe
    assert index.search(paths[9], verify=5, expand=2) == []
    with pytest.raises(ImageError, match=r"gone\.png: there is no such file"):
        index.search(tmp_path / "gone.png")
    # A file that vanished is answered from what is stored, but not a part of it.
    expected = found(index.search(paths[2]))
    os.unlink(paths[2])
    assert found(index.search(paths[2])) == expected
    with pytest.raises(ImageError, match="a box needs its pixels"):
        index.search(paths[2], box=(0, 0, 8, 8))
    # A name as it stands, from any folder.
    assert found(index.search("images/2.png")) == expected
    index.remove([paths[2]])
    with pytest.raises(ImageError, match="there is no such file"):
        index.search(paths[2])


def test_a_changed_file_is_searched_for_as_it_is_now(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths)
    shutil.copyfile(paths[8], paths[0])
    assert index.search(paths[0], k=1)[0].path == "images/8.png"
    assert index.search(paths[0], k=1, exclude_self=True)[0].path == "images/8.png"


def test_a_query_can_be_left_out_of_its_own_ranking(index: ImageIndex, paths: list[str], tmp_path: Path) -> None:
    index.add(paths)
    assert [r.path for r in index.search(paths[3], k=2)] == keys(3, 7)
    assert index.search(paths[3], k=1, exclude_self=True)[0].path == "images/7.png"
    # One that the index does not know by its path: all of its content.
    elsewhere = shutil.copyfile(paths[3], tmp_path / "elsewhere.png")
    left = [r.path for r in index.search(elsewhere, k=None, exclude_self=True)]
    assert not {*keys(3, 7)} & {*left}
    assert [r.path for r in next(index.search_many([elsewhere], k=None, exclude_self=True))] == left


def test_a_query_is_described_as_one_whether_or_not_the_index_has_it(
    index: ImageIndex, paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(paths)
    stored = found(index.search(paths[1], k=None))

    def half(self: BlockWords, image: NDArray[np.uint8], *, box: Any = None) -> dict[str, NDArray[Any]]:
        described = self.describe(image, box=box)
        return {key: array if key == "image_size" else array[::2] for key, array in described.items()}

    monkeypatch.setattr(BlockWords, "describe_query", half)
    assert found(index.search(paths[1], k=None)) == stored, "nobody said that queries differ"
    monkeypatch.setattr(BlockWords, "queries_differ", True)
    asked = found(index.search(paths[1], k=None))
    assert [score for _, score, *_ in asked] < [score for _, score, *_ in stored]
    elsewhere = shutil.copyfile(paths[1], tmp_path / "elsewhere.png")
    queries = [paths[1], elsewhere, np.array(Image.open(paths[1]))]
    assert [found(index.search(query, k=None)) for query in queries] == [asked] * 3
    assert [found(answer) for answer in index.search_many(queries, k=None)] == [asked] * 3
    # What is stored is all that is left of a file that vanished.
    os.unlink(paths[1])
    assert found(index.search(paths[1], k=None)) == stored


def test_a_box_is_looked_for_alone(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths)
    box = (0, 0, 16, 8)
    query = np.array(Image.open(paths[1]))[:8, :16]
    expected = found(index.search(query, k=None))
    assert found(index.search(paths[1], k=None, box=box)) == expected
    assert expected[0][1] == 2  # blocks
    answers = list(index.search_many([paths[1], paths[1]], k=None, boxes=[box, None]))
    assert [found(answer) for answer in answers] == [expected, found(index.search(paths[1], k=None))]
    with pytest.raises(ValueError, match="box must overlap"):
        index.search(paths[1], box=(100, 100, 5, 5))
    with pytest.raises(ValueError, match="boxes must be as many"):
        index.search_many(paths, boxes=[None])


def test_many_queries_go_on_after_one_that_cannot_be_read(index: ImageIndex, paths: list[str], tmp_path: Path) -> None:
    index.add(paths[:4])
    first, second, third = index.search_many([paths[0], tmp_path / "gone.png", paths[1]], k=1)
    assert isinstance(second, ImageError)
    assert [found(first), found(third)] == [found(index.search(path, k=1)) for path in paths[:2]]


def made_up(inliers: dict[str, tuple[int, float]], seen: list[str]) -> Callable[..., Verification]:
    """A verification that finds what it is told, by the mean gray of the image."""

    def verify(query: Any, candidate: Any, **options: Any) -> Verification:
        name = inliers_by_words[candidate["words"].tobytes()]
        seen.append(name)
        asked.append(len(query["words"]))
        n, score = inliers.get(name, (0, 0.0))
        return Verification(
            n, score, np.eye(3) if n else None, np.zeros((n, 2), np.int64), np.zeros((n, 4), np.float32)
        )

    inliers_by_words: dict[bytes, str] = {}
    asked: list[int] = []
    verify.names = inliers_by_words  # type: ignore[attr-defined]
    verify.asked = asked  # type: ignore[attr-defined]
    return verify


def test_verified_images_come_first_and_the_rest_keep_their_order(
    index: ImageIndex, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add([*paths[:7], paths[8]])  # each with words of its own
    query = noise(77, low=20, high=140)
    order = [path for path, _ in found(index.search(query, k=None))]
    seen: list[str] = []
    told = {order[1]: (9, 1.0), order[3]: (12, 2.0), order[4]: (9, 3.0), order[5]: (99, 9.0)}
    verify = made_up(told, seen)
    for row in index.rows.tolist():
        verify.names.setdefault(index.describe(row)["words"].tobytes(), index.record(row).path)  # type: ignore[attr-defined]
    monkeypatch.setattr("cvbow.index.search.verify", verify)
    results = index.search(query, k=None, verify=5)
    assert seen == order[:5]
    assert [r.path for r in results] == [order[3], order[4], order[1], order[0], order[2], *order[5:]]
    assert [r.n_inliers for r in results] == [12, 9, 9, 0, 0] + [None] * (len(order) - 5)
    assert [r.matrix is None for r in results[:5]] == [False] * 3 + [True] * 2
    # Fewer results than are verified.
    assert [r.path for r in index.search(query, k=2, verify=5)] == [order[3], order[4]]
    # The expansion takes those with a map alone.
    taken: list[int] = []
    expanded = fake_describer.Shared.expanded

    def spied(self: Any, query: Any, results: Any) -> Any:
        taken.extend(index.row(verify.names[one["words"].tobytes()]) for one in results)  # type: ignore[attr-defined]
        return expanded(self, query, results)

    monkeypatch.setattr(fake_describer.Shared, "expanded", spied)
    seen.clear()
    results = index.search(query, k=None, verify=5, expand=2)
    assert [index.record(row).path for row in taken] == [order[3], order[4]]
    # Verified by the query, and all that had a map and the best again by the query and what these showed of it.
    assert seen[:5] == order[:5]
    assert set(seen[5:]) >= {order[1], order[3], order[4]}
    assert len(seen[5:]) == len(set(seen[5:])), "an image was verified twice"
    # No result is verified by the features that it brought itself.
    asked = dict(zip(seen[5:], verify.asked[-len(seen[5:]) :], strict=True))  # type: ignore[attr-defined]
    own, (first, second) = len(BlockWords().describe(query)["words"]), (asked[order[3]], asked[order[4]])
    assert asked[order[1]] == first + second - own > max(first, second)
    counts = [
        np.bincount(one["words"], minlength=32) for one in (BlockWords().describe(query), *map(index.describe, taken))
    ]
    mean = {"histogram": np.mean(counts, axis=0)}
    scores = index.scores(mean)
    assert {r.row: r.score for r in results} == {r: float(scores[r]) for r in index.rows if scores[r]}


def test_how_to_verify_is_told_to_the_verification(
    index: ImageIndex, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(paths[:3])
    told: list[dict[str, Any]] = []

    def spied(query: Any, candidate: Any, **options: Any) -> Verification:
        told.append(options)
        return verify(query, candidate, **options)

    monkeypatch.setattr("cvbow.index.search.verify", spied)
    options = {"model": "homography", "tolerance": 0.02, "max_hamming": 9, "min_inliers": 4}
    index.search(paths[0], verify=1, **options)
    index.search(paths[0], verify=1)
    defaults = {name: parameter.default for name, parameter in inspect.signature(verify).parameters.items()}
    assert told == [options, {name: defaults[name] for name in options}]


def test_verification_needs_geometry(tmp_path: Path, quick: None) -> None:
    with ImageIndex.build(tmp_path / "v.index", PlainVectors()) as index:
        images = [noise(i, high=60 + 20 * i) for i in range(5)]
        index.add(images, names=list("abcde"))
        assert index.add([np.full((8, 8), 5, np.uint8)], names=["flat"]).empty == ["flat"]
        assert index.kind == "exact"
        ranking = index.search(images[2], k=None)
        assert ranking[0].path == "c"
        assert ranking[0].score == pytest.approx(1)
        assert {r.path for r in ranking} == {*"abcde"}  # negative scores among them, the empty image not
        assert min(r.score for r in ranking) < 0
        assert index.search(np.full((8, 8), 5, np.uint8)) == []
        with pytest.raises(ValueError, match="verify must be 0"):
            index.search(images[0], verify=3)


def test_what_a_description_finds_its_image_finds(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths)
    query = index.describe(4)
    assert found(index.search_described(query, k=3)) == found(index.search(paths[4], k=3))
    assert found(index.search_described(query, k=3, leave_out=[4])) == found(
        index.search(paths[4], k=3, exclude_self=True)
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 0}, "k must be None or an integer >= 1, got 0"),
        ({"k": 2.5}, "k must be None or an integer >= 1, got 2.5"),
        ({"verify": -1}, "verify must be an integer >= 0, got -1"),
        ({"expand": True}, "expand must be an integer >= 0, got True"),
        ({"exclude_self": 1}, "exclude_self must be True or False, got 1"),
        ({"model": "rigid"}, "model must be one of"),
        ({"tolerance": 0}, "tolerance must be a number > 0, got 0"),
        ({"max_hamming": -1}, "max_hamming must be an integer >= 0, got -1"),
        ({"min_inliers": 2}, "min_inliers must be an integer >= 3, got 2"),
    ],
)
def test_wrong_parameters_of_a_search_are_named(index: ImageIndex, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Search(**wrong)
    with pytest.raises(ValueError, match=message):
        index.search(noise(0), **wrong)
    with pytest.raises(ValueError, match=message):
        index.search_many([noise(0)], **wrong)


def test_options_of_a_search_go_together_or_by_name(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths)
    search = Search(k=3, exclude_self=True)
    expected = found(index.search(paths[3], k=3, exclude_self=True))
    assert len(expected) == 3
    assert found(index.search(paths[3], search)) == expected
    assert [found(answer) for answer in index.search_many([paths[3]], search)] == [expected]
    assert found(index.search(paths[3], search, k=1)) == expected[:1], "a name goes before what the search says"
    with pytest.raises(ValueError, match="search must be a Search or None, got 3; options go by name, as in k=3"):
        index.search(paths[3], 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'top'"):
        index.search(paths[3], top=3)


def test_as_many_are_verified_as_the_index_lets(tmp_path: Path, index: ImageIndex, quick: None) -> None:
    assert Search.of(None, {"verify": None}, BlockWords()).verify == 100
    assert Search.of(Search(verify=None), {}, PlainVectors()).verify == 0
    assert Search.of(Search(verify=7), {}, BlockWords()).verify == 7


@pytest.mark.parametrize("many", [False, True])
def test_the_file_of_a_query_is_read_once(
    index: ImageIndex, paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    index.add(paths[:5])
    opened: list[str] = []
    queries = [paths[0], paths[6], write(tmp_path / "elsewhere.png", 81)]  # in the index, beside it, unknown to it
    real = builtins.open

    def counted(file: Any, *args: Any, **options: Any) -> Any:
        opened.append(os.fspath(file)) if isinstance(file, str | os.PathLike) else None
        return real(file, *args, **options)

    monkeypatch.setattr(builtins, "open", counted)
    monkeypatch.setattr("io.open", counted)
    for differ in (False, True):
        monkeypatch.setattr(BlockWords, "queries_differ", differ)
        for own in (False, True):
            opened.clear()
            if many:
                assert all(list(index.search_many(queries, exclude_self=own)))
            else:
                assert all([index.search(query, exclude_self=own) for query in queries])
            assert sorted(path for path in opened if path.endswith(".png")) == sorted(queries)


def test_a_result_keeps_the_pairs_that_agree(photographs: list[str], index_of_words: Path) -> None:
    with ImageIndex.open(index_of_words) as index:
        best, *_, last = index.search(photographs[0], k=None, verify=5, exclude_self=True)
        verified = best.verification
        assert verified is not None
        assert (best.n_inliers, best.matrix is verified.matrix) == (verified.n_inliers, True)
        assert verified.n_inliers == len(verified.pairs) == len(verified.points) > 20
        stored = stored_points(index.describe(best.row))
        np.testing.assert_array_equal(verified.points[:, 2:], stored[verified.pairs[:, 1], :2])
        assert (last.verification, last.n_inliers, last.matrix) == (None, None, None)


class Rows:
    """As much of a snapshot as a ranking looks at."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def record(self, row: int) -> Any:
        return type("Record", (), {"path": self.names[row]})


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, -1.0, float("nan"), 2.0]), st.booleans()), max_size=40),
    st.one_of(st.none(), st.integers(1, 45)),
    st.randoms(use_true_random=False),
)
def test_the_best_rows_are_those_of_a_plain_sort(
    drawn: list[tuple[float, bool]], most: int | None, random: Any
) -> None:
    names = [f"{number:02d}" for number in range(len(drawn))]
    random.shuffle(names)
    scores = np.array([score for score, _ in drawn], np.float32)
    wanted = np.array([keep for _, keep in drawn], np.bool_)
    expected = sorted(
        (row for row, (score, keep) in enumerate(drawn) if keep and score and score == score),
        key=lambda row: (-drawn[row][0], names[row]),
    )
    rows = best_rows(scores, wanted, most)
    ranked, found = in_order(rows, scores[rows], Rows(names), most)  # type: ignore[arg-type]
    assert ranked == expected[:most]
    assert found == {row: float(scores[row]) for row in ranked}


def test_scores_that_may_change_places_are_all_looked_at() -> None:
    scores = np.array([0.5, 0.7, 0.70005, 0.1, 0.69995], np.float32)
    assert set(best_rows(scores, np.ones(5, np.bool_), 1)) == {1, 2, 4}


def real_describers() -> dict[str, Callable[[], Describer]]:
    def words(**options: Any) -> VisualWords:
        return VisualWords(SIFT(max_points=60), n_words=40, sample=3000, **options)

    return {
        "words": lambda: words(embedding_bits=0),
        "words with signatures": words,
        "vectors": lambda: ImageVectors(RawPixels(size=16, n_components=None), n_components=11),
        "vectors with words": lambda: ImageVectors(RawPixels(size=16, n_components=None), local=words()),
    }


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Twelve textures, and of the first one a copy, a part and a turned one, in the folder of the index below."""
    folder = tmp_path_factory.mktemp("photographs")
    pixels = [textured(96, 112, seed) for seed in range(12)]
    pixels += [pixels[0][8:, 10:], np.ascontiguousarray(np.rot90(pixels[0]))]
    paths = [str(folder / f"{number:02d}.png") for number in range(len(pixels))]
    for path, one in zip(paths, pixels, strict=True):
        Image.fromarray(one).save(path)
    return [*paths, shutil.copyfile(paths[0], folder / "copy.png")]


@pytest.fixture(scope="module")
def index_of_words(photographs: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed index with postings and signatures, to copy from; beside it one without, plain.index."""
    path = tmp_path_factory.mktemp("words") / "x.index"
    for folder, name in ((path.with_name("plain.index"), "words"), (path, "words with signatures")):
        describer = real_describers()[name]().fit(photographs[:12])
        with ImageIndex.build(folder, describer) as index:
            index.add(photographs)
    return path


@pytest.mark.parametrize("name", real_describers())
def test_real_describers_answer_alike_however_images_were_added(
    name: str, tmp_path: Path, photographs: list[str], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    describer = real_describers()[name]().fit(photographs[:12])
    verify = 5 if describer.has_geometry else 0
    queries, found = photographs[::2], []
    for number, (batch, n_jobs) in enumerate([(256, 1), (2, 3)]):
        monkeypatch.setattr(_merging, "FANOUT", 8 - 6 * number)
        path = tmp_path / f"{number}.index"
        with ImageIndex.build(path, describer, root=os.path.dirname(photographs[0]), n_jobs=n_jobs) as index:
            index.add(photographs[::-1] if number else photographs, batch=batch)
            found += [full(index, queries, verify), full(index, queries, 0)]
            index.remove(photographs[3:5])
            index.add(photographs[3:5])
            found += [full(index, queries, verify), full(index, queries, 0)]
            index.compact()
        with ImageIndex.open(path, n_jobs=n_jobs) as index:
            found += [full(index, queries, verify), full(index, queries, 0)]
    assert all(found[0] == other for other in found[2::2])
    assert all(found[1] == other for other in found[3::2])
    best = found[1][0]
    assert [path for path, _, _ in best[:2]] == ["00.png", "copy.png"]
    assert best[0][1] == best[1][1]
    if verify:
        assert found[0][0][0][2] > 20
        # The part and the turned one; a vector of the whole image does not bring the latter among the best.
        expected = {"00.png", "copy.png", "12.png", *(["13.png"] if describer.kind == "inverted" else [])}
        assert {path for path, _, inliers in found[0][0] if inliers} >= expected


def full(index: ImageIndex, queries: list[str], verify: int) -> list[list[tuple[str, float, int | None]]]:
    answers = index.search_many(queries, k=None, verify=verify, expand=1)
    assert all(not isinstance(answer, ImageError) for answer in answers)
    answers = index.search_many(queries, k=None, verify=verify)
    return [[(r.path, r.score, r.n_inliers) for r in answer] for answer in answers]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("words", -1, 40, "words must be from 0 to 39"),
        ("posting_words", 0, -1, "posting_words must be from 0 to 39"),
        ("posting_words", 0, 39, "posting_words must ascend"),
        ("posting_documents", 0, 99, "posting_documents must be the numbers of images"),
        ("signature_images", 3, 15, "signature_images must be from 0 to 14"),
        ("signature_start", -1, 10**6, "signature_start must ascend from 0 to"),
        ("signature_start", 0, -5, "signature_start must ascend from 0 to"),
        ("signature_start", 2, 0, "signature_start must ascend from 0 to"),
        ("posting_start", 0, -5, "posting_start must ascend from 0"),
        ("posting_start", 2, 0, "posting_start must ascend from 0"),
        ("posting_bytes", 0, 3, "posting_bytes must be 1, 2 or 4"),
        ("posting_bytes", 0, 2, "posting_gaps1 must be"),
        ("posting_gaps1", 3, 200, "posting_last must be the last images"),
        ("posting_last", 0, 15, "posting_last must be from 0 to 14"),
        ("many_start", 0, 1, "many_start must ascend from 0"),
        ("many_places", 0, 15, "many_places must be among the postings of their words"),
        ("many_places", 0, -1, "many_places must be among the postings of their words"),
    ],
)
def test_postings_that_point_elsewhere_are_refused(
    name: str, at: int, value: int, message: str, tmp_path: Path, index_of_words: Path
) -> None:
    """With checksums that are right: SciPy would write where these say."""
    path = tmp_path / "x.index"
    folders = [index_of_words, index_of_words.with_name("plain.index")]
    shutil.copytree(next(folder for folder in folders if list(folder.glob(f"segments/*/{name}.npy"))), path)
    ImageIndex.open(path).close()
    file = next(path.glob(f"segments/*/{name}.npy"))
    array = np.load(file)
    array[at] = value
    np.save(file, array)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    reseal(path, lambda content: content["segments"][0]["arrays"][name].update(sha256=digest))
    with pytest.raises(IndexFileError, match=message):
        ImageIndex.open(path)
