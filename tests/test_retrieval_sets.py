"""Data sets of retrieval: the layouts of their authors, and what each query should find."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvbow._toml import TomlTable
from cvbow.datasets import RetrievalLayout, dataset_names, find_dataset, load_dataset, locate, verify
from cvbow.datasets.layouts import LAYOUTS
from cvbow.errors import DatasetError


def layout(kind: str, **options: object) -> RetrievalLayout:
    made = TomlTable(Path("test.toml"), dict(options)).build(*LAYOUTS[kind])
    assert isinstance(made, RetrievalLayout)
    return made


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_references(tmp_path: Path) -> None:
    touch(tmp_path / "covers", "Reference/2.jpg", "Reference/10.jpg", "Canon/2.png", "Canon/10.jpg", "Palm/2.jpg")
    touch(tmp_path / "covers", "Reference/Thumbs.db", "Canon/._2.png", "Other/2.jpg")
    made = layout("references", references="Reference", queries=["Canon", "Palm"], inside=["covers"])
    found = made.retrieval(tmp_path)
    assert [path.name for path in found.indexed] == ["2.jpg", "10.jpg"]
    queries = found.ground_truth.queries
    assert [query.name for query in queries] == ["Canon/2.png", "Canon/10.jpg", "Palm/2.jpg"]
    reference = tmp_path / "covers" / "Reference" / "2.jpg"
    assert [query.relevant == {reference} for query in queries] == [True, False, True]
    images = made.load(tmp_path)
    assert images.names[:3] == ("Reference/2.jpg", "Reference/10.jpg", "Canon/2.png")
    assert images.classes == ("2", "10")
    touch(tmp_path / "covers", "Palm/11.jpg")
    with pytest.raises(DatasetError, match=r"11\.jpg: there is no image of that name in .*Reference"):
        made.load(tmp_path)
    with pytest.raises(DatasetError, match="there is no such folder"):
        layout("references", references="Reference", queries=["E63"], inside=["covers"]).load(tmp_path)


def test_numbered_groups(tmp_path: Path) -> None:
    touch(tmp_path / "full", *(f"ukbench{number:05d}.jpg" for number in range(8)))
    found = layout("numbered-groups", size=4, inside=["full"]).retrieval(tmp_path)
    assert len(found.indexed) == len(found.ground_truth) == 8
    assert found.images.labels == ("0",) * 4 + ("1",) * 4
    query = found.ground_truth.queries[5]
    assert (query.name, query.relevant) == ("ukbench00005", frozenset(found.indexed[4:]))
    first = layout("numbered-groups", size=4, queries="first", inside=["full"]).retrieval(tmp_path)
    assert [query.name for query in first.ground_truth.queries] == ["ukbench00000", "ukbench00004"]
    touch(tmp_path / "full", "index.jpg")
    with pytest.raises(DatasetError, match=r"full: images must have names that end in a number, got 'index.jpg'"):
        layout("numbered-groups", size=4, inside=["full"]).load(tmp_path)


def oxford(root: Path) -> None:
    touch(root / "jpg", "all_souls_000001.jpg", "all_souls_000002.jpg", "deep/oxford_000003.jpg", "new_000004.jpg")
    gt = root / "gt"
    gt.mkdir()
    for name, text in (
        ("all_souls_1_query.txt", "oxc1_all_souls_000001 1 2 30 40"),
        ("all_souls_1_good.txt", "all_souls_000001\nall_souls_000002\n"),
        ("all_souls_1_ok.txt", ""),
        ("all_souls_1_junk.txt", "oxford_000003\nbroken_000009\n"),
    ):
        (gt / name).write_text(text, encoding="utf-8")


def test_oxford_buildings(tmp_path: Path) -> None:
    oxford(tmp_path)
    touch(tmp_path / "jpg", "broken_000009.jpg")
    found = layout("oxford-buildings", leave_out=["broken_000009.jpg"]).retrieval(tmp_path)
    (query,) = found.ground_truth.queries
    assert (query.name, query.box) == ("all_souls_1", (1, 2, 29, 38))
    assert {path.name for path in query.relevant} == {"all_souls_000001.jpg", "all_souls_000002.jpg"}
    assert {path.name for path in query.ignored} == {"oxford_000003.jpg"}
    label = {path.name: label for path, label in zip(found.indexed, found.images.labels, strict=True)}
    assert label == {
        "all_souls_000001.jpg": "all_souls",
        "all_souls_000002.jpg": "all_souls",
        "new_000004.jpg": "other",
        "oxford_000003.jpg": "other",
    }


def test_oxford_buildings_that_are_not_whole(tmp_path: Path) -> None:
    oxford(tmp_path)
    with pytest.raises(DatasetError, match="the ground truth names an image that is not there: broken_000009"):
        layout("oxford-buildings").load(tmp_path)
    with pytest.raises(DatasetError, match=r"expected files \*_query\.txt"):
        layout("oxford-buildings").load(tmp_path / "jpg")


def test_a_truth_table_beside_images(tmp_path: Path) -> None:
    touch(tmp_path, "images/a_10.jpg", "images/a_9.jpg", "images/b_1.jpg", "images/c.jpg")
    table = tmp_path / "truth.csv"
    table.write_text(
        "query,image,label\nimages/a_10.jpg,images/a_9.jpg,relevant\nimages/a_10.jpg,images/c.jpg,ignored\n"
    )
    made = layout("truth-table", truth="truth.csv")
    found = made.retrieval(tmp_path)
    assert [path.name for path in found.indexed] == ["a_9.jpg", "a_10.jpg", "b_1.jpg", "c.jpg"]
    assert found.images.labels == ("a_10", "a_10", "other", "other")
    (query,) = found.ground_truth.queries
    assert ({p.name for p in query.relevant}, {p.name for p in query.ignored}) == ({"a_9.jpg"}, {"c.jpg"})
    table.write_text("query,image,label\nimages/a_10.jpg,images/gone.jpg,relevant\n")
    with pytest.raises(DatasetError, match=r"names an image that is not there: .*gone\.jpg"):
        made.load(tmp_path)


def test_the_data_sets_that_come_with_cvbow() -> None:
    layouts = {name: find_dataset(name).layout for name in dataset_names()}
    sets = {name for name, made in layouts.items() if isinstance(made, RetrievalLayout)}
    assert sets == {"buildings", "dvd-covers", "holidays", "oxford5k", "paris6k", "ukbench"}


def test_dvd_covers(shared_data: Path) -> None:
    place = locate("dvd-covers", shared_data / "dvd_covers")
    images = load_dataset(place)
    assert (len(images), len(images.classes)) == (500, 100)
    made = place.manifest.layout
    assert isinstance(made, RetrievalLayout)
    found = made.retrieval(place.root)
    assert (len(found.indexed), len(found.ground_truth)) == (100, 400)
    for query in found.ground_truth.queries:
        (reference,) = query.relevant
        assert (reference.parent.name, reference.name) == ("Reference", query.image.name)
    assert verify("dvd-covers", shared_data / "dvd_covers").against == "counts"
