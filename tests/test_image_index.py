"""ImageIndex: what it knows of images, what its files withstand, and how it searches."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_describer
import numpy as np
import pytest
from fake_describer import BlockWords, PlainVectors
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from synthetic import textured

from cvbow import storage
from cvbow.backends import RawPixels
from cvbow.errors import ImageError, IndexFileError
from cvbow.features import SIFT
from cvbow.index import ImageIndex, Search, _lock, _merging, _segment, _writer
from cvbow.index._manifest import ArrayEntry, Manifest, SegmentEntry
from cvbow.index.search import best_rows, in_order
from cvbow.retrieval import ArraySpec, Describer, ImageVectors, VisualWords, stored_points
from cvbow.retrieval.verification import Verification
from cvbow.storage import storable
from cvbow.storage.arrays import ArrayRecord

TESTS = Path(__file__).resolve().parent
Change = Callable[[Path], None]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def noise(seed: int, *, low: int = 0, high: int = 256, size: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    """Noise that is brighter in some blocks than in others, so that their words differ."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.uniform(0, 1, (size[0] // 8, size[1] // 8)), np.ones((8, 8)))
    pixels: NDArray[np.uint8] = (low + (high - 1 - low) * (0.8 * blocks + 0.2 * rng.uniform(0, 1, size))).astype(
        np.uint8
    )
    return pixels


