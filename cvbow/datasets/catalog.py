"""What is known of each data set: where it comes from, its terms, its size, its layout. One TOML file each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cvbow._toml import COUNT, FLAG, TEXT, TEXTS, Rule, TomlTable, bundled, matching, one_of
from cvbow.datasets.images import Layout
from cvbow.datasets.layouts import LAYOUTS

_HASH = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}")
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes
    ----------
    name : str
        What to call it.
    urls : tuple of str
        Where it is: the authors' own place first, copies after it.
    hash : str or None
        ``sha256:...`` or ``md5:...``; None where nobody whom we can name has published one.
    hash_source : str or None
        Who says so.
    n_bytes : int or None
    unpack : bool
        Whether it is an archive.
    nested : tuple of str
        Archives within it that are unpacked too, where they lie.
    into : str or None
        The folder to unpack it into; None for that of the data set.

    Examples
    --------
    >>> from cvbow.datasets import find_dataset
    >>> [file.name for file in find_dataset("scene15").files]
    ['scene_categories.zip']
    """

    name: str
    urls: tuple[str, ...]
    hash: str | None
    hash_source: str | None
    n_bytes: int | None
    unpack: bool
    nested: tuple[str, ...]
    into: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What is known of a data set.

    Attributes
    ----------
    name : str
        Of the file, without ``.toml``.
    title, content, homepage, terms, citation : str
    notes : str
        What else a user should know; may be empty.
    n_images, n_classes : int
    folders : tuple of str
        Names that its folder goes by.
    layout : Layout
    files : tuple of RemoteFile
        Empty for a data set that cannot be fetched.
    fingerprint : str or None
        What ``cvbow.datasets.fingerprint`` gives for the one true copy, where there is one.

    Examples
    --------
    >>> from cvbow.datasets import find_dataset
    >>> manifest = find_dataset("digits")
    >>> manifest.n_images, manifest.n_classes, manifest.files
    (1797, 10, ())
    """

    name: str
    title: str
    content: str
    homepage: str
    terms: str
    citation: str
    notes: str
    n_images: int
    n_classes: int
    folders: tuple[str, ...]
    layout: Layout
    files: tuple[RemoteFile, ...]
    fingerprint: str | None


def read_dataset(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    FileNotFoundError
    ValueError
        That names the file and the key which is missing, unknown or wrong.
    """
    table = TomlTable.read(path)
    layout, rules = LAYOUTS[table.take("layout", one_of(LAYOUTS))]
    manifest = Manifest(
        name=path.stem,
        **{key: table.take(key, TEXT) for key in ("title", "content", "homepage", "terms", "citation")},
        notes=table.take("notes", TEXT, ""),
        n_images=table.take("n_images", COUNT),
        n_classes=table.take("n_classes", COUNT),
        folders=(path.stem, *table.take("folders", TEXTS, [])),
        layout=table.table("options").build(layout, rules),
        files=tuple(map(_remote_file, table.tables("files"))),
        fingerprint=table.take("fingerprint", TEXT, None),
    )
    table.finish()
    return manifest


def _remote_file(table: TomlTable) -> RemoteFile:
    web = Rule(
        "a list of addresses that begin with http:// or https://",
        lambda value: TEXTS.holds(value) and value and all(re.match("https?://", url) for url in value),
    )
    plain = matching(_SAFE_NAME, "a file name")
    file = RemoteFile(
        name=table.take("name", plain),
        urls=tuple(table.take("urls", web)),
        hash=table.take("hash", matching(_HASH, "sha256: or md5: and the digits in lower case"), None),
        hash_source=table.take("hash_source", TEXT, None),
        n_bytes=table.take("bytes", COUNT, None),
        unpack=table.take("unpack", FLAG, True),
        nested=tuple(table.take("nested", TEXTS, [])),
        into=table.take("into", plain, None),
    )
    if (file.hash is None) != (file.hash_source is None):
        table.fail("hash_source", "given with a hash, and only then")
    table.finish()
    return file


def dataset_names() -> tuple[str, ...]:
    """Return the names of the data sets that have a manifest.

    Examples
    --------
    >>> from cvbow.datasets import dataset_names
    >>> "digits" in dataset_names()
    True
    """
    return tuple(bundled("datasets"))


def find_dataset(name: str) -> Manifest:
    """Return the manifest of a data set.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.

    Examples
    --------
    >>> from cvbow.datasets import find_dataset
    >>> find_dataset("digits").title
    'Digits'
    """
    files = bundled("datasets")
    if name not in files:
        raise ValueError(f"data set must be one of {', '.join(files)}, got {name!r}")
    return read_dataset(files[name])
