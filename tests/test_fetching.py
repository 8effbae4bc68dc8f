"""Fetching a data set from a server on this machine that does what servers do: break off, lie, and change files."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from notes import Notes
from own_datasets import register, tiny_manifest
from tiny_images import write_dataset

from cvbow.datasets import downloading, fetch, load_dataset, locate, read_record, verify
from cvbow.datasets.downloading import ATTEMPTS
from cvbow.errors import DatasetError
from cvbow.progress import reporting
from cvbow.storage import LOCK_FILES, WriterLock

pytest.importorskip("pooch", reason="needs the extra cvbow[data]")


@dataclass
class Site:
    """What the server has, and how it behaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"1"'
    ranges: bool = True
    #: Bytes of a body after which the connection is cut, once for each entry.
    cuts: list[int] = field(default_factory=list)
    #: Where it sends whoever asks, if anywhere.
    elsewhere: str = ""
    #: Seconds between two bytes.
    pause: float = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on 127.0.0.1."""
    state = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.requests.append((self.path, wanted))
            if state.elsewhere:
                self.send_response(302)
                self.send_header("Location", state.elsewhere)
                self.end_headers()
                return
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.ranges else 0
            if self.headers.get("If-Range") not in (None, state.etag):
                start = 0
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if state.etag:
                self.send_header("ETag", state.etag)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = start + state.cuts.pop(0) if state.cuts else len(content)
            if not state.pause:
                self.wfile.write(content[start:end])
            with contextlib.suppress(OSError):  # nobody listens any more
                for place in range(start, end) if state.pause else ():
                    self.wfile.write(content[place : place + 1])
                    time.sleep(state.pause)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def tar_of(folder: Path, top: str = "set") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tarred:
        tarred.add(folder, top)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """The tiny data set, below one folder."""
    return tar_of(write_dataset(tmp_path / "source"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest(*urls: str, digest: str | None = None, more: str = "") -> str:
    known = f'hash = "{digest}"\nhash_source = "the test"' if digest else ""
    addresses = ", ".join(f'"{url}"' for url in urls)
    files = f'[[files]]\nname = "tiny.tar.gz"\nurls = [{addresses}]\n{known}\n{more}\n'
    return tiny_manifest(more=f'{files}\n[options]\ninside = ["set"]')


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "own" / "cache" / "tiny"


def own(monkeypatch: pytest.MonkeyPatch, cache: Path, text: str) -> None:
    register(monkeypatch, cache.parents[1], tiny=text)


def left_over(cache: Path) -> set[str]:
    """What is in the data set's folder besides the data and the record."""
    return {path.name for path in cache.iterdir()} - {"data", "lock.json", *LOCK_FILES} if cache.exists() else set()


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_fetch(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, algorithm: str
) -> None:
    site.files["/tiny.tar.gz"] = archive
    digest = f"{algorithm}:{hashlib.new(algorithm, archive).hexdigest()}"
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz", digest=digest))
    got = fetch("tiny", n_jobs=1)
    assert not got.already
    assert got.place.root == cache / "data"
    assert len(load_dataset(locate("tiny"))) == 18
    assert locate("tiny").origin == "fetched"
    assert left_over(cache) == set()
    for path in (tmp_path / "source").rglob("*.png"):
        copy = cache / "data" / "set" / path.relative_to(tmp_path / "source")
        assert copy.read_bytes() == path.read_bytes()
        assert got.record.files[copy.relative_to(cache / "data").as_posix()] == sha256(path.read_bytes())
    assert got.record.archives["tiny.tar.gz"].sha256 == sha256(archive)
    assert got.record.archives["tiny.tar.gz"].checked == digest
    assert read_record(cache).files == got.record.files  # type: ignore[union-attr]
    # Others may read what was fetched, as far as the umask lets them.
    assert (cache / "data").stat().st_mode == (cache / "data" / "set").stat().st_mode

    assert fetch("tiny", n_jobs=1).already
    assert len(site.requests) == 1
    assert not fetch("tiny", again=True, keep=True, n_jobs=1).already
    assert len(site.requests) == 2
    assert left_over(cache) == {"download"}
    assert verify("tiny", n_jobs=1).against == "record"


