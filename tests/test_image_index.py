"""ImageIndex: what it knows of images, its readers and its one writer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_describer import BlockWords
from index_images import content, found, keys, noise, write
from numpy.typing import NDArray
from PIL import Image

from cvbow.errors import ImageError, IndexFileError
from cvbow.index import ImageIndex
from cvbow.storage import _lock

TESTS = Path(__file__).resolve().parent


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
        "import sys, time\nfrom cvbow.errors import IndexFileError\nfrom cvbow.storage import _lock\n"
        "def unknown(handle): raise NotImplementedError\n"
        f"if not {flock}: _lock._lock = unknown\n"
        "lock = _lock.WriterLock(sys.argv[1], IndexFileError)\nprint('ready', flush=True)\ntime.sleep(60)"
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
    assert not os.path.exists(os.path.join(index.path, _lock.LOCK_FILES[1]))


def _unknown(handle: int) -> bool:
    raise NotImplementedError


def test_without_locks_a_note_counts_while_its_writer_may_live(
    index: ImageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.close()
    monkeypatch.setattr(_lock, "_lock", _unknown)
    note = Path(index.path) / _lock.LOCK_FILES[1]
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
