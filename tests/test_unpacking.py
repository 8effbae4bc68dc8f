"""Unpacking archives of every kind, and those that were made to do harm."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cvbow.datasets.unpacking import unpack
from cvbow.errors import DatasetError

Contents = dict[str, bytes]


def make_tar(path: Path, contents: Contents, mode: str = "w", *, extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    with tarfile.open(path, mode) as tarred:  # type: ignore[call-overload]
        for info in extra:
            tarred.addfile(info)
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tarred.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, contents: Contents, *, modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0o644) << 16
            zipped.writestr(info, content)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where to unpack, with something beside it that must stay as it is."""
    (tmp_path / "in").mkdir()
    (tmp_path / "beside.txt").write_text("mine")
    return tmp_path / "in"


GOOD: Contents = {"a/1.png": b"one", "a/b/2.png": b"two" * 1000, "empty.txt": b"", "ä ö.png": b"x"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar(tmp_path: Path, folder: Path, mode: str) -> None:
    unpack(make_tar(tmp_path / "x", GOOD, mode), folder)
    assert tree(folder) == GOOD


def test_zip(tmp_path: Path, folder: Path) -> None:
    unpack(make_zip(tmp_path / "x", GOOD | {"a/": b""}), folder)
    assert tree(folder) == GOOD


def test_a_path_may_begin_with_a_dot(tmp_path: Path, folder: Path) -> None:
    root = tarfile.TarInfo("./")
    root.type = tarfile.DIRTYPE
    unpack(make_tar(tmp_path / "x", {"./a/./1.png": b"one"}, extra=(root,)), folder)
    assert tree(folder) == {"a/1.png": b"one"}


def test_no_rights_come_along(tmp_path: Path, folder: Path) -> None:
    info = tarfile.TarInfo("run.sh")
    info.mode = 0o6777
    unpack(make_tar(tmp_path / "x", {}, extra=(info,)), folder)
    assert not (folder / "run.sh").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR | stat.S_IWOTH)


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize(
    "name",
    [
        *("../beside.txt", "a/../../beside.txt", "a/..", "..", "/tmp/cvbow-evil.txt", "//host/share/x", "a\\..\\..\\x"),
        *("..\\beside.txt", "C:\\evil.txt", "C:evil.txt", "\\evil.txt", "a/b:stream"),
    ],
)
def test_a_path_that_leads_out_is_refused(
    tmp_path: Path, folder: Path, make: Callable[[Path, Contents], Path], name: str
) -> None:
    archive = make(tmp_path / "evil", {"good.png": b"1", name: b"evil"})
    with pytest.raises(DatasetError, match="would leave its folder") as caught:
        unpack(archive, folder)
    assert caught.value.path == str(archive)
    assert (tmp_path / "beside.txt").read_text() == "mine"
    assert not Path("/tmp/cvbow-evil.txt").exists()
    assert tree(folder) in ({}, {"good.png": b"1"})


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (member("out", tarfile.SYMTYPE, ".."), "a link, 'out'"),
        (member("out", tarfile.SYMTYPE, "/etc"), "a link, 'out'"),
        (member("out", tarfile.SYMTYPE, "good.png"), "a link, 'out'"),
        (member("out", tarfile.LNKTYPE, "../beside.txt"), "a link, 'out'"),
        (member("null", tarfile.CHRTYPE), "a device, 'null'"),
        (member("disk", tarfile.BLKTYPE), "a device, 'disk'"),
        (member("pipe", tarfile.FIFOTYPE), "a device, 'pipe'"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(
    tmp_path: Path, folder: Path, info: tarfile.TarInfo, expected: str
) -> None:
    archive = make_tar(tmp_path / "evil", {"out/beside.txt": b"evil"}, extra=(info,))
    with pytest.raises(DatasetError, match=expected):
        unpack(archive, folder)
    assert (tmp_path / "beside.txt").read_text() == "mine"
    assert tree(folder) == {}


def test_a_link_in_a_zip_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = make_zip(
        tmp_path / "evil", {"out": b"..", "out/beside.txt": b"evil"}, modes={"out": stat.S_IFLNK | 0o777}
    )
    with pytest.raises(DatasetError, match="a link, 'out'"):
        unpack(archive, folder)
    assert (tmp_path / "beside.txt").read_text() == "mine"


def test_a_device_in_a_zip_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DatasetError, match="a device, 'x'"):
        unpack(make_zip(tmp_path / "evil", {"x": b""}, modes={"x": stat.S_IFCHR | 0o666}), folder)