def write(path: Path, seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Each with a brightness of its own, so that words differ.
    Image.fromarray(noise(seed, low=seed * 7 % 120, high=seed * 7 % 120 + 100)).save(path)
    return str(path)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Ten images, the eighth a copy of the fourth, the last without anything in it."""
    paths = [write(tmp_path / "images" / f"{i}.png", i) for i in range(9)]
    shutil.copyfile(paths[3], paths[7])
    Image.fromarray(np.full((24, 32), 90, np.uint8)).save(tmp_path / "images" / "9.png")
    return [*paths, str(tmp_path / "images" / "9.png")]


@pytest.fixture
def index(tmp_path: Path, quick: None) -> Iterator[ImageIndex]:
    with ImageIndex.build(tmp_path / "x.index", BlockWords()) as index:
        yield index


def keys(*numbers: int) -> list[str]:
    return [f"images/{number}.png" for number in numbers]


def content(index: ImageIndex) -> dict[str, Any]:
    return {
        index.record(row).path: (index.record(row).sha256, {k: a.tolist() for k, a in index.describe(row).items()})
        for row in index.rows.tolist()
    }


def found(results: Any) -> list[tuple[str, float]]:
    return [(result.path, result.score) for result in results]


# --- what is in it --------------------------------------------------------------------------------------------------


def test_an_add_tells_new_from_known_and_from_copies(index: ImageIndex, paths: list[str]) -> None:
    report = index.add(paths[:5])
    assert (report.added, report.unchanged, report.copies, report.empty) == (keys(*range(5)), [], [], [])
    report = index.add([*paths, paths[6]])
    assert report.added == keys(5, 6, 7, 8, 9)
    assert report.unchanged == [*keys(0, 1, 2, 3, 4), *keys(6)]
    assert report.copies == [("images/7.png", "images/3.png")]
    assert report.empty == keys(9)
    assert not report.changed
    assert not report.skipped
    assert index.paths == keys(*range(10))
    assert len(index) == 10
    assert paths[2] in index
    assert "images/2.png" in index
    assert "2.png" not in index
    assert 3 not in index


def test_what_is_stored_is_what_the_describer_said(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths, batch=4)
    for path in paths:
        expected = BlockWords().describe(np.array(Image.open(path)))
        stored = index.describe(index.row(path))
        assert stored.keys() == expected.keys()
        for name, array in expected.items():
            assert stored[name].dtype == array.dtype
            np.testing.assert_array_equal(stored[name], array)
    assert len(index.describe(index.row(paths[9]))["words"]) == 0


def test_a_copy_is_not_described_again(
    index: ImageIndex, paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    describe = BlockWords.describe

    def counted(self: BlockWords, image: NDArray[np.uint8], *, box: Any = None) -> dict[str, NDArray[Any]]:
        calls.append(1)
        return describe(self, image, box=box)

    monkeypatch.setattr(BlockWords, "describe", counted)
    index.add(paths)  # a copy in the same batch
    assert len(calls) == 9
    again = [shutil.copyfile(paths[i], tmp_path / "images" / f"c{i}.png") for i in (0, 1)]
    report = index.add(again)  # copies of what is stored
    assert len(calls) == 9
    assert report.copies == [("images/c0.png", "images/0.png"), ("images/c1.png", "images/1.png")]
    assert found(index.search(paths[0], k=2)) == [("images/0.png", 12), ("images/c0.png", 12)]
    assert len(calls) == 9  # a query that is known is not described either


def test_changed_files_are_reported_by_add_and_taken_by_update(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths)
    before = content(index)
    write(Path(paths[2]), 30)
    report = index.add(paths)
    assert report.changed == keys(2)
    assert len(report.unchanged) == 9
    assert content(index) == before
    # The old content of 2 goes to 5: nothing to describe, and no copy of an image that has another content now.
    os.replace(paths[5], paths[2])
    write(Path(paths[5]), 2)
    report = index.update(paths)
    assert (report.changed, report.added, report.copies) == (keys(2, 5), [], [])
    after = content(index)
    assert after["images/5.png"] == before["images/2.png"]
    assert after["images/2.png"] == before["images/5.png"]
    assert len(index) == 10
    assert not index.update().changed


def test_update_lists_what_vanished_and_keeps_it(index: ImageIndex, paths: list[str], tmp_path: Path) -> None:
    index.add(paths[:6])
    index.add([noise(50)], names=["an array"])
    os.unlink(paths[1])
    os.unlink(paths[4])
    new = write(tmp_path / "images" / "new.png", 44)
    report = index.update([*paths[:3], new])
    assert report.vanished == keys(1, 4)
    assert report.added == ["images/new.png"]
    assert report.unchanged == keys(0, 2)
    assert not report.skipped
    assert len(index) == 8
    assert index.update().vanished == keys(1, 4)
    assert index.remove(report.vanished).removed == keys(1, 4)
    assert not index.update().vanished


def test_bad_files_are_skipped_with_their_reason(index: ImageIndex, paths: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "images" / "bad.png"
    bad.write_bytes(b"not an image")
    twin = shutil.copyfile(bad, tmp_path / "images" / "twin.png")
    missing = tmp_path / "images" / "missing.png"
    report = index.add([paths[0], bad, missing, twin, paths[1]])
    assert report.added == keys(0, 1)
    assert {error.path: error.reason for error in report.skipped}.keys() == {str(bad), str(missing), str(twin)}
    assert next(error.reason for error in report.skipped if error.path == str(missing)) == "there is no such file"
    with pytest.raises(ImageError, match=r"bad\.png"):
        index.add([paths[2], bad], strict=True)
    with pytest.raises(ImageError, match="no such file"):
        index.add([paths[2], missing], strict=True)
    assert len(index) == 2
    # What the index has of a file that went bad, it has.
    Path(paths[0]).write_bytes(b"damaged")
    assert index.update([paths[0]]).skipped[0].path == paths[0]
    assert paths[0] in index


def test_names_stand_for_arrays(index: ImageIndex) -> None:
    arrays = [noise(i) for i in range(3)]
    assert index.add(arrays, names=["a", "b", "c"]).added == ["a", "b", "c"]
    assert index.add(arrays[::-1], names=["c", "b", "a"]).unchanged == ["c", "b", "a"]
    assert index.add([noise(9)], names=["a"]).changed == ["a"]
    # One name twice in a call: the second finds the first.
    assert index.add([noise(7), noise(8), noise(7)], names=["d", "d", "d"]).changed == ["d"]
    assert index.search(arrays[1], k=1)[0].path == "b"
    assert index.search("b", k=1)[0].path == "b"
    assert index.file(0) is None
    assert not index.record(0).is_file
    with pytest.raises(ValueError, match="names"):
        index.add(arrays)
    with pytest.raises(ValueError, match=r"as many as images \(3\), got 1"):
        index.add(arrays, names=["a"])
    with pytest.raises(ValueError, match="not empty"):
        index.add(arrays[:1], names=[""])


def test_removed_images_are_gone_at_once_and_for_good(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths, batch=4)
    report = index.remove([paths[3], "images/4.png", "nowhere.png", paths[3]])
    assert (report.removed, report.missing) == (keys(3, 4), ["nowhere.png"])
    assert len(index) == 8
    assert index.search(paths[3], k=1)[0].path == "images/7.png"  # its copy
    assert all(result.path != "images/3.png" for result in index.search(paths[3], k=None))
    before = content(index)
    index.compact()
    assert content(index) == before
    with ImageIndex.open(index.path) as reader:
        assert content(reader) == before
    assert index.add(paths).added == keys(3, 4)
    assert index.remove(index.paths).missing == []
    assert (len(index), index.n_segments, index.n_bytes) == (0, 0, 0)
    assert os.listdir(os.path.join(index.path, "segments")) == []
    with pytest.raises(ValueError, match="single path"):
        index.remove("images/3.png")
    with pytest.raises(KeyError, match=r"no image '0\.png'"):
        index.row("0.png")


@pytest.mark.parametrize("inside", [True, False])
def test_an_index_and_its_images_move_together(tmp_path: Path, paths: list[str], inside: bool, quick: None) -> None:
    home = tmp_path / "a"
    shutil.move(tmp_path / "images", home / "images")
    images = sorted((home / "images").iterdir())
    root = None if inside else home / "images"
    with ImageIndex.build(home / "x.index", BlockWords(), root=root) as index:
        index.add(images)
        names = index.paths
        assert names == keys(*range(10)) if inside else [f"{i}.png" for i in range(10)]
    os.rename(home, tmp_path / "b")
    with ImageIndex.open(tmp_path / "b" / "x.index", write=True) as index:
        assert index.root == str(tmp_path / "b" if inside else tmp_path / "b" / "images")
        assert index.file(0) == str(tmp_path / "b" / "images" / "0.png")
        assert index.update().unchanged == names
        assert index.add([tmp_path / "b" / "images" / "1.png"]).unchanged == names[1:2]


def test_images_elsewhere_have_absolute_paths(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    with ImageIndex.build(tmp_path / "deep" / "er" / "x.index", BlockWords()) as index:
        monkeypatch.chdir(tmp_path)
        index.add(["images/1.png", "./images/../images/2.png"])
        assert index.paths == [path.replace(os.sep, "/") for path in paths[1:3]]
        assert "images/1.png" in index
        assert index.add(paths[1:3]).added == []


# --- search ---------------------------------------------------------------------------------------------------------


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
        n, score = inliers.get(name, (0, 0.0))
        return Verification(
            n, score, np.eye(3) if n else None, np.zeros((n, 2), np.int64), np.zeros((n, 4), np.float32)
        )

    inliers_by_words: dict[bytes, str] = {}
    verify.names = inliers_by_words  # type: ignore[attr-defined]
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
    assert len(seen) == len(set(seen)), "an image was verified twice"
    counts = [
        np.bincount(one["words"], minlength=32) for one in (BlockWords().describe(query), *map(index.describe, taken))
    ]
    mean = {"histogram": np.mean(counts, axis=0)}
    scores = index.scores(mean)
    assert {r.row: r.score for r in results} == {r: float(scores[r]) for r in index.rows if scores[r]}


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
    assert Search(verify=None).suited_to(BlockWords()).verify == 100
    assert Search(verify=None).suited_to(PlainVectors()).verify == 0
    assert Search(verify=7).suited_to(BlockWords()).verify == 7


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
    """A closed index with postings and signatures, to copy from."""
    path = tmp_path_factory.mktemp("words") / "x.index"
    describer = real_describers()["words with signatures"]().fit(photographs[:12])
    with ImageIndex.build(path, describer) as index:
        index.add(photographs)
    return path


@pytest.mark.parametrize("name", real_describers())
def test_real_describers_answer_alike_however_images_were_added(
    name: str, tmp_path: Path, photographs: list[str], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    describer = real_describers()[name]().fit(photographs[:12])
    verify = 5 if describer.has_geometry else 0
    found = []
    for number, (batch, n_jobs) in enumerate([(256, 1), (2, 3)]):
        monkeypatch.setattr(_merging, "FANOUT", 8 - 6 * number)
        path = tmp_path / f"{number}.index"
        with ImageIndex.build(path, describer, root=os.path.dirname(photographs[0]), n_jobs=n_jobs) as index:
            index.add(photographs[::-1] if number else photographs, batch=batch)
            found += [full(index, photographs, verify), full(index, photographs, 0)]
            index.remove(photographs[3:5])
            index.add(photographs[3:5])
            found += [full(index, photographs, verify), full(index, photographs, 0)]
            index.compact()
        with ImageIndex.open(path, n_jobs=n_jobs) as index:
            found += [full(index, photographs, verify), full(index, photographs, 0)]
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
        ("posting_start", -1, 10**6, "posting_start must ascend from 0 to"),
        ("posting_start", 0, -5, "posting_start must ascend from 0 to"),
        ("posting_images", 3, 15, "posting_images must be from 0 to 14"),
        ("signature_images", 3, -1, "signature_images must be from 0 to 14"),
        ("signature_start", 2, 0, "signature_start must ascend from 0 to"),
    ],
)
def test_postings_that_point_elsewhere_are_refused(
    name: str, at: int, value: int, message: str, tmp_path: Path, index_of_words: Path
) -> None:
    """With checksums that are right: SciPy would write where these say."""
    path = tmp_path / "x.index"
    shutil.copytree(index_of_words, path)
    ImageIndex.open(path).close()
    file = next(path.glob(f"segments/*/{name}.npy"))
    array = np.load(file)
    array[at] = value
    np.save(file, array)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    reseal(path, lambda content: content["segments"][0]["arrays"][name].update(sha256=digest))
    with pytest.raises(IndexFileError, match=message):
        ImageIndex.open(path)


# --- readers and the writer -----------------------------------------------------------------------------------------


def test_a_reader_sees_what_it_opened_until_it_reloads(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths[:6], batch=2)
    with ImageIndex.open(index.path) as reader:
        before, answer = content(reader), found(reader.search(paths[0], k=None))
        index.add(paths[6:])
        index.remove(paths[:2])
        index.compact()
        assert content(reader) == before
        assert found(reader.search(paths[0], k=None)) == answer
        assert reader.reload()
        assert content(reader) == content(index)
        assert not reader.reload()
        with pytest.raises(ValueError, match="open it with write=True"):
            reader.add(paths)
        assert not reader.writable
    with pytest.raises(ValueError, match="the index is closed"):
        reader.search(paths[0])


def test_readers_never_fail_while_a_writer_works(tmp_path: Path, quick: None) -> None:
    path = tmp_path / "x.index"
    images = [noise(i, low=i, high=i + 100) for i in range(19)]
    with ImageIndex.build(path, BlockWords()) as index:
        index.add(images[:4], names=list("abcd"), batch=1)
        expected = content(index)
        stop, errors, rounds = threading.Event(), [], []

        def read() -> None:
            try:
                with ImageIndex.open(path) as kept:
                    while not stop.is_set():
                        with ImageIndex.open(path) as fresh:
                            assert expected.items() <= content(fresh).items()
                            assert fresh.search(images[1], k=1)[0].path == "b"
                        kept.reload()
                        assert expected.items() <= content(kept).items()
                        rounds.append(1)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(4, 19, 3):
            index.add(images[number : number + 3], names=[str(number + i) for i in range(3)], batch=2)
            index.compact()
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
    assert rounds


def test_one_writer_at_a_time(index: ImageIndex, paths: list[str]) -> None:
    with pytest.raises(IndexFileError, match=rf"another process is writing it \(pid {os.getpid()}\)") as caught:
        ImageIndex.open(index.path, write=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(IndexFileError, match="another process is writing it"):
        ImageIndex.build(index.path, BlockWords(), overwrite=True)
    index.add(paths[:1])  # the first is not disturbed
    index.close()
    index.close()
    with ImageIndex.open(index.path, write=True) as second:
        assert second.add(paths[:2]).added == keys(1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("flock", [True, False])
def test_a_killed_writer_leaves_no_lock(index: ImageIndex, flock: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    index.close()
    code = (
        "import sys, time\nfrom cvbow.index import _lock\n"
        "def unknown(handle): raise NotImplementedError\n"
        f"if not {flock}: _lock._lock = unknown\n"
        "lock = _lock.WriterLock(sys.argv[1])\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    if not flock:
        monkeypatch.setattr(_lock, "_lock", _unknown)
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    with subprocess.Popen([sys.executable, "-c", code, index.path], env=env, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with pytest.raises(IndexFileError, match=rf"another process is writing it \(pid {child.pid}\)"):
            ImageIndex.open(index.path, write=True)
        child.kill()
    with ImageIndex.open(index.path, write=True) as opened:
        assert opened.writable
    assert not os.path.exists(os.path.join(index.path, _lock.PID_NAME))


def _unknown(handle: int) -> bool:
    raise NotImplementedError


def test_without_locks_a_note_counts_while_its_writer_may_live(
    index: ImageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.close()
    monkeypatch.setattr(_lock, "_lock", _unknown)
    note = Path(index.path) / _lock.PID_NAME
    note.write_text(f"{os.getpid()} another-machine\n")
    with pytest.raises(IndexFileError, match=rf"pid {os.getpid()} on another-machine"):
        ImageIndex.open(index.path, write=True)
    note.write_bytes(b"")  # just being written
    with pytest.raises(IndexFileError, match="another process is writing it"):
        ImageIndex.open(index.path, write=True)
    os.utime(note, (0, 0))  # or its writer died over it
    with ImageIndex.open(index.path, write=True), pytest.raises(IndexFileError, match=f"pid {os.getpid()}"):
        ImageIndex.open(index.path, write=True)
    assert not note.exists()


def test_reading_takes_no_lock_and_writes_nothing(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths[:2])
    before = sorted((p, p.stat().st_mtime_ns) for p in Path(index.path).rglob("*"))
    with ImageIndex.open(index.path) as reader:
        assert reader.search(paths[0], k=1)
    assert sorted((p, p.stat().st_mtime_ns) for p in Path(index.path).rglob("*")) == before


# --- building -------------------------------------------------------------------------------------------------------


def test_build_refuses_what_is_there(tmp_path: Path, index: ImageIndex, paths: list[str]) -> None:
    index.add(paths[:3])
    index.close()
    with pytest.raises(IndexFileError, match="is an index already"):
        ImageIndex.build(index.path, BlockWords())
    for name, what in (("a file", None), ("folder", "photo.png")):
        path = tmp_path / name
        if what is None:
            path.write_text("text")
        else:
            path.mkdir()
            (path / what).write_text("text")
        with pytest.raises(IndexFileError, match="will not be overwritten"):
            ImageIndex.build(path, BlockWords(), overwrite=True)
        assert (path if what is None else path / what).read_text() == "text"
    with pytest.raises(ValueError, match="describer must be a Describer, got int"):
        ImageIndex.build(tmp_path / "y", 3)  # type: ignore[arg-type]


def test_an_overwritten_index_starts_anew_and_its_readers_follow(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths[:3])
    index.close()
    with ImageIndex.open(index.path) as reader:
        for step in (4, 16, 8):
            with ImageIndex.build(index.path, BlockWords(step=step), overwrite=True) as new:
                new.add(paths[3:5])
                assert len(reader) in (3, 2)
                assert reader.reload()
                assert reader.paths == keys(3, 4)
                assert reader.describer.get_params()["step"] == step
                assert content(reader) == content(new)
        names = {name for name in os.listdir(index.path) if name.startswith("describer")}
        assert len(names) == 1  # the older ones are swept away


def test_a_description_must_be_as_the_layout_says(index: ImageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    describe = BlockWords().describe(noise(0))
    for name, array, message in (
        ("words", describe["words"].astype("<i8"), "words must be <i4 of shape"),
        ("words", describe["words"][:-1], "equally long"),
        ("image_size", np.zeros(3, "<i4"), r"image_size must be <i4 of shape \(2,\)"),
        ("extra", np.zeros(3), "must hold the arrays"),
    ):
        wrong = {**describe, name: array}
        monkeypatch.setattr(BlockWords, "describe", lambda self, image, box=None, wrong=wrong: wrong)
        with pytest.raises(ValueError, match=message):
            index.add([noise(1)], names=["a"])
    assert len(index) == 0
    with ImageIndex.open(index.path) as reader:
        assert len(reader) == 0


def test_a_full_disk_leaves_the_index_as_it_was(
    index: ImageIndex, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(paths[:3])
    before = content(index)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_segment, "records_to_json", full)
        with pytest.raises(OSError, match="No space"):
            index.add(paths[3:])
    assert len(os.listdir(os.path.join(index.path, "segments"))) == 1
    assert content(index) == before
    assert len(index.add(paths).added) == 7


# --- damage ---------------------------------------------------------------------------------------------------------


def reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest and seal it as if it had been written so."""
    from cvbow.index._manifest import _sealed

    content = json.loads((folder / "manifest.json").read_text())
    del content["manifest_hash"]
    change(content)
    (folder / "manifest.json").write_bytes(_sealed(content))


def flip(name: str) -> Change:
    def change(folder: Path) -> None:
        path = next(folder.glob(name))
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    return change


def cut(name: str) -> Change:
    return lambda folder: next(folder.glob(name)).write_bytes(next(folder.glob(name)).read_bytes()[:-1])


def gone(name: str) -> Change:
    return lambda folder: next(folder.glob(name)).unlink()


def sealed(change: Callable[[dict[str, Any]], Any]) -> Change:
    return lambda folder: reseal(folder, lambda content: (change(content), None)[1])


def foreign_describer(folder: Path) -> None:
    storage.save(folder / "describer.cvbow", kind="index", state=BlockWords(step=5), metadata={})


def no_describer(folder: Path) -> None:
    digest = storage.save(folder / "describer.cvbow", kind="index", state=[1], metadata={})
    reseal(folder, lambda content: content["describer"].update(content_hash=digest))


def wrong_records(folder: Path) -> None:
    path = next(folder.glob("segments/*/images.json"))
    rows = json.loads(path.read_text())
    rows[1] = rows[0]
    text = json.dumps(rows, separators=(",", ":")).encode()
    path.write_bytes(text)
    reseal(folder, lambda content: content["segments"][0].update(images=hashlib.sha256(text).hexdigest()))


def wrong_values(folder: Path) -> None:
    """A word beyond the last, with checksums that are right."""
    path = next(folder.glob("segments/*/words.npy"))
    data = bytearray(path.read_bytes())
    data[-4:] = (10**6).to_bytes(4, "little")
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    reseal(folder, lambda content: content["segments"][0]["arrays"]["words"].update(sha256=digest))


def wrong_starts(folder: Path) -> None:
    """Features that begin beyond the last, with checksums that are right."""
    path = next(folder.glob("segments/*/feature_start.npy"))
    data = bytearray(path.read_bytes())
    data[-16:-8] = (10**6).to_bytes(8, "little")
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    reseal(folder, lambda content: content["segments"][0]["arrays"]["feature_start"].update(sha256=digest))


DAMAGE: dict[str, tuple[Change, str]] = {
    "array changed": (flip("segments/*/words.npy"), r"segments/000001/words\.npy: does not match its checksum"),
    "array cut": (cut("segments/*/places.npy"), r"segments/000001/places\.npy: has \d+ bytes instead of \d+"),
    "array missing": (gone("segments/*/counts.npy"), r"segments/000001/counts\.npy is missing"),
    "images changed": (flip("segments/*/images.json"), r"segments/000001/images\.json: does not match"),
    "images missing": (gone("segments/*/images.json"), r"segments/000001/images\.json is missing"),
    "images twice": (wrong_records, r"images\.json: a path occurs twice"),
    "manifest changed": (flip("manifest.json"), r"its manifest\.json is not what was written"),
    "manifest cut": (cut("manifest.json"), r"its manifest\.json is not what was written"),
    "manifest missing": (gone("manifest.json"), r"is not an index: it has no manifest\.json"),
    "manifest empty": (lambda folder: (folder / "manifest.json").write_bytes(b""), "is not what was written"),
    "manifest foreign": (lambda folder: (folder / "manifest.json").write_bytes(b"{}"), "another program's"),
    "manifest a list": (lambda folder: (folder / "manifest.json").write_bytes(b"[1]"), "another program's"),
    "newer": (sealed(lambda c: c.update(format_version=2)), r"newer cvbow \(format 2, this one reads up to 1\)"),
    "older": (sealed(lambda c: c.update(format_version=0)), r"its manifest\.json is not what was written"),
    "describer changed": (flip("describer.cvbow"), r"its describer\.cvbow is damaged"),
    "describer missing": (gone("describer.cvbow"), r"describer\.cvbow is missing"),
    "describer of another index": (foreign_describer, "is another index's"),
    "describer of no kind": (no_describer, "holds no describer"),
    "path out of the index": (
        sealed(lambda c: c["segments"][0].update(name="../../etc")),
        r"its manifest\.json is not what was written",
    ),
    "describer out of the index": (
        sealed(lambda c: c["describer"].update(file="../describer.cvbow")),
        r"its manifest\.json is not what was written",
    ),
    "removed out of range": (
        sealed(lambda c: c["segments"][0].update(removed=[99])),
        r"its manifest\.json is not what was written",
    ),
    "objects": (
        sealed(lambda c: c["segments"][0]["arrays"]["words"].update(dtype="|O")),
        r"its manifest\.json is not what was written",
    ),
    "array not listed": (sealed(lambda c: c["segments"][0]["arrays"].pop("shapes")), "the array shapes is missing"),
    "starts not listed": (
        sealed(lambda c: c["segments"][0]["arrays"].pop("feature_start")),
        "the array feature_start is missing",
    ),
    "array of another type": (
        sealed(lambda c: c["segments"][0]["arrays"]["words"].update(dtype="<u4")),
        r"words\.npy: (has another header|does not match)",
    ),
    "words out of range": (wrong_values, "words or counts are out of range"),
    "features out of range": (wrong_starts, "feature_start must ascend"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_refused_in_one_line(index: ImageIndex, paths: list[str], kind: str) -> None:
    change, message = DAMAGE[kind]
    index.add(paths)
    index.close()
    ImageIndex.open(index.path).close()
    change(Path(index.path))
    for write_too in (False, True):
        with pytest.raises(IndexFileError, match=message) as caught:
            ImageIndex.open(index.path, write=write_too)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(index.path)


def test_checks_that_are_off_save_reading(index: ImageIndex, paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(paths)
    index.close()
    folder = Path(index.path)
    for name in ("segments/*/images.json", "manifest.json"):
        copy = folder.with_name("copy")
        shutil.copytree(folder, copy)
        flip(name)(copy)
        with pytest.raises(IndexFileError):
            ImageIndex.open(copy, check=False)
        shutil.rmtree(copy)
    flip("segments/*/places.npy")(folder)
    with ImageIndex.open(folder, check=False) as opened:
        assert opened.search(paths[0], k=1)[0].path == "images/0.png"
    cut("segments/*/places.npy")(folder)
    with pytest.raises(IndexFileError, match="bytes instead of"):
        ImageIndex.open(folder, check=False)


def test_what_is_no_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such index"):
        ImageIndex.open(tmp_path / "nowhere")
    with pytest.raises(IndexFileError, match=r"is not an index: it has no manifest\.json"):
        ImageIndex.open(tmp_path, write=True)
    assert os.listdir(tmp_path) == []  # no lock is left there
    (tmp_path / "file").write_text("text")
    with pytest.raises(IndexFileError, match="an index is a folder"):
        ImageIndex.open(tmp_path / "file")


def test_arrays_are_read_only_and_mapped(index: ImageIndex, paths: list[str]) -> None:
    index.add(paths)
    with ImageIndex.open(index.path) as reader:
        segment = reader._snapshot.segments[0]
        for name, array in segment.arrays.items():
            assert isinstance(array.base, np.memmap), name
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
        stored = reader.describe(0)
        stored["words"][:] = 0  # a copy: the index is not touched
        assert content(reader) == content(index)
        with pytest.raises(IndexError, match="row must be from 0 to 9, got 10"):
            reader.describe(10)


# --- what a crash leaves --------------------------------------------------------------------------------------------


def run_killing(*arguments: str) -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
    command = [sys.executable, str(TESTS / "index_killing.py"), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_an_end_before_any_operation_leaves_a_whole_index() -> None:
    report = run_killing("every")
    assert report["ends"] > 40
    assert report["with_waste"] > report["ends"] / 2  # otherwise the ends were not where they should be
    assert len(set(report["images_found"])) > 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_kills_at_random_moments_leave_a_whole_index() -> None:
    report = run_killing("6", "5", "26")
    assert report["killed_while_adding"] + report["killed_while_compacting"] == 6


def test_files_are_on_the_disk_before_the_manifest_names_them(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may undo whatever was not flushed: at every new manifest, all that it lists is."""
    flushed: dict[int, int] = {}
    manifests = []
    replace, fsync = os.replace, os.fsync

    def record(handle: int) -> None:
        facts = os.fstat(handle)
        flushed[facts.st_ino] = facts.st_mtime_ns

    def check(source: str, target: str) -> None:
        if os.path.basename(target) == "manifest.json":
            folder = os.path.dirname(target)
            listed = json.loads(Path(source).read_text())
            files = [os.path.join(folder, listed["describer"]["file"]), source]
            for segment in listed["segments"]:
                home = os.path.join(folder, "segments", segment["name"])
                files += [home, *(os.path.join(home, f"{name}.npy") for name in segment["arrays"])]
                files += [os.path.join(home, "images.json")]
            files += [os.path.join(folder, "segments")] if listed["segments"] else []
            for file in files:
                facts = os.stat(file)
                assert facts.st_ino in flushed, f"{file} was not flushed"
                if file != os.path.join(folder, "segments"):  # which loses old segments after a change
                    assert flushed[facts.st_ino] == facts.st_mtime_ns, f"{file} was changed since"
            manifests.append(listed["generation"])
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(os, "replace", check)
    monkeypatch.setattr(_merging, "FANOUT", 2)
    with ImageIndex.build(tmp_path / "x.index", BlockWords()) as index:
        index.add(paths, batch=3)
        index.remove(paths[:2])
        index.compact()
    assert len(manifests) > 6
    assert manifests == sorted(manifests)
    assert fsync is not os.fsync


def test_old_segments_go_only_after_the_new_manifest(
    index: ImageIndex, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(paths, batch=3)
    events: list[str] = []
    write, remove = Manifest.write, _writer._remove
    monkeypatch.setattr(Manifest, "write", lambda self, folder: (write(self, folder), events.append("manifest"))[0])
    monkeypatch.setattr(_writer, "_remove", lambda path: (events.append("remove"), remove(path))[1])
    index.compact()
    assert events == ["manifest", *["remove"] * 4]
    assert index.n_segments == 1


# --- segments -------------------------------------------------------------------------------------------------------


def entry(n_images: int, *, removed: int = 0, n_bytes: int | None = None) -> SegmentEntry:
    record = ArrayRecord(np.dtype("|u1"), (n_images * 10 if n_bytes is None else n_bytes,), False)
    return SegmentEntry("000001", n_images, "", {"words": ArrayEntry(record, "")}, tuple(range(removed)))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=100))
def test_merges_keep_segments_few_and_writing_little(batches: list[int]) -> None:
    segments: list[SegmentEntry] = []
    written = 0
    for n_images in batches:
        segments.append(entry(n_images))
        while (group := _merging.next_merge(segments)) is not None:
            merged = sum(segment.n_living for segment in segments[group])
            assert merged > 0
            written += merged
            segments[group] = [entry(merged)]
    total = sum(batches)
    assert sum(segment.n_images for segment in segments) == total
    levels = int(np.log(total) / np.log(_merging.FANOUT)) + 2
    assert len(segments) <= (_merging.FANOUT - 1) * levels
    # Once for each size, and little more: a merge of small ones takes larger ones along only where there are as many.
    assert written <= total * levels * 2


def test_segments_do_not_grow_beyond_memory() -> None:
    segments = [entry(1000) for _ in range(8)]
    assert _merging.next_merge(segments, max_bytes=10_000_000) == slice(0, 8)
    assert _merging.next_merge(segments, max_bytes=30_000) == slice(5, 8)
    assert _merging.next_merge(segments, max_bytes=15_000) is None  # each is full
    assert _merging.compaction(segments, max_bytes=30_000) == [slice(6, 8), slice(3, 6), slice(0, 3)]
    assert _merging.compaction([entry(5), entry(3000), entry(5)], max_bytes=30_000) == []
    assert _merging.compaction([entry(5, removed=1)], max_bytes=10) == [slice(0, 1)]
    assert _merging.compaction([], max_bytes=10) == []


def test_a_segment_that_is_mostly_removed_is_written_anew() -> None:
    assert _merging.next_merge([entry(10), entry(10, removed=6), entry(10)]) == slice(1, 2)
    assert _merging.next_merge([entry(10), entry(10, removed=5)]) is None


@storable
class Heavy(PlainVectors):
    """A megabyte for each image."""

    def layout(self) -> dict[str, ArraySpec]:
        return {"vectors": ArraySpec("<f4", (1 << 18,), "image"), "parts": ArraySpec("<f4", (1 << 10,), "feature")}

    def describe(self, image: NDArray[np.uint8], *, box: Any = None) -> dict[str, NDArray[Any]]:
        n = int(image[0, 0]) % 5
        return {
            "vectors": np.full(1 << 18, float(image.mean()), np.float32),
            "parts": np.full((n, 1 << 10), n, np.float32),
        }


def test_memory_holds_a_batch_and_not_the_index(tmp_path: Path, quick: None) -> None:
    names = [str(i) for i in range(32)]
    images = [noise(i) for i in range(32)]
    with ImageIndex.build(tmp_path / "heavy.index", Heavy()) as index:
        tracemalloc.start()
        try:
            index.add(images, names=names, batch=4)
            index.remove(names[::6])
            index.compact()
            added = tracemalloc.get_traced_memory()[1]
            assert index.n_bytes > 25 << 20
            # A batch, twice while it is laid together, and what is copied at a time.
            assert added < 20 << 20
            tracemalloc.reset_peak()
            now = tracemalloc.get_traced_memory()[0]
            with ImageIndex.open(index.path) as reader:
                assert tracemalloc.get_traced_memory()[1] - now < 2 << 20
                for row in reader.rows[::9].tolist():
                    expected = Heavy().describe(images[int(reader.record(row).path)])
                    for name, array in reader.describe(row).items():
                        np.testing.assert_array_equal(array, expected[name])
        finally:
            tracemalloc.stop()


def test_nothing_in_an_index_is_evaluated(index: ImageIndex, paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import ast
    import pickle

    index.add(paths)

    def never(*args: Any, **options: Any) -> Any:
        raise AssertionError("something of a file was evaluated")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (ast, "literal_eval"),
        (builtins, "eval"),
    ):
        monkeypatch.setattr(module, name, never)
    with ImageIndex.open(index.path) as reader:
        assert reader.search(paths[0], k=1)
