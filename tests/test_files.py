"""Files that somebody else has put there: pipes, devices and endless files never keep a program waiting."""

from __future__ import annotations

import ast
import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import textured

from cvbow import list_images, read_image, read_objects
from cvbow._toml import TomlTable
from cvbow.classify import read_labels
from cvbow.dictionary import import_words
from cvbow.errors import CvbowError, ImageError
from cvbow.files import file_hash, open_file, read_file, read_text
from cvbow.images import summarize_images
from cvbow.index import ImageIndex
from cvbow.networks import open_network
from cvbow.retrieval import read_ground_truth, read_oxford

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A link to a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    return tmp_path / "link"


def test_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    with open_file(path) as file:
        assert file.read(3) == b"\xef\xbb\xbf"
    assert read_file(path, limit=7) == path.read_bytes()
    assert read_text(path, encoding="utf-8-sig") == "a\r\nb"
    assert file_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(OSError, match="over the limit of 6 bytes"):
        read_file(path, limit=6)
    (tmp_path / "empty").touch()
    assert read_file(tmp_path / "empty") == b""
    assert file_hash(tmp_path / "empty") == hashlib.sha256().hexdigest()


def test_what_is_no_file(tmp_path: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        open_file(tmp_path)
    with pytest.raises(OSError, match="a pipe, not a regular file"):
        open_file(pipe)
    with pytest.raises(OSError, match="a device, not a regular file"):
        open_file("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's name must be short
        server.bind("socket")
        with pytest.raises(OSError, match="a socket, not a regular file"):
            open_file("socket")


def test_a_pipe_that_takes_a_files_place_is_found_once_it_is_open(
    pipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    facts = os.stat(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda path: facts)
    with pytest.raises(OSError, match="a pipe, not a regular file"):
        open_file(pipe)


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="needs /proc")
def test_files_that_say_they_are_empty_and_go_on_for_ever_are_empty() -> None:
    for path in ("/proc/self/pagemap", "/proc/self/mem", "/proc/self/maps"):
        assert read_file(path) == b""
        assert file_hash(path) == hashlib.sha256().hexdigest()


READERS: dict[str, Callable[[Path], object]] = {
    "image": read_image,
    "labels": read_labels,
    "network": open_network,
    "words": lambda path: import_words(path.rename(path.with_name("words.npz"))),
    "settings": TomlTable.read,
    "manifest of images": lambda path: list_images(path.rename(path.with_name("images.csv"))),
    "objects": lambda path: read_objects(path.rename(path.with_name("boxes.csv"))),
    "objects of COCO": lambda path: read_objects(path.rename(path.with_name("boxes.json"))),
    "objects of VOC": lambda path: read_objects(path.rename(path.with_name("1.xml")).parent),
    "ground truth": lambda path: read_ground_truth(path.rename(path.with_name("truth.csv"))),
    "ground truth of Oxford": lambda path: read_oxford(
        path.rename(path.with_name("a_query.txt")).parent, images=path.parent
    ),
    "index": lambda path: ImageIndex.open(path.rename(path.with_name("manifest.json")).parent),
}


@pytest.mark.parametrize("kind", READERS)
def test_nothing_waits_for_a_pipe(kind: str, pipe: Path) -> None:
    with pytest.raises((CvbowError, OSError), match="a pipe, not a regular file"):
        READERS[kind](pipe)


def test_pipes_and_devices_among_images_are_reported(tmp_path: Path, pipe: Path) -> None:
    from PIL import Image

    folder = tmp_path / "set" / "cat"
    folder.mkdir(parents=True)
    Image.fromarray(textured(20, 20, 0)).save(folder / "1.png")
    for number, target in enumerate((pipe, "/dev/zero", "/dev/stdin", "/proc/self/environ"), 2):
        (folder / f"{number}.png").symlink_to(target)
    found = summarize_images(list_images(tmp_path / "set"))
    assert found.n_images == 1
    assert [Path(error.path).name for error in found.skipped] == ["2.png", "3.png", "4.png", "5.png"]
    assert "a pipe, not a regular file" in found.skipped[0].reason
    with pytest.raises(ImageError, match="a device, not a regular file"):
        read_image(folder / "3.png")


#: Where the library opens what it has written itself, or the system's own files.
OWN = {
    "datasets/downloading.py": 1,
    "datasets/unpacking.py": 1,
    "experiments/environment.py": 2,
    "files.py": 1,
    "index/_segment.py": 3,
    "main.py": 1,
    "storage/_atomic.py": 1,
    "storage/_lock.py": 1,
}


def test_every_file_that_is_read_is_opened_in_one_place() -> None:
    """Elsewhere ``open`` may only write; ``read_bytes``, ``read_text`` and ``file.open`` of paths are not used."""
    found: dict[str, int] = {}
    for folder in (ROOT / "cvbow", ROOT / "cli" / "cvbow_cli"):
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                method = isinstance(node.func, ast.Attribute) and node.func.attr in ("read_bytes", "read_text")
                if method or (isinstance(node.func, ast.Name) and node.func.id == "open"):
                    name = path.relative_to(folder).as_posix()
                    found[name] = found.get(name, 0) + 1
    assert found == OWN
