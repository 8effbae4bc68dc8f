"""The files of an index: what is built, what damage and a crash leave, and how segments are merged."""

from __future__ import annotations

import builtins
import hashlib
import json
import mmap
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_describer import BlockWords, PlainVectors
from fresh_process import run_script
from hypothesis import given
from hypothesis import strategies as st
from index_images import content, found, keys, noise, reseal
from numpy.typing import NDArray

from cvbow import storage
from cvbow.errors import IndexFileError
from cvbow.index import ImageIndex, _merging, _segment, _writer
from cvbow.index._manifest import ArrayEntry, Manifest, SegmentEntry
from cvbow.retrieval import ArraySpec
from cvbow.storage import storable
from cvbow.storage.arrays import ArrayRecord

TESTS = Path(__file__).resolve().parent
Change = Callable[[Path], None]


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
    "manifest foreign": (lambda folder: (folder / "manifest.json").write_bytes(b"{}"), "belongs to another program"),
    "manifest a list": (lambda folder: (folder / "manifest.json").write_bytes(b"[1]"), "belongs to another program"),
    "newer": (sealed(lambda c: c.update(format_version=3)), r"newer cvbow \(format 3, this one reads up to 2\)"),
    "older": (sealed(lambda c: c.update(format_version=0)), r"its manifest\.json is not what was written"),
    "describer changed": (flip("describer.cvbow"), r"its describer\.cvbow is damaged"),
    "describer missing": (gone("describer.cvbow"), r"describer\.cvbow is missing"),
    "describer of another index": (foreign_describer, "belongs to another index"),
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
    with pytest.raises(FileNotFoundError, match="there is no such index"):
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
            assert isinstance(array.base, mmap.mmap), name
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
        stored = reader.describe(0)
        stored["words"][:] = 0  # a copy: the index is not touched
        assert content(reader) == content(index)
        with pytest.raises(IndexError, match="row must be from 0 to 9, got 10"):
            reader.describe(10)


@pytest.mark.parametrize("name", ["words", "places", "feature_start"])
def test_a_file_that_was_cut_off_while_the_index_is_open(index: ImageIndex, paths: list[str], name: str) -> None:
    index.add(paths)
    before = index.search(paths[0])
    with ImageIndex.open(index.path) as reader:
        (file,) = Path(index.path).glob(f"segments/*/{name}.npy")
        whole = file.read_bytes()
        os.truncate(file, len(whole) // 2)
        query = reader.describer.describe(noise(0))
        said = (
            rf"is damaged: segments/\w+/{name}\.npy: was cut off to \d+ of {len(whole)} bytes while the index was open"
        )
        asked: list[Callable[[ImageIndex], object]] = [
            lambda opened: opened.search(paths[0]),
            lambda opened: list(opened.search_many(paths[:2])),
            lambda opened: opened.describe(0),
            lambda opened: opened.scores(query),
        ]
        for opened in (reader, index):
            for ask in asked:
                with pytest.raises(IndexFileError, match=said):
                    ask(opened)
        index.remove(paths[:2])
        with pytest.raises(IndexFileError, match=said):
            index.compact()
        file.write_bytes(whole)
        assert found(reader.search(paths[0])) == found(before)


# --- what a crash leaves --------------------------------------------------------------------------------------------


def run_killing(*arguments: str) -> dict[str, Any]:
    done = run_script(TESTS / "index_killing.py", *arguments)
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


def never(entry: SegmentEntry) -> bool:
    return False


def test_segments_do_not_grow_beyond_memory() -> None:
    segments = [entry(1000) for _ in range(8)]
    assert _merging.next_merge(segments, max_bytes=10_000_000) == slice(0, 8)
    assert _merging.next_merge(segments, max_bytes=30_000) == slice(5, 8)
    assert _merging.next_merge(segments, max_bytes=15_000) is None  # each is full
    assert _merging.compaction(segments, never, max_bytes=30_000) == [slice(6, 8), slice(3, 6), slice(0, 3)]
    assert _merging.compaction([entry(5), entry(3000), entry(5)], never, max_bytes=30_000) == []
    assert _merging.compaction([entry(5, removed=1)], never, max_bytes=10) == [slice(0, 1)]
    assert _merging.compaction([], never, max_bytes=10) == []
    assert _merging.compaction([entry(5)], lambda entry: True, max_bytes=10) == [slice(0, 1)]


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
