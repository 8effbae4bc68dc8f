"""Sequences of images with homographies: the two ways that they lie in folders, and what is refused."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvbow.datasets import Sequences, fingerprint, homographies_hash
from cvbow.datasets.catalog import RemoteFile
from cvbow.datasets.fetching import _unpack
from cvbow.errors import DatasetError


def write_sequence(folder: Path, n: int = 3, *, hpatches: bool = False) -> Path:
    folder.mkdir(parents=True)
    for number in range(1, n + 1):
        name = f"{number}.png" if hpatches else f"img{number}.png"
        cv2.imwrite(str(folder / name), np.full((20, 30), 10 * number, np.uint8))
        if number > 1:
            file = f"H_1_{number}" if hpatches else f"H1to{number}p"
            np.savetxt(folder / file, [[1, 0, number], [0, 1, 0], [0, 0, 1]])
    return folder


@pytest.mark.parametrize("hpatches", [False, True])
def test_both_ways_are_read(tmp_path: Path, hpatches: bool) -> None:
    for name in ("s10", "s2"):
        write_sequence(tmp_path / name, hpatches=hpatches)
    (tmp_path / "else").mkdir()
    (tmp_path / "s2" / "notes.txt").write_text("not an image")
    two, ten = Sequences().sequences(tmp_path)
    assert (two.name, ten.name) == ("s2", "s10")
    assert [path.stem[-1] for path in two.images] == ["1", "2", "3"]
    assert [matrix[0, 2] for matrix in two.homographies] == [2, 3]
    images = Sequences().load(tmp_path)
    assert images.labels == ("s2",) * 3 + ("s10",) * 3
    assert images.names[0] == f"s2/{two.images[0].name}"
    assert [sequence.name for sequence in Sequences(("s2",)).sequences(tmp_path)] == ["s2"]


def test_hashes_tell_images_and_homographies_apart(tmp_path: Path) -> None:
    write_sequence(tmp_path / "s")
    layout = Sequences()
    before = fingerprint(layout.load(tmp_path), n_jobs=1), homographies_hash(layout.sequences(tmp_path))
    np.savetxt(tmp_path / "s" / "H1to2p", np.diag([2, 2, 1]))
    after = fingerprint(layout.load(tmp_path), n_jobs=1), homographies_hash(layout.sequences(tmp_path))
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="H1to2p"):
        Sequences().load(tmp_path)
    with pytest.raises(DatasetError, match=r"graf: there is no such folder"):
        Sequences(("graf",)).load(tmp_path)
    folder = write_sequence(tmp_path / "s")
    cv2.imwrite(str(folder / "img2.bmp"), np.zeros((4, 4), np.uint8))
    with pytest.raises(DatasetError, match=r"number 2: img2\.bmp, img2\.png"):
        Sequences().load(tmp_path)
    (folder / "img2.bmp").unlink()
    for text in ("1 0 0 0 1 0 0 0", "1 0 0 0 1 0 0 0 nan", "1 0 0 0 0 0 0 0 0", "<html>", "é"):
        (folder / "H1to3p").write_text(text, encoding="utf-8")
        with pytest.raises(DatasetError, match="H1to3p: expected the nine numbers"):
            Sequences().load(tmp_path)
    (folder / "H1to3p").unlink()
    with pytest.raises(DatasetError, match="expected a file H1to3p"):
        Sequences().load(tmp_path)
    (folder / "img2.png").unlink()
    with pytest.raises(DatasetError, match=r"numbered from 1 on, found \[1, 3\]"):
        Sequences().load(tmp_path)


def test_archives_without_a_folder_are_unpacked_into_one(tmp_path: Path) -> None:
    """The sequences come as archives whose files have the same names."""
    write_sequence(tmp_path / "made")
    archive = tmp_path / "s.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted((tmp_path / "made").iterdir()):
            tar.add(path, path.name)
    (tmp_path / "data").mkdir()
    for name in ("one", "two"):
        _unpack(
            RemoteFile("s.tar.gz", ("https://a",), None, None, None, True, (), into=name), archive, tmp_path / "data"
        )
    assert [sequence.name for sequence in Sequences().sequences(tmp_path / "data")] == ["one", "two"]


def test_the_real_sequences(shared_data: Path) -> None:
    sequences = Sequences().sequences(shared_data / "oxford_affine")
    assert [sequence.name for sequence in sequences] == ["bikes", "boat", "graf", "leuven"]
    assert all(len(sequence.images) == 6 and len(sequence.homographies) == 5 for sequence in sequences)
