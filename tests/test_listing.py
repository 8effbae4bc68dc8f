from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbow.errors import DatasetError
from cvbow.images import IMAGE_SUFFIXES, ImageList, gather_images, list_images, natural_key


def grow(root: Path, *files: str) -> Path:
    """Create empty files below `root`; listing does not open them."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def relative(found: ImageList, root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found.paths]


def reason_of(source: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        list_images(source)
    return caught.value.reason


# ---- natural order ----


def test_natural_order() -> None:
    names = ["img10", "img2", "IMG1", "img02", "a", "B", "img", "img2b", "2", "10", "1.5", ""]
    expected = ["", "1.5", "2", "10", "a", "B", "img", "IMG1", "img02", "img2", "img2b", "img10"]
    assert sorted(names, key=natural_key) == expected
    assert natural_key("9" * 5000) < natural_key("1" + "0" * 5000)


@given(st.lists(st.text(alphabet="aAbB019é_- ", max_size=8), max_size=12), st.randoms())
def test_natural_order_is_total(names: list[str], shuffler: random.Random) -> None:
    expected = sorted(names, key=natural_key)
    shuffler.shuffle(names)
    assert sorted(names, key=natural_key) == expected
    keys = {natural_key(name) for name in names}
    assert len(keys) == len(set(names))


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.text(alphabet="xyz_", max_size=3))
def test_natural_order_is_that_of_the_numbers(first: int, second: int, stem: str) -> None:
    assert (natural_key(f"{stem}{first}.png") < natural_key(f"{stem}{second}.png")) == (first < second)


# ---- folders ----


def test_classes_are_the_folders_below_the_root(tmp_path: Path) -> None:
    grow(tmp_path, "dog/img10.jpg", "dog/img2.JPG", "cat/1.png", "zebra/x.webp", "zebra/y.tiff", "zebra/z.gif")
    found = list_images(tmp_path)
    assert relative(found, tmp_path) == [
        "cat/1.png",
        "dog/img2.JPG",
        "dog/img10.jpg",
        "zebra/x.webp",
        "zebra/y.tiff",
        "zebra/z.gif",
    ]
    assert found.labels == ("cat", "dog", "dog", "zebra", "zebra", "zebra")
    assert found.splits == (None,) * 6
    assert found.classes == ("cat", "dog", "zebra")
    assert found.counts == {"cat": 1, "dog": 2, "zebra": 3}
    assert found.ignored == 0
    assert found.empty == ()
    assert not found.has_splits
    assert len(found) == 6
    assert list_images(str(tmp_path)) == found


def test_classes_are_in_natural_order(tmp_path: Path) -> None:
    grow(tmp_path, *(f"class{number}/a.png" for number in (1, 10, 2, 11, 3)))
    assert list_images(tmp_path).classes == ("class1", "class2", "class3", "class10", "class11")


def test_deeper_images_belong_to_the_first_folder(tmp_path: Path) -> None:
    grow(tmp_path, "cat/2020/b.png", "cat/a.png", "cat/2019/summer/c.png", "dog/10.png", "dog/9/x.png")
    found = list_images(tmp_path)
    assert relative(found, tmp_path) == [
        "cat/2019/summer/c.png",
        "cat/2020/b.png",
        "cat/a.png",
        "dog/9/x.png",
        "dog/10.png",
    ]
    assert found.labels == ("cat", "cat", "cat", "dog", "dog")


@pytest.mark.parametrize(
    "names", [("train", "validation", "test"), ("Training", "VAL", "testing"), ("TRAIN", "valid", "Test")]
)
def test_splits_are_found(tmp_path: Path, names: tuple[str, str, str]) -> None:
    train, validation, test = names
    grow(tmp_path, f"{train}/cat/1.png", f"{train}/dog/1.png", f"{validation}/cat/2.png", f"{test}/dog/3/a.png")
    found = list_images(tmp_path)
    by_split = {split: relative(found.select(split), tmp_path) for split in ("train", "validation", "test")}
    assert by_split == {
        "train": [f"{train}/cat/1.png", f"{train}/dog/1.png"],
        "validation": [f"{validation}/cat/2.png"],
        "test": [f"{test}/dog/3/a.png"],
    }
    assert found.select("test").labels == ("dog",)
    assert found.has_splits
    assert found.classes == ("cat", "dog")


def test_one_split_alone_is_a_split(tmp_path: Path) -> None:
    found = list_images(grow(tmp_path, "train/cat/1.png", "train/dog/1.png"))
    assert set(found.splits) == {"train"}
    assert found.classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    found = list_images(grow(tmp_path, "train/1.png", "car/1.png", "bus/1.png"))
    assert found.classes == ("bus", "car", "train")
    assert not found.has_splits


def test_split_without_class_folders_is_refused(tmp_path: Path) -> None:
    grow(tmp_path, "train/cat/1.png", "test/1.png", "test/2.png")
    assert reason_of(tmp_path) == ("expected DIR/<split>/<class>/<image>, found images but no class folders in test")


def test_splits_without_any_class_folder_are_not_taken_for_classes(tmp_path: Path) -> None:
    assert "no class folders in test, train" in reason_of(grow(tmp_path, "train/1.png", "test/1.png"))


def test_splits_beside_other_folders_are_refused(tmp_path: Path) -> None:
    grow(tmp_path, "train/cat/1.png", "test/cat/1.png", "unlabelled/1.png")
    reason = reason_of(tmp_path)
    assert "split (test, train) and beside it (unlabelled)" in reason
    assert reason.endswith("move or rename one of them")


def test_folder_without_images_beside_splits_does_no_harm(tmp_path: Path) -> None:
    found = list_images(grow(tmp_path, "train/cat/1.png", "test/cat/1.png", "docs/readme.txt", "a.txt"))
    assert found.has_splits
    assert found.ignored == 2
    assert found.empty == ("docs",)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    grow(
        tmp_path,
        "cat/1.png",
        "cat/notes.txt",
        "cat/noext",
        "cat/Thumbs.db",
        "cat/.hidden.png",
        "cat/sub/desktop.ini",
        "cat/sub/2.png",
        "dog/1.jpeg",
        ".cache/a.png",
        "__MACOSX/cat/1.png",
        "dog/.DS_Store",
        "stray.png",
        "labels.csv",
    )
    found = list_images(tmp_path)
    assert relative(found, tmp_path) == ["cat/1.png", "cat/sub/2.png", "dog/1.jpeg"]
    assert found.classes == ("cat", "dog")
    # notes, noext, Thumbs, hidden, desktop.ini, .cache, __MACOSX, .DS_Store, stray, labels: a folder counts as one.
    assert found.ignored == 10


def test_stray_images_of_a_split_are_counted(tmp_path: Path) -> None:
    found = list_images(grow(tmp_path, "train/cat/1.png", "train/stray.png", "stray.png", "test/cat/1.png", "x.txt"))
    assert relative(found, tmp_path) == ["test/cat/1.png", "train/cat/1.png"]
    assert found.ignored == 3


def test_class_folders_without_images_are_reported(tmp_path: Path) -> None:
    grow(tmp_path, "cat/1.png", "dog/readme.txt")
    (tmp_path / "ant").mkdir()
    found = list_images(tmp_path)
    assert found.classes == ("cat",)
    assert found.empty == ("ant", "dog")
    grow(tmp_path / "split", "train/cat/1.png", "test/cat/1.png")
    (tmp_path / "split" / "test" / "dog").mkdir()
    (tmp_path / "split" / "validation").mkdir()
    assert list_images(tmp_path / "split").empty == ("validation", "test/dog")


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    found = list_images(grow(tmp_path, f"a/1{suffix}", f"a/2{suffix.upper()}"))
    assert len(found) == 2


def test_files_that_only_look_like_images_are_listed(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "text.jpg").write_text("no image")
    assert len(list_images(tmp_path)) == 1


def test_empty_folder(tmp_path: Path) -> None:
    assert reason_of(tmp_path) == (
        "no class folder with images; expected DIR/<class>/<image> or DIR/<split>/<class>/<image>, found nothing"
    )


def test_images_directly_in_the_root(tmp_path: Path) -> None:
    grow(tmp_path, "1.png", "2.png", "readme.txt")
    (tmp_path / "sub").mkdir()
    assert reason_of(tmp_path).endswith("found 2 images directly in it, 1 folder without images, 1 other file")


def test_a_class_folder_itself_is_not_a_data_set(tmp_path: Path) -> None:
    grow(tmp_path, "cat/1.png")
    assert "found 1 image directly in it" in reason_of(tmp_path / "cat")


def test_missing_source(tmp_path: Path) -> None:
    for name in ("none", "none.csv"):
        with pytest.raises(FileNotFoundError, match=name):
            list_images(tmp_path / name)


def test_a_file_that_is_no_csv(tmp_path: Path) -> None:
    grow(tmp_path, "photo.jpg")
    assert reason_of(tmp_path / "photo.jpg").startswith("expected a folder, DIR/<class>/<image>")


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    grow(tmp_path / "real", "a.png", "deep/b.png")
    root = grow(tmp_path / "set", "cat/1.png")
    (root / "ant").symlink_to(tmp_path / "real" / "deep", target_is_directory=True)
    (root / "dog").symlink_to(tmp_path / "real", target_is_directory=True)
    (root / "fox").symlink_to(tmp_path / "real", target_is_directory=True)
    (root / "cat" / "up").symlink_to(root, target_is_directory=True)
    (root / "cat" / "self").symlink_to(root / "cat", target_is_directory=True)
    (tmp_path / "real" / "deep" / "again").symlink_to(tmp_path / "real", target_is_directory=True)
    found = list_images(root)
    # A folder under several names is listed once, by the first link where all are links.
    assert relative(found, root) == ["ant/b.png", "cat/1.png", "dog/a.png"]
    assert found.ignored == 5


def test_a_folder_below_the_root_keeps_its_own_name(tmp_path: Path) -> None:
    """A link that comes first in the order must not take its images away."""
    grow(tmp_path, "zebra/1.png", "zebra/2.png")
    (tmp_path / "ant").symlink_to("zebra", target_is_directory=True)
    found = list_images(tmp_path)
    assert found.counts == {"zebra": 2}
    assert found.ignored == 1


def test_a_farm_of_links_is_walked_once(tmp_path: Path) -> None:
    """24 folders, each with two links to the next one: 2^24 ways to the image at the end."""
    folders = [tmp_path / "farm" / str(number) for number in range(25)]
    for folder, after in itertools.pairwise(folders):
        folder.mkdir(parents=True)
        for name in ("left", "right"):
            (folder / name).symlink_to(after, target_is_directory=True)
    grow(folders[-1], "1.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "cat").symlink_to(folders[0], target_is_directory=True)
    found = list_images(tmp_path / "set")
    assert relative(found, tmp_path / "set") == ["cat/" + "left/" * 24 + "1.png"]
    paths, ignored = gather_images([tmp_path / "set"])
    assert (paths, ignored) == (found.paths, found.ignored) == (found.paths, 24)


def test_broken_links_are_listed_so_that_reading_reports_them(tmp_path: Path) -> None:
    grow(tmp_path, "cat/1.png")
    (tmp_path / "cat" / "2.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "cat" / "3.png").symlink_to(tmp_path / "cat" / "3.png")
    (tmp_path / "cat" / "broken").symlink_to(tmp_path / "gone")
    found = list_images(tmp_path)
    assert relative(found, tmp_path) == ["cat/1.png", "cat/2.png", "cat/3.png"]
    assert found.ignored == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipes_are_left_out(tmp_path: Path) -> None:
    grow(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    found = list_images(tmp_path)
    assert relative(found, tmp_path) == ["cat/1.png"]
    assert found.ignored == 1


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(tmp_path, "cat/1.png", "dog/1.png")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match=r"dog: the folder cannot be read \(permission denied\)"):
        list_images(tmp_path)


def test_folders_nested_without_end(tmp_path: Path) -> None:
    (tmp_path / Path("cat", *"d" * 150)).mkdir(parents=True)
    with pytest.raises(DatasetError, match="nested more than 100 deep"):
        list_images(tmp_path)


def test_order_does_not_depend_on_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(tmp_path, *(f"c{number % 3}/i{number}.png" for number in range(30)))
    expected = list_images(tmp_path)
    scan = os.scandir

    class Shuffled:
        def __init__(self, path: str) -> None:
            self.entries = list(scan(path))
            random.Random(len(self.entries)).shuffle(self.entries)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert list_images(tmp_path) == expected
    assert expected.paths[:3] == tuple(tmp_path / "c0" / f"i{number}.png" for number in (0, 3, 6))


# ---- CSV ----


def csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "images.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv(tmp_path: Path) -> None:
    path = csv(tmp_path, f"path,label\nb/2.png,dog\na.png,cat\n{tmp_path}/x/1.png,dog\na.png,cat\n")
    found = list_images(path)
    # Rows keep their order, and may repeat.
    assert found.paths == tuple(tmp_path / name for name in ("b/2.png", "a.png", "x/1.png", "a.png"))
    assert found.labels == ("dog", "cat", "dog", "cat")
    assert found.splits == (None,) * 4
    assert found.classes == ("cat", "dog")
    assert not found.has_splits


def test_csv_with_splits_in_any_order_of_columns(tmp_path: Path) -> None:
    text = 'Split,note,LABEL , path\ntrain,"a, b",cat,1.png\nVal,,dog,2.png\n,,dog,3.png\ntesting,x,cat,4.png\n'
    found = list_images(csv(tmp_path, text))
    assert found.labels == ("cat", "dog", "dog", "cat")
    assert found.splits == ("train", "validation", None, "test")
    assert found.select("val").paths == (tmp_path / "2.png",)


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    text = '\ufeffpath,label\r\n\r\n"a, the ""first"".png","label, with comma"\r\n,\r\n  b.png , é \r\n   \r\n'
    found = list_images(csv(tmp_path, text))
    assert found.paths == (tmp_path / 'a, the "first".png', tmp_path / "b.png")
    assert found.labels == ("label, with comma", "é")


def test_csv_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "LIST.CSV"
    path.write_text("path,label\n1.png,cat\n")
    assert list_images(path).labels == ("cat",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty; expected the columns path,label[,split]"),
        ("\n\n", "the file is empty; expected the columns path,label[,split]"),
        ("path,label\n", "no images are listed below the header"),
        ("file,class\na,b\n", "no column path or label; expected the columns path,label[,split], found 'file,class'"),
        ("path;label\na;b\n", "no column path or label; expected the columns path,label[,split], found 'path;label'"),
        ("path,class\na,b\n", "no column label; expected the columns path,label[,split], found 'path,class'"),
        ("path,label,Path\na,b,c\n", "the column path occurs 2 times"),
        ("path,label\na.png,cat\n,dog\n", "line 3: the path is empty"),
        ("path,label\n\n\na.png,\n", "line 4: the label is empty"),
        ("path,label\na.png\n", "line 2: the label is empty"),
        (
            "path,label,split\na.png,cat,train\nb.png,cat,dev\n",
            "line 3: the split must be one of train, training, validation, val, valid, test, testing or empty, "
            "got 'dev'",
        ),
        (b"path,label\n\xff\xfe.png,cat\n", "the file is not UTF-8 text"),
        ('path,label\n"a.png,cat\n', "line 2: unexpected end of data"),
        ("path,label\na.png," + "x" * 200_000 + "\n", "line 2: field larger than field limit (131072)"),
    ],
)
def test_csv_mistakes(tmp_path: Path, text: str | bytes, reason: str) -> None:
    path = csv(tmp_path, text)
    assert reason_of(path) == reason
    with pytest.raises(DatasetError, match=r"images\.csv: "):
        list_images(path)


def test_line_numbers_count_lines_not_rows(tmp_path: Path) -> None:
    assert reason_of(csv(tmp_path, 'path,label\n"two\nlines.png",cat\n,cat\n')).startswith("line 4: ")


def test_csv_files_are_not_looked_up(tmp_path: Path) -> None:
    rows = "".join(f"missing/{number}.png,{number % 7}\n" for number in range(2000))
    found = list_images(csv(tmp_path, "path,label\n" + rows))
    assert len(found) == 2000
    assert found.counts == {str(label): np.bincount(np.arange(2000) % 7)[label] for label in range(7)}


# ---- ImageList ----

LIST = ImageList(
    paths=tuple(Path(f"{number}.png") for number in range(4)),
    labels=("b", "a", "a10", "a2"),
    splits=("train", "test", None, "train"),
    ignored=3,
    empty=("c",),
)


def test_select_keeps_order_and_counts() -> None:
    chosen = LIST.select("Training")
    assert chosen == ImageList((Path("0.png"), Path("3.png")), ("b", "a2"), ("train", "train"), 3, ("c",))
    assert len(LIST.select("validation")) == 0
    assert LIST.classes == ("a", "a2", "a10", "b")


@pytest.mark.parametrize("split", ["dev", "", None, 3])
def test_select_refuses_other_names(split: object) -> None:
    with pytest.raises(ValueError, match=r"split must be one of train, training, validation, .*, got "):
        LIST.select(split)


def test_image_list_is_frozen_and_checked() -> None:
    with pytest.raises(AttributeError):
        LIST.ignored = 4
    with pytest.raises(ValueError, match="must have one length, got 1, 2 and 0"):
        ImageList((Path("a"),), ("a", "b"), ())
    same = ImageList(LIST.paths, LIST.labels, LIST.splits, LIST.ignored, LIST.empty)
    assert same == LIST
    assert len({same, LIST, LIST.select("train")}) == 2


def test_repr_is_short() -> None:
    assert repr(LIST) == "ImageList(4 images, 4 classes, splits=['test', 'train'], ignored=3)"
    many = ImageList((Path("a"),) * 9000, ("x",) * 9000, (None,) * 9000)
    assert repr(many) == "ImageList(9000 images, 1 classes, ignored=0)"
