"""Folders as commands meet them at worst: names of any bytes, files that are not what they say, links, pipes, modes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _broken_images import mutated
from PIL import Image

__all__ = ["CLASSES", "hostile_name", "scatter", "snapshot", "write_pictures"]

Seeds = Sequence[tuple[str, bytes]]

#: The class folders of the pictures that every tree has.
CLASSES = ("dots", "lines")
_PER_CLASS = 4
_NAMES = (
    b"new\nline",
    b"tab\tand\rreturn",
    b"quote'quote\"",
    b"caf\xe9",
    b"\xff\xfe",
    b"-n",
    b"--force",
    b"-",
    "\N{SNOWMAN}\N{CAT FACE WITH TEARS OF JOY}".encode(),
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj".encode(),
    "e\N{COMBINING ACUTE ACCENT}".encode(),
    "é".encode(),
    b"\x1b[31mred",
    b"bell\x07",
    b"%s%n%d{0}",
    b"$(id)`id`;&|",
    b"[a-z]*?",
    b"back\\slash",
    b"a,b;c",
    b" spaces ",
    b"~",
    b".hidden",
    b"...",
    b"a" * 240,
    "\N{SNOWMAN}".encode() * 80,
)
_ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "cp1252")


def write_pictures(folder: Path) -> None:
    """Write a few small pictures that can be told apart: gray PNG of two classes, with something for any detector."""
    rng = np.random.default_rng(3)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for picture in range(_PER_CLASS):
            y, x = np.indices((64, 72)) + rng.integers(0, 9, (2, 1, 1))
            pattern = (x // 6 + y // 6 * (1 - number)) % 2 * 120 + 60
            pixels = np.clip(pattern + rng.normal(0, 12, pattern.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{picture}.png")


def hostile_name(rng: np.random.Generator, suffix: str) -> str:
    """Return the name of a file, one that no program expects, with a suffix."""
    return os.fsdecode(_NAMES[rng.integers(len(_NAMES))]) + suffix


def scatter(root: Path, rng: np.random.Generator, seeds: Seeds, count: int) -> list[str]:
    """Put `count` hostile things into the folders of a tree; return their paths, relative to it."""
    folders = [root, root / "photos", *(root / "photos" / name for name in CLASSES)]
    put = []
    for number in range(count):
        folder = folders[rng.integers(len(folders))]
        # One folder that may not be read ends most commands: it must not be in every tree.
        kind = list(_THINGS)[rng.integers(len(_THINGS) - (rng.random() < 0.8))]
        suffix = ".csv" if kind == "csv" else str(rng.choice((".jpg", ".png", ".JPEG", ".tif", "", ".gif", ".webp")))
        path = folder / (hostile_name(rng, suffix) if rng.random() < 0.7 else f"n{number}{suffix}")
        if os.path.lexists(path):
            continue
        # What a file system does not take (a name, a link of a kind) is no case.
        with contextlib.suppress(OSError):
            _THINGS[kind](path, root, rng, seeds)
            put.append(os.path.relpath(path, root))
            if path.is_dir() and not path.is_symlink():
                folders.append(path)
    return put


def snapshot(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return what is at every path below a folder: kind, mode, and content or target; links are not followed."""
    found: dict[str, tuple[Any, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            there = os.lstat(path)
            what: Any = None
            if stat.S_ISLNK(there.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(there.st_mode):
                try:
                    what = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                except PermissionError:
                    what = there.st_size, there.st_mtime_ns
            found[os.path.relpath(path, root)] = (stat.S_IFMT(there.st_mode), stat.S_IMODE(there.st_mode), what)
    return found


def _picture(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    path.write_bytes(seeds[rng.integers(len(seeds))][1])


def _broken(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    path.write_bytes(mutated(seeds, int(rng.integers(1 << 30)), 0)[1])


def _empty(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    path.touch()


def _foreign(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    heads = (b"text, no picture\n", b"PK\x03\x04", b"\x80\x04\x95pickle", b"{}", b"\x00" * 64, b"<svg/>", b"%PDF-1.7")
    path.write_bytes(heads[rng.integers(len(heads))] * int(rng.integers(1, 40)))


def _unreadable(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    _picture(path, root, rng, seeds)
    path.chmod(0)


def _symbolic_link(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    targets = (
        root / "photos" / CLASSES[0] / "0.png",
        root / "photos" / CLASSES[1],
        root,
        path,
        "nowhere.png",
        "..",
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/mem",
        "/proc/self/fd",
    )
    path.symlink_to(targets[rng.integers(len(targets))])


def _hard_link(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    path.hardlink_to(root / "photos" / CLASSES[0] / "1.png")


def _pipe(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    os.mkfifo(path)


def _socket(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fsencode(path))


def _folder(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    path.mkdir()
    for number in range(rng.integers(3)):
        _picture(path / f"{number}.png", root, rng, seeds)


def _closed_folder(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    _folder(path, root, rng, seeds)
    path.chmod((0, 0o444, 0o555)[rng.integers(3)])


def _csv(path: Path, root: Path, rng: np.random.Generator, seeds: Seeds) -> None:
    heads = ("path,label", "path,label,split", "query,image,label", "label,path", "Path;Label", "path,label,path", "")
    names = [
        os.path.relpath(root / "photos" / name / f"{number}.png", path.parent) for name in CLASSES for number in (0, 1)
    ]
    names += [f'"{names[0]}"', '"new\nline.png"', "nowhere.png", "", "/dev/zero", "..", "ü.png", "a\0b.png", '"']
    labels = (
        "a",
        "b",
        "relevant",
        "ignored",
        "",
        '"q""q"',
        "é",
        "a,train",
        "b,test",
        "b,validation",
        "\x1b[31m",
        "x" * 200_000,
    )
    end = str(rng.choice(("\n", "\r\n", "\r")))
    first = rng.random() < 0.7
    rows = [heads[0 if first else rng.integers(len(heads))]]
    for _ in range(rng.integers(12)):
        row = [names[rng.integers(4 if first else len(names))], labels[rng.integers(2 if first else len(labels))]]
        rows.append(",".join([names[rng.integers(len(names))], *row] if "query" in rows[0] else row))
    encoding = "utf-8" if first else str(rng.choice(_ENCODINGS))
    path.write_bytes(end.join(rows).encode(encoding, "replace"))


_THINGS = {
    "picture": _picture,
    "broken": _broken,
    "empty": _empty,
    "foreign": _foreign,
    "unreadable": _unreadable,
    "symbolic link": _symbolic_link,
    "hard link": _hard_link,
    "pipe": _pipe,
    "socket": _socket,
    "folder": _folder,
    "csv": _csv,
    "closed folder": _closed_folder,
}


def remove(root: Path) -> None:
    """Remove a tree whatever the modes of its folders are."""
    for folder, folders, _ in os.walk(root):
        for name in folders:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(root)
