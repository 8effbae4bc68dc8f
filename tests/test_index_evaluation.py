"""Judging an index: rankings that are known beforehand, the query itself, what is ignored, what is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import hadamard

from cvbow.backends import RawPixels
from cvbow.errors import ImageError
from cvbow.index import ImageIndex, Search, evaluate_index
from cvbow.retrieval import GroundTruth, ImageVectors, Query, read_groups

#: Patterns of 8x8 pixels of -1 and 1 that do not correlate, and have mean 0.
PATTERNS = hadamard(64)[1:].reshape(-1, 8, 8)


def image(correlation: float, other: int, base: int = 0) -> NDArray[np.uint8]:
    """An image whose correlation with the base pattern is about this."""
    mixed = correlation * PATTERNS[base] + np.sqrt(1 - correlation**2) * PATTERNS[other]
    return np.round(128 + 60 * mixed).astype(np.uint8)


def write(path: Path, pixels: NDArray[np.uint8], compression: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    return path


@pytest.fixture
def index(tmp_path: Path) -> Iterator[ImageIndex]:
    """Images 0.png to 9.png, of correlations 1.0, 0.9 to 0.1 with query.png, which is not in the index."""
    paths = [write(tmp_path / "images" / f"{number}.png", image(1 - number / 10, number + 1)) for number in range(10)]
    # As 0.png, but another file.
    write(tmp_path / "query.png", image(1, 1), compression=9)
    describer = ImageVectors(RawPixels(size=8, n_components=None), whiten=False).fit(paths)
    with ImageIndex.build(tmp_path / "index", describer, n_jobs=1) as built:
        assert built.add(paths).skipped == []
        yield built


def truth(folder: Path, query: str, relevant: Sequence[int], ignored: Sequence[int] = ()) -> GroundTruth:
    def paths(numbers: Sequence[int]) -> frozenset[Path]:
        return frozenset(folder / "images" / f"{number}.png" for number in numbers)

    return GroundTruth((Query("q", folder / query, paths(relevant), paths(ignored)),))


def test_a_ranking_that_is_known(index: ImageIndex, tmp_path: Path) -> None:
    """Places 1, 4 and 5, of four relevant images, one of which is at place 10."""
    found = evaluate_index(index, truth(tmp_path, "query.png", [0, 3, 4, 9]), k=(1, 4, 5))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["map"] == pytest.approx((1 + 2 / 4 + 3 / 5 + 4 / 10) / 4)
    area = ((1 + 1) + (1 / 3 + 2 / 4) + (2 / 4 + 3 / 5) + (3 / 9 + 4 / 10)) / 2 / 4
    assert found["map_trapezoids"] == pytest.approx(area)
    assert found["recall"] == {"1": 0.25, "4": 0.5, "5": 0.75}
    assert found["precision"] == {"1": 1, "4": 0.5, "5": pytest.approx(0.6)}
    assert found["success"] == {"1": 1, "4": 1, "5": 1}
    assert (found["n_queries"], found["n_images"], found["skipped"], found["missing"]) == (1, 10, [], [])
    (row,) = found["per_query"]
    assert (row["query"], row["n_relevant"], row["first_relevant"]) == ("q", 4, 1)
    assert row["average_precision"] == found["map"]
    assert found["ukbench_score"] is None
    assert "trapezoids" in found["definitions"]["map_trapezoids"]


def test_ignored_images_are_taken_out_before(index: ImageIndex, tmp_path: Path) -> None:
    found = evaluate_index(index, truth(tmp_path, "query.png", [2, 5], ignored=[0, 1, 4]), k=2)
    assert found["map"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["recall"] == {"2": 0.5}


def test_a_query_is_left_out_of_its_own_ranking(index: ImageIndex, tmp_path: Path) -> None:
    given = truth(tmp_path, "images/0.png", [0, 2])
    left_out = evaluate_index(index, given, k=4)
    assert left_out["map"] == pytest.approx(1 / 2), "1.png comes first, then 2.png"
    assert left_out["per_query"][0]["n_relevant"] == 1
    kept = evaluate_index(index, given, k=4, keep_self=True)
    assert kept["map"] == pytest.approx((1 + 2 / 3) / 2)
    assert kept["ukbench_score"] == 2
    unlisted = evaluate_index(index, truth(tmp_path, "images/0.png", [2]), k=4, keep_self=True)
    assert unlisted["map"] == kept["map"], "an image is relevant to itself"
    alone = truth(tmp_path, "images/0.png", [0])
    with pytest.raises(ValueError, match="a query that can be read, got 1 that cannot"):
        evaluate_index(index, alone)
    both = GroundTruth((*alone.queries, Query("other", tmp_path / "query.png", given.queries[0].relevant)))
    skipped = evaluate_index(index, both)
    assert skipped["skipped"] == [{"query": "q", "reason": "nothing is relevant to it but itself"}]
    assert skipped["n_queries"] == 1


def test_a_copy_of_an_indexed_file_is_the_query_unless_the_ground_truth_says_otherwise(
    index: ImageIndex, tmp_path: Path
) -> None:
    shutil.copy(tmp_path / "images" / "0.png", tmp_path / "copy.png")
    assert evaluate_index(index, truth(tmp_path, "copy.png", [1]))["map"] == 1
    assert evaluate_index(index, truth(tmp_path, "copy.png", [0]))["map"] == 1
    assert evaluate_index(index, truth(tmp_path, "query.png", [1]))["map"] == 0.5, "another file of the same picture"


def test_ties_do_not_depend_on_names(index: ImageIndex, tmp_path: Path) -> None:
    """Another file with the pixels of 0.png: half of the orders have it first."""
    for name in ("a.png", "z.png"):
        path = write(tmp_path / "images" / name, image(1, 1), compression=1)
        index.add([path])
        found = evaluate_index(index, GroundTruth((Query("q", tmp_path / "query.png", frozenset({path})),)), k=(1, 2))
        assert found["recall"] == {"1": 0.5, "2": 1}
        assert found["map"] == pytest.approx((1 + 1 / 2) / 2)
        index.remove([path])


def test_depth_and_missing_images(index: ImageIndex, tmp_path: Path) -> None:
    whole = truth(tmp_path, "query.png", [0, 8], ignored=[1])
    assert evaluate_index(index, whole)["map"] == pytest.approx((1 + 2 / 8) / 2)
    assert evaluate_index(index, whole, k=2, depth=7)["map"] == 0.5
    assert evaluate_index(index, whole, k=2, depth=8)["map"] == pytest.approx((1 + 2 / 8) / 2)
    gone = truth(tmp_path, "query.png", [0, 77])
    found = evaluate_index(index, gone)
    assert found["map"] == 0.5
    assert found["missing"] == [str(tmp_path / "images" / "77.png")]
    with pytest.raises(
        ValueError, match=r"ground_truth must name images of the index, got '.*77\.png' and others; it has"
    ):
        evaluate_index(index, truth(tmp_path, "query.png", [77, 78]))


def test_queries_that_cannot_be_read(index: ImageIndex, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not an image")
    both = GroundTruth((*truth(tmp_path, "query.png", [0]).queries, Query("b", tmp_path / "broken.png", frozenset())))
    found = evaluate_index(index, both)
    assert (found["n_queries"], found["map"]) == (1, 1)
    assert [row["query"] for row in found["skipped"]] == ["b"]
    with pytest.raises(ImageError, match=r"broken\.png"):
        evaluate_index(index, both, strict=True)


def test_groups_end_to_end(tmp_path: Path) -> None:
    """Three groups around patterns of their own: every query finds its group first, whatever the number of workers."""
    for group in range(3):
        for number in range(3):
            pixels = image(0.9, 10 + 3 * group + number, base=group)
            write(tmp_path / "groups" / f"g{group}" / f"{number}.png", pixels)
    given = read_groups(tmp_path / "groups")
    paths = list(given.images)
    describer = ImageVectors(RawPixels(size=8, n_components=None), whiten=False).fit(paths)
    with ImageIndex.build(tmp_path / "index", describer) as built:
        built.add(paths)
        found = evaluate_index(built, given, k=(1, 2))
        built.n_jobs = 2
        assert evaluate_index(built, given, k=(1, 2)) == found
        kept = evaluate_index(built, given, keep_self=True)
    assert (found["n_queries"], found["map"], found["recall"]) == (9, 1, {"1": 0.5, "2": 1})
    assert kept["ukbench_score"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be an integer >= 1, got 0"),
        ({"k": ()}, "k must have at least one number"),
        ({"k": (1, 10), "depth": 5}, "depth must be None or an integer >= 10, got 5"),
        ({"keep_self": 1}, "keep_self must be True or False"),
        ({"search": Search(verify=5)}, "verify must be 0 for an index without local features"),
    ],
)
def test_what_is_wrong_is_named(index: ImageIndex, tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_index(index, truth(tmp_path, "query.png", [0]), **options)  # type: ignore[arg-type]


def test_an_empty_index(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", image(1, 1))
    describer = ImageVectors(RawPixels(size=8, n_components=None), whiten=False).fit([path])
    with (
        ImageIndex.build(tmp_path / "index", describer) as built,
        pytest.raises(ValueError, match=r"ground_truth must name images of the index, got .*; it is empty"),
    ):
        evaluate_index(built, GroundTruth((Query("q", path, frozenset({tmp_path / "b.png"})),)))