@pytest.mark.parametrize("contents", [{"a": b"1", "./a": b"2"}, {"a": b"1", "a/b": b"2"}, {"a/b": b"1", "a": b"2"}])
def test_a_name_twice_is_refused(tmp_path: Path, folder: Path, contents: Contents) -> None:
    with pytest.raises(DatasetError, match="twice"):
        unpack(make_tar(tmp_path / "evil", contents), folder)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_limits_hold_whatever_the_compression(
    tmp_path: Path, folder: Path, make: Callable[[Path, Contents], Path]
) -> None:
    bomb = make(tmp_path / "bomb", {"zeros": bytes(5_000_000)})
    with pytest.raises(DatasetError, match="unpacks to more than the limits of 4000000 bytes and 10 files"):
        unpack(bomb, folder, max_bytes=4_000_000, max_members=10)
    assert sum(map(len, tree(folder).values())) <= 4_000_000
    many = make(tmp_path / "many", {f"{number}": b"" for number in range(11)})
    with pytest.raises(DatasetError, match="unpacks to more than the limits"):
        unpack(many, folder, max_members=10)


def test_a_zip_that_lies_about_its_sizes(tmp_path: Path, folder: Path) -> None:
    bomb = make_zip(tmp_path / "bomb", {"zeros": bytes(5_000_000)})
    data = bomb.read_bytes()
    bomb.write_bytes(data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DatasetError, match=r"damaged|more than the limits"):
        unpack(bomb, folder, max_bytes=4_000_000)
    assert sum(map(len, tree(folder).values())) <= 4_000_000


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_a_damaged_archive_is_an_error(tmp_path: Path, folder: Path, mode: str) -> None:
    noise = bytes(range(256)) * 400
    whole = (
        make_zip(tmp_path / "x", {"a": noise, "b": noise})
        if mode == "zip"
        else make_tar(tmp_path / "x", {"a": noise, "b": noise}, mode)
    )
    data = whole.read_bytes()
    for damaged in (data[: len(data) // 2], b"", b"no archive", data[:40] + bytes(100) + data[140:]):
        whole.write_bytes(damaged)
        with pytest.raises(DatasetError, match="damaged"):
            unpack(whole, folder)
        for path in (folder / "a", folder / "b"):
            path.unlink(missing_ok=True)


def test_archives_in_an_archive(tmp_path: Path, folder: Path) -> None:
    inner = make_tar(tmp_path / "inner.tar.gz", {"set/a/1.png": b"one"}, "w:gz").read_bytes()
    outer = make_zip(tmp_path / "outer.zip", {"top/inner.tar.gz": inner, "top/readme": b"x"})
    unpack(outer, folder, nested=("top/inner.tar.gz",))
    assert tree(folder) == {"top/readme": b"x", "top/set/a/1.png": b"one"}


def test_an_archive_in_an_archive_is_not_trusted_either(tmp_path: Path, folder: Path) -> None:
    inner = make_tar(tmp_path / "inner.tar", {"../../../beside.txt": b"evil"}).read_bytes()
    with pytest.raises(DatasetError, match="would leave its folder"):
        unpack(make_zip(tmp_path / "outer.zip", {"top/inner.tar": inner}), folder, nested=("top/inner.tar",))
    with pytest.raises(DatasetError, match=r"has no member top/other\.tar"):
        unpack(make_zip(tmp_path / "other.zip", {"x": b""}), folder, nested=("top/other.tar",))
    assert (tmp_path / "beside.txt").read_text() == "mine"


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path, folder: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"x": b"1"}).read_bytes()
    unpack(make_tar(tmp_path / "outer.tar", {"a": b"2", "inner.zip": inner}), folder)
    assert set(tree(folder)) == {"a", "inner.zip"}
