"""Data sets: their manifests, their layouts, where they are looked for, and whether they are whole."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from own_datasets import register, tiny_manifest
from tiny_images import write_dataset

from cvbow._toml import TomlTable
from cvbow.datasets import (
    LabelledImages,
    RetrievalLayout,
    cache_folder,
    dataset_names,
    find_dataset,
    fingerprint,
    load_dataset,
    locate,
    read_dataset,
    verify,
)
from cvbow.datasets.images import Layout
from cvbow.datasets.layouts import LAYOUTS
from cvbow.datasets.sequences import Sequences
from cvbow.errors import DatasetError
from cvbow.images import list_images


def layout(kind: str, **options: object) -> Layout:
    return TomlTable(Path("test.toml"), dict(options)).build(*LAYOUTS[kind])


@pytest.mark.parametrize("name", dataset_names())
def test_every_manifest_is_complete(name: str) -> None:
    manifest = find_dataset(name)
    assert manifest.name == name
    assert manifest.homepage.startswith("http")
    assert manifest.terms.endswith((".", "4.0"))
    assert re.search(r"\b(19|20)\d\d\b", manifest.citation)
    # A set of one class is there for its masks or boxes.
    assert manifest.n_classes > 1 or re.search("mask|box", manifest.content)
    # A class is learned from some ten images; a sequence, or what a query should find, is two or more of one scene.
    least = 2 if isinstance(manifest.layout, Sequences | RetrievalLayout) else 10
    assert manifest.n_images >= least * manifest.n_classes
    for file in manifest.files:
        assert len(file.urls[0].split("/")) > 3
        # Nobody whom we can name has published these.
        unknown = file.name in ("bikes.tar.gz", "leuven.tar.gz") or isinstance(manifest.layout, RetrievalLayout)
        assert (file.hash is None) == (file.hash_source is None) == unknown


def test_no_manifest_asks_for_a_pickle() -> None:
    """CIFAR-10 also comes as a pickle, which can execute anything."""
    (file,) = find_dataset("cifar10").files
    assert "binary" in file.urls[0]
    assert file.hash == "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("n_images = 18", 'n_images = "many"', "n_images must be an integer >= 1, got 'many'"),
        ("n_images = 18", "", "the key n_images is missing"),
        ('layout = "folders"', 'layout = "zip"', "layout must be one of folders, cifar-binary, digits"),
        ('terms = "none"', 'licence = "none"', "the key terms is missing"),
        ('terms = "none"', 'terms = "none"\nlicence = "x"', "unknown key licence; the keys here are"),
    ],
)
def test_a_mistake_in_a_manifest_names_the_file_and_the_key(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_manifest().replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tiny\.toml") as caught:
        read_dataset(path)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[options]\ninsied = []", "unknown key options.insied; the keys here are inside, leave_out"),
        ("[options]\nlabels = 3", "options.labels must be a table of texts"),
        ('[[files]]\nname = "../x"\nurls = ["https://x/y"]', "files[1].name must be a file name, got '../x'"),
        ('[[files]]\nname = "x"\nurls = ["file:///etc/passwd"]', "files[1].urls must be a list of addresses"),
        ('[[files]]\nname = "x"\nurls = []', "files[1].urls must be a list of addresses"),
        ('[[files]]\nname = "x"\nurls = ["https://x/y"]\nhash = "crc:12"', "files[1].hash must be sha256: or md5:"),
        (
            f'[[files]]\nname = "x"\nurls = ["https://x/y"]\nhash = "md5:{"0" * 32}"',
            "files[1].hash_source must be given with a hash, and only then",
        ),
    ],
)
def test_a_mistake_below_a_table_is_named_too(tmp_path: Path, more: str, expected: str) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_manifest(more=more), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tiny\.toml") as caught:
        read_dataset(path)
    assert expected in str(caught.value)


def test_an_unknown_data_set_lists_those_there_are() -> None:
    with pytest.raises(
        ValueError,
        match=r"data set must be one of bccd, buildings, caltech101, .*scene15, ukbench, weizmann-horses, got 'scenes'",
    ):
        find_dataset("scenes")


# Layouts


def test_folders_below_others_and_folders_that_are_no_class(tmp_path: Path) -> None:
    write_dataset(tmp_path / "top" / "set")
    (tmp_path / "top" / "set" / "BACKGROUND").mkdir()
    (tmp_path / "top" / "set" / "BACKGROUND" / "x.png").write_bytes(b"x")
    made = layout("folders", inside=["nowhere", "top/set"], leave_out=["BACKGROUND"], labels={"checker": "Checker"})
    found = made.load(tmp_path)
    assert found.classes == ("Checker", "horizontal", "vertical")
    assert len(found) == 18
    assert "Checker/00.png" in found.names
    assert found.partitions == ()
    assert made.load(tmp_path / "top" / "set").names == found.names, "the folder itself will do"


def test_names_tell_splits_only_where_they_must(tmp_path: Path) -> None:
    write_dataset(tmp_path / "train")
    write_dataset(tmp_path / "test", per_class=2)
    found = layout("folders").load(tmp_path)
    assert "train/checker/00.png" in found.names
    assert "test/checker/00.png" in found.names
    assert Counter(found.partitions[0]) == {"train": 18, "test": 6}
    for path in (tmp_path / "test").rglob("*.png"):
        path.rename(path.with_name(f"t{path.name}"))
    assert "checker/t00.png" in layout("folders").load(tmp_path).names


def test_a_standard_split_by_numbers(tmp_path: Path) -> None:
    data = write_dataset(tmp_path)
    numbers = {"checker": [0, 3], "horizontal": [1], "vertical": [5]}
    found = layout("folders", train_numbers=numbers).load(data)
    (split,) = found.partitions
    train = {name for name, part in zip(found.names, split, strict=True) if part == "train"}
    assert train == {"checker/00.png", "checker/03.png", "horizontal/01.png", "vertical/05.png"}
    assert set(split) == {"train", "test"}
    with pytest.raises(DatasetError, match=r"the standard split has no image vertical/00\.png"):
        layout("folders", train_numbers={"checker": [0], "horizontal": [0]}).load(data)


def test_the_standard_split_of_15_scene_is_the_one_of_the_folders(shared_data: Path, tmp_path: Path) -> None:
    """A copy as the authors pack it gets the same names and the same split as one with train/ and test/."""
    if not (shared_data / "scene15").is_dir():
        pytest.skip("needs scene15 among the real data sets")
    made = find_dataset("scene15").layout
    folders = made.load(shared_data / "scene15")
    packed = {new: old for old, new in made.labels.items()}  # type: ignore[attr-defined]
    for image, label in zip(folders.images, folders.labels, strict=True):
        target = tmp_path / "scene_categories" / packed[label]
        target.mkdir(parents=True, exist_ok=True)
        (target / Path(str(image)).name).symlink_to(str(image))
    authors = made.load(tmp_path)
    assert Counter(authors.partitions[0]) == {"train": 1500, "test": 2985}
    assert dict(zip(authors.names, authors.partitions[0], strict=True)) == dict(
        zip(folders.names, folders.partitions[0], strict=True)
    )


def write_cifar(folder: Path, per_file: int = 20) -> np.ndarray:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    records = rng.integers(0, 256, (6, per_file, 3073), dtype=np.uint8)
    records[:, :, 0] = rng.integers(0, 10, (6, per_file))
    for name, content in zip([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], records, strict=True):
        (folder / f"{name}.bin").write_bytes(content.tobytes())
    return records


def test_cifar_binary(tmp_path: Path) -> None:
    records = write_cifar(tmp_path / "cifar-10-batches-bin")
    found = layout("cifar-binary").load(tmp_path)
    assert len(found) == 120
    assert found.partitions == (("train",) * 100 + ("test",) * 20,)
    assert found.names[21] == "data_batch_2/00001"
    image = found.images[21]
    assert isinstance(image, np.ndarray)
    assert image.shape == (32, 32, 3)
    # A record is 1024 red bytes row by row, then green, then blue.
    assert image[2, 5].tolist() == [records[1, 1, 1 + plane * 1024 + 2 * 32 + 5] for plane in range(3)]
    assert len(set(found.labels)) == 10
    assert sorted(set(found.labels)).index(found.labels[21]) == records[1, 1, 0], "the classes are numbered by alphabet"
    assert image.base is not None
    assert type(image) is np.ndarray
    assert not image.flags.writeable
    assert layout("cifar-binary").load(tmp_path / "cifar-10-batches-bin").names == found.names


def test_cifar_binary_that_is_not_whole(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_cifar(folder)
    (folder / "data_batch_3.bin").write_bytes(b"x" * 4000)
    with pytest.raises(DatasetError, match=r"data_batch_3\.bin: expected records of 3073 bytes, found 4000"):
        layout("cifar-binary").load(folder)
    (folder / "data_batch_3.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(DatasetError, match=r"data_batch_3\.bin: expected labels 0 to 9, found 10"):
        layout("cifar-binary").load(folder)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DatasetError, match=r"data_batch_3\.bin: there is no such file; the binary version"):
        layout("cifar-binary").load(folder)


def test_digits_are_the_known_ones() -> None:
    found = load_dataset(locate("digits"))
    assert len(found) == 1797
    assert Counter(found.labels)["0"] == 178
    image = found.images[0]
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.uint8
    assert image.min() < 30
    assert image.max() == 255
    assert verify("digits", n_jobs=1).against == "fingerprint"
    with pytest.raises(ValueError, match="comes with scikit-learn"):
        locate("digits", ".")


def test_numbered_classes(tmp_path: Path) -> None:
    from scipy.io import savemat

    (tmp_path / "jpg").mkdir()
    for number in range(1, 7):
        (tmp_path / "jpg" / f"image_{number:04d}.jpg").write_bytes(b"x")
    (tmp_path / "jpg" / "files.txt").write_text("x")
    made = layout("numbered-classes", classes=["daffodil", "snowdrop"], splits="s.mat")
    found = made.load(tmp_path)
    assert found.labels == ("daffodil",) * 3 + ("snowdrop",) * 3
    assert found.partitions == ()
    parts = {"trn": [[1, 4]], "val": [[2]], "tst": [[3, 5]]}
    savemat(tmp_path / "s.mat", {f"{key}{n}": np.array(row) for key, row in parts.items() for n in (1, 2)})
    assert made.load(tmp_path).partitions == (("train", "validation", "test", "train", "test", None),) * 2
    (tmp_path / "s.mat").write_bytes(b"not a MATLAB file")
    with pytest.raises(DatasetError, match=r"s\.mat: not a readable MATLAB file"):
        made.load(tmp_path)
    (tmp_path / "jpg" / "image_0003.jpg").unlink()
    with pytest.raises(DatasetError, match="as many for each class; found 5"):
        made.load(tmp_path)


def test_label_files(tmp_path: Path) -> None:
    base = tmp_path / "dtd"
    write_dataset(base / "images", per_class=3)
    (base / "labels").mkdir()
    for number in (1, 2):
        for stem, image in (("train", number - 1), ("val", 2 - number), ("test", 2)):
            lines = "".join(f"{name}/{image:02d}.png\n" for name in ("checker", "horizontal", "vertical"))
            (base / "labels" / f"{stem}{number}.txt").write_text(lines)
    made = layout("label-files", inside=["dtd"])
    found = made.load(tmp_path)
    assert found.partitions == (("train", "validation", "test") * 3, ("validation", "train", "test") * 3)
    (base / "labels" / "val2.txt").write_text("checker/07.png\n")
    with pytest.raises(DatasetError, match=r"split 2 names an image that is not there: checker/07\.png"):
        made.load(tmp_path)
    (base / "labels" / "val2.txt").unlink()
    with pytest.raises(DatasetError, match=r"val2\.txt: there is no such file"):
        made.load(tmp_path)
    with pytest.raises(DatasetError, match="expected a folder images"):
        made.load(tmp_path / "dtd" / "labels")


# Places


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register(monkeypatch, tmp_path / "own", tiny=tiny_manifest(more='folders = ["Tiny_Textures"]'))
    return write_dataset(tmp_path / "have" / "Tiny_Textures")


def test_the_folder_that_was_given_comes_first(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="Tiny textures: the data set is not on this machine"):
        locate("tiny")
    fetched = write_dataset(cache_folder() / "tiny" / "data")
    assert (locate("tiny").root, locate("tiny").origin) == (fetched, "fetched")
    monkeypatch.setenv("CVBOW_DATA", str(tiny.parent))
    assert (locate("tiny").root, locate("tiny").origin) == (tiny, "CVBOW_DATA")
    (tiny.parent / "tiny").mkdir()
    assert locate("tiny").root == tiny.parent / "tiny", "its own name before others that it goes by"
    assert (locate("tiny", tiny).root, locate("tiny", tiny).origin) == (tiny, "given")
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        locate("tiny", tiny / "nowhere")


def test_a_data_set_in_place_is_not_changed(tiny: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny.rglob("*")} | {tiny: tiny.stat().st_mtime_ns}
    found = verify("tiny", tiny, n_jobs=1)
    assert found.against == "counts"
    assert (found.n_images, found.n_classes) == (18, 3)
    assert {path: path.stat().st_mtime_ns for path in [*tiny.rglob("*"), tiny]} == before


def test_absent_data_says_what_to_fetch_and_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CVBOW_CACHE", str(tmp_path))
    monkeypatch.delenv("CVBOW_DATA", raising=False)
    with pytest.raises(DatasetError) as caught:
        locate("dtd")
    for part in ("cvbow data fetch dtd", "https://www.robots.ox.ac.uk/", "625 MB", "--data DIR", "CVBOW_DATA"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "{home}/x", "{home}/x/cvbow"),
        ("linux", None, None, "{home}/.cache/cvbow"),
        ("darwin", None, None, "{home}/Library/Caches/cvbow"),
        ("win32", "LOCALAPPDATA", "{home}/Local", "{home}/Local/cvbow/Cache"),
    ],
)
def test_the_cache_is_where_the_system_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str | None, value: str, expected: str
) -> None:
    for name in ("CVBOW_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if variable:
        monkeypatch.setenv(variable, value.format(home=tmp_path))
    if os.name == "nt":
        pytest.skip("the home folder is named otherwise")
    monkeypatch.setattr("cvbow.datasets.places.sys.platform", platform)
    assert str(cache_folder()) == expected.format(home=tmp_path)


# Fingerprints


def test_a_fingerprint_is_of_names_labels_and_contents(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "a")
    images = LabelledImages.from_list(list_images(data))
    base = fingerprint(images, n_jobs=1)
    assert base == fingerprint(images, n_jobs=2)
    moved = LabelledImages.from_list(list_images(write_dataset(tmp_path / "elsewhere")))
    assert fingerprint(moved, n_jobs=1) == base
    order = list(reversed(range(18)))
    turned = LabelledImages(*(tuple(row[i] for i in order) for row in (images.images, images.labels, images.names)))
    assert fingerprint(turned, n_jobs=1) == base
    other = LabelledImages(images.images, ("other", *images.labels[1:]), images.names)
    assert fingerprint(other, n_jobs=1) != base
    assert fingerprint(images, only=range(17), n_jobs=1) != base
    (data / "checker" / "00.png").write_bytes((data / "checker" / "01.png").read_bytes())
    assert fingerprint(images, n_jobs=1) != base


def test_labelled_images_run_in_parallel() -> None:
    with pytest.raises(ValueError, match="must have one length"):
        LabelledImages((Path("a"),), ("x",), ("a", "b"))
    with pytest.raises(ValueError, match="must have one length"):
        LabelledImages((Path("a"),), ("x",), ("a",), (("train", "test"),))
    with pytest.raises(ValueError, match="names must differ"):
        LabelledImages((Path("a"), Path("b")), ("x", "x"), ("a", "a"))


def test_real_data_sets_are_as_large_as_their_manifests_say(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVBOW_DATA", str(shared_data))
    for name in ("scene15", "kth-tips", "cifar10-small"):
        place = locate(name)
        assert place.origin == "CVBOW_DATA"
        assert len(load_dataset(place)) == place.manifest.n_images