def test_a_download_that_breaks_off_goes_on(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/tiny.tar.gz"] = archive
    site.cuts = [1000, 500]
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    fetch("tiny", n_jobs=1)
    assert [wanted for _, wanted in site.requests] == [None, "bytes=1000-", "bytes=1500-"]


def test_a_later_call_goes_on(site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/tiny.tar.gz"] = archive
    site.cuts = [1000] * ATTEMPTS
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    with pytest.raises(DatasetError, match=r"tiny\.tar\.gz.*3000 bytes have arrived.*goes on from there"):
        fetch("tiny", n_jobs=1)
    with pytest.raises(DatasetError, match="not on this machine"):
        locate("tiny")
    fetch("tiny", n_jobs=1)
    assert site.requests[-1][1] == "bytes=3000-"
    assert left_over(cache) == set()


@pytest.mark.parametrize("change", ["etag", "ranges", "no etag", "address"])
def test_a_part_is_not_mixed_with_another_file(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
) -> None:
    site.files["/tiny.tar.gz"] = archive
    site.etag = None if change == "no etag" else '"1"'
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    site.cuts = [1000, 0, 0]
    with pytest.raises(DatasetError):
        fetch("tiny", n_jobs=1)
    site.cuts = []
    now = tar_of(write_dataset(tmp_path / "now", seed=1))
    site.files = {"/tiny.tar.gz": now, "/other.tar.gz": now}
    if change == "etag":
        site.etag = '"2"'
    if change == "ranges":
        site.ranges = False
    if change == "address":
        own(monkeypatch, cache, manifest(f"{site.url}/other.tar.gz"))
    site.requests.clear()
    assert fetch("tiny", n_jobs=1).record.archives["tiny.tar.gz"].sha256 == sha256(now)
    assert (site.requests[0][1] is None) == (change in ("no etag", "address"))


def test_a_part_that_is_the_whole_is_taken(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    (cache / "download").mkdir(parents=True)
    (cache / "download" / "tiny.tar.gz.part").write_bytes(archive)
    state = {"url": f"{site.url}/tiny.tar.gz", "mark": '"1"'}
    (cache / "download" / "tiny.tar.gz.part.json").write_text(json.dumps(state))
    fetch("tiny", n_jobs=1)
    assert [wanted for _, wanted in site.requests] == [f"bytes={len(archive)}-"]


def test_a_part_longer_than_the_file_is_dropped(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    (cache / "download").mkdir(parents=True)
    (cache / "download" / "tiny.tar.gz.part").write_bytes(archive + b"more")
    state = {"url": f"{site.url}/tiny.tar.gz", "mark": '"1"'}
    (cache / "download" / "tiny.tar.gz.part.json").write_text(json.dumps(state))
    with pytest.raises(DatasetError, match="shorter"):
        fetch("tiny", n_jobs=1)
    fetch("tiny", n_jobs=1)
    assert len(load_dataset(locate("tiny"))) == 18


def test_a_wrong_hash_names_the_file(site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz", digest=f"sha256:{'0' * 64}"))
    with pytest.raises(DatasetError) as caught:
        fetch("tiny", n_jobs=1)
    message = str(caught.value)
    assert message.startswith("tiny.tar.gz: ")
    assert sha256(archive) in message
    assert "0" * 64 in message
    assert "deleted" in message
    assert list((cache / "download").iterdir()) == []
    assert not (cache / "data").exists()


def test_the_next_address_is_tried(site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/good.tar.gz"] = archive
    site.files["/bad.tar.gz"] = b"<html>moved</html>"
    addresses = [f"{site.url}/{name}.tar.gz" for name in ("gone", "bad", "good")]
    own(monkeypatch, cache, manifest(*addresses, digest=f"sha256:{sha256(archive)}"))
    fetch("tiny", n_jobs=1)
    assert [path for path, _ in site.requests] == ["/gone.tar.gz", "/bad.tar.gz", "/good.tar.gz"]


def test_a_file_that_no_address_has(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(monkeypatch, cache, manifest(f"{site.url}/gone.tar.gz", "http://127.0.0.1:9/tiny.tar.gz"))
    with pytest.raises(DatasetError, match=r"tiny\.tar\.gz: .*gone\.tar\.gz: the server answered 404.*127\.0\.0\.1:9"):
        fetch("tiny", n_jobs=1)


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/tiny.tar.gz"])
def test_an_address_that_leads_out_of_the_web_is_named(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    site.elsewhere = address
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz", digest=f"sha256:{'0' * 64}"))
    with pytest.raises(DatasetError) as caught:
        fetch("tiny", n_jobs=1)
    assert "neither http nor https" in str(caught.value)
    assert address in str(caught.value)
    assert "hash" not in str(caught.value)


def test_a_server_that_hardly_sends_anything_is_given_up(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/tiny.tar.gz"] = archive
    site.pause = 0.01
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    monkeypatch.setattr(downloading, "_MINUTE", 0.05)
    with pytest.raises(DatasetError, match=r"fewer than 1000 bytes a second; \d+ bytes have arrived"):
        fetch("tiny", n_jobs=1)
    site.pause = 0
    fetch("tiny", n_jobs=1)
    assert site.requests[-1][1] is not None, "it goes on from what had arrived"


def test_two_at_once(site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    cache.mkdir(parents=True)
    with WriterLock(str(cache), DatasetError), pytest.raises(DatasetError, match="another process is writing it"):
        fetch("tiny", n_jobs=1)
    assert site.requests == []
    fetch("tiny", n_jobs=1)
    with WriterLock(str(cache), DatasetError):
        assert fetch("tiny", n_jobs=1).already, "what is there can be used while it is fetched again"


def test_more_bytes_than_announced_are_not_taken(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz", more="bytes = 1000"))
    with pytest.raises(DatasetError, match=f"the server sends {len(archive)} bytes or more, expected at most 1000"):
        fetch("tiny", n_jobs=1)
    assert list((cache / "download").iterdir()) == []


def test_a_hash_that_nobody_published_is_recorded_and_asked_for(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    notes = Notes()
    with reporting(notes):
        got = fetch("tiny", n_jobs=1)
    assert got.record.archives["tiny.tar.gz"].checked is None
    assert any(sha256(archive) in line and "no hash is published" in line for line in notes.lines)
    fetch("tiny", again=True, n_jobs=1)
    site.files["/tiny.tar.gz"] = tar_of(write_dataset(tmp_path / "changed", seed=1))
    with pytest.raises(DatasetError, match=r"tiny\.tar\.gz.*recorded in .*lock\.json: delete that"):
        fetch("tiny", again=True, n_jobs=1)
    assert verify("tiny", n_jobs=1).against == "record", "the old one is still there"
    (cache / "lock.json").unlink()
    fetch("tiny", again=True, n_jobs=1)


def evil_tar(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tarred:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        tarred.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        evil_tar("../../beside.txt"),
        evil_tar("/tmp/cvbow-evil.txt"),
        evil_tar("set", tarfile.SYMTYPE, ".."),
        b"no archive",
    ],
    ids=["up", "absolute", "link", "damaged"],
)
def test_an_evil_archive_leaves_nothing(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    site.files["/tiny.tar.gz"] = content
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    (cache.parent / "beside.txt").parent.mkdir(parents=True)
    (cache.parent / "beside.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"tiny\.tar\.gz: the archive"):
        fetch("tiny", n_jobs=1)
    assert (cache.parent / "beside.txt").read_text() == "mine"
    assert {path.name for path in cache.rglob("*")} == {"download", LOCK_FILES[0]}
    # Nothing keeps the next call from a good copy.
    site.files["/tiny.tar.gz"] = archive
    fetch("tiny", n_jobs=1)


def test_a_data_set_of_another_size_does_not_get_its_place(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = write_dataset(tmp_path / "source")
    (source / "checker" / "00.png").unlink()
    site.files["/tiny.tar.gz"] = tar_of(source)
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    with pytest.raises(DatasetError, match="has 18 images in 3 classes; here are 17 in 3"):
        fetch("tiny", n_jobs=1)
    assert left_over(cache) == {"download"}
    assert not (cache / "data").exists()


def test_a_file_that_is_no_archive_is_laid_beside(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files = {"/tiny.tar.gz": archive, "/splits.txt": b"1 2 3"}
    more = f'[[files]]\nname = "splits.txt"\nurls = ["{site.url}/splits.txt"]\nunpack = false'
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz", more=more))
    fetch("tiny", n_jobs=1)
    assert (cache / "data" / "splits.txt").read_bytes() == b"1 2 3"


@pytest.mark.parametrize("what", ["missing", "changed", "new"])
def test_verify_names_the_first_file_that_is_wrong(
    site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    fetch("tiny", n_jobs=1)
    folder = cache / "data" / "set" / "horizontal"
    if what == "missing":
        (folder / "02.png").unlink()
        (folder / "04.png").unlink()
    elif what == "changed":
        for name in ("02.png", "04.png"):
            (folder / name).write_bytes((folder / name).read_bytes()[:-1] + b"x")
    else:
        (folder / "02b.png").write_bytes(b"x")
    with pytest.raises(DatasetError) as caught:
        verify("tiny", n_jobs=1)
    assert caught.value.path == str(folder / ("02b.png" if what == "new" else "02.png"))


def test_a_damaged_record_is_an_error(site: Site, archive: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/tiny.tar.gz"] = archive
    own(monkeypatch, cache, manifest(f"{site.url}/tiny.tar.gz"))
    fetch("tiny", n_jobs=1)
    for text in ("{", "[]", "{}", '{"format": 2}', '{"format": 1, "archives": {"a": {"b": 1}}, "files": {}}'):
        (cache / "lock.json").write_text(text)
        with pytest.raises(DatasetError, match=r"lock\.json: the record"):
            verify("tiny", n_jobs=1)


def test_what_has_nothing_to_fetch(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(monkeypatch, cache, tiny_manifest(more='notes = "ask your neighbour"'))
    with pytest.raises(DatasetError, match="nothing to fetch: ask your neighbour"):
        fetch("tiny", n_jobs=1)


def test_without_pooch_the_extra_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(monkeypatch, cache, manifest("http://127.0.0.1:9/tiny.tar.gz"))
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"cvbow\[data\]"):
        fetch("tiny", n_jobs=1)
