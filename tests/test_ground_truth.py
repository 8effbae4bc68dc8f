"""Ground truths: a CSV, groups in folders, numbers in names, the files of the Oxford buildings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbow.errors import DatasetError
from cvbow.retrieval.ground_truth import (
    GroundTruth,
    Query,
    groups_by_number,
    read_ground_truth,
    read_groups,
    read_oxford,
    read_pairs,
)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def names(paths: frozenset[Path]) -> set[str]:
    return {path.name for path in paths}


# A CSV


def test_pairs(tmp_path: Path) -> None:
    path = write(
        tmp_path / "truth.csv",
        "\ufefflabel, image ,query,comment",
        "relevant,a.jpg,q1.jpg,x",
        "ignored,b.jpg,q1.jpg",
        "",
        "Relevant,sub/c.jpg,q0.jpg",
        "relevant,q1.jpg,q1.jpg",
    )
    truth = read_ground_truth(path)
    assert truth == read_pairs(path)
    first, second = truth.queries
    assert (first.name, first.image, first.box) == ("q1.jpg", tmp_path / "q1.jpg", None)
    assert first.relevant == {tmp_path / "a.jpg", tmp_path / "q1.jpg"}
    assert first.ignored == {tmp_path / "b.jpg"}
    assert second.relevant == {tmp_path / "sub" / "c.jpg"}
    assert [image.name for image in truth.images] == ["a.jpg", "b.jpg", "q0.jpg", "q1.jpg", "c.jpg"]
    assert len(truth) == 2
    elsewhere = read_ground_truth(path, images=tmp_path / "images")
    assert elsewhere.queries[0].image == tmp_path / "images" / "q1.jpg"
    absolute = write(tmp_path / "absolute.csv", "query,image,label", f"q.jpg,{tmp_path / 'z.jpg'},relevant")
    assert read_pairs(absolute, images=tmp_path / "images").queries[0].relevant == {tmp_path / "z.jpg"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "the file is empty; expected the columns query,image,label"),
        (("query,image", "q,a"), "no column label; expected the columns query,image,label, found 'query,image'"),
        (("query,image,label,query",), "the column query occurs 2 times"),
        (("query,image,label",), "no pairs are listed below the header"),
        (("query,image,label", "q,a,relevant", "q,,relevant"), "line 3: the image is empty"),
        (("query,image,label", "", ",a,relevant"), "line 3: the query is empty"),
        (("query,image,label", "q,a"), "line 2: the label is empty"),
        (("query,image,label", "q,a,good"), "line 2: the label must be relevant or ignored, got 'good'"),
        (
            ("query,image,label", "q,a,relevant", "p,a,relevant", "q,a,ignored"),
            "line 4: a was labelled for q in line 2 before",
        ),
        (("query,image,label", "q,a,ignored"), "the query q has no relevant image"),
        (("query,image,label", 'q,"a,relevant'), "line 2"),
    ],
)
def test_what_is_wrong_in_a_csv_is_named(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        read_ground_truth(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_not_a_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        read_ground_truth(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"expected a \.csv file, a folder of groups"):
        read_ground_truth(write(tmp_path / "truth.txt", "x"))
    (tmp_path / "bad.csv").write_bytes(b"query,image,label\n\xff,a,relevant\n")
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_ground_truth(tmp_path / "bad.csv")


# Groups


def test_groups_of_folders(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "cat/deep/3.png", "dog/1.png", "dog/10.png", "lone/1.png"):
        write(tmp_path / name, "x")
    truth = read_ground_truth(tmp_path)
    assert truth == read_groups(tmp_path)
    assert [query.name for query in truth.queries] == [
        "cat/1.png",
        "cat/2.png",
        "cat/deep/3.png",
        "dog/1.png",
        "dog/10.png",
    ]
    assert truth.queries[0].relevant == {tmp_path / "cat" / name for name in ("1.png", "2.png", "deep/3.png")}
    assert truth.queries[3].relevant == {tmp_path / "dog" / "1.png", tmp_path / "dog" / "10.png"}
    assert truth.queries[3].ignored == frozenset()


def test_groups_of_one_are_no_groups(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.png", "x")
    write(tmp_path / "b" / "1.png", "x")
    with pytest.raises(DatasetError, match="found 2 of one image each"):
        read_ground_truth(tmp_path)


def test_ukbench_by_number() -> None:
    images = [f"full/ukbench{number:05d}.jpg" for number in range(8)]
    truth = groups_by_number(reversed(images), size=4)
    assert [query.name for query in truth.queries] == [f"ukbench{number:05d}" for number in range(8)]
    for number, query in enumerate(truth.queries):
        group = number // 4 * 4
        assert query.image == Path(images[number])
        assert query.relevant == set(map(Path, images[group : group + 4]))


def test_holidays_by_number() -> None:
    truth = groups_by_number(
        ["100000.jpg", "100001.jpg", "100002.jpg", "100101.jpg", "100100.jpg"], size=100, queries="first"
    )
    assert [query.name for query in truth.queries] == ["100000", "100100"]
    assert names(truth.queries[0].relevant) == {"100000.jpg", "100001.jpg", "100002.jpg"}
    assert names(truth.queries[1].relevant) == {"100100.jpg", "100101.jpg"}


@given(st.sets(st.integers(0, 10**7), min_size=2, max_size=40), st.integers(2, 200))
def test_groups_are_an_equivalence(numbers: set[int], size: int) -> None:
    images = [f"{number:08d}.jpg" for number in numbers]
    try:
        truth = groups_by_number(images, size=size)
    except ValueError:
        assert len({number // size for number in numbers}) == len(numbers)
        return
    relevant = {query.image: query.relevant for query in truth.queries}
    for image, group in relevant.items():
        assert image in group
        assert len(group) > 1
        assert all(relevant[other] == group for other in group)
        assert len({int(other.stem) // size for other in group}) == 1
    left = {Path(image) for image in images} - set(relevant)
    assert len({int(image.stem) // size for image in left}) == len(left)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (["a.jpg"], {"size": 4}, "images must have names that end in a number, got 'a.jpg'"),
        (["1.jpg", "1.png"], {"size": 4}, "images must have different numbers, got '1.jpg' and '1.png'"),
        (["1.jpg", "9.jpg"], {"size": 4}, "images must have groups of two or more, got none"),
        (["1.jpg", "2.jpg"], {"size": 4, "queries": "first"}, "a multiple of 4; 0 has none"),
        (["1.jpg"], {"size": 1}, "size must be an integer >= 2, got 1"),
        (["1.jpg"], {"size": 2, "queries": "some"}, "queries must be one of all, first"),
    ],
)
def test_what_is_wrong_in_numbers_is_named(images: list[str], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        groups_by_number(images, **options)  # type: ignore[arg-type]


# Oxford and Paris


def oxford(folder: Path) -> Path:
    write(folder / "all_souls_1_query.txt", "oxc1_all_souls_000013 136.5 34.1 648.5 955.7")
    write(folder / "all_souls_1_good.txt", "all_souls_000013", "all_souls_000026")
    write(folder / "all_souls_1_ok.txt", "all_souls_000001")
    write(folder / "all_souls_1_junk.txt", "all_souls_000002", "oxford_000317")
    write(folder / "all_souls_10_query.txt", "paris_defense_000605 0 10 20 30")
    write(folder / "all_souls_10_good.txt", "paris_defense_000216")
    write(folder / "all_souls_10_ok.txt", "")
    write(folder / "all_souls_10_junk.txt", "")
    return folder


def test_oxford(tmp_path: Path) -> None:
    truth = read_ground_truth(oxford(tmp_path / "gt"), images=tmp_path / "jpg")
    first, second = truth.queries
    assert (first.name, first.image) == ("all_souls_1", tmp_path / "jpg" / "all_souls_000013.jpg")
    assert first.box == pytest.approx((136.5, 34.1, 512.0, 921.6))
    assert names(first.relevant) == {"all_souls_000013.jpg", "all_souls_000026.jpg", "all_souls_000001.jpg"}
    assert names(first.ignored) == {"all_souls_000002.jpg", "oxford_000317.jpg"}
    assert (second.name, second.box) == ("all_souls_10", (0, 10, 20, 20))
    assert second.image.name == "paris_defense_000605.jpg", "Paris has no prefix to take off"


def test_oxford_images_are_found_where_they_lie(tmp_path: Path) -> None:
    folder = oxford(tmp_path / "gt")
    write(tmp_path / "paris" / "defense" / "paris_defense_000605.JPG", "x")
    truth = read_oxford(folder, images=tmp_path)
    assert truth.queries[1].image == tmp_path / "paris" / "defense" / "paris_defense_000605.JPG"
    listed = read_oxford(folder, images=[tmp_path / "paris" / "defense" / "paris_defense_000605.JPG"])
    assert listed.queries[1].image == truth.queries[1].image
    assert read_ground_truth(folder).queries[0].image == folder / "all_souls_000013.jpg"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "all_souls_1_query.txt",
            "all_souls_000013 1 2 3",
            "all_souls_1_query.txt: line 1: expected IMAGE X1 Y1 X2 Y2",
        ),
        ("all_souls_1_query.txt", "all_souls_000013 1 2 x 4", "line 1: expected IMAGE X1 Y1 X2 Y2"),
        ("all_souls_1_query.txt", "all_souls_000013 9 2 3 4", "line 1: the box has no area: 9 2 3 4"),
        ("all_souls_1_ok.txt", None, "all_souls_1_ok.txt: there is no such file"),
        ("all_souls_1_junk.txt", "all_souls_000026", "all_souls_000026 is junk, and good or ok as well"),
        ("all_souls_10_good.txt", "", "the query has no good and no ok image"),
    ],
)
def test_what_is_wrong_in_oxford_files_is_named(tmp_path: Path, file: str, text: str | None, message: str) -> None:
    folder = oxford(tmp_path)
    (folder / file).unlink()
    if text is not None:
        write(folder / file, text)
    with pytest.raises(DatasetError) as caught:
        read_ground_truth(folder)
    assert message in str(caught.value)


def test_no_oxford_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected files \*_query\.txt"):
        read_oxford(tmp_path, images=tmp_path)


# The ground truth itself


def test_a_ground_truth_is_consistent() -> None:
    a, b = Path("a"), Path("b")
    with pytest.raises(ValueError, match="names that differ"):
        GroundTruth((Query("q", a, frozenset({b})), Query("q", b, frozenset({a}))))
    with pytest.raises(ValueError, match="query q: an image must be relevant or ignored, got both for b"):
        GroundTruth((Query("q", a, frozenset({b}), frozenset({b})),))
    assert repr(GroundTruth(())) == "GroundTruth(0 queries)"
